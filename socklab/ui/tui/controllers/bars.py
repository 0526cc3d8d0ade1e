"""The lines at the bottom of the screen: what the program is doing or the past is, and the keys for it.

In: a lab, the program's controller. Out: Lines. Never acts.
"""

from __future__ import annotations

from socklab.commands.keymap import face
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.controllers.program import ProgramController
from socklab.ui.tui.controllers.wire import footer_situation
from socklab.ui.tui.keys import footer
from socklab.ui.tui.layout.plan import LEAST_HEIGHT, LEAST_WIDTH
from socklab.ui.tui.widgets import status
from socklab.ui.tui.widgets.line_view import Hot
from socklab.ui.tui.widgets.question import letters
from socklab.ui.view.lines import Line, clip, wrap
from socklab.ui.view.tasks import neighbour, situation, waits_for_input


def status_line(lab: Lab, program: ProgramController, width: int) -> Line:
    """The word to the user, the banner of the past, or what the program is doing."""
    state = lab.shown
    if lab.hint:
        return clip(((" ", ""), *lab.hint), width)
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
    )


def too_small(width: int, height: int) -> list[Line]:
    """What a terminal is told that no panel fits into."""
    text = (
        f"Terminal is {width}x{height}: make it at least {LEAST_WIDTH}x{LEAST_HEIGHT} (80x24 is better), "
        f"or use --plain. {face('quit')} quits."
    )
    return wrap(((text, "strong"),), max(10, width))
