"""The prediction of a lesson step: the question with its choices, then the kernel's answer.

In: the step's predict table, what was measured, which choice is marked. Out: Lines for a place beside the source,
never over it. Never measures, never judges: right and wrong come with the Measured event.
"""

from __future__ import annotations

from socklab import state as st
from socklab.core.text import safe
from socklab.lesson import Lesson, Predict, shown
from socklab.protocol import events as ev
from socklab.ui.tui.widgets.markdown import to_lines
from socklab.ui.view.lines import Line, Span, clip, width as cells_of, with_keys, wrap


def predict_of(lesson: Lesson | None, state: st.LabState) -> Predict | None:
    """The question that is open or just answered in this state; None also when the lesson is not at hand."""
    if lesson is None or state.question is None or not 0 <= state.question.index < len(lesson.steps):
        return None
    return lesson.steps[state.question.index].predict


def letters(predict: Predict) -> str:
    """The keys of its choices, as they are printed: "a-d"."""
    return f"{predict.letters[0]}-{predict.letters[-1]}"


def your_turn(offer: str) -> Line:
    """What the student is to do now; the lesson does it if they step on."""
    return (("Your turn: ", "key"), (safe(offer), "strong"), ("  (s: the lesson does it)", "dim"))


def lines(
    predict: Predict,
    measured: ev.Measured | None,
    marked: int,
    width: int,
    *,
    answered: ev.Answered | None = None,
    explained: str = "",
    turn: str = "",
    back: bool = False,
    past: bool = False,
    presenting: bool = False,
) -> tuple[list[Line], list[int]]:
    """The body of the question, and for each line the choice a click there marks (-1 = none).

    `marked` is the index of the marked choice, -1 for none. `answered`: committed to, and the kernel
    answers when the call has returned. `explained`: the explanation, Markdown with its probes filled in.
    `turn`: what the student is to do now, so that there is an answer. `back`: Esc leaves something else first.
    `past`: it was answered since, and can't be again. `presenting`: Esc never shows the answer.
    """
    width = max(20, width - 2)
    asked = wrap(((safe(predict.ask), "strong"),), width)
    if measured is not None:
        body = [*asked, *_answer(measured), *to_lines(explained, width)]
        return [((" ", ""), *line) for line in body], [-1] * len(body)
    choices, choice_of = _choices(predict, marked, width)
    if past:
        known = "The question as it was asked." if answered is None else "Committed to; the kernel answered after this."
        hint: Line = ((known, "dim"),)
    elif answered is not None:
        said = f"You said {shown(answered.choice)}. " if answered.choice is not None else ""
        hint = ((said, "strong"), *(your_turn(turn) if turn else with_keys("`s` steps on: the kernel answers.")))
    else:
        leave = "back" if back else "just show me"
        hint = with_keys(f"`{letters(predict)}` choose   `Enter` commit" + ("" if presenting else f"   `Esc` {leave}"))
    hints = wrap(hint, width)
    body = [*asked, *choices, *hints]
    which = [-1] * len(asked) + choice_of + [-1] * len(hints)
    return [((" ", ""), *clip(line, width)) for line in body], which


def _choices(predict: Predict, marked: int, width: int) -> tuple[list[Line], list[int]]:
    """All choices on one line where they fit, else one below the other."""
    single = [
        _choice(letter, shown(choice), index == marked)
        for index, (letter, choice) in enumerate(zip(predict.letters, predict.choices, strict=True))
    ]
    if sum(cells_of(line) + 2 for line in single) <= width:
        spans: list[Span] = []
        for line in single:
            spans += [*line, ("  ", "")]
        return [tuple(spans)], [-1]
    return single, list(range(len(single)))


def _choice(letter: str, text: str, marked: bool) -> Line:
    if marked:
        return ("▶", "key"), (f" {letter}  {text} ", "current")
    return (f"  {letter}", "key"), (f"  {text} ", "")


def _answer(measured: ev.Measured) -> list[Line]:
    value = "nothing (it could not be read)" if measured.value is None else shown(measured.value)
    if measured.right:
        return [(("✓ Right. ", "good"), ("The kernel says ", ""), (value, "good"))]
    if measured.choice is None:
        return [(("The kernel says ", ""), (value, "strong"))]
    return [(("✗ You said ", "bad"), (shown(measured.choice), "bad"), ("; the kernel says ", ""), (value, "strong"))]
