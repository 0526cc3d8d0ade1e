"""A run without a screen: the fold of its events, lines of stdin, what was sent; and the exit code of its end.

In: a Link, bytes of stdin. Out: commands, an exit code. Subclasses show the run and obey what is typed. Nothing here
waits for time to pass.
"""

from __future__ import annotations

import os
import select
import signal
from abc import ABC, abstractmethod

from socklab import guide, state as st
from socklab.core.errors import ProgramError
from socklab.lesson import Lesson, Predict
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.pending import Pending
from socklab.session import Link


def exit_code(state: st.LabState, lesson: Lesson | None) -> int:
    """A lesson: 0 only if it was done and every check held. A program: its own, as a shell gives it; 5 = none began."""
    ended = state.ended
    if ended is None:
        return 1
    if lesson is not None:
        held = state.lesson_done and not ended.checks_failed and ended.checks_held == len(lesson.checks)
        return 0 if held and ended.reason != "failed" else 1
    task = state.tasks.get(state.started.pid) if state.started is not None else None
    if task is None:
        return ProgramError.exit_code
    if ended.reason == "failed":
        return 1
    if task.exited is None or (ended.reason == "quit" and task.exited.signo == signal.SIGKILL):
        return 0  # the user left, and the program ended with the lab
    return 128 + task.exited.signo if task.exited.signo else task.exited.code


class Lines:
    """Lines of stdin, as they come. `over` at the end of it."""

    def __init__(self) -> None:
        self._data = b""
        self.over = False

    def take(self) -> str | None:
        """The next whole line, if one is there."""
        line = self.next
        self._data = self._data.partition(b"\n")[2] if line is not None else self._data
        return line

    @property
    def next(self) -> str | None:
        """The same, left where it is."""
        line, found, _rest = self._data.partition(b"\n")
        if not found and not (self.over and line):
            return None
        return line.decode("utf-8", "surrogateescape")

    def read(self) -> None:
        """Read what is there; call when stdin is readable."""
        data = b""
        try:
            data = os.read(0, 65536)
        except OSError:  # EIO: the terminal is gone
            pass
        if not data:
            self.over = True
        self._data += data


class Consumer(ABC):
    """A run without a screen: the fold of its events, what is typed, what was sent. Subclasses show it and obey."""

    def __init__(self, link: Link, lesson: Lesson | None, *, auto: bool, free: bool) -> None:
        self._link = link
        self._poll = select.poll()
        self._lesson = lesson
        self._auto = auto
        self._free = free
        self._state = st.LabState()
        self._lines = Lines()
        self._pending = Pending()
        self._quitting = False

    def run(self) -> int:
        """Take events and lines as they come, to the end of the stream. Returns the exit code."""
        self._poll.register(self._link, select.POLLIN)
        if not self._auto:
            self._poll.register(0, select.POLLIN | select.POLLHUP)
        while not self._link.ended:
            ready = [fd for fd, _ in self._poll.poll(self._patience())]
            if 0 in ready:
                self._lines.read()
                if self._lines.over:
                    self._poll.unregister(0)
            if self._link.fileno() in ready:
                self._take_events()
            self._take_lines()
        return exit_code(self._state, self._lesson)

    def _patience(self) -> float | None:
        """Milliseconds until something is to be done by itself; None = nothing is."""
        return None

    @abstractmethod
    def _take_events(self) -> None:
        """Something has come from the engine."""

    @abstractmethod
    def _take_lines(self) -> None:
        """Obey what was typed, as far as it may be taken now."""

    def _fold(self, event: ev.AnyEvent) -> None:
        self._state = st.apply(self._state, event)
        self._pending.feed(event)

    def _go_on(self) -> None:
        """At a Ready of a run that nobody watches: no guess, a step, or the end of a lesson that is done.

        Several tasks may be held at once: each that has no step under way gets one; in a lesson the one held last.
        """
        ready = self._state.ready
        if ready is None:
            return
        if self._lesson is not None and self._state.lesson_done:
            self._send(cmd.Quit())
        elif ready.wants == "answer":
            self._send(cmd.Answer(choice=None))
        else:
            for tid in ready.held if self._lesson is None else ready.held[-1:]:
                if tid not in self._pending.stepped:
                    self._send(cmd.Step(tid=tid))

    def _send(self, command: cmd.AnyCommand) -> None:
        if not self._quitting:
            self._quitting = isinstance(command, cmd.Quit)
            self._pending.sent(self._link.send(command), command)

    @property
    def _question(self) -> Predict | None:
        return guide.question(self._lesson, self._state) if self._lesson is not None else None
