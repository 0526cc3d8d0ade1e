"""What to read of the traced program's memory at each call, decided before the program runs.

In: the six registers of a call, its result, and `read(addr, size)` (short or empty = not readable). Out: `Mem`
pieces for the event. The closures are made once per architecture and look nothing up: the calls a server makes most
(read, write, accept, close) cost one read or none. Never interprets what it read beyond finding the next pointer, and
never fails: what cannot be read becomes a `Mem` shorter than asked for.

Here are the shapes that recur, each a maker of readers; those that follow pointers are in capture_vectors.py. Which
kind of argument has which shape says kinds.py.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import calcsize, iter_unpack
from typing import TypeAlias

import msgspec

from socklab.arch.model import Arch
from socklab.protocol.events import Mem

PREFIX_BYTES = 512
"""How much of a data buffer is kept. The numbers are always whole; a screen shows less than this anyway."""

Args: TypeAlias = tuple[int, ...]
Read: TypeAlias = Callable[[int, int], bytes]
EnterReader: TypeAlias = Callable[[Args, Read], tuple[Mem, ...]]
ReturnReader: TypeAlias = Callable[[Args, int, Read], tuple[Mem, ...]]
EnterMaker: TypeAlias = Callable[..., EnterReader]
"""Makes the reader of an argument: `maker(arch, at, *refs)` with its position and those of the arguments it needs."""
ReturnMaker: TypeAlias = Callable[..., ReturnReader]


def nothing_on_enter(args: Args, read: Read) -> tuple[Mem, ...]:
    """The program passes no memory in. A caller may compare with this to skip the call."""
    return ()


def nothing_on_return(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
    """The kernel writes no memory that anyone shows."""
    return ()


class Capturer(msgspec.Struct, frozen=True):
    """Reads what one call's pointer arguments point to: at enter what goes in, at return what came out."""

    enter: EnterReader = nothing_on_enter
    leave: ReturnReader = nothing_on_return


_PATH_BYTES = 4096
_STRINGS = 64
_STRING_BYTES = 256
_POINTERS = 1024
_SOCKADDR_BYTES = 128
_SOCKADDR_IN6 = 28
_NEAR = 132  # two small objects this close on the stack are fetched by one read

# ---------------------------------------------------------------- structs and buffers


def fixed(size: int) -> EnterMaker:
    """A struct of `size` bytes."""

    def make(arch: Arch, at: int, *refs: int) -> EnterReader:
        def enter(args: Args, read: Read) -> tuple[Mem, ...]:
            addr = args[at]
            return (Mem(addr, read(addr, size)),) if addr else ()

        return enter

    return make


def sized(arch: Arch, at: int, count: int) -> EnterReader:
    """As many bytes as argument `count` says, a size_t."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        addr = args[at]
        size = args[count]
        if not addr or not size:
            return ()
        return (Mem(addr, read(addr, size if size < PREFIX_BYTES else PREFIX_BYTES)),)

    return enter


def sized_int(limit: int = PREFIX_BYTES, unit: int = 1) -> EnterMaker:
    """As many items as argument `count` says, an `int` or `socklen_t`: only 32 bits of the register count."""

    def make(arch: Arch, at: int, count: int) -> EnterReader:
        def enter(args: Args, read: Read) -> tuple[Mem, ...]:
            addr = args[at]
            items = args[count] & 0xFFFFFFFF
            if not addr or not items or items >= 0x80000000:
                return ()
            return (Mem(addr, read(addr, min(items * unit, limit))),)

        return enter

    return make


def when_done(maker: EnterMaker, at_least: int = 0) -> ReturnMaker:
    """The same shape, read at return when the result says that the kernel wrote it."""

    def make(arch: Arch, at: int, *refs: int) -> ReturnReader:
        reader = maker(arch, at, *refs)

        def leave(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
            return reader(args, read) if result >= at_least else ()

        return leave

    return make


def _filled(at: int, unit: int, limit: int) -> ReturnReader:
    def leave(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
        if result <= 0:
            return ()
        size = result * unit
        addr = args[at]
        return (Mem(addr, read(addr, size if size < limit else limit)),)

    return leave


def filled(arch: Arch, at: int, *refs: int) -> ReturnReader:
    """A buffer of which the kernel filled `result` bytes."""
    return _filled(at, 1, PREFIX_BYTES)


def filled_entries(arch: Arch, at: int, *refs: int) -> ReturnReader:
    """Entries of a directory, of which a screen shows the first few dozen."""
    return _filled(at, 1, 4 * PREFIX_BYTES)


def stat(arch: Arch, at: int, *refs: int) -> EnterReader:
    """struct stat, whose size is the architecture's."""
    return fixed(sum(calcsize("<" + word.partition(":")[2]) for word in arch.stat.split()))(arch, at)


def epoll_event(arch: Arch, at: int, *refs: int) -> EnterReader:
    return fixed(arch.epoll_event_bytes)(arch, at)


def epoll_events(arch: Arch, at: int, *refs: int) -> ReturnReader:
    """As many events as the result says."""
    return _filled(at, arch.epoll_event_bytes, 256 * arch.epoll_event_bytes)


# ---------------------------------------------------------------- addresses and options


def value_result(limit: int = _SOCKADDR_BYTES) -> ReturnMaker:
    """A value and its length, both written by the kernel: accept, getsockname, getsockopt.

    The length counts what the kernel wanted to write and may exceed the buffer (accept(2)); no more than `limit`
    bytes are read. The two usually lie side by side on the stack and then one read fetches both.
    """

    def make(arch: Arch, at: int, length_at: int) -> ReturnReader:
        def leave(args: Args, result: int, read: Read) -> tuple[Mem, ...]:
            addr = args[at]
            length_addr = args[length_at]
            if result < 0 or not length_addr:
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

    return make


# ---------------------------------------------------------------- strings


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


def path(arch: Arch, at: int, *refs: int) -> EnterReader:
    """A string that ends in NUL, at most PATH_MAX."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        return (_string(args[at], read, _PATH_BYTES),) if args[at] else ()

    return enter


def argv(arch: Arch, at: int, *refs: int) -> EnterReader:
    """An array of strings, and the strings."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        if not args[at]:
            return ()
        array = _pointers(args[at], read)
        pointers = iter_unpack("<Q", array.data[: min(len(array.data) // 8, _STRINGS) * 8])
        return (array, *(_string(addr, read, PREFIX_BYTES) for (addr,) in pointers if addr))

    return enter


def envp(arch: Arch, at: int, *refs: int) -> EnterReader:
    """An array of strings, without them: only how many there are."""

    def enter(args: Args, read: Read) -> tuple[Mem, ...]:
        return (_pointers(args[at], read),) if args[at] else ()

    return enter
