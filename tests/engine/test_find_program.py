"""`socklab run` means by its words what a shell means by them. Oracle: a real shell, and execve(2)'s rules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from socklab.core.errors import ProgramError
from socklab.engine import find_program

SAYS = "#!/bin/sh\necho $0\n"


def executable(path: Path, text: str = SAYS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which is typed, with a PATH of its own."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", **more}


def find(tmp_path: Path, *words: str, cwd: str = "", **more: str) -> find_program.Found:
    return find_program.find(words, cwd or str(tmp_path / "here"), environment(tmp_path, **more))


@pytest.mark.parametrize("word", ["cat", "./mine", "tool", "../here/mine"])
def test_a_word_means_the_file_that_a_shell_executes(word: str, tmp_path: Path, place: Path) -> None:
    for path in (place / "mine", place / "tool", tmp_path / "bin" / "tool"):
        executable(path)
    shell = subprocess.run(
        ["sh", "-c", f"command -v {word}"], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    found = find(tmp_path, word, "a b")
    assert os.path.samefile(found.file, shell.stdout.strip())
    assert found.argv == (word, "a b")


def test_a_program_of_this_directory_needs_no_dot_in_front(tmp_path: Path, place: Path) -> None:
    executable(place / "myserver")
    assert find(tmp_path, "myserver").file == str(place / "myserver")


def test_a_program_here_with_the_name_of_a_command_is_told(tmp_path: Path, place: Path) -> None:
    executable(place / "echo")
    found = find(tmp_path, "echo")
    assert found.file in ("/usr/bin/echo", "/bin/echo")
    assert "./echo" in found.note


def test_a_script_that_may_be_executed_says_itself_by_what(tmp_path: Path, place: Path) -> None:
    script = executable(place / "server.py", "#!/usr/bin/env -S python3 -u\n")
    python = executable(tmp_path / "bin" / "python3")
    found = find(tmp_path, "server.py")
    assert (found.file, found.python) == (str(script), str(python))


@pytest.mark.parametrize("mode", [0o644, 0o755])
@pytest.mark.parametrize("venv", [True, False])
def test_a_python_file_without_such_a_line_is_the_active_venvs_or_the_first_of_path(
    venv: bool, mode: int, tmp_path: Path, place: Path
) -> None:
    executable(place / "server.py", "import flask\n").chmod(mode)
    of_path = executable(tmp_path / "bin" / "python3")
    of_venv = executable(tmp_path / "venv" / "bin" / "python")
    found = find(tmp_path, "./server.py", "8080", **({"VIRTUAL_ENV": str(tmp_path / "venv")} if venv else {}))
    python = str(of_venv if venv else of_path)
    assert (found.file, found.argv, found.python) == (python, (python, str(place / "server.py"), "8080"), python)
    assert found.file != sys.executable


def test_a_venvs_python_is_called_by_its_own_name_not_by_what_the_link_leads_to(tmp_path: Path, place: Path) -> None:
    (place / "venv" / "bin").mkdir(parents=True)
    (place / "venv" / "bin" / "python").symlink_to(sys.executable)
    found = find(tmp_path, "venv/bin/python", "app.py")
    assert found.file == str(place / "venv" / "bin" / "python")


@pytest.mark.parametrize("line", ["", "#!/usr/bin/env python3\n"])
def test_a_version_managers_stand_in_is_known(line: str, tmp_path: Path, place: Path) -> None:
    executable(place / "app.py", f"{line}import flask\n")
    executable(tmp_path / "shims" / "python3", "#!/usr/bin/env bash\nexec pyenv exec python3\n")
    found = find(tmp_path, "app.py", PATH=f"{tmp_path}/shims:/usr/bin:/bin")
    assert found.shim == "python3"
    assert find(tmp_path, "sh").shim == ""


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("nowhere", "There is no program nowhere"),
        ("./nowhere.py", "There is no program ./nowhere.py"),
        ("./plain", "chmod +x ./plain"),
        ("plain", "chmod +x ./plain"),
        ("../here", "is a directory"),
        ("./dos", "an interpreter that is not there: /bin/sh␍"),
        ("myservre", "Did you mean myserver?"),
    ],
)
def test_what_can_not_be_executed_is_refused_with_what_to_type(
    word: str, said: str, tmp_path: Path, place: Path
) -> None:
    executable(place / "plain").chmod(0o644)
    executable(place / "dos", "#!/bin/sh\r\n")
    executable(place / "myserver")
    with pytest.raises(ProgramError) as refused:
        find(tmp_path, word)
    assert said in str(refused.value)


def test_a_missing_module_names_the_interpreter_and_comes_with_its_whole_name() -> None:
    line = b"x\nModuleNotFoundError: No module named 'flask'\n"
    assert find_program.missing_module(line[:-3], "/usr/bin/python3") is None
    said = find_program.missing_module(line, "/usr/bin/python3")
    assert said is not None
    assert "/usr/bin/python3" in said[0] and "'flask'" in said[0]
