"""What a consumer may ask of the engine. A command is one line of JSON with its tag in "c"; bytes are base64.

In: nothing. Out: typed commands and their lines. Never carries one out.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from socklab.protocol.rows import Want


class Command(msgspec.Struct, frozen=True, tag_field="c", omit_defaults=True, kw_only=True):
    """A request to the engine, which answers it with exactly one event Done that repeats its `id`."""

    id: int = 0
    """Chosen by the consumer, different for each command; Link.send counts from 1. 0 = the sender does not ask."""


class Step(Command, frozen=True, tag="step"):
    """Let the held task run to its next stop; `over` = not to the return of this call but to the next enter stop."""

    tid: int = 0
    """0 = the task in focus: the one held last."""
    over: bool = False


class Continue(Command, frozen=True, tag="continue"):
    """Run until the condition holds: "" = free, "step" = the next lesson step, else a stop condition ("accept")."""

    until: str = ""


class Pause(Command, frozen=True, tag="pause"):
    """Hold every running task as soon as the kernel allows."""


class Others(Command, frozen=True, tag="others"):
    """What the other tasks do while one is stepped: `run` on, recorded and never held, or (the default of a run) stop
    each at its own next call."""

    run: bool
    tid: int = 0
    """The one that is stepped; 0 = the one held last."""


class Do(Command, frozen=True, tag="do"):
    """A client or wire action, one verb line: see socklab.commands.actions."""

    line: str


class Answer(Command, frozen=True, tag="answer"):
    """The student commits to a choice of the open question; null = show it without a guess."""

    choice: int | str | bool | None = None


class Evidence(Command, frozen=True, tag="evidence"):
    """Read these raw things now: what panels are drawn from. Answered by one event Evidence."""

    wants: tuple[Want, ...]


class Look(Command, frozen=True, tag="look"):
    """Run a program that shows the same, as the user, on this host, `stdin` as its standard input.

    Answered by one event Ran when it has ended; it gets ten seconds, and another Look ends it.
    """

    argv: tuple[str, ...]
    host: str = "server"
    stdin: bytes = b""


class Focus(Command, frozen=True, tag="focus"):
    tid: int


class Input(Command, frozen=True, tag="input"):
    """Bytes for the program's standard input."""

    data: bytes


class Quit(Command, frozen=True, tag="quit"):
    """End the lab: every process it started, every port, every file."""


WAITS_FOR_THE_ANSWER = (Step, Continue, Others, Do, Evidence, Look, Input)
"""Commands that are refused while a question is open: what they do or show may be its answer, or change it."""

AnyCommand: TypeAlias = Step | Continue | Pause | Others | Do | Answer | Evidence | Look | Focus | Input | Quit


_command_decoder = msgspec.json.Decoder(AnyCommand)


class _Id(msgspec.Struct):
    id: int = 0


def id_of(line: bytes | str) -> int:
    """The id of a line that is no command, so that it can be refused by name; 0 = it has none that can be read."""
    try:
        return msgspec.json.decode(line, type=_Id).id
    except (msgspec.ValidationError, msgspec.DecodeError):
        return 0


def decode_command(line: bytes | str) -> AnyCommand:
    """Raises msgspec.ValidationError or msgspec.DecodeError."""
    command: AnyCommand = _command_decoder.decode(line)
    return command
