"""Evidence as text: the raw thing that a fact was read from, its fields, the commands that show the same.

In: what is typed behind `raw`, the state, the engine's answers. Out: a command for the engine, text. Never sends one.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from socklab import evidence, guide, state as st
from socklab.core.errors import UsageError
from socklab.evidence import Page, Subject
from socklab.evidence.model import Line
from socklab.lesson import Lesson
from socklab.protocol import commands as cmd, events as ev


class Evidence:
    """What was asked for last. `width` 0 = never wrap."""

    def __init__(self, lesson: Lesson | None, width: int = 0) -> None:
        self._width = width
        self.begin(lesson)

    def begin(self, lesson: Lesson | None) -> None:
        """From a run's beginning."""
        self._lesson = lesson
        self._subject: Subject | None = None
        self._page: Page | None = None
        self._awaited: ev.Evidence | None = None

    def asked(self, words: str, state: st.LabState) -> tuple[cmd.AnyCommand | None, str]:
        """What to send for these words, and what can be told at once. Raises UsageError."""
        if self._lesson is not None and guide.masked(self._lesson, state):
            raise UsageError("A question is open.", fix="Answer it first.")
        verb, _, which = words.partition(" ")
        if verb == "run":
            return self._look(which), ""
        if not words:
            raise UsageError("Evidence of what?", fix=f"One of: {', '.join(evidence.PANELS)}.")
        subject = evidence.asked(words, state, self._lesson)
        if isinstance(subject, str):
            return None, f"{subject}\n"
        self._subject = subject
        if not subject.wants:
            return None, self._told(None, state)
        return cmd.Evidence(wants=subject.wants), ""

    def _look(self, which: str) -> cmd.AnyCommand:
        shells = self._page.shells if self._page is not None else ()
        number = int(which) if which.isdecimal() else 1 if not which else 0
        if not 1 <= number <= len(shells):
            has = f"There are {len(shells)} commands" if shells else "No command was told"
            raise UsageError(f"{has}.", fix="raw sockets   tells some, raw run 2   runs the second.")
        shell = shells[number - 1]
        if shell.elsewhere:
            raise UsageError(f"It is not run here: {shell.elsewhere}.")
        return cmd.Look(argv=shell.argv, host=shell.host, stdin=shell.stdin)

    def feed(self, event: ev.AnyEvent, state: st.LabState) -> str:
        """What an answer of the engine adds."""
        if isinstance(event, ev.Evidence) and self._subject is not None and event.wants == self._subject.wants:
            return self._told(event, state)
        if isinstance(event, ev.Ran):
            return self._text(evidence.ran(event))
        return ""

    def _told(self, answer: ev.Evidence | None, state: st.LabState) -> str:
        assert self._subject is not None
        arch = state.header.arch if state.header is not None else "x86_64"
        page = self._page = evidence.page(self._subject, answer, arch)
        lines: list[Line] = [((f"Evidence: {page.title}", ""),), *evidence.lines(page, self._width or 80)]
        if page.shells:
            lines += [(), (("The same is shown by:", ""),)]
        for number, shell in enumerate(page.shells, 1):
            where = f"not run here: {shell.elsewhere}" if shell.elsewhere else f"on {shell.host}"
            lines.append(((f"  {number}. {shell.text}  ({where})", ""),))
        if any(not shell.elsewhere for shell in page.shells):
            lines.append((("raw run 1 runs the first one there and then.", ""),))
        return self._text(lines)

    def _text(self, lines: Iterable[Line]) -> str:
        out: list[str] = []
        for line in lines:
            text = "".join(part for part, _role in line).rstrip()
            if not self._width or len(text) <= self._width:
                out.append(text)
            else:
                out += textwrap.wrap(
                    text, self._width, subsequent_indent="    ", break_on_hyphens=False, drop_whitespace=False
                )
        return "".join(f"{line}\n" for line in out)
