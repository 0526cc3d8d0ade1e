"""What the kernel knows of a UNIX socket beside what it says of itself: its peer, and the queue of a listener.

In: the inode of a socket. Out: its peer's inode, how many wait for accept, and how many may. One question and one
answer for each socket, whatever the size of the table. Never changes a socket.

Source: sock_diag(7); linux/unix_diag.h; net/unix/diag.c.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from socklab.core.text import safe

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST = 20, 1
_SHOW_NAME, _SHOW_PEER, _SHOW_RQLEN = 0x01, 0x04, 0x10
_NAME, _PEER, _RQLEN = 0, 2, 4  # attributes
_LISTEN = 10
_REQUEST = struct.Struct("=IHHIIBBHIIIII")  # nlmsghdr, then unix_diag_req: family, -, -, states, inode, show, cookie
_MESSAGE_AT, _ATTRIBUTES_AT = 16, 32
_ANY = 0xFFFF_FFFF


class UnixSocket(NamedTuple):
    """`peer`: inode of the socket at the other end, 0 = none, or not in this network namespace's reach. `depth` and
    `backlog`: of a listener; None otherwise."""

    peer: int = 0
    depth: int | None = None
    backlog: int | None = None
    name: str = ""
    """As a person writes it: a path, or "@name" where it is in no file system; "" = it is bound to none."""
    listening: bool = False


UNKNOWN = UnixSocket()


class UnixDiag:
    """UNIX sockets of the network namespace the calling thread is in when this is made."""

    def __init__(self) -> None:
        self._netlink: socket.socket | None = None
        try:
            self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
            self._netlink.settimeout(None)
        except OSError:
            # No sock_diag in this kernel, or refused: then only what the sockets say of themselves is known.
            self.close()

    def close(self) -> None:
        if self._netlink is not None:
            self._netlink.close()
        self._netlink = None

    def read(self, inode: int) -> UnixSocket:
        """UNKNOWN where the kernel does not tell: no unix_diag (ENOENT), or a socket of another namespace."""
        if self._netlink is None:
            return UNKNOWN
        show = _SHOW_NAME | _SHOW_PEER | _SHOW_RQLEN
        body = (socket.AF_UNIX, 0, 0, _ANY, inode, show, _ANY, _ANY)
        try:
            self._netlink.send(_REQUEST.pack(_REQUEST.size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0, *body))
            reply = self._netlink.recv(4096)
        except OSError:
            return UNKNOWN
        return parse_unix_message(reply)


def parse_unix_message(reply: bytes) -> UnixSocket:
    """Of one netlink message; UNKNOWN of an error."""
    if len(reply) < _ATTRIBUTES_AT or int.from_bytes(reply[4:6], "little") != _SOCK_DIAG_BY_FAMILY:
        return UNKNOWN
    listens = reply[_MESSAGE_AT + 2] == _LISTEN
    found: dict[int, tuple[int, ...]] = {}
    name, at = b"", _ATTRIBUTES_AT
    while at + 4 <= len(reply):
        length, kind = struct.unpack_from("=HH", reply, at)
        if kind == _NAME:
            name = reply[at + 4 : at + length]
        count = (min(length, len(reply) - at) - 4) // 4
        found[kind] = struct.unpack_from(f"={max(0, count)}I", reply, at + 4)
        at += max(4, (length + 3) & ~3)
    peer = found.get(_PEER, ())
    queue = found.get(_RQLEN, ())
    # net/unix/diag.c, sk_diag_show_rqlen: of a listener how many wait and how many may.
    known = listens and len(queue) == 2
    depth, backlog = queue if known else (None, None)
    return UnixSocket(peer[0] if peer else 0, depth, backlog, written(name), listens)


def written(name: bytes) -> str:
    """A UNIX socket's name. unix(7): one that begins with a null byte is in no file system; a path may end with one."""
    return safe(b"@" + name[1:] if name[:1] == b"\0" else name.removesuffix(b"\0"))
