"""The memory of a stopped task, read a page at a time.

In: a function that reads it. Out: bytes and words, each page asked for once. Of use during one stop only: then nothing
changes. Never writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

Read: TypeAlias = Callable[[int, int], bytes]
"""`read(addr, size)`: memory of the stopped task; shorter than asked where it ends."""

_PAGE = 4096


class StoppedMemory:
    """Every reading raises ValueError where there is no memory."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._pages: dict[int, bytes] = {}

    def bytes(self, address: int, size: int) -> bytes:
        offset = address % _PAGE
        if offset + size > _PAGE:
            data = self._read(address, size)
        else:
            page = address - offset
            if page not in self._pages:
                self._pages[page] = self._read(page, _PAGE)
            data = self._pages[page][offset : offset + size]
        if len(data) < size:
            raise ValueError(f"no memory at {address:#x}")
        return data

    def word(self, address: int) -> int:
        return int.from_bytes(self.bytes(address, 8), "little")

    def chain(self, first: int, next_at: int, most: int) -> Iterator[int]:
        """The addresses of a linked list whose first element `first` points to; each links at `next_at`."""
        address = self.word(first)
        for _ in range(most):
            if not address:
                return
            yield address
            address = self.word(address + next_at)
