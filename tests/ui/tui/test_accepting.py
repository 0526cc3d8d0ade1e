"""The verb accept on the screen: once, again and again, and everything that ends that."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from socklab import state as st
from socklab.commands import lines
from socklab.commands.table import PLAIN, SCREEN
from socklab.core.errors import UsageError
from socklab.protocol import commands as cmd, events as ev
from socklab.ui.plain import prompt
from socklab.ui.tui.controllers.accepting import AcceptController
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.controllers.program import ProgramController
from tests.support import streams as lab
from tests.ui.tui.test_acceptqueue import Queue

ONE = cmd.Continue("accept ok")


class Link:
    """Keeps what was sent; the tests tell the bridge what comes."""

    ended = False

    def __init__(self) -> None:
        self.sent: list[cmd.AnyCommand] = []

    def send(self, command: cmd.AnyCommand) -> int:
        self.sent.append(command)
        return len(self.sent)


class Screen:
    """The controllers of a screen, and its clock by hand."""

    def __init__(self, queue: Queue) -> None:
        self.link = Link()
        self.lab = Lab(self.link, None, lambda: None)  # type: ignore[arg-type]
        self.program = ProgramController(self.lab, lambda *_: None)
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.accepting = AcceptController(self.lab, self.program, self._later)
        self.tell(*queue.events)

    def _later(self, seconds: float, call: Callable[[], None]) -> Any:
        timer = (seconds, call)
        self.due.append(timer)
        return SimpleNamespace(stop=lambda: self.due.remove(timer) if timer in self.due else None)

    def tell(self, *events: lab.Part) -> None:
        for event in lab.Stream(*events).events:
            self.lab.bridge._add(event)  # type: ignore[arg-type]

    def done(self) -> None:
        """The accept that was asked for has returned, the next one is about to be made."""
        self.tell(lab.returned("accept", 4), lab.enter("accept", 3), ev.Done(lab.t(), len(self.link.sent), "done"))

    def pass_time(self) -> None:
        for _, call in [self.due.pop()]:
            call()

    @property
    def said(self) -> str:
        return "".join(text for text, _ in self.lab.hint)


def test_one_is_accepted() -> None:
    screen = Screen(Queue().comes("a"))
    screen.accepting.ask()
    assert screen.link.sent == [ONE] and not screen.due


def test_where_nobody_waits_the_reason_is_said_and_nothing_sent() -> None:
    screen = Screen(Queue())
    screen.accepting.ask()
    assert "Nobody waits" in screen.said and not screen.link.sent


def test_every_2_accepts_again_and_again() -> None:
    screen = Screen(Queue().comes("a").comes("b").comes("c"))
    screen.accepting.ask("every 2")
    for _ in range(2):
        assert [seconds for seconds, _ in screen.due] == [2]
        screen.done()
        screen.pass_time()
    assert screen.link.sent == [ONE] * 3


def test_it_goes_on_when_somebody_comes_later() -> None:
    queue = Queue()
    screen = Screen(queue)
    screen.accepting.ask("every 2")
    assert "Nobody waits" in screen.said and not screen.link.sent
    before = len(queue.events)
    screen.tell(*queue.comes("a").events[before:])
    screen.pass_time()
    assert screen.link.sent == [ONE]


ENDS: dict[str, Callable[[Screen], object]] = {
    "a step": lambda screen: screen.program.step(),
    "over": lambda screen: screen.program.over(),
    "a typed until": lambda screen: screen.program.obey(cmd.Continue("read")),
    "pause": lambda screen: screen.program.pause(),
    "Esc": lambda screen: screen.accepting.escape(lambda: pytest.fail("Esc did something else")),
    "accept stop": lambda screen: screen.accepting.ask("stop"),
    "one accept": lambda screen: screen.accepting.ask(),
    "restart": lambda screen: screen.program.begin(),
}


@pytest.mark.parametrize("what", ENDS)
def test_it_is_ended_by(what: str) -> None:
    screen = Screen(Queue().comes("a").comes("b"))
    screen.accepting.ask("every 2")
    screen.done()
    ENDS[what](screen)
    assert not screen.due


def test_it_ends_with_the_program() -> None:
    screen = Screen(Queue().comes("a"))
    screen.accepting.ask("every 2")
    screen.tell(ev.Exited(lab.t(), lab.PID), ev.Ended(lab.t(), "exited"))
    screen.pass_time()
    assert not screen.due and "ended" in screen.said


def test_it_ends_at_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(Queue().comes("a"))
    screen.accepting.ask("every 2")
    screen.done()
    monkeypatch.setattr(Lab, "question", property(lambda _: object()))
    screen.pass_time()
    assert not screen.due and "question" in screen.said and screen.link.sent == [ONE]


def test_it_waits_while_the_past_is_looked_at() -> None:
    screen = Screen(Queue().comes("a").comes("b").accepted("a", 4))
    screen.accepting.ask("every 2")
    screen.done()
    screen.lab.go(1)
    screen.pass_time()
    assert screen.lab.at == 1 and screen.link.sent == [ONE] and screen.due


def test_esc_does_what_it_always_did_where_nothing_is_accepted_by_itself() -> None:
    pressed: list[bool] = []
    Screen(Queue()).accepting.escape(lambda: pressed.append(True))
    assert pressed


# ---------------------------------------------------------------- typed


@pytest.mark.parametrize(("line", "argument"), [("accept", ""), ("accept every 2", "every 2"), ("accept stop", "stop")])
def test_it_is_typed_on_the_screen_and_in_plain(line: str, argument: str) -> None:
    assert lines.parse(line, SCREEN) == lines.Own("accept", argument)
    asked = prompt.parse(line)
    assert isinstance(asked, prompt.Accept) and asked == argument


@pytest.mark.parametrize("line", ["accept every", "accept every 0", "accept every x", "accept 2", "accept stop now"])
def test_what_makes_no_sense_is_refused(line: str) -> None:
    with pytest.raises(UsageError):
        lines.parse(line, PLAIN)


def test_the_state_is_not_touched() -> None:
    screen = Screen(Queue().comes("a"))
    before: st.LabState = screen.lab.now
    screen.accepting.ask()
    assert screen.lab.now is before
