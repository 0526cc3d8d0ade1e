"""Real programs run beside the lab's clients: what they print without end, and how they are ended."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from socklab import lesson as lessons, state as st
from socklab.engine.client_commands import SHOWN_BYTES
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.ui.view.index import client_index

pytestmark = pytest.mark.kernel


def _events(link: Link, seconds: float = 60.0) -> Iterator[ev.AnyEvent]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert not link.ended, link.diagnostics()
        select.select([link], [], [], 0.2)
        yield from link.read_available()
    raise AssertionError("what was waited for never came")


@pytest.mark.parametrize(("verb", "signal_number"), [("close", 15), ("reset", 9)])
def test_a_program_that_prints_for_ever_is_told_up_to_a_limit_and_can_be_ended(verb: str, signal_number: int) -> None:
    with Link.start(RunSpec(lesson=str(lessons.find("backlog")), network="private")) as link:
        told, pid = 0, 0
        for event in _events(link):
            if isinstance(event, ev.Held) and not pid:
                link.send(cmd.Do("! yes"))
            elif isinstance(event, ev.Client) and event.phase == "running":
                pid = event.pid
            elif isinstance(event, ev.Output) and event.source == "yes":
                told += len(event.data)
            elif isinstance(event, ev.Notice) and "is not shown" in event.text:
                assert told == SHOWN_BYTES
                link.send(cmd.Do(f"{verb} yes"))
            elif isinstance(event, ev.Client) and event.phase == "done":
                assert event.code == -signal_number
                break
        assert told == SHOWN_BYTES
        assert not Path(f"/proc/{pid}").exists()


CONNECTS = "import socket, sys; s = socket.create_connection((sys.argv[1], 8080)); s.recv(1)"


@pytest.mark.parametrize("through", ["", "sh -c 'exec 9</dev/null; \"$@\"' - "])
def test_the_connection_of_a_program_is_known_as_its(through: str) -> None:
    """By the descriptors of the program itself, or of its child; what it was stays with it when it has ended."""
    line = f'! {through}{sys.executable} -c "{CONNECTS}" server'
    server = lessons.load(lessons.find("backlog")).server_file("python")
    with Link.start(RunSpec(argv=(str(server), "8080"), cwd="/", network="private")) as link:
        state, said, known = st.LabState(), False, None
        for event in _events(link):
            state = st.apply(state, event)
            if isinstance(event, ev.Ready) and not state.listeners:
                link.send(cmd.Step())
            elif isinstance(event, ev.Ready) and not said:
                said = True
                link.send(cmd.Do(line))
            elif isinstance(event, ev.Client) and event.phase == "running" and event.local:
                fds = [os.readlink(each) for each in Path("/proc").glob(f"{event.pid}/fd/*")]
                children = Path(f"/proc/{event.pid}/task/{event.pid}/children").read_text().split()
                fds += [os.readlink(each) for pid in children for each in Path("/proc").glob(f"{pid}/fd/*")]
                assert f"socket:[{event.inode}]" in fds
                assert event.remote.endswith(":8080")
                assert client_index(state).at(state, event.local) == event.name
                known = event
                link.send(cmd.Do(f"reset {event.name}"))
            elif isinstance(event, ev.Client) and event.phase == "done":
                assert known is not None and (event.local, event.inode) == (known.local, 0)
                break
