"""The user's own keys on the screen, and commands of the table typed at its prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from socklab.commands.keymap import said
from socklab.core.errors import UsageError
from socklab.protocol import commands as cmd
from socklab.ui.tui.keys import help_lines
from socklab.ui.tui.prompt import parse
from socklab.ui.view.lines import plain, width, with_keys
from tests.ui.tui.support import app_of, backlog, text_of
from tests.ui.tui.test_app import lab, shown, until
from tests.ui.tui.test_panels_wire_keys import held_syn_ack
from tests.ui.view.test_tasks import sent


@pytest.fixture
def keymap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "keymap.toml"
    monkeypatch.setenv("SOCKLAB_KEYMAP", str(file))
    return file


async def test_a_rebound_key_acts_is_shown_and_the_old_one_is_free(keymap: Path) -> None:
    keymap.write_text('step = ["f8", "J"]\nconnect = ["s"]\npause = []\n')
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before listen")
        assert "F8 step" in text_of(app)
        assert "s connect" in text_of(app)
        await pilot.press("s", "k")
        await until(pilot, lambda: sent(link) == [cmd.Do("connect")])
        await pilot.press("J")
        await until(pilot, lambda: sent(link) == [cmd.Do("connect"), cmd.Step()])
        await pilot.press("question_mark")
        await shown(pilot, "F8 J  Run to the next stop")
        assert "Keymap" not in text_of(app)


async def test_a_conflict_is_said_on_the_screen_and_the_usual_keys_work(keymap: Path) -> None:
    keymap.write_text('step = ["o"]\n')
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await shown(pilot, "`over`.")
        await pilot.press("s")
        await until(pilot, lambda: sent(link) == [cmd.Step()])


async def test_commands_typed_at_the_prompt_do_what_their_keys_do() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press(*":s", "enter")
        await until(pilot, lambda: sent(link) == [cmd.Step()])
        await pilot.press(*":maximise", "enter")
        await until(pilot, lambda: lab(pilot).panes.maximised == "stage")
        await pilot.press(*":show counters", "enter")
        await until(pilot, lambda: lab(pilot).panes.maximised == "counters")
        await pilot.press(*":focus 1", "enter")
        await shown(pilot, "There is no task 1.")
        await pilot.press(*":others hold", "enter")
        await shown(pilot, "The others are held already.")
        await pilot.press(*":theme now", "enter")
        await shown(pilot, "theme: it stands alone.")


async def test_help_at_the_prompt_opens_the_page_or_tells_how_a_verb_is_used() -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press(*":help", "enter")
        await shown(pilot, "Run to the next stop")
        await pilot.press("escape", *":help hold", "enter")
        await shown(pilot, "hold [HOW MANY | next | every | all] [WHICH PACKETS]   Hold the packets you say")
        await pilot.press(*":help hodl", "enter")
        await shown(pilot, 'No verb "hodl". Did you mean "hold"?')


async def test_a_panels_title_shows_the_key_that_brings_it(keymap: Path) -> None:
    keymap.write_text('wire-panel = ["W"]\n')
    app, _ = app_of(held_syn_ack())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "W wire")
        assert "w wire" not in text_of(app)


@pytest.mark.parametrize(
    ("line", "command"),
    [("c accept", cmd.Continue("accept")), ("p", cmd.Pause()), ("q", cmd.Quit()), ("others run", cmd.Others(run=True))],
)
def test_the_words_of_the_plain_prompt_are_understood_too(line: str, command: cmd.AnyCommand) -> None:
    assert parse(line) == command


def test_a_key_that_is_no_verb_says_so() -> None:
    with pytest.raises(UsageError, match="hold-all is a key of the screen, H, and no verb"):
        parse("hold-all")


def test_the_help_page_fits_80_columns() -> None:
    for line in help_lines():
        assert width(line) <= 79, plain(line)


async def test_sentences_name_the_key_in_force(keymap: Path) -> None:
    keymap.write_text('connect = ["f6"]\nquit = []\n')
    assert said("`connect` connects, `quit` quits, `reorder` or `drop next`") == (
        "F6 connects, :quit quits, `reorder` or `drop next`"
    )
    assert with_keys("`connect` connects; `Enter` shows it") == (
        ("F6", "key"), (" connects; ", "dim"), ("Enter", "key"), (" shows it", "dim"),
    )  # fmt: skip
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("x")
        await shown(pilot, "There is no open client. F6 connects one.")
