"""The Python frames of a stopped thread, read where the interpreter itself keeps them.

In: the interpreter's image, its place in the process, and a way to read memory. Out: `Frame`s, innermost first. While
a thread is stopped its frames lie still, so nothing has to run inside the program, which is neither slowed nor
changed, and a program attached to is as open as one started here. Knows CPython 3.11, 3.12 and 3.13; for others
`pyline.py` has a tracker that runs inside. Never writes to the program.

Source: CPython Include/cpython/pystate.h, Include/internal/pycore_frame.h, pycore_interp.h, pycore_runtime.h of each
version (offsets as offsetof gives them on LP64); 3.13 publishes its own in _Py_DebugOffsets. Line table:
Objects/locations.md.
"""

from __future__ import annotations

import os
import re
import struct
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

from socklab.engine.source.elf import Image, exported
from socklab.engine.source.user_code import is_python_library
from socklab.protocol.events import Frame

SYMBOLS = frozenset({"_PyRuntime", "Py_Version", "PyCode_Type"})
MAX_FRAMES = 512
MAX_THREADS = 4096
MAX_TEXT_BYTES = 4096
MAX_TABLE_BYTES = 1 << 20
_ON_C_STACK = 3
"""owner of the frames that mark where C called the interpreter (3.12 on)."""

_RUNPY = re.compile(r"<frozen runpy>$|.*/runpy\.py$")


class Layout(NamedTuple):
    """Byte offsets in the interpreter's structures. `cframe` -1: the thread state points to the frame itself."""

    interpreters: int
    next_interpreter: int
    threads: int
    next_thread: int
    native_id: int
    cframe: int
    frame: int
    code: int
    previous: int
    instruction: int
    owner: int
    filename: int
    qualname: int
    linetable: int
    first_line: int
    bytecode: int
    ascii: int
    compact: int
    """Where the characters of an ASCII and of another compact string begin."""
    length: int = 16
    state: int = 32
    bytes_size: int = 16
    bytes_data: int = 32
    type: int = 8


LAYOUTS = {
    (3, 11): Layout(40, 0, 16, 8, 160, 56, 8, 32, 48, 56, 69, 112, 128, 136, 72, 184, 48, 72),
    (3, 12): Layout(40, 0, 72, 8, 144, 56, 0, 0, 8, 56, 70, 112, 128, 136, 68, 192, 40, 56),
}

# Where 3.13 publishes each field of Layout, in its order, as offsets into _Py_DebugOffsets; None: see below.
_PUBLISHED_3_13 = (
    40, 64, 72, 168, 200, None, 184, 240, 232, 248, 264, 280, 296, 304, 312, 344, 560, None, 552, 544, 520, 528, None,
)  # fmt: skip
_OB_TYPE_3_13 = 360


class _Code(NamedTuple):
    """A code object, decoded. `stamp` is the part of it that says whether it is still the same one."""

    stamp: bytes
    path: str
    function: str
    ends: list[int]
    lines: list[int]
    """lines[i] is the line of the code units before ends[i]."""


class _Memory:
    """The process's memory during one stop, read a page at a time. Raises ValueError where there is none."""

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        self._read = read
        self._pages: dict[int, bytes] = {}

    def bytes(self, address: int, size: int) -> bytes:
        page, offset = address & ~4095, address & 4095
        if offset + size > 4096:
            data = self._read(address, size)
        else:
            if page not in self._pages:
                self._pages[page] = self._read(page, 4096)
            data = self._pages[page][offset : offset + size]
        if len(data) < size:
            raise ValueError(f"no memory at {address:#x}")
        return data

    def word(self, address: int) -> int:
        return int.from_bytes(self.bytes(address, 8), "little")


class PythonFrames:
    """The interpreter of one process. `supported` is False for a version or build whose structures are not known."""

    def __init__(self, pid: int, image: Image, bias: int) -> None:
        self.pid = pid
        self.main = ""
        """Path of the file that runs as __main__, once known."""
        symbols = exported(image, SYMBOLS)
        self.version = (0, 0)
        offset = image.offset_of(symbols.get("Py_Version", -1))
        if offset >= 0:
            number = struct.unpack_from("<Q", image.data, offset)[0]
            self.version = number >> 24 & 0xFF, number >> 16 & 0xFF
        self._layout = LAYOUTS.get(self.version)
        self.supported = symbols.keys() >= SYMBOLS and (self._layout is not None or self.version == (3, 13))
        self._runtime = symbols.get("_PyRuntime", 0) + bias
        self._code_type = symbols.get("PyCode_Type", 0) + bias
        self._codes: dict[int, _Code] = {}
        self._threads: dict[int, int] = {}
        self._own: dict[str, bool] = {}

    def frames(self, tid: int, read: Callable[[int, int], bytes]) -> tuple[Frame, ...]:
        """The user's own frames of thread `tid`, innermost first; () where it runs none."""
        memory = _Memory(read)
        try:
            layout = self._layout = self._layout or self._published(memory)
            thread = self._thread(tid, layout, memory)
            if not thread:
                return ()
            stack = list(self._walk(thread, layout, memory))
            if not self.main:
                self._find_main(stack if tid == self.pid else None, layout, memory)
            return tuple(frame for frame in stack if self._is_own(frame.path))
        except (ValueError, struct.error):
            return ()  # the interpreter is starting or ending: there is nothing to see yet

    def _published(self, memory: _Memory) -> Layout:
        offsets = memory.bytes(self._runtime, 600)
        if offsets[:8] != b"xdebugpy":
            raise ValueError("_Py_DebugOffsets is not there yet")
        values = [struct.unpack_from("<Q", offsets, at)[0] if at is not None else 0 for at in _PUBLISHED_3_13]
        layout = Layout(*values)
        kind = struct.unpack_from("<Q", offsets, _OB_TYPE_3_13)[0]
        # A compact string that is not ASCII holds two words more: its UTF-8 length and pointer.
        return layout._replace(cframe=-1, compact=layout.ascii + 16, type=kind)

    def _thread(self, tid: int, layout: Layout, memory: _Memory) -> int:
        """Address of the thread's PyThreadState, 0 where the interpreter does not know the thread."""
        known = self._threads.get(tid, 0)
        if known and memory.word(known + layout.native_id) == tid:
            return known
        found: list[int] = []
        interpreter = memory.word(self._runtime + layout.interpreters)
        while interpreter and len(found) < MAX_THREADS:
            thread = memory.word(interpreter + layout.threads)
            while thread and len(found) < MAX_THREADS:
                found.append(thread)
                if memory.word(thread + layout.native_id) == tid:
                    self._threads[tid] = thread
                    return thread
                thread = memory.word(thread + layout.next_thread)
            interpreter = memory.word(interpreter + layout.next_interpreter)
        # Until the child of a fork has run its first Python code it goes by its parent's thread id.
        return found[0] if len(found) == 1 and tid == self.pid else 0

    def _walk(self, thread: int, layout: Layout, memory: _Memory) -> list[Frame]:
        found: list[Frame] = []
        if layout.cframe >= 0:
            frame = memory.word(memory.word(thread + layout.cframe) + layout.frame)
        else:
            frame = memory.word(thread + layout.frame)
        for _ in range(MAX_FRAMES):
            if not frame:
                break
            raw = memory.bytes(frame, 80)
            (address,) = struct.unpack_from("<Q", raw, layout.code)
            if raw[layout.owner] != _ON_C_STACK and memory.word(address + layout.type) == self._code_type:
                code = self._code(address, layout, memory)
                (instruction,) = struct.unpack_from("<Q", raw, layout.instruction)
                index = bisect_right(code.ends, (instruction - address - layout.bytecode) >> 1)
                found.append(Frame(code.path, code.lines[min(index, len(code.lines) - 1)], code.function))
            (frame,) = struct.unpack_from("<Q", raw, layout.previous)
        return found

    def _code(self, address: int, layout: Layout, memory: _Memory) -> _Code:
        stamp = memory.bytes(address + layout.first_line, layout.linetable + 8 - layout.first_line)
        known = self._codes.get(address)
        if known is not None and known.stamp == stamp:
            return known
        path = _text(memory.word(address + layout.filename), layout, memory)
        if path and not path.startswith(("/", "<")):
            try:
                path = os.path.normpath(os.path.join(os.readlink(f"/proc/{self.pid}/cwd"), path))
            except OSError:
                path = os.path.normpath(path)  # relative is better than nothing
        function = _text(memory.word(address + layout.qualname), layout, memory)
        table = memory.word(address + layout.linetable)
        size = min(memory.word(table + layout.bytes_size), MAX_TABLE_BYTES)
        first = struct.unpack_from("<i", stamp, 0)[0]
        ends, lines = decode_lines(memory.bytes(table + layout.bytes_data, size), first)
        code = self._codes[address] = _Code(stamp, path, function, ends, lines)
        return code

    # ------------------------------------------------------------ whose file it is

    def _is_own(self, path: str) -> bool:
        if path == self.main:
            return True
        own = self._own.get(path)
        if own is None:
            own = self._own[path] = not is_python_library(path)
        return own

    def _find_main(self, stack: list[Frame] | None, layout: Layout, memory: _Memory) -> None:
        """The outermost frame of the main thread is the script; behind `python -m` it stands on runpy's two."""
        if stack is None:
            thread = self._thread(self.pid, layout, memory)
            stack = self._walk(thread, layout, memory) if thread else []
        for frame in reversed(stack):
            if _RUNPY.match(frame.path):
                continue
            if frame.function == "<module>" and not frame.path.startswith("<frozen"):
                self.main = frame.path
            break


def _text(address: int, layout: Layout, memory: _Memory) -> str:
    """A str object's characters. Source: Include/cpython/unicodeobject.h (kind: bits 2-4, compact 5, ascii 6)."""
    state = memory.bytes(address + layout.state, 4)[0]
    length = min(memory.word(address + layout.length), MAX_TEXT_BYTES)
    kind = state >> 2 & 7
    if not state & 0x20 or kind not in (1, 2, 4):
        raise ValueError(f"no compact string at {address:#x}")
    raw = memory.bytes(address + (layout.ascii if state & 0x40 else layout.compact), length * kind)
    return raw.decode({1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[kind], "surrogatepass")


def decode_lines(table: bytes, first: int) -> tuple[list[int], list[int]]:
    """(ends, lines) of a co_linetable: `lines[i]` holds up to code unit `ends[i]`. Source: Objects/locations.md.

    An instruction of no line in particular is given the line before it.
    """
    ends: list[int] = []
    lines: list[int] = []
    line = shown = first
    end = position = 0
    while position < len(table):
        head = table[position]
        position += 1
        kind = head >> 3 & 15
        end += (head & 7) + 1
        if kind in (13, 14):
            delta, _ = _signed(table, position)
            line += delta
        elif 10 <= kind <= 12:
            line += kind - 10
        # Only the first byte of an entry has its top bit set.
        while position < len(table) and not table[position] & 0x80:
            position += 1
        if kind != 15:
            shown = line
        ends.append(end)
        lines.append(shown)
    return (ends, lines) if ends else ([0], [first])


def _signed(data: bytes, position: int) -> tuple[int, int]:
    """A svarint: six bits a byte, lowest first, bit 6 = more follow; the lowest bit of all is the sign."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x3F) << shift
        if not byte & 0x40:
            return (-(value >> 1) if value & 1 else value >> 1), position
        shift += 6
