"""One listener's queues, large: who waits in which slot, totals since the beginning, and what happened in which order.

In: the listener of the call in hand, else the chosen or the first one: its row, connections that wait, accept calls,
counters, SYNs that were sent again. Out: lines. The kernel tells no order of those that wait: clients stand in the
order they began.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from socklab import state as st
from socklab.commands.keymap import said
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.state.model import Noticed
from socklab.ui.tui.panels.panel import Body, Panel
from socklab.ui.tui.panels.queues import no_listener, waiting_age
from socklab.ui.tui.widgets import socket_sums as way, wire_bytes
from socklab.ui.tui.widgets.socket_calls import socket_calls
from socklab.ui.view import slots
from socklab.ui.view.formats import address, call_name, count, fit, plural, server_host, table_name, words
from socklab.ui.view.index import client_index, holder_index, port_of, socket_index
from socklab.ui.view.lines import EMPTY, Key, Line, Span, View, client_role, width, wrap

_SHOWN = 50
"""So many of the last things that happened are told."""
_LOOKED_AT = 600
"""So many of what the tables told are looked at for them."""
_NAMED = 64
"""Of so many that come at once the first ones are looked for."""
_LARGE = 13
"""Rows from which on each who waits has a tile of three rows."""
_TILE = 4
_COUNTS = (
    ("ListenOverflows", "the accept queue was full"),
    ("ListenDrops", "SYNs dropped for any reason"),
    ("TCPReqQFullDrop", "the SYN queue was full"),
    ("TCPReqQFullDoCookies", "the SYN queue was full: answered with a SYN cookie"),
)


class AcceptQueuePanel(Panel):
    """The accept queue of a listener, its totals and its history."""

    title_text = "Accept queue"

    def number(self, state: st.LabState) -> str:
        row = _listener(state, None)
        return f"{count(row.rx_queue)} of {count(row.tx_queue)}" if row is not None else ""

    def nothing(self, state: st.LabState) -> str:
        return "" if state.listeners else no_listener(state)

    def absent(self, state: st.LabState) -> str:
        return self.nothing(state)

    def lines(self, state: st.LabState, view: View) -> list[Line]:
        row = _listener(state, view.selected)
        return [*_drawing(state, row, view), *_history(state, row, view)] if row is not None else []

    def body(self, state: st.LabState, view: View) -> Body:
        row = _listener(state, view.selected)
        if row is None:
            return super().body(state, view)
        return Body(fit(_history(state, row, view), view), fit(_drawing(state, row, view), view), tail=True)

    def choices(self, state: st.LabState, view: View) -> Sequence[Key]:
        table = table_name(state, server_host(state))
        listeners = state.listeners
        return [(table, row.id) for row in listeners] if len(listeners) > 1 else ()

    def chosen(self, state: st.LabState, stored: Key | None) -> Key | None:
        row = _listener(state, stored)
        return (table_name(state, server_host(state)), row.id) if row is not None else None

    def row_of(self, state: st.LabState, key: Key | None) -> tuple[str, Key | None]:
        """What it shows is a listener's, as in the queues."""
        return "queues", self.chosen(state, key)


def _listener(state: st.LabState, chosen: Key | None) -> ev.SocketRow | None:
    rows = state.table_of(server_host(state)).listeners
    if chosen is not None and chosen[1] in rows:
        return rows[chosen[1]]
    task = state.task
    if task is not None and task.call is not None and call_name(state, task.call.entered.nr) in ("accept", "accept4"):
        row = state.socket_of(task.pid, task.call.entered.args[0] & 0xFFFFFFFF)
        if row is not None and row.id in rows:
            return row
    return min(rows.values(), key=lambda row: row.id, default=None)


# ---------------------------------------------------------------- the drawing


def _drawing(state: st.LabState, row: ev.SocketRow, view: View) -> list[Line]:
    large = view.height >= _LARGE
    gap = [EMPTY] if large else []
    return [
        _head(state, row, view),
        _syn_queue(state, row, view),
        *_accept_queue(state, row, view, large=large),
        *gap,
        *_totals(state, row, view),
        *gap,
    ]


def _head(state: st.LabState, row: ev.SocketRow, view: View) -> Line:
    holders = holder_index(state).holders(state, row.inode) if row.inode else []
    others = len(state.listeners) - 1
    line: Line = (("LISTEN ", "listen"), (address(row.local, max(10, view.width - 16)), "path"))
    for span in (
        (f"  fd {holders[0][1]}" + (f" +{len(holders) - 1}" if len(holders) > 1 else ""), "name")
        if holders
        else ("", ""),
        (f"  {plural(others, 'more listener')}: ↑ ↓" if others else "", "dim"),
    ):
        line = (*line, span) if width(line) + len(span[0]) <= view.width else line
    return line


def _label(view: View, full: str, short: str) -> str:
    return f"{full:<14}" if view.width >= 44 else f"{short:<8}"


def _named(state: st.LabState, rows: list[ev.SocketRow]) -> list[str]:
    rows = sorted(rows, key=lambda row: waiting_age(state, row))
    return [client_index(state).at(state, row.remote) for row in rows]


def _syn_queue(state: st.LabState, row: ev.SocketRow, view: View) -> Line:
    rows = state.syn_queue(row)
    line: Line = ((_label(view, "SYN queue", "SYN"), "dim"), (f"{count(len(rows))} ", "number"))
    if not rows:
        return (*line, ("· empty", "free"))
    names = _named(state, rows[:24])
    tiles: list[Span] = [(name if len(name) == 1 else "■", f"{client_role(name)} tile".strip()) for name in names]
    again = max(each.retransmits for each in rows)
    return (*line, *tiles, (f"  SYN-ACK sent again {again}×", "warn") if again else ("", ""))


def _accept_queue(state: st.LabState, row: ev.SocketRow, view: View, *, large: bool) -> list[Line]:
    depth, limit = row.rx_queue, row.tx_queue
    before = state.changed.sockets.get((table_name(state, server_host(state)), row.id))
    moved = before is not None and before.rx_queue != depth
    full = depth > limit
    table = table_name(state, server_host(state))
    names = _named(state, socket_index(state).waiting(state, row, table)) if depth <= 64 else []
    label: Line = ((_label(view, "accept queue", "accept"), "dim"),)
    numbers: Line = (
        (count(depth), "number changed" if moved else "number"), (" of ", "dim"), (f"{count(limit)}  ", "number")
    )  # fmt: skip
    said: Span = ("full: the next SYN is dropped", "warn") if full else (f"room for {count(limit + 1 - depth)}", "dim")
    places = max(depth, limit + 1)
    if large and places * _TILE + 3 <= view.width:
        return [(*label, *numbers, said), *_large(depth, limit, names), _mark(limit)]
    drawn = slots.slots(depth, limit, names, view.width - width((*label, *numbers)))
    line = (*label, *numbers, *drawn)
    if width(line) + len(said[0]) + 2 <= view.width:
        return [(*line, ("  ", ""), said)]
    return [line, (("  ", ""), said)] if full or view.height >= 8 else [line]


def _large(depth: int, limit: int, names: list[str]) -> list[Line]:
    """A tile of three rows for each place; behind the mark the one beyond the backlog."""
    known = names if len(names) == depth else []
    top: list[Span] = [(" ", "")]
    middle: list[Span] = [(" ", "")]
    bottom: list[Span] = [(" ", "")]
    for place in range(max(depth, limit + 1)):
        if place == limit:
            role = "warn" if depth > limit else "dim"
            for line in (top, middle, bottom):
                line.append(("┊", role))
        taken = place < depth
        name = known[place] if known and taken else ""
        text = name if len(name) == 1 else "■" if taken else " "
        role = client_role(name) or ("accept" if taken else "free")
        edge = "╭──╮", "╰──╯"
        top.append((edge[0] if taken else "┌┄┄┐", role))
        middle += [("│" if taken else "┊", role), (f"{text} ", f"strong {role}"), ("│" if taken else "┊", role)]
        bottom.append((edge[1] if taken else "└┄┄┘", role))
    return [tuple(top), tuple(middle), tuple(bottom)]


def _mark(limit: int) -> Line:
    """Where the backlog is: Linux refuses only when the depth exceeds it."""
    cells = 1 + limit * _TILE
    told = f"backlog {count(limit)} "
    return ((f"{told:>{cells}}", "dim"), ("┊", "dim"), (" +1", "dim")) if cells >= len(told) else (
        (" " * cells, ""), ("┊", "dim"), (f" +1 beyond backlog {count(limit)}", "dim"))  # fmt: skip


def _totals(state: st.LabState, row: ev.SocketRow, view: View) -> list[Line]:
    calls = socket_calls(state)
    socket = calls.of_row(state, row)
    accepted = socket.sum(way.ACCEPTED, calls.place(state)).calls if socket is not None else 0
    partly = "≥ " if socket is None or not socket.whole else ""
    host = table_name(state, server_host(state))
    now, first = state.counters.get(host, {}), state.counters_at_start.get(host, {})
    rises = [(name, now[name] - first.get(name, 0), told) for name, told in _COUNTS if name in now]
    dropped = max((rise for _, rise, _ in rises), default=None)
    gap = "   " if view.width >= 56 else "  "
    line: Line = (
        ("accepted ", "dim"), (f"{partly}{count(accepted)}{gap}", "number"),
        ("waiting ", "dim"), (f"{count(row.rx_queue)}{gap}", "number"),
        ("dropped ", "dim"),
        (count(dropped) if dropped is not None else "not read", "number warn" if dropped else "number"),
    )  # fmt: skip
    lines = [line]
    for name, rise, told in rises:
        changed = (host, name) in state.changed.counters
        if rise and view.height >= 8:
            mark: Span = ("*" if changed else " ", "changed")
            line = (mark, (f"{name} ", "dim"), (f"+{count(rise)}", "warn changed" if changed else "warn"))
            fits = width(line) + len(told) + 2 <= view.width
            lines.append((*line, (f"  {told}", "dim")) if fits else line)
    return lines


# ---------------------------------------------------------------- what happened


class _Happened(NamedTuple):
    t: int
    order: int
    said: Line


def _history(state: st.LabState, row: ev.SocketRow, view: View) -> list[Line]:
    """The last things that happened, the newest at the end: time, stop, what."""
    newest = (islice(each, _SHOWN) for each in (_noticed(state, row), _accepts(state, row), _sent_again(state, row)))
    found = sorted((each for some in newest for each in some), key=lambda each: each[:2])
    if not found:
        return words(said("Nothing has happened yet. `connect` connects a client."), view)
    lines: list[Line] = []
    for each in found[-_SHOWN:]:
        stop = state.stop_times.dropped + bisect_right(state.stop_times, each.t)
        when = f"{each.t / 1e9:7.2f} s  stop {stop:<4} " if view.width >= 56 else f"{each.t / 1e9:.1f} s "
        line: Line = ((when, "dim"), *each.said)
        fits = width(line) <= view.width
        lines += [line] if fits else wrap(line, view.width, min(len(when), view.width // 2))
    return lines


def _who(state: st.LabState, remote: str) -> Span:
    name = client_index(state).at(state, remote)
    return (name, f"strong {client_role(name)}") if name else (address(remote, 26), "path")


def _all(state: st.LabState, remotes: list[str], many: int) -> Line:
    """ "a, b, c and 7 more"; `many`: how many there are, of whom perhaps not all are known here."""
    line: list[Span] = []
    for remote in remotes[:6]:
        line += [(", ", "dim")] * bool(line) + [_who(state, remote)]
    if many > 6:
        line.append((f" and {count(many - 6)} more", "dim"))
    return tuple(line)


def _noticed(state: st.LabState, row: ev.SocketRow) -> Iterator[_Happened]:
    log = state.noticed
    port = port_of(row.local)
    last = len(log) - 1
    for place in range(last, max(-1, last - _LOOKED_AT), -1):
        told = log[place]
        if told.what == "client":
            client = state.clients.get(told.name)
            if client is not None and (not client.remote or port_of(client.remote) == port):
                name = safe(told.name)
                yield _Happened(told.t, place, ((name, f"strong {client_role(name)}"), (" connects", "")))
        elif told.what == "dropped":
            rises = ", ".join(f"{name} +{rise}" for name, rise in told.rises.items())
            yield _Happened(told.t, place, (("no room, dropped: ", "warn"), (rises, "")))
        elif told.what in ("waits", "syn", "left"):
            yield from _moved(state, row, told, place)


def _moved(state: st.LabState, row: ev.SocketRow, told: Noticed, place: int) -> Iterator[_Happened]:
    """Connections that came into one of the queues, or left."""
    port = row.local.rpartition(":")[2]
    rows = told.rows[:_NAMED] if len(state.listeners) == 1 else told.rows
    mine = sorted((each for each in rows if each.local.endswith(f":{port}")), key=lambda each: waiting_age(state, each))
    remotes = [each.remote for each in mine]
    many = len(remotes) + len(told.rows) - len(rows)
    if not remotes:
        return
    if told.what == "waits":
        yield _Happened(told.t, place, (*_all(state, remotes, many), (_waits(many, told.depth.get(port, 0)), "")))
    elif told.what == "syn":
        some = " is" if many == 1 else " are"
        yield _Happened(told.t, place, (*_all(state, remotes, many), (f"{some} in the SYN queue", "")))
    else:
        yield from _left(state, told.t, place, remotes)


def _waits(many: int, depth: int) -> str:
    verb = " waits" if many == 1 else " wait"
    if many == 1 and depth:
        return f"{verb} as {_ordinal(depth)}"
    return f"{verb}: {count(depth)} in the queue" if depth else verb


def _ordinal(number: int) -> str:
    tail = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{count(number)}{tail}"


def _left(state: st.LabState, t: int, place: int, remotes: list[str]) -> Iterator[_Happened]:
    """Those that no accept has taken; of a reset the client itself says so."""
    for remote in remotes[:6]:
        if socket_calls(state).accepted(remote, state):
            continue
        client = state.clients.get(client_index(state).at(state, remote))
        how = " by reset" if client is not None and client.phase == "reset" else ""
        yield _Happened(t, place, (_who(state, remote), (f" left the queue{how}", "warn" if how else "")))


def _accepts(state: st.LabState, row: ev.SocketRow) -> Iterator[_Happened]:
    calls = socket_calls(state)
    socket = calls.of_row(state, row)
    until = calls.place(state)
    for each in reversed(socket.accepts if socket is not None else ()):
        if each.place >= until:
            continue
        accepted = calls.row_of(state, each.socket)
        remote = each.peer or (accepted.remote if accepted is not None else "")
        who: Span = _who(state, remote) if remote else ("a connection", "")
        stack = calls.stack(each)
        where = f" at {safe(stack[0].path.rpartition('/')[2])}:{stack[0].line}" if stack and stack[0].line else ""
        yield _Happened(each.t, 1 << 40, (who, (f" accepted by fd {each.fd}", "accept"), (where, "path")))


def _sent_again(state: st.LabState, row: ev.SocketRow) -> Iterator[_Happened]:
    if not len(state.packets):
        return
    port, until = port_of(row.local), state.packets.dropped + len(state.packets)
    for syn in islice(reversed(wire_bytes.wire_bytes(state).syns), _SHOWN):
        if syn.place < until and port_of(syn.server) == port:
            again = f" (the {_ordinal(syn.again)} time)" if syn.again > 1 else ""
            yield _Happened(
                syn.t,
                1 << 41,
                (("SYN of ", ""), _who(state, syn.client), (f" sent again{again}: no answer came", "warn")),
            )
