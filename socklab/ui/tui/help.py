"""The help page: every key, by what it is for, and how to read the screen.

In: a Theme. Out: a screen over the lab. Never acts.
"""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from socklab.ui.tui.keys import help_lines
from socklab.ui.tui.overlay import Overlay
from socklab.ui.tui.theme import Theme
from socklab.ui.view.lines import Line

_READING: tuple[tuple[str, str, str], ...] = (
    ("▶", "focus", "the line about to make the call"),
    ("*", "changed", "is different since the program last ran"),
    ("+", "new", "was not there before"),
    ("-", "gone", "is not there any more"),
    ("░", "mask", "hidden until you have answered"),
    ("■ ▶ ◌ ✗", "strong", "the program is held, running, asleep in a call, dead"),
    ("a b c ...", "key", "a choice of the open question: Enter commits, Esc just shows the answer"),
    ("[ ] ◆ ★", "strong", "timeline: where you are; a step of the lesson; a bookmark"),
)


def lines() -> list[Line]:
    """The whole page."""
    reading: list[Line] = [(("  Reading the screen", "title"),)]
    reading += [((f"  {mark:>13}", role), ("  ", ""), (text, "")) for mark, role, text in _READING]
    last: Line = (
        ("  Every action is in the command palette too (Ctrl+P). The mouse works on keys, tabs and stops.", "dim"),
    )
    copy: Line = (("  What the mouse has selected Ctrl-C copies; :pcap FILE writes the packets.", "dim"),)
    return [(), *help_lines(), (), *reading, (), last, copy]


class HelpScreen(Overlay):
    """Any key leaves it, but for those that scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "scroll(1)", show=False),
        Binding("q,question_mark,enter,f1", "leave", show=False),
    ]

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "help")

    def paint(self) -> None:
        self.view.show(lines(), self.titled("Keys ", " Esc closes, ↓ for more"))
