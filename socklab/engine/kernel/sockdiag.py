"""The TCP sockets of one network namespace, from the kernel's sock_diag interface.

In: netlink messages. Out: SocketRow values, or the messages they are made of. A socket's id is its cookie, which the
kernel keeps from SYN_RECV to the end of TIME_WAIT. Never changes a socket, never remembers an earlier reading.

By hand, on purpose: a dump that takes 2.7 ms here takes 44 to 71 ms with pyroute2.

Source: sock_diag(7); linux/inet_diag.h; net/ipv4/inet_diag.c.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from socklab.core.errors import MachineError
from socklab.protocol.events import SocketRow

LISTEN = 10
ALL_STATES = 0x1FFE
"""ESTABLISHED (1) to NEW_SYN_RECV (12). Bit 13 would, since Linux 6.8, also list sockets that only have an address
(TCP_BOUND_INACTIVE, told as CLOSE): neither /proc/net/tcp nor `ss -tan` lists those."""

_NETLINK_SOCK_DIAG = 4
_TCPDIAG_GETSOCK, _SOCK_DIAG_BY_FAMILY = 18, 20
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_DONE = struct.pack("=IH", 20, _NLMSG_DONE)
_NO_COOKIE = b"\xff" * 8

# Only the first byte of a message's type and the first two of its length are looked at: the machines this runs on
# are little-endian.
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port id
_OLD_REQUEST = struct.Struct("=BBBB48sII")  # inet_diag_req: family, src_len, dst_len, ext, id, states, dbs
_REQUEST = struct.Struct("=BBBBI40s8s")  # inet_diag_req_v2: family, protocol, ext, pad, states, id
_MESSAGE = struct.Struct("=BBBB4s16s16sIIIIIIII")  # inet_diag_msg
_PORTS = struct.Struct("!HH")
_COOKIE = struct.Struct("=II")
_COOKIE_AT = 44  # in inet_diag_msg
_SKMEMINFO = 7  # INET_DIAG_SKMEMINFO; a request asks for it by bit 7 - 1
_MEMORY_ASKED = 1 << (_SKMEMINFO - 1)
_MEMINFO = struct.Struct("=6I")  # SK_MEMINFO_ RMEM_ALLOC, RCVBUF, WMEM_ALLOC, SNDBUF, FWD_ALLOC, WMEM_QUEUED

# A netlink dump fills at most 32 KiB per receive, however large the buffer (net/netlink/af_netlink.c, netlink_recvmsg).
# Buffers above malloc's mmap threshold cost a page fault per page, so ask for no more.
_RECEIVE = 32768


class Memory(NamedTuple):
    """What a socket's two buffers take of the kernel's memory, and may take: see SocketRow."""

    receive_used: int
    receive_limit: int
    send_used: int
    send_limit: int


NO_MEMORY = Memory(0, 0, 0, 0)
"""Not read; also of what has no buffers: SYN_RECV and TIME_WAIT."""


class Diag:
    """sock_diag of the network namespace the calling thread is in when this is made.

    Raises MachineError where the kernel has no sock_diag. One dump is not one instant: a socket that moves while the
    kernel walks its table may be listed as it was before or after. With the program held, only packets under way can
    do that.
    """

    def __init__(self) -> None:
        self._hosts: dict[tuple[int, bytes], str] = {}
        try:
            self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
        except OSError as error:
            raise _missing(error) from error
        try:
            self._netlink.settimeout(None)
            self.read_dump(1 << LISTEN)
        except OSError as error:
            self._netlink.close()
            raise _missing(error) from error

    def close(self) -> None:
        self._netlink.close()

    def read_dump(self, states: int, *, memory: bool = False) -> list[bytes]:
        """Raw replies, each a whole number of messages; with `memory`, `read_memory` finds it there. Raises OSError."""
        # The older of the two requests takes AF_UNSPEC: one walk through the table instead of one per family.
        body = _OLD_REQUEST.pack(0, 0, 0, _MEMORY_ASKED if memory else 0, bytes(48), states, 0)
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
            if chunk[-20:-14] == _DONE:  # newer kernels may put the end behind the last messages
                chunks.append(chunk[:-20])
                return chunks
            chunks.append(chunk)

    def read_exact(self, family: int, ends: bytes) -> tuple[bytes, Memory] | None:
        """The inet_diag_msg of the socket with these ends, and its memory, whatever the size of the table; None = there
        is none now.

        `ends` as in inet_diag_sockid: ports, addresses, and the interface the socket is bound to (0 = none). A
        listener's remote end is 0. Of several listeners that share a port (SO_REUSEPORT) the kernel chooses one.
        """
        body = _REQUEST.pack(family, socket.IPPROTO_TCP, _MEMORY_ASKED, 0, ALL_STATES, ends, _NO_COOKIE)
        self._netlink.send(_HEADER.pack(16 + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + body)
        reply = self._netlink.recv(_RECEIVE)
        if reply[4] == _NLMSG_ERROR:
            error = _refused(reply)
            if error.errno == errno.ENOENT:
                return None
            raise error
        message = reply[16:88]
        # Where no connection has these ends the kernel's look-up goes on to a listener of the port.
        return (message, _memory(reply, 0)) if message[4:40] == ends[:36] else None

    def row(self, message: bytes, memory: Memory = NO_MEMORY, *, timers: bool = True) -> SocketRow:
        """The row of an inet_diag_msg; without `timers`, `expires_ms` is 0."""
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
            *memory,
        )

    def _host(self, family: int, raw: bytes) -> str:
        if len(self._hosts) > 4096:
            self._hosts.clear()
        text = socket.inet_ntop(family, raw[:4]) if family == socket.AF_INET else f"[{socket.inet_ntop(family, raw)}]"
        self._hosts[family, raw] = text
        return text


_SPLITTERS: dict[int, struct.Struct] = {}


def split_messages(chunk: bytes) -> list[bytes]:
    """The inet_diag_msg of each netlink message: without its header and the attributes, which no row needs."""
    size = len(chunk)
    if size < 88:
        return []
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
        messages.append(chunk[at + 16 : at + 88])
        at += ((chunk[at] | chunk[at + 1] << 8) + 3) & ~3
    return messages


def cookie(message: bytes) -> int:
    """The socket's id, of its inet_diag_msg."""
    low, high = _COOKIE.unpack_from(message, _COOKIE_AT)
    number: int = low | high << 32
    return number


def read_memory(chunk: bytes) -> Iterator[tuple[int, Memory]]:
    """The memory of each socket of a dump that asked for it, by id; NO_MEMORY of one that has no buffers."""
    at, size = 0, len(chunk)
    while at + 88 <= size:
        yield cookie(chunk[at + 16 : at + 88]), _memory(chunk, at)
        at += ((chunk[at] | chunk[at + 1] << 8) + 3) & ~3


def _memory(chunk: bytes, start: int) -> Memory:
    """Of the message that begins at `start`: among the attributes behind its inet_diag_msg, if there at all."""
    end = start + (chunk[start] | chunk[start + 1] << 8)
    at = start + 88
    while at + 4 <= end:
        length = chunk[at] | chunk[at + 1] << 8
        if chunk[at + 2] == _SKMEMINFO and 4 + _MEMINFO.size <= length <= end - at:
            received, receive_limit, _, send_limit, _, queued = _MEMINFO.unpack_from(chunk, at + 4)
            return Memory(received, receive_limit, queued, send_limit)
        at += max(4, (length + 3) & ~3)
    return NO_MEMORY


def pack_ends(family: int, local: str, remote: str) -> bytes:
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
        fix="Load the modules inet_diag and tcp_diag, or go on: /proc/net/tcp is read instead, more slowly.",
    )
