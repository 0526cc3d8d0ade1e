"""Keys for looking: panels, tabs, rows, details, themes, help, the answer to a question, the prompt's messages.

In: actions of the lab's screen. Out: what the board is to show. Sends nothing but what one asks to see.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.message import Message

from socklab.protocol import commands as cmd
from socklab.ui.tui.board import NUMBER, PANELS
from socklab.ui.tui.lines import Key
from socklab.ui.tui.lineview import LineView
from socklab.ui.tui.stackkeys import Rate, StackKeys
from socklab.ui.tui.theme import Look
from socklab.ui.tui.wirekeys import WireKeys

if TYPE_CHECKING:
    from socklab.ui.tui.prompt import Prompt

from socklab.ui.tui.programkeys import ProgramKeys


class LookKeys(StackKeys, WireKeys, ProgramKeys):
    """Focus, selection, size and detail."""

    def on_mount(self) -> None:
        """In addition to the view's own: Textual calls each class's handler."""
        rate = Rate()
        self.set_interval(0.5, lambda: self.measure_rate(rate))

    # ---------------------------------------------------------------- looking

    def _order(self) -> list[str]:
        """Panels in the order Tab goes through them."""
        return [name for slot in self._plan.slots for name in slot.panels] if not self.board.maximised else list(PANELS)

    def _focused(self) -> str:
        return self.focused.panel if isinstance(self.focused, LineView) else ""

    def action_panel(self, name: str) -> None:
        """Show a panel and give it the focus; the focused one again: let go of it."""
        self._hint = ()
        if name == "wire" and not len(self._state().packets):
            self._say("No packet has been seen on a wire of the lab's own.", wrong=False)
            return
        if self.board.maximised:
            self.board.maximised = name
            self._shown_views()[0].panel = ""
            self.paint()
            return
        if self._focused() == name:
            self.board.release(name)
            self.set_focus(None)
        else:
            index = self.board.bring(name, self._plan.slots)
            if index >= 0:
                self.set_focus(self.slots[index])
        self.paint()

    def action_number(self, number: str) -> None:
        predict = self._open_question()
        if predict is not None and self.at is None:
            if 0 < int(number) <= len(predict.choices):
                self.marked = int(number) - 1
                self.paint()
            return
        name = next((name for name, known in NUMBER.items() if known == number), "")
        if name:
            self.action_panel(name)

    def _cycle(self, by: int) -> None:
        order = self._order()
        if not order:
            return
        here = self.board.maximised or self._focused()
        index = (order.index(here) + by) % len(order) if here in order else (0 if by > 0 else -1)
        self.action_panel(order[index])

    def action_next_panel(self) -> None:
        self._cycle(1)

    def action_previous_panel(self) -> None:
        self._cycle(-1)

    def action_maximise(self) -> None:
        self.board.maximised = "" if self.board.maximised else self._focused() or "source"
        self.paint()

    def action_verbose(self) -> None:
        self.board.expanded = frozenset() if self.board.expanded else frozenset({"hex", "stack", "raw"})
        self.paint()

    def action_theme(self) -> None:
        self._next_look()

    def use(self, look: Look) -> None:
        self.look = look
        for view in self.query(LineView):
            view.use(look)

    def _shown_views(self) -> list[LineView]:
        return self.slots[: len(self._plan.slots)]

    def _view(self) -> LineView | None:
        """The view that row keys are for: the focused one, else the source."""
        if isinstance(self.focused, LineView):
            return self.focused
        return self.slots[0] if self._plan.slots else None

    def action_page(self, by: int) -> None:
        view = self._view()
        if view is not None:
            view.scroll_by(by * max(1, view.body_height - 1))

    def action_row(self, by: int) -> None:
        predict = self._open_question()
        if predict is not None and not isinstance(self.focused, LineView):
            self.marked = max(0, min(len(predict.choices) - 1, self.marked + by))
            self.paint()
            return
        view = self._view()
        if view is None:
            return
        names: list[Key] | list[str] = []
        if view.panel == "wire":
            self.choose_packet(view, by)
            return
        if view.panel == "processes":
            self._choose_row(by)
            return
        if view.panel == "source" and "frames" in self.board.expanded:
            self.action_frame(self.board.frame + by)
            return
        if view.panel == "sockets":
            names = [key for key in self._socket_keys(view) if "\0" not in key[0]]  # no headings, no raw lines
        elif view.panel == "clients":
            names = list(self.bridge.now.clients)
        if not names:
            view.scroll_by(by)
            return
        selected = self.board.selected.get(view.panel)
        index = names.index(selected) + by if selected in names else 0  # type: ignore[arg-type]
        index = max(0, min(index, len(names) - 1))
        self.board.selected[view.panel] = names[index]
        self.paint()
        if view.panel == "sockets":
            view.keep_in_sight(list(self._socket_keys(view)).index(names[index]))  # type: ignore[arg-type]

    def _choose_row(self, by: int) -> None:
        from socklab.ui.tui.panels import processes

        tids = processes.order(self._now())
        if tids:
            index = tids.index(self.following.shown) + by if self.following.shown in tids else 0
            self.action_task(tids[max(0, min(index, len(tids) - 1))])

    def _socket_keys(self, view: LineView) -> Iterable[Key]:
        from socklab.ui.tui.tableview import VirtualLines

        lines = view.lines
        return lines.keys if isinstance(lines, VirtualLines) else ()

    def action_raw(self) -> None:
        """Ask for the /proc line of the selected socket, else of the listener, else of any."""
        selected = self.board.selected.get("sockets")
        state = self.bridge.now
        if isinstance(selected, tuple):
            self._send(cmd.Raw(selected[1]))
            return
        listeners = state.listeners
        found = listeners[0].id if listeners else next((i for t in state.tables.values() for i in t.rows), None)
        if found is None:
            self._say("No socket is listed yet.", wrong=False)
        else:
            self._send(cmd.Raw(found))

    def action_help(self) -> None:
        from socklab.ui.tui.help import HelpScreen

        self.app.push_screen(HelpScreen(self.look))

    def action_enter(self) -> None:
        """Commit to the marked choice."""
        predict = self._open_question()
        if predict is not None and 0 <= self.marked < len(predict.choices):
            self._send(cmd.Answer(predict.choices[self.marked]))
        elif predict is not None:
            self._say("Press the number of a choice first.", wrong=False)
        elif self._focused() == "wire" or self.board.detailed:
            self.open_packet()

    def action_escape(self) -> None:
        """Out of whatever is in the way: the maximised panel, the past, a question, the focus, a notice."""
        self._hint = ()
        if (self.board.detailed or self._focused() == "wire") and self.leave_packet():
            self.paint()
            return
        if self.board.maximised:
            self.board.maximised = ""
        elif self.at is not None:
            self.at = None
        elif "frames" in self.board.expanded:
            self.action_stack()
        elif self._open_question() is not None:
            self._send(cmd.Answer(None))
        elif self.focused is not None:
            self.board.release(self._focused())
            self.set_focus(None)
        elif self.following.chosen:
            self.following.let_go()
        else:
            self._dismiss()
        self.paint()

    def on_input_changed(self, message: Message) -> None:
        message.stop()
        if self.typing.field is not None:
            self.typing.changed(self.typing.field.value)

    def on_input_submitted(self, message: Message) -> None:
        message.stop()
        self.typing.submit()

    def on_prompt_left(self) -> None:
        self.typing.close()

    def on_prompt_said(self, message: Prompt.Said) -> None:
        self._say(message.text, wrong=message.wrong)

    async def on_line_view_wanted(self, message: LineView.Wanted) -> None:
        message.stop()
        await self.run_action(message.action)
