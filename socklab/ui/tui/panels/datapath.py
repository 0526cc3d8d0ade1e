"""The way of one connection's bytes: NIC, receive queue, the program, send queue, NIC, and how often they are copied.

In: the connection of the call in hand, else the chosen one, else the first that a descriptor refers to: its row, the
calls on it, its packets. Out: lines. Counts what was recorded; where something is missing it says "at least".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.tui.panels.panel import Panel
from socklab.ui.tui.widgets import socket_sums as way, wire_bytes
from socklab.ui.tui.widgets.socket_calls import SocketCalls, socket_calls
from socklab.ui.view.formats import address, brief, call_name, count, obvious, plural, server_host, table_name
from socklab.ui.view.index import client_index, holder_index
from socklab.ui.view.lines import EMPTY, Key, Line, Span, View, client_role, column, width, wrap

_LOOKED_AT = 200
"""So many descriptors of the process are looked at for connections."""
_PROCESSES = 8
_BOXES = 74
"""Cells from which on each place is a box."""


class _Path(NamedTuple):
    """One connection, and what is known of its bytes."""

    row: ev.SocketRow
    before: ev.SocketRow | None
    """The row before the program ran last, where it has changed."""
    socket: way.Socket
    calls: SocketCalls
    place: int
    """The calls before it belong to the state."""
    crossed: wire_bytes.Between | None
    name: str
    holders: list[tuple[int, int]]

    def sum(self, kind: str) -> way.Sum:
        return self.socket.sum(kind, self.place)

    def moved(self, kind: str) -> bool:
        """The call before this one did."""
        return self.sum(kind).calls != self.socket.sum(kind, self.place - 1).calls


class DataPathPanel(Panel):
    """Where a connection's bytes are, and where they have been."""

    title_text = "Data path"
    new_at_stop = True
    forgets = True

    def nothing(self, state: st.LabState) -> str:
        if _connection(state, None) is not None:
            return ""
        return "No connection: no descriptor of the program refers to one. accept gives one."

    def absent(self, state: st.LabState) -> str:
        return self.nothing(state)

    def lines(self, state: st.LabState, view: View) -> list[Line]:
        found = _connection(state, view.selected)
        if found is None:
            return []
        path = _path(state, found)
        gap = [] if view.compact else [EMPTY]
        drawn = _boxes(path, view.width) if view.width >= _BOXES and not view.compact else _columns(path, view.width)
        said = (line for spans in _said(state, path, view) for line in wrap(spans, view.width, 5))
        return [_head(state, path, view), *gap, *drawn, *gap, *said]

    def choices(self, state: st.LabState, view: View) -> Sequence[Key]:
        table = table_name(state, server_host(state))
        return [(table, row.id) for row in _held(state)]

    def chosen(self, state: st.LabState, stored: Key | None) -> Key | None:
        found = _connection(state, stored)
        return (table_name(state, server_host(state)), found.id) if found is not None else None

    def row_of(self, state: st.LabState, key: Key | None) -> tuple[str, Key | None]:
        """A connection is a row of the sockets."""
        return "sockets", self.chosen(state, key)


# ---------------------------------------------------------------- which connection


def _connection(state: st.LabState, chosen: Key | None) -> ev.SocketRow | None:
    rows = state.table_of(server_host(state)).rows
    row = rows.get(chosen[1]) if chosen is not None else None
    if row is not None and row.state != st.LISTEN:
        return row
    return _of_call(state) or next(_held(state), None)


def _of_call(state: st.LabState) -> ev.SocketRow | None:
    """The connection that the call in hand is about; of an accept that has returned, the one it gave."""
    task = state.task
    if task is None or task.call is None:
        return None
    from socklab.syscalls.groups import own_fds, returns_fd

    call, calls = task.call, socket_calls(state)
    name = call_name(state, call.entered.nr)
    asked = [(fd, call.entered.t) for fd in own_fds(name, call.entered.args)]
    if call.returned is not None and call.returned.result >= 0 and returns_fd(name):
        asked.append((call.returned.result, call.returned.t))
    for fd, t in asked:
        socket = calls.of_call(state, task, fd, t)
        row = calls.row_of(state, socket) if socket is not None else None
        if row is not None and row.state != st.LISTEN:
            return row
    return None


def _held(state: st.LabState) -> Iterator[ev.SocketRow]:
    """Connections that descriptors refer to: those of the process in focus, lowest first, then the others'."""
    focus = state.task.pid if state.task is not None else 0
    seen: set[int] = set()
    for pid in islice(sorted(state.descriptors, key=lambda pid: pid != focus), _PROCESSES):
        for fd in islice(holder_index(state).fds(state, pid), _LOOKED_AT):
            row = state.socket_of(pid, fd)
            if row is not None and row.state != st.LISTEN and row.id not in seen:
                seen.add(row.id)
                yield row


def _path(state: st.LabState, row: ev.SocketRow) -> _Path:
    calls = socket_calls(state)
    socket = calls.of_row(state, row) or way.Socket(whole=False)
    crossed = wire_bytes.between(state, row.local, row.remote) if len(state.packets) else None
    if crossed is None and len(state.packets):  # the program connected by itself: it is the client of this one
        other = wire_bytes.between(state, row.remote, row.local)
        crossed = wire_bytes.Between(other.down, other.up, other.whole) if other is not None else None
    table = table_name(state, server_host(state))
    before = state.changed.sockets.get((table, row.id))
    name = client_index(state).at(state, row.remote)
    holders = holder_index(state).holders(state, row.inode) if row.inode else []
    return _Path(row, before, socket, calls, calls.place(state), crossed, name, holders)


# ---------------------------------------------------------------- the drawing


class _Place(NamedTuple):
    """One of the five."""

    title: str
    short: str
    bytes: int | None
    """None = not seen."""
    caption: str
    changed: bool = False


def _places(path: _Path) -> list[_Place]:
    """NIC and receive queue on the way in; send queue and NIC on the way out."""
    row, before, crossed = path.row, path.before, path.crossed
    waiting = row.rx_queue - (row.state in st.FIN_CAME and row.rx_queue > 0)
    unacked = row.tx_queue - (row.state in st.FIN_SENT and row.tx_queue > 0)
    received, sent = (
        (False, False) if before is None else (before.rx_queue != row.rx_queue, before.tx_queue != row.tx_queue)
    )
    return [
        _Place("NIC", "NIC", crossed.up.arrived if crossed is not None else None, "arrived"),
        _Place("receive queue", "receive", waiting, "waiting", received),
        _Place("send queue", "send", unacked, "not acked", sent),
        _Place("NIC", "NIC", crossed.down.sent if crossed is not None else None, "left"),
    ]


def _program(path: _Path) -> tuple[int, int]:
    """Bytes the program has in its own memory from there, and those it gave from there."""
    return path.sum(way.IN).bytes, path.sum(way.OUT).bytes + path.sum(way.ZEROCOPY).bytes


def _amount(number: int | None, cells: int) -> str:
    if number is None:
        return "not seen" if cells >= 8 else "?"
    return f"{brief(number, max(4, cells - 2))} B"


def _role(place: _Place) -> str:
    return "dim" if place.bytes is None else "number changed" if place.changed else "number"


def _columns(path: _Path, cells: int) -> list[Line]:
    """Three lines: the places, what comes in, what goes out."""
    each = (cells - 8) // 5
    places = _places(path)
    read, wrote = _program(path)
    long = each >= 7
    titles = ("NIC", places[1].short if long else "queue", "program" if long else "prog",
              places[2].short if long else "queue", "NIC")  # fmt: skip
    lines: list[list[Span]] = [[], [], []]
    come = [
        (places[0].bytes, _role(places[0])),
        (places[1].bytes, _role(places[1])),
        (read, _program_role(path, way.IN)),
    ]
    go = [
        (wrote, _program_role(path, way.OUT)),
        (places[2].bytes, _role(places[2])),
        (places[3].bytes, _role(places[3])),
    ]
    for place, title in enumerate(titles):
        lines[0].append(column(title, each + 2 * (place < 4), "dim"))
        for line, values, first in ((lines[1], come, 0), (lines[2], go, 2)):
            index = place - first
            if index < 0:
                line.append((" " * (each + 2), ""))
            elif index < 3:
                amount, role = values[index]
                line += [column(_amount(amount, each), each, role), ("▶ " if index < 2 else "", "strong")]
    return [tuple(line) for line in lines]


def _program_role(path: _Path, kind: str) -> str:
    return "number changed" if path.moved(kind) else "number"


def _boxes(path: _Path, cells: int) -> list[Line]:
    """Five boxes with arrows between them."""
    size = min(18, (cells - 8) // 5)
    inner = size - 3
    places = _places(path)
    read, wrote = _program(path)
    words = ("read", "wrote") if inner >= 12 else ("in", "out")
    middle: list[list[Span]] = [
        [column(f"{words[0]} {_amount(read, inner - len(words[0]) - 1)}", inner, _program_role(path, way.IN))],
        [column(f"{words[1]} {_amount(wrote, inner - len(words[1]) - 1)}", inner, _program_role(path, way.OUT))],
    ]
    boxes: list[tuple[str, list[list[Span]]]] = [
        (each.title if size > len(places[1].title) + 1 else each.short,
         [[column(_amount(each.bytes, inner), inner, _role(each))], [column(each.caption, inner, "dim")]])
        for each in places
    ]  # fmt: skip
    boxes.insert(2, ("program", middle))
    lines: list[list[Span]] = [[], [], [], [], []]
    for place, (title, rows) in enumerate(boxes):
        last = place == len(boxes) - 1
        lines[0].append(column(f" {title}", size + 2 * (not last), "strong" if place == 2 else "dim"))
        lines[1].append((f"╭{'─' * (size - 2)}╮" + "  " * (not last), "rule"))
        lines[2] += [("│ ", "rule"), *rows[0], ("│", "rule"), ("" if last else "─▶", "strong")]
        lines[3] += [("│ ", "rule"), *rows[1], ("│" + "  " * (not last), "rule")]
        lines[4].append((f"╰{'─' * (size - 2)}╯" + "  " * (not last), "rule"))
    return [tuple(line) for line in lines]


# ---------------------------------------------------------------- in words


def _head(state: st.LabState, path: _Path, view: View) -> Line:
    row = path.row
    role = client_role(path.name)
    word = st.TCP_STATES.get(row.state, f"state {row.state}")
    fds = [f"fd {fd}" + (f" of {pid}" if len({p for p, _ in path.holders}) > 1 else "") for pid, fd in path.holders[:3]]
    more = f" +{len(path.holders) - 3}" if len(path.holders) > 3 else ""
    name: Line = ((f"{path.name} ", f"strong {role}"),) if path.name else ()
    cells = max(8, view.width - 30)
    where = address(row.remote, min(26, cells), ports=obvious(state, row.remote))
    line: Line = (*name, (where, "path"), (f"  {word}", ""))
    held = f"  {', '.join(fds) or 'no descriptor'}{more}"
    return (*line, (held, "name" if fds else "dim")) if width(line) + len(held) <= view.width else line


_IN = (
    (way.IN, "read by", "copied from the kernel to the program's buffer"),
    (way.PEEKED, "seen with MSG_PEEK by", "copied, and they stay in the queue"),
    (way.DISCARDED, "taken with MSG_TRUNC by", "thrown away in the kernel, no copy"),
    (way.SPLICED_IN, "spliced to a pipe by", "they stay in the kernel, no copy to the program"),
)
_OUT = (
    (way.OUT, "written by", "copied from the program's buffer to the kernel"),
    (
        way.SENT_FILE,
        "of a file by sendfile,",
        "from the page cache to the send queue in the kernel, no copy to the program",
    ),
    (way.SPLICED_OUT, "spliced from a pipe by", "they stay in the kernel, no copy to the program"),
    (
        way.ZEROCOPY,
        "with MSG_ZEROCOPY by",
        "sent from the program's own pages, unless the kernel has to copy them later",
    ),
)
_COPIES = (way.IN, way.PEEKED, way.OUT)


def _said(state: st.LabState, path: _Path, view: View) -> Iterator[Line]:
    yield from _direction("in   ", _IN, path)
    end = path.sum(way.END)
    if end.calls:
        yield (("     ", ""), (f"{plural(end.calls, 'read')} gave 0: the other side has sent its FIN", "dim"))
    yield from _direction("out  ", _OUT, path)
    copies = [path.sum(kind) for kind in _COPIES]
    calls, size = sum(each.calls for each in copies), sum(each.bytes for each in copies)
    if calls:
        pids = sum(first < path.place for first in path.socket.pids.values())
        by = f" by {pids} processes" if pids > 1 else ""
        yield (
            (f"{plural(calls, 'copy', 'copies')} ", "number"),
            ("between kernel and program: ", ""),
            (f"{count(size)} B", "number"),
            (f"{by}, one for each call" if calls > 1 else "", "dim"),
        )
    yield from _wire(state, path)
    client = state.clients.get(path.name)
    if client is not None:
        yield (
            (f"{safe(path.name)} ", f"strong {client_role(path.name)}"),
            (f"sent {count(client.sent)} B, received {count(client.received)} B", ""),
        )
    yield from _missing(state, path)


def _direction(head: str, kinds: Sequence[tuple[str, str, str]], path: _Path) -> Iterator[Line]:
    found = [(words, told, path.sum(kind)) for kind, words, told in kinds if path.sum(kind).calls]
    if not found:
        yield ((head, "dim"), ("nothing read yet" if kinds is _IN else "nothing written yet", "dim"))
    for place, (words, told, total) in enumerate(found):
        yield (
            (head if not place else "     ", "dim"),
            (f"{count(total.bytes)} B ", "number"),
            (f"{words} {plural(total.calls, 'call')}: ", ""),
            (told, "dim"),
        )


def _wire(state: st.LabState, path: _Path) -> Iterator[Line]:
    crossed = path.crossed
    if crossed is None:
        told = "no packet of it was seen" if len(state.packets) else "packets are not seen in this network"
        yield (("wire ", "dim"), (told, "dim"))
        return
    for each, whither in ((crossed.up, "to the program's host"), (crossed.down, "to the other host")):
        lost = f", {plural(each.dropped, 'packet')} dropped" if each.dropped else ""
        if each.sent != each.arrived or lost:
            yield (("wire ", "dim"), (f"{count(each.arrived)} of {count(each.sent)} B arrived {whither}{lost}", "warn"))


def _missing(state: st.LabState, path: _Path) -> Iterator[Line]:
    """What the counts can't hold."""
    if not path.socket.whole:
        yield (("At least: ", "warn"), ("calls on it before those recorded are not counted.", "dim"))
    if path.crossed is not None and not path.crossed.whole:
        yield (("At least: ", "warn"), ("its first packets were not seen, or are kept no more.", "dim"))
    for kind, name in ((way.MESSAGES_IN, "recvmmsg"), (way.MESSAGES_OUT, "sendmmsg")):
        if path.sum(kind).calls:
            yield (("At least: ", "warn"), (f"of {name} the kernel tells messages, not bytes.", "dim"))
    rings = (state.descriptors.get(pid, st.NO_DESCRIPTORS) for pid in {pid for pid, _ in path.holders})
    if any(descriptor.ring is not None for table in rings for descriptor in islice(table.values(), _LOOKED_AT)):
        yield (("At least: ", "warn"), ("an io_uring reads and writes without a call for each.", "dim"))
