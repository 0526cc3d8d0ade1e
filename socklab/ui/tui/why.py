"""Why: a value and where it came from, over the lab; or the rows of a panel, to choose one that is asked about.

In: what may be chosen, and a way to ask. Out: the stop to go to, as the screen's result; 0 = none. Never acts, never
asks a lab itself: `asked` does (controllers/why.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from socklab.ui.tui.failures import Sturdy
from socklab.ui.tui.theme import Theme
from socklab.ui.tui.widgets.line_view import LineView
from socklab.ui.view.lines import Line, wrap
from socklab.why import Chain, Link, Subject


class Row(NamedTuple):
    """What a line of the list stands for; a title stands for nothing and can't be chosen."""

    lines: list[Line]
    link: Link | None = None
    subject: Subject | None = None

    @property
    def can_be_chosen(self) -> bool:
        return self.subject is not None or (self.link is not None and self.link.stop > 0)


def answer(chains: Sequence[Chain], cells: int) -> list[Row]:
    """Chains as rows: a title each, then its links, what is not known in words of its own."""
    rows: list[Row] = []
    for chain in chains:
        rows += [Row([()])] if rows else []
        rows += [Row([line]) for line in wrap(((chain.title, "title"),), cells - 2, indent=2)]
        rows += [Row(_link(link, cells - 2), link=link) for link in chain.links]
    return rows


def _link(link: Link, cells: int) -> list[Line]:
    what: Line = (("← ", "dim"), (link.what, ""))
    if not link.known:
        what = (("? ", "warn"), ("not known: ", "warn"), (link.what, ""), (f": {link.reason}", "dim"))
    place = link.place
    if place:
        what = (*what, ("  ", ""), (place.replace(" ", "\u00a0"), "link" if link.stop else "dim"))
    if link.known and link.reason and link.call:
        what = (*what, (f"  {link.reason}", "dim"))
    return wrap(what, cells, indent=2)


def choices(subjects: Sequence[tuple[Subject, str]]) -> list[Row]:
    """Rows of a panel, to choose from."""
    return [Row([((label, ""),)], subject=subject) for subject, label in subjects]


class WhyScreen(Sturdy, ModalScreen[int]):
    """Dismissed with the stop to show, or 0."""

    DEFAULT_CSS = "WhyScreen { align: center middle; } WhyScreen LineView { max-width: 110; max-height: 52; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "scroll(-1)", show=False),
        Binding("pagedown,space", "scroll(1)", show=False),
        Binding("enter", "choose", show=False),
        Binding("escape,q,y", "leave", show=False),
    ]

    def __init__(
        self,
        theme: Theme,
        asked: Callable[[Subject], Sequence[Chain]],
        *,
        chains: Sequence[Chain] = (),
        subjects: Sequence[tuple[Subject, str]] = (),
    ) -> None:
        super().__init__()
        self._ask = asked
        self._chains = chains
        self._subjects = subjects
        self._chosen = -1
        self._came_from = 0
        """The row of the list that was asked about."""
        self._rows: list[Row] = []
        self._view = LineView(theme, name="why")
        self._view.cursor_rows = True
        self._view.row_action = lambda line: f"pick({line})"

    def compose(self) -> ComposeResult:
        yield self._view

    def on_line_view_resized(self) -> None:
        self._paint()

    # ---------------------------------------------------------------- drawing

    def _paint(self) -> None:
        cells = self._view.body_width
        if cells < 10:
            return
        self._rows = answer(self._chains, cells) if self._chains else choices(self._subjects)
        if not self._chains and self._chosen < 0:
            self._chosen = 0 if self._rows else -1
        lines: list[Line] = []
        top = 0
        for place, row in enumerate(self._rows):
            if place == self._chosen:
                top = len(lines)
            lines += self._marked(row, chosen=place == self._chosen)
        left = "Why? " if self._chains else "Why what? "
        right = " Enter shows that stop, Esc closes" if self._chains else " Enter asks, Esc closes"
        rule = "━" * max(0, cells - len(left) - len(right))
        self._view.show(
            lines or [(("nothing is there to ask about", "dim"),)], ((left, "focus"), (rule, "focus"), (right, "dim"))
        )
        if self._chosen >= 0:
            self._view.keep_in_sight(top)

    def _marked(self, row: Row, *, chosen: bool) -> list[Line]:
        if not row.lines[0] and not chosen:
            return [()]
        mark = ("▸ ", "current") if chosen else ("  ", "")
        first, *rest = row.lines
        return [(mark, *first), *((("  ", "current" if chosen else ""), *line) for line in rest)]

    # ---------------------------------------------------------------- keys

    def action_move(self, by: int) -> None:
        """To the next row that can be chosen; where there is none, scroll."""
        places = [place for place, row in enumerate(self._rows) if row.can_be_chosen]
        further = [place for place in places if (place > self._chosen if by > 0 else place < self._chosen)]
        if not further:
            self._view.scroll_by(by)
            return
        self._chosen = further[0] if by > 0 else further[-1]
        self._paint()

    def action_scroll(self, by: int) -> None:
        self._view.scroll_by(by * max(1, self._view.body_height - 1))

    async def on_line_view_wanted(self, message: LineView.Wanted) -> None:
        message.stop()
        await self.run_action(message.action)

    def action_pick(self, line: int) -> None:
        """A click on a line."""
        at = 0
        for place, row in enumerate(self._rows):
            at += len(row.lines)
            if line < at:
                if row.can_be_chosen:
                    self._chosen = place
                    self.action_choose()
                return

    def action_choose(self) -> None:
        if not self.is_current or not 0 <= self._chosen < len(self._rows):
            return
        row = self._rows[self._chosen]
        if row.subject is not None:
            self._came_from = self._chosen
            self._chains, self._chosen, self._view.top = self._ask(row.subject), -1, 0
            self._paint()
        elif row.link is not None and row.link.stop:
            self.dismiss(row.link.stop)

    def action_leave(self) -> None:
        """Out of an answer back to the list it was chosen from; out of that to the lab."""
        if not self.is_current:
            return
        if self._chains and self._subjects:
            self._chains, self._chosen = (), self._came_from
            self._paint()
        else:
            self.dismiss(0)
