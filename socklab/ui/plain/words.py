"""Calls, places, signals and checks as text.

In: pieces of a LabState. Out: lines of visible text. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from socklab import state as st
from socklab.core.signals import signal_name
from socklab.core.text import safe
from socklab.lesson import Lesson, shown
from socklab.probes import call_name
from socklab.protocol import events as ev
from socklab.syscalls import watching
from socklab.syscalls.call import DecodedArg, DecodedCall
from socklab.syscalls.decoding import decode

_FRAMES = 4
"""Places of a call stack that are told."""


def _decode(state: st.LabState, task: st.Task | None, call: st.Call) -> DecodedCall:
    table = state.descriptors.get(task.pid) if task is not None else None

    def target(fd: int) -> str:
        found = table.get(fd) if table is not None else None
        return found.target if found is not None else ""

    return decode(_arch(state), call.entered, call.returned, target)


def decoded(state: st.LabState, task: st.Task | None, call: st.Call) -> tuple[str, str]:
    """The call as text without and with its result."""
    found = _decode(state, task, call)
    text = f"{found.name}({', '.join(safe(arg.text) for arg in found.args)})"
    return text, f"{text} = {safe(found.result)}" if found.result else text


def who(state: st.LabState, tid: int) -> str:
    """Which task, when there are several."""
    return f"[{tid}] " if len(state.tasks) > 1 else ""


def signal_text(event: ev.Signal) -> str:
    """`SIGPIPE, sent by the kernel`."""
    if event.sender and event.code <= 0:
        return f"{signal_name(event.signo)}, sent by process {event.sender},"
    at = f", for address 0x{event.addr:x}," if event.addr and event.signo in (4, 7, 8, 11) else ""
    return f"{signal_name(event.signo)}{at}"


def after_handler(state: st.LabState, task: st.Task) -> str:
    """What becomes of the call that the signal has cut short, once the handler has run. Source: signal(7)."""
    returned = task.call.returned if task.call is not None else None
    if returned is None or task.call is None:
        return ""
    name = call_name(state, task.call)
    if returned.result == -512:  # ERESTARTSYS
        return f"; then {name} fails with EINTR, or is made again where the handler was installed with SA_RESTART"
    return f"; then {name} fails with EINTR" if returned.result in (-514, -516) else ""


def place(state: st.LabState, stack: tuple[ev.Frame, ...]) -> Iterator[str]:
    """`server.c:41 in main: int client = accept(listener, 0, 0);` and who called that."""
    for position, frame in enumerate(stack[:_FRAMES]):
        source = state.sources.get(frame.path)
        name = safe(frame.path.rpartition("/")[2])
        inside = f" in {safe(frame.function)}" if frame.function else ""
        if position:
            yield f"called from {name}:{frame.line}{inside}"
        else:
            lines = source.text.splitlines() if source is not None else []
            text = safe(lines[frame.line - 1].strip()) if 0 < frame.line <= len(lines) else ""
            yield f"{name}:{frame.line}{inside}: {text}".removesuffix(": ")


def explained(state: st.LabState, task: st.Task, call: st.Call, *, whole: bool = False) -> list[tuple[str, str]]:
    """(indent, line): what the call asks for and what each argument means; after the return, what came of it.

    `whole`: all of that, and the bytes of structs field by field.
    """
    found = _decode(state, task, call)
    lines = []
    if whole or call.returned is None:
        lines += [("  ", safe(found.meaning))] if found.meaning else []
        for arg in found.args:
            meaning = f": {safe(arg.meaning)}" if arg.meaning else ""
            lines.append(("    ", f"{safe(arg.name)} = {safe(arg.text)}{meaning}"))
            lines += [("      ", line) for line in _bytes(arg)] if whole or arg.name == "addr" else []
    if call.returned is not None:
        lines += [("  ", safe(found.outcome))] if found.outcome else []
        ready = _ready(state, task, call)
        lines += [("  ", ready)] if ready else []
    return lines


def _bytes(arg: DecodedArg) -> Iterator[str]:
    """A struct's bytes as they lie in memory, and what each field of it says."""
    for field in arg.fields:
        data = arg.data[field.offset : field.offset + field.size]
        yield f"{data.hex(' ')}  {safe(field.name)} = {safe(field.text)}"


def _ready(state: st.LabState, task: st.Task, call: st.Call) -> str:
    """`ready: descriptor 4 for read`, of a call that waits for several; "" for any other, and when none is."""
    table = state.descriptors.get(task.pid)
    instance = table.get(call.entered.args[0] & 0xFFFFFFFF) if table else None
    interest = instance.watches if instance is not None else ()
    rows = watching.watched(_arch(state), call.entered, call.returned, interest) or []
    said = [
        f"{f'descriptor {row.fd}' if row.fd >= 0 else f'data {row.data}'} for {safe(row.ready)}"
        for row in rows
        if row.ready
    ]
    return f"ready: {', '.join(said)}" if said else ""


def _arch(state: st.LabState) -> str:
    return state.header.arch if state.header is not None else "x86_64"


def source_around(state: st.LabState) -> list[str]:
    """The lines around the place where the task in focus is, that line marked with `>`."""
    task = state.task
    frame = task.stack[0] if task is not None and task.stack else None
    source = state.sources.get(frame.path) if frame is not None else None
    if frame is None or source is None:
        why = f": {safe(task.unlined)}" if task is not None and task.unlined else ""
        return [f"  no line information here{why}"]
    return [
        f"{'>' if number == frame.line else ' '} {number:4}  {safe(line, lines=True)}"
        for number, line in enumerate(source.text.splitlines(), 1)
        if abs(number - frame.line) <= 8
    ]


def check_table(lesson: Lesson, state: st.LabState) -> list[str]:
    """One line a check, in columns, those that came out alike together; and how many held."""
    rows = []
    for index, check in sorted(state.checks.items()):
        claim = lesson.checks[index].claim if index < len(lesson.checks) else f"{check.probe} is {check.expected}"
        found = check.reason if check.value is None else shown(check.value)
        rows.append(("held" if check.held else "FAILED", safe(claim), safe(found)))
    width = max((len(claim) for _, claim, _ in rows), default=0)
    lines = [
        f"{verdict:<6}  {claim:<{width}}  measured: {found}" + (f", {many} times" if many > 1 else "")
        for (verdict, claim, found), many in Counter(rows).items()
    ]
    held = sum(check.held for check in state.checks.values())
    left = len(lesson.checks) - len(rows)
    return [*lines, f"{held} held, {len(rows) - held} failed" + (f", {left} not reached." if left > 0 else ".")]


def step_title(lesson: Lesson, index: int) -> str:
    """`Step 2 of 6: after listen`."""
    at = lesson.steps[index].at
    where = {"enter": "before", "blocked": "asleep in", "return": "after"}[at.when]
    return f"Step {index + 1} of {len(lesson.steps)}: {where} {safe(at.syscall)}"
