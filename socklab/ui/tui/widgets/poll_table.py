"""The table of the call card for select, poll and epoll: what is watched, what for, and what came back ready;
for io_uring: what lies in its queues.

In: the call, and for epoll and io_uring what fdinfo of its instance gives. Out: a line a descriptor; what is ready
comes first when not all fit. No panel of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.view.formats import address, arch, count, descriptors_of, obvious
from socklab.ui.view.index import client_index
from socklab.ui.view.lines import Line, Span, View, client_role, clip, column, wrap

if TYPE_CHECKING:
    from socklab.syscalls.watching import Watched

LISTS = ("fds", "readfds", "writefds", "exceptfds", "events", "nfds")
"""Arguments that the table tells."""


def table(state: st.LabState, task: st.Task, call: st.Call, view: View, room: int) -> list[Line]:
    """In at most `room` lines; none for any other call, or when there is nothing to tell."""
    from socklab.syscalls import watching

    instance = descriptors_of(state, task.pid).get(call.entered.args[0] & 0xFFFFFFFF)
    rows = watching.watched(arch(state), call.entered, call.returned, instance.watches if instance is not None else ())
    if not rows:
        return _ring(instance, view) if instance is not None and instance.ring is not None else []
    done = rows[0].ready is not None
    shown = rows
    if len(rows) > max(3, room) - 1:
        first = [row for row in rows if row.ready] + [row for row in rows if not row.ready]
        kept = first[: max(3, room) - 2]
        shown = [row for row in rows if row in kept]
    wanted = max(3, *(len(row.wanted) for row in shown))
    ready = max(5, *(len(row.ready or "") for row in shown)) + 2 if done else 0
    what = view.width - 8 - wanted - 2 - ready
    heads = column("watched", max(0, what), "dim"), ("  ", ""), column("for", wanted, "dim")
    lines: list[Line] = [(("    fd  ", "dim"), *heads, ("  ready" if done else "", "dim"))]
    lines += [_row(state, task, row, what, wanted, done) for row in shown]
    left_out = len(rows) - len(shown)
    if left_out or (instance is not None and instance.watches_more):
        unseen = sum(bool(row.ready) for row in rows) - sum(bool(row.ready) for row in shown)
        more = f"{count(left_out)} more" if left_out else "more"
        lines.append(((f"        {more}" + (f", {unseen} of them ready" if unseen else ""), "dim"),))
    return [clip(line, view.width) for line in lines]


def _ring(instance: ev.Descriptor, view: View) -> list[Line]:
    """What lies in an io_uring now; the call itself names none of it."""
    from socklab.syscalls import rings

    told = rings.lines(instance.ring) if instance.ring is not None else []
    return [line for text in told for line in wrap(((safe(text), ""),), view.width, indent=2)]


def _row(state: st.LabState, task: st.Task, row: Watched, what: int, wanted: int, done: bool) -> Line:
    mark: Span = ("✓ ", "good") if row.ready else ("  ", "")
    text, role = _what(state, task, row, what)
    line: Line = (
        mark,
        column(str(row.fd) if row.fd >= 0 else "?", 4, "number", right=True),
        ("  ", ""),
        column(text, max(0, what), role),
        ("  ", ""),
        column(safe(row.wanted), wanted, "name"),
    )
    if not done:
        return line
    return (*line, ("  ", ""), (safe(row.ready), "strong good") if row.ready else ("·", "dim"))


def _what(state: st.LabState, task: st.Task, row: Watched, cells: int) -> tuple[str, str]:
    """The descriptor in a few words, and their role: "LISTEN :8080", "a", a link of /proc/PID/fd."""
    if row.fd < 0:
        return f"data {row.data}", "dim"
    descriptor = descriptors_of(state, task.pid).get(row.fd)
    if descriptor is None:
        return "not open", "bad"
    found = state.socket_of(task.pid, row.fd)
    if found is None:
        return safe(descriptor.detail or descriptor.target), ""
    if found.state == st.LISTEN:
        return f"LISTEN {address(found.local, max(5, cells - 7), ports=len(found.local) + 7 > cells)}", "listen"
    client = client_index(state).at(state, found.remote)
    if client:
        return f"client {client}", client_role(client)
    ports = obvious(state, found.local, found.remote)
    return f"⇄ {address(found.remote, max(5, cells - 2), ports=ports)}", "path"
