"""The Python frames of a stopped thread, read where the interpreter itself keeps them.

In: the interpreter's image, its place in the process, and a way to read memory. Out: `Frame`s, innermost first. While
a thread is stopped its frames lie still, so nothing has to run inside the program, which is neither slowed nor
changed, and a program attached to is as open as one started here. Which versions are known says `python_layouts.py`.
Never writes to the program; memory that makes no sense gives no frames.
"""

from __future__ import annotations

import os
import re
import struct
from bisect import bisect_right
from typing import NamedTuple, TypeAlias

from socklab.engine.source import python_layouts, python_line_tables
from socklab.engine.source.elf import Image
from socklab.engine.source.memory import Read, StoppedMemory
from socklab.engine.source.python_layouts import Layout
from socklab.engine.source.user_code import is_python_library
from socklab.host.processes import living_task
from socklab.protocol.events import Frame

MAX_FRAMES = 512
MAX_THREADS = 4096
MAX_INTERPRETERS = 64
MAX_TEXT_BYTES = 4096
MAX_TABLE_BYTES = 1 << 20
MAX_LINE = 1 << 31
_ON_C_STACK = 3
"""From this owner on a frame marks where C called the interpreter (3.12 on)."""
_PTHREAD_BYTES = 768
"""So much of the C library's thread structure is searched for the kernel's thread id."""

_RUNPY = re.compile(r"<frozen runpy>$|.*/runpy\.py$")


class _Code(NamedTuple):
    """A code object, decoded. `stamp` is the part of it that says whether it is still the same one."""

    stamp: bytes
    path: str
    function: str
    ends: list[int]
    lines: list[int]
    """lines[i] is the line of the instructions before byte ends[i]."""


Places: TypeAlias = list[tuple[Frame, int, int, int]]
"""Frames, each with the addresses of the interpreter's own frame and code objects, and the byte of code it is at."""


class PythonFrames:
    """The interpreter of one process. `reason` says why its frames can't be read at all, or is empty."""

    def __init__(self, pid: int, image: Image, bias: int) -> None:
        self.pid = pid
        self.main = ""
        """Path of the file that runs as __main__, once known."""
        symbols = python_layouts.interpreter_symbols(image)
        self.version = python_layouts.version_of(image, symbols)
        self._layout = python_layouts.LAYOUTS.get(self.version)
        known = self._layout is not None or self.version in python_layouts.PUBLISHING
        self.reason = "" if known and "_PyRuntime" in symbols else python_layouts.NOT_READABLE
        self._runtime = symbols.get("_PyRuntime", 0) + bias
        self._code_type = symbols.get("PyCode_Type", 0) + bias
        self._codes: dict[int, _Code] = {}
        self._threads: dict[int, int] = {}
        self._pthread_tid = -1
        """Where the C library's thread structure holds the kernel's thread id; -1 = not found yet."""
        self._own: dict[str, bool] = {}

    def frames(self, tid: int, read: Read, found_at: Places | None = None) -> tuple[Frame, ...]:
        """The user's own frames of thread `tid`, innermost first; () where it runs none. `found_at` gets the place of
        every frame, of libraries too."""
        memory = StoppedMemory(read)
        try:
            layout = self._layout or self._published(memory)
            thread = self._thread(tid, layout, memory) if layout is not None else 0
            if not thread or layout is None:
                return ()
            stack = self._walk(thread, layout, memory, found_at)
            if not self.main:
                self._find_main(stack if tid == self.pid else None, layout, memory)
            return tuple(frame for frame in stack if self._is_own(frame.path))
        except (ValueError, struct.error):
            return ()  # the interpreter is starting or ending: there is nothing to see yet

    def _published(self, memory: StoppedMemory) -> Layout | None:
        table = memory.bytes(self._runtime, python_layouts.DEBUG_OFFSETS_BYTES)
        layout = python_layouts.published(self.version, table)
        if isinstance(layout, str):
            self.reason = layout
            return None
        self._layout = layout
        return layout

    # ------------------------------------------------------------ which thread it is

    def _thread(self, tid: int, layout: Layout, memory: StoppedMemory) -> int:
        """Address of the thread's PyThreadState, 0 where the interpreter does not know the thread."""
        known = self._threads.get(tid, 0)
        if known and self._native_id(known, layout, memory) == tid:
            return known
        found: list[int] = []
        for interpreter in memory.chain(self._runtime + layout.interpreters, layout.next_interpreter, MAX_INTERPRETERS):
            for thread in memory.chain(interpreter + layout.threads, layout.next_thread, MAX_THREADS):
                found.append(thread)
                if len(found) > MAX_THREADS:
                    return 0
                if self._native_id(thread, layout, memory) == tid:
                    self._threads[tid] = thread
                    return thread
        # Until the child of a fork has run its first Python code it goes by its parent's thread id.
        return found[0] if len(found) == 1 and tid == self.pid else 0

    def _native_id(self, thread: int, layout: Layout, memory: StoppedMemory) -> int:
        """The kernel's id of a thread; before 3.11 the C library's own structure has it, the thread_id's target."""
        if layout.native_id >= 0:
            return memory.word(thread + layout.native_id)
        if self._pthread_tid < 0:
            # Where in it differs from library to library: there where the main thread has the process's id.
            main = memory.bytes(memory.word(self._runtime + layout.main_thread), _PTHREAD_BYTES)
            ids = struct.unpack(f"<{_PTHREAD_BYTES // 4}I", main)
            self._pthread_tid = 4 * ids.index(self.pid)  # ValueError: it has not begun yet
        return int.from_bytes(memory.bytes(memory.word(thread + layout.thread_id) + self._pthread_tid, 4), "little")

    # ------------------------------------------------------------ its frames

    def _walk(self, thread: int, layout: Layout, memory: StoppedMemory, found_at: Places | None = None) -> list[Frame]:
        found: list[Frame] = []
        holder = memory.word(thread + layout.cframe) if layout.cframe >= 0 else thread
        for frame in memory.chain(holder + layout.frame, layout.previous, MAX_FRAMES):
            if layout.owner >= 0 and memory.bytes(frame + layout.owner, 1)[0] >= _ON_C_STACK:
                continue
            address = memory.word(frame + layout.code) & ~3  # from 3.14 on its lowest bits are a tag
            if memory.word(address + layout.type) != self._code_type:
                continue
            code = self._code(address, layout, memory)
            if layout.bytecode >= 0:
                position = memory.word(frame + layout.instruction) - address - layout.bytecode
            else:
                position = struct.unpack("<i", memory.bytes(frame + layout.instruction, 4))[0]
                position *= 2 if self.version == (3, 10) else 1  # the number of an instruction, before of a byte
            line = code.lines[min(bisect_right(code.ends, position), len(code.lines) - 1)]
            found.append(Frame(code.path, line if 0 < line < MAX_LINE else 0, code.function))
            if found_at is not None:
                found_at.append((found[-1], frame, address, position))
        return found

    def _code(self, address: int, layout: Layout, memory: StoppedMemory) -> _Code:
        stamp = memory.bytes(address + layout.first_line, layout.line_table + 8 - layout.first_line)
        known = self._codes.get(address)
        if known is not None and known.stamp == stamp:
            return known
        path = _text(memory.word(address + layout.filename), layout, memory)
        if path and not path.startswith(("/", "<")):
            try:
                path = os.path.normpath(os.path.join(os.readlink(f"/proc/{living_task(self.pid)}/cwd"), path))
            except OSError:
                path = os.path.normpath(path)  # relative is better than nothing
        function = _text(memory.word(address + layout.function), layout, memory)
        table = memory.word(address + layout.line_table)
        size = min(memory.word(table + layout.bytes_size), MAX_TABLE_BYTES)
        first = struct.unpack_from("<i", stamp, 0)[0]
        ends, lines = python_line_tables.decode(memory.bytes(table + layout.bytes_data, size), first, self.version)
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

    def _find_main(self, stack: list[Frame] | None, layout: Layout, memory: StoppedMemory) -> None:
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


def _text(address: int, layout: Layout, memory: StoppedMemory) -> str:
    """A str object's characters. Source: Include/cpython/unicodeobject.h (kind: bits 2-4, compact 5, ascii 6)."""
    state = memory.bytes(address + layout.state, 4)[0]
    length = min(memory.word(address + layout.length), MAX_TEXT_BYTES)
    kind = state >> 2 & 7
    if not state & 0x20 or kind not in (1, 2, 4):
        raise ValueError(f"no compact string at {address:#x}")
    raw = memory.bytes(address + (layout.ascii if state & 0x40 else layout.compact), length * kind)
    text = raw.decode({1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[kind], "surrogatepass")
    # Bytes of a file name that are no UTF-8 stand as lone surrogates, which no event can carry.
    return text.encode("utf-8", "replace").decode()
