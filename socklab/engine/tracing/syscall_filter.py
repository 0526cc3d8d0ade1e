"""The syscall filter of a run: which calls are recorded, and at which the program is held.

In: a call's number, arguments and result, on the tracer thread. Out: UNSEEN, RECORD or HOLD. Reads one thing of the
kernel: what kind of file each descriptor is that the call names. libc's start-up and Python's imports read and close
files all the time; they concern no socket and run through unseen. The start of a thread is not stopped at, that of a
process is.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable

from socklab import syscalls
from socklab.commands.conditions import Condition
from socklab.engine.kernel.procfs import read_text
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
        for name in mine | syscalls.RUN_CALLS:
            number = syscalls.number(arch, name)
            if number is not None:
                self.names[number] = name
        self.mine = frozenset(nr for nr, name in self.names.items() if name in mine)
        """Those that concern sockets or processes; the others are seen only where a condition names them."""
        self._fd_arguments = {nr: syscalls.fd_arguments(name) for nr, name in self.names.items()}
        self._waits = frozenset(nr for nr, name in self.names.items() if name.startswith("epoll_"))
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

    def concerns_socket(self, tid: int, nr: int, args: tuple[int, ...]) -> bool:
        """The call makes, names or waits for a socket, or for a process, and not only where a condition names it."""
        return nr in self.mine and self.names_socket(tid, nr, args)

    def names_socket(self, tid: int, nr: int, args: tuple[int, ...]) -> bool:
        """One of the descriptors the call names is a socket; or it names none, and concerns sockets or processes.

        Asked before the call: afterwards a socket may be closed, and another number open.
        """
        named = self._fd_arguments.get(nr, ())
        return any(self._is_socket(tid, nr, args, each) for each in named) if named else nr in self.mine

    def _is_socket(self, tid: int, nr: int, args: tuple[int, ...], named: syscalls.FdArgument) -> bool:
        """A descriptor that is not open counts: a mistake to see. One that the call takes for itself may be closed."""
        number = args[named.at] & 0xFFFFFFFF
        if named.kind == "fd_range":
            return _socket_between(tid, number, args[named.ref] & 0xFFFFFFFF)
        try:
            if named.kind == "remote_fd":
                tid = pidfd_target(tid, args[named.ref] & 0xFFFFFFFF)
            target = os.readlink(f"/proc/{tid}/fd/{number}")
        except OSError:
            return named.kind != "newfd"
        if target == "anon_inode:[io_uring]":
            return True  # it carries out whatever lies in it, and keeps the files registered with it open
        # An epoll instance stands for the sockets it watches, but a runtime that tries whether epoll is there
        # (Python's import of selectors) opens and closes one that watches nothing: close is not told.
        return target.startswith("socket:") or (nr in self._waits and target.startswith("anon_inode:"))


def _socket_between(tid: int, first: int, last: int) -> bool:
    """A descriptor of that range is a socket."""
    try:
        inside = [name for name in os.listdir(f"/proc/{tid}/fd") if first <= int(name) <= last]
        return any(os.readlink(f"/proc/{tid}/fd/{name}").startswith("socket:") for name in inside)
    except OSError:
        return True  # another thread closes them meanwhile, or the table may not be read


def pidfd_target(tid: int, pidfd: int) -> int:
    """The process that a pidfd of `tid` stands for. Raises OSError. Source: proc_pid_fdinfo(5)."""
    for line in read_text(f"/proc/{tid}/fdinfo/{pidfd}").splitlines():
        if line.startswith("Pid:"):
            return int(line[4:])
    raise OSError(errno.EBADF, "no pidfd")


class StepFilter:
    """Hold at each call that is paused on and concerns a socket or process; record the others that do."""

    def __init__(self, calls: SocketCalls) -> None:
        self._calls = calls

    def enter(self, task: Task, nr: int, args: tuple[int, ...]) -> int:
        if not self._calls.concerns_socket(task.tid, nr, args):
            return UNSEEN
        return HOLD if self._calls.holds(task, nr, args) else RECORD

    def leave(self, task: Task, nr: int, args: tuple[int, ...], result: int) -> int:
        return HOLD if self._calls.holds(task, nr, args) else RECORD


class RunFilter:
    """Record calls that concern sockets or processes, hold nothing."""

    def __init__(self, calls: SocketCalls) -> None:
        self._calls = calls

    def enter(self, task: Task, nr: int, args: tuple[int, ...]) -> int:
        return RECORD if self._calls.concerns_socket(task.tid, nr, args) else UNSEEN

    def leave(self, task: Task, nr: int, args: tuple[int, ...], result: int) -> int:
        return RECORD


class UntilFilter:
    """Record calls that concern sockets or processes, and hold where the condition says."""

    def __init__(self, calls: SocketCalls, condition: Condition) -> None:
        self._calls = calls
        self._condition = condition
        self._sockets: dict[int, bool] = {}
        """Task to whether its call names a socket, as it was before the call."""

    def enter(self, task: Task, nr: int, args: tuple[int, ...]) -> int:
        is_socket = self._sockets[task.tid] = self._calls.names_socket(task.tid, nr, args)
        name = self._calls.names.get(nr, "")
        if self._condition.wants_enter(name, args, is_socket):
            return HOLD
        # A call that is named must be seen, to know how it ends; `any error` asks about sockets and processes alone.
        mine = is_socket and nr in self._calls.mine
        return RECORD if mine or name in self._condition.calls else UNSEEN

    def leave(self, task: Task, nr: int, args: tuple[int, ...], result: int) -> int:
        is_socket = self._was_socket(task.tid, nr, args)
        wanted = self._condition.wants_return(self._calls.names.get(nr, ""), args, result, is_socket)
        return HOLD if wanted else RECORD

    def fits(self, stop: Stop) -> bool:
        """Whether it would hold at this stop, which another filter may have asked for."""
        is_socket = self._was_socket(stop.tid, stop.nr, stop.args)
        name = self._calls.names.get(stop.nr, "")
        if stop.at == "enter":
            return self._condition.wants_enter(name, stop.args, is_socket)
        return self._condition.wants_return(name, stop.args, stop.result, is_socket)

    def _was_socket(self, tid: int, nr: int, args: tuple[int, ...]) -> bool:
        """Of a call that was entered before this filter came, as it is now."""
        known = self._sockets.get(tid)
        return self._calls.names_socket(tid, nr, args) if known is None else known


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
