"""The screen of one lab: keys become commands, states become panels.

In: a Bridge, a Lesson or none. Out: commands; what is seen. Never folds an event, never reads a file, never draws a
character itself: panels, board and line views do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from socklab import events as ev
from socklab import guide
from socklab import state as st
from socklab.lesson import Lesson, Predict
from socklab.text import safe
from socklab.tui import arrangement, question, status, timeline
from socklab.tui.arrangement import Box, Plan
from socklab.tui.board import NUMBER, PANELS, Board
from socklab.tui.bridge import Bridge, Source
from socklab.tui.desk import Desk, Places
from socklab.tui.following import Following, neighbour
from socklab.tui.keys import KEYS, footer
from socklab.tui.lines import Key, Line, clip, wrap
from socklab.tui.lineview import LineView
from socklab.tui.prompt_place import PromptPlace
from socklab.tui.theme import Look
from socklab.tui.wirekeys import WireKeys, footer_situation, has_wire

if TYPE_CHECKING:
    from socklab.tui.prompt import Prompt

_NOT_HELD = {
    "r": "The program is running. p holds it.",
    "e": "There is no program to step any more.",
}


def _key(keys: str, action: str) -> Binding:
    """Handled where keys arrive, before anything else: of `:connect 5` typed in one go no letter may be a key."""
    return Binding(keys, action, show=False, priority=True)


def _how_far(state: st.LabState) -> tuple[int, ...]:
    """Different once anything has come of a step: a stop, or at the same stop an action or a beat of the lesson."""
    beat = state.step.t if state.step is not None else 0
    return (state.stops, state.focus, beat, len(state.acted) + state.acted.dropped)


class LabScreen(WireKeys, Screen[None]):
    """Everything of one run."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        *(_key(key.keys, key.action) for key in KEYS if key.action != "row"),
        *(_key(number, f"number('{number}')") for number in "0123456789"),
        _key("up", "row(-1)"),
        _key("down", "row(1)"),
        _key("pageup", "page(-1)"),
        _key("pagedown", "page(1)"),
        _key("enter", "enter"),
        _key("escape", "escape"),
    ]

    def __init__(
        self,
        link: Source,
        lesson: Lesson | None,
        look: Look,
        leave: Callable[[int], None],
        next_look: Callable[[], None],
    ) -> None:
        super().__init__()
        self.lesson = lesson
        self.look = look
        self.bridge = Bridge(link, self.paint)
        self.board = Board(lesson)
        self.following = Following()
        self.at: int | None = None
        """The stop that is shown; None = now."""
        self._alone = 0
        """The task that is stepped while the others run; 0 = each stops on its own."""
        self.marked = -1
        """Index of the marked choice of an open question."""
        self._leave = leave
        self._next_look = next_look
        self._asked_index = -1
        self._plan: Plan = arrangement.plan(80, 24)
        self._wanted: tuple[object, ...] = ()
        self._hint: Line = ()
        self._awaiting: tuple[int, ...] = ()
        """How far the run was when a step was asked for: keys that come before it is done are not queued."""
        self._unread = 0
        """Notices seen and dismissed."""
        self._shown: tuple[int | None, st.LabState] = (None, self.bridge.now)
        self._painting = False
        self._question_rows: list[int] = []

        def bar() -> LineView:
            return LineView(look, titled=False, focusable=False)

        self.slots = [LineView(look, name=f"slot{index}") for index in range(8)]
        self.header, self.asked, self.notice = bar(), bar(), bar()
        self.timeline, self.status, self.footer, self.tiny = bar(), bar(), bar(), bar()
        self.status.raised = True
        self.asked.row_action = self._choice_at
        self.typing = PromptPlace(self._clients, self._typed, self._say)

    # ---------------------------------------------------------------- composition

    def compose(self) -> ComposeResult:
        bars = (self.header, self.asked, self.notice, self.timeline, self.status, self.footer, self.tiny)
        self.desk = Desk(*self.slots, *bars, places=self._places)
        yield self.desk

    def on_mount(self) -> None:
        self.bridge.start()
        self.set_timer(0.05, lambda: self._rehearse(None))  # behind the first frame

    def _rehearse(self, work: Iterator[None] | None) -> None:
        """A piece of it at a time, until the engine has something to show."""
        if work is None:
            from socklab.tui.rehearsal import rehearse

            languages = self.lesson.languages if self.lesson is not None else ()
            work = rehearse(languages[0] if languages else "c")
        if self.bridge.now.task is None and next(work, work) is None:
            self.set_timer(0.005, lambda: self._rehearse(work))

    def on_unmount(self) -> None:
        self.bridge.stop()

    def _places(self, size: Size) -> Places:
        """Where each widget is on a screen of this size."""
        question_rows, notice_rows = self._wishes(size.width)
        state = self._state()
        plan = self._plan = arrangement.plan(
            size.width,
            size.height,
            extra=("wire",) if len(state.packets) and not has_wire(state) else (),
            wire=has_wire(state),
            maximised=self.board.maximised,
            question=question_rows,
            notice=notice_rows,
        )
        if plan.kind == "tiny":
            return {self.tiny: Box(0, 0, size.width, size.height)}
        places: dict[Widget, Box] = {
            self.header: plan.header,
            self.asked: plan.question,
            self.notice: plan.notice,
            self.timeline: plan.timeline,
            self.status: plan.status,
            self.footer: plan.footer,
        }
        places.update((view, slot.box) for view, slot in zip(self.slots, plan.slots, strict=False))
        if self.typing.field is not None and self.typing.is_open:
            box = plan.footer
            places[self.footer] = Box(box.x, box.y, 2, 1)
            places[self.typing.field] = Box(box.x + 2, box.y, box.width - 2, 1)
        return places

    def _wishes(self, width: int) -> tuple[int, int]:
        """Rows the question and the notices would like to have."""
        return (
            len(self._question_lines(width)[0]) + 1 if self._question_shown() is not None else 0,
            len(self._notice_lines(width)),
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While the prompt is open its field gets the keys."""
        return not self.typing.is_open

    # ---------------------------------------------------------------- what is shown

    def _now(self) -> st.LabState:
        """The latest state, the followed task in focus."""
        return self.following.state(self.bridge.now)

    def _state(self) -> st.LabState:
        """The state that is shown: now, or the past with the task in focus that was held there."""
        if self.at is None:
            return self._now()
        at, state = self._shown
        if at != self.at:
            state = self.bridge.history.at(self.at)
            self._shown = (self.at, state)
        return state

    def paint(self) -> None:
        """Draw what is different. Called by the bridge, and after every key that changes the view."""
        if not self.is_mounted or self._painting:
            return
        now, state = self._now(), self._state()
        if _how_far(now) != self._awaiting:
            self._awaiting = ()
        if now.question is not None and now.question.measured is None and now.question.index != self._asked_index:
            self._asked_index, self.marked = now.question.index, -1
        width = self.size.width
        wired = (bool(len(state.packets)), has_wire(state))
        wanted = (*self._wishes(width), self.board.maximised, self.typing.is_open, *wired)
        if wanted != self._wanted:
            self._wanted = wanted
            self.desk.arrange_anew()
        plan = self._plan
        if plan.kind == "tiny":
            self.tiny.show(self._tiny())
            return
        hidden: frozenset[str] = frozenset()
        if self.lesson is not None and status.situation(state) != "e":
            hidden = guide.masked(self.lesson, state)
        for slot, view in zip(plan.slots, self.slots, strict=False):
            self.board.paint(state, slot, view, hidden=hidden, past=self.at is not None, focused=self.focused is view)
        if self.board.frame_only:
            self.board.frame_only = False
            self.call_after_refresh(self.paint)
        if plan.header.height:
            self.header.show([status.header(state, self.lesson, width)])
        if plan.question.height:
            self._paint_question()
        if plan.notice.height:
            self.notice.show(self._notice_lines(width))
        line, hot = timeline.draw(self.bridge.chips, self.at, width, running=status.situation(now) == "r")
        self.timeline.show([line], hot=hot)
        self._paint_bottom(state, width)

    def _paint_bottom(self, state: st.LabState, width: int) -> None:
        now = self._now()
        if self._hint:
            line = clip(((" ", ""), *self._hint), width)
        elif self.at is not None:
            line = status.past(self.at, now.stops, width)
        else:
            line = status.line(
                state, self.lesson, width, chosen=bool(self.following.chosen), others_run=self._others_run(state)
            )
        self.status.show([line])
        if self.typing.is_open:
            self.footer.show([((": ", "key"),)])
            return
        predict = self._open_question()
        situation = "p" if self.at is not None else "q" if predict is not None else status.situation(now)
        choices = len(predict.choices) if predict is not None else 0
        keys, hot = footer(
            situation, width, lesson=self.lesson is not None, choices=choices, wire=footer_situation(now)
        )
        self.footer.show([keys], hot=hot)

    def _paint_soon(self) -> None:
        """Once, after the messages that are waiting: several views tell of one resize."""
        if not self._painting:
            self._painting = True
            self.call_later(self._paint_once)

    def _paint_once(self) -> None:
        self._painting = False
        self.paint()

    def _tiny(self) -> list[Line]:
        width, height = self.size
        text = (
            f"Terminal is {width}x{height}: make it at least "
            f"{arrangement.LEAST_WIDTH}x{arrangement.LEAST_HEIGHT} (80x24 is better), or use --plain. q quits."
        )
        return wrap(((text, "strong"),), max(10, width))

    def on_line_view_resized(self) -> None:
        self._paint_soon()

    def on_descendant_focus(self) -> None:
        self._paint_soon()

    def on_descendant_blur(self) -> None:
        self._paint_soon()

    # ---------------------------------------------------------------- question and notices

    def _open_question(self) -> Predict | None:
        """The question that waits for a choice, now. Nothing is asked of a program that is gone."""
        now = self.bridge.now
        return guide.question(self.lesson, now) if self.lesson is not None and status.situation(now) != "e" else None

    def _question_shown(self) -> Predict | None:
        """The question to be seen: open, committed to, or answered at this very stop."""
        state = self._state()
        asked = state.question
        if asked is None or self.lesson is None or (asked.measured is None and status.situation(state) == "e"):
            return None
        if asked.measured is not None and self.bridge.measured_at.get(asked.index) != state.stops:
            return None
        return question.predict_of(self.lesson, state)

    def _question_lines(self, width: int) -> tuple[list[Line], list[int]]:
        predict = self._question_shown()
        asked = self._state().question
        if predict is None or asked is None:
            return [], []
        inner = arrangement.question_width(width, self.size.height, maximised=bool(self.board.maximised))
        told = guide.fill(" ".join(predict.explain.split()), self._state()) if asked.measured is not None else ""
        return question.lines(predict, asked.measured, self.marked, inner, answered=asked.answered, explained=told)

    def _paint_question(self) -> None:
        width = self._plan.question.width
        lines, self._question_rows = self._question_lines(self.size.width)
        asked = self._state().question
        open_now = asked is not None and asked.measured is None
        title = "Your prediction" if open_now else "The kernel's answer"
        rule: Line = ((title, "focus"), (" ", ""), ("━" * max(0, width - len(title) - 2), "focus"))
        self.asked.show([rule, *lines])

    def _choice_at(self, row: int) -> str:
        index = self._question_rows[row - 1] if 0 < row <= len(self._question_rows) else -1
        return f"number('{index + 1}')" if index >= 0 else ""

    def _notice_lines(self, width: int) -> list[Line]:
        """Notices since the last one that was dismissed, newest last; at most the last three."""
        notices = self.bridge.now.notices
        first = max(self._unread - notices.dropped, len(notices) - 3, 0)
        lines: list[Line] = []
        for notice in notices[first:]:
            mark, role = {"error": ("✗", "bad"), "warning": ("!", "warn")}.get(notice.level, ("·", "dim"))
            for part, text in enumerate(safe(notice.text, lines=True).split("\n")):
                head = f" {mark} " if not part else "   "
                lines += wrap(((head, role), (text, "strong" if not part else "")), width - 1, 3)
            if notice.fix:
                lines += wrap((("   ", ""), (safe(notice.fix), "dim")), width - 1, 3)
        return lines

    def _dismiss(self) -> None:
        notices = self.bridge.now.notices
        self._unread = notices.dropped + len(notices)

    # ---------------------------------------------------------------- the program

    def _send(self, command: ev.AnyCommand) -> None:
        self._hint = ()
        if self.bridge.link.ended:
            self._say("The lab has ended. q quits.", wrong=True)
        else:
            self.bridge.send(command)

    def _say(self, text: str, *, wrong: bool) -> None:
        """A word in the status line, until the next key."""
        self._hint = ((safe(text), "bad" if wrong else "strong"),) if text else ()
        self.paint()

    def _run(self, command: ev.AnyCommand) -> None:
        """Let the held program go on, if it is held and nothing is asked."""
        if self.at is not None:
            self.action_now()
            return
        now = self._now()
        situation = status.situation(now)
        held = status.held(now)
        if self._open_question() is not None:
            self._say("First the prediction: press its number and Enter, or Esc to see the answer.", wrong=False)
        elif situation == "r" and held and isinstance(command, ev.Step):
            self._say(f"{now.focus} is not held, {held[-1]} is: ] goes there, Esc follows what happens.", wrong=False)
        elif situation == "r" and not held and now.blocked(now.focus):
            self._send(command)  # the lesson may have offered to act; if not, the engine says who can wake it
        elif situation != "h" and not held:
            self._say(_NOT_HELD[situation], wrong=False)
        elif self._awaiting != _how_far(now):
            self._awaiting = _how_far(now)
            self._dismiss()
            if isinstance(command, ev.Continue):
                self.following.wherever()
                self._alone = 0 if command.until != "step" else self._alone
            elif isinstance(command, ev.Step) and len(now.tasks) > 1:
                command = ev.Step(tid=now.focus, over=command.over)
            self._send(command)

    def action_step(self) -> None:
        self._run(ev.Step())

    def action_over(self) -> None:
        self._run(ev.Step(over=True))

    def action_next(self) -> None:
        self._run(ev.Continue("step"))

    def action_pause(self) -> None:
        now = self._now()
        if any(task.status == "running" for task in now.tasks.values()):
            self._alone = 0
            self._send(ev.Pause())
        else:
            self._say("It is held already." if now.task else "There is no program yet.", wrong=False)

    # ---------------------------------------------------------------- one task of several

    def action_task(self, tid: int) -> None:
        """Let the whole screen follow this task."""
        self._hint = ()
        self.at = None
        self.following.choose(tid)
        self.paint()

    def action_neighbour(self, by: int) -> None:
        tid = neighbour(self._now(), by)
        if tid:
            self.action_task(tid)
        else:
            self._say("There is one process with one thread.", wrong=False)

    def _others_run(self, state: st.LabState) -> bool:
        alone = state.tasks.get(self._alone)
        return alone is not None and alone.status != "exited"

    def action_others(self) -> None:
        """Let the other tasks run while this one is stepped, or have them stop again."""
        now = self._now()
        if self._others_run(now):
            self._alone = 0
            self._send(ev.Others(run=False))
            self._say("The others are held again, each at its next call.", wrong=False)
        elif now.task is None or now.task.status != "held":
            self._say("Choose a task that is held: the others can run while it is stepped.", wrong=False)
        else:
            self._alone = now.focus
            self._send(ev.Others(run=True, tid=now.focus))
            self.following.choose(now.focus)
            self._say(f"Only {now.focus} is stepped; the others run on. f holds them again.", wrong=False)

    def action_run_until(self) -> None:
        self.typing.open(self, "until ")

    def action_stdin(self) -> None:
        self.typing.open(self, 'stdin "\\n"', cursor=7)

    def action_quit_lab(self) -> None:
        ended = self.bridge.now.ended
        self._leave(1 if ended is not None and ended.reason == "failed" else 0)

    # ---------------------------------------------------------------- clients

    def _clients(self) -> Iterable[str]:
        return self.bridge.now.clients

    def _chosen(self) -> str:
        """The selected client, or the newest one that is open, or ""."""
        clients = self.bridge.now.clients
        selected = self.board.selected.get("clients")
        if isinstance(selected, str) and selected in clients:
            return selected
        living = [name for name, client in clients.items() if client.phase in ("open", "half-closed", "connecting")]
        return living[-1] if living else ""

    def _do(self, verb: str) -> None:
        name = self._chosen()
        if name:
            self._send(ev.Do(f"{verb} {name}"))
        else:
            self._say("There is no open client. k connects one.", wrong=False)

    def action_connect(self) -> None:
        self._send(ev.Do("connect"))

    def action_connect_many(self) -> None:
        self.typing.open(self, "connect 5")

    def action_send(self) -> None:
        name = self._chosen()
        text = f'send {name} "\\n"' if name else 'send "\\n"'
        self.typing.open(self, text, cursor=len(text) - 3)

    def action_half_close(self) -> None:
        self._do("half-close")

    def action_close(self) -> None:
        self._do("close")

    def action_reset(self) -> None:
        self._do("reset")

    def action_command(self) -> None:
        self.typing.open(self, "! ")

    def action_prompt(self) -> None:
        self.typing.open(self, "")

    def _typed(self, command: ev.AnyCommand) -> None:
        """A line of the prompt was in order."""
        if isinstance(command, ev.Quit):
            self.action_quit_lab()
        elif isinstance(command, ev.Step | ev.Continue):
            self._run(command)
        else:
            self._send(command)

    # ---------------------------------------------------------------- the past

    def _go(self, stop: int) -> None:
        stops = self.bridge.now.stops
        self._hint = ()
        self.at = None if stop >= stops else max(1, stop)
        self.paint()

    def action_past(self) -> None:
        if self.bridge.now.stops > 1:
            self._go((self.bridge.now.stops if self.at is None else self.at) - 1)

    def action_future(self) -> None:
        if self.at is not None:
            self._go(self.at + 1)

    def action_first(self) -> None:
        if self.bridge.now.stops > 1:
            self._go(1)

    def action_now(self) -> None:
        self._go(self.bridge.now.stops)

    def action_stop(self, stop: int) -> None:
        self._go(stop)

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
        if view.panel == "sockets":
            names = list(self._socket_keys(view))
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
            view.keep_in_sight(index)

    def _choose_row(self, by: int) -> None:
        from socklab.tui.panels import processes

        tids = processes.order(self._now())
        if tids:
            index = tids.index(self.following.shown) + by if self.following.shown in tids else 0
            self.action_task(tids[max(0, min(index, len(tids) - 1))])

    def _socket_keys(self, view: LineView) -> Iterable[Key]:
        from socklab.tui.tableview import VirtualLines

        lines = view.lines
        return lines.keys if isinstance(lines, VirtualLines) else ()

    def action_raw(self) -> None:
        """Ask for the /proc line of the selected socket, else of the listener, else of any."""
        selected = self.board.selected.get("sockets")
        state = self.bridge.now
        if isinstance(selected, tuple):
            self._send(ev.Raw(selected[1]))
            return
        listeners = state.listeners
        found = listeners[0].id if listeners else next((i for t in state.tables.values() for i in t.rows), None)
        if found is None:
            self._say("No socket is listed yet.", wrong=False)
        else:
            self._send(ev.Raw(found))

    def action_help(self) -> None:
        from socklab.tui.help import HelpScreen

        self.app.push_screen(HelpScreen(self.look))

    def action_enter(self) -> None:
        """Commit to the marked choice."""
        predict = self._open_question()
        if predict is not None and 0 <= self.marked < len(predict.choices):
            self._send(ev.Answer(predict.choices[self.marked]))
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
        elif self._open_question() is not None:
            self._send(ev.Answer(None))
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
