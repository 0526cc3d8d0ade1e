"""The address space of a process: which file's text is mapped where, and the files themselves.

In: a process id. Out: `Module`s by address, each with its `Binary`, opened when first asked for and shared by all
processes that map the same file. Never reads the process's memory.

Source: proc_pid_maps(5).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from socklab.engine.source.cfi import Unwinder
from socklab.engine.source.elf import Image
from socklab.engine.source.user_code import is_library
from socklab.host.processes import living_task

if TYPE_CHECKING:
    from socklab.engine.source.dwarf import LineTable

_INSTALLED = ("/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/usr/lib", "/lib", "/snap/")


class Binary:
    """One ELF file: how to unwind it, and its lines. Shared by all processes that map it."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.unwinder = Unwinder(image)

    @cached_property
    def lines(self) -> LineTable:
        from socklab.engine.source.dwarf import LineTable

        return LineTable(self.image)


_binaries: dict[tuple[int, int, int, int], Binary | None] = {}


def open_binary(path: str) -> Binary | None:
    """The file at `path`, read once for as long as it stays the same; None where it is gone or no ELF file."""
    try:
        status = os.stat(path)
        key = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        if key not in _binaries:
            _binaries[key] = None
            _binaries[key] = Binary(Image(path))
        return _binaries[key]
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class Module:
    """A stretch of a process's address space that holds text of a file, which is opened when first asked for."""

    start: int
    end: int
    offset: int
    """In the file."""
    name: str
    place: str
    """Path to open the file by."""
    own: bool
    """The program itself or a library of the user's: worth looking for lines in."""
    installed: bool
    """Comes from one of the system's folders of programs."""

    @cached_property
    def binary(self) -> Binary | None:
        return open_binary(self.place)

    @cached_property
    def bias(self) -> int:
        """Address in the process minus address in the file."""
        return self.start - self.binary.image.vaddr_of(self.offset) if self.binary else 0


class AddressSpace:
    """The text of one process, as /proc/PID/maps lists it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.modules: list[Module] = []
        self.main: Binary | None = None
        """The program itself; None where it cannot be read."""
        self.program = ""
        """Its path, as the kernel knows it."""
        self._starts: list[int] = []

    def find(self, address: int) -> Module | None:
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self.modules[index].end:
            return None
        return self.modules[index]

    def has_lines(self) -> bool:
        """Whether any of the user's own files has line information."""
        return any(module.binary and not module.binary.lines.reason for module in self.modules if module.own)

    def refresh(self) -> None:
        """Reads the map anew: libraries come and go while a program runs."""
        self.modules, self._starts = [], []
        task = living_task(self.pid)
        try:
            with open(f"/proc/{task}/maps", encoding="utf-8", errors="surrogateescape") as file:
                lines = file.readlines()
            program = self.program = os.readlink(f"/proc/{task}/exe")
        except OSError:
            return  # the process is gone, or not ours to look into: there are no modules
        self.main = open_binary(f"/proc/{task}/exe")
        for line in lines:
            fields = line.rstrip("\n").split(None, 5)
            if len(fields) < 6 or "x" not in fields[1] or not fields[5].startswith("/"):
                continue
            path = fields[5]
            start, end = (int(half, 16) for half in fields[0].split("-"))
            own = path == program or not is_library(path)
            # /proc/PID/exe opens the program even where its path is gone or another namespace's.
            place = f"/proc/{task}/exe" if path == program else path
            self.modules.append(
                Module(start, end, int(fields[2], 16), os.path.basename(path), place, own, path.startswith(_INSTALLED))
            )
        self.modules.sort(key=lambda module: module.start)
        self._starts = [module.start for module in self.modules]
