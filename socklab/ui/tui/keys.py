"""The keys of the screen: the rows of the command table that have one, as the user's keymap leaves them.

In: the table, the user's keymap. Out: KEYS, and the footer's line for a situation, the help page's lines. Never acts.
"""

from __future__ import annotations

from typing import TypeAlias

from rich.cells import cell_len

from socklab.commands.keymap import effective
from socklab.commands.table import COMMANDS, WIRE
from socklab.ui.view.lines import Line, Span

_LAST = ("restart", "help", "quit")
"""What the footer never leaves out, at its end."""
_STEPPING = ("step", "over", "next", "stdin", "pause")
_LESS = ("until", "close", "maximise")
"""What it leaves out first."""

_OF_A_CLIENT = ("send", "close")

KEYS = tuple(command for command in COMMANDS if command.keys)
"""Every command that has a key, with the keys of the table."""


_Entry: TypeAlias = tuple[str, str, str]
"""Key, label and action of one place in the footer."""


def bound(keys: str) -> str:
    """Keys as Textual's bindings name them. Of a capital letter some terminals say Shift and the small one."""
    names = (f"{key},shift+{key.lower()}" if len(key) == 1 and key.isupper() else key for key in keys.split())
    return ",".join("comma" if name == "," else name for name in names) or "no_key"


def rebound() -> dict[str, str]:
    """What the user's keymap changes, as Textual's own keymap wants it: bindings by id."""
    return {name: bound(keys) for name, keys in effective().changed.items()}


def footer(
    situation: str,
    width: int,
    *,
    lesson: bool = True,
    over: bool = False,
    choices: str = "",
    wire: str = "",
    several: bool = False,
    typed: bool = False,
    back: bool = False,
    clients: bool = True,
) -> tuple[Line, list[tuple[int, int, str]]]:
    """The footer in `width` cells for one situation, and where a click asks for what. `wire`: w, or wg if it keeps
    packets; what is in the hand comes first. `choices`: the letters of the open question. `several`: there is another
    process or thread to go to. `over`: the lesson is done, its next step is none. `typed`: the program waits for what
    is typed at its terminal. `back`: Esc goes back to the stage, before it is anything else. `clients`: one is there
    that can send and close.

    The keys that matter least are left out where the line is too short; help and quit always stay.
    """
    entries: list[tuple[int, _Entry]] = []
    """How soon each is left out (the highest first), in the order they are shown."""
    if situation == "q":
        leave = "back" if back else "just show me"
        asked = ((choices, "choose", ""), ("Enter", "commit", "enter"), ("Esc", leave, "escape"))
        entries += [(0, entry) for entry in asked]
    always: list[_Entry] = []
    in_hand, hold, stepping, tasks = [list[tuple[int, _Entry]]() for _ in range(4)]
    for command in effective().commands:
        if not command.face or (command.name == "next" and (over or not lesson)):
            continue
        if command.name in _OF_A_CLIENT and not clients:
            continue
        entry = (command.face, command.label, command.action)
        if command.group == WIRE and command.footer and command.footer in wire:
            (in_hand if command.footer == "g" else hold).append((3 * (command.footer == "w"), entry))
        elif command.name == "next-task" and several:
            tasks.append((3, entry))
        elif situation in command.footer or (over and "o" in command.footer) or (typed and "t" in command.footer):
            if command.name in _LAST:
                always.append(entry)
            elif command.name in _STEPPING:
                stepping.append((1, entry))
            else:
                entries.append((4 + _LESS.index(command.name) if command.name in _LESS else 2, entry))
    entries = [*in_hand, *stepping, *tasks, *hold, *entries] if situation in "hr" else [*stepping, *entries]
    room = width - 1 - sum(_cells(entry) for entry in always)
    fitting: set[_Entry] = set()
    for _, entry in sorted(entries, key=lambda ranked: ranked[0]):
        if _cells(entry) > room:
            break
        fitting.add(entry)
        room -= _cells(entry)
    chosen = [entry for _, entry in entries if entry in fitting]
    spans: list[Span] = [(" ", "")]
    hot: list[tuple[int, int, str]] = []
    x = 1
    for face, label, action in [*chosen, *always]:
        spans += [(face, "key"), (f" {label}  ", "dim")]
        size = _cells((face, label, action))
        if action:
            hot.append((x, x + size - 1, action))
        x += size
    return tuple(spans), hot


def _cells(entry: _Entry) -> int:
    return cell_len(entry[0]) + cell_len(entry[1]) + 3


def help_lines() -> list[Line]:
    """The help page: commands by group, each with its keys, or as it is typed."""
    keys = {command.name: command.faces for command in effective().commands}
    lines: list[Line] = []
    group = ""
    for command in COMMANDS:
        if command.group != group:
            group = command.group
            lines += [(), (("  " + group, "title"),)] if lines else [(("  " + group, "title"),)]
        shown = keys.get(command.name) or (f":{command.name}" if command.where else "")
        lines.append(((f"  {shown:>13}", "key"), ("  ", ""), (command.help, "")))
    return lines
