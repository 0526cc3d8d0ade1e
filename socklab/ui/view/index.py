"""What several panels ask of the big tables, kept up to date at the cost of what changed.

In: LabState values of a lab, in any order: the past and the present take turns when somebody scrubs. Out: sorted keys
of the sockets, the sockets that wait for accept, who holds an inode, which client an address belongs to. Each answer is
computed from the difference to the state asked about before, so a new row among 10,000 costs microseconds. What is
kept for that is the lab's (`LabState.derived`). Never draws.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar

from socklab import state as st
from socklab.core.persistent import PMap
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.view.lines import Key

_Order: TypeAlias = tuple[int, int, int, str, int, int, int]
"""(host's place, 0 for listeners, server's port, client's address, client's port, 1 for the client's end, id)"""

HOST = "\0host"
"""Appended to a host's name: the key of the heading over its sockets, where several hosts have a table."""

_REBUILD = 400
"""So many moved rows make a new sort cheaper than insertions."""


def port_of(address: str) -> int:
    """The port of "10.0.0.1:8080"; 0 when there is none."""
    digits = address.rpartition(":")[2]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0


class SocketIndex:
    """Keys of all tables in the order they are shown: listeners, then connections with both ends side by side."""

    def __init__(self) -> None:
        self._rows: dict[str, PMap[int, ev.SocketRow]] = {}
        self._ports: frozenset[int] = frozenset()
        self._order: list[tuple[_Order, Key]] = []
        self._keys: list[Key] = []
        """A new list at every change: whoever holds an older one keeps it as it was."""
        self._shown: tuple[object, object, Sequence[Key]] | None = None
        self._waiting: dict[str, dict[int, ev.SocketRow]] = {}
        self._places: dict[str, int] = {}
        """Hosts with a table of their own, in the order they are shown."""

    def keys(self, state: st.LabState) -> Sequence[Key]:
        """Every listed socket, and those that went away since the program last ran, where they were."""
        if self._shown is not None and self._shown[0] is state.tables and self._shown[1] is state.changed.sockets:
            return self._shown[2]
        self._follow(state)
        keys = self._keys
        gone = [
            (self._order_of(host, row), (host, id))
            for (host, id), row in state.changed.sockets.items()
            if row is not None and id not in self._rows.get(host, _NONE)
        ]
        if gone:
            order, keys = self._order.copy(), keys.copy()
            for entry in gone:
                _insert(order, keys, entry)
        else:
            order = self._order
        keys = self._headed(order, keys)
        self._shown = (state.tables, state.changed.sockets, keys)
        return keys

    def first(self, state: st.LabState, host: str, most: int) -> Sequence[Key]:
        """The first keys of one host's table, at most so many."""
        self._follow(state)
        place = self._places.get(host)
        if place is None:
            return ()
        start = bisect_left(self._order, place, key=lambda entry: entry[0][0])
        return [key for key in self._keys[start : start + most] if key[0] == host]

    def _headed(self, order: list[tuple[_Order, Key]], keys: list[Key]) -> list[Key]:
        """The keys with one for each host's heading, where several hosts have rows."""
        if len(self._places) < 2:
            return keys
        headed: list[Key] = []
        for host, place in self._places.items():
            start, end = (bisect_left(order, each, key=lambda entry: entry[0][0]) for each in (place, place + 1))
            if end > start:
                headed.append((host + HOST, 0))
                headed += keys[start:end]
        return headed

    def waiting(self, state: st.LabState, listener: ev.SocketRow, host: str) -> list[ev.SocketRow]:
        """Connections in the listener's accept queue: handshake complete, no descriptor yet.

        /proc and sock_diag list them with inode 0. CLOSE_WAIT: the client has already sent its FIN. A descriptor's
        close never leaves a socket in these two states, so nothing else looks like them.
        """
        self._follow(state)
        port = port_of(listener.local)
        return [row for row in self._waiting.get(host, {}).values() if port_of(row.local) == port]

    def _follow(self, state: st.LabState) -> None:
        rows = {host: table.rows for host, table in state.tables.items()}
        ports = frozenset(port_of(r.local) for table in state.tables.values() for r in table.listeners.values())
        known = [host.name for host in state.header.hosts] if state.header else []
        places = {
            host: n for n, host in enumerate(sorted(rows, key=lambda h: (known.index(h) if h in known else 99, h)))
        }
        if (
            ports == self._ports
            and places == self._places
            and len(rows) == len(self._rows)
            and all(self._rows.get(host) is found for host, found in rows.items())
        ):
            return
        moved: list[tuple[str, ev.SocketRow | None, ev.SocketRow | None]] = []
        same_ports, self._ports = ports == self._ports and places == self._places, ports
        self._places = places
        for host in {**self._rows, **rows}:
            for id, before, after in rows.get(host, _NONE).differences(self._rows.get(host, _NONE)):
                self._wait(host, id, after)
                if same_ports and not _same_place(before, after):
                    moved.append((host, before, after))
        self._rows = rows
        if not same_ports or len(moved) > _REBUILD:
            self._sort()
        elif moved:
            self._move(moved)

    def _wait(self, host: str, id: int, row: ev.SocketRow | None) -> None:
        waiting = self._waiting.setdefault(host, {})
        if row is not None and not row.inode and row.state in (st.ESTABLISHED, st.CLOSE_WAIT):
            waiting[id] = row
        else:
            waiting.pop(id, None)

    def _move(self, moved: list[tuple[str, ev.SocketRow | None, ev.SocketRow | None]]) -> None:
        order, keys = self._order, self._keys.copy()
        for host, before, after in moved:
            if before is not None:
                entry = (self._order_of(host, before), (host, before.id))
                position = bisect_left(order, entry)
                if position < len(order) and order[position] == entry:
                    del order[position], keys[position]
            if after is not None:
                _insert(order, keys, (self._order_of(host, after), (host, after.id)))
        self._keys = keys

    def _sort(self) -> None:
        self._order = sorted(
            (self._order_of(host, row), (host, row.id)) for host, rows in self._rows.items() for row in rows.values()
        )
        self._keys = [key for _, key in self._order]

    def _order_of(self, host: str, row: ev.SocketRow) -> _Order:
        place = self._places.get(host, 0)
        if row.state == st.LISTEN:
            return place, 0, port_of(row.local), row.local, 0, 0, row.id
        server, client, side = self._split(row)
        return place, 1, port_of(server), client.rpartition(":")[0], port_of(client), side, row.id

    def _split(self, row: ev.SocketRow) -> tuple[str, str, int]:
        """(address of the server's end, of the client's end, 1 if the row is the client's)"""
        local, remote = port_of(row.local), port_of(row.remote)
        local_listens, remote_listens = local in self._ports, remote in self._ports
        server = local_listens if local_listens != remote_listens else local <= remote
        return (row.local, row.remote, 0) if server else (row.remote, row.local, 1)


class HolderIndex:
    """Which descriptors refer to an inode: inode -> {(pid, fd)}."""

    def __init__(self) -> None:
        self._tables: dict[int, PMap[int, ev.Descriptor]] = {}
        self._holders: dict[int, set[tuple[int, int]]] = {}
        self._fds: dict[int, list[int]] = {}

    def holders(self, state: st.LabState, inode: int) -> list[tuple[int, int]]:
        """(pid, fd) of every descriptor of a living process that refers to the inode, lowest first."""
        self._follow(state)
        found = self._holders.get(inode)
        if not found:
            return []
        return sorted(held for held in found if (t := state.tasks.get(held[0])) is None or t.status != "exited")

    def fds(self, state: st.LabState, pid: int) -> Sequence[int]:
        """The open descriptors of a process, lowest first. Not to be changed, and good until the next question."""
        self._follow(state)
        return self._fds.get(pid, ())

    def _follow(self, state: st.LabState) -> None:
        now = state.descriptors
        if len(now) == len(self._tables) and all(self._tables.get(pid) is table for pid, table in now.items()):
            return
        for pid in {**self._tables, **now}:
            table, old = now.get(pid, _NO_FDS), self._tables.get(pid, _NO_FDS)
            if table is old:
                continue
            fds = self._fds.setdefault(pid, [])
            many = abs(len(table) - len(old)) > _REBUILD
            for fd, before, after in table.differences(old):
                if before is not None and before.inode:
                    self._holders.get(before.inode, set()).discard((pid, fd))
                if after is not None and after.inode:
                    self._holders.setdefault(after.inode, set()).add((pid, fd))
                if many:
                    continue
                if before is None:
                    insort(fds, fd)
                elif after is None:
                    position = bisect_left(fds, fd)
                    if position < len(fds) and fds[position] == fd:
                        del fds[position]
            if many:
                fds[:] = sorted(table)
            if not table:
                del self._fds[pid]
        self._tables = dict(now)


class ClientIndex:
    """Which client an address or an inode belongs to, and how many are in which phase. Names are visible text."""

    def __init__(self) -> None:
        self._clients: Mapping[str, ev.Client] = {}
        self._by_local: dict[str, str] = {}
        self._by_inode: dict[int, str] = {}
        self._place: dict[str, int] = {}
        self._phases: Counter[str] = Counter()

    def at(self, state: st.LabState, address: str) -> str:
        """Name of the client whose local address this is, "" when none."""
        self._follow(state)
        return self._by_local.get(address, "")

    def of(self, state: st.LabState, row: ev.SocketRow) -> str:
        """Name of the client that holds this socket, "" when none."""
        self._follow(state)
        return self._by_inode.get(row.inode) or self._by_local.get(row.local, "")

    def place(self, state: st.LabState, name: str) -> int:
        """Clients in the order they were made; whoever is no client comes after them."""
        self._follow(state)
        return self._place.get(name, 1 << 30)

    def phases(self, state: st.LabState) -> list[tuple[str, int]]:
        """(phase, how many), the most common first."""
        self._follow(state)
        return self._phases.most_common()

    def _follow(self, state: st.LabState) -> None:
        if state.clients is self._clients:
            return
        self._clients = state.clients
        named = [(safe(name), client) for name, client in state.clients.items()]
        self._by_local = {client.local: name for name, client in named if client.local}
        self._by_inode = {client.inode: name for name, client in named if client.inode}
        self._place = {name: place for place, (name, _) in enumerate(named)}
        self._phases = Counter(client.phase for _, client in named)


def _insert(order: list[tuple[_Order, Key]], keys: list[Key], entry: tuple[_Order, Key]) -> None:
    position = bisect_left(order, entry)
    order.insert(position, entry)
    keys.insert(position, entry[1])


def _same_place(before: ev.SocketRow | None, after: ev.SocketRow | None) -> bool:
    return (
        before is not None
        and after is not None
        and before.local == after.local
        and before.remote == after.remote
        and (before.state == st.LISTEN) == (after.state == st.LISTEN)
    )


_NONE: PMap[int, ev.SocketRow] = PMap()
_NO_FDS: PMap[int, ev.Descriptor] = PMap()


Index = TypeVar("Index", SocketIndex, HolderIndex, ClientIndex)


def _kept(state: st.LabState, kind: type[Index]) -> Index:
    """The one of the state's own lab: it is handed on from state to state."""
    found: Index | None = state.derived.get(kind)
    if found is None:
        found = state.derived[kind] = kind()
    return found


def socket_index(state: st.LabState) -> SocketIndex:
    return _kept(state, SocketIndex)


def holder_index(state: st.LabState) -> HolderIndex:
    return _kept(state, HolderIndex)


def client_index(state: st.LabState) -> ClientIndex:
    return _kept(state, ClientIndex)
