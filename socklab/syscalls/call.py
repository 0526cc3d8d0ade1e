"""The shapes of a decoded call, and the view of one raw call that its argument decoders work on.

In: an Enter, perhaps its Return, and the memory pieces they carry. Out: `DecodedCall` and its parts. The view hands out
registers as the C types of the manual page and memory by address; it never reads memory and never fails.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from socklab import arch as machines
from socklab.arch.model import Arch
from socklab.protocol.events import Enter, Mem, Return


class Field(msgspec.Struct, frozen=True):
    """A piece of a struct's real bytes: `size` bytes at `offset` of DecodedArg.data, and what they say."""

    name: str
    offset: int
    size: int
    text: str


class DecodedArg(msgspec.Struct, frozen=True):
    """One argument as a person reads it. `name` is the manual page's; `data` the bytes it points to, if any."""

    name: str
    text: str
    meaning: str = ""
    data: bytes = b""
    fields: tuple[Field, ...] = ()


class DecodedCall(msgspec.Struct, frozen=True):
    """One call. Before it has returned, `result`, `errno` and `outcome` are empty and `value` is None."""

    name: str
    args: tuple[DecodedArg, ...]
    result: str = ""
    """As a C programmer would see it: "4", "-1 EAGAIN", "" before the return."""
    value: int | None = None
    """The signed register: negative = -errno."""
    errno: str = ""
    """Name of the error, "" = none."""
    meaning: str = ""
    """What the call asks of the kernel, one sentence."""
    outcome: str = ""
    """What the result means."""


class Shown(msgspec.Struct, frozen=True):
    """What a decoder makes of one argument. `strace` is strace's spelling where it differs from `text`."""

    text: str
    meaning: str = ""
    data: bytes = b""
    fields: tuple[Field, ...] = ()
    strace: str = ""


class Image:
    """The pieces of memory captured at one stop, found by address."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: tuple[Mem, ...]) -> None:
        self._pieces = pieces

    def at(self, addr: int, size: int) -> bytes | None:
        """At most `size` bytes at `addr`; fewer = the rest was cut or not readable; None = not looked at.

        b"" says that the kernel's own copy of those bytes would have failed too (EFAULT).
        """
        best: bytes | None = None
        for piece in self._pieces:
            offset = addr - piece.addr
            if offset == 0 or 0 < offset < len(piece.data):
                found = piece.data[offset : offset + size]
                if best is None or len(found) > len(best):
                    best = found
        return best


class Call:
    """One raw call as its decoders see it."""

    __slots__ = ("after", "arch", "args", "before", "name", "result", "string_limit", "target")

    def __init__(
        self,
        arch: str,
        name: str,
        enter: Enter,
        returned: Return | None,
        target: Callable[[int], str] | None = None,
        string_limit: int = 32,
    ) -> None:
        self.arch = arch
        self.name = name
        self.args = tuple((*enter.args, 0, 0, 0, 0, 0, 0)[:6])
        self.before = Image(enter.mem)
        self.after = Image(returned.mem if returned is not None else ())
        self.result = returned.result if returned is not None else None
        self.target = target
        self.string_limit = string_limit

    @property
    def machine(self) -> Arch:
        """What is particular to the architecture the call was made on."""
        return machines.of(self.arch)

    @property
    def failed(self) -> bool:
        """The call has returned with an error."""
        return self.result is not None and self.result < 0

    @property
    def done(self) -> bool:
        """The call has returned without one."""
        return self.result is not None and self.result >= 0

    def u64(self, index: int) -> int:
        return self.args[index] & 0xFFFFFFFFFFFFFFFF

    def i64(self, index: int) -> int:
        value = self.u64(index)
        return value - (1 << 64) if value >> 63 else value

    def u32(self, index: int) -> int:
        return self.args[index] & 0xFFFFFFFF

    def i32(self, index: int) -> int:
        value = self.u32(index)
        return value - (1 << 32) if value >> 31 else value

    def known(self, addr: int, size: int) -> bytes | None:
        """Bytes at `addr` as the kernel left them, else as the program passed them in."""
        found = self.after.at(addr, size)
        return found if found is not None else self.before.at(addr, size)
