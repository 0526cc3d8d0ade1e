"""What a lesson's parts say: which values fulfil a wish, how it is said, which files and programs belong to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as some

from socklab import lesson
from socklab.core.errors import LessonError, UsageError
from socklab.lesson import At, Check, Settle
from tests.lesson.test_lesson import GOOD

VALUES = some.integers(-3, 3) | some.booleans() | some.sampled_from(["", "1", "yes"])
BOUNDS = some.none() | some.integers(-3, 3)


def is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@given(VALUES, some.none() | VALUES, BOUNDS, BOUNDS)
def test_a_value_fulfils_a_wish_as_the_lesson_howto_says(
    value: lesson.Value, is_: lesson.Value | None, at_least: int | None, at_most: int | None
) -> None:
    if is_ is not None:
        expected = repr(value) == repr(is_)
    else:
        least = -99 if at_least is None else at_least
        expected = is_number(value) and least <= value <= (99 if at_most is None else at_most)  # type: ignore[operator]
    check = Check(at="end", probe="fd.count", is_=is_, at_least=at_least, at_most=at_most)
    assert check.holds(value) is expected
    assert Settle("fd.count", is_, at_least=at_least, at_most=at_most).holds(value) is expected


def test_a_check_does_not_hold_for_every_value() -> None:
    check = Check(at="end", probe="fd.count", is_=3)
    assert [check.holds(value) for value in (3, 4, "3", True)] == [True, False, False, False]


def test_wishes_are_said_in_words() -> None:
    wishes = [Settle("fd.count", **bound) for bound in ({"is_": True}, {"is_": 0}, {"at_least": 4}, {"at_most": 0})]
    assert [wish.wanted for wish in wishes] == ["yes", "0", "at least 4", "at most 0"]
    checks = [Check("end", "fd.count", **bound) for bound in ({"is_": False}, {"at_least": 4}, {"at_most": 0})]
    assert [check.expected for check in checks] == [False, 4, 0]
    assert [check.claim for check in checks] == [
        "fd.count is no",
        "fd.count is at least 4",
        "fd.count is at most 0",
    ]
    with pytest.raises(LessonError):
        _ = Check("end", "fd.count").expected


def test_values_are_shown_as_visible_text() -> None:
    assert [lesson.shown(value) for value in (True, False, 1, 0, "a\x1bb")] == ["yes", "no", "1", "0", "a␛b"]


def test_the_next_beat_is_the_same_stop_one_later() -> None:
    assert At("accept", 2, "blocked", 3).next_beat == At("accept", 2, "blocked", 4)
    assert At("accept").beat == 1


def test_the_defaults_of_a_lesson_are_those_of_its_howto() -> None:
    read = lesson.parse(GOOD, "x")
    howto = (Path(__file__).resolve().parents[2] / "docs" / "lesson-howto.md").read_text()
    assert (read.minutes, read.port, read.network, read.pause) == (5, 8080, "any", lesson.DEFAULT_PAUSE)
    assert (read.name, read.folder, read.reference, read.intro, read.outro, read.one_language) == ("", None) + ("",) * 4
    assert (read.teaches, read.after, read.claims) == ((), (), ())
    assert all(f"`{key}`" in howto or f"{key} =" in howto for key in ("minutes", "port", "network", "pause"))
    assert (Settle("x").within_ms, At("x").nth, At("x").when, At("x").done) == (2000, 1, "enter", False)


def test_the_languages_are_those_there_is_a_server_for() -> None:
    both = GOOD.replace('{ c = "server.c" }', '{ c = "a.c", python = "b.py" }')
    python = GOOD.replace('{ c = "server.c" }', '{ python = "b.py" }')
    assert lesson.parse(both, "x").languages == ("c", "python")
    assert lesson.parse(python, "x").languages == ("python",)
    there = lesson.parse(both, "x", folder=Path("/lessons/x"))
    assert [there.server_file(name) for name in ("c", "python")] == [Path("/lessons/x/a.c"), Path("/lessons/x/b.py")]
    for language in ("python", "rust\x1b"):
        with pytest.raises(UsageError) as refusal:
            lesson.parse(GOOD, "x", name="mine", folder=Path("/x")).server_file(language)
        assert refusal.value.fix == "It has: c."
        assert "\x1b" not in refusal.value.what


def test_the_programs_are_those_that_actions_and_offers_run_each_once() -> None:
    text = GOOD.replace('do = "connect a"', 'do = ["! curl -s x", "connect 2", "! nc x"]\noffer = "! curl y"').replace(
        "[step.predict]", 'until = { probe = "fd.count", is = 1 }\n[step.predict]'
    )
    assert lesson.parse(text, "x").programs == ("curl", "nc")


@pytest.mark.parametrize(("word", "names"), sorted(lesson.SAME_CALL.items()))
def test_every_equivalent_call_has_its_word_and_may_be_named(word: str, names: tuple[str, ...]) -> None:
    counts_as = lesson.canonical(word)
    assert {lesson.canonical(name) for name in names} == {counts_as} == {lesson.canonical(counts_as)}
    assert {word, *names} <= lesson.CALLS
    assert lesson.canonical("no such call") == "no such call"
