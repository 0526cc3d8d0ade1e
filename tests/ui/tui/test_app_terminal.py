"""The application in a real pseudo-terminal: what bytes leave, and in what state it leaves the terminal."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pyte")
from benchmarks.ptyharness import Terminal

# What a drawing program legitimately sends: colours and moves, modes, queries; synchronized frames; the title.
KNOWN = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][0-2];[^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\]1[01];\?(?:\x07|\x1b\\)"
    rb"|\x1b\]22;[a-z-]*\x07|\x1bP[^\x1b]*\x1b\\|\x1b[=>78]"
)


@pytest.fixture
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    size, module = request.param
    found = Terminal([sys.executable, "-m", module], columns=size[0], rows=size[1])
    yield found
    if not found.ended:
        try:
            os.kill(found.pid, signal.SIGKILL)
            os.waitpid(found.pid, 0)
        except (ProcessLookupError, ChildProcessError):  # ended and reaped by the test
            pass


HOSTILE = [((120, 36), "tests.ui.tui.hostile_lab"), ((80, 24), "tests.ui.tui.hostile_lab")]


@pytest.mark.parametrize("terminal", HOSTILE, indirect=True, ids=["wide", "tabs"])
def test_no_byte_of_an_untrusted_text_reaches_the_terminal_as_a_control(terminal: Terminal) -> None:
    assert terminal.wait_for("held before", 120), terminal.screen()
    # Every panel, every detail, the past, the prompt, the lists.
    keys = [
        b"\x1b",
        b"v",
        *(b"%d" % n for n in range(10)),
        b"m",
        b"\t",
        b"\t",
        b"m",
        b"\x1b[D",
        b"\x1b[F",
        *(key for opened in (b":", b"P", b"S") for key in (opened, b"\x1b")),
        b"`",
    ]
    for key in keys:
        terminal.type(key)
        # A lone ESC is a key only when nothing follows it for a while.
        terminal.settle(0.3 if key == b"\x1b" else 0.1, 2)
    assert terminal.close() == 0
    written = b"".join(data for _, data in terminal.chunks)
    plain = KNOWN.sub(b"", written)
    assert b"\x1b" not in plain, plain[max(0, plain.find(b"\x1b") - 60) :][:120]
    assert b"\x1b]52" not in written
    text = plain.decode("utf-8")
    wrong = sorted({hex(ord(c)) for c in text if c not in "\r\n\x0e\x0f" and not c.isprintable()})
    assert not wrong
    assert "\N{SYMBOL FOR ESCAPE}]52" in text, "the attempt is shown as text"
    assert "[red]" in text


LAB = [((80, 24), "tests.ui.tui.hostile_lab")]


@pytest.mark.parametrize("terminal", LAB, indirect=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_it_and_gives_the_terminal_back(terminal: Terminal, number: signal.Signals) -> None:
    assert terminal.wait_for("held before", 120), terminal.screen()
    before = terminal.modes()
    assert not before[3] & termios.ICANON, "raw while it runs"
    os.kill(terminal.pid, number)
    assert terminal.wait() == 128 + number
    assert terminal.terminal_given_back
    assert terminal.modes()[3] & termios.ICANON


@pytest.mark.parametrize("terminal", LAB, indirect=True)
def test_ctrl_c_ends_it_like_any_program(terminal: Terminal) -> None:
    assert terminal.wait_for("held before", 120), terminal.screen()
    assert terminal.close(b"\x03") == 0
    assert terminal.terminal_given_back


def test_without_colour_no_colour_is_sent() -> None:
    terminal = Terminal([sys.executable, "-m", "tests.ui.tui.hostile_lab"], columns=80, rows=24, env={"NO_COLOR": "1"})
    assert terminal.wait_for("held before", 120), terminal.screen()
    terminal.close()
    written = b"".join(data for _, data in terminal.chunks)
    sgr = [part for found in re.findall(rb"\x1b\[([0-9;]*)m", written) for part in found.split(b";")]
    # 39 and 49 are the terminal's own default colours.
    coloured = {n for n in map(int, filter(None, sgr)) if (30 <= n <= 48 and n != 39) or 90 <= n <= 107}
    assert not coloured


DEAF = """
import signal, time
from socklab.host import terminal_guard
terminal_guard._GRACE_S = 0.3
terminal_guard.guard()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("busy", flush=True)
time.sleep(60)
"""


def test_a_screen_too_busy_to_hear_a_signal_is_killed_by_its_guardian() -> None:
    terminal = Terminal([sys.executable, "-c", DEAF], columns=80, rows=24)
    assert terminal.wait_for("busy", 120)
    (screen,) = Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children").read_text().split()
    os.kill(terminal.pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) == 128 + signal.SIGTERM
    assert not Path(f"/proc/{screen}").exists()


def test_a_screen_whose_terminal_is_closed_gets_no_time_to_leave() -> None:
    """What it would put right is gone, and it may hear of nothing: here it would take a thousand seconds."""
    patient = DEAF.replace("_GRACE_S = 0.3", "_GRACE_S = 1000").replace("SIGTERM", "SIGHUP")
    terminal = Terminal([sys.executable, "-c", patient], columns=80, rows=24)
    assert terminal.wait_for("busy", 20)
    (screen,) = Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children").read_text().split()
    os.close(terminal._fd)
    ended, status = _wait(terminal.pid, 60)
    assert ended, "the guard waits"
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    assert not Path(f"/proc/{screen}").exists()


FORGETS = """
import os, signal
from socklab.host import run_directory, terminal_guard
terminal_guard.guard()
run_directory.make()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_screen_killed_before_its_engine_is_there_leaves_no_directory(tmp_path: Path) -> None:
    terminal = Terminal([sys.executable, "-c", FORGETS], env={"TMPDIR": str(tmp_path)})
    ended, status = _wait(terminal.pid, 60)
    assert ended
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def _wait(pid: int, seconds: float) -> tuple[int, int]:
    process = os.pidfd_open(pid)
    select.select([process], [], [], seconds)
    os.close(process)
    return os.waitpid(pid, os.WNOHANG)


STAGES = """
import os, signal, sys
from socklab.host import terminal_guard
os.write(1, b"\\x1b[>5u")  # the shell's own
terminal_guard.guard()
stage = int(sys.argv[1])
if stage > 0: os.write(1, b"\\x1b[?1049h")
if stage > 1: os.write(1, b"\\x1b[>25u")
if stage > 2: os.write(1, b"\\x1b[<u")
if stage > 3: os.write(1, b"\\x1b[?1049l")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("stage", range(5), ids=["begun", "alternate", "pushed", "popped", "left"])
def test_a_screen_killed_at_any_stage_leaves_the_shells_keyboard_level_as_it_was(stage: int) -> None:
    """Oracle: the stacks of kitty's specification, one for each screen, played to what was written."""
    terminal = Terminal([sys.executable, "-c", STAGES, str(stage)], columns=80, rows=24)
    while not terminal.ended:
        terminal.read(20)
    os.waitpid(terminal.pid, 0)
    stacks: dict[bool, list[int]] = {False: [], True: []}
    alternate = False
    for found in re.finditer(rb"\x1b\[(\?1049|>|<)(\d*)([hlu])", b"".join(data for _, data in terminal.chunks)):
        if found[1] == b"?1049":
            alternate = found[3] == b"h"
        elif found[1] == b">":
            stacks[alternate].append(int(found[2]))
        elif stacks[alternate]:
            stacks[alternate].pop()
    assert not alternate
    assert stacks == {False: [5], True: []}


def test_a_locale_without_utf_8_draws_the_same_frames() -> None:
    odd = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    terminal = Terminal([sys.executable, "-m", "tests.ui.tui.failing_lab"], columns=80, rows=24, env=odd)
    assert terminal.wait_for("held before", 60), terminal.screen()
    assert terminal.wait_for("` Stage  4 queues", 60), terminal.screen()
    assert "\\u" not in terminal.screen()
    assert terminal.close() == 0
