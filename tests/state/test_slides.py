"""Slides: the moments of a run at which somebody was waited for, each as it was at its end."""

from __future__ import annotations

import pytest

from socklab import state as st
from socklab.protocol import events as ev
from socklab.state.slides import Slide, Slides
from tests.state.test_history import fields, run


def told(*events: ev.Event, steps: bool = True) -> Slides:
    """The slides of these events; a Held is a stop."""
    slides, stops = Slides(steps=steps), 0
    for number, event in enumerate(events, 1):
        stops += isinstance(event, ev.Held)
        slides.add(event, number, stops)
    return slides


HELD, RESUMED = ev.Held(0, 7, "enter"), ev.Resumed(0, 7)
READY, WAITS = ev.Ready(0, "step", 7, (7,)), ev.Ready(0, "answer", 7, (7,))


def step(index: int, phase: str = "before") -> ev.StepReached:
    return ev.StepReached(0, index, phase)


def test_a_question_and_its_answer_are_two_slides_of_one_stop() -> None:
    slides = told(HELD, step(0), ev.Asked(0, 0), WAITS, ev.Measured(0, 0, 5), READY, RESUMED)
    assert slides.all == [Slide(1, 4, 0), Slide(1, 6, 0)]
    assert not slides.is_open


def test_what_nobody_could_have_seen_is_no_slide() -> None:
    slides = told(HELD, step(0), step(1), READY)
    assert slides.all == [Slide(1, 4, 1)]
    assert slides.is_open


def test_an_answer_that_comes_with_the_text_about_the_call_is_on_one_slide_with_it() -> None:
    slides = told(
        *(HELD, step(0), ev.Asked(0, 0), WAITS, ev.Answered(0, 0, 3), READY, RESUMED),
        *(HELD, step(0, "after"), ev.Measured(0, 0, 3, 3, True), READY),
    )
    assert slides.all == [Slide(1, 4, 0), Slide(1, 6, 0), Slide(2, 11, 0)]


def test_what_clients_do_while_the_program_sleeps_belongs_to_the_slide_until_its_call_returns() -> None:
    acted = ev.Acted(0, "connect a", "student")
    slides = told(HELD, RESUMED, step(0), READY, acted, ev.Return(0, 7, 0, 0), HELD, READY)
    assert slides.all == [Slide(1, 5, 0)]
    other = told(HELD, RESUMED, step(0), READY, ev.Return(0, 8, 0, 0), acted)
    assert other.all == [Slide(1, 6, 0)]


def test_stops_between_two_steps_are_no_slides_of_a_lesson_and_all_there_are_of_another_run() -> None:
    events = (HELD, READY, RESUMED, HELD, READY, RESUMED, HELD, RESUMED)
    assert told(*events).all == []
    assert told(*events, steps=False).all == [Slide(1, 2), Slide(2, 5)]


def test_one_goes_back_to_the_first_and_forward_to_now() -> None:
    slides = told(HELD, step(0), READY, RESUMED, HELD, step(1), READY, RESUMED, HELD, step(2), READY)
    assert [slides.back(None), slides.back(1), slides.back(0)] == [1, 0, None]
    assert [slides.forward(0), slides.forward(1)] == [1, None]
    slides.add(RESUMED, 12, 3)  # the third is past now too
    assert slides.back(None) == 2
    assert [slides.forward(1), slides.forward(2)] == [2, None]


def test_before_the_first_there_is_nothing_to_go_back_to() -> None:
    assert told(HELD, READY).back(None) is None
    assert told(HELD, step(0), READY).back(None) is None


@pytest.mark.parametrize("keep", [200_000, 40])
def test_the_state_after_n_events_is_what_folding_n_events_gives(keep: int) -> None:
    events = run(9)
    history, states = st.History(stride=3, keep_events=keep), [st.LabState()]
    for event in events:
        states.append(history.add(event))
    assert history.events == len(events)
    assert (history.let_go > 0) == (keep == 40)
    for number in range(history.let_go, len(events) + 1):
        assert fields(history.at_event(number)) == fields(states[number])
    assert fields(history.at_event(0)) == fields(states[history.let_go])
