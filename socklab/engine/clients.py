"""The clients of a lab: sockets that the student holds.

In: actions, and readiness from the lab's selector. Out: `Client` events. Belongs to the lab thread, which
lives in the client host's network namespace. Never looks at the kernel's tables: what a client's socket is there is
read by the look, like everything else.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeAlias

from socklab.commands import actions
from socklab.core.errors import SocklabError
from socklab.engine.stream import Stream
from socklab.protocol import events as ev

Address: TypeAlias = tuple[str, int, str, int]
"""(host from which it can be reached, family, address, port)"""

LEAST_FILES = 128
"""Descriptors without which no lab is begun."""
KEPT_FILES = 32
"""Of all descriptors so many are not for clients or commands: what is shown is read through them."""
TAIL_BYTES = 256
_HANDSHAKE_S = 0.03
_FIRST_PORT, _LAST_PORT = 40_001, 65_000
_PATIENCE = 3


@dataclass(eq=False)
class Client:
    """One socket of the student's."""

    name: str
    sock: socket.socket | None
    inode: int
    host: str = "client"
    phase: str = "connecting"
    local: str = ""
    remote: str = ""
    sent: int = 0
    received: int = 0
    tail: bytes = b""
    eof: bool = False
    errno: int = 0
    unsent: bytes = b""
    deaf: bool = False
    """It does not read: what comes stays in the kernel's receive queue."""


class Clients:
    """All clients of a run. `target` says where the server is now; `local` the address clients come from, or "";
    `enter` takes this thread to a host; `files` is how many descriptors this process may have, None where unknown."""

    def __init__(
        self,
        stream: Stream,
        selector: selectors.BaseSelector,
        target: Callable[[], Address],
        local: Callable[[int], str],
        named: Callable[[str, str], None],
        enter: Callable[[str], None],
        files: int | None = None,
    ) -> None:
        self._stream = stream
        self._selector = selector
        self._target = target
        self._local = local
        self._named_end = named
        self._enter = enter
        self._files = files
        self._next_port = _FIRST_PORT
        self._clients: dict[str, Client] = {}

    # ---------------------------------------------------------------- actions

    def perform(self, action: actions.Action) -> Iterator[None]:
        """Carry out one action; yields between the parts of a long one, so that the lab stays alive.

        Raises SocklabError when the action names a client that is not there or cannot do it.
        """
        if isinstance(action, actions.Connect):
            free = islice(actions.free_names(self._clients), action.count)
            yield from self._connect_in_turn(action.names or tuple(free))
        elif isinstance(action, actions.Send):
            self._send(self._named(action.name), action.data)
        elif isinstance(action, actions.HalfClose):
            self._half_close(self._named(action.name))
        elif isinstance(action, actions.Close):
            self._close(self._named(action.name), "closed")
        elif isinstance(action, actions.Reset):
            self._reset(self._named(action.name))
        elif isinstance(action, actions.StopReading | actions.Read):
            client = self._named(action.name)
            client.deaf = isinstance(action, actions.StopReading)
            if client.phase != "connecting":
                self._watch(client)

    def _connect_in_turn(self, names: tuple[str, ...]) -> Iterator[None]:
        """One after the other: a SYN that overtakes the last client's ACK finds a queue that is not yet full.

        A client that gets no answer is waited for a moment only, and after a few of them nobody is waited for.
        """
        silent = 0
        for number, name in enumerate(names):
            self._connect(name)
            deadline = time.monotonic() + _HANDSHAKE_S
            while silent < _PATIENCE and self._clients[name].phase == "connecting":
                if time.monotonic() > deadline:
                    silent += 1
                    break
                yield
            if number % 64 == 63:
                yield

    def _named(self, name: str) -> Client:
        if not name:
            alive = [c for c in self._clients.values() if c.sock is not None]
            if not alive:
                raise SocklabError("No client is open.", fix="connect   opens one.")
            return alive[-1]
        client = self._clients.get(name)
        if client is None:
            known = ", ".join(list(self._clients)[:20]) or "none yet"
            if len(self._clients) > 20:
                known += f" and {len(self._clients) - 20} more"
            raise SocklabError(f"There is no client {name}. Clients: {known}.", fix=f"connect {name}   opens it.")
        if client.sock is None:
            raise SocklabError(f"Client {name} is closed.", fix="connect   opens a new one.")
        return client

    def _connect(self, name: str) -> None:
        old = self._clients.get(name)
        if old is not None and old.sock is not None:
            raise SocklabError(f"Client {name} is there already.", fix=f"close {name}   ends it.")
        host, family, address, port = self._target()
        try:
            sock = self._socket(host, family)
            if self._files is not None and sock.fileno() >= self._files - KEPT_FILES:
                sock.close()
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        except OSError as error:
            raise SocklabError(
                f"No socket for client {name}: {error.strerror}.", fix="Close some clients, or raise ulimit -n."
            ) from error
        client = self._clients[name] = Client(name, sock, os.fstat(sock.fileno()).st_ino, host)
        source = self._local(family)
        try:
            if source and not address.startswith("127.") and address != "::1":
                # The port is chosen here, before the first packet: the wire is told whose packets these are, and
                # a, b, c have ports that rise with them.
                self._bind(sock, source)
                self._named_end(name, _ends(sock.getsockname()))
            sock.connect((address, port))
        except BlockingIOError:
            pass  # EINPROGRESS: the SYN is out
        except OSError as error:
            self._failed(client, error.errno)
            return
        client.local = _ends(sock.getsockname())
        client.remote = _ends((address, port))
        self._selector.register(sock, selectors.EVENT_WRITE, partial(self._ready, client))
        if not self._settle_connect(client):
            self._tell(client)

    def _socket(self, host: str, family: int) -> socket.socket:
        """A socket of that host: it stays one of the network it was made in."""
        if host == "client":
            return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._enter(host)
        try:
            return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        finally:
            self._enter("client")

    def _bind(self, sock: socket.socket, source: str) -> None:
        """To the next free port from 40001 on. Raises OSError when the host has none of the next thousands left."""
        for _ in range(_LAST_PORT - _FIRST_PORT):
            port = self._next_port
            self._next_port = port + 1 if port < _LAST_PORT else _FIRST_PORT
            try:
                sock.bind((source, port))
                return
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

    def _settle_connect(self, client: Client) -> bool:
        """Read how the handshake went, if it is over. On one machine it often is before connect returns."""
        assert client.sock is not None
        info = client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        if info[0] == 2:  # TCP_SYN_SENT
            return False
        error = client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._failed(client, error)
            return True
        client.phase = "open"
        client.local = _ends(client.sock.getsockname())
        self._watch(client)
        self._tell(client)
        return True

    def _failed(self, client: Client, number: int | None) -> None:
        client.errno = number or errno.EIO
        self._close(client, "reset" if number == errno.ECONNRESET and client.phase != "connecting" else "failed")

    def _send(self, client: Client, data: bytes) -> None:
        if client.phase == "half-closed":
            raise SocklabError(f"Client {client.name} has closed its sending side.", fix="connect   opens a new one.")
        client.unsent += data
        if client.phase == "open":
            self._push(client)
        self._tell(client)

    def _push(self, client: Client) -> None:
        assert client.sock is not None
        try:
            while client.unsent:
                # MSG_NOSIGNAL: a peer that reset us must give EPIPE here, not a signal
                count = client.sock.send(client.unsent, socket.MSG_NOSIGNAL)
                client.sent += count
                client.unsent = client.unsent[count:]
        except BlockingIOError:
            pass  # EAGAIN: the send buffer is full; the selector tells when there is room
        except OSError as error:
            self._failed(client, error.errno)
            return
        self._watch(client)

    def _watch(self, client: Client) -> None:
        """Wait for what concerns the client now: bytes to read, or room for bytes not sent yet."""
        assert client.sock is not None
        interest = 0 if client.eof or client.deaf else selectors.EVENT_READ
        interest |= selectors.EVENT_WRITE if client.unsent else 0
        if client.sock.fileno() in self._selector.get_map():
            self._selector.unregister(client.sock)
        if interest:
            self._selector.register(client.sock, interest, partial(self._ready, client))

    def _half_close(self, client: Client) -> None:
        assert client.sock is not None
        try:
            client.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise SocklabError(f"Client {client.name} is not connected: {error.strerror}.") from error
        client.phase = "half-closed"
        self._tell(client)

    def _reset(self, client: Client) -> None:
        assert client.sock is not None
        # l_onoff 1, l_linger 0: close sends RST and forgets the connection (socket(7), tcp(7)).
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._close(client, "reset")

    def _close(self, client: Client, phase: str) -> None:
        sock, client.sock = client.sock, None
        if sock is not None:
            if sock.fileno() in self._selector.get_map():
                self._selector.unregister(sock)
            sock.close()
        client.phase = phase
        self._tell(client)

    # ---------------------------------------------------------------- readiness

    def _ready(self, client: Client, mask: int) -> None:
        if client.sock is None:
            return
        if client.phase == "connecting":
            if self._settle_connect(client) and client.phase == "open" and client.unsent:
                self._push(client)
            return
        if mask & selectors.EVENT_WRITE:
            self._push(client)
        if mask & selectors.EVENT_READ and client.sock is not None:
            self._read(client)

    def _read(self, client: Client) -> None:
        assert client.sock is not None
        try:
            data = client.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._failed(client, error.errno)
            return
        if data:
            client.received += len(data)
            client.tail = (client.tail + data)[-TAIL_BYTES:]
        else:
            client.eof = True
            self._watch(client)
        self._tell(client)

    def _tell(self, client: Client) -> None:
        self._stream.put(
            ev.Client(
                self._stream.now(),
                client.name,
                client.phase,
                host=client.host,
                local=client.local,
                remote=client.remote,
                inode=client.inode if client.sock is not None else 0,
                sent=client.sent,
                received=client.received,
                tail=client.tail,
                eof=client.eof,
                errno=client.errno,
            )
        )

    def end(self) -> None:
        """Close every socket."""
        for client in self._clients.values():
            if client.sock is not None:
                client.sock.close()

    @property
    def busy(self) -> bool:
        """A client is alive: its connection may move by itself."""
        return any(client.sock is not None for client in self._clients.values())


def _ends(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
