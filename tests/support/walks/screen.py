"""The real screen of a lesson, with its engine, as a student has it: keys in, text out, and when all is quiet.

In: acts, each one line of text, such as `press n`, `type connect a`, `answer 2`, `size 60x20`, `wait 2`. Out: the
state, what is written on the screen. Quiet is what the engine says of itself (docs/protocol.md).
"""

from __future__ import annotations

import asyncio
import os
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

os.environ["SOCKLAB_KEYMAP"] = os.environ["SOCKLAB_LAYOUT"] = os.devnull

from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from socklab import state as st
from socklab.commands.keymap import effective
from socklab.lesson import Lesson
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.ui.tui.app import SocklabApp
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.screens.lab import LabScreen
from tests.ui.tui.support import text_of

QUIET_S = 90.0
"""So long may pass before all is quiet; a lesson's own deadlines are 10 s at most."""
RUNS_S = 4.0
"""A program that is said to run for so long runs for good."""
MARK, _MINE = "SOCKLAB_WALK", uuid.uuid4().hex


class NeverQuiet(Exception):
    """The engine owes an answer, or never said what it waits for."""


def key_of(command: str) -> str:
    """The key of a command of the table, as the footer shows it; "" = it has none."""
    return next((row.keys.split()[0] for row in effective().commands if row.name == command and row.keys), "")


class Student:
    """A lesson's screen and the hands of somebody before it."""

    def __init__(self, app: SocklabApp, pilot: Pilot[int], lesson: Lesson) -> None:
        self.app = app
        self.lesson = lesson
        self._pilot = pilot
        self._ran_since = 0.0

    # ---------------------------------------------------------------- what is seen

    @property
    def screen(self) -> LabScreen:
        return next(screen for screen in self.app.screen_stack if isinstance(screen, LabScreen))

    @property
    def lab(self) -> Lab:
        return self.screen.lab

    @property
    def now(self) -> st.LabState:
        return self.lab.bridge.now

    @property
    def text(self) -> str:
        return text_of(self.app)

    @property
    def unread(self) -> list[str]:
        """The notices that stand on the screen, the newest last."""
        notices, read = self.now.notices, self.lab.notices_read
        return [f"{note.text} {note.fix}".strip() for note in notices[max(0, read - notices.dropped) :]]

    @property
    def said(self) -> str:
        """What the screen says to the student just now: the word in the status line, and the notices."""
        return " ".join(filter(None, ("".join(text for text, _role in self.lab.hint), *self.unread)))

    @property
    def narrated(self) -> str:
        """The lesson's text as it stands on the screen; "" = its panel is not in sight."""
        lab = self.screen
        for slot, view in zip(lab.placed, lab.slots, strict=False):
            if view.panel == "narration" and slot.box.height > 1:
                return " ".join("".join(text for text, _role in line) for line in view.lines)
        return ""

    @property
    def choice_keys(self) -> list[str]:
        """The keys of an open question's choices, as the screen offers them: `1-4 choose`, `a-d choose`."""
        lines = ["".join(text for text, _role in line) for line in self.screen.question.lines(200)]
        found = re.search(r"\b(\w)-(\w) choose", "\n".join(lines))
        return [chr(code) for code in range(ord(found[1]), ord(found[2]) + 1)] if found else []

    # ---------------------------------------------------------------- acts

    async def act(self, act: str) -> None:
        """Carry out one act, and wait until all is quiet again."""
        verb, _, rest = act.partition(" ")
        if verb == "press":
            for key in rest.split():
                self._key(key)
        elif verb == "type":
            for letter in (key_of("prompt"), *rest):
                self._key(letter)
            self._key("enter")
        elif verb == "answer":
            keys = self.choice_keys
            for key in (*keys[int(rest) : int(rest) + 1], "enter"):
                self._key(key)
        elif verb == "size":
            width, _, height = rest.partition("x")
            await self._pilot.resize_terminal(int(width), int(height))
        elif verb == "click":
            x, _, y = rest.partition(",")
            if int(x) < self.app.size.width and int(y) < self.app.size.height:
                await self._pilot.click(offset=(int(x), int(y)))
        elif verb == "wait":
            await asyncio.sleep(float(rest))
        else:
            raise ValueError(f"no act: {act}")
        await self.quiet(typed=verb == "type")

    async def quit(self) -> int | None:
        """Out of whatever is open, then the key that quits. What the app returned; None = it did not end."""
        while len(self.app.screen_stack) > 1 or self.screen.prompt.is_open:
            await self.act("press escape")
        self._key(key_of("quit"))
        return self.app.return_value if await self.until(lambda: not self.app.is_running, QUIET_S) else None

    def _key(self, key: str) -> None:
        letter = key if len(key) == 1 else None
        name = _character_to_key(key) if letter else key
        self.app.post_message(events.Key(name, letter or (" " if key == "space" else None)))

    async def quiet(self, *, typed: bool = False) -> None:
        """Every key has been taken, every command answered, the engine waits for somebody, and that is drawn."""
        deadline = time.monotonic() + QUIET_S
        self._ran_since = time.monotonic()
        # A key is the app's, then the screen's, then the prompt's; the app's own are done with the first.
        await self._pilot._wait_for_screen(QUIET_S)
        typing = typed or self.screen.prompt.is_open or len(self.app.screen_stack) > 1
        for _ in range(4 if typing else 0):
            await self._pilot._wait_for_screen(QUIET_S)
        while self.app._exception is None and self.app.is_running:
            if self._is_quiet():
                await self._pilot._wait_for_screen(QUIET_S)
                if self._is_quiet():  # it is still, now that it is drawn
                    return
            if time.monotonic() > deadline:
                owed = [type(command).__name__ for command in self.lab.bridge._unanswered._commands.values()]
                raise NeverQuiet(f"not quiet after {QUIET_S:g} s: unanswered {owed}, ready {self.now.ready}")
            await asyncio.sleep(0.005)

    def _is_quiet(self) -> bool:
        bridge = self.lab.bridge
        if bridge._pending or bridge._folding is not None or bridge._rhythm._planned is not None:
            return False
        if bridge.link.ended or self.now.ended is not None:
            return True
        ready = self.now.ready
        if ready is None:
            return False
        # A program that runs on its own business has not stopped, and perhaps never will; or is not seen asleep yet.
        if not bridge._unanswered.runs or ready.wants != "pause":
            self._ran_since = time.monotonic()
        return not bridge._unanswered or time.monotonic() > self._ran_since + RUNS_S

    async def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> bool:
        """Wait for what a drawing under way will show."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True


_here = 0
"""Labs that this process has on a screen now."""


@asynccontextmanager
async def at_the_keys(folder: Path, lesson: Lesson, language: str, size: str) -> AsyncIterator[tuple[Student, Ended]]:
    """A lesson begun on a screen of this size. Afterwards it is ended, and `Ended` knows what was left of it."""
    global _here
    ended = Ended()
    os.environ[MARK] = _MINE
    _here += 1
    link = Link.start(RunSpec(lesson=str(folder), language=language))
    app = SocklabApp(link, lesson)
    width, _, height = size.partition("x")
    try:
        async with app.run_test(size=(int(width), int(height))) as pilot:
            student = Student(app, pilot, lesson)
            await student.quiet()
            yield student, ended
    finally:
        last = app.link or link
        assert isinstance(last, Link)
        await asyncio.to_thread(last.close)
        _here -= 1
        ended.look(last, alone=not _here)
        if not _here:
            del os.environ[MARK]


class Ended:
    """What is left when a screen was left."""

    def __init__(self) -> None:
        self.left: list[str] = []
        self.words: list[str] = []
        """What the engine wrote on its standard error."""

    def look(self, link: Link, *, alone: bool) -> None:
        """`alone`: no other lab of this process is there, so that every process with its mark is a rest of one."""
        self.words = link.diagnostics()
        if Path(link.run_dir).exists():
            self.left.append(link.run_dir)
        for entry in Path("/proc").iterdir() if alone else ():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with suppress(OSError):
                    if f"{MARK}={_MINE}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                        line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                        if line:  # a zombie has none; its parent will reap it
                            self.left.append(f"{entry.name} {line}")
