"""A student who thinks, and one who does as they like: texts stay true, or say that they do not fit any more."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from socklab import guide, lesson, probes
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import LabState, apply

pytestmark = pytest.mark.kernel


class Walk:
    """A lesson by hand: waits for Ready, steps on, and looks."""

    def __init__(self, name: str, link: Link) -> None:
        self.lesson = lesson.load(lesson.find(name))
        self.link = link
        self.state = LabState()
        self._events = link.events(timeout=120)

    def until(self, reached: Callable[[LabState], bool]) -> LabState:
        while not reached(self.state):
            event = next(self._events, None)
            assert event is not None, f"the lab ended: {self.state.ended} {list(self.state.notices)}"
            if isinstance(event, ev.Ended):
                pytest.skip(str([note.text for note in self.state.notices]))
            self.state = apply(self.state, event)
        return self.state

    def ready(self) -> LabState:
        return self.until(lambda now: now.ready is not None)

    def send(self, command: cmd.AnyCommand) -> LabState:
        asked = self.state.ready
        self.link.send(command)
        return self.until(lambda now: now.ready is not None and now.ready is not asked)

    def on(self) -> LabState:
        """Step on, a question with its last choice."""
        predict = guide.question(self.lesson, self.state)
        return self.send(cmd.Answer(choice=predict.choices[-1]) if predict is not None else cmd.Step())

    def to(self, step: int, phase: str = "before") -> LabState:
        """To the step of this number, counted from 1 as the screen does."""
        self.ready()
        while self.state.step is None or (self.state.step.index + 1, self.state.step.phase) != (step, phase):
            assert not self.state.lesson_done, f"step {step} {phase} was not reached"
            self.on()
        return self.state

    def warnings(self) -> list[str]:
        return [note.text for note in self.state.notices if note.level != "info"]


def walk(name: str, request: pytest.FixtureRequest) -> Walk:
    if any(not shutil.which(program) for program in lesson.load(lesson.find(name)).programs):
        pytest.skip("a program of the lesson is not on this machine")
    link = Link.start(RunSpec(lesson=str(lesson.find(name)), language="python"))
    request.addfinalizer(link.close)
    return Walk(name, link)


def measured(state: LabState, probe: str) -> probes.Value:
    try:
        return probes.measure(state, probe)
    except probes.Unmeasured:
        return False


def test_who_thinks_until_the_kernels_have_sent_again_is_marked_as_who_does_not(request: pytest.FixtureRequest) -> None:
    """The ghost's last question: copies of the held SYN-ACKs used to bring more ACKs, and more resets than one."""
    student = walk("ghost", request)
    student.to(9)
    resent = [f"packets.{name}.retransmits" for name in "fg"]
    student.until(lambda now: all(measured(now, name) for name in resent))
    assert guide.untrue(student.lesson, student.ready()) == ()
    student.on()
    student.on()
    state = student.until(lambda now: 8 in now.answers)
    assert state.answers[8].right
    assert measured(state, "packets.g.rst") == 1
    assert student.warnings() == []
    assert guide.untrue(student.lesson, student.ready()) == ()


def test_a_client_of_ones_own_takes_no_name_of_the_lessons(request: pytest.FixtureRequest) -> None:
    student = walk("lifecycle", request)
    student.to(6, "after")
    student.send(cmd.Do("connect"))
    assert set(student.state.clients) == {"a", "c"}
    student.send(cmd.Do("connect b"))
    assert set(student.state.clients) == {"a", "c"}
    refused = [(note.text, note.fix) for note in student.state.notices if note.level == "warning"]
    said = "Client b is the lesson's: it will connect later."
    assert refused == [(said, "connect d   opens one of yours.")]
    student.to(7)
    assert measured(student.state, "client.b.state") == "ESTABLISHED"
    (wrong,) = guide.untrue(student.lesson, student.state)
    assert (wrong.claim, wrong.found) == ("listener.accept_queue is 1", "2")
    assert guide.doubts(student.lesson, student.state)


def test_what_is_offered_may_be_done_without_its_name(request: pytest.FixtureRequest) -> None:
    student = walk("reset", request)
    student.to(1)
    assert student.state.offer is not None
    assert student.state.offer.lines == ("connect a",)
    student.send(cmd.Do("connect"))
    student.to(2)
    assert measured(student.state, "fd.call.client") == "a"
    assert guide.untrue(student.lesson, student.state) == ()
