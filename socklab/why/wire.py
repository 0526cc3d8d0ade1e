"""Why a packet was sent: the call or act whose bytes it carries, or the kernel's own doing.

In: a Record and a packet's number. Out: a chain.
"""

from __future__ import annotations

from itertools import pairwise

from socklab.packets import packet_log
from socklab.packets.decode import ACK, FIN, RST, SYN
from socklab.packets.flows import RETRANSMISSION
from socklab.packets.packet_log import Passed
from socklab.why import resets, streams
from socklab.why.ends import End
from socklab.why.model import Chain, Link, unknown
from socklab.why.record import Record, bytes_of


def chains(record: Record, number: int) -> list[Chain]:
    """The packet of that number."""
    place = packet_log.index_of(record.state.packets, number)
    if place < 0:
        return [Chain(f"packet {number}", (unknown(f"packet {number}", "no packet of that number is kept"),))]
    passed = packet_log.at(record.state.packets, place)
    links = _why(record, passed)
    return [Chain(record.of_packet(passed, f"packet {number}").what, tuple(links))]


def _why(record: Record, passed: Passed) -> list[Link]:
    segment = passed.segment
    if not passed.seen.connection:
        return [unknown("what sent it", f"{segment.protocol or 'what is not IP'} is not followed to its call")]
    end = End(record, segment.source_end, segment.destination_end)
    if end.conversation.packets and end.conversation.packets[0].seen.connection != passed.seen.connection:
        return [unknown("what sent it", "its connection is over, and another one has the same ends now")]
    if RETRANSMISSION in passed.seen.marks:
        return _again(end, passed)
    if segment.flags & RST:
        return resets.why_sent(end, passed)
    if segment.payload_bytes:
        start = passed.seen.seq - (0 if segment.flags & SYN else 1)
        links = streams.links(record, end.written(), start, start + segment.payload_bytes)
        return [*(end.why_closed(passed) if segment.flags & FIN else []), *links]
    if segment.flags & FIN:
        return end.why_closed(passed)
    if segment.flags & SYN:
        return _syn(end, passed)
    return _ack(end, passed)


def _syn(end: End, passed: Passed) -> list[Link]:
    if not passed.segment.flags & ACK:
        return end.opened()
    return [Link("the kernel answers a SYN by itself"), *end.peer.syns(), *end.peer.opened()]


def _again(end: End, passed: Passed) -> list[Link]:
    """A retransmission: the packet that had the same bytes first, and what is recorded of the kernel's reason."""
    record, seen = end.record, passed.seen
    same = [
        other
        for other in end.conversation.sent(end.local)
        if other.packet.id < passed.packet.id
        and other.seen.seq <= seen.seq < other.seen.seq + max(1, other.segment.sequence_length)
        and other.segment.sequence_length
    ]
    if not same:
        return [unknown("the packet it repeats", end.conversation.reason or "none was recorded")]
    first, last = same[0], same[-1]
    waited = (passed.packet.t - last.packet.t) / 1e9
    links = [Link(f"the kernel sent it again by itself, {waited:.2f} s after the last time"), _timer(end, passed)]
    links.append(record.of_packet(first, "first sent"))
    acks = [p for p in end.peer.sent(lambda flags: bool(flags & ACK)) if p.packet.id < passed.packet.id]
    kept = [p for p in acks if p.seen.ack >= seen.seq + passed.segment.sequence_length and not record.arrived(p)]
    links += [record.of_packet(p, "an ACK of it has not arrived") for p in kept[-1:]]
    return [*links, *_why(record, first)]


def _timer(end: End, passed: Passed) -> Link:
    """Whether the retransmission timer did it: the kernel counts what that sends in the row (idiag_retrans)."""
    for before, after in pairwise(end.record.readings.of_ends(end.local, end.remote)):
        if before.t <= passed.packet.t <= after.t and before.row is not None and after.row is not None:
            times = after.row.retransmits
            if times > before.row.retransmits:
                return Link(f"its retransmission timer ran out: the table counts {times}", after.t, after.stop)
    return unknown("whether its timer or duplicate ACKs made it do so", "no reading of its row tells")


def _ack(end: End, passed: Passed) -> list[Link]:
    """An ACK alone: the kernel's own word on what had come, or on its window."""
    record, seen = end.record, passed.seen
    if "window update" in seen.marks:
        return [Link("the kernel tells that its window has changed"), *_read_before(end, passed)]
    if "keep-alive" in seen.marks or "zero-window probe" in seen.marks:
        return [Link("the kernel asks by itself whether the other end is there, or has room")]
    theirs = [
        other
        for other in end.conversation.sent(end.remote)
        if other.packet.id < passed.packet.id and other.segment.sequence_length and record.arrived(other)
    ]
    acked = [other for other in theirs if other.seen.seq + other.segment.sequence_length <= seen.ack]
    if not acked:
        return [unknown("what it acknowledges", end.conversation.reason or "no packet before it fits")]
    last = acked[-1]
    return [Link("the kernel acknowledges by itself what has come"), record.of_packet(last), *_why(record, last)]


def _read_before(end: End, passed: Passed) -> list[Link]:
    """The read that made room, where one is recorded just before."""
    file = end.file
    calls = [
        call
        for call in (file.calls if file is not None else ())
        if end.record.name(call) in streams.READS and call.returned is not None and call.entered.t <= passed.packet.t
    ]
    if calls and calls[-1].returned is not None and calls[-1].returned.result > 0:
        return [end.record.of_call(calls[-1], f"the last read before it took {bytes_of(calls[-1].returned.result)}")]
    return [unknown("what made room", "no recorded read before it")]
