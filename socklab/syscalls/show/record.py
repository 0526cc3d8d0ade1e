"""Structs member by member.

In: the layout of a C struct, written as one line, and the bytes of one. Out: a Shown that spells it as strace does,
with a Field for each member, so that a screen can colour the real bytes. Total over any bytes of the layout's size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from struct import calcsize, unpack_from
from typing import Any

from socklab.syscalls.call import Field, Shown


def hex_text(value: int) -> str:
    """As C's %#x: 0 has no prefix."""
    return hex(value) if value else "0"


class Layout:
    """A struct: `name:code` for each member in order, codes as the struct module has them, `_` for padding.

    `texts` says how a member is spelled where that is not its number; one of a code such as 16s gets bytes.
    """

    def __init__(self, members: str, **texts: Callable[[Any], str]) -> None:
        self._members: dict[str, tuple[int, str]] = {}
        self._texts = texts
        self.size = 0
        for word in members.split():
            name, _, code = word.partition(":")
            if name != "_":
                self._members[name] = (self.size, "<" + code)
            self.size += calcsize("<" + code)

    def values(self, raw: bytes) -> dict[str, Any]:
        """Each member's number (or bytes) by name."""
        return {name: unpack_from(code, raw, at)[0] for name, (at, code) in self._members.items()}

    def spelled(self, raw: bytes, names: Iterable[str] = ()) -> dict[str, str]:
        """Each member's text by name; `names`: only those, in that order."""
        values = self.values(raw)
        return {name: self._texts.get(name, str)(values[name]) for name in names or self._members}

    def show(self, raw: bytes, names: Iterable[str] = (), meaning: str = "", text: str = "") -> Shown:
        """The struct. `names`: the members that count, in strace's order; `text`: a short form for people."""
        spelled = self.spelled(raw, names)
        strace = "{" + ", ".join(f"{name}={said}" for name, said in spelled.items()) + "}"
        places = sorted((*self._members[name], name) for name in spelled)
        fields = tuple(Field(name, at, calcsize(code), spelled[name]) for at, code, name in places)
        return Shown(text or strace, meaning, raw[: self.size], fields, strace)
