"""What the engine waits for is known from Ready until something happens that ends the waiting."""

from __future__ import annotations

import pytest

from socklab.protocol import events as ev
from tests.state.support import changes
from tests.state.test_fold_run import EVERY
from tests.support import streams as lab
from tests.support.streams import PID

READY = ev.Ready(5, "step", PID, (7, PID))
WAITING = lab.state_of(lab.start(), ev.StepReached(1, 0, "before"), READY)


def test_ready_is_kept_and_an_answered_command_changes_nothing() -> None:
    begun = lab.state_of(lab.start())
    assert changes(begun, READY) == {"ready": READY}
    later = ev.Ready(9, "client", PID)
    assert changes(WAITING, later) == {"ready": later}
    assert changes(WAITING, ev.Done(6, 1, "refused", "why", "fix")) == {}


def test_what_is_offered_stands_until_nothing_is() -> None:
    offer, none = ev.Offered(5, 2, ("connect", "send hi")), ev.Offered(6, 2, ())
    offered = lab.state_of_from(lab.state_of(lab.start()), offer)
    assert offered.offer == offer
    rest = ev.Offered(6, 2, ("send hi",))
    assert changes(offered, rest) == {"offer": rest}
    assert changes(offered, none) == {"offer": None}


@pytest.mark.parametrize("event", EVERY, ids=lambda event: type(event).__name__)
def test_only_the_events_of_the_list_end_the_waiting(event: ev.Event) -> None:
    after = lab.state_of_from(WAITING, event)
    ends = isinstance(event, ev.BUSY) or (isinstance(event, ev.Resumed) and event.tid in READY.held)
    assert after.ready == (None if ends else event if isinstance(event, ev.Ready) else READY)


def test_running_on_ends_a_wait_for_a_step_of_that_task_only() -> None:
    assert lab.state_of_from(WAITING, ev.Resumed(6, PID)).ready is None
    assert lab.state_of_from(WAITING, ev.Resumed(6, 7)).ready is None
    assert lab.state_of_from(WAITING, ev.Resumed(6, 8)).ready == READY
    assert lab.state_of(lab.start(), ev.Resumed(6, PID)).ready is None
    paused = ev.Ready(5, "pause", PID)  # no task is held
    assert lab.state_of(lab.start(), paused, ev.Resumed(6, PID)).ready == paused


def test_the_list_of_events_after_which_the_engine_is_busy() -> None:
    names = "Held Acted StepReached Asked Answered Measured Offered Exited Ended"
    assert {kind.__name__ for kind in ev.BUSY} == set(names.split())
