"""The process's part of the stage: a box for each process, its descriptors as rows, the call it makes at the bottom.

In: a Scene with the row each object is drawn in. Out: for each process as many lines as there are rows. A descriptor
stands in the row of the object it refers to, so that the arrow to it is straight.
"""

from __future__ import annotations

from collections.abc import Mapping

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.stage.scene import Item
from socklab.ui.view.formats import call_name, failed, marker
from socklab.ui.view.index import holder_index
from socklab.ui.view.lines import Line, clip, pad, width
from socklab.ui.view.tasks import asleep, has_left

_ROOMY = 13
"""Cells inside a box from which on words are whole."""
_BESIDE = 4
"""Cells that a mark and the number of a descriptor take."""
_PLAIN_LOOKED_AT = 24
"""Descriptors without an object of their own that are listed."""


def box(
    state: st.LabState,
    pid: int,
    anchors: Mapping[int, Item],
    rows: int,
    cells: int,
    hidden: frozenset[str],
) -> tuple[list[Line], frozenset[int]]:
    """`rows` lines of `cells` cells, and the rows from which an arrow goes out. `anchors`: row to object."""
    inner = cells - 2
    body: dict[int, Line] = {}
    out: set[int] = set()
    for row, item in anchors.items():
        fds = [fd for of, fd in item.holders if of == pid]
        if fds and row < rows - 1:
            body[row] = _descriptors(state, pid, fds, item, inner, hidden)
            out.add(row)
    room = rows - 2 - max(body, default=0)
    calls = _calls(state, pid, inner if room > 0 else inner - 3, max(1, room))
    below = len(calls) <= room
    top = rows - 1 - len(calls) if below else rows - 1
    free = [row for row in range(1, top) if row not in body]
    body.update(zip(free, _plain(state, pid, inner, len(free), anchors, hidden), strict=False))
    if below:
        body.update(enumerate(calls, top))
    lines: list[Line] = [_title(state, pid, cells)]
    for row in range(1, rows - 1):
        edge = ("●", "strong") if row in out else ("│", "rule")
        lines.append((("│", "rule"), *pad(clip(body.get(row, ()), inner), inner), edge))
    said: Line = () if below or not calls else clip((("─ ", "rule"), *calls[0], (" ", "")), inner)
    lines.append((("╰", "rule"), *said, ("─" * (inner - width(said)) + "╯", "rule")))
    return lines[:rows], frozenset(out)


def _title(state: st.LabState, pid: int, cells: int) -> Line:
    row = state.processes.get(pid)
    name = safe(row.name) if row is not None else "process"
    focus = state.task is not None and state.task.pid == pid
    text = f" {name} {pid} " if len(name) + len(str(pid)) + 5 <= cells else f" {pid} "
    line: Line = (("╭", "rule"), *clip(((text, "title" if focus else "dim"),), cells - 2))
    return (*line, ("─" * max(0, cells - 1 - width(line)) + "╮", "rule"))


def _descriptors(state: st.LabState, pid: int, fds: list[int], item: Item, cells: int, hidden: frozenset[str]) -> Line:
    numbers = ",".join(map(str, fds[:3])) + ("…" if len(fds) > 3 else "")
    change = _change(state, pid, fds)
    if "descriptors" in hidden:
        return (("  ░ ", "mask"),)
    kind = "socket" if item.kind == "connection" else item.kind
    kind = "listen" if kind == "listener" and cells < _ROOMY else kind
    pointed = item.mark == "fd" and state.task is not None and state.task.pid == pid
    shown = f"▸{numbers} " if pointed else f"{numbers:<2} "
    return (marker(change), (shown, change or ("strong" if pointed else "number")), (kind, "" if change else "dim"))


def _change(state: st.LabState, pid: int, fds: list[int]) -> str:
    for fd in fds:
        if (pid, fd) in state.changed.descriptors:
            return "new" if state.changed.descriptors[pid, fd] is None else "changed"
    return ""


def _plain(
    state: st.LabState, pid: int, cells: int, rows: int, anchors: Mapping[int, Item], hidden: frozenset[str]
) -> list[Line]:
    """Descriptors without an object of their own on the stage: those of one file on one line."""
    if "descriptors" in hidden:
        return []
    drawn = {fd for item in anchors.values() for of, fd in item.holders if of == pid}
    table = state.descriptors.get(pid, st.NO_DESCRIPTORS)
    groups: dict[str, list[int]] = {}
    fds = holder_index(state).fds(state, pid)
    for fd in fds[:_PLAIN_LOOKED_AT]:
        descriptor = table.get(fd)
        if fd not in drawn and descriptor is not None:
            groups.setdefault(_kind(descriptor, cells), []).append(fd)
    lines: list[Line] = []
    for kind, numbers in groups.items():
        change = _change(state, pid, numbers)
        run = len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1
        shown = f"{numbers[0]}-{numbers[-1]}" if run else " ".join(map(str, numbers[:3])) + " …" * (len(numbers) > 3)
        lines.append((marker(change), (f"{shown} ", change or "dim"), (kind, "dim")))
    if len(fds) > _PLAIN_LOOKED_AT:
        lines.append(((f" … {len(fds) - _PLAIN_LOOKED_AT:,} more", "dim"),))
    if len(lines) > rows > 0:
        lines[rows - 1 :] = [((f" … {len(lines) - rows + 1} more", "dim"),)]
    return lines


def _kind(descriptor: ev.Descriptor, cells: int) -> str:
    target = safe(descriptor.target)
    if target.startswith(("/dev/pts/", "/dev/tty")):
        return "terminal" if cells >= _ROOMY else "tty"
    kind, colon, _ = target.partition(":[")
    if colon:
        return kind
    if target.startswith("anon_inode:"):
        return target.removeprefix("anon_inode:").strip("[]")
    name = target.rpartition("/")[2]
    return name if len(name) <= cells - _BESIDE else "file"


def _tasks(state: st.LabState, pid: int) -> list[st.Task]:
    """Living threads of the process, the one in focus first."""
    tasks = [t for t in state.tasks.values() if t.pid == pid and t.status != "exited" and not has_left(state, t)]
    return sorted(tasks, key=lambda task: task.tid != state.focus)


def _calls(state: st.LabState, pid: int, cells: int, most: int) -> list[Line]:
    """The call and what becomes of it, on one line or two; of several threads a line for each."""
    tasks = _tasks(state, pid)
    if len(tasks) > 1:
        lines = [_thread(state, task) for task in tasks[:most]]
        if len(tasks) > most > 1:
            lines[-1] = ((f"+{len(tasks) - most + 1} threads", "dim"),)
        return lines
    if not tasks:
        return []
    task = tasks[0]
    said, role = _status(state, task)
    if task.call is None:
        return [((said, role),)]
    name = call_name(state, task.call.entered.nr)
    first = _first(state, task)
    words = (f"{name}({first})", f"{name}({first.partition(',')[0]})", name)
    if most > 1:
        shown = next((text for text in words if len(text) <= cells), name)
        return [((shown, "name"),), ((said if len(said) <= cells else _SHORT.get(said, said), role),)]
    said = _SHORT.get(said, said)
    shown = next((text for text in words[1:] if len(text) + 1 + len(said) <= cells), "")
    return [((f"{shown} ", "name"), (said, role)) if shown else ((name, "name"),)]


def _thread(state: st.LabState, task: st.Task) -> Line:
    """ "■ accept = 4", "◌ read": held, asleep, running."""
    name = call_name(state, task.call.entered.nr) if task.call is not None else str(task.tid)
    said, role = _status(state, task)
    sign = "■" if task.status == "held" else "◌" if said == "asleep" else "▶"
    result = f" {said}" if said.startswith("=") else ""
    return ((f"{sign} ", role), (name, "name"), (result, role))


def _first(state: st.LabState, task: st.Task) -> str:
    """The descriptor a call is about, "3, …"; else …"""
    from socklab.syscalls.groups import fd_argument
    from socklab.syscalls.rows import ROWS

    assert task.call is not None
    name = call_name(state, task.call.entered.nr)
    more = name not in ROWS or len(ROWS[name].parameters) > 1
    return f"{task.call.entered.args[0] & 0xFFFFFFFF}{', …' if more else ''}" if fd_argument(name) == 0 else "…"


_SHORT = {"about to call": "before"}


def _status(state: st.LabState, task: st.Task) -> tuple[str, str]:
    if task.status == "held":
        if task.at == "enter":
            return "about to call", "strong"
        if task.at == "return" and task.call is not None and task.call.returned is not None:
            result = task.call.returned.result
            if failed(result):
                from socklab.syscalls.errors import errno_name

                return f"= -1 {errno_name(-result)}", "bad"
            return f"= {result}", "strong"
        return "held", "strong"
    if asleep(state, task):
        return "asleep", "warn"
    return "running", "good"
