"""A user's keymap: what it rebinds, and what is said of one that is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as some

from socklab.commands import keymap
from socklab.commands.keymap import read
from socklab.commands.table import COMMANDS

USUAL = {command.name: command.keys for command in COMMANDS if command.keys}


def keys_of(data: str | bytes) -> dict[str, str]:
    found = read(data if isinstance(data, bytes) else data.encode(), "keymap.toml")
    return {command.name: command.keys for command in found.commands}


def test_a_rebound_command_has_its_new_keys_and_no_other_changes() -> None:
    text = 'step = ["f8", "Space"]\ntheme = "shift+y"\nraw = []\n"!" = ["$"]'
    assert keys_of(text) == USUAL | {"step": "f8 space", "theme": "Y", "raw": "", "!": "$"}
    found = read(text.encode(), "")
    assert found.problem == ""
    assert dict(found.changed) == {"step": "f8 space", "theme": "Y", "raw": "", "!": "$"}


def test_two_commands_may_change_places() -> None:
    text = 'over = ["n"]\nnext = ["o"]'
    assert keys_of(text) == USUAL | {"over": "n", "next": "o"}
    assert read(text.encode(), "").problem == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('step = ["o"]', ["`step`", "o is the key of `over`"]),
        ('raw = ["f6"]\ntheme = ["f6"]', ["`theme`", "f6 is the key of `raw`"]),
        ('stpe = ["f6"]', ["`stpe`", 'Did you mean "step"?']),
        ('focus = ["f6"]', ["`focus`", "no command with a key"]),
        ('row = ["f6"]', ["`row`"]),
        ('step = ["sapce"]', ["`step`", 'no key "sapce"']),
        ('step = ["7"]', ["`step`", "7"]),
        ('step = ["ctrl+c"]', ["`step`", "ctrl+c"]),
        ("step = 3", ["`step`", "a list"]),
        ("step = [3]", ["`step`", "a list"]),
        ('step == "s"', ["no TOML", "line 1"]),
        ('\n[keys]\nstep = ["f6"]', ["`keys`"]),
        (b"# \xff\n", ["line 1 is not UTF-8"]),
    ],
)
def test_what_is_wrong_is_named_and_the_usual_keys_are_used(text: str | bytes, said: list[str]) -> None:
    problem = read(text if isinstance(text, bytes) else text.encode(), "/home/a/keymap.toml").problem
    assert problem.startswith("Keymap /home/a/keymap.toml: ")
    for words in said:
        assert words in problem
    now = keys_of(text)
    wrong = {name for name in USUAL if f"`{name}`:" in problem}
    assert {name: now[name] for name in wrong} == {name: USUAL[name] for name in wrong}


def test_an_entry_that_falls_back_on_a_key_given_away_takes_it_back() -> None:
    text = 'step = ["o"]\nover = ["n"]'
    assert keys_of(text) == USUAL, "n is `next`: over keeps o, so step can't have it either"
    assert len(read(text.encode(), "").problems) == 2


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n"])
def test_an_empty_keymap_changes_nothing(text: str) -> None:
    assert keys_of(text) == USUAL
    assert read(text.encode(), "").problem == ""


NAMES = some.sampled_from(sorted(USUAL))
KEYS = some.lists(some.sampled_from([*"soncpkKXHdf", "f8", "space", "ctrl+t", "7", "nonsense"]), max_size=3)


@given(some.dictionaries(NAMES, KEYS, max_size=12))
def test_whatever_is_asked_for_no_key_has_two_meanings(wanted: dict[str, list[str]]) -> None:
    text = "\n".join(f'"{name}" = {keys}' for name, keys in wanted.items())
    now = keys_of(text)
    every = [key for keys in now.values() for key in keys.split()]
    assert len(every) == len(set(every))
    assert all(now[name] in (USUAL[name], " ".join(dict.fromkeys(wanted.get(name, ())))) for name in now)


@given(some.binary(max_size=60))
def test_any_bytes_are_a_keymap_or_a_problem(data: bytes) -> None:
    assert len(read(data, "").commands) == len(USUAL)


def test_the_file_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOCKLAB_KEYMAP", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert keymap.path() == tmp_path / "socklab" / "keymap.toml"
    assert keymap.load().problem == "", "none is none"
    monkeypatch.setenv("SOCKLAB_KEYMAP", str(tmp_path / "mine.toml"))
    assert "no such file" in keymap.load().problem, "one that is named must be there"
    (tmp_path / "mine.toml").write_text('step = "f8"')
    assert dict(keymap.load().changed) == {"step": "f8"}


def test_socklab_keys_lists_them_and_names_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "keymap.toml"
    file.write_text('step = ["f8"]\ntheme = ["o"]\n')
    done = subprocess.run(
        [sys.executable, "-m", "socklab", "keys"],
        env={**os.environ, "SOCKLAB_KEYMAP": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert [line.split()[:2] for line in done.stdout.splitlines() if line.startswith(" *")] == [["*step", "f8"]]
    assert str(file) in done.stdout
    assert done.stderr.startswith(f"socklab: Keymap {file}: `theme`: o is the key of `over`.")
