"""The two queues of each listener: SYN queue, accept queue as slots, and what was dropped for want of room.

In: LISTEN rows (depth and limit as the kernel gives them), the connections that wait, counters. Out: lines.
"""

from __future__ import annotations

from msgspec.structs import replace

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.tui.panels.panel import Panel
from socklab.ui.tui.widgets import more
from socklab.ui.view.formats import (
    address,
    change_of,
    count,
    descriptors_of,
    marker,
    obvious,
    plural,
    server_host,
    table_name,
)
from socklab.ui.view.index import client_index, holder_index, socket_index
from socklab.ui.view.lines import Line, Span, View, client_role, join, plain, width
from socklab.ui.view.pointing import MARK
from socklab.ui.view.slots import slots

DROPS = ("ListenOverflows", "ListenDrops", "TCPReqQFullDrop", "TCPReqQFullDoCookies")
"""Counters of /proc/net/netstat that rise when a listener has no room."""


class QueuesPanel(Panel):
    """The accept queue and the SYN queue of each listener."""

    title_text = "Queues"
    evidence_of = "queues"
    topic = "queues"
    new_at_stop = True

    def number(self, state: st.LabState) -> str:
        """ "5 of 4" with one listener."""
        listeners = state.listeners
        if len(listeners) == 1:
            return f"{count(listeners[0].rx_queue)} of {count(listeners[0].tx_queue)}"
        return f"{len(listeners)} listeners" if listeners else ""

    def nothing(self, state: st.LabState) -> str:
        return "" if state.listeners else no_listener(state)

    def lines(self, state: st.LabState, view: View) -> list[Line]:
        listeners = state.listeners
        lines: list[Line] = []
        shown = listeners[: max(1, view.height // 3)]
        for listener in shown:
            if lines and not view.compact:
                lines.append(())
            lines.extend(_listener(state, listener, view))
        if len(shown) < len(listeners):
            lines.append(((f"… {plural(len(listeners) - len(shown), 'more listener')}", "dim"),))
        dropped = _dropped(state, view)
        if view.maximised:
            for rows in (1, 9):  # each of those who wait in one line, or in as many as it takes
                full = [line for listener in shown for line in _in_full(state, listener, view, rows)]
                lines = more.fits(lines, full, view.height - len(dropped))
        if view.height < 5 and len(dropped) == 1:
            mark, (label, role), *rest = dropped[0]
            both = (*lines[-1], ("  ", ""), mark, (f"{label.rstrip()} ", role), *rest)
            if width(both) <= view.width:
                lines[-1], dropped = both, []
        return [*lines, *dropped]

    def relevance(self, state: st.LabState, call: str) -> int:
        return super().relevance(state, call) or bool(state.listeners)


def no_listener(state: st.LabState) -> str:
    """Why there is no queue to show: what is true of the server's sockets now."""
    task = state.task
    if task is None or task.status == "exited":
        return "No listener: the server is not running."
    table = descriptors_of(state, task.pid)
    idle = [fd for fd, held in table.items() if held.detail.startswith("tcp") and state.socket_of(task.pid, fd) is None]
    if not idle:
        return "No listener: the program has no TCP socket that could listen."
    fd = min(idle)
    return f"fd {fd} is a TCP socket, but it does not listen: /proc/net/tcp does not list it and nobody can connect."


def _listener(state: st.LabState, listener: ev.SocketRow, view: View) -> list[Line]:
    host = server_host(state)
    table = table_name(state, host)
    key = (table, listener.id)
    before = state.changed.sockets.get(key)
    change = change_of(state.changed.sockets, key, listener)
    holders = holder_index(state).holders(state, listener.inode) if listener.inode else []
    mark = MARK if view.pointed == "listener" else " "
    head: list[Span] = [(f"LISTEN{mark}", "listen"), (address(listener.local, max(10, view.width - 16)), "path")]
    if holders:
        head.append((f"  fd {holders[0][1]}", "name"))
    if len(holders) > 1:
        head.append((f" +{len(holders) - 1}", "name"))
    waiting = socket_index(state).waiting(state, listener, table)
    waiting.sort(key=lambda row: waiting_age(state, row))
    depth_changed = change == "changed" and before is not None and before.rx_queue != listener.rx_queue
    return [
        tuple(head),
        *_accept_queue(state, listener, waiting, "changed" if depth_changed else change, view),
        *_syn_queue(state, listener, view),
    ]


def _in_full(state: st.LabState, listener: ev.SocketRow, view: View, most: int) -> list[Line]:
    """With the screen to itself: a row for each that waits, and the settings that decide."""
    if "sockets" in view.hidden:
        return _listener(state, listener, view)
    host = server_host(state)
    waiting, asked = socket_index(state).waiting(state, listener, table_name(state, host)), state.syn_queue(listener)
    if len(waiting) + len(asked) > view.height:
        return _listener(state, listener, view)
    low = replace(view, height=4)  # without the one line of those who wait
    lines: list[Line] = []
    for line in _listener(state, listener, low):
        lines.append(line)
        said = plain(line)
        rows = waiting if "accept queue" in said else asked if "SYN queue" in said else []
        for row in sorted(rows, key=lambda row: waiting_age(state, row)):
            name = client_index(state).at(state, row.remote)
            who: Line = (
                (f"{name:<2} " if name else "   ", client_role(name) or "path"),
                (safe(row.remote), "path"),
                (f"  {st.TCP_STATES.get(row.state, row.state)}", ""),
            )
            lines += more.flow((who, *more.socket(row)), view.width, 3)[:most]
    settings = more.flow(more.limits(state, host), view.width, 3)
    return [*lines, ((" the limit is the smaller of listen's backlog and net.core.somaxconn", "dim"),), *settings]


def waiting_age(state: st.LabState, row: ev.SocketRow) -> tuple[int, int]:
    """The kernel lists no order. Clients are put in the order they began to connect, others by their socket's age."""
    return client_index(state).place(state, client_index(state).at(state, row.remote)), row.id


def _accept_queue(
    state: st.LabState, listener: ev.SocketRow, waiting: list[ev.SocketRow], change: str, view: View
) -> list[Line]:
    depth, limit = listener.rx_queue, listener.tx_queue
    full = depth > limit
    numbers: Line = (
        marker(change),
        (_label(view, "accept queue", "accept"), ""),
        (count(depth), f"number {change}".strip()),
        (" of ", "dim"),
        (count(limit), "number"),
        ("  ", ""),
    )
    said = _room(depth, limit)
    names = [client_index(state).at(state, row.remote) for row in waiting]
    drawn = slots(depth, limit, names, view.width - width(numbers))
    lines: list[Line] = [(*numbers, *drawn)]
    verdict: Span = (said, "warn" if full else "dim")
    if width(lines[0]) + len(said) + 2 <= view.width:
        lines[0] = (*lines[0], ("  ", ""), verdict)
    elif full or view.height >= 6:
        lines.append((("  ", ""), verdict))
    if waiting and view.height >= 5:
        lines.append(_waiting(state, waiting, view))
    return lines


def _label(view: View, full: str, short: str) -> str:
    return f"{full:<13}" if view.width >= 44 else f"{short:<7}"


def _room(depth: int, limit: int) -> str:
    if depth > limit:
        return "full: new SYNs are dropped"
    left = limit + 1 - depth
    return f"room for {count(left)} more" if depth else f"room for {count(left)}"


def _waiting(state: st.LabState, waiting: list[ev.SocketRow], view: View) -> Line:
    """Remote ends of the connections that wait, as many as fit."""
    ports = obvious(state, *(row.remote for row in waiting[:8]))
    spans: list[Span] = [("  waiting ", "dim")]
    used = width(tuple(spans))
    for place, row in enumerate(waiting):
        name = client_index(state).at(state, row.remote)
        role = client_role(name) or "path"
        text = address(row.remote, 26, ports=ports)
        piece = f"{name} {text}" if name else text
        left = len(waiting) - place
        if used + len(piece) + 2 + (len(f"+{left}") if left > 1 else 0) > view.width:
            spans.append((f"+{count(left)}", "dim"))
            break
        spans.append((piece, role))
        spans.append(("  ", ""))
        used += len(piece) + 2
    return tuple(spans)


def _syn_queue(state: st.LabState, listener: ev.SocketRow, view: View) -> list[Line]:
    rows = sorted(state.syn_queue(listener), key=lambda row: waiting_age(state, row))
    host = table_name(state, server_host(state))
    news = [row for row in rows if (host, row.id) in state.changed.sockets]
    change = "new" if any(state.changed.sockets[host, row.id] is None for row in news) else ""
    line: Line = (
        marker(change),
        (_label(view, "SYN queue", "SYN"), ""),
        (count(len(rows)), f"number {change}".strip()),
    )
    if not rows:
        return [line]
    again = max(row.retransmits for row in rows)
    lines = [(*line, (f"  SYN-ACK sent again {again}×", "warn"))] if again else [line]
    if view.height >= 6:
        lines.append(_waiting(state, rows, view))
    return lines


def _dropped(state: st.LabState, view: View) -> list[Line]:
    """How far the kernel's drop counters rose since the lab began, and by how much with the last call."""
    host = table_name(state, server_host(state))
    now, first = state.counters.get(host, {}), state.counters_at_start.get(host, {})
    rises = [(name, now[name] - first.get(name, 0)) for name in DROPS if name in now]
    if not rises:
        return []
    shown = [(name, rise) for name, rise in rises if rise or name == DROPS[0]]
    label = _label(view, "dropped", "drops")
    parts: list[Line] = []
    changes: list[str] = []
    for name, rise in shown:
        before = state.changed.counters.get((host, name))
        step = now[name] - before if before is not None else 0
        changes.append("changed" if step else "")
        role = "warn" if rise else "number"
        part: Line = ((count(rise), f"{role} {changes[-1]}".strip()), (f" {name}", "dim"))
        parts.append((*part, (f" (+{count(step)} now)", "changed")) if step else part)
    together = (marker(max(changes)), (label, ""), *join(parts, ("  ", "")))
    if width(together) <= view.width:
        return [together]
    blank = " " * len(label)
    return [
        (marker(change), (blank if place else label, ""), *part)
        for place, (change, part) in enumerate(zip(changes, parts, strict=True))
    ]
