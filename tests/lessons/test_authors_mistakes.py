"""What only a run can find in a lesson: the run says what and where, and has failed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from socklab import lesson

pytestmark = pytest.mark.kernel

TOML = """
format = 1
title = "T"
summary = "S"
server = { python = "server.py" }
pause = ["socket", "bind"]

[[step]]
at = { syscall = "socket" }
before = "The program asks for a socket."
after = "Client a is {client.a.state}, and the socket is {last.fd}."
holds_after = "last.result is 3"
[step.predict]
ask = "Which number?"
choices = [4, 5]
measure = "last.result"
when = "return"
explain = "The lowest."

[[step]]
at = { syscall = "bind" }
do = "connect a"
before = "Done."
"""


def test_a_value_nobody_read_and_an_answer_that_is_no_choice_fail_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "50-wrong"
    folder.mkdir()
    (folder / "lesson.toml").write_text(TOML)
    shutil.copy(lesson.find("handshake") / "server.py", folder)
    command = [sys.executable, "-m", "socklab", "lesson", str(folder), "--plain", "--auto"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Step 1 of lesson.toml: the kernel's answer, 3, is none of the choices." in done.stdout
    assert "Step 1 of lesson.toml: no value for {client.a.state}: no client a yet." in done.stdout
    assert "{last.fd}" not in done.stdout
