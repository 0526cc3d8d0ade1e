"""Looking: which panel is in front, what is chosen in it, how large it is, which stop is shown, what Esc leaves.

In: actions, clicks on rows. Out: another view of the same state. Sends no command, knows no panel by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from textual.widget import Widget

from socklab.commands.keymap import said
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.controllers.question import QuestionController
from socklab.ui.tui.layout.panes import Panes, groups
from socklab.ui.tui.layout.plan import Slot
from socklab.ui.tui.panels import registry
from socklab.ui.tui.widgets.line_view import LineView
from socklab.ui.view.lines import Key

_EVERY_DETAIL = frozenset({"hex", "stack"})


class Views(Protocol):
    """What is needed of the screen: its views, which of them shows what, and the focus."""

    slots: list[LineView]

    @property
    def placed(self) -> tuple[Slot, ...]:
        """The slots of the plan; the first views show them, in order."""
        ...

    def slots_with(self, front: str) -> tuple[Slot, ...]: ...

    @property
    def focused(self) -> Widget | None: ...

    def set_focus(self, widget: Widget | None) -> None: ...


class ViewController:
    """The keys for looking. `act`: runs an action of the screen by its name."""

    def __init__(
        self, lab: Lab, panes: Panes, question: QuestionController, views: Views, act: Callable[..., None]
    ) -> None:
        self._lab = lab
        self._panes = panes
        self._question = question
        self._screen = views
        self._act = act

    # ---------------------------------------------------------------- panels

    def _focused(self) -> str:
        """The panel with the focus; "" = none."""
        view = self._screen.focused
        return view.panel if isinstance(view, LineView) else ""

    def _unfocus(self) -> None:
        self._panes.send_back(self._lab.shown, self._focused())
        self._screen.set_focus(None)

    def panel(self, name: str) -> None:
        """Show a panel and give it the focus; the focused one again: let go of it."""
        self._lab.hint = ()
        why = registry.panel(name).absent(self._lab.shown)
        if why:
            self._lab.say(why)
            return
        if self._panes.maximised:
            self._panes.maximised = name
        elif self._focused() == name:
            self._unfocus()
        else:
            index = self._panes.bring(name, self._lab.shown, self._screen.slots_with)
            if index >= 0:
                self._screen.set_focus(self._screen.slots[index])
        self._lab.paint()

    def number(self, key: str) -> None:
        """The panel of this key."""
        name = registry.of_key(key)
        if name:
            self.panel(name)

    def cycle(self, by: int) -> None:
        """The panel after this one, or before."""
        order = [name for names in groups(self._lab.shown).all for name in names]
        here = self._panes.maximised or self._focused()
        index = (order.index(here) + by) % len(order) if here in order else (0 if by > 0 else -1)
        self.panel(order[index])

    def maximise(self) -> None:
        panes, placed = self._panes, self._screen.placed
        shown = self._focused() or panes.front(self._lab.shown) or (placed[0].panels[0] if placed else "")
        panes.maximised = "" if panes.maximised else shown
        self._lab.paint()

    def verbose(self) -> None:
        self._panes.expanded = frozenset() if self._panes.expanded else _EVERY_DETAIL
        self._lab.paint()

    def stack(self) -> None:
        """Every frame of the call stack below the source, or the innermost alone again."""
        self._detail("frames")

    def _detail(self, detail: str) -> None:
        """Open a detail of the one panel that has it, or close it."""
        name = next(name for name in registry.names() if registry.panel(name).detail == detail)
        why = registry.panel(name).no_detail(self._lab.shown)
        if why and detail not in self._panes.expanded:
            self._lab.say(why)
            return
        if self._panes.toggle_detail(name) and self._focused() != name:
            self.panel(name)
        self._lab.paint()

    # ---------------------------------------------------------------- rows

    def _view(self) -> LineView | None:
        """The view that row keys are for: the maximised one, the focused one, else the first with more to show."""
        view = self._screen.focused
        if isinstance(view, LineView) and not self._panes.maximised:
            return view
        views = self._screen.slots[: len(self._screen.placed)]
        return next((view for view in views if self._moves(view)), views[0] if views else None)

    def _moves(self, view: LineView) -> bool:
        """There is something to choose or to scroll in it."""
        if len(view.lines) > view.body_height:
            return True
        return bool(view.panel) and bool(
            registry.panel(view.panel).choices(self._lab.shown, self._panes.view(view.panel))
        )

    def page(self, by: int) -> None:
        view = self._view()
        if view is not None:
            view.scroll_by(by * max(1, view.body_height - 1))

    def row(self, by: int) -> None:
        """Choose the row above or below, or scroll where there is nothing to choose."""
        if not isinstance(self._screen.focused, LineView) and self._question.move(by):
            return
        view = self._view()
        if view is None or not view.panel:
            return
        key = registry.panel(view.panel).step(self._lab.shown, self._panes.view(view.panel), by)
        if key is None:
            view.scroll_by(by)
        else:
            self._choose(view.panel, key)

    def pick(self, name: str, line: int) -> None:
        """The mouse chooses the row on a line of a panel."""
        key = registry.panel(name).at(self._lab.shown, self._panes.view(name), line)
        if key is not None:
            self._choose(name, key)

    def _choose(self, name: str, key: Key) -> None:
        action = registry.panel(name).chooses
        if action:
            self._act(action, key[1])
        else:
            self._panes.selected[name] = key
            self._lab.paint()

    def front(self) -> str:
        """The panel that a key is about: the one with the focus, the maximised one, else the first one seen."""
        name = self._panes.maximised or self._focused()
        shown = [view.panel for view, _ in zip(self._screen.slots, self._screen.placed, strict=False) if view.panel]
        return name or next(iter(shown), "sockets")

    # ---------------------------------------------------------------- in and out

    def _openable(self) -> str:
        """The panel whose chosen row Enter and Esc are about; "" = none."""
        panes = self._panes
        name = next(iter(panes.opened), "") or panes.maximised or self._focused() or panes.front(self._lab.shown)
        return name if name and registry.panel(name).opened_by_choice else ""

    def _open(self, name: str) -> None:
        """Tell the chosen row in full, or go back to the rows."""
        view = self._view_of(name)
        if view is not None and (name in self._panes.opened or name in self._panes.selected):
            self._panes.toggle_opened(name, view)
            self._lab.paint()

    def _view_of(self, name: str) -> LineView | None:
        return next((view for view in self._screen.slots if view.panel == name), None)

    def _leave_choice(self, name: str) -> bool:
        """Out of the row in full, then out of the choice. False = there was neither."""
        if name in self._panes.opened:
            self._open(name)
            return True
        view = self._view_of(name)
        if view is not None:
            view.at_end = True
        return self._panes.selected.pop(name, None) is not None

    def enter(self) -> None:
        """Commit to the marked choice; or tell the chosen row in full."""
        name = "" if self._question.commit() else self._openable()
        if name:
            self._open(name)

    def escape(self) -> None:
        """Out of whatever is in the way: the maximised panel, the past, a question, the focus, a notice."""
        lab, panes = self._lab, self._panes
        lab.hint = ()
        openable = self._openable()
        if openable and self._leave_choice(openable):
            pass
        elif panes.maximised:
            panes.maximised = ""
        elif lab.at is not None:
            lab.latest()
        elif panes.with_detail():
            panes.toggle_detail(panes.with_detail())
        elif self._screen.focused is not None:
            self._unfocus()
        elif panes.send_back(lab.shown) or (not panes.presenting and self._question.show_me()):
            pass
        elif lab.following.chosen:
            lab.following.let_go()
        else:
            lab.dismiss()
        lab.paint()

    # ---------------------------------------------------------------- the past

    def _stop(self) -> int:
        return self._lab.bridge.now.stops if self._lab.at is None else self._lab.at

    def mark(self, words: str = "") -> None:
        """A bookmark at the stop shown. One that is there: other words for it, or away with it."""
        lab, stop = self._lab, self._stop()
        if not stop:
            lab.say("There is no stop yet.")
            return
        if words or stop not in lab.marks:
            lab.marks[stop] = words
            told = f"Stop {stop} is marked: `steps` lists the bookmarks, `mark` takes it away."
        else:
            del lab.marks[stop]
            told = f"Stop {stop} is not marked any more."
        lab.bridge.chips.mark(lab.marks)
        lab.say(said(told))

    def past(self) -> None:
        if self._lab.bridge.now.stops > 1:
            self._lab.go(self._stop() - 1)

    def future(self) -> None:
        if self._lab.at is not None:
            self._lab.go(self._stop() + 1)

    def first(self) -> None:
        if self._lab.bridge.now.stops > 1:
            self._lab.go(1)

    def latest(self) -> None:
        self._lab.go(self._lab.bridge.now.stops)
