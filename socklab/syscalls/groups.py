"""Calls by what they have in common: the words that lessons and stop conditions say, where a program stops, topics.

In: a name. Out: names, or one fact. Everything comes from the table of calls; a name that an architecture lacks, or
that the table lacks, does no harm.

`stop` of a call says how far it concerns a lab. `lesson`: reported in every lesson, so that no socket is born, moved
or closed unseen, and a stop in a run. `run`: a stop in a run of a program of the user's own. `recorded`: no stop, but
recorded there. `named`: looked at only where a stop condition names it. Calls without `stop` run at full speed.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from socklab.syscalls.rows import ROWS
from socklab.syscalls.tables import number

_STOPS = ("lesson", "run", "recorded", "named")


def _calls(stop: str) -> frozenset[str]:
    """Calls that stop there, or sooner."""
    wanted = _STOPS[: _STOPS.index(stop) + 1]
    return frozenset(row.name for row in ROWS.values() if row.stop in wanted)


LESSON_CALLS = _calls("lesson")
"""What a lesson's filter reports. A lesson may name more."""
RUN_PAUSED = _calls("run")
"""Where a program of the user's own is stopped: what servers do with sockets, and with processes."""
RUN_RECORDED = _calls("recorded")
"""What is recorded of it."""
RUN_CALLS = _calls("named")
"""What its filter reports: strace's sets %network, %desc, %process and %signal but for calls that docs/run.md names."""


def _words() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in ROWS.values():
        for word in row.words:
            found[word] = (*found.get(word, ()), row.name)
    return {word: names for word, names in found.items() if names != (word,)}


WORDS = _words()
"""A word that means several calls, and those calls.

The C library's functions come down to one of them, and one lesson serves two languages: Python makes accept4, recvfrom
and sendto where C makes accept, read and write. send() and recv() are no calls of their own, and fork() is clone.
"""


def canonical(name: str) -> str:
    """The word that `name` counts as: accept4 as accept, recvfrom and recv as read."""
    row = ROWS.get(name) or ROWS.get(WORDS.get(name, ("",))[0])
    return row.words[0] if row is not None else name


class FdArgument(NamedTuple):
    """One argument that names descriptors, by its kind.

    `fd`: one of the program's own. `newfd`: a number that the call takes; closed first if it is open. `fd_range`: all
    from `at` to `ref`. `remote_fd`: one of the process that the pidfd in argument `ref` stands for.
    """

    at: int
    kind: str
    ref: int = -1


_FD_KINDS = ("fd", "newfd", "fd_range", "remote_fd")


@cache
def fd_arguments(name: str) -> tuple[FdArgument, ...]:
    """Every argument of the call that names descriptors it does something to.

    A directory descriptor of the *at calls does not count: it names a place, nothing is done to it. Those in the sets
    of select, the list of poll and the messages of sendmsg (SCM_RIGHTS) are in memory, not in an argument.
    """
    row = ROWS.get(name)
    found = enumerate(row.parameters) if row is not None else ()
    return tuple(FdArgument(at, each.kind, *each.refs) for at, each in found if each.kind in _FD_KINDS)


def fd_argument(name: str) -> int | None:
    """Index of the descriptor the call acts on (`sockfd` of accept, `oldfd` of dup); None = it takes none."""
    return next((each.at for each in fd_arguments(name) if each.kind == "fd"), None)


def own_fds(name: str, args: tuple[int, ...]) -> tuple[int, ...]:
    """The descriptors that the call's arguments name one by one, of the program's own: both of splice and of dup2."""
    return tuple(args[each.at] & 0xFFFFFFFF for each in fd_arguments(name) if each.kind in ("fd", "newfd"))


_UNNAMED_KINDS = {"fd_pair", "fd_range", "fcntl_arg", "msghdr_out", "mmsghdr_out"}


@cache
def moves_unnamed(name: str) -> bool:
    """Whether the call may open or close descriptors that neither its arguments nor its result name: socketpair,
    close_range, fcntl (F_DUPFD), recvmsg (SCM_RIGHTS), and whatever an io_uring carries out."""
    row = ROWS.get(name)
    return name.startswith("io_uring_") or (row is not None and not _UNNAMED_KINDS.isdisjoint(row.kinds))


def partly(arch: str) -> dict[int, tuple[int, int]]:
    """(argument, bits) of calls that a filter reports only where that argument has one of these bits.

    The C library's fstat is newfstatat or statx without a path (AT_EMPTY_PATH); its stat is the same call with one.
    """
    return {nr: row.only for nr, row in ((number(arch, name), row) for name, row in ROWS.items()) if nr and row.only}


def returns_fd(name: str) -> bool:
    """Whether a result of 0 or more is a new descriptor. fcntl is not among them: only F_DUPFD gives one."""
    return name in ROWS and ROWS[name].result == "fd"


def touches(name: str) -> str:
    """Where the call's effect shows best: descriptors, queues, sockets or processes; "" = nowhere in particular."""
    return ROWS[name].topic if name in ROWS else ""
