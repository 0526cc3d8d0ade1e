"""A question that is asked while the program sleeps in a call: the call's return waits for the answer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link

pytestmark = pytest.mark.kernel

SERVER = """\
import socket

listener = socket.create_server(("", 8080))
connection, peer = listener.accept()
connection.close()
"""
LESSON = """\
format = 1
title = "Asleep"
summary = "A question while the program sleeps."
teaches = ["accept"]
server = { python = "server.py" }

[[step]]
at = { syscall = "accept" }
before = "It is about to call."
predict = { ask = "Which descriptor?", measure = "last.result", choices = [3, 4], when = "return", explain = "Yes." }

[[step]]
at = { syscall = "accept", when = "blocked" }
before = "It sleeps."
predict = { ask = "How many wait?", measure = "listener.accept_queue", choices = [0, 1], explain = "Nobody." }
"""


def test_a_program_that_wakes_up_by_itself_while_it_is_asked_is_held_and_the_answer_is_marked(tmp_path: Path) -> None:
    """A client of the student's own connects while the question is open, in a run to the end."""
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "lesson.toml").write_text(LESSON)
    spec = RunSpec(lesson=str(tmp_path), language="python", network="private")
    told: list[ev.AnyEvent] = []
    with Link.start(spec) as link:
        for event in link.events(timeout=60):
            told.append(event)
            asked = sum(isinstance(each, ev.Asked) for each in told)
            if isinstance(event, ev.Ready) and not asked:
                link.send(cmd.Continue(until="step"))
            elif isinstance(event, ev.Asked) and asked == 1:
                link.send(cmd.Answer(choice=4))
            elif isinstance(event, ev.Ready) and event.wants == "step" and not _has(told, ev.Acted):
                (header,) = (each for each in told if isinstance(each, ev.Header))
                address = next(host.addresses[0] for host in header.hosts if host.name == "server")
                later = f"import socket, time; time.sleep(1); socket.create_connection(({address!r}, 8080)).recv(1)"
                link.send(cmd.Do(line=f'! {sys.executable} -c "{later}"'))
            elif isinstance(event, ev.Ready) and event.wants == "step" and asked == 1:
                link.send(cmd.Continue(until=""))
            elif isinstance(event, ev.Held) and event.at == "return" and asked == 2:
                link.send(cmd.Answer(choice=0))
            elif isinstance(event, ev.Exited) or sum(isinstance(each, ev.Measured) for each in told) == 2:
                link.send(cmd.Quit())
    marked = {event.index: event.right for event in told if isinstance(event, ev.Measured)}
    assert marked == {0: True, 1: True}


def _has(told: list[ev.AnyEvent], kind: type[ev.Event]) -> bool:
    return any(isinstance(event, kind) for event in told)
