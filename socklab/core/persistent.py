"""Two collections that share their past: an earlier LabState stays valid, and a change costs what it changes.

In: plain values. Out: new collections; none is ever changed once somebody holds it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

_SHARDS = 64


class PMap(Mapping[K, V], Generic[K, V]):
    """A mapping in 64 shards. `changed` copies only the shards it touches: about 160 entries for one row of 10,000."""

    __slots__ = ("_length", "_shards")

    def __init__(self) -> None:
        self._shards: tuple[dict[K, V], ...] = ({},) * _SHARDS
        self._length = 0

    def changed(self, put: Iterable[tuple[K, V]] = (), drop: Iterable[K] = ()) -> PMap[K, V]:
        """A new mapping with `drop` removed and then `put` set. Keys to drop that are not there are ignored."""
        shards = list(self._shards)
        fresh: set[int] = set()
        length = self._length

        def own(key: K) -> dict[K, V]:
            index = hash(key) % _SHARDS
            if index not in fresh:
                fresh.add(index)
                shards[index] = shards[index].copy()
            return shards[index]

        for key in drop:
            if key in shards[hash(key) % _SHARDS]:
                del own(key)[key]
                length -= 1
        for key, value in put:
            shard = own(key)
            if key not in shard:
                length += 1
            shard[key] = value
        result: PMap[K, V] = PMap()
        result._shards = tuple(shards)
        result._length = length
        return result

    def differences(self, older: PMap[K, V]) -> Iterator[tuple[K, V | None, V | None]]:
        """(key, value in `older`, value here) of all that differs; None = not there. Shared shards cost nothing."""
        for mine, theirs in zip(self._shards, older._shards, strict=True):
            if mine is theirs:
                continue
            for key, value in mine.items():
                before = theirs.get(key)
                if before is not value and before != value:
                    yield key, before, value
            for key, value in theirs.items():
                if key not in mine:
                    yield key, value, None

    def __getitem__(self, key: K) -> V:
        return self._shards[hash(key) % _SHARDS][key]

    def __iter__(self) -> Iterator[K]:
        for shard in self._shards:
            yield from shard

    def __len__(self) -> int:
        return self._length

    def __contains__(self, key: object) -> bool:
        return key in self._shards[hash(key) % _SHARDS]

    def __repr__(self) -> str:
        return f"PMap({dict(self)!r})"


class Log(Sequence[T], Generic[T]):
    """An append-only sequence whose earlier lengths stay valid. At `keep` × 2 items the oldest `keep` are let go.

    `dropped` counts what was let go: item i of the log is the (dropped + i)-th that was ever appended. `derived` is
    shared by every log that grew out of one: a reader may keep there, by its own type, what it made of the items.
    """

    __slots__ = ("_items", "_length", "derived", "dropped", "keep")

    def __init__(self, keep: int = 20_000) -> None:
        self._items: list[T] = []
        self._length = 0
        self.dropped = 0
        self.keep = keep
        self.derived: dict[type, Any] = {}

    def append(self, item: T) -> Log[T]:
        """A new log that ends with `item`; this one is as it was."""
        items = self._items
        dropped = self.dropped
        if len(items) != self._length or self._length >= 2 * self.keep:
            first = self._length - self.keep if self._length >= 2 * self.keep else 0
            items = items[first : self._length]
            dropped += first
        items.append(item)
        result: Log[T] = Log(self.keep)
        result._items = items
        result._length = len(items)
        result.dropped = dropped
        result.derived = self.derived
        return result

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            start, stop, step = index.indices(self._length)
            return self._items[start:stop:step] if step > 0 else [self._items[i] for i in range(start, stop, step)]
        if index < 0:
            index += self._length
        if not 0 <= index < self._length:
            raise IndexError(index)
        return self._items[index]

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        items = self._items
        for index in range(self._length):
            yield items[index]

    def __repr__(self) -> str:
        return f"Log({list(self)!r})"
