"""A run that nobody watches is given up when nothing moves any more: soon where nobody is left who could move it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from socklab.engine import stillness
from socklab.engine.stillness import NOBODY_S, STILL_S, Stillness
from socklab.protocol import events as ev
from socklab.state import LabState, apply
from tests.support import streams as lab
from tests.support.streams import PID

ASLEEP = (lab.enter("accept", 3), ev.Resumed(lab.t(), PID), lab.process("S"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made = SimpleNamespace(now=100.0, monotonic=lambda: made.now)
    monkeypatch.setattr(stillness, "time", made)
    return made


def until_given_up(clock: SimpleNamespace, state: LabState, *, acts: bool = False) -> float:
    """Seconds, of this state standing still."""
    watched, start = Stillness(), clock.now
    while not watched.given_up(state, lesson_acts=acts):
        clock.now += 1
    return clock.now - start


def test_a_program_that_nobody_can_wake_up_is_given_up_soon(clock: SimpleNamespace) -> None:
    state = lab.state_of(lab.start(), *ASLEEP)
    assert state.blocked(PID)
    assert until_given_up(clock, state) == NOBODY_S + 1
    assert until_given_up(clock, lab.state_of_from(state, lab.client("a", 1, "done"))) == NOBODY_S + 1


@pytest.mark.parametrize("phase", ["connecting", "running"])
def test_one_that_a_client_may_wake_up_yet_is_waited_for(clock: SimpleNamespace, phase: str) -> None:
    state = lab.state_of(lab.start(), *ASLEEP, lab.client("a", 1, phase))
    assert until_given_up(clock, state) == STILL_S + 1


def test_so_is_one_that_runs_and_one_whose_lesson_has_yet_to_act(clock: SimpleNamespace) -> None:
    assert until_given_up(clock, lab.state_of(lab.start(), lab.enter("accept", 3))) == STILL_S + 1
    assert until_given_up(clock, lab.state_of(lab.start(), *ASLEEP), acts=True) == STILL_S + 1


def test_timers_that_run_on_are_no_movement_and_a_client_that_comes_is(clock: SimpleNamespace) -> None:
    state = lab.state_of(lab.start(), *ASLEEP, lab.sockets(lab.listener()))
    watched = Stillness()
    for second in range(int(NOBODY_S)):
        clock.now += 1
        state = apply(state, lab.sockets(replace(lab.listener(), timer=1, expires_ms=second)))
        assert not watched.given_up(state, lesson_acts=False)
    clock.now += 2
    assert watched.given_up(state, lesson_acts=False)
    assert not watched.given_up(apply(state, lab.client("b", 2)), lesson_acts=False)
