"""Probes of the packets: how many, of which kind, held or sent again; the last one, the next one in hand.

In: a LabState. Out: values of packets that crossed the wire (two hosts) or loopback (one private host), decoded and
followed by `packets.packet_log`. Registered in `registry`. A packet sent again counts as `retransmits`, not as one of
its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from socklab.commands.wire import KINDS
from socklab.packets import packet_log
from socklab.packets.flows import RETRANSMISSION, ZERO_WINDOW, ZERO_WINDOW_PROBE
from socklab.packets.packet_log import Passed
from socklab.probes.network import address_of, client_of
from socklab.probes.registry import Unmeasured, Value, probe, probes_of
from socklab.state import LabState


def _all(state: LabState, parts: dict[str, str]) -> Iterator[Passed]:
    """Packets so far, in the order they entered the wire; with a CLIENT only those of its connection."""
    if state.header is not None and state.header.network == "machine":
        raise Unmeasured("the lab sees no packets on the machine's own network")
    ends: tuple[str, str] | None = None
    if "CLIENT" in parts:
        client = client_of(state, parts)
        ends = (address_of(client), client.remote)
    for index in range(len(state.packets)):
        passed = packet_log.at(state.packets, index)
        if ends is None or (passed.client, passed.server) == ends:
            yield passed


def _counted(name: str, meaning: str, counts: Callable[[LabState, Passed], bool]) -> None:
    """Register how many packets there are that count: of all, and of one client's connection."""

    def read(state: LabState, parts: dict[str, str]) -> Value:
        return sum(counts(state, passed) for passed in _all(state, parts))

    probe(f"packets.CLIENT.{name}", "those of this client's connection")(read)
    probe(f"packets.{name}", meaning)(read)


def _has_fate(fate: str) -> Callable[[LabState, Passed], bool]:
    return lambda state, passed: state.fates.get(passed.packet.id) == fate


def _is_marked(mark: str) -> Callable[[LabState, Passed], bool]:
    return lambda state, passed: mark in passed.seen.marks


_counted("count", "packets that have entered the wire, copies included", lambda state, passed: True)
_counted("held", "packets the wire holds now", _has_fate("held"))
_counted("retransmits", "packets that were sent again", _is_marked(RETRANSMISSION))
_counted("zero_windows", "packets that closed the window: their sender takes no more bytes", _is_marked(ZERO_WINDOW))
_counted("window_probes", "packets that asked whether the window is still closed", _is_marked(ZERO_WINDOW_PROBE))


@probe("packets.dropped", "packets that a rule or a verb dropped")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return sum(state.fates.get(packet.packet.id) == "dropped" for packet in _all(state, parts))


@probe("packets.CLIENT.KIND", "those of this client's connection: packets.a.rst")
@probe("packets.KIND", "packets of this kind so far, copies left out: packets.syn-ack")
def _(state: LabState, parts: dict[str, str]) -> Value:
    fits = KINDS[parts["KIND"]]
    return sum(fits(passed.segment) and RETRANSMISSION not in passed.seen.marks for passed in _all(state, parts))


def _last(state: LabState, parts: dict[str, str]) -> Passed:
    found = list(_all(state, parts))
    if not found:
        raise Unmeasured("no packet has come yet")
    return found[-1]


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


def _next(state: LabState, parts: dict[str, str]) -> Passed:
    """The held packet that `deliver` would deliver."""
    for number in sorted(state.on_the_way):
        place = packet_log.index_of(state.packets, number)
        if state.fates.get(number) == "held" and place >= 0:
            return packet_log.at(state.packets, place)
    raise Unmeasured("no packet is held")


probes_of(
    "packets.next",
    _next,
    {
        "flags": (
            "of the packet that `deliver` would deliver: the one held longest",
            lambda passed: passed.segment.summary,
        ),
        "from": ("the host that sent it", lambda passed: passed.packet.source),
    },
)
