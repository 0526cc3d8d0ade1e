"""Presenter's mode and going to a step, with real programs."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("pyte")
from benchmarks.ptyharness import Terminal
from socklab import lesson as lessons

pytestmark = pytest.mark.kernel
PATIENCE_S = 120
ALL = [(name, language) for name in lessons.names() for language in lessons.load(lessons.find(name)).languages]


def test_a_lesson_is_presented_with_two_keys_and_seen_again_as_it_was() -> None:
    argv = [sys.executable, "-m", "socklab", "lesson", "backlog", "--lang", "c", "--present"]
    terminal = Terminal(argv, columns=80, rows=24, env={"SOCKLAB_KEYMAP": "/dev/null"})
    try:

        def after(keys: bytes, wanted: str) -> str:
            terminal.type(keys)
            assert terminal.wait_for(wanted, PATIENCE_S), terminal.screen()
            return terminal.screen()

        assert terminal.wait_for("begins", PATIENCE_S), terminal.screen()
        after(b" ", "step 1 of 6")
        asked = after(b" ", "a-d the vote")
        assert "hidden until you answer" in asked and "5 of 4" not in asked
        assert "5 of 4" in after(b" ", "The kernel says 5")
        past = after(b"\x1b[5~", "THE PAST")
        assert "as it was asked" in past and "5 of 4" not in past
        assert "5 of 4" in after(b"\x1b[6~", "The kernel says 5")
        other = after(b"T", "server.py")
        assert terminal.wait_for("a-d the vote", PATIENCE_S), other
        after(b":restart 4\r", "How many wait there now")
        assert "step 4 of 6" in terminal.screen()
    finally:
        assert terminal.close(b"\x11") == 0
        assert terminal.terminal_given_back


@pytest.mark.parametrize(("name", "language"), ALL)
def test_every_lesson_can_be_run_to_its_last_step(name: str, language: str) -> None:
    steps = len(lessons.load(lessons.find(name)).steps)
    argv = [sys.executable, "-m", "socklab", "lesson", name, "--lang", language, "--plain", "--step", str(steps)]
    run = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False)
    assert f"Step {steps} of {steps}: " in run.stdout, run.stdout[-2000:] + run.stderr


def test_in_plain_text_a_lesson_is_begun_anew_at_a_step_and_goes_on_in_the_other_language() -> None:
    argv = [sys.executable, "-m", "socklab", "lesson", "backlog", "--lang", "c", "--plain"]
    typed = "restart 3\nlanguage\nrestart 9\nlanguage python\nq\n"
    run = subprocess.run(argv, input=typed, capture_output=True, text=True, timeout=600, check=False)
    told = [part for part in run.stdout.split("\n> ") if part]
    assert told[1].startswith("restart 3\n") and "in C." in told[1] and "What has become of client j" in told[1]
    assert told[2].startswith("language\n") and "in Python." in told[2] and "What has become of client j" in told[2]
    assert "The lesson's steps are 1 to 6." in told[3]
    assert "There is no server in another language here." in told[4]
