"""No student can break a lesson: a few random walks of each through the real screen. 200 of each: docs/testing.md."""

from __future__ import annotations

import asyncio

import pytest

from socklab import lesson
from tests.lessons.test_lessons import skip_unless_possible
from tests.support.walks.walk import Walk, walk

pytestmark = pytest.mark.kernel

WALKS = 5
AT_A_TIME = 5


@pytest.mark.parametrize("name", lesson.names())
async def test_whatever_a_student_does_a_lesson_tells_what_is_so_and_its_end_is_reached(name: str) -> None:
    languages = lesson.load(lesson.find(name)).languages
    for language in languages:
        skip_unless_possible(name, language)
    plans = [Walk(name, languages[n % len(languages)], n, longest_wait=2.0, most_acts=18) for n in range(WALKS)]
    gate = asyncio.Semaphore(AT_A_TIME)

    async def go(plan: Walk) -> str:
        async with gate:
            result = await walk(plan)
        return result.report if result.claim else ""

    found = [report for report in await asyncio.gather(*map(go, plans)) if report]
    assert not found, "\n\n".join(found)
