"""The Textual application: one screen for a lab, one for the menu; signals, themes, the last filter.

In: a Link and a Lesson, or nothing (the menu). Out: an exit code. Never starts before it has a terminal, never leaves
without giving the terminal back.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

# Before Textual is imported: it reads these once. Textual itself animates nothing here (what moves on the stage is
# layout/motion.py's), and a frame waits 4 ms, not 16.
_SET_HERE = [name for name in ("TEXTUAL_ANIMATIONS", "TEXTUAL_FPS") if name not in os.environ]
os.environ.update({name: {"TEXTUAL_ANIMATIONS": "none", "TEXTUAL_FPS": "240"}[name] for name in _SET_HERE})

from msgspec.structs import replace  # noqa: E402
from rich.segment import Segment  # noqa: E402
from textual.app import App  # noqa: E402
from textual.binding import Binding, BindingType  # noqa: E402
from textual.events import Event, InputEvent, MouseMove  # noqa: E402
from textual.filter import LineFilter  # noqa: E402
from textual.screen import ModalScreen  # noqa: E402

for _name in _SET_HERE:  # programs started from here must not inherit them
    del os.environ[_name]

from socklab.commands.keymap import effective  # noqa: E402
from socklab.core.text import safe  # noqa: E402
from socklab.lesson import CHOICE_LETTERS, Lesson  # noqa: E402
from socklab.ui.tui import keys  # noqa: E402
from socklab.ui.tui.bridge import Source  # noqa: E402
from socklab.ui.tui.failures import MOST, Failures, Sturdy  # noqa: E402
from socklab.ui.tui.layout import remembered  # noqa: E402
from socklab.ui.tui.layout.remembered import Arrangement  # noqa: E402
from socklab.ui.tui.screens.lab import LabScreen  # noqa: E402
from socklab.ui.tui.theme import textual_theme, themes  # noqa: E402

if TYPE_CHECKING:
    import asyncio

    from textual.color import Color
    from textual.screen import Screen

    from socklab.session import Link
    from socklab.ui.tui.screens.menu import MenuScreen


class VisibleOnly(LineFilter):
    """Nothing that is no visible character leaves for the terminal, whoever let it in."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [
            segment
            if segment.text.isprintable() or segment.control
            else Segment(safe(segment.text)[: len(segment.text)], segment.style)
            for segment in segments
        ]


class SocklabApp(Sturdy, App[int]):
    """Made with a link: the lab of that link. Without: the menu."""

    CSS_PATH = "socklab.tcss"
    TITLE = "socklab"
    ENABLE_COMMAND_PALETTE = False
    outlives_failures = True
    """False, for tests: what is raised ends the screen, and the test with it."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "leave_or_copy", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", show=False, priority=True),
        # Here and not on the lab's screen: there a letter of the user's keymap would take the place of a choice.
        *(Binding(letter, f"choice('{letter}')", show=False, priority=True) for letter in CHOICE_LETTERS),
    ]

    def __init__(
        self, link: Source | None = None, lesson: Lesson | None = None, *, present: bool = False, step: int = 0
    ) -> None:
        """`present`: begin in presenter's mode. `step`: run the lesson on to this step, from 1; 0 = to none."""
        self._filter = VisibleOnly()
        self.failures = Failures()
        self.last_words: tuple[str, ...] = ()
        """To be told on the ordinary terminal."""
        no_color = bool(os.environ.get("NO_COLOR"))
        self.animated = not no_color and os.environ.get("TEXTUAL_ANIMATIONS", "").lower() != "none"
        """What changed may move; where there is no colour, it could not be told from what stands still."""
        # Known before the theme is: Textual chooses between grey and no colour at all here.
        super().__init__(ansi_color=True if no_color else None)
        self.palettes = themes(no_color=no_color)
        self._kept, self._not_kept = remembered.load()
        self._last: LabScreen | None = None
        """The lab that is shown, or was last: the next one looks like it."""
        usual = next(iter(self.palettes.values()))
        self.palette = self.palettes.get(self._kept.theme, usual)
        self._link = link
        self._lesson = lesson
        self._present = present
        self._step = step
        self._menu: MenuScreen | None = None
        for palette in self.palettes.values():
            theme = textual_theme(palette, self.available_themes)
            if not isinstance(theme, str):
                self.register_theme(theme)
        self._dress()

    def _dress(self) -> None:
        theme = textual_theme(self.palette, self.available_themes)
        self.theme = theme if isinstance(theme, str) else theme.name

    def get_default_screen(self) -> Screen[None]:
        """The lab itself, or the menu: no empty screen underneath."""
        if self._link is not None:
            return self._lab_screen(self._link)
        from socklab.ui.tui.screens.menu import MenuScreen

        self._menu = MenuScreen(self.palette, self._start_lesson, self.next_theme)
        return self._menu

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._filter]

    def on_mount(self) -> None:
        # Without these the terminal would stay as it is now: raw, in the alternate screen, reporting the mouse.
        import asyncio

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_end, number)
        loop.set_exception_handler(self._callback_failed)

        self.set_keymap(keys.rebound())
        for problem in filter(None, (effective().problem, self._not_kept)):
            self.notify(problem, severity="warning", timeout=10, markup=False)
        self.app_resume_signal.subscribe(self, self._come_back)

    async def on_event(self, event: Event) -> None:
        """Any key, click or paste ends what moves, before anything comes of it."""
        if isinstance(event, InputEvent) and not isinstance(event, MouseMove) and self._last is not None:
            self._last.panes.motion.end()
        await super().on_event(event)

    def _come_back(self, _app: App[int]) -> None:
        """After fg: the terminal is empty, and no line knows that it must be drawn again."""
        self.screen.refresh(layout=True)
        self.call_after_refresh(self._draw_all)

    def _draw_all(self) -> None:
        from textual.widget import Widget

        for widget in (self.screen, *self.screen.walk_children(Widget)):
            widget.refresh()

    def _asked_to_end(self, number: int) -> None:
        self.exit(128 + number)

    # ---------------------------------------------------------------- what goes wrong

    def failed(self, error: Exception) -> None:
        """Something in the screen has raised this: say so, and go on."""
        self.failures.count += 1
        line, _new = self.failures.add(error)
        if not self.outlives_failures or self.failures.count > MOST:
            super()._handle_exception(error)
            return
        try:
            self._say_failure(line)
        except Exception as again:  # what says it may be what has failed
            self.failures.add(again)

    def _say_failure(self, line: str) -> None:
        while isinstance(self.screen, ModalScreen):
            self.pop_screen()
        if isinstance(self.screen, LabScreen):
            self.screen.lab.say(f"The screen failed ({line}); the lab goes on. More when you quit.", wrong=True)

    def _handle_exception(self, error: Exception) -> None:
        """Of a widget that is not ours: it hears nothing any more, the rest lives."""
        self.failed(error)

    def _callback_failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.failed(error if isinstance(error, Exception) else RuntimeError(str(context.get("message"))))

    # ---------------------------------------------------------------- from menu to lab and back

    def _start_lesson(self, folder: Path, language: str) -> None:
        from socklab import lesson as lessons
        from socklab.core.errors import SocklabError
        from socklab.protocol.run_spec import RunSpec
        from socklab.session import Link

        try:
            link = Link.start(RunSpec(lesson=str(folder), language=language))
        except SocklabError as error:
            if self._menu is not None:
                self._menu.trouble(str(error))
            return
        self._link, self._lesson = link, lessons.load(folder)
        self.push_screen(self._lab_screen(link))

    def _lab_screen(self, link: Source) -> LabScreen:
        self._last = LabScreen(
            link, self._lesson, self.palette, self._leave_lab, self._restart_lab, self.next_theme, self._arranged
        )
        self._last.panes.presenting = self._present
        if self._step:
            self._last.going.begin(self._step - 1)
        return self._last

    @property
    def _arranged(self) -> Arrangement:
        """How the screen is arranged now."""
        now = self._last.panes.arrangement if self._last is not None else self._kept
        if self.palette.name == (self._kept.theme or next(iter(self.palettes))) or len(self.palettes) == 1:
            return replace(now, theme=self._kept.theme)
        return replace(now, theme=self.palette.name)

    def on_unmount(self) -> None:
        """Keep the arrangement for the next time, if it is another than it was."""
        if self._arranged != self._kept and (why := remembered.save(self._arranged)):
            self.last_words += (why,)

    def _restart_lab(self, language: str) -> bool:
        """End the lab and start the same one anew, its lesson read again; the screen stays. `language`: of a lesson,
        "" = the same. False = it goes on as it was, and it is said why."""
        from socklab import lesson as lessons
        from socklab.core.errors import SocklabError

        screen, link = self.screen, self._link
        assert isinstance(screen, LabScreen)
        if link is None:
            return False
        screen.lab.bridge.stop()
        try:
            if self._lesson is not None and self._lesson.folder is not None:
                self._lesson = lessons.load(self._lesson.folder)
            self._link = link.restart(language)
        except SocklabError as error:
            screen.lab.bridge.start()
            screen.lab.bridge.say(error)
            return False
        screen.begin_anew(self._link, self._lesson)
        return True

    def _leave_lab(self, code: int, words: tuple[str, ...] = ()) -> None:
        """End the lab: back to the menu, or out with this exit code. `words`: what is to be told there."""
        if self._menu is None:
            self.last_words = words
            self.exit(code)
            return
        if self.screen is self._menu:
            return
        link, self._link = self._link, None
        while self.screen is not self._menu:
            self.pop_screen()
        self._menu.trouble("\n".join(words))
        if link is not None:
            self.call_after_refresh(link.close)

    @property
    def link(self) -> Source | None:
        """The lab that is running: whoever ends the app closes it."""
        return self._link

    # ---------------------------------------------------------------- actions of every screen

    def next_theme(self) -> None:
        names = list(self.palettes)
        self.palette = self.palettes[names[(names.index(self.palette.name) + 1) % len(names)]]
        self._dress()
        for screen in self.screen_stack:
            use = getattr(screen, "use", None)
            if use is not None:
                use(self.palette)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A letter is a choice's while the question is open; at any other time it is the key of its command."""
        if action != "choice":
            return super().check_action(action, parameters)
        return isinstance(self.screen, LabScreen) and self.screen.is_choice(str(parameters[0]))

    def action_choice(self, letter: str) -> None:
        if isinstance(self.screen, LabScreen):
            self.screen.question.choose(letter)

    def action_leave_or_copy(self) -> None:
        """Ctrl-C copies what is selected; with nothing selected it ends the lab, as it would any program."""
        if self.screen.get_selected_text():
            self.screen.action_copy_text()
        elif isinstance(self.screen, LabScreen):
            self.screen.program.quit_lab()
        else:
            self.exit(0)


def run(link: Link, lesson: Lesson | None, *, present: bool = False, step: int = 0) -> int:
    """Show a lab until the user ends it, in presenter's mode, from a step of the lesson (from 1) on.

    Returns the exit code. Closes the link, or what has taken its place.
    """
    return _run(SocklabApp(link, lesson, present=present, step=step))


def run_menu() -> int:
    """Show the menu; lessons are started from there, one at a time."""
    return _run(SocklabApp())


def _run(app: SocklabApp) -> int:
    import gc

    # Events come by the ten thousand and are part of no cycle: with the usual thresholds a flood of packets is halted
    # for a tenth of a second each time the collector walks through all of them.
    gc.set_threshold(50_000, 20, 50)
    gc.freeze()  # what was imported stays: no collection need walk through it
    gc.enable()
    for stream in (sys.__stdout__, sys.__stderr__):
        if isinstance(stream, io.TextIOWrapper):  # a locale without UTF-8: frames are made of nothing else
            stream.reconfigure(encoding="utf-8")
    try:
        app.run()
    finally:
        if app.link is not None:
            app.link.close()
    for words in app.last_words:
        sys.stderr.write(f"socklab: {safe(words, lines=True)}\n")
    sys.stderr.write(app.failures.report)
    code = app.return_code or 0
    return app.return_value if isinstance(app.return_value, int) else code
