"""The handshake as a student walks it: packets delivered by their own hand, or by the lesson when they step on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from socklab import guide, lesson, probes
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import LabState, apply

pytestmark = pytest.mark.kernel

FOLDER = lesson.find("handshake")
LESSON = lesson.load(FOLDER)


class Student:
    """Somebody at the keys: sees the state, sends commands."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.state = LabState()
        self._events = link.events(timeout=120)

    def until(self, reached: Callable[[LabState], bool]) -> LabState:
        """Watch until the state is such."""
        while not reached(self.state):
            event = next(self._events, None)
            assert event is not None, f"the lab ended: {self.state.ended} {list(self.state.notices)}"
            self.state = apply(self.state, event)
        return self.state

    def step_to_accept(self) -> None:
        """Step on, call by call, to the first question: the program stands in front of accept."""
        stepped_at = 0
        while guide.question(LESSON, self.state) is None:
            self.state = apply(self.state, next(self._events))
            task = self.state.task
            if task is not None and task.status == "held" and stepped_at != self.state.stops:
                stepped_at = self.state.stops
                self.link.send(cmd.Step())

    def at_question(self, index: int) -> LabState:
        return self.until(lambda now: now.question is not None and now.question.index == index)

    def answer(self) -> None:
        self.link.send(cmd.Answer())
        self.until(lambda now: now.offer is not None)

    def measured(self, index: int) -> ev.Measured:
        return self.until(lambda now: index in now.answers).answers[index]


@pytest.fixture
def student() -> Iterator[Student]:
    with Link.start(RunSpec(lesson=str(FOLDER), language="python")) as link:
        student = Student(link)
        student.until(lambda now: now.header is not None or bool(now.notices))
        if student.state.header is None:
            pytest.skip(student.state.notices[0].text)
        student.step_to_accept()
        yield student


def lessons_deliveries(state: LabState) -> list[str]:
    return [each.line for each in state.acted if each.origin == "lesson" and each.line.startswith("deliver")]


def test_each_packet_delivered_by_hand_moves_one_end_and_the_lesson_sees_it(student: Student) -> None:
    ends = []
    for index in (2, 3, 4):
        student.answer()
        student.link.send(cmd.Do("deliver"))
        student.measured(index)
        ends.append(tuple(probes.measure(student.state, f"{end}.a.state") for end in ("client", "server")))
        if index < 4:
            student.link.send(cmd.Step())
            student.at_question(index + 1)
    assert ends == [("SYN_SENT", "SYN_RECV"), ("ESTABLISHED", "SYN_RECV"), ("ESTABLISHED", "ESTABLISHED")]
    assert lessons_deliveries(student.state) == []
    assert student.state.task is not None
    assert student.state.task.at == "enter"  # the program has not moved


def test_a_student_who_steps_on_leaves_it_to_the_lesson_and_the_program_stays_where_it_is(student: Student) -> None:
    student.answer()
    stops = student.state.stops
    assert student.state.offer is not None
    assert student.state.offer.lines == ("deliver",)
    student.link.send(cmd.Step())
    assert student.measured(2).value == 1
    assert lessons_deliveries(student.state) == ["deliver"]
    assert student.state.stops == stops
    student.until(lambda now: now.ready is not None and now.ready.wants == "lesson")
    assert guide.next_hint(LESSON, student.state).startswith("Step: the lesson goes on")


def test_a_student_who_lets_everything_go_is_told_and_the_lesson_goes_on(student: Student) -> None:
    student.answer()
    student.link.send(cmd.Do("release"))
    student.until(lambda now: probes.measure(now, "listener.accept_queue") == 1)
    student.link.send(cmd.Step())
    student.measured(2)
    warnings = [note.text for note in student.state.notices if note.level == "warning"]
    assert any(text.startswith("The lesson waited 2000 ms for server.a.state to be SYN_RECV") for text in warnings)
    student.link.send(cmd.Step())
    student.at_question(3)


def test_at_the_plain_prompt_too_a_packet_is_delivered_by_its_verb() -> None:
    typed = "\n" * 6 + "1\ndeliver\nshow queues\nq\n"
    command = [sys.executable, "-m", "socklab", "lesson", "handshake", "--lang", "python", "--plain"]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=120, check=False)
    if "needs two hosts" in done.stdout:
        pytest.skip(done.stdout.splitlines()[0])
    assert "You: deliver" in done.stdout
    assert "Right: 1. The kernel answers by itself" in done.stdout
    assert "The lesson: deliver" not in done.stdout
    assert "SYN queue 1" in done.stdout
