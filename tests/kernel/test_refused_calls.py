"""Under a container's filter that refuses one call: the lab does without it, or says in one line what is refused and
what to do, leaves nothing, and the doctor has said the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.test_run_options import ROOT
from tests.support.servers import until

pytestmark = pytest.mark.kernel

DOES_WITHOUT = [("memfd_create", "EPERM"), ("pidfd_open", "ENOSYS"), ("prlimit64", "EPERM"), ("setns", "EPERM")]
NEEDS = [("socketpair", "EPERM"), ("epoll_create1", "ENOSYS"), ("prctl", "EPERM"), ("ptrace", "ENOSYS"),
         ("ptrace", "EPERM"), ("clone3", "EPERM")]  # fmt: skip


def jailed(refused: tuple[str, str], folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.support.jail", *refused, "--", sys.executable, "-m", "socklab", *words]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def left_behind(folder: Path) -> list[str]:
    """Files in its own temporary directory, and processes that have that in their environment."""
    found = [str(path) for path in folder.iterdir()]
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if f"TMPDIR={folder}\0".encode() in Path(f"/proc/{name}/environ").read_bytes():
                found.append(name)
        except OSError:
            continue  # it has ended, or is another user's
    return found


def trouble(refused: tuple[str, str], folder: Path) -> set[str]:
    """Codes of what the doctor finds that no lesson can do without."""
    done = jailed(refused, folder, "doctor", "--json")
    assert "Traceback" not in done.stderr
    return {finding["code"] for finding in json.loads(done.stdout) if finding["ok"] is False}


@pytest.mark.parametrize("refused", DOES_WITHOUT, ids=" ".join)
def test_the_lab_does_without_a_call_that_it_can_spare(refused: tuple[str, str], tmp_path: Path) -> None:
    """A lesson with clients, in C, compiled there and then: its checks hold."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    cache = str(tmp_path / "cache")
    done = jailed(refused, temporary, "lesson", "backlog", "--auto", "--lang", "c", XDG_CACHE_HOME=cache)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-3000:]
    assert "Compiled: " in done.stdout
    assert trouble(refused, temporary) == set()
    until(lambda: not left_behind(temporary), "the end of all that was started")


@pytest.mark.parametrize("refused", NEEDS, ids=" ".join)
def test_a_call_that_is_needed_is_one_clear_message_and_the_doctor_names_it(
    refused: tuple[str, str], tmp_path: Path
) -> None:
    done = jailed(refused, tmp_path, "lesson", "lifecycle", "--auto", "--lang", "python")
    assert done.returncode not in (0, 70)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("Error: ", "socklab: "))]
    assert len(said) == 1, done
    assert "socklab doctor" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert trouble(refused, tmp_path) & {"ptrace", "calls"}
    until(lambda: not left_behind(tmp_path), "the end of all that was started")
