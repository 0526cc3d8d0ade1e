"""The menu of lessons: what each teaches, how long it takes; Enter starts it.

In: the shipped lessons. Out: the folder of the chosen one and the language. Never starts anything itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from socklab import lesson as lessons
from socklab.core.errors import SocklabError
from socklab.core.text import safe
from socklab.lesson import Lesson
from socklab.ui.tui.failures import Sturdy
from socklab.ui.tui.theme import Theme
from socklab.ui.tui.widgets.line_view import LineView
from socklab.ui.view.lines import Line, column, spread, with_keys, wrap

Start = Callable[[Path, str], None]
"""Called with the lesson's folder and the language ("" = as the machine allows)."""

LANGUAGES = {"": "C, else Python", "c": "C", "python": "Python"}


def load_all() -> list[Lesson | str]:
    """Every shipped lesson in teaching order; a broken one as the error that says what is wrong with it."""
    found: list[Lesson | str] = []
    for name in lessons.names():
        try:
            found.append(lessons.load(lessons.find(name)))
        except SocklabError as error:
            found.append(f"{name}: {error.what}")
    return found


def listed(all_lessons: list[Lesson | str], chosen: int, width: int) -> tuple[list[Line], list[int]]:
    """One entry each, and for every line the index of its lesson."""
    lines: list[Line] = []
    index_of: list[int] = []
    names = max((len(known.name) for known in all_lessons if isinstance(known, Lesson)), default=8)
    for index, known in enumerate(all_lessons):
        mark = ("▶ " if index == chosen else "  ", "current focus" if index == chosen else "")
        if isinstance(known, str):
            lines.append((mark, (safe(known), "bad")))
        else:
            left: Line = (mark, column(safe(known.name), names + 2, "name"), (" ", ""), (safe(known.title), "strong"))
            lines.append(spread(left, ((f"{known.minutes} min ", "dim"),), width))
        index_of.append(index)
        if isinstance(known, Lesson):
            indent = " " * (names + 5)
            for line in wrap(((safe(known.summary), "dim"),), max(20, width - len(indent) - 10)):
                lines.append(((indent, ""), *line))
                index_of.append(index)
        lines.append(())
        index_of.append(index)
    return lines, index_of


class MenuScreen(Sturdy, Screen[None]):
    """What there is to learn."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("home", "move(-1000)", show=False),
        Binding("end", "move(1000)", show=False),
        Binding("enter,space,s", "begin", show=False),
        Binding("l", "language", show=False),
        Binding("t", "theme", show=False),
        Binding("q,escape,ctrl+q", "leave", show=False),
    ]
    DEFAULT_CSS = """
    MenuScreen { padding: 1 2; }
    MenuScreen .bar { height: 1; }
    """

    def __init__(self, theme: Theme, start: Start, next_theme: Callable[[], None]) -> None:
        super().__init__()
        self._start = start
        self._next_theme = next_theme
        self._lessons: list[Lesson | str] = []
        self._chosen = 0
        self._language = ""
        self._trouble = ""
        self._list = LineView(theme, name="lessons")
        self._list.cursor_rows = True
        self._list.row_action = self._row
        self._rows: list[int] = []
        self._bar = LineView(theme, titled=False, focusable=False)
        self._bar.add_class("bar")

    def compose(self) -> ComposeResult:
        yield self._list
        yield self._bar

    def on_mount(self) -> None:
        self._lessons = load_all()

    def on_line_view_resized(self) -> None:
        self.paint()

    def paint(self) -> None:
        width = self._list.body_width
        if width < 1:
            return
        title: Line = (("socklab", "focus"), ("  what the kernel does when a server runs ", "dim"))
        rule = max(0, width - sum(len(text) for text, _ in title))
        lines, self._rows = listed(self._lessons, self._chosen, width)
        if not self._lessons:
            lines = [(("No lessons are installed.", "bad"),)]
        told = safe(self._trouble, lines=True).split("\n") if self._trouble else []
        foot = [line for text in told for line in wrap(((text, "bad"),), width)]
        most = max(3, self._list.room - 6)
        if len(foot) > most:
            foot = [*foot[: most - 1], (("… `socklab lesson NAME` tells all of it.", "dim"),)]
        self._list.show([(), *lines], (*title, ("━" * rule, "focus")), foot=foot)
        if self._chosen in self._rows:
            first = self._rows.index(self._chosen) + 1
            self._list.keep_in_sight(first + 2)
            self._list.keep_in_sight(first)
        language = LANGUAGES[self._language]
        keys = with_keys(f"` Enter` start   `↑ ↓` choose   `l` language: {language}   `t` theme   `q` quit")
        self._bar.show([keys])

    def trouble(self, text: str) -> None:
        """Why the last lesson did not start."""
        self._trouble = text
        self.paint()

    def use(self, theme: Theme) -> None:
        self._list.use(theme)
        self._bar.use(theme)

    def _row(self, line: int) -> str:
        return f"choose({self._rows[line - 1]})" if 0 < line <= len(self._rows) else ""

    async def on_line_view_wanted(self, message: LineView.Wanted) -> None:
        await self.run_action(message.action)

    def action_choose(self, index: int) -> None:
        """A click: the first one chooses, one on the chosen starts."""
        if index == self._chosen:
            self.action_begin()
        self._chosen = index
        self.paint()

    def action_move(self, by: int) -> None:
        self._chosen = max(0, min(len(self._lessons) - 1, self._chosen + by))
        self._trouble = ""
        self.paint()

    def action_language(self) -> None:
        order = list(LANGUAGES)
        self._language = order[(order.index(self._language) + 1) % len(order)]
        self.paint()

    def action_begin(self) -> None:
        chosen = self._lessons[self._chosen] if self._lessons else ""
        if isinstance(chosen, Lesson) and chosen.folder is not None:
            self._trouble = ""
            self._start(chosen.folder, self._language)

    def action_theme(self) -> None:
        self._next_theme()

    def action_leave(self) -> None:
        self.app.exit(0)
