"""Presenter's mode: the stage and the text large, the answer behind a key, the past marked as past; and going to a
step of the lesson by running it."""

from __future__ import annotations

import pytest

from socklab.core.errors import UsageError
from socklab.protocol import commands as cmd, events as ev
from tests.ui.tui.support import TOML, FakeLink, a_lesson, app_of, backlog, same_as_snapshot, text_of
from tests.ui.tui.test_app import lab, shown, until


def answered(events: list[ev.AnyEvent]) -> list[ev.AnyEvent]:
    """What the engine tells of an answer to the backlog lesson's question."""
    return [*events, ev.Measured(t=9, index=1, value=5, choice=4, right=False)]


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 36), (200, 60)])
async def test_the_stage_has_the_screen_and_nothing_else_but_the_text(size: tuple[int, int]) -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=size) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("f5")
        await shown(pilot, "F5 leave")
        same_as_snapshot(text_of(app), f"present_{size[0]}x{size[1]}")
        assert "stop 5 of" not in text_of(app)
        await pilot.press("f5")
        await shown(pilot, "? help")


async def test_the_question_hides_its_answer_until_the_key() -> None:
    app, link = app_of(backlog())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "Your prediction")
        await pilot.press("f5")
        await shown(pilot, "a-d the vote  Space the answer")
        assert "5 of 4" not in text_of(app)
        assert "just show me" not in text_of(app)
        await pilot.press("escape", "escape")
        assert link.commands == [], "Esc once too often shows no class the answer"
        await pilot.press("space")
        assert link.commands == [cmd.Answer(None)]
        link.give(*answered([]))
        await shown(pilot, "the kernel says 5")
        assert "5 of 4" in text_of(app)


async def test_the_answer_is_asked_for_with_the_choice_of_the_class() -> None:
    app, link = app_of(backlog())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "Your prediction")
        await pilot.press("f5", "b", "pagedown")
        assert link.commands == [cmd.Answer(4)]


async def test_back_shows_the_question_without_its_answer_marked_as_past_and_on_leads_to_now() -> None:
    app, link = app_of(answered(backlog()))
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "the kernel says 5")
        await pilot.press("f5", "pageup")
        await shown(pilot, "THE PAST")
        text = text_of(app)
        assert "The question as it was asked." in text
        assert "kernel says" not in text
        assert "5 of 4" not in text
        assert "▶" not in text.partition("Your prediction")[2], "nobody's choice is marked"
        await pilot.press("pageup", "pageup")
        await shown(pilot, "step 1 of 2")
        assert "THE PAST" in text_of(app)
        await pilot.press("pageup", "pageup")
        await shown(pilot, "This is the first there is.")
        await pilot.press("escape")
        await shown(pilot, "the kernel says 5")
        assert "THE PAST" not in text_of(app)
        await pilot.press("left", "right")
        await until(pilot, lambda: lab(pilot).lab.at is None)
        assert link.commands == [], "looking back asks nothing of the program"


async def test_a_question_that_was_committed_to_is_told_apart_in_the_past() -> None:
    told = [*backlog(), ev.Answered(t=9, index=1, choice=4), ev.Ready(9, "step", 4242, (4242,))]
    told.append(ev.StepReached(t=10, index=1, phase="after"))
    app, _ = app_of([*told, ev.Measured(t=10, index=1, value=5, choice=4, right=False)])
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "the kernel says 5")
        await pilot.press("f5", "pageup")
        await shown(pilot, "Committed to; the kernel answered after this.")
        await pilot.press("pageup")
        await shown(pilot, "The question as it was asked.")


async def test_on_runs_to_the_next_step_of_a_lesson_and_steps_another_program() -> None:
    for lesson, wanted in ((True, cmd.Continue("step")), (False, cmd.Step())):
        app, link = app_of(backlog(), at_once=2)
        if not lesson:
            app._lesson = None
        async with app.run_test(size=(80, 24)) as pilot:
            await shown(pilot, "held ")
            await pilot.press("f5", "space")
            await until(pilot, lambda link=link: bool(link.commands))
            assert link.commands == [wanted]


async def test_out_of_it_the_keys_are_their_commands_again() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("left")
        await shown(pilot, "THE PAST   stop 4 of 5")
        await pilot.press("end", "space")
        await until(pilot, lambda: bool(link.commands))
        assert link.commands == [cmd.Step()]


@pytest.mark.parametrize("key", ["z", "$"])
async def test_a_step_to_come_is_run_to_and_any_key_stops_that(key: str) -> None:
    app, link = app_of(backlog(), at_once=2)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held ")
        await pilot.press("S", "down", "enter")
        await shown(pilot, "Ten clients")
        assert set(map(type, link.commands)) == {cmd.Continue}
        assert "Going to step" not in text_of(app)
    told = backlog()
    app, link = app_of(
        told[: told.index(next(e for e in told if isinstance(e, ev.StepReached) and e.index))], at_once=2
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held ")
        await pilot.press(*":restart 2", "enter")
        await shown(pilot, "Going to step 2; any key stops it.")
        assert link.successor is not None, "restart begins anew, wherever the run is"
        await pilot.press(key)
        await until(pilot, lambda: "Going to step" not in text_of(app))


async def test_restart_in_the_past_runs_the_lesson_to_there_again_with_the_answers_given() -> None:
    app, link = app_of(answered(backlog()))
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "the kernel says 5")
        await pilot.press("f5", "pageup", "ctrl+r")
        await until(pilot, lambda: link.successor is not None)
        again = link.successor
        assert again is not None
        await until(pilot, lambda: lab(pilot).lab.now.step is not None and lab(pilot).lab.now.step.index == 1)
        assert set(map(type, again.commands)) == {cmd.Continue}, "the question of the step itself is left open"
        assert lab(pilot).panes.presenting


@pytest.mark.parametrize("typed", [("T",), (*":language python", "enter")])
async def test_the_other_language_begins_at_the_same_step(typed: tuple[str, ...]) -> None:
    both = a_lesson(TOML.replace('{ c = "server.c" }', '{ c = "server.c", python = "server.py" }'))
    app, link = app_of(backlog(), at_once=5, lesson=both)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press(*typed)
        await until(pilot, lambda: link.successor is not None)
        assert link.language == "python"
        await until(pilot, lambda: lab(pilot).lab.now.step is not None)


async def test_a_lesson_with_one_language_says_so() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("T")
        await shown(pilot, "C: the lesson is in it already.")
        await pilot.press(*":language python", "enter")
        await shown(pilot, "Python: the lesson has no server in it.")
        assert link.successor is None


async def test_what_cant_be_started_anew_stays_where_it_is() -> None:
    app, link = app_of(backlog())

    def refuse(language: str = "") -> FakeLink:
        raise UsageError("It was there before.")

    link.restart = refuse  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "Your prediction")
        await pilot.press(*":restart 1", "enter")
        await shown(pilot, "It was there before.")
        assert "Going to step" not in text_of(app)
        await pilot.press(*":restart 9", "enter")
        await shown(pilot, "The lesson's steps are 1 to 2.")
