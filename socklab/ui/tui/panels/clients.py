"""The clients: what each is doing, the kernel's word for its connection, bytes there and back, errors by name.

In: Client events and the clients' own rows in the socket tables. Out: a line or two for each; of very many, the
first, the newest, and how many are in which phase. Colours follow a client through every panel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.tui.panels.panel import Panel
from socklab.ui.tui.widgets import more
from socklab.ui.view.formats import address, count, error_words, obvious, plural
from socklab.ui.view.index import client_index
from socklab.ui.view.lines import Key, Line, Span, View, client_role, clip, column, pad, width
from socklab.ui.view.pointing import MARK, at_client

_PHASE_ROLES = {"open": "good", "connecting": "strong", "failed": "bad", "reset": "warn", "running": "good"}
_OVER = ("closed", "reset", "failed", "done")
_MANY = 40


_CELL = 24
"""Cells one client needs in the grid; from _ROOMY on its port is there too."""
_ROOMY = 32


class ClientsPanel(Panel):
    """The clients of the lab, one by one."""

    title_text = "Clients"
    evidence_of = "clients"
    follow = True

    def number(self, state: st.LabState) -> str:
        return count(len(state.clients)) if state.clients else ""

    def nothing(self, state: st.LabState) -> str:
        return "" if state.clients else "No client yet."

    def lines(self, state: st.LabState, view: View) -> Iterable[Line]:
        clients = state.clients
        if len(clients) > _MANY:
            return _many(state, view)
        told = [line for client in clients.values() for line in _client(state, client, view)]
        if view.maximised:
            full = [line for client in clients.values() for line in _in_full(state, client, view)]
            told = more.fits(told, full, view.height)
        if len(told) > view.height and (view.selected is None or view.selected[0] not in clients):
            return _grid(state, view) or told
        return told

    def choices(self, state: st.LabState, view: View) -> Sequence[Key]:
        return [(name, 0) for name in state.clients]


def _many(state: st.LabState, view: View) -> Iterator[Line]:
    """How many are in which phase; the first and the newest."""
    clients = state.clients
    spans: list[Span] = []
    for phase, number in client_index(state).phases(state):
        spans += [(f"{count(number)} ", "number"), (f"{safe(phase)}  ", _PHASE_ROLES.get(phase, ""))]
    yield tuple(spans)
    room = min(max(2, view.height - 2), 200)
    for name in islice(clients, room // 2):
        yield _client(state, clients[name], view)[0]
    yield ((f"… {count(len(clients) - room)} more", "dim"),)
    for name in [*islice(reversed(clients), room - room // 2)][::-1]:
        yield _client(state, clients[name], view)[0]


def _grid(state: st.LabState, view: View) -> list[Line]:
    """Several clients a line, where one a line is too many: each with the one word that tells most of it."""
    clients = list(state.clients.values())
    fitting = range(2, view.width // _CELL + 1)
    if not fitting:
        return []
    columns = next((each for each in fitting if -(-len(clients) // each) <= view.height), fitting[-1])
    room = min(view.width // columns, 40)
    cells = [pad(clip(_cell(state, client, view, room >= _ROOMY), room - 1), room) for client in clients]
    rows = -(-len(cells) // columns)
    # Down first, then to the right, as `ls` does: neighbours stay neighbours.
    return [tuple(span for cell in cells[row::rows] for span in cell) for row in range(rows)]


def _cell(state: st.LabState, client: ev.Client, view: View, roomy: bool) -> Line:
    row = _row_of(state, client)
    colour = client_role(client.name) or "name"
    role = _PHASE_ROLES.get(client.phase, "")
    said: Line
    if client.errno:
        said = ((error_words(client.errno)[0], "bad"),)
    elif client.phase == "done":
        said = ((f"exit status {client.code}", "good" if client.code == 0 else "bad"),)
    elif row is not None and client.phase in ("open", "connecting", "half-closed"):
        name = st.TCP_STATES.get(row.state, f"state {row.state}")
        said = (column(name, 12, "" if client.phase == "open" else role),)
        if row.retransmits:
            said = ((name, role), (f" again {row.retransmits}×", role))
        if roomy:
            said = (
                column("".join(text for text, _ in said), 21, said[0][1]),
                (address(row.local, 7, ports=True), colour),
            )
    else:
        said = ((safe(client.phase), role),)
    return (_name(client, view, colour), *said)


def _name(client: ev.Client, view: View, role: str) -> Span:
    if view.selected == (client.name, 0):
        return f"{MARK}{safe(client.name):<2}", "current"
    if at_client(view.pointed, client.name):
        return f"{MARK}{safe(client.name):<2}", f"{role} tile"
    return f"{safe(client.name):<2} ", f"strong {role}"


def _row_of(state: st.LabState, client: ev.Client) -> ev.SocketRow | None:
    """The kernel's row of the client's own socket."""
    if not client.local and not client.inode:
        return None
    table = state.table_of(client.host)
    id = table.by_inode.get(client.inode) if client.inode else None
    if id is None:
        id = table.by_ends.get((client.local, client.remote))
    return table.rows.get(id) if id is not None else None


def _client(state: st.LabState, client: ev.Client, view: View) -> list[Line]:
    role = client_role(client.name) or "name"
    name = _name(client, view, role)
    if client.argv:
        return _command(client, name, role)
    row = _row_of(state, client)
    spans: list[Span] = [name, column(safe(client.phase), 11, _PHASE_ROLES.get(client.phase, ""))]
    if row is not None:
        spans.append((" ", ""))
        spans.append(column(st.TCP_STATES.get(row.state, f"state {row.state}"), 12 if view.width >= 50 else 11, ""))
    elif view.width >= 70 or (view.width >= 50 and not client.errno):
        spans.append((" " * 13, ""))
    if view.width >= 50 and client.local:
        ports = view.width < 90 and obvious(state, client.local)
        text = address(client.local, 23, ports=ports)
        spans.append(column(text, 7 if ports else 17, role))
    tail = _bytes(client)
    if row is not None and row.retransmits:
        tail = (*tail, (f" {'sent ' if view.width >= 50 else ''}again {row.retransmits}×", "warn"))
    tail = (*tail, *_error(client))
    if client.eof and client.phase not in _OVER:
        tail = (*tail, (" end of stream", "dim"))
    first: Line = tuple(spans)
    if width(first) + width(tail) > view.width and (client.errno or len(tail) > 2):
        lines = [clip(first, view.width), (("   ", ""), *(tail if tail[0][0] else tail[1:]))]
    else:
        lines = [(*first, *tail)]
    if client.tail:
        quoted = _said(client)
        room = view.width - width(lines[-1]) - 2
        if room >= 20:
            lines[-1] = (*lines[-1], ("  ", ""), *clip(quoted, room))
        else:
            lines.append((("   ", ""), *quoted))
    return lines


def _in_full(state: st.LabState, client: ev.Client, view: View) -> list[Line]:
    """With all that the kernel's table says of its own socket."""
    lines = _client(state, client, view)
    row = _row_of(state, client)
    if row is None or "sockets" in view.hidden:
        return lines
    ends: Line = ((safe(row.local), "path"), (" → ", "dim"), (safe(row.remote), "path"))
    return [*lines, *more.flow((ends, *more.socket(row)), view.width, 3)]


def _error(client: ev.Client) -> Line:
    named, meaning = error_words(client.errno) if client.errno else ("", "")
    return ((f" {named}", "bad"), (f" {meaning}", "")) if named else ()


def _said(client: ev.Client) -> Line:
    """The end of what has come to it."""
    return ('"', "dim"), (safe(client.tail), "string"), ('"', "dim")


def _bytes(client: ev.Client) -> Line:
    """How much went each way; nothing while nothing did."""
    if not client.sent and not client.received:
        return ()
    spans: list[Span] = []
    if client.sent:
        spans += [(" sent ", "dim"), (count(client.sent), "number")]
    if client.received:
        spans += [(" got ", "dim"), (count(client.received), "number")]
    return tuple(spans)


def _command(client: ev.Client, name: Span, role: str) -> list[Line]:
    """A real program, and how it ended."""
    shown = [safe(word) for word in client.argv]
    line = " ".join(f'"{word}"' if " " in word or not word else word for word in shown)
    first: Line = (name, ("! ", "dim"), (line, role))
    if client.phase == "done":
        good = client.code == 0
        status: Line = (("   ", ""), (f"exit status {client.code}", "good" if good else "bad"))
    elif client.phase == "running":
        status = (("   ", ""), ("running", "good"), (f" pid {client.pid}" if client.pid else "", "dim"))
    else:
        status = (("   ", ""), (safe(client.phase), _PHASE_ROLES.get(client.phase, "")))
    if client.errno:
        status = (*status, (" ", ""), *_error(client))
    if client.received:
        status = (*status, (f"  {plural(client.received, 'byte')} of output", "dim"))
    lines = [first, status]
    if client.tail:
        lines.append((("   ", ""), *_said(client)))
    return lines
