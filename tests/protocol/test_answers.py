"""The engine and its consumer: one Done for each command, Ready when and only when somebody is waited for."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from socklab import lesson, probes
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import LabState, apply

pytestmark = pytest.mark.kernel


class Consumer:
    """A consumer without a clock: it sends, and reads until something has been told."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.state = LabState()
        self.events: list[ev.AnyEvent] = []
        self.sent: list[int] = []
        self._coming = link.events(timeout=120)

    def read(self) -> ev.AnyEvent:
        event = next(self._coming, None)
        assert event is not None, f"the lab has ended: {list(self.state.notices)}"
        self.events.append(event)
        self.state = apply(self.state, event)
        return event

    def until(self, reached: Callable[[ev.AnyEvent], bool]) -> ev.AnyEvent:
        while not reached(event := self.read()):
            pass
        return event

    def ready(self) -> ev.Ready:
        event = self.until(lambda each: isinstance(each, ev.Ready))
        assert isinstance(event, ev.Ready)
        return event

    def send(self, command: cmd.AnyCommand) -> int:
        self.sent.append(self.link.send(command))
        return self.sent[-1]

    def done(self, number: int) -> ev.Done:
        event = self.until(lambda each: isinstance(each, ev.Done) and each.id == number)
        assert isinstance(event, ev.Done)
        return event

    def ask(self, command: cmd.AnyCommand) -> ev.Done:
        return self.done(self.send(command))

    def rest(self) -> None:
        for event in self._coming:
            self.events.append(event)
            self.state = apply(self.state, event)

    @property
    def answers(self) -> Counter[int]:
        return Counter(event.id for event in self.events if isinstance(event, ev.Done))


@contextlib.contextmanager
def running(*argv: str, **options: Any) -> Iterator[Consumer]:
    with Link.start(RunSpec(argv=argv, **options)) as link:
        yield Consumer(link)


@contextlib.contextmanager
def learning(name: str, language: str = "python") -> Iterator[Consumer]:
    with Link.start(RunSpec(lesson=str(lesson.find(name)), language=language)) as link:
        yield Consumer(link)


BUSY = (sys.executable, "-c", "import os; os.write(1, b'x')\nwhile True: pass")
ASLEEP = (
    sys.executable,
    "-c",
    "import signal, socket; s = socket.create_server(('127.0.0.1', 8080), backlog=1); signal.pause()",
)


def test_every_command_has_exactly_one_answer_with_its_id() -> None:
    with running(sys.executable, "-c", "import socket\nwhile True: socket.socket().close()") as lab:
        lab.ready()
        outcomes = [
            lab.ask(command).outcome
            for command in (
                cmd.Step(),
                cmd.Answer(),
                cmd.Do("connect nobody"),
                cmd.Do("close who"),
                cmd.Focus(1),
                cmd.Evidence((ev.Want("socket", "server", 12345),)),
                cmd.Look(("true",)),
                cmd.Input(b"hello\n"),
                cmd.Others(run=False),
                cmd.Continue("nonsense and more"),
                cmd.Continue("close"),
            )
        ]
        refused, done = "refused", "done"
        assert outcomes == [done, refused, done, refused, refused, refused, done, done, done, refused, done]
        lab.link._send(b'{"c":"what","id":900}\n{"c":"step","id":901}\n')
        assert lab.done(900).outcome == refused
        assert lab.done(901).outcome == done
        lines = ('{"c":"do","line":"connect","id":902}', '{"c":"do","line":"connect","id":905}')
        lab.link._send("\n".join([*lines, '{"c":"step","id":903}', '{"c":"quit","id":904}\n']).encode())
        lab.rest()
        assert lab.answers == Counter([*lab.sent, 900, 901, 902, 903, 904, 905])


def test_a_refusal_gives_its_reason_to_the_program_and_to_the_user() -> None:
    with running("/bin/true") as lab:
        lab.ready()
        refused = lab.ask(cmd.Focus(1))
        assert (refused.reason, refused.fix) == ("Task 1 is not held.", "Choose a task that is held.")
        assert (lab.state.notices[-1].text, lab.state.notices[-1].fix) == (refused.reason, refused.fix)


def test_steps_sent_in_a_burst_are_each_carried_out_once_or_overtaken() -> None:
    with running(sys.executable, "-c", "import socket\nwhile True: socket.socket().close()") as lab:
        lab.ready()
        before = lab.state.stops
        for _ in range(6):
            lab.send(cmd.Step())
        while any(lab.answers[number] == 0 for number in lab.sent):
            lab.read()
        lab.until(lambda each: isinstance(each, ev.Ready) and each.wants == "step")
        outcomes = Counter(event.outcome for event in lab.events if isinstance(event, ev.Done))
        assert set(outcomes) <= {"done", "overtaken"}
        assert lab.state.stops - before == outcomes["done"]


FORKED = (
    sys.executable,
    "-c",
    "import os, socket\nos.fork()\nwhile True: socket.socket().close()",
)


def test_a_step_of_one_task_is_done_by_its_own_stop_whatever_another_does() -> None:
    with running(*FORKED) as lab:
        lab.send(cmd.Step())
        while len([task for task in lab.state.tasks.values() if task.status == "held"]) < 2:
            if isinstance(lab.read(), ev.Ready) and lab.state.ready is not None and len(lab.state.tasks) < 2:
                lab.send(cmd.Step())
        for turn in range(20):
            pair = sorted(tid for tid, task in lab.state.tasks.items() if task.status == "held")[:2]
            sent = {lab.send(cmd.Step(tid=tid)): tid for tid in pair[:: 1 if turn % 2 else -1]}
            from_here = len(lab.events)
            for number, tid in sent.items():
                while lab.answers[number] == 0:
                    lab.read()
                told = lab.events[from_here:]
                at = next(i for i, each in enumerate(told) if isinstance(each, ev.Done) and each.id == number)
                assert any(isinstance(each, ev.Held) and each.tid == tid for each in told[:at])
                assert told[at].outcome == "done"  # type: ignore[union-attr]


def test_a_program_that_computes_can_be_paused_which_overtakes_what_made_it_run() -> None:
    with running(*BUSY, until="write fd=1") as lab:
        lab.until(lambda each: isinstance(each, ev.Ready) and each.wants == "step")
        on = lab.send(cmd.Continue())
        assert lab.until(lambda each: isinstance(each, ev.Ready) and each.wants == "pause")
        assert lab.answers[on] == 0
        pause = lab.send(cmd.Pause())
        assert lab.done(on).outcome == "overtaken"
        assert lab.done(pause).outcome == "done"
        assert lab.state.task is not None
        assert lab.state.task.at == "interrupt"
        ready = lab.ready()
        assert (ready.wants, ready.held) == ("step", (lab.state.focus,))


def test_a_continue_takes_over_from_the_one_before() -> None:
    with running(*BUSY, until="write fd=1") as lab:
        lab.until(lambda each: isinstance(each, ev.Ready) and each.wants == "step")
        first, second = lab.send(cmd.Continue()), lab.send(cmd.Continue("accept"))
        assert lab.done(first).outcome == "overtaken"
        lab.send(cmd.Quit())
        lab.rest()
        assert [event.outcome for event in lab.events if isinstance(event, ev.Done) and event.id == second] == [
            "overtaken"
        ]


def test_a_program_that_has_ended_takes_no_step() -> None:
    with running("/bin/true") as lab:
        while lab.ready().wants == "step":
            lab.send(cmd.Continue())
        assert lab.state.ready is not None
        assert lab.state.ready.wants == "nothing"
        assert lab.state.task is not None
        assert lab.state.task.exited is not None
        assert lab.ask(cmd.Step()).reason == "The program has ended: there is nothing to step."


def test_ready_comes_though_the_program_sleeps_unseen_and_the_kernel_s_timers_run() -> None:
    """pause(2) is no stop, and each look finds the timers of half-open clients different."""
    with running(*ASLEEP) as lab:
        while not lab.state.listeners:
            lab.ready()
            lab.send(cmd.Continue("listen"))
            if lab.state.task is not None and lab.state.task.at == "enter":
                lab.done(lab.sent[-1])
                lab.ask(cmd.Step())
        lab.send(cmd.Continue())
        lab.until(lambda each: isinstance(each, ev.Ready) and each.wants == "pause")
        assert lab.ask(cmd.Do("connect 10")).outcome == "done"
        assert lab.ready().wants == "pause"
        rows = [row for table in lab.state.tables.values() for row in table.rows.values() if row.timer]
        assert rows, "nothing was half open"
        assert max(row.retransmits for row in rows) <= 2, "it waited for the timers"


def test_at_the_end_everything_is_answered_and_a_free_run_says_ready_once() -> None:
    argv = (sys.executable, "-c", "import socket; [socket.socket().close() for _ in range(500)]")
    with running(*argv, free=True, unattended=True) as lab:
        lab.rest()
        ready = [event.wants for event in lab.events if isinstance(event, ev.Ready)]
        assert sum(isinstance(event, ev.Enter) for event in lab.events) >= 1000
        assert len(ready) <= 2
        assert ready[-1:] in (["nothing"], ["pause"], [])


# ---------------------------------------------------------------- lessons, by Ready alone


def settled(lab: Consumer, text: lesson.Lesson) -> list[str]:
    """What the step reached last is about to do or waits for, by the lesson's own text."""
    at = lab.state.step
    if at is None or at.phase == "after" or lab.state.step_left is not None:
        return []
    step = text.steps[at.index]
    left = [] if lab.state.offer is not None else list(step.do)
    for each in lab.state.acted:
        if each.t >= at.t and each.line in left:
            left.remove(each.line)
    if not left and lab.state.offer is None:
        for wanted in step.settle:
            try:
                holds = wanted.holds(probes.measure(lab.state, wanted.probe))
            except probes.Unmeasured:
                holds = False
            left += [] if holds else [wanted.probe]
    return left


def walk(lab: Consumer, text: lesson.Lesson, *, check: bool) -> list[str]:
    """To the lesson's end with nothing but Ready to go by; returns what was waited for on the way."""
    waited = []
    while True:
        ready = lab.ready()
        waited.append(ready.wants)
        if check:
            assert settled(lab, text) == [], f"ready too early at step {lab.state.step}"
        if lab.state.lesson_done:
            return waited
        assert len(waited) < 200, waited[-20:]
        if ready.wants == "answer":
            lab.send(cmd.Answer())
        elif ready.wants in ("step", "lesson"):
            lab.send(cmd.Step())


@pytest.mark.parametrize("name", ["lifecycle", "backlog", "reset"])
def test_a_lesson_is_walked_by_ready_alone_which_never_comes_while_it_acts_or_settles(name: str) -> None:
    text = lesson.load(lesson.find(name))
    with learning(name) as lab:
        waited = walk(lab, text, check=True)
        assert waited.count("answer") == sum(step.predict is not None for step in text.steps)
        offers = [event for event in lab.events if isinstance(event, ev.Offered) and event.lines]
        assert {text.steps[each.index].at.when for each in offers} <= {"blocked"}
        assert all(list(each.lines) == text.steps[each.index].do for each in offers)
        assert [note.text for note in lab.state.notices if note.level != "info"] == []
        assert [check.index for check in lab.state.checks.values() if not check.held] == []
        assert all(count == 1 for count in lab.answers.values())
        assert not (lab.answers - Counter(lab.sent))


def test_a_step_sent_while_the_lesson_acts_ends_where_it_asks_and_the_program_does_not_move() -> None:
    for _ in range(20):
        if _a_step_sent_in_time():
            return
    raise AssertionError("the lesson had done all it does before a step came")


def _a_step_sent_in_time() -> bool:
    """False: the lesson asked before the step came, which a busy machine may bring about."""
    text = lesson.load(lesson.find("backlog"))
    with learning("backlog") as lab:
        while lab.state.step is None or not text.steps[lab.state.step.index].do:
            if isinstance(lab.read(), ev.Ready):
                lab.send(cmd.Answer() if lab.state.hidden() else cmd.Step())
        stops, index = lab.state.stops, lab.state.step.index
        outcome = lab.done(lab.send(cmd.Step())).outcome
        assert [each.line for each in lab.state.acted if each.t >= lab.state.step.t] == text.steps[index].do
        assert lab.state.hidden()
        assert lab.ready().wants == "answer"
        assert (lab.state.stops, lab.state.step.index) == (stops, index)
        assert outcome in ("done", "refused")
        return outcome == "done"


def test_what_would_show_or_change_the_answer_waits_until_it_is_given() -> None:
    with learning("backlog") as lab:
        while not lab.state.hidden():
            lab.ready()
            if not lab.state.hidden():
                lab.send(cmd.Step())
        acted, stops = len(lab.state.acted), lab.state.stops
        listener = lab.state.listeners[0].id
        asked_for = [
            cmd.Step(), cmd.Continue(""), cmd.Do("connect z"), cmd.Do("! ss -ltn"), cmd.Others(run=True),
            cmd.Evidence((ev.Want("socket", "server", listener),)), cmd.Evidence((ev.Want("counters", "server"),)),
            cmd.Look(("ss", "-ltn")), cmd.Input(b"x"),
        ]  # fmt: skip
        for command in asked_for:
            refused = lab.ask(command)
            assert (refused.outcome, refused.reason) == ("refused", "A question is open."), command
            assert lab.ready().wants == "answer"
        assert (len(lab.state.acted), lab.state.stops) == (acted, stops)
        assert lab.ask(cmd.Answer()).outcome == "done"
        lab.ready()
        assert lab.ask(cmd.Do("connect z")).outcome == "done"


def test_at_ready_what_an_action_sent_over_the_wire_has_arrived() -> None:
    with learning("lifecycle") as lab:
        while lab.ready() and not lab.state.listeners:
            lab.send(cmd.Answer() if lab.state.hidden() else cmd.Step())
        lab.ask(cmd.Do("connect z"))
        lab.ask(cmd.Do('send z "hello"'))
        lab.ready()
        ends = {row.remote: row.rx_queue for row in lab.state.table_of("server").rows.values() if row.state == 1}
        assert ends[lab.state.clients["z"].local] == 5


def test_next_after_the_lesson_is_refused_and_the_program_stays_where_it_is() -> None:
    with learning("backlog") as lab:
        walk(lab, lesson.load(lesson.find("backlog")), check=False)
        stops, task = lab.state.stops, lab.state.task
        refused = lab.ask(cmd.Continue("step"))
        assert (refused.outcome, refused.reason) == ("refused", "The lesson is done: there is no next step.")
        lab.ready()
        assert lab.state.stops == stops
        assert task is not None
        assert lab.state.task is not None
        assert lab.state.task.status == task.status == "held"


def test_what_a_student_leaves_out_of_an_offer_the_lesson_does_when_the_program_wakes() -> None:
    """flow: the offer is `connect a` and `stop-reading a`; the first of them wakes the server out of accept."""
    text = lesson.load(lesson.find("flow"))
    with learning("flow") as lab:
        while lab.state.offer is None:
            assert lab.ready().wants in ("step", "lesson", "answer")
            if lab.state.offer is None:
                lab.send(cmd.Answer() if lab.state.hidden() else cmd.Step())
        assert lab.state.offer.lines == ("connect a", "stop-reading a")
        lab.ask(cmd.Do("connect"))
        while lab.state.ready is None or lab.state.ready.wants != "step":
            lab.ready()
        done = [(each.line, each.origin) for each in lab.state.acted if not each.line.startswith("set ")]
        assert done == [("connect", "student"), ("stop-reading a", "lesson")]
        lab.send(cmd.Step())
        walk(lab, text, check=False)
        assert [check.probe for check in lab.state.checks.values() if not check.held] == []


def test_a_step_of_a_sleeping_program_is_refused_with_what_would_wake_it_where_it_sleeps() -> None:
    serve = "import socket; c, _ = socket.create_server(('', 8080)).accept(); c.recv(9)"
    with running(sys.executable, "-c", serve, network="private") as lab:
        lab.ask(cmd.Continue())
        assert lab.ask(cmd.Step()).fix == "connect   opens one."
        lab.ask(cmd.Do("connect ann"))
        lab.until(lambda each: isinstance(each, ev.Held))
        lab.ask(cmd.Continue())
        assert lab.ask(cmd.Step()).fix.startswith('send ann "hi"   gives it something to read, close ann   ends')
