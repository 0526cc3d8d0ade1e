"""The traced processes and threads as a tree: what each does, and the kernel's word for it.

In: tasks of the fold and rows of /proc/PID/stat. Out: a line a process, children and threads under their parent.
"""

from __future__ import annotations

from collections.abc import Iterator

from socklab import events as ev
from socklab import state as st
from socklab.text import safe
from socklab.tui.lines import Line, Span, View, width, wrap
from socklab.tui.panels.common import count, fit, plural, size, words
from socklab.tui.panels.statusline import task_words

TITLE = "Processes"

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


def title(state: st.LabState) -> str:
    """ "Processes 3": those alive."""
    alive = {task.pid for task in state.tasks.values() if task.status != "exited"}
    return f"{TITLE} {count(len(alive))}" if alive else TITLE


def render(state: st.LabState, view: View) -> list[Line]:
    if not state.tasks:
        return fit(words("No process yet.", view), view)
    children: dict[int, list[st.Task]] = {}
    for task in state.tasks.values():
        parent = task.parent if task.parent in state.tasks and task.parent != task.tid else 0
        children.setdefault(parent, []).append(task)
    room = 500 if view.maximised else max(8, 3 * view.height)
    lines: list[Line] = []
    for line in _tree(state, children, 0, "", view):
        lines.append(line)
        if len(lines) >= room:
            lines.append(((f"… {plural(len(state.tasks), 'task')} in all", "dim"),))
            break
    return fit(lines, view)


def _tree(state: st.LabState, children: dict[int, list[st.Task]], parent: int, stem: str, view: View) -> Iterator[Line]:
    own = children.get(parent, [])
    for place, task in enumerate(own):
        last = place == len(own) - 1
        branch = "" if not parent else stem + ("└ " if last else "├ ")
        below = "" if not parent else stem + ("  " if last else "│ ")
        yield from _task(state, task, branch, below, view)
        if len(stem) < _DEEP:
            yield from _tree(state, children, task.tid, below, view)


def _task(state: st.LabState, task: st.Task, branch: str, below: str, view: View) -> Iterator[Line]:
    row = state.processes.get(task.tid)
    thread = task.tid != task.pid
    name = safe(row.name) if row is not None else "thread" if thread else _program(state, task)
    focus = task.tid == state.focus
    said = task_words(state, task)
    head: list[Span] = [
        (branch, "dim"),
        (name, "strong" if focus else ""),
        (f" {task.tid}", "name"),
        (" thread" if thread and name != "thread" else "", "dim"),
        ("  ", ""),
        *said,
    ]
    facts = _facts(row, task, view)
    if task.status == "exited" and width(tuple(head)) > view.width:
        yield tuple(head[: -len(said)])
        yield from wrap(((below + "  ", ""), *said), view.width, indent=min(len(below) + 2, view.width - 1))
        return
    if width(tuple(head)) + 2 + width(facts) <= view.width:
        yield (*head, ("  ", ""), *facts)
        return
    yield tuple(head)
    if facts and (focus or len(state.tasks) < 4):
        yield ((below + "  ", "dim"), *facts)


def _program(state: st.LabState, task: st.Task) -> str:
    """The started program's file name, for a process whose row is gone."""
    if state.started is None or task.tid != state.started.pid or not state.started.argv:
        return "process"
    return safe(state.started.argv[0].rpartition("/")[2]) or "process"


def _facts(row: ev.ProcessRow | None, task: st.Task, view: View) -> Line:
    if row is None or task.status == "exited":
        return ()
    letter = safe(row.state)
    said = STATES.get(letter, "")
    spans: list[Span] = [(letter, "number"), (f" {said}", "dim")]
    if letter in ("S", "D") and row.waits_in not in ("", "0"):
        spans.append((f" in {safe(row.waits_in)}", "name"))
    if row.rss_bytes and view.width >= 44:
        spans.append((f"  {size(row.rss_bytes)}", "number"))
        spans.append((" resident", "dim"))
    if row.cpu_ms and view.width >= 70:
        spans.append((f"  {count(row.cpu_ms)} ms", "number"))
        spans.append((" on the CPU", "dim"))
    return tuple(spans)
