"""What stands on the stage: the kernel's objects in order, who holds each, and its other end.

In: a LabState, how many lines there are, what a step points at. Out: a Scene. Costs what is shown, not what there is:
of a long table it looks at the first rows and at those that changed. Never draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from socklab import state as st
from socklab.protocol import events as ev
from socklab.ui.view.formats import call_name, change_of
from socklab.ui.view.index import client_index, holder_index, port_of, socket_index
from socklab.ui.view.lines import Key
from socklab.ui.view.tasks import has_left

LOOKED_AT = 48
"""So many rows of a table, descriptors of a process and clients are looked at; what is beyond is counted."""
MOST_PROCESSES = 3
LISTENER_LINES = 3

_NOBODY = (st.ESTABLISHED, st.CLOSE_WAIT)
"""States in which only a connection that nobody has accepted has no descriptor."""

POINTED, OF_THE_CALL, MOVED, LISTENS, HELD, OTHERS, ALONE = range(7)
"""What is left out last, first."""


class Item(msgspec.Struct, frozen=True):
    """One object of the kernel, or a client that has none on this host."""

    kind: str
    """listener, connection, client (no socket on this host), or of a descriptor: socket, epoll, pipe, ring."""
    key: Key
    """(host's table, socket id), ("fd", number) or (client's name, 0)."""
    row: ev.SocketRow | None = None
    descriptor: ev.Descriptor | None = None
    holders: tuple[tuple[int, int], ...] = ()
    """(pid, fd) of the processes on the stage."""
    change: str = ""
    before: ev.SocketRow | None = None
    name: str = ""
    """The client at its other end; "" = none of the lab's."""
    peer: ev.SocketRow | None = None
    """The other end's own row, where a table lists it."""
    rank: int = OTHERS
    mark: str = ""
    """As what a step points at it: client, fd or listener; "" = it does not."""

    @property
    def lines(self) -> int:
        return LISTENER_LINES if self.kind == "listener" else 1

    def ends(self, state: st.LabState) -> tuple[str, str]:
        """(address of the server's end, of the other one)"""
        if self.row is not None:
            return self.row.local, self.row.remote
        client = state.clients.get(self.name)
        return (client.remote, client.local) if client is not None else ("", "")

    @property
    def accepted(self) -> bool:
        """False: the kernel has the connection, and no descriptor refers to it."""
        return self.row is None or bool(self.row.inode) or self.row.state not in _NOBODY

    @property
    def unheld(self) -> bool:
        """A client's connection, or its attempt at one, that no descriptor of this host refers to."""
        held = self.row is not None and self.row.inode and self.change != "gone"
        return self.kind == "client" or (self.kind == "connection" and not held)


class Folded(msgspec.Struct, frozen=True):
    """Rows that did not fit, told as one."""

    states: dict[str, int]
    """How many are in which state, by its name."""
    names: tuple[str, ...] = ()
    """Of the clients, where all are known."""


class Scene(msgspec.Struct, frozen=True):
    """All of it."""

    processes: tuple[int, ...]
    more_processes: int
    items: tuple[Item, ...]
    connections: Folded
    clients: Folded
    """Those without a socket on this host."""


def scene(
    state: st.LabState,
    lines: int,
    pointed: str = "",
    most_processes: int = MOST_PROCESSES,
    *,
    guarded: bool = False,
) -> Scene:
    """What to draw in so many lines. `guarded`: who got in is the question, so what is left out must not tell it."""
    living = _processes(state)
    shown = living[:most_processes]
    items = [*_listeners(state, shown), *_held(state, shown, pointed)]
    items += sorted(_unheld(state), key=lambda item: not item.accepted)  # handshakes and goodbyes, then who waits
    known = {item.name for item in items}
    items += [item for item in _clients(state) if item.name not in known]
    items = [_ranked(state, item, pointed) for item in _once(items)]
    if guarded:
        items = _alike(state, items)
    kept = _fitting(items, lines, guarded)
    drawn = {item.key for item in kept}
    left = [item for item in items if item.key not in drawn]
    connections, clients = (_folded(each for each in left if _alone(each, guarded) == so) for so in (False, True))
    if len(state.table_of(host(state)).rows) > LOOKED_AT or len(state.clients) > LOOKED_AT:
        connections, clients = Folded(_beyond(state, kept)), Folded({})
    return Scene(tuple(sorted(shown)), len(living) - len(shown), tuple(kept), connections, clients)


def call_fd(state: st.LabState) -> int:
    """The descriptor that the call of the task in focus is about; -1 = none."""
    task = state.task
    if task is None or task.call is None:
        return -1
    from socklab.syscalls.groups import fd_argument

    place = fd_argument(call_name(state, task.call.entered.nr))
    return task.call.entered.args[place] & 0xFFFFFFFF if place is not None else -1


def host(state: st.LabState) -> str:
    """The table that lists the server's sockets."""
    return state.table_host(state.started.host if state.started is not None else "")


# ---------------------------------------------------------------- what there is


def _processes(state: st.LabState) -> list[int]:
    """Living processes: the one in focus, then the others in the order they came."""
    alive = dict.fromkeys(
        task.pid for task in state.tasks.values() if task.status != "exited" and not has_left(state, task)
    )
    focus = state.task.pid if state.task is not None else 0
    return sorted(alive, key=lambda pid: pid != focus)


def _listeners(state: st.LabState, pids: list[int]) -> Iterator[Item]:
    table = host(state)
    for row in state.listeners:
        holders = _holders(state, row.inode, pids)
        if holders or not state.header or state.header.network != "machine":
            yield _item(state, "listener", table, row, holders)


def _held(state: st.LabState, pids: list[int], pointed: str) -> Iterator[Item]:
    """What descriptors refer to, process by process: the first ones, those that changed or are asked for."""
    index, table = holder_index(state), host(state)
    asked = _pointed_fds(state, pointed)
    focus = state.task.pid if state.task is not None else 0
    for pid in sorted(pids):
        fds = list(islice(index.fds(state, pid), LOOKED_AT))
        fds += [fd for of, fd in islice(reversed(state.changed.descriptors), LOOKED_AT) if of == pid]
        for fd in sorted({*fds, call_fd(state), *asked} if pid == focus else {*fds}):
            descriptor = state.descriptors.get(pid, st.NO_DESCRIPTORS).get(fd)
            row = state.socket_of(pid, fd)
            if row is not None and row.state != st.LISTEN:
                yield _item(state, "connection", table, row, _holders(state, row.inode, pids))
            elif row is None and descriptor is not None and (kind := _kind(state, descriptor, fd)):
                holders = _holders(state, descriptor.inode, pids) if descriptor.inode else ((pid, fd),)
                change = change_of(state.changed.descriptors, (pid, fd), descriptor)
                yield Item(kind, ("fd", fd), None, descriptor, holders, change)


def _pointed_fds(state: st.LabState, pointed: str) -> list[int]:
    """Descriptors of the process in focus that a step points at, by number or by their client."""
    kind, _, what = pointed.partition(" ")
    if kind == "fd" and what.isdecimal():
        return [int(what)]
    client = state.clients.get(what) if kind == "client" else None
    task, table = state.task, state.table_of(host(state))
    id = table.by_ends.get((client.remote, client.local)) if client is not None else None
    if id is None or task is None:
        return []
    return [fd for pid, fd in holder_index(state).holders(state, table.rows[id].inode) if pid == task.pid]


def _kind(state: st.LabState, descriptor: ev.Descriptor, fd: int) -> str:
    """What is an object of its own; "" = a terminal, a file, or a pipe whose other end is outside of the program."""
    target = descriptor.target
    if target.startswith("socket:"):
        return "socket"
    if target == "anon_inode:[eventpoll]":
        return "epoll"
    if descriptor.ring is not None:
        return "ring"
    if descriptor.inode and fd > 2 and len(holder_index(state).holders(state, descriptor.inode)) > 1:
        return "pipe"
    return ""


def _unheld(state: st.LabState) -> Iterator[Item]:
    """Sockets of the server's ports without a descriptor here, and those that went away with the last call."""
    table = host(state)
    rows = state.tables.get(table, st.NO_TABLE).rows
    keys = dict.fromkeys(socket_index(state).first(state, table, LOOKED_AT))
    changed = [key for key in islice(reversed(state.changed.sockets), LOOKED_AT) if key[0] == table]
    ports = {port_of(row.local) for row in state.listeners}
    ports |= {port_of(client.remote) for client in islice(state.clients.values(), LOOKED_AT)}
    for key in (*keys, *changed):
        row = rows.get(key[1]) or state.changed.sockets.get(key)
        if row is not None and row.state != st.LISTEN and not _is_clients(state, row) and port_of(row.local) in ports:
            yield _item(state, "connection", table, row, ())


def _is_clients(state: st.LabState, row: ev.SocketRow) -> bool:
    """The end of a client, where both ends are in one table."""
    return bool(client_index(state).of(state, row))


def _clients(state: st.LabState) -> Iterator[Item]:
    """Clients whose connection this host does not know: refused, reset, closed, or their SYN did not get through."""
    names = [*islice(state.clients, LOOKED_AT // 2), *islice(reversed(state.clients), LOOKED_AT // 2)]
    ends = state.table_of(host(state)).by_ends
    for name in dict.fromkeys(names):
        client = state.clients[name]
        if client.local and (client.remote, client.local) in ends:
            continue
        peer = _row_of(state, client)
        yield Item("client", (name, 0), change=_client_change(state, client, peer), name=name, peer=peer)


def _client_change(state: st.LabState, client: ev.Client, peer: ev.SocketRow | None) -> str:
    if peer is None:
        return ""
    return change_of(state.changed.sockets, (state.table_host(client.host), peer.id), peer)


def _row_of(state: st.LabState, client: ev.Client) -> ev.SocketRow | None:
    table = state.table_of(client.host)
    id = table.by_ends.get((client.local, client.remote))
    return table.rows.get(id) if id is not None else None


def _holders(state: st.LabState, inode: int, pids: list[int]) -> tuple[tuple[int, int], ...]:
    if not inode:
        return ()
    return tuple(held for held in holder_index(state).holders(state, inode) if held[0] in pids)


def _item(state: st.LabState, kind: str, table: str, row: ev.SocketRow, holders: tuple[tuple[int, int], ...]) -> Item:
    key = (table, row.id)
    now = state.tables.get(table, st.NO_TABLE).rows.get(row.id)
    before = state.changed.sockets.get(key)
    name = client_index(state).at(state, row.remote) if kind == "connection" else ""
    client = state.clients.get(name)
    peer = _row_of(state, client) if client is not None else _other_end(state, row)
    return Item(kind, key, row, None, holders, change_of(state.changed.sockets, key, now), before, name, peer)


def _other_end(state: st.LabState, row: ev.SocketRow) -> ev.SocketRow | None:
    for table in state.tables.values():
        found = table.by_ends.get((row.remote, row.local))
        if found is not None:
            return table.rows.get(found)
    return None


# ---------------------------------------------------------------- what fits


def _once(items: list[Item]) -> Iterator[Item]:
    """Each object once, where it came first: two descriptors are two holders of one object."""
    seen: set[object] = set()
    for item in items:
        name = item.key if item.descriptor is None or not item.descriptor.inode else item.descriptor.inode
        if name not in seen:
            seen.add(name)
            yield item


def _ranked(state: st.LabState, item: Item, pointed: str) -> Item:
    kind, _, what = pointed.partition(" ")
    task = state.task
    meant = (
        (kind == "client" and item.name == what)
        or (kind == "fd" and task is not None and what.isdecimal() and (task.pid, int(what)) in item.holders)
        or (kind == "listener" and item.kind == "listener")
    )
    if meant:
        rank = POINTED
    elif task is not None and (task.pid, call_fd(state)) in item.holders:
        rank = OF_THE_CALL
    elif item.change:
        rank = MOVED
    elif item.kind == "client":
        rank = ALONE
    elif item.kind == "listener":
        rank = LISTENS
    else:
        rank = HELD if item.holders else OTHERS
    return msgspec.structs.replace(item, rank=rank, mark=kind if meant else "")


def _alone(item: Item, guarded: bool) -> bool:
    """It is drawn as a client without a socket on this host."""
    return item.kind == "client" or (guarded and item.unheld)


def _alike(state: st.LabState, items: list[Item]) -> list[Item]:
    """Whoever has no descriptor stands in the clients' order and is left out by it, in the queue or not."""
    places = client_index(state)
    unheld = sorted((item for item in items if item.unheld), key=lambda item: places.place(state, item.name))
    same = [msgspec.structs.replace(each, rank=ALONE) if each.rank != POINTED else each for each in unheld]
    return [*(item for item in items if not item.unheld), *same]


def _fitting(items: list[Item], lines: int, guarded: bool) -> list[Item]:
    """As many as fit, in their order. Lines are kept for those that are left out; the first clients without a socket
    on this host stand beside the listener, if it is drawn, and need none."""
    beside = [id(item) for item in items if _alone(item, guarded)][:LISTENER_LINES]
    kept = _kept(items, lines, frozenset(beside))
    if beside and not any(item.kind == "listener" for item in kept):
        kept = _kept(items, lines, frozenset())
    return kept


def _kept(items: list[Item], lines: int, free: frozenset[int]) -> list[Item]:
    """`free`: ids of those that need no line of their own."""

    def needed(item: Item) -> int:
        return 0 if id(item) in free else item.lines

    if sum(map(needed, items)) <= lines:
        return items
    left, kept = lines - 1, set[int]()
    for item in sorted(items, key=lambda item: item.rank):
        if needed(item) <= left:
            kept.add(id(item))
            left -= needed(item)
    return [item for item in items if id(item) in kept]


def _folded(items: Iterable[Item]) -> Folded:
    left = list(items)
    names = [state_name(item) for item in left]
    clients = tuple(item.name for item in left)
    return Folded({name: names.count(name) for name in dict.fromkeys(names)}, clients if all(clients) else ())


def _beyond(state: st.LabState, kept: list[Item]) -> dict[str, int]:
    """What is not drawn of a long table, by the kernel's own counts."""
    counts: dict[str, int] = {}
    for number, many in state.table_of(host(state)).states.items():
        if number != st.LISTEN:
            name = st.TCP_STATES.get(number, f"state {number}")
            counts[name] = counts.get(name, 0) + many
    both = state.table_host("client") == host(state)
    for item in kept:
        ends = (item.row if item.kind == "connection" and item.change != "gone" else None, item.peer if both else None)
        for row in filter(None, ends):
            name = st.TCP_STATES.get(row.state, f"state {row.state}")
            counts[name] = counts.get(name, 0) - 1
    return {name: many for name, many in counts.items() if many > 0}


def state_name(item: Item) -> str:
    """The kernel's word for its state, else what it is."""
    row = item.row or item.peer
    return st.TCP_STATES.get(row.state, f"state {row.state}") if row is not None else item.kind
