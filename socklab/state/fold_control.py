"""The fold, control: what the engine waits for, what the lesson offers.

In: a LabState and one event. Out: the LabState after it. `BUSY` lists the events after which the engine is busy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from socklab.protocol import events as ev
from socklab.state.model import Folds, LabState


def _done(state: LabState, event: ev.Done) -> LabState:
    return replace(state, t=event.t)


def _ready(state: LabState, event: ev.Ready) -> LabState:
    return replace(state, t=event.t, ready=event)


def _offered(state: LabState, event: ev.Offered) -> LabState:
    return replace(state, t=event.t, offer=event if event.lines else None)


FOLDS: Folds = {ev.Done: _done, ev.Ready: _ready, ev.Offered: _offered}


def busy_after(fold: Callable[[LabState, Any], LabState]) -> Callable[[LabState, Any], LabState]:
    """The same fold, for an event after which the engine is not Ready."""

    def folded(state: LabState, event: ev.Event) -> LabState:
        after = fold(state, event)
        return after if after.ready is None else replace(after, ready=None)

    return folded


def gone_on(fold: Callable[[LabState, Any], LabState]) -> Callable[[LabState, Any], LabState]:
    """The same fold, for Resumed: a task that waited for a step has got one. That it may be paused stays true."""

    def folded(state: LabState, event: ev.Resumed) -> LabState:
        after = fold(state, event)
        return replace(after, ready=None) if after.ready is not None and event.tid in after.ready.held else after

    return folded
