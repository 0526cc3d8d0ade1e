"""The call stack and the rate of calls: looking closer at the task that is followed.

In: keys, the state that is shown. Out: which frame the source shows; how many calls a second are made. Mixed into the
lab's screen. Never asks the engine for anything: the stack came with the stop.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from socklab import state as st

if TYPE_CHECKING:
    from socklab.ui.tui.board import Board


_FAST = 10
"""Slower than this a rate says less than the calls themselves."""


class Rate:
    """Calls a second of a program that runs, over the last second or so."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, now_s: float, calls: int) -> int:
        """The rate at `now_s` seconds of any clock, when `calls` have been made in all."""
        seen = self._seen
        seen.append((now_s, calls))
        while len(seen) > 2 and now_s - seen[1][0] >= 1.0:
            seen.popleft()
        span = now_s - seen[0][0]
        return round((calls - seen[0][1]) / span) if span >= 0.2 else 0


class StackKeys:
    """Actions of these keys, and what they need of the screen."""

    board: Board
    per_second: int

    if TYPE_CHECKING:

        def _say(self, text: str, *, wrong: bool) -> None: ...
        def _now(self) -> st.LabState: ...
        def _state(self) -> st.LabState: ...
        def _focused(self) -> str: ...
        def action_panel(self, name: str) -> None: ...
        def paint(self) -> None: ...

    def action_stack(self) -> None:
        """Every frame of the call stack below the source, or the innermost alone again."""
        task = self._state().task
        self.board.frame = 0
        if "frames" in self.board.expanded:
            self.board.expanded -= {"frames"}
        elif task is None or not task.stack:
            why = task.unlined if task is not None and task.unlined else "no line of the program is known here"
            self._say(f"No call stack: {why}.", wrong=False)
            return
        else:
            self.board.expanded |= {"frames"}
            if self._focused() != "source":
                self.action_panel("source")
        self.paint()

    def action_frame(self, index: int) -> None:
        """Show the source of one frame, 0 = the innermost."""
        task = self._state().task
        self.board.frame = max(0, min(index, len(task.stack) - 1)) if task is not None else 0
        self.paint()

    def measure_rate(self, rate: Rate) -> None:
        """Called twice a second: how fast a program that runs makes calls."""
        now = self._now()
        found = rate.at(time.monotonic(), now.entered)
        if now.ended is not None or any(task.status == "held" for task in now.tasks.values()):
            found = 0
        found = found if found >= _FAST else 0
        if found != self.per_second:
            self.per_second = found
            self.paint()
