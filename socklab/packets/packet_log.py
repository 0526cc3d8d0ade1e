"""The packets of a run with what each of them means: the log of a LabState read once, packet by packet.

In: `LabState.packets`, of the present or of a past state, in any order. Out: a `Passed` for each packet. Only packets
that were not seen before are decoded, so a new one among 10,000 costs what one costs. What was read is kept with the
log itself (`Log.derived`), for all its lengths. Never reads the kernel, never draws.
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec
from msgspec.structs import replace

from socklab.core.persistent import Log
from socklab.packets.decode import ACK, SYN, Segment, decode
from socklab.packets.flows import Flows, Seen
from socklab.packets.repeats import Repeats
from socklab.protocol import events as ev

KEEP = 50_000
"""Packets remembered; more than a log keeps (up to 40,000), so that its recent past can be shown too."""


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


def at(packets: Log[ev.Packet], index: int) -> Passed:
    """The packet at `index` of the log."""
    known = follow(packets)
    return known.passed[packets.dropped + index - known.first]


def passed(packets: Log[ev.Packet]) -> list[Passed]:
    """Every packet of the log."""
    known = follow(packets)
    first = packets.dropped - known.first
    return known.passed[first : first + len(packets)]


def last(packets: Log[ev.Packet], most: int) -> list[Passed]:
    """Up to so many packets at the end of the log, the newest last."""
    known = follow(packets)
    end = packets.dropped - known.first + len(packets)
    return known.passed[end - min(most, len(packets)) : end]


def connections(packets: Log[ev.Packet]) -> int:
    """How many connections were seen so far."""
    return follow(packets).connections


def repeats(packets: Log[ev.Packet]) -> list[list[int]]:
    """Places of packets that say the same again, in order: a list for each that came twice or more often.

    Of bytes that are sent again these are the copies; what was sent first is not among them.
    """
    found = follow(packets).repeats.within(packets.dropped, len(packets))
    return [[place - packets.dropped for place in places] for places in found]


def copies(packets: Log[ev.Packet], index: int) -> list[int]:
    """Places of the copies of what the packet at `index` carries, in order; of a copy itself and the others."""
    known = follow(packets)
    sent = known.passed[packets.dropped + index - known.first]
    places = known.repeats.of(sent.seen, sent.rightward)
    return [place - packets.dropped for place in places if packets.dropped <= place < packets.dropped + len(packets)]


def index_of(packets: Log[ev.Packet], number: int) -> int:
    """Place of the packet with that number in the log; -1 when it is not there. Numbers rise along the log."""
    if not len(packets):
        return -1
    guess = number - packets[0].id  # as a rule none is missing
    if 0 <= guess < len(packets) and packets[guess].id == number:
        return guess
    place = bisect_left(packets, number, key=lambda packet: packet.id)
    return place if place < len(packets) and packets[place].id == number else -1


def follow(packets: Log[ev.Packet]) -> _Reading:
    """Read what is new in the log; `at` does so too, all at once."""
    known: _Reading | None = packets.derived.get(_Reading)
    if known is None or not known.is_of(packets):
        known = packets.derived[_Reading] = _Reading(packets.dropped)
    known.read(packets)
    return known


class _Reading:
    """The packets read so far of a log and of its earlier lengths."""

    def __init__(self, first: int) -> None:
        self.passed: list[Passed] = []
        self.first = first
        """Place of the first of `passed` among all packets that ever came."""
        self.connections = 0
        self._openers: dict[frozenset[str], tuple[int, str]] = {}
        """Both ends to the last connection between them, and the end that opened it: no more than ports allow."""
        self._flows = Flows()
        self.repeats = Repeats()

    def is_of(self, packets: Log[ev.Packet]) -> bool:
        """The log's packets are those read here, as far as both go: another future of the same past is read anew."""
        common = min(packets.dropped + len(packets), self.first + len(self.passed)) - 1
        if not len(packets):
            return True
        return (
            common >= packets.dropped >= self.first
            and packets[common - packets.dropped] is self.passed[common - self.first].packet
        )

    def read(self, packets: Log[ev.Packet]) -> None:
        for packet in packets[self.first + len(self.passed) - packets.dropped :] if len(packets) else ():
            self.passed.append(self._read(packet))
            last = self.passed[-1]
            self.repeats.add(last.seen, last.rightward, self.first + len(self.passed) - 1)
        surplus = len(self.passed) - KEEP
        if surplus > KEEP // 4:
            del self.passed[:surplus]
            self.first += surplus
            self.repeats.forget(self.first)

    def _read(self, packet: ev.Packet) -> Passed:
        seen = self._flows.add(decode(packet.data, packet.length))
        segment = seen.segment
        here, there = segment.source_end, segment.destination_end
        opener = ""
        if seen.connection:
            ends = frozenset((here, there))
            number, opener = self._openers.get(ends, (0, ""))
            if number != seen.connection:
                self.connections = max(self.connections, seen.connection)
                answers = segment.flags & (SYN | ACK) == SYN | ACK
                opener = there if answers else here
                self._openers[ends] = (seen.connection, opener)
        if packet.source != packet.destination and "server" in (packet.source, packet.destination):
            rightward = packet.destination == "server"
        elif opener:
            rightward = here == opener
        else:
            # One host talks to itself: the lower port is the one that was known beforehand.
            rightward = segment.source_port >= segment.destination_port
        seen = replace(seen, segment=replace(segment, payload=b""))
        return Passed(packet, seen, rightward, here if rightward else there, there if rightward else here)
