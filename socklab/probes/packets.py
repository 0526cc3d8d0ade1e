"""Probes of the packets: how many, of which kind, held or sent again; the last one, the next one in hand.

In: a LabState. Out: values of packets that crossed the wire (two hosts) or loopback (one private host), decoded and
followed by `packets.packet_log`. Registered in `registry`. A packet sent again counts as `retransmits`, not as one of
its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from socklab.commands.packet_filter import HOSTS, KINDS
from socklab.packets import packet_log
from socklab.packets.flows import RETRANSMISSION, ZERO_WINDOW, ZERO_WINDOW_PROBE
from socklab.packets.packet_log import Passed
from socklab.probes.network import address_of, client_of
from socklab.probes.registry import Legal, Read, Unmeasured, Value, probes, probes_of
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


def _counted(counts: Callable[[LabState, Passed], bool]) -> Read:
    return lambda state, parts: sum(counts(state, passed) for passed in _all(state, parts))


def _has_fate(fate: str) -> Read:
    return _counted(lambda state, passed: state.fates.get(passed.packet.id) == fate)


def _is_marked(mark: str) -> Read:
    return _counted(lambda state, passed: mark in passed.seen.marks)


def _of_kind(state: LabState, parts: dict[str, str]) -> Value:
    fits = KINDS[parts["KIND"]]
    return sum(fits(passed.segment) and RETRANSMISSION not in passed.seen.marks for passed in _all(state, parts))


def _last(state: LabState, parts: dict[str, str]) -> Passed:
    found = list(_all(state, parts))
    if not found:
        raise Unmeasured("no packet has come yet")
    return found[-1]


def _fate(state: LabState, parts: dict[str, str]) -> Value:
    return state.fates.get(_last(state, parts).packet.id, "on the wire")


def _window(state: LabState, parts: dict[str, str]) -> Value:
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


FATES = ("held", "delivered", "dropped", "delayed", "on the wire")

_OF_CLIENT, _SAME = "those of this client's connection", "the same of this client's connection"
_OF_ALL_OR_ONE: dict[str, tuple[str, str, Read] | tuple[str, str, Read, Legal]] = {
    "count": ("packets that have entered the wire, copies included", _OF_CLIENT, _counted(lambda state, passed: True)),
    "held": ("packets the wire holds now", _OF_CLIENT, _has_fate("held")),
    "retransmits": ("packets that were sent again", _OF_CLIENT, _is_marked(RETRANSMISSION)),
    "zero_windows": ("packets that closed the window: their sender takes no more bytes", _OF_CLIENT,
                     _is_marked(ZERO_WINDOW)),
    "window_probes": ("packets that asked whether the window is still closed", _OF_CLIENT,
                      _is_marked(ZERO_WINDOW_PROBE)),
    "KIND": ("packets of this kind so far, copies left out: packets.syn-ack", f"{_OF_CLIENT}: packets.a.rst", _of_kind),
    "last.flags": ("the last packet's flags: SYN, SYN-ACK, FIN-ACK, RST-ACK ...", _SAME,
                   lambda state, parts: _last(state, parts).segment.summary, str),
    "last.from": ("the host that sent it: server, client", _SAME,
                  lambda state, parts: _last(state, parts).packet.source, HOSTS),
    "last.fate": ("what became of it: delivered, held, dropped, delayed", _SAME, _fate, FATES),
}  # fmt: skip
"""By the end of the name: what it means of all packets, what of one client's connection (packets.CLIENT. ...)."""

for _name, (_of_all, _of_one, _read, *_rest) in _OF_ALL_OR_ONE.items():
    _legal = _rest[0] if _rest else int
    probes({f"packets.CLIENT.{_name}": (_of_one, _read, _legal), f"packets.{_name}": (_of_all, _read, _legal)})
probes({
    "packets.dropped": ("packets that a rule or a verb dropped", _has_fate("dropped")),
    "packets.CLIENT.window": ("bytes that the client's end said last it would still take", _window),
})  # fmt: skip
probes_of(_next, {
    "packets.next.flags": ("of the packet that `deliver` would deliver: the one held longest",
                           lambda passed: passed.segment.summary, str),
    "packets.next.from": ("the host that sent it", lambda passed: passed.packet.source, HOSTS),
})  # fmt: skip
