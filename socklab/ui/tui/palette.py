"""The command palette (Ctrl+P): every action of the screen in one list, found by typing a part of its name.

In: the commands as the keymap leaves them, keys. Out: the action that was chosen, once. Never acts. It is not
Textual's, which fails on keys that come before its list is laid out, or after a command was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from textual import events
from textual.binding import Binding, BindingType

from socklab.ui.tui.overlay import Overlay
from socklab.ui.tui.theme import Theme
from socklab.ui.view.lines import Line, cell_len, column

_MOST_LETTERS = 40


class Choice(msgspec.Struct, frozen=True):
    """A line of the list."""

    label: str
    mark: str
    """Its key, or another short word beside the label."""
    help: str
    action: str
    """Of the screen; "" = it can't be chosen."""
    words: str = ""
    """What it is found by too."""
    here: bool = False
    """The list begins with this one chosen."""


class Palette(Overlay):
    """Dismissed with the chosen action, or "" for none. `title`: what the list is of."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("home", "move(-1000)", show=False),
        Binding("end", "move(1000)", show=False),
        Binding("backspace", "erase", show=False),
        Binding("enter", "choose", show=False),
        Binding("ctrl+p", "leave", show=False),
    ]

    def __init__(self, theme: Theme, title: str, choices: Sequence[Choice]) -> None:
        super().__init__(theme, "palette")
        self._title = title
        self._typed = ""
        self._all = choices
        self._chosen = next((place for place, each in enumerate(choices) if each.here), 0)
        self._columns = [max((cell_len(each.label) for each in choices), default=0) + 2, 0]
        self._columns[1] = max((cell_len(each.mark) for each in choices), default=0)
        self.view.cursor_rows = True
        self.view.row_action = lambda row: f"pick({row})"

    @property
    def _found(self) -> list[Choice]:
        """Those that have all the words typed in what is said of them."""
        words = self._typed.casefold().split()
        return [each for each in self._all if all(word in _text(each) for word in words)]

    def paint(self) -> None:
        found = self._found
        self._chosen = max(0, min(len(found) - 1, self._chosen))
        lines: list[Line] = [self._line(each, chosen=place == self._chosen) for place, each in enumerate(found)]
        title = self.titled(f"{self._title}: {self._typed}▏", " Enter does it, Esc closes")
        self.view.show(lines or [(("  no such line", "dim"),)], title, follow=True)

    def on_key(self, event: events.Key) -> None:
        if event.is_printable and event.character is not None and len(self._typed) < _MOST_LETTERS:
            event.stop()
            self._type(self._typed + event.character)

    def action_erase(self) -> None:
        self._type(self._typed[:-1])

    def _type(self, text: str) -> None:
        self._typed, self._chosen = text, 0
        self.paint()

    def action_move(self, by: int) -> None:
        self._chosen += by
        self.paint()

    def action_pick(self, row: int) -> None:
        """A click: does it."""
        self._chosen = row
        self.action_choose()

    def action_choose(self) -> None:
        found = self._found
        if self._chosen < len(found) and found[self._chosen].action:
            self.leave(found[self._chosen].action)

    def _line(self, choice: Choice, *, chosen: bool) -> Line:
        mark = ("▶ ", "current") if chosen else ("  ", "")
        label, beside = self._columns
        name = column(choice.label, label, "name" if choice.action else "dim")
        return (mark, name, (f"{choice.mark:>{beside}}  ", "key"), (choice.help, "" if choice.action else "dim"))


def _text(choice: Choice) -> str:
    return f"{choice.label} {choice.words} {choice.help}".casefold()
