"""The fold, lesson: where the lesson is: its text, steps, questions, checks.

In: a LabState and one event. Out: the LabState after it.
"""

from __future__ import annotations

from msgspec.structs import replace

from socklab.protocol import events as ev
from socklab.state.model import Folds, LabState, Question


def _lesson(state: LabState, event: ev.LessonText) -> LabState:
    return replace(state, t=event.t, lesson_toml=event.toml)


def _step(state: LabState, event: ev.StepReached) -> LabState:
    asked = state.question
    # An answer belongs to the moment it was given at; `answers` keeps it.
    question = None if asked is not None and asked.measured is not None else asked
    return replace(state, t=event.t, step=event, step_left=None, question=question)


def _asked(state: LabState, event: ev.Asked) -> LabState:
    return replace(state, t=event.t, question=Question(index=event.index))


def _answered(state: LabState, event: ev.Answered) -> LabState:
    return replace(state, t=event.t, question=Question(index=event.index, answered=event))


def _measured(state: LabState, event: ev.Measured) -> LabState:
    return replace(
        state,
        t=event.t,
        question=Question(index=event.index, measured=event),
        answers={**state.answers, event.index: event},
    )


def _checked(state: LabState, event: ev.Checked) -> LabState:
    return replace(state, t=event.t, checks={**state.checks, event.index: event})


def _lesson_done(state: LabState, event: ev.LessonDone) -> LabState:
    return replace(state, t=event.t, lesson_done=True)


FOLDS: Folds = {
    ev.LessonText: _lesson,
    ev.StepReached: _step,
    ev.Asked: _asked,
    ev.Answered: _answered,
    ev.Measured: _measured,
    ev.Checked: _checked,
    ev.LessonDone: _lesson_done,
}
