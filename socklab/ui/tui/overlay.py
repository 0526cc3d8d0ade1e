"""A screen over the lab's: one list of lines with a title, scrolled; what help, palette and evidence have in common.

In: a Theme. Out: a modal screen that Esc leaves. Subclasses say what is listed (`paint`) and which keys do what.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from socklab.ui.tui.failures import Sturdy
from socklab.ui.tui.theme import Theme
from socklab.ui.tui.widgets.line_view import LineView
from socklab.ui.view.lines import Line, cell_len, clip


class Overlay(Sturdy, ModalScreen[str]):
    """Dismissed with what was chosen in it, "" = nothing."""

    DEFAULT_CSS = "Overlay { align: center middle; } Overlay LineView { max-width: 100; max-height: 52; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
        Binding("pagedown", "scroll(10)", show=False),
        Binding("home", "scroll(-100000)", show=False),
        Binding("end", "scroll(100000)", show=False),
        Binding("escape", "leave", show=False),
    ]

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self.view = LineView(theme, name=name)

    def compose(self) -> ComposeResult:
        yield self.view

    def on_line_view_resized(self) -> None:
        self.paint()

    async def on_line_view_wanted(self, message: LineView.Wanted) -> None:
        message.stop()
        await self.run_action(message.action)

    def paint(self) -> None:
        """Show what there is now."""
        raise NotImplementedError

    def use(self, theme: Theme) -> None:
        self.view.use(theme)

    def titled(self, left: str, right: str) -> Line:
        """The title's line: what it is at the left, how to leave it at the right."""
        room = self.view.body_width - cell_len(right)
        head = clip(((left, "focus"),), room - 1)
        rule = "━" * max(0, room - sum(cell_len(text) for text, _ in head))
        return (*head, (rule, "focus"), (right, "dim"))

    def leave(self, result: str = "") -> None:
        """Once: two keys may come in one burst."""
        if self.is_current:
            self.dismiss(result)

    def action_scroll(self, by: int) -> None:
        self.view.scroll_by(by)

    def action_leave(self) -> None:
        self.leave()
