"""Labs for the panel tests, folded from events as an engine on x86-64 would send them.

In: which moment of a run is wanted. Out: LabState values. Nothing here runs a program; numbers, sockaddr bytes and
rows are those a real run of the backlog lesson gave.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable

from socklab import state as st
from socklab.protocol import events as ev
from tests.support import streams

PID = 4242
READ, WRITE, CLOSE, SOCKET, ACCEPT, SENDTO, RECVFROM = 0, 1, 3, 41, 43, 44, 45
SHUTDOWN, BIND, LISTEN, SETSOCKOPT = 48, 49, 50, 54
AF_INET, SOCK_STREAM = 2, 1
STACK = 0x7FFC_0000_1000
PATH = "/lessons/02-backlog/server.c"

SOURCE = """\
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A server that is slow to accept: everyone else waits in line. */
int main(void)
{
    struct sockaddr_in addr, peer;
    socklen_t len = sizeof peer;
    char buffer[512];

    int listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&addr, 0, sizeof addr);
    addr.sin_family = AF_INET;
    addr.sin_port = htons(8080);
    addr.sin_addr.s_addr = htonl(INADDR_ANY);
    bind(listener, (struct sockaddr *)&addr, sizeof addr);
    listen(listener, 4);

    for (;;) {
        int client = accept(listener, (struct sockaddr *)&peer, &len);
        ssize_t got = read(client, buffer, sizeof buffer);
        if (got > 0)
            write(client, "HTTP/1.1 200 OK\\r\\n\\r\\n", 19);
        close(client);
    }
}
"""
LINE_OF = {SOCKET: 14, BIND: 19, LISTEN: 20, ACCEPT: 23, READ: 24, WRITE: 26, CLOSE: 27}

REQUEST = b"GET / HTTP/1.1\r\nHost: server:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"


def sockaddr_in(host: str, port: int) -> bytes:
    """The 16 bytes of a struct sockaddr_in on a little-endian machine."""
    return struct.pack("<H", AF_INET) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)


class Scene(streams.Stream):
    """The backlog lesson's run being told: each method appends the events that one thing causes."""

    def __init__(self, hosts: int = 1, *, python: bool = False) -> None:
        self.path = PATH
        self.server_ip, self.client_ip = ("10.0.0.1", "10.0.0.2") if hosts == 2 else ("127.0.0.1", "127.0.0.1")
        self.client_host = "client" if hosts == 2 else "server"
        network = "two-hosts" if hosts == 2 else "private"
        super().__init__(
            streams.header(
                network,
                t=0,
                socklab="0.1.0",
                kernel="6.18.0",
                started_ns=1_700_000_000_000_000_000,
                hosts=streams.hosts(network, self.server_ip, self.client_ip),
                lesson="02-backlog",
                language="python" if python else "c",
            )
        )

    def start(self) -> Scene:
        self.tell(
            ev.Started(t=1, pid=PID, host="server", argv=("./server",), cwd="/tmp", traced=(SOCKET, BIND, ACCEPT)),
            ev.Descriptors(
                t=2,
                pid=PID,
                set=(
                    ev.Descriptor(0, "/dev/null"),
                    ev.Descriptor(1, "pipe:[9001]", inode=9001, flags=1),
                    ev.Descriptor(2, "pipe:[9002]", inode=9002, flags=1),
                ),
            ),
            ev.Counters(
                t=2,
                host="server",
                values={"ListenOverflows": 7, "ListenDrops": 9, "RetransSegs": 40, "TCPTimeouts": 3},
            ),
            ev.Processes(t=2, set=(ev.ProcessRow(PID, 4000, "server", "t", rss_bytes=1_376_256),)),
            ev.Source(t=2, path=self.path, language="c", text=SOURCE),
        )
        return self.resume()

    def resume(self) -> Scene:
        return self.tell(ev.Resumed(t=3, tid=PID))

    def enter(self, nr: int, *args: int, mem: tuple[ev.Mem, ...] = (), held: bool = True) -> Scene:
        self.tell(streams.entered(nr, *args, tid=PID, mem=mem, at=4))
        if held:
            self.held("enter", LINE_OF.get(nr, 0))
        return self

    def returned(self, nr: int, result: int, mem: tuple[ev.Mem, ...] = (), looked: Iterable[ev.Event] = ()) -> Scene:
        self.tell(streams.result(nr, result, PID, mem, at=5), *looked)
        return self.held("return", LINE_OF.get(nr, 0))

    def held(self, at: str, line: int) -> Scene:
        stack = (ev.Frame(self.path, line, "main"),) if line else ()
        return self.tell(ev.Held(t=6, tid=PID, at=at, stack=stack))

    # ---- the moments of the backlog lesson, in order

    def before_socket(self) -> Scene:
        return self.start().enter(SOCKET, AF_INET, SOCK_STREAM, 0)

    def after_socket(self) -> Scene:
        new = ev.Descriptors(t=5, pid=PID, set=(ev.Descriptor(3, "socket:[70001]", 70001, flags=2, detail="tcp"),))
        return self.before_socket().resume().returned(SOCKET, 3, looked=[new])

    def before_bind(self) -> Scene:
        addr = (ev.Mem(STACK, sockaddr_in("0.0.0.0", 8080)),)
        return self.after_socket().resume().enter(BIND, 3, STACK, 16, mem=addr)

    def before_listen(self) -> Scene:
        return self.before_bind().resume().returned(BIND, 0).resume().enter(LISTEN, 3, 4)

    def after_listen(self) -> Scene:
        return self.before_listen().resume().returned(LISTEN, 0, looked=[self.listener(0)])

    def listener(self, depth: int, limit: int = 4) -> ev.Sockets:
        row = ev.SocketRow(1, 2, "0.0.0.0:8080", "0.0.0.0:0", st.LISTEN, depth, limit, inode=70001)
        return ev.Sockets(t=5, host="server", set=(row,))

    def before_accept(self) -> Scene:
        return (
            self.after_listen()
            .resume()
            .enter(ACCEPT, 3, STACK + 64, STACK + 128, mem=(ev.Mem(STACK + 128, struct.pack("<I", 16)),))
        )

    def connected(self, names: str, depth: int, *, first: int = 0) -> Scene:
        """Clients that are ESTABLISHED and wait in the accept queue."""
        for index, name in enumerate(names, first):
            port = 40001 + index
            local, remote = f"{self.client_ip}:{port}", f"{self.server_ip}:8080"
            server = ev.SocketRow(100 + 2 * index, 2, remote, local, st.ESTABLISHED)
            client = ev.SocketRow(101 + 2 * index, 2, local, remote, st.ESTABLISHED, inode=80000 + index)
            self.tell(
                ev.Sockets(t=7, host="server", set=(server,)),
                ev.Sockets(t=7, host=self.client_host, set=(client,)),
                ev.Client(7, name, "open", "client", local, remote, client.inode),
            )
        return self.tell(self.listener(depth))

    def retransmitting(self, names: str, *, first: int = 5) -> Scene:
        """Clients whose SYN was dropped."""
        for index, name in enumerate(names, first):
            local, remote = f"{self.client_ip}:{40001 + index}", f"{self.server_ip}:8080"
            row = ev.SocketRow(
                101 + 2 * index,
                2,
                local,
                remote,
                st.SYN_SENT,
                0,
                1,
                80000 + index,
                timer=1,
                expires_ms=812,
                retransmits=1,
            )
            self.tell(
                ev.Sockets(t=8, host=self.client_host, set=(row,)),
                ev.Client(8, name, "connecting", "client", local, remote, row.inode),
            )
        return self.tell(
            ev.Counters(t=8, host="server", values={"ListenOverflows": 7 + len(names), "ListenDrops": 9 + len(names)})
        )

    def full(self) -> Scene:
        """Before accept: backlog 4, five wait, five retransmit their SYN."""
        return self.before_accept().connected("abcde", 5).retransmitting("fghij")

    def after_accept(self) -> Scene:
        local = f"{self.server_ip}:8080"
        remote = f"{self.client_ip}:40001"
        took = (
            ev.Descriptors(t=9, pid=PID, set=(ev.Descriptor(4, "socket:[70077]", 70077, flags=2),)),
            ev.Sockets(t=9, host="server", set=(ev.SocketRow(100, 2, local, remote, st.ESTABLISHED, inode=70077),)),
            self.listener(4),
        )
        peer = (ev.Mem(STACK + 64, sockaddr_in(self.client_ip, 40001)), ev.Mem(STACK + 128, struct.pack("<I", 16)))
        return self.full().resume().returned(ACCEPT, 4, peer, took)

    def after_read(self) -> Scene:
        self.after_accept()
        row = ev.SocketRow(
            100, 2, f"{self.server_ip}:8080", f"{self.client_ip}:40001", st.ESTABLISHED, len(REQUEST), inode=70077
        )
        self.tell(
            ev.Client(9, "a", "open", "client", row.remote, row.local, 80000, sent=len(REQUEST)),
            ev.Sockets(t=9, host="server", set=(row,)),
        )
        self.resume().enter(READ, 4, STACK + 512, 512)
        took = ev.Sockets(
            t=9, host="server", set=(ev.SocketRow(100, 2, row.local, row.remote, st.ESTABLISHED, inode=70077),)
        )
        return self.resume().returned(READ, len(REQUEST), (ev.Mem(STACK + 512, REQUEST),), [took])

    def before_write(self) -> Scene:
        mem = (ev.Mem(0x402010, b"HTTP/1.1 200 OK\r\n\r\n"),)
        return self.after_read().resume().enter(WRITE, 4, 0x402010, 19, mem=mem)

    def after_write_epipe(self) -> Scene:
        return self.before_write().resume().returned(WRITE, -32)

    def after_close(self) -> Scene:
        self.before_write().resume().returned(WRITE, 19).resume().enter(CLOSE, 4).resume()
        closed = (
            ev.Descriptors(t=9, pid=PID, closed=(4,)),
            ev.Sockets(
                t=9,
                host="server",
                set=(ev.SocketRow(100, 2, f"{self.server_ip}:8080", f"{self.client_ip}:40001", st.FIN_WAIT2),),
            ),
        )
        return self.returned(CLOSE, 0, looked=closed)

    def asleep(self) -> Scene:
        """Blocked in accept: nobody has connected."""
        row = ev.ProcessRow(PID, 4000, "server", "S", rss_bytes=1_376_256, waits_in="inet_csk_accept")
        return self.before_accept().resume().tell(ev.Processes(t=9, set=(row,)))

    def crashed(self) -> Scene:
        self.before_accept().resume()
        return self.tell(
            ev.Signal(t=9, tid=PID, signo=11, code=1, addr=0),
            ev.Exited(t=10, tid=PID, signo=11, core=True),
            ev.Processes(t=10, gone=(PID,)),
        )

    def crowd(self, count: int) -> Scene:
        """`count` rows in the server's table besides the listener, half of them the clients' ends."""
        rows: list[ev.SocketRow] = []
        for index in range(count // 2):
            local, remote = f"{self.server_ip}:8080", f"{self.client_ip}:{10_000 + index}"
            rows.append(ev.SocketRow(1000 + 2 * index, 2, local, remote, st.ESTABLISHED, inode=200_000 + 2 * index))
            rows.append(ev.SocketRow(1001 + 2 * index, 2, remote, local, st.ESTABLISHED, inode=200_001 + 2 * index))
        self.before_accept().tell(ev.Sockets(t=9, host="server", set=tuple(rows)))
        fds = tuple(
            ev.Descriptor(5 + i, f"socket:[{200_000 + 2 * i}]", 200_000 + 2 * i, flags=2) for i in range(count // 2)
        )
        return self.tell(ev.Descriptors(t=9, pid=PID, set=fds))


MOMENTS: dict[str, Callable[[], Scene]] = {
    "nothing": Scene,
    "started": lambda: Scene().start(),
    "before-socket": lambda: Scene().before_socket(),
    "after-socket": lambda: Scene().after_socket(),
    "before-bind": lambda: Scene().before_bind(),
    "before-listen": lambda: Scene().before_listen(),
    "after-listen": lambda: Scene().after_listen(),
    "asleep": lambda: Scene().asleep(),
    "full": lambda: Scene().full(),
    "after-accept": lambda: Scene().after_accept(),
    "after-read": lambda: Scene().after_read(),
    "before-write": lambda: Scene().before_write(),
    "epipe": lambda: Scene().after_write_epipe(),
    "after-close": lambda: Scene().after_close(),
    "crashed": lambda: Scene().crashed(),
}
