"""The packets of a run with what each of them means: the log of a LabState read once, packet by packet.

In: `LabState.packets`, of the present or of a past state of the same run, in any order. Out: a `Passed` for each
packet. Only packets that were not seen before are decoded, so a new one among 10,000 costs what one costs. Never reads
the kernel, never draws.
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec
from msgspec.structs import replace

from socklab.core.persistent import Log
from socklab.packets.decode import ACK, SYN, Segment, decode
from socklab.packets.flows import Flows, Seen
from socklab.protocol import events as ev

KEEP = 80_000
"""Packets remembered; more than a log keeps, so that its recent past can be shown too."""


class Passed(msgspec.Struct, frozen=True, gc=False):  # by the ten thousand, and part of no cycle
    """One packet of the wire, decoded, in its connection."""

    packet: ev.Packet
    seen: Seen
    """Without the payload's bytes: `payload` has them."""
    rightward: bool
    """From the client's side to the server's."""
    client: str
    """The end on the client's side: "10.0.0.2:40001", an address without a port, or "" for what is not IP."""
    server: str

    @property
    def segment(self) -> Segment:
        return self.seen.segment

    def payload(self, most: int = 64) -> bytes:
        """The beginning of what it carries, as far as its bytes are here."""
        start = self.segment.header_bytes
        return self.packet.data[start : start + min(most, self.segment.payload_bytes)]


class Trail:
    """Follows one log at a time; asked about another run's, it begins anew."""

    def __init__(self) -> None:
        self._all: list[Passed] = []
        self._first = 0
        """Place of the first of `_all` among all packets that ever came."""
        self._flows = Flows()
        self._openers: dict[int, str] = {}
        """Connection to the end that opened it."""

    def at(self, packets: Log[ev.Packet], index: int) -> Passed:
        """The packet at `index` of the log."""
        self.follow(packets)
        return self._all[packets.dropped + index - self._first]

    def connections(self, packets: Log[ev.Packet]) -> int:
        """How many connections were seen so far."""
        self.follow(packets)
        return len(self._openers)

    def follow(self, packets: Log[ev.Packet]) -> None:
        """Read what is new in the log; `at` does so too, all at once."""
        total, known = packets.dropped + len(packets), self._first + len(self._all)
        if not len(packets):
            return
        common = min(total, known) - 1
        same = (
            common >= packets.dropped >= self._first
            and packets[common - packets.dropped] is self._all[common - self._first].packet
        )
        if not same:
            self._all, self._first = [], packets.dropped
            self._flows, self._openers = Flows(), {}
            known = packets.dropped
        for packet in packets[known - packets.dropped :]:
            self._all.append(self._passed(packet))
        surplus = len(self._all) - KEEP
        if surplus > KEEP // 4:
            del self._all[:surplus]
            self._first += surplus

    def _passed(self, packet: ev.Packet) -> Passed:
        seen = self._flows.add(decode(packet.data, packet.length))
        segment = seen.segment
        here, there = segment.source_end, segment.destination_end
        opener = ""
        if seen.connection:
            opener = self._openers.get(seen.connection, "")
            if not opener:
                answers = segment.flags & (SYN | ACK) == SYN | ACK
                opener = self._openers[seen.connection] = there if answers else here
        if packet.source != packet.destination and "server" in (packet.source, packet.destination):
            rightward = packet.destination == "server"
        elif opener:
            rightward = here == opener
        else:
            # One host talks to itself: the lower port is the one that was known beforehand.
            rightward = segment.source_port >= segment.destination_port
        seen = replace(seen, segment=replace(segment, payload=b""))
        return Passed(packet, seen, rightward, here if rightward else there, there if rightward else here)


def index_of(packets: Log[ev.Packet], number: int) -> int:
    """Place of the packet with that number in the log; -1 when it is not there. Numbers rise along the log."""
    place = bisect_left(packets, number, key=lambda packet: packet.id)
    return place if place < len(packets) and packets[place].id == number else -1


TRAIL = Trail()
"""The one that is shared by all who show packets of the run at hand."""
