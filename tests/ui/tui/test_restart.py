"""One key begins the run anew: at any time, at its end, after a failure; the screen stays as it is laid out."""

from __future__ import annotations

import pytest

from socklab.core.errors import UsageError
from socklab.protocol import commands as cmd, events as ev
from tests.ui.tui.support import FakeLink, app_of, backlog, text_of
from tests.ui.tui.test_app import lab, shown, until

MOMENTS: dict[str, list[ev.AnyEvent]] = {
    "in the middle": [],
    "while a question is open": [ev.Asked(t=9, index=1)],
    "when the lesson is done": [ev.LessonDone(t=9)],
    "when the program has died": [ev.Resumed(t=9, tid=4242), ev.Exited(t=9, tid=4242, signo=9)],
    "when the engine has failed": [ev.Notice(t=9, level="error", text="boom"), ev.Ended(t=9, reason="failed")],
}


@pytest.mark.parametrize("typed", [("ctrl+r",), (*":restart", "enter")], ids=["key", "verb"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_the_run_begins_anew_and_the_screen_keeps_its_layout(moment: str, typed: tuple[str, ...]) -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("9", "v", "left")
        await shown(pilot, "THE PAST")
        await pilot.press("end")
        link.give(*MOMENTS[moment])
        await until(pilot, lambda: len(lab(pilot).lab.bridge.now.notices) == (moment == "when the engine has failed"))
        await pilot.press(*typed)
        await shown(pilot, "stop 1 of 1")
        text = text_of(app)
        assert link.closed
        assert "held before socket" in text
        assert "2 steps" in text
        assert "9 Counters" in text
        assert lab(pilot).panes.expanded
        assert "Your prediction" not in text
        assert "boom" not in text
        (before, after) = len(link.commands), link.successor
        assert after is not None
        await pilot.press("s")
        await shown(pilot, "held after socket")
        assert after.commands == [cmd.Step()]
        assert len(link.commands) == before


@pytest.mark.parametrize("moment", [each for each in MOMENTS if each.startswith("when")])
async def test_where_the_lesson_cant_go_on_the_key_is_offered(moment: str) -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        assert "Ctrl+R" not in text_of(app)
        link.give(*MOMENTS[moment])
        await shown(pilot, "Ctrl+R restart  ? help  q quit")
        await shown(pilot, "Ctrl+R begins the lesson anew")
        assert "n next" not in text_of(app)


async def test_what_cant_be_started_anew_goes_on_and_says_why() -> None:
    app, link = app_of(backlog(), at_once=5)

    def refuse(language: str = "") -> FakeLink:
        raise UsageError("It was there before.")

    link.restart = refuse  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("ctrl+r")
        await shown(pilot, "It was there before.")
        await pilot.press("s")
        await shown(pilot, "held after listen")


async def test_a_run_that_has_hardly_begun_is_not_begun_again() -> None:
    app, link = app_of([], at_once=0)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+r")
        await shown(pilot, "It is being started.")
        assert not link.closed
