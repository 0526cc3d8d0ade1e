"""The checker of lessons at its edges: the last text that fits and the first that does not, key by key."""

from __future__ import annotations

from pathlib import Path

import pytest

from socklab import lesson

HEAD = """
format = 1
title = "{title}"
summary = "{summary}"
teaches = ["x"]
claims = ["C1"]
reference = "tcp(7)"
intro = "{intro}"
outro = "Out."
one_language = "{one_language}"
server = {{ c = "server.c" }}
"""
STEP = """
[[step]]
at = { syscall = "listen" }
before = "Before."
"""
CHECK = """
[[check]]
at = "end"
probe = "process.alive"
is = true
"""
ASKED = """
[[step]]
at = { syscall = "accept" }
before = "Before."
[step.predict]
ask = "How many?"
choices = [0, 1]
measure = "fd.count"
hides = ["queues"]
explain = "So."
"""
GUARD = """
[[check]]
at = { syscall = "accept" }
probe = "fd.count"
is = 1
"""


def complaints(tmp_path: Path, body: str = STEP + CHECK, folder: str = "07-mine", **head: str) -> list[str]:
    """What is complained of, without the folder's name."""
    path = tmp_path / folder
    path.mkdir(exist_ok=True)
    (path / "server.c").touch()
    words = {"title": "T", "summary": "S", "intro": "In.", "one_language": "why", **head}
    (path / "lesson.toml").write_text(HEAD.format(**words) + body)
    found = lesson.lint(path)
    assert all(each.startswith(f"{folder}: ") for each in found)
    return [each.removeprefix(f"{folder}: ") for each in found]


def test_a_small_lesson_in_order_is_complained_of_in_nothing(tmp_path: Path) -> None:
    assert complaints(tmp_path) == []
    assert complaints(tmp_path, ASKED + GUARD) == []


def test_a_title_fits_the_menu_and_a_summary_a_line(tmp_path: Path) -> None:
    assert complaints(tmp_path, title="t" * 48, summary="s" * 76) == []
    assert complaints(tmp_path, title="t" * 49) == ["title: 49 characters; at most 48 fit the menu"]
    assert complaints(tmp_path, summary="s" * 77) == ["summary: one line of at most 76 characters"]
    assert complaints(tmp_path, summary="s\\ns") == ["summary: one line of at most 76 characters"]


def test_texts_fit_six_lines_of_76_columns_with_their_probes_filled_in(tmp_path: Path) -> None:
    line = "x" * 76
    assert complaints(tmp_path, intro=" ".join([line] * 6)) == []
    assert complaints(tmp_path, intro=" ".join([line] * 7)) == ["intro: 7 lines of 76 columns; at most 6 fit"]
    marks = " ".join([f"*{line}*", f"`{line}`"] * 3)
    assert complaints(tmp_path, intro=marks) == []
    five, fourteen = "y" * 70 + " {fd.count}", "y" * 61 + " {listener.local}"
    assert complaints(tmp_path, intro=" ".join([five] * 6)) == []
    assert complaints(tmp_path, intro=" ".join([fourteen] * 6)) == []
    assert complaints(tmp_path, intro=" ".join(["y" * 71 + " {fd.count}"] * 6))[0].startswith("intro: 12 lines")
    assert complaints(tmp_path, intro=" ".join(["y" * 62 + " {listener.local}"] * 6))[0].startswith("intro: 12 lines")


@pytest.mark.parametrize("folder", ["7-mine", "007-mine", "07-Mine", "07-", "07-9x", "07_mine", "x07-mine", "07-mi ne"])
def test_a_folder_is_called_by_number_and_name(tmp_path: Path, folder: str) -> None:
    assert complaints(tmp_path, folder=folder) == ["the folder's name is not NN-name, such as 02-backlog"]


def test_a_folder_may_hold_sources_of_clients(tmp_path: Path) -> None:
    assert complaints(tmp_path) == []
    for name in ("client.c", "client.py"):
        (tmp_path / "07-mine" / name).touch()
    assert complaints(tmp_path) == []
    (tmp_path / "07-mine" / "client.rs").touch()
    assert complaints(tmp_path) == ["client.rs: stray file"]


def test_a_lesson_in_one_language_says_why(tmp_path: Path) -> None:
    assert complaints(tmp_path, one_language="") == [
        "server.python: missing; a lesson comes in both languages, or says why in one_language"
    ]


@pytest.mark.parametrize("key", ["teaches", "claims", "reference", "outro", "intro"])
def test_what_a_page_about_the_lesson_needs_is_there(tmp_path: Path, key: str) -> None:
    complaints(tmp_path)
    path = tmp_path / "07-mine" / "lesson.toml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{key} =")]
    path.write_text("\n".join(lines))
    assert lesson.lint(path.parent) == [f"07-mine: {key}: missing"]


def test_claims_and_prerequisites_are_known_ones(tmp_path: Path) -> None:
    complaints(tmp_path)
    path = tmp_path / "07-mine" / "lesson.toml"
    text = path.read_text()
    for claim, known in (("C1", True), ("D12", True), ("C123", False), ("c1", False), ("CC1", False), ("C", False)):
        path.write_text(text.replace('"C1"', f'"{claim}"'))
        assert lesson.lint(path.parent) == (
            [] if known else [f'07-mine: claims: "{claim}" is no row of docs/claims.md']
        )
    path.write_text(text.replace("format = 1", 'format = 1\nafter = ["backlog", "frontlog"]'))
    assert lesson.lint(path.parent) == ['07-mine: after: no lesson "frontlog"']


def test_a_step_says_something_and_a_lesson_can_fail(tmp_path: Path) -> None:
    silent = STEP.replace('"Before."', '" "')
    assert complaints(tmp_path, silent + CHECK) == ["step[0]: no narration"]
    assert complaints(tmp_path, silent + 'after = "Then."\n' + CHECK) == []
    assert complaints(tmp_path, "check = []\n" + STEP) == [
        "check: no [[check]], and no step has `holds`; without one a run can't fail"
    ]
    assert complaints(tmp_path, STEP + 'holds = ["fd.count is 3"]\n') == []


def test_each_text_of_a_step_fits(tmp_path: Path) -> None:
    long = " ".join(["x" * 76] * 7)
    told = "7 lines of 76 columns; at most 6 fit"
    assert complaints(tmp_path, STEP.replace("Before.", long) + CHECK) == [f"step[0].before: {told}"]
    assert complaints(tmp_path, STEP + f'after = "{long}"' + CHECK) == [f"step[0].after: {told}"]
    assert complaints(tmp_path, ASKED.replace("So.", long) + GUARD) == [f"step[0].predict.explain: {told}"]
    assert complaints(tmp_path, ASKED.replace("How many", long[:-1]) + GUARD) == [f"step[0].predict.ask: {told}"]


def steps(*moments: str, after: str = "") -> str:
    said = f'before = "B."\n{after}'
    return "".join(f"[[step]]\nat = {{ {moment} }}\n{said}\n" for moment in moments) + CHECK


def test_a_step_comes_later_than_every_one_before_it_of_the_same_call(tmp_path: Path) -> None:
    read, blocked = 'syscall = "read"', 'syscall = "recv", when = "blocked"'
    assert complaints(tmp_path, steps(read, blocked, 'syscall = "read", nth = 2', 'syscall = "listen"')) == []
    told = "comes no later than step[0], so it is never reached"
    assert complaints(tmp_path, steps(read, read)) == [f"step[1].at: {told}"]
    assert complaints(tmp_path, steps(blocked, read)) == [f"step[1].at: {told}"]
    assert complaints(tmp_path, steps('syscall = "read", nth = 2', 'syscall = "listen"', blocked)) == [
        f"step[2].at: {told}"
    ]
    assert complaints(tmp_path, steps(read, 'syscall = "read", beat = 2')) == []


def test_words_for_the_return_are_told_unless_the_next_step_is_of_the_same_call(tmp_path: Path) -> None:
    after = 'after = "A."'
    told = ["step[0].after: the next step begins before this call returns, so it is never told"]
    read, blocked = 'syscall = "read"', 'syscall = "recv", when = "blocked"'
    assert complaints(tmp_path, steps(read, blocked, after=after)) == told
    assert complaints(tmp_path, steps(read, 'syscall = "read", nth = 2', after=after)) == []
    assert complaints(tmp_path, steps(read, 'syscall = "write"', after=after)) == []
    offer = 'after = "A."\noffer = "connect"\nuntil = { probe = "fd.count", is = 1 }'
    assert complaints(tmp_path, steps(read, blocked, after=offer)) == []
    returned = '[[step]]\nat = { syscall = "read", when = "return" }\nafter = "A."\n'
    assert complaints(tmp_path, returned + steps('syscall = "write"')) == []


def test_a_question_is_plain_ends_as_one_is_explained_and_hides_its_answer(tmp_path: Path) -> None:
    assert complaints(tmp_path, ASKED.replace("How many?", "How many?  ") + GUARD) == []
    assert complaints(tmp_path, ASKED.replace("How many?", "How many") + GUARD) == [
        "step[0].predict.ask: a question ends with a question mark"
    ]
    for mark in "`*":
        assert complaints(tmp_path, ASKED.replace("How many?", f"How {mark}many?") + GUARD) == [
            "step[0].predict.ask: plain text, without Markdown"
        ]
    assert complaints(tmp_path, ASKED.replace('"So."', '" "') + GUARD) == [
        "step[0].predict.explain: empty; say why the kernel answers so"
    ]
    assert complaints(tmp_path, ASKED.replace('hides = ["queues"]', "") + GUARD) == [
        "step[0].predict.hides: the answer is on the screen; name the panels that show it"
    ]


NOBODY = "step[0].predict: no [[check]] of fd.count at this moment; nobody would notice a changed answer"


@pytest.mark.parametrize(
    ("at", "guards"),
    [
        ('{ syscall = "accept" }', True),
        ('{ syscall = "accept4" }', True),
        ('{ syscall = "listen" }', False),
        ('{ syscall = "accept", nth = 2 }', False),
        ('{ syscall = "accept", when = "return" }', False),
        ('{ syscall = "accept", beat = 2 }', False),
        ('{ syscall = "accept", done = true }', False),
        ('"end"', False),
    ],
)
def test_an_answer_is_guarded_by_a_check_of_the_same_moment(tmp_path: Path, at: str, guards: bool) -> None:
    check = GUARD.replace('{ syscall = "accept" }', at)
    assert complaints(tmp_path, ASKED + check) == ([] if guards else [NOBODY])
    assert complaints(tmp_path, ASKED + check.replace("fd.count", "clients.count")) == [NOBODY]


def test_an_answer_that_comes_later_is_guarded_there(tmp_path: Path) -> None:
    late = ASKED.replace('hides = ["queues"]', 'when = "return"')
    assert complaints(tmp_path, late + GUARD) == [NOBODY]
    assert complaints(tmp_path, late + GUARD.replace('"accept"', '"accept", when = "return"')) == []
    done = ASKED.replace('hides = ["queues"]', 'when = "done"').replace(
        "[step.predict]", 'after = "A."\noffer = "connect"\nuntil = { probe = "fd.count", is = 1 }\n[step.predict]'
    )
    assert complaints(tmp_path, done + GUARD) == [NOBODY]
    assert complaints(tmp_path, done + GUARD.replace('"accept"', '"accept", done = true')) == []


def test_a_text_that_says_what_to_do_is_followed_by_one_that_says_that_it_is_done(tmp_path: Path) -> None:
    told = ["step[0].after: missing; once it is done the text still tells the student to do it"]
    asleep = 'syscall = "read", when = "blocked"'
    done = 'do = "connect"'
    assert complaints(tmp_path, steps(asleep, after=done)) == told
    assert complaints(tmp_path, steps(asleep, after=f'{done}\nafter = "A."')) == []
    assert complaints(tmp_path, steps(asleep)) == []
    told_at_the_return = steps(asleep, after=done) + steps('syscall = "read", when = "return"').replace(
        "before", "after", 1
    )
    assert complaints(tmp_path, told_at_the_return.replace(CHECK, "", 1)) == [], "the next step begins there"
    offer = 'offer = "connect"\nuntil = { probe = "fd.count", is = 1 }'
    assert complaints(tmp_path, steps('syscall = "read"', after=offer)) == told
    beats = steps('syscall = "read"', after=offer) + steps('syscall = "read", beat = 2')
    assert complaints(tmp_path, beats.replace(CHECK, "", 1)) == [], "the next beat follows by itself"
