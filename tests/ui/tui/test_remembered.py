"""How the screen is arranged is the user's: it is there again with the next run, and a broken file costs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from socklab.ui.tui.app import SocklabApp
from socklab.ui.tui.layout import remembered
from socklab.ui.tui.layout.remembered import Arrangement
from tests.ui.tui.support import app_of, backlog, text_of
from tests.ui.tui.test_app import lab, shown, until


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file, which is not there yet."""
    file = tmp_path / "state" / "layout.json"
    monkeypatch.setenv("SOCKLAB_LAYOUT", str(file))
    return file


async def run(*keys: str, size: tuple[int, int] = (80, 24)) -> tuple[str, SocklabApp]:
    """A run in which these keys are pressed: what the screen says at its end."""
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=size, notifications=True) as pilot:
        await shown(pilot, "held before listen")
        await until(pilot, lambda: not lab(pilot).panes.frame_only)
        for key in keys:
            await pilot.press(key)
        await pilot.pause()
        return text_of(app), app


async def test_panel_in_front_zoom_and_theme_are_there_again_in_the_next_run(layout: Path) -> None:
    await run("6", "t")
    text, app = await run()
    assert text.startswith("6 Sockets")
    assert app.palette.name == "light"
    await run("z")
    text, _ = await run()
    assert "The address is taken" not in text
    text, app = await run("escape", "escape", "t", "t")
    assert text.startswith("` Stage")
    text, app = await run()
    assert text.startswith("` Stage")
    assert app.palette.name == "dark"


async def test_nothing_is_written_where_nothing_was_rearranged(layout: Path) -> None:
    await run("4", "4", "z", "z", "s")
    assert not layout.exists()


@pytest.mark.parametrize(
    "data",
    [b"{", b"[]", b"\xff\xfe", b'{"format": 99}', b'{"front": "6"}', b"null", b'{"front": [1]}'],
)
async def test_a_broken_file_is_left_aside_and_said(layout: Path, data: bytes) -> None:
    layout.parent.mkdir()
    layout.write_bytes(data)
    text, _ = await run(size=(120, 36))
    assert "Stage" in text
    assert "is not used" in text
    assert layout.read_bytes() == data


async def test_panels_and_themes_that_are_not_there_mean_nothing(layout: Path) -> None:
    layout.parent.mkdir()
    layout.write_bytes(b'{"front": ["routes", "6"], "maximised": "no such panel", "theme": "no such theme", "more": 1}')
    text, _ = await run()
    assert text.startswith("` Stage")
    assert "is not used" not in text


def test_a_file_is_whole_or_as_it_was(layout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert remembered.save(Arrangement(front=("queues",))) == ""
    before = layout.read_bytes()

    def full(_self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert "No space left" in remembered.save(Arrangement(front=("wire",)))
    assert layout.read_bytes() == before
    assert list(layout.parent.iterdir()) == [layout]


async def test_what_cant_be_kept_is_said_on_the_terminal_afterwards(layout: Path) -> None:
    layout.parent.write_text("a file where the folder would be")
    _, app = await run("6")
    assert "could not be kept" in app.last_words[0]


def test_a_device_is_read_as_nothing_and_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKLAB_LAYOUT", "/dev/null")
    assert remembered.save(Arrangement(front=("queues",))) == ""
    assert Path("/dev/null").is_char_device()
    assert remembered.load() == (Arrangement(), "")
