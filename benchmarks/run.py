#!/usr/bin/env python3
"""Every benchmark, one after the other, and the last run's figures into docs/benchmarks.md.

    .venv/bin/python benchmarks/run.py              all of them, about ten minutes
    .venv/bin/python benchmarks/run.py look wire    some

Run it on a machine that does nothing else. The page keeps its words; what stands between its two marks is replaced.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- last run: begin -->", "<!-- last run: end -->"
ALL = ("tracing", "processes", "screen", "look", "wire")


def machine() -> str:
    """The machine in one line: processor, kernel, Python."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    cores = os.cpu_count()
    return (
        f"{model[1] if model else platform.machine()}, {cores} cores; Linux {platform.release()};"
        f" Python {platform.python_version()}; {date.today().isoformat()}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(ALL)}; default: all")
    names = parser.parse_args().names or [name for name in ALL if (HERE / f"{name}.py").exists()]
    parts = [f"Measured on {machine()}.", ""]
    failed = 0
    for name in names:
        print(f"--- {name}", file=sys.stderr)
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py")], capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr if done.returncode else "", file=sys.stderr)
        failed += done.returncode != 0
        parts += [f"`benchmarks/{name}.py`", "", "```", done.stdout.strip(), "```", ""]
    text = PAGE.read_text()
    if BEGIN in text and END in text and not failed and set(names) >= {n for n in ALL if (HERE / f"{n}.py").exists()}:
        before, rest = text.split(BEGIN, 1)
        PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(parts) + END + rest.split(END, 1)[1])
        print(f"written: {PAGE}", file=sys.stderr)
    else:
        print("\n".join(parts))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
