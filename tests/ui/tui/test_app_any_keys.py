"""Whatever is pressed, at whatever size, in whatever order: the screen stands, and says what it says at rest."""

from __future__ import annotations

import random

import pytest
from textual.keys import _character_to_key
from textual.pilot import Pilot

from socklab.lesson import CHOICE_LETTERS
from socklab.protocol import commands as cmd
from socklab.ui.tui.keys import KEYS, bound
from socklab.ui.tui.panels import registry
from tests.ui.tui.support import app_of, backlog, text_of
from tests.ui.tui.test_app import lab, shown, until
from tests.ui.tui.test_panels_wire_keys import held_syn_ack
from tests.ui.view.test_tasks import deep, family

STREAMS = {
    "backlog": lambda: backlog()[:40],
    "question": backlog,
    "family": lambda: family().events,
    "deep": lambda: deep().events,
    "wire": lambda: held_syn_ack(extra=20),
}
SIZES = [
    (1, 1),
    (3, 80),
    (120, 500),
    (500, 120),
    (40, 10),
    (50, 12),
    (60, 15),
    (80, 24),
    (110, 48),
    (120, 36),
    (200, 60),
]
LEAVES = {"q", "ctrl+q"}
PRESSED = sorted(
    ({key for known in KEYS for key in bound(known.keys).split(",")} - LEAVES)
    | set(registry.FREE_KEYS)
    | {"up", "down", "pageup", "pagedown", "enter", "escape", "backspace", "ctrl+p", *CHOICE_LETTERS}
)


async def at_rest(pilot: Pilot[int]) -> None:
    """Out of every mode, at a usual size: the panels are there."""
    await pilot.resize_terminal(120, 36)
    while len(pilot.app.screen_stack) > 1:
        pilot.app.pop_screen()
    for _ in range(8):
        await pilot.press("escape")
    if lab(pilot).panes.presenting:
        await pilot.press("f5")
    await until(pilot, lambda: "` Stage" in text_of(pilot.app) and "2 Call" in text_of(pilot.app))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
async def test_no_walk_of_keys_and_sizes_ends_the_screen(seed: int) -> None:
    walk = random.Random(seed)
    name = sorted(STREAMS)[seed % len(STREAMS)]
    app, _ = app_of(STREAMS[name]())
    async with app.run_test(size=walk.choice(SIZES)) as pilot:
        for _ in range(25):
            if walk.random() < 0.2:
                await pilot.resize_terminal(*walk.choice(SIZES))
            else:
                app.simulate_key(_character_to_key(key) if len(key := walk.choice(PRESSED)) == 1 else key)
            if walk.random() < 0.4:
                await pilot.pause()
        await at_rest(pilot)


@pytest.mark.parametrize("burst", ["pageup", "pagedown", "enter enter", "down end enter", "w i enter escape"])
async def test_keys_in_one_burst_with_the_palettes_end_nothing(burst: str) -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        for _ in range(3):
            for key in ["ctrl+p", *burst.split()]:
                app.simulate_key(key)
            await pilot.pause()
        await at_rest(pilot)
        await pilot.press("s")
        await until(pilot, lambda: cmd.Step() in link.commands)


async def test_the_palette_finds_by_what_is_typed_and_does_it_once() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("ctrl+p")
        await shown(pilot, "Commands: ")
        await shown(pilot, "Deliver every packet that is held.")
        await pilot.press(*"one more")
        await until(pilot, lambda: "Deliver every" not in text_of(app))
        assert "Connect one more client" in text_of(app)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: link.commands == [cmd.Do("connect")])
        await pilot.press("ctrl+p", *"nothing of the kind")
        await shown(pilot, "no such line")
        await pilot.press("enter", "escape")
        await shown(pilot, "held before listen")


async def test_a_panel_can_be_asked_for_while_the_terminal_is_too_small_for_any() -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("4", "m")
        await pilot.resize_terminal(40, 10)
        await shown(pilot, "Terminal is 40x10")
        await pilot.press("6")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "6 Sockets" in text_of(app) and "4 Queues" not in text_of(app))


async def test_a_chosen_tab_stays_with_its_panel_when_the_places_change() -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("7")
        await shown(pilot, "7 Clients")
        await pilot.resize_terminal(200, 60)
        await shown(pilot, "4 Queues")
        for slot, view in zip(lab(pilot).placed, lab(pilot).slots, strict=False):
            assert view.panel in slot.panels
        await pilot.resize_terminal(80, 24)
        await shown(pilot, "No client yet.")
