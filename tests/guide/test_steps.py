"""Steps, beats, offers and checks of a lesson at each of their edges, as directives in their order."""

from __future__ import annotations

import pytest

from socklab import guide, lesson
from socklab.guide import Ask, Check, Cursor, Directive, Done, Measure, Moment, Offer, Perform, Reach, Settle
from socklab.lesson import At, Lesson

HEAD = 'format = 1\ntitle = "T"\nsummary = "S"\nserver = { c = "server.c" }\n'
END = '[[check]]\nat = "end"\nprobe = "process.alive"\nis = true\n'


def a_lesson(*parts: str) -> Lesson:
    return lesson.parse(HEAD + "\n".join(parts) + "\n" + END, "t", name="t")


def step(at: str, *lines: str) -> str:
    return "\n".join(["[[step]]", f"at = {{ {at} }}", *(lines or ('before = "B."',)), ""])


def check(at: str) -> str:
    return f'[[check]]\nat = {{ {at} }}\nprobe = "fd.count"\nis = 1\n'


ASK = '[step.predict]\nask = "?"\nchoices = [0, 1]\nmeasure = "fd.count"\nexplain = "."\n'
OFFER = 'offer = ["connect", "drop all"]\nuntil = [{ probe = "fd.count", is = 1 }]'


def moment(where: str, name: str, nth: int = 1, tid: int = 100, beat: int = 1) -> Moment:
    return Moment(tid, where, name, nth, beat)


def walk(of: Lesson, *moments: Moment) -> tuple[Cursor, list[tuple[Directive, ...]]]:
    """The cursor at the end, and the directives of each moment."""
    cursor, out = guide.begin(of), []
    for each in moments:
        cursor, directives = guide.at_moment(of, cursor, each)
        out.append(directives)
    return cursor, out


def test_what_is_offered_comes_after_the_question_and_its_checks_words_and_answer_after_it() -> None:
    of = a_lesson(
        step('syscall = "read"', 'before = "B."', 'after = "A."', 'do = "connect a"', OFFER, ASK + 'when = "done"'),
        check('syscall = "read"'),
        check('syscall = "read", done = true'),
    )
    cursor, out = walk(of, moment("enter", "read"), moment("return", "read"))
    settle = Settle("fd.count", 1)
    assert out[0] == (
        Reach(0, "before"),
        Perform("connect a"),
        Check(0),
        Ask(0),
        Offer(("connect", "drop all"), (settle,)),
        Check(1),
        Reach(0, "after"),
        Measure(0),
        Done(),
    )
    assert out[1] == ()
    assert (cursor.checked, cursor.done) == ({0, 1}, True)
    plain = a_lesson(step('syscall = "read"', OFFER))
    assert walk(plain, moment("enter", "read"))[1] == [
        (Reach(0, "before"), Offer(("connect", "drop all"), (settle,)), Done())
    ]


def test_a_question_now_is_not_measured_by_the_guide_and_one_about_the_return_is() -> None:
    of = a_lesson(step('syscall = "read"', ASK + 'hides = ["queues"]'))
    assert walk(of, moment("enter", "read"), moment("return", "read"))[1] == [(Reach(0, "before"), Ask(0), Done()), ()]
    later = a_lesson(step('syscall = "read"', ASK + 'when = "return"'))
    assert walk(later, moment("enter", "read"), moment("return", "read"))[1] == [
        (Reach(0, "before"), Ask(0)),
        (Reach(0, "after"), Measure(0), Done()),
    ]


def test_a_step_at_a_return_is_told_after_and_asks_there() -> None:
    of = a_lesson(step('syscall = "read", when = "return"', 'after = "A."', ASK + 'hides = ["queues"]'))
    assert walk(of, moment("enter", "read"), moment("return", "read"))[1] == [(), (Reach(0, "after"), Ask(0), Done())]


def test_a_return_ends_the_step_of_its_own_task_call_and_number() -> None:
    of = a_lesson(step('syscall = "read"', 'after = "A."'), step('syscall = "listen"'))
    others = [moment("return", "read", 1, tid=7), moment("return", "write"), moment("return", "read", 2)]
    for other in (*others, moment("blocked", "read")):
        cursor, out = walk(of, moment("enter", "read"), other)
        assert (out[1], len(cursor.open)) == ((), 1)
    cursor, out = walk(of, moment("enter", "read"), moment("return", "read"), moment("return", "read"))
    assert (out[1:], cursor.open) == ([(Reach(0, "after"),), ()], ())


def test_a_step_that_another_has_followed_is_told_no_more_but_measured() -> None:
    of = a_lesson(
        step('syscall = "read"', 'after = "A."', ASK + 'when = "return"'),
        step('syscall = "read", when = "blocked"', 'after = "Awake."'),
    )
    _, out = walk(of, moment("enter", "read"), moment("blocked", "read"), moment("return", "read"))
    assert out == [(Reach(0, "before"), Ask(0)), (Reach(1, "before"),), (Reach(1, "after"), Measure(0), Done())]


def test_a_step_that_begins_at_the_very_return_takes_the_word() -> None:
    of = a_lesson(step('syscall = "read"', 'after = "A."'), step('syscall = "read", when = "return"', 'after = "B."'))
    assert walk(of, moment("enter", "read"), moment("return", "read"))[1][1] == (Reach(1, "after"), Done())


BEATS = a_lesson(
    step('syscall = "read"', 'before = "1"'),
    step('syscall = "read", beat = 2', 'before = "2"'),
    step('syscall = "read", beat = 3', 'before = "3"'),
    check('syscall = "read", beat = 2'),
)


def test_beats_of_one_stop_follow_each_other() -> None:
    cursor, _ = walk(BEATS, moment("enter", "read"))
    second = guide.next_beat(BEATS, cursor, moment("enter", "read"))
    assert second == moment("enter", "read", beat=2)
    cursor, out = guide.at_moment(BEATS, cursor, second)
    assert out == (Reach(1, "before"), Check(0))
    third = guide.next_beat(BEATS, cursor, second)
    assert third == moment("enter", "read", beat=3)
    cursor, out = guide.at_moment(BEATS, cursor, third)
    assert out == (Reach(2, "before"), Done())
    assert guide.next_beat(BEATS, cursor, third) is None


def test_there_is_no_next_beat_before_the_first_step_or_at_another_stop() -> None:
    assert guide.next_beat(BEATS, guide.begin(BEATS), moment("enter", "read")) is None
    cursor, _ = walk(BEATS, moment("enter", "read"))
    for other in (moment("blocked", "read"), moment("enter", "read", 2), moment("enter", "write")):
        assert guide.next_beat(BEATS, cursor, other) is None
    single = a_lesson(step('syscall = "read"'), step('syscall = "write"'))
    cursor, _ = walk(single, moment("enter", "read"))
    assert guide.next_beat(single, cursor, moment("enter", "read")) is None


def test_beats_left_behind_are_passed_over() -> None:
    cursor, out = walk(BEATS, moment("enter", "read"), moment("return", "read"))
    assert out[1] == (Done(),)
    assert (cursor.next, cursor.done) == (3, True)


def test_next_beat_counts_calls_as_the_lesson_does() -> None:
    cursor, _ = walk(BEATS, moment("enter", "write"), moment("return", "write"), moment("enter", "read"))
    assert guide.next_beat(BEATS, cursor, moment("enter", "read")) == moment("enter", "read", beat=2)
    early = a_lesson(
        step('syscall = "listen"'), step('syscall = "read"'), step('syscall = "read", beat = 2', 'before = "2"')
    )
    cursor, out = walk(early, moment("enter", "read"), moment("enter", "listen"), moment("enter", "read", 2))
    assert out == [(), (Reach(0, "before"),), (Reach(1, "before"),)]
    assert guide.next_beat(early, cursor, moment("enter", "read", 2)) == moment("enter", "read", 2, beat=2)


def test_calls_of_each_name_before_the_first_step_are_not_the_lessons() -> None:
    of = a_lesson(step('syscall = "listen"'), step('syscall = "read"'), step('syscall = "write", nth = 2'))
    before = [moment("enter", "read", n) for n in (1, 2, 3)] + [moment("enter", "write")]
    _, out = walk(of, *before, moment("enter", "listen"), moment("enter", "read", 4), moment("enter", "write", 2))
    assert out[-3:] == [(Reach(0, "before"),), (Reach(1, "before"),), ()]
    _, out = walk(of, *before, moment("enter", "listen"), moment("enter", "read", 4), moment("enter", "write", 3))
    assert out[-1] == (Reach(2, "before"), Done())


def test_a_call_that_went_past_a_steps_moment_passes_the_step_over() -> None:
    of = a_lesson(step('syscall = "listen"'), step('syscall = "read", when = "blocked"'), step('syscall = "write"'))
    cursor, out = walk(of, moment("enter", "listen"), moment("enter", "read"), moment("return", "read"))
    assert cursor.next == 2
    cursor, out = guide.at_moment(of, cursor, moment("enter", "write"))
    assert out == (Reach(2, "before"), Done())
    cursor, _ = walk(of, moment("enter", "listen"), moment("enter", "read"))
    assert (cursor.next, cursor.past) == (1, frozenset())
    cursor, _ = walk(of, moment("enter", "listen"), moment("return", "read", 2))
    assert cursor.next == 1


def test_a_later_step_whose_moment_came_too_early_is_passed_over_in_its_turn() -> None:
    of = a_lesson(
        step('syscall = "listen"'), step('syscall = "read"'), step('syscall = "write"'), step('syscall = "close"')
    )
    cursor, _ = walk(of, moment("enter", "listen"), moment("enter", "write"))
    assert (cursor.next, cursor.past) == (1, {2})
    cursor, out = guide.at_moment(of, cursor, moment("enter", "read"))
    assert (cursor.next, out) == (3, (Reach(1, "before"),))
    assert guide.at_moment(of, cursor, moment("enter", "close"))[1] == (Reach(3, "before"), Done())


def test_what_comes_before_the_first_step_passes_over_nothing() -> None:
    of = a_lesson(step('syscall = "listen"'), step('syscall = "read"'))
    cursor, out = walk(of, moment("enter", "read"), moment("return", "read"))
    assert (cursor.next, cursor.past, out) == (0, frozenset(), [(), ()])


def test_a_check_is_made_once_at_its_moment_whichever_step_is_next() -> None:
    of = a_lesson(step('syscall = "listen"'), check('syscall = "read", when = "return"'), check('syscall = "read"'))
    _, out = walk(of, moment("enter", "read"), moment("return", "read"), moment("return", "read"))
    assert out == [(Check(1),), (Check(0),), ()]


def test_done_waits_for_what_the_last_step_has_to_say() -> None:
    of = a_lesson(step('syscall = "read"', 'after = "A."'))
    cursor, out = walk(of, moment("enter", "read"))
    assert (out[0], cursor.done) == ((Reach(0, "before"),), False)
    cursor, out = guide.at_moment(of, cursor, moment("return", "read"))
    assert (out, cursor.done) == ((Reach(0, "after"), Done()), True)
    assert guide.at_moment(of, cursor, moment("enter", "read", 2))[1] == ()


def test_the_end_makes_the_checks_that_are_left_or_says_why_it_can_not() -> None:
    of = a_lesson(step('syscall = "listen"'), check('syscall = "read", nth = 2, when = "blocked"'))
    missing = Check(0, reason="the program never came to the 2nd read blocked")
    assert guide.ending(of, guide.begin(of)) == (missing, Check(1, reason="the lesson's last step was not reached"))
    cursor, _ = walk(of, moment("enter", "listen"))
    assert guide.ending(of, cursor) == (missing, Check(1))
    cursor, _ = walk(of, moment("enter", "listen"), moment("blocked", "read", 2))
    assert guide.ending(of, cursor) == (Check(1),)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (At("read"), "the 1st read"),
        (At("read", 2, "blocked"), "the 2nd read blocked"),
        (At("read", 3, "return"), "the 3rd read returned"),
        (At("read", 4), "the 4th read"),
        (At("read", 10), "the 10th read"),
        (At("read", 11), "the 11th read"),
        (At("read", 12), "the 12th read"),
        (At("read", 13), "the 13th read"),
        (At("read", 20), "the 20th read"),
        (At("read", 21), "the 21st read"),
        (At("read", 22), "the 22nd read"),
        (At("read", 100), "the 100th read"),
        (At("read", 111), "the 111th read"),
        (At("read", 121), "the 121st read"),
        (At("read", 1, "enter", 2), "the 1st read, beat 2"),
        (At("read", 1, "return", 1, True), "the 1st read returned, done"),
        (At("read", 1, "blocked", 3, True), "the 1st read blocked, beat 3, done"),
    ],
)
def test_a_moment_is_said_in_words(at: At, words: str) -> None:
    assert guide.described(at) == words


def test_the_program_stops_at_what_the_lesson_pauses_steps_and_checks_name_with_all_that_is_equivalent() -> None:
    of = lesson.parse(
        HEAD + 'pause = ["poll"]\n' + step('syscall = "listen"') + check('syscall = "accept4"') + END, "t", name="t"
    )
    assert guide.pause_names(of) == {"poll", "ppoll", "listen", "accept", "accept4"}
