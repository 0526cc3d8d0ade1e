"""One line of truth: what the program is doing at this moment.

In: LabState. Out: one Line. Says "asleep" only when the kernel says so, "before" and "after" only at a real stop.
"""

from __future__ import annotations

from socklab import state as st
from socklab.ui.tui.lines import Line, Span
from socklab.ui.tui.panels.common import call_name, count, error_words, signal_name

# si_code values, sigaction(2)
_SEGV = {1: "is not mapped", 2: "may not be accessed that way"}
_KILLED_BY = {
    13: "it wrote to a connection that nobody reads any more",
    9: "somebody sent it, and it cannot be caught",
}

_APART_NS = 20_000_000
"""So long after its last call it was seen asleep: not just between two calls."""
_CALM_NS = 150_000_000
"""A task that has made no call for so long, and sleeps, does not only look so between two calls."""
_RATE_WINDOW_NS = 2_000_000_000


def line(state: st.LabState, past: bool = False) -> Line:
    """What the task in focus does; with `past`, that an earlier stop is shown."""
    spans: Line = _line(state)
    if past:
        spans = ((f"the past: stop {count(state.stops)}", "warn"), ("  ", ""), *spans)
    return spans


def _line(state: st.LabState) -> Line:
    task = state.task
    if state.ended is not None:
        how = _ENDS.get(state.ended.reason, "the lab is over")
        if task is None or task.status != "exited":
            return ((how, "strong"),)
        return ((how, "strong"), (": ", "dim"), *task_words(state, task))
    if task is None:
        return (("starting the program" if state.header is not None else "starting", "dim"),)
    spans: list[Span] = list(task_words(state, task))
    several = [each for each in state.tasks.values() if each.status != "exited" and each.tid != task.tid]
    if several:
        spans.insert(0, (f"{task.tid} ", "name"))
    if task.status == "running" and not task.in_call and not state.blocked(task.tid):
        rate = calls_per_second(state)
        if rate:
            spans.append((f", {count(rate)} calls/s", "number"))
    if several:
        spans.append((f"  ({others(state, several)})", "dim"))
    return tuple(spans)


def others(state: st.LabState, tasks: list[st.Task]) -> str:
    """What these do, counted: "others: 1 held, 2 asleep"."""
    counted: dict[str, int] = {}
    for task in tasks:
        asleep = state.blocked(task.tid) or sleeps_unseen(state, task)
        word = "held" if task.status == "held" else "asleep" if asleep else "running"
        counted[word] = counted.get(word, 0) + 1
    known = [f"{count(counted[word])} {word}" for word in ("held", "running", "asleep") if word in counted]
    return f"{'other' if len(tasks) == 1 else 'others'}: {', '.join(known)}"


_ENDS = {
    "quit": "the lab has ended",
    "done": "the lesson is over",
    "exited": "the program has ended",
    "killed": "the program was killed",
    "failed": "the lab has failed",
}


def task_words(state: st.LabState, task: st.Task) -> Line:
    """What one task does: "held before accept", "asleep in accept", "exited with status 0"."""
    name = call_name(state, task.call.entered.nr) if task.call is not None else ""
    if task.status == "exited":
        return _exit_words(state, task)
    if task.status == "held":
        if task.at == "enter" and name:
            return (("held before ", "strong"), (name, "name"))
        if task.at == "return" and task.call is not None and task.call.returned is not None:
            return (("held after ", "strong"), (name, "name"), *result_words(task.call.returned.result))
        if task.at == "signal" and task.signal is not None:
            return (("held at ", "strong"), (signal_name(task.signal.signo), "warn"))
        return (("paused in its own code", "strong"),)
    if state.blocked(task.tid):
        return (("asleep in ", "warn"), (name, "name"))
    if task.in_call:
        return (("running ", "good"), (name, "name"))
    if sleeps_unseen(state, task):
        return (("asleep in the kernel", "warn"),)
    return (("running", "good"),)


def sleeps_unseen(state: st.LabState, task: st.Task) -> bool:
    """It sleeps in a call that is not traced. A program that is busy was asleep at the last look, too, now and then."""
    row = state.processes.get(task.tid)
    if task.status != "running" or task.in_call or row is None or row.state not in ("S", "D"):
        return False
    last = task.call.returned if task.call is not None else None
    if last is None or state.t - last.t >= _CALM_NS:
        return True
    return state.process_seen.get(task.tid, 0) - last.t >= _APART_NS


def result_words(result: int) -> Line:
    """ " = 4", " = -1 EAGAIN"."""
    if -4096 < result < 0:
        return ((" = -1 ", "bad"), (error_words(-result)[0], "bad"))
    return ((" = ", "dim"), (str(result), "number"))


def _exit_words(state: st.LabState, task: st.Task) -> Line:
    exited = task.exited
    if exited is None:
        return (("gone", "dim"),)
    if not exited.signo:
        return ((f"exited with status {exited.code}", "good" if exited.code == 0 else "bad"),)
    why = _why(state, task)
    core = ", core dumped" if exited.core else ""
    return ((f"killed by {signal_name(exited.signo)}", "bad"), (f" ({why})" if why else "", ""), (core, "dim"))


def _why(state: st.LabState, task: st.Task) -> str:
    """What made the kernel send the signal that killed the task."""
    signo = task.exited.signo if task.exited is not None else 0
    for place in range(len(state.signals) - 1, max(-1, len(state.signals) - 50), -1):
        signal = state.signals[place]
        if signal.tid != task.tid or signal.signo != signo:
            continue
        if signo == 11 and signal.code in _SEGV:
            return f"address {signal.addr:#x} {_SEGV[signal.code]}"
        if signo in (4, 7, 8) and signal.code > 0:
            return f"at address {signal.addr:#x}"
        if signal.sender and signo != 13:
            return f"sent by process {signal.sender}"
        break
    return _KILLED_BY.get(signo, "")


def calls_per_second(state: st.LabState) -> int:
    """Calls a second over the last of them, by the stream's own clock; 0 when they are few or long ago."""
    calls = state.calls
    for sample in (2000, 200, 20):
        if len(calls) >= sample:
            span = state.t - calls[-sample].entered.t
            if 0 < span <= _RATE_WINDOW_NS:
                return sample * 1_000_000_000 // span
    return 0
