"""The source file of the innermost frame, with the line about to make the call.

In: LabState.sources and the focused task's stack. Out: as many lines around the current one as the panel is high,
coloured by Pygments, which is loaded when the first line is shown and reads no further than what is shown. The window
keeps still while the current line is inside it. Never opens a file: the text came with the stream.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Protocol

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.tui.panels.panel import Panel
from socklab.ui.view.formats import call_name, failed, words
from socklab.ui.view.lines import EMPTY, Key, Line, Span, View, clip, plain, spread, width, wrap
from socklab.ui.view.tasks import result_words

MARGIN = 3
"""Lines that stay between the current line and the window's edge while there is more of the file."""

_NEAR = 110
"""A result stands so far to the right at most, beside its line."""
_LEAD = 80
"""So many lines above the window are read for its colours; a file shorter than _WHOLE is read from its beginning."""
_WHOLE = 400
_KEPT = 12


class SourcePanel(Panel):
    """The source with the line about to make the call; below it, when asked for, every frame."""

    title_text = "Source"
    evidence_of = "source"
    follow = True
    marks_call = True
    forgets = True
    detail = "frames"

    def __init__(self) -> None:
        self._tops: OrderedDict[tuple[str, int], int] = OrderedDict()
        """First line shown of each file at each height: what keeps the window still."""
        self._texts: OrderedDict[int, _Text] = OrderedDict()

    def title(self, state: st.LabState, view: View | None = None) -> str:
        """ "server.c:23 main"."""
        frame = frame_of(state, view)
        if frame is None:
            return self.title_text
        name = safe(frame.path.rpartition("/")[2])
        return f"{name}:{frame.line}" + (f" {safe(frame.function)}" if frame.function else "") if frame.line else name

    def folded(self, state: st.LabState, room: int) -> Line:
        """ "server.c:23 main", without the function where there is little room."""
        title = self.title(state)
        return clip(((title if len(title) < room // 3 else title.partition(" ")[0], "strong"),), room)

    def lines(self, state: st.LabState, view: View) -> list[Line]:
        frame = frame_of(state, view)
        task = state.task
        if frame is None or task is None:
            return self._without_frame(state, view)
        source = state.sources.get(frame.path)
        if source is None:
            said = f"{safe(frame.path)}, line {frame.line}: the text of this file is not in the stream."
            return words(said, view)
        text = self._text(source)
        if not frame.line:
            head = words(f"No line information for this stop in {safe(frame.path)}.", view)
        elif frame.line > len(text.lines):
            head = words(f"Line {frame.line} is beyond the end of {safe(frame.path)}: has it been changed?", view)
        else:
            head = []
        stack = self._stack(state, task, view)
        height = max(1, view.height - len(head) - len(stack))
        top = self._window(source.path, frame.line, len(text.lines), height)
        listing = _listing(state, task, text, frame.line, top, height, view)
        if stack:  # its frames stand at the bottom of the panel, where clicks look for them
            listing += [EMPTY] * (height - len(listing))
        return [*head, *listing, *stack]

    def no_detail(self, state: st.LabState) -> str:
        task = state.task
        if task is not None and task.stack:
            return ""
        why = task.unlined if task is not None and task.unlined else "no line of the program is known here"
        return f"No call stack: {why}."

    def choices(self, state: st.LabState, view: View) -> Sequence[Key]:
        if self.detail not in view.expanded or state.task is None:
            return ()
        return [("frame", place) for place in range(len(state.task.stack))]

    def chosen(self, state: st.LabState, stored: Key | None) -> Key | None:
        return stored or ("frame", 0)

    def at(self, state: st.LabState, view: View, line: int) -> Key | None:
        frames = self.choices(state, view)
        place = line - (view.height - len(frames))
        return frames[place] if frames and place >= 0 else None

    def _without_frame(self, state: st.LabState, view: View) -> list[Line]:
        """No place to show: say why, and show the beginning of the program's text if there is one."""
        task = state.task
        if task is None:
            said = "The program has not started yet."
        elif task.status == "exited":
            said = "The program has ended."
        elif task.status == "held":
            said = f"No line information for this stop: {safe(task.unlined) or 'no line of the program is known here'}."
        elif state.blocked(task.tid) and task.unlined and task.call is not None:
            name = call_name(state, task.call.entered.nr)
            said = f"Asleep in {name}: no line information: {safe(task.unlined)}."
        else:
            said = "Running."
        lines = words(said, view)
        if state.sources and not (task is not None and task.status == "held"):
            source = next(iter(state.sources.values()))
            text = self._text(source)
            height = max(1, view.height - len(lines))
            top = self._window(source.path, 0, len(text.lines), height)
            lines = [*_listing(state, task, text, 0, top, height - 1, view), *lines]
        return lines

    def _stack(self, state: st.LabState, task: st.Task, view: View) -> list[Line]:
        """Every frame, when asked for."""
        opened = SourcePanel.detail in view.expanded
        if not opened and ("stack" not in view.expanded or len(task.stack) < 2):
            return []
        return [
            (
                (("▸" if place == _place(task, view) else " ") if opened else "", "key"),
                ("in        " if place == 0 else "called by ", "dim"),
                (safe(frame.function) or "?", "name"),
                (f" {safe(frame.path.rpartition('/')[2])}:{frame.line}", "path"),
                ("  ", ""),
                *self._text_at(state, frame),
            )
            for place, frame in enumerate(task.stack[: len(task.stack) if opened else max(2, view.height // 3)])
        ]

    def _text_at(self, state: st.LabState, frame: ev.Frame) -> Line:
        """The frame's own line of source, without its indent."""
        source = state.sources.get(frame.path)
        text = self._text(source) if source is not None else None
        if text is None or not 0 < frame.line <= len(text.lines):
            return ()
        return ((text.lines[frame.line - 1].strip(), ""),)

    def _window(self, path: str, line: int, length: int, height: int) -> int:
        """The first line to show (1-based). It moves only when the current line comes too near the edge."""
        key = (path, height)
        top = self._tops.get(key, 0)
        last = max(1, length - height + 1)
        margin = min(MARGIN, (height - 1) // 2)
        if line and not top:
            top = line - height // 2
        elif line and line < top + margin:
            top = line - margin
        elif line and line > top + height - 1 - margin:
            top = line - height + 1 + margin
        top = max(1, min(top, last))
        self._tops[key] = top
        self._tops.move_to_end(key)
        while len(self._tops) > 4 * _KEPT:
            self._tops.popitem(last=False)
        return top

    def _text(self, source: ev.Source) -> _Text:
        found = self._texts.get(id(source))
        if found is None or found.source is not source:
            found = self._texts[id(source)] = _Text(source)
        self._texts.move_to_end(id(source))
        while len(self._texts) > _KEPT:
            self._texts.popitem(last=False)
        return found


def frame_of(state: st.LabState, view: View | None = None) -> ev.Frame | None:
    """The innermost frame in the user's own source, or the one that is chosen."""
    task = state.task
    return task.stack[_place(task, view)] if task is not None and task.stack else None


def _place(task: st.Task, view: View | None) -> int:
    """Which frame is shown: 0 unless the call stack is open and another is chosen."""
    if view is None or SourcePanel.detail not in view.expanded or view.selected is None:
        return 0
    return max(0, min(view.selected[1], len(task.stack) - 1))


# ---------------------------------------------------------------- the lines of the window


def _listing(
    state: st.LabState, task: st.Task | None, text: _Text, current: int, top: int, height: int, view: View
) -> list[Line]:
    digits = max(2, len(str(len(text.lines))))
    lines: list[Line] = []
    for number in range(top, min(top + height, len(text.lines) + 1)):
        body = text.line(number, top)
        if number == current and task is not None:
            lines += _current(state, task, number, digits, body, view)
        else:
            lines.append(clip(((f" {number:>{digits}}  ", "dim"), *body), view.width))
    return lines[:height]


def _current(state: st.LabState, task: st.Task, number: int, digits: int, body: Line, view: View) -> list[Line]:
    """The line of the call: whole, on as many rows as it needs (three at most), with what came of it at its end."""
    sign, said = _sign(state, task) if not _place(task, view) else ("▷", (("in this call", "dim"),))
    role = "current" if sign != "·" else "dim"
    gutter: Span = (f"{sign}{number:>{digits}}  ", role)
    code = plain(body)
    indent = min(len(code) - len(code.lstrip(" ")) + 4, view.width // 3)
    said = said if width(said) < view.width // 2 else ()
    room = max(8, view.width - len(gutter[0]))
    # The whole line is painted in one style, so its colours need not survive the wrapping.
    rows = wrap(((code, ""),), room, indent) if view.height >= 6 and width(body) > room else [body]
    if view.height >= 6 and len(rows) < 3 and width(rows[-1]) + width(said) + bool(said) > room:
        rows.append(())  # what came of it has a row of its own, before any of the code is left out
    rows = rows if len(rows) <= 3 else [*rows[:2], (*rows[2], ("…", ""))]
    lines: list[Line] = [(gutter, *rows[0])]
    lines += [((" " * len(gutter[0]), role), *row) for row in rows[1:]]
    if said:
        lines[-1] = spread(lines[-1], said, min(view.width, max(_NEAR, width(lines[-1]) + width(said) + 2)))
    return [clip(line, view.width) for line in lines]


def _sign(state: st.LabState, task: st.Task) -> tuple[str, Line]:
    """The mark of the current line and a word at its right: about to call, returned, asleep, or left long ago."""
    if task.status == "held" and task.at == "return" and task.call is not None and task.call.returned is not None:
        result = task.call.returned.result
        return ("✗" if failed(result) else "✓"), result_words(result)
    if task.status == "held":
        return "▶", ()
    if task.status == "exited":
        return ("✗", (("ended here", "bad"),)) if _ended_here(state, task) else ("·", (("was here last", "dim"),))
    if task.in_call and task.call is not None and not task.call.stack:
        # It runs on, and has not fallen asleep: where in the source it is, nobody has looked.
        return "·", (("was here last", "dim"),)
    if state.blocked(task.tid):
        return "▷", ((f"asleep in {call_name(state, task.call.entered.nr)}" if task.call else "asleep", "strong"),)
    if task.in_call:
        return "▷", (("running", "dim"),)
    return "·", (("running", "dim"),)


def _ended_here(state: st.LabState, task: st.Task) -> bool:
    """The line that is known is that of its end: of a call it did not return from, or where the signal met it."""
    call, exited = task.call, task.exited
    if call is not None and call.returned is None:
        return bool(call.stack)
    made = call.returned.t if call is not None and call.returned is not None else 0
    last = next((signal for signal in reversed(state.signals) if signal.tid == task.tid), None)
    return last is not None and exited is not None and last.signo == exited.signo and last.t > made


# ---------------------------------------------------------------- the text and its colours


class _Text:
    """One file: its lines, and the coloured ones among them, made when they are first shown."""

    def __init__(self, source: ev.Source) -> None:
        self.source = source
        # Newlines are kept by safe(lines=True), tabs become blanks, all else is visible.
        self.lines = safe(source.text.replace("\r\n", "\n").removesuffix("\n"), lines=True).split("\n")
        self._coloured: dict[int, Line] = {}
        self._tokens: Iterator[tuple[int, Line]] | None = None
        self._at = 0

    def line(self, number: int, top: int) -> Line:
        """Line `number` (1-based) in colours; `top` is the first line of the window it is shown in."""
        if number in self._coloured:
            return self._coloured[number]
        whole = len(self.lines) <= _WHOLE
        if self._tokens is None or not (self._at < number <= self._at + _LEAD or whole):
            start = 1 if whole else max(1, top - _LEAD)
            self._tokens, self._at = self._colour(start), start - 1
        for reached, line in self._tokens:
            self._coloured[reached] = line
            self._at = reached
            if reached >= number:
                break
        return self._coloured.setdefault(number, ((self.lines[number - 1], ""),))

    def _colour(self, start: int) -> Iterator[tuple[int, Line]]:
        """(number, line) from line `start` on, as far as somebody reads."""
        lexer = _lexer(self.source.language, self.source.path)
        if lexer is None:
            for number in range(start, len(self.lines) + 1):
                yield number, ((self.lines[number - 1], ""),)
            return
        number, spans = start, list[Span]()
        for _, token, value in lexer.get_tokens_unprocessed("\n".join(self.lines[start - 1 :]) + "\n"):
            role = _role(token)
            for place, piece in enumerate(value.split("\n")):
                if place:
                    yield number, tuple(spans)
                    number, spans = number + 1, []
                if piece:
                    if spans and spans[-1][1] == role:
                        spans[-1] = (spans[-1][0] + piece, role)
                    else:
                        spans.append((piece, role))
        if spans:
            yield number, tuple(spans)


class _Lexer(Protocol):
    """What is used of a Pygments lexer."""

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, object, str]]: ...


def _lexer(language: str, path: str) -> _Lexer | None:
    """The lexer of the file's language, imported when first needed. What is neither C nor Python stays plain."""
    lexer: _Lexer | None = None
    if language == "python" or path.endswith(".py"):
        lexer = import_module("pygments.lexers.python").PythonLexer()
    elif language == "c" or path.endswith((".c", ".h")):
        lexer = import_module("pygments.lexers.c_cpp").CLexer()
    return lexer


def _role(token: object) -> str:
    """The role of a Pygments token: that of its nearest ancestor with one."""
    found = _roles.get(token)
    if found is None:
        name, found = str(token)[6:], ""
        for prefix, role in _TOKENS:
            if name.startswith(prefix):
                found = role
                break
        _roles[token] = found
    return found


_roles: dict[object, str] = {}
_TOKENS = (
    ("Comment.Preproc", "keyword"),
    ("Comment", "comment"),
    ("Keyword", "keyword"),
    ("Operator.Word", "keyword"),
    ("Literal.String", "string"),
    ("Literal.Number", "number"),
    ("Name.Function", "name"),
    ("Name.Class", "name"),
    ("Name.Decorator", "name"),
    ("Name.Builtin", "name"),
)
