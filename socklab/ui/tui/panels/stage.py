"""The whole lab in one picture: the process and its call, the listener and its queue, the clients.

In: LabState. Out: a line for each of them. Masks what belongs to hidden panels by itself. Never guesses.
"""

from __future__ import annotations

from socklab import state as st
from socklab.core.text import safe
from socklab.ui.tui.panels.panel import Panel
from socklab.ui.tui.widgets.formats import count
from socklab.ui.tui.widgets.lines import Line, View, client_role
from socklab.ui.tui.widgets.tasks import task_words

_HIDDEN = ("░ hidden until you answer", "mask")


class StagePanel(Panel):
    """Process, kernel, clients."""

    title_text = "Stage"
    masks_itself = True

    def nothing(self, state: st.LabState) -> str:
        return "" if state.task is not None else "The program has not started yet."

    def lines(self, state: st.LabState, view: View) -> list[Line]:
        task = state.task
        if task is None:
            return []
        hidden = bool(view.hidden & {"queues", "sockets"})
        lines: list[Line] = [(("process ", "dim"), (str(task.pid), "number"), ("  ", ""), *task_words(state, task))]
        for listener in state.listeners[:3]:
            depth: Line = (_HIDDEN,) if hidden else ((f"{listener.rx_queue} of {listener.tx_queue}", "number"),)
            mark = ("▸ ", "focus") if view.pointed == "listener" else ("  ", "")
            head: Line = (mark, ("LISTEN ", "listen"), (safe(listener.local), "path"), ("  accept queue ", "dim"))
            lines.append((*head, *depth))
        for host, table in list(state.tables.items())[:3]:
            opened = table.states.get(st.ESTABLISHED, 0)
            told: Line = (_HIDDEN,) if hidden else ((count(opened), "number"), (" ESTABLISHED", ""))
            lines.append((("host ", "dim"), (safe(host), "path"), ("  ", ""), *told))
        if state.clients:
            names = list(state.clients)[:20]
            marked = [(f"▸{safe(name)} " if view.pointed == f"client {name}" else f"{safe(name)} ") for name in names]
            named = tuple((text, client_role(name)) for text, name in zip(marked, names, strict=True))
            lines.append((("clients ", "dim"), (count(len(state.clients)), "number"), ("  ", ""), *named))
        return lines
