"""What a consumer knows of the engine by folding: whom it waits for, what the lesson offers."""

from __future__ import annotations

import pytest

from socklab.protocol import events as ev
from socklab.state import LabState, apply
from tests.support import streams as lab


def ready(wants: str = "step", *held: int) -> LabState:
    return lab.state_of(lab.start(), lab.enter("accept", 3), ev.Ready(lab.t(), wants, lab.PID, held))


@pytest.mark.parametrize(
    "event",
    [
        ev.Held(9, lab.PID, "return"),
        ev.Acted(9, "connect", "student"),
        ev.StepReached(9, 0, "before"),
        ev.Asked(9, 0),
        ev.Answered(9, 0, 1),
        ev.Measured(9, 0, 1),
        ev.Offered(9, 0, ("connect a",)),
        ev.Exited(9, lab.PID),
        ev.Ended(9, "quit"),
    ],
)
def test_whatever_begins_ends_the_wait(event: ev.AnyEvent) -> None:
    before = ready("step", lab.PID)
    assert before.ready is not None
    assert apply(before, event).ready is None


@pytest.mark.parametrize(
    "event",
    [
        ev.Notice(9, "info", "x"),
        ev.Done(9, 1, "done"),
        lab.sockets(lab.listener(depth=1)),
        ev.Processes(9),
        ev.Output(9, "server", "out", b"x"),
        ev.Client(9, "a", "open"),
    ],
)
def test_a_word_or_a_look_does_not(event: ev.AnyEvent) -> None:
    assert apply(ready("step", lab.PID), event).ready is not None


def test_a_task_that_goes_on_ends_only_a_wait_for_its_own_step() -> None:
    gone = ev.Resumed(9, lab.PID)
    assert apply(ready("step", lab.PID), gone).ready is None
    assert apply(ready("step", 101), gone).ready is not None
    assert apply(ready("pause"), gone).ready is not None


def test_an_offer_stands_until_another_or_none_takes_its_place() -> None:
    state = apply(ready(), ev.Offered(9, 2, ("connect a", "connect b")))
    assert state.offer == ev.Offered(9, 2, ("connect a", "connect b"))
    state = apply(state, ev.Offered(10, 2, ("connect b",)))
    assert state.offer is not None
    assert state.offer.lines == ("connect b",)
    assert apply(state, ev.Offered(11, 2)).offer is None
