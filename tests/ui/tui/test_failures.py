"""What goes wrong in the screen itself takes neither the lab nor the terminal along."""

from __future__ import annotations

import sys

import pytest
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widget import Widget

from socklab.protocol import commands as cmd, events as ev
from socklab.ui.tui.app import SocklabApp
from socklab.ui.tui.controllers.program import ProgramController
from socklab.ui.tui.failures import MOST
from socklab.ui.tui.panels.call import CallPanel
from tests.ui.tui.support import FakeLink, app_of, backlog, text_of
from tests.ui.tui.test_app import lab, shown, until


def fails(*_arguments: object, **_named: object) -> None:
    raise ZeroDivisionError("on purpose")


@pytest.fixture
def lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen as its user has it."""
    monkeypatch.setattr(SocklabApp, "outlives_failures", True)


async def goes_on(pilot: Pilot[int], link: FakeLink) -> None:
    """Keys are heard, stops are drawn."""
    await pilot.press("o")
    await until(pilot, lambda: link.commands == [cmd.Step(over=True)])
    await shown(pilot, "held after listen")


@pytest.mark.usefixtures("lives")
async def test_a_key_that_fails_is_said_and_the_lab_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProgramController, "step", fails)
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("s")
        await shown(pilot, "The screen failed (ZeroDivisionError in test_failures.py:")
        await goes_on(pilot, link)
    assert "on purpose" in app.failures.report


@pytest.mark.usefixtures("lives")
async def test_a_panel_that_fails_says_so_and_the_others_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CallPanel, "lines", fails)
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "This panel can't be drawn: ZeroDivisionError")
        await shown(pilot, "4 queues")
        await goes_on(pilot, link)
        for _ in range(3 * MOST):
            lab(pilot).paint()
        assert "can't be drawn" in text_of(app)
    assert app.failures.report.count("ZeroDivisionError: on purpose") == 1


@pytest.mark.usefixtures("lives")
async def test_a_failure_between_the_events_of_the_stream_is_said_and_the_stream_goes_on() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        bridge = lab(pilot).lab.bridge
        whole, bridge._decode = bridge._decode, fails  # type: ignore[method-assign, assignment]
        link.give(ev.Packet(9, 1, "client", "server", b"", 40))
        await shown(pilot, "The screen failed (ZeroDivisionError")
        bridge._decode = whole  # type: ignore[method-assign]
        await goes_on(pilot, link)


class Foreign(ModalScreen[None]):
    """A screen over the lab, with a widget that is not ours."""

    def compose(self) -> ComposeResult:
        widget = Widget()
        widget.on_mount = fails  # type: ignore[attr-defined]
        yield widget

    def on_key(self) -> None:
        fails()


@pytest.mark.usefixtures("lives")
async def test_a_screen_over_the_lab_that_fails_is_taken_away() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        app.push_screen(Foreign())
        await until(pilot, lambda: isinstance(app.screen, Foreign))
        app.simulate_key("x")
        await until(pilot, lambda: app.screen is app.screen_stack[0])
        await shown(pilot, "The screen failed (ZeroDivisionError")
        await goes_on(pilot, link)


@pytest.mark.usefixtures("lives")
async def test_a_screen_that_fails_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProgramController, "step", fails)
    app, _ = app_of(backlog(), at_once=5)
    with pytest.raises(ZeroDivisionError):
        async with app.run_test(size=(80, 24)) as pilot:
            await shown(pilot, "held before listen")
            for _ in range(MOST + 1):
                await pilot.press("s")


def test_the_terminal_is_given_back_with_a_report_of_what_failed() -> None:
    pytest.importorskip("pyte")
    from benchmarks.ptyharness import Terminal

    terminal = Terminal([sys.executable, "-m", "tests.ui.tui.failing_lab"], columns=100, rows=30)
    assert terminal.wait_for("held before", 60), terminal.screen()
    terminal.type(b"s")
    assert terminal.wait_for("The screen failed", 60), terminal.screen()
    assert terminal.close() == 0
    assert terminal.terminal_given_back
    said = terminal.said_afterwards
    assert said.endswith("This is a bug in socklab: please report it.\r\n")
    assert "ZeroDivisionError: on purpose" in said
