"""Every TCP socket of the lab's hosts, as the kernel lists it: a panel of very many rows.

In: the tables of LabState. Out: keys in a steady order (listeners, then connections, both ends side by side, the
server's first) and one Line for a key; only visible rows are asked for. Never sorts 10,000 rows twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.tui.panels.panel import Body, Panel
from socklab.ui.tui.widgets.formats import NO_ADDRESS, address, brief, count, fit, marker, obvious
from socklab.ui.tui.widgets.index import CLIENTS, HOLDERS, HOST, SOCKETS
from socklab.ui.tui.widgets.lines import Key, Line, Span, View, client_role, clip, column, width, wrap
from socklab.ui.tui.widgets.virtual_lines import VirtualLines

_RAW = "\0raw"
"""Appended to a host's name with a number: the keys of the /proc line shown under its row."""

_WIDE = 90
"""From here on there is room for hexadecimal states, timers and inodes."""

_STATE_ROLES = {
    st.LISTEN: "listen",
    st.SYN_SENT: "warn",
    st.SYN_RECV: "syn",
    st.NEW_SYN_RECV: "syn",
    st.CLOSE_WAIT: "warn",
}

_HEX = {**{number: f"{number:02X}" for number in st.TCP_STATES}, st.NEW_SYN_RECV: "03"}
"""As /proc/net/tcp prints it, which lists NEW_SYN_RECV as SYN_RECV."""


class SocketsPanel(Panel):
    """Every TCP socket of the hosts."""

    title_text = "Sockets"
    calls = frozenset((
        "connect", "shutdown", "sendfile", "read", "recv", "recvfrom", "recvmsg", "readv",
        "write", "send", "sendto", "sendmsg", "writev",
    ))  # fmt: skip

    def title(self, state: st.LabState, view: View | None = None) -> str:
        """ "Sockets 12"."""
        listed = sum(len(table.rows) for table in state.tables.values())
        return f"{self.title_text} {count(listed)}" if state.tables else self.title_text

    def rows(self, state: st.LabState, view: View) -> Sequence[Key]:
        """Every row's key, in the order they are shown; a row that is gone keeps its place until the next step."""
        keys = SOCKETS.keys(state)
        raw = state.raw
        if raw is None:
            return keys
        for place, (host, id) in enumerate(keys):
            if id == raw.id and (host == raw.host or len(state.tables) == 1):
                lines = len(_raw_lines(raw, view))
                return [*keys[: place + 1], *((f"{host}{_RAW}{n}", id) for n in range(lines)), *keys[place + 1 :]]
        return keys

    def head(self, state: st.LabState, view: View) -> list[Line]:
        """Column titles."""
        titles: Line
        if view.width >= _WIDE:
            ends = _end_cells(view)
            titles = (
                column("", 1),
                column("state", 15),
                column("local", ends + 1),
                column("remote", ends + 1),
                column("Recv-Q", 6, right=True),
                column("Send-Q", 7, right=True),
                ("  ", ""),
                column("timer", 12),
                column("inode", 9, right=True),
                ("  held by", ""),
            )
        elif view.width >= 50:
            titles = (
                column("", 1),
                column("state", 14),
                column("local", _medium_cells(view)[0] + 1),
                column("remote", _medium_cells(view)[1] + 1),
                column("Recv-Q", 6, right=True),
                column("Send-Q", 7, right=True),
                ("  held by", ""),
            )
        else:
            titles = (column("", 1), column("state", 12), column("local", 7), column("remote", 8), ("R/S-Q who", ""))
        return fit([tuple((text, "dim") for text, _ in titles)], view)

    def line(self, state: st.LabState, key: Key, view: View) -> Line:
        """The row of one socket. A key that neither the table nor the last change knows gives an empty line."""
        host, id = key
        if host.endswith(HOST):
            return _heading(state, host.removesuffix(HOST), view)
        if _RAW in host:
            return _raw_line(state, key, view)
        table = state.tables.get(host)
        row = table.rows.get(id) if table is not None else None
        before = state.changed.sockets.get(key)
        if row is not None:
            change = "" if key not in state.changed.sockets else "new" if before is None else "changed"
            if before == row:
                change = ""
        elif before is not None:
            row, change = before, "gone"
        else:
            return ()
        wide, medium = view.width >= _WIDE, view.width >= 50
        build = _wide if wide else _medium if medium else _narrow
        spans = build(state, host, row, before if change == "changed" else None, change, view)
        role = "current " if view.selected == key else ""
        if role:
            spans = tuple((text, role + its) for text, its in spans)
            spans = (("▸" if change == "" else spans[0][0], "current"), *spans[1:])
        return clip(spans, view.width)

    def render(self, state: st.LabState, view: View) -> list[Line]:
        """As much of the panel as fits, for whoever draws no virtual rows."""
        keys = self.rows(state, view)
        if not keys:
            return fit(_nothing(state, view), view)
        room = max(1, view.height - 1)
        shown = keys if len(keys) <= room else keys[: room - 1]
        lines = [*self.head(state, view), *(self.line(state, key, view) for key in shown)]
        if len(keys) > len(shown):
            lines.append(((f" … {count(len(keys) - len(shown))} more", "dim"),))
        return fit(lines, view)

    def body(self, state: st.LabState, view: View) -> Body:
        keys = self.rows(state, view)
        if not keys:
            return super().body(state, view)
        return Body(VirtualLines(keys, lambda key: self.line(state, key, view)), self.head(state, view))

    def moved(self, state: st.LabState) -> bool:
        return bool(state.changed.sockets)

    def choices(self, state: st.LabState, view: View) -> Sequence[Key]:
        return [key for key in self.rows(state, view) if "\0" not in key[0]]  # no headings, no raw lines

    def line_of(self, state: st.LabState, view: View, key: Key) -> int:
        rows = self.rows(state, view)
        return rows.index(key) if key in rows else -1

    def at(self, state: st.LabState, view: View, line: int) -> Key | None:
        key = self.rows(state, view)[line]
        return None if "\0" in key[0] else key


def _heading(state: st.LabState, name: str, view: View) -> Line:
    """ "server 10.0.0.1 ╌╌╌" over the sockets of a host."""
    addresses = next((host.addresses for host in state.header.hosts if host.name == name), ()) if state.header else ()
    text: Line = ((f" {safe(name)}", "title"), (f" {safe(addresses[0])}" if addresses else "", "dim"), (" ", ""))
    return clip((*text, ("╌" * max(0, view.width - width(text)), "rule")), view.width)


def _nothing(state: st.LabState, view: View) -> list[Line]:
    if not state.tables:
        said = "No socket is in /proc/net/tcp: a TCP socket is listed there once it listens or connects."
    else:
        said = "No TCP socket is listed any more."
    return wrap(((said, "dim"),), view.width)


# ---------------------------------------------------------------- one row, at three widths


def _wide(state: st.LabState, host: str, row: ev.SocketRow, old: ev.SocketRow | None, change: str, view: View) -> Line:
    ends = _end_cells(view)
    gone = "gone" if change == "gone" else ""
    return (
        marker(change),
        *_state(row, old, gone),
        (f" {_HEX.get(row.state, '??')} ", gone or "dim"),
        *_ends(state, host, row, ends, ends, gone),
        column(brief(row.rx_queue, 6), 6, _role(row, old, "rx_queue", gone), right=True),
        column(brief(row.tx_queue, 6), 7, _role(row, old, "tx_queue", gone), right=True),
        ("  ", ""),
        column(_timer(row), 12, _role(row, old, "retransmits", gone, "warn" if row.retransmits else "dim")),
        column(str(row.inode) if row.inode else "–", 9, _role(row, old, "inode", gone), right=True),
        ("  ", ""),
        _owner(state, host, row, gone, view.width - 56 - 2 * ends),
    )


def _medium(
    state: st.LabState, host: str, row: ev.SocketRow, old: ev.SocketRow | None, change: str, view: View
) -> Line:
    gone = "gone" if change == "gone" else ""
    again = _again(row)
    return (
        marker(change),
        *_state(row, old, gone),
        column(again or " ", 3, gone or "warn"),
        *_ends(state, host, row, *_medium_cells(view), gone),
        column(brief(row.rx_queue, 5), 6, _role(row, old, "rx_queue", gone), right=True),
        column(brief(row.tx_queue, 5), 7, _role(row, old, "tx_queue", gone), right=True),
        ("  ", ""),
        _owner(state, host, row, gone, view.width - 32 - sum(_medium_cells(view))),
    )


def _narrow(
    state: st.LabState, host: str, row: ev.SocketRow, old: ev.SocketRow | None, change: str, view: View
) -> Line:
    gone = "gone" if change == "gone" else ""
    again = _again(row)
    name, role = _state(row, old, gone)[0]
    if again:
        name = f"{name.rstrip()} {again}"
    queues = f"{brief(row.rx_queue, 4)}/{brief(row.tx_queue, 4)}"
    role_of_queues = _role(row, old, "rx_queue", gone)
    if "changed" not in role_of_queues:
        role_of_queues = _role(row, old, "tx_queue", gone)
    return (
        marker(change),
        column(name, 11, role),
        (" ", ""),
        *_ends(state, host, row, 6, 7, gone),
        column(queues, 6, role_of_queues),
        _owner(state, host, row, gone, max(4, view.width - 34)),
    )


def _end_cells(view: View) -> int:
    return min(26, max(15, (view.width - 73) // 2))


def _medium_cells(view: View) -> tuple[int, int]:
    """Cells of the local and the remote address; below 78 columns only ports fit."""
    return (15, 15) if view.width >= 78 else (7, 9)


def _state(row: ev.SocketRow, old: ev.SocketRow | None, gone: str) -> tuple[Span, ...]:
    name = st.TCP_STATES.get(row.state, f"state {row.state}")
    role = gone or _STATE_ROLES.get(row.state, "")
    if old is not None and old.state != row.state:
        role = f"{role} changed".strip()
    return (column(name, 11, role),)


def _ends(state: st.LabState, host: str, row: ev.SocketRow, local: int, remote: int, gone: str) -> tuple[Span, ...]:
    """Both addresses. A listener's remote end says nothing, so its own address may take the room of both."""
    if row.state == st.LISTEN or row.remote in NO_ADDRESS:
        cells = local + remote + 1
        both = address(row.local, cells)
        if len(both) > local:
            return (column(both, cells, gone or "path"), (" ", ""))
        return (column(both, local, gone or "path"), (" ", ""), column("*", remote, "dim"), (" ", ""))
    ports = local < 15 and obvious(state, row.local, row.remote)
    mine, theirs = CLIENTS.at(state, row.local), CLIENTS.at(state, row.remote)
    return (
        column(address(row.local, local, ports=ports), local, gone or client_role(mine) or "path"),
        (" ", ""),
        column(address(row.remote, remote, ports=ports), remote, gone or client_role(theirs) or "path"),
        (" ", ""),
    )


def _owner(state: st.LabState, host: str, row: ev.SocketRow, gone: str, cells: int) -> Span:
    """Who has a descriptor for the socket; when nobody has, why."""
    if gone:
        return ("gone", "gone")
    client = CLIENTS.of(state, row)
    if row.inode:
        holders = HOLDERS.holders(state, row.inode)
        if holders:
            pid, fd = holders[0]
            several = len({task.pid for task in state.tasks.values() if task.status != "exited"}) > 1
            named = f"{pid} fd {fd}" if several and cells >= 10 else f"fd {fd}"
            more = f" +{len(holders) - 1}" if len(holders) > 1 else ""
            return (named + more, "name")
        if client:
            return (f"client {client}" if cells >= 8 else client, client_role(client))
        return ("another process" if cells >= 15 else "other" if cells >= 5 else "?", "dim")
    said, role = _UNOWNED.get(row.state, _ORPHAN)
    return next((text for text in said if len(text) <= cells), said[-1]), role


_WAITS = ("not accepted yet", "not accepted", "in queue", "wait"), "accept"
_UNOWNED = {
    st.ESTABLISHED: _WAITS,
    st.CLOSE_WAIT: _WAITS,
    st.SYN_RECV: (("SYN queue", "SYN"), "syn"),
    st.NEW_SYN_RECV: (("SYN queue", "SYN"), "syn"),
    st.TIME_WAIT: (("nobody", "–"), "dim"),
}
_ORPHAN = ("nobody: closed", "closed", "–"), "dim"
"""The program closed it, the kernel still ends the connection (an orphan)."""


def _role(row: ev.SocketRow, old: ev.SocketRow | None, field: str, gone: str, plain: str = "") -> str:
    value = getattr(row, field)
    base = gone or plain or ("number" if value else "dim")
    return f"{base} changed" if old is not None and getattr(old, field) != value else base


def _timer(row: ev.SocketRow) -> str:
    """What the kernel's timer of this socket waits for."""
    if not row.timer:
        return ""
    seconds = row.expires_ms / 1000
    left = f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if row.timer == 1 or (row.timer == 2 and row.state in (st.SYN_RECV, st.NEW_SYN_RECV)):
        return f"again {row.retransmits}×" if row.retransmits else f"resend {left}"
    kind = {2: "alive?", 3: "ends", 4: "probe"}.get(row.timer, "timer")
    return f"{kind} {left}"


def _again(row: ev.SocketRow) -> str:
    """ "↻2": sent again twice."""
    return f"↻{min(row.retransmits, 9)}" if row.retransmits else ""


# ---------------------------------------------------------------- the line of /proc/net/tcp


def _raw_lines(raw: ev.RawLine, view: View) -> list[Line]:
    return wrap((("  " + safe(raw.line.strip()), "string"),), view.width, indent=4)


def _raw_line(state: st.LabState, key: Key, view: View) -> Line:
    if state.raw is None:
        return ()
    number = key[0].rpartition(_RAW)[2]
    lines = _raw_lines(state.raw, view)
    return clip(lines[int(number)], view.width) if number.isdigit() and int(number) < len(lines) else ()
