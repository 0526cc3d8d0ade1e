"""The vocabulary between panels and screen: lines of text with roles.

In: text that `safe()` has already made visible. Out: Lines, and helpers that cut and pad them by terminal cells.
A role says what a piece of text means, never how it looks: themes decide that. Never imports textual, never draws.

Conventions: a Line whose first Span has the role `current` is painted over its whole width and is kept in view when
the panel is drawn (the line about to make the call, the selected row). Lines longer than the panel are cut with `…`
by the screen, so a panel only wraps where wrapping helps (narration, explanations).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from rich.cells import cell_len as _cell_len, set_cell_size

from socklab.commands.keymap import face

if TYPE_CHECKING:
    from socklab.lesson import Lesson

Span: TypeAlias = tuple[str, str]
"""(text, role). The text is one line and already safe. A role is one of these, or several separated by spaces ("number
changed" is a number that the last call changed):

(none): plain text
dim: secondary: units, labels, punctuation, what has not changed for long
strong: bold
title: a heading inside a panel
name: an identifier: a call, a function, a constant, a probe
number: a number the kernel gave
string: bytes or text of the program
keyword: source: a word of the language
comment: source: a comment
path: a file, a host, an address
current: the line about to make the call, the selected row; whole line when first
changed: is different since the program last ran (the panel also puts a marker: *); nothing else has its colour
new: was not there before (marker: +)
gone: is not there any more (marker: -)
good: success, a right answer, a check that holds
warn: a limit reached, a drop, a refusal
focus: where the keys go, the question, what the lesson points at
bad: an error, a signal, a wrong answer
mask: hidden until the student answers (░)
key: a key to press
accept: a slot of the accept queue that is taken
syn: a slot of the SYN queue that is taken
free: a slot that is free
listen: state LISTEN
link: can be clicked
client0 ... client5: client colours, see client_role
"""

Line: TypeAlias = tuple[Span, ...]

Key: TypeAlias = tuple[str, int]
"""Names one row of a panel: (host, socket id), ("packet", number), (client's name, 0), ("task", tid)."""

Overlay: TypeAlias = Mapping[int, Sequence[tuple[int, Span]]]
"""By line: what lies over it for a moment, and from which cell on."""

EMPTY: Line = ()


class View(msgspec.Struct, frozen=True):
    """What a panel needs to know about where it is shown. Cells, not characters."""

    width: int
    height: int
    lesson: Lesson | None = None
    selected: Key | None = None
    """The chosen row of this panel."""
    opened: bool = False
    """The chosen row is told in full."""
    expanded: frozenset[str] = frozenset()
    """Details opened by the user: "hex" (bytes of buffers), "stack" (several frames), and those of single panels:
    "frames" (every frame, to choose from)."""
    past: bool = False
    """An earlier stop is shown."""
    maximised: bool = False
    """The panel has the screen to itself: say more."""
    hidden: frozenset[str] = frozenset()
    """Panels that an open prediction hides. Only of use to one that masks itself: the others are not asked."""
    pointed: str = ""
    """What the lesson's step points at: "client f", "listener", "fd 4"; "" = nothing."""

    @property
    def compact(self) -> bool:
        """Too narrow or too low for spacious drawing: one line where two are nicer, no blank lines."""
        return self.width < 56 or self.height < 9


def cell_len(text: str) -> int:
    """Cells a text takes; most text is ASCII, where that is its length."""
    return len(text) if text.isascii() else _cell_len(text)


def client_role(name: str) -> str:
    """The colour a client has in every panel: a is client0, b client1, ... and round again."""
    if name[:1] == "c" and name[1:].isdecimal():
        return f"client{(int(name[1:]) - 1) % 6}"
    return f"client{(ord(name[0]) - ord('a')) % 6}" if name else ""


def width(line: Line) -> int:
    """Cells the line takes."""
    cells = 0
    for text, _ in line:
        cells += len(text) if text.isascii() else _cell_len(text)
    return cells


def plain(line: Line) -> str:
    return "".join(text for text, _ in line)


def clip(line: Line, cells: int, mark: str = "…") -> Line:
    """The line in at most `cells` cells; `mark` stands where something was cut."""
    if width(line) <= cells:
        return line
    room = max(0, cells - cell_len(mark))
    out: list[Span] = []
    for text, role in line:
        size = cell_len(text)
        if size > room:
            out.append((set_cell_size(text, room) + mark if cells > 0 else "", role))
            break
        out.append((text, role))
        room -= size
    return tuple(out)


def skip(line: Line, cells: int) -> Line:
    """The line without its first `cells` cells."""
    out: list[Span] = []
    for text, role in line:
        size = cell_len(text)
        if cells <= 0:
            out.append((text, role))
        elif size > cells:
            out.append((chop(text, cells), role))
        cells -= size
    return tuple(out)


def chop(text: str, cells: int) -> str:
    """The text behind its first `cells` cells; of a wide character that is cut in two a blank is left."""
    if text.isascii():
        return text[cells:]
    for place, character in enumerate(text):
        if cells <= 0:
            return " " * -cells + text[place:]
        cells -= cell_len(character)
    return " " * max(0, -cells)


_AS_IT_IS = ("string", "path")
"""Roles of what is cut anywhere: bytes, names of files."""


def clip_words(line: Line, cells: int) -> Line:
    """As `clip`, but no word is cut: what does not fit whole is left out, with ` …` in its place."""
    if width(line) <= cells:
        return line
    if cells < 4:
        return clip(line, cells)
    *kept, (text, role) = clip(line, cells - 2, mark="")
    whole = "".join(said for said, _ in line)[len(plain(tuple(kept))) :]
    torn = text and whole[len(text) : len(text) + 1] not in ("", " ") and not {*role.split()} & {*_AS_IT_IS}
    if torn and (" " in text or kept):
        text = text.rpartition(" ")[0]
    elif torn or {*role.split()} & {*_AS_IT_IS}:
        return clip(line, cells)
    return (*kept, (f"{text}{'' if text.endswith(' ') else ' '}…", role))


def whole_words(text: str, cells: int) -> str:
    """The text in at most `cells` cells: as many words as fit, then `…`; no word is cut. "" where not even two fit."""
    if cell_len(text) <= cells:
        return text
    words = _fitting(text, cells - 2, 0).rpartition(" ")[0] if cells > 2 else ""
    return f"{words.rstrip(' ,;:(')} …" if " " in words else ""


def pad(line: Line, cells: int, role: str = "") -> Line:
    """The line in exactly `cells` cells: cut, or filled with blanks on the right."""
    size = width(line)
    if size > cells:
        line = clip(line, cells)
        size = width(line)
    return line if size == cells else (*line, (" " * (cells - size), role))


def column(text: str, cells: int, role: str = "", *, right: bool = False) -> Span:
    """One table cell: cut with … or padded to exactly `cells`."""
    size = cell_len(text)
    if size > cells:
        text = set_cell_size(text, max(0, cells - 1)) + ("…" if cells > 0 else "")
    elif right:
        text = " " * (cells - size) + text
    else:
        text += " " * (cells - size)
    return text, role


def laid(line: Line, pieces: Iterable[tuple[int, Span]]) -> Line:
    """The line with these over it, each from its cell on; nothing of the rest moves."""
    for x, span in pieces:
        line = (*pad(clip(line, x, ""), x), span, *skip(line, x + cell_len(span[0])))
    return line


def spread(left: Line, right: Line, cells: int) -> Line:
    """`left` at the left edge and `right` at the right edge; `left` is cut if they would touch."""
    room = cells - width(right)
    return (*pad(left, max(0, room - 1)), (" ", ""), *right) if room > 1 else clip(left, cells)


def wrap(line: Line, cells: int, indent: int = 0) -> list[Line]:
    """Break at blanks into lines of at most `cells`; continued lines begin `indent` cells in. Roles are kept.

    A word may go through several spans: no line begins with the full stop that follows a piece of code.
    """
    cells = max(cells, indent + 1)
    out: list[Line] = []
    now: list[Span] = []
    used = 0
    margin: list[Span] = [(" " * indent, "")] if indent else []
    for word in _words(line):
        bare = cell_len(plain(tuple(word)).rstrip(" "))
        if used + bare > cells and used > (indent if out else 0):
            out.append(tuple(now))
            now, used = list(margin), indent
        if not bare and used <= indent and out:
            continue  # blanks at a break are dropped
        for text, role in word:
            while used + cell_len(text.rstrip(" ")) > cells:
                piece = _fitting(text, cells - used, at_least=int(used <= indent))
                now.append((piece, role))
                out.append(tuple(now))
                now, used, text = list(margin), indent, text[len(piece) :]
            now.append((text, role))
            used += cell_len(text)
    if now or not out:
        out.append(tuple(now))
    return [_joined(found) for found in out]


def _words(line: Line) -> Iterable[list[Span]]:
    """Words with the blanks that follow them, each with the roles of its parts."""
    word: list[Span] = []
    blank = False
    for text, role in line:
        start = 0
        for index, character in enumerate(text):
            if character == " ":
                blank = True
            elif blank:
                if index > start:
                    word.append((text[start:index], role))
                if word:
                    yield word
                word, start, blank = [], index, False
        if start < len(text):
            word.append((text[start:], role))
    if word:
        yield word


def _fitting(text: str, cells: int, at_least: int) -> str:
    """The longest beginning that fits; `at_least` so many characters even when they don't."""
    used = 0
    for index, character in enumerate(text):
        used += cell_len(character)
        if used > cells:
            return text[: max(at_least, index)]
    return text


def _joined(line: Line) -> Line:
    """Neighbouring spans of one role made one, trailing blanks dropped."""
    out: list[Span] = []
    for text, role in line:
        if out and out[-1][1] == role:
            out[-1] = (out[-1][0] + text, role)
        elif text:
            out.append((text, role))
    while out and out[-1][0].endswith(" "):
        text, role = out.pop()
        if text.strip(" "):
            out.append((text.rstrip(" "), role))
    return tuple(out)


def masked(cells: int, height: int, why: str = "hidden until you answer") -> list[Line]:
    """What stands in for a panel while a prediction is open: one quiet line, so that the question is what one sees."""
    if cells < 4 or height < 1:
        return []
    label = f" {why} " if cell_len(why) + 4 <= cells else ""
    bar = "░" * min(8, (cells - cell_len(label)) // 2)
    before = (cells - 2 * len(bar) - cell_len(label)) // 2
    line: Line = ((" " * before, ""), (bar, "mask"), (label, "dim"), (bar, "mask"))
    return [*[EMPTY] * ((height - 1) // 2), line]


def with_keys(text: str, role: str = "dim") -> Line:
    """A sentence of ours with keys to press in it: "`Enter` shows it"; a command's name stands for its key."""
    parts = enumerate(text.split("`"))
    return tuple((face(part), "key") if place % 2 else (part, role) for place, part in parts if part)


def join(spans: Sequence[Line], gap: Span = (" ", "")) -> Line:
    """Lines put behind one another on one line."""
    out: list[Span] = []
    for index, line in enumerate(spans):
        if index:
            out.append(gap)
        out.extend(line)
    return tuple(out)
