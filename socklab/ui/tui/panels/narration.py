"""What the lesson says at this moment, with the kernel's numbers in it.

In: the lesson of the View and LabState, through guide.narration. Out: its Markdown as wrapped lines; once a question
was answered by the kernel, the answer and why. Never measures: the guide does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from socklab import guide, state as st
from socklab.ui.tui.panels.panel import Body, Panel
from socklab.ui.tui.widgets import markdown, own_program
from socklab.ui.tui.widgets.question import your_turn
from socklab.ui.view.formats import fit
from socklab.ui.view.lines import EMPTY, Line, View, with_keys, wrap

if TYPE_CHECKING:
    from socklab.lesson import Lesson


class NarrationPanel(Panel):
    """What the lesson says; beside a program of no lesson, what may be done next."""

    title_text = "Lesson"
    evidence_of = "narration"
    new_at_stop = True

    def title(self, state: st.LabState, view: View | None = None) -> str:
        """ "Step 3 of 9"."""
        steps = _steps(state.lesson_toml)
        if state.step is None or not steps:
            return "Your program" if state.header is not None and not state.header.lesson else self.title_text
        return f"Step {min(state.step.index + 1, steps)} of {steps}"

    def lines(self, state: st.LabState, view: View) -> list[Line]:
        lesson = view.lesson
        if lesson is None:
            return own_program.lines(state, view)
        return _told(guide.narration(lesson, state), state, lesson, view)

    def body(self, state: st.LabState, view: View) -> Body:
        question = state.question
        if question is not None and question.measured is not None:
            # The question's own place tells the answer; the lesson's text stays what it was.
            state = msgspec.structs.replace(state, question=None)
        body = super().body(state, view)
        turn = fit(_turn(state, view), view)
        if not turn or len(body.lines) <= view.height or view.lesson is None:
            return body
        # What the student is to do stays in sight, however long the text is that leads to it.
        return Body([line for line in body.lines if line not in turn], foot=turn)


def _told(text: str, state: st.LabState, lesson: Lesson, view: View) -> list[Line]:
    measured = state.question.measured if state.question is not None else None
    sign = ""
    if measured is not None and measured.right is not None:
        sign, head = ("✓ ", "Right:") if measured.right else ("✗ ", "You said")
        text = "\n\n".join(sign + part if part.startswith(head) else part for part in text.split("\n\n"))
    lines = markdown.to_lines(text, view.width, blank=not view.compact)
    for place, line in enumerate(lines):
        if sign and line and line[0][0].startswith(sign):
            role = "good" if sign == "✓ " else "bad"
            lines[place] = ((sign, role), (line[0][0][len(sign) :], line[0][1]), *line[1:])
            break
    checks = len(state.checks)
    if state.lesson_done and checks:
        held = sum(check.held for check in state.checks.values())
        total: Line = ((f"{held} of {checks} checks held", "good" if held == checks else "bad"),)
        lines = [*lines, *([] if view.compact else [EMPTY]), total]
    if doubts := guide.doubts(lesson, state):
        doubt: Line = (("! ", "warn"), (f"{doubts} ", "warn"), *with_keys("`restart` begins the lesson anew."))
        lines = [*lines, *([] if view.compact else [EMPTY]), *wrap(doubt, view.width)]
    if lines and (turn := _turn(state, view)):
        lines = [*lines, *([] if view.compact else [EMPTY]), *turn]
    if end := guide.end_hint(state):
        lines = [*lines, *([] if view.compact or not lines else [EMPTY]), *wrap(with_keys(end), view.width)]
    return lines or [((guide.next_hint(lesson, state), "dim"),)]


def _turn(state: st.LabState, view: View) -> list[Line]:
    """What the student is to do now, unless an open question says it itself."""
    offer = guide.your_turn(state)
    asks = state.question is not None and state.question.measured is None
    return wrap(your_turn(offer), view.width) if offer and not asks else []


@lru_cache(maxsize=4)
def _steps(toml: str) -> int:
    """How many steps the lesson's own text has; 0 when there is no lesson or its text can't be read."""
    if not toml:
        return 0
    try:
        return len(msgspec.toml.decode(toml, type=_Steps).step)
    except (msgspec.DecodeError, ValueError):  # a recording may hold anything; the title does without the number
        return 0


class _Steps(msgspec.Struct):
    step: list[dict[str, object]] = []
