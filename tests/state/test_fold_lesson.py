"""Where the lesson is: its step, its question, its answers and its checks."""

from __future__ import annotations

from socklab.protocol import events as ev
from socklab.state import Question
from tests.state.support import changes
from tests.support import streams as lab
from tests.support.streams import PID

BEGUN = lab.state_of(lab.start())
STEP = ev.StepReached(5, 0, "before")
ANSWERED, MEASURED = ev.Answered(6, 3, 4), ev.Measured(7, 3, 5, 4, False)


def test_text_checks_and_the_end_are_kept() -> None:
    assert changes(BEGUN, ev.LessonText(5, "format = 1")) == {"lesson_toml": "format = 1"}
    one, two = (ev.Checked(5, index, True, "fd.count", 1, 1) for index in (0, 1))
    assert changes(BEGUN, one) == {"checks": {0: one}}
    assert lab.state_of_from(BEGUN, one, two).checks == {0: one, 1: two}
    assert changes(BEGUN, ev.LessonDone(5)) == {"lesson_done": True}


def test_a_question_is_open_then_committed_to_then_measured() -> None:
    assert changes(BEGUN, ev.Asked(5, 3)) == {"question": Question(3)}
    asked = lab.state_of_from(BEGUN, ev.Asked(5, 3))
    assert asked.hidden()
    assert changes(asked, ANSWERED) == {"question": Question(3, answered=ANSWERED)}
    committed = lab.state_of_from(asked, ANSWERED)
    assert not committed.hidden()
    assert changes(committed, MEASURED) == {"question": Question(3, measured=MEASURED), "answers": {3: MEASURED}}
    measured = lab.state_of_from(asked, MEASURED)
    assert not measured.hidden()
    other = ev.Measured(9, 4, 1)
    assert lab.state_of_from(measured, other).answers == {3: MEASURED, 4: other}
    assert not BEGUN.hidden()


def test_the_next_step_ends_a_measured_question_and_leaves_an_open_one() -> None:
    assert changes(BEGUN, STEP) == {"step": STEP}
    for open_one in ([ev.Asked(5, 3)], [ev.Asked(5, 3), ANSWERED]):
        asked = lab.state_of_from(BEGUN, open_one)
        assert changes(asked, STEP) == {"step": STEP}
    measured = lab.state_of_from(BEGUN, ev.Asked(5, 3), MEASURED)
    assert changes(measured, STEP) == {"step": STEP, "question": None}
    assert lab.state_of_from(measured, STEP).answers == {3: MEASURED}


def test_the_next_step_forgets_how_the_last_one_was_left() -> None:
    left = lab.state_of_from(BEGUN, STEP, ev.Resumed(6, PID))
    assert left.step_left is not None
    later = ev.StepReached(9, 1, "before")
    assert changes(left, later) == {"step": later, "step_left": None}
