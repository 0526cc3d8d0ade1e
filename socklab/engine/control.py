"""The consumer's commands: each is obeyed and answered once; and what the engine waits for.

In: lines of the command socket, and where the program and the lesson stand. Out: requests to the run control, the
lesson and the actor; the events Done and Ready. Belongs to the lab thread. Never looks at the kernel.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial

import msgspec

from socklab import guide
from socklab.core.errors import SocklabError, UsageError
from socklab.engine.actor import Acting, Actor
from socklab.engine.kernel.evidence import Evidence
from socklab.engine.kernel.poller import Poller
from socklab.engine.script import Script
from socklab.engine.stream import Stream
from socklab.engine.terminal import Terminal
from socklab.engine.tracing import run_control
from socklab.engine.tracing.run_control import RunControl
from socklab.engine.tracing.task import Stop
from socklab.engine.tracing.tracer import Tracer
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.rows import Reading
from socklab.state import LabState

_RUNS_S = 0.7
"""A program that has neither stopped nor fallen asleep for so long runs on its own calls. Nothing tells of that but
time: one that sleeps a little between two calls would otherwise be told to run and to wait by turns."""
_REACTS_S = 0.06
"""At most so long after an action a program that it wakes has stopped, and packets have crossed the wire: where the
kernel's tables say that nothing is under way any more, nobody waits."""


class _Run:
    """A Step, Continue or Pause whose effect is not told yet, and the tasks it waits for."""

    def __init__(self, number: int, tids: set[int], *, all_of_them: bool = False) -> None:
        self.number = number
        self.tids = tids
        self.all_of_them = all_of_them

    def is_done(self, held: dict[int, Stop], asleep: set[int]) -> bool:
        """One of its tasks has stopped, or each of them has stopped, sleeps or is gone."""
        if not self.all_of_them and any(tid in held for tid in self.tids):
            return True
        return all(tid in held or tid in asleep for tid in self.tids)


class Control:
    """Obeys commands, answers each with Done, and says Ready. `poller` and `terminal` are None until there is one."""

    def __init__(
        self,
        stream: Stream,
        tracer: Tracer,
        run_control: RunControl,
        script: Script | None,
        actor: Actor,
        hold: Callable[[Stop], None],
        state: Callable[[], LabState],
        place: Callable[[int], tuple[Reading, ...]],
        *,
        unattended: bool,
    ) -> None:
        self.poller: Poller | None = None
        self.terminal: Terminal | None = None
        self.over = False
        """The consumer quits, or is gone."""
        self._stream = stream
        self._tracer = tracer
        self._run_control = run_control
        self._script = script
        self._actor = actor
        self._hold = hold
        self._state = state
        self._place = place
        self._unattended = unattended
        self._acting: deque[tuple[cmd.Do, Acting]] = deque()
        self._runs: list[_Run] = []
        self._deferred: tuple[int, int] | None = None
        """A step that waits for the lesson's actions at this stop: its id, and its task (0 = the one held last)."""
        self._moved = time.monotonic()
        """When the program stopped, was let go or was typed to last."""
        self._looked_at = 0.0
        """The last action whose effects were looked for."""
        self._told: ev.Ready | None = None
        self._again = False
        """A command came: Ready follows it even where nothing has changed, so that nobody waits for it in vain."""
        self._alive: set[int] = set()

    # ---------------------------------------------------------------- commands

    def obey(self, line: bytes) -> None:
        """Carry out one line, or begin to."""
        if self.poller is not None:
            self.poller.asked()
        self._again = True
        try:
            command = cmd.decode_command(line)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            self._refuse(cmd.id_of(line), UsageError(f"A command was not understood: {error}."), "error")
            return
        try:
            self._obey(command)
        except SocklabError as error:
            self._refuse(command.id, error)

    def _obey(self, command: cmd.AnyCommand) -> None:
        reveals = isinstance(command, cmd.Evidence | cmd.Look) and self._hides
        if reveals or (self._asks and isinstance(command, cmd.WAITS_FOR_THE_ANSWER)):
            error = UsageError("A question is open.", fix="Answer it, or let it be shown without a guess.")
            self._refuse(command.id, error, "" if self._unattended else "warning")
        elif isinstance(command, cmd.Step):
            self._go_on(command.id, run_control.OVER if command.over else run_control.STEP, tid=command.tid)
        elif isinstance(command, cmd.Continue):
            self._continue(command)
        elif isinstance(command, cmd.Pause):
            self._overtake()
            self._run_control.pause()
            self._moved = time.monotonic()
            self._runs.append(_Run(command.id, set(self._tracer.tasks), all_of_them=True))
        elif isinstance(command, cmd.Look):
            done = partial(self._done, command.id)
            self._actor.commands.looking.start(command.argv, command.host, command.stdin, done)
        elif isinstance(command, cmd.Do):
            self._acting.append((command, self._actor.act(command.line, "student")))
        else:
            self._obey_at_once(command)
            self._done(command.id)

    def _obey_at_once(self, command: cmd.AnyCommand) -> None:
        """The commands that are done when they have been carried out."""
        if isinstance(command, cmd.Quit):
            self.over = True
        elif isinstance(command, cmd.Answer):
            if self._script is None or not self._script.answer(command.choice):
                raise _NoQuestion("No question is open.")
        elif isinstance(command, cmd.Evidence):
            readings = self._evidence().read(command.wants)
            self._stream.put(ev.Evidence(self._stream.now(), command.wants, readings))
        elif isinstance(command, cmd.Focus):
            self._focus(command.tid)
        elif isinstance(command, cmd.Others):
            self._woke(self._run_control.others(run=command.run, tid=command.tid))
        elif isinstance(command, cmd.Input):
            if self.terminal is None:
                raise UsageError("Its terminal is not the lab's.", fix="Type where the program was started.")
            self.terminal.write(command.data)
            self._moved = time.monotonic()  # it may wake from a read that nobody stops at

    def _evidence(self) -> Evidence:
        if self.poller is None:
            raise UsageError("A run that only records reads no tables.", fix="Run it without --free to look into it.")
        return Evidence(self.poller.snapshots, self._state, self._place, self._actor.setting_text)

    def _focus(self, tid: int) -> None:
        stop = self._run_control.held.pop(tid, None)
        if stop is None:
            raise UsageError(f"Task {tid} is not held.", fix="Choose a task that is held.")
        self._hold(stop)

    def _continue(self, command: cmd.Continue) -> None:
        mode, script = run_control.UNTIL, self._script
        if command.until == "step" and script is not None:
            if script.done:
                raise UsageError(
                    "The lesson is done: there is no next step.", fix="Step on, run it free, restart, or quit."
                )
            mode = run_control.LESSON
        elif command.until in ("", "step"):
            mode = run_control.FREE
        self._go_on(command.id, mode, until=command.until if mode == run_control.UNTIL else "")

    def _go_on(self, number: int, mode: str, *, tid: int = 0, until: str = "") -> None:
        script = self._script
        self._run_control.set_mode(mode, until)
        self._overtake(lambda run: run.is_done(self._run_control.held, self._asleep))  # only the lesson kept these
        if script is not None and script.go_on():
            self._runs.append(_Run(number, set()))  # at this stop; where the program sleeps, this will wake it
        elif script is not None and script.waiting:
            self._deferred = number, tid  # the stop's own actions come first
        else:
            self._resume(number, tid)

    def _resume(self, number: int, tid: int) -> None:
        if not self._run_control.held:
            if not self._tracer.tasks:
                self._refuse(
                    number,
                    UsageError("The program has ended: there is nothing to step.", fix="restart   begins anew."),
                    "info",
                )
                return
            if self._asleep:
                error = UsageError(
                    "The program sleeps in the kernel: only a client can wake it.", fix=guide.what_wakes(self._state())
                )
                self._refuse(number, error, "info")
                return
        if self._run_control.mode not in (run_control.STEP, run_control.OVER) or not self._run_control.held:
            self._overtake()  # a step of one held task leaves the others' alone
        going = self._run_control.resume(tid)
        self._woke(going)
        one = len(going) == 1 and self._run_control.mode in (run_control.STEP, run_control.OVER)
        self._runs.append(_Run(number, set(going) if one else set(self._tracer.tasks)))

    def _woke(self, tids: list[int]) -> None:
        self._moved = time.monotonic()
        self._told = None
        if self.poller is not None:
            for tid in tids:
                self.poller.woke(tid)

    def advance(self) -> None:
        """The student's actions go on a little, and a step that had to wait for the lesson."""
        self._actor.commands.looking.check()
        if self._acting:
            command, acting = self._acting[0]
            try:
                next(acting)
            except StopIteration as end:
                self._acting.popleft()
                self._told = None
                if end.value is not None:
                    self._done(command.id, "refused", end.value)
                else:
                    self._done(command.id)
                    if self._script is not None:
                        self._script.student_did(command.line)
        if self._deferred is not None and self._script is not None and not self._script.waiting:
            (number, tid), self._deferred = self._deferred, None
            if self._script.stays:
                self._runs.append(_Run(number, set()))
            else:
                self._resume(number, tid)

    def stopped(self) -> None:
        """A task is held since now."""
        self._moved = time.monotonic()
        self._told = None

    def gone(self, tid: int) -> None:
        """A task has ended."""
        self._told = None
        for run in self._runs:
            run.tids.discard(tid)

    # ---------------------------------------------------------------- answers

    def _done(self, number: int, outcome: str = "done", error: SocklabError | None = None) -> None:
        reason, fix = (error.what, error.fix) if error is not None else ("", "")
        self._stream.put(ev.Done(self._stream.now(), number, outcome, reason, fix))

    def _refuse(self, number: int, error: SocklabError, level: str = "warning") -> None:
        """Say why, to the user and to the program that asked; level "" = nobody is there to read it."""
        level = "info" if isinstance(error, _NoQuestion) else level
        if level:
            self._stream.put(ev.Notice(self._stream.now(), level, error.what, error.fix))
        self._done(number, "refused", error)

    def _overtake(self, which: Callable[[_Run], bool] = lambda _run: True) -> None:
        for run in filter(which, list(self._runs)):
            self._runs.remove(run)
            self._done(run.number, "overtaken")
        if self._deferred is not None:
            self._done(self._deferred[0], "overtaken")
            self._deferred = None

    def end(self) -> None:
        """The lab is over: what is not done will not be."""
        self._overtake()
        for command, _acting in self._acting:
            self._done(command.id, "overtaken")
        self._acting.clear()

    @property
    def acting(self) -> bool:
        return bool(self._acting)

    @property
    def ready(self) -> bool:
        """What is waited for has been said, and nothing has happened since."""
        return self._said() is not None

    def _said(self) -> ev.Ready | None:
        # A free run folds nothing; its one thread of control is here.
        return self._told if self.poller is None else self._state().ready

    @property
    def _asks(self) -> bool:
        """A question is open. Nothing is asked of a program that is gone."""
        return self._script is not None and self._script.question is not None and bool(self._tracer.tasks)

    @property
    def _hides(self) -> bool:
        """A step whose question comes has been reached: what it hides is not read out either."""
        return (
            self._script is not None
            and bool(self._tracer.tasks)
            and bool(guide.masked(self._script.lesson, self._state()))
        )

    @property
    def _asleep(self) -> set[int]:
        """Tasks of which nothing more comes by itself."""
        return self.poller.blocked | self.poller.left if self.poller is not None else set()

    def tell(self) -> None:
        """Answer what is complete, then say what is waited for, if that is not known. Once in a round, at its end."""
        before, self._alive = self._alive, set(self._tracer.tasks)
        if self._acting or self._deferred is not None or (self._script is not None and self._script.waiting):
            return
        if self._effects_are_due():
            return
        for run in list(self._runs):
            run.tids &= before | self._alive  # after an exec the thread that called it is gone without a word
            if run.is_done(self._run_control.held, self._asleep):
                self._runs.remove(run)
                self._done(run.number)
        if self._actor.commands.looking.busy:
            return  # whoever asked for it reads what it prints before anything else is asked of them
        if self.poller is not None and self.poller.owed and not self._unattended:
            return  # somebody will want to read it all; a run that nobody watches goes on
        wants = self._wants(before | self._alive)
        if wants is None:
            return
        said = self._said()
        if self._again or said is None or (said.wants, said.tid, said.held) != (wants.wants, wants.tid, wants.held):
            self._again = False
            self._told = wants
            self._stream.put(wants)

    def _effects_are_due(self) -> bool:
        """Something was done a moment ago, somebody watches, and what comes of it may still be on its way."""
        acted = self._actor.acted_at
        if acted == self._looked_at or self._unattended or self.poller is None:
            return False
        free = self._tracer.tasks.keys() - self._run_control.held.keys()
        nothing_comes = not self._actor.commands.busy and self.poller.is_still(free)
        if time.monotonic() < acted + _REACTS_S and not nothing_comes:
            return True
        self._looked_at = acted
        self.poller.snapshot_all()
        return False

    def _wants(self, alive: set[int]) -> ev.Ready | None:
        held, script, asleep = tuple(self._run_control.held), self._script, self._asleep
        quiet = time.monotonic() - self._moved > _RUNS_S
        if script is not None and script.question is not None:
            wants = "answer"
        elif script is not None and script.stays:
            wants = "lesson"
        elif held:
            wants = "step"
        elif not alive:
            if not quiet and self.terminal is not None and not self.terminal.closed:
                return None  # its last words come yet
            wants = "nothing"
        elif alive <= asleep:
            wants = "client"
        elif quiet:
            wants = "client" if alive & asleep else "pause"
        else:
            return None
        left = self.poller.left if self.poller is not None else set()
        tid = held[-1] if held else min(alive & asleep - left or alive, default=0)
        return ev.Ready(self._stream.now(), wants, tid, held)


class _NoQuestion(UsageError):
    """Told as a remark, not as a warning."""
