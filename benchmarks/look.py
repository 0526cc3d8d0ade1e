"""What one look costs beside `ss -tan`, with 10 to 20,000 real sockets: python benchmarks/look.py [--sockets 10 ...]

Opens connections on loopback, in a private network where the machine allows one, and closes them by reset, so that
nothing is left in TIME_WAIT. All readings take turns in each round; the table shows medians and their ratio to ss.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from socklab.engine.kernel.snapshot import Snapshot
from socklab.engine.kernel.sockdiag import ALL_STATES, Diag
from socklab.engine.kernel.socktable import DiagTable
from socklab.engine.kernel.socktext import TextTable
from socklab.engine.network import topology

SIZES = [10, 1000, 10_000, 20_000]
CONNECT = struct.Struct("=I")
RESET = struct.pack("ii", 1, 0)
PER_SERVER = 4000
"""Connections to one port: well below the number of ephemeral ports."""


def clients(commands: int, replies: int, ports: list[int]) -> None:
    """Hold the clients' ends: a process of its own, since one may not have 20,000 descriptors."""
    held: list[socket.socket] = []
    while word := os.read(commands, CONNECT.size):
        (wanted,) = CONNECT.unpack(word)
        while len(held) < wanted:
            client = socket.create_connection(("127.0.0.1", ports[len(held) // PER_SERVER]))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            held.append(client)
            os.write(replies, b"+")
    for client in held:
        client.close()
    os._exit(0)


class Connections:
    """Connections between this process and its child; `held` are this side's ends."""

    def __init__(self, most: int) -> None:
        servers = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in range(most // PER_SERVER + 1)]
        self._servers = servers
        self.held: list[socket.socket] = []
        commands, self._commands = os.pipe()
        self._replies, replies = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._commands)
            clients(commands, replies, [server.getsockname()[1] for server in servers])
        os.close(commands)
        os.close(replies)

    def grow(self, count: int) -> None:
        os.write(self._commands, CONNECT.pack(count))
        while len(self.held) < count:
            self.held.append(self._servers[len(self.held) // PER_SERVER].accept()[0])
            if not os.read(self._replies, 1):
                raise SystemExit("the clients' process ended early")

    def close(self) -> None:
        os.close(self._commands)
        os.waitpid(self._child, 0)
        for end in (*self.held, *self._servers):
            end.close()


def once(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1e3


def measure(connections: Connections, rounds: int) -> list[tuple[str, float]]:
    """Name and median milliseconds of each reading, ss first."""
    me = os.getpid()
    diag, table, text = Diag(), DiagTable(), TextTable()
    look = Snapshot("server", time.monotonic_ns)
    look.watch(me)
    one = connections.held[-1]

    def changed() -> None:
        # Each of these calls changes the bytes waiting at the other end of a connection.
        for held in connections.held[:: max(1, len(connections.held) // 10)]:
            held.send(b".")
        table.look()

    first = [("first look at sockets", once(table.look)), ("first look at everything", once(look.everything))]
    look.everything()
    text.look()
    readings: dict[str, Callable[[], object]] = {
        "ss -tan": lambda: subprocess.run(["ss", "-tan"], stdout=subprocess.DEVNULL, check=True),
        "the kernel's dump alone": lambda: diag.read_dump(ALL_STATES),
        "look at sockets, none changed": table.look,
        "look at sockets, 10 changed": changed,
        "look at everything": look.everything,
        "look at what one call touched": lambda: look.touched(me, [one.fileno()]),
        "look at the process": lambda: look.process(me),
        "/proc/net/tcp instead": text.look,
    }
    times: dict[str, list[float]] = {name: [] for name in readings}
    for _ in range(rounds):
        for name, act in readings.items():
            times[name].append(once(act))
    for reading in (diag, table, text, look):
        reading.close()
    medians = [(name, statistics.median(values)) for name, values in times.items()]
    return [*medians, *first]


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--sockets", type=int, nargs="+", default=SIZES, help="both ends of a connection count")
    words.add_argument("--rounds", type=int, default=15)
    options = words.parse_args()
    sizes = sorted(options.sockets)

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and sizes[-1] // 2 + 100 > hard:
        raise SystemExit(f"a process may open {hard} files here: at most {2 * (hard - 100)} sockets (ulimit -Hn)")
    network = topology.create("private").network

    print(
        f"Linux {platform.release()} {platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} CPUs, ",
        end="",
    )
    print(f"{network} network, medians of {options.rounds} rounds")
    connections = Connections(sizes[-1] // 2)
    try:
        for size in sizes:
            connections.grow(size // 2)
            print(f"\n{size:,} sockets, {size // 2:,} of them descriptors of the watched process")
            results = measure(connections, options.rounds)
            for name, milliseconds in results:
                print(f"  {name:32}{milliseconds:9.2f} ms {milliseconds / results[0][1]:7.2f} × ss")
    finally:
        connections.close()


if __name__ == "__main__":
    main()
