"""Words that a screen of 80 by 24 cuts in the middle.

In: a LabState. Out: the lines that have one, of every panel at the heights it has there, and of the lines between them.
Code, output and payload are cut anywhere, and so are names of files: they are bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from socklab import state as st
from socklab.lesson import Lesson
from socklab.ui.tui.layout.panes import Panes
from socklab.ui.tui.layout.remembered import Arrangement
from socklab.ui.tui.panels import registry
from socklab.ui.tui.widgets import status
from socklab.ui.view.lines import Line, View, clip_words, plain

HEIGHTS = (5, 8, 11, 19)
"""Rows of a panel with a question below it, with the lesson's text, and alone."""
_QUOTED = re.compile(r'"[^"…]*("|…|$)')
_PATH = re.compile(r"(?<!\S)/\S*…")
_CUT = re.compile(r"\w…")
_BYTES = ("source", "output")


def cut(text: str) -> bool:
    """A word stands right before `…`, outside of quotes; a file's name is none."""
    return _CUT.search(_PATH.sub("", _QUOTED.sub("", text))) is not None


def cut_words(state: st.LabState, lesson: Lesson | None = None, cells: int = 80) -> list[str]:
    return [f"{where}: {plain(line).strip()}" for where, line in _lines(state, lesson, cells) if cut(plain(line))]


def _lines(state: st.LabState, lesson: Lesson | None, cells: int) -> Iterator[tuple[str, Line]]:
    panes = Panes(lesson, Arrangement())
    panes.frame_only = False
    yield "status", status.line(state, lesson, cells)
    yield "status", status.line(state, lesson, cells, until="step")
    yield "program", panes.folded(state, cells, frozenset())[0]
    for name in registry.names():
        for rows in HEIGHTS if name not in _BYTES else ():
            view = View(cells - 1, rows, lesson=lesson)
            body = registry.panel(name).body(state, view)
            for line in (*body.head, *body.lines[:100], *body.foot):
                yield name, clip_words(line, view.width)
