"""Started where things are missing: no current directory, no room for the output, a terminal without UTF-8."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import socklab

pytestmark = pytest.mark.kernel

ROOT = Path(socklab.__file__).resolve().parent.parent
LESSON = (sys.executable, "-m", "socklab", "lesson", "lifecycle", "--auto", "--lang", "python")


def _environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **changes}


def test_a_lesson_runs_in_a_directory_that_was_removed(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'cd "{gone}" && rmdir "{gone}" && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *LESSON],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "The lesson is done" in done.stdout


@pytest.mark.parametrize("json", [(), ("--json",)], ids=["plain", "json"])
def test_output_that_nothing_has_room_for_is_one_line_and_code_74(json: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*LESSON, *json],
            env=_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.stderr == "socklab: The output can't be written: No space left on device.\n"
    assert done.returncode == 74


def test_what_the_terminals_character_set_lacks_is_escaped() -> None:
    done = subprocess.run(
        LESSON, env=_environment(PYTHONIOENCODING="latin-1"), capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert rb"GET / HTTP/1.0\u240d\u240a" in done.stdout


def test_without_curl_another_real_program_asks_for_the_page(tmp_path: Path) -> None:
    done = subprocess.run(
        LESSON, env=_environment(PATH=str(tmp_path)), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "curl is not installed: a Python program asks" in done.stdout


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace here")
def test_under_another_tracer_the_doctor_names_it() -> None:
    strace = ["strace", "-f", "-o", os.devnull, sys.executable, "-m", "socklab"]
    environment = _environment()
    lesson = subprocess.run([*strace, "lesson", "lifecycle", "--auto"], env=environment, capture_output=True, text=True)
    assert "Error: This machine does not let socklab trace a program" in lesson.stdout
    assert "Traceback" not in lesson.stdout + lesson.stderr
    doctor = subprocess.run([*strace, "doctor"], env=environment, capture_output=True, text=True)
    assert re.search(r"Fix: strace \(pid \d+\) is tracing socklab itself", doctor.stdout), doctor.stdout
