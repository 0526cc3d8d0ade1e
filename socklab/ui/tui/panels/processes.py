"""The traced processes and threads as a tree: what each does, and the kernel's word for it. The one the screen follows
is marked; the others are chosen here.

In: tasks of the fold, rows of /proc/PID/stat, descriptor tables. Out: a line a task, children and threads under their
parent; of those that have ended only the last few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.tui.panels.panel import Panel
from socklab.ui.tui.widgets import more
from socklab.ui.view.formats import count, plural, size, sleeps_in
from socklab.ui.view.lines import EMPTY, Key, Line, Span, View, plain, width, wrap
from socklab.ui.view.tasks import task_words

STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "uninterruptible sleep",
    "T": "stopped",
    "t": "stopped by the tracer",
    "Z": "zombie",
    "X": "dead",
    "I": "idle",
}
"""proc_pid_stat(5)."""

_DEEP = 24
_ENDED = 3
"""So many of a parent's children that have ended are shown: the last ones."""


class ProcessesPanel(Panel):
    """The tree of traced processes and threads."""

    title_text = "Processes"
    evidence_of = "processes"
    topic = "processes"
    follow = True
    chooses = "task"

    def title(self, state: st.LabState, view: View | None = None) -> str:
        """ "Processes 3": those alive; "Tasks 5" when there are threads among them."""
        alive = {task.pid for task in state.tasks.values() if task.status != "exited"}
        tasks = sum(task.status != "exited" for task in state.tasks.values())
        if tasks > len(alive):
            return f"Tasks {count(tasks)}"
        return f"{self.title_text} {count(len(alive))}" if alive else self.title_text

    def nothing(self, state: st.LabState) -> str:
        return "" if state.tasks else "No process yet."

    def lines(self, state: st.LabState, view: View) -> list[Line]:
        return [line for line, _ in _lines(state, view)]

    def choices(self, state: st.LabState, view: View) -> Sequence[Key]:
        return [("task", task.tid) for task, *_ in _walk(state) if task is not None]

    def chosen(self, state: st.LabState, stored: Key | None) -> Key | None:
        return "task", state.focus

    def at(self, state: st.LabState, view: View, line: int) -> Key | None:
        lines = _lines(state, view)
        return ("task", lines[line][1]) if line < len(lines) and lines[line][1] else None


def _sign(state: st.LabState, task: st.Task) -> Span:
    """■ held, ▶ running, ◌ asleep, ✗ died, ✓ ended well."""
    if task.exited is not None or task.status == "exited":
        well = task.exited is None or not (task.exited.signo or task.exited.code)
        return ("✓", "good") if well else ("✗", "bad")
    if task.status == "held":
        return "■", "focus"
    return ("◌", "dim") if plain(task_words(state, task)).startswith("asleep") else ("▶", "good")


# ---------------------------------------------------------------- the tree


def _walk(state: st.LabState) -> Iterator[tuple[st.Task | None, str, str, int]]:
    """(task, what stands before it, what stands before the lines below it, 0). None: so many more have ended."""
    children: dict[int, list[st.Task]] = {}
    for task in state.tasks.values():
        parent = task.parent if task.parent in state.tasks and task.parent != task.tid else 0
        children.setdefault(parent, []).append(task)
    yield from _branch(state, children, 0, "")


def _branch(
    state: st.LabState, children: dict[int, list[st.Task]], parent: int, stem: str
) -> Iterator[tuple[st.Task | None, str, str, int]]:
    own = children.get(parent, [])
    over = [task for task in own if task.status == "exited" and task.tid not in children and task.tid != state.focus]
    left_out = {task.tid for task in over[:-_ENDED]} if parent else set()
    shown = [task for task in own if task.tid not in left_out]
    if left_out:
        yield None, stem + "├ ", "", len(left_out)
    for place, task in enumerate(shown):
        last = place == len(shown) - 1
        branch = "" if not parent else stem + ("└ " if last else "├ ")
        below = "" if not parent else stem + ("  " if last else "│ ")
        yield task, branch, below, 0
        if len(stem) < _DEEP:
            yield from _branch(state, children, task.tid, below)


def _lines(state: st.LabState, view: View) -> list[tuple[Line, int]]:
    room = 500 if view.maximised else max(12, 4 * view.height)
    lines: list[tuple[Line, int]] = []
    for task, branch, below, over in _walk(state):
        if task is None:
            ended = f"{count(over)} more {'has' if over == 1 else 'have'} ended"
            lines.append((((f"  {branch}", "dim"), (ended, "dim")), 0))
        else:
            lines += [(line, task.tid) for line in _task(state, task, branch, below, view)]
        if len(lines) >= room:
            lines.append((((f"… {plural(len(state.tasks), 'task')} in all", "dim"),), 0))
            break
    return lines


def _task(state: st.LabState, task: st.Task, branch: str, below: str, view: View) -> Iterator[Line]:
    """Its line, and one for the facts where they have no room beside it."""
    row = state.processes.get(task.tid)
    several = len(state.tasks) > 1
    focus = several and task.tid == state.focus
    thread = task.tid != task.pid
    mark, role = _sign(state, task)
    said = task_words(state, task)
    if task.status == "exited" and row is not None and row.state == "Z":
        said = (*said, (", a zombie until it is waited for", "warn"))
    name = safe(row.name) if row is not None else "thread" if thread else _program(state, task)
    head: Line = (
        (f"{mark} ", "current" if focus else role),
        (branch, "dim"),
        (name, "strong" if focus else ""),
        (f" {task.tid}", "name"),
        (" thread" if thread and name != "thread" else "", "dim"),
        ("  ", ""),
    )
    indent = min(width(head[:2]) + 2, view.width - 1)
    margin: Span = ("  " + below + "  ", "dim")
    if width((*head, *said)) > view.width:
        yield head
        yield from wrap((margin, *said), view.width, indent=indent)
        facts = EMPTY
    else:
        room = view.width - width((*head, *said)) - 2
        facts = _facts(state, task, row, 1000, brief=several and not focus)
        if width(facts) > room:
            facts = _facts(state, task, row, room, brief=True) if several and not focus else EMPTY
        gap: Span = (" " * (2 + room - width(facts) if several else 2), "")
        yield (*head, *said, gap, *facts) if facts else (*head, *said)
    if not facts and not (view.compact and several and not focus):
        told = _facts(state, task, row, view.width - indent, brief=False)
        if told:
            yield (margin, *told)
    if view.maximised and len(state.tasks) * 4 <= view.height:
        yield from more.flow(more.task(state, task), view.width, indent)


def _program(state: st.LabState, task: st.Task) -> str:
    """The started program's file name, for a process whose row is gone or was never read."""
    if state.started is None or task.tid != state.started.pid or not state.started.argv:
        return "process"
    return safe(state.started.argv[0].rpartition("/")[2]) or "process"


def _facts(state: st.LabState, task: st.Task, row: ev.ProcessRow | None, cells: int, *, brief: bool) -> Line:
    """What the kernel keeps of it, as much as fits in `cells`. Memory, time, descriptors are those of its process."""
    if row is None or task.status == "exited":
        return ()
    letter = safe(row.state)
    kernel: list[Span] = [(letter, "number")]
    if not brief:
        kernel.append((f" {STATES.get(letter, '')}", "dim"))
        if letter in ("S", "D") and sleeps_in(row):
            kernel.append((f" in {sleeps_in(row)}", "name"))
    pieces: list[Line] = [tuple(kernel)]
    if task.tid == task.pid:
        table = state.descriptors.get(task.pid)
        if table is not None:
            pieces.append(((plural(len(table), "fd"), "number"),))
        if row.threads > 1:
            pieces.append(((plural(row.threads, "thread"), "number"),))
        if row.rss_bytes:
            pieces.append(((size(row.rss_bytes), "number"), ("" if brief else " resident", "dim")))
        if row.cpu_ms:
            pieces.append(((f"{count(row.cpu_ms)} ms", "number"), ("" if brief else " on the CPU", "dim")))
    spans: list[Span] = []
    for piece in pieces:
        gap: Line = (("  ", ""),) if spans else ()
        if width((*spans, *gap, *piece)) > cells:
            break
        spans += [*gap, *piece]
    return tuple(spans)
