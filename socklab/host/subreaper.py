"""Leaves no process behind, even when the engine is killed by SIGKILL.

In: the pids and sessions that belong to an engine. Out: none of them. The consumer is made the subreaper, so that
orphans become its children; only those that belong to the engine are ended, never another child of the caller.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from socklab.host.processes import read_descendants, read_processes

__all__ = ["become_subreaper", "end_orphans", "read_descendants", "read_processes"]

_DEADLINE = 3.0


def become_subreaper() -> None:
    """Orphans of our descendants become our children instead of init's. Source: prctl(2)."""
    from socklab.host import libc  # ctypes is not loaded before the engine is started

    libc.become_subreaper()


def end_orphans(known: set[int]) -> None:
    """Kill and reap our descendants whose pid or session is in `known`.

    The engine leads a session of its own, and so may what it started; a process can't enter another's session, so a
    session in `known` is proof of descent. Repeats, because killing a parent hands its children to us.
    """
    deadline = time.monotonic() + _DEADLINE
    while time.monotonic() < deadline:
        descendants = read_descendants(os.getpid())
        ours = {pid for pid, process in descendants.items() if pid in known or process.session in known}
        ours |= {pid for pid, process in descendants.items() if process.ppid in ours}
        if not ours:
            return
        for pid in ours:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            except PermissionError:  # it runs as another user by now (setuid)
                known = known - {pid, descendants[pid].session}
                continue
            if descendants[pid].ppid == os.getpid():
                with contextlib.suppress(ChildProcessError):  # somebody else has reaped it
                    os.waitpid(pid, 0)
