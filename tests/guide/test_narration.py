"""What is told, masked and hinted at, for every state a question, a step and a program can be in."""

from __future__ import annotations

import pytest

from socklab import guide, lesson
from socklab.lesson import Lesson
from socklab.protocol import events as ev
from socklab.state import LabState
from tests.support import streams as lab
from tests.support.streams import PID, Part

HEAD = (
    'format = 1\ntitle = "T"\nsummary = "S"\nserver = { c = "server.c" }\nintro = "Intro."\noutro = "Out {fd.count}."\n'
)


def test_where_a_lesson_cant_go_on_it_says_how_to_begin_anew() -> None:
    assert guide.end_hint(lab.state_of(lab.start(), lab.enter("bind", 3))) == ""
    gone = lab.state_of(lab.start(), ev.Exited(lab.t(), lab.PID))
    assert guide.end_hint(gone).startswith("The lesson can't go on: its program has ended. `restart`")
    done = lab.state_of(lab.start(), lab.enter("bind", 3), ev.LessonDone(lab.t()))
    assert guide.end_hint(done).startswith("Go on as you like; `restart` begins the lesson anew")
    both = lab.state_of(lab.start(), ev.LessonDone(lab.t()), ev.Exited(lab.t(), lab.PID))
    assert guide.end_hint(both).startswith("`restart` begins")


def a_lesson(when: str = "now", hides: str = '["queues"]', at: str = "", explain: str = "Why {fd.count}.") -> Lesson:
    """Step 0 says things; step 1 asks; step 2 says more."""
    said = (
        'after = "After {fd.count}."'
        if "return" in at
        else 'before = "Before {fd.count} {fd.3.inode}."\nafter = "After {fd.count}."'
    )
    return lesson.parse(
        f"""{HEAD}
[[step]]
at = {{ syscall = "socket" }}
before = "First {{call.name}} {{listener.port}}."
[[step]]
at = {{ syscall = "accept"{at} }}
{said}
{'offer = "connect"' if when == "done" else ""}
{'until = { probe = "fd.count", is = 9 }' if when == "done" else ""}
[step.predict]
ask = "?"
choices = [0, 1, 2]
measure = "fd.count"
hides = {hides}
when = "{when}"
explain = "{explain}"
[[step]]
at = {{ syscall = "read" }}
before = "Last."
[[check]]
at = "end"
probe = "process.alive"
is = true
""",
        "t",
        name="t",
    )


NOW, RETURN, DONE = a_lesson(), a_lesson("return", "[]"), a_lesson("done", "[]")
AT_RETURN = a_lesson(at=', when = "return"')
RUNNING = [lab.start(), lab.fds((3, 900)), lab.sockets(lab.listener())]
BEFORE, AFTER, NEXT = (ev.StepReached(10**6, *where) for where in ((1, "before"), (1, "after"), (2, "before")))
ASKED, COMMITTED = ev.Asked(10**6 + 1, 1), ev.Answered(10**6 + 2, 1, 0)
MEASURED = ev.Measured(10**6 + 3, 1, 1, 0, False)


def state(*parts: Part) -> LabState:
    return lab.state_of(RUNNING, lab.enter("accept", 3), *parts)


@pytest.mark.parametrize(
    ("of", "parts", "masked", "open_"),
    [
        (NOW, [], False, False),
        (NOW, [BEFORE], True, False),
        (NOW, [BEFORE, ASKED], True, True),
        (NOW, [BEFORE, ASKED, COMMITTED], False, False),
        (NOW, [BEFORE, ASKED, MEASURED], False, False),
        (NOW, [AFTER], False, False),
        (NOW, [NEXT], False, False),
        (NOW, [ASKED], True, True),
        (NOW, [BEFORE, ev.Answered(5, 0, 1)], True, False),
        (NOW, [BEFORE, ev.Measured(5, 0, 1)], True, False),
        (NOW, [MEASURED, BEFORE], False, False),
        (NOW, [ev.Asked(5, 0)], False, False),
        (NOW, [ev.Asked(5, 3)], False, False),
        (NOW, [ev.Asked(5, -1)], False, False),
        (NOW, [ev.StepReached(5, 3, "before")], False, False),
        (NOW, [ev.StepReached(5, -2, "before")], False, False),
        (AT_RETURN, [BEFORE], False, False),
        (AT_RETURN, [AFTER], True, False),
        (AT_RETURN, [AFTER, ASKED], True, True),
        (RETURN, [BEFORE, ASKED], False, True),
    ],
)
def test_panels_are_masked_from_the_step_that_asks_until_the_choice(
    of: Lesson, parts: list[Part], masked: bool, open_: bool
) -> None:
    told = state(parts)
    assert guide.masked(of, told) == ({"queues", "acceptqueue"} if masked else frozenset())
    assert guide.question(of, told) is (of.steps[1].predict if open_ else None)


@pytest.mark.parametrize(
    ("of", "parts", "text"),
    [
        (NOW, [], "Intro."),
        (NOW, [ev.StepReached(5, 0, "before")], "First accept 8080."),
        (NOW, [ev.StepReached(5, 0, "after")], "First accept 8080."),
        (NOW, [BEFORE], "Before … …."),
        (NOW, [BEFORE, ASKED], "Before … …."),
        (NOW, [BEFORE, ASKED, COMMITTED], "Before 1 900."),
        (NOW, [AFTER], "After 1."),
        (NOW, [ev.StepReached(5, 3, "before")], "Intro."),
        (NOW, [ev.StepReached(5, -1, "before")], "Intro."),
        (RETURN, [BEFORE, ASKED], "Before … 900."),
        (DONE, [BEFORE, ASKED], "Before 1 900."),
        (NOW, [BEFORE, ASKED, MEASURED], "You said 0; the kernel says **1**. Why 1."),
        (NOW, [BEFORE, ASKED, MEASURED, ev.StepReached(10**6 + 4, 2, "before")], "Last."),
        (NOW, [MEASURED], "You said 0; the kernel says **1**. Why 1."),
        (RETURN, [AFTER, MEASURED], "You said 0; the kernel says **1**. Why 1.\n\nAfter 1."),
        (AT_RETURN, [AFTER, ASKED, MEASURED], "You said 0; the kernel says **1**. Why 1."),
        (NOW, [NEXT, ev.LessonDone(10**6)], "Last.\n\nOut 1."),
        (a_lesson(explain=" "), [BEFORE, ev.Measured(10**6, 1, True, True, True)], "Right: **yes**. "),
        (NOW, [BEFORE, ev.Measured(10**6, 1, False)], "The kernel says **no**. Why 1."),
        (NOW, [BEFORE, ev.Measured(10**6, 1, None, 1)], "The kernel's answer could not be read. Why 1."),
    ],
)
def test_what_is_told(of: Lesson, parts: list[Part], text: str) -> None:
    assert guide.narration(of, state(parts)) == text


def test_an_answer_given_before_the_step_was_reached_is_not_the_last_word() -> None:
    older = ev.Measured(5, 1, 1, 0, False)
    left = [ev.StepReached(4, 1, "before"), older, ev.StepReached(6, 2, "before")]
    assert guide.narration(NOW, state(left)) == "Last."
    same_time = [ev.StepReached(6, 1, "before"), ev.Measured(6, 1, 1, 0, False)]
    assert guide.narration(NOW, state(same_time)).startswith("You said")


def test_values_stay_those_of_the_step_once_it_is_left() -> None:
    left = [BEFORE, ASKED, COMMITTED, ev.Resumed(10**7, PID), lab.fds((4, 901))]
    assert guide.narration(NOW, state(left)) == "Before 1 900."
    measured = [BEFORE, ASKED, MEASURED, ev.Resumed(10**7, PID), lab.fds((4, 901))]
    assert guide.verdict(NOW, state(measured)) == "You said 0; the kernel says **1**. Why 1."
    done = [NEXT, ev.Resumed(10**7, PID), lab.fds((4, 901)), ev.LessonDone(10**7)]
    assert guide.narration(NOW, state(done)) == "Last.\n\nOut 1."


@pytest.mark.parametrize(
    "parts", [[], [ASKED], [ev.Measured(5, 0, 1)], [ev.Measured(5, 3, 1)], [ev.Measured(5, -1, 1)]]
)
def test_there_is_no_verdict_without_a_measured_prediction(parts: list[Part]) -> None:
    assert guide.verdict(NOW, state(parts)) == ""


ON_THE_CARD = (
    "listener.port",
    "listener.local",
    "listener.fd",
    "listener.backlog",
    "call.name",
    "call.arg.1",
    "last.name",
)


def test_what_stands_on_the_call_card_is_told_while_panels_are_hidden() -> None:
    told = lab.state_of(RUNNING, lab.call("listen", 3, 4), lab.enter("accept", 3))
    asking = NOW.steps[1].predict
    for name in ON_THE_CARD:
        assert guide.fill(f"{{{name}}}", told, asking=asking) == guide.fill(f"{{{name}}}", told) != guide.UNMEASURED
    for name in ("listener.accept_queue", "call.arg.0", "fd.3.kind", "last.result"):
        assert guide.fill(f"{{{name}}}", told, asking=asking) == guide.UNMEASURED == "…"
        assert guide.fill(f"{{{name}}}", told) != guide.UNMEASURED
        assert guide.fill(f"{{{name}}}", told, asking=RETURN.steps[1].predict) != guide.UNMEASURED


def test_the_client_of_an_accepted_descriptor_is_told_while_panels_are_hidden() -> None:
    accepted = ev.SocketRow(201, 2, lab.SERVER, "10.0.0.2:50001", 1, inode=901)
    told = lab.state_of(
        RUNNING, lab.fds((4, 901)), lab.sockets(accepted), lab.client("a", 1), lab.call("accept", 3, result=4)
    )
    assert guide.fill("{fd.last.client}", told, asking=NOW.steps[1].predict) == "a"


@pytest.mark.parametrize(
    ("printed", "told"),
    [(b"plain", "plain"), (b"a*b", "`` a*b ``"), (b"a`b", "`` a`b ``"), (b"a~~~b", "`` a~~~b ``"), (b"a~b", "a~b")],
)
def test_what_a_program_printed_is_no_markup(printed: bytes, told: str) -> None:
    assert guide.fill("{output.text}", state(ev.Output(5, "server", "out", printed))) == told


def test_progress_counts_the_step_reached() -> None:
    assert [guide.progress(NOW, state(*parts)) for parts in ([], [BEFORE], [NEXT])] == [(0, 3), (2, 3), (3, 3)]


def hint(*parts: Part) -> str:
    return guide.next_hint(NOW, lab.state_of(RUNNING, *parts))


def test_hints_say_what_can_be_done_in_the_order_of_what_matters() -> None:
    accept, gone = lab.enter("accept", 3), ev.Exited(9, PID)
    asleep = [lab.entered("accept", 3), lab.process("S")]
    offer, beat = ev.Offered(9, 1, ("connect", "drop all")), ev.Ready(9, "lesson", PID, (PID,))
    over = ev.LessonDone(9)
    assert hint(accept, BEFORE, ASKED, gone, ev.Ended(9, "quit")) == "Predict: 0, 1, 2?"
    assert hint(accept, gone, ev.Ended(9, "quit")) == "The lab is over."
    assert guide.next_hint(NOW, LabState()) == "The program is being started."
    assert hint(accept, gone) == "The program has ended."
    assert hint(accept, over, gone) == "The program has ended; the lesson is over."
    assert hint(asleep, offer) == "Step: the lesson does `connect`, then `drop all`. Or act yourself."
    assert hint(accept, ev.Offered(9, 1, ("\x1b",))) == "Step: the lesson does `␛`. Or act yourself."
    assert hint(accept, beat) == "Step: the lesson goes on, the program stands still."
    assert hint(asleep, over) == "The program sleeps in accept, until a client acts."
    assert hint(accept, over) == "The lesson is over. Step on, try clients of your own, or quit."
    assert hint(accept, ev.Ready(9, "step", PID, (PID,))) == "Step: the kernel carries out accept."
    assert hint(lab.call("accept", 3)) == "Step: the program runs to its next call."
    assert hint(lab.call("accept", 3), ev.Held(9, PID, "signal")) == "Step: the program runs to its next call."
    assert hint(lab.entered("accept", 3)) == "The program runs."
    assert hint() == "The program runs."


def test_what_is_left_to_the_student_is_visible_text() -> None:
    assert guide.your_turn(state()) == ""
    assert guide.your_turn(state(ev.Offered(9, 1, ("connect\x1b", "drop all")))) == "connect␛, then drop all"


def test_what_wakes_a_program_depends_on_the_call_it_sleeps_in() -> None:
    row = ev.SocketRow(201, 2, lab.SERVER, "10.0.0.2:50001", 1, inode=901)
    taken = [lab.fds((4, 901)), lab.sockets(row), lab.client("b", 1)]
    assert guide.what_wakes(state(lab.entered("accept", 3))) == "connect   opens one."
    assert guide.what_wakes(state(*taken, lab.entered("read", 4))).startswith('send b "hi"   gives it')
    assert guide.what_wakes(state(*taken, lab.entered("write", 4))) == "read b   makes room."
    assert guide.what_wakes(state(lab.entered("read", 7))).startswith('send "hi"   gives it')


def test_what_the_wire_keeps_is_let_go_before_anything_else_can_wake_a_program() -> None:
    asleep = [lab.entered("accept", 3)]
    for kept in (ev.WireRules(9, ("drop syn",)), [lab.packet(1, "client", lab.SYN), lab.fate(1, "held")]):
        assert guide.what_wakes(state(asleep, kept)).startswith("release   lets pass what the wire keeps. connect")
