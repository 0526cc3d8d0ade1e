"""strace as an oracle: what it printed as sequences of calls, one per task.

In: the text of `strace -f -o FILE`. Out: for each task, in order of appearance, its calls as one line each, with halves
joined, and its signals and its end between them.
"""

from __future__ import annotations

import re
import shutil
import subprocess

_UNFINISHED = " <unfinished ...>"
_LINE = re.compile(r"^(\d+) +(.*)$")
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>")
_PADDED = re.compile(r"^(.*\)) +(= .*)$")


def available() -> str:
    """Why strace can't be used here; empty if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"strace does not work here: {tried.stderr.strip()[:200]}"


def parse(text: str) -> list[tuple[int, list[str]]]:
    """(task, its calls) in order of first appearance, with its signals (`---`) and its end (`+++`) between them."""
    tasks: dict[int, list[str]] = {}
    halves: dict[int, str] = {}
    for line in text.splitlines():
        found = _LINE.match(line)
        if not found:
            continue
        tid, rest = int(found[1]), found[2]
        calls = tasks.setdefault(tid, [])
        if rest.startswith(("---", "+++")):
            calls.append(rest)
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
