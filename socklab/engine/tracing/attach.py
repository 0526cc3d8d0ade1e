"""Attaches to a process that runs already, in the network the process lives in.

In: a Target. Out: this engine inside the target's network namespace where the kernel allows it, then the target's
threads seized and told to the stream. Called while the engine has one thread.
"""

from __future__ import annotations

import os

from socklab.engine.network import netns
from socklab.engine.tracing import ptrace
from socklab.engine.tracing.tracer import Tracer
from socklab.host import attach_target
from socklab.host.processes import living_task
from socklab.protocol import events as ev


def enter_network(pid: int) -> tuple[str, str, str] | None:
    """Go where the target's sockets are listed. A notice (level, text, fix) when that is elsewhere.

    The engine is in the machine's own network. A server in a container or in another lab is not; root may follow it.
    """
    task = living_task(pid)
    try:
        if os.stat(f"/proc/{task}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino:
            return None
        namespace = os.open(f"/proc/{task}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None  # another user's: tracing it will be refused, with the reason
    try:
        netns.setns(namespace)
    except OSError as error:
        return (
            "warning",
            f"Process {pid} lives in another network, and this user may not look into it ({error.strerror}): "
            "its sockets and queues cannot be shown.",
            f"sudo socklab attach {pid}",
        )
    finally:
        os.close(namespace)
    return ("info", f"Process {pid} lives in a network of its own; sockets and clients are those of that network.", "")


def attach(tracer: Tracer, wanted: attach_target.Target, *, children: bool, traced: tuple[int, ...]) -> None:
    """Seize the process, and with `children` its descendants; they run on. Raises SocklabError when refused."""
    stream = tracer.stream
    family = [(0, wanted.pid), *(wanted.children if children else ())]
    for parent, pid in family:
        try:
            tracer.attach(pid, "server")
        except PermissionError as error:
            raise attach_target.refused(pid) from error
        except ptrace.ProcessGone as error:
            if parent:
                continue  # a child that has ended meanwhile
            raise attach_target.refused(pid) from error
        if parent:
            stream.put(ev.Forked(stream.now(), parent, pid, "fork"))
        else:
            stream.put(ev.Started(stream.now(), pid, "server", wanted.argv, wanted.cwd, traced))
    for task in tracer.tasks.values():
        if task.tid != task.pid:
            stream.put(ev.Forked(stream.now(), task.pid, task.tid, "thread"))
    if wanted.children and not children:
        listed = ", ".join(str(pid) for _, pid in wanted.children[:6]) + (" ..." if len(wanted.children) > 6 else "")
        text = f"Process {wanted.pid} has child processes ({listed}), which run on unseen."
        stream.notice("info", text, f"socklab attach --children {wanted.pid}")
