"""Payload bytes of each connection on the wire, what was sent again not counted twice; and SYNs that were sent again.

In: `LabState.packets` and their fates, of the present or of a past state, in any order. Out: counts for a connection
and a direction. Each packet is read once; what was read is kept with the log (`Log.derived`). Never draws.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from socklab import state as st
from socklab.core.persistent import Log
from socklab.packets import packet_log
from socklab.packets.decode import ACK, SYN
from socklab.packets.flows import RETRANSMISSION
from socklab.packets.packet_log import Passed
from socklab.protocol import events as ev

_FINAL = ("delivered", "dropped")
_KEPT_SYNS = 200
_MOST_CONNECTIONS = 20_000
_KEPT_PLACES = 15_000
"""Packets with their place; of those before only the sums are kept. Fewer than the log keeps: their fates are known."""


class Crossed(NamedTuple):
    """Payload bytes in one direction."""

    sent: int
    """Onto the wire."""
    arrived: int
    """Off it again, at the other end."""
    dropped: int
    """Packets with payload that the wire dropped."""


class Syn(NamedTuple):
    """A SYN that was sent again."""

    place: int
    t: int
    client: str
    server: str
    again: int


class _Cover:
    """Which bytes of a stream have been seen: a union of ranges."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []

    def add(self, start: int, end: int) -> int:
        """How many of these bytes are new."""
        ranges = self._ranges
        if not ranges or start > ranges[-1][1]:
            ranges.append((start, end))
            return end - start
        place = bisect_left(ranges, start, key=lambda each: each[1])
        last, covered, low, high = place, 0, start, end
        while last < len(ranges) and ranges[last][0] <= end:
            covered += max(0, min(end, ranges[last][1]) - max(start, ranges[last][0]))
            low, high = min(low, ranges[last][0]), max(high, ranges[last][1])
            last += 1
        ranges[place:last] = [(low, high)]
        return end - start - covered


class _Way:
    """One direction of one connection: packets with payload, in their places in the log."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self._segments: list[tuple[int, int, int]] = []
        """Packet's number, first byte, the one behind the last."""
        self._sent: list[int] = []
        """Bytes up to each packet."""
        self._arrived: list[int] = []
        """The same of those that arrived; as far as the fates are final."""
        self._dropped: list[int] = []
        self._by_number: dict[int, int] = {}
        """Of those whose fate came late: packet's number to its index."""
        self._before = Crossed(0, 0, 0)
        """Those whose places are kept no more."""
        self._sent_cover, self._arrived_cover = _Cover(), _Cover()

    def add(self, place: int, passed: Passed) -> None:
        start, size = passed.seen.seq, passed.segment.payload_bytes
        self.places.append(place)
        self._segments.append((passed.packet.id, start, start + size))
        self._sent.append(_last(self._sent, self._before.sent) + self._sent_cover.add(start, start + size))

    def until(self, state: st.LabState, place: int) -> Crossed:
        """The counts of the packets before `place`, with the fates of that state."""
        count = bisect_left(self.places, place)
        if not count:
            return self._before
        self._settle(state, count)
        settled = min(count, len(self._arrived))
        arrived = self._arrived[settled - 1] if settled else self._before.arrived
        dropped = self._dropped[settled - 1] if settled else self._before.dropped
        # In the past, or behind one that the wire keeps: few, and their fates are that state's own.
        late = [index for number in state.on_the_way if (index := self._by_number.get(number, count)) < settled]
        for index in late:
            arrived -= self._arrived[index] - (self._arrived[index - 1] if index else self._before.arrived)
            dropped -= self._dropped[index] - (self._dropped[index - 1] if index else self._before.dropped)
        cover = _Cover()
        for number, start, end in self._segments[settled:count]:
            dropped += _fate(state, number) == "dropped"
            if _fate(state, number) == "delivered":
                arrived += min(cover.add(start, end), self._missing(start, end))
        return Crossed(self._sent[count - 1], arrived, dropped)

    def _missing(self, start: int, end: int) -> int:
        """How many of these bytes have not arrived among the settled ones."""
        cover = _Cover()
        for each in self._arrived_cover._ranges[-8:]:  # what is under way lies at the end
            cover.add(*each)
        return cover.add(start, end)

    def _settle(self, state: st.LabState, count: int) -> None:
        """Go on as far as every packet has the fate it keeps."""
        for index in range(len(self._arrived), count):
            number, start, end = self._segments[index]
            fate = _fate(state, number)
            if fate not in _FINAL:
                return
            if number in state.waited_ns:
                self._by_number[number] = index
            came = self._arrived_cover.add(start, end) if fate == "delivered" else 0
            self._arrived.append(_last(self._arrived, self._before.arrived) + came)
            self._dropped.append(_last(self._dropped, self._before.dropped) + (fate == "dropped"))

    def forget(self, state: st.LabState, place: int) -> None:
        """Keep only the sums of what is before `place`, as far as the fates are final."""
        count = bisect_left(self.places, place)
        self._settle(state, count)
        count = min(count, len(self._arrived))
        if count:
            self._before = Crossed(self._sent[count - 1], self._arrived[count - 1], self._dropped[count - 1])
            for values in (self.places, self._segments, self._sent, self._arrived, self._dropped):
                del values[:count]
            self._by_number = {number: at - count for number, at in self._by_number.items() if at >= count}


def _last(values: list[int], otherwise: int) -> int:
    return values[-1] if values else otherwise


def _fate(state: st.LabState, number: int) -> str:
    """Fates are let go with the packets of the log; until then a packet without one is under way."""
    fate = state.fates.get(number)
    return fate if fate is not None else "under way" if number >= state.packets[0].id else "delivered"


class Connection:
    """Both directions between two ends, from one SYN to the next."""

    def __init__(self, first: int, *, whole: bool) -> None:
        self.first = first
        self.whole = whole
        """Its SYN was seen."""
        self.up, self.down = _Way(), _Way()


class WireBytes:
    """All connections of a packet log."""

    def __init__(self) -> None:
        self.syns: list[Syn] = []
        self._read = 0
        self._kept = 0
        """Packets with payload, since the last time that some were let go."""
        self._last: ev.Packet | None = None
        self._by_ends: dict[tuple[str, str], list[tuple[int, Connection]]] = {}
        """(server's end, client's end) to their connections, with the number of each."""
        self._again: dict[tuple[str, str], int] = {}

    def is_of(self, packets: Log[ev.Packet]) -> bool:
        """The packets read are the log's: another future of the same past is read anew."""
        known = self._read - 1 - packets.dropped
        return not 0 <= known < len(packets) or packets[known] is self._last

    def read(self, state: st.LabState) -> None:
        packets = state.packets
        if packets.dropped > self._read:  # some were let go before they were read
            for connection in self._all():
                connection.whole = False
        for place in range(max(self._read, packets.dropped), packets.dropped + len(packets)):
            passed = packet_log.at(packets, place - packets.dropped)
            self._last = passed.packet
            self._packet(place, passed)
        self._read = max(self._read, packets.dropped + len(packets))
        if self._kept > _KEPT_PLACES:
            self._kept = 0
            for connection in self._all():
                connection.up.forget(state, self._read - _KEPT_PLACES)
                connection.down.forget(state, self._read - _KEPT_PLACES)

    def _all(self) -> Iterator[Connection]:
        return (connection for known in self._by_ends.values() for _, connection in known)

    def _packet(self, place: int, passed: Passed) -> None:
        segment, seen = passed.segment, passed.seen
        if not seen.connection:
            return
        ends = (passed.server, passed.client)
        opens = segment.flags & (SYN | ACK) == SYN
        if opens and passed.rightward and RETRANSMISSION in seen.marks:
            self._again[ends] = again = self._again.get(ends, 0) + 1
            self.syns.append(Syn(place, passed.packet.t, passed.client, passed.server, again))
            del self.syns[:-_KEPT_SYNS]
        elif opens:
            self._again.pop(ends, None)
        known = self._by_ends.setdefault(ends, [])
        if not known or known[-1][0] != seen.connection:
            known.append((seen.connection, Connection(place, whole=bool(segment.flags & SYN))))
            if len(self._by_ends) > 2 * _MOST_CONNECTIONS:
                for each in list(self._by_ends)[:_MOST_CONNECTIONS]:
                    del self._by_ends[each]
        if segment.payload_bytes:
            self._kept += 1
            (known[-1][1].up if passed.rightward else known[-1][1].down).add(place, passed)

    def of(self, server: str, client: str, place: int) -> Connection | None:
        """The last connection between these ends that began before `place`."""
        return next((each for _, each in reversed(self._by_ends.get((server, client), [])) if each.first < place), None)


class Between(NamedTuple):
    """What crossed between two ends."""

    up: Crossed
    """From the client to the server."""
    down: Crossed
    whole: bool
    """From its first packet on."""


def wire_bytes(state: st.LabState) -> WireBytes:
    """The one of the state's packet log, with all of its packets read."""
    packets = state.packets
    known: WireBytes | None = packets.derived.get(WireBytes)
    if known is None or not known.is_of(packets):
        known = packets.derived[WireBytes] = WireBytes()
    known.read(state)
    return known


def between(state: st.LabState, server: str, client: str) -> Between | None:
    """None = no packet of theirs was seen."""
    place = state.packets.dropped + len(state.packets)
    found = wire_bytes(state).of(server, client, place)
    if found is None:
        return None
    return Between(found.up.until(state, place), found.down.until(state, place), found.whole)
