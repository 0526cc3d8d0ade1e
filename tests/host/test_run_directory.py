"""A run's directory: private, and not left behind for ever."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from socklab.host import run_directory


@pytest.fixture(autouse=True)
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_only_we_may_enter_it() -> None:
    made = Path(run_directory.make())
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    run_directory.remove(str(made))
    assert not made.exists()


def test_an_old_one_of_a_process_that_is_gone_is_removed_and_no_other(own_tmp: Path) -> None:
    gone, new, alive = (own_tmp / f"socklab-{pid}-0123456789ab" for pid in (4194305, 4194306, os.getpid()))
    other = own_tmp / "socklab-notes"
    for each in (gone, new, alive, other):
        each.mkdir()
        (each / "server").write_text("")
        if each is not new:
            os.utime(each, (1, 1))
    run_directory.remove(run_directory.make())
    assert sorted(own_tmp.iterdir()) == sorted([new, alive, other])
