"""Connections from packet to packet: what one segment means after those before it.

In: decoded segments in the order they entered the wire. Out: a `Seen` for each: sequence numbers counted from the
connection's first, the window in bytes, and marks (retransmission, zero window ...). A packet's `Seen` depends on
earlier packets only, so it never changes. Pure: keeps numbers, reads nothing.

Sources: RFC 9293; RFC 7323 section 2.2 (the scale counts only if both SYNs carried it, and never in a SYN itself).
"""

from __future__ import annotations

import msgspec

from socklab.packets.decode import ACK, FIN, RST, SYN, Segment

RETRANSMISSION = "retransmission"
ZERO_WINDOW = "zero window"
ZERO_WINDOW_PROBE = "zero-window probe"
KEEP_ALIVE = "keep-alive"
DUPLICATE_ACK = "duplicate ACK"
WINDOW_UPDATE = "window update"


class Seen(msgspec.Struct, frozen=True, gc=False):  # part of no cycle
    """A segment in its connection. For a packet that is not TCP, or malformed, only `segment` says anything."""

    segment: Segment
    connection: int = 0
    """1, 2, ... in the order connections appeared; 0 = none."""
    seq: int = 0
    """From the sender's first: its SYN is 0, its first byte 1."""
    ack: int = 0
    """From the receiver's first; 0 without the ACK flag."""
    window: int = 0
    """Bytes the sender of this segment will take beyond `ack`; scaled where both SYNs were seen to agree on it."""
    window_is_scaled: bool = False
    """False also where the scale is not known, because the SYNs were not seen."""
    marks: tuple[str, ...] = ()


class _Half(msgspec.Struct, gc=False):  # part of no cycle
    """One direction of a connection, as far as it was seen."""

    connection: int
    first: int | None = None
    """The initial sequence number; one less than the first seen where the SYN was not."""
    end: int = 0
    """Sequence number behind the last byte sent so far."""
    scale: int | None = None
    ack: int | None = None
    window: int = 0


def _difference(a: int, b: int) -> int:
    """a - b of 32-bit sequence numbers that wrap around: negative = a is before b."""
    return ((a - b + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class Flows:
    """Follows every connection of a wire."""

    def __init__(self) -> None:
        self._halves: dict[tuple[str, int, str, int], _Half] = {}
        self._connections = 0

    def add(self, segment: Segment) -> Seen:
        """What the next packet of the wire means. The order of calls is the order of the packets."""
        if segment.protocol != "TCP" or segment.problem or not segment.version or segment.what:
            return Seen(segment)
        here = (segment.source, segment.source_port, segment.destination, segment.destination_port)
        ours = self._halves.get(here)
        opening = segment.flags & (SYN | ACK) == SYN
        if ours is None or (opening and ours.first != segment.seq):
            # The first packet between these ends, or a new connection between the same ends.
            self._connections += 1
            ours = self._halves[here] = _Half(self._connections)
            self._halves[(*here[2:], *here[:2])] = _Half(self._connections)
        theirs = self._halves[(*here[2:], *here[:2])]
        marks = self._marks(segment, ours, theirs)
        if ours.first is None:
            ours.first = segment.seq if segment.flags & SYN else (segment.seq - 1) & 0xFFFFFFFF
            ours.end = segment.seq
        if segment.flags & SYN:
            ours.scale = next((o.values[0] for o in segment.options if o.kind == "window-scale"), None)
        if theirs.first is None and segment.flags & ACK:
            # Its SYN was never seen: count from what is acknowledged first.
            theirs.first, theirs.end = (segment.ack - 1) & 0xFFFFFFFF, segment.ack
        end = (segment.seq + segment.sequence_length) & 0xFFFFFFFF
        if _difference(end, ours.end) > 0:
            ours.end = end
        window, scaled = segment.window, False
        if not segment.flags & SYN and ours.scale is not None and theirs.scale is not None:
            window, scaled = window << min(ours.scale, 14), True  # RFC 7323: a shift above 14 counts as 14
        if not segment.flags & RST:
            ours.window = window
        if segment.flags & ACK:
            ours.ack = segment.ack
        ack = (segment.ack - theirs.first) & 0xFFFFFFFF if segment.flags & ACK and theirs.first is not None else 0
        return Seen(segment, ours.connection, (segment.seq - ours.first) & 0xFFFFFFFF, ack, window, scaled, marks)

    @staticmethod
    def _marks(segment: Segment, ours: _Half, theirs: _Half) -> tuple[str, ...]:
        marks: list[str] = []
        size, control = segment.sequence_length, segment.flags & (SYN | FIN | RST)
        if ours.first is not None and not segment.flags & RST:
            ahead = _difference(segment.seq, ours.end)
            if ahead == -1 and segment.payload_bytes <= 1 and not control:
                # Linux probes a shut window, and a silent peer, with a segment one before the next byte.
                shut = theirs.ack is not None and theirs.window == 0
                marks.append(ZERO_WINDOW_PROBE if shut else KEEP_ALIVE)
            elif size and ahead < 0:
                marks.append(RETRANSMISSION)
            elif not size and not control and segment.ack == ours.ack and segment.flags & ACK:
                marks += Flows._repeated_ack(segment, ours, theirs)
        if segment.window == 0 and not control:
            marks.append(ZERO_WINDOW)
        return tuple(marks)

    @staticmethod
    def _repeated_ack(segment: Segment, ours: _Half, theirs: _Half) -> list[str]:
        """An ACK alone that acknowledges nothing new: it opens the window, or says that something is missing."""
        shift = ours.scale if ours.scale is not None and theirs.scale is not None else 0
        if segment.window << min(shift, 14) != ours.window:
            return [WINDOW_UPDATE] if segment.window else []
        outstanding = ours.ack is not None and _difference(theirs.end, ours.ack) > 0
        return [DUPLICATE_ACK] if outstanding and segment.window else []
