"""A run's directory: private, and not left behind for ever."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import time
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


def test_what_a_killed_run_left_is_removed_by_the_next_one_and_no_other(own_tmp: Path) -> None:
    """Young, or its maker alive, or locked by a maker that is not to be seen from here: each is reason enough."""
    left, young, alive, elsewhere = (
        own_tmp / f"socklab-{pid}-0123456789ab" for pid in (4194305, 4194306, os.getpid(), 4194307)
    )
    other = own_tmp / "socklab-notes"
    for each in (left, young, alive, elsewhere, other):
        each.mkdir()
        (each / "server").write_text("")
        if each is not young:
            os.utime(each, (time.time() - 15,) * 2)
    lock = os.open(elsewhere, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    run_directory.remove(run_directory.make())
    assert sorted(own_tmp.iterdir()) == sorted([young, alive, elsewhere, other])
    os.close(lock)


def test_without_locks_it_is_left_for_an_hour(own_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, "")

    monkeypatch.setattr(run_directory.fcntl, "flock", refuse)
    recent, old = (own_tmp / f"socklab-{pid}-0123456789ab" for pid in (4194305, 4194306))
    for each, age in ((recent, 3000), (old, 4000)):
        each.mkdir()
        os.utime(each, (time.time() - age,) * 2)
    run_directory.remove(run_directory.make())
    assert list(own_tmp.iterdir()) == [recent]


MADE = """
import sys, time
from socklab.host import run_directory
print(run_directory.make(), flush=True)
time.sleep(1000)
"""


def test_its_maker_keeps_it_while_it_lives_and_no_longer(own_tmp: Path) -> None:
    maker = subprocess.Popen([sys.executable, "-c", MADE], stdout=subprocess.PIPE, text=True)
    try:
        assert maker.stdout is not None
        path = Path(maker.stdout.readline().strip())
        run_directory.remove_those_of(maker.pid)
        assert path.is_dir()
    finally:
        maker.kill()
        maker.communicate()
    run_directory.remove_those_of(maker.pid)
    assert not path.exists()
