"""No student can break a lesson: a few random walks of each through the real screen. 200 of each: docs/testing.md."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from socklab import lesson
from tests.lessons.test_lessons import skip_unless_possible
from tests.support.repeat import times
from tests.support.walks.walk import Walk, walk

pytestmark = [pytest.mark.kernel, pytest.mark.by_chance]

WALKS = times(5)


@pytest.mark.parametrize("name", lesson.names())
async def test_whatever_a_student_does_a_lesson_tells_what_is_so_and_its_end_is_reached(name: str) -> None:
    languages = lesson.load(lesson.find(name)).languages
    for language in languages:
        skip_unless_possible(name, language)
    plans = [Walk(name, languages[n % len(languages)], n, longest_wait=2.0, most_acts=14) for n in range(WALKS)]
    found = [result.report for result in await asyncio.gather(*map(walk, plans)) if result.claim]
    assert not found, "\n\n".join(found)


async def test_a_lesson_that_tells_what_is_not_so_does_not_pass(tmp_path: Path) -> None:
    skip_unless_possible("reset", "python")
    folder = Path(shutil.copytree(lesson.find("reset"), tmp_path / "reset"))
    text = (folder / "lesson.toml").read_text()
    assert "fd.call.rx_queue is at least 5" in text
    (folder / "lesson.toml").write_text(text.replace("fd.call.rx_queue is at least 5", "fd.call.rx_queue is 6"))
    result = await walk(Walk(str(folder), "python", 0, acts=()))
    assert result.claim == "what is told is so"
    assert "fd.call.rx_queue is 6: 5" in result.detail
