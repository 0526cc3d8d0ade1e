"""The parts of a piece of evidence: what is asked for, what was read, its fields, the commands that show the same.

In: nothing. Out: frozen values. Never reads, never draws; text in them is visible already (core.text.safe).
"""

from __future__ import annotations

import shlex
from typing import TypeAlias

import msgspec

from socklab.core.text import safe
from socklab.protocol.rows import Want

Line: TypeAlias = tuple[tuple[str, str], ...]
"""Spans of text with the role each has (see docs/panel-howto.md): number and string are what the panel shows."""


Row: TypeAlias = tuple[str, int] | None
"""The row chosen in a panel, by the panel's own key; None: none is."""

RECORDED = "the row in the lab's own record"
"""Where a Block is from that is shown of an earlier stop only: of now the kernel is asked."""


class Field(msgspec.Struct, frozen=True):
    """One field of a raw thing: its name, its text there, and what that says. `shown`: the panel shows it."""

    name: str
    raw: str
    meaning: str = ""
    shown: bool = False


class Block(msgspec.Struct, frozen=True):
    """One raw thing: where it was read, the text or the bytes as they lie there, the fields they are made of."""

    where: str
    text: tuple[Line, ...] = ()
    brief: tuple[Line, ...] = ()
    """The text without what no panel shows, where all of it is long; () = `text`."""
    data: bytes = b""
    """Bytes, to be shown as a hexadecimal dump."""
    fields: tuple[Field, ...] = ()
    note: str = ""
    dull: bool = False
    """The panel shows nothing of it: it is left out where not all is wanted."""


class Shell(msgspec.Struct, frozen=True):
    """A command that shows the same. `stdin`: what it reads there, under the name `file`."""

    argv: tuple[str, ...]
    host: str = "server"
    stdin: bytes = b""
    file: str = ""
    elsewhere: str = ""
    """Why it can't be run by the lab; "" = it can."""

    @property
    def text(self) -> str:
        """As one types it."""
        return safe(shlex.join(self.argv)) + (f" < {self.file}" if self.file else "")


class Subject(msgspec.Struct, frozen=True):
    """What evidence is wanted of: `wants` is read by the engine, `recorded` came with the stream."""

    title: str
    wants: tuple[Want, ...] = ()
    recorded: tuple[Block, ...] = ()
    shells: tuple[Shell, ...] = ()
    shown: frozenset[str] = frozenset()
    """The fields that the panel shows, by the names of `decode`; counters by the kernel's."""
    notes: dict[str, str] = {}
    """What the panel says of a field: a counter's rise since the lab began."""
