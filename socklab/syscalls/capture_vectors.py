"""Readers of arguments that lead on to others: iovec arrays, messages, poll arrays, sets of descriptors.

In and out as capture.py says. What hangs on one call is bounded: by entries, and by bytes of data together.
"""

from __future__ import annotations

from struct import Struct, iter_unpack

from socklab.protocol.events import Mem
from socklab.syscalls.capture import PREFIX_BYTES, Args, Read

_BUDGET = 4 * PREFIX_BYTES  # of all buffers of one scattered call together
_IOVECS = 64
_MESSAGES = 16
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


def iovec_in(args: Args, read: Read) -> tuple[Mem, ...]:
    """writev: the array and what each entry points to."""
    return tuple(_vector(args[1], args[2], _ALL, read))


def iovec_array(args: Args, read: Read) -> tuple[Mem, ...]:
    """readv before it ran: the array alone; the buffers hold nothing yet."""
    return tuple(_vector(args[1], args[2], 0, read))


def iovec_out(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
    """readv: the array and the part of each buffer that was filled."""
    return tuple(_vector(args[1], args[2], result, read)) if result > 0 else ()


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


def message_in(args: Args, read: Read) -> tuple[Mem, ...]:
    """sendmsg."""
    return tuple(_message(args[1], _ALL, read)) if args[1] else ()


def message_header(args: Args, read: Read) -> tuple[Mem, ...]:
    """recvmsg before it ran: how much room the program offers."""
    return (Mem(args[1], read(args[1], 56)),) if args[1] else ()


def message_out(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
    """recvmsg."""
    return tuple(_message(args[1], result, read)) if result >= 0 and args[1] else ()


def _messages(addr: int, count: int, read: Read, received: bool) -> tuple[Mem, ...]:
    """An array of mmsghdr: a msghdr, then the bytes transferred for it in 4 bytes and 4 of padding."""
    if not addr or not count:
        return ()
    array = read(addr, min(count, _MESSAGES) * 64)
    found = [Mem(addr, array)]
    for at in range(0, len(array) // 64 * 64, 64):
        wanted = int.from_bytes(array[at + 56 : at + 60], "little") if received else _ALL
        found += _message(addr + at, wanted, read, array[at : at + 64])
    return tuple(found)


def messages_in(args: Args, read: Read) -> tuple[Mem, ...]:
    """sendmmsg."""
    return _messages(args[1], args[2] & 0xFFFFFFFF, read, received=False)


def messages_sent(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
    """sendmmsg at return: the kernel wrote how much of each message went out."""
    return (Mem(args[1], read(args[1], min(result, _MESSAGES) * 64)),) if result > 0 else ()


def messages_out(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
    """recvmmsg."""
    return _messages(args[1], result, read, received=True) if result > 0 else ()


# ---------------------------------------------------------------- waiting


def poll_in(args: Args, read: Read) -> tuple[Mem, ...]:
    """poll: the pollfd array's beginning."""
    count = args[1] & 0xFFFFFFFF
    return (Mem(args[0], read(args[0], min(count, _EVENTS) * 8)),) if count and args[0] else ()


def poll_out(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
    """poll: the array's beginning, and every entry after it that the kernel marked ready."""
    if result <= 0:
        return ()
    addr = args[0]
    array = read(addr, min(args[1] & 0xFFFFFFFF, _POLLFDS) * 8)
    shown = _EVENTS * 8
    found = [Mem(addr, array[:shown])]
    if len(array) > shown:
        rest = array[shown : len(array) // 8 * 8]
        for index, (_fd, _events, revents) in enumerate(iter_unpack("<ihh", rest)):
            if revents and len(found) < _EVENTS:
                found.append(Mem(addr + shown + index * 8, rest[index * 8 : index * 8 + 8]))
    return tuple(found)


def sets_of(args: Args, read: Read) -> tuple[Mem, ...]:
    """select: three fd_sets of `nfds` bits in whole words, and the timeout."""
    nfds = args[0] & 0xFFFFFFFF
    size = min((nfds + 63) // 64 * 8, PREFIX_BYTES) if nfds < 0x80000000 else 0
    found = [Mem(addr, read(addr, size)) for addr in args[1:4] if addr and size]
    if args[4]:
        found.append(Mem(args[4], read(args[4], 16)))
    return tuple(found)


def pselect_mask(args: Args, read: Read) -> tuple[Mem, ...]:
    """pselect6's sixth argument: a pointer to a pair (set, size); seven arguments do not fit in six registers."""
    if not args[5]:
        return ()
    pair = read(args[5], 16)
    mask = int.from_bytes(pair[:8], "little")
    return (Mem(args[5], pair), Mem(mask, read(mask, 8))) if mask else (Mem(args[5], pair),)
