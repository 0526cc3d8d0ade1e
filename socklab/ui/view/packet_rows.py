"""Which packets stand in which row of the wire: what the wire keeps last, what says the same again in one row.

In: the packet log of a LabState and their fates. Out: a row for each packet or run of packets, by place in the log.
Pure; knows no widget, makes no words.

A run is packets that say the same, one after the other with the same fate: a SYN sent again four times, each copy
dropped. Its row stands where the first of them came. The row that is chosen is unfolded: each packet has its own then,
so that each that is held can be delivered by itself.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import overload

from socklab import state as st
from socklab.core.persistent import Log, PMap
from socklab.packets import packet_log
from socklab.protocol import events as ev

Run = tuple[int, ...]
"""Places of the packets of a row, in order."""


class Folded:
    """The runs of one state. Costs what was sent again and what is held, not what there is."""

    def __init__(self, state: st.LabState) -> None:
        packets, fates = state.packets, state.fates
        self.packets: Log[ev.Packet] = packets
        self.fates: PMap[int, str] = fates
        self.on_the_way = state.on_the_way
        self.runs: dict[int, Run] = {}
        """By the place of the first, those of more than one packet."""
        self.first_of: dict[int, int] = {}
        """A packet that is in a run to the first of its run."""
        for places in packet_log.repeats(packets):
            for _, same in groupby(places, key=lambda place: fates.get(packets[place].id, "")):
                run = tuple(same)
                if len(run) > 1:
                    self.runs[run[0]] = run
                    self.first_of.update(dict.fromkeys(run, run[0]))
        kept = (packet_log.index_of(packets, number) for number in sorted(self.on_the_way))
        self.kept = [place for place in kept if place >= 0]
        """What the wire keeps, oldest first."""
        self._plain = self._rows(None)

    def is_of(self, state: st.LabState) -> bool:
        return state.packets is self.packets and state.fates is self.fates and state.on_the_way is self.on_the_way

    def rows(self, chosen: int = -1) -> PacketRows:
        """The rows; `chosen` is the place of a packet whose run is unfolded."""
        run = self.runs.get(self.first_of.get(chosen, -1))
        return self._plain if run is None else self._rows(run)

    def _rows(self, unfolded: Run | None) -> PacketRows:
        apart = {*self.kept, *self.first_of} - self.runs.keys()
        apart.update(self.kept)
        heads = [place for place in self.kept if self.first_of.get(place, place) == place]
        return PacketRows(len(self.packets), sorted(apart), heads, self.runs, unfolded or ())


class PacketRows(Sequence[int]):
    """The place of each row's first packet, in the order of the rows; made row by row as it is asked."""

    def __init__(
        self, packets: int, apart: Sequence[int], kept: Sequence[int], runs: Mapping[int, Run], unfolded: Run
    ) -> None:
        self._runs = runs
        self._skips = [place - before for before, place in enumerate(apart)]
        """How many rows are above each place that has no row among those that went on."""
        self._apart = apart
        self._went = packets - len(apart)
        self._kept = kept
        self._unfolded = unfolded
        self._more = unfolded[1:]
        self._below = self._plain(unfolded[0]) if unfolded else self._went + len(kept)
        """The row below which a run is unfolded."""
        self.first_kept = self._went + (len(self._more) if self._below < self._went else 0)
        """The first row of what the wire keeps, or behind the last one."""
        self.moved = bool(kept) and self._went > 0 and self._place(self._went - 1) > kept[0]
        """What is kept does not stand where it came: something sent later stands above it."""

    def __len__(self) -> int:
        return self._went + len(self._kept) + len(self._more)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> list[int]: ...
    def __getitem__(self, index: int | slice) -> int | list[int]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = index + len(self) if index < 0 else index
        if not 0 <= row < len(self):
            raise IndexError(index)
        if row <= self._below:
            return self._place(row)
        if row <= self._below + len(self._more):
            return self._more[row - self._below - 1]
        return self._place(row - len(self._more))

    def _place(self, row: int) -> int:
        """Without what is unfolded."""
        if row >= self._went:
            return self._kept[row - self._went]
        # Behind each place that is skipped the rows move up by one.
        return row + bisect_right(self._skips, row)

    def _plain(self, place: int) -> int:
        """The row of a place, without what is unfolded; -1 = it has none."""
        found = bisect_left(self._kept, place)
        if found < len(self._kept) and self._kept[found] == place:
            return self._went + found
        before = bisect_left(self._apart, place)
        return -1 if before < len(self._apart) and self._apart[before] == place else place - before

    def row_of(self, place: int) -> int:
        """The row whose first packet is at `place`; -1 = it is inside of one."""
        if place in self._more:
            return self._below + 1 + self._more.index(place)
        row = self._plain(place)
        return row + len(self._more) if row > self._below else row

    def run(self, row: int) -> Run:
        """The packets of this row, where there are several."""
        place = self[row]
        return () if place in self._unfolded else self._runs.get(place, ())

    def is_copy(self, row: int) -> bool:
        """It is there only because its run is unfolded."""
        return self._below < row <= self._below + len(self._more)


def folded(state: st.LabState) -> Folded:
    """The runs of a state; those of the state asked about last are still there, with its log."""
    known: Folded | None = state.packets.derived.get(Folded)
    if known is None or not known.is_of(state):
        known = state.packets.derived[Folded] = Folded(state)
    return known
