"""The descriptor table of the traced program, as /proc/PID/fd and fdinfo give it.

In: LabState.descriptors, and the socket rows behind them. Out: one line a descriptor; what the last call opened,
changed or closed is marked until the next step. A long table is told in runs; maximised, more of it is shown, and what
is shown can be chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from socklab import state as st
from socklab.core.persistent import PMap
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.tui.panels.panel import ListPanel
from socklab.ui.tui.widgets import more
from socklab.ui.view.formats import NO_ADDRESS, address, change_of, count, marker, obvious
from socklab.ui.view.index import client_index, holder_index
from socklab.ui.view.lines import Key, Line, Span, View, client_role, column, width
from socklab.ui.view.pointing import MARK, at_descriptor

# asm-generic/fcntl.h: the same on x86-64 and aarch64
O_ACCMODE, O_APPEND, O_NONBLOCK, O_CLOEXEC = 0o3, 0o2000, 0o4000, 0o2000000
_FLAGS = ((O_NONBLOCK, "O_NONBLOCK"), (O_CLOEXEC, "O_CLOEXEC"), (O_APPEND, "O_APPEND"))
_ACCESS = ("r", "w", "rw")
_STANDARD = ("standard input", "standard output", "standard error")

_LONG = 60
"""More rows than this are told in runs."""


_Listed: TypeAlias = tuple[Line, Key | None]
"""A line, and which row it is: (process, descriptor)."""
_Draw = Callable[[st.LabState, int, View], Iterator[_Listed]]


class DescriptorsPanel(ListPanel):
    """The descriptor table of each traced process."""

    title_text = "Descriptors"
    evidence_of = "descriptors"
    topic = "descriptors"

    def number(self, state: st.LabState) -> str:
        table = state.descriptors.get(_pid(state))
        return count(len(table)) if table is not None else ""

    def nothing(self, state: st.LabState) -> str:
        if _pids(state):
            return ""
        task = state.task
        ended = task is not None and task.status == "exited"
        return "The process is gone, and its descriptors with it." if ended else "No process yet."

    def listed(self, state: st.LabState, view: View) -> list[_Listed]:
        """The table of the process in focus; then, where there are several, those of the others."""
        lines = [*self._tables(state, view, _table)]
        if view.maximised and len(lines) <= view.height:
            lines = more.fits(lines, [*self._tables(state, view, _in_full)], view.height)
        return lines

    def _tables(self, state: st.LabState, view: View, draw: _Draw) -> Iterator[_Listed]:
        pids = _pids(state)
        for pid in pids:
            if len(pids) > 1:
                table = state.descriptors[pid]
                name = safe(state.processes[pid].name) if pid in state.processes else "process"
                focus = pid == _pid(state)
                yield ((f"{name} {pid}", "title" if focus else "dim"), (f"  {count(len(table))}", "dim")), None
            yield from draw(state, pid, view)

    def relevance(self, state: st.LabState, call: str) -> int:
        return super().relevance(state, call) or not state.listeners

    def moved(self, state: st.LabState) -> bool:
        return bool(state.changed.descriptors)


def _pid(state: st.LabState) -> int:
    task = state.task
    return task.pid if task is not None else 0


def _pids(state: st.LabState) -> list[int]:
    """Processes with a table, the one in focus first; the dead ones are gone."""
    dead = {task.pid for task in state.tasks.values() if task.status == "exited" and task.tid == task.pid}
    alive = [pid for pid in state.descriptors if pid not in dead]
    return sorted(alive, key=lambda pid: (pid != _pid(state), pid))


def _table(state: st.LabState, pid: int, view: View) -> Iterator[_Listed]:
    table = state.descriptors[pid]
    fds = holder_index(state).fds(state, pid)
    changed = {fd: before for (of, fd), before in state.changed.descriptors.items() if of == pid}
    gone = {fd: before for fd, before in changed.items() if before is not None and fd not in table}
    if not fds and not gone:
        yield (("no descriptor is open", "dim"),), None
        return

    def row(fd: int) -> _Listed:
        return _row(state, pid, table, changed, view, fd), (str(pid), fd)

    shown = sorted({*fds, *gone}) if len(fds) <= _LONG else fds
    if len(shown) <= _LONG:
        yield from map(row, shown)
        return
    # A long table: its beginning, its newest changes, and how many lie between.
    room = max(8, min(view.height, 500) - 2) if not view.maximised else 500
    news = sorted(changed)[-(room // 2) :]
    first = fds[: room - len(news)]
    yield from map(row, first)
    rest = [fd for fd in news if not first or fd > first[-1]]
    between = len(fds) - len(first) - sum(fd in table for fd in rest)
    if between:
        yield ((f"   … {count(between)} more", "dim"),), None
    yield from map(row, rest)


def _in_full(state: st.LabState, pid: int, view: View) -> Iterator[_Listed]:
    """Each descriptor with all that is known of it. Not what a question hides in other panels."""
    table = state.descriptors[pid]
    changed = {fd: before for (of, fd), before in state.changed.descriptors.items() if of == pid}
    gone = {fd for fd, before in changed.items() if before is not None}
    for fd in sorted({*table, *gone}):
        yield _row(state, pid, table, changed, view, fd), (str(pid), fd)
        held = table.get(fd)
        if held is not None:
            row = state.socket_of(pid, fd) if not view.hidden & {"sockets", "queues"} else None
            for line in more.flow(more.descriptor(held, row), view.width, 7):
                yield line, None


def _row(
    state: st.LabState,
    pid: int,
    table: PMap[int, ev.Descriptor],
    changed: dict[int, ev.Descriptor | None],
    view: View,
    fd: int,
) -> Line:
    now, before = table.get(fd), changed.get(fd)
    descriptor = now or before
    if descriptor is None:
        return ()
    change = change_of(changed, fd, now)
    row = state.socket_of(pid, fd) if now is not None else None
    if row is not None and not change and _row_changed(state, row):
        change = "changed"
    number = f"{MARK}{fd}" if at_descriptor(state, view.pointed, pid, fd) else str(fd)
    head: Line = (
        marker(change),
        column(number, 3 if view.width < 50 else 4, change or "number", right=True),
        ("  ", ""),
    )
    if now is None:
        return (*head, (_kind(descriptor), "gone"), (" closed", ""))
    body = _socket(state, row, view) if row is not None else _other(state, pid, descriptor, view)
    told: Line = (*head, *body, *_sharers(state, pid, fd, descriptor))
    return (*told, *_flags(descriptor, view.width - width(told)))


def _row_changed(state: st.LabState, row: ev.SocketRow) -> bool:
    changed = state.changed.sockets
    return len(changed) <= _LONG and any(id == row.id and before != row for (_, id), before in changed.items())


def _kind(descriptor: ev.Descriptor) -> str:
    target = safe(descriptor.target)
    if target.startswith("socket:"):
        return f"{safe(descriptor.detail)} socket".strip()
    if target.startswith("pipe:"):
        return "pipe"
    return target


def _socket(state: st.LabState, row: ev.SocketRow, view: View) -> Line:
    """A socket that a table lists: what it is and its ends."""
    if row.state == st.LISTEN:
        word = "socket " if view.width >= 50 else ""
        return (word, ""), ("LISTEN", "listen"), (" ", ""), (address(row.local, 23), "path")
    name = st.TCP_STATES.get(row.state, f"state {row.state}")
    client = client_index(state).at(state, row.remote)
    ports = view.width < 70 and obvious(state, row.local, row.remote)
    role = client_role(client) or "path"
    to: list[Span] = [(address(row.remote, 26, ports=ports), role)] if row.remote not in NO_ADDRESS else []
    if client:
        to.append((f" {client}", role))
    if view.width >= 50:
        local = address(row.local, 26, ports=ports)
        return ("socket ", ""), (name, ""), (" ", ""), (local, "path"), (" ⇄ ", "dim"), *to
    return ((name, ""), (" ⇄ ", "dim"), *to)


def _other(state: st.LabState, pid: int, descriptor: ev.Descriptor, view: View) -> Line:
    target = safe(descriptor.target)
    kind = _kind(descriptor)
    behind = descriptor.behind
    told = behind is not None and (behind.local or behind.remote or behind.receive_limit or behind.by_table)
    if target.startswith("socket:") and behind is not None and told:
        return _unlisted(state, pid, descriptor, behind, view)
    if target.startswith("socket:"):
        if descriptor.detail.startswith("tcp") or not descriptor.detail:
            return ((kind, ""), (", not in /proc/net/tcp" if view.width >= 50 else ", not listed", "dim"))
        return ((kind, ""), (f" {target[7:]}" if view.width >= 50 else "", "dim"))
    if target == "anon_inode:[eventpoll]":
        return _epoll(descriptor, view)
    if descriptor.ring is not None:
        from socklab.syscalls import rings

        return (("io_uring", ""), (f" {'; '.join(rings.lines(descriptor.ring))}", "dim"))
    access = _ACCESS[descriptor.flags & O_ACCMODE] if descriptor.flags & O_ACCMODE < 3 else ""
    spans: list[Span] = [(kind, "path" if target.startswith("/") else "")]
    if view.width >= 50 and kind == "pipe":
        spans.append((target[4:], "dim"))
    spans.append((f" {access}", "dim"))
    if behind is not None and behind.capacity:
        spans.append((f" {count(behind.waiting_bytes or 0)} of {count(behind.capacity)} B", "number"))
    if descriptor.position:
        spans.append((f" at byte {count(descriptor.position)}", "number"))
    if descriptor.fd < 3 and view.width >= 44:
        spans.append((f"  {_STANDARD[descriptor.fd]}", "dim"))
    return tuple(spans)


def _unlisted(state: st.LabState, pid: int, descriptor: ev.Descriptor, behind: ev.KernelObject, view: View) -> Line:
    """A socket that no TCP table lists: its ends, and what waits in it."""
    cells = 26 if view.width >= 50 else 18
    spans: list[Span] = [(safe(descriptor.detail), "")]
    if behind.listening:
        spans += [(" ", ""), ("listens", "listen")]
    if behind.local:
        spans += [(" ", ""), (_name(behind.local, cells), "path")]
    peer = [*_peer(state, pid, behind), *([(_name(behind.remote, cells), "path")] if behind.remote else [])]
    for place, span in enumerate(peer):
        spans += [(" " if place else " ⇄ ", "dim"), span]
    if not (behind.local or peer or behind.by_table) and descriptor.detail.startswith(("udp", "unix")):
        spans.append((", no address", "dim"))
    if behind.accept_queue is not None and behind.backlog is not None:
        spans.append((f"  queue {count(behind.accept_queue)} of {count(behind.backlog)}", "accept"))
    if behind.waiting_bytes:
        spans.append((f"  {count(behind.waiting_bytes)} B wait", "number"))
    if behind.drops:
        spans.append((f"  {count(behind.drops)} dropped", "warn"))
    return tuple(spans)


def _peer(state: st.LabState, pid: int, behind: ev.KernelObject) -> list[Span]:
    """ "fd 6": the other end of a UNIX connection, where a traced process holds it."""
    held = holder_index(state).holders(state, behind.peer_inode) if behind.peer_inode else []
    return [(f"fd {fd}" if of == pid else f"{of} fd {fd}", "name") for of, fd in held[:1]]


def _name(text: str, cells: int) -> str:
    """The end of a UNIX socket's path says more than its beginning."""
    shown = safe(text)
    return shown if len(shown) <= cells else f"…{shown[len(shown) - cells + 1 :]}"


def _epoll(descriptor: ev.Descriptor, view: View) -> Line:
    """An epoll instance, which of its descriptors are ready where that was asked, and its whole list."""
    watched = [str(fd) for fd, _, _ in descriptor.watches]
    if not watched:
        return (("epoll", ""), (", watches nothing", "dim"))
    most = 12 if view.width >= 50 else 5
    told: Line = (("epoll", ""), *_ready(descriptor, most), (" watches ", "dim"))
    return (*told, (_few(watched, most, more=descriptor.watches_more), "number"))


def _ready(descriptor: ev.Descriptor, most: int) -> Line:
    """ " 3 of 5 ready: 4, 6, 7 "."""
    behind = descriptor.behind
    if behind is None:
        return ()
    ready = [str(fd) for fd, _ in behind.ready]
    asked = len(descriptor.watches) - len(behind.unasked)
    of = f"the first {asked}" if descriptor.watches_more else f"{asked} asked" if behind.unasked else str(asked)
    which = f": {_few(ready, most)}" if ready else ""
    return ((f" {len(ready)} of {of} ready{which} ", "accept" if ready else "dim"),)


def _few(numbers: list[str], most: int, *, more: bool = False) -> str:
    return ", ".join(numbers[:most]) + (" ..." if more or len(numbers) > most else "")


def _sharers(state: st.LabState, pid: int, fd: int, descriptor: ev.Descriptor) -> Line:
    """Other processes that hold the same socket or pipe: its end is only closed when the last of them closes it."""
    if not descriptor.inode:
        return ()
    others = [held for held in holder_index(state).holders(state, descriptor.inode) if held != (pid, fd)]
    if not others:
        return ()
    with_pid, with_fd = others[0]
    where = f"fd {with_fd}" if with_pid == pid else str(with_pid) if with_fd == fd else f"{with_pid} fd {with_fd}"
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return (("  ≡ ", "name"), ("also in " if with_pid != pid else "also ", "dim"), (f"{where}{more}", "name"))


def _flags(descriptor: ev.Descriptor, cells: int) -> Line:
    names = [name for bit, name in _FLAGS if descriptor.flags & bit]
    if not names:
        return ()
    full = " ".join(names)
    short = " ".join(name[2:].lower() for name in names)
    for text in (full, short):
        if len(text) + 2 <= cells:
            return ((f"  {text}", "name"),)
    return ()
