"""Every TCP socket of the lab's hosts, as the kernel lists it: a panel of very many rows.

In: the tables of LabState. Out: keys in a steady order (listeners, then connections, both ends side by side, the
server's first) and one Line for a key; only visible rows are asked for. Never sorts 10,000 rows twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.tui.panels.panel import RowsPanel
from socklab.ui.view.formats import NO_ADDRESS, address, brief, change_of, chosen, count, marker, obvious
from socklab.ui.view.index import HOST, client_index, holder_index, socket_index
from socklab.ui.view.lines import Key, Line, Span, View, client_role, clip, column, width
from socklab.ui.view.pointing import MARK, at_socket

_WIDE = 90
"""From here on there is room for hexadecimal states, timers and inodes."""

_WIDEST = 118
"""From here on also for the memory of both buffers."""

_STATE_ROLES = {
    st.LISTEN: "listen",
    st.SYN_SENT: "strong",
    st.SYN_RECV: "syn",
    st.NEW_SYN_RECV: "syn",
    st.CLOSE_WAIT: "warn",
}

_HEX = {**{number: f"{number:02X}" for number in st.TCP_STATES}, st.NEW_SYN_RECV: "03"}
"""As /proc/net/tcp prints it, which lists NEW_SYN_RECV as SYN_RECV."""


class SocketsPanel(RowsPanel):
    """Every TCP socket of the hosts."""

    title_text = "Sockets"
    evidence_of = "sockets"
    topic = "sockets"

    def number(self, state: st.LabState) -> str:
        return count(sum(len(table.rows) for table in state.tables.values())) if state.tables else ""

    def rows(self, state: st.LabState, view: View) -> Sequence[Key]:
        """A row that is gone keeps its place until the next step."""
        return socket_index(state).keys(state)

    def head(self, state: st.LabState, view: View) -> list[Line]:
        titles = (column(each.title, each.cells, "dim", right=each.right) for each in _columns(view.width))
        return [clip(((" ", "dim"), *titles), view.width)]

    def line(self, state: st.LabState, key: Key, view: View) -> Line:
        host, id = key
        if host.endswith(HOST):
            return _heading(state, host.removesuffix(HOST), view)
        table = state.tables.get(host)
        row = table.rows.get(id) if table is not None else None
        before = state.changed.sockets.get(key)
        change = change_of(state.changed.sockets, key, row)
        row = row or before
        if row is None:
            return ()
        old = before if change == "changed" else None
        pointed = bool(view.pointed) and at_socket(state, view.pointed, row)
        shown = _Shown(state, row, old, "gone" if change == "gone" else "", pointed)
        spans = [marker(change)]
        for _, cells, draw, _ in _columns(view.width):
            spans += draw(shown, cells)
        if view.selected == key:
            return clip(chosen(tuple(spans), spans[0][0] if change else "▸"), view.width)
        return clip(tuple(spans), view.width)

    def nothing(self, state: st.LabState) -> str:
        if not state.tables:
            return "No socket is in /proc/net/tcp: a TCP socket is listed there once it listens or connects."
        return "No TCP socket is listed any more."

    def moved(self, state: st.LabState) -> bool:
        return bool(state.changed.sockets)

    def choices(self, state: st.LabState, view: View) -> Sequence[Key]:
        return [key for key in self.rows(state, view) if "\0" not in key[0]]  # no headings

    def at(self, state: st.LabState, view: View, line: int) -> Key | None:
        key = super().at(state, view, line)
        return None if key is None or "\0" in key[0] else key


def _heading(state: st.LabState, name: str, view: View) -> Line:
    """ "server 10.0.0.1 ╌╌╌" over the sockets of a host."""
    addresses = next((host.addresses for host in state.header.hosts if host.name == name), ()) if state.header else ()
    text: Line = ((f" {safe(name)}", "title"), (f" {safe(addresses[0])}" if addresses else "", "dim"), (" ", ""))
    return clip((*text, ("╌" * max(0, view.width - width(text)), "rule")), view.width)


# ---------------------------------------------------------------- columns, at three widths


class _Shown(NamedTuple):
    """One row, and what it was before the last call if that changed it; `gone` is the role of a row that is gone."""

    state: st.LabState
    row: ev.SocketRow
    old: ev.SocketRow | None
    gone: str
    pointed: bool = False
    """The lesson's step points at it."""

    def role(self, field: str, plain: str = "") -> str:
        """The role of one of its numbers."""
        value = getattr(self.row, field)
        base = self.gone or plain or ("number" if value else "dim")
        return f"{base} changed" if self.old is not None and getattr(self.old, field) != value else base


class _Column(NamedTuple):
    """A title over so many cells, and what stands there for a row."""

    title: str
    cells: int
    draw: Callable[[_Shown, int], Line]
    right: bool = False


@lru_cache(maxsize=8)
def _columns(width: int) -> tuple[_Column, ...]:
    """The columns of a panel so wide; the title of the last one is cut by the edge."""
    if width >= _WIDE:
        more = (_buffer("receive buf", "receive"), _buffer("send buf", "send")) if width >= _WIDEST else ()
        buffers = sum(each.cells for each in more)
        ends = min(26, max(15, (width - 73 - buffers) // 2))
        return (
            _Column("state", 11, _state),
            _Column("", 4, _hexadecimal),
            _ends(ends, ends),
            _queue("Recv-Q", 6, "rx_queue", 6),
            _queue("Send-Q", 7, "tx_queue", 6),
            *more,
            _Column("", 2, _blank),
            _Column("timer", 12, _timer),
            _Column("inode", 9, _inode, right=True),
            _Column("", 2, _blank),
            _Column("held by", width - 56 - 2 * ends - buffers, _owner),
        )
    if width >= 50:
        local, remote = (15, 15) if width >= 78 else (7, 9)  # below 78 columns only ports fit
        return (
            _Column("state", 11, _state),
            _Column("", 3, _again),
            _ends(local, remote),
            _queue("Recv-Q", 6, "rx_queue", 5),
            _queue("Send-Q", 7, "tx_queue", 5),
            _Column("", 2, _blank),
            _Column("held by", width - 32 - local - remote, _owner),
        )
    return (
        _Column("state", 12, _state_again),
        _ends(6, 7),
        _Column("R/S-Q", 6, _both_queues),
        _Column("who", max(4, width - 34), _owner),
    )


def _blank(_shown: _Shown, cells: int) -> Line:
    return ((" " * cells, ""),)


def _state(shown: _Shown, cells: int, also: str = "") -> Line:
    row, old = shown.row, shown.old
    name = st.TCP_STATES.get(row.state, f"state {row.state}")
    role = shown.gone or _STATE_ROLES.get(row.state, "")
    if old is not None and old.state != row.state:
        role = f"{role} changed".strip()
    return (column(f"{name}{also}", cells, role),)


def _hexadecimal(shown: _Shown, _cells: int) -> Line:
    return ((f" {_HEX.get(shown.row.state, '??')} ", shown.gone or "dim"),)


def _again(shown: _Shown, cells: int) -> Line:
    return (column(_times(shown.row), cells, shown.gone or "warn"),)


def _state_again(shown: _Shown, cells: int) -> Line:
    return (*_state(shown, cells - 1, f" {_times(shown.row)}".rstrip()), (" ", ""))


def _times(row: ev.SocketRow) -> str:
    """ "↻2": sent again twice."""
    return f"↻{min(row.retransmits, 9)}" if row.retransmits else ""


def _queue(title: str, cells: int, field: str, digits: int) -> _Column:
    def draw(shown: _Shown, cells: int) -> Line:
        return (column(brief(getattr(shown.row, field), digits), cells, shown.role(field), right=True),)

    return _Column(title, cells, draw, right=True)


def _buffer(title: str, which: str) -> _Column:
    """ "2.3K/131K": memory that the buffer takes and may take; "–" where it was not read."""

    def draw(shown: _Shown, cells: int) -> Line:
        used, limit = getattr(shown.row, f"{which}_used"), getattr(shown.row, f"{which}_limit")
        text = f"{brief(used, 4)}/{brief(limit, 4)}" if limit else "–"
        return (column(text, cells, shown.role(f"{which}_used", "number" if used else "dim"), right=True),)

    return _Column(title, 12, draw, right=True)


def _both_queues(shown: _Shown, cells: int) -> Line:
    role = max(shown.role("rx_queue"), shown.role("tx_queue"), key=lambda role: "changed" in role)
    return (column(f"{brief(shown.row.rx_queue, 4)}/{brief(shown.row.tx_queue, 4)}", cells, role),)


def _inode(shown: _Shown, cells: int) -> Line:
    return (column(str(shown.row.inode) if shown.row.inode else "–", cells, shown.role("inode"), right=True),)


def _ends(local: int, remote: int) -> _Column:
    """Both addresses. A listener's remote end says nothing, so its own address may take the room of both."""

    def draw(shown: _Shown, cells: int) -> Line:
        state, row, _, gone, _ = shown
        if row.state == st.LISTEN or row.remote in NO_ADDRESS:
            both = address(row.local, cells - 1)
            if len(both) > local:
                return (column(both, cells - 1, gone or "path"), (" ", ""))
            return (column(both, local, gone or "path"), (" ", ""), column("*", remote, "dim"), (" ", ""))
        ports = local < 15 and obvious(state, row.local, row.remote)
        spans: list[Span] = []
        for end, size in ((row.local, local), (row.remote, remote)):
            role = gone or client_role(client_index(state).at(state, end)) or "path"
            spans += [column(address(end, size, ports=ports), size, role), (" ", "")]
        return tuple(spans)

    return _Column(f"{'local':<{local + 1}}remote", local + remote + 2, draw)


def _owner(shown: _Shown, cells: int) -> Line:
    if shown.gone:
        return (("gone", "gone"),)
    if shown.pointed:
        return (MARK, "strong"), _holder(shown.state, shown.row, cells - 1)
    return (_holder(shown.state, shown.row, cells),)


def _holder(state: st.LabState, row: ev.SocketRow, cells: int) -> Span:
    """Who has a descriptor for the socket; when nobody has, why."""
    client = client_index(state).of(state, row)
    if row.inode:
        holders = holder_index(state).holders(state, row.inode)
        if holders:
            pid, fd = holders[0]
            several = len({task.pid for task in state.tasks.values() if task.status != "exited"}) > 1
            named = f"{pid} fd {fd}" if several and cells >= 10 else f"fd {fd}"
            more = f" +{len(holders) - 1}" if len(holders) > 1 else ""
            return (named + more, "name")
        if client:
            return (f"client {client}" if cells >= 8 else client, client_role(client))
        command = _command(state)
        if command:
            return (safe(command) if len(command) <= cells else safe(command)[: cells - 1] + "…", client_role(command))
        return ("another process" if cells >= 15 else "other" if cells >= 5 else "?", "dim")
    said, role = _UNOWNED.get(row.state, _ORPHAN)
    return next((text for text in said if len(text) <= cells), said[-1]), role


def _command(state: st.LabState) -> str:
    """The program of `!` that runs, where there is one and hosts of the lab's own: nobody else can hold the socket."""
    if state.header is None or state.header.network == "machine":
        return ""
    running = [client.name for client in state.clients.values() if client.phase == "running"]
    return running[0] if len(running) == 1 else "a command" if running else ""


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


def _timer(shown: _Shown, cells: int) -> Line:
    plain = "warn" if shown.row.retransmits else "dim"
    return (column(_timer_words(shown.row), cells, shown.role("retransmits", plain)),)


def _timer_words(row: ev.SocketRow) -> str:
    """What the kernel's timer of this socket waits for."""
    if not row.timer:
        return ""
    seconds = row.expires_ms / 1000
    left = f"{seconds / 60:.0f}min" if seconds >= 999.5 else f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if row.timer == 1 or (row.timer == 2 and row.state in (st.SYN_RECV, st.NEW_SYN_RECV)):
        return f"again {row.retransmits}×" if row.retransmits else f"resend {left}"
    kind = {2: "alive?", 3: "ends", 4: "probe"}.get(row.timer, "timer")
    return f"{kind} {left}"
