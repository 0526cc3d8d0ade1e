"""What a lesson's text claims is held against the state: at its own moment, and in its own words."""

from __future__ import annotations

import pytest

from socklab import guide, lesson
from socklab.core.errors import LessonError
from socklab.guide import Check, Moment, Perform, Reach, Settle
from socklab.protocol import events as ev
from tests.support import streams as lab

TEXT = """
format = 1
title = "T"
summary = "S"
server = { c = "server.c" }

[[step]]
at = { syscall = "accept" }
before = "One waits, and client a is connected."
holds = ["listener.accept_queue is 1", "client.a.state is ESTABLISHED"]
after = "It is taken."
holds_after = ["listener.accept_queue is 0", "last.result is at least 3"]

[[step]]
at = { syscall = "read", when = "blocked" }
do = 'send a "x"'
settle = { probe = "fd.call.rx_queue", is = 1 }
before = "It sleeps."
holds = "process.blocked is yes"

[[step]]
at = { syscall = "write" }
before = "Deliver it."
offer = "deliver"
until = { probe = "packets.held", at_most = 0 }
after = "Nothing is held."
holds_after = "packets.held is 0"

[[check]]
at = "end"
probe = "process.alive"
is = true
"""
LESSON = lesson.parse(TEXT, "t/lesson.toml", name="t")


def at_accept(depth: int) -> lab.Stream:
    told = lab.start()
    told += [lab.fds((3, 900)), lab.client("a", 1), lab.sockets(lab.listener(depth), *lab.pair(1, 1, 1))]
    return lab.Stream(told, lab.enter("accept", 3), ev.StepReached(lab.t(), 0, "before"))


def claims(stream: lab.Stream) -> list[tuple[str, str]]:
    return [(each.claim, each.found or each.reason) for each in guide.untrue(LESSON, stream.state)]


def test_a_text_whose_claims_are_so_has_nothing_untrue() -> None:
    assert claims(at_accept(1)) == []


def test_a_claim_that_is_not_so_is_told_with_what_is() -> None:
    assert claims(at_accept(2)) == [("listener.accept_queue is 1", "2")]


def test_a_claim_about_what_is_not_there_is_not_so_and_says_why() -> None:
    stream = at_accept(1)
    stream.tell(lab.sockets(gone=(101,)))
    assert claims(stream) == [("client.a.state is ESTABLISHED", "no TCP table lists a socket of client a")]


def test_a_text_is_held_against_the_moment_it_speaks_of() -> None:
    stream = at_accept(1)
    stream.tell(lab.returned("accept", 4), lab.sockets(lab.listener(2)))
    assert claims(stream) == []
    stream.tell(ev.StepReached(lab.t(), 0, "after"))
    assert claims(stream) == [("listener.accept_queue is 0", "2")]


def test_before_the_first_step_nothing_is_claimed() -> None:
    assert guide.untrue(LESSON, lab.Stream(lab.start()).state) == ()


def made(*moments: Moment) -> list[str]:
    """What the engine is told to do, in order, checks in the words of their claims."""
    cursor, out = guide.begin(LESSON), []
    for moment in moments:
        cursor, directives = guide.at_moment(LESSON, cursor, moment)
        for each in directives:
            if isinstance(each, Check):
                out.append(LESSON.checks[each.index].claim)
            elif isinstance(each, Reach | Perform | Settle | guide.Offer):
                out.append(type(each).__name__)
    return out


def moment(where: str, name: str, nth: int = 1) -> Moment:
    return Moment(lab.PID, where, name, nth)


def test_claims_are_checked_at_the_moment_of_their_text() -> None:
    assert made(moment("enter", "accept"), moment("return", "accept")) == [
        "Reach", "listener.accept_queue is 1", "client.a.state is ESTABLISHED",
        "Reach", "listener.accept_queue is 0", "last.result is at least 3",
    ]  # fmt: skip


def test_what_is_claimed_of_a_sleeping_program_is_checked_before_it_is_woken() -> None:
    earlier = [moment("enter", "accept"), moment("return", "accept")]
    assert made(*earlier, moment("blocked", "read"))[6:] == ["Reach", "process.blocked is yes", "Perform", "Settle"]


def test_what_is_claimed_of_what_was_offered_is_checked_once_it_is_done() -> None:
    earlier = [moment("enter", "accept"), moment("return", "accept"), moment("blocked", "read")]
    assert made(*earlier, moment("enter", "write"))[10:] == ["Reach", "Offer", "packets.held is 0", "Reach"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("listener.accept_queue", "is no claim"),
        ("listener.accept_queue = 5", "is no claim"),
        ("listener.accept_queue is at least many", "at least needs a whole number, not many"),
        ("client.a.eof is at most yes", "at most needs a whole number, not yes"),
        ("listener.accept_queu is 5", 'no probe "listener.accept_queu"'),
    ],
)
def test_a_claim_that_could_never_be_measured_is_refused_by_name(line: str, why: str) -> None:
    with pytest.raises(LessonError) as refused:
        lesson.parse(TEXT.replace("listener.accept_queue is 1", line), "x/lesson.toml")
    assert refused.value.what.startswith("x/lesson.toml: step[0].holds[0]")
    assert why in refused.value.what


def test_a_return_has_claims_only_after() -> None:
    text = TEXT.replace('at = { syscall = "accept" }\nbefore = "One waits, and client a is connected."',
                        'at = { syscall = "accept", when = "return" }')  # fmt: skip
    with pytest.raises(LessonError) as refused:
        lesson.parse(text, "x/lesson.toml")
    assert refused.value.what.startswith("x/lesson.toml: step[0].holds: ")


def ready(stream: lab.Stream) -> lab.Stream:
    return stream.tell(ev.Ready(lab.t(), "step", lab.PID))


def test_a_text_that_fits_no_more_says_what_differs_and_what_to_do() -> None:
    stream = at_accept(1)
    assert guide.doubts(LESSON, ready(stream).state) == ""
    stream.tell(lab.sockets(lab.listener(2), gone=(101,)))
    told = guide.doubts(LESSON, ready(stream).state)
    assert told == (
        "Not as the text says: listener.accept_queue is 2, not 1; "
        "client.a.state: no TCP table lists a socket of client a."
    )


def test_while_the_lab_is_busy_nothing_is_in_doubt() -> None:
    stream = at_accept(2)
    assert guide.doubts(LESSON, stream.state) == ""
    assert guide.doubts(LESSON, ready(stream).state) != ""


def test_what_was_offered_and_is_done_is_not_in_doubt() -> None:
    text = TEXT.replace('before = "Deliver it."', 'before = "Deliver it."\nholds = "clients.count is 5"')
    given = lesson.parse(text, "t/lesson.toml", name="t")
    stream = at_accept(1).tell(ev.StepReached(lab.t(), 2, "before"), ev.Offered(lab.t(), 2, ("deliver",)))
    assert guide.doubts(given, ready(stream).state) == ""  # nothing is held: `until` holds
    stream.tell(lab.packet(1, "client", lab.SYN, 10), lab.fate(1, "held"))
    assert guide.doubts(given, ready(stream).state).startswith("Not as the text says: clients.count is 1, not 5.")


def test_while_a_question_hides_the_answer_what_is_in_doubt_names_no_number() -> None:
    asked = '[step.predict]\nask = "How many?"\nchoices = [1, 2]\nmeasure = "listener.accept_queue"\n'
    asked += 'hides = ["queues"]\nexplain = "So."\n\n[[step]]\nat = { syscall = "read"'
    given = lesson.parse(TEXT.replace('[[step]]\nat = { syscall = "read"', asked, 1), "t/lesson.toml", name="t")
    stream = at_accept(2).tell(ev.Asked(lab.t(), 0))
    told = guide.doubts(given, ready(stream).state)
    assert told.startswith("Not as the text says: what was done here changes")
    assert "2" not in told
