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
import shutil
import subprocess
import sys
from datetime import date
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- last run: begin -->", "<!-- last run: end -->"
ALL = ("tracing", "processes", "screen", "look", "wire")
NEEDS: dict[str, tuple[str, ...]] = {
    "tracing": ("cc", "strace"), "processes": ("cc", "strace"), "screen": ("pyte",), "look": ("ss",), "wire": (),
}  # fmt: skip
"""What each takes besides socklab itself."""
GIVEN_BY = {
    "socklab": ".venv/bin/pip install -e '.[test]'", "pyte": ".venv/bin/pip install -e '.[test]'",
    "cc": "apt install gcc libc6-dev", "strace": "apt install strace", "ss": "apt install iproute2",
}  # fmt: skip


def missing(names: list[str]) -> list[str]:
    """What of all that these benchmarks take is not here, in words."""
    wanted = ["socklab", *(each for name in names for each in NEEDS[name])]
    lacking = [each for each in dict.fromkeys(wanted) if not (find_spec(each) or shutil.which(each))]
    if "socklab" not in lacking and not find_spec("textual"):  # found beside us, not installed
        lacking.insert(0, "socklab")
    return [f"{each} is not installed: {GIVEN_BY[each]}" for each in lacking]


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
    names = parser.parse_args().names or list(ALL)
    unknown = [name for name in names if name not in ALL]
    if unknown:
        parser.error(f"no benchmark {unknown[0]}; there are {', '.join(ALL)}")
    lacking = missing(names)
    if lacking:
        print(*lacking, sep="\n", file=sys.stderr)
        return 2
    parts = [f"Measured on {machine()}.", ""]
    failed = 0
    for name in names:
        print(f"--- {name}", file=sys.stderr)
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py")], capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr if done.returncode else "", file=sys.stderr)
        failed += done.returncode != 0
        parts += [f"`benchmarks/{name}.py`", "", "```", done.stdout.strip(), "```", ""]
    text = PAGE.read_text()
    if BEGIN in text and END in text and not failed and set(names) >= set(ALL):
        before, rest = text.split(BEGIN, 1)
        PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(parts) + END + rest.split(END, 1)[1])
        print(f"written: {PAGE}", file=sys.stderr)
    else:
        print("\n".join(parts))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
