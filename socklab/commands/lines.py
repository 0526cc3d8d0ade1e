"""A line typed at a prompt or written in a lesson: what it asks for, how it goes on, how it is used.

In: one line of text, and where it was typed. Out: a command for the engine, or something the consumer does itself.
Never sends, never acts.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from socklab.commands.arguments import Known
from socklab.commands.table import COMMANDS, LESSON, SCREEN, Command
from socklab.core.errors import UsageError
from socklab.core.suggest import suggest
from socklab.core.text import safe
from socklab.protocol import commands as cmd

_BY_WORD = {word: command for command in COMMANDS for word in command.words}


class Own(msgspec.Struct, frozen=True):
    """Something the consumer does itself: show, help, theme ... Nothing the engine is asked for."""

    name: str
    """The command's."""
    argument: str = ""


Request: TypeAlias = cmd.AnyCommand | Own


def split(line: str) -> tuple[str, str]:
    """The verb and what stands behind it. `!` needs no blank."""
    line = line.strip()
    if line.startswith("!"):
        return "!", line[1:].strip()
    verb, _, rest = line.partition(" ")
    return verb, rest.strip()


def command_of(verb: str, where: str) -> Command:
    """Raises UsageError: no such verb, with the nearest one, or it makes no sense here."""
    command = _BY_WORD.get(verb)
    if command is None:
        known = [word for row in COMMANDS for word in row.words if where in row.where]
        fix = suggest(verb, known, listed=40 if where == LESSON else 0)
        help_ = "" if where == LESSON else "`help` lists them."
        raise UsageError(f'No verb "{safe(verb)}".', fix=f"{fix} {help_}".strip())
    if where not in command.where:
        only = f"{verb}: only {' and '.join(command.where)}."
        raise UsageError(only if command.where else f"{verb} is a key of the screen, {command.face}, and no verb.")
    return command


def parse(line: str, where: str) -> Request:
    """What a line asks for. Raises UsageError: the nearest verb, or what the verb expects."""
    verb, rest = split(line)
    command = command_of(verb, where)
    fields = command.read(rest, verb)
    if command.makes is not None:
        return command.makes(**fields)
    if LESSON in command.where:
        return cmd.Do(line=line.strip())  # the engine reads it again; here it only must be in order
    return Own(command.name, **fields)


def completions(line: str, known: Known, where: str = SCREEN) -> list[str]:
    """Lines that `line` may be meant to become: verbs first, then what their arguments offer."""
    verb, blank, rest = line.partition(" ")
    if not blank:
        return [f"{row.name} " for row in COMMANDS if where in row.where and row.name.startswith(verb)]
    command = _BY_WORD.get(verb)
    if command is None or where not in command.where:
        return []
    *before, last = rest.split(" ")
    words: list[str] = []
    for place, argument in enumerate(command.arguments):
        words += argument.offers(before, last, known)
        if not argument.usage.startswith("[") and len(before) <= place:
            break  # it must be there before anything else may come
    start = line[: len(line) - len(last)]
    return [start + word for word in dict.fromkeys(words) if word.casefold().startswith(last.casefold())]


def hint(line: str, where: str = SCREEN) -> str:
    """How the verb that is being typed is used."""
    verb = split(line)[0]
    command = _BY_WORD.get(verb)
    found = [row for row in COMMANDS if where in row.where and verb and row.name.startswith(verb)]
    if command is None and len(found) == 1:
        command = found[0]
    if command is not None and where in command.where:
        return f"{command.usage}   {command.help}"
    return "  ".join([row.name for row in found] or ["connect 5", 'send a "hi"', "until accept", "! curl ..."])
