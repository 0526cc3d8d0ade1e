"""Which panel is in which place and what is chosen in it: everything about the view that is not in the state.

In: a LabState, a Plan and the views to fill. Out: calls of LineView.show. Panels are asked only when they can be
seen. Knows no panel by name; never sends commands, never handles keys.
"""

from __future__ import annotations

from collections.abc import Sequence

from socklab import state as st
from socklab.core.text import safe
from socklab.lesson import Lesson
from socklab.ui.tui.layout.plan import Groups, Slot
from socklab.ui.tui.panels import registry
from socklab.ui.tui.widgets.formats import call_name
from socklab.ui.tui.widgets.line_view import Hot, LineView
from socklab.ui.tui.widgets.lines import Key, Line, Span, View, cell_len, masked

_MANY_TABS = 4
"""From more tabs than these on a title may go without its numbers."""


def groups(state: st.LabState) -> Groups:
    """The panels there are at this state, by their places."""
    found: dict[str, list[str]] = {place: [] for place in ("source", "call", "text", "kernel", "own")}
    for entry in map(registry.entry, registry.names()):
        room = entry.room(state)
        if room:
            found[entry.place if room == registry.TAB else registry.OWN].append(entry.name)
    return Groups(**{place: tuple(names) for place, names in found.items()})


class Panes:
    """Tabs, choices, details, scroll positions."""

    def __init__(self, lesson: Lesson | None) -> None:
        self.expanded: frozenset[str] = frozenset()
        """Details that are open: View.expanded."""
        self.maximised = ""
        self.frame_only = True
        """The first frame has titles and bars only: it is there before the panels' modules are imported."""
        self._pinned: list[str] = []
        """Panels the user brought to the front of their tab groups; a group without one follows the program."""
        self._sizes: dict[str, tuple[int, int]] = {}
        self.begin(lesson)

    def begin(self, lesson: Lesson | None) -> None:
        """From a run's beginning; tabs, details and zoom stay."""
        self.lesson = lesson
        self.selected: dict[str, Key] = {}
        """Panel to the row chosen in it."""
        self.opened: set[str] = set()
        """Panels whose chosen row is told in full."""
        self._scrolled: dict[str, tuple[int, bool]] = {}
        """Where a panel was scrolled to when another took its place."""
        self._in_sight: dict[str, tuple[object, ...]] = {}
        """The view, its rows and what was chosen, when a panel was drawn last: another, and the choice is brought into
        sight."""
        self._stop_of: dict[str, int] = {}
        """Stop at which a panel was last drawn."""
        self._moment = (0, 0)

    # ---------------------------------------------------------------- tabs

    def active(self, slot: Slot, state: st.LabState) -> str:
        """The panel a slot shows: the one the user brought to the front, else the one with most to say."""
        if len(slot.panels) == 1:
            return slot.panels[0]
        pinned = next((name for name in reversed(self._pinned) if name in slot.panels), "")
        if pinned:
            return pinned
        if self.frame_only:
            return next((name for name in slot.panels if registry.entry(name).at_start), slot.panels[0])
        task = state.task
        call = call_name(state, task.call.entered.nr) if task is not None and task.call is not None else ""
        return max(slot.panels, key=lambda name: registry.panel(name).relevance(state, call))

    def bring(self, name: str, slots: Sequence[Slot]) -> int:
        """Show panel `name` in its slot; returns the slot's index, -1 when it has none."""
        for index, slot in enumerate(slots):
            if name in slot.panels:
                self._pinned = [pinned for pinned in self._pinned if pinned not in slot.panels] + [name]
                return index
        return -1

    def release(self, name: str) -> None:
        """Let the tab group that holds `name` follow the program again."""
        self._pinned = [pinned for pinned in self._pinned if pinned != name]

    # ---------------------------------------------------------------- choices

    def view(self, name: str, *, past: bool = False) -> View:
        """What the panel is told about where it is shown."""
        width, height = self._sizes.get(name, (0, 0))
        return View(
            width=width,
            height=height,
            lesson=self.lesson,
            selected=self.selected.get(name),
            opened=name in self.opened,
            expanded=self.expanded,
            past=past,
            maximised=bool(self.maximised),
        )

    def toggle_detail(self, name: str) -> bool:
        """Open a panel's own detail, or close it; what was chosen in it is chosen no more. True = it is open now."""
        self.selected.pop(name, None)
        self.expanded ^= {registry.panel(name).detail}
        return registry.panel(name).detail in self.expanded

    def with_detail(self) -> str:
        """The panel whose own detail is open; "" = none."""
        return next((name for name in registry.names() if self.expanded & {registry.panel(name).detail}), "")

    def toggle_opened(self, name: str, view: LineView) -> None:
        """Tell the chosen row in full, or go back to the rows."""
        self.opened ^= {name}
        view.top = 0

    # ---------------------------------------------------------------- drawing

    def paint(
        self, state: st.LabState, slot: Slot, view: LineView, *, hidden: frozenset[str], past: bool, focused: bool
    ) -> None:
        """Fill one view with the panel its slot shows."""
        name = self.active(slot, state)
        if name != view.panel:
            self._scrolled[view.panel] = view.top, view.at_end
            view.panel = name
            view.top, view.at_end = self._scrolled.get(name, (0, True))
        view.row_action = None
        width, height = self._sizes[name] = view.body_width, view.room
        if width < 1 or height < 1:
            return
        if state.header is None or self.frame_only:
            entry = registry.entry(name)
            text = (self.lesson is None and entry.title_alone) or entry.title
            view.show((), *self._title(slot, name, text, state, width + 1, focused=focused))
            return
        panel = registry.panel(name)
        view.cursor_rows = not panel.marks_call
        if panel.new_at_stop and self._stop_of.get(name) != state.stops:
            self._stop_of[name] = state.stops
            view.top = 0
        self._forget(state)
        looked = self.view(name, past=past)
        plain = name in hidden or (panel.numbers_in_head and len(slot.panels) > _MANY_TABS)
        text = panel.title_text if plain else safe(panel.title(state, looked))
        title, hot = self._title(slot, name, text, state, width + 1, focused=focused, hidden=hidden)
        if name in hidden:
            view.show(masked(width, height), title, hot)
            return
        if looked.opened and (looked.selected is None or panel.line_of(state, looked, looked.selected) < 0):
            self.opened.discard(name)
            looked = self.view(name, past=past)
        body = panel.body(state, looked)
        view.row_action = lambda line: f"pick('{name}', {line})" if panel.at(state, looked, line) else ""
        view.show(body.lines, title, hot, head=body.head, foot=body.foot, follow=panel.follow, tail=body.tail)
        self._keep_in_sight(name, state, looked, view)

    def _forget(self, state: st.LabState) -> None:
        """At another stop, or with another task, some choices mean nothing any more."""
        moment = (state.stops, state.focus)
        if moment != self._moment:
            self._moment = moment
            for name in [name for name in self.selected if registry.panel(name).forgets]:
                del self.selected[name]

    def _keep_in_sight(self, name: str, state: st.LabState, looked: View, view: LineView) -> None:
        now = (view, view.room, looked.selected, looked.opened)
        if now != self._in_sight.get(name):
            self._in_sight[name] = now
            if looked.selected is not None and not looked.opened:
                line = registry.panel(name).line_of(state, looked, looked.selected)
                if line >= 0:
                    view.keep_in_sight(line)

    def _title(
        self,
        slot: Slot,
        name: str,
        full: str,
        state: st.LabState,
        width: int,
        *,
        focused: bool,
        hidden: frozenset[str] = frozenset(),
    ) -> tuple[Line, list[Hot]]:
        """A thin rule with the panel's name, or with the names of a tab group. Heavy where the focus is."""
        entries = [registry.entry(each) for each in slot.panels]
        spans: list[Span] = []
        hot: list[Hot] = []
        x = 0
        room = width - 4 - cell_len(full) - sum(len(each.title) + 4 for each in entries if each.name != name)
        for each in entries:
            if each.name == name:
                text = full
                roles = ("focus", "focus") if focused else ("dim", "title")
            else:
                text = each.title if room >= 0 else each.short
                # That something moved can be the answer: a counter of drops does not move by itself.
                if not self.frame_only and each.name not in hidden and registry.panel(each.name).moved(state):
                    text += "*"
                roles = ("dim", "dim")
            key = f"{face} " if (face := registry.face(each)) else ""
            spans += [(key, roles[0]), (text, roles[1]), ("  ", "")]
            size = cell_len(key) + cell_len(text)
            hot.append((x, x + size, f"panel('{each.name}')"))
            x += size + 2
        if len(slot.panels) == 1:
            spans[-1] = (" ", "")
            x -= 1
        rule = "━" if focused else "─"
        spans.append((rule * max(0, width - x - 1), "focus" if focused else "rule"))
        return tuple(spans), hot
