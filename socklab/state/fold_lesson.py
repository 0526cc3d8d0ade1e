"""The fold, lesson: where the lesson is: its text, steps, questions, checks.

In: a LabState and one event. Out: the LabState after it.
"""

from __future__ import annotations

from msgspec.structs import replace

from socklab.protocol import events as ev
from socklab.state.model import Folds, LabState, Question


def _step(state: LabState, event: ev.StepReached) -> LabState:
    asked = state.question
    # An answer belongs to the moment it was given at; `answers` keeps it.
    question = None if asked is not None and asked.measured is not None else asked
    return replace(state, t=event.t, step=event, step_left=None, question=question)


def _measured(state: LabState, event: ev.Measured) -> LabState:
    return replace(
        state,
        t=event.t,
        question=Question(index=event.index, measured=event),
        answers={**state.answers, event.index: event},
    )


FOLDS: Folds = {
    ev.LessonText: lambda state, event: replace(state, t=event.t, lesson_toml=event.toml),
    ev.StepReached: _step,
    ev.Asked: lambda state, event: replace(state, t=event.t, question=Question(event.index)),
    ev.Answered: lambda state, event: replace(state, t=event.t, question=Question(event.index, answered=event)),
    ev.Measured: _measured,
    ev.Checked: lambda state, event: replace(state, t=event.t, checks={**state.checks, event.index: event}),
    ev.LessonDone: lambda state, event: replace(state, t=event.t, lesson_done=True),
}
