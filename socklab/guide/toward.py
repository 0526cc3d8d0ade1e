"""To a step of the lesson by running it: what is to be sent next, as a student with no question would.

In: a Lesson, the state at a Ready, the step to come to, the choices made before. Out: the next command, that it is
reached, or why it can't be. Never sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from socklab.guide.narration import end_hint, question, what_wakes
from socklab.lesson import Lesson, Value
from socklab.protocol import commands as cmd, events as ev
from socklab.state import LabState


class Reached(msgspec.Struct, frozen=True):
    """The lesson is at the step, or has gone past it."""


class Stuck(msgspec.Struct, frozen=True):
    """It can't go on by itself."""

    why: str
    """What can be done, with verbs in backticks."""


Next: TypeAlias = cmd.AnyCommand | Reached | Stuck
Choice: TypeAlias = Value | None
"""What a question was answered with; None = just show me."""


def choices_made(state: LabState) -> dict[int, Choice]:
    """Lesson step to the choice its question was answered with."""
    return {index: measured.choice for index, measured in state.answers.items()}


def refused(lesson: Lesson | None, step: int) -> str:
    """Why there is no way to this step, from 0; "" = there is one."""
    if lesson is None:
        return "There is no lesson, and no step of one."
    return "" if 0 <= step < len(lesson.steps) else f"The lesson's steps are 1 to {len(lesson.steps)}."


def other_languages(lesson: Lesson, state: LabState) -> list[str]:
    """Languages the lesson has a server in, besides the one that runs."""
    running = state.header.language if state.header is not None else ""
    return [language for language in lesson.languages if language != running]


class Toward:
    """One way to a step. `choices`: to questions of earlier steps, by step; none = just show me."""

    def __init__(self, lesson: Lesson, step: int, choices: Mapping[int, Choice]) -> None:
        """Step `step`, from 0."""
        self.step = step
        self._lesson = lesson
        self._choices = choices
        self._used: ev.Ready | None = None
        """The Ready that was answered: each command is followed by another one."""
        self._woken = (-1, -1, "")
        """Stops, step and phase at which a sleeping program was told to go on."""

    def next(self, state: LabState) -> Next | None:
        """What to do at this state; None = wait for the next event."""
        at = state.step
        if at is not None and at.index >= self.step:
            return Reached()
        ready = state.ready
        if state.ended is not None:
            return Stuck(end_hint(state))
        if ready is None or ready is self._used or ready.wants == "pause":
            return None
        self._used = ready
        if at is not None and question(self._lesson, state) is not None:
            return cmd.Answer(self._choices.get(at.index))
        if state.lesson_done or ready.wants == "nothing":
            return Stuck(end_hint(state))
        if ready.wants == "client":
            here = (state.stops, at.index if at is not None else -1, at.phase if at is not None else "")
            if here == self._woken and any(client.phase == "connecting" for client in state.clients.values()):
                return None  # its next try may get in
            if here == self._woken:
                return Stuck(f"The program sleeps until a client acts: {what_wakes(state)}")
            self._woken = here
        return cmd.Continue("step")
