"""Shapes of arguments, each a maker of readers: a struct, a sized buffer, a path, a value with its length.

In: which registers hold the pointer and the size. Out: a closure for the table of captures. See capture.py.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import iter_unpack

from socklab.protocol.events import Mem
from socklab.syscalls.capture import PREFIX_BYTES, Args, EnterReader, Read, ReturnReader

_PATH_BYTES = 4096
_STRINGS = 64
_STRING_BYTES = 256
_POINTERS = 1024
_SOCKADDR_IN6 = 28
_NEAR = 132  # two small objects this close on the stack are fetched by one read

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
