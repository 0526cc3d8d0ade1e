"""What must be true whenever all is quiet, whatever the student did before.

In: a student's screen, before and after an act. Out: findings, each with the name of the claim that is broken. Oracles:
the lesson's own conditions measured in the state, the lesson's text, the words on the screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec.structs import replace

from socklab import guide, lesson as lessons, probes
from socklab.commands.table import COMMANDS
from socklab.lesson import Settle, Step
from socklab.protocol.events import Offered
from socklab.state import LabState
from tests.support.walks.screen import Student

VERBS = "|".join(sorted({word for command in COMMANDS for word in command.words if len(word) > 1}))
_LINE = re.compile(rf"(?:^|[.;,:] +)((?:{VERBS})(?: [^.;,]*?)?)   ")
"""`connect   opens one.`, as refusals name what can be typed."""
_NAMES = {"Esc": "escape", "Enter": "enter"}
_KEY = re.compile(r"(?<![\w'-])(Ctrl\+[A-Z]|[b-zB-HJ-Z]|Esc|Enter)(?![\w'-])")
"""Keys as status line and hints name them. `a` and `I` are words."""


class Finding(Exception):
    """A claim that is broken; `claim` names it."""

    def __init__(self, claim: str, detail: str) -> None:
        super().__init__(f"{claim}: {detail}")
        self.claim = claim
        self.detail = detail


class Watch:
    """What was seen of a run so far; `look` at every quiet moment."""

    def __init__(self, student: Student) -> None:
        self._student = student
        self._step: object = None
        self._fresh = False
        """The text was told since the last look."""
        self._seen = self._since = 0
        """Time of the last look; of the one before the text was told."""
        self._asked: set[int] = set()
        self._acted = 0
        self._taken: set[tuple[int, str]] = set()
        self.meddled = False
        """The student did more than the lesson offered."""
        self._header: object = None

    def look(self) -> None:
        """Raises Finding."""
        student, state = self._student, self._student.now
        if state.header is not self._header:  # begun, or begun anew
            self._header = state.header
            self._step, self._asked, self._acted, self.meddled = None, set(), 0, False
        if state.question is not None:
            self._asked.add(state.question.index)
        self._no_failure(state)
        self._nothing_unmarked(state)
        self._marked_rightly(state)
        if student.lab.at is None and state.ended is None:
            self._what_is_told_is_so(state)

    def acted(self, offer: Offered | None) -> None:
        """The student has acted, while this was on offer: each of its lines once."""
        acted = self._student.now.acted
        for place in range(self._acted, len(acted)):
            line = acted[place].line
            if acted[place].origin == "student":
                self.meddled |= offer is None or line not in offer.lines or (offer.t, line) in self._taken
                self._taken.add((offer.t if offer is not None else -1, line))
        self._acted = len(acted)

    def _no_failure(self, state: LabState) -> None:
        if state.ended is not None and state.ended.reason == "failed":
            raise Finding("the lab does not fail", " ".join(note.text for note in state.notices))
        for note in state.notices:
            if "unexpectedly" in note.text or "Traceback" in note.text or note.level == "error":
                raise Finding("no internal failure", f"{note.text} {note.fix}")

    def _nothing_unmarked(self, state: LabState) -> None:
        at = state.step.index if state.step is not None else -1
        gone = state.lesson_done or state.ended is not None or not _lives(state)
        steps = self._student.lesson.steps
        late = {i for i in self._asked - set(state.answers) if gone or (i < at and not _may_be_inside(steps, i, at))}
        if late:
            raise Finding("no prediction stays unmarked", f"of steps {sorted(i + 1 for i in late)}, now at {at + 1}")

    def _marked_rightly(self, state: LabState) -> None:
        for index, answer in state.answers.items():
            if answer.choice is not None and answer.right != (answer.choice == answer.value):
                raise Finding("right is what the kernel says", f"step {index + 1}: {answer}")

    # ---------------------------------------------------------------- what is told

    def _what_is_told_is_so(self, state: LabState) -> None:
        """What the text says is so, or the screen says that it is not. Nobody but the student can bring that about."""
        lesson, step = self._student.lesson, state.step
        if step is None or not 0 <= step.index < len(lesson.steps):
            return
        where = f"step {step.index + 1} {step.phase}"
        if step is not self._step:
            self._step, self._since = step, self._seen
            self._fresh = state.step_left is None
        else:
            self._fresh = False
        self._seen = state.t
        asking = guide.question(lesson, state) is not None
        wrong = [f"{each.claim}: {each.found or each.reason}" for each in guide.untrue(lesson, state)]
        if self._fresh:
            told = [note for note in state.notices if note.level == "warning" and note.t >= self._since]
            wrong += [] if told else list(unsettled(lesson.steps[step.index], step.phase, state))
        said = guide.narration(lesson, state)
        if guide.UNMEASURED in said and not asking:
            wrong.append(f"no value for {guide.UNMEASURED} in {said!r}")
        if wrong and not self.meddled:
            raise Finding("what is told is so", f"{where}: {'; '.join(wrong)}")
        self._what_is_not_so_is_named(state, where)

    def _what_is_not_so_is_named(self, state: LabState, where: str) -> None:
        lesson, named = self._student.lesson, guide.doubts(self._student.lesson, state)
        wrong = guide.untrue(lesson, state)
        done = state.offer is not None and not list(unsettled(lesson.steps[state.offer.index], "after", state))
        if wrong and not named and not state.lesson_done and not done:
            raise Finding("what is not so any more is named", f"{where}: {wrong}")
        asked = guide.question(lesson, state)
        if asked is not None and asked.when == "now" and asked.measure in named:
            raise Finding("nothing names the answer of an open question", named)

    async def text_is_the_states(self) -> None:
        """The lesson's text on the screen is that of the state on the screen."""
        student = self._student
        if student.lab.at is not None or student.now.ended is not None or len(student.app.screen_stack) > 1:
            return

        def same() -> bool:
            state = student.lab.now
            if state.question is not None and state.question.measured is not None:
                state = replace(state, question=None)
            wanted = words_of(guide.narration(student.lesson, state))[:10]
            shown = words_of(student.narrated)
            doubts = words_of(guide.doubts(student.lesson, state))
            there = not doubts or any(shown[i : i + len(doubts)] == doubts for i in range(len(shown)))
            return not shown or (shown[: len(wanted)] == wanted and there)

        if not await student.until(same):
            raise Finding("the text shown is the step's", f"{student.narrated!r} at {student.now.step}")


def _may_be_inside(steps: tuple[Step, ...], asked: int, at: int) -> bool:
    """What was asked about the return of a call is still open at a later step inside that call."""
    predict, then, now = steps[asked].predict, steps[asked].at, steps[at].at
    return (
        predict is not None
        and predict.when == "return"
        and (then.syscall, then.nth) == (now.syscall, now.nth)
        and now.when == "blocked"
    )


def _lives(state: LabState) -> bool:
    """A task of the program lives."""
    return not state.tasks or any(task.status != "exited" for task in state.tasks.values())


def unsettled(step: Step, phase: str, state: LabState) -> Iterator[str]:
    """What the lesson waited for before it told this text, and is not so."""
    if phase == ("after" if step.at.when == "return" else "before"):
        left = state.offer is not None and set(state.offer.lines) & set(step.do)
        waited = [] if left else step.settle
    else:
        waited = step.until if step.offer else []
    for wanted in waited:
        value = measured(state, wanted)
        if value is None or not wanted.holds(value):
            yield f"{wanted.probe} should be {wanted.wanted}, is {value}"


def measured(state: LabState, wanted: Settle) -> lessons.Value | None:
    try:
        return probes.measure(state, wanted.probe)
    except probes.Unmeasured:
        return None


def words_of(text: str) -> list[str]:
    """The words of a text that are no numbers, marks or names of values."""
    plain = re.sub(r"[*`_]", "", text)
    return [word.lower() for word in re.findall(r"[A-Za-z]{3,}", plain) if not word.isupper()]


def progress_of(student: Student) -> tuple[object, ...]:
    """What is another one when something led on."""
    state = student.now
    task = state.task
    return (
        task.status if task is not None else "",
        task is not None and state.blocked(task.tid),
        state.header, state.step, state.stops, state.entered, state.question, len(state.answers), state.offer,
        state.lesson_done, state.ended is not None, student.lab.at, len(student.app.screen_stack),
        student.screen.prompt.is_open,
    )  # fmt: skip


def advised(said: str) -> list[str]:
    """The acts that these words of the screen ask for."""
    lines = [f"type {line.strip()}" for line in _LINE.findall(said)]
    return lines + [f"press {_NAMES.get(key) or (key.lower() if '+' in key else key)}" for key in _KEY.findall(said)]
