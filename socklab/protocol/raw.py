"""The events of evidence: raw things as they lay in the kernel, and what a shell command printed of them.

In: nothing. Out: the base of all events, and these two, which `events` hands on.
"""

from __future__ import annotations

import msgspec

from socklab.protocol.rows import Reading, Want


class Event(msgspec.Struct, frozen=True, tag_field="e", omit_defaults=True, forbid_unknown_fields=False):
    """Something that happened, `t` nanoseconds after the header."""

    t: int


class Evidence(Event, frozen=True, tag="evidence"):
    """The raw things that the command Evidence asked for, as they lay there at `t`."""

    wants: tuple[Want, ...]
    """As they were asked for."""
    readings: tuple[Reading, ...] = ()
    """Those of the first want, then those of the second ..."""


class Ran(Event, frozen=True, tag="ran"):
    """What a program run by the command Look has printed. `reason`: why it was not run, or not to its end; "" = it was.

    `out` and `err` are the beginnings of what it wrote, at most 256 KiB together.
    """

    host: str
    argv: tuple[str, ...]
    code: int = 0
    """Its exit status; negative: the signal that killed it."""
    out: bytes = b""
    err: bytes = b""
    reason: str = ""
