"""Open files from the calls that were recorded: who made a descriptor, who has it since, what was done with it.

In: calls, tasks. Out: a `File` for each open file, with every descriptor that ever stood for it (`Life`) and every call
made on one of them. Nothing is read off a descriptor table here: a number that appears without a call that made it is
a file whose beginning is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from socklab import syscalls
from socklab.protocol import events as ev
from socklab.state import Call, LabState

FORKS = frozenset({"fork", "vfork", "clone", "clone3"})
DUPS = frozenset({"dup", "dup2", "dup3"})
ENDS = frozenset({"exit_group"})
_F_DUPFD = (0, 1030)
"""F_DUPFD and F_DUPFD_CLOEXEC: asm-generic/fcntl.h, linux/fcntl.h."""
_PAIRS = frozenset({"pipe", "pipe2", "socketpair"})
EXECS = frozenset({"execve", "execveat"})
_CLOEXEC = 0o2000000
"""O_CLOEXEC, and every other flag of that meaning: asm-generic/fcntl.h. The same on x86-64 and aarch64."""
_FLAGS_AT = {
    "accept4": 3, "socket": 1, "socketpair": 1, "dup3": 2, "pipe2": 1, "open": 1, "openat": 2, "epoll_create1": 0,
    "eventfd2": 1, "signalfd4": 3, "timerfd_create": 1, "inotify_init1": 0,
}  # fmt: skip
_F_SETFD, _F_DUPFD_CLOEXEC, _FIOCLEX, _FIONCLEX = 2, 1030, 0x5451, 0x5450


class Life:
    """One descriptor from when it came to be to when it was closed."""

    def __init__(self, file: File, pid: int, fd: int, t: int, made: Call | None, parent: Life | None) -> None:
        self.file = file
        self.pid = pid
        self.fd = fd
        self.t = t
        self.made = made
        """The call whose result it was, or the fork through which it was inherited; None = not recorded."""
        self.parent = parent
        """The descriptor it is a copy of: by dup, or of the parent process."""
        self.ended: Call | ev.Exited | None = None
        self.end_t = -1
        """-1 = it is open."""
        self.cloexec: bool = parent.cloexec if parent is not None else False
        """A program that is executed does not get it."""
        file.lives.append(self)


class File:
    """An open file (a socket, a pipe): all descriptors of one stand for the same."""

    def __init__(self) -> None:
        self.lives: list[Life] = []
        self.calls: list[Call] = []
        """Calls made on one of its descriptors, in the order they were entered."""

    @property
    def born(self) -> Life:
        return self.lives[0]

    @property
    def open(self) -> list[Life]:
        return [life for life in self.lives if life.end_t < 0]

    @property
    def last_end(self) -> Life | None:
        """The descriptor closed last, where none is open any more."""
        return None if self.open else max(self.lives, key=lambda life: life.end_t)


class Files:
    """Every open file of the traced program, worked out once."""

    def __init__(self, state: LabState, calls: Iterable[Call]) -> None:
        self._arch = state.header.arch if state.header is not None else "x86_64"
        self._state = state
        self.all: list[File] = []
        self._live: dict[tuple[int, int], Life] = {}
        self._past: dict[tuple[int, int], list[Life]] = {}
        for t, _, what in sorted(self._points(calls), key=lambda point: point[:2]):
            if isinstance(what, ev.Exited):
                self._end_of(what.tid, what)
            else:
                self._take(t, what)

    def pid(self, tid: int) -> int:
        """The process of a task; a number nobody has, where the task is not known any more."""
        task = self._state.tasks.get(tid)
        return task.pid if task is not None else -tid

    def name(self, call: Call) -> str:
        return syscalls.name(self._arch, call.entered.nr)

    def now(self, pid: int, fd: int) -> Life | None:
        """What the descriptor is now."""
        return self._live.get((pid, fd))

    def last(self, pid: int, fd: int) -> Life | None:
        """What it is, or was last."""
        return self._live.get((pid, fd)) or next(reversed(self._past.get((pid, fd), ())), None)

    def at(self, pid: int, fd: int, t: int) -> Life | None:
        """What it was at a moment; a call that sleeps has given its descriptor before it is seen to return."""
        lives = [*self._past.get((pid, fd), ()), *filter(None, [self._live.get((pid, fd))])]
        known = (life for life in reversed(lives) if life.t <= t and not -1 < life.end_t < t)
        return next(known, None) or next(
            (life for life in lives if life.made and life.made.entered.t <= t <= life.t), None
        )

    def made_by(self, call: Call) -> File | None:
        """The file that a call gave a first descriptor for."""
        return next((file for file in self.all if file.born.made is call), None)

    # ---------------------------------------------------------------- the order of things

    def _points(self, calls: Iterable[Call]) -> Iterator[tuple[int, int, Call | ev.Exited]]:
        """What happened to descriptors, by the moment it took effect at the earliest; what gives one, at the latest.

        A close frees the number before it returns, and a child runs before its parent's fork has returned.
        """
        for call in calls:
            name = self.name(call)
            if call.returned is None:
                if name in ENDS:
                    yield call.entered.t, 1, call
                continue  # it is being made: it has done nothing yet that is known
            gives = syscalls.returns_fd(name) or name in _PAIRS or name in DUPS
            yield (call.returned.t, 0, call) if gives else (call.entered.t, 2 if name not in FORKS else 0, call)
        for task in self._state.tasks.values():
            if task.exited is not None and task.tid == task.pid:
                yield task.exited.t, 3, task.exited

    def _take(self, t: int, call: Call) -> None:
        name, pid = self.name(call), self.pid(call.entered.tid)
        result = call.returned.result if call.returned is not None else 0
        first = call.entered.args[0] & 0xFFFFFFFF
        if name in ENDS:
            self._end_of(pid, call)
            return
        for fd in syscalls.own_fds(name, call.entered.args):
            known = self._live.get((pid, fd))
            if known is None and fd == first and result >= 0:
                known = self._begin(pid, fd, t, None, None)
            if known is not None and (not known.file.calls or known.file.calls[-1] is not call):
                known.file.calls.append(call)
        if result < 0 and name != "close":
            return
        if name in EXECS:
            for life in [life for key, life in self._live.items() if key[0] == pid and life.cloexec]:
                self._ends(life, t, call)
        self._mark(name, self._live.get((pid, first)), call)
        if name in FORKS:
            self._fork(pid, result, call)
        elif name == "close":
            self._close(pid, first, t, call, freed=result != -9)
        elif name == "close_range":
            last = call.entered.args[1] & 0xFFFFFFFF
            for key in [key for key in self._live if key[0] == pid and first <= key[1] <= last]:
                if not call.entered.args[2] & 4:  # CLOSE_RANGE_CLOEXEC closes nothing yet
                    self._close(*key, t, call, freed=True)
        elif name in DUPS or (name == "fcntl" and call.entered.args[1] & 0xFFFFFFFF in _F_DUPFD):
            self._copy(pid, first, result, t, call)
        elif name in _PAIRS:
            for fd in _pair(call):
                self._begin(pid, fd, t, call, None)
        elif syscalls.returns_fd(name):
            self._begin(pid, result, t, call, None)

    def _begin(self, pid: int, fd: int, t: int, made: Call | None, parent: Life | None) -> Life:
        old = self._live.pop((pid, fd), None)
        if old is not None:  # the number was free again: what closed it was not seen, or returns later
            old.end_t = t
            self._past.setdefault((pid, fd), []).append(old)
        file = parent.file if parent is not None else File()
        if parent is None:
            self.all.append(file)
        life = self._live[pid, fd] = Life(file, pid, fd, t, made, parent)
        name = self.name(made) if made is not None else ""
        if made is not None and name not in FORKS:
            wanted = made.entered.args[_FLAGS_AT[name]] & _CLOEXEC if name in _FLAGS_AT else 0
            life.cloexec = bool(wanted) or (name == "fcntl" and made.entered.args[1] == _F_DUPFD_CLOEXEC)
        return life

    @staticmethod
    def _mark(name: str, life: Life | None, call: Call) -> None:
        """fcntl and ioctl change whether it outlives an exec."""
        what, value = call.entered.args[1] & 0xFFFFFFFF, call.entered.args[2]
        if life is not None and name == "fcntl" and what == _F_SETFD:
            life.cloexec = bool(value & 1)
        elif life is not None and name == "ioctl" and what in (_FIOCLEX, _FIONCLEX):
            life.cloexec = what == _FIOCLEX

    def _copy(self, pid: int, old: int, new: int, t: int, call: Call) -> None:
        if old != new:
            self._begin(pid, new, t, call, self._live.get((pid, old)))

    def _fork(self, pid: int, child: int, call: Call) -> None:
        if child <= 0 or self.pid(child) != child:
            return  # a thread shares the table; a child that is not known any more had no calls that are
        for (of, fd), life in list(self._live.items()):
            if of == pid and (child, fd) not in self._live:
                self._begin(child, fd, call.entered.t, call, life)

    def _close(self, pid: int, fd: int, t: int, call: Call, *, freed: bool) -> None:
        life = self._live.get((pid, fd))
        if life is None or not freed or t < life.t:
            return
        self._ends(life, t, call)

    def _ends(self, life: Life, t: int, by: Call | ev.Exited) -> None:
        del self._live[life.pid, life.fd]
        life.ended, life.end_t = by, t
        self._past.setdefault((life.pid, life.fd), []).append(life)

    def _end_of(self, pid: int, by: Call | ev.Exited) -> None:
        t = by.t if isinstance(by, ev.Exited) else by.entered.t
        for life in [life for key, life in self._live.items() if key[0] == pid]:
            self._ends(life, t, by)


def _pair(call: Call) -> tuple[int, ...]:
    """The two descriptors that pipe or socketpair wrote."""
    pieces = call.returned.mem if call.returned is not None else ()
    data = next((piece.data for piece in pieces if len(piece.data) >= 8), b"")
    return tuple(int.from_bytes(data[at : at + 4], "little") for at in (0, 4)) if data else ()
