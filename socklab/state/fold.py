"""The state after an event: one table of folds, gathered from the modules that each fold one subject.

In: events, in order. Out: LabState values. Pure; never knows whether the stream is live or recorded.
"""

from __future__ import annotations

from collections.abc import Iterable

from socklab.protocol import events as ev
from socklab.state import fold_control, fold_kernel, fold_lesson, fold_program, fold_run, fold_wire, noticing
from socklab.state.model import Folds, LabState

_FOLDS: Folds = {
    **fold_run.FOLDS,
    **fold_program.FOLDS,
    **fold_kernel.FOLDS,
    **fold_wire.FOLDS,
    **fold_lesson.FOLDS,
    **fold_control.FOLDS,
}
_FOLDS.update({kind: noticing_of(_FOLDS[kind]) for kind, noticing_of in noticing.NOTICING.items()})
_FOLDS.update({kind: fold_control.busy_after(_FOLDS[kind]) for kind in ev.BUSY})
_FOLDS[ev.Resumed] = fold_control.gone_on(_FOLDS[ev.Resumed])


def apply(state: LabState, event: ev.Event) -> LabState:
    """The state after `event`. Every event kind has a fold; an unknown one raises KeyError (a bug, not bad input)."""
    return _FOLDS[type(event)](state, event)


def apply_all(state: LabState, events: Iterable[ev.Event]) -> LabState:
    """The state after all of them."""
    for event in events:
        state = _FOLDS[type(event)](state, event)
    return state
