"""Lines of plain text as they are appended: wrapped, headings, Markdown read aloud, one empty line at most.

In: texts that are safe already, Markdown of the lesson. Out: whole lines. Pure.
"""

from __future__ import annotations

import re
import textwrap

from socklab.core.text import safe

_EMPHASIS = re.compile(r"(\*\*|(?<![\w*])\*|``\ |`)(?=\S)(.+?)(?<=\S)(?:\ ``|\1)(?!\w)")
"""**strong**, *emphasis*, `code` and `` code ``."""

_ITEM = re.compile(r"(?:^|(?<=[.:;?!]) )[-*] ")
"""Begins an item of a list, once its lines are joined."""


def unmarked(text: str) -> str:
    """Markdown without its marks."""
    return _EMPHASIS.sub(r"\2", text)


class Page:
    """`width` 0 = never wrap; `bold` = headings in bold, on a terminal only."""

    def __init__(self, width: int, bold: bool) -> None:
        self._width = width
        self._bold = bold
        self._out: list[str] = []
        self.after_gap = False
        """The last line was empty. False again when somebody else has written one."""

    @property
    def width(self) -> int:
        return self._width

    def _take(self) -> str:
        lines: list[str] = []
        for line in self._out:
            if line or not self.after_gap:  # one empty line is enough
                lines.append(line)
            self.after_gap = not line
        self._out = []
        return "".join(f"{line}\n" for line in lines)

    def _say(self, text: str, indent: str = "", more: str | None = None) -> None:
        """Append a line, wrapped for a terminal; `more` indents the lines it runs on to."""
        if not self._width or len(indent) + len(text) <= self._width:
            self._out.append(indent + text)
            return
        further = indent + "  " if more is None else more
        self._out += textwrap.wrap(
            text, self._width, initial_indent=indent, subsequent_indent=further, break_on_hyphens=False
        )

    def _list(self, lines: list[str]) -> None:
        for line in lines:
            self._say(line, "  ", "      ")

    def _heading(self, text: str, *, gap: bool = True) -> None:
        if gap:
            self._out.append("")
        start = len(self._out)
        self._say(text)
        if self._bold:
            self._out[start:] = [f"\x1b[1m{line}\x1b[0m" for line in self._out[start:]]

    def _prose(self, text: str) -> None:
        """Markdown, read aloud: paragraphs and list items without their marks."""
        for paragraph in safe(text, lines=True).split("\n\n"):
            items = _ITEM.split(" ".join(line.strip() for line in paragraph.strip().splitlines()))
            if not any(items):
                continue
            self._out.append("")
            for number, item in enumerate(items):
                if item:
                    self._say(("- " if number else "") + unmarked(item), more="  " if number else "")
