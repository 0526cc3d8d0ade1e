"""To a step of the lesson by running it: the command that follows at each moment, and where it can't go on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from socklab import guide
from socklab.protocol import commands as cmd, events as ev
from socklab.state import LabState
from tests.guide.test_narration import a_lesson
from tests.support import streams as lab
from tests.support.streams import PID, Part

HELD = lab.enter("socket", 2, 1, 0)


def ready(wants: str) -> ev.Ready:
    return ev.Ready(lab.t(), wants, PID, (PID,))


def at(*parts: Part) -> LabState:
    return lab.state_of(lab.start(), *parts)


def way(step: int = 2, choices: Mapping[int, guide.Choice] = MappingProxyType({})) -> guide.Toward:
    return guide.Toward(a_lesson(), step, choices)


def test_it_goes_from_step_to_step_and_has_arrived_when_the_step_begins() -> None:
    goes = way(1)
    assert goes.next(at(HELD, ready("step"))) == cmd.Continue("step")
    assert goes.next(at(HELD, ev.StepReached(0, 0, "before"), ready("step"))) == cmd.Continue("step")
    assert goes.next(at(HELD, ev.StepReached(0, 1, "before"))) == guide.Reached()


def test_one_that_has_been_gone_past_is_reached_too() -> None:
    assert way(1).next(at(HELD, ev.StepReached(0, 2, "before"))) == guide.Reached()


def test_nothing_is_sent_before_the_engine_is_ready_nor_twice_at_one_ready() -> None:
    goes = way()
    assert goes.next(at(HELD)) is None
    state = at(HELD, ready("step"))
    assert goes.next(state) == cmd.Continue("step")
    assert goes.next(state) is None
    assert goes.next(at(HELD, ready("pause"))) is None


@pytest.mark.parametrize(("before", "choice"), [({}, None), ({1: 2}, 2)])
def test_a_question_on_the_way_is_answered_as_it_was_before_or_not_at_all(
    before: dict[int, guide.Choice], choice: int | None
) -> None:
    asked = at(lab.enter("accept", 3), ev.StepReached(0, 1, "before"), ev.Asked(0, 1), ready("answer"))
    assert way(choices=before).next(asked) == cmd.Answer(choice)


def test_a_sleeping_program_is_told_to_go_on_once_and_then_only_a_client_can() -> None:
    goes = way()
    sleeping = (HELD, ev.Resumed(lab.t(), PID))
    assert goes.next(at(*sleeping, ready("client"))) == cmd.Continue("step")
    again = at(*sleeping, ready("client"))
    stuck = goes.next(again)
    assert isinstance(stuck, guide.Stuck)
    assert stuck.why.startswith("The program sleeps until a client acts: connect")


def test_while_a_client_tries_again_by_itself_it_waits() -> None:
    goes = way()
    sleeping = (HELD, ev.Resumed(lab.t(), PID), lab.client("a", 1, "connecting"))
    assert goes.next(at(*sleeping, ready("client"))) == cmd.Continue("step")
    assert goes.next(at(*sleeping, ready("client"))) is None


@pytest.mark.parametrize(
    "end", [(ev.Exited(0, PID), ready("nothing")), (ev.Ended(0, "exited"),), (ev.LessonDone(0), ready("step"))]
)
def test_a_program_that_is_gone_or_a_lesson_that_is_done_is_the_end_of_it(end: tuple[ev.Event, ...]) -> None:
    stuck = way().next(at(HELD, *end))
    assert isinstance(stuck, guide.Stuck)
    assert "`restart`" in stuck.why
