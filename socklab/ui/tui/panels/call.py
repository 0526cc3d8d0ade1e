"""The call card: what is about to be asked of the kernel, in its own words; after the return, what came of it.

In: the focused task's call, decoded by socklab.syscalls. Out: the call in one piece, a line for each argument with
what it means, bytes of buffers and addresses where there is room. "About to call" and "returned" are said in words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from socklab import state as st
from socklab.core.signals import signal_name
from socklab.core.text import safe
from socklab.lesson import canonical
from socklab.protocol import events as ev
from socklab.ui.tui.panels.panel import Panel
from socklab.ui.tui.widgets import hexdump, htons_hint, more, poll_table
from socklab.ui.view.formats import (
    arch,
    call_name,
    count,
    descriptors_of,
    error_words,
    failed,
    sleeps_in,
    words,
)
from socklab.ui.view.index import client_index
from socklab.ui.view.lines import EMPTY, Line, Span, View, clip, column, spread, whole_words, width, wrap
from socklab.ui.view.tasks import task_words

if TYPE_CHECKING:
    from socklab.syscalls.call import DecodedArg, DecodedCall

SLEEPS_UNTIL = {
    "accept": "no connection waits in the accept queue",
    "read": "nothing has arrived to be read",
    "write": "the send queue has no room",
    "connect": "the handshake is not complete",
    "select": "none of its descriptors is ready",
    "poll": "none of its descriptors is ready",
    "epoll_wait": "none of its descriptors is ready",
    "io_uring_enter": "too little is complete",
    "wait": "no child has ended",
    "futex": "another thread holds what it waits for",
}
"""Why a call sleeps, by the lesson's word for it. Shown only when the kernel says that the task does sleep."""


class CallPanel(Panel):
    """The call in hand."""

    title_text = "Call"
    evidence_of = "call"
    new_at_stop = True

    def number(self, state: st.LabState) -> str:
        task = state.task
        return call_name(state, task.call.entered.nr) if task is not None and task.call is not None else ""

    def folded(self, state: st.LabState, room: int) -> Line:
        """`accept(3, …)  ▶ about to call`: of the arguments as many as fit, the moment always."""
        task = state.task
        if task is None or task.call is None:
            return super().folded(state, room)
        moment = _moment(state, task, task.call)
        decoded = _decoded(state, task, task.call)
        for said in (moment, moment[:1]):
            for args in range(len(decoded.args), -1, -1):
                line = (*_spelled(decoded, 24, args), ("  ", ""), *said)
                if width(line) <= room:
                    return line
        return clip(moment, room)

    def nothing(self, state: st.LabState) -> str:
        return "" if state.task is not None else "No call yet."

    def lines(self, state: st.LabState, view: View) -> list[Line]:
        task = state.task
        if task is None:
            return []
        if task.call is None:
            never = words("No call has been made yet.", view) if task.status == "running" else []
            return [task_words(state, task), *never]
        decoded = _decoded(state, task, task.call)
        head = [_heading(state, task, task.call, view), *_call(decoded, view)]
        outcome = _outcome(state, task, decoded, view)
        table = poll_table.table(state, task, task.call, view, view.height - len(head))
        head += [*table, *outcome, *htons_hint.lines(decoded, view.width)]
        if table:
            # The lists themselves are told by the table; what is left of the arguments comes below it.
            decoded = replace(
                decoded, args=tuple(arg for arg in decoded.args if arg.name not in poll_table.LISTS), meaning=""
            )
        lines = [*head, *_body(decoded, view, view.height - len(head))]
        return [*lines, *_more(task.call, decoded, view, view.height - len(lines))] if view.maximised else lines


def _more(call: st.Call, decoded: DecodedCall, view: View, room: int) -> list[Line]:
    """With the screen to itself: the raw numbers, where it was called from, what it can fail with; each that fits."""
    errors = [line for error in more.errors(decoded.name) for line in wrap((("  ", ""), *error), view.width, indent=4)]
    parts = (
        [(("raw", "title"),), *more.flow(more.call(call, decoded.name, len(decoded.args)), view.width, 2)],
        [(("called from", "title"),), *((("  ", ""), more.frame(each)) for each in call.stack)] if call.stack else [],
        [(("errors it can have", "title"),), *errors] if errors and not decoded.errno else [],
    )
    lines: list[Line] = []
    for part in parts:
        if part and len(lines) + len(part) < room:
            lines += [EMPTY, *part]
    return lines


def _decoded(state: st.LabState, task: st.Task, call: st.Call) -> DecodedCall:
    from socklab.syscalls import decode

    return decode(arch(state), call.entered, call.returned, _target(state, task.pid))


def _target(state: st.LabState, pid: int) -> Callable[[int], str]:
    """What a descriptor is, for the decoder: the kernel's socket row in words, or the link of /proc/PID/fd."""

    def told(fd: int) -> str:
        descriptor = descriptors_of(state, pid).get(fd) or state.changed.descriptors.get((pid, fd))
        if descriptor is None:
            return ""
        row = state.socket_of(pid, fd) or _row_before(state, descriptor.inode)
        if row is None:
            return f"{descriptor.detail} socket" if descriptor.detail else descriptor.target
        if row.state == st.LISTEN:
            return f"listener {row.local}"
        client = client_index(state).at(state, row.remote)
        return f"connection to {client or row.remote}"

    return told


def _row_before(state: st.LabState, inode: int) -> ev.SocketRow | None:
    """The row a socket had before the call that closed its descriptor."""
    rows = state.changed.sockets.values() if inode and len(state.changed.sockets) < 100 else ()
    return next((row for row in rows if row is not None and row.inode == inode), None)


# ---------------------------------------------------------------- what is going on


def _heading(state: st.LabState, task: st.Task, call: st.Call, view: View) -> Line:
    """Before or after, in words and by a sign; the call's number at the right."""
    said = _moment(state, task, call)
    number: Line = ((f"call {count(call.number + 1)}", "dim"),)
    return spread(said, number, view.width) if width(said) + width(number) + 2 <= view.width else clip(said, view.width)


def _moment(state: st.LabState, task: st.Task, call: st.Call) -> Line:
    returned = call.returned
    if task.status == "exited":
        return (("· ", "dim"), ("never returned" if returned is None else "the last call", "strong"))
    if task.status == "held" and task.at == "enter":
        return (("▶ ", "strong"), ("about to call", "strong"))
    if task.status == "held" and task.at == "return" and returned is not None:
        return (("✗ returned an error", "strong bad"),) if failed(returned.result) else (("✓ returned", "strong good"),)
    if task.status == "held" and task.at == "signal" and task.signal is not None:
        return (("! ", "warn"), (f"{signal_name(task.signal.signo)} is about to be delivered", "strong warn"))
    if state.blocked(task.tid):
        return (("▷ ", "focus"), ("asleep in the call", "strong"))
    if task.in_call:
        return (("▷ ", "good"), ("in the kernel", "strong"))
    what = "paused; the last call" if task.status == "held" else "running; the last call"
    return (("· ", "dim"), (what, "strong"))


def _call(decoded: DecodedCall, view: View) -> list[Line]:
    """`accept(3, {…}, [16]) = 4`, in at most three lines."""
    most = 2 if view.compact else 3
    lines = wrap(_spelled(decoded, 10_000), view.width, indent=min(2, view.width - 1))
    if len(lines) <= most:
        return lines
    # Too long: arguments are cut so that all of them, and above all the result, stay in sight.
    taken = len(decoded.name) + len(decoded.result) + 5
    room = max(6, (most * (view.width - 4) - taken) // max(1, len(decoded.args)) - 2)
    return wrap(_spelled(decoded, room), view.width, indent=min(2, view.width - 1))[: most + 1]


def _spelled(decoded: DecodedCall, room: int, most: int = 10) -> Line:
    """The call as one line, every argument in at most `room` cells, at most so many of them."""
    spans: list[Span] = [(safe(decoded.name), "strong name"), ("(", "dim")]
    last = len(decoded.args) - 1
    for place, arg in enumerate(decoded.args[:most]):
        spans.append((_shortened(safe(arg.text), room), _role(arg)))
        spans.append((", " if place < last else "", "dim"))
    spans.append(("…)" if most <= last else ")", "dim"))
    if decoded.result:
        spans += [(" = ", "dim"), (safe(decoded.result), "strong bad" if decoded.errno else "strong good")]
    return tuple(spans)


def _shortened(text: str, room: int) -> str:
    """Of flags those that fit whole; anything else is cut anywhere."""
    ((shown, _),) = clip(((text, ""),), room)
    flags = shown.removesuffix("…").rpartition("|")[0]
    return f"{flags}|…" if shown != text and flags and text[:1] not in '"{[' else shown


def _role(arg: DecodedArg) -> str:
    if arg.text[:1] == '"':
        return "string"
    if arg.fields or arg.text[:1] == "{":
        return "path"
    return "number" if arg.text[:1].isdigit() or arg.text[:1] == "-" else "name"


def _outcome(state: st.LabState, task: st.Task, decoded: DecodedCall, view: View) -> list[Line]:
    """What the result means; for a call that sleeps, where and why."""
    if decoded.errno:
        said: Line = (
            (safe(decoded.errno), "strong bad"),
            (": ", "dim"),
            (safe(decoded.outcome) or error_words(-(decoded.value or 0))[1], ""),
        )
        return wrap(said, view.width, indent=2)
    if decoded.result:
        return wrap(((safe(decoded.outcome), "good"),), view.width, indent=2) if decoded.outcome else []
    if not state.blocked(task.tid):
        return []
    process = state.processes.get(task.tid) or state.processes.get(task.pid)
    where = sleeps_in(process)
    why = SLEEPS_UNTIL.get(canonical(decoded.name), "")
    spans: list[Span] = [("sleeping", "strong")]
    if where:
        spans += [(" in ", ""), (where, "name")]
    if why:
        spans.append((f": {why}", ""))
    return wrap(tuple(spans), view.width, indent=2)


# ---------------------------------------------------------------- arguments and their bytes


def _body(decoded: DecodedCall, view: View, room: int) -> list[Line]:
    """A line an argument. What room is left goes, in this order, to the bytes of structs, to meanings that are longer

    than their line, to what the call is for, to the bytes of buffers.
    """
    names = min(12, max((len(arg.name) for arg in decoded.args), default=0)) + 1
    every = "hex" in view.expanded or view.maximised
    blocks = [[_argument(arg, names, view)] for arg in decoded.args]
    left = room - len(blocks)
    for block, arg in zip(blocks, decoded.args, strict=True):
        if arg.fields and (every or left >= 2):
            shown = hexdump.fields(arg.data, arg.fields, view.width, 99 if every else left)
            block += shown
            left -= len(shown)
    for block, arg in zip(blocks, decoded.args, strict=True):
        if _is_buffer(arg) and not arg.fields:
            continue
        whole = _whole_argument(arg, names, view)
        if len(whole) - 1 <= left:
            left -= len(whole) - 1
            block[:1] = whole
    meaning = words(safe(decoded.meaning), view) if decoded.meaning else []
    buffers = [arg for arg in decoded.args if not arg.fields and _is_buffer(arg)]
    # After the return the bytes say more than the purpose of the call, which was told before it.
    wanted = 6 if buffers and decoded.result else 3 if buffers else 0
    if view.compact or len(meaning) + wanted > left:
        meaning = []
    left -= len(meaning)
    for block, arg in zip(blocks, decoded.args, strict=True):
        if arg in buffers and (every or left >= 3 or hexdump.fits(arg.data, view.width, left)):
            shown = hexdump.hexdump(arg.data, view.width, 64 if every else left)
            block += shown
            left -= len(shown)
    gap = [EMPTY] if left > 0 and not view.compact else []
    return [*meaning, *gap, *(line for block in blocks for line in block)]


def _is_buffer(arg: DecodedArg) -> bool:
    """Bytes worth showing one by one: a lone int behind a pointer is told by its text."""
    return len(arg.data) > 8 or (len(arg.data) > 0 and arg.text[:1] == '"')


def _argument(arg: DecodedArg, names: int, view: View) -> Line:
    """Name, value, meaning on one line, whatever is lost by it."""
    name = column(safe(arg.name), names, "dim")
    value: Span = (safe(arg.text), _role(arg))
    # A long buffer is whole in the call above; its meaning keeps a part of the line.
    if arg.meaning and arg.text[:1] == '"' and width((name, value)) > view.width * 2 // 3:
        ((text, role),) = clip((value,), max(8, view.width * 2 // 3 - names))
        value = (text, role)
    line: Line = (name, value)
    meaning = whole_words(safe(arg.meaning), view.width - width(line) - 2)
    if meaning:
        line = (*line, ("  ", ""), (meaning, ""))
    return clip(line, view.width)


def _whole_argument(arg: DecodedArg, names: int, view: View) -> list[Line]:
    """The same with nothing of the meaning lost, on as many lines as that takes."""
    name = column(safe(arg.name), names, "dim")
    value: Span = (safe(arg.text), _role(arg))
    meaning: Span = (safe(arg.meaning), "")
    if not arg.meaning or width((name, value, meaning)) + 2 <= view.width or names + 8 > view.width:
        return [_argument(arg, names, view)]
    if width((name, value)) <= view.width // 3:
        return wrap((name, value, ("  ", ""), meaning), view.width, indent=width((name, value)) + 2)
    return [clip((name, value), view.width), *wrap(((" " * names, ""), meaning), view.width, indent=names)]
