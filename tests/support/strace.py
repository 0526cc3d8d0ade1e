"""strace as an oracle: run a program under it, and read what it printed as sequences of calls, one per task.

In: a program, or the text of `strace -f -o FILE`. Out: for each task, in order of appearance, its calls as one line
each, with halves joined and with everything that differs from run to run (addresses, ephemeral ports, process ids,
the clock) replaced by a word. The same normaliser is applied to the lines under test.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

_UNFINISHED = " <unfinished ...>"
_LINE = re.compile(r"^(\d+) +(.*)$")
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>")
_PADDED = re.compile(r"^(.*\)) +(= .*)$")

_POINTER = re.compile(r"\b0x[0-9a-f]{7,16}\b")
_PORT = re.compile(r"htons\((\d+)\)")
_LEFT = re.compile(r"left \{tv_sec=\d+, tv_(nsec|usec)=\d+\}")
_VARS = re.compile(r"/\* \d+ vars? \*/")
_DATE = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
_NAMES_TASKS = ("clone", "clone3", "fork", "vfork", "wait4", "waitid", "kill", "tkill", "tgkill", "getpid", "gettid")


def available() -> str:
    """Why strace can't be used here; empty if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"strace does not work here: {tried.stderr.strip()[:200]}"


def run(
    argv: Sequence[str], calls: Iterable[str], string_limit: int = 32, cwd: str | None = None
) -> list[tuple[int, list[str]]]:
    """The calls of `argv` and its children, as `parse` gives them. The program has a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "trace"
        names = ",".join(f"?{name}" for name in sorted(calls))
        command = ["strace", "-f", "-s", str(string_limit), "-e", f"trace={names}", "-o", str(out), *argv]
        ours, theirs = pty.openpty()
        try:
            subprocess.run(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, timeout=60, check=False)
        finally:
            os.close(ours)
            os.close(theirs)
        return parse(out.read_text(errors="surrogateescape"))


def parse(text: str) -> list[tuple[int, list[str]]]:
    """(task, its calls) in order of first appearance. Signals and exits are left out."""
    tasks: dict[int, list[str]] = {}
    halves: dict[int, str] = {}
    for line in text.splitlines():
        found = _LINE.match(line)
        if not found:
            continue
        tid, rest = int(found[1]), found[2]
        calls = tasks.setdefault(tid, [])
        if rest.startswith(("---", "+++")):
            continue
        resumed = _RESUMED.match(rest)
        if resumed:
            rest = halves.pop(tid, resumed[1] + "(") + rest[resumed.end() :]
        if rest.endswith(_UNFINISHED):
            halves[tid] = rest.removesuffix(_UNFINISHED)
            continue
        calls.append(_PADDED.sub(r"\1 \2", rest))
    for tid, half in halves.items():  # a call that never returned
        tasks[tid].append(half)
    return list(tasks.items())


def name_of(line: str) -> str:
    """The call a line shows."""
    return line.partition("(")[0]


def shallow(line: str) -> str:
    """Name and result alone."""
    return f"{name_of(line)}(*){line[line.rfind(' = ') :]}"


def normalise(tasks: Sequence[tuple[int, list[str]]]) -> list[list[str]]:
    """Lines that are equal whenever the program did the same, whoever traced it and when."""
    words = {str(tid): f"T{at}" for at, (tid, _) in enumerate(tasks, 1)}
    tids = re.compile(r"\b(" + "|".join(words) + r")\b") if words else re.compile(r"$^")
    out = []
    for _, lines in tasks:
        ports: dict[str, str] = {"0": "0"}

        def port(found: re.Match[str], ports: dict[str, str] = ports) -> str:
            return f"htons({ports.setdefault(found[1], f'P{len(ports)}')})"

        done = []
        for line in lines:
            if name_of(line) in _NAMES_TASKS:
                line = tids.sub(lambda found: words[found[1]], line)
            line = _POINTER.sub("PTR", line)
            line = _PORT.sub(port, line)
            line = _LEFT.sub(r"left {\1}", line)
            line = _VARS.sub("/* VARS */", line)
            done.append(_DATE.sub("DATE", line))
        out.append(done)
    return out
