"""The TCP sockets of one network namespace, from the kernel's sock_diag interface, by hand.

In: netlink messages. Out: SocketRow values, and what changed since the last reading. A socket's id is its cookie,
which the kernel keeps from SYN_RECV to the end of TIME_WAIT. Never changes a socket, never looks at a process.
Source: sock_diag(7); linux/inet_diag.h; net/ipv4/inet_diag.c.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple, Protocol

from socklab.errors import MachineError
from socklab.events import SocketRow

LISTEN = 10
ALL_STATES = 0xFFFFFFFF

_NETLINK_SOCK_DIAG = 4
_TCPDIAG_GETSOCK, _SOCK_DIAG_BY_FAMILY = 18, 20
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_NO_COOKIE = b"\xff" * 8

# Only the first byte of a message's type and the first two of its length are looked at: the machines this runs on
# are little-endian.
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port id
_OLD_REQUEST = struct.Struct("=BBBB48sII")  # inet_diag_req: family, src_len, dst_len, ext, id, states, dbs
_REQUEST = struct.Struct("=BBBBI40s8s")  # inet_diag_req_v2: family, protocol, ext, pad, states, id
_MESSAGE = struct.Struct("=BBBB4s16s16sIIIIIIII")  # inet_diag_msg
_PORTS = struct.Struct("!HH")
_COOKIE = struct.Struct("=II")
_COOKIE_AT = 44
_EXPIRES_AT = 52

# A netlink dump fills at most 32 KiB per receive, however large the buffer (net/netlink/af_netlink.c, netlink_recvmsg).
# Buffers above malloc's mmap threshold cost a page fault per page, so ask for no more.
_RECEIVE = 32768

TIMERS_KEPT = 64
"""Up to so many running timers, each look reports what is left of every one; above it `expires_ms` of them all is 0.

A running timer is different at every look: 10,000 sockets in TIME_WAIT would make each look 10,000 changes. A number
that is not kept up to date must not be shown, so above this limit none is given."""


class Delta(NamedTuple):
    """What is different since the last look. A row is in `changed` when any of its fields is another than before."""

    changed: list[SocketRow]
    gone: list[int]


class SocketTable(Protocol):
    """What both readers of a host's sockets (sock_diag, /proc/net/tcp) offer."""

    rows: dict[int, SocketRow]
    by_inode: dict[int, int]

    def look(self) -> Delta: ...
    def look_at(self, ids: Iterable[int]) -> Delta: ...
    def look_at_listeners(self) -> Delta: ...
    def look_for(self, family: int, local: str, remote: str) -> Delta: ...
    def close(self) -> None: ...


class Diag:
    """sock_diag of the network namespace the calling thread is in when this is made.

    `rows` and `by_inode` (inode to id) are as of the last look. Raises MachineError where the kernel has no sock_diag.
    One dump is not one instant: a socket that moves while the kernel walks its table may be listed as it was
    before or after. With the program held, only packets under way can do that.
    """

    def __init__(self) -> None:
        self.rows: dict[int, SocketRow] = {}
        self.by_inode: dict[int, int] = {}
        self._messages: dict[int, bytes] = {}
        """id to the inet_diag_msg its row was made from."""
        self._chunks: list[bytes] = []
        self._split: list[list[bytes]] = []
        """The last dump as received, and the messages of each chunk."""
        self._patched = False
        """A row was read since by itself: equal chunks do not prove equal rows any more."""
        self._running: set[int] = set()
        self._listeners: set[int] = set()
        """Sockets with a running timer; sockets in LISTEN."""
        self._timers_shown = True
        self._text = _Text()
        try:
            self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
        except OSError as error:
            raise _missing(error) from error
        try:
            self._netlink.settimeout(None)
            self._dump(1 << LISTEN)
        except OSError as error:
            self._netlink.close()
            raise _missing(error) from error

    def close(self) -> None:
        self._netlink.close()

    # ---- reading

    def dump(self, states: int = ALL_STATES) -> list[SocketRow]:
        """All TCP sockets, IPv4 and IPv6, in the states of the bit mask, without regard to earlier looks."""
        messages = chain.from_iterable(map(_split, self._dump(states)))
        return [self._text.row(message) for message in messages]

    def exact(self, family: int, local: str, remote: str) -> SocketRow | None:
        """The socket with these two ends, whatever the size of the table; None = there is none now.

        A listener's remote is "0.0.0.0:0" or "[::]:0". Of several listeners that share a port (SO_REUSEPORT) the
        kernel chooses one.
        """
        message = self._exact(family, _pack_ends(family, local, remote))
        return None if message is None else self._text.row(message)

    def look(self) -> Delta:
        """All sockets; costs little more than the kernel's own walk while few of them change.

        The kernel lists an unchanged table in the same order and so in the same chunks of 32 KiB. Chunks that equal
        the last dump's are done with one comparison; of the others only messages never seen are unpacked.
        """
        chunks = self._dump(ALL_STATES)
        old_chunks, old_split = self._chunks, self._split
        if chunks == old_chunks and not self._patched:
            return Delta([], [])
        split: list[list[bytes]] = []
        fresh: list[list[bytes]] = []
        stale: list[list[bytes]] = []
        for index, chunk in enumerate(chunks):
            known = old_split[index] if index < len(old_split) else []
            if index < len(old_chunks) and chunk == old_chunks[index]:
                split.append(known)
                if not self._patched:
                    continue
            else:
                split.append(_split(chunk))
            fresh.append(split[-1])
            stale.append(known)
        stale.extend(old_split[len(chunks) :])
        self._chunks, self._split = chunks, split
        before = set(self._messages.values()) if self._patched else set(chain.from_iterable(stale))
        self._patched = False
        return self._take(
            [message for message in chain.from_iterable(fresh) if message not in before],
            before.difference(*fresh),
        )

    def look_at(self, ids: Iterable[int]) -> Delta:
        """Only these sockets of the last look, each asked for by its ends."""
        found: list[bytes] = []
        lost: set[bytes] = set()
        for id_ in ids:
            known = self._messages.get(id_)
            if known is None or known[1] == LISTEN:  # listeners: see look_at_listeners
                continue
            message = self._exact(known[0], known[4:44])
            if message is None or _cookie(message) != id_:
                lost.add(known)
            else:
                found.append(message)
        return self._patch(found, lost)

    def look_at_listeners(self) -> Delta:
        """Only listeners: the kernel keeps them in a table of their own, so this costs nothing per connection."""
        found = list(chain.from_iterable(map(_split, self._dump(1 << LISTEN))))
        listed = set(map(_cookie, found))
        return self._patch(found, {self._messages[id_] for id_ in self._listeners if id_ not in listed})

    def look_for(self, family: int, local: str, remote: str) -> Delta:
        """The socket with these ends, taken into the table when it is there."""
        message = self._exact(family, _pack_ends(family, local, remote))
        return self._patch([] if message is None else [message], set())

    # ---- what changed

    def _patch(self, found: list[bytes], lost: set[bytes]) -> Delta:
        fresh = [message for message in found if self._messages.get(_cookie(message)) != message]
        if fresh or lost:
            self._patched = True
        return self._take(fresh, lost)

    def _take(self, fresh: list[bytes], lost: set[bytes]) -> Delta:
        """Put `fresh` messages into the table; a socket whose latest message is among `lost` is gone."""
        before: dict[int, SocketRow | None] = {}
        messages, rows, by_inode = self._messages, self.rows, self.by_inode
        for message in fresh:  # in the order of the dump: of two messages of one socket the later counts
            id_ = _cookie(message)
            known = messages.get(id_)
            messages[id_] = message
            if known is not None and _same_but_timer(known, message):
                continue
            old = rows.get(id_)
            before.setdefault(id_, old)
            row = self._text.row(message, timers=False)
            rows[id_] = row
            if old is not None and old.inode and old.inode != row.inode:
                by_inode.pop(old.inode, None)
            if row.inode:
                by_inode[row.inode] = id_
            (self._running.add if message[2] else self._running.discard)(id_)
            (self._listeners.add if message[1] == LISTEN else self._listeners.discard)(id_)
        gone: list[int] = []
        for message in lost:
            id_ = _cookie(message)
            if messages.get(id_) != message:  # it has a newer one
                continue
            del messages[id_]
            left = rows.pop(id_)
            self._running.discard(id_)
            self._listeners.discard(id_)
            if by_inode.get(left.inode) == id_:
                del by_inode[left.inode]
            gone.append(id_)
        self._show_timers(before)
        return Delta([rows[id_] for id_, old in before.items() if rows[id_] != old], gone)

    def _show_timers(self, before: dict[int, SocketRow | None]) -> None:
        """Give rows with a running timer what is left of it, or 0 for them all: see TIMERS_KEPT."""
        show = len(self._running) <= TIMERS_KEPT
        if not show and not self._timers_shown:
            return
        self._timers_shown = show
        for id_ in self._running:
            row = self._text.row(self._messages[id_], timers=show)
            if row != self.rows[id_]:
                before.setdefault(id_, self.rows[id_])
                self.rows[id_] = row

    # ---- netlink

    def _dump(self, states: int) -> list[bytes]:
        """Raw replies, each a whole number of messages. Raises OSError."""
        # The older of the two requests takes AF_UNSPEC: one walk through the table instead of one per family.
        body = _OLD_REQUEST.pack(0, 0, 0, 0, bytes(48), states, 0)
        self._netlink.send(_HEADER.pack(16 + len(body), _TCPDIAG_GETSOCK, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0) + body)
        chunks: list[bytes] = []
        receive = self._netlink.recv
        while True:
            chunk = receive(_RECEIVE)
            kind = chunk[4]
            if kind == _NLMSG_DONE:
                return chunks
            if kind == _NLMSG_ERROR:
                raise _refused(chunk)
            chunks.append(chunk)

    def _exact(self, family: int, ends: bytes) -> bytes | None:
        """`ends` as in inet_diag_sockid: ports, addresses, and the interface the socket is bound to (0 = none)."""
        body = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, ALL_STATES, ends, _NO_COOKIE)
        self._netlink.send(_HEADER.pack(16 + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + body)
        reply = self._netlink.recv(_RECEIVE)
        if reply[4] == _NLMSG_ERROR:
            error = _refused(reply)
            if error.errno == errno.ENOENT:
                return None
            raise error
        message = reply[16:88]
        # Where no connection has these ends the kernel's look-up goes on to a listener of the port.
        return message if message[4:40] == ends[:36] else None


class _Text:
    """Rows out of messages; address texts are made once each."""

    def __init__(self) -> None:
        self._hosts: dict[tuple[int, bytes], str] = {}

    def row(self, message: bytes, *, timers: bool = True) -> SocketRow:
        family, state, timer, retransmits, ports, here, there, _, low, high, expires, rx, tx, uid, inode = (
            _MESSAGE.unpack(message)
        )
        here_port, there_port = _PORTS.unpack(ports)
        return SocketRow(
            low | high << 32,
            family,
            f"{self._hosts.get((family, here)) or self._host(family, here)}:{here_port}",
            f"{self._hosts.get((family, there)) or self._host(family, there)}:{there_port}",
            state,
            rx,
            tx,
            inode,
            uid,
            timer,
            expires if timers and timer else 0,
            retransmits,
        )

    def _host(self, family: int, raw: bytes) -> str:
        if len(self._hosts) > 4096:
            self._hosts.clear()
        text = socket.inet_ntop(family, raw[:4]) if family == socket.AF_INET else f"[{socket.inet_ntop(family, raw)}]"
        self._hosts[family, raw] = text
        return text


_SPLITTERS: dict[int, struct.Struct] = {}


def _split(chunk: bytes) -> list[bytes]:
    """The inet_diag_msg of each netlink message: without its header and the attributes, which no row needs."""
    size = len(chunk)
    length = chunk[0] | chunk[1] << 8
    count, rest = divmod(size, length)
    # Nearly every chunk holds messages of one length: cut it in one go.
    if not rest and length % 4 == 0 and chunk[::length] == chunk[:1] * count and chunk[1::length] == chunk[1:2] * count:
        splitter = _SPLITTERS.get(length)
        if splitter is None:
            splitter = _SPLITTERS[length] = struct.Struct(f"16x72s{length - 88}x")
        return list(chain.from_iterable(splitter.iter_unpack(chunk)))
    messages: list[bytes] = []
    at = 0
    while at < size:
        if chunk[at + 4] == _NLMSG_DONE:
            break
        messages.append(chunk[at + 16 : at + 88])
        at += ((chunk[at] | chunk[at + 1] << 8) + 3) & ~3
    return messages


def _cookie(message: bytes) -> int:
    low, high = _COOKIE.unpack_from(message, _COOKIE_AT)
    cookie: int = low | high << 32
    return cookie


def _same_but_timer(one: bytes, other: bytes) -> bool:
    return one[:_EXPIRES_AT] == other[:_EXPIRES_AT] and one[_EXPIRES_AT + 4 :] == other[_EXPIRES_AT + 4 :]


def _pack_ends(family: int, local: str, remote: str) -> bytes:
    """`127.0.0.1:80` and `[::1]:80` as in inet_diag_sockid."""
    here, _, here_port = local.rpartition(":")
    there, _, there_port = remote.rpartition(":")
    ports = _PORTS.pack(int(here_port), int(there_port))
    hosts = (socket.inet_pton(family, host.strip("[]")).ljust(16, b"\0") for host in (here, there))
    return b"".join((ports, *hosts, bytes(4)))


def _refused(reply: bytes) -> OSError:
    number = -int(struct.unpack_from("=i", reply, 16)[0])
    return OSError(number, os.strerror(number))


def _missing(error: OSError) -> MachineError:
    return MachineError(
        f"this kernel offers no sock_diag for TCP ({errno.errorcode.get(error.errno or 0, '?')})",
        fix="Load the modules inet_diag and tcp_diag, or go on: /proc/net/tcp is read instead, without backlog limits.",
    )
