"""The lines at the bottom of the screen: what the program is doing or the past is, and the keys for it.

In: a lab, the program's controller. Out: Lines. Never acts.
"""

from __future__ import annotations

from socklab import state as st
from socklab.commands.keymap import face
from socklab.ui.tui.controllers.going import GoingController
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.controllers.program import ProgramController
from socklab.ui.tui.controllers.wire import footer_situation
from socklab.ui.tui.keys import footer
from socklab.ui.tui.layout.plan import LEAST_HEIGHT, LEAST_WIDTH
from socklab.ui.tui.widgets import status
from socklab.ui.tui.widgets.line_view import Hot
from socklab.ui.tui.widgets.question import letters
from socklab.ui.view.lines import Line, Span, clip, spread, width as cells_of, with_keys, wrap
from socklab.ui.view.tasks import neighbour, situation, waits_for_input

_OVER = ("closed", "reset", "failed", "done")
"""Phases in which nothing is left to do for a client."""
_MANY = 64


def status_line(lab: Lab, program: ProgramController, going: GoingController, width: int) -> Line:
    """The word to the user, the banner of the past, or what the program is doing."""
    state = lab.shown
    if lab.hint:
        return clip(((" ", ""), *lab.hint), width)
    if going.words:
        return clip(((" ▶▶ ", "good"), (going.words, "strong")), width)
    if lab.at is not None:
        return status.past(lab.at, lab.now.stops, width)
    chosen, others_run = bool(lab.following.chosen), program.others_run(state)
    until = program.until(state)
    return status.line(state, lab.lesson, width, chosen=chosen, others_run=others_run, until=until)


def footer_line(lab: Lab, width: int, *, back: bool) -> tuple[Line, list[Hot]]:
    """Keys, and where a click asks for what. `back`: Esc leaves something before it answers a question."""
    now = lab.now
    predict = lab.question
    mood = "p" if lab.at is not None else "q" if predict is not None else situation(now)
    if mood == "r" and now.ready is not None and now.ready.wants == "lesson":
        mood = "h"  # the program sleeps, the lesson goes on with a step
    return footer(
        mood,
        width,
        lesson=lab.lesson is not None,
        over=now.lesson_done,
        choices=letters(predict) if predict is not None else "",
        wire=footer_situation(now),
        several=neighbour(now, 1) != 0,
        typed=waits_for_input(now),
        back=back,
        clients=_acts(now),
    )


def _acts(state: st.LabState) -> bool:
    """A client is there that can send and close. Of thousands one will."""
    clients = state.clients
    return len(clients) > _MANY or any(each.phase not in _OVER and not each.argv for each in clients.values())


def too_small(width: int, height: int) -> list[Line]:
    """What a terminal is told that no panel fits into."""
    text = (
        f"Terminal is {width}x{height}: make it at least {LEAST_WIDTH}x{LEAST_HEIGHT} (80x24 is better), "
        f"or use --plain. {face('quit')} quits."
    )
    return wrap(((text, "strong"),), max(10, width))


# ---------------------------------------------------------------- presenter's mode


def present_head(lab: Lab, width: int) -> Line:
    """The run's title, and how far the lesson is: a dot a step, the one that is shown larger."""
    title, where = status.run_words(lab.shown, lab.lesson)
    left: Line = ((f" {title}", "title"), (f"   {where}", "dim"))
    steps = len(lab.lesson.steps) if lab.lesson is not None else 0
    latest = lab.now.step.index if lab.now.step is not None else -1
    here = lab.shown.step.index if lab.shown.step is not None else -1
    marks: list[Span] = []
    for index in range(steps):
        mark: Span = ("◉", "focus") if index == here else ("●", "") if index <= latest else ("○", "dim")
        marks.append(mark)
    words = f"  step {here + 1} of {steps} " if steps else ""
    right: Line = (*marks, (words, "dim"))
    if cells_of(left) + cells_of(right) + 1 > width:
        left, right = ((f" {title}", "title"),), ((words, "dim"),)
    return spread(clip(left, max(0, width - cells_of(right) - 1)), right, width)


def present_foot(lab: Lab, going: GoingController, width: int, *, back: bool) -> Line:
    """What the program is doing, a word to the user or that this is the past; and the keys that matter here."""
    past, asks = lab.at is not None, lab.question
    on, leave = "Space", "back" if back else "now"
    keys = f"`{on}` on  `←` back"
    if past:
        keys = f"`{on}` on  `←` back  `Esc` {leave}"
    elif asks is not None:
        keys = f"`{letters(asks)}` the vote  `{on}` the answer"
    elif lab.now.step is None and not lab.bridge.slides.all:
        keys = f"`{on}` begins" if lab.now.ready is not None else ""
    right: Line = (*with_keys(f"{keys}  `{face('present')}` leave".lstrip()), (" ", ""))
    if lab.hint:
        return clip(((" ", ""), *lab.hint), width)
    if past:
        told = f" ◀ THE PAST  as recorded at stop {lab.at} of {lab.now.stops}"
        left: Line = ((told, "current"),)
    else:
        left = ((" ", ""), *(((f"▶▶ {going.words}", "strong"),) if going.words else status.program(lab.shown)))
    left = clip(left, max(0, width - cells_of(right) - 2))
    ground = "current" if past else ""
    gap = " " * max(1, width - cells_of(left) - cells_of(right))
    return (*left, (gap, ground), *((text, ground or role) for text, role in right))
