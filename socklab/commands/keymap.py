"""A user's own keys: keymap.toml in the config directory, laid over the keys of the table.

In: the file's bytes. Out: the keys of every command that has an action, and what was wrong with the file. What is
wrong is left out and the table's own keys are used for it; nothing raises.

    step = ["s", "space", "f8"]
    theme = []                      # no key at all
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from socklab.commands.table import COMMANDS, Command
from socklab.core.suggest import suggest
from socklab.core.text import safe

FIXED = frozenset("0123456789") | {
    "up", "down", "pageup", "pagedown", "enter", "escape", "ctrl+c", "ctrl+z", "ctrl+p", "ctrl+i", "ctrl+m",
}  # fmt: skip
"""Keys that are no command's: panels and answers, scrolling, commit and leave; the application's own. A terminal sends
Tab for ctrl+i and Enter for ctrl+m."""

_KEY = (
    r"(?:(?:ctrl|alt|shift)\+)*"
    r"(?:\S|space|tab|enter|escape|up|down|left|right|home|end|pageup|pagedown|insert|delete|backspace|f[1-9][0-9]?)"
)
_ROWS = {row.name: row for row in COMMANDS if row.keys}


class Keymap(msgspec.Struct, frozen=True):
    """The keys in force."""

    commands: tuple[Command, ...] = tuple(_ROWS.values())
    """The rows of the table that have an action of the screen, each with its keys now ("" = none)."""
    changed: Mapping[str, str] = {}
    """Keys by command, where they are not the table's."""
    path: str = ""
    """The file, whether there is one or not."""
    problems: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """What is wrong with the file, in one message; "" = nothing."""
        said = "; ".join(self.problems)
        return f"Keymap {safe(self.path)}: {said}. The usual keys are used there." if said else ""


def path() -> Path:
    """Where the keymap is: SOCKLAB_KEYMAP, or the user's config directory."""
    if named := os.environ.get("SOCKLAB_KEYMAP"):
        return Path(named).expanduser()
    from platformdirs import user_config_path

    return user_config_path("socklab") / "keymap.toml"


def load() -> Keymap:
    """The user's keymap. One that can't be read is a problem of it; none at all is none."""
    file = path()
    try:
        return read(file.read_bytes(), str(file))
    except FileNotFoundError:
        missing = ("there is no such file",) if os.environ.get("SOCKLAB_KEYMAP") else ()
        return Keymap(path=str(file), problems=missing)
    except OSError as error:
        return Keymap(path=str(file), problems=(f"it can't be read: {error.strerror}",))


@cache
def effective() -> Keymap:
    """The keymap of this process, read once."""
    return load()


def face(name: str) -> str:
    """The key of a command now, as it is printed; `:name` where it has none; other words stand for themselves."""
    if name not in _ROWS:
        return name
    return next((command.face for command in effective().commands if command.name == name), "") or f":{name}"


def said(text: str) -> str:
    """A sentence of ours, with the key of every command that is named in backquotes: "`quit` quits" is "q quits"."""
    return re.sub("`([^`]+)`", lambda found: face(found[1]) if found[1] in _ROWS else found[0], text)


def read(data: bytes, path: str) -> Keymap:
    """The keymap of a file's bytes."""
    import tomllib  # only who has a keymap needs it

    try:
        entries = tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Keymap(path=path, problems=(f"line {line} is not UTF-8",))
    except tomllib.TOMLDecodeError as error:
        return Keymap(path=path, problems=(f"no TOML: {safe(str(error))}",))
    problems: list[str] = []
    wanted: dict[str, str] = {}
    for name, value in entries.items():
        why = _wrong(name, value)
        if why:
            problems.append(f"`{safe(name)}`: {why}")
        else:
            wanted[name] = " ".join(dict.fromkeys(_canonical(key) for key in _listed(value)))
    while dispute := _dispute(wanted):
        name, key, other = dispute
        problems.append(f"`{name}`: {key} is the key of `{other}`")
        del wanted[name]  # its usual keys may be another's by now: until nothing is in dispute
    commands = tuple(msgspec.structs.replace(row, keys=wanted.get(name, row.keys)) for name, row in _ROWS.items())
    changed = {name: keys for name, keys in wanted.items() if keys != _ROWS[name].keys}
    return Keymap(commands, changed, path, tuple(problems))


def _wrong(name: str, value: object) -> str:
    """Why an entry can't be used, apart from other entries; "" = it can."""
    if name not in _ROWS or name == "row":
        return f"no command with a key. {suggest(name, _ROWS, listed=0)}".strip().rstrip(".")
    keys = _listed(value)
    if not all(isinstance(key, str) for key in keys):
        return f'its keys are a list, such as {name} = ["f8"]'
    for key in map(_canonical, keys):
        if not re.fullmatch(_KEY, key):
            return f'no key "{safe(key)}": a letter, a sign, or such as space, f8, ctrl+t'
        if key in FIXED:
            return f"the meaning of {key} is fixed"
    return ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _canonical(key: str) -> str:
    """K for shift+k, as terminals say it; names in small letters."""
    key = key if len(key) == 1 else key.lower()
    return key[-1].upper() if re.fullmatch(r"shift\+[a-z]", key) else key


def _dispute(wanted: Mapping[str, str]) -> tuple[str, str, str] | None:
    """A command that asks for a key that is another's: (command, key, the other one)."""
    owner: dict[str, str] = {}
    for name in sorted(_ROWS, key=wanted.__contains__):  # who keeps its usual keys comes first
        for key in wanted.get(name, _ROWS[name].keys).split():
            if owner.setdefault(key, name) != name:
                return name, key, owner[key]
    return None
