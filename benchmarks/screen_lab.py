"""The real screen over a lab of N sockets without an engine: what drawing alone costs.

python benchmarks/screen_lab.py N [moving]. Each step gives the next stop of a made-up accept loop: the call, the
descriptor, two rows of the table, the counters, the clients' line. With `moving` each connection waits at one stop and
is taken at the next, so that it moves on the stage. Used by screen.py.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from socklab.protocol import codec, commands as cmd, events as ev

PID, ACCEPT = 4242, 43
SOURCE = "\n".join(f"    int line_{n} = accept(listener, NULL, NULL); /* {n} */" for n in range(1, 200))


def beginning(sockets: int) -> list[ev.AnyEvent]:
    hosts = (ev.Host("server", ("127.0.0.1",)),)
    found: list[ev.AnyEvent] = [
        ev.Header(0, ev.FORMAT, "0", "6.18", "x86_64", 0, "private", hosts, language="c"),
        ev.Started(1, PID, "server", ("./server",), "/", (ACCEPT,)),
        ev.Source(1, "server.c", "c", SOURCE),
        ev.Sockets(2, "server", tuple(_rows(sockets))),
        ev.Descriptors(2, PID, (ev.Descriptor(3, "socket:[3000]", 3000, 2), *_descriptors(sockets))),
        ev.Counters(2, "server", {"ListenOverflows": 1, "ListenDrops": 1}),
    ]
    return [*found, *_stop(0)]


def _rows(sockets: int) -> Iterator[ev.SocketRow]:
    yield ev.SocketRow(1, 2, "127.0.0.1:8080", "0.0.0.0:0", 10, 0, 128, 3000)
    for n in range(sockets // 2):
        local, remote = "127.0.0.1:8080", f"127.0.0.1:{10_000 + n}"
        yield ev.SocketRow(1000 + 2 * n, 2, local, remote, 1, inode=500_000 + n)
        yield ev.SocketRow(1001 + 2 * n, 2, remote, local, 1, inode=900_000 + n)


def _descriptors(sockets: int) -> Iterator[ev.Descriptor]:
    for n in range(sockets // 2):
        yield ev.Descriptor(10 + n, f"socket:[{500_000 + n}]", 500_000 + n, 2)


def _waits(n: int, inode: int) -> ev.Sockets:
    """The connection that the stop `n` takes: with inode 0 it waits in the accept queue."""
    near, far = "127.0.0.1:8080", f"127.0.0.1:{40_000 + n % 20_000}"
    listener = ev.SocketRow(1, 2, near, "0.0.0.0:0", 10, int(not inode), 8, 3000)
    return ev.Sockets(10 + n, "server", (listener, ev.SocketRow(50_000 + n, 2, near, far, 1, inode=inode)))


def _stop(n: int, *, moving: bool = False) -> list[ev.AnyEvent]:
    """One stop: even numbers before the call, odd ones after it, with what it changed."""
    frame = ev.Frame("server.c", 5 + (n // 2) % 150, "main")
    found: list[ev.AnyEvent] = [ev.Resumed(10 + n, PID)]
    if n % 2 == 0:
        found.append(ev.Enter(10 + n, PID, ACCEPT, (3, 0, 0, 0, 0, 0)))
        found += [_waits(n + 1, 0)] if moving else []
    else:
        fd, inode, port = 6000 + n, 2_000_000 + n, 40_000 + n % 20_000
        near, far = "127.0.0.1:8080", f"127.0.0.1:{port}"
        found += [
            ev.Return(10 + n, PID, ACCEPT, fd),
            ev.Descriptors(10 + n, PID, (ev.Descriptor(fd, f"socket:[{inode}]", inode, 2),)),
            ev.Sockets(
                10 + n,
                "server",
                (
                    ev.SocketRow(1, 2, near, "0.0.0.0:0", 10, n % 5, 128, 3000),
                    ev.SocketRow(50_000 + n, 2, near, far, 1, inode=inode),
                ),
            ),
            ev.Counters(10 + n, "server", {"ListenOverflows": 1 + n}),
            ev.Client(10 + n, f"c{100 + n % 40}", "open", "server", far, near),
        ]
        found += [_waits(n, inode)] if moving else []
    held = ev.Held(10 + n, PID, "enter" if n % 2 == 0 else "return", (frame,))
    return [*found, held, ev.Ready(10 + n, "step", PID, (PID,))]


class Told:
    """Stands where a Link does."""

    def __init__(self, sockets: int, *, moving: bool = False) -> None:
        self._moving = moving
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._ready: list[bytes] = [codec.encode_batch(list(beginning(sockets)))]
        self._n = 0
        self.ended = False
        os.write(self._theirs.fileno(), b"x")

    def fileno(self) -> int:
        return self._ours.fileno()

    def read_available(self) -> list[ev.AnyEvent]:
        try:
            self._ours.recv(64)
        except BlockingIOError:
            return []
        lines, self._ready = b"".join(self._ready), []
        return codec.decode_events(lines)

    def send(self, command: cmd.AnyCommand) -> int:
        if isinstance(command, cmd.Step):
            self._n += 1
            self._ready.append(
                codec.encode_batch([*_stop(self._n, moving=self._moving), ev.Done(10 + self._n, self._n, "done")])
            )
            os.write(self._theirs.fileno(), b"x")
        return self._n

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


def main() -> int:
    from socklab.ui.tui.app import SocklabApp

    app = SocklabApp(Told(int(sys.argv[1]), moving="moving" in sys.argv[2:]), None)
    app.run()
    return app.return_value or 0


if __name__ == "__main__":
    sys.exit(main())
