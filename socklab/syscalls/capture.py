"""What to read of the traced program's memory at each call, decided before the program runs.

In: the six registers of a call, its result, and `read(addr, size)` (short or empty = not readable). Out: `Mem`
pieces for the event. The closures are made once per architecture and look nothing up: the calls a server makes most
(read, write, accept, close) cost one read or none. Never interprets what it read beyond finding the next pointer, and
never fails: what cannot be read becomes a `Mem` shorter than asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from struct import Struct, iter_unpack
from typing import TypeAlias

from socklab.events import Mem
from socklab.syscalls.tables import numbers_by_name

PREFIX_BYTES = 512
"""How much of a data buffer is kept. The numbers are always whole; a screen shows less than this anyway."""

_BUDGET = 4 * PREFIX_BYTES  # of all buffers of one scattered call together
_IOVECS = 64
_MESSAGES = 16
_POLLFDS = 16384
_EVENTS = 256
_PATH_BYTES = 4096
_STRINGS = 64
_STRING_BYTES = 256
_POINTERS = 1024
_SOCKADDR_IN6 = 28
_NEAR = 132  # two small objects this close on the stack are fetched by one read

Args: TypeAlias = tuple[int, ...]
Read: TypeAlias = Callable[[int, int], bytes]
EnterReader: TypeAlias = Callable[[Args, Read], tuple[Mem, ...]]
ReturnReader: TypeAlias = Callable[[Args, int, Read], tuple[Mem, ...]]


def nothing_on_enter(args: Args, read: Read) -> tuple[Mem, ...]:
    """The program passes no memory in. A caller may compare with this to skip the call."""
    return ()


def nothing_on_return(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
    """The kernel writes no memory that anyone shows."""
    return ()


@dataclass(frozen=True, slots=True)
class Capturer:
    """Reads what one call's pointer arguments point to: at enter what goes in, at return what came out."""

    enter: EnterReader = nothing_on_enter
    leave: ReturnReader = nothing_on_return


@cache
def capturers(arch: str) -> dict[int, Capturer]:
    """Call number to its Capturer. A number that is missing has nothing to read."""
    from socklab.syscalls.capture_table import by_name

    table = by_name(arch)
    return {nr: table[name] for name, nr in numbers_by_name(arch).items() if name in table}


# ---------------------------------------------------------------- the simplest shapes


def fixed(at: int, size: int) -> EnterReader:
    """A struct of `size` bytes behind argument `at`."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        addr = args[at]
        return (Mem(addr, read(addr, size)),) if addr else ()

    return enter


def sized(at: int, count: int, limit: int = PREFIX_BYTES, unit: int = 1) -> EnterReader:
    """`args[count]` items of `unit` bytes behind argument `at`, at most `limit` bytes."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        addr = args[at]
        size = args[count] * unit
        if not addr or not size:
            return ()
        return (Mem(addr, read(addr, size if size < limit else limit)),)

    return enter


def sized_int(at: int, count: int, limit: int = PREFIX_BYTES) -> EnterReader:
    """As `sized`, where the count is an `int` or `socklen_t`: only 32 bits of the register count."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        addr = args[at]
        size = args[count] & 0xFFFFFFFF
        if not addr or not size or size >= 0x80000000:
            return ()
        return (Mem(addr, read(addr, size if size < limit else limit)),)

    return enter


def path(at: int) -> EnterReader:
    """A string that ends in NUL, at most PATH_MAX."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        addr = args[at]
        return (_string(addr, read, _PATH_BYTES),) if addr else ()

    return enter


def all_of(*readers: EnterReader) -> EnterReader:
    """Several arguments, in order."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        return tuple(mem for reader in readers for mem in reader(args, read))

    return enter


def when(succeeded: Callable[[int], bool], reader: EnterReader) -> ReturnReader:
    """The same shape, read at return when the result says that the kernel wrote it."""

    def leave(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
        return reader(args, read) if succeeded(result) else ()

    return leave


def not_failed(result: int) -> bool:
    return result >= 0


def positive(result: int) -> bool:
    return result > 0


def filled(at: int, unit: int = 1, limit: int = PREFIX_BYTES) -> ReturnReader:
    """A buffer of which the kernel filled `result` items of `unit` bytes."""

    def leave(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
        if result <= 0:
            return ()
        size = result * unit
        addr = args[at]
        return (Mem(addr, read(addr, size if size < limit else limit)),)

    return leave


# ---------------------------------------------------------------- addresses and options


def value_result(at: int, length_at: int, limit: int = 128) -> ReturnReader:
    """A value and its length, both written by the kernel: accept, getsockname, getsockopt.

    The length counts what the kernel wanted to write and may exceed the buffer (accept(2)); no more than `limit`
    bytes are read. The two usually lie side by side on the stack and then one read fetches both.
    """

    def leave(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
        if result < 0:
            return ()
        addr = args[at]
        length_addr = args[length_at]
        if not length_addr:
            return ()
        if not addr:
            return (Mem(length_addr, read(length_addr, 4)),)
        distance = length_addr - addr
        if 0 < distance <= _NEAR:  # the length behind the value
            both = read(addr, distance + 4)
            length = both[distance:]
            size = int.from_bytes(length, "little")
            return (Mem(addr, both[: min(size, distance)]), Mem(length_addr, length))
        if -_NEAR <= distance <= -4:  # the length before the value, which is a sockaddr_in6 at most
            both = read(length_addr, _SOCKADDR_IN6 - distance)
            length = both[:4]
            size = min(int.from_bytes(length, "little"), limit)
            if size <= _SOCKADDR_IN6:
                return (Mem(length_addr, length), Mem(addr, both[-distance : size - distance]))
        else:
            length = read(length_addr, 4)
            size = min(int.from_bytes(length, "little"), limit)
        return (Mem(length_addr, length), Mem(addr, read(addr, size)))

    return leave


# ---------------------------------------------------------------- scattered buffers

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


# ---------------------------------------------------------------- strings and processes


def _string(addr: int, read: Read, limit: int) -> Mem:
    data = b""
    while len(data) < limit:
        chunk = read(addr + len(data), _STRING_BYTES)
        end = chunk.find(b"\0")
        if end >= 0:
            return Mem(addr, data + chunk[: end + 1])
        data += chunk
        if len(chunk) < _STRING_BYTES:
            break
    return Mem(addr, data[:limit])


def _pointers(addr: int, read: Read) -> Mem:
    """A NULL-terminated array of pointers, NULL included."""
    data = b""
    while len(data) < _POINTERS * 8:
        chunk = read(addr + len(data), 256)
        for at in range(0, len(chunk) - 7, 8):
            if chunk[at : at + 8] == bytes(8):
                return Mem(addr, data + chunk[: at + 8])
        data += chunk
        if len(chunk) < 256:
            break
    return Mem(addr, data)


def program(argv_at: int) -> EnterReader:
    """execve: path, argument strings, and how many environment strings there are."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        found = [_string(args[argv_at - 1], read, _PATH_BYTES)] if args[argv_at - 1] else []
        if args[argv_at]:
            array = _pointers(args[argv_at], read)
            found.append(array)
            for (addr,) in iter_unpack("<Q", array.data[: min(len(array.data) // 8, _STRINGS) * 8]):
                if addr:
                    found.append(_string(addr, read, PREFIX_BYTES))
        if args[argv_at + 1]:
            found.append(_pointers(args[argv_at + 1], read))
        return tuple(found)

    return enter
