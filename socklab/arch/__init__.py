"""Architectures the lab runs on or replays: one module each, named as uname(2) names the machine.

In: a machine's name, or the machine of an ELF file. Out: its `Arch`. A port is a module here, its name in `MACHINES`,
and nothing anywhere else. Never asks the machine it runs on: a recording made on one reads the same on any other.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from socklab.arch.model import Arch
from socklab.core.errors import MachineError

MACHINES = ("x86_64", "aarch64")


@cache
def find(machine: str) -> Arch | None:
    """None = an architecture nobody has entered yet."""
    if machine not in MACHINES:
        return None
    found: Arch = import_module(f"socklab.arch.{machine}").ARCH
    return found


def of(machine: str) -> Arch:
    """As `find`. Raises MachineError in plain words."""
    found = find(machine)
    if found is None:
        raise MachineError(
            f"socklab does not know the system calls of {machine or 'this machine'}.",
            fix=f"Run it on {' or '.join(MACHINES)}.",
        )
    return found


@cache
def of_elf(machine: int) -> Arch | None:
    """The architecture of an ELF file, by its e_machine."""
    return next((arch for arch in map(of, MACHINES) if arch.elf_machine == machine), None)
