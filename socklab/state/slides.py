"""The moments of a run at which it waited for somebody, in order: what a presenter goes back and forth among.

In: events in order, each once it is folded. Out: Slides, each naming the state it ends with by a number of events
(History.at_event). Never folds, never decides what is shown.
"""

from __future__ import annotations

import msgspec

from socklab.protocol import events as ev

_BEGIN_A_STEP = (ev.StepReached, ev.Answered, ev.Measured)


class Slide(msgspec.Struct, frozen=True):
    """One moment, as it was at its end."""

    stop: int
    """The program's stop it was at."""
    end: int
    """So many events of the run had been told then."""
    step: int = -1
    """Index of the lesson's step; -1 = of no lesson."""


class Slides:
    """Of a lesson: each text, each question before its answer, each answer. Of another run: each stop.

    What nobody could have seen is none: what came and went between two of the engine's Ready (or Asked).
    """

    def __init__(self, *, steps: bool) -> None:
        """`steps`: of a lesson."""
        self.all: list[Slide] = []
        self.is_open = False
        """The last one is now: the program has not gone past it."""
        self._begin = _BEGIN_A_STEP if steps else (ev.Held,)
        self._waited = self._asked = False
        self._tid = 0

    def add(self, event: ev.Event, told: int, stop: int) -> None:
        """Take up one event. `told`: events of the run so far, with this one; `stop`: the number of stops."""
        kind = type(event)
        if isinstance(event, self._begin) and not (kind is ev.Measured and self.is_open and not self._asked):
            self._close()
            step = event.index if isinstance(event, _BEGIN_A_STEP) else -1
            self.all.append(Slide(stop, told, step))
            self.is_open, self._waited, self._asked = True, False, False
        elif self.is_open and self._is_past(event):
            self._close()
        elif self.is_open:
            last = self.all[-1]
            self.all[-1] = Slide(last.stop, told, last.step)
        if isinstance(event, ev.Held):
            self._tid = event.tid
        self._asked = self._asked or kind is ev.Asked
        self._waited = self._waited or kind is ev.Ready or kind is ev.Asked

    def _is_past(self, event: ev.Event) -> bool:
        """The program goes on. One that sleeps in its call was resumed before: its call returns."""
        if isinstance(event, ev.Return):
            return event.tid == self._tid
        return isinstance(event, ev.Resumed | ev.Held | ev.Ended)

    def _close(self) -> None:
        if self.is_open and not self._waited:
            self.all.pop()
        self.is_open = False

    # ---------------------------------------------------------------- where one is among them

    def back(self, at: int | None) -> int | None:
        """The slide before slide `at` (None = now); None = there is none before it."""
        here = len(self.all) - self.is_open if at is None else at
        return here - 1 if here else None

    def forward(self, at: int) -> int | None:
        """The slide behind slide `at`; None = that is now."""
        return at + 1 if at + 1 < len(self.all) - self.is_open else None
