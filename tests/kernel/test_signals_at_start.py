"""Started with signals ignored or blocked, as nohup, cron and careless parents do.

Oracle: the same command started the same way without socklab, by what /proc/self/status says of it.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import socklab

pytestmark = pytest.mark.kernel

ROOT = Path(socklab.__file__).resolve().parent.parent
SOCKLAB = (sys.executable, "-m", "socklab")
ALL = {each for each in signal.valid_signals() if each not in (signal.SIGKILL, signal.SIGSTOP)}
PYTHONS = {signal.SIGPIPE, signal.SIGXFSZ}
"""Ignored by every Python, so by the consumer before it starts the engine: default in what is run."""
BACKGROUND = {signal.SIGINT, signal.SIGQUIT}
"""What a shell without job control ignores in `program &`."""


def _start(before: Callable[[], object], *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        words, env=environment, preexec_fn=before, capture_output=True, text=True, timeout=120, check=False
    )


def _ignore(which: set[signal.Signals]) -> Callable[[], object]:
    return lambda: [signal.signal(each, signal.SIG_IGN) for each in which]


def _block_all() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


@pytest.mark.parametrize("which", [{signal.SIGCHLD}, ALL], ids=["SIGCHLD", "all"])
def test_a_lesson_runs_to_its_end_where_signals_are_ignored(which: set[signal.Signals]) -> None:
    done = _start(_ignore(which), *SOCKLAB, "lesson", "lifecycle", "--auto", "--lang", "python")
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]


def test_a_lesson_runs_to_its_end_where_signals_are_blocked() -> None:
    done = _start(_block_all, *SOCKLAB, "lesson", "lifecycle", "--auto", "--lang", "python")
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]


@pytest.mark.parametrize("which", [set(), {signal.SIGHUP}, BACKGROUND, ALL], ids=["none", "nohup", "background", "all"])
def test_a_program_inherits_what_its_caller_ignored_and_nothing_blocked(which: set[signal.Signals]) -> None:
    look = ("cat", "/proc/self/status")
    alone = _start(_ignore(which), *look).stdout
    here = _start(_ignore(which), *SOCKLAB, "run", "--json", "--free", *look).stdout
    wrote = b"".join(re.findall(rb'"e":"output".*"data":"([^"]+)"', here.encode()))
    lines = base64.b64decode(wrote).decode()
    assert _set("SigIgn", lines) == _set("SigIgn", alone) - PYTHONS
    assert _set("SigBlk", lines) == set()


def _set(name: str, status: str) -> set[int]:
    mask = int(next(line.split()[1] for line in status.splitlines() if line.startswith(name)), 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}
