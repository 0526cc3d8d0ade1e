"""Stepping, running, holding: what the program's keys ask of the engine, and which task they are for.

In: actions. Out: commands. Never waits for what comes of one: the stream tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from socklab import state as st
from socklab.commands.keymap import said
from socklab.core.errors import ProgramError
from socklab.protocol import commands as cmd, events as ev
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.view.tasks import held, neighbour, situation

_NOT_HELD = {
    "r": "The program is running. `pause` holds it.",
    "e": "There is no program to step any more. `restart` starts it anew.",
}


class Leave(Protocol):
    """Ends the lab with an exit code; `words` are told where there is room for them."""

    def __call__(self, code: int, words: tuple[str, ...] = ()) -> None: ...


class ProgramController:
    """The program's keys."""

    def __init__(self, lab: Lab, leave: Leave) -> None:
        self._lab = lab
        self._leave = leave
        self.otherwise: Callable[[], object] = lambda: None
        """Called when something else is asked of the program than what is done again and again."""
        self.begin()

    def begin(self) -> None:
        """From a run's beginning."""
        self.otherwise()
        self._alone = 0
        """The task that is stepped while the others run; 0 = each stops on its own."""
        self._until = ""
        self._until_from: tuple[int, ev.StepReached | None] = -1, None
        """The condition it runs on to, and the count of stops and the lesson's step when that was asked for."""

    def until(self, state: st.LabState) -> str:
        """The condition the program runs on to; "" = none. A step may be reached without a stop, inside a call."""
        stops, step = self._until_from
        there = state.stops != stops or (self._until == "step" and state.step != step)
        return "" if there else self._until

    def others_run(self, state: st.LabState) -> bool:
        """One task is stepped while the others run."""
        alone = state.tasks.get(self._alone)
        return alone is not None and alone.status != "exited"

    def run(self, command: cmd.Step | cmd.Continue, *, repeated: bool = False) -> None:
        """Let the held program go on, if it is held and nothing is asked. Looking at the past: back to now."""
        lab = self._lab
        if not repeated:
            self.otherwise()
        if lab.at is not None:
            lab.go(lab.now.stops)
            return
        now = lab.now
        mood, waiting = situation(now), held(now)
        if lab.question is not None:
            lab.post(command)  # which says what comes first
        elif mood == "r" and waiting and isinstance(command, cmd.Step):
            lab.say(
                said(f"{now.focus} is not held, {waiting[-1]} is: `next-task` goes there, Esc follows what happens.")
            )
        elif mood != "h" and not waiting and not now.blocked(now.focus):
            lab.say(said(_NOT_HELD[mood]))
        elif lab.bridge.takes_a_step:  # one that was pressed earlier is not queued
            lab.dismiss()
            if isinstance(command, cmd.Continue):
                lab.following.wherever(now.stops)
                self._alone = 0 if command.until != "step" else self._alone
                self._until, self._until_from = command.until, (now.stops, now.step)
            elif len(now.tasks) > 1:
                command = cmd.Step(tid=now.focus, over=command.over)
            lab.post(command)

    def obey(self, command: cmd.AnyCommand) -> None:
        """Do what was typed: what a key does too is done as the key does it."""
        now = self._lab.now
        if isinstance(command, cmd.Step | cmd.Continue):
            self.run(command)
        elif isinstance(command, cmd.Pause):
            self.pause()
        elif isinstance(command, cmd.Quit):
            self.quit_lab()
        elif isinstance(command, cmd.Focus) and command.tid in now.tasks:
            self._lab.follow(command.tid)
        elif isinstance(command, cmd.Focus):
            self._lab.say(f"There is no task {command.tid}.", wrong=True)
        elif isinstance(command, cmd.Others) and command.run == self.others_run(now):
            self._lab.say(f"The others {'run' if command.run else 'are held'} already.")
        elif isinstance(command, cmd.Others):
            self.others()
        else:
            self._lab.post(command)

    def step(self) -> None:
        self.run(cmd.Step())

    def over(self) -> None:
        self.run(cmd.Step(over=True))

    def next(self) -> None:
        self.run(cmd.Continue("step"))

    def pause(self) -> None:
        self.otherwise()
        now = self._lab.now
        if any(task.status == "running" for task in now.tasks.values()):
            self._alone = 0
            self._lab.post(cmd.Pause())
        else:
            self._lab.say("It is held already." if now.task else "There is no program yet.")

    def neighbour(self, by: int) -> None:
        """To the next task, or the one before."""
        tid = neighbour(self._lab.now, by)
        if tid:
            self._lab.follow(tid)
        else:
            self._lab.say("There is one process with one thread.")

    def others(self) -> None:
        """Let the other tasks run while this one is stepped, or have them stop again."""
        lab = self._lab
        now = lab.now
        if self.others_run(now):
            if not lab.post(cmd.Others(run=False)):
                return
            self._alone = 0
            lab.say("The others are held again, each at its next call.")
        elif now.task is None or now.task.status != "held":
            lab.say("Choose a task that is held: the others can run while it is stepped.")
        else:
            if not lab.post(cmd.Others(run=True, tid=now.focus)):
                return
            self._alone = now.focus
            lab.following.choose(now.focus)
            lab.say(said(f"Only {now.focus} is stepped; the others run on. `others` holds them again."))

    def leave_unstarted(self) -> None:
        """Nothing has run and nothing will: there is nothing to look at, and what is wrong needs room to be told."""
        now = self._lab.bridge.now
        words = [f"{note.text}\n{note.fix}".rstrip() for note in now.notices if note.level != "info"]
        self._leave(1 if self._lab.lesson is not None else ProgramError.exit_code, tuple(words))

    def quit_lab(self) -> None:
        ended = self._lab.bridge.now.ended
        self._leave(1 if ended is not None and ended.reason == "failed" else 0)
