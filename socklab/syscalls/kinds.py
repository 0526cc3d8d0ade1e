"""The kinds of argument: how the bytes behind each are captured at a stop, and what shows them.

In: nothing. Out: `KINDS`, one entry a kind, and `capturers`, the readers of each call put together from those of its
arguments. What shows a kind is named here (a module of `show/` and a function in it) and imported only when a call is
decoded: a program that runs freely pays for no decoder. Never reads memory itself.

A kind that is written in capitals is a table of constants (`constants_*.py`) and needs no entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from socklab import arch as machines
from socklab.arch.model import Arch
from socklab.protocol.events import Mem
from socklab.syscalls import capture, capture_vectors as vectors
from socklab.syscalls.capture import Capturer, EnterReader, ReturnReader, fixed, sized_int, value_result, when_done
from socklab.syscalls.rows import ROWS, Row
from socklab.syscalls.tables import numbers_by_name


class Kind(NamedTuple):
    """A kind of argument."""

    show: str
    """`module.function` of `show/`, called with the Call, the argument's position and those of its refs."""
    enter: capture.EnterMaker | None = None
    """What the program passes in."""
    leave: capture.ReturnMaker | None = None
    """What the kernel has written."""
    struct: int = 0
    """Size of a struct: then `show` is called with the Call and that many bytes, if they could be read."""
    out: bool = False
    """The struct is written by the kernel."""


def _struct(name: str, size: int, show: str) -> dict[str, Kind]:
    """A struct, as `name` passed in and as `name_out` written by the kernel."""
    return {
        name: Kind(show, fixed(size), struct=size),
        f"{name}_out": Kind(show, leave=when_done(fixed(size)), struct=size, out=True),
    }


KINDS: dict[str, Kind] = {
    # numbers
    "int": Kind("common.signed"),
    "uint": Kind("common.unsigned"),
    "long": Kind("common.signed_long"),
    "size": Kind("common.size"),
    "hex": Kind("common.hexadecimal"),
    "octal": Kind("common.octal"),
    "pointer": Kind("common.pointer"),
    "milliseconds": Kind("polling.milliseconds"),
    "signal": Kind("signals.signal"),
    # descriptors, files
    "fd": Kind("common.fd"),
    "anyfd": Kind("common.fd"),  # or -1 for none: nothing is done to it
    "newfd": Kind("common.fd"),  # taken by the call: what was behind it is closed
    "fd_range": Kind("common.unsigned"),  # to the argument it refers to
    "remote_fd": Kind("common.signed"),  # of the process behind the pidfd it refers to
    "dirfd": Kind("common.dirfd"),
    "registered": Kind("descriptors.io_uring_arg", vectors.registered),
    "fd_pair": Kind("common.fd_pair", leave=when_done(fixed(8))),
    "path": Kind("common.path", capture.path),
    "open_flags": Kind("files.open_flags"),
    "open_mode": Kind("files.open_mode"),
    "open_how": Kind("common.pointer", capture.sized),
    "pipe_flags": Kind("files.pipe_flags"),
    "fcntl_arg": Kind("files.fcntl_arg", vectors.fcntl_in, when_done(vectors.fcntl_out)),
    "ioctl_request": Kind("files.ioctl_request"),
    "ioctl_arg": Kind("files.ioctl_arg", vectors.ioctl_in, when_done(vectors.ioctl_out)),
    "stat_out": Kind("descriptors.stat", leave=when_done(capture.stat)),
    "statx_flags": Kind("descriptors.statx_flags"),
    "statx_out": Kind("descriptors.statx", leave=when_done(fixed(256)), struct=256, out=True),
    "entries": Kind("descriptors.entries", leave=capture.filled_entries),
    # data
    "buffer_in": Kind("common.buffer_in", capture.sized),
    "buffer_out": Kind("common.buffer_out", leave=capture.filled),
    "iovec_in": Kind("common.iovec_in", vectors.iovec_in),
    "iovec_out": Kind("common.iovec_out", vectors.iovec_array, vectors.iovec_out),
    "offset": Kind("common.offset", fixed(8), when_done(fixed(8))),
    "offset_moved": Kind("common.offset_moved", fixed(8), when_done(fixed(8))),
    # sockets
    "socket_type": Kind("sockets.socket_type"),
    "protocol": Kind("sockets.protocol"),
    "sockaddr": Kind("sockaddr.address_in", sized_int(128)),
    "sockaddr_out": Kind("sockaddr.address_out", leave=value_result()),
    "length": Kind("common.length", fixed(4)),
    "sockopt_level": Kind("sockets.level"),
    "sockopt_name": Kind("sockets.option"),
    "optval": Kind("sockets.option_set", sized_int()),
    "optval_out": Kind("sockets.option_got", leave=value_result(capture.PREFIX_BYTES)),
    "msghdr": Kind("messages.sent", vectors.message_in, struct=56),
    "msghdr_out": Kind("messages.received", fixed(56), vectors.message_out),
    "mmsghdr": Kind("messages.many_sent", vectors.messages_in, vectors.messages_sent),
    "mmsghdr_out": Kind("messages.many_received", sized_int(vectors.MESSAGES * 64, 64), vectors.messages_out),
    # waiting
    "fd_set": Kind("polling.fd_set", vectors.fd_set, when_done(vectors.fd_set)),
    "pollfds": Kind("polling.pollfds", vectors.poll_in, vectors.poll_out),
    "epoll_event": Kind("polling.epoll_event", capture.epoll_event),
    "epoll_events": Kind("polling.epoll_events", leave=capture.epoll_events),
    "timespec_left": Kind("common.timespec_left", fixed(16), when_done(fixed(16))),
    "timeval_left": Kind("common.timeval_left", fixed(16), when_done(fixed(16))),
    "timespec": Kind("common.timespec", fixed(16), struct=16),
    **_struct("itimerspec", 32, "descriptors.itimerspec"),
    "io_uring_params": Kind("descriptors.io_uring_params", fixed(120), when_done(fixed(120))),
    # processes
    "argv": Kind("processes.argv", capture.argv),
    "envp": Kind("processes.envp", capture.envp),
    "clone_flags": Kind("processes.clone_flags"),
    "clone_args": Kind("processes.clone_args", vectors.clone_args, when_done(vectors.clone_args_out, 1), struct=64),
    "tid": Kind("processes.tid", leave=when_done(vectors.parent_tid, 1)),
    "wait_status": Kind("processes.wait_status", leave=when_done(fixed(4), 1)),
    "siginfo": Kind("signals.siginfo_in", fixed(48)),
    "siginfo_out": Kind("signals.siginfo_out", leave=when_done(fixed(48))),
    "sigset_sized": Kind("signals.sigset_sized", fixed(8)),
    "sigset_pair": Kind("signals.sigset_pair", vectors.sigset_pair, struct=16),
    **_struct("sigset", 8, "signals.sigset"),
    **_struct("sigaction", 32, "signals.sigaction"),
    # limits and memory
    **_struct("rlimit", 16, "memory.rlimit"),
    "map_flags": Kind("memory.map_flags"),
}


def _enter_all(readers: Iterable[EnterReader]) -> EnterReader:
    """Several arguments, in order. One costs no more than alone."""
    first, *rest = readers
    if not rest:
        return first
    then = _enter_all(rest)

    def enter(args: capture.Args, read: capture.Read) -> tuple[Mem, ...]:
        return first(args, read) + then(args, read)

    return enter


def _leave_all(readers: Iterable[ReturnReader]) -> ReturnReader:
    first, *rest = readers
    if not rest:
        return first
    then = _leave_all(rest)

    def leave(args: capture.Args, result: int, read: capture.Read) -> tuple[Mem, ...]:
        return first(args, result, read) + then(args, result, read)

    return leave


def _capturer(row: Row, arch: Arch) -> Capturer | None:
    found = [(KINDS[each.kind], at, each.refs) for at, each in enumerate(row.parameters) if each.kind in KINDS]
    enter = [kind.enter(arch, at, *refs) for kind, at, refs in found if kind.enter is not None]
    leave = [kind.leave(arch, at, *refs) for kind, at, refs in found if kind.leave is not None]
    if not enter and not leave:
        return None
    entered = _enter_all(enter) if enter else capture.nothing_on_enter
    return Capturer(entered, _leave_all(leave) if leave else capture.nothing_on_return)


@cache
def capturers(arch: str) -> dict[int, Capturer]:
    """Call number to its Capturer. A number that is missing has nothing to read."""
    machine = machines.of(arch)
    made = ((nr, _capturer(ROWS[name], machine)) for name, nr in numbers_by_name(arch).items() if name in ROWS)
    return {nr: capturer for nr, capturer in made if capturer is not None}
