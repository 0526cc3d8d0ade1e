"""The one builder of event streams: a small lab told by hand, for tests that need a state and no kernel.

In: what happens, in order. Out: events as an engine on x86-64 would send them, and the LabState they fold to. Functions
make the events of one thing; a `Stream` keeps what it was told. Unless told otherwise the server is pid 100, both
addresses belong to one private host, and times count up by one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import count
from socket import inet_aton
from typing import Self, TypeAlias

from socklab.protocol import events as ev
from socklab.state import LabState, apply

PID = 100
NUMBERS = {"read": 0, "write": 1, "close": 3, "socket": 41, "accept": 43, "bind": 49, "listen": 50, "accept4": 288}
SERVER, CLIENT = "10.0.0.1:8080", "10.0.0.2:"

Part: TypeAlias = "ev.Event | Iterable[Part]"

_clock = count(1)


def t() -> int:
    """The next moment: later than every one before."""
    return next(_clock)


# ---------------------------------------------------------------- the run and its program


def hosts(kind: str = "private", server: str = "10.0.0.1", client: str = "10.0.0.2") -> tuple[ev.Host, ...]:
    """Two hosts with a table each, or (private, machine) two addresses in one table."""
    shared = "" if kind == "two-hosts" else "server"
    return (ev.Host("server", (server,)), ev.Host("client", (client,), shares_table_with=shared))


def header(network: str = "private", **more: object) -> ev.Header:
    given = {"t": t(), "socklab": "0", "kernel": "6.18", "arch": "x86_64", "started_ns": 0, "hosts": hosts(network)}
    return ev.Header(**{"format": ev.FORMAT, "network": network, **given, **more})  # type: ignore[arg-type]


def start(shared: bool = True) -> list[ev.AnyEvent]:
    """Header and Started. `shared`: both addresses are in one table."""
    head = header(hosts=hosts("private" if shared else "two-hosts"))
    return [head, ev.Started(t(), PID, "server", ("./server",), "/")]


def entered(
    call: str | int, *args: int, tid: int = PID, mem: tuple[ev.Mem, ...] = (), at: int | None = None
) -> ev.Enter:
    """The call is about to be made, with as many of its six arguments as are given."""
    nr = NUMBERS[call] if isinstance(call, str) else call
    return ev.Enter(t() if at is None else at, tid, nr, (*args, 0, 0, 0, 0, 0, 0)[:6], mem)


def result(
    call: str | int, value: int, tid: int = PID, mem: tuple[ev.Mem, ...] = (), at: int | None = None
) -> ev.Return:
    nr = NUMBERS[call] if isinstance(call, str) else call
    return ev.Return(t() if at is None else at, tid, nr, value, mem)


def enter(name: str, *args: int, tid: int = PID) -> list[ev.AnyEvent]:
    """The call is about to be made, the program held."""
    return [entered(name, *args, tid=tid), ev.Held(t(), tid, "enter")]


def returned(name: str, value: int, tid: int = PID) -> list[ev.AnyEvent]:
    """The held call was made and gave `value`; the program is held again."""
    return [ev.Resumed(t(), tid), result(name, value, tid), ev.Held(t(), tid, "return")]


def call(name: str, *args: int, result: int = 0, tid: int = PID) -> list[ev.AnyEvent]:
    return [*enter(name, *args, tid=tid), *returned(name, result, tid)]


# ---------------------------------------------------------------- what the kernel holds


def fds(*inodes: tuple[int, int], closed: tuple[int, ...] = (), pid: int = PID) -> ev.Descriptors:
    """(descriptor, socket inode) pairs."""
    rows = tuple(ev.Descriptor(fd, f"socket:[{inode}]", inode=inode) for fd, inode in inodes)
    return ev.Descriptors(t(), pid, rows, closed)


def listener(depth: int = 0, limit: int = 4, inode: int = 900, id: int = 1, port: int = 8080) -> ev.SocketRow:
    return ev.SocketRow(id, 2, f"0.0.0.0:{port}", "0.0.0.0:0", 10, rx_queue=depth, tx_queue=limit, inode=inode)


def pair(number: int, server_state: int | None, client_state: int) -> tuple[ev.SocketRow, ...]:
    """Both ends of a connection from port 50000 + number; no server end when its SYN was dropped."""
    local = f"{CLIENT}{50000 + number}"
    rows = [ev.SocketRow(100 + number, 2, local, SERVER, client_state, inode=2000 + number)]
    if server_state is not None:
        rows.append(ev.SocketRow(200 + number, 2, SERVER, local, server_state))
    return tuple(rows)


def sockets(*rows: ev.SocketRow, gone: tuple[int, ...] = (), host: str = "server") -> ev.Sockets:
    return ev.Sockets(t(), host, rows, gone)


def process(state: str, pid: int = PID, **more: object) -> ev.Processes:
    return ev.Processes(t(), (ev.ProcessRow(pid, 1, "server", state, **more),))  # type: ignore[arg-type]


# ---------------------------------------------------------------- clients


def client(name: str, number: int, phase: str = "open", errno: int = 0) -> ev.Client:
    """A client of the lab, connected from port 50000 + number."""
    local = f"{CLIENT}{50000 + number}"
    return ev.Client(
        t(), name, phase, host="client", local=local, remote=SERVER, inode=2000 + number, errno=errno
    )  # fmt: skip


# ---------------------------------------------------------------- packets: by the RFCs, not by the code that reads them

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def ipv4(source: str, destination: str, protocol: int, body: bytes) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0x4000, 64, protocol, 0)
    return head + inet_aton(source) + inet_aton(destination) + body


def tcp(
    source: tuple[str, int],
    destination: tuple[str, int],
    flags: int,
    seq: int,
    ack: int = 0,
    *,
    window: int = 502,
    options: bytes = b"",
    payload: bytes = b"",
) -> bytes:
    """One IPv4 packet with a TCP segment; checksums are zero."""
    offset = (20 + len(options)) << 2
    segment = struct.pack(">HHIIBBHHH", source[1], destination[1], seq, ack, offset, flags, window, 0, 0)
    return ipv4(source[0], destination[0], 6, segment + options + payload)


def packet(
    number: int, source: str, flags: int, seq: int = 0, ack: int = 0, *, client: int = 1, **more: object
) -> ev.Packet:
    """A segment between client `client` of the lab (port 50000 + client) and the server, sent by `source`."""
    ends = ("10.0.0.2", 50000 + client), ("10.0.0.1", 8080)
    here, there = ends if source == "client" else ends[::-1]
    data = tcp(here, there, flags, seq, ack, **more)  # type: ignore[arg-type]
    return ev.Packet(t(), number, source, "server" if source == "client" else "client", data, len(data))


def fate(number: int, fate: str) -> ev.PacketFate:
    return ev.PacketFate(t(), number, fate)


# ---------------------------------------------------------------- a stream, and its state


class Stream:
    """A stream being told: `events` are all that were told, `state` is their fold."""

    def __init__(self, *parts: Part, state: LabState | None = None) -> None:
        self.events: list[ev.Event] = []
        self.state = LabState() if state is None else state
        self.tell(*parts)

    def tell(self, *parts: Part) -> Self:
        """Events and lists of events, in order."""
        for part in parts:
            if isinstance(part, ev.Event):
                self.events.append(part)
                self.state = apply(self.state, part)
            else:
                self.tell(*part)
        return self


def state_of(*parts: Part) -> LabState:
    """The fold of events and lists of events, in order."""
    return Stream(*parts).state


def state_of_from(state: LabState, *parts: Part) -> LabState:
    """The fold that goes on from `state`."""
    return Stream(*parts, state=state).state
