"""Started where things are missing: no current directory, no room for the output, a terminal without UTF-8."""

from __future__ import annotations

import base64
import json
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


def socklab(*words: str, cwd: Path, closed: str = "") -> subprocess.CompletedProcess[bytes]:
    """In another directory, by a shell that closes descriptors (`2>&-`)."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "socklab", *words],
        cwd=cwd,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("words", [("lessons",), ("doctor",), ("run", "--auto", "true")], ids=" ".join)
def test_a_closed_output_is_one_line_and_code_74(words: tuple[str, ...], tmp_path: Path) -> None:
    done = socklab(*words, cwd=tmp_path, closed=">&-")
    assert done.stderr == b"socklab: The output can't be written: standard output is closed.\n"
    assert done.returncode == 74


def test_a_closed_input_is_an_empty_one_and_a_closed_error_none(tmp_path: Path) -> None:
    done = socklab("run", "--free", "--plain", "--", "echo", "hello", cwd=tmp_path, closed="<&- 2>&-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"the program wrote: hello" in done.stdout


def test_names_that_are_no_text_are_found_and_run(tmp_path: Path) -> None:
    folder = tmp_path / "odd\udcff\x1b"
    folder.mkdir()
    (folder / "server\udcfe.py").write_text("import os; os.write(1, os.getcwdb() + os.environb[b'ODD'])\n")
    done = socklab("run", "--free", "--json", "--env", "ODD=\udcfd", "server\udcfe.py", cwd=folder)
    printed = b"".join(
        base64.b64decode(e["data"]) for e in map(json.loads, done.stdout.splitlines()) if e["e"] == "output"
    )
    assert printed == os.fsencode(folder) + b"\xfd", done
    (folder / "server.c").write_text("int main(void) { return 7; }\n")
    if shutil.which("cc"):
        assert socklab("run", "--free", "--plain", "server.c", cwd=folder).returncode == 7


def test_without_proc_the_lab_says_so_and_how_to_mount_it(tmp_path: Path) -> None:
    script = 'umount -l /proc && exec "$@"'
    command = ["unshare", "--mount", "--", "sh", "-c", script, "sh", sys.executable, "-m", "socklab"]
    if subprocess.run([*command[:5], "umount -l /proc"], capture_output=True, check=False).returncode:
        pytest.skip("needs root, and unshare")
    done = subprocess.run([*command, "run", "--auto", "true"], env=_environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("socklab: /proc is not there") and "mount -t proc" in done.stderr


@pytest.mark.parametrize("option", [(), ("--json",)], ids=["plain", "json"])
def test_output_that_nothing_has_room_for_is_one_line_and_code_74(option: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*LESSON, *option],
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
