"""Segments that are the same again: copies of what was sent before, and acknowledgements that say nothing new.

In: the packets of a log with what they mean, in order. Out: their places, a list for each segment that came again.
Pure; knows nothing of a packet's fate, so what it found never changes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from socklab.packets.decode import ACK, FIN, PSH, RST, SYN
from socklab.packets.flows import RETRANSMISSION, Seen

Same = tuple[object, ...]


class Repeats:
    """Places among all packets that ever came, counted from 0."""

    def __init__(self) -> None:
        self._copies: dict[Same, list[int]] = {}
        """Of data, SYN and FIN: copies of the same bytes of the same connection."""
        self._last: dict[tuple[int, bool], tuple[Same, list[int]]] = {}
        """A direction's last packet, if it is a bare acknowledgement or a probe: what it says, and since when."""
        self._repeated: list[list[int]] = []
        """Those of both with more than one place."""

    def add(self, seen: Seen, rightward: bool, place: int) -> None:
        """The next packet."""
        if not seen.connection:
            return
        direction = (seen.connection, rightward)
        if RETRANSMISSION in seen.marks:
            places = self._copies.setdefault(_bytes(seen, rightward), [])
        else:
            segment = seen.segment
            if (
                segment.flags & (SYN | FIN | RST)
                or not segment.flags & ACK
                or (segment.payload_bytes and not seen.marks)
            ):
                self._last.pop(direction, None)
                return
            said = (seen.seq, seen.ack, seen.window, segment.payload_bytes, seen.marks)
            before, places = self._last.get(direction, ((), []))
            if before != said:
                places = []
                self._last[direction] = said, places
        places.append(place)
        if len(places) == 2:
            self._repeated.append(places)

    def of(self, seen: Seen, rightward: bool) -> list[int]:
        """Where copies of this packet are: what carries the same bytes and was sent before already."""
        return self._copies.get(_bytes(seen, rightward), []) if seen.connection else []

    def within(self, first: int, end: int) -> Iterator[list[int]]:
        """Of each segment that came again, its places from `first` to before `end`."""
        for places in self._repeated:
            if first <= places[0] and places[-1] < end:
                yield places
            else:
                some = places[bisect_left(places, first) : bisect_left(places, end)]
                if len(some) > 1:
                    yield some

    def forget(self, first: int) -> None:
        """Nobody asks any more for places before `first`."""
        self._copies = {same: places for same, places in self._copies.items() if places[-1] >= first}
        self._last = {way: last for way, last in self._last.items() if last[1][-1] >= first}
        self._repeated = [places for places in self._repeated if places[-1] >= first]


def _bytes(seen: Seen, rightward: bool) -> Same:
    # PSH says when the receiver is to be told, not what is sent: a copy may have it where the first had not.
    segment = seen.segment
    return seen.connection, rightward, seen.seq, segment.flags & ~PSH, segment.payload_bytes
