"""Going to a step of the lesson: the run is taken there, from where it is or from its beginning, until a key is
pressed.

In: the step's number, the stream's Readys. Out: the commands a student would give who is in a hurry. Never draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from socklab import guide
from socklab.commands.keymap import said
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.widgets.status import LANGUAGES

_STARTING = "It is being started."


class GoingController:
    """At most one way at a time. `restart`: begins the same run anew, in this language ("" = the one it has)."""

    def __init__(self, lab: Lab, restart: Callable[[str], bool]) -> None:
        self._lab = lab
        self._restart = restart
        self._way: guide.Toward | None = None

    def restart(self, step: str = "") -> None:
        """The same run from its beginning, and on to this step, from 1: in the past, to the one that is shown there.

        One that has hardly begun is left alone.
        """
        shown = self._lab.shown.step if self._lab.at is not None and self._lab.lesson is not None else None
        if step or shown is not None:
            self.go(int(step) - 1 if step else shown.index if shown is not None else 0, anew=True)
        elif self._has_begun():
            self._restart("")

    def _has_begun(self) -> bool:
        now = self._lab.bridge.now
        if now.started is None and now.ended is None:
            self._lab.say(_STARTING)
            return False
        return True

    def go(self, step: int, *, anew: bool = False) -> None:
        """To this step, from 0: on from here, or from the beginning where it was reached already, or `anew`."""
        lab = self._lab
        if why := guide.refused(lab.lesson, step):
            lab.say(why, wrong=True)
            return
        at = lab.bridge.now.step
        choices = guide.choices_made(lab.bridge.now)
        anew = anew or (at is not None and at.index >= step)
        if not self._has_begun() or (anew and not self._restart("")):
            return
        lab.latest()
        self.begin(step, choices)

    def to_language(self, language: str = "") -> None:
        """The same lesson, at the step that is shown, in this language: c, python; "" = in the other one."""
        lab = self._lab
        lesson, header = lab.lesson, lab.bridge.now.header
        if lesson is None or header is None:
            lab.say("There is no lesson that has a server in another language." if lesson is None else _STARTING)
            return
        others = guide.other_languages(lesson, lab.bridge.now)
        language = language or next(iter(others), header.language)
        if language not in others:
            why = "is in it already" if language == header.language else "has no server in it"
            lab.say(f"{LANGUAGES.get(language, language)}: the lesson {why}.")
            return
        step, choices = lab.shown.step, guide.choices_made(lab.bridge.now)
        if self._has_begun() and self._restart(language) and step is not None:
            self.begin(step.index, choices)

    def begin(self, step: int, choices: Mapping[int, guide.Choice] = MappingProxyType({})) -> None:
        """From here, of a run that has not come to this step; `choices`: to questions on the way."""
        assert self._lab.lesson is not None
        self._way = guide.Toward(self._lab.lesson, step, choices)
        self._lab.paint()  # which asks on_ready

    def stop(self) -> None:
        """Somebody has pressed a key: the run stays where it is."""
        self._way = None

    @property
    def words(self) -> str:
        """What is going on; "" = nothing."""
        return f"Going to step {self._way.step + 1}; any key stops it." if self._way is not None else ""

    def on_ready(self) -> None:
        """Something has come of it: the next command, if the engine waits for one."""
        lab, way = self._lab, self._way
        if way is None or not lab.bridge.takes_a_step:
            return
        following = way.next(lab.bridge.now)
        if isinstance(following, guide.Reached):
            self._way = None
        elif isinstance(following, guide.Stuck):
            self._way = None
            lab.say(said(following.why), wrong=True)
        elif following is not None:
            lab.dismiss()
            lab.bridge.send(following)
