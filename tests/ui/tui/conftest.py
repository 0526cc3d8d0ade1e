"""The keys of these tests are the table's, whoever runs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from socklab.commands import keymap
from socklab.ui.tui.app import SocklabApp


@pytest.fixture(autouse=True)
def no_failure_is_outlived(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test ends with what the screen would have gone on after."""
    monkeypatch.setattr(SocklabApp, "outlives_failures", False)


@pytest.fixture(autouse=True)
def no_keymap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SOCKLAB_KEYMAP", "/dev/null")
    keymap.effective.cache_clear()
    yield
    keymap.effective.cache_clear()
