"""Run control: which tasks are held, how the program runs on, and where it is held next.

In: the student's wishes (step, over, next lesson step, until, free, pause, others) and the stops. Out: requests to
the tracer. Belongs to the lab thread. Never looks at the kernel, never emits an event.
"""

from __future__ import annotations

from socklab.commands import conditions
from socklab.core.errors import UsageError
from socklab.engine.tracing.syscall_filter import (
    EitherFilter,
    OneTaskFilter,
    RunFilter,
    SocketCalls,
    StepFilter,
    UntilFilter,
)
from socklab.engine.tracing.task import Stop, disposition
from socklab.engine.tracing.tracer import SyscallFilter, Tracer

STEP, OVER, LESSON, UNTIL, FREE = "step", "over", "lesson", "until", "free"


class RunControl:
    """The modes: STEP holds at every stop, OVER at the next entry, LESSON at the lesson's next moment, UNTIL where a
    condition says, FREE nowhere. All but the last two see every stop here first; those let the tracer run ahead, unless
    a lesson is under way.
    """

    def __init__(
        self, tracer: Tracer, calls: SocketCalls, *, record_only: bool, in_lesson: bool, until: str = ""
    ) -> None:
        self._tracer = tracer
        self._calls = calls
        self._step = StepFilter(calls)
        self._until: UntilFilter | None = None
        self.mode = FREE if record_only else STEP
        self.in_lesson = in_lesson
        """A lesson is under way: it must see every stop, however fast the student wants to go."""
        self.held: dict[int, Stop] = {}
        """Held tasks, the one held last at the end."""
        self.followed = 0
        """The one task that is stepped while the others run; 0 = every task stops on its own."""
        tracer.hold_signals = not record_only
        if until:
            self.set_mode(UNTIL, until)
        else:
            tracer.filter = None if record_only else self._step

    def set_mode(self, mode: str, until: str = "") -> None:
        """Choose how to go on; resumes nothing. Raises UsageError for a condition that is none."""
        chosen: SyscallFilter = self._step
        if mode == UNTIL:
            chosen = self._until = UntilFilter(self._calls, conditions.parse(until))
            if self.in_lesson:
                chosen = EitherFilter(chosen, self._step)
        elif mode == FREE and not self.in_lesson:
            chosen = RunFilter(self._calls)
        elif self.followed:
            chosen = OneTaskFilter(chosen, self.followed)
        self._tracer.filter = chosen
        self.mode = mode

    def others(self, *, run: bool, tid: int = 0) -> list[int]:
        """Let every task but one run on (0 = all but the one held last), or have all of them stop again.

        Returns the held tasks that go. Raises UsageError when none is held to be the one.
        """
        if run:
            if not self.held:
                raise UsageError("No task is held that could be stepped while the others run.", fix="Pause first.")
            self.followed = tid if tid in self.held else next(reversed(self.held))
        else:
            self.followed = 0
        self.set_mode(self.mode if self.mode in (STEP, OVER) else STEP)
        going = [each for each in self.held if self.followed and each != self.followed]
        for each in going:
            self._release(each)
        return going

    def forget(self, tid: int) -> None:
        """The task is gone. When it was the one that is followed, all stop on their own again."""
        self.held.pop(tid, None)
        if tid == self.followed:
            self.others(run=False)

    def _release(self, tid: int) -> None:
        del self.held[tid]
        self._tracer.ask_resume(tid)

    def pause(self) -> None:
        self.followed = 0
        self.set_mode(STEP)
        self._tracer.ask_interrupt()

    def wants(self, stop: Stop, *, of_lesson: bool) -> bool:
        """Whether this stop is one to hold at."""
        if stop.at == "enter" or stop.at == "return":
            if self.followed not in (0, stop.tid) and self.mode in (STEP, OVER):
                return False  # it stopped before the others were let go
        elif stop.at == "interrupt":
            return True
        elif stop.at == "signal":  # its own end is worth a stop wherever one runs to, a handler only step by step
            task = self._tracer.tasks.get(stop.tid)
            return self.mode in (STEP, OVER) or task is None or disposition(stop.tid, task.signo) == "fatal"
        if self.mode == UNTIL:
            return self._until is None or self._until.fits(stop)
        if self.mode == STEP:
            return True
        return (self.mode == OVER and stop.at == "enter") or (self.mode == LESSON and of_lesson)

    @property
    def runs_on(self) -> bool:
        """The student wants to be elsewhere: a text of the lesson is no reason to stop."""
        return self.mode in (UNTIL, FREE)

    def hold(self, stop: Stop) -> None:
        """Keep it held. What the student wanted is reached; the next wish starts from a step."""
        self.held[stop.tid] = stop
        if self.mode in (LESSON, UNTIL, FREE):
            self.set_mode(STEP)

    def resume(self, tid: int = 0) -> list[int]:
        """Let one task go (0 = the one held last), or all of them in the modes that run on. Returns who goes."""
        if not self.held:
            return []
        chosen = tid if tid in self.held else next(reversed(self.held))
        going = list(self.held) if self.mode in (LESSON, UNTIL, FREE) else [chosen]
        for each in going:
            self._release(each)
        return going

    def release(self, stop: Stop) -> None:
        """Not a stop to hold at: it goes on at once."""
        self._tracer.ask_resume(stop.tid)
