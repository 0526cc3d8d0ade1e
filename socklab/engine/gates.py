"""Which calls are the user's business, and at which the program is held.

In: a call's number, arguments and result, on the tracer thread. Out: UNSEEN, RECORD or HOLD. Reads one thing of the
kernel: what kind of file a descriptor is. libc's start-up and Python's imports read and close files all the time;
they concern no socket and run through unseen.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from socklab import syscalls
from socklab.conditions import Condition
from socklab.engine.task import Task
from socklab.engine.tracer import HOLD, RECORD, UNSEEN


class Business:
    """Facts about calls shared by all gates of a run: precomputed per syscall number."""

    def __init__(self, arch: str, names: Iterable[str], paused: Iterable[str]) -> None:
        self.names: dict[int, str] = {}
        self._fd_argument: dict[int, int | None] = {}
        for name in names:
            number = syscalls.number(arch, name)
            if number is not None:
                self.names[number] = name
                self._fd_argument[number] = syscalls.fd_argument(name)
        self._waits = frozenset(nr for nr, name in self.names.items() if name.startswith(("epoll_", "io_uring_")))
        self.paused = frozenset(syscalls.numbers(arch, paused))

    def concerns_socket(self, pid: int, nr: int, args: tuple[int, ...]) -> bool:
        """The call makes, names or waits for a socket. A descriptor that is not open counts: a mistake to see."""
        position = self._fd_argument.get(nr)
        if position is None:
            return True
        try:
            target = os.readlink(f"/proc/{pid}/fd/{args[position] & 0xFFFFFFFF}")
        except OSError:
            return True
        # An epoll instance stands for the sockets it watches, but a runtime that tries whether epoll is there
        # (Python's import of selectors) opens and closes one that watches nothing: close is not told.
        return target.startswith("socket:") or (nr in self._waits and target.startswith("anon_inode:"))


class StepGate:
    """Hold at each call that is paused on and is the user's business; record the others that are."""

    def __init__(self, business: Business) -> None:
        self._business = business

    def enter(self, task: Task, nr: int, args: tuple[int, ...]) -> int:
        if not self._business.concerns_socket(task.pid, nr, args):
            return UNSEEN
        return HOLD if nr in self._business.paused else RECORD

    def leave(self, task: Task, nr: int, args: tuple[int, ...], result: int) -> int:
        return HOLD if nr in self._business.paused else RECORD


class RunGate:
    """Record the user's business, hold nothing."""

    def __init__(self, business: Business) -> None:
        self._business = business

    def enter(self, task: Task, nr: int, args: tuple[int, ...]) -> int:
        return RECORD if self._business.concerns_socket(task.pid, nr, args) else UNSEEN

    def leave(self, task: Task, nr: int, args: tuple[int, ...], result: int) -> int:
        return RECORD


class UntilGate:
    """Record the user's business and hold where the condition says."""

    def __init__(self, business: Business, condition: Condition) -> None:
        self._business = business
        self._condition = condition

    def enter(self, task: Task, nr: int, args: tuple[int, ...]) -> int:
        is_socket = self._business.concerns_socket(task.pid, nr, args)
        if self._condition.wants_enter(self._business.names.get(nr, ""), args, is_socket):
            return HOLD
        return RECORD if is_socket else UNSEEN

    def leave(self, task: Task, nr: int, args: tuple[int, ...], result: int) -> int:
        is_socket = self._business.concerns_socket(task.pid, nr, args)
        wanted = self._condition.wants_return(self._business.names.get(nr, ""), args, result, is_socket)
        return HOLD if wanted else RECORD


Gate = StepGate | RunGate | UntilGate
