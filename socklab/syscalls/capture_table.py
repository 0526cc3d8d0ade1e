"""The table of captures: call name to what is read before it and after it.

Holds data only; the shapes are in capture_shapes.py and capture_vectors.py. The one size that differs between
architectures is epoll_event: packed to 12 bytes on x86-64, 16 elsewhere (sys/epoll.h, EPOLL_PACKED).
"""

from __future__ import annotations

from socklab.protocol.events import Mem
from socklab.syscalls.capture import PREFIX_BYTES, Args, Capturer, Read
from socklab.syscalls.capture_shapes import (
    all_of,
    filled,
    fixed,
    not_failed,
    path,
    positive,
    program,
    sized,
    sized_int,
    value_result,
    when,
)
from socklab.syscalls.capture_vectors import (
    iovec_array,
    iovec_in,
    iovec_out,
    message_header,
    message_in,
    message_out,
    messages_in,
    messages_out,
    messages_sent,
    poll_in,
    poll_out,
    pselect_mask,
    sets_of,
)

_IOCTL_IN = {0x5421: 4, 0x5452: 4, 0x5414: 8}  # FIONBIO, FIOASYNC, TIOCSWINSZ
_IOCTL_OUT = {
    0x541B: 4,
    0x5411: 4,
    0x8905: 4,
    0x5413: 8,
    0x540F: 4,
}  # FIONREAD TIOCOUTQ SIOCATMARK TIOCGWINSZ TIOCGPGRP
_LOCKS = {5, 6, 7, 36, 37, 38}  # F_GETLK F_SETLK F_SETLKW and their F_OFD_ forms
_CLONE_PARENT_SETTID = 0x00100000


def _ioctl_in(args: Args, read: Read) -> tuple[Mem, ...]:
    size = _IOCTL_IN.get(args[1] & 0xFFFFFFFF)
    return (Mem(args[2], read(args[2], size)),) if size else ()


def _ioctl_out(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
    size = _IOCTL_OUT.get(args[1] & 0xFFFFFFFF) if result >= 0 else None
    return (Mem(args[2], read(args[2], size)),) if size else ()


def _fcntl_in(args: Args, read: Read) -> tuple[Mem, ...]:
    return (Mem(args[2], read(args[2], 32)),) if args[1] & 0xFFFFFFFF in _LOCKS else ()


def _clone_out(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
    return (Mem(args[2], read(args[2], 4)),) if result > 0 and args[0] & _CLONE_PARENT_SETTID else ()


def _clone3_in(args: Args, read: Read) -> tuple[Mem, ...]:
    return (Mem(args[0], read(args[0], min(args[1], 128))),) if args[0] else ()


def _clone3_out(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
    """The thread id the kernel stored where clone_args.parent_tid points (bytes 24 to 32)."""
    if result <= 0:
        return ()
    head = read(args[0], 32)
    addr = int.from_bytes(head[24:32], "little")
    asked = int.from_bytes(head[:8], "little") & _CLONE_PARENT_SETTID
    return (Mem(addr, read(addr, 4)),) if addr and asked else ()


_sendto_data = sized(1, 2)
_sendto_address = sized_int(4, 5, 128)
_recvfrom_data = filled(1)
_recvfrom_from = value_result(4, 5)
_ppoll_timeout = fixed(2, 16)


def _sendto_in(args: Args, read: Read) -> tuple[Mem, ...]:
    data = _sendto_data(args, read)
    return data + _sendto_address(args, read) if args[4] else data


def _recvfrom_out(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
    data = _recvfrom_data(args, result, read)
    return data + _recvfrom_from(args, result, read) if args[4] else data


def _ppoll_out(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
    return poll_out(args, result, read) + (_ppoll_timeout(args, read) if result >= 0 else ())


def by_name(arch: str) -> dict[str, Capturer]:
    """Captures of every call that has something to show."""
    event = 12 if arch == "x86_64" else 16
    no_address = Capturer(fixed(2, 4), value_result(1, 2))
    write = Capturer(sized(1, 2))
    read_ = Capturer(leave=filled(1))
    one_path = Capturer(path(0))
    path_at = Capturer(path(1))
    two_paths = Capturer(all_of(path(0), path(1)))
    pair_out = when(not_failed, fixed(0, 8))
    both_offsets = all_of(fixed(1, 8), fixed(3, 8))
    readv = Capturer(iovec_array, iovec_out)
    writev = Capturer(iovec_in)
    epoll_out = filled(1, event, 256 * event)
    table = {
        # sockets
        "socketpair": Capturer(leave=when(not_failed, fixed(3, 8))),
        "bind": Capturer(sized_int(1, 2, 128)),
        "connect": Capturer(sized_int(1, 2, 128)),
        "accept": no_address,
        "accept4": no_address,
        "getsockname": no_address,
        "getpeername": no_address,
        "setsockopt": Capturer(sized_int(3, 4)),
        "getsockopt": Capturer(fixed(4, 4), value_result(3, 4, PREFIX_BYTES)),
        "sendto": Capturer(_sendto_in),
        "recvfrom": Capturer(fixed(5, 4), _recvfrom_out),
        "sendmsg": Capturer(message_in),
        "recvmsg": Capturer(message_header, message_out),
        "sendmmsg": Capturer(messages_in, messages_sent),
        "recvmmsg": Capturer(all_of(sized(1, 2, 1024, 64), fixed(4, 16)), messages_out),
        # descriptors
        "read": read_,
        "pread64": read_,
        "write": write,
        "pwrite64": write,
        "readv": readv,
        "preadv": readv,
        "preadv2": readv,
        "writev": writev,
        "pwritev": writev,
        "pwritev2": writev,
        "fcntl": Capturer(_fcntl_in),
        "ioctl": Capturer(_ioctl_in, _ioctl_out),
        "pipe": Capturer(leave=pair_out),
        "pipe2": Capturer(leave=pair_out),
        "sendfile": Capturer(fixed(2, 8), when(not_failed, fixed(2, 8))),
        "splice": Capturer(both_offsets, when(not_failed, both_offsets)),
        "copy_file_range": Capturer(both_offsets, when(not_failed, both_offsets)),
        # waiting
        "poll": Capturer(poll_in, poll_out),
        "ppoll": Capturer(all_of(poll_in, fixed(2, 16), fixed(3, 8)), _ppoll_out),
        "select": Capturer(sets_of, when(not_failed, sets_of)),
        "pselect6": Capturer(all_of(sets_of, pselect_mask), when(not_failed, sets_of)),
        "epoll_ctl": Capturer(fixed(3, event)),
        "epoll_wait": Capturer(leave=epoll_out),
        "epoll_pwait": Capturer(fixed(4, 8), epoll_out),
        "epoll_pwait2": Capturer(all_of(fixed(3, 16), fixed(4, 8)), epoll_out),
        # processes and signals
        "execve": Capturer(program(1)),
        "execveat": Capturer(program(2)),
        "clone": Capturer(leave=_clone_out),
        "clone3": Capturer(_clone3_in, _clone3_out),
        "wait4": Capturer(leave=when(positive, fixed(1, 4))),
        "waitid": Capturer(leave=when(not_failed, fixed(2, 128))),
        "rt_sigaction": Capturer(fixed(1, 32), when(not_failed, fixed(2, 32))),
        "rt_sigprocmask": Capturer(fixed(1, 8), when(not_failed, fixed(2, 8))),
        "nanosleep": Capturer(fixed(0, 16)),
        "clock_nanosleep": Capturer(fixed(2, 16)),
        "prlimit64": Capturer(fixed(2, 16), when(not_failed, fixed(3, 16))),
        "setrlimit": Capturer(fixed(1, 16)),
        "getrlimit": Capturer(leave=when(not_failed, fixed(1, 16))),
        # files
        "open": one_path,
        "creat": one_path,
        "openat": path_at,
        "openat2": Capturer(all_of(path(1), sized(2, 3))),
        "readlink": Capturer(path(0), filled(1)),
        "readlinkat": Capturer(path(1), filled(2)),
        "rename": two_paths,
        "link": two_paths,
        "symlink": two_paths,
        "getcwd": Capturer(leave=filled(0)),
    }
    table |= dict.fromkeys(
        ("stat", "lstat", "access", "unlink", "mkdir", "rmdir", "chdir", "chmod", "truncate"), one_path
    )
    table |= dict.fromkeys(
        ("newfstatat", "statx", "faccessat", "faccessat2", "unlinkat", "mkdirat", "fchmodat"), path_at
    )
    table["memfd_create"] = one_path
    return table
