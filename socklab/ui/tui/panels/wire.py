"""The packets between the hosts as a sequence diagram: client left, server right, one arrow a packet, newest last.

In: packets and their fates, rules in force. Out: a row for a packet, or for those that say the same again; only rows
in sight are asked for, so 10,000 cost what ten cost. An arrow that arrives was delivered; a packet in [brackets] in
mid-wire is held there, and stands last until it goes on; × is where one was dropped. Never holds or delivers anything:
keys and verbs do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

from socklab import state as st
from socklab.core.persistent import Log
from socklab.core.text import safe
from socklab.packets import packet_log
from socklab.packets.packet_log import Passed, index_of
from socklab.protocol import events as ev
from socklab.ui.tui.panels.panel import Body, RowsPanel
from socklab.ui.tui.widgets.packet_details import details
from socklab.ui.tui.widgets.virtual_lines import Virtual
from socklab.ui.view import packet_arrow
from socklab.ui.view.formats import chosen, count, marker
from socklab.ui.view.index import client_index
from socklab.ui.view.lines import (
    Key,
    Line,
    Span,
    View,
    cell_len,
    client_role,
    clip,
    column,
    pad,
    width,
    with_keys,
    wrap,
)
from socklab.ui.view.packet_rows import PacketRows, folded

_KIND = "packet"
"""First part of a packet's Key; the second is its number."""

_WIDE = 116
"""From here on numbers have columns of their own, beside the arrows."""
_MEDIUM = 50

_FOOT_FROM = 11
"""Rows of a panel from which on a chosen packet is told below the arrows."""


class WirePanel(RowsPanel):
    """The packets between the hosts, one arrow each; those that are held stand last."""

    title_text = "Wire"
    evidence_of = "wire"
    numbers_in_head = True
    opened_by_choice = True
    first_choice = -1

    def number(self, state: st.LabState) -> str:
        """ "24", "24, 2 held"."""
        if not len(state.packets):
            return ""
        total = state.packets.dropped + len(state.packets)
        kept = len(state.on_the_way)
        return count(total) + (f", {count(kept)} {_kept_word(state)}" if kept else "")

    def rows(self, state: st.LabState, view: View) -> PacketKeys:
        """Oldest first; what the wire keeps last."""
        return PacketKeys(state.packets, folded(state).rows(_place(state, view.selected)))

    def head(self, state: st.LabState, view: View) -> list[Line]:
        """The two hosts over their lifelines, and between them the rules in force."""
        places = _Places(state, view)
        left, right = _host(state, "client", places.lane), _host(state, "server", places.lane)
        room = places.lane + 2 - cell_len(left) - cell_len(right)
        rules = _rules(state, room - 4)
        text = f" {rules} " if rules else ""
        before = (room - cell_len(text)) // 2
        fill = "╌" if rules else " "
        heads: Line = (
            column(" time s" if places.time else "", places.before, "dim"),
            (left, "title"),
            (f" {fill * (before - 1)}" if before > 0 else "", "warn" if rules else "dim"),
            (text, "warn"),
            (f"{fill * (room - before - cell_len(text) - 1)} " if room > before else "", "warn" if rules else "dim"),
            (right, "title"),
        )
        if places.numbers:
            heads = (*heads, (packet_arrow.NUMBER_TITLES, "dim"))
        return [clip(heads, view.width)]

    def foot(self, state: st.LabState, view: View) -> list[Line]:
        """The chosen packet, told below the arrows: as much of it as half the panel holds."""
        packet = _packet(state, view.selected)
        if packet is None or view.height < _FOOT_FROM:
            return []
        room = max(5, view.height // 2 - 1)
        told = details(state, packet, _who(state, packet), view.width, room)
        if len(told) > room:
            told = [*told[: room - 1], clip(with_keys("`Enter` shows all of it"), view.width)]
        return [(("╌" * view.width, "rule"),), *told]

    def body(self, state: st.LabState, view: View) -> Body:
        """The arrows; or the chosen packet in full, when it is opened."""
        packet = _packet(state, view.selected)
        if view.opened and packet is not None:
            return Body(details(state, packet, _who(state, packet), view.width, 1 << 16))
        if not len(state.packets):
            return super().body(state, view)
        keys = self.rows(state, view)
        tail = packet is None or keys.index(view.selected) == len(keys) - 1
        lines = Virtual(range(len(keys) + keys.divided), lambda line: self._line(state, keys, line, view))
        return Body(lines, self.head(state, view), self.foot(state, view), tail)

    def _line(self, state: st.LabState, keys: PacketKeys, line: int, view: View) -> Line:
        row = keys.row(line)
        return _divider(state, view) if row < 0 else self._arrow(state, keys, row, view)

    def relevance(self, state: st.LabState, call: str) -> int:
        return 3 if len(state.on_the_way) else 0  # something is in the student's hand

    def moved(self, state: st.LabState) -> bool:
        packets = state.packets
        return bool(state.changed.fates) or (len(packets) > 0 and packets[-1].id > state.changed.packet)

    def absent(self, state: st.LabState) -> str:
        return "" if len(state.packets) else "No packet has been seen on a wire of the lab's own."

    def choices(self, state: st.LabState, view: View) -> Sequence[Key]:
        return () if view.opened else self.rows(state, view)

    def line_of(self, state: st.LabState, view: View, key: Key) -> int:
        keys = self.rows(state, view)
        row = keys.index(key)
        return row + (keys.divided and row >= keys.places.first_kept)

    def at(self, state: st.LabState, view: View, line: int) -> Key | None:
        keys = self.rows(state, view)
        row = -1 if view.opened else keys.row(line)
        return keys[row] if 0 <= row < len(keys) else None

    def line(self, state: st.LabState, key: Key, view: View) -> Line:
        """The arrow of one packet, or of those like it that its row tells."""
        keys = self.rows(state, view)
        row = keys.index(key)
        return self._arrow(state, keys, row, view) if row >= 0 else ()

    def _arrow(self, state: st.LabState, keys: PacketKeys, row: int, view: View) -> Line:
        place = keys.places[row]
        passed = packet_log.at(state.packets, place)
        run = keys.places.run(row)
        change = _change(state, [state.packets[each].id for each in run or (place,)])
        places = _Places(state, view)
        who = _who(state, passed)
        role = client_role(who) if who and who[0].isalpha() else ""
        last = state.packets[run[-1]].t if run else 0
        told = packet_arrow.Told(passed, change, not places.numbers, len(run) or 1, last)
        spans: Line = (
            marker(change),
            *((column(f"{passed.packet.t / 1e9:.3f} ", places.time, "dim", right=True),) if places.time else ()),
            *((_named(f"↳{who}" if keys.places.is_copy(row) else who, places.who, role),) if places.who else ()),
            *packet_arrow.arrow(state, told, places.lane, role),
        )
        if places.numbers:
            spans = (*spans, *packet_arrow.columns(passed, view.width - width(spans)))
        return clip(chosen(spans) if view.selected == keys[row] else spans, view.width)

    def nothing(self, state: st.LabState) -> str:
        network = state.header.network if state.header else ""
        return "" if network == "two-hosts" else "No packet was seen yet."

    def lines(self, state: st.LabState, view: View) -> Iterable[Line]:
        """What stands here before the first packet."""
        lines = [*self.head(state, view), pad((), view.width)]
        told = with_keys("`hold-all` holds all that come, `hold` those you say, such as ")
        text: Line = (("No packet has crossed yet. ", ""), *told, ("hold syn-ack", "string"), (".", "dim"))
        return [*lines, *wrap(text, view.width)]


def _kept_word(state: st.LabState) -> str:
    fates = {state.fates.get(number, "") for number, _ in zip(state.on_the_way, range(8), strict=False)}
    return "delayed" if fates == {"delayed"} else "held" if fates == {"held"} else "on the way"


class PacketKeys(Sequence[Key]):
    """The key of each row's first packet: what can be chosen, row by row as it is asked."""

    def __init__(self, packets: Log[ev.Packet], places: PacketRows) -> None:
        self._packets = packets
        self.places = places
        self.divided = int(places.moved)
        """1: a line stands between what went on and what is kept."""

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> Key: ...
    @overload
    def __getitem__(self, index: slice) -> list[Key]: ...
    def __getitem__(self, index: int | slice) -> Key | list[Key]:
        if isinstance(index, slice):
            return [(_KIND, self._packets[place].id) for place in self.places[index]]
        return _KIND, self._packets[self.places[index]].id

    def __contains__(self, key: object) -> bool:
        return self.index(key) >= 0

    def index(self, key: object, start: int = 0, stop: int | None = None) -> int:
        """The row of this key; -1 = it has none of its own."""
        place = index_of(self._packets, key[1]) if isinstance(key, tuple) and key[0] == _KIND else -1
        return self.places.row_of(place) if place >= 0 else -1

    def row(self, line: int) -> int:
        """The row on this line; -1 = it divides those that went on from those that are kept."""
        if self.divided and line >= self.places.first_kept:
            return -1 if line == self.places.first_kept else line - 1
        return line


# ---------------------------------------------------------------- above and below the arrows


def _host(state: st.LabState, name: str, lane: int) -> str:
    """ "client 10.0.0.2" where there is room, else the name."""
    for host in state.header.hosts if state.header else ():
        if host.name == name and host.addresses and lane >= 60:
            return safe(f"{name} {host.addresses[0]}" if name == "client" else f"{host.addresses[0]} {name}")
    return name


def _rules(state: st.LabState, cells: int) -> str:
    """ "holding syn-ack", cut to what fits; how many, where not even one does."""
    rules = [safe(rule) for rule in state.wire_rules]
    kept = f"{count(len(state.on_the_way))} {_kept_word(state)}" if len(state.on_the_way) else ""
    spoken = "; ".join(f"holding {rule[5:]}" if rule.startswith("hold ") else rule for rule in rules)
    ways = [", ".join(filter(None, (spoken, kept)))]
    if rules:
        first = f"{rules[0]} +{len(rules) - 1}" if len(rules) > 1 else rules[0]
        ways += [spoken, ", ".join(filter(None, (first, kept))), first, f"{len(rules)} rule{'s' * (len(rules) > 1)}"]
    elif state.header is not None and state.header.network == "private":
        ways = ["seen on loopback"]
    return next((way for way in ways if cell_len(way) <= cells), "")


def _divider(state: st.LabState, view: View) -> Line:
    """Between what went on and what came before it, and is kept."""
    text = f" {_kept_word(state)}, the oldest first "
    before = _Places(state, view).before
    return clip(((" " * before, ""), (f"╌╌{text}".ljust(view.width - before - 1, "╌"), "warn")), view.width)


def _change(state: st.LabState, numbers: Sequence[int]) -> str:
    """What became of a row since the program last ran: packets came, or a fate changed."""
    if numbers[0] > state.changed.packet:
        return "new"
    later = numbers[-1] > state.changed.packet
    return "changed" if later or any(number in state.changed.fates for number in numbers) else ""


def _place(state: st.LabState, selected: Key | None) -> int:
    """Where a chosen packet is in the log; -1 = it is not."""
    return index_of(state.packets, selected[1]) if selected is not None and selected[0] == _KIND else -1


def _packet(state: st.LabState, selected: Key | None) -> Passed | None:
    place = _place(state, selected)
    return packet_log.at(state.packets, place) if place >= 0 else None


# ---------------------------------------------------------------- one row


class _Places:
    """How the cells of a row are shared out."""

    def __init__(self, state: st.LabState, view: View) -> None:
        self.numbers = view.width >= _WIDE
        """The columns beside the arrows are there."""
        self.time = 10 if view.width >= 70 else 0
        self.who = 7 if view.width >= _MEDIUM else 6 if packet_log.connections(state.packets) > 1 else 0
        self.before = 1 + self.time + self.who
        # One cell stays free at the right: a scroll bar is no lifeline.
        rest = view.width - self.before - 3
        self.lane = max(4, min(64, rest - packet_arrow.NUMBER_CELLS - 14) if self.numbers else rest)


def _named(who: str, cells: int, role: str) -> Span:
    """The name, or the port's digits, with a blank behind."""
    shown = who[-(cells - 1) :] if who.startswith(":") else column(who, cells - 1)[0]
    return column(shown, cells, role or "dim")


def _who(state: st.LabState, passed: Passed) -> str:
    """The client whose connection it is, or the client's port; "" for what has neither."""
    name = client_index(state).at(state, passed.client)
    if name:
        return name
    port = passed.client.rpartition(":")[2]
    return f":{port}" if passed.segment.source_port else ""
