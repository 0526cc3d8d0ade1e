"""The screen of one lab: keys go to controllers, states become lines in their places.

In: states of a Bridge, keys, clicks. Out: what is seen. Never folds an event, reads a file or draws a character
itself; what an action does is in controllers/, what a panel shows in panels/, where things are in layout/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from socklab import guide
from socklab.commands.keymap import said
from socklab.commands.lines import Own, Request
from socklab.lesson import Lesson
from socklab.ui.tui.bridge import Source
from socklab.ui.tui.controllers import bars
from socklab.ui.tui.controllers.accepting import AcceptController
from socklab.ui.tui.controllers.clients import ClientsController
from socklab.ui.tui.controllers.evidence import EvidenceController
from socklab.ui.tui.controllers.going import GoingController
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.controllers.presenting import KEYS as PRESENTING, PresentController
from socklab.ui.tui.controllers.program import Leave, ProgramController
from socklab.ui.tui.controllers.prompt_line import PromptLine
from socklab.ui.tui.controllers.question import QuestionController
from socklab.ui.tui.controllers.view import ViewController
from socklab.ui.tui.controllers.why import WhyController
from socklab.ui.tui.controllers.wire import WireController
from socklab.ui.tui.failures import Sturdy, Survivor
from socklab.ui.tui.keys import KEYS, bound
from socklab.ui.tui.layout import plan as layout
from socklab.ui.tui.layout.panes import Panes, groups
from socklab.ui.tui.layout.plan import Box, Plan, Slot
from socklab.ui.tui.layout.remembered import Arrangement
from socklab.ui.tui.layout.surface import Places, Surface
from socklab.ui.tui.panels import registry
from socklab.ui.tui.screens.chrome import Chrome
from socklab.ui.tui.theme import Theme
from socklab.ui.tui.widgets import status
from socklab.ui.tui.widgets.line_view import LineView
from socklab.ui.view.lines import wrap
from socklab.ui.view.tasks import situation

if TYPE_CHECKING:
    from socklab.ui.tui.prompt import Prompt

_MOST_SLOTS = 8


def _key(keys: str, action: str, name: str | None = None) -> Binding:
    """Handled where keys arrive, before anything else: of `:connect 5` typed in one go no letter may be a key."""
    return Binding(keys, action, show=False, priority=True, id=name)


class LabScreen(Sturdy, Screen[None]):
    """Everything of one run."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        *(_key(",".join(keys.split()), action) for action, keys in PRESENTING.items()),
        *(_key(bound(key.keys), key.action, key.name) for key in KEYS if key.name != "row"),
        *(_key(bound(key), f"number('{key}')") for key in registry.FREE_KEYS),
        _key("up", "row(-1)"),
        _key("down", "row(1)"),
        _key("pageup", "page(-1)"),
        _key("pagedown", "page(1)"),
        _key("enter", "enter"),
        _key("escape", "escape"),
        _key("ctrl+p", "palette"),
    ]

    def __init__(
        self,
        link: Source,
        lesson: Lesson | None,
        theme: Theme,
        leave: Leave,
        restart: Callable[[str], bool],
        next_theme: Callable[[], None],
        kept: Arrangement,
    ) -> None:
        super().__init__()
        self.theme = theme
        self.lab = lab = Lab(link, lesson, self.paint)
        self.panes = panes = Panes(lesson, kept)
        self.prompt = PromptLine(lab, self._mount, self.set_focus, self._typed)
        self.program = ProgramController(lab, leave)
        self.going = GoingController(lab, restart)
        self.accepting = AcceptController(lab, self.program, self.set_timer)
        self.clients = ClientsController(lab, lambda: panes.selected.get("clients"), self.prompt.open)
        self.wire = WireController(lab, lambda: panes.selected.get("wire"), self.prompt.open)
        self.question = QuestionController(lab)
        self.view = ViewController(lab, panes, self.question, self, self.act)
        self.evidence = EvidenceController(lab, panes, self.view.front, self)
        self.why = WhyController(lab, panes, self)
        self.presenting = PresentController(lab, panes, self.program, self.question)
        self._next_theme = next_theme
        self._plan: Plan = layout.plan(80, 24, groups(lab.now))
        self._wanted: tuple[object, ...] = ()
        self._painting = False
        self._framed = False
        """The first frame has been drawn."""

        self.slots = [LineView(theme, name=f"slot{index}") for index in range(_MOST_SLOTS)]
        self.chrome = Chrome(theme, lab, self.program, self.question, self.going)
        self.surface = Surface(*self.slots, *self.chrome.all, places=self._places)
        self.actions = {name: self._stopping(method) for name, method in self._actions().items()}
        for name, method in self.actions.items():
            setattr(self, f"action_{name}", method)  # where Textual looks for it

    # ---------------------------------------------------------------- actions

    def _actions(self) -> dict[str, Callable[..., None]]:
        """Every action of a key or a click: the name in keys.KEYS, and what does it."""
        lab, program, clients, wire, view = self.lab, self.program, self.clients, self.wire, self.view
        return {
            "step": program.step, "over": program.over, "next": program.next, "pause": program.pause,
            "neighbour": program.neighbour, "others": program.others, "task": lab.follow,
            "accept": self.accepting.ask, "connect": clients.connect, "send": clients.send, "client": clients.act,
            "hold_all": wire.hold_all, "deliver": wire.deliver, "deliver_all": wire.deliver_all, "drop": wire.drop,
            "release": wire.release, "wire_prompt": wire.type,
            "past": view.past, "future": view.future, "first": view.first, "now": view.latest, "stop": lab.go,
            "mark": view.mark,
            "panel": view.panel, "cycle": view.cycle, "number": view.number, "maximise": view.maximise,
            "stack": view.stack, "verbose": view.verbose, "raw": self.evidence.open, "choice": self.question.choose,
            "row": view.row, "page": view.page, "pick": view.pick, "enter": view.enter,
            "escape": partial(self.accepting.escape, view.escape),
            "theme": self._next_theme, "prompt": self.prompt.open, "help": self._help,
            "palette": partial(self._choose, "Commands"), "panels": partial(self._choose, "Panels"),
            "steps": partial(self._choose, "Steps"),
            "quit_lab": program.quit_lab, "restart": self.going.restart, "why": self.why.ask,
            "language": self.going.to_language, "go_to_step": self.going.go,
            "present": self.presenting.toggle, "forward": self.presenting.forward, "back": self.presenting.back,
        }  # fmt: skip

    def act(self, action: str, *arguments: object) -> None:
        """Do what a key of this action does."""
        self.actions[action](*arguments)

    def _stopping(self, method: Callable[..., None]) -> Callable[..., None]:
        """The same; and as somebody wants something, nothing goes on by itself any more."""

        @wraps(method)  # Textual gives as many arguments as it sees in the signature
        def action(*arguments: object) -> None:
            self.going.stop()
            method(*arguments)

        return action

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While the prompt is open its field gets the keys; keys of presenter's mode are others' out of it."""
        return not self.prompt.is_open and (action not in PRESENTING or self.presenting.on)

    def is_choice(self, letter: str) -> bool:
        """This letter is a choice of the open question now, and nothing that is typed."""
        return not self.prompt.is_open and self.question.is_choice(letter)

    def _typed(self, command: Request) -> None:
        """A line of the prompt was in order."""
        if not isinstance(command, Own):
            self.program.obey(command)
        elif command.name == "pcap":
            self.wire.export(command.argument)
        elif command.name == "show":
            self.view.panel(command.argument)
        elif command.name == "why":
            self.why.ask(command.argument)
        elif command.name == "help" and command.argument:
            self.prompt.tell_usage(command.argument)
        else:
            self.act(command.name, *filter(None, (command.argument,)))

    def _help(self) -> None:
        from socklab.ui.tui.help import HelpScreen

        self.app.push_screen(HelpScreen(self.theme))

    def _choose(self, what: str) -> None:
        """A list to choose from: of commands, panels, or steps of the lesson."""
        from socklab.ui.tui.controllers import lists
        from socklab.ui.tui.palette import Palette

        if what == "Steps" and self.lab.lesson is None and not self.lab.marks:
            self.lab.say(said("There is no lesson, and no step of one; `mark` marks a stop."))
            return
        choices = lists.choices(what, self.lab, self.panes)
        self.app.push_screen(Palette(self.theme, what, choices), self._picked)

    def _picked(self, action: str | None) -> None:
        if action:
            self.call_later(self.run_action, action)

    def begin_anew(self, link: Source, lesson: Lesson | None) -> None:
        """Show another run of the same lab; what was chosen in the one before is forgotten, the layout stays."""
        self.lab.begin(link, lesson)
        self.program.begin()
        self.question.begin()
        self.panes.begin(lesson)
        for view in self.slots:
            view.top, view.at_end = 0, True
        self.lab.bridge.start()
        self.paint()

    def use(self, theme: Theme) -> None:
        self.theme = theme
        for view in self.query(LineView):
            view.use(theme)

    # ---------------------------------------------------------------- places

    def _mount(self, widget: Widget) -> None:
        self.surface.mount(widget)

    def compose(self) -> ComposeResult:
        yield self.surface

    @property
    def placed(self) -> tuple[Slot, ...]:
        return self._plan.slots

    def slots_with(self, front: str) -> tuple[Slot, ...]:
        """The slots there are with this panel in front; "" = none."""
        return self._planned(self.size, front).slots

    def _planned(self, size: Size, front: str) -> Plan:
        asked, text, told = self._wishes(size)
        return layout.plan(
            size.width,
            size.height,
            groups(self.lab.shown),
            front=front,
            maximised=self.panes.maximised,
            question=asked,
            text=text,
            notice=told,
            presenting=self.panes.presenting,
        )

    def _places(self, size: Size) -> Places:
        """Where each widget is on a screen of this size."""
        plan = self._plan = self._planned(size, self.panes.front(self.lab.shown))
        if plan.kind == "tiny":
            return {self.chrome.tiny: Box(0, 0, size.width, size.height)}
        places = self.chrome.places(plan)
        places.update((view, slot.box) for view, slot in zip(self.slots, plan.slots, strict=False))
        if self.prompt.field is not None and self.prompt.is_open:
            box = plan.footer
            places[self.chrome.footer] = Box(box.x, box.y, 2, 1)
            places[self.prompt.field] = Box(box.x + 2, box.y, box.width - 2, 1)
        return places

    def _wishes(self, size: Size) -> tuple[int, int, int]:
        """Rows that the question, the lesson's text beside it, and the notices would like to have."""
        width = self._text_width(size)
        asked = len(self.question.lines(width))
        text = self.panes.rows_of_text(self.lab.shown, width) if asked else 0
        return asked + bool(asked), text, len(self.chrome.notices(size.width))

    def _text_width(self, size: Size) -> int:
        panes = self.panes
        zoomed, presenting = bool(panes.maximised), panes.presenting
        return layout.text_width(size.width, size.height, maximised=zoomed, presenting=presenting)

    # ---------------------------------------------------------------- painting

    def paint(self) -> None:
        """Draw what is different. Called by the bridge, and after every key that changes the view."""
        if not self.is_mounted or self._painting:
            return
        if status.never_began(self.lab.bridge.now):
            self.program.leave_unstarted()
            return
        self.going.on_ready()
        state = self.lab.shown
        front = self.panes.front(state)
        self.question.escape_is_back = bool(front or self.panes.maximised or self.focused is not None)
        self.question.presenting = self.panes.presenting
        arranged = (front, self.panes.maximised, self.panes.presenting, self.prompt.is_open)
        wanted = (*self._wishes(self.size), *arranged, groups(state))
        if wanted != self._wanted:
            self._wanted = wanted
            self._plan = self._planned(self.size, front)
            self.surface.arrange_anew()
            self.call_after_refresh(self._paint_soon)  # another tab may have come without any place changing
        plan, width = self._plan, self.size.width
        if plan.kind == "tiny":
            self.chrome.tiny.show(bars.too_small(*self.size))
            return
        self._paint_panels()
        self.chrome.paint(plan, width, self._text_width(self.size), typing=self.prompt.is_open)

    def _paint_panels(self) -> None:
        lab, state = self.lab, self.lab.shown
        hidden: frozenset[str] = frozenset()
        if lab.lesson is not None and situation(state) != "e":
            hidden = guide.masked(lab.lesson, state)
        for slot, view in zip(self._plan.slots, self.slots, strict=False):
            focused = self.focused is view
            try:
                self.panes.paint(state, slot, view, hidden=hidden, past=lab.at is not None, focused=focused)
            except Exception as error:  # of one panel: the others are seen
                self._panel_failed(view, error)
        if self._plan.place.height:
            try:
                line, hot = self.panes.folded(state, self._plan.place.width, hidden)
                self.chrome.place.show([line], hot=hot)
            except Exception as error:
                self._panel_failed(self.chrome.place, error)
        if self.panes.frame_only and not self._framed:
            self._framed = True
            self.set_timer(0.015, self._fill)  # behind the frame that shows the frame

    def _panel_failed(self, view: LineView, error: Exception) -> None:
        app = cast(Survivor, self.app)
        if not app.outlives_failures:
            raise error
        line, _new = app.failures.add(error)
        told = f"This panel can't be drawn: {line}. The lab goes on; more when you quit."
        title = registry.entry(view.panel).title if view.panel else ""
        view.show(wrap(((told, "bad"),), view.body_width), ((title, "title"),))

    def _fill(self) -> None:
        """The titles are on the screen: now the panels, whose modules take a while to import."""
        self.panes.frame_only = False
        self.paint()

    def _paint_soon(self) -> None:
        """Once, after the messages that are waiting: several views tell of one resize."""
        if not self._painting:
            self._painting = True
            self.call_later(self._paint_once)

    def _paint_once(self) -> None:
        self._painting = False
        self.paint()

    # ---------------------------------------------------------------- events

    def on_mount(self) -> None:
        self.lab.bridge.start()
        self.set_timer(0.05, lambda: self._preload(None))  # behind the first frame

    def _preload(self, work: Iterator[None] | None) -> None:
        """A piece of it at a time, until the engine has something to show."""
        if work is None:
            from socklab.ui.tui.preload import preload

            languages = self.lab.lesson.languages if self.lab.lesson is not None else ()
            work = preload(languages[0] if languages else "c")
        if self.lab.bridge.now.task is None and next(work, work) is None:
            self.set_timer(0.005, lambda: self._preload(work))

    def on_unmount(self) -> None:
        self.lab.bridge.stop()

    def on_key(self) -> None:
        """A key that is no command's."""
        if self.going.words:
            self.going.stop()
            self.paint()

    def on_line_view_resized(self) -> None:
        self._paint_soon()

    on_descendant_blur = on_line_view_resized

    def on_descendant_focus(self) -> None:
        focused = self.focused
        if self.prompt.is_open and focused is not self.prompt.field:
            self.prompt.close()  # somebody clicked elsewhere: with it open and out of focus, no key would work
            self.set_focus(focused)
        self._paint_soon()

    async def on_line_view_wanted(self, message: LineView.Wanted) -> None:
        message.stop()
        await self.run_action(message.action)

    def on_input_changed(self, message: Message) -> None:
        message.stop()
        self.prompt.changed()

    def on_input_submitted(self, message: Message) -> None:
        message.stop()
        self.prompt.submit()

    def on_prompt_left(self) -> None:
        self.prompt.close()

    def on_prompt_said(self, message: Prompt.Said) -> None:
        self.lab.say(message.text, wrong=message.wrong)
