"""The packets of the wire as sentences, for a reader who can't see arrows.

In: LabStates. Out: a line for each packet, for each change of its fate, for the wire's rules. Pure: never prints.
"""

from __future__ import annotations

from collections.abc import Iterator

from socklab import state as st
from socklab.core.plural import counted
from socklab.core.text import safe
from socklab.packets import packet_log
from socklab.packets.decode import ACK
from socklab.packets.packet_log import Passed, index_of

MOST = 200
"""Packets told at once; of more, the first and the last."""


def packet_news(before: st.LabState, now: st.LabState) -> Iterator[str]:
    """What crossed the wire, and what became of it, since `before`."""
    if before.wire_rules != now.wire_rules:
        rules = "; ".join(map(safe, now.wire_rules))
        yield f"* wire: {rules}" if rules else "* wire: no rule is in force any more"
    told = before.packets.dropped + len(before.packets)
    if before.fates is not now.fates and len(before.packets):
        last = before.packets[-1].id
        moved = [number for number, _, _ in now.fates.differences(before.fates) if number <= last]
        for number in sorted(moved):
            place = index_of(now.packets, number)
            if place >= 0 and number in now.fates:
                passed = packet_log.at(now.packets, place)
                yield f"* packet {number}, {kind(passed)} {ends(now, passed)}: {fate(now, number)}"
    places = range(max(0, told - now.packets.dropped), len(now.packets))
    if len(places) > MOST:
        yield from (f"+ {packet_text(now, place)}" for place in places[: MOST // 2])
        yield f"... {counted(len(places) - MOST, 'more packet')}"
        places = places[-(MOST // 2) :]
    yield from (f"+ {packet_text(now, place)}" for place in places)


def packet_text(state: st.LabState, place: int) -> str:
    """`packet 4 from server to client a: SYN-ACK, seq 0, ack 1, window 65160; held`."""
    passed = packet_log.at(state.packets, place)
    segment, seen = passed.segment, passed.seen
    said = [kind(passed)]
    if segment.protocol == "TCP" and not segment.problem:
        said.append(f"seq {seen.seq}")
        if segment.flags & ACK:
            said.append(f"ack {seen.ack}")
        said.append(f"window {seen.window}")
    if segment.payload_bytes and not segment.problem:
        said.append(
            f'{segment.payload_bytes} {"byte" if segment.payload_bytes == 1 else "bytes"} "{safe(passed.payload(48))}"'
        )
        if segment.payload_bytes > 48:
            said[-1] += " and more"
    said += ["sent again" if mark == "retransmission" else mark for mark in seen.marks]
    number = passed.packet.id
    return f"packet {number} {ends(state, passed)}: {', '.join(said)}; {fate(state, number)}"


def kind(passed: Passed) -> str:
    segment = passed.segment
    if segment.problem:
        return f"{'malformed' if segment.version else 'not IP'}, {safe(segment.problem)}"
    summary = segment.summary
    return safe(summary if segment.protocol in ("TCP", summary) else f"{segment.protocol} {summary}")


def ends(state: st.LabState, passed: Passed) -> str:
    """ "from client a to server", "from server to client port 48404", "from client fe80::1 to ff02::2"."""
    packet, segment = passed.packet, passed.segment
    if not segment.source_port:
        return f"from {safe(packet.source)} {segment.source} to {segment.destination}".replace("  ", " ").rstrip()
    client = _client(state, passed)
    return f"from {client} to server" if passed.rightward else f"from server to {client}"


def _client(state: st.LabState, passed: Passed) -> str:
    for client in state.clients.values():
        if client.local == passed.client:
            return f"client {safe(client.name)}"
    return f"client port {passed.client.rpartition(':')[2]}"


def fate(state: st.LabState, number: int) -> str:
    """ "delivered", "held", "delivered after 0.62 s"."""
    found = safe(state.fates.get(number, "on its way"))
    waited = state.waited_ns.get(number)
    return found if waited is None else f"{found} after {waited / 1e9:.2f} s"


def every_packet(state: st.LabState) -> list[str]:
    """All packets there are, and the rules in force."""
    rules = [f"rule: {safe(rule)}" for rule in state.wire_rules]
    return [*rules, *(packet_text(state, place) for place in range(len(state.packets)))]
