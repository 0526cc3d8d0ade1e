"""A traced task, its memory, and the stop it is held at.

In: ids and what /proc says of a process. Out: plain values that the tracer and the lab share. Never makes a ptrace
request.
"""

from __future__ import annotations

import os
import signal

import msgspec

from socklab.host.processes import living_task, read_status

STOP_SIGNALS = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
# Default action: terminate. The rest is ignored, stops or continues (signal(7)).
_FATAL = frozenset(range(1, 65)) - STOP_SIGNALS - {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}


class Stop(msgspec.Struct, frozen=True):
    """A task that the syscall filter decided to hold; it stays stopped until `resume` names it."""

    tid: int
    pid: int
    at: str
    """enter, return, interrupt or signal."""
    nr: int
    args: tuple[int, ...]
    result: int
    ip: int
    sp: int
    fp: int
    lr: int = 0
    """The link register; 0 where there is none."""


class Task:
    """A traced thread, as the tracer needs it. `pid` is the thread-group leader.

    `attached`: it ran before us, without a filter. Then the kernel stops it at every call, and it outlives us.
    """

    __slots__ = (
        "args",
        "attached",
        "cut_short",
        "held",
        "host",
        "in_call",
        "interrupted",
        "memory",
        "nr",
        "paused",
        "pid",
        "resting",
        "signo",
        "started",
        "tid",
    )

    def __init__(self, tid: int, pid: int, host: str, memory: Memory, started: bool, *, attached: bool = False) -> None:
        self.tid = tid
        self.pid = pid
        self.host = host
        self.memory = memory
        self.attached = attached
        self.started = started
        """It has passed the exec that makes it the user's program; before that nothing is shown."""
        self.nr = -1
        self.args: tuple[int, ...] = ()
        self.in_call = False
        self.cut_short = False
        """Its last call ended because a signal came; that is delivered next."""
        self.held = ""
        self.interrupted = False
        """An interrupt was asked for; its stop has not come yet."""
        self.paused = False
        """That stop is to be held."""
        self.resting = -1
        """The call that goes on when the kernel enters restart_syscall for it; -1 = none."""
        self.signo = 0
        """The signal to deliver when it goes on."""


class Memory:
    """The address space of one process, through /proc/PID/mem; opened anew after exec."""

    __slots__ = ("_fd", "pid")

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = -1

    def read(self, address: int, size: int) -> bytes:
        """Up to `size` bytes; shorter where the mapping ends, empty where nothing is mapped or the process is gone."""
        try:
            if self._fd < 0:
                self._fd = os.open(f"/proc/{living_task(self.pid)}/mem", os.O_RDONLY | os.O_CLOEXEC)
            return os.pread(self._fd, size, address)
        except (OSError, OverflowError, ValueError):
            # EIO: nothing is mapped there (where a later page is missing the kernel reads short instead);
            # OverflowError: an address in the kernel's half, which no file offset can name.
            return b""

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def disposition(tid: int, signo: int) -> str:
    """What the signal will do to its process: `handled`, `fatal`, or "" (SigCgt and SigIgn of its status)."""
    status = read_status(tid)
    if int(status.get("SigCgt", "0"), 16) >> (signo - 1) & 1:
        return "handled"
    ignored = int(status.get("SigIgn", "0"), 16) >> (signo - 1) & 1
    return "fatal" if signo in _FATAL and not ignored else ""
