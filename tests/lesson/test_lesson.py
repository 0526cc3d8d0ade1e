"""A lesson.toml is read strictly: what does not fit is named by file, key and what was expected."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from socklab import lesson
from socklab.core.errors import LessonError, UsageError

GOOD = """
format = 1
title = "A title"
summary = "A line."
server = { c = "server.c" }

[[step]]
at = { syscall = "listen" }
before = "Room for {listener.backlog}."

[[step]]
at = { syscall = "accept", nth = 2, when = "blocked" }
do = "connect a"
settle = { probe = "client.a.state", is = "ESTABLISHED", within_ms = 1500 }
[step.predict]
ask = "How many wait?"
choices = [0, 1]
measure = "listener.accept_queue"
hides = ["queues"]
explain = "Because."

[[check]]
at = { syscall = "accept" }
probe = "listener.accept_queue"
is = 1

[[check]]
at = "end"
probe = "process.alive"
is = true
"""


def test_a_good_lesson_is_read_whole() -> None:
    read = lesson.parse(GOOD, "x/lesson.toml", name="x")
    assert (read.title, read.port, read.languages) == ("A title", 8080, ("c",))
    assert read.steps[0].at == lesson.At("listen", 1, "enter")
    assert read.steps[1].at == lesson.At("accept", 2, "blocked")
    assert read.steps[1].do == ["connect a"]
    assert read.steps[1].settle == [lesson.Settle("client.a.state", "ESTABLISHED", 1500)]
    assert read.checks[1].at == "end"
    assert read.toml == GOOD


BROKEN = [
    ('title = "A title"', 'titel = "A title"', "titel: no such key", 'Did you mean "title"?'),
    ('title = "A title"', "", "title: this key is missing", ""),
    ('title = "A title"', "title = 3", "title: expected text, got a whole number", ""),
    ("format = 1", "format = 2", "format: 2", ""),
    ("format = 1", "format = [", "not TOML", ""),
    ('server = { c = "server.c" }', "server = {}", "server: at least one", ""),
    ('server = { c = "server.c" }', 'server = { c = "../up.c" }', "server.c:", ""),
    ('server = { c = "server.c" }', 'server = { rust = "s.rs" }', "server.rust: no such key", "Known: c, python."),
    ('{ syscall = "listen" }', '{ syscal = "listen" }', "step[0].at.syscal: no such key", '"syscall"'),
    ('{ syscall = "listen" }', '{ syscall = "lisen" }', "step[0].at.syscall:", '"listen"'),
    ('{ syscall = "listen" }', '{ syscall = "listen", nth = 0 }', "step[0].at.nth: 0", ""),
    ('{ syscall = "listen" }', '{ syscall = "listen", nth = "1" }', "step[0].at.nth: expected a whole number", ""),
    ('when = "blocked"', 'when = "later"', "step[1].at.when:", ""),
    ("{listener.backlog}", "{listener.backlock}", "step[0].before:", '"listener.backlog"'),
    ('do = "connect a"', 'do = "conect a"', "step[1].do[0]:", '"connect"'),
    ('do = "connect a"', "do = [1]", "step[1].do[0]: expected text", ""),
    ('"client.a.state", is', '"client.a.stat", is', "step[1].settle[0].probe:", '"client.CLIENT.state"'),
    ("within_ms = 1500", "within_ms = 0", "step[1].settle[0].within_ms: 0", ""),
    ('ask = "How', 'aks = "How', "step[1].predict.aks: no such key", '"ask"'),
    ('explain = "Because."', "", "step[1].predict.explain: this key is missing", ""),
    ("choices = [0, 1]", "choices = [0]", "step[1].predict.choices: 1 choices", ""),
    ("choices = [0, 1]", "choices = [0, 0]", "step[1].predict.choices: a choice is given twice", ""),
    ("choices = [0, 1]", "choices = [0, 1.5]", "step[1].predict.choices[1]: expected", ""),
    ('hides = ["queues"]', 'hides = ["queue"]', "step[1].predict.hides[0]:", '"queues"'),
    ('measure = "listener.accept_queue"', 'measure = "x"', "step[1].predict.measure:", ""),
    ("is = 1", "", "check[0]: exactly one of is, at_least, at_most; 0", ""),
    ("is = 1", "is = 1\nat_least = 1", "check[0]: exactly one of is, at_least, at_most; 2", ""),
    ('at = "end"', 'at = "never"', "check[1].at:", ""),
    ('do = "connect a"', 'do = "hold synn-ack"', "step[1].do[0]:", "Did you mean syn-ack?"),
    ('do = "connect a"', 'offer = "delver"', "step[1].offer[0]:", '"deliver"'),
    ('do = "connect a"', 'offer = "deliver"', "step[1].offer: `until` is missing", ""),
    ('do = "connect a"', 'until = { probe = "packets.held", is = 0 }', "step[1].until: nothing is offered", ""),
    ('{ syscall = "listen" }', '{ syscall = "listen", beat = 0 }', "step[0].at.beat: 0", ""),
    ('{ syscall = "listen" }', '{ syscall = "listen", beat = 2 }', "step[0].at.beat: 2; the step before", ""),
    ('{ syscall = "listen" }', '{ syscall = "listen", done = true }', "step[0].at.done: this is for checks", ""),
    ('hides = ["queues"]', 'when = "done"', "step[1].predict.when: nothing is offered", ""),
    ('is = "ESTABLISHED", ', "", "step[1].settle[0]: exactly one of is, at_least, at_most; 0", ""),
    ("format = 1", 'format = 1\nnetwork = "three-hosts"', "network:", ""),
]


@pytest.mark.parametrize(("right", "wrong", "what", "fix"), BROKEN)
def test_a_mistake_is_named_by_file_key_and_expectation(right: str, wrong: str, what: str, fix: str) -> None:
    assert GOOD.count(right) >= 1
    with pytest.raises(LessonError) as refusal:
        lesson.parse(GOOD.replace(right, wrong, 1), "x/lesson.toml")
    assert "x/lesson.toml: " in refusal.value.what
    assert what in refusal.value.what
    assert fix in refusal.value.fix


def test_true_is_not_one_in_a_check() -> None:
    check = lesson.Check(at="end", probe="process.alive", is_=True)
    assert check.holds(True)
    assert not check.holds(1)
    assert not lesson.Check(at="end", probe="fd.count", at_least=1).holds(True)


def test_bounds_hold_at_the_bound_and_not_beyond() -> None:
    least, most = (lesson.Check(at="end", probe="fd.count", **{bound: 4}) for bound in ("at_least", "at_most"))
    assert [least.holds(value) for value in (3, 4, 5)] == [False, True, True]
    assert [most.holds(value) for value in (3, 4, 5)] == [True, True, False]
    assert not least.holds("4")


def test_a_lesson_is_found_by_name_by_folder_name_and_by_path(tmp_path: Path) -> None:
    shipped = lesson.folder() / "02-backlog"
    assert lesson.find("backlog") == shipped
    assert lesson.find("02-backlog") == shipped
    (tmp_path / "lesson.toml").write_text(GOOD)
    assert lesson.find(str(tmp_path)) == tmp_path
    assert lesson.find(str(tmp_path / "lesson.toml")) == tmp_path


def test_an_unknown_lesson_names_the_nearest_and_lists_all() -> None:
    with pytest.raises(UsageError) as refusal:
        lesson.find("backlock")
    assert 'Did you mean "backlog"?' in refusal.value.fix
    assert all(name in refusal.value.fix for name in lesson.names())


def test_a_folder_without_a_lesson_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no lesson\.toml"):
        lesson.find(str(tmp_path))


def test_a_missing_server_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "lesson.toml").write_text(GOOD)
    with pytest.raises(LessonError, match=r"server\.c: no file server\.c"):
        lesson.load(tmp_path)


def test_a_missing_or_unreadable_lesson_file_is_a_lesson_error(tmp_path: Path) -> None:
    with pytest.raises(LessonError, match="No such file"):
        lesson.load(tmp_path)
    (tmp_path / "lesson.toml").write_bytes(b"title = '\xff'")
    with pytest.raises(LessonError, match="not UTF-8"):
        lesson.load(tmp_path)


def test_escape_sequences_of_a_lesson_reach_errors_as_visible_text() -> None:
    with pytest.raises(LessonError) as refusal:
        lesson.parse('"\\u001b]52;c;x" = 1\n' + GOOD, "x/lesson.toml")
    assert "\x1b" not in str(refusal.value)
    assert "␛]52" in str(refusal.value)


@pytest.mark.parametrize(
    ("made", "word"),
    [
        ("accept4", "accept"),
        ("recvfrom", "read"),
        ("sendto", "write"),
        ("clone3", "fork"),
        ("recv", "read"),
        ("bind", "bind"),
    ],
)
def test_calls_that_do_the_same_share_a_word(made: str, word: str) -> None:
    assert lesson.canonical(made) == word


def test_a_syscall_that_two_words_mean_counts_as_one_of_them() -> None:
    for word, names in lesson.SAME_CALL.items():
        assert len({lesson.canonical(each) for each in (word, *names)}) == 1, word


def test_lesson_names_are_in_teaching_order() -> None:
    assert lesson.names()[:2] == ["lifecycle", "backlog"]


def test_a_lesson_parsed_from_a_recording_has_no_server_file() -> None:
    with pytest.raises(UsageError):
        lesson.parse(GOOD, "recording").server_file("c")


def test_a_lesson_knows_the_programs_it_runs() -> None:
    assert lesson.load(lesson.find("lifecycle")).programs == ("curl",)
    assert lesson.load(lesson.find("backlog")).programs == ()


def test_an_installed_package_finds_the_lessons_it_was_shipped_with(tmp_path: Path) -> None:
    root = Path(lesson.__file__).resolve().parents[2]
    shutil.copytree(root / "socklab", tmp_path / "site" / "socklab", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "lessons", tmp_path / "site" / "socklab" / "lessons")
    (tmp_path / "empty").mkdir()
    code = "from socklab import lesson; print(lesson.folder(), *lesson.names())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "empty",
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(tmp_path / "site" / "socklab" / "lessons"), *lesson.names()]


BEATS = GOOD.replace(
    """[[check]]
at = { syscall = "accept" }""",
    """[[step]]
at = { syscall = "accept4", nth = 2, when = "blocked", beat = 2 }
before = "The lesson goes on, the program stands still."
offer = ["deliver", "deliver all"]
until = [{ probe = "packets.held", is = 0 }, { probe = "clients.established", at_least = 1 }]

[[check]]
at = { syscall = "accept", nth = 2, beat = 2, when = "blocked", done = true }
probe = "packets.held"
at_most = 0

[[check]]
at = { syscall = "accept" }""",
)


def test_a_beat_belongs_to_the_moment_of_the_step_before_it() -> None:
    with pytest.raises(LessonError, match=r"step\[2\].at.beat: 2; the step before it is not beat 1 of the same moment"):
        lesson.parse(BEATS, "x/lesson.toml")  # accept4 counts as accept, but a lesson says one word
    read = lesson.parse(BEATS.replace("accept4", "accept"), "x/lesson.toml")
    assert read.steps[2].at == read.steps[1].at.next_beat
    assert read.steps[2].offer == ["deliver", "deliver all"]
    assert [each.wanted for each in read.steps[2].until] == ["0", "at least 1"]
    assert read.checks[0].at == lesson.At("accept", 2, "blocked", beat=2, done=True)
    assert read.network == "any"
