"""The syscall filter of a run: which calls are recorded, and at which the program is held.

In: a call's number, arguments and result, on the tracer thread. Out: UNSEEN, RECORD or HOLD. Reads one thing of the
kernel: what kind of file a descriptor is. libc's start-up and Python's imports read and close files all the time;
they concern no socket and run through unseen. The start of a thread is not stopped at, that of a process is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from socklab import syscalls
from socklab.commands.conditions import Condition
from socklab.engine.tracing.task import Stop, Task
from socklab.engine.tracing.tracer import HOLD, RECORD, UNSEEN, SyscallFilter

_CLONE_THREAD = 0x00010000


class SocketCalls:
    """Facts about calls that all filters of a run share, precomputed by syscall number.

    `names`: calls that concern sockets or processes; others are seen only where a condition names them.
    """

    def __init__(self, arch: str, names: Iterable[str], paused: Iterable[str]) -> None:
        mine = frozenset(names)
        self.names: dict[int, str] = {}
        """Every call the filter may report."""
        self._fd_argument: dict[int, int | None] = {}
        """Of `names` that concern sockets or processes alone."""
        for name in mine | syscalls.RUN_CALLS:
            number = syscalls.number(arch, name)
            if number is not None:
                self.names[number] = name
                if name in mine:
                    self._fd_argument[number] = syscalls.fd_argument(name)
        self._waits = frozenset(nr for nr, name in self.names.items() if name.startswith(("epoll_", "io_uring_")))
        self._clone = syscalls.number(arch, "clone")
        self._clone3 = syscalls.number(arch, "clone3")
        self.paused = frozenset(syscalls.numbers(arch, paused))

    def holds(self, task: Task, nr: int, args: tuple[int, ...]) -> bool:
        """Whether a student who steps is stopped at this call."""
        return nr in self.paused and not self._makes_thread(task, nr, args)

    def _makes_thread(self, task: Task, nr: int, args: tuple[int, ...]) -> bool:
        if nr == self._clone:
            return bool(args[0] & _CLONE_THREAD)
        # clone3 has its flags at the beginning of a struct. Source: clone(2).
        return nr == self._clone3 and bool(int.from_bytes(task.memory.read(args[0], 8), sys.byteorder) & _CLONE_THREAD)

    def concerns_socket(self, pid: int, nr: int, args: tuple[int, ...]) -> bool:
        """The call makes, names or waits for a socket, or for a process. A descriptor that is not open counts: a
        mistake to see."""
        position = self._fd_argument.get(nr, -1)
        if position is None:
            return True
        if position < 0:
            return False
        try:
            target = os.readlink(f"/proc/{pid}/fd/{args[position] & 0xFFFFFFFF}")
        except OSError:
            return True
        # An epoll instance stands for the sockets it watches, but a runtime that tries whether epoll is there
        # (Python's import of selectors) opens and closes one that watches nothing: close is not told.
        return target.startswith("socket:") or (nr in self._waits and target.startswith("anon_inode:"))


class StepFilter:
    """Hold at each call that is paused on and concerns a socket or process; record the others that do."""

    def __init__(self, calls: SocketCalls) -> None:
        self._calls = calls

    def enter(self, task: Task, nr: int, args: tuple[int, ...]) -> int:
        if not self._calls.concerns_socket(task.pid, nr, args):
            return UNSEEN
        return HOLD if self._calls.holds(task, nr, args) else RECORD

    def leave(self, task: Task, nr: int, args: tuple[int, ...], result: int) -> int:
        return HOLD if self._calls.holds(task, nr, args) else RECORD


class RunFilter:
    """Record calls that concern sockets or processes, hold nothing."""

    def __init__(self, calls: SocketCalls) -> None:
        self._calls = calls

    def enter(self, task: Task, nr: int, args: tuple[int, ...]) -> int:
        return RECORD if self._calls.concerns_socket(task.pid, nr, args) else UNSEEN

    def leave(self, task: Task, nr: int, args: tuple[int, ...], result: int) -> int:
        return RECORD


class UntilFilter:
    """Record calls that concern sockets or processes, and hold where the condition says."""

    def __init__(self, calls: SocketCalls, condition: Condition) -> None:
        self._calls = calls
        self._condition = condition

    def enter(self, task: Task, nr: int, args: tuple[int, ...]) -> int:
        is_socket = self._calls.concerns_socket(task.pid, nr, args)
        name = self._calls.names.get(nr, "")
        if self._condition.wants_enter(name, args, is_socket):
            return HOLD
        # A call that is named must be seen, to know how it ends; `any error` asks about sockets and processes alone.
        return RECORD if is_socket or name in self._condition.calls else UNSEEN

    def leave(self, task: Task, nr: int, args: tuple[int, ...], result: int) -> int:
        is_socket = self._calls.concerns_socket(task.pid, nr, args)
        wanted = self._condition.wants_return(self._calls.names.get(nr, ""), args, result, is_socket)
        return HOLD if wanted else RECORD

    def fits(self, stop: Stop) -> bool:
        """Whether it would hold at this stop, which another filter may have asked for."""
        is_socket = self._calls.concerns_socket(stop.pid, stop.nr, stop.args)
        name = self._calls.names.get(stop.nr, "")
        if stop.at == "enter":
            return self._condition.wants_enter(name, stop.args, is_socket)
        return self._condition.wants_return(name, stop.args, stop.result, is_socket)


class EitherFilter:
    """Whatever one of two filters wants to see or hold."""

    def __init__(self, one: SyscallFilter, other: SyscallFilter) -> None:
        self._one = one
        self._other = other

    def enter(self, task: Task, nr: int, args: tuple[int, ...]) -> int:
        return max(self._one.enter(task, nr, args), self._other.enter(task, nr, args))

    def leave(self, task: Task, nr: int, args: tuple[int, ...], result: int) -> int:
        return max(self._one.leave(task, nr, args, result), self._other.leave(task, nr, args, result))


class OneTaskFilter:
    """One task is stopped as `filter` says; the others are recorded and run."""

    def __init__(self, filter: SyscallFilter, tid: int) -> None:
        self._filter = filter
        self._tid = tid

    def enter(self, task: Task, nr: int, args: tuple[int, ...]) -> int:
        verdict = self._filter.enter(task, nr, args)
        return RECORD if verdict == HOLD and task.tid != self._tid else verdict

    def leave(self, task: Task, nr: int, args: tuple[int, ...], result: int) -> int:
        verdict = self._filter.leave(task, nr, args, result)
        return RECORD if verdict == HOLD and task.tid != self._tid else verdict
