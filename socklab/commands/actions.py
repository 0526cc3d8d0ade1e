"""What a student or a lesson does to clients, hosts and wire: one line of text to one typed action.

In: a line such as `connect 5` or `send a "GET / HTTP/1.0\\r\\n\\r\\n"`. Out: an Action. Never carries anything out:
the engine does.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import count
from typing import TypeAlias, get_args

import msgspec

from socklab.commands import lines, wire
from socklab.commands.table import LESSON
from socklab.core.errors import UsageError


class Connect(msgspec.Struct, frozen=True, tag="connect"):
    """`connect` (one client, next free letter), `connect 5` (five), `connect a b c` (these names)."""

    names: tuple[str, ...] = ()
    """Empty = `count` clients with the next free names: a, b, ... z, then c27, c28 ..."""
    count: int = 1


def free_names(taken: Container[str]) -> Iterator[str]:
    """Names for clients, in order, that nobody has: a, b, ... z, c27, c28 ..."""
    letters = (chr(ord("a") + number - 1) if number <= 26 else f"c{number}" for number in count(1))
    return (name for name in letters if name not in taken)


def numbered(program: str, taken: Container[str]) -> Iterator[str]:
    """Names for runs of a program that nobody has: curl, curl2, curl3 ..."""
    base = program.rpartition("/")[2] or "command"
    return (name for number in count(1) if (name := base if number == 1 else f"{base}{number}") not in taken)


class Send(msgspec.Struct, frozen=True, tag="send"):
    """`send a "GET / HTTP/1.0\\r\\n\\r\\n"`; `send "hi"` = the newest open client.

    Escapes: \\r \\n \\t \\0 \\xNN \\" \\\\.
    """

    name: str
    data: bytes


class _OfClient(msgspec.Struct, frozen=True):
    """What is done to one client."""

    name: str


class HalfClose(_OfClient, frozen=True, tag="half-close"):
    """`half-close a`: shutdown(SHUT_WR); a FIN goes out, reading goes on."""


class Close(_OfClient, frozen=True, tag="close"):
    """`close a`; for a running program of `!`: SIGTERM."""


class Reset(_OfClient, frozen=True, tag="reset"):
    """`reset a`: SO_LINGER 0 and close; an RST goes out. A running program of `!` gets SIGKILL."""


class StopReading(_OfClient, frozen=True, tag="stop-reading"):
    """`stop-reading a`: what comes stays in the kernel's receive queue."""


class Read(_OfClient, frozen=True, tag="read"):
    """`read a`: reads what has come, and all that comes from now on."""


class Run(msgspec.Struct, frozen=True, tag="!"):
    """`! curl -s http://server:8080/`: a real program where clients live; `! @server ss -ltn` on the server's host."""

    argv: tuple[str, ...]
    host: str = "client"


class Set(msgspec.Struct, frozen=True, tag="set"):
    """`set net.ipv4.tcp_syncookies 0`: a kernel setting of the lab's own hosts; `set NAME` shows it."""

    name: str
    value: str = ""
    host: str = "server"


class Wire(msgspec.Struct, frozen=True, tag="wire"):
    """A wire verb: hold, deliver, drop, delay, loss, reorder, release, with its words."""

    verb: str
    words: tuple[str, ...] = ()


Action: TypeAlias = Connect | Send | HalfClose | Close | Reset | StopReading | Read | Run | Set | Wire

_ACTIONS: dict[str, type[Action]] = {kind.__struct_config__.tag: kind for kind in get_args(Action)}
"""By the name of the command that makes it."""


def parse(line: str) -> Action:
    """The action a line stands for. An empty `name` means the newest open client.

    Raises UsageError naming the nearest verb, or what the verb expects.
    """
    verb, rest = lines.split(line)
    if not verb:
        raise UsageError("Nothing to do: the line is empty.")
    command = lines.command_of(verb, LESSON)
    fields = command.read(rest)
    if command.name in wire.VERBS:
        return Wire(verb=command.name, words=tuple(rest.split()))
    return _ACTIONS[command.name](**fields)
