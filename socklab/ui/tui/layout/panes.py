"""Which panel is in which place and what is chosen in it: everything about the view that is not in the state.

In: a LabState, a Plan and the views to fill. Out: calls of LineView.show. Panels are asked only when they can be
seen. Knows no panel by name; never sends commands, never handles keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from socklab import state as st
from socklab.core.text import safe
from socklab.lesson import Lesson, Step
from socklab.ui.tui.layout.motion import Motion
from socklab.ui.tui.layout.plan import Groups, Slot
from socklab.ui.tui.layout.remembered import Arrangement
from socklab.ui.tui.panels import registry
from socklab.ui.tui.widgets.line_view import Hot, LineView
from socklab.ui.tui.widgets.status import run_words
from socklab.ui.view.formats import call_name
from socklab.ui.view.lines import Key, Line, Span, View, cell_len, masked, width as cells_of

_MANY_TABS = 4
"""From more tabs than these on a title may go without its numbers."""


def groups(state: st.LabState) -> Groups:
    """The panels there are at this state, by their places."""
    found: dict[str, list[str]] = {place: [] for place in ("stage", "source", "call", "text", "kernel", "own")}
    for entry in map(registry.entry, registry.names()):
        room = entry.room(state)
        if room:
            found[entry.place if room == registry.TAB else registry.OWN].append(entry.name)
    return Groups(**{place: tuple(names) for place, names in found.items()})


class Panes:
    """Tabs, choices, details, scroll positions."""

    def __init__(self, lesson: Lesson | None, kept: Arrangement) -> None:
        self.expanded: frozenset[str] = frozenset()
        """Details that are open: View.expanded."""
        known = registry.names()
        self.maximised = kept.maximised if kept.maximised in known else ""
        self.presenting = False
        """For a room full of people: the stage and the text alone."""
        self.frame_only = True
        """The first frame has titles and bars only: it is there before the panels' modules are imported."""
        self.pinned = tuple(name for name in kept.front if name in known)
        """Panels the user brought to the front, the last one last; a group of tabs without one follows the program."""
        self._sizes: dict[str, tuple[int, int]] = {}
        self.motion = Motion()
        self.begin(lesson)

    def begin(self, lesson: Lesson | None) -> None:
        """From a run's beginning; tabs, details and zoom stay."""
        self.lesson = lesson
        self.motion.forget()
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
        self._declined = -1
        """The lesson's step whose own panel the user has sent back."""

    @property
    def arrangement(self) -> Arrangement:
        """What of it is kept for the next run."""
        return Arrangement(front=self.pinned, maximised=self.maximised)

    # ---------------------------------------------------------------- which panel is in front

    def _step(self, state: st.LabState) -> Step | None:
        """The lesson's step that the state is at."""
        at = state.step
        steps = self.lesson.steps if self.lesson is not None else ()
        return steps[at.index] if at is not None and 0 <= at.index < len(steps) else None

    def _focus(self, state: st.LabState) -> str:
        """The panel that the lesson's step brings to the front; "" = none, or the user has sent it back."""
        step = self._step(state)
        return step.focus if step is not None and state.step is not None and state.step.index != self._declined else ""

    def front(self, state: st.LabState) -> str:
        """The panel that was brought to the front: by the user, else by the lesson's step; "" = none."""
        return self.pinned[-1] if self.pinned else self._focus(state)

    def active(self, slot: Slot, state: st.LabState) -> str:
        """The panel a slot shows: of a group of tabs the one in front, else the one with most to say."""
        if len(slot.panels) == 1:
            return slot.panels[0]
        for name in (*reversed(self.pinned), self._focus(state)):
            if name in slot.panels:
                return name
        if self.frame_only:
            return next((name for name in slot.panels if registry.entry(name).at_start), slot.panels[0])
        task = state.task
        call = call_name(state, task.call.entered.nr) if task is not None and task.call is not None else ""
        return max(slot.panels, key=lambda name: registry.panel(name).relevance(state, call))

    def bring(self, name: str, state: st.LabState, places: Callable[[str], Sequence[Slot]]) -> int:
        """Show panel `name`; returns the index of its slot then, -1 when it has none. `places`: the slots there are
        with this panel in front."""
        if not any(slot.panels == (name,) for slot in places(self.front(state))):
            if any(slot.panels == (name,) for slot in places("")):
                self.pinned = ()  # it is there once nothing stands in front of it
                self._decline(state)
            else:
                groups = [slot.panels for slot in places(name) if slot.panels[1:] and name not in slot.panels]
                others = {panel for panels in groups for panel in panels}
                self.pinned = (*(pinned for pinned in self.pinned if pinned in others), name)
        slots = places(self.front(state))
        return next((index for index, slot in enumerate(slots) if name in slot.panels), -1)

    def _decline(self, state: st.LabState) -> None:
        if state.step is not None and self._focus(state):
            self._declined = state.step.index

    def send_back(self, state: st.LabState, name: str = "") -> bool:
        """What was brought to the front leaves it: this panel, or the last one. False = nothing was there."""
        front = name or self.front(state)
        if front in self.pinned:
            self.pinned = tuple(pinned for pinned in self.pinned if pinned != front)
        elif front and front == self._focus(state):
            self._decline(state)
        else:
            return False
        return True

    # ---------------------------------------------------------------- choices

    def view(self, name: str, *, past: bool = False, hidden: frozenset[str] = frozenset(), pointed: str = "") -> View:
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
            hidden=hidden,
            pointed=pointed,
        )

    def chosen(self, name: str, state: st.LabState) -> tuple[str, Key | None]:
        """The panel and the row that a question about this panel is about: the stage shows rows of the tables."""
        key = self.selected.get(name)
        return registry.panel(name).row_of(state, key) or (name, key)

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
            self.motion.skip()
            view.top, view.at_end = self._scrolled.get(name, (0, True))
        view.row_action = None
        width, height = self._sizes[name] = view.body_width, view.room
        if width < 1 or view.size.height < 1:
            return
        head = _Head(self, slot, name, state, width + 1, focused=focused, hidden=hidden)
        entry = registry.entry(name)
        if state.header is None or self.frame_only:
            view.show((), *head.line((self.lesson is None and entry.title_alone) or entry.title))
            return
        if height < 1:
            view.show((), *head.line(entry.title, "folded: the terminal is too low"))
            return
        panel = registry.panel(name)
        view.cursor_rows = not panel.marks_call
        if panel.new_at_stop and self._stop_of.get(name) != state.stops:
            self._stop_of[name] = state.stops
            view.top = 0
        self._forget(state)
        step = self._step(state)
        pointed = step.point if step is not None else ""
        looked = self.view(name, past=past, hidden=hidden, pointed=pointed)
        masks = name in hidden and not panel.masks_itself
        plain = masks or (panel.numbers_in_head and len(slot.panels) > _MANY_TABS)
        title, hot = head.line(panel.title_text if plain else safe(panel.title(state, looked)))
        if masks:
            view.show(masked(width, height), title, hot)
            return
        if looked.opened and (looked.selected is None or panel.line_of(state, looked, looked.selected) < 0):
            self.opened.discard(name)
            looked = self.view(name, past=past, hidden=hidden, pointed=pointed)
        body = panel.body(state, looked)
        view.row_action = lambda line: f"pick('{name}', {line})" if panel.at(state, looked, line) else ""
        view.show(body.lines, title, hot, head=body.head, foot=body.foot, follow=panel.follow, tail=body.tail)
        self._keep_in_sight(name, state, looked, view)
        if body.still is not None:
            self.motion.shown(view, body.still, past=past, masked=bool(hidden))

    def rows_of_text(self, state: st.LabState, width: int) -> int:
        """Rows that the lesson's text takes with its title, so wide."""
        if self.frame_only:
            return 0
        view = View(width=width - 1, height=8, lesson=self.lesson)
        names = groups(state).text
        return 1 + max(len(registry.panel(name).body(state, view).lines) for name in names)

    def folded(self, state: st.LabState, width: int, hidden: frozenset[str]) -> tuple[Line, list[Hot]]:
        """Source and call in one line, and where a click opens which."""
        if state.header is None or self.frame_only:
            return (), []
        spans: list[Span] = []
        hot: list[Hot] = []
        x = 0
        for name in (name for place in groups(state).program for name in place):
            entry, panel = registry.entry(name), registry.panel(name)
            head: Line = ((" " * 3 if spans else "", ""), (f"{registry.face(entry)} ", "dim"))
            room = width - x - cells_of(head)
            if room < cell_len(panel.title_text):
                break
            told = ((f"{panel.title_text} hidden", "dim"),) if name in hidden else panel.folded(state, room)
            spans += [*head, *told]
            behind = x + cells_of(head) + cells_of(told)
            hot.append((x, behind, f"panel('{name}')"))
            x = behind
        return tuple(spans), hot

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


class _Head:
    """The thin rule over a panel, heavy where the focus is: its name, and those of others that can be opened."""

    def __init__(
        self,
        panes: Panes,
        slot: Slot,
        name: str,
        state: st.LabState,
        width: int,
        *,
        focused: bool,
        hidden: frozenset[str],
    ) -> None:
        self._panes = panes
        self._slot = slot
        self._name = name
        self._state = state
        self._width = width
        self._focused = focused
        self._hidden = hidden

    def line(self, title: str, why: str = "") -> tuple[Line, list[Hot]]:
        """The rule, and where a click asks for what. `why`: a word about what can't be seen."""
        entry = registry.entry(self._name)
        key = f"{face} " if (face := registry.face(entry)) else ""
        spans: list[Span] = [(key, "focus" if self._focused else "dim"), (title, "focus" if self._focused else "title")]
        x = cell_len(key) + cell_len(title)
        hot: list[Hot] = [(0, x, f"panel('{self._name}')")]
        if why:
            spans.append((f" {why}", "dim"))
            x += cell_len(why) + 1
        left, right = self._run(self._width - x - 4) if self._slot.names_run else ((), ())
        spans += left
        x += cells_of(left)
        x = self._tabs(spans, hot, x)
        rule = "━" if self._focused else "─"
        size = max(0, self._width - 2 - x - cells_of(right))
        return (*spans, (" ", ""), (rule * size, "focus" if self._focused else "rule"), *right), hot

    def _tabs(self, spans: list[Span], hot: list[Hot], x: int) -> int:
        """Keys and names of the others, as many as fit whole; how many more there are. Returns the cell behind."""
        others = [name for name in (*self._slot.panels, *self._slot.tabs) if name != self._name]
        if others:
            spans.append((" ", ""))
            x += 1
        for place, name in enumerate(others):
            entry = registry.entry(name)
            key = f"{face} " if (face := registry.face(entry)) else ""
            size = cell_len(key) + cell_len(entry.short) + 2  # with room for a star: nothing moves when it comes
            left = len(others) - place
            if x + size + (4 if left > 1 else 0) > self._width - 5:
                more = f" +{left}"
                spans.append((more, "dim"))
                hot.append((x, x + len(more), "panels"))
                return x + len(more)
            # That something moved can be the answer: a counter of drops does not move by itself.
            known = not self._panes.frame_only and name not in self._hidden
            star = "*" if known and registry.panel(name).moved(self._state) else " "
            spans += [(" ", ""), (key, "dim"), (entry.short, "dim"), (star, "changed")]
            hot.append((x + 1, x + size, f"panel('{name}')"))
            x += size
        return x

    def _run(self, room: int) -> tuple[Line, Line]:
        """Which run this is, left, and where it plays, right; what does not fit whole is left out."""
        title, where = run_words(self._state, self._panes.lesson)
        left: Line = ((f"  {title}", ""),) if title and cell_len(title) + 2 <= room else ()
        room -= cells_of(left)
        right: Line = ((f" {where} ", "dim"),) if where and cell_len(where) + 2 <= room else ()
        return left, right
