"""The fold, program: tasks and their calls: entered, returned, held, resumed, forked, ended.

In: a LabState and one event. Out: the LabState after it.
"""

from __future__ import annotations

from msgspec.structs import replace

from socklab.protocol import events as ev
from socklab.state.model import MOST_EXITED, Call, Changed, Folds, LabState, Task


def _with_task(state: LabState, task: Task, t: int) -> LabState:
    return replace(state, t=t, tasks={**state.tasks, task.tid: task})


def _task(state: LabState, tid: int) -> Task:
    """The task, made up from what is known when the stream never announced it (a cut recording)."""
    known = state.tasks.get(tid)
    return known if known is not None else Task(tid=tid, pid=tid, host=state.started.host if state.started else "")


def _enter(state: LabState, event: ev.Enter) -> LabState:
    task = _task(state, event.tid)
    calls = state.calls if task.call is None or task.call.returned is not None else state.calls.append(task.call)
    task = replace(task, call=Call(number=state.entered, entered=event), status="running", at="")
    return replace(state, t=event.t, tasks={**state.tasks, event.tid: task}, entered=state.entered + 1, calls=calls)


def _return(state: LabState, event: ev.Return) -> LabState:
    task = _task(state, event.tid)
    if task.call is None:  # the stream begins inside a call
        return replace(state, t=event.t)
    state = _step_left(state, event.tid)
    call = replace(task.call, returned=event)
    return replace(
        state,
        t=event.t,
        tasks={**state.tasks, event.tid: replace(task, call=call)},
        calls=state.calls.append(call),
        errors=state.errors + (-4096 < event.result < 0),
    )


def _held(state: LabState, event: ev.Held) -> LabState:
    task = _task(state, event.tid)
    call = task.call
    if call is not None and event.at == "enter":
        call = replace(call, stack=event.stack)
    task = replace(task, status="held", at=event.at, stack=event.stack, unlined=event.unlined, call=call)
    return replace(state, t=event.t, tasks={**state.tasks, event.tid: task}, focus=event.tid, stops=state.stops + 1)


def _place(state: LabState, event: ev.Place) -> LabState:
    task = _task(state, event.tid)
    call = replace(task.call, stack=event.stack) if task.call is not None else None
    return _with_task(state, replace(task, stack=event.stack, unlined=event.unlined, call=call), event.t)


def _resumed(state: LabState, event: ev.Resumed) -> LabState:
    state = _step_left(state, event.tid)
    task = replace(_task(state, event.tid), status="running", at="", signal=None)
    return replace(
        state, t=event.t, tasks={**state.tasks, event.tid: task}, changed=_nothing_new(state), evidence=None, ran=None
    )


def _nothing_new(state: LabState) -> Changed:
    return Changed(packet=state.packets[-1].id if len(state.packets) else 0)


def _step_left(state: LabState, tid: int) -> LabState:
    """The lesson's step is over for the task: a held one is resumed, a sleeping one's call returns."""
    if state.step is None or state.step_left is not None or tid != state.focus:
        return state
    return replace(state, step_left=state)


def _signal(state: LabState, event: ev.Signal) -> LabState:
    task = replace(_task(state, event.tid), signal=event)
    return replace(_with_task(state, task, event.t), signals=state.signals.append(event))


def _forked(state: LabState, event: ev.Forked) -> LabState:
    parent = _task(state, event.tid)
    pid = parent.pid if event.kind == "thread" else event.child
    child = Task(tid=event.child, pid=pid, host=parent.host, parent=event.tid)
    known = state.tasks.get(event.child)
    if known is not None:  # its first stop was seen before the parent's report
        child = replace(known, pid=pid, host=parent.host, parent=event.tid)
    return _with_task(state, child, event.t)


def _execed(state: LabState, event: ev.Execed) -> LabState:
    tasks = {tid: task for tid, task in state.tasks.items() if task.pid != event.tid or tid == event.tid}
    task = _task(state, event.tid)
    former = state.tasks.get(event.former) if event.former else None
    tasks[event.tid] = replace(task, call=former.call if former else task.call, exited=None)
    return replace(state, t=event.t, tasks=tasks)


def _exited(state: LabState, event: ev.Exited) -> LabState:
    task = _task(state, event.tid)
    calls = state.calls
    if task.call is not None and task.call.returned is None:
        calls = calls.append(task.call)  # exit_group and the like never return
    state = replace(_with_task(state, replace(task, status="exited", at="", exited=event), event.t), calls=calls)
    return state if len(state.tasks) <= 2 * MOST_EXITED else _without_the_oldest(state)


def _without_the_oldest(state: LabState) -> LabState:
    """A server that forks for every client leaves thousands behind: the last MOST_EXITED that ended are kept."""
    over = [tid for tid, task in state.tasks.items() if task.status == "exited" and tid != state.focus]
    dropped = frozenset(over[:-MOST_EXITED])
    return replace(state, tasks={tid: task for tid, task in state.tasks.items() if tid not in dropped})


FOLDS: Folds = {
    ev.Enter: _enter,
    ev.Return: _return,
    ev.Held: _held,
    ev.Place: _place,
    ev.Resumed: _resumed,
    ev.Signal: _signal,
    ev.Forked: _forked,
    ev.Execed: _execed,
    ev.Exited: _exited,
}
