"""One packet as an arrow between two lifelines, in any number of cells; and its numbers as columns.

In: a packet with its meaning and its fate. Out: spans of an exact width. Never asks which packet is chosen.
"""

from __future__ import annotations

from typing import NamedTuple

from socklab import state as st
from socklab.core.text import safe
from socklab.packets.decode import ACK, RST, SYN
from socklab.packets.flows import (
    DUPLICATE_ACK,
    KEEP_ALIVE,
    RETRANSMISSION,
    WINDOW_UPDATE,
    ZERO_WINDOW,
    ZERO_WINDOW_PROBE,
)
from socklab.packets.packet_log import Passed
from socklab.ui.view.formats import brief, count
from socklab.ui.view.lines import Line, Span, clip, column, width

MARKS = {
    RETRANSMISSION: ("sent again", "again"),
    ZERO_WINDOW: ("zero window", "win 0"),
    ZERO_WINDOW_PROBE: ("zero-window probe", "probe"),
    KEEP_ALIVE: ("keep-alive", "keep-alive"),
    DUPLICATE_ACK: ("duplicate ACK", "dup"),
    WINDOW_UPDATE: ("window update", "update"),
}
"""What flows.py found, in words and in a word."""

_WARNED = (RETRANSMISSION, ZERO_WINDOW, ZERO_WINDOW_PROBE)

_TABLE = (("seq", 8), ("ack", 8), ("window", 8), ("bytes", 7))
NUMBER_TITLES = "".join(name.rjust(cells) for name, cells in _TABLE) + "  payload"
NUMBER_CELLS = sum(cells for _, cells in _TABLE)

_LEAST_PREVIEW = 8
_GOOD_PREVIEW = 24
"""Cells of payload worth more than the window."""


# ---------------------------------------------------------------- the arrow


class Told(NamedTuple):
    """What an arrow says: one packet, or the first of several that say the same."""

    passed: Passed
    change: str
    numbers: bool
    """Sequence numbers and the like belong into it."""
    times: int = 1
    """How many packets it stands for."""
    until_ns: int = 0
    """When the last of several came."""


def arrow(state: st.LabState, told: Told, lane: int, role: str) -> Line:
    """Exactly `lane` + 2 cells: lifeline, way, lifeline."""
    passed = told.passed
    fate = state.fates.get(passed.packet.id, "")
    shaft = role or "dim"
    if fate == "delivered":
        waited = state.waited_ns.get(passed.packet.id) if told.times == 1 else None
        also = ((f" after {_duration(waited)}", "warn"),) if waited is not None else ()
        label = _label(told, lane - 4, also=also)
        dashes = "─" * (lane - 4 - width(label))
        way: Line = (
            (("─ ", shaft), *label, (f" {dashes}▶", shaft))
            if passed.rightward
            else ((f"◀{dashes} ", shaft), *label, (" ─", shaft))
        )
    elif fate == "dropped":
        way = _dropped(told, lane, shaft)
    else:
        way = _in_flight(told, fate, lane, shaft)
    return ("│", "rule"), *clip(way, lane), ("│", "rule")


def _duration(ns: int) -> str:
    return f"{ns / 1e9:.1f} s" if ns >= 100_000_000 else f"{ns / 1e6:.0f} ms"


def _dropped(told: Told, lane: int, shaft: str) -> Line:
    """The arrow ends at an × in mid-wire, or behind its label where that is longer than half the way."""
    rightward = told.passed.rightward
    end: Line = (("×", "bad"), (" dropped", "bad")) if rightward else (("dropped ", "bad"), ("×", "bad"))
    label = _label(told, lane - 4 - width(end))
    dashes = "─" * max(1, lane // 2 - 3 - width(label))
    blank = " " * (lane - 3 - width(label) - len(dashes) - width(end))
    if rightward:
        return ("─ ", shaft), *label, (f" {dashes}", shaft), *end, (blank, "")
    return (blank, ""), *end, (f"{dashes} ", shaft), *label, (" ─", shaft)


def _in_flight(told: Told, fate: str, lane: int, shaft: str) -> Line:
    """The packet itself in the middle of the wire: behind it the way it came, before it the way to go."""
    word: Line = ((f" {safe(fate)}", "warn"),) if fate else ()
    label = _label(told, min(lane - 7, lane * 13 // 20), also=word)
    box: Line = (("[", "strong"), *label, ("]", "strong"))
    rest = lane - width(box) - 1
    behind = rest // 2
    came, ahead = "─" * behind, "┄" * (rest - behind)
    if told.passed.rightward:
        return (came, shaft), *box, ("▷", "strong"), (ahead, "rule")
    return (ahead, "rule"), ("◁", "strong"), *box, (came, shaft)


# ---------------------------------------------------------------- what is said on it


def name(passed: Passed) -> str:
    """ "SYN-ACK", "UDP", "ICMPv6 router solicitation", "malformed"."""
    segment = passed.segment
    if segment.problem:
        return "malformed" if segment.version else "not IP"
    summary = segment.summary
    return summary if segment.protocol in ("TCP", summary) else f"{segment.protocol} {summary}"


def _label(told: Told, cells: int, also: Line = ()) -> Line:
    """The richest wording that fits `cells`; never wider."""
    passed, change, numbers = told.passed, told.change, told.numbers
    segment = passed.segment
    role = "bad" if segment.problem or segment.flags & RST else "strong" if segment.protocol == "TCP" else "dim"
    named: Span = (safe(name(passed)), "changed" if change and role == "strong" else role)
    if segment.problem:
        return clip((named, (f": {safe(segment.problem)}", "bad"), *also), cells)
    times: Line = ((f" {count(told.times)}×", "warn"),) if told.times > 1 else ()
    short = (*_marks(passed, short=True), *times)
    head: Line = (named, *_marks(passed, short=width((named, *times, *also)) + 24 > cells), *times)
    until: Line = ((f" until {told.until_ns / 1e9:.3f} s", "warn"),) if times else ()
    if width((*head, *until, *also)) <= cells:
        head = (*head, *until)
    carries = segment.payload_bytes and not segment.protocol.startswith("ICMP")  # theirs is part of another packet
    size: Line = ((f" {brief(segment.payload_bytes, 5)} B", "number"),) if carries else ()
    ways: list[tuple[Line, int]] = []
    # What may be said, and cells of payload that must fit beside it; the richest first.
    least = _LEAST_PREVIEW if carries else 0
    if numbers and segment.protocol == "TCP":
        place: Line = ((f" seq {brief(passed.seen.seq, 8)}", "number"),)
        if segment.flags & ACK:
            place = (*place, (f" ack {brief(passed.seen.ack, 8)}", "number"))
        window: Line = ((f" win {brief(passed.seen.window, 7)}", "dim"),)
        ways = [((*head, *place, *window, *size), _GOOD_PREVIEW if carries else 0), ((*head, *place, *size), least)]
    if numbers:
        ways += [((*head, *size), least), ((*head, *size), 0), ((named, *short, *size), 0)]
    again = RETRANSMISSION in passed.seen.marks
    sign: Line = (
        ((f" {'↻' * again}{told.times if times else ''}{'×' * (not again)}", "warn"),) if again or times else ()
    )
    for way, preview in [*ways, (head, 0), ((named, *short), 0), ((named, *sign), 0)]:
        room = cells - width(way) - width(also)
        if room >= preview:
            return (*way, *(_preview(passed, room - 1) if preview else ()), *also)
    return clip((named, *also), cells)


def _marks(passed: Passed, *, short: bool) -> Line:
    return tuple(
        (f" {MARKS[mark][short] if mark in MARKS else mark}", "warn" if mark in _WARNED else "dim")
        for mark in passed.seen.marks
    )


def _preview(passed: Passed, cells: int) -> Line:
    """The payload's beginning in quotes, in at most `cells` and the blank before it."""
    text = safe(passed.payload(min(64, max(1, cells))))
    if not text or cells < 4:
        return ()
    return ((f' "{clip(((text, ""),), cells - 2)[0][0]}"', "string"),)


# ---------------------------------------------------------------- columns beside it


def columns(passed: Passed, cells: int) -> Line:
    """seq, ack, window, bytes, payload: as NUMBER_TITLES names them, in at most `cells`."""
    segment, seen = passed.segment, passed.seen
    tcp = segment.protocol == "TCP" and not segment.problem
    values = (
        brief(seen.seq, 7) if tcp else "",
        brief(seen.ack, 7) if tcp and segment.flags & ACK else "",
        brief(seen.window, 7) if tcp else "",
        count(segment.payload_bytes) if segment.payload_bytes and len(count(segment.payload_bytes)) < 7 else "",
    )
    zero = tcp and not seen.window and not segment.flags & (RST | SYN)
    spans: list[Span] = []
    for (title, size), value in zip(_TABLE, values, strict=True):
        spans.append(column(value, size, "warn" if title == "window" and zero else "number", right=True))
    spans.append((" ", ""))
    return (*spans, *_preview(passed, cells - NUMBER_CELLS - 2))
