"""The script without a kernel: what is offered, who does it, beats at one stop, deadlines."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from socklab import guide, lesson
from socklab.engine.actor import Acting
from socklab.engine.script import Script
from socklab.engine.stream import Stream
from socklab.protocol import events as ev
from socklab.state import LabState, apply
from tests.support import streams as lab

TEXT = """
format = 1
title = "T"
summary = "S"
server = { c = "server.c" }

[[step]]
at = { syscall = "accept" }
do = "hold all"
before = "In your hand."
offer = "connect a"
until = { probe = "clients.count", is = 1 }
after = "It is done."
[step.predict]
ask = "How many?"
choices = [0, 1]
measure = "clients.count"
when = "done"
explain = "One."

[[step]]
at = { syscall = "accept", beat = 2 }
before = "And again."
offer = ["connect b"]
until = { probe = "clients.count", at_least = 2, within_ms = 1 }

[[step]]
at = { syscall = "accept", beat = 3 }
before = "Last words."

[[check]]
at = { syscall = "accept" }
probe = "clients.count"
is = 0

[[check]]
at = { syscall = "accept", done = true }
probe = "clients.count"
is = 1

[[check]]
at = { syscall = "accept", beat = 3 }
probe = "clients.count"
is = 2
"""
LESSON = lesson.parse(TEXT, "t/lesson.toml", name="t")
ACCEPT = guide.Moment(lab.PID, "enter", "accept", 1)


class Bench:
    """A lab in which a `connect` makes a client, and nothing else does anything."""

    def __init__(self, stream: Stream, *, works: bool = True) -> None:
        self.state = lab.state_of(lab.start(), lab.enter("accept", 3))
        self.lines: list[str] = []
        self._stream = stream
        self._works = works

    def look(self) -> LabState:
        while self._stream.kept:
            self.state = apply(self.state, self._stream.kept.popleft())
        return self.state

    def act(self, line: str, origin: str) -> Acting:
        self.lines.append(f"{origin}: {line}")
        self._stream.put(ev.Acted(lab.t(), line, origin))
        if line.startswith("connect") and self._works:
            self.connect(line.split()[1])
        yield
        return None

    def connect(self, name: str) -> None:
        self._stream.put(lab.client(name, ord(name)))


class Run:
    def __init__(
        self, *, unattended: bool, works: bool = True, text: lesson.Lesson = LESSON, stopped: bool = True
    ) -> None:
        self.ends = socket.socketpair()
        stream = Stream(self.ends[0], keep=True)
        self.bench = Bench(stream, works=works)
        if not stopped:
            self.bench.state = lab.state_of(lab.start(), [lab.entered("accept", 3)])
        self.script = Script(text, stream, self.bench.look, self.bench.act, unattended=unattended)
        self.script.moment(ACCEPT)
        self.settle()

    def settle(self) -> None:
        """Let the script do what can be done now."""
        for _ in range(200):
            self.script.advance()
        self.bench.look()

    @property
    def at(self) -> tuple[int, str]:
        step = self.bench.state.step
        assert step is not None
        return step.index, step.phase


@pytest.fixture
def attended() -> Iterator[Run]:
    run = Run(unattended=False)
    run.script.answer(1)
    run.settle()
    yield run
    for end in run.ends:
        end.close()


def test_what_is_offered_waits_until_the_question_is_answered() -> None:
    run = Run(unattended=False)
    assert run.script.question == 0
    assert not run.script.offer
    assert guide.your_turn(run.bench.state) == ""
    run.script.answer(1)
    run.settle()
    assert run.script.offer
    assert guide.your_turn(run.bench.state) == "connect a"
    assert run.bench.lines == ["lesson: hold all"]


def test_the_student_does_it_and_the_lesson_sees_it(attended: Run) -> None:
    attended.bench.connect("a")
    attended.settle()
    assert attended.at == (0, "after")
    assert attended.bench.state.answers[0].right
    assert attended.bench.state.checks[1].held
    assert attended.bench.lines == ["lesson: hold all"]
    assert guide.your_turn(attended.bench.state) == ""


def test_stepping_on_leaves_it_to_the_lesson_and_does_not_move_the_program(attended: Run) -> None:
    assert attended.script.go_on()
    attended.settle()
    assert attended.bench.lines == ["lesson: hold all", "lesson: connect a"]
    assert attended.at == (0, "after")


def test_the_next_beat_begins_when_the_student_steps_on_and_after_the_last_the_program_runs(attended: Run) -> None:
    attended.bench.connect("a")
    attended.settle()
    assert attended.script.stays
    assert attended.script.go_on()
    attended.settle()
    assert attended.at == (1, "before")
    attended.bench.connect("b")
    attended.settle()
    assert attended.at == (2, "before")  # nothing was left to say of the second: the third follows by itself
    assert attended.script.done
    assert not attended.script.stays
    assert not attended.script.go_on()


def test_what_never_comes_about_has_a_deadline_and_a_word(attended: Run) -> None:
    attended.bench.connect("a")
    attended.settle()
    attended.script.go_on()
    attended.settle()
    attended.bench._works = False
    attended.script.go_on()
    while attended.script.waiting:
        attended.script.advance()
    attended.settle()
    (note,) = attended.bench.state.notices
    assert note.text == "The lesson waited 1 ms for clients.count to be at least 2; it is 1."
    assert attended.at == (2, "before")


def test_a_held_packet_that_never_comes_is_named_as_the_reason(attended: Run) -> None:
    attended.bench._stream.put(ev.WireRules(lab.t(), ("hold syn-ack",)))
    attended.bench.connect("a")
    attended.settle()
    attended.bench._works = False
    attended.script.go_on()
    attended.settle()
    attended.script.go_on()
    while attended.script.waiting:
        attended.script.advance()
    attended.settle()
    assert "`release` lets all of them go" in attended.bench.state.notices[0].fix


def test_unattended_every_beat_is_gone_through_by_itself() -> None:
    run = Run(unattended=True)
    assert run.script.question == 0
    run.script.answer(None)
    assert run.script.waiting
    assert not run.script.go_on()
    run.settle()
    assert run.script.done
    assert run.bench.lines == ["lesson: hold all", "lesson: connect a", "lesson: connect b"]
    assert [run.bench.state.checks[index].held for index in range(3)] == [True, True, True]


def test_a_check_holds_only_for_what_was_measured() -> None:
    run = Run(unattended=True, works=False)  # nobody ever connects
    run.script.answer(None)
    deadline = time.monotonic() + 60
    while not run.script.done:
        assert time.monotonic() < deadline, "the script never came to its end"
        run.settle()
    found = run.bench.state.checks
    assert [(found[index].held, found[index].value) for index in range(3)] == [(True, 0), (False, 0), (False, 0)]
    assert (run.script.held, run.script.failed) == (1, 2)


def test_a_program_that_goes_past_the_stop_leaves_the_other_beats_behind(attended: Run) -> None:
    attended.script.moment(guide.Moment(lab.PID, "return", "accept", 1))
    attended.settle()
    assert not attended.script.offer
    assert attended.script.done
    assert attended.bench.state.checks[2].reason


TWO_ACTS = """
format = 1
title = "T"
summary = "S"
server = { c = "server.c" }

[[step]]
at = { syscall = "accept", when = "blocked" }
do = ["connect a", "connect b"]
settle = { probe = "clients.count", is = 2, within_ms = 60000 }
before = "It sleeps."
after = "It woke."

[[check]]
at = "end"
probe = "clients.count"
is = 2
"""
BLOCKED, WOKEN = guide.Moment(lab.PID, "blocked", "accept", 1), guide.Moment(lab.PID, "return", "accept", 1)


@pytest.fixture
def asleep() -> Iterator[Run]:
    run = Run(unattended=False, text=lesson.parse(TWO_ACTS, "t/lesson.toml", name="t"))
    run.script.moment(BLOCKED)
    run.settle()
    yield run
    for end in run.ends:
        end.close()


def student(run: Run, line: str) -> None:
    """As the control does it: the action, then a word to the script."""
    for _ in run.bench.act(line, "student"):
        continue
    run.script.student_did(line)
    run.settle()


def offers(run: Run) -> tuple[str, ...]:
    offer = run.bench.state.offer
    return offer.lines if offer is not None else ()


def test_all_that_a_sleeping_program_waits_for_is_offered_and_each_line_until_it_is_done(asleep: Run) -> None:
    assert offers(asleep) == ("connect a", "connect b")
    student(asleep, "connect a")
    assert offers(asleep) == ("connect b",)
    assert asleep.script.go_on()
    asleep.settle()
    assert offers(asleep) == ()
    assert asleep.bench.lines == ["student: connect a", "lesson: connect b"]


def test_what_the_student_left_out_when_the_program_wakes_the_lesson_does_before_it_speaks_on(asleep: Run) -> None:
    asleep.bench.connect("a")
    asleep.script.moment(WOKEN)
    assert asleep.script.waiting
    asleep.settle()
    assert asleep.bench.lines == ["lesson: connect b"]
    assert asleep.at == (0, "after")
    assert offers(asleep) == ()


def test_what_the_student_did_in_full_the_lesson_does_not_do_again_but_still_waits_for(asleep: Run) -> None:
    student(asleep, "connect b")
    asleep.bench._works = False
    student(asleep, "connect a")  # this one does not come about
    asleep.bench._works = True
    assert offers(asleep) == ("connect a",)
    student(asleep, "connect a")
    asleep.script.moment(WOKEN)
    asleep.settle()
    assert asleep.bench.lines == ["student: connect b", "student: connect a", "student: connect a"]
    assert asleep.at == (0, "after")
    assert not asleep.script.waiting


INTRODUCED = lesson.parse(
    TEXT.replace('summary = "S"', 'summary = "S"\nintro = "What it is about."'), "t/lesson.toml", name="t"
)


def test_the_introduction_is_read_first_where_the_first_step_is_the_first_stop() -> None:
    run = Run(unattended=False, text=INTRODUCED, stopped=False)
    assert run.bench.state.step is None
    assert guide.narration(INTRODUCED, run.bench.state) == "What it is about."
    assert run.script.stays and run.script.question is None and run.bench.lines == []
    assert run.script.go_on(), "the program stands still"
    run.settle()
    assert run.at == (0, "before")
    assert run.script.question == 0
    assert run.bench.lines == ["lesson: hold all"]


def test_an_unattended_run_and_a_lesson_that_has_stopped_before_begin_at_once() -> None:
    assert Run(unattended=True, text=INTRODUCED, stopped=False).bench.state.step is not None
    run = Run(unattended=False, text=INTRODUCED)
    assert run.at == (0, "before")


def test_another_threads_moment_does_not_end_the_introduction() -> None:
    run = Run(unattended=False, text=INTRODUCED, stopped=False)
    run.script.moment(guide.Moment(lab.PID + 1, "enter", "read", 1))
    run.settle()
    assert run.bench.state.step is None
    assert run.script.go_on()
    run.settle()
    assert run.at == (0, "before")
