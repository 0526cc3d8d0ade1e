"""The command line: what it accepts, what it answers, and its exit codes. Nothing here starts an engine."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import socklab
from socklab import cli, launch, lesson as lessons
from socklab.core.errors import UsageError
from socklab.launch import Mode

ROOT = Path(socklab.__file__).resolve().parent.parent


def run(*args: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """socklab as a user without a terminal runs it."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **changes}
    command = [sys.executable, "-m", "socklab", *args]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, check=False)


def test_version_is_the_packages_own() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"socklab {socklab.__version__}\n")


def test_help_names_every_verb() -> None:
    done = run("--help")
    assert done.returncode == 0
    for verb in ("lesson", "lessons", "doctor", "run"):
        assert f"  {verb} " in done.stdout
    assert "..." not in done.stdout.split("Commands:")[1]


def test_help_imports_nothing_of_a_verb() -> None:
    code = "import sys; sys.argv = ['socklab', '--help']; from socklab import cli; cli._main(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {
        "msgspec",
        "textual",
        "rich",
        "psutil",
        "socklab.session",
        "socklab.protocol.events",
        "asyncio",
    }


def test_a_plain_run_never_loads_the_screen() -> None:
    code = (
        "import sys; from socklab import launch; from socklab.ui import json_stream; "
        "from socklab.ui.plain import run; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"textual", "rich", "psutil"}


@pytest.mark.parametrize(
    ("args", "answer"),
    [
        (["lesn"], 'No verb "lesn". Did you mean "lesson"?'),
        (["lesson", "backlg", "--plain"], 'Did you mean "backlog"?'),
        (["lesson", "backlog", "--lang", "rust", "--plain"], "'rust' is not one of 'c', 'python'"),
        (["lesson"], "Missing argument 'NAME'"),
        (["run"], "Missing argument 'PROGRAM'"),
        (["lesson", "/nowhere/at/all", "--plain"], "holds no lesson.toml"),
        # What is missing comes before the terminal, which a run without --plain would also need.
        (["lesson", "backlg"], 'Did you mean "backlog"?'),
        (["lesson", "/nowhere/at/all"], "holds no lesson.toml"),
    ],
)
def test_a_mistake_is_named_on_stderr_with_exit_code_2(args: list[str], answer: str) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert answer in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("args", [[], ["lesson", "backlog"], ["run", "ls"]])
def test_without_a_terminal_one_line_points_to_plain_text(args: list[str]) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "standard input is not one" in done.stderr
    assert "socklab lessons" in done.stderr if not args else "--plain" in done.stderr


@pytest.mark.parametrize("program", ["nosuch.c", "./nosuch", "nosuch", "nosuch.py"])
def test_a_program_that_is_not_there_is_named_where_there_is_no_terminal_either(program: str) -> None:
    done = run("run", program)
    assert done.returncode == run("run", "--plain", "--auto", program).returncode != 0
    assert f"There is no program {program}" in done.stderr
    assert "terminal" not in done.stderr


def test_a_word_with_control_characters_is_repeated_without_them() -> None:
    for args in (["\x1b[31mx"], ["lesson", "\x1b[31mx", "--plain"], ["lesson", "\x1b[31mx"]):
        assert "\x1b" not in run(*args).stderr


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    """Check `need_terminal` with all three standard streams on a pseudo-terminal."""
    ours, theirs = pty.openpty()
    kept = [os.dup(number) for number in range(3)]
    try:
        for number in range(3):
            os.dup2(theirs, number)
        monkeypatch.setenv("TERM", term)
        launch.need_terminal("socklab lesson x --plain")
    finally:
        for number, saved in enumerate(kept):
            os.dup2(saved, number)
            os.close(saved)
        os.close(ours)
        os.close(theirs)


def test_a_terminal_is_enough_for_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch, "xterm-256color")


@pytest.mark.parametrize(("term", "said"), [("dumb", "TERM=dumb"), ("", "TERM is not set")])
def test_a_terminal_that_cannot_be_drawn_on_points_to_plain_text(
    monkeypatch: pytest.MonkeyPatch, term: str, said: str
) -> None:
    with pytest.raises(UsageError, match=f"{said}.*--plain"):
        on_a_terminal(monkeypatch, term)


@pytest.mark.parametrize(
    ("plain", "auto", "json", "mode"),
    [
        (False, False, False, Mode.SCREEN),
        (True, False, False, Mode.PLAIN),
        (False, True, False, Mode.PLAIN_AUTO),
        (False, False, True, Mode.JSON),
        (True, True, True, Mode.JSON_AUTO),
    ],
)
def test_json_and_auto_imply_plain(plain: bool, auto: bool, json: bool, mode: Mode) -> None:
    assert Mode.of(plain, auto, json) is mode


def test_lessons_lists_every_lesson_with_its_title() -> None:
    done = run("lessons")
    assert done.returncode == 0
    for name in lessons.names():
        assert f"{name} " in done.stdout
        assert lessons.load(lessons.find(name)).title in done.stdout


def test_lessons_as_json_is_data() -> None:
    rows = msgspec.json.decode(run("lessons", "--json").stdout)
    assert [row["name"] for row in rows] == lessons.names()


BROKEN = 'format = 1\ntitle = "x"\nsumary = "y"\n'


def test_a_broken_lesson_names_file_and_key_and_exits_with_3(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "lesson.toml").write_text(BROKEN)
    for args in (["lessons", str(folder)], ["lessons", "--check", str(folder)]):
        done = run(*args)
        assert done.returncode == 3, done
        assert "lesson.toml" in done.stdout + done.stderr
        assert "sumary" in done.stdout + done.stderr
        assert "summary" in done.stdout + done.stderr


def test_the_shipped_lessons_are_in_order() -> None:
    done = run("lessons", "--check")
    assert done.returncode == 0, done.stdout


def test_a_reader_that_leaves_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [sys.executable, "-m", "socklab", "lessons"], stdout=writing, stderr=subprocess.PIPE, env=env
    ) as process:
        os.close(writing)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_an_error_of_ours_is_its_text_and_its_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: object, **named: object) -> int:
        raise UsageError("It is not there.", fix="Look elsewhere.")

    monkeypatch.setattr(launch, "menu", refuse)
    monkeypatch.setattr(sys, "argv", ["socklab"])
    assert cli._main() == 2
    assert capsys.readouterr().err == "socklab: It is not there.\nLook elsewhere.\n"
