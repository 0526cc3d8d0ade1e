"""Where lessons are: names, numbers, paths, and what is none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from socklab import lesson
from socklab.core.errors import LessonError, UsageError
from socklab.lesson import finding
from tests.lesson.test_lesson import GOOD


def test_a_name_is_the_folders_without_its_number() -> None:
    names = {"02-backlog": "backlog", "123-x": "x", "backlog": "backlog", "x-02-y": "x-02-y", "-x": "-x"}
    assert {name: finding.slug(name) for name in names} == names


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of lessons: two, a folder that holds none, a file."""
    for name in ("10-second", "02-first", "03-none"):
        (tmp_path / "shipped" / name).mkdir(parents=True)
    for name in ("10-second", "02-first"):
        (tmp_path / "shipped" / name / "lesson.toml").write_text(GOOD)
        (tmp_path / "shipped" / name / "server.c").touch()
    (tmp_path / "shipped" / "04-file").touch()
    monkeypatch.setattr(finding, "folder", lambda: tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "shipped"


def test_lessons_are_the_folders_with_a_lesson_in_the_order_of_their_numbers(shipped: Path) -> None:
    assert finding.names() == ["first", "second"]
    assert (finding.find("second"), finding.find("02-first")) == (shipped / "10-second", shipped / "02-first")


def test_a_shipped_name_goes_before_a_folder_of_the_same_name(shipped: Path) -> None:
    own = shipped.parent / "first"
    own.mkdir()
    (own / "lesson.toml").write_text(GOOD)
    assert finding.find("first") == shipped / "02-first"
    assert finding.find("./first") == own
    assert finding.find("./first/lesson.toml") == own


def test_a_folder_or_a_file_that_is_no_lesson_is_said_to_be_none(shipped: Path) -> None:
    (shipped.parent / "empty").mkdir()
    (shipped.parent / "notes.toml").touch()
    for name in ("empty", "no/such\x1b", "./lesson.toml"):
        with pytest.raises(UsageError, match=r"holds no lesson\.toml") as refusal:
            finding.find(name)
        assert "\x1b" not in refusal.value.what
    for name in ("notes.toml", "lesson.toml"):
        with pytest.raises(UsageError, match="No lesson"):
            finding.find(name)


def test_an_unknown_name_is_answered_with_the_nearest_and_all(shipped: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        finding.find("secnd")
    assert refusal.value.fix == 'Did you mean "second"? Lessons: first, second.'
    for name in ("", "zzzzz"):
        with pytest.raises(UsageError) as refusal:
            finding.find(name)
        assert refusal.value.fix == "Lessons: first, second."
        assert refusal.value.what == f'No lesson "{name}".'


def test_without_a_folder_of_lessons_there_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(finding, "folder", lambda: tmp_path / "nothing")
    assert finding.names() == []


def test_the_shipped_lessons_lie_in_the_repository_or_in_the_package() -> None:
    assert finding.folder() == Path(__file__).resolve().parents[2] / "lessons"


def test_a_loaded_lesson_knows_its_folder_its_name_and_its_text(shipped: Path) -> None:
    read = lesson.load(shipped / "02-first")
    assert (read.name, read.folder, read.toml) == ("first", shipped / "02-first", GOOD)
    assert (read.summary, read.minutes) == (lesson.parse(GOOD, "x").summary, 5)
    assert read.server_file("c") == shipped / "02-first" / "server.c"


def test_what_cannot_be_read_names_the_file(shipped: Path) -> None:
    path = shipped / "02-first"
    (path / "server.c").unlink()
    with pytest.raises(LessonError) as refusal:
        lesson.load(path)
    assert refusal.value.what == f"{path}/lesson.toml: server.c: no file server.c"
    (path / "server.c").mkdir()
    with pytest.raises(LessonError, match="no file"):
        lesson.load(path)
    (path / "lesson.toml").write_bytes(b"title = '\xff'")
    with pytest.raises(LessonError) as refusal:
        lesson.load(path)
    assert refusal.value.what == f"{path}/lesson.toml: not UTF-8 at byte 9"
    with pytest.raises(LessonError) as refusal:
        lesson.load(shipped / "03-none")
    assert refusal.value.what == f"{shipped}/03-none/lesson.toml: No such file or directory"


def test_a_list_of_one_may_stand_without_its_brackets() -> None:
    offer = 'do = "connect"\noffer = "connect b"\nuntil = { probe = "fd.count", is = 1 }'
    step = lesson.parse(GOOD.replace('do = "connect a"', offer), "x").steps[1]
    assert (step.do, step.offer, step.until) == (["connect"], ["connect b"], [lesson.Settle("fd.count", 1)])
    assert step.settle == [lesson.Settle("client.a.state", "ESTABLISHED", 1500)]
    for broken in ("step = 3\n", 'step = ["x"]\n', "step = [[1]]\n"):
        with pytest.raises(LessonError, match="step"):
            lesson.parse(GOOD[: GOOD.index("[[step]]")] + broken + "check = []\n", "x")
