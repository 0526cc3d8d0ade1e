"""The wire's part of the stage: for each connection the packets of the last moments, as one arrow.

In: the packet log of a LabState, cells. Out: spans of an exact width, the server on the left and the client on the
right. A packet that the wire keeps hangs in the middle, for as long as it is kept; one it dropped ends in ✗; one sent
again says ↻ and how often.
"""

from __future__ import annotations

from heapq import nsmallest
from itertools import islice

import msgspec

from socklab import state as st
from socklab.core.text import safe
from socklab.packets import packet_log
from socklab.packets.decode import FIN, RST, SYN
from socklab.packets.flows import RETRANSMISSION, ZERO_WINDOW
from socklab.packets.packet_log import Passed
from socklab.ui.view.formats import brief
from socklab.ui.view.lines import Line, Span, clip, width
from socklab.ui.view.packet_arrow import name

LOOKED_AT = 300
"""So many of the newest packets are looked at: more than cross between two stops that a person makes."""
_KEPT = 64
"""So many of those that the wire keeps: the oldest."""


class Exchange(msgspec.Struct, frozen=True):
    """What crossed between two ends since the program last ran, or is kept on the way."""

    shown: Passed
    """The one drawn: the oldest that is kept, else the one that tells most, of several the last."""
    fate: str
    again: int = 0
    """How often its sender has sent it again: of one that is kept ever, else since the program last ran."""
    more: int = 0
    """How many more of this connection are kept; where none is, other packets since the program last ran."""


Ends = tuple[str, str]
"""(address of the server's end, of the client's)"""


class _Kept:
    """The exchanges of a lab as of its last state: they stay while no packet comes or is decided on."""

    def __init__(self) -> None:
        self.of: tuple[object, ...] = ()
        self.found: dict[Ends, Exchange] = {}


def exchanges(state: st.LabState) -> dict[Ends, Exchange]:
    """By connection. Empty where no packet is seen."""
    kept: _Kept = state.derived.get(_Kept) or state.derived.setdefault(_Kept, _Kept())
    changed = state.changed
    seen = (state.packets, state.fates, state.on_the_way, state.waited_ns)
    of = (*seen, state.wire_rules, changed.fates, changed.packet)
    if len(of) != len(kept.of) or not all(now is before for now, before in zip(of, kept.of, strict=True)):
        kept.of, kept.found = of, _exchanges(state)
    return kept.found


def _exchanges(state: st.LabState) -> dict[Ends, Exchange]:
    packets = state.packets
    found: dict[Ends, list[Passed]] = {}
    for passed in reversed(packet_log.last(packets, LOOKED_AT)):
        if passed.packet.id <= state.changed.packet:
            break
        found.setdefault((passed.server, passed.client), []).append(passed)
    kept: dict[Ends, list[Passed]] = {}
    let_go = (number for number in state.changed.fates if number in state.waited_ns)  # older ones, since then
    for into, numbers in ((found, islice(let_go, _KEPT)), (kept, nsmallest(_KEPT, state.on_the_way))):
        for number in numbers:
            if (place := packet_log.index_of(packets, number)) >= 0:
                passed = packet_log.at(packets, place)
                into.setdefault((passed.server, passed.client), []).append(passed)
    return {ends: _exchange(state, kept.get(ends, []), found.get(ends, [])) for ends in {**kept, **found}}


def _exchange(state: st.LabState, kept: list[Passed], new: list[Passed]) -> Exchange:
    """`kept`: the oldest first; `new`: the newest first."""
    if kept:
        shown = kept[0]
        copies = packet_log.copies(state.packets, packet_log.index_of(state.packets, shown.packet.id))
        return Exchange(shown, state.fates.get(shown.packet.id, ""), len(copies), len(kept) - 1)
    newest = {each.rightward: each for each in reversed(new)}
    closed = [each for each in newest.values() if ZERO_WINDOW in each.seen.marks]
    handed = _let_go_last(state, new)

    def telling(passed: Passed) -> int:
        if passed is handed:
            return 6
        return 4 if any(passed is each for each in closed) else _weight(passed)

    shown = max(new, key=telling)  # of several the newest
    called, seq = name(shown), shown.seen.seq
    same = [each for each in new if each.rightward == shown.rightward and each.seen.seq == seq]
    same = [each for each in same if name(each) == called]
    again = sum(RETRANSMISSION in each.seen.marks for each in same)
    others = {each.packet.id for each in new if RETRANSMISSION not in each.seen.marks}
    others -= {shown.packet.id, *(each.packet.id for each in same)}
    return Exchange(shown, state.fates.get(shown.packet.id, ""), again, len(others))


def _let_go_last(state: st.LabState, new: list[Passed]) -> Passed | None:
    """Of packets that a hand kept on the wire the one it delivered last, or dropped.

    None once more has crossed than bare acknowledgements and copies that the wire drops, or where a delay keeps all.
    """
    if any(rule.startswith("delay") for rule in state.wire_rules):
        return None

    def at(passed: Passed) -> int:
        return passed.packet.t + state.waited_ns[passed.packet.id]

    last = max((each for each in new if each.packet.id in state.waited_ns), key=at, default=None)
    if last is None or any(each.packet.t > at(last) and _crossed(state, each) for each in new):
        return None
    return last


def _crossed(state: st.LabState, passed: Passed) -> bool:
    copy = RETRANSMISSION in passed.seen.marks and state.fates.get(passed.packet.id) == "dropped"
    return bool(_weight(passed)) and not copy


def _weight(passed: Passed) -> int:
    """How much a packet tells: a reset most, a bare acknowledgement least. 6: let go by hand; 4: closes a window."""
    segment = passed.segment
    if segment.protocol != "TCP" or segment.problem:
        return 1
    flags = segment.flags
    return 7 if flags & RST else 5 if flags & FIN else 3 if segment.payload_bytes else 2 if flags & SYN else 0


# ---------------------------------------------------------------- as an arrow


def arrow(exchange: Exchange, cells: int, role: str) -> Line:
    """Exactly `cells` cells. The client is on the right: what goes to the server points to the left."""
    to_server = exchange.shown.rightward
    shaft = role or "dim"
    label = _label(exchange, max(1, cells - 5))
    if exchange.fate in ("held", "delayed"):
        box: Line = (("[", "strong"), *label, ("]", "strong"))
        box = (("◁", "strong"), *box) if to_server else (*box, ("▷", "strong"))
        rest = max(0, cells - width(box))
        before, after = rest // 2, rest - rest // 2
        ways = ("┄" * before, "─" * after) if to_server else ("─" * before, "┄" * after)
        return clip(((ways[0], "rule" if to_server else shaft), *box, (ways[1], shaft if to_server else "rule")), cells)
    head: Span = ("✗", "bad") if exchange.fate == "dropped" else ("◀" if to_server else "▶", shaft)
    rest = max(0, cells - width(label) - 4)
    line: Line = (
        (head, ("─ ", shaft), *label, (f" {'─' * rest}", shaft))
        if to_server
        else ((f"{'─' * rest} ", shaft), *label, (" ─", shaft), head)
    )
    return clip(line, cells)


def _label(exchange: Exchange, cells: int) -> Line:
    """ "SYN", "18 B", "FIN-ACK", with ↻ and how often, and + how many others; the richest that fits."""
    segment = exchange.shown.segment
    named: Span = (what(exchange.shown), "bad" if segment.flags & RST or segment.problem else "strong")
    again: Line = ((f" ↻{exchange.again}" if exchange.again > 1 else " ↻", "warn"),) if exchange.again else ()
    more: Line = ((f" +{exchange.more}", "dim"),) if exchange.more else ()
    for way in ((named, *again, *more), (named, *again), (named,)):
        if width(way) <= cells:
            return way
    return clip((named,), cells)


def what(passed: Passed) -> str:
    """ "SYN", "18 B", "18 B FIN"; "window 0" of a bare acknowledgement that closes the window."""
    segment = passed.segment
    if ZERO_WINDOW in passed.seen.marks and not segment.payload_bytes and not segment.flags & FIN:
        return "window 0"
    if segment.payload_bytes and segment.protocol == "TCP" and not segment.problem:
        return f"{brief(segment.payload_bytes, 5)} B" + (" FIN" if segment.flags & FIN else "")
    return safe(name(passed))


def loopback(cells: int) -> Line:
    """Instead of the wire, of a connection whose ends are both on the server's host."""
    return (("lo, no wire".center(cells, "┄") if cells > 12 else "lo".center(cells, "┄"), "dim"),)


def quiet(cells: int, role: str) -> Line:
    """The wire of an open connection on which nothing has crossed."""
    return (("─" * cells, role or "rule"),)
