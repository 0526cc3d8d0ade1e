"""A number with the noun it counts, as English has it.

In: a number and the noun for one. Out: "1 byte", "2 bytes". Never groups digits: that is for a screen.
"""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """`number` and its noun, which for other numbers than 1 is `many`, or `one` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
