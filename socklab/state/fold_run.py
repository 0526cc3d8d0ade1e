"""The fold, run: the run itself: its header, what was built and started, notices, the end.

In: a LabState and one event. Out: the LabState after it.
"""

from __future__ import annotations

from msgspec.structs import replace

from socklab.protocol import events as ev
from socklab.state.model import Folds, LabState, Task


def _header(state: LabState, event: ev.Header) -> LabState:
    return replace(state, t=event.t, header=event)


def _source(state: LabState, event: ev.Source) -> LabState:
    return replace(state, t=event.t, sources={**state.sources, event.path: event})


def _built(state: LabState, event: ev.Built) -> LabState:
    return replace(state, t=event.t, built=event)


def _started(state: LabState, event: ev.Started) -> LabState:
    task = Task(tid=event.pid, pid=event.pid, host=event.host)
    return replace(state, t=event.t, started=event, focus=event.pid, tasks={**state.tasks, event.pid: task})


def _output(state: LabState, event: ev.Output) -> LabState:
    return replace(state, t=event.t, output=state.output.append(event))


def _notice(state: LabState, event: ev.Notice) -> LabState:
    return replace(state, t=event.t, notices=state.notices.append(event))


def _ended(state: LabState, event: ev.Ended) -> LabState:
    return replace(state, t=event.t, ended=event)


FOLDS: Folds = {
    ev.Header: _header,
    ev.Source: _source,
    ev.Built: _built,
    ev.Started: _started,
    ev.Output: _output,
    ev.Notice: _notice,
    ev.Ended: _ended,
}
