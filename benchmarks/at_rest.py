#!/usr/bin/env python3
"""What a lab costs that nobody touches: five clients of lesson backlog try again and again at a held stop.

    .venv/bin/python benchmarks/at_rest.py --minutes 30

Prints for each minute the share of one processor that engine and screen took, and their memory.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.ptyharness import Terminal  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def screen_and_engine(pid: int) -> tuple[int, int]:
    """The process that draws, and the engine it started: the terminal's guard may stand above both."""
    family = [pid, *children(pid)]
    for each in family:
        for child in children(each):
            if b"socklab.engine" in Path(f"/proc/{child}/cmdline").read_bytes():
                return each, child
    raise SystemExit("no engine was started")


def spent(pid: int) -> tuple[float, int]:
    """Seconds of processor time so far, and kB of resident memory."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return (int(fields[11]) + int(fields[12])) / TICKS, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=5)
    minutes = parser.parse_args().minutes
    command = [sys.executable, "-m", "socklab", "lesson", "backlog", "--step", "3"]
    terminal = Terminal(command, columns=120, rows=36, env={"SOCKLAB_LAYOUT": "/dev/null"})
    try:
        if not terminal.wait_for("Your prediction", 60):
            raise SystemExit(f"the lesson never came to its question:\n{terminal.screen()}")
        terminal.type(b"\x1b")
        if not terminal.wait_for("The kernel says", 60):
            raise SystemExit(f"it was never answered:\n{terminal.screen()}")
        pids = screen_and_engine(terminal.pid)
        print(f"{'minute':>6} {'screen':>9} {'engine':>9} {'both':>9} {'screen':>10} {'engine':>10}")
        before = [spent(pid) for pid in pids]
        for minute in range(1, minutes + 1):
            end = time.monotonic() + 60
            while (left := end - time.monotonic()) > 0:
                terminal.read(min(left, 1.0))  # what is drawn, as a terminal takes it
            now = [spent(pid) for pid in pids]
            shares = [(after[0] - first[0]) / 60 for after, first in zip(now, before, strict=True)]
            memory = " ".join(f"{kib:>7} kB" for _, kib in now)
            print(f"{minute:>6} {shares[0]:>9.2%} {shares[1]:>9.2%} {sum(shares):>9.2%} {memory}", flush=True)
            before = now
    finally:
        terminal.close(b"\x11")


if __name__ == "__main__":
    main()
