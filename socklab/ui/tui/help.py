"""The help page: every key, by what it is for, and how to read the screen.

In: a Theme. Out: a screen over the lab. Never acts.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from socklab.ui.tui.failures import Sturdy
from socklab.ui.tui.keys import help_lines
from socklab.ui.tui.theme import Theme
from socklab.ui.tui.widgets.line_view import LineView
from socklab.ui.tui.widgets.lines import Line

_READING: tuple[tuple[str, str, str], ...] = (
    ("▶", "focus", "the line about to make the call"),
    ("*", "changed", "is different since the program last ran"),
    ("+", "new", "was not there before"),
    ("-", "gone", "is not there any more"),
    ("░", "mask", "hidden until you have answered"),
    ("■ ▶ ◌ ✗", "strong", "the program is held, running, asleep in a call, dead"),
    ("a b c ...", "key", "a choice of the open question: Enter commits, Esc just shows the answer"),
    ("[ ] ◆", "strong", "timeline: where you are; a step of the lesson"),
)


def lines() -> list[Line]:
    """The whole page."""
    reading: list[Line] = [(("  Reading the screen", "title"),)]
    reading += [((f"  {mark:>13}", role), ("  ", ""), (text, "")) for mark, role, text in _READING]
    last: Line = (
        ("  Every action is in the command palette too (Ctrl+P). The mouse works on keys, tabs and stops.", "dim"),
    )
    return [(), *help_lines(), (), *reading, (), last]


class HelpScreen(Sturdy, ModalScreen[None]):
    """Any key leaves it, but for those that scroll."""

    DEFAULT_CSS = "HelpScreen { align: center middle; } HelpScreen LineView { max-width: 100; max-height: 52; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll(-1)", show=False),
        Binding("down,space", "scroll(1)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
        Binding("pagedown", "scroll(10)", show=False),
        Binding("escape,q,question_mark,enter,f1", "leave", show=False),
    ]

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._view = LineView(theme, name="help")

    def compose(self) -> ComposeResult:
        yield self._view

    def on_line_view_resized(self) -> None:
        left, right = "Keys ", " Esc closes, ↓ for more"
        rule = "━" * max(0, self._view.size.width - len(left) - len(right) - 1)
        title: Line = ((left, "focus"), (rule, "focus"), (right, "dim"))
        self._view.show(lines(), title)

    def action_scroll(self, by: int) -> None:
        self._view.scroll_by(by)

    def action_leave(self) -> None:
        if self.is_current:  # two keys in one burst
            self.dismiss()
