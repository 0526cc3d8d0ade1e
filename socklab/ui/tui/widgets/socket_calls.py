"""What calls did with each socket: bytes and calls in each direction, what a listener accepted, whoever made them.

In: `LabState.calls`, and what the tables told between them (`LabState.noticed`), of the present or of a past state, in
any order. Out: a `Socket` for what a descriptor referred to when the call was made: numbers are used again after close,
dup and fork make two of one. Each call is read once. What was read is kept with the lab (`LabState.derived`). Never
reads the kernel, never draws.
"""

from __future__ import annotations

import socket as libc
from collections.abc import Callable
from typing import TypeAlias

from socklab import state as st
from socklab.protocol import events as ev
from socklab.state.model import Noticed
from socklab.ui.tui.widgets.socket_sums import (
    ACCEPTED,
    DISCARDED,
    END,
    IN,
    KEPT_ACCEPTS,
    MESSAGES_IN,
    MESSAGES_OUT,
    OUT,
    PEEKED,
    SENT_FILE,
    SPLICED_IN,
    SPLICED_OUT,
    ZEROCOPY,
    Accepted,
    Socket,
    Way,
)
from socklab.ui.view.formats import call_name

MSG_PEEK, MSG_TRUNC, MSG_ERRQUEUE, MSG_ZEROCOPY = 0x2, 0x20, 0x2000, 0x400_0000
_F_DUPFD = (0, 1030)
_CLOSE_RANGE_CLOEXEC = 4
_SHARED_TABLE = 0x400
"""CLONE_FILES."""

_KEPT_PLACES = 40_000
"""Calls with their place, over all sockets; of those before only the sums are kept."""
_KEPT_SOCKETS = 20_000
_KEPT_TABLES = 512

_READS = {"read": -1, "readv": -1, "recvfrom": 3, "recvmsg": 2, "recvmmsg": 3}
_WRITES = {"write": -1, "writev": -1, "sendto": 3, "sendmsg": 2, "sendmmsg": 3}
"""Calls that read or write a socket, and which argument has the flags."""


_Slot: TypeAlias = list[tuple[int, Socket | None]]
"""What a descriptor referred to since when, the last few; None = closed."""


class SocketCalls:
    """The sockets of a lab by inode, by row and by descriptor at a time."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.missed = False
        """Calls were let go before they were read."""
        self._calls = self._seen = 0
        """So many of each log have been read, of all there ever were."""
        self._last: st.Call | None = None
        self._slots: dict[int, dict[int, _Slot]] = {}
        """By process, then by descriptor."""
        self._by_inode: dict[int, Socket] = {}
        self._inodes: dict[int, int] = {}
        """Row's id to the inode it had."""
        self._ids: dict[int, int] = {}
        self._by_peer: dict[str, Socket] = {}
        self._stacks: dict[int, tuple[ev.Frame, ...]] = {}
        self._places = 0

    # ---------------------------------------------------------------- what is asked

    def of_row(self, state: st.LabState, row: ev.SocketRow) -> Socket | None:
        """The socket of a row, also of one without a descriptor any more."""
        self.follow(state)
        found = self._by_inode.get(row.inode or self._inodes.get(row.id, 0))
        return found or self._by_peer.get(row.remote)

    def of_call(self, state: st.LabState, task: st.Task, fd: int, at: int) -> Socket | None:
        """What a task's descriptor referred to at a time."""
        self.follow(state)
        return self._at(task.pid, fd, at)

    def row_of(self, state: st.LabState, socket: Socket) -> ev.SocketRow | None:
        """The row that lists it now."""
        table = state.table_of(state.started.host if state.started is not None else "")
        found = table.by_inode.get(socket.inode) or self._ids.get(socket.inode, 0)
        return table.rows.get(found) if found else None

    def accepted(self, peer: str, state: st.LabState) -> bool:
        """An accept gave a connection with this address at its other end."""
        self.follow(state)
        return peer in self._by_peer

    def place(self, state: st.LabState) -> int:
        """So many calls belong to the state."""
        return state.calls.dropped + len(state.calls)

    def stack(self, accepted: Accepted) -> tuple[ev.Frame, ...]:
        """Where in the source the accept was made; empty = not known."""
        return accepted.stack or self._stacks.get(accepted.number, ())

    # ---------------------------------------------------------------- reading

    def follow(self, state: st.LabState) -> None:
        """Read what is new in both logs, in the order it happened."""
        calls, noticed = state.calls, state.noticed
        known = min(self._calls, calls.dropped + len(calls)) - 1 - calls.dropped
        if known >= 0 and known + 1 + calls.dropped == self._calls and calls[known] is not self._last:
            self._begin()  # another future of the same past
        for told in noticed[max(0, self._seen - noticed.dropped) :] if len(noticed) else ():
            self._read(state, told.calls)
            self._notice(told)
        self._seen = max(self._seen, noticed.dropped + len(noticed))
        self._read(state, calls.dropped + len(calls))
        if self._places > 2 * _KEPT_PLACES:
            self._forget()

    def _read(self, state: st.LabState, until: int) -> None:
        calls = state.calls
        if self._calls < calls.dropped and self._calls < until:
            self._calls, self.missed = calls.dropped, True
            for socket in self._by_inode.values():
                socket.whole = False
        for call in calls[self._calls - calls.dropped : until - calls.dropped] if until > self._calls else ():
            self._call(state, call)
            self._calls += 1
            self._last = call

    def _notice(self, told: Noticed) -> None:
        if told.descriptors is not None:
            self._look(told.t, told.descriptors)
        elif told.what == "held":
            for row in told.rows:
                self._inodes[row.id] = row.inode
                self._ids[row.inode] = row.id
        elif told.what == "place":
            self._stacks[told.number] = told.stack

    # ---------------------------------------------------------------- descriptors

    def _at(self, pid: int, fd: int, t: int) -> Socket | None:
        """What the descriptor referred to then; before anything is known of it, what it was first seen to be."""
        slot = self._slots.get(pid, {}).get(fd)
        if not slot:
            return None
        return next((socket for since, socket in reversed(slot) if since <= t), slot[0][1])

    def _put(self, pid: int, fd: int, t: int, socket: Socket | None) -> None:
        slot = self._slots.setdefault(pid, {}).setdefault(fd, [])
        slot.append((t, socket))
        del slot[:-4]

    def _since(self, pid: int, fd: int) -> int:
        slot = self._slots.get(pid, {}).get(fd)
        return slot[-1][0] if slot else -1

    def _look(self, t: int, told: ev.Descriptors) -> None:
        """The kernel's own word on which descriptor refers to what."""
        for fd in told.closed:
            if self._at(told.pid, fd, t) is not None:
                self._put(told.pid, fd, t, None)
        for descriptor in told.set:
            here = self._at(told.pid, descriptor.fd, t)
            if not descriptor.target.startswith("socket:"):
                if here is not None:
                    self._put(told.pid, descriptor.fd, t, None)
                continue
            known = self._by_inode.get(descriptor.inode)
            if here is not None and not here.inode and known is None:
                here.inode = descriptor.inode
                self._by_inode[descriptor.inode] = here
            elif here is None or here is not known:  # it came in a way that no call tells: SCM_RIGHTS, before attach
                found = known or Socket(whole=False)
                found.inode = descriptor.inode
                self._by_inode[descriptor.inode] = found
                self._put(told.pid, descriptor.fd, t, found)

    # ---------------------------------------------------------------- calls

    def _call(self, state: st.LabState, call: st.Call) -> None:
        name = call_name(state, call.entered.nr)
        read = _CALLS.get(name)
        if read is None:
            return
        task = state.tasks.get(call.entered.tid)
        pid = task.pid if task is not None else call.entered.tid
        if pid not in self._slots and task is not None and task.parent:
            parent = state.tasks.get(task.parent)
            self._inherit(state, parent.pid if parent is not None else task.parent, pid)
        read(self, state, pid, name, call)

    def _inherit(self, state: st.LabState, parent: int, child: int) -> None:
        """A fork copies the table; each descriptor refers to what it did."""
        table = {fd: slot[-1:] for fd, slot in self._slots.get(parent, {}).items() if slot and slot[-1][1] is not None}
        if len(self._slots) > _KEPT_TABLES:  # those that were killed left without a call
            living = {task.pid for task in state.tasks.values() if task.status != "exited"}
            self._slots = {pid: known for pid, known in self._slots.items() if pid in living or pid == parent}
        self._slots[child] = table

    def _moves(self, state: st.LabState, pid: int, name: str, call: st.Call) -> None:
        """A read or a write."""
        if call.returned is None or call.returned.result < 0:
            return
        reads = name in _READS
        place = (_READS if reads else _WRITES)[name]
        flags = call.entered.args[place] if place >= 0 else 0
        size = call.returned.result
        if name.endswith("mmsg"):
            way, size = (MESSAGES_IN if reads else MESSAGES_OUT), 0  # it returns how many messages
        elif not reads:
            way = ZEROCOPY if flags & MSG_ZEROCOPY else OUT
        elif flags & MSG_ERRQUEUE:
            return
        else:
            way = PEEKED if flags & MSG_PEEK else END if not size else DISCARDED if flags & MSG_TRUNC else IN
        self._add(pid, call.entered.args[0], call, way, size)

    def _add(self, pid: int, fd: int, call: st.Call, way: str, size: int) -> None:
        socket = self._at(pid, fd & 0xFFFF_FFFF, call.entered.t)
        if socket is None:
            return
        socket.ways.setdefault(way, Way()).add(self._calls, size)
        socket.pids.setdefault(pid, self._calls)
        socket.last = self._calls
        self._places += 1

    def _sendfile(self, state: st.LabState, pid: int, name: str, call: st.Call) -> None:
        if call.returned is not None and call.returned.result > 0:
            out, into = (2, 0) if name == "splice" else (0, 1)
            ways = (SPLICED_OUT, SPLICED_IN) if name == "splice" else (SENT_FILE, SPLICED_IN)
            for place, way in zip((out, into), ways, strict=True):
                self._add(pid, call.entered.args[place], call, way, call.returned.result)

    def _accept(self, state: st.LabState, pid: int, name: str, call: st.Call) -> None:
        returned = call.returned
        if returned is None or returned.result < 0:
            return
        new = self._opened(pid, returned.result, call)
        new.peer = _peer(call)
        if new.peer:
            self._by_peer.pop(new.peer, None)
            self._by_peer[new.peer] = new
            if len(self._by_peer) > 2 * _KEPT_SOCKETS:
                for peer in list(self._by_peer)[:_KEPT_SOCKETS]:
                    del self._by_peer[peer]
        listener = self._at(pid, call.entered.args[0] & 0xFFFF_FFFF, call.entered.t)
        if listener is not None:
            self._add(pid, call.entered.args[0], call, ACCEPTED, 0)
            listener.accepts.append(
                Accepted(self._calls, returned.t, call.number, returned.result, new.peer, call.stack, new)
            )
            del listener.accepts[:-KEPT_ACCEPTS]

    def _opens(self, state: st.LabState, pid: int, name: str, call: st.Call) -> None:
        if call.returned is not None and call.returned.result >= 0:
            self._opened(pid, call.returned.result, call)

    def _opened(self, pid: int, fd: int, call: st.Call) -> Socket:
        """The new socket; a look at the descriptors may have found it before the call's return was told."""
        here = self._at(pid, fd, 1 << 62)
        looked_at = here is not None and not here.whole and not here.ways
        if here is not None and (looked_at or self._since(pid, fd) >= call.entered.t):
            here.whole = True
            return here
        new = Socket(whole=True)
        self._put(pid, fd, call.returned.t if call.returned is not None else call.entered.t, new)
        return new

    def _dup(self, state: st.LabState, pid: int, name: str, call: st.Call) -> None:
        returned, args = call.returned, call.entered.args
        if returned is None or returned.result < 0 or (name == "fcntl" and args[1] not in _F_DUPFD):
            return
        old = self._at(pid, args[0] & 0xFFFF_FFFF, call.entered.t)
        if self._since(pid, returned.result) < call.entered.t:
            self._put(pid, returned.result, returned.t, old)

    def _closes(self, state: st.LabState, pid: int, name: str, call: st.Call) -> None:
        returned, args = call.returned, call.entered.args
        if returned is None or returned.result == -9:  # EBADF; after any other error it is closed all the same
            return
        table = self._slots.get(pid, {})
        if name == "close":
            fds = [args[0] & 0xFFFF_FFFF]
        elif args[2] & _CLOSE_RANGE_CLOEXEC:
            return
        else:
            fds = [fd for fd in table if args[0] & 0xFFFF_FFFF <= fd <= args[1] & 0xFFFF_FFFF]
        for fd in fds:
            if fd in table and self._since(pid, fd) < call.entered.t:
                self._put(pid, fd, returned.t, None)

    def _forks(self, state: st.LabState, pid: int, name: str, call: st.Call) -> None:
        child = call.returned.result if call.returned is not None else 0
        if child <= 0 or child in self._slots or (name == "clone" and call.entered.args[0] & _SHARED_TABLE):
            return
        known = state.tasks.get(child)
        if known is None or known.pid == child:
            self._inherit(state, pid, child)

    def _ends(self, state: st.LabState, pid: int, name: str, call: st.Call) -> None:
        self._slots.pop(pid, None)

    # ---------------------------------------------------------------- a long run

    def _forget(self) -> None:
        """Of calls long past only the sums are kept, and of sockets those that a descriptor may refer to."""
        before = self._calls - _KEPT_PLACES
        held = [socket for table in self._slots.values() for slot in table.values() for _, socket in slot if socket]
        used = {id(socket) for socket in held}
        known = {id(each): each for each in (*held, *self._by_inode.values(), *self._by_peer.values())}
        ways = [way for socket in known.values() for way in socket.ways.values()]
        for way in ways:
            way.forget(before)
        self._places = sum(len(way.places) for way in ways)
        for inode, socket in list(self._by_inode.items()):
            if id(socket) not in used and socket.last < before:
                del self._by_inode[inode]
                self._inodes.pop(self._ids.pop(inode, 0), None)
        for number in list(self._stacks)[:-KEPT_ACCEPTS]:
            del self._stacks[number]


_CALLS: dict[str, Callable[[SocketCalls, st.LabState, int, str, st.Call], None]] = {
    **dict.fromkeys((*_READS, *_WRITES), SocketCalls._moves),
    **dict.fromkeys(("sendfile", "sendfile64", "splice"), SocketCalls._sendfile),
    **dict.fromkeys(("accept", "accept4"), SocketCalls._accept),
    "socket": SocketCalls._opens,
    **dict.fromkeys(("dup", "dup2", "dup3", "fcntl"), SocketCalls._dup),
    **dict.fromkeys(("close", "close_range"), SocketCalls._closes),
    **dict.fromkeys(("fork", "vfork", "clone", "clone3"), SocketCalls._forks),
    "exit_group": SocketCalls._ends,
}


def _peer(call: st.Call) -> str:
    """The address that accept wrote, as the kernel's tables write it."""
    returned, where = call.returned, call.entered.args[1]
    data = next((mem.data for mem in returned.mem if mem.addr == where), b"") if returned is not None and where else b""
    family, port = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "big")
    if family == libc.AF_INET and len(data) >= 8:
        return f"{libc.inet_ntoa(data[4:8])}:{port}"
    if family == libc.AF_INET6 and len(data) >= 24:
        return f"[{libc.inet_ntop(libc.AF_INET6, data[8:24])}]:{port}"
    return ""


def socket_calls(state: st.LabState) -> SocketCalls:
    """The one of the state's own lab, with all calls of this state read."""
    found: SocketCalls | None = state.derived.get(SocketCalls)
    if found is None:
        found = state.derived[SocketCalls] = SocketCalls()
    found.follow(state)
    return found
