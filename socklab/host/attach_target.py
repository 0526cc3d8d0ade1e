"""A process that runs already, as somebody who wants to attach to it sees it; and why the kernel may refuse.

In: a process id; /proc. Out: a Target, or an error that says what to do. Traces nothing, changes nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from socklab import arch as machines
from socklab.core.errors import MachineError, SocklabError, UsageError
from socklab.host.processes import (
    living_task,
    read_argv,
    read_descendants,
    read_processes,
    read_stat,
    read_status,
    read_switch,
)
from socklab.host.program_files import foreign_program

_KERNEL_THREAD = 0x00200000  # PF_KTHREAD, include/linux/sched.h: in the flags of /proc/PID/stat


class Target(msgspec.Struct, frozen=True):
    """`pid` is the thread-group leader. `children`: (parent, child) pairs of its descendants, parents first."""

    pid: int
    argv: tuple[str, ...]
    cwd: str
    language: str = ""
    children: tuple[tuple[int, int], ...] = ()


def read(pid: int) -> Target:
    """The process with this id. Raises UsageError when it is none that can be attached to, and says what it is."""
    status = read_status(pid)
    if not status:
        raise UsageError(f"There is no process {pid}.", fix="`ps aux` lists them; `pgrep -n nginx` finds one by name.")
    leader = int(status.get("Tgid", str(pid)))
    if leader != pid:
        raise UsageError(f"{pid} is a thread of process {leader}.", fix=f"socklab attach {leader}")
    if read_stat(pid).flags & _KERNEL_THREAD:
        raise UsageError(f"{pid} ({status['Name']}) is a thread of the kernel: it makes no system calls.")
    task = living_task(pid)
    if status.get("State", "").startswith(("Z", "X")) and task == pid:
        raise UsageError(f"Process {pid} ({status['Name']}) has ended; its parent has not asked for its status yet.")
    tracer = int(status.get("TracerPid", "0"))
    if tracer:
        raise _traced(pid, tracer)
    if pid == os.getpid() or pid in _ancestors(os.getpid()):
        raise UsageError(
            f"Process {pid} ({status['Name']}) is one that socklab itself runs under.", fix="Choose another."
        )
    arch = machines.find(os.uname().machine)
    foreign = foreign_program(pid, arch) if arch is not None else ""
    if foreign:
        raise UsageError(
            f"{foreign}: socklab does not know its calls.", fix=f"Start one built for {os.uname().machine}."
        )
    argv = read_argv(task)
    while argv and not argv[-1]:  # a program that has put a title of its own there leaves the rest empty
        argv = argv[:-1]
    argv = argv or (status["Name"],)
    try:
        cwd = os.readlink(f"/proc/{task}/cwd")
        program = os.readlink(f"/proc/{task}/exe")
    except OSError:  # another user's: the kernel decides when we ask to trace it
        cwd, program = "", argv[0]
    language = "python" if "python" in Path(program).name else ""
    return Target(pid, argv, cwd, language, tuple((each.ppid, each.pid) for each in read_descendants(pid).values()))


def refused(pid: int) -> SocklabError:
    """Why the kernel did not let us trace this process, with the exact fix. Source: ptrace(2), "access mode"."""
    status = read_status(pid)
    if not status:
        return UsageError(f"Process {pid} ended just now.")
    tracer = int(status.get("TracerPid", "0"))
    if tracer and tracer != os.getpid():
        return _traced(pid, tracer)
    argv = f"socklab attach {pid}"
    owner = int(status["Uid"].split()[1])
    if os.geteuid() not in (owner, 0):
        return MachineError(
            f"Process {pid} ({status['Name']}) belongs to user {_user(owner)}; the kernel lets only that user "
            "and root trace it.",
            fix=f"sudo {argv}",
        )
    scope = read_switch("/proc/sys/kernel/yama/ptrace_scope")
    if scope == "3":
        return MachineError(
            "This machine forbids attaching to any process (kernel.yama.ptrace_scope is 3).",
            fix="Put kernel.yama.ptrace_scope=1 into /etc/sysctl.d/10-ptrace.conf and boot again, "
            "or start the program with `socklab run`.",
        )
    if os.geteuid() != 0 and scope in ("1", "2"):
        return MachineError(
            f"This machine lets only root attach to a running process (kernel.yama.ptrace_scope is {scope}).",
            fix=f"sudo {argv}   or: sudo sysctl -w kernel.yama.ptrace_scope=0   or start it with `socklab run`.",
        )
    if os.geteuid() != 0:
        return MachineError(
            f"Process {pid} ({status['Name']}) has privileges that yours has not, or hides its memory "
            "(PR_SET_DUMPABLE); the kernel lets only root trace it.",
            fix=f"sudo {argv}",
        )
    return MachineError(
        f"The kernel does not let socklab trace process {pid} ({status['Name']}).",
        fix="Run `socklab doctor`: it names what refuses and the exact fix.",
    )


def _traced(pid: int, tracer: int) -> UsageError:
    return UsageError(
        f"Process {pid} is already traced by process {tracer} ({_name(tracer)}); only one tracer is possible.",
        fix=f"End that one first, then attach again. `ps {tracer}` shows it.",
    )


def _name(pid: int) -> str:
    return read_status(pid).get("Name", "gone")


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _ancestors(pid: int) -> set[int]:
    everyone = read_processes()
    found: set[int] = set()
    while pid in everyone and pid not in found:
        found.add(pid)
        pid = everyone[pid].ppid
    return found - {1}
