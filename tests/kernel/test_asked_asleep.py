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
            if isinstance(event, ev.Ready) and event.wants == "step" and not any(isinstance(e, ev.Acted) for e in told):
                (header,) = (each for each in told if isinstance(each, ev.Header))
                address = next(host.addresses[0] for host in header.hosts if host.name == "server")
                later = f"import socket, time; time.sleep(1); socket.create_connection(({address!r}, 8080)).recv(1)"
                link.send(cmd.Do(line=f'! {sys.executable} -c "{later}"'))
            elif isinstance(event, ev.Ready) and event.wants == "step" and not _has(told, ev.StepReached):
                link.send(cmd.Continue(until=""))
            elif isinstance(event, ev.Held) and event.at == "return" and _has(told, ev.Asked):
                link.send(cmd.Answer(choice=0))
            elif isinstance(event, ev.Measured | ev.Exited):
                link.send(cmd.Quit())
    kinds = [type(event) for event in told]
    held = [
        place
        for place, e in enumerate(told)
        if isinstance(e, ev.Held) and e.at == "return" and _has(told[:place], ev.Asked)
    ]
    assert held and kinds.index(ev.Asked) < held[0] < kinds.index(ev.Measured)


def _has(told: list[ev.AnyEvent], kind: type[ev.Event]) -> bool:
    return any(isinstance(event, kind) for event in told)
