"""What the screen of one lab shows: composition, places, drawing; the question, the notices, the status line.

In: states of a Bridge. Out: what is seen. Has no keys: ProgramKeys and LookKeys build on it. Never folds an event,
never reads a file, never draws a character itself: panels, board and line views do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

from socklab import guide
from socklab import state as st
from socklab.core.text import safe
from socklab.lesson import Lesson, Predict
from socklab.protocol import commands as cmd
from socklab.ui.tui import arrangement, question, status, timeline
from socklab.ui.tui.arrangement import Box, Plan
from socklab.ui.tui.board import Board
from socklab.ui.tui.bridge import Bridge, Source
from socklab.ui.tui.desk import Desk, Places
from socklab.ui.tui.following import Following, neighbour
from socklab.ui.tui.keys import footer
from socklab.ui.tui.lines import Line, clip, wrap
from socklab.ui.tui.lineview import LineView
from socklab.ui.tui.prompt_place import PromptPlace
from socklab.ui.tui.theme import Look
from socklab.ui.tui.wirekeys import footer_situation, has_wire

if TYPE_CHECKING:
    from socklab.commands.lines import Request


class LabView(Screen[None]):
    """Everything that is seen of one run."""

    AUTO_FOCUS = ""

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
        self.per_second = 0
        """Calls a second, while the program runs."""
        self.until, self.until_from = "", -1
        """The condition it runs on to, and the count of stops when that was asked for."""
        self.marked = -1
        """Index of the marked choice of an open question."""
        self._leave = leave
        self._next_look = next_look
        self._asked_index = -1
        self._plan: Plan = arrangement.plan(80, 24)
        self._wanted: tuple[object, ...] = ()
        self._hint: Line = ()
        self._unread = 0
        """Notices seen and dismissed."""
        self._shown: tuple[int | None, st.LabState] = (None, self.bridge.now)
        self._painting = False
        self._framed = False
        """The first frame has been drawn."""
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
            from socklab.ui.tui.rehearsal import rehearse

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
        if now.question is not None and now.question.measured is None and now.question.index != self._asked_index:
            self._asked_index, self.marked = now.question.index, -1
        width = self.size.width
        wired = (bool(len(state.packets)), has_wire(state))
        wanted = (*self._wishes(width), self.board.maximised, self.typing.is_open, *wired)
        if wanted != self._wanted:
            self._wanted = wanted
            self.desk.arrange_anew()
            self.call_after_refresh(self._paint_soon)  # another tab may have come without any place changing
        plan = self._plan
        if plan.kind == "tiny":
            self.tiny.show(self._tiny())
            return
        hidden: frozenset[str] = frozenset()
        if self.lesson is not None and status.situation(state) != "e":
            hidden = guide.masked(self.lesson, state)
        for slot, view in zip(plan.slots, self.slots, strict=False):
            self.board.paint(state, slot, view, hidden=hidden, past=self.at is not None, focused=self.focused is view)
        if self.board.frame_only and not self._framed:
            self._framed = True
            self.set_timer(0.015, self._fill)  # behind the frame that shows the frame
        if plan.header.height:
            self.header.show([status.header(state, self.lesson, width)])
        if plan.question.height:
            self._paint_question()
        if plan.notice.height:
            self.notice.show(self._notice_lines(width))
        line, hot = timeline.draw(
            self.bridge.chips,
            self.at,
            width,
            running=status.situation(now) == "r",
            here=self.bridge.stop_of.get(now.focus),
        )
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
                state,
                self.lesson,
                width,
                chosen=bool(self.following.chosen),
                others_run=self._others_run(state),
                per_second=self.per_second,
                until=self.until if state.stops == self.until_from else "",
            )
        self.status.show([line])
        if self.typing.is_open:
            self.footer.show([((": ", "key"),)])
            return
        predict = self._open_question()
        situation = "p" if self.at is not None else "q" if predict is not None else status.situation(now)
        if situation == "r" and now.ready is not None and now.ready.wants == "lesson":
            situation = "h"  # the program sleeps, the lesson goes on with a step
        choices = len(predict.choices) if predict is not None else 0
        keys, hot = footer(
            situation,
            width,
            lesson=self.lesson is not None,
            choices=choices,
            wire=footer_situation(now),
            several=neighbour(now, 1) != 0,
        )
        self.footer.show([keys], hot=hot)

    def _fill(self) -> None:
        """The titles are on the screen: now the panels, whose modules take a while to import."""
        self.board.frame_only = False
        self.paint()

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
        turn = guide.your_turn(self._state())
        return question.lines(
            predict, asked.measured, self.marked, inner, answered=asked.answered, explained=told, turn=turn
        )

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

    def _send(self, command: cmd.AnyCommand) -> None:
        self._hint = ()
        if self.bridge.link.ended:
            self._say("The lab has ended. q quits.", wrong=True)
        else:
            self.bridge.send(command)

    def _say(self, text: str, *, wrong: bool) -> None:
        """A word in the status line, until the next key."""
        self._hint = ((safe(text), "bad" if wrong else "strong"),) if text else ()
        self.paint()

    def _others_run(self, state: st.LabState) -> bool:
        alone = state.tasks.get(self._alone)
        return alone is not None and alone.status != "exited"

    # ---------------------------------------------------------------- what its keys are for, made elsewhere

    def open_descriptors(self) -> list[int]:
        """Descriptor numbers of the followed process, for the prompt to complete."""
        now = self._now()
        return sorted(now.descriptors.get(now.task.pid, ())) if now.task is not None else []

    def _clients(self) -> Iterable[str]:
        """Names of the clients, for the prompt to complete."""
        raise NotImplementedError

    def _typed(self, command: Request) -> None:
        """A line of the prompt was in order."""
        raise NotImplementedError
