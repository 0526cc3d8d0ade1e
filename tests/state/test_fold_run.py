"""The run's own events are kept as they came, each in its place and nowhere else."""

from __future__ import annotations

import pytest

from socklab.protocol import codec, events as ev
from socklab.state import LabState, Task, apply
from tests.state.support import changes
from tests.support import streams as lab

BEGUN = lab.state_of(lab.start())

HEADER = lab.header()
BUILT = ev.Built(7, ("cc", "server.c"), cached=True)
SOURCE = ev.Source(7, "/b.c", "c", "int main;")
SAID = ev.Output(7, "server", "out", b"hello")
NOTICE = ev.Notice(7, "warning", "what", "fix")
ENDED = ev.Ended(7, "quit", 1, 2)

STORED = [
    (HEADER, {"header": HEADER}),
    (BUILT, {"built": BUILT}),
    (SOURCE, {"sources": {"/b.c": SOURCE}}),
    (SAID, {"output": [SAID]}),
    (NOTICE, {"notices": [NOTICE]}),
    (ENDED, {"ended": ENDED}),
]


@pytest.mark.parametrize(("event", "expected"), STORED)
def test_an_event_of_the_run_is_kept_and_nothing_else_changes(event: ev.Event, expected: dict[str, object]) -> None:
    assert changes(LabState(), event) == expected


def test_sources_outputs_and_notices_gather() -> None:
    again = [ev.Source(8, "/c.c", "c", ""), ev.Output(8, "server", "err", b"!"), ev.Notice(8, "info", "more")]
    state = lab.state_of(SOURCE, SAID, NOTICE, again)
    assert state.sources == {"/b.c": SOURCE, "/c.c": again[0]}
    assert (list(state.output), list(state.notices)) == ([SAID, again[1]], [NOTICE, again[2]])


def test_a_started_program_is_a_running_task_in_focus() -> None:
    started = ev.Started(7, 41, "server", ("./server",), "/tmp")
    assert changes(LabState(), started) == {"started": started, "focus": 41, "tasks": {41: Task(41, 41, "server")}}
    second = ev.Started(9, 42, "client", ("./x",), "/")
    tasks = {41: Task(41, 41, "server"), 42: Task(42, 42, "client")}
    assert changes(lab.state_of(started), second) == {"started": second, "focus": 42, "tasks": tasks}


def test_output_is_let_go_before_it_fills_the_memory() -> None:
    state = lab.state_of(*(ev.Output(n, "server", "out", b"x") for n in range(4_001)))
    assert (len(state.output), state.output.dropped, state.output[-1].t) == (2_001, 2_000, 4_000)


EVERY = [
    *lab.start(),
    HEADER, BUILT, SOURCE, SAID, NOTICE, ENDED,
    ev.LessonText(1, "x"), ev.StepReached(1, 0, "before"), ev.Asked(1, 0), ev.Answered(1, 0), ev.Measured(1, 0, 1),
    ev.Checked(1, 0, True, "fd.count", 1, 1), ev.LessonDone(1),
    lab.entered("read", 3), lab.result("read", 0), ev.Held(1, 100, "enter"), ev.Resumed(1, 100), ev.Signal(1, 100, 13),
    ev.Place(1, 100),
    ev.Forked(1, 100, 101, "fork"), ev.Execed(1, 100, ("x",)), ev.Exited(1, 100),
    lab.fds((3, 900)), lab.sockets(lab.listener()), ev.Evidence(1, ()), ev.Ran(1, "server", ("ss",)),
    ev.Counters(1, "server", {"TW": 1}), ev.Setting(1, "server", "net.x", "1"), lab.process("S"),
    ev.Acted(1, "connect", "student"), lab.client("a", 1), lab.packet(1, "client", lab.SYN), lab.fate(1, "held"),
    ev.ResetSent(lab.t(), 100, "10.0.0.1:8080", "10.0.0.2:50001", "TCP_STATE"),
    ev.WireRules(1, ("hold all",)), ev.Done(1, 1, "done"), ev.Ready(1, "step"), ev.Offered(1, 0, ("connect",)),
]  # fmt: skip


def test_every_kind_of_event_is_folded_and_moves_the_time() -> None:
    assert {type(event) for event in EVERY} >= set(ev.AnyEvent.__args__)
    for event in EVERY:
        moved = codec.decode_event(codec.encode(event))
        later = type(moved)(**{**{f: getattr(moved, f) for f in moved.__struct_fields__}, "t": 123_456})
        assert apply(BEGUN, later).t == 123_456, type(event)
    inside = apply(LabState(), ev.Return(77, 5, 0, 0))  # the stream begins inside a call
    assert (inside.t, inside.tasks) == (77, {})
