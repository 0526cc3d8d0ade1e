"""The accept queue as it is drawn is the one that `ss -ltn` finds in the server's network, whatever is done."""

from __future__ import annotations

import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as some

from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import LabState, apply
from socklab.ui.stage.drawing import draw
from socklab.ui.view.lines import plain
from tests.support.repeat import times

pytestmark = [pytest.mark.kernel, pytest.mark.by_chance]

SERVER = """\
import socket
listener = socket.create_server(("", 8080), backlog={backlog})
kept = []
while True:
    kept.append(listener.accept()[0])
"""
ACTIONS, LABS = 10, 20
"""So many actions in so many labs: 200."""
PATIENCE_S = 30.0

actions = some.lists(some.sampled_from(["connect", "connect", "accept", "close", "drop"]), min_size=1, max_size=ACTIONS)


class Lab:
    """A held server, and the consumer that draws it."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.state = LabState()
        self.done = ev.Done(0, 0, "")
        self.until(lambda: self.state.ready is not None and self.state.ready.wants == "step")
        self.connected = 0
        self.closed = 0

    def until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline, f"never came: {self.state.ready}, {self.state.notices}"
            select.select([self.link], [], [], 0.1)
            for event in self.link.read_available():
                self.state = apply(self.state, event)
                if isinstance(event, ev.Done):
                    self.done = event

    def send(self, command: cmd.AnyCommand) -> None:
        self.done = ev.Done(0, 0, "")
        number = self.link.send(command)
        self.until(lambda: self.done.id == number and self.state.ready is not None)

    def act(self, action: str) -> None:
        """One of a student's actions; an accept that would sleep is left out."""
        if action == "connect":
            self.connected += 1
            self.send(cmd.Do(line="connect"))
        elif action == "close" and self.closed < self.connected:
            self.closed += 1
            self.send(cmd.Do(line=f"close {[*self.state.clients][self.closed - 1]}"))
        elif action == "drop":
            self.send(cmd.Do(line="drop next syn"))
        elif action == "accept" and self.state.listeners[0].rx_queue:
            self.send(cmd.Step())
            self.send(cmd.Step())

    @property
    def drawn(self) -> tuple[int, int]:
        text = "\n".join(plain(line) for line in draw(self.state, 120, 17).lines)
        found = re.search(r"([\d,]+) of ([\d,]+)", text)
        assert found, text
        return int(found[1]), int(found[2])

    @property
    def listed(self) -> tuple[int, int]:
        assert self.state.started is not None
        enter = ["nsenter", f"--net=/proc/{self.state.started.pid}/ns/net"]
        done = subprocess.run([*enter, "ss", "-Htln", "sport = :8080"], capture_output=True, text=True, check=True)
        words = done.stdout.split()
        return int(words[1]), int(words[2])

    def agrees(self) -> bool:
        """A SYN that is sent again may come between two looks: the lab looks again a few times a second."""
        listed = self.listed
        return self.drawn == listed == self.listed


@settings(
    max_examples=times(LABS),
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(todo=actions, backlog=some.sampled_from([0, 1, 3]))
def test_the_accept_queue_agrees_with_ss_after_every_action(tmp_path: Path, todo: list[str], backlog: int) -> None:
    program = tmp_path / "server.py"
    program.write_text(SERVER.format(backlog=backlog))
    spec = RunSpec(argv=(sys.executable, str(program)), cwd="/", network="two-hosts", until="accept")
    with Link.start(spec) as link:
        lab = Lab(link)
        if lab.state.header is not None and lab.state.header.network != "two-hosts":
            pytest.skip("no two hosts here")
        for action in ["connect", *todo]:
            lab.act(action)
            lab.until(lab.agrees)
