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

from socklab.commands import actions, wire
from socklab.core.errors import SocklabError, UsageError
from socklab.core.suggest import suggest
from socklab.protocol import commands as cmd

CLIENT_VERBS = ("send", "half-close", "close", "reset", "stop-reading", "read")
_PROGRAM_VERBS = {
    "step": "step: to the next stop",
    "over": "over: to the next call",
    "next": "next: to the lesson's next step",
    "until": "until accept | read fd=4 | write errno=EPIPE | any error; alone: run freely",
    "pause": "pause: hold the program",
    "stdin": 'stdin hello: a line for the program; stdin "a\\x00b": these bytes alone',
    "pcap": "pcap FILE: write the packets so far as a capture",
    "quit": "quit",
}
VERBS = {**actions.VERBS, **_PROGRAM_VERBS}
"""Every verb of the prompt with the line it expects."""


MOST_LETTERS = 2000
"""The longest line: each letter is checked and drawn as it comes, so a longer one would be slow to type."""


class Export(str):
    """A file to write the packets so far to: nothing the engine is asked for."""


def parse(line: str) -> cmd.AnyCommand | Export:
    """The command a typed line stands for. Raises UsageError: the nearest verb, or what the verb expects."""
    line = line.strip()
    verb, _, rest = line.partition(" ")
    rest = rest.strip()
    plain: dict[str, Callable[[], cmd.AnyCommand]] = {
        "step": cmd.Step,
        "over": lambda: cmd.Step(over=True),
        "next": lambda: cmd.Continue("step"),
        "until": lambda: cmd.Continue(_condition(rest)),
        "pause": cmd.Pause,
        "quit": cmd.Quit,
    }
    if verb in plain:
        if rest and verb != "until":
            raise UsageError(f"{verb} stands alone.", fix=VERBS[verb])
        return plain[verb]()
    if verb == "stdin":
        return cmd.Input(_quoted(rest))
    if verb == "pcap":
        if not rest:
            raise UsageError("pcap: the file's name is missing.", fix=VERBS[verb])
        return Export(rest)
    if not verb:
        raise UsageError("Nothing typed.", fix="connect, send a, close a, until accept ...")
    if verb not in VERBS and not line.startswith("!"):
        raise UsageError(f'No verb "{verb}".', fix=suggest(verb, VERBS, listed=0) or "Tab lists the verbs.")
    actions.parse(line)  # the engine parses it again; here it only must be in order
    return cmd.Do(line)


def _condition(text: str) -> str:
    """The condition, found to be in order; "" = run freely."""
    if text and text != "step":
        from socklab.commands import conditions

        conditions.parse(text)
    return text


def _quoted(rest: str) -> bytes:
    """The bytes of a quoted word, with the escapes that `send` knows; unquoted text ends in a newline."""
    if not rest.startswith('"'):
        return rest.encode("utf-8", "surrogateescape") + b"\n"
    action = actions.parse(f"send a {rest}")
    return action.data if isinstance(action, actions.Send) else b""


def completions(line: str, clients: Iterable[str], fds: Iterable[int] = ()) -> list[str]:
    """Lines that `line` may be meant to become: verbs first, then names of clients, or words of a stop condition.

    `fds`: descriptors that are open now.
    """
    verb, blank, rest = line.partition(" ")
    if not blank:
        return [f"{known} " for known in VERBS if known.startswith(verb)]
    if verb in CLIENT_VERBS and " " not in rest:
        return [f"{verb} {name} " for name in clients if name.startswith(rest)]
    if verb in wire.VERBS:
        return [f"{verb} {text}" for text in _wire_words(verb, rest, clients)]
    if verb == "until":
        from socklab.ui.tui.completing import conditions

        return [f"until {text}" for text in conditions(rest, fds)]
    return []


def _wire_words(verb: str, rest: str, clients: Iterable[str]) -> list[str]:
    """`rest` with its last word finished: kinds of packets, ends, and what the verb knows besides."""
    before, _, last = rest.rpartition(" ")
    previous = before.rpartition(" ")[2]
    if previous in ("from", "to"):
        words: Iterable[str] = (*wire.HOSTS, *clients)
    elif verb == "release":
        words = wire.SCOPES
    else:
        words = (*wire.KINDS, "from", "to", *(("next",) if verb in ("hold", "drop", "reorder") else ()))
    start = f"{before} " if before else ""
    return [f"{start}{word} " for word in words if word.startswith(last)]


def _common(lines: list[str]) -> str:
    """The beginning all of them share."""
    first, last = min(lines), max(lines)
    length = next((i for i, letter in enumerate(first) if last[i : i + 1] != letter), len(first))
    return first[:length]


class Prompt(Input):
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

    def checked(self) -> cmd.AnyCommand | Export | None:
        """The command of what is typed; None, and the error said, where it is none."""
        try:
            return parse(self.value)
        except SocklabError as error:
            self.post_message(self.Said(" ".join(filter(None, (error.what, error.fix))), wrong=True))
            return None


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def hint(line: str) -> str:
    """How the verb that is being typed is used."""
    verb = line.strip().partition(" ")[0] or ""
    if verb.startswith("!"):
        verb = "!"
    if verb in VERBS:
        return VERBS[verb]
    found = [known for known in VERBS if known.startswith(verb)] if verb else []
    return (
        VERBS[found[0]]
        if len(found) == 1
        else "  ".join(found or ("connect 5", 'send a "hi"', "until accept", "! curl ..."))
    )
