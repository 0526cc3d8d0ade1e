"""The fold, run: the run itself: its header, what was built and started, notices, the end.

In: a LabState and one event. Out: the LabState after it.
"""

from __future__ import annotations

from msgspec.structs import replace

from socklab.protocol import events as ev
from socklab.state.model import Folds, LabState, Task


def _started(state: LabState, event: ev.Started) -> LabState:
    task = Task(tid=event.pid, pid=event.pid, host=event.host)
    return replace(state, t=event.t, started=event, focus=event.pid, tasks={**state.tasks, event.pid: task})


FOLDS: Folds = {
    ev.Header: lambda state, event: replace(state, t=event.t, header=event),
    ev.Source: lambda state, event: replace(state, t=event.t, sources={**state.sources, event.path: event}),
    ev.Built: lambda state, event: replace(state, t=event.t, built=event),
    ev.Started: _started,
    ev.Output: lambda state, event: replace(state, t=event.t, output=state.output.append(event)),
    ev.Notice: lambda state, event: replace(state, t=event.t, notices=state.notices.append(event)),
    ev.Ended: lambda state, event: replace(state, t=event.t, ended=event),
}
