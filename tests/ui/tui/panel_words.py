"""How tests read lines: as text, and by role."""

from __future__ import annotations

from socklab import state as st
from socklab.ui.tui.panels import registry
from socklab.ui.tui.panels.panel import Panel, RowsPanel
from socklab.ui.tui.panels.source import SourcePanel
from socklab.ui.view.formats import count
from socklab.ui.view.lines import Line, View, clip, plain

WIDTHS = (35, 38, 58, 100)
"""The call card at 80x24, the narrow column, the column at 120x36, a maximised panel."""


def text(drawn: list[Line]) -> str:
    return "\n".join(map(plain, drawn))


def roles_of(drawn: list[Line], piece: str) -> set[str]:
    """Roles of the spans that hold `piece`."""
    return {word for line in drawn for said, role in line if piece in said for word in role.split()}


def forget_windows() -> None:
    """The source panel keeps its place in a file: let the next picture depend on its state alone."""
    source = registry.panel("source")
    assert isinstance(source, SourcePanel)
    source._tops.clear()


def drawn_whole(panel: Panel, state: st.LabState, view: View) -> list[Line]:
    """All of a panel that has room at its size: of very many rows those about the chosen one, or the first."""
    if not isinstance(panel, RowsPanel) or not panel.rows(state, view):
        return panel.render(state, view)
    body = panel.body(state, view)
    keys = panel.rows(state, view)
    room = max(1, view.height - 1 - len(body.foot))
    if body.tail or body.foot:  # the newest ones, and the chosen one among them
        chosen = panel.line_of(state, view, view.selected) if view.selected in keys else -1
        last = len(body.lines) if chosen < 0 else min(len(body.lines), max(room, chosen + 1))
        shown = list(body.lines[max(0, last - room) : last])
        shown += [()] * (room - len(shown)) if body.foot else []
    else:
        shown = list(body.lines[: room if len(keys) <= room else room - 1])
        if len(keys) > len(shown):
            shown.append(((f" … {count(len(keys) - len(shown))} more", "dim"),))
    return [clip(line, view.width) for line in (*body.head, *shown, *body.foot)]
