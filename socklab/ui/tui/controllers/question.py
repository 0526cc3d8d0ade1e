"""The prediction of a lesson step: which choice is marked, what is committed to, what is to be seen of it.

In: letters, rows, Enter and Esc, the state. Out: an Answer; the question's lines. Never measures: the kernel answers.
"""

from __future__ import annotations

from itertools import zip_longest

from socklab import guide
from socklab.lesson import CHOICE_LETTERS, Predict
from socklab.protocol import commands as cmd
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.widgets import question
from socklab.ui.view.lines import Line
from socklab.ui.view.tasks import situation


class QuestionController:
    """The keys of an open question come before all others."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.begin()

    def begin(self) -> None:
        """From a run's beginning."""
        self._marked = -1
        """Index of the marked choice."""
        self.escape_is_back = False
        """Esc leaves something else first."""
        self.presenting = False
        """Esc never shows the answer: a class would see it too soon."""
        self._index = -1
        """The lesson step that asks."""
        self._drawn: list[Line] = []
        self._drawn_of: tuple[object, ...] = ()
        """The lines, and what they were drawn of: they are asked for twice at each drawing."""
        self._choice_of: list[int] = []
        """The choice that a click on each line of the question marks."""

    # ---------------------------------------------------------------- keys

    def is_choice(self, letter: str) -> bool:
        """This letter is a choice's now: a question is open, and not the past on the screen."""
        predict = self._lab.question
        return predict is not None and self._lab.at is None and letter in predict.letters

    def choose(self, letter: str) -> None:
        """Mark the choice of this letter."""
        if self.is_choice(letter):
            self._mark(CHOICE_LETTERS.index(letter))

    def _mark(self, choice: int) -> None:
        self._marked = choice
        self._lab.hint = ()
        self._lab.paint()

    def move(self, by: int) -> bool:
        """The choice before or after. False = no question is open."""
        predict = self._lab.question
        if predict is not None:
            self._mark(max(0, min(len(predict.choices) - 1, self._marked + by)))
        return predict is not None

    def commit(self) -> bool:
        """Answer with the marked choice. False = no question is open."""
        predict = self._lab.question
        if predict is not None and not self.answer_marked():
            self._lab.say(f"First choose: press {question.letters(predict)}, or ↑ ↓.")
        return predict is not None

    def answer_marked(self) -> bool:
        """The same, and nothing is said. False = none is marked, or no question is open."""
        predict = self._lab.question
        if predict is None or not 0 <= self._marked < len(predict.choices):
            return False
        self._lab.post(cmd.Answer(predict.choices[self._marked]))
        return True

    def show_me(self) -> bool:
        """Answer with no guess. False = no question is open."""
        if self._lab.question is None:
            return False
        self._lab.post(cmd.Answer(None))
        return True

    # ---------------------------------------------------------------- what is seen

    def seen(self) -> Predict | None:
        """The question to be seen: open, committed to, or answered at this very stop."""
        lab, state = self._lab, self._lab.shown
        asked = state.question
        if asked is None or lab.lesson is None or (asked.measured is None and situation(state) == "e"):
            return None
        if asked.measured is not None and lab.bridge.measured_at.get(asked.index) != state.stops:
            return None
        return question.predict_of(lab.lesson, state)

    def lines(self, width: int) -> list[Line]:
        """Its lines, in a place so wide; [] when there is none to be seen."""
        of = (
            self._lab.shown,
            self._lab.bridge.now,
            self._marked,
            self.escape_is_back,
            self.presenting,
            self._lab.at,
            width,
        )
        if not all(now is before for now, before in zip_longest(of, self._drawn_of)):
            self._drawn = self._draw(width)
            self._drawn_of = of
        return self._drawn

    def _draw(self, width: int) -> list[Line]:
        lab, state = self._lab, self._lab.shown
        predict, asked = self.seen(), state.question
        if predict is None or asked is None or lab.lesson is None:
            return []
        latest = lab.bridge.now.question
        if latest is not None and latest.measured is None and latest.index != self._index:
            self._index, self._marked = latest.index, -1
        told = guide.fill(" ".join(predict.explain.split()), state) if asked.measured is not None else ""
        turn = guide.your_turn(state)
        lines, self._choice_of = question.lines(
            predict,
            asked.measured,
            self._marked if lab.at is None else -1,
            width,
            answered=asked.answered,
            explained=told,
            turn=turn,
            back=self.escape_is_back,
            past=lab.at is not None,
            presenting=self.presenting,
        )
        return lines

    def titled(self, width: int, place_width: int) -> list[Line]:
        """The same under a rule."""
        asked = self._lab.shown.question
        title = "Your prediction" if asked is not None and asked.measured is None else "The kernel's answer"
        rule: Line = ((title, "focus"), (" ", ""), ("━" * max(0, place_width - len(title) - 2), "focus"))
        return [rule, *self.lines(width)]

    def click(self, row: int) -> str:
        """The action of a click on a row of the titled lines."""
        index = self._choice_of[row - 1] if 0 < row <= len(self._choice_of) else -1
        return f"choice('{CHOICE_LETTERS[index]}')" if index >= 0 else ""
