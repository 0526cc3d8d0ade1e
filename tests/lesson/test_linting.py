"""The checker of lessons refuses what would leave a student without a word or a lesson without a test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from socklab import lesson


@pytest.mark.parametrize("name", lesson.names())
def test_every_shipped_lesson_is_ready_to_ship(name: str) -> None:
    assert lesson.lint(lesson.find(name)) == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A lesson that is in order, to be spoiled."""
    return Path(shutil.copytree(lesson.find("backlog"), tmp_path / "02-backlog"))


SPOILED = [
    ('outro = "A full', 'port = 8081\n#"A full', "outro: missing"),
    ('after = ["lifecycle"]', 'after = ["lifecycel"]', 'after: no lesson "lifecycel"'),
    ('claims = ["C2"', 'claims = ["second"', 'claims: "second"'),
    ('title = "How', f'title = "{"long " * 12}How', "title: "),
    (', python = "server.py"', "", "server.python: missing"),
    ('ask = "How many of the six connections are ESTABLISHED?"', 'ask = "Guess."', ".ask: a question ends"),
    ("of the six connections", "of the `six` connections", ".ask: plain text"),
    ('hides = ["queues", "sockets", "clients", "counters", "wire"]', "hides = []", ".hides: the answer is on"),
    ('  "clients.established is 5",\n  "client.f', '  "client.f', "step[1].predict: no [[check]]"),
    ('at = { syscall = "accept", nth = 10', 'at = { syscall = "accept", nth = 1', "step[5].at: comes no later"),
    ("Client j stays in {client.j.state}", "{client.k.state}", "explain: client.k.state: no step makes a client k"),
    ('"clients.syn_sent", at_least = 1', '"client.z.sent", at_least = 1', "step[1].settle: client.z.sent: no step"),
    ("choices = [0, 4, 5, 6]", "choices = [0, 4, 6]", ".choices: here clients.established is 5 is wanted"),
    ('"counter.ListenDrops", at_least = 5', '"counter.ListenDrops", is = 5', "counter.ListenDrops can rise while one"),
    ('"clients.syn_sent", at_least = 5', '"packets.a.syn", is = 1', "packets.a.syn can rise while one thinks"),
    ("Second out is", "word " * 100, "step[4].after: 9 lines"),
]


@pytest.mark.parametrize(("right", "wrong", "complaint"), SPOILED)
def test_a_spoiled_lesson_is_complained_of(copy: Path, right: str, wrong: str, complaint: str) -> None:
    path = copy / "lesson.toml"
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))
    found = lesson.lint(copy)
    assert any(complaint in each for each in found), found


def test_stray_files_are_named(copy: Path) -> None:
    (copy / "server.o").write_bytes(b"")
    (copy / "__pycache__").mkdir()
    assert lesson.lint(copy) == ["02-backlog: __pycache__: stray file", "02-backlog: server.o: stray file"]


def test_a_folder_without_number_is_complained_of(copy: Path) -> None:
    moved = copy.rename(copy.with_name("backlog"))
    assert lesson.lint(moved) == ["backlog: the folder's name is not NN-name, such as 02-backlog"]


def test_what_load_refuses_is_the_only_complaint(copy: Path) -> None:
    (copy / "server.c").unlink()
    (complaint,) = lesson.lint(copy)
    assert "no file server.c" in complaint
