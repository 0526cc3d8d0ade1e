"""Which panel is in which place, and what each of them shows: the screen's memory of what the user chose to see.

In: a LabState, a Plan and the views to fill. Out: calls of LineView.show. Panels are asked only when they can be
seen. Never sends commands, never handles keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol, cast

from socklab import state as st
from socklab.core.text import safe
from socklab.lesson import Lesson
from socklab.ui.tui import arrangement
from socklab.ui.tui.arrangement import Slot
from socklab.ui.tui.lines import Key, Line, Span, View, cell_len, masked
from socklab.ui.tui.lineview import LineView
from socklab.ui.tui.panels.common import call_name
from socklab.ui.tui.tableview import VirtualLines

PANELS = (*arrangement.LEFT, *arrangement.RIGHT)
NAMES = {name: name.capitalize() for name in PANELS} | {"narration": "Lesson", "wire": "Wire"}
"""Titles for as long as the panels' own modules need not be imported."""
NUMBER = {name: str((index + 1) % 10) for index, name in enumerate(PANELS)} | {"wire": "w"}
_SHORT = {"descriptors": "fds", "processes": "procs", "narration": "text", "counters": "counts"}

RELEVANT = {
    "socket": "descriptors",
    "socketpair": "descriptors",
    "bind": "descriptors",
    "listen": "queues",
    "accept": "queues",
    "accept4": "queues",
    "close": "descriptors",
    "dup": "descriptors",
    "dup2": "descriptors",
    "openat": "descriptors",
    **dict.fromkeys(("connect", "shutdown", "sendfile"), "sockets"),
    **dict.fromkeys(("read", "recv", "recvfrom", "recvmsg", "readv"), "sockets"),
    **dict.fromkeys(("write", "send", "sendto", "sendmsg", "writev"), "sockets"),
    **dict.fromkeys(("fork", "vfork", "clone", "clone3", "wait4", "exit_group"), "processes"),
}
"""Where the effect of a call shows best."""


class Panel(Protocol):
    """What a module of socklab.ui.tui.panels offers."""

    TITLE: str

    def title(self, state: st.LabState) -> str: ...
    def render(self, state: st.LabState, view: View) -> list[Line]: ...


class Table(Panel, Protocol):
    """A panel that draws single rows."""

    def rows(self, state: st.LabState, view: View) -> Sequence[Key]: ...
    def head(self, state: st.LabState, view: View) -> list[Line]: ...
    def line(self, state: st.LabState, key: Key, view: View) -> Line: ...


def panel(name: str) -> Panel:
    """The panel's module, imported when it is first seen."""
    return cast(Panel, import_module(f"socklab.ui.tui.panels.{name}"))


def exists(name: str) -> bool:
    """Whether there is such a panel."""
    return find_spec(f"socklab.ui.tui.panels.{name}") is not None


class Board:
    """Selections, tabs, details: everything about the view that is not in the state."""

    def __init__(self, lesson: Lesson | None) -> None:
        self.lesson = lesson
        self.pinned: dict[str, str] = {}
        """Tab group, by its first tab, to the tab the user chose; without one the group follows the program. A group
        gets another last tab when there are packets."""
        self.selected: dict[str, Key | str] = {}
        self.expanded: frozenset[str] = frozenset()
        self.frame = 0
        """The frame of the call stack that the source shows; 0 = the innermost."""
        self._frame_of = (0, 0)
        self.maximised = ""
        self.frame_only = True
        """The first frame has titles and bars only: it is there before the panels' modules are imported."""
        self.detailed = False
        """The chosen packet is told in place of the arrows."""
        self._tops: dict[str, int] = {}
        self._ends: dict[str, bool] = {}
        self._chosen_in: tuple[object, ...] = ()
        """The view, its rows and the packet chosen in it, when the wire was drawn last: another, and it is brought into
        sight."""
        self._stop_of: dict[str, int] = {}
        """Stop at which a panel that tells something new at each was last drawn: it begins at its top again."""

    # ---------------------------------------------------------------- tabs

    def active(self, slot: Slot, state: st.LabState) -> str:
        """The panel a slot shows: chosen by the user, else where the call in hand has its effect."""
        if len(slot.panels) == 1:
            return slot.panels[0]
        chosen = self.pinned.get(slot.panels[0], "")
        if chosen:
            return chosen
        task = state.task
        if "wire" in slot.panels and len(state.on_the_way):
            return "wire"  # something is in the student's hand
        wanted = ""
        if task is not None and task.call is not None:
            wanted = RELEVANT.get(call_name(state, task.call.entered.nr), "")
        if wanted in slot.panels:
            return wanted
        if "queues" in slot.panels:
            return "queues" if state.listeners else "descriptors"
        if "output" in slot.panels and "clients" in slot.panels and not state.clients and len(state.output):
            return "output"
        return slot.panels[0]

    def bring(self, name: str, slots: Sequence[Slot]) -> int:
        """Show panel `name` in its slot; returns the slot's index, -1 when it has none."""
        for index, slot in enumerate(slots):
            if name in slot.panels:
                if len(slot.panels) > 1:
                    self.pinned[slot.panels[0]] = name
                return index
        return -1

    def release(self, name: str) -> None:
        """Let the tab group that holds `name` follow the program again."""
        for group in [group for group, chosen in self.pinned.items() if chosen == name]:
            del self.pinned[group]

    # ---------------------------------------------------------------- drawing

    def paint(
        self, state: st.LabState, slot: Slot, view: LineView, *, hidden: frozenset[str], past: bool, focused: bool
    ) -> None:
        """Fill one view with the panel its slot shows."""
        name = self.active(slot, state)
        if name != view.panel:
            self._tops[view.panel], self._ends[view.panel] = view.top, view.at_end
            view.panel = name
            view.top, view.at_end = self._tops.get(name, 0), self._ends.get(name, True)
            view.cursor_rows = name != "source"
        if name in ("call", "narration", "queues") and self._stop_of.get(name) != state.stops:
            self._stop_of[name] = state.stops
            view.top = 0
        width, height = view.body_width, view.body_height
        view.row_action = None
        if width < 1 or height < 1:
            return
        if state.header is None or self.frame_only:
            view.show((), *self._title(slot, name, self._name(name), state, width + 1, focused=focused))
            return
        module = panel(name)
        full = module.TITLE if name in hidden else safe(self._told(module, name, state))
        if name == "wire" and len(slot.panels) > 4:
            full = NAMES[name]  # among so many tabs its numbers would be cut; its head says them
        title, hot = self._title(slot, name, full, state, width + 1, focused=focused, hidden=hidden)
        if name in hidden:
            view.show(masked(width, height), title, hot)
            return
        if (state.stops, state.focus) != self._frame_of:
            self._frame_of, self.frame = (state.stops, state.focus), 0
        looked = View(
            width=width,
            height=height,
            lesson=self.lesson,
            selected=self.selected.get(name) if name != "source" else ("frame", self.frame),
            expanded=self.expanded,
            past=past,
            maximised=bool(self.maximised),
        )
        if name == "wire" and self._paint_wire(state, looked, view, title, hot):
            return
        if name == "sockets":
            table = cast(Table, module)
            keys = table.rows(state, looked)
            if keys:
                lines = VirtualLines(keys, lambda key: table.line(state, key, looked))
                view.show(lines, title, hot, head=table.head(state, looked))
                return
        if name == "narration" and state.question is not None and state.question.measured is not None:
            # The question's own place tells the answer; the lesson's text stays what it was.
            from msgspec.structs import replace

            state = replace(state, question=None)
        view.row_action = self._row_action(name, state, looked)
        view.show(module.render(state, looked), title, hot, follow=name in ("source", "clients", "processes"))

    def _told(self, module: Panel, name: str, state: st.LabState) -> str:
        """The panel's own title."""
        if name != "source" or "frames" not in self.expanded:
            return module.title(state)
        from socklab.ui.tui.panels import source

        return source.title(state, self.frame)

    def _name(self, name: str) -> str:
        """The panel's title before its module is asked."""
        return "Your program" if name == "narration" and self.lesson is None else NAMES[name]

    def _row_action(self, name: str, state: st.LabState, looked: View) -> Callable[[int], str] | None:
        """What a click on a row of the panel asks for."""
        if name == "source" and "frames" in looked.expanded and state.task is not None:
            first = looked.height - len(state.task.stack)
            return lambda row: f"frame({row - first})" if row >= first else ""
        if name != "processes":
            return None
        from socklab.ui.tui.panels import processes

        tids = processes.tids(state, looked)
        return lambda row: f"task({tids[row]})" if 0 <= row < len(tids) and tids[row] else ""

    def _paint_wire(
        self, state: st.LabState, looked: View, view: LineView, title: Line, hot: list[tuple[int, int, str]]
    ) -> bool:
        """The arrows, or the chosen packet in full. False = there is no packet."""
        from msgspec.structs import replace

        from socklab.ui.tui.panels import wire

        looked = replace(looked, height=view.room)
        keys = wire.rows(state, looked)
        if not keys:
            return False
        chosen = keys.place(looked.selected)
        self.detailed = self.detailed and chosen >= 0
        if self.detailed:
            view.show(wire.detail(state, looked), title, hot)
            return True
        lines = VirtualLines(keys, lambda key: wire.line(state, key, looked))
        view.row_action = "pick({})".format
        view.show(
            lines,
            title,
            hot,
            head=wire.head(state, looked),
            foot=wire.foot(state, looked),
            tail=chosen < 0 or chosen == len(keys) - 1,
        )
        chosen_in = (view, view.room, looked.selected)
        if chosen >= 0 and chosen_in != self._chosen_in:
            view.keep_in_sight(chosen)
        self._chosen_in = chosen_in
        return True

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
    ) -> tuple[Line, list[tuple[int, int, str]]]:
        """A thin rule with the panel's name, or with the names of a tab group. Heavy where the focus is."""
        spans: list[Span] = []
        hot: list[tuple[int, int, str]] = []
        x = 0
        others = sum(len(NAMES.get(each, each)) + 4 for each in slot.panels if each != name)
        room = width - 4 - cell_len(full) - others
        for each in slot.panels:
            text = NAMES.get(each, each.capitalize())
            if each == name:
                text = full
                roles = ("focus", "focus") if focused else ("dim", "title")
            else:
                if room < 0:
                    text = _SHORT.get(each, text.lower())
                # That something moved can be the answer: a counter of drops does not move by itself.
                text += "*" if each not in hidden and _moved(each, state) else ""
                roles = ("dim", "dim")
            entry = f"{NUMBER.get(each, '')} "
            spans += [(entry, roles[0]), (text, roles[1]), ("  ", "")]
            size = cell_len(entry) + cell_len(text)
            hot.append((x, x + size, f"panel('{each}')"))
            x += size + 2
        if len(slot.panels) == 1:
            spans[-1] = (" ", "")
            x -= 1
        rule = "━" if focused else "─"
        spans.append((rule * max(0, width - x - 1), "focus" if focused else "rule"))
        return tuple(spans), hot


def _moved(name: str, state: st.LabState) -> bool:
    """Whether the last call changed what a tab out of sight shows."""
    changed = state.changed
    return bool(
        (name == "descriptors" and changed.descriptors)
        or (name == "sockets" and changed.sockets)
        or (name == "counters" and (changed.counters or changed.settings))
        or (name == "wire" and _packets_moved(state))
    )


def _packets_moved(state: st.LabState) -> bool:
    return bool(state.changed.fates) or (len(state.packets) > 0 and state.packets[-1].id > state.changed.packet)
