"""What a panel is: one class, which says what is shown of a state and what can be chosen in it.

In: a LabState, and a View that says where it is shown. Out: lines; rows that can be chosen. Never imports Textual,
never draws, never sends a command: layout/panes.py puts its lines on the screen, controllers/view.py works its keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from socklab import state as st
from socklab.ui.tui.widgets.virtual_lines import VirtualLines
from socklab.ui.view.formats import chosen, fit, words
from socklab.ui.view.lines import Key, Line, View, clip

if TYPE_CHECKING:
    from socklab.evidence import Subject
    from socklab.ui.stage.movement import Still


class Body(NamedTuple):
    """What a panel shows under its title. `lines` may be made row by row as they are asked for (VirtualLines)."""

    lines: Sequence[Line]
    head: Sequence[Line] = ()
    """Above the lines; stays when they scroll."""
    foot: Sequence[Line] = ()
    tail: bool = False
    """Goes along with new lines at the end, unless it was scrolled away from there."""
    still: Still | None = None
    """A picture in which something may move until it stands as `lines` have it."""


class Panel:
    """A panel; made once, for every screen. It keeps nothing of a lab but what makes the next drawing cheaper."""

    title_text: ClassVar[str]
    """The title without numbers."""
    topic: ClassVar[str] = ""
    """Of the calls whose effect shows here best, in the table of system calls: at them it comes to the front."""
    follow: ClassVar[bool] = False
    """The line marked `current` is kept in sight."""
    marks_call: ClassVar[bool] = False
    """`current` marks the line about to make the call, not a chosen row."""
    new_at_stop: ClassVar[bool] = False
    """It tells something new at each stop: it begins at its top again."""
    numbers_in_head: ClassVar[bool] = False
    """Among many tabs the title goes without its numbers: the head says them."""
    chooses: ClassVar[str] = ""
    """The action of the screen that choosing a row is, called with the row's number; "" = the row is only marked."""
    opened_by_choice: ClassVar[bool] = False
    """Enter tells the chosen row in full, Esc goes back."""
    first_choice: ClassVar[int] = 0
    """What up or down chooses when nothing is chosen: 0 the first row, -1 the last."""
    forgets: ClassVar[bool] = False
    """What was chosen is chosen no more at the next stop."""
    evidence_of: ClassVar[str] = ""
    """What socklab.evidence calls the raw things it is drawn from; "" = it shows what others show."""
    detail: ClassVar[str] = ""
    """A detail of its own that a key opens (View.expanded): its rows can be chosen while it is open."""
    masks_itself: ClassVar[bool] = False
    """While a prediction is open it leaves out by itself what belongs to hidden panels (View.hidden)."""

    # ---------------------------------------------------------------- what is shown

    def number(self, state: st.LabState) -> str:
        """What the title says behind the panel's name: "3 of 4"."""
        return ""

    def title(self, state: st.LabState, view: View | None = None) -> str:
        return f"{self.title_text} {self.number(state)}".rstrip()

    def folded(self, state: st.LabState, room: int) -> Line:
        """What it says where it has one line, and shares that, instead of a place: at most `room` cells."""
        return clip(((self.title(state), "strong"),), room)

    def nothing(self, state: st.LabState) -> str:
        """Why there are no lines; "" = there are."""
        return ""

    def lines(self, state: st.LabState, view: View) -> Iterable[Line]:
        """As many as it wants; what is wider than the panel is cut."""
        raise NotImplementedError

    def render(self, state: st.LabState, view: View) -> list[Line]:
        """Its lines, none wider than view.width, or why there are none."""
        why = self.nothing(state)
        return fit(words(why, view) if why else self.lines(state, view), view)

    def body(self, state: st.LabState, view: View) -> Body:
        """What the screen shows and scrolls."""
        return Body(self.render(state, view))

    def relevance(self, state: st.LabState, call: str) -> int:
        """How much it has to say at this moment, beside the other tabs of its group; `call` is made, or "".

        3: something waits for the student here. 2: the call has its effect here. 1: better than nothing. 0: no more
        than another.
        """
        from socklab.syscalls import touches

        return 2 if call and self.topic and touches(call) == self.topic else 0

    def no_detail(self, state: st.LabState) -> str:
        """Why its `detail` can't be opened; "" = it can."""
        return ""

    def moved(self, state: st.LabState) -> bool:
        """The last call changed what it shows: its tab gets a star."""
        return False

    def absent(self, state: st.LabState) -> str:
        """Why there is nothing to show that would be worth a key; "" = there is."""
        return ""

    def evidence(self, state: st.LabState, view: View) -> Subject | str:
        """The raw thing that it, or its chosen row, was drawn from; as text, why there is none."""
        from socklab import evidence

        if not self.evidence_of:
            return "This panel shows what others show: choose one of them."
        return evidence.of(self.evidence_of, state, view.lesson, view.selected)

    # ---------------------------------------------------------------- what can be chosen

    def choices(self, state: st.LabState, view: View) -> Sequence[Key]:
        """The keys of what can be chosen, in order; empty: up and down scroll."""
        return ()

    def chosen(self, state: st.LabState, stored: Key | None) -> Key | None:
        """What is chosen, where `stored` was chosen last."""
        return stored

    def row_of(self, state: st.LabState, key: Key | None) -> tuple[str, Key | None] | None:
        """The panel and the row of it that `key` stands for, where it is another panel's; None = its own."""
        return None

    def step(self, state: st.LabState, view: View, by: int) -> Key | None:
        """What up or down chooses from here; None = nothing can be chosen."""
        choices = self.choices(state, view)
        if not choices:
            return None
        chosen = self.chosen(state, view.selected)
        if chosen is None or chosen not in choices:
            return choices[self.first_choice]
        return choices[max(0, min(choices.index(chosen) + by, len(choices) - 1))]

    def line_of(self, state: st.LabState, view: View, key: Key) -> int:
        """The line of `body` to keep in sight when this row is chosen; -1 = `follow` sees to it."""
        return -1

    def at(self, state: st.LabState, view: View, line: int) -> Key | None:
        """The row that a click on this line of `body` chooses."""
        return None


class ListPanel(Panel):
    """A panel whose lines are drawn all at once; some of them are rows that can be chosen."""

    def listed(self, state: st.LabState, view: View) -> Iterable[tuple[Line, Key | None]]:
        """Every line, and the row it is; None = a heading, or what can't be chosen."""
        raise NotImplementedError

    def lines(self, state: st.LabState, view: View) -> Iterable[Line]:
        for line, key in self.listed(state, view):
            here = bool(line) and key is not None and key == view.selected
            yield chosen(line, line[0][0].strip() or "▸") if here else line  # the mark of a change stays

    def choices(self, state: st.LabState, view: View) -> Sequence[Key]:
        return () if self.nothing(state) else [key for _, key in self.listed(state, view) if key is not None]

    def line_of(self, state: st.LabState, view: View, key: Key) -> int:
        return next((place for place, (_, each) in enumerate(self.listed(state, view)) if each == key), -1)

    def at(self, state: st.LabState, view: View, line: int) -> Key | None:
        return next((key for place, (_, key) in enumerate(self.listed(state, view)) if place == line), None)


class RowsPanel(Panel):
    """A panel of very many rows: a key for each, of which only those in sight are drawn."""

    def rows(self, state: st.LabState, view: View) -> Sequence[Key]:
        """Every row's key, in the order they are shown."""
        raise NotImplementedError

    def line(self, state: st.LabState, key: Key, view: View) -> Line:
        """The row of one key; an empty line for a key that is not known."""
        raise NotImplementedError

    def head(self, state: st.LabState, view: View) -> list[Line]:
        """Column titles."""
        return []

    def body(self, state: st.LabState, view: View) -> Body:
        keys = self.rows(state, view)
        if not keys:
            return super().body(state, view)
        return Body(VirtualLines(keys, lambda key: self.line(state, key, view)), self.head(state, view))

    def choices(self, state: st.LabState, view: View) -> Sequence[Key]:
        return self.rows(state, view)

    def line_of(self, state: st.LabState, view: View, key: Key) -> int:
        rows = self.rows(state, view)
        return rows.index(key) if key in rows else -1

    def at(self, state: st.LabState, view: View, line: int) -> Key | None:
        rows = self.rows(state, view)
        return rows[line] if line < len(rows) else None
