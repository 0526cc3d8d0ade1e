"""`socklab run` starts what the shell would start; oracle: what the program itself says of how it was started."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.kernel.test_run_options import printed, run

pytestmark = pytest.mark.kernel


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_script_without_a_first_line_is_the_shells(tmp_path: Path) -> None:
    script(tmp_path / "greet", 'echo "hello $1"\n')
    assert printed(run("--json", "--free", "greet", "you", cwd=tmp_path)) == b"hello you\n"


def test_a_program_hears_the_name_it_was_called_by(tmp_path: Path) -> None:
    (tmp_path / "called").symlink_to("/bin/cat")
    assert printed(run("--json", "--free", "./called", "/proc/self/cmdline", cwd=tmp_path)).startswith(b"./called\0")


def test_a_stand_in_is_passed_unseen_and_what_it_stands_for_is_stopped_at(tmp_path: Path) -> None:
    """As pyenv has it: a shell script that asks other programs and at last executes the real one."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "python3").symlink_to(sys.executable)
    script(
        tmp_path / "shims" / "python3",
        f'#!/usr/bin/env bash\nwhere="$(/bin/echo {tmp_path}/real/python3)"\n/bin/true\nexec "$where" "$@"\n',
    )
    script(tmp_path / "app.py", "import _socket\n_socket.socket()\n", 0o644)
    path = f"PATH={tmp_path}/shims:{os.environ['PATH']}"
    done = run("--json", "--auto", "--env", "VIRTUAL_ENV=", "--env", path, "app.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["argv"][0] for event in events if event["e"] == "execed"] == [f"{tmp_path}/real/python3"]
    assert not [event for event in events if event["e"] == "forked"]
    assert len([event for event in events if event["e"] == "exited"]) == 1
    stacks = [event["stack"] for event in events if event["e"] == "held"]
    assert stacks and stacks[0][0][0] == str(tmp_path / "app.py")


def test_a_missing_module_is_told_with_the_interpreter_that_misses_it(tmp_path: Path) -> None:
    script(tmp_path / "app.py", "import flask_of_no_venv\n")
    done = run("--plain", "--free", "--env", f"VIRTUAL_ENV={sys.prefix}", "app.py", cwd=tmp_path)
    assert done.returncode == 1
    assert f"{sys.prefix}/bin/python3, which runs the program, has no module 'flask_of_no_venv'" in done.stdout
