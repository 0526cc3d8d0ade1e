"""Real programs run beside the lab's clients: what they print without end, and how they are ended."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from socklab import lesson as lessons
from socklab.engine.client_commands import SHOWN_BYTES
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link

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
