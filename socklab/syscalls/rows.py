"""The table of system calls: reads the entries of `table/` and finds them by name.

An entry describes one call, or several that take a description in common:

    accept(sockfd: fd, addr: sockaddr_out(addrlen), addrlen: length) -> fd
    accept4(sockfd: fd, addr: sockaddr_out(addrlen), addrlen: length, flags: TYPE_FLAGS) -> fd
        word=accept stop=lesson topic=queues
        Take the oldest connection out of the accept queue and give it a descriptor of its own ...
        sockfd: the listener
        done: the connection is yours
        EAGAIN: no connection is waiting in the accept queue ...

First the parameters by the manual page's names, each with its kind (`kinds.py`, or a table of `constants_*.py`) and, in
parentheses, the parameter that holds its length; `_` is not shown, `...` says that the rest is not known. Behind `->`
stands the kind of the result; without it 0 means success. A line indented by eight blanks continues the one before.

Then facts, all of them optional. `word`: what the call counts as in lessons, stop conditions and errors (`read` for
recvfrom), and narrower words behind a comma (`recv`). `errors`: the call whose errors it shares, where that is not its
word. `stop`: see `groups.py`. `only=3:0x1000`: it stops only where argument 3 has one of these bits. `topic`: where its
effect shows best (descriptors, queues, sockets, processes).

Then the purpose, and notes: what a parameter is, what success means (`done`), what an error means in this call. The
first entry of a file may hold notes alone: they are those of every call in it that has none of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module

FAMILIES = ("sockets", "descriptors", "files", "polling", "processes", "system")

_PARAMETER = re.compile(r"(\w+): (\w+)(?:\(([\w, ]+)\))?")


class Parameter:
    """One parameter of a call. `refs`: positions of the parameters that its kind needs to know."""

    __slots__ = ("kind", "name", "refs")

    def __init__(self, name: str, kind: str, refs: tuple[int, ...]) -> None:
        self.name = name
        self.kind = kind
        self.refs = refs


class Row:
    """One system call: all that is known of it beside its numbers."""

    def __init__(self, prototype: str, body: str, common: dict[str, str]) -> None:
        self.name, _, rest = prototype.partition("(")
        self._inside, _, result = rest.rpartition(")")
        self.result = result.removeprefix(" -> ") or "status"
        facts, _, rest = body.partition("\n")
        self.own, self._common = (rest, common) if "=" in facts.partition(" ")[0] else (body, common)
        self._facts = dict(fact.split("=") for fact in facts.split()) if self.own is rest else {}

    @property
    def words(self) -> tuple[str, ...]:
        """What the call counts as; the first is the word that lessons count by."""
        return tuple(self._facts.get("word", self.name).split(","))

    @property
    def stop(self) -> str:
        return self._facts.get("stop", "")

    @property
    def topic(self) -> str:
        return self._facts.get("topic", "")

    @property
    def only(self) -> tuple[int, int] | None:
        """(argument, bits): the filter reports the call only where the argument has one of them. None = always."""
        place, _, mask = self._facts.get("only", "").partition(":")
        return (int(place), int(mask, 0)) if place else None

    @property
    def errors_of(self) -> tuple[str, ...]:
        """Calls whose meanings of errors hold for this one, nearest first."""
        return self.name, self._facts.get("errors", ""), self.words[0]

    @property
    def known(self) -> bool:
        """Whether all parameters are; else the call is shown by its registers."""
        return "..." not in self._inside

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        found = _PARAMETER.findall(self._inside)
        places = {name: at for at, (name, _, _) in enumerate(found)}
        return tuple(
            Parameter(name, kind, tuple(places[ref] for ref in refs.split(", ") if ref)) for name, kind, refs in found
        )

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(each.kind for each in self.parameters)

    @cached_property
    def notes(self) -> dict[str, str]:
        """What is said of parameters, of errors and of success ("done"), by name; the purpose is that of ""."""
        return self._common | notes(self.own)


def notes(text: str) -> dict[str, str]:
    """Lines of a name, a colon and a text; a line without a name is the purpose."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, said = line.strip().partition(": ")
        if colon and name.isidentifier():
            found[name] = said
        else:
            found[""] = line.strip()
    return found


def read(table: str) -> Iterator[Row]:
    """The rows of one table."""
    common: dict[str, str] = {}
    for entry in table.replace("\n        ", " ").strip().split("\n\n"):
        head, _, body = entry.partition("\n    ")
        if not head.partition("(")[0].isidentifier():
            common = notes(head)
            continue
        for prototype in head.splitlines():
            yield Row(prototype, body, common)


ROWS: dict[str, Row] = {
    row.name: row for family in FAMILIES for row in read(import_module(f"socklab.syscalls.table.{family}").CALLS)
}
"""Every call that is described, by name."""
