"""A lab without an engine: events told by hand, drawn by the real application.

In: scenes of panel_support, recorded as they are told. Out: a link that gives them out stop by stop, and the text of
the screen.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from socklab import lesson as lessons
from socklab.lesson import Lesson
from socklab.protocol import commands as cmd, events as ev
from socklab.ui.tui.app import SocklabApp
from tests.ui.tui.panel_support import Scene
from tests.ui.tui.panel_words import forget_windows

TOML = """\
format = 1
title = "How long is the accept queue?"
summary = "Ten clients, a backlog of four, and a server that is slow to accept."
teaches = ["listen", "backlog"]
server = { c = "server.c" }
pause = ["socket", "bind", "listen", "accept"]

[[step]]
at = { syscall = "listen" }
before = "The address is taken; nobody may connect yet. The next call decides how long the waiting line is."
after = "It is **LISTEN** now."

[[step]]
at = { syscall = "accept" }
before = "Ten clients have called connect. The server has not called accept once."
[step.predict]
ask = "listen was given 4. How many connections wait in the accept queue?"
choices = [3, 4, 5, 10]
measure = "listener.accept_queue"
hides = ["queues", "sockets"]
explain = "Linux refuses only when the depth *exceeds* the backlog, so a backlog of 4 holds 5."

[[check]]
at = { syscall = "accept" }
probe = "listener.accept_queue"
is = 5
"""


def a_lesson(toml: str = TOML) -> Lesson:
    return lessons.parse(toml, "test", name="backlog")


def backlog() -> list[ev.AnyEvent]:
    """The run of the backlog lesson to its question, and the accept after it."""
    scene = Scene()
    scene.tell(ev.LessonText(t=0, toml=TOML))
    scene.before_listen()
    scene.tell(ev.StepReached(t=6, index=0, phase="before"))
    scene.resume()
    scene.returned(50, 0, looked=[scene.listener(0)])
    scene.tell(ev.StepReached(t=6, index=0, phase="after"))
    scene.resume()
    scene.enter(43, 3, 0, 0)
    scene.tell(ev.StepReached(t=7, index=1, phase="before"), ev.Acted(t=7, line="connect 10", origin="lesson"))
    scene.connected("abcde", 5).retransmitting("fghij")
    scene.tell(ev.Asked(t=8, index=1))
    return scene.events


class FakeLink:
    """Gives out recorded events: everything up to the next stop at each step. Keeps the commands it was sent."""

    def __init__(self, events: Iterable[ev.AnyEvent], *, at_once: int = 1) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self.ended = False
        self.closed = False
        self.commands: list[cmd.AnyCommand] = []
        self.language = ""
        """In which it was started anew."""
        self.successor: FakeLink | None = None
        """What has taken its place."""
        self._recorded = list(events)
        self._stops = _by_stop(self._recorded)
        self._ready: list[ev.AnyEvent] = []
        self._held: set[int] = set()
        for _ in range(at_once):
            self.go_on()

    @property
    def stops_left(self) -> int:
        return len(self._stops)

    def go_on(self) -> None:
        """Give out what happens to the next stop."""
        if self._stops:
            self.give(*self._stops.pop(0))

    def give(self, *events: ev.AnyEvent) -> None:
        """Tell events; behind what is told at a stop the engine is ready."""
        self._ready.extend(events)
        if events:
            for event in events:
                if isinstance(event, ev.Held):
                    self._held.add(event.tid)
                elif isinstance(event, ev.Resumed | ev.Exited):
                    self._held.discard(event.tid)
            self._ready.append(ev.Ready(events[-1].t, "step" if self._held else "pause", 0, tuple(self._held)))
        os.write(self._theirs.fileno(), b"x")

    def end(self) -> None:
        """The stream is over."""
        self._theirs.close()

    def fileno(self) -> int:
        return self._ours.fileno()

    def read_available(self) -> list[ev.AnyEvent]:
        try:
            if not self._ours.recv(4096):
                self.ended = True
        except BlockingIOError:
            return []
        found, self._ready = self._ready, []
        return found

    def send(self, command: cmd.AnyCommand) -> int:
        """Answered as the engine does, unless the program is asked to go on and no further stop was recorded."""
        self.commands.append(command)
        if isinstance(command, cmd.Step | cmd.Continue):
            if not self._stops:
                return len(self.commands)
            self.go_on()
        self._ready.append(ev.Done(0, len(self.commands), "done"))
        return len(self.commands)

    def restart(self, language: str = "") -> FakeLink:
        self.close()
        self.language = language
        self.successor = FakeLink(self._recorded)
        return self.successor

    def close(self) -> None:
        self.closed = self.ended = True
        self._ours.close()
        self._theirs.close()


def _by_stop(events: Iterable[ev.AnyEvent]) -> list[list[ev.AnyEvent]]:
    """The stream cut behind everything that belongs to a stop: before each Resumed that follows a Held."""
    pieces: list[list[ev.AnyEvent]] = [[]]
    held = False
    for event in events:
        if isinstance(event, ev.Resumed) and held:
            pieces.append([])
            held = False
        pieces[-1].append(event)
        held = held or isinstance(event, ev.Held)
    return pieces


def app_of(
    events: Iterable[ev.AnyEvent], *, at_once: int = 99, lesson: Lesson | None = None
) -> tuple[SocklabApp, FakeLink]:
    """The application over a fake link that has given out the first `at_once` stops."""
    forget_windows()
    link = FakeLink(events, at_once=at_once)
    return SocklabApp(link, lesson if lesson is not None else a_lesson()), link


def text_of(app: SocklabApp) -> str:
    """What is on the screen, as lines of text."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"


SNAPSHOTS = Path(__file__).parent / "snapshots"


def same_as_snapshot(text: str, name: str) -> None:
    """The screen is what it was. SOCKLAB_SNAPSHOTS=write makes new ones: look at the difference in git."""
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("SOCKLAB_SNAPSHOTS") == "write":
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"no snapshot {name}: run once with SOCKLAB_SNAPSHOTS=write and look at it"
    assert text == path.read_text(encoding="utf-8")
