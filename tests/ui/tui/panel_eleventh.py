"""A panel that no other file knows: what test_eleventh_panel.py registers."""

from __future__ import annotations

from collections.abc import Sequence

from socklab import state as st
from socklab.ui.tui.panels.panel import Body, Panel
from socklab.ui.tui.widgets.virtual_lines import VirtualLines
from socklab.ui.view.lines import Key, Line, View

ROWS: list[Key] = [("route", number) for number in range(1000)]


class RoutesPanel(Panel):
    """A thousand routes."""

    title_text = "Routes"

    def title(self, state: st.LabState, view: View | None = None) -> str:
        return f"Routes {len(ROWS)}"

    def relevance(self, state: st.LabState, call: str) -> int:
        return 2 if call == "listen" else 0

    def lines(self, state: st.LabState, view: View) -> list[Line]:
        return [self._line(key, view) for key in ROWS[: view.height]]

    def _line(self, key: Key, view: View) -> Line:
        return ((f"route number {key[1]}", "current" if view.selected == key else ""),)

    def body(self, state: st.LabState, view: View) -> Body:
        return Body(VirtualLines(ROWS, lambda key: self._line(key, view)), head=[(("destination", "dim"),)])

    def choices(self, state: st.LabState, view: View) -> Sequence[Key]:
        return ROWS

    def line_of(self, state: st.LabState, view: View, key: Key) -> int:
        return key[1]

    def at(self, state: st.LabState, view: View, line: int) -> Key | None:
        return ROWS[line]
