"""A line typed at the plain prompt, as what it asks for; and the answer to a question.

In: one line of text, and whether a question is open. Out: a command for the engine, or a request the consumer answers
itself. Never sends, never prints.
"""

from __future__ import annotations

import textwrap
from typing import TypeAlias

from socklab.commands import lines
from socklab.commands.table import COMMANDS, PLAIN, Command
from socklab.core.errors import UsageError
from socklab.core.text import safe
from socklab.lesson import Predict, Value, shown
from socklab.protocol import commands as cmd


class Show(str):
    """A request for the whole of one kind."""


class Capture(str):
    """A file to write the packets so far to."""


class Why(str):
    """A question where something came from."""


class Help(str):
    """The list of commands, or how one of them is used."""


class Evidence(str):
    """A request for the raw thing that a panel's facts were read from; "run 2": for a command that shows the same."""


class Accept(str):
    """A request to let the server accept: "" = one, "every 2", or "stop"."""


class Restart(str):
    """A request to end the run and start it anew, and to run on to the step of this number; "" = to none."""


class Language(str):
    """A request for the lesson's server in this language; "" = in the other one."""


Request: TypeAlias = cmd.AnyCommand | Show | Why | Help | Restart | Language | Capture | Evidence | Accept


def _summary(command: Command) -> str:
    words = ", ".join(sorted(command.words, key=len)) + (", Enter" if command.name == "step" else "")
    return textwrap.fill(command.help, 79, initial_indent=f"{words:20}", subsequent_indent=" " * 20)


def _usage(command: Command) -> str:
    examples = f"For example: {command.examples}." if command.examples else ""
    return "\n".join(filter(None, (command.usage, command.help, textwrap.fill(examples, 79))))


HELP = "\n".join(_summary(command) for command in COMMANDS if PLAIN in command.where)


def parse(line: str) -> Request:
    """What a line asks for; an empty one, a step. Raises UsageError naming the nearest word."""
    request = lines.parse(line.strip() or "step", PLAIN)
    if not isinstance(request, lines.Own):
        return request
    if request.name == "show":
        return Show(request.argument)
    if request.name == "why":
        return Why(request.argument)
    if request.name == "accept":
        return Accept(request.argument)
    if request.name == "pcap":
        return Capture(request.argument)
    if request.name == "raw":
        return Evidence(request.argument)
    if request.name == "restart":
        return Restart(request.argument)
    if request.name == "language":
        return Language(request.argument)
    return Help(_usage(lines.command_of(request.argument, PLAIN)) if request.argument else HELP)


def choice_list(predict: Predict) -> list[str]:
    """The choices, each with its letter: one line of short ones, else a line each."""
    choices = [f"{letter}. {shown(choice)}" for letter, choice in zip(predict.letters, predict.choices, strict=True)]
    line = "Choices:  " + "  ".join(choices)
    return [line] if len(line) < 80 else [f"  {choice}" for choice in choices]


def parse_answer(line: str, predict: Predict) -> Value | None:
    """The choice a line stands for, by what it says or by its letter; None for `show`. Raises UsageError."""
    text = line.strip().casefold()
    if text == "show":
        return None
    for choice in predict.choices:
        if text == shown(choice).casefold():
            return choice
    if len(text) == 1 and text in predict.letters:
        return predict.choices[predict.letters.index(text)]
    raise UsageError(
        f'"{safe(line.strip())}" is not one of the choices.',
        fix=f"Type a letter, {predict.letters[0]} to {predict.letters[-1]}, or the choice; `show` shows the answer.",
    )
