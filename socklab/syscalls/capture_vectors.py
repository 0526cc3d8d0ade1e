"""Shapes of arguments that lead on to others: iovec arrays, messages, poll arrays, sets of descriptors, commands.

In and out as capture.py says: each maker gets the argument's position, and those of the arguments it needs. What hangs
on one call is bounded: by entries, and by bytes of data together.
"""

from __future__ import annotations

from struct import Struct, iter_unpack

from socklab.arch.model import Arch
from socklab.protocol.events import Mem
from socklab.syscalls.capture import PREFIX_BYTES, Args, EnterReader, Read, ReturnReader

_BUDGET = 4 * PREFIX_BYTES  # of all buffers of one scattered call together
_IOVECS = 64
MESSAGES = 16
_POLLFDS = 16384
_EVENTS = 256

_IOVEC = Struct("<QQ")
_MSGHDR = Struct("<QI4xQQQQI4x")


def _buffers(vector: bytes, wanted: int, read: Read) -> list[Mem]:
    """Prefixes of an iovec array's buffers, `wanted` bytes of data in all (what was transferred), within the budget."""
    found: list[Mem] = []
    left = min(wanted, _BUDGET)
    transferred = wanted
    for addr, size in iter_unpack("<QQ", vector[: len(vector) // 16 * 16]):
        size = min(size, transferred)
        transferred -= size
        part = min(size, PREFIX_BYTES, left)
        if part and addr:
            found.append(Mem(addr, read(addr, part)))
            left -= part
        if left <= 0 or transferred <= 0:
            break
    return found


def _vector(addr: int, count: int, wanted: int, read: Read) -> list[Mem]:
    if not addr or not count:
        return []
    vector = read(addr, min(count, _IOVECS) * 16)
    return [Mem(addr, vector), *_buffers(vector, wanted, read)]


_ALL = 1 << 62


def iovec_in(arch: Arch, at: int, count: int) -> EnterReader:
    """writev: the array and what each entry points to."""
    return lambda args, read: tuple(_vector(args[at], args[count], _ALL, read))


def iovec_array(arch: Arch, at: int, count: int) -> EnterReader:
    """readv before it ran: the array alone; the buffers hold nothing yet."""
    return lambda args, read: tuple(_vector(args[at], args[count], 0, read))


def iovec_out(arch: Arch, at: int, count: int) -> ReturnReader:
    """readv: the array and the part of each buffer that was filled."""
    return lambda args, result, read: tuple(_vector(args[at], args[count], result, read)) if result > 0 else ()


def _message(addr: int, wanted: int, read: Read, raw: bytes | None = None) -> list[Mem]:
    """A msghdr and all it points to."""
    header = read(addr, 56) if raw is None else raw[:56]
    found = [Mem(addr, header)] if raw is None else []
    if len(header) < 56:
        return found
    name, name_size, iov, iov_count, control, control_size, _flags = _MSGHDR.unpack(header)
    if name and 0 < name_size < 0x80000000:
        found.append(Mem(name, read(name, min(name_size, 128))))
    found += _vector(iov, iov_count, wanted, read)
    if control and control_size:
        found.append(Mem(control, read(control, min(control_size, PREFIX_BYTES))))
    return found


def message_in(arch: Arch, at: int) -> EnterReader:
    """sendmsg."""
    return lambda args, read: tuple(_message(args[at], _ALL, read)) if args[at] else ()


def message_out(arch: Arch, at: int) -> ReturnReader:
    """recvmsg."""
    return lambda args, result, read: tuple(_message(args[at], result, read)) if result >= 0 and args[at] else ()


def _messages(addr: int, count: int, read: Read, received: bool) -> tuple[Mem, ...]:
    """An array of mmsghdr: a msghdr, then the bytes transferred for it in 4 bytes and 4 of padding."""
    if not addr or not count:
        return ()
    array = read(addr, min(count, MESSAGES) * 64)
    found = [Mem(addr, array)]
    for at in range(0, len(array) // 64 * 64, 64):
        wanted = int.from_bytes(array[at + 56 : at + 60], "little") if received else _ALL
        found += _message(addr + at, wanted, read, array[at : at + 64])
    return tuple(found)


def messages_in(arch: Arch, at: int, count: int) -> EnterReader:
    """sendmmsg."""
    return lambda args, read: _messages(args[at], args[count] & 0xFFFFFFFF, read, received=False)


def messages_sent(arch: Arch, at: int, count: int) -> ReturnReader:
    """sendmmsg at return: the kernel wrote how much of each message went out."""

    def leave(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
        return (Mem(args[at], read(args[at], min(result, MESSAGES) * 64)),) if result > 0 else ()

    return leave


def messages_out(arch: Arch, at: int, count: int) -> ReturnReader:
    """recvmmsg."""
    return lambda args, result, read: _messages(args[at], result, read, received=True) if result > 0 else ()


# ---------------------------------------------------------------- waiting


def poll_in(arch: Arch, at: int, count: int) -> EnterReader:
    """poll: the pollfd array's beginning."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        entries = args[count] & 0xFFFFFFFF
        return (Mem(args[at], read(args[at], min(entries, _EVENTS) * 8)),) if entries and args[at] else ()

    return enter


def poll_out(arch: Arch, at: int, count: int) -> ReturnReader:
    """poll: the array's beginning, and every entry after it that the kernel marked ready."""

    def leave(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
        if result <= 0:
            return ()
        addr = args[at]
        array = read(addr, min(args[count] & 0xFFFFFFFF, _POLLFDS) * 8)
        shown = _EVENTS * 8
        found = [Mem(addr, array[:shown])]
        if len(array) > shown:
            rest = array[shown : len(array) // 8 * 8]
            for index, (_fd, _events, revents) in enumerate(iter_unpack("<ihh", rest)):
                if revents and len(found) < _EVENTS:
                    found.append(Mem(addr + shown + index * 8, rest[index * 8 : index * 8 + 8]))
        return tuple(found)

    return leave


def fd_set(arch: Arch, at: int, nfds: int) -> EnterReader:
    """select: a set of `nfds` bits in whole words."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        bits = args[nfds] & 0xFFFFFFFF
        size = min((bits + 63) // 64 * 8, PREFIX_BYTES) if bits < 0x80000000 else 0
        return (Mem(args[at], read(args[at], size)),) if args[at] and size else ()

    return enter


def sigset_pair(arch: Arch, at: int) -> EnterReader:
    """pselect6's sixth argument: a pointer to a pair (set, size); seven arguments do not fit in six registers."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        if not args[at]:
            return ()
        pair = read(args[at], 16)
        mask = int.from_bytes(pair[:8], "little")
        return (Mem(args[at], pair), Mem(mask, read(mask, 8))) if mask else (Mem(args[at], pair),)

    return enter


# ---------------------------------------------------------------- arguments that depend on a command or on flags

_IFREQ = dict.fromkeys((0x8910, *range(0x8913, 0x891F), 0x8921, 0x8922, 0x8924, 0x8927, 0x8933, 0x8942, 0x8943), 40)
_IOCTL_IN = {0x5421: 4, 0x5452: 4, 0x5414: 8, 0x8912: 16} | _IFREQ  # FIONBIO FIOASYNC TIOCSWINSZ SIOCGIFCONF
_IOCTL_OUT = {
    0x541B: 4,
    0x5411: 4,
    0x8905: 4,
    0x5413: 8,
    0x540F: 4,
} | _IFREQ  # FIONREAD TIOCOUTQ SIOCATMARK TIOCGWINSZ TIOCGPGRP
_SIOCGIFCONF = 0x8912
_FCNTL_IN = {
    5: 32,
    6: 32,
    7: 32,
    36: 32,
    37: 32,
    38: 32,
    15: 8,
}  # F_GETLK F_SETLK F_SETLKW, F_OFD_ likewise; F_SETOWN_EX
_FCNTL_OUT = {5: 32, 36: 32, 16: 8}  # F_GETLK F_OFD_GETLK F_GETOWN_EX
_CLONE_PARENT_SETTID = 0x00100000


def _by_command(sizes: dict[int, int], at: int, command: int) -> EnterReader:
    """A struct whose size the command tells; a command that is not listed takes none."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        size = sizes.get(args[command] & 0xFFFFFFFF)
        return (Mem(args[at], read(args[at], size)),) if size else ()

    return enter


def fcntl_in(arch: Arch, at: int, command: int) -> EnterReader:
    return _by_command(_FCNTL_IN, at, command)


def fcntl_out(arch: Arch, at: int, command: int) -> EnterReader:
    return _by_command(_FCNTL_OUT, at, command)


def ioctl_in(arch: Arch, at: int, request: int) -> EnterReader:
    return _by_command(_IOCTL_IN, at, request)


def ioctl_out(arch: Arch, at: int, request: int) -> EnterReader:
    one = _by_command(_IOCTL_OUT, at, request)

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        return one(args, read) if args[request] & 0xFFFFFFFF != _SIOCGIFCONF else _interfaces(args[at], read)

    return enter


def _interfaces(addr: int, read: Read) -> tuple[Mem, ...]:
    """SIOCGIFCONF: a length and a pointer, and the array of 40 bytes each there."""
    head = read(addr, 16)
    size, array = int.from_bytes(head[:4], "little"), int.from_bytes(head[8:16], "little")
    if len(head) < 16 or not array or not 0 < size < 0x80000000:
        return (Mem(addr, head),)
    return (Mem(addr, head), Mem(array, read(array, min(size, 4 * PREFIX_BYTES))))


def registered(arch: Arch, at: int, code: int, count: int) -> EnterReader:
    """io_uring_register: numbers of 4 bytes, where the code says that they are descriptors."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        items = min(args[count] & 0xFFFFFFFF, 64)
        given = args[code] & 0xFFFFFFFF in (2, 4, 7) and items and args[at]
        return (Mem(args[at], read(args[at], items * 4)),) if given else ()

    return enter


def parent_tid(arch: Arch, at: int, flags: int) -> EnterReader:
    """clone at return: the thread id, if the kernel was asked to store it."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        return (Mem(args[at], read(args[at], 4)),) if args[flags] & _CLONE_PARENT_SETTID else ()

    return enter


def clone_args(arch: Arch, at: int, size: int) -> EnterReader:
    """clone3: the struct, which grows with the kernel's age."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        return (Mem(args[at], read(args[at], min(args[size], 128))),) if args[at] else ()

    return enter


def clone_args_out(arch: Arch, at: int, size: int) -> EnterReader:
    """clone3 at return: the thread id the kernel stored where clone_args.parent_tid points (bytes 24 to 32)."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        head = read(args[at], 32)
        addr = int.from_bytes(head[24:32], "little")
        asked = int.from_bytes(head[:8], "little") & _CLONE_PARENT_SETTID
        return (Mem(addr, read(addr, 4)),) if addr and asked else ()

    return enter
