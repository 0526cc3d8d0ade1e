"""The key for why: what is asked about, what may not be told, and the way from a link to its stop."""

from __future__ import annotations

import pytest

from socklab import why
from socklab.commands.table import COMMANDS
from socklab.ui.plain import why_text
from socklab.ui.tui.why import WhyScreen
from tests.ui.tui.support import a_lesson, app_of, backlog, text_of
from tests.ui.tui.test_app import lab, shown, until

KEY = next(command.keys for command in COMMANDS if command.name == "why")
TO_THE_END = 99


async def test_the_chosen_row_of_the_focused_panel_is_what_is_asked_about() -> None:
    app, _ = app_of([event for event in backlog() if type(event).__name__ not in ("Asked", "StepReached")])
    async with app.run_test(size=(120, 36)) as pilot:
        screen = lab(pilot)
        await until(pilot, lambda: len(screen.lab.now.clients) == 10)
        screen.view.panel("clients")
        screen.panes.selected["clients"] = ("f", 0)
        await pilot.press(KEY)
        await shown(pilot, "client f: connecting")
        assert "no packet was recorded in this lab" in text_of(app)


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (60, 20)])
async def test_listed_rows_lead_to_an_answer_an_answer_to_a_stop_and_esc_back(size: tuple[int, int]) -> None:
    app, _ = app_of(backlog(), at_once=6)
    async with app.run_test(size=size) as pilot:
        await shown(pilot, "held after listen")
        screen = lab(pilot)
        screen.view.panel("descriptors")
        await pilot.press(KEY)
        await shown(pilot, "descriptor 3: socket:[70001]")
        assert isinstance(app.screen, WhyScreen)
        await pilot.press("down", "down", "down", "enter")
        await shown(pilot, "socket(AF_INET, SOCK_STREAM, 0) = 3")
        assert "server.c:14" in text_of(app).replace("\n", "")
        assert all(len(line) <= size[0] for line in text_of(app).splitlines())
        await pilot.press("escape")
        await shown(pilot, "Why what?")
        await pilot.press("enter", "down", "enter")
        await until(pilot, lambda: app.screen is screen)
        assert screen.lab.at == 2, "after socket"
        await shown(pilot, "THE PAST")


async def test_without_a_focused_panel_it_is_about_the_call_in_hand_and_what_it_changed() -> None:
    app, _ = app_of(backlog(), at_once=6)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held after listen")
        await pilot.press(KEY)
        await shown(pilot, "listen(3, 4) = 0")
        await shown(pilot, "LISTEN: 0.0.0.0:8080")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not None and not isinstance(app.screen, WhyScreen))


async def test_while_a_question_is_open_nothing_is_told_by_key_or_by_words() -> None:
    app, _ = app_of(backlog(), at_once=TO_THE_END)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "Your prediction")
        screen = lab(pilot)
        for words in ("", "queue 1", "client a", "packet 1"):
            screen.why.ask(words)
            await pilot.pause()
            assert app.screen is screen
            assert "First the prediction" in text_of(app)
            screen.lab.say("")
    state = screen.lab.now
    told = why_text.told(a_lesson(), state, "queue 1", screen.lab.bridge.history, 0)
    assert told == "First the prediction: what led here would answer it.\n"


async def test_words_that_name_nothing_are_refused_in_the_status_line() -> None:
    app, _ = app_of(backlog(), at_once=6)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held after listen")
        await pilot.press("colon", *"why client zed", "enter")
        await shown(pilot, "There is no client zed")
        await pilot.press("colon", *"why fd 3", "enter")
        await shown(pilot, "socket(AF_INET")


async def test_an_earlier_stop_is_asked_as_it_was_known_then() -> None:
    app, _ = app_of(backlog(), at_once=6)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held after listen")
        screen = lab(pilot)
        screen.lab.go(3)
        screen.why.ask("queues")
        await shown(pilot, "nothing is there to ask about")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        screen.why.ask("fd 3")
        await shown(pilot, "descriptor 3")
        assert "listen" not in text_of(app)


def test_plain_text_lists_what_can_be_asked_and_each_line_says_what_to_type() -> None:
    from socklab.state import History

    history = History()
    for event in backlog():
        history.add(event)
    state = history.now
    for panel in ("sockets", "clients", "descriptors", "queues"):
        lines = why_text.told(None, state, panel, history, 0).splitlines()
        assert lines
        for line in lines:
            subject = why.typed(state, line.partition(":")[0].removeprefix("why "))
            assert isinstance(subject, why.Subject) and why.why(state, subject, history)
