#!/usr/bin/env python3
"""What tracing sixteen processes costs: a pre-forking C server under sixteen clients at once, in turn with strace.

Prints requests per second of the server free-running under socklab (events kept in a file), under
`strace -f --seccomp-bpf -o FILE`, and untraced; and the processor time the tracer itself took for a request.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
STRACE = ("strace", "-f", "--seccomp-bpf", "-e", "trace=network,read,write,close", "-o")
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def contestants(folder: Path) -> dict[str, list[str]]:
    """Name to the command put before the server's own."""
    socklab = [sys.executable, "-m", "socklab", "run", "--json", "--free", "--net", "machine", "--"]
    return {"untraced": [], "socklab": socklab, "strace": [*STRACE, str(folder / "strace.out")]}


def listens(port: int) -> bool:
    return f":{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()


def tracer_of(port_argument: str) -> int:
    """The process that traces a server started with this argument; 0 = nobody."""
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"/prefork") and port_argument.encode() in words:
                for line in Path(f"/proc/{entry}/status").read_text().splitlines():
                    if line.startswith("TracerPid:"):
                        return int(line.split()[1])
    return 0


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(folder: Path, before: list[str], processes: int, requests: int) -> tuple[float, float]:
    """(requests per second, microseconds of the tracer's processor time a request)."""
    port = free_port()
    with open(folder / "events.out", "wb") as kept:
        server = subprocess.Popen(
            [*before, str(folder / "prefork"), str(port), str(processes)],
            stdin=subprocess.DEVNULL,
            stdout=kept,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 20
            while not listens(port) and time.monotonic() < deadline:
                select.select((), (), (), 0.02)
            tracer = tracer_of(str(port))
            used = processor_seconds(tracer) if tracer else 0.0
            begun = time.monotonic()
            words = [str(folder / "load"), str(port), str(requests // processes), "0"]
            clients = [subprocess.Popen(words, stdout=subprocess.DEVNULL) for _ in range(processes)]
            for client in clients:
                client.wait()
            took = time.monotonic() - begun
            used = processor_seconds(tracer) - used if tracer else 0.0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    return requests / took, used / requests * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--requests", type=int, default=4000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("prefork", "load"):
            source = str(HERE / "programs" / f"{each}.c")
            subprocess.run(["cc", "-O2", "-o", str(folder / each), source], check=True)
        who = contestants(folder)
        found: dict[str, list[tuple[float, float]]] = {each: [] for each in who}
        for _ in range(options.pairs):
            for each, before in who.items():
                found[each].append(measure(folder, before, options.processes, options.requests))
        print(f"{options.processes} processes, as many clients; median of {options.pairs}")
        for each, results in found.items():
            ratios = [a[0] / b[0] for a, b in zip(found["socklab"], results, strict=True)]
            print(
                f"  {each:9} {statistics.median(rate for rate, _ in results):8.0f} requests/s"
                f"   tracer {statistics.median(cost for _, cost in results):6.0f} us a request"
                f"   socklab/this {statistics.median(ratios):5.2f}  ({min(ratios):.2f}-{max(ratios):.2f})"
            )


if __name__ == "__main__":
    main()
