"""When the screen is drawn, by a clock and a loop that the test makes up."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from socklab.ui.tui import rhythm as module
from socklab.ui.tui.rhythm import BURST, CALM_S, WATCHED_S, Rhythm


class Loop:
    """A clock, what was asked for at which time, and when it was drawn."""

    def __init__(self) -> None:
        self.now = 100.0
        self.drawn: list[float] = []
        self._calls: list[tuple[float, SimpleNamespace]] = []

    def monotonic(self) -> float:
        return self.now

    def call_soon(self, call: Callable[[], None]) -> Any:
        return self.call_later(0.0, call)

    def call_later(self, delay: float, call: Callable[[], None]) -> Any:
        handle = SimpleNamespace(call=call, cancelled=False)
        handle.cancel = lambda: setattr(handle, "cancelled", True)
        self._calls.append((self.now + delay, handle))
        return handle

    def until(self, end: float) -> None:
        """Let time go by."""
        while due := sorted((when, n) for n, (when, handle) in enumerate(self._calls) if when <= end + 1e-9):
            when, number = due[0]
            handle = self._calls.pop(number)[1]
            self.now = max(self.now, when)
            if not handle.cancelled:
                handle.call()
        self.now = end


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    made = Loop()
    monkeypatch.setattr(module, "time", made)
    return made


def rhythm_of(loop: Loop) -> Rhythm:
    rhythm = Rhythm(lambda: loop.drawn.append(loop.now))
    rhythm.loop = loop  # type: ignore[assignment]
    return rhythm


def come(loop: Loop, rhythm: Rhythm, seconds: float, *, rests: bool, at_once: bool = False) -> list[float]:
    """When it is drawn while something comes each hundredth of a second."""
    before, end = len(loop.drawn), loop.now + seconds
    while loop.now < end - 1e-9:
        rhythm.plan(at_once=at_once, rests=rests)
        loop.until(loop.now + 0.01)
    return loop.drawn[before:]


def test_while_a_program_runs_it_is_drawn_fifteen_times_a_second_and_at_rest_once(loop: Loop) -> None:
    rhythm = rhythm_of(loop)
    assert len(come(loop, rhythm, 10, rests=False)) in range(120, 155)
    come(loop, rhythm, 1, rests=True)
    assert len(come(loop, rhythm, 10, rests=True)) in range(9, 12)


def test_what_a_key_brought_about_is_drawn_at_once_and_watched_for_a_while(loop: Loop) -> None:
    rhythm = rhythm_of(loop)
    come(loop, rhythm, 5, rests=True)
    rhythm.plan(at_once=False, rests=True)
    rhythm.asked()
    rhythm.plan(at_once=True, rests=True)
    loop.until(loop.now)
    assert loop.drawn[-1] == loop.now
    assert len(come(loop, rhythm, WATCHED_S, rests=True)) > 10 * WATCHED_S
    come(loop, rhythm, 1, rests=True)
    assert len(come(loop, rhythm, 10, rests=True)) in range(9, 12)


def test_a_flood_of_what_matters_is_drawn_in_the_calm_rhythm_after_a_few(loop: Loop) -> None:
    rhythm = rhythm_of(loop)
    come(loop, rhythm, 5, rests=True)
    drawn = come(loop, rhythm, 2, rests=True, at_once=True)
    assert len(drawn) in range(BURST, 2 * round(1 / CALM_S) + BURST + 2)
    assert drawn[0] - drawn[BURST - 1] < 0.1


def test_a_slow_drawing_that_is_planned_does_not_hold_up_a_quick_one(loop: Loop) -> None:
    rhythm = rhythm_of(loop)
    come(loop, rhythm, 5, rests=True)
    rhythm.plan(at_once=False, rests=True)
    start = loop.now
    rhythm.plan(at_once=False, rests=False)
    loop.until(start + CALM_S)
    assert loop.drawn[-1] >= start


def test_one_that_was_stopped_draws_no_more(loop: Loop) -> None:
    rhythm = rhythm_of(loop)
    rhythm.plan(at_once=True, rests=False)
    rhythm.stop()
    loop.until(loop.now + 10)
    rhythm.plan(at_once=True, rests=False)
    loop.until(loop.now + 10)
    assert loop.drawn == []
