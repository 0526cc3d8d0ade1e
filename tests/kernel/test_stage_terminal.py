"""The stage and the views beside it in a real terminal of 80 by 24, over a real lab: a lesson gone through by keys."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest

pytest.importorskip("pyte")
from benchmarks.ptyharness import Terminal

pytestmark = pytest.mark.kernel

PATIENCE_S = 120
QUIT = b"\x11"  # Ctrl+Q


@pytest.fixture
def backlog() -> Iterator[Terminal]:
    """The lesson at its second question: the queue is full, and client j has tried to connect."""
    command = [sys.executable, "-m", "socklab", "lesson", "backlog", "--lang", "python"]
    terminal = Terminal(command, columns=80, rows=24, env={"SOCKLAB_KEYMAP": "/dev/null"})
    try:
        for key, then in (
            (b"", "held before socket"),
            (b"n", "held before listen"),
            (b"n", "Your prediction"),
            (b"\x1b", "The kernel says 5"),
            (b"n", "What has become of client j"),
            (b"\x1b", "The kernel says connecting"),
        ):
            terminal.type(key)
            assert terminal.wait_for(then, PATIENCE_S), terminal.screen()
        yield terminal
    finally:
        assert terminal.close(QUIT) == 0
        assert terminal.terminal_given_back


def after(terminal: Terminal, key: bytes, wanted: str) -> str:
    """The screen once `wanted` stands on it."""
    terminal.type(key)
    assert terminal.wait_for(wanted, PATIENCE_S), terminal.screen()
    return terminal.screen()


def test_the_stage_joins_process_queue_and_clients_and_each_view_is_a_key_away(backlog: Terminal) -> None:
    lines = backlog.screen().split("\n")
    listener = next(line for line in lines if "●──▶" in line)
    assert re.search(r"3 +listener +●──▶ .*5 of 4  full", listener), "an arrow from descriptor 3 to the full queue"
    assert any(re.search(r"▸j +SYN_SENT", line) for line in lines), "the step points at client j"
    assert not any(re.search(r"\w…", line) for line in lines[1:12]), "no word of it is cut"

    view = after(backlog, b"Q", "accepted 0")
    assert re.search(r"accept queue +5 of 4", view) and "LISTEN 0.0.0.0:8080" in view
    bytes_ = after(backlog, b"B", "kernel reads")
    assert re.search(r"sin_port +8080 +36895", bytes_), "in network order, and as this machine keeps numbers"
    after(backlog, b"\x1b", "●──▶")

    backlog.type(b":accept\r")
    assert backlog.wait_for("How many wait there now", PATIENCE_S), backlog.screen()
    assert "held after accept4 = 4" in backlog.screen()
    after(backlog, b"\x1b", "The kernel says")
    assert re.search(r"4 +socket +●──▶ \*a ESTABLISHED", backlog.screen()), "its descriptor refers to a's connection"
    path = after(backlog, b"j", "Data path")
    assert re.search(r"a :40001 +ESTABLISHED +fd 4", path)
