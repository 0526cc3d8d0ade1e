"""A port whose two bytes look as if they stood in the wrong order.

In: an argument as the decoder gives it. Out: the port, and what it would be the other way round. Never says what was
meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from socklab.syscalls.call import DecodedArg

_USUAL = {80, 443, 1234, 4242, 4321, 5432, 6379, 8081, 8443}
"""Ports that programmers write, besides round ones and those of one digit."""


def swapped_port(arg: DecodedArg) -> tuple[int, int] | None:
    """(the port the kernel reads, the same bytes the other way round) of a socket address; None = it has no port."""
    raw = next((arg.data[f.offset : f.offset + 2] for f in arg.fields if f.name.endswith("_port")), b"")
    return (int.from_bytes(raw, "big"), int.from_bytes(raw, "little")) if len(raw) == 2 else None


def looks_swapped(port: int, swapped: int) -> bool:
    """A port that nobody writes, and the other way round one that many do: htons may be missing."""
    usual = swapped in _USUAL or not swapped % 10 or len(set(str(swapped))) == 1
    return port > 9999 >= swapped > 0 and usual
