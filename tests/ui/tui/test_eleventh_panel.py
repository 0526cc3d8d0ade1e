"""A panel registered by its entry alone is placed, drawn, opened by a key, chosen in and clicked like the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from socklab import state as st
from socklab.ui.tui.keys import KEYS
from socklab.ui.tui.layout.panes import groups
from socklab.ui.tui.layout.plan import plan
from socklab.ui.tui.panels import registry
from tests.ui.tui.support import app_of, backlog, text_of
from tests.ui.tui.test_app import lab, shown, until


@pytest.fixture
def key() -> Iterator[str]:
    """The key of the new panel, while it is registered."""
    module = "tests.ui.tui.panel_eleventh"
    registry.register(registry.Entry("routes", "kernel", "Routes", "routes", module=module))
    yield registry.entry("routes").key
    registry.unregister("routes")


def test_its_key_has_no_other_meaning(key: str) -> None:
    assert key
    assert key not in {name for known in KEYS for name in known.keys.split()}
    assert [name for name in registry.names() if registry.entry(name).key == key] == ["routes"]


@pytest.mark.parametrize("size", [(50, 12), (80, 24), (120, 36), (200, 60)], ids=str)
def test_it_has_one_place_at_every_size(key: str, size: tuple[int, int]) -> None:
    slots = plan(*size, groups(st.LabState())).slots
    assert [name for slot in slots for name in (*slot.panels, *slot.tabs)].count("routes") == 1
    front = plan(*size, groups(st.LabState()), front="routes").slots
    assert [slot.box.height > 2 for slot in front if "routes" in slot.panels] == [True]


async def test_its_key_shows_it_and_it_is_drawn_scrolled_and_chosen_in(key: str) -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press(key)
        await shown(pilot, f"{key} Routes 1000")
        await shown(pilot, "destination")
        await shown(pilot, "route number 0")
        await pilot.press("down", "down", "down", "up")
        assert lab(pilot).panes.selected["routes"] == ("route", 1)
        await pilot.press("z")
        await until(pilot, lambda: "The address" not in text_of(app))
        await pilot.press(*["pagedown"] * 3)
        await until(pilot, lambda: "route number 0" not in text_of(app))


async def test_a_click_chooses_its_row(key: str) -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press(key)
        await shown(pilot, "route number 2")
        rows = text_of(app).split("\n")
        y = next(n for n, row in enumerate(rows) if "route number 2" in row)
        await pilot.click(offset=(rows[y].index("route number"), y))
        await until(pilot, lambda: lab(pilot).panes.selected.get("routes") == ("route", 2))


async def test_among_tabs_it_comes_to_the_front_at_its_call(key: str) -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(200, 60)) as pilot:
        await shown(pilot, "held before listen")
        await shown(pilot, f"{key} Routes 1000")
        await pilot.press("left", "left")
        await until(pilot, lambda: "destination" not in text_of(app))
