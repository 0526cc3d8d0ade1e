"""Presenter's mode: the stage and the text large, and two keys: on to what comes next, back to what was.

In: the actions `present`, `forward`, `back`. Out: another slide of the same run; a step, or the answer, where the last
one is shown. Never draws.
"""

from __future__ import annotations

from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.controllers.program import ProgramController
from socklab.ui.tui.controllers.question import QuestionController
from socklab.ui.tui.layout.panes import Panes

KEYS = {"forward": "space pagedown n right", "back": "pageup left"}
"""Keys that go on and back while presenting, and are their commands' keys else. A clicker sends Page Up, Page Down."""


class PresentController:
    """The keys of presenter's mode."""

    def __init__(self, lab: Lab, panes: Panes, program: ProgramController, question: QuestionController) -> None:
        self._lab = lab
        self._panes = panes
        self._program = program
        self._question = question

    @property
    def on(self) -> bool:
        return self._panes.presenting

    def toggle(self) -> None:
        """Into presenter's mode, or out of it. What was zoomed is the stage again."""
        self._panes.presenting = not self._panes.presenting
        self._panes.maximised = ""
        self._lab.hint = ()
        self._lab.paint()

    def forward(self) -> None:
        """In the past: a slide later. Now: the answer to the question, with the choice that is marked or none; else
        the lesson's next step, or the program's."""
        lab = self._lab
        if lab.at is not None:
            slide = self._slide()
            lab.go_slide(lab.bridge.slides.forward(slide) if slide is not None else None)
        elif lab.question is not None:
            if not self._question.answer_marked():
                self._question.show_me()
        elif lab.lesson is not None and not lab.now.lesson_done:
            self._program.next()
        else:
            self._program.step()

    def back(self) -> None:
        """A slide earlier."""
        lab = self._lab
        slide = lab.bridge.slides.back(self._slide())
        if slide is None:
            lab.say("This is the first there is.")
        else:
            lab.go_slide(slide)

    def _slide(self) -> int | None:
        """The slide that is shown; of a stop that was gone to, the last one until then. None = now."""
        lab = self._lab
        if lab.at is None or lab.slide is not None:
            return lab.slide
        stops = [slide.stop for slide in lab.bridge.slides.all]
        return max((number for number, stop in enumerate(stops) if stop <= (lab.at or 0)), default=0) if stops else None
