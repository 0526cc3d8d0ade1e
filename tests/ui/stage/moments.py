"""Moments of labs that the stage is drawn of, told as events: what an engine sends of two hosts and a wire."""

from __future__ import annotations

from collections.abc import Callable

from socklab import state as st
from socklab.protocol import events as ev
from tests.support.streams import ACK, FIN, PSH, SYN
from tests.support.wirescene import CLIENT, SERVER, WireScene
from tests.ui.tui.panel_support import ACCEPT, PID, READ, STACK

CHILD, THREAD = PID + 1, PID + 2
EPOLL_WAIT = 232


class Lab(WireScene):
    """A server on port 8080 that stands before its first accept."""

    def row(
        self, port: int, state: int, *, id: int = 0, inode: int = 0, received: int = 0, unacked: int = 0, ms: int = 0
    ) -> ev.SocketRow:
        """The server's end of the connection from that port."""
        ends = f"{SERVER}:8080", f"{CLIENT}:{port}"
        memory = {} if ms else {"receive_used": 768 * bool(received), "receive_limit": 131_072, "send_limit": 87_040}
        more = {"timer": 3, "expires_ms": ms} if ms else {}
        return ev.SocketRow(id or port, 2, *ends, state, received, unacked, inode, **memory, **more)

    def ends(
        self, name: str, server: ev.SocketRow | None, client: int | None, *, phase: str = "open", **more: int
    ) -> Lab:
        """Both ends of a client's connection; None: the host knows no such socket."""
        port = int(self.port_of(name))
        local, remote = f"{CLIENT}:{port}", f"{SERVER}:8080"
        self.tell(ev.Sockets(9, "server", (server,) if server else (), () if server else (port,)))
        row = ev.SocketRow(50_000 + port, 2, local, remote, client or 0, inode=80_000 + port, **more)
        self.tell(ev.Sockets(9, "client", (row,) if client else (), () if client else (row.id,)))
        return self.tell(ev.Client(9, name, phase, "client", local, remote, row.inode))

    def port_of(self, name: str) -> int:
        return 40_001 + ord(name[0]) - ord("a")

    def depth(self, depth: int, limit: int = 4) -> Lab:
        return self.tell(self.listener(depth, limit))

    def opened(self, fd: int, row: ev.SocketRow, pid: int = PID) -> Lab:
        new = ev.Descriptor(fd, f"socket:[{row.inode}]", row.inode, flags=2)
        return self.tell(ev.Descriptors(9, pid, (new,)), ev.Sockets(9, "server", (row,)))

    def full(self) -> Lab:
        self.before_accept()
        for name in "abcde":
            self.ends(name, self.row(self.port_of(name), st.ESTABLISHED), st.ESTABLISHED)
        for name in "fghij":
            self.ends(name, None, st.SYN_SENT, phase="connecting", retransmits=1)
            self.up(self.port_of(name), SYN, 0).up(self.port_of(name), SYN, 0)
        values = {"ListenOverflows": 12, "ListenDrops": 14}
        return self.depth(5).tell(ev.Counters(9, "server", values))

    def syn_held(self) -> Lab:
        self.before_accept()
        self.rules("hold syn")
        return self.ends("a", None, st.SYN_SENT, phase="connecting").up(self.port_of("a"), SYN, 0, fate="held")

    def accepted(self, received: int = 0) -> Lab:
        self.before_accept().ends("a", self.row(40_001, st.ESTABLISHED), st.ESTABLISHED)
        self.ends("b", self.row(40_002, st.ESTABLISHED), st.ESTABLISHED).depth(2).resume()
        self.opened(4, self.row(40_001, st.ESTABLISHED, inode=70_077, received=received)).depth(1)
        return self.returned(ACCEPT, 4)

    def bytes_wait(self) -> Lab:
        self.accepted().resume().enter(READ, 4, STACK, 512)
        self.up(40_001, PSH | ACK, 1, 1, payload=b"GET / HTTP/1.0\r\n\r\n")
        return self.tell(ev.Sockets(9, "server", (self.row(40_001, st.ESTABLISHED, inode=70_077, received=18),)))

    def half_closed(self) -> Lab:
        self.accepted().resume().enter(READ, 4, STACK, 512).up(40_001, FIN | ACK, 1, 1)
        return self.ends(
            "a", self.row(40_001, st.CLOSE_WAIT, inode=70_077, received=1), st.FIN_WAIT2, phase="half-closed"
        )

    def time_wait(self) -> Lab:
        self.accepted().resume().tell(ev.Descriptors(9, PID, closed=(4,)))
        self.ends("a", self.row(40_001, st.TIME_WAIT, ms=58_000), None, phase="closed")
        return self.returned(3, 0)

    def forked(self) -> Lab:
        """A child inherited both descriptors, and the parent has closed the connection's."""
        self.accepted().resume()
        held = (
            ev.Descriptor(3, "socket:[70001]", 70_001, flags=2),
            ev.Descriptor(4, "socket:[70077]", 70_077, flags=2),
        )
        self.tell(
            ev.Forked(9, PID, CHILD, "fork"),
            ev.Descriptors(9, CHILD, held),
            ev.Processes(9, (ev.ProcessRow(CHILD, PID, "server", "t"),)),
            ev.Enter(9, CHILD, READ, (4, STACK, 512, 0, 0, 0)),
            ev.Held(9, CHILD, "enter"),
            ev.Descriptors(9, PID, closed=(4,)),
        )
        return self.enter(ACCEPT, 3, STACK, STACK)

    def threads(self) -> Lab:
        self.accepted().resume()
        self.tell(
            ev.Forked(9, PID, THREAD, "thread"),
            ev.Enter(9, THREAD, READ, (4, STACK, 512, 0, 0, 0)),
            ev.Processes(
                9, (ev.ProcessRow(THREAD, PID, "server", "S"), ev.ProcessRow(PID, 1, "server", "t", threads=2))
            ),
        )
        return self.enter(ACCEPT, 3, STACK, STACK)

    def epoll(self) -> Lab:
        """Five connections are watched, three have bytes."""
        self.before_accept()
        for place, name in enumerate("abcde"):
            row = self.row(self.port_of(name), st.ESTABLISHED, inode=71_000 + place, received=10 * (place < 3))
            self.ends(name, row, st.ESTABLISHED).opened(5 + place, row)
        watches = tuple((5 + place, 1, place) for place in range(5))
        poll = ev.Descriptor(4, "anon_inode:[eventpoll]", flags=2, watches=watches)
        return self.resume().tell(ev.Descriptors(9, PID, (poll,))).enter(EPOLL_WAIT, 4, STACK, 8, 0)

    def many(self, connections: int = 10_000) -> Lab:
        """So many clients with a descriptor each."""
        self.before_accept()
        rows, fds, far, clients = [], [], [], []
        for place in range(connections):
            port = 10_000 + place
            row = self.row(port, st.ESTABLISHED, id=100_000 + place, inode=200_000 + place)
            rows.append(row)
            fds.append(ev.Descriptor(4 + place, f"socket:[{row.inode}]", row.inode, flags=2))
            far.append(ev.SocketRow(300_000 + place, 2, row.remote, row.local, st.ESTABLISHED, inode=400_000 + place))
            clients.append(ev.Client(9, f"c{place + 1}", "open", "client", row.remote, row.local, 400_000 + place))
        self.tell(ev.Sockets(9, "server", tuple(rows)), ev.Sockets(9, "client", tuple(far)), *clients)
        return self.tell(ev.Descriptors(9, PID, tuple(fds))).resume().enter(ACCEPT, 3, STACK, STACK)


MOMENTS: dict[str, Callable[[], WireScene]] = {
    "empty": lambda: Lab().before_socket(),
    "listening": lambda: Lab().after_listen(),
    "full queue": lambda: Lab().full(),
    "SYN held": lambda: Lab().syn_held(),
    "accepted": lambda: Lab().accepted(),
    "bytes waiting": lambda: Lab().bytes_wait(),
    "half closed": lambda: Lab().half_closed(),
    "TIME_WAIT": lambda: Lab().time_wait(),
    "fork": lambda: Lab().forked(),
    "two threads": lambda: Lab().threads(),
    "epoll": lambda: Lab().epoll(),
    "10,000 clients": lambda: Lab().many(),
}
