"""Probes of the packets: how many, of which kind, held or sent again; the last one, the next one in hand.

In: a LabState. Out: values of packets that crossed the wire (two hosts) or loopback (one private host), decoded and
followed by `trail`. Registered in `registry`. A packet sent again counts as `retransmits`, not as one of its kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from socklab.commands.wire import KINDS
from socklab.probes.network import client_of
from socklab.probes.registry import Unmeasured, Value, probe
from socklab.state import LabState

if TYPE_CHECKING:
    from socklab.packets.packet_log import Passed


def _all(state: LabState, parts: dict[str, str]) -> Iterator[Passed]:
    """Packets so far, in the order they entered the wire; with a CLIENT only those of its connection."""
    if state.header is not None and state.header.network == "machine":
        raise Unmeasured("the lab sees no packets on the machine's own network")
    ends: tuple[str, str] | None = None
    if "CLIENT" in parts:
        client = client_of(state, parts)
        if not client.local:
            raise Unmeasured(f"client {client.name} has no address yet")
        ends = (client.local, client.remote)
    from socklab.packets.packet_log import TRAIL

    for index in range(len(state.packets)):
        passed = TRAIL.at(state.packets, index)
        if ends is None or (passed.client, passed.server) == ends:
            yield passed


def _marked(state: LabState, parts: dict[str, str], mark: str) -> int:
    return sum(mark in passed.seen.marks for passed in _all(state, parts))


def _with_fate(state: LabState, parts: dict[str, str], fate: str) -> int:
    return sum(state.fates.get(passed.packet.id) == fate for passed in _all(state, parts))


def _of_kind(state: LabState, parts: dict[str, str]) -> int:
    from socklab.packets.flows import RETRANSMISSION

    fits = KINDS[parts["KIND"]]
    return sum(fits(passed.segment) and RETRANSMISSION not in passed.seen.marks for passed in _all(state, parts))


def _last(state: LabState, parts: dict[str, str]) -> Passed:
    last = None
    for passed in _all(state, parts):
        last = passed
    if last is None:
        raise Unmeasured("no packet has come yet")
    return last


def _next(state: LabState) -> Passed:
    """The held packet that `deliver` would deliver."""
    from socklab.packets.packet_log import TRAIL, index_of

    for number in sorted(state.on_the_way):
        place = index_of(state.packets, number)
        if state.fates.get(number) == "held" and place >= 0:
            return TRAIL.at(state.packets, place)
    raise Unmeasured("no packet is held")


@probe("packets.CLIENT.count", "those of this client's connection, both directions")
@probe("packets.count", "packets that have entered the wire, copies included")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return sum(1 for _ in _all(state, parts))


@probe("packets.CLIENT.held", "those of this client's connection")
@probe("packets.held", "packets the wire holds now")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _with_fate(state, parts, "held")


@probe("packets.dropped", "packets that a rule or a verb dropped")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _with_fate(state, parts, "dropped")


@probe("packets.CLIENT.retransmits", "those of this client's connection")
@probe("packets.retransmits", "packets that were sent again")
def _(state: LabState, parts: dict[str, str]) -> Value:
    from socklab.packets.flows import RETRANSMISSION

    return _marked(state, parts, RETRANSMISSION)


@probe("packets.CLIENT.zero_windows", "those of this client's connection")
@probe("packets.zero_windows", "packets that closed the window: their sender takes no more bytes")
def _(state: LabState, parts: dict[str, str]) -> Value:
    from socklab.packets.flows import ZERO_WINDOW

    return _marked(state, parts, ZERO_WINDOW)


@probe("packets.CLIENT.window_probes", "those of this client's connection")
@probe("packets.window_probes", "packets that asked whether the window is still closed")
def _(state: LabState, parts: dict[str, str]) -> Value:
    from socklab.packets.flows import ZERO_WINDOW_PROBE

    return _marked(state, parts, ZERO_WINDOW_PROBE)


@probe("packets.CLIENT.KIND", "those of this client's connection: packets.a.rst")
@probe("packets.KIND", "packets of this kind so far, copies left out: packets.syn-ack")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _of_kind(state, parts)


@probe("packets.CLIENT.last.flags", "the same of this client's connection")
@probe("packets.last.flags", "the last packet's flags: SYN, SYN-ACK, FIN-ACK, RST-ACK ...")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _last(state, parts).segment.summary


@probe("packets.CLIENT.last.from", "the same of this client's connection")
@probe("packets.last.from", "the host that sent it: server, client")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _last(state, parts).packet.source


@probe("packets.CLIENT.last.fate", "the same of this client's connection")
@probe("packets.last.fate", "what became of it: delivered, held, dropped, delayed")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return state.fates.get(_last(state, parts).packet.id, "on the wire")


@probe("packets.CLIENT.window", "bytes that the client's end said last it would still take")
def _(state: LabState, parts: dict[str, str]) -> Value:
    for passed in reversed(list(_all(state, parts))):
        if passed.rightward:
            return passed.seen.window
    raise Unmeasured("the client has sent no packet yet")


@probe("packets.next.flags", "of the packet that `deliver` would deliver: the one held longest")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _next(state).segment.summary


@probe("packets.next.from", "the host that sent it")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _next(state).packet.source
