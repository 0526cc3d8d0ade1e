"""When the screen is drawn: at once what a key brought about, a few times a second what comes by itself.

In: that something has come, and how urgent it is. Out: calls of `draw` on the loop, never more often than is seen.
"""

from __future__ import annotations

import time
from asyncio import AbstractEventLoop, Handle
from collections.abc import Callable

CALM_S = 0.066
"""Time between drawings of what nobody waits for."""
REST_S = 1.0
"""The same while no program runs and nobody has asked for anything for a while: clients that try again, timers."""
WATCHED_S = 3.0
"""So long after somebody asked for something they watch what comes of it."""
BURST = 4
"""Drawings that may follow each other at once before the calm rhythm applies."""


class Rhythm:
    """Of one screen. `loop` None = nobody draws now."""

    def __init__(self, draw: Callable[[], None]) -> None:
        self.loop: AbstractEventLoop | None = None
        self._draw = draw
        self._planned: Handle | None = None
        self._due = 0.0
        self._drawn = self._asked = self._filled = 0.0
        """When it was drawn last, when somebody asked for something, when the tokens were counted."""
        self._tokens = float(BURST)

    def asked(self) -> None:
        """Somebody waits for what comes next."""
        self._asked = time.monotonic()
        self._tokens = min(float(BURST), self._tokens + 1)

    def stop(self) -> None:
        """What is planned is not drawn any more."""
        if self._planned is not None:
            self._planned.cancel()
        self._planned = self.loop = None

    def plan(self, *, at_once: bool, rests: bool) -> None:
        """Something has come. `rests`: no program runs."""
        if self.loop is None:
            return
        now = time.monotonic()
        self._tokens = min(float(BURST), self._tokens + (now - self._filled) / CALM_S)
        self._filled = now
        if at_once and self._tokens >= 1:
            # Behind what is already waiting on the loop: events that came with this one are drawn with it.
            self._call(self.loop.call_soon(self._draw_now), now)
            return
        slow = rests and not at_once and now - self._asked > WATCHED_S
        due = max(now, self._drawn + (REST_S if slow else CALM_S))
        if self._planned is None or due < self._due:
            self._call(self.loop.call_later(due - now, self._draw_now), due)

    def _call(self, planned: Handle, due: float) -> None:
        if self._planned is not None:
            self._planned.cancel()
        self._planned, self._due = planned, due

    def _draw_now(self) -> None:
        self._planned = None
        self._tokens = max(0.0, self._tokens - 1)
        self._drawn = time.monotonic()
        self._draw()
