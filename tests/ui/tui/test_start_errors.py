"""What keeps a program from starting is told whole, on the ordinary terminal or in the menu, not on an empty screen."""

from __future__ import annotations

import pytest

from socklab import session
from socklab.protocol import events as ev
from socklab.ui.tui.app import SocklabApp
from tests.support import streams
from tests.ui.tui.support import FakeLink, a_lesson, text_of
from tests.ui.tui.test_app import shown, until

GCC = "\n".join(f"server.c:{line}: error: number {line}" for line in range(30))
FAILED = [
    *streams.start()[:1],
    ev.Notice(1, "info", "something that matters no more"),
    ev.Notice(2, "error", GCC, "Mend it."),
    ev.Ended(3, "failed"),
]


@pytest.mark.parametrize(("lesson", "code"), [(None, 5), (a_lesson(), 1)], ids=["run", "lesson"])
async def test_a_program_that_can_t_be_started_ends_the_screen_with_all_that_was_said(
    lesson: object, code: int
) -> None:
    app = SocklabApp(FakeLink(FAILED, at_once=9), lesson)  # type: ignore[arg-type]
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value == code
    assert app.last_words == (f"{GCC}\nMend it.",)


async def test_a_lesson_that_can_t_be_started_leads_back_to_the_menu_which_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session.Link, "start", lambda _spec: FakeLink(FAILED, at_once=9))
    app = SocklabApp()
    async with app.run_test(size=(80, 40)) as pilot:
        await shown(pilot, "what the kernel does when a server runs")
        await pilot.press("enter")
        await shown(pilot, "server.c:0: error: number 0")
        await pilot.resize_terminal(80, 24)
        await shown(pilot, "… `socklab lesson NAME` tells all of it.")
        await pilot.resize_terminal(80, 50)
        await shown(pilot, "Mend it.")
        assert "server.c:29: error: number 29" in text_of(app)
        await pilot.press("down")
        await until(pilot, lambda: "error" not in text_of(app))


async def test_a_program_that_has_made_a_call_keeps_its_screen_when_the_lab_fails() -> None:
    call = [*streams.start(), streams.entered("socket", 2, 1, 0)]
    app = SocklabApp(FakeLink([*call, *FAILED[1:]], at_once=9), None)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "number 0")
        assert app.return_value is None
