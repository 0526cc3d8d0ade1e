"""What a task does at this moment, in the kernel's words: held before a call, asleep in it, running, ended and how.

In: LabState. Out: words, and answers to small questions about tasks. Says "asleep" only when the kernel says so,
"before" and "after" only at a real stop.
"""

from __future__ import annotations

from socklab import state as st
from socklab.core.signals import signal_name
from socklab.lesson import canonical
from socklab.ui.view.formats import call_name, count, descriptors_of, error_words, failed
from socklab.ui.view.lines import Line

# si_code values, sigaction(2)
_SEGV = {1: "is not mapped", 2: "may not be accessed that way"}
_KILLED_BY = {
    13: "it wrote to a connection that nobody reads any more",
    9: "somebody sent it, and it cannot be caught",
}
_ENDS = {
    "quit": "the lab has ended",
    "done": "the lesson is over",
    "exited": "the program has ended",
    "killed": "the program was killed",
    "failed": "the lab has failed",
}

_APART_NS = 20_000_000
"""So long after its last call it was seen asleep: not just between two calls."""
_CALM_NS = 150_000_000
"""A task that has made no call for so long, and sleeps, does not only look so between two calls."""
_RATE_WINDOW_NS = 2_000_000_000
_WAITS_FOR_A_LINE = ("n_tty_read", "wait_woken")
"""Where the kernel sleeps in a read of a terminal (drivers/tty/n_tty.c)."""


# ---------------------------------------------------------------- which tasks there are


def situation(state: st.LabState) -> str:
    """h held, r running, e over or not begun: of the task in focus while it lives, else of any."""
    if state.ended is not None:
        return "e"
    if state.task is not None and state.task.status != "exited":
        return "h" if state.task.status == "held" else "r"
    statuses = {task.status for task in state.tasks.values()}
    return "h" if "held" in statuses else "r" if "running" in statuses else "e"


def living(state: st.LabState) -> list[int]:
    """Tasks that have not ended."""
    return [tid for tid, task in state.tasks.items() if task.status != "exited"]


def held(state: st.LabState) -> list[int]:
    """Tasks that wait for a command."""
    return [tid for tid, task in state.tasks.items() if task.status == "held"]


def asleep(state: st.LabState, task: st.Task) -> bool:
    """The task sleeps in the kernel, in the call that is shown or in one that is not traced; or it has left."""
    return state.blocked(task.tid) or sleeps_unseen(state, task) or has_left(state, task)


def has_left(state: st.LabState, task: st.Task) -> bool:
    """The first thread of a process has ended, a zombie until the others have, which go on."""
    row = state.processes.get(task.tid)
    return task.status == "running" and row is not None and row.state == "Z" and row.threads > 1


def sleeps_unseen(state: st.LabState, task: st.Task) -> bool:
    """It sleeps in a call that is not traced. A program that is busy was asleep at the last look, too, now and then."""
    row = state.processes.get(task.tid)
    if task.status != "running" or task.in_call or row is None or row.state not in ("S", "D"):
        return False
    last = task.call.returned if task.call is not None else None
    if last is None or state.t - last.t >= _CALM_NS:
        return True
    return state.process_seen.get(task.tid, 0) - last.t >= _APART_NS


def neighbour(state: st.LabState, by: int) -> int:
    """The living task before or after the one in focus, in the order they came; 0 when there is no other."""
    tids = living(state)
    if state.focus not in tids:
        return tids[0 if by > 0 else -1] if tids else 0
    found = tids[(tids.index(state.focus) + by) % len(tids)]
    return found if found != state.focus else 0


def waits_for_input(state: st.LabState) -> bool:
    """The followed task sleeps in a read from a terminal: one that is seen, or where the kernel waits for a line."""
    task = state.task
    if task is None:
        return False
    fd = -1
    if state.blocked(task.tid) and task.call is not None:
        from socklab.syscalls.groups import fd_argument

        name = call_name(state, task.call.entered.nr)
        place = fd_argument(name) if canonical(name) == "read" else None
        fd = task.call.entered.args[place] & 0xFFFFFFFF if place is not None else -1
    elif sleeps_unseen(state, task) and state.processes[task.tid].waits_in in _WAITS_FOR_A_LINE:
        fd = 0
    descriptor = descriptors_of(state, task.pid).get(fd)
    return descriptor is not None and descriptor.target.startswith(("/dev/pts/", "/dev/tty"))


def client_of_call(state: st.LabState) -> str:
    """The client whose connection the followed task's call is about, "" when it is about none."""
    task = state.task
    if task is None or task.call is None:
        return ""
    from socklab.syscalls.groups import fd_argument

    place = fd_argument(call_name(state, task.call.entered.nr))
    row = state.socket_of(task.pid, task.call.entered.args[place] & 0xFFFFFFFF) if place is not None else None
    if row is None or row.state == st.LISTEN:
        return ""
    return next((known for known, client in state.clients.items() if client.local == row.remote), "")


# ---------------------------------------------------------------- in words


def program_words(state: st.LabState) -> Line:
    """What the task in focus does, and the others in numbers; after the end, how it ended."""
    task = state.task
    if state.ended is not None:
        how = _ENDS.get(state.ended.reason, "the lab is over")
        if task is None or task.status != "exited":
            return ((how, "strong"),)
        return ((how, "strong"), (": ", "dim"), *task_words(state, task))
    if task is None:
        return (("starting the program" if state.header is not None else "starting", "dim"),)
    said = task_words(state, task)
    rate = calls_per_second(state) if task.status == "running" and not state.blocked(task.tid) else 0
    if rate:
        said = (*said, (f", {count(rate)} calls/s", "number"))
    others = [
        each
        for each in state.tasks.values()
        if each.status != "exited" and each.tid != task.tid and not has_left(state, each)
    ]
    if not others:
        return said
    return ((f"{task.tid} ", "name"), *said, (f"  ({_counted(state, others)})", "dim"))


def calls_per_second(state: st.LabState) -> int:
    """Calls a second over the last of them, by the stream's own clock; 0 when they are few or long ago."""
    calls = state.calls
    for sample in (2000, 200, 20):
        if len(calls) >= sample:
            span = state.t - calls[-sample].entered.t
            if 0 < span <= _RATE_WINDOW_NS:
                return sample * 1_000_000_000 // span
    return 0


def _counted(state: st.LabState, tasks: list[st.Task]) -> str:
    """What these do, counted: "others: 1 held, 2 asleep"."""
    counted: dict[str, int] = {}
    for task in tasks:
        word = "held" if task.status == "held" else "asleep" if asleep(state, task) else "running"
        counted[word] = counted.get(word, 0) + 1
    known = [f"{count(counted[word])} {word}" for word in ("held", "running", "asleep") if word in counted]
    return f"{'other' if len(tasks) == 1 else 'others'}: {', '.join(known)}"


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
        return (("asleep in ", "strong"), (name, "name"))
    if task.in_call:
        return (("running ", "good"), (name, "name"))
    if has_left(state, task):
        return (("has ended, its threads go on", "dim"),)
    if sleeps_unseen(state, task):
        return (("asleep in the kernel", "strong"),)
    return (("running", "good"),)


def result_words(result: int) -> Line:
    """ " = 4", " = -1 EAGAIN"."""
    if failed(result):
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
