"""A table of any length as a sequence of lines, of which only those looked at are made.

In: the keys of all rows, in order, and a function that draws one. Out: a Sequence of Lines. Never goes through the
rows: ten thousand cost what ten cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

from socklab.ui.tui.widgets.lines import Key, Line


class VirtualLines(Sequence[Line]):
    """The rows of one state; made anew (that is free) whenever the state is another."""

    def __init__(self, keys: Sequence[Key], draw: Callable[[Key], Line]) -> None:
        self.keys = keys
        self._draw = draw

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Line: ...
    @overload
    def __getitem__(self, index: slice) -> list[Line]: ...
    def __getitem__(self, index: int | slice) -> Line | list[Line]:
        if isinstance(index, slice):
            return [self._draw(key) for key in self.keys[index]]
        return self._draw(self.keys[index])
