"""Leaves no process behind, even when the engine is killed by SIGKILL.

In: the pids and sessions that belong to an engine. Out: none of them. The consumer is made the subreaper, so that
orphans become its children; only those that belong to the engine are ended, never another child of the caller.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import NamedTuple

_PR_SET_CHILD_SUBREAPER = 36  # include/uapi/linux/prctl.h
_DEADLINE = 3.0
_done = False


def become_subreaper() -> None:
    """Orphans of our descendants become our children instead of init's. Source: prctl(2)."""
    global _done
    if _done:
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # can't fail for this value since Linux 3.4
    _done = True


class Process(NamedTuple):
    """Fields of /proc/PID/stat."""

    pid: int
    state: str
    parent: int
    session: int


def parse_stat(text: str) -> Process:
    """One line of /proc/PID/stat. The name is in parentheses and may itself hold parentheses and spaces.

    Source: proc_pid_stat(5).
    """
    pid, _, rest = text.partition(" (")
    fields = rest.rpartition(")")[2].split()
    return Process(int(pid), fields[0], int(fields[1]), int(fields[3]))


def read_processes() -> dict[int, Process]:
    """Every process of this machine that /proc shows."""
    found: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    process = parse_stat(file.read())
            except OSError:  # it ended since the directory was read
                continue
            found[process.pid] = process
    return found


def read_descendants(of: int) -> dict[int, Process]:
    """Children of `of`, their children, and so on."""
    everyone = read_processes()
    found: dict[int, Process] = {}
    grew = True
    while grew:
        grew = False
        for pid, process in everyone.items():
            if pid not in found and (process.parent == of or process.parent in found):
                found[pid] = process
                grew = True
    return found


def end_orphans(known: set[int]) -> None:
    """Kill and reap our descendants whose pid or session is in `known`.

    The engine leads a session of its own, and so may what it started; a process can't enter another's session, so a
    session in `known` is proof of descent. Repeats, because killing a parent hands its children to us.
    """
    deadline = time.monotonic() + _DEADLINE
    while time.monotonic() < deadline:
        descendants = read_descendants(os.getpid())
        ours = {pid for pid, process in descendants.items() if pid in known or process.session in known}
        ours |= {pid for pid, process in descendants.items() if process.parent in ours}
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
            if descendants[pid].parent == os.getpid():
                with contextlib.suppress(ChildProcessError):  # somebody else has reaped it
                    os.waitpid(pid, 0)
