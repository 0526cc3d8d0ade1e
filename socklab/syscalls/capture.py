"""What to read of the traced program's memory at each call, decided before the program runs.

In: the six registers of a call, its result, and `read(addr, size)` (short or empty = not readable). Out: `Mem`
pieces for the event. The closures are made once per architecture and look nothing up: the calls a server makes most
(read, write, accept, close) cost one read or none. Never interprets what it read beyond finding the next pointer, and
never fails: what cannot be read becomes a `Mem` shorter than asked for.

The shapes of arguments are in capture_shapes.py and capture_vectors.py, which call has which in capture_table.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import msgspec

from socklab.protocol.events import Mem
from socklab.syscalls.tables import numbers_by_name

PREFIX_BYTES = 512
"""How much of a data buffer is kept. The numbers are always whole; a screen shows less than this anyway."""

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


class Capturer(msgspec.Struct, frozen=True):
    """Reads what one call's pointer arguments point to: at enter what goes in, at return what came out."""

    enter: EnterReader = nothing_on_enter
    leave: ReturnReader = nothing_on_return


@cache
def capturers(arch: str) -> dict[int, Capturer]:
    """Call number to its Capturer. A number that is missing has nothing to read."""
    from socklab.syscalls.capture_table import by_name

    table = by_name(arch)
    return {nr: table[name] for name, nr in numbers_by_name(arch).items() if name in table}
