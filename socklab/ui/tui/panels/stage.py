"""The stage: the whole lab in one drawing, process | kernel | wire | other host.

In: a LabState. Out: the lines of `ui/stage`. What a prediction hides is masked in the drawing, part by part.
"""

from __future__ import annotations

from collections.abc import Sequence

from socklab import state as st
from socklab.ui.stage.drawing import Picture, draw
from socklab.ui.stage.movement import Still
from socklab.ui.tui.panels.panel import Body, Panel
from socklab.ui.view.formats import fit
from socklab.ui.view.lines import Key, Line, View


class StagePanel(Panel):
    """What the tables tell, joined: who holds what, what waits where, what crosses."""

    title_text = "Stage"
    masks_itself = True

    def nothing(self, state: st.LabState) -> str:
        return "" if state.header is not None else "Nothing has begun yet."

    def lines(self, state: st.LabState, view: View) -> list[Line]:
        return _picture(state, view).lines

    def body(self, state: st.LabState, view: View) -> Body:
        if self.nothing(state):
            return super().body(state, view)
        picture = _picture(state, view)
        return Body(fit(picture.lines, view), still=Still(state, picture))

    def choices(self, state: st.LabState, view: View) -> Sequence[Key]:
        return [key for key in _picture(state, view).keys if key is not None]

    def line_of(self, state: st.LabState, view: View, key: Key) -> int:
        keys = _picture(state, view).keys
        return keys.index(key) if key in keys else -1

    def at(self, state: st.LabState, view: View, line: int) -> Key | None:
        keys = _picture(state, view).keys
        return keys[line] if line < len(keys) else None

    def row_of(self, state: st.LabState, key: Key | None) -> tuple[str, Key | None]:
        """Everything on the stage is a row of one of the tables."""
        if key is None:
            return "queues" if state.listeners else "descriptors", None
        name, number = key
        if name == "fd":
            return "descriptors", (str(state.task.pid if state.task is not None else 0), number)
        return ("clients" if name in state.clients and not number else "sockets"), key


def _picture(state: st.LabState, view: View) -> Picture:
    return draw(
        state,
        view.width,
        max(2, view.height),
        hidden=view.hidden,
        pointed=view.pointed,
        selected=view.selected,
    )
