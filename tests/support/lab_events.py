"""Hand-made events of a small lab, for tests that need a LabState and no kernel.

One private host with two addresses; the server is pid 100 on x86-64. Times count up by one.
"""

from __future__ import annotations

from itertools import count

from socklab.protocol import events as ev
from socklab.state import LabState, apply_all

PID = 100
NUMBERS = {"read": 0, "write": 1, "close": 3, "socket": 41, "accept": 43, "bind": 49, "listen": 50, "accept4": 288}
SERVER, CLIENT = "10.0.0.1:8080", "10.0.0.2:"

_clock = count(1)


def t() -> int:
    return next(_clock)


def start(shared: bool = True) -> list[ev.AnyEvent]:
    """Header and Started. `shared`: both addresses are in one table."""
    hosts = (
        ev.Host("server", ("10.0.0.1",)),
        ev.Host("client", ("10.0.0.2",), shares_table_with="server" if shared else ""),
    )
    header = ev.Header(t(), 1, "0", "6.18", "x86_64", 0, "private", hosts)
    return [header, ev.Started(t(), PID, "server", ("./server",), "/")]


def enter(name: str, *args: int) -> list[ev.AnyEvent]:
    """The call is about to be made, the program held."""
    padded = tuple(args) + (0,) * (6 - len(args))
    return [ev.Enter(t(), PID, NUMBERS[name], padded), ev.Held(t(), PID, "enter")]


def returned(name: str, result: int) -> list[ev.AnyEvent]:
    """The held call was made and gave `result`; the program is held again."""
    return [ev.Resumed(t(), PID), ev.Return(t(), PID, NUMBERS[name], result), ev.Held(t(), PID, "return")]


def call(name: str, *args: int, result: int = 0) -> list[ev.AnyEvent]:
    return [*enter(name, *args), *returned(name, result)]


def fds(*inodes: tuple[int, int], closed: tuple[int, ...] = ()) -> ev.Descriptors:
    """(descriptor, socket inode) pairs."""
    rows = tuple(ev.Descriptor(fd, f"socket:[{inode}]", inode=inode) for fd, inode in inodes)
    return ev.Descriptors(t(), PID, rows, closed)


def listener(depth: int = 0, limit: int = 4, inode: int = 900, id: int = 1, port: int = 8080) -> ev.SocketRow:
    return ev.SocketRow(id, 2, f"0.0.0.0:{port}", "0.0.0.0:0", 10, rx_queue=depth, tx_queue=limit, inode=inode)


def pair(number: int, server_state: int | None, client_state: int) -> tuple[ev.SocketRow, ...]:
    """Both ends of a connection from port 50000 + number; no server end when its SYN was dropped."""
    local = f"{CLIENT}{50000 + number}"
    rows = [ev.SocketRow(100 + number, 2, local, SERVER, client_state, inode=2000 + number)]
    if server_state is not None:
        rows.append(ev.SocketRow(200 + number, 2, SERVER, local, server_state))
    return tuple(rows)


def client(name: str, number: int, phase: str = "open", errno: int = 0) -> ev.Client:
    return ev.Client(
        t(),
        name,
        phase,
        host="client",
        local=f"{CLIENT}{50000 + number}",
        remote=SERVER,
        inode=2000 + number,
        errno=errno,
    )


def sockets(*rows: ev.SocketRow, gone: tuple[int, ...] = (), host: str = "server") -> ev.Sockets:
    return ev.Sockets(t(), host, rows, gone)


def state_of(*parts: ev.AnyEvent | list[ev.AnyEvent]) -> LabState:
    """The fold of events and lists of events, in order."""
    return state_of_from(LabState(), *parts)


def state_of_from(state: LabState, *parts: ev.AnyEvent | list[ev.AnyEvent]) -> LabState:
    """The fold that goes on from `state`."""
    flat: list[ev.AnyEvent] = []
    for part in parts:
        flat.extend(part if isinstance(part, list) else [part])
    return apply_all(state, flat)
