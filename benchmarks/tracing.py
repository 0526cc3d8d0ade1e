#!/usr/bin/env python3
"""What tracing costs: a small C server free-running under socklab, strace, python-ptrace and nothing at all.

Prints ratios from one run, the contestants in turn, so that the machine's drift hits them alike:
  1. requests per second, events kept in a file, against `strace -f --seccomp-bpf -o FILE`: both where the scheduler
     and they themselves choose, and both with their tracee on one processor, the same for all, the load on another;
  2. a program that makes a million system calls nobody asked for: traced time / untraced time, for the cheapest call
     there is (getppid, where the kernel's own entry into any seccomp filter shows) and for everyday ones.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
STRACE_SET = "trace=network,read,write,close"


def build(folder: Path) -> None:
    for source in (HERE / "programs").glob("*.c"):
        subprocess.run(["cc", "-O2", "-g", "-o", str(folder / source.stem), str(source)], check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


BOUND = ", one processor"
"""Behind the name of a contestant that runs on one processor with its tracee, from the beginning."""


def contestants(folder: Path) -> dict[str, list[str]]:
    """Name to the command put before the server's own."""
    socklab = [sys.executable, "-m", "socklab", "run", "--json", "--free", "--net", "machine", "--"]
    found = {"untraced": [], "socklab": socklab}
    if shutil.which("strace"):
        trace = str(folder / "strace.out")
        found["strace"] = ["strace", "-f", "--seccomp-bpf", "-e", STRACE_SET, "-o", trace]
        found["strace, all"] = ["strace", "-f", "-e", STRACE_SET, "-o", trace]
    try:
        import ptrace  # noqa: F401

        found["python-ptrace"] = [
            sys.executable,
            str(HERE / "programs" / "with_python_ptrace.py"),
            str(folder / "pp.out"),
        ]
    except ImportError:
        print("python-ptrace is not installed: left out (pip install python-ptrace)", file=sys.stderr)
    if len(os.sched_getaffinity(0)) > 1:
        found |= {name + BOUND: found[name] for name in ("untraced", "socklab", "strace") if name in found}
    return found


def requests_per_second(folder: Path, before: list[str], requests: int, warm_up: int, *, bound: bool) -> float:
    port = free_port()
    allowed = os.sched_getaffinity(0)
    one = {min(allowed)}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(folder / "events.out", "wb") as kept:
        server = subprocess.Popen(
            [*before, str(folder / "serve"), str(port), str(requests)],
            stdout=kept,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env=environment,
            preexec_fn=(lambda: os.sched_setaffinity(0, one)) if bound else None,
        )
        load = subprocess.run(
            [str(folder / "load"), str(port), str(requests), str(warm_up)],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=(lambda: os.sched_setaffinity(0, allowed - one)) if bound else None,
        )
        server.wait(timeout=30)
    return float(load.stdout)


def unasked_seconds(folder: Path, before: list[str], kind: str, calls: int) -> float:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*before, str(folder / "unasked"), kind, str(calls)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    if "socklab" not in before:
        return float(done.stderr)
    import base64
    import json

    for line in done.stdout.splitlines():
        event = json.loads(line)
        if event["e"] == "output" and event["stream"] == "err":
            return float(base64.b64decode(event["data"]))
    raise SystemExit("the traced program printed no time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--warm-up", type=int, default=300)
    parser.add_argument("--calls", type=int, default=1_000_000, help="0: leave the second part out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder)
        who = contestants(folder)
        rates: dict[str, list[float]] = {each: [] for each in who}
        for _ in range(options.pairs):
            for each, before in who.items():
                bound = each.endswith(BOUND)
                rate = requests_per_second(folder, before, options.requests, options.warm_up, bound=bound)
                rates[each].append(rate)
        print("requests per second of a C server (4 calls a request), events kept; median of", options.pairs)
        for each, found in rates.items():
            ours = rates["socklab" + BOUND * each.endswith(BOUND)]
            pairs = [a / b for a, b in zip(ours, found, strict=True)]
            print(
                f"  {each:24} {statistics.median(found):9.0f}/s   socklab/this {statistics.median(pairs):5.2f}"
                f"  ({min(pairs):.2f}-{max(pairs):.2f})"
            )
        print(f"{options.calls} calls nobody asked for: traced / untraced; median of {options.pairs} pairs")
        if options.calls == 0:
            return
        others = {name: who[name] for name in ("socklab", "strace") if name in who}
        for kind in ("getppid", "mmap", "stat", "getrandom"):
            found = {name: [] for name in others}
            plain = []
            for _ in range(options.pairs):
                base = unasked_seconds(folder, [], kind, options.calls)
                plain.append(base)
                for name, before in others.items():
                    found[name].append(unasked_seconds(folder, before, kind, options.calls) / base)
            cost = statistics.median(plain) / options.calls * 1e9
            said = "   ".join(
                f"{name} {statistics.median(ratios):.3f} ({min(ratios):.2f}-{max(ratios):.2f})"
                for name, ratios in found.items()
            )
            print(f"  {kind:10} {cost:5.0f} ns a call   {said}")


if __name__ == "__main__":
    main()
