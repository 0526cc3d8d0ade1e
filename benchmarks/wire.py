"""What the wire between two hosts costs: round trips and bulk transfer, beside loopback, in one run.

    python benchmarks/wire.py [--seconds 2] [--rounds 5] [--device tun|veth]

Prints the medians of rounds taken in turn (loopback, wire, loopback, wire ...), so that a machine that is busy for a
while is busy for both. The wire is the real one: reports of every packet are read and kept, headers and all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import struct
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from socklab.engine.network import topology, two_hosts

CHUNK = 1 << 16


def _receive_all(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        got = connection.recv(size - len(data))
        if not got:
            raise EOFError
        data += got
    return data


def serve(listener: socket.socket) -> None:
    """The peer, in a process of its own: echoes 64 bytes after "e", swallows everything after "b"."""
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kind = connection.recv(1)
        if kind == b"q":
            return
        total, started = 0, time.perf_counter()
        buffer = bytearray(CHUNK * 4)
        while True:
            count = connection.recv_into(buffer)
            if not count:
                break
            total += count
            if kind == b"e":
                connection.sendall(buffer[:count])
        if kind == b"b":
            connection.sendall(struct.pack("=Qd", total, time.perf_counter() - started))
        connection.close()


def round_trip_ms(address: tuple[str, int], count: int = 2000) -> float:
    """Median time of 64 bytes there and back."""
    times = []
    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"e")
        for _ in range(count):
            started = time.perf_counter()
            connection.sendall(b"x" * 64)
            _receive_all(connection, 64)
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def bulk_mb_per_s(address: tuple[str, int], seconds: float) -> float:
    """Megabytes (10^6) a second that reach the other program."""
    with socket.create_connection(address) as connection:
        connection.sendall(b"b")
        chunk = bytes(CHUNK)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_WR)
        total, took = struct.unpack("=Qd", _receive_all(connection, 16))
    return float(total / took / 1e6)


def _peer(made: topology.Topology, host: str, address: str) -> tuple[int, tuple[str, int]]:
    """Fork the peer on `host`; its pid and address."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        made.enter(host)
        listener = socket.create_server((address, 0))
        os.write(writing, struct.pack("=H", listener.getsockname()[1]))
        serve(listener)
        os._exit(0)
    (port,) = struct.unpack("=H", os.read(reading, 2))
    os.close(reading)
    os.close(writing)
    return pid, (address, port)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=two_hosts.DEVICES)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    if wanted.device:
        two_hosts.DEVICES = (wanted.device,)
    made = topology.create("two-hosts")
    if made.wire is None:
        for _, text, fix in made.notices:
            print(text, fix, sep="\n", file=sys.stderr)
        return 4
    wire = made.wire
    peers = {
        "loopback": _peer(made, "client", "127.0.0.1"),
        "wire": _peer(made, "server", made.address("server")),
    }
    made.enter("client")
    seen = [0, 0]
    done = threading.Event()

    def read_reports() -> None:
        # What the engine does at the least: take the reports off the socket.
        report = socket.socket(fileno=os.dup(wire.fileno()))
        report.settimeout(0.2)
        while not done.is_set():
            try:
                data = report.recv(1 << 18)
            except TimeoutError:
                continue
            seen[0] += len(data)
            seen[1] += 1

    reader = threading.Thread(target=read_reports)
    reader.start()
    latency: dict[str, list[float]] = {name: [] for name in peers}
    bulk: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(wanted.rounds):
        for name, (_, address) in peers.items():
            latency[name].append(round_trip_ms(address))
            bulk[name].append(bulk_mb_per_s(address, wanted.seconds))
    for _, address in peers.values():
        with socket.create_connection(address) as last:
            last.sendall(b"q")
    for pid, _ in peers.values():
        os.waitpid(pid, 0)
    status = wire.status()
    times = Path(f"/proc/{wire.pid}/stat").read_text().rpartition(")")[2].split()
    user, kernel = (int(times[n]) / os.sysconf("SC_CLK_TCK") / max(status.packets, 1) * 1e6 for n in (11, 12))
    done.set()
    reader.join()
    made.close()
    round_trip = {name: statistics.median(values) for name, values in latency.items()}
    added = statistics.median(there - here for there, here in zip(latency["wire"], latency["loopback"], strict=True))
    rate = {name: statistics.median(values) for name, values in bulk.items()}
    if wanted.json:
        result = {
            "device": wanted.device or "best",
            "round_trip_ms": round_trip,
            "added_ms": added,
            "bulk_mb_per_s": rate,
            "packets": status.packets,
            "lost_by_the_wire": status.lost,
            "cpu_us_per_packet": {"user": user, "kernel": kernel},
        }
        print(json.dumps(result))
        return 0
    release, python = platform.release(), platform.python_version()
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Linux {release}, Python {python}")
    print(f"{'':16}{'loopback':>12}{'wire':>12}")
    for name, of, goal in (
        ("round trip, ms", round_trip, f"adds {added:.3f} ms; goal: at most 0.3"),
        ("bulk, MB/s", rate, "goal: at least 120"),
    ):
        print(f"{name:16}{of['loopback']:>12.3f}{of['wire']:>12.3f}   {goal}")
    print(
        f"{status.packets} packets crossed, {status.lost} lost by the wire; {seen[0] / 1e6:.0f} MB of headers reported"
    )
    print(f"the wire's process took {user:.1f} us of user and {kernel:.1f} us of kernel time a packet")
    return 0


if __name__ == "__main__":
    sys.exit(main())
