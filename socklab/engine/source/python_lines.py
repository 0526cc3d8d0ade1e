"""The user's own Python frames of a stopped thread, as the line tracker inside the program noted them.

In: a process id, a thread id and a way to read memory. Out: `Frame`s, innermost first. The tracker
(`tracker/sitecustomize.py`, which describes the mapping) runs in the traced program only; nothing here imports it.
Never writes to the program.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from socklab.protocol.events import Frame

TRACKER = Path(__file__).parent / "tracker"
MAGIC = b"SOCKLABP"
VERSION = 1
MAPPING_BYTES = 303104
"""Size of the tracker's mapping, by which it is found among the process's shared anonymous ones."""

_HEADER_BYTES = 44
_MAX_RECORD_BYTES = 1 << 20
_KEEP_OUT = {
    "I": "Python runs isolated (-I)",
    "E": "Python ignores its environment (-E)",
    "S": "Python runs without site (-S)",
}
NOT_LOADED = "no Python line: the line tracker is not loaded (yet)"


def python_env(environ: Mapping[str, str]) -> dict[str, str]:
    """What to add to the environment of a program so that any Python it runs, and its children, are tracked."""
    folder = str(TRACKER)
    if os.pathsep in folder:
        return {}  # PYTHONPATH cannot name such a folder
    before = environ.get("PYTHONPATH", "")
    parts = [part for part in before.split(os.pathsep) if part != folder] if before else []
    return {"PYTHONPATH": os.pathsep.join([folder, *parts])}


def why_untracked(argv: list[str]) -> str:
    """Why Python, started with `argv`, cannot load the tracker: an option that keeps it out; else ""."""
    for position, argument in enumerate(argv[1:], 1):
        if argv[position - 1] in ("-W", "-X"):
            continue  # the value of the option before it
        if not argument.startswith("-") or argument == "-" or argument.startswith("--"):
            return ""
        for letter in argument[1:]:
            if letter in _KEEP_OUT:
                return f"no Python line: {_KEEP_OUT[letter]}, which keeps the line tracker out"
            if letter in "cmWX":  # the rest of the argument, or the next one, is its value
                break
        if argument[1:2] in ("c", "m"):
            return ""
    return ""


class PythonLines:
    """The tracker's mapping of one process, once it is there. `reason` says why there are no frames, or is ""."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.reason = ""
        self._is_python: bool | None = None
        self._base = 0
        self._slots_at = self._slots = self._slot_bytes = self._records_at = 0
        self._slot_of: dict[int, int] = {}
        self._records: list[tuple[str, str]] = []
        self._records_read = 0

    def frames(self, tid: int, read: Callable[[int, int], bytes]) -> tuple[Frame, ...] | None:
        """Frames of thread `tid`, innermost first; None where this is no tracked Python."""
        self.reason = ""
        if self._is_python is None:
            self._is_python = self._looks_like_python()
        if not self._is_python or not self._attached(read):
            return None
        slot = self._slot(tid, read)
        depth, low = struct.unpack_from("<II", slot, 4) if slot else (0, 0)
        ring = (len(slot) - 16) // 8
        found = []
        for index in range(depth, max(low, depth - ring + 1) - 1, -1):
            record, line = struct.unpack_from("<II", slot, 16 + (index - 1) % ring * 8)
            path, function = self._record(record, read)
            if path and line:
                found.append(Frame(path, line, function))
        return tuple(found)

    def _looks_like_python(self) -> bool:
        try:
            name = os.path.basename(os.readlink(f"/proc/{self.pid}/exe"))
        except OSError:
            return False
        return name.startswith(("python", "pypy"))

    def _attached(self, read: Callable[[int, int], bytes]) -> bool:
        if self._base and self._header(self._base, read):
            return True
        self._base = 0
        for address in self._candidates():
            if self._header(address, read):
                self._base = address
                self._slot_of.clear()
                self._records.clear()
                self._records_read = 0
                return True
        self.reason = self._why() or NOT_LOADED
        return False

    def _header(self, address: int, read: Callable[[int, int], bytes]) -> bool:
        """Whether the mapping is the tracker's and this process's own. A fork's child first sees its parent's."""
        header = read(address, _HEADER_BYTES)
        if len(header) < _HEADER_BYTES or header[:8] != MAGIC:
            return False
        fields = struct.unpack_from("<9I", header, 8)
        version, pid, self._slots, words, self._slots_at, _, _, _, self._records_at = fields
        self._slot_bytes = words * 4
        return bool(version == VERSION and pid == self.pid)

    def _candidates(self) -> list[int]:
        found = []
        try:
            with open(f"/proc/{self.pid}/maps", "rb") as file:
                for line in file:
                    if b"/dev/zero (deleted)" in line:
                        start, end = (int(half, 16) for half in line.split(b" ", 1)[0].split(b"-"))
                        if end - start == MAPPING_BYTES:
                            found.append(start)
        except OSError:
            return []  # the process is gone
        return found

    def _why(self) -> str:
        try:
            argv = Path(f"/proc/{self.pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            return ""
        return why_untracked(argv)

    def _slot(self, tid: int, read: Callable[[int, int], bytes]) -> bytes:
        """The slot of a thread, b"" where it has none (it has not run a line of the user's)."""
        size, start = self._slot_bytes, self._base + self._slots_at
        if tid in self._slot_of:
            slot = read(start + self._slot_of[tid] * size, size)
            if len(slot) == size and int.from_bytes(slot[:4], "little") == tid:
                return slot
            del self._slot_of[tid]
        table = read(start, self._slots * size)
        for index in range(len(table) // size):
            if int.from_bytes(table[index * size : index * size + 4], "little") == tid:
                self._slot_of[tid] = index
                return table[index * size : (index + 1) * size]
        return b""

    def _record(self, number: int, read: Callable[[int, int], bytes]) -> tuple[str, str]:
        """(path, function) of a code record; records are only ever added, so those read stay right."""
        if number >= len(self._records):
            used = int.from_bytes(read(self._base + 36, 4), "little")
            size = min(used - self._records_read, _MAX_RECORD_BYTES)
            if size > 0:
                raw = read(self._base + self._records_at + self._records_read, size)
                whole = raw[: raw.rfind(b"\0") + 1]
                self._records_read += len(whole)
                for record in whole.split(b"\0")[:-1]:
                    path, _, function = record.partition(b"\x1f")
                    self._records.append((path.decode("utf-8", "surrogateescape"), function.decode("utf-8", "replace")))
        return self._records[number] if number < len(self._records) else ("", "")
