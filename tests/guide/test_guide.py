"""Which step a moment is, in which order things are to be done, and that nothing shown gives an answer away."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as some

from socklab import guide, lesson
from socklab.guide import Ask, Check, Cursor, Done, Measure, Moment, Perform, Reach, Settle
from socklab.protocol import events as ev
from tests.support import streams as lab

TEXT = """
format = 1
title = "T"
summary = "S"
server = { c = "server.c" }
intro = "Before anything."
outro = "That was it."

[[step]]
at = { syscall = "socket" }
before = "About to ask for a socket."
after = "It is {last.result}."
[step.predict]
ask = "Which number?"
choices = [0, 3]
measure = "last.result"
when = "return"
explain = "The lowest free one."

[[step]]
at = { syscall = "accept" }
do = ["connect 2", "connect z"]
settle = [ { probe = "clients.count", is = 3 }, { probe = "clients.open", is = 3, within_ms = 10 } ]
before = "{listener.port}: {listener.accept_queue} of {listener.backlog} wait, {clients.open} are open."
after = "Took one; {listener.accept_queue} left."
[step.predict]
ask = "How many wait?"
choices = [2, 3]
measure = "listener.accept_queue"
hides = ["queues", "sockets"]
explain = "The kernel shook {listener.accept_queue} hands."

[[step]]
at = { syscall = "read", when = "blocked" }
do = "send a \\"x\\""
before = "It sleeps."

[[step]]
at = { syscall = "accept", nth = 2, when = "blocked" }
before = "Nobody is left."

[[check]]
at = { syscall = "accept" }
probe = "listener.accept_queue"
is = 3

[[check]]
at = { syscall = "socket", when = "return" }
probe = "last.result"
at_least = 3

[[check]]
at = { syscall = "bind" }
probe = "last.result"
is = 0

[[check]]
at = "end"
probe = "process.alive"
is = true
"""
LESSON = lesson.parse(TEXT, "t/lesson.toml", name="t")


def walk(*moments: Moment) -> tuple[Cursor, list[guide.Directive]]:
    cursor, out = guide.begin(LESSON), []
    for moment in moments:
        cursor, directives = guide.at_moment(LESSON, cursor, moment)
        out.extend(directives)
    return cursor, out


def at(where: str, name: str, nth: int = 1, tid: int = 100) -> Moment:
    return Moment(tid, where, name, nth)


TO_READ = [at("enter", "socket"), at("return", "socket"), at("enter", "accept"), at("return", "accept")]


def test_a_step_is_before_at_its_moment_and_after_at_its_return() -> None:
    assert walk(at("enter", "socket"))[1] == [Reach(0, "before"), Ask(0)]


def test_a_question_about_the_result_is_measured_at_the_return_after_the_step_is_told() -> None:
    _, out = walk(at("enter", "socket"), at("return", "socket"))
    assert out[2:] == [Reach(0, "after"), Measure(0), Check(1)]


def test_actions_come_before_settles_before_checks_before_the_question() -> None:
    _, out = walk(*TO_READ[:3])
    assert out[5:] == [
        Reach(1, "before"),
        Perform("connect 2"),
        Perform("connect z"),
        Settle("clients.count", 3, 2000),
        Settle("clients.open", 3, 10),
        Check(0),
        Ask(1),
    ]


def test_only_the_next_step_in_order_may_match() -> None:
    cursor, out = walk(at("enter", "accept"), at("return", "accept"))
    assert (cursor.next, out) == (0, [Check(0)])


def test_a_call_of_another_thread_does_not_end_a_step() -> None:
    _, out = walk(at("enter", "socket"), at("return", "socket", 2, tid=101))
    assert out == [Reach(0, "before"), Ask(0)]


def test_a_read_that_never_blocks_is_passed_over_and_the_lesson_goes_on() -> None:
    cursor, out = walk(*TO_READ, at("enter", "read"), at("return", "read"), at("enter", "accept", 2))
    assert cursor.next == 3
    assert Reach(2, "before") not in out
    assert walk(*TO_READ, at("enter", "read"), at("return", "read"), at("blocked", "accept", 2))[1][-2:] == [
        Reach(3, "before"),
        Done(),
    ]


def test_a_step_without_a_word_for_the_return_is_done_at_its_own_moment() -> None:
    cursor, out = walk(*TO_READ, at("enter", "read"), at("blocked", "read"), at("return", "read"))
    assert out[-2:] == [Reach(2, "before"), Perform('send a "x"')]
    assert cursor.open == ()


def test_done_comes_once_even_if_the_last_step_is_missed() -> None:
    moments = [*TO_READ, at("blocked", "read"), at("enter", "accept", 2), at("return", "accept", 2)]
    cursor, out = walk(*moments, at("enter", "accept", 3))
    assert out.count(Done()) == 1
    assert cursor.done


def test_checks_whose_moment_never_came_fail_with_the_reason() -> None:
    cursor, _ = walk(*TO_READ, at("blocked", "read"), at("blocked", "accept", 2))
    assert guide.ending(LESSON, cursor) == (Check(2, reason="the program never came to the 1st bind"), Check(3))


def test_checks_of_the_end_fail_when_the_last_step_was_not_reached() -> None:
    cursor, _ = walk(at("enter", "socket"))
    assert Check(3, reason="the lesson's last step was not reached") in guide.ending(LESSON, cursor)


MOMENTS = some.builds(
    Moment,
    tid=some.sampled_from([100, 101]),
    at=some.sampled_from(["enter", "blocked", "return"]),
    name=some.sampled_from(["socket", "accept", "read", "bind"]),
    nth=some.integers(1, 3),
)


@given(some.lists(MOMENTS, max_size=40))
def test_whatever_the_program_does_steps_come_in_order_and_each_check_once(moments: list[Moment]) -> None:
    cursor, out = walk(*moments)
    begun = [each.index for each in out if isinstance(each, Reach) and each.phase == "before"]
    assert all(first < second for first, second in pairwise(begun))
    checks = [each.index for each in (*out, *guide.ending(LESSON, cursor)) if isinstance(each, Check)]
    assert sorted(checks) == [0, 1, 2, 3]
    assert out.count(Done()) == cursor.done
    asked = [each.index for each in out if isinstance(each, Ask)]
    assert len(asked) == len(set(asked))
    assert {each.index for each in out if isinstance(each, Measure)} <= set(asked)


def test_python_and_c_make_the_same_stops() -> None:
    names = guide.pause_names(LESSON)
    assert {"accept", "accept4", "read", "recvfrom", "sendto", "socket", "bind"} <= names
    assert "connect" in names
    assert guide.canonical("accept4") == "accept"


# ---------------------------------------------------------------- showing

RUNNING = [
    *lab.start(),
    *lab.call("socket", 2, 1, 0, result=3),
    lab.fds((3, 900)),
    lab.sockets(lab.listener(depth=0)),
]
AT_ACCEPT = [*RUNNING, *lab.enter("accept", 3), ev.StepReached(lab.t(), 1, "before")]
FILLED = [
    *AT_ACCEPT,
    ev.Acted(lab.t(), "connect 2", "lesson"),
    *(lab.client(name, number) for number, name in enumerate("abz", 1)),
    lab.sockets(lab.listener(depth=3)),
]
ASKED = [*FILLED, ev.Asked(lab.t(), 1)]


def test_before_the_first_step_the_lesson_introduces_itself() -> None:
    assert guide.narration(LESSON, lab.state_of(RUNNING)) == "Before anything."
    assert guide.progress(LESSON, lab.state_of(RUNNING)) == (0, 4)


@pytest.mark.parametrize("events", [AT_ACCEPT, FILLED, ASKED])
def test_panels_are_masked_from_the_moment_the_question_is_prepared(events: list[ev.AnyEvent]) -> None:
    assert guide.masked(LESSON, lab.state_of(events)) == {"queues", "sockets", "acceptqueue", "datapath"}


@pytest.mark.parametrize("events", [AT_ACCEPT, FILLED, ASKED])
def test_no_number_in_the_narration_gives_an_open_question_away(events: list[ev.AnyEvent]) -> None:
    assert guide.narration(LESSON, lab.state_of(events)) == "8080: … of 4 wait, … are open."


def test_the_question_is_there_only_once_it_is_asked() -> None:
    assert guide.question(LESSON, lab.state_of(FILLED)) is None
    asked = guide.question(LESSON, lab.state_of(ASKED))
    assert asked is not None
    assert asked.ask == "How many wait?"
    assert guide.next_hint(LESSON, lab.state_of(ASKED)) == "Predict: 2, 3?"


@pytest.mark.parametrize(
    ("choice", "right", "head"),
    [
        (3, True, "Right: **3**. "),
        (2, False, "You said 2; the kernel says **3**. "),
        (None, None, "The kernel says **3**. "),
    ],
)
def test_the_answer_unmasks_and_is_explained(choice: int | None, right: bool | None, head: str) -> None:
    state = lab.state_of(ASKED, ev.Measured(lab.t(), 1, 3, choice, right))
    assert guide.masked(LESSON, state) == frozenset()
    assert guide.question(LESSON, state) is None
    assert guide.narration(LESSON, state) == head + "The kernel shook 3 hands."


def test_an_answer_that_could_not_be_read_is_said_to_be_so() -> None:
    state = lab.state_of(ASKED, ev.Measured(lab.t(), 1, None))
    assert guide.narration(LESSON, state).startswith("The kernel's answer could not be read.")


def test_after_the_next_step_the_old_verdict_is_gone() -> None:
    state = lab.state_of(ASKED, ev.Measured(lab.t(), 1, 3, 3, True), ev.StepReached(lab.t(), 1, "after"))
    assert guide.narration(LESSON, state) == "Took one; 3 left."
    assert state.question is None
    assert state.answers[1].right


def test_a_committed_prediction_waits_for_the_return_with_nothing_masked() -> None:
    asked = [
        *lab.start(),
        *lab.enter("socket", 2, 1, 0),
        ev.StepReached(lab.t(), 0, "before"),
        ev.Asked(lab.t(), 0),
    ]
    answered = [*asked, ev.Answered(lab.t(), 0, 3)]
    assert guide.question(LESSON, lab.state_of(asked)) is not None
    assert guide.question(LESSON, lab.state_of(answered)) is None
    assert guide.narration(LESSON, lab.state_of(answered)) == "About to ask for a socket."
    told = lab.state_of(
        answered,
        lab.returned("socket", 3),
        ev.StepReached(lab.t(), 0, "after"),
        ev.Measured(lab.t(), 0, 3, 3, True),
    )
    assert guide.narration(LESSON, told) == "Right: **3**. The lowest free one.\n\nIt is 3."


def test_a_probe_without_a_value_is_shown_as_missing() -> None:
    state = lab.state_of(lab.start(), ev.StepReached(lab.t(), 1, "after"))
    assert guide.narration(LESSON, state) == "Took one; … left."


def test_a_step_index_out_of_a_damaged_recording_shows_the_introduction() -> None:
    state = lab.state_of(lab.start(), ev.StepReached(lab.t(), 99, "before"), ev.Asked(lab.t(), 99))
    assert guide.narration(LESSON, state) == "Before anything."
    assert guide.question(LESSON, state) is None
    assert guide.masked(LESSON, state) == frozenset()


def test_the_end_of_the_lesson_is_told_after_its_last_step() -> None:
    state = lab.state_of(lab.start(), ev.StepReached(lab.t(), 3, "before"), ev.LessonDone(lab.t()))
    assert guide.narration(LESSON, state) == "Nobody is left.\n\nThat was it."


def test_what_clients_wrote_is_no_markup_in_a_narration() -> None:
    ran = ev.Client(lab.t(), "curl", "done", argv=("curl",))
    state = lab.state_of(lab.start(), ran, ev.Output(lab.t(), "curl", "out", b"**bold** `x` \x1b[31m[red]"))
    assert guide.fill("It said {client.curl.output}.", state) == "It said `` **bold** `x` ␛[31m[red] ``."


def test_what_is_offered_is_named_until_it_is_withdrawn() -> None:
    blocked = [
        *RUNNING,
        ev.Enter(lab.t(), lab.PID, 0, (4, 0, 0, 0, 0, 0)),
        ev.Processes(lab.t(), (ev.ProcessRow(lab.PID, 1, "server", "S"),)),
        ev.StepReached(lab.t(), 2, "before"),
    ]
    assert guide.next_hint(LESSON, lab.state_of(blocked)) == "The program sleeps in read, until a client acts."
    offered = [*blocked, ev.Offered(lab.t(), 2, ("connect a", 'send a "x"'))]
    assert guide.your_turn(lab.state_of(offered)) == 'connect a, then send a "x"'
    assert guide.next_hint(LESSON, lab.state_of(offered)) == (
        'Step: the lesson does `connect a`, then `send a "x"`. Or act yourself.'
    )
    withdrawn = lab.state_of(offered, ev.Offered(lab.t(), 2))
    assert guide.your_turn(withdrawn) == ""
    assert guide.next_hint(LESSON, withdrawn) == "The program sleeps in read, until a client acts."


def test_where_a_step_leaves_the_program_alone_the_hint_says_so() -> None:
    ready = ev.Ready(lab.t(), "lesson", lab.PID, (lab.PID,))
    state = lab.state_of(AT_ACCEPT, ready)
    assert guide.next_hint(LESSON, state) == "Step: the lesson goes on, the program stands still."


ONE_CALL = """
format = 1
title = "T"
summary = "S"
server = { c = "server.c" }
[[step]]
at = { syscall = "accept" }
before = "Nobody is there."
[step.predict]
ask = "Which number will it return?"
choices = [4, 5]
measure = "last.result"
when = "return"
explain = "The lowest free one."
[[step]]
at = { syscall = "accept", when = "blocked" }
do = "connect a"
before = "It sleeps."
after = "It woke."
[[check]]
at = "end"
probe = "process.alive"
is = true
"""


def test_the_answer_to_an_earlier_step_s_question_is_seen_though_a_later_step_is_told_at_the_same_return() -> None:
    one = lesson.parse(ONE_CALL, "t/lesson.toml", name="t")
    cursor, told = guide.begin(one), []
    for moment in (at("enter", "accept"), at("blocked", "accept"), at("return", "accept")):
        cursor, directives = guide.at_moment(one, cursor, moment)
        for each in directives:
            if isinstance(each, Reach):
                told.append(ev.StepReached(lab.t(), each.index, each.phase))
            elif isinstance(each, Ask):
                told += [ev.Asked(lab.t(), each.index), ev.Answered(lab.t(), each.index, 4)]
            elif isinstance(each, Measure):
                told.append(ev.Measured(lab.t(), each.index, 4, 4, True))
    state = lab.state_of(lab.start(), lab.call("accept", 3, result=4), told)
    assert guide.narration(one, state) == "Right: **4**. The lowest free one.\n\nIt woke."


def test_hints_follow_the_program() -> None:
    assert guide.next_hint(LESSON, lab.state_of()) == "The program is being started."
    assert guide.next_hint(LESSON, lab.state_of(lab.start(), lab.enter("bind", 3))) == (
        "Step: the kernel carries out bind."
    )
    assert "next call" in guide.next_hint(LESSON, lab.state_of(lab.start(), lab.call("bind", 3)))
    assert "has ended" in guide.next_hint(LESSON, lab.state_of(lab.start(), ev.Exited(lab.t(), lab.PID)))


def test_calls_before_the_first_step_are_not_counted() -> None:
    cursor, _ = walk(at("enter", "read"), at("return", "read"), *TO_READ, at("enter", "read", 2))
    cursor, out = guide.at_moment(LESSON, cursor, at("blocked", "read", 2))
    assert out == (Reach(2, "before"), Perform('send a "x"'))


def test_a_step_whose_moment_came_too_early_does_not_hold_up_the_lesson() -> None:
    cursor, out = walk(
        at("enter", "socket"),
        at("return", "socket"),
        at("blocked", "read"),
        at("return", "read"),
        at("enter", "accept"),
        at("return", "accept"),
        at("blocked", "accept", 2),
    )
    assert [each.index for each in out if isinstance(each, Reach)] == [0, 0, 1, 1, 3]
    assert cursor.done


def test_what_was_told_at_a_step_keeps_its_values_when_the_program_runs_on() -> None:
    told = [
        *ASKED,
        ev.Measured(lab.t(), 1, 3, None),
        *lab.returned("accept", 4),
        ev.StepReached(lab.t(), 1, "after"),
        lab.sockets(lab.listener(depth=2)),
    ]
    assert guide.narration(LESSON, lab.state_of(told)) == "Took one; 2 left."
    gone_on = [*told, ev.Resumed(lab.t(), lab.PID), lab.sockets(lab.listener(depth=0)), *lab.enter("read", 4)]
    assert guide.narration(LESSON, lab.state_of(gone_on)) == "Took one; 2 left."
    asleep = [*RUNNING, *lab.enter("read", 4), ev.Resumed(lab.t(), lab.PID), ev.StepReached(lab.t(), 1, "after")]
    live = lab.state_of(asleep, lab.sockets(lab.listener(depth=1)))
    assert guide.narration(LESSON, live) == "Took one; 1 left."
    woken = lab.state_of(asleep, ev.Return(lab.t(), lab.PID, 0, 1), lab.sockets(lab.listener(depth=1)))
    assert guide.narration(LESSON, woken) == "Took one; 0 left."


def test_a_long_run_keeps_one_left_step_not_a_chain_of_them() -> None:
    state = lab.state_of(lab.start(), *([*lab.call("bind", 3), ev.StepReached(lab.t(), 0, "after")] for _ in range(9)))
    state = lab.state_of_from(state, lab.call("bind", 3))
    assert state.step_left is not None
    assert state.step_left.step_left is None
