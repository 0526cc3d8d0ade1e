"""A question about htons, where the port that is given to bind reads like a usual one whose bytes were not swapped.

In: a decoded call. Out: lines. Asks, and never says what was meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from socklab.ui.view.byte_order import looks_swapped, swapped_port
from socklab.ui.view.lines import Line, wrap

if TYPE_CHECKING:
    from socklab.syscalls.call import DecodedCall


def lines(decoded: DecodedCall, cells: int) -> list[Line]:
    """[] where there is nothing to ask."""
    if decoded.name != "bind":
        return []
    from socklab.ui.tui.panels import registry

    for port, swapped in filter(None, map(swapped_port, decoded.args)):
        if looks_swapped(port, swapped):
            text = f"{port} is {swapped} with its two bytes swapped: is htons missing? "
            shows: Line = ((registry.face(registry.entry("byteorder")), "key"), (" shows the bytes.", "dim"))
            return wrap((("! ", "warn"), (text, ""), *shows), cells, indent=2)
    return []
