"""A signal that cuts a call short is a stop of its own, and what becomes of the call is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernel.test_run_options import run

pytestmark = pytest.mark.kernel

PROGRAM = """
import signal, socket
class Over(Exception): pass
def over(*_): raise Over
signal.signal(signal.SIGALRM, over)
listener = socket.create_server(("127.0.0.1", 0))
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    listener.accept()
except Over:
    print("over", flush=True)
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    (tmp_path / "program.py").write_text(PROGRAM)
    return str(tmp_path / "program.py")


def test_a_handled_signal_that_cuts_accept_short_is_held_at_with_its_name_and_what_comes_of_it(program: str) -> None:
    done = run("--auto", program)
    stops = done.stdout.split("\nStop ")
    at = next(place for place, stop in enumerate(stops) if "accept4(" in stop and "ERESTARTSYS" in stop)
    assert ": SIGALRM is about to be delivered to its handler; then accept4 fails with EINTR" in stops[at + 1]
    assert "the program wrote: over" in done.stdout


def test_whoever_runs_to_a_condition_is_not_stopped_at_a_handler_but_told(program: str) -> None:
    done = run("--auto", "--until", "exit_group", program)
    assert "SIGALRM is delivered to its handler.\n" in done.stdout
    assert "about to call exit_group" in done.stdout.split("\nStop ")[1]
