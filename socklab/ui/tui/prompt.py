"""The `:` prompt: one line typed, checked, completed, remembered; then a command.

In: keys. Out: commands for the engine, or an error shown in place. Never acts by itself, never sends a line that
does not parse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from socklab.commands import lines
from socklab.commands.arguments import Known
from socklab.commands.lines import hint
from socklab.commands.table import SCREEN
from socklab.core.errors import SocklabError
from socklab.ui.tui.failures import Sturdy

__all__ = ["Prompt", "completions", "hint", "parse"]

MOST_LETTERS = 2000
"""The longest line: each letter is checked and drawn as it comes, so a longer one would be slow to type."""


def parse(line: str) -> lines.Request:
    """What a typed line stands for. Raises UsageError: the nearest verb, or what the verb expects."""
    return lines.parse(line, SCREEN)


def completions(line: str, clients: Iterable[str], fds: Iterable[int] = ()) -> list[str]:
    """Lines that `line` may be meant to become. `fds`: descriptors that are open now."""
    return lines.completions(line, Known(clients, fds))


def _common(found: list[str]) -> str:
    """The beginning all of them share."""
    first, last = min(found), max(found)
    length = next((i for i, letter in enumerate(first) if last[i : i + 1] != letter), len(first))
    return first[:length]


class Prompt(Sturdy, Input):
    """The line itself. Enter commits, Esc leaves, Tab completes, up and down walk through what was typed before."""

    DEFAULT_CSS = """
    Prompt { border: none; height: 1; padding: 0; background: $panel; }
    Prompt:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        Binding("tab", "complete", show=False),
        Binding("up", "older", show=False),
        Binding("down", "newer", show=False),
    ]

    class Left(Message):
        """The user leaves the prompt without committing."""

    class Said(Message):
        """A word to the user about what is typed; wrong = it is an error."""

        def __init__(self, text: str, *, wrong: bool) -> None:
            super().__init__()
            self.text = text
            self.wrong = wrong

    def __init__(self, clients: Callable[[], Iterable[str]], fds: Callable[[], Iterable[int]] = lambda: ()) -> None:
        super().__init__(compact=True, select_on_focus=False, max_length=MOST_LETTERS)
        self._clients = clients
        self._fds = fds
        self.past: list[str] = []
        self._at = 0
        self._cycle: list[str] = []

    def insert_text_at_cursor(self, text: str) -> None:
        """What is pasted may hold escape sequences: a letter that can't be printed becomes a blank."""
        room = MOST_LETTERS - len(self.value)
        super().insert_text_at_cursor(_printable(text[: max(1, room)]))

    def replace(self, text: str, start: int, end: int) -> None:
        super().replace(_printable(text[:MOST_LETTERS]), start, end)

    def restricted(self) -> None:
        """The line is full. Textual rings the bell for every letter more; a book pasted by mistake has many."""

    def begin(self, text: str) -> None:
        """Open with `text` typed already."""
        self._at = len(self.past)
        self._cycle = []
        self.value = text
        self.cursor_position = len(text)

    def remember(self, line: str) -> None:
        if line and self.past[-1:] != [line]:
            self.past.append(line)
            del self.past[:-200]

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_older(self) -> None:
        self._walk(-1)

    def action_newer(self) -> None:
        self._walk(1)

    def _walk(self, by: int) -> None:
        if self.past:
            self._at = max(0, min(len(self.past), self._at + by))
            self._put(self.past[self._at] if self._at < len(self.past) else "")

    def action_complete(self) -> None:
        """First Tab: the longest common beginning; further ones: each possibility in turn."""
        if self._cycle and self.value in self._cycle:
            self._put(self._cycle[(self._cycle.index(self.value) + 1) % len(self._cycle)])
            return
        self._cycle = found = completions(self.value, self._clients(), self._fds())
        if not found:
            return
        if len(found) == 1:
            self._put(found[0])
        else:
            common = _common(found)
            self._put(common if len(common) > len(self.value) else found[0])
            self.post_message(self.Said("  ".join(word.strip() for word in found), wrong=False))

    def _put(self, text: str) -> None:
        self.value = text
        self.cursor_position = len(text)

    def checked(self) -> lines.Request | None:
        """The command of what is typed; None, and the error said, where it is none."""
        try:
            return parse(self.value)
        except SocklabError as error:
            self.post_message(self.Said(" ".join(filter(None, (error.what, error.fix))), wrong=True))
            return None


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
