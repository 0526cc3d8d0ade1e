"""A sequence of any length of which only the items looked at are made.

In: what there is one of for each item, in order, and a function that makes an item of it. Out: a Sequence. Never goes
through all of it: ten thousand cost what ten cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload

from socklab.ui.view.lines import Key, Line

S = TypeVar("S")
T = TypeVar("T")


class Virtual(Sequence[T], Generic[S, T]):
    """Made anew (that is free) whenever the state is another."""

    def __init__(self, sources: Sequence[S], make: Callable[[S], T]) -> None:
        self.sources = sources
        self._make = make

    def __len__(self) -> int:
        return len(self.sources)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._make(source) for source in self.sources[index]]
        return self._make(self.sources[index])


VirtualLines = Virtual[Key, Line]
"""The rows of one state."""
