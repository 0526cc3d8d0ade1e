"""What changed in a host's TCP sockets since the last reading, at the price of what changed.

In: dumps of sockdiag. Out: `Delta`: rows that are new or different, ids that are gone. Never reads the kernel other
than through sockdiag, never decides which sockets are of interest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import NamedTuple

from socklab.engine.kernel.sockdiag import (
    ALL_STATES,
    LISTEN,
    NO_MEMORY,
    Diag,
    Memory,
    cookie,
    pack_ends,
    read_memory,
    split_messages,
)
from socklab.protocol.events import SocketRow

# Offsets in inet_diag_msg.
_ENDS_AT, _EXPIRES_AT = 4, 52
_ENDS = 36

TIMERS_KEPT = 64
"""Up to so many running timers, each look reports what is left of every one; above it `expires_ms` of them all is 0.

A running timer is different at every look: 10,000 sockets in TIME_WAIT would make each look 10,000 changes. A number
that is not kept up to date must not be shown, so above this limit none is given."""

MEMORY_READ = 256
"""Up to so many sockets each look reads what their buffers hold, 1 µs a socket that moved; of more, only the buffers
of sockets looked at by themselves: the last RECENT of them are read again at each look."""
RECENT = 16


class Delta(NamedTuple):
    """What is different since the last look. A row is in `changed` when any of its fields is another than before.

    `gone` holds the ids of sockets that are in no table any more, `unlisted` the inodes no row has any more: of those,
    and of connections in TIME_WAIT, whose descriptor may be open still.
    """

    changed: list[SocketRow]
    gone: list[int]
    unlisted: list[int]


class SocketTable(ABC):
    """The sockets of one host, by either reader (sock_diag, /proc/net/tcp). `look` is the reader's own, and so is what
    can be had for less than a look at everything."""

    def __init__(self) -> None:
        self.rows: dict[int, SocketRow] = {}
        """id to row, as of the last look."""
        self.by_inode: dict[int, int] = {}
        """inode to id."""

    @abstractmethod
    def look(self) -> Delta:
        """All sockets."""

    def look_at(self, ids: Iterable[int]) -> Delta:
        """At least these sockets of the last look."""
        return self.look()

    def look_at_listeners(self) -> Delta:
        """At least all listeners."""
        return self.look()

    def look_for(self, family: int, local: str, remote: str) -> Delta:
        """At least the socket with these ends: taken into the table when it is there, gone when it was."""
        return self.look()

    def message_of(self, row: SocketRow) -> bytes:
        """The inet_diag_msg of this socket as the kernel gives it now; b"" = there is none."""
        return b""

    @property
    def listeners(self) -> list[SocketRow]:
        """LISTEN rows as of the last look."""
        return [row for row in self.rows.values() if row.state == LISTEN]

    @property
    def running(self) -> Iterable[SocketRow]:
        """At least the rows with a running timer."""
        return self.rows.values()

    @abstractmethod
    def close(self) -> None:
        """Give back the descriptors it reads from."""


class DiagTable(SocketTable):
    """The sockets of the network namespace the calling thread is in when this is made, through sock_diag.

    Raises MachineError where the kernel has no sock_diag.
    """

    def __init__(self, diag: Diag | None = None) -> None:
        super().__init__()
        self._diag = diag or Diag()
        self._messages: dict[int, bytes] = {}
        """id to the inet_diag_msg its row was made from."""
        self._by_ends: dict[bytes, int] = {}
        """Ports and addresses, as in the message, to id. Of listeners that share a port only one is here."""
        self._chunks: list[bytes] = []
        self._split: list[list[bytes]] = []
        """The last dump as received, and the messages of each chunk."""
        self._patched = False
        """A row was read since by itself: equal chunks do not prove equal rows any more."""
        self._running: set[int] = set()
        self._listeners: set[int] = set()
        """Sockets with a running timer; sockets in LISTEN."""
        self._timers_shown = True
        self._memory: dict[int, Memory] = {}
        """id to what its buffers hold, of those that were asked."""
        self._all_memory = True
        """The last look read it of all sockets: see MEMORY_READ."""
        self._recent: dict[int, None] = {}
        """The sockets last looked at by themselves, the latest one last."""

    def close(self) -> None:
        self._diag.close()

    def look(self) -> Delta:
        """All sockets; costs little more than the kernel's own walk while few of them change.

        The kernel lists an unchanged table in the same order and so in the same chunks of 32 KiB. Chunks that equal
        the last dump's are done with one comparison; of the others only messages never seen are unpacked.
        """
        asked = len(self.rows) <= MEMORY_READ
        chunks = self._diag.read_dump(ALL_STATES, memory=asked)
        old_chunks, old_split = self._chunks, self._split
        if chunks == old_chunks and not self._patched:
            return Delta([], [], []) if self._all_memory else self._take([], set(), self._read_again())
        split: list[list[bytes]] = []
        fresh: list[list[bytes]] = []
        stale: list[list[bytes]] = []
        seen: list[bytes] = []
        for index, chunk in enumerate(chunks):
            known = old_split[index] if index < len(old_split) else []
            if index < len(old_chunks) and chunk == old_chunks[index]:
                split.append(known)
                if not self._patched:
                    continue
            else:
                split.append(split_messages(chunk))
            fresh.append(split[-1])
            stale.append(known)
            seen.append(chunk)
        stale.extend(old_split[len(chunks) :])
        self._chunks, self._split = chunks, split
        before = set(self._messages.values()) if self._patched else set(chain.from_iterable(stale))
        self._patched = False
        self._all_memory = asked and sum(map(len, split)) <= MEMORY_READ
        return self._take(
            [message for message in chain.from_iterable(fresh) if message not in before],
            before.difference(*fresh),
            dict(chain.from_iterable(map(read_memory, seen))) if self._all_memory else self._read_again(),
        )

    @property
    def listeners(self) -> list[SocketRow]:
        return [self.rows[id_] for id_ in self._listeners]

    @property
    def running(self) -> Iterable[SocketRow]:
        return map(self.rows.__getitem__, self._running)

    def look_at(self, ids: Iterable[int]) -> Delta:
        """Only these sockets of the last look, each asked for by its ends."""
        found: list[tuple[bytes, Memory]] = []
        lost: set[bytes] = set()
        for id_ in ids:
            known = self._messages.get(id_)
            if known is None or known[1] == LISTEN:  # listeners: see look_at_listeners
                continue
            now = self._diag.read_exact(known[0], known[4:44])
            if now is None or cookie(now[0]) != id_:
                lost.add(known)
            else:
                found.append(now)
        return self._looked_at(found, lost)

    def look_at_listeners(self) -> Delta:
        """Only listeners: the kernel keeps them in a table of their own, so this costs nothing per connection."""
        found = list(chain.from_iterable(map(split_messages, self._diag.read_dump(1 << LISTEN))))
        listed = set(map(cookie, found))
        return self._patch(found, {self._messages[id_] for id_ in self._listeners if id_ not in listed})

    def look_for(self, family: int, local: str, remote: str) -> Delta:
        """The socket with these ends: taken into the table when it is there, gone when it was."""
        ends = pack_ends(family, local, remote)
        found = self._diag.read_exact(family, ends)
        known = self._messages.get(self._by_ends.get(ends[:_ENDS], 0))
        lost: set[bytes] = set()
        if known and known[1] != LISTEN and (found is None or cookie(found[0]) != cookie(known)):
            lost.add(known)
        return self._looked_at([] if found is None else [found], lost)

    # ---- memory

    def _looked_at(self, found: list[tuple[bytes, Memory]], lost: set[bytes]) -> Delta:
        """These were read by themselves: now, and from now on, what their buffers hold is known."""
        memory = {cookie(message): held for message, held in found}
        for id_ in memory:
            self._recent.pop(id_, None)
            self._recent[id_] = None
        while len(self._recent) > RECENT:
            oldest = next(iter(self._recent))
            del self._recent[oldest]
            if not self._all_memory:
                memory[oldest] = NO_MEMORY
        return self._patch([message for message, _ in found], lost, memory)

    def _read_again(self) -> dict[int, Memory]:
        """The memory of the sockets last looked at by themselves; of the others it is not known any more."""
        memory = dict.fromkeys(self._memory, NO_MEMORY)
        for id_ in list(self._recent):
            known = self._messages.get(id_)
            now = None if known is None else self._diag.read_exact(known[0], known[4:44])
            if now is not None and cookie(now[0]) == id_:
                memory[id_] = now[1]
            elif known is None:
                del self._recent[id_]
        return memory

    def message_of(self, row: SocketRow) -> bytes:
        if row.state == LISTEN:  # of several at one port the kernel would choose one
            listed = chain.from_iterable(map(split_messages, self._diag.read_dump(1 << LISTEN)))
            return next((message for message in listed if cookie(message) == row.id), b"")
        known = self._messages.get(row.id)
        ends = known[4:44] if known is not None else pack_ends(row.family, row.local, row.remote)
        found = self._diag.read_exact(row.family, ends)
        return found[0] if found is not None and cookie(found[0]) == row.id else b""

    # ---- what changed

    def _patch(self, found: list[bytes], lost: set[bytes], memory: Mapping[int, Memory] | None = None) -> Delta:
        fresh = [message for message in found if self._messages.get(cookie(message)) != message]
        if fresh or lost or (memory and self._all_memory):
            self._patched = True
        return self._take(fresh, lost, memory or {})

    def _take(self, fresh: list[bytes], lost: set[bytes], memory: Mapping[int, Memory]) -> Delta:
        """Put `fresh` messages into the table, and what is known of buffers now; a socket whose latest message is among
        `lost` is gone."""
        before: dict[int, SocketRow | None] = {}
        unlisted: list[int] = []
        messages, rows, by_inode, by_ends = self._messages, self.rows, self.by_inode, self._by_ends
        moved = [id_ for id_, held in memory.items() if self._memory.get(id_, NO_MEMORY) != held]
        self._memory.update((id_, memory[id_]) for id_ in moved)
        for message in fresh:  # in the order of the dump: of two messages of one socket the later counts
            id_ = cookie(message)
            known = messages.get(id_)
            messages[id_] = message
            if known is not None and _same_but_timer(known, message):
                continue
            old = rows.get(id_)
            before.setdefault(id_, old)
            row = self._row(id_, timers=False)
            rows[id_] = row
            by_ends[message[_ENDS_AT : _ENDS_AT + _ENDS]] = id_
            if old is not None and old.inode != row.inode and by_inode.get(old.inode) == id_:
                del by_inode[old.inode]
                unlisted.append(old.inode)
            if row.inode:
                by_inode[row.inode] = id_
            (self._running.add if message[2] else self._running.discard)(id_)
            (self._listeners.add if message[1] == LISTEN else self._listeners.discard)(id_)
        gone: list[int] = []
        for message in lost:
            id_ = cookie(message)
            if messages.get(id_) != message:  # it has a newer one
                continue
            del messages[id_]
            self._memory.pop(id_, None)
            left = rows.pop(id_)
            self._running.discard(id_)
            self._listeners.discard(id_)
            if by_inode.get(left.inode) == id_:
                del by_inode[left.inode]
                unlisted.append(left.inode)
            ends = message[_ENDS_AT : _ENDS_AT + _ENDS]
            if by_ends.get(ends) == id_:
                del by_ends[ends]
            gone.append(id_)
        for id_ in moved:
            if memory[id_] == NO_MEMORY or id_ not in rows:
                self._memory.pop(id_, None)
            if id_ in rows and id_ not in before:
                before[id_] = rows[id_]
                rows[id_] = self._row(id_, timers=False)
        self._show_timers(before)
        return Delta([rows[id_] for id_, old in before.items() if rows[id_] != old], gone, unlisted)

    def _show_timers(self, before: dict[int, SocketRow | None]) -> None:
        """Give rows with a running timer what is left of it, or 0 for them all: see TIMERS_KEPT."""
        show = len(self._running) <= TIMERS_KEPT
        if not show and not self._timers_shown:
            return
        self._timers_shown = show
        for id_ in self._running:
            row = self._row(id_, timers=show)
            if row != self.rows[id_]:
                before.setdefault(id_, self.rows[id_])
                self.rows[id_] = row

    def _row(self, id_: int, *, timers: bool) -> SocketRow:
        return self._diag.row(self._messages[id_], self._memory.get(id_, NO_MEMORY), timers=timers)


def _same_but_timer(one: bytes, other: bytes) -> bool:
    return one[:_EXPIRES_AT] == other[:_EXPIRES_AT] and one[_EXPIRES_AT + 4 :] == other[_EXPIRES_AT + 4 :]
