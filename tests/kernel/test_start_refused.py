"""What can't be started is said on the ordinary terminal, whole, with an exit code; no screen opens for it."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from socklab.protocol import events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from tests.kernel.test_run_options import ROOT

pytestmark = pytest.mark.kernel

ALTERNATE_SCREEN = b"\x1b[?1049h"


def at_a_terminal(*words: str, cwd: Path) -> tuple[int, bytes]:
    """(exit code, everything written) of socklab at a terminal of its own."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "socklab", *words],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "SOCKLAB_KEYMAP": os.devnull},
        start_new_session=True,
    )
    os.close(terminal)
    said = b""
    try:
        while data := os.read(master, 65536):
            said += data
            assert ALTERNATE_SCREEN not in said, said
    except OSError:
        pass  # EIO: nobody has the terminal open any more
    finally:
        process.kill()
        code = process.wait(60)
        os.close(master)
    return code, said.replace(b"\r\n", b"\n")


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    assert at_a_terminal("run", "./nowhere", cwd=tmp_path) == (
        5,
        b"socklab: There is no program ./nowhere.\nName a file that exists or a command that is on PATH.\n",
    )


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
def test_a_program_that_does_not_compile_with_the_compilers_message_to_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "broken.c").write_text("int main(void) { return first_of_them + last_of_them; }\n")
    code, said = at_a_terminal("run", "broken.c", cwd=tmp_path)
    by_hand = subprocess.run(
        ["cc", "-fdiagnostics-color=never", "-Wall", str(tmp_path / "broken.c")],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert code == 5
    assert by_hand.stderr.strip() in said


def test_a_lesson_in_a_language_that_it_has_not(tmp_path: Path) -> None:
    code, said = at_a_terminal("lesson", "framework", "--lang", "c", cwd=tmp_path)
    assert (code, b"has no server in c" in said) == (1, True)


def test_what_was_read_while_the_start_was_waited_for_is_given_once_and_in_order() -> None:
    with Link.start(RunSpec(argv=("true",), free=True)) as link:
        early = link.await_start()
        assert early and any(isinstance(event, ev.Started) for event in early)
        events = list(link.events(timeout=120))
    assert events[: len(early)] == early
    assert isinstance(events[-1], ev.Ended)
    assert sum(isinstance(event, ev.Started) for event in events) == 1
