"""Which task the screen is about: the one the user chose, or the one that has something to tell.

In: the latest LabState, and the user's choice. Out: the same state with that task in focus. The stream's own focus is
the task held last, which jumps as soon as several run; here it stays where the user works. Never sends a command.
"""

from __future__ import annotations

from msgspec.structs import replace

from socklab import state as st
from socklab.ui.view.tasks import asleep, held, living


class Following:
    """`chosen`: the task the user asked for; it is shown until it is let go, even asleep or dead. 0 = by itself: the
    task shown stays for as long as it is held or runs; when it falls asleep or ends, the one held last takes its place.
    """

    def __init__(self) -> None:
        self.chosen = 0
        self.shown = 0
        """The task on the screen; 0 = none has been yet."""
        self._jump_after = -1
        """Count of stops after which the next one is gone to; -1 = nothing is waited for."""
        self._made: tuple[st.LabState | None, int, st.LabState | None] = (None, 0, None)

    def choose(self, tid: int) -> None:
        self.chosen = self.shown = tid
        self._jump_after = -1

    def let_go(self) -> None:
        """Follow the program again."""
        self.chosen = 0

    def wherever(self, stops: int) -> None:
        """The program runs on as a whole: the stop after these is the one to show, whichever task makes it."""
        self.chosen = 0
        self._jump_after = stops

    def state(self, now: st.LabState) -> st.LabState:
        """`now`, with the followed task in focus."""
        self.shown = self._follow(now)
        if self.shown == now.focus:
            return now
        known, tid, made = self._made
        if made is None or known is not now or tid != self.shown:
            made = replace(now, focus=self.shown)
            self._made = (now, self.shown, made)
        return made

    def _follow(self, now: st.LabState) -> int:
        if 0 <= self._jump_after < now.stops:
            self._jump_after = -1
            return now.focus
        if self.chosen in now.tasks:
            return self.chosen
        self.chosen = 0
        shown = now.tasks.get(self.shown)
        if shown is not None and (shown.status == "held" or (shown.status == "running" and not asleep(now, shown))):
            return self.shown
        last = now.task
        if last is not None and last.status == "held":
            return now.focus
        if waiting := held(now):
            return waiting[-1]
        if shown is not None and shown.status != "exited":
            return self.shown
        if last is not None and last.status != "exited":
            return now.focus
        return next(iter(living(now)), now.focus)
