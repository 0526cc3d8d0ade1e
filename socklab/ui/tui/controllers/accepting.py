"""Letting the server accept: one client, or one every few seconds until something else is asked for.

In: the key, what was typed. Out: commands, by way of the program's controller; a word to the user. Never waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from socklab.commands.keymap import said
from socklab.guide import accepting, what_wakes
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.controllers.program import ProgramController
from socklab.ui.view.tasks import situation


class Timer(Protocol):
    def stop(self) -> None: ...


class AcceptController:
    """The verb `accept`. `later`: calls a function after so many seconds."""

    def __init__(
        self, lab: Lab, program: ProgramController, later: Callable[[float, Callable[[], None]], Timer]
    ) -> None:
        self._lab = lab
        self._program = program
        self._later = later
        self._every = 0.0
        self._timer: Timer | None = None
        program.otherwise = self.stop

    def ask(self, argument: str = "") -> None:
        """Once, "every 2", or "stop"."""
        self.stop()
        if argument == "stop":
            self._lab.say("No more clients are accepted by themselves.")
        elif argument:
            self._every = accepting.seconds(argument)
            self._tick()
        elif why := self._refused():
            self._lab.say(said(why))
        else:
            self._program.run(accepting.one())

    def stop(self) -> bool:
        """Accept no more by itself. False = it did not."""
        was, self._every = self._every, 0.0
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        return was > 0

    def escape(self, otherwise: Callable[[], None]) -> None:
        """Esc stops it, before anything else."""
        if self.stop():
            self._lab.say("No more clients are accepted by themselves.")
        else:
            otherwise()

    def _refused(self) -> str:
        return "" if self._lab.question is not None else accepting.refused(self._lab.bridge.now)

    def _tick(self) -> None:
        """Accept one if one waits; and come again."""
        lab, now = self._lab, self._lab.bridge.now
        mood = situation(now)
        if lab.question is not None or mood == "e":
            self.stop()
            lab.say("The question comes first: no more clients are accepted by themselves." if lab.question is not None
                    else "The program has ended: nobody is accepted any more.")  # fmt: skip
            return
        self._timer = self._later(self._every, self._tick)
        if lab.at is not None:
            return  # the past is being looked at
        told = f"accept every {self._every:g} s (Esc stops)"
        why = self._refused()
        if not why and mood == "h":
            self._program.run(accepting.one(), repeated=True)
        elif not why:
            why = f"the program sleeps. {what_wakes(now)}" if now.blocked(now.focus) else "the program is running."
        lab.say(said(f"{told}: {why}" if why else f"{told}."))
