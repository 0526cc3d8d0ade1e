"""System call numbers by name and names by number, for each architecture the lab runs on or replays.

In: an architecture as uname names it, a name or a number. Out: the other one. Never asks the machine: a recording
made on one architecture reads the same on any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from socklab import arch as machines
from socklab.arch import MACHINES

ARCHITECTURES = MACHINES


@cache
def names_by_number(arch: str) -> dict[int, str]:
    """The whole table of `arch`; empty for an architecture nobody has entered yet."""
    known = machines.find(arch)
    table: dict[int, str] = {}
    at = 0
    for word in known.calls.split() if known is not None else ():
        if word.endswith(":"):
            at = int(word[:-1])
        else:
            table[at] = word
            at += 1
    return table


@cache
def numbers_by_name(arch: str) -> dict[str, int]:
    """The same table the other way round."""
    return {name: nr for nr, name in names_by_number(arch).items()}


def number(arch: str, name: str) -> int | None:
    """The number of `name`, or None where the architecture has no such call (aarch64 has no `open`)."""
    return numbers_by_name(arch).get(name)


def name(arch: str, nr: int) -> str:
    """The name of call `nr`; "syscall_NNN" when the table has none."""
    return names_by_number(arch).get(nr) or f"syscall_{nr}"


def numbers(arch: str, names: Iterable[str]) -> tuple[int, ...]:
    """Numbers of those `names` that exist on `arch`, ascending."""
    table = numbers_by_name(arch)
    return tuple(sorted(table[each] for each in set(names) if each in table))
