"""The keys of the screen: the rows of the command table that have one, as the user's keymap leaves them.

In: the table, the user's keymap. Out: KEYS, and the footer's line for a situation, the help page's lines. Never acts.
"""

from __future__ import annotations

from typing import TypeAlias

from rich.cells import cell_len

from socklab.commands.keymap import effective
from socklab.commands.table import COMMANDS, WIRE
from socklab.ui.tui.widgets.lines import Line, Span

_LAST = ("restart", "help", "quit")
"""What the footer never leaves out, at its end."""

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
) -> tuple[Line, list[tuple[int, int, str]]]:
    """The footer in `width` cells for one situation, and where a click asks for what. `wire`: w, or wg if it keeps
    packets; what is in the hand comes first. `choices`: the letters of the open question. `several`: there is another
    process or thread to go to. `over`: the lesson is done, its next step is none.

    The keys that matter least are left out where the line is too short; help and quit always stay.
    """
    entries: list[_Entry] = []
    if situation == "q":
        entries += [(choices, "choose", ""), ("Enter", "commit", "enter"), ("Esc", "just show me", "escape")]
    always, in_hand, hold, tasks = [list[_Entry]() for _ in range(4)]
    for command in effective().commands:
        if not command.face:
            continue
        entry = (command.face, command.label, command.action)
        if command.group == WIRE and command.footer and command.footer in wire:
            (in_hand if command.footer == "g" else hold).append(entry)
        elif command.name == "next-task" and several:
            tasks.append(entry)
        elif command.name == "next" and (over or not lesson):
            continue
        elif situation in command.footer or (over and "o" in command.footer):
            (always if command.name in _LAST else entries).append(entry)
    if situation in "hr":
        stepping = 3 - over if situation == "h" else 1
        entries = [*in_hand, *entries[:stepping], *tasks, *hold, *entries[stepping:]]
    room = width - 1 - sum(_cells(entry) for entry in always)
    chosen: list[_Entry] = []
    for entry in entries:
        if _cells(entry) > room:
            break
        chosen.append(entry)
        room -= _cells(entry)
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
