"""One lab as its controllers see it: the stream folded, the task and the stop shown, one way to post a command.

In: the stream's end, a lesson or none. Out: the state now and the state shown; commands; a word for the status line.
Never draws: it asks for it.
"""

from __future__ import annotations

from collections.abc import Callable

from socklab import guide, state as st
from socklab.commands.keymap import said
from socklab.core.text import safe
from socklab.lesson import Lesson, Predict
from socklab.protocol import commands as cmd
from socklab.ui.tui.bridge import Bridge, Source
from socklab.ui.tui.controllers.following import Following
from socklab.ui.tui.widgets.question import letters
from socklab.ui.view.lines import Line
from socklab.ui.view.tasks import situation


class Lab:
    """What all controllers share."""

    def __init__(self, link: Source, lesson: Lesson | None, paint: Callable[[], None]) -> None:
        self.paint = paint
        """Draw what is different."""
        self.on_top: Callable[[], None] | None = None
        """Draws what lies over the lab's screen, when something has been told."""
        self.begin(link, lesson)

    def begin(self, link: Source, lesson: Lesson | None) -> None:
        """From a run's beginning. The bridge is started by whoever has a loop."""
        self.lesson = lesson
        self.bridge = Bridge(link, self._told, lesson=lesson is not None)
        self.following = Following()
        self.at: int | None = None
        """The stop that is shown; None = now."""
        self.slide: int | None = None
        """Which of the bridge's slides that is, where it is one of several at this stop."""
        self.marks: dict[int, str] = {}
        """Stops the user has marked, and what was said of them."""
        self.hint: Line = ()
        """A word to the user, in place of the status line until the next key."""
        self.notices_read = 0
        """Notices seen and dismissed."""
        self._past: tuple[tuple[int, int | None] | None, st.LabState] = (None, self.bridge.now)

    def _told(self) -> None:
        self.paint()
        if self.on_top is not None:
            self.on_top()

    # ---------------------------------------------------------------- the state

    @property
    def now(self) -> st.LabState:
        """The latest state, the followed task in focus."""
        return self.following.state(self.bridge.now)

    @property
    def shown(self) -> st.LabState:
        """The state that is shown: now, or the past with the task in focus that was held there."""
        if self.at is None:
            return self.now
        at, state = self._past
        if at != (self.at, self.slide):
            history = self.bridge.history
            if self.slide is None:
                state = history.at(self.at)
            else:
                state = history.at_event(self.bridge.slides.all[self.slide].end)
            self._past = ((self.at, self.slide), state)
        return state

    @property
    def question(self) -> Predict | None:
        """The question that waits for a choice, now. Nothing is asked of a program that is gone."""
        now = self.bridge.now
        return guide.question(self.lesson, now) if self.lesson is not None and situation(now) != "e" else None

    # ---------------------------------------------------------------- words, both ways

    def post(self, command: cmd.AnyCommand) -> bool:
        """Send a command; the stream tells what comes of it. False = it was not sent, and it is said why."""
        self.hint = ()
        if self.bridge.link.ended:
            self.say(said("The lab has ended. `quit` quits."), wrong=True)
        elif self.question is not None and isinstance(command, cmd.WAITS_FOR_THE_ANSWER):
            self.say(f"First the prediction: {letters(self.question)} and Enter, or Esc to see the answer.")
        else:
            self.bridge.send(command)
            return True
        return False

    def say(self, text: str, *, wrong: bool = False) -> None:
        """A word in the status line, until the next key; "" takes it away."""
        self.hint = ((safe(text), "bad" if wrong else "strong"),) if text else ()
        self.paint()

    def dismiss(self) -> None:
        """The notices so far have been read."""
        notices = self.bridge.now.notices
        self.notices_read = notices.dropped + len(notices)

    # ---------------------------------------------------------------- what is shown

    def go(self, stop: int) -> None:
        """Show an earlier stop, or now."""
        self.hint = ()
        self.slide = None
        oldest = max(1, self.bridge.history.first)
        self.at = None if max(oldest, stop) >= self.bridge.now.stops else max(oldest, stop)
        if stop < oldest > 1:
            self.say(f"Stop {oldest} is the oldest that is kept.")
            return
        self.paint()

    def go_slide(self, number: int | None) -> None:
        """Show an earlier slide, or now (None)."""
        self.hint = ()
        self.slide, self.at = number, None
        if number is not None:
            self.at = self.bridge.slides.all[number].stop
            if self.bridge.slides.all[number].end <= self.bridge.history.let_go:
                self.go(self.at)
        self.paint()

    def latest(self) -> None:
        """Show now."""
        self.at = self.slide = None

    def follow(self, tid: int) -> None:
        """Let the whole screen follow this task."""
        self.hint = ()
        self.latest()
        self.following.choose(tid)
        self.paint()
