"""The source positions of a stopped task: the frames of its stack in the user's own files, innermost first.

In: the registers of a stop and a way to read the task's memory. Out: `Frame`s of the user's own files and the text of
those files. The stack of a compiled program is walked (`native_stack.py`, `dwarf.py`); Python's frames are read from
the interpreter (`python_frames.py`). Never touches ptrace, never stops anything.
"""

from __future__ import annotations

import os
import re
import stat

from socklab.engine.source.addresses import AddressSpace
from socklab.engine.source.elf import exported
from socklab.engine.source.memory import Read
from socklab.engine.source.native_stack import NativeStack
from socklab.engine.source.python_frames import Places, PythonFrames
from socklab.engine.source.python_layouts import NOT_READABLE
from socklab.host.processes import living_task
from socklab.protocol import events
from socklab.protocol.events import Frame

MAX_SOURCE_BYTES = 1 << 20

NO_FRAME = "no line of yours is on the stack"
NO_PYTHON_FRAME = "no Python line of yours is running in this thread"
NOT_READ = "the program's memory map cannot be read"

_PYTHON = re.compile(r"(python|pypy)[\d.]*[a-z]*(-[a-z]+)?$|lib(python[23]|pypy)[\w.-]*\.so")
"""Files that are an interpreter, or have one in them: python3.7m, pypy3.10-c, libpython3.11.so.1.0."""
_EXPORTED_BY_PYTHON = frozenset({"Py_Main", "rpython_startup_code"})
"""By an interpreter that is linked into a program of any name."""
_DELETED = " (deleted)"
"""So the kernel marks a file whose path is gone: an interpreter that was upgraded meanwhile."""

LANGUAGES = {
    ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp", ".hpp": "cpp", ".hh": "cpp",
    ".rs": "rust", ".go": "go", ".py": "python", ".pyw": "python", ".s": "asm", ".S": "asm",
}  # fmt: skip


def source(path: str) -> events.Source | None:
    """The text of a source file, at most 1 MiB of it, or None where there is none to show. Never raises."""
    try:
        # O_NONBLOCK: opening a FIFO that a program names as its source must not block the lab.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        raw = os.pread(descriptor, MAX_SOURCE_BYTES, 0)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    language = LANGUAGES.get(os.path.splitext(path)[1], "")
    if not language and raw.startswith(b"#!") and b"python" in raw.split(b"\n", 1)[0]:
        language = "python"
    return events.Source(0, path, language, raw.decode("utf-8", "replace"))


class Where:
    """The source positions of one process. Make a new one after exec; fork needs one for the child.

    `reason` says in words why the last `stack` was empty, or is "".
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.reason = ""
        self._space = AddressSpace(pid)
        self._native = NativeStack(self._space)
        self._interpreter: PythonFrames | None = None
        self._is_python = False

    def stack(self, tid: int, sp: int, ip: int, read: Read, fp: int = 0, lr: int = 0) -> tuple[Frame, ...]:
        """The user's own frames of a stopped task, innermost first; () = none, and `reason` says why.

        sp, ip, fp: stack pointer, instruction pointer and frame pointer (rbp, x29) at the stop; without `fp` (0)
        frames built on it are recognised by their call instructions. lr: the link register, aarch64 only.
        """
        self.reason = ""
        if self._space.find(ip) is None:
            self._space.refresh()
            self._native.forget()
            self._find_interpreter()
        if self._interpreter is not None:
            frames = self._interpreter.frames(tid, read)
            self.reason = "" if frames else self._interpreter.reason or NO_PYTHON_FRAME
            return frames
        if self._is_python:
            self.reason = NOT_READABLE
            return ()  # the lines of the interpreter's own source would not be the user's
        frames = self._native.frames(sp, ip, read, fp, lr)
        if not frames:
            program = self._space.main
            self.reason = (program.lines.reason if program else NOT_READ) or NO_FRAME
        return frames

    def evidence(self, tid: int, sp: int, ip: int, read: Read, fp: int = 0, lr: int = 0) -> tuple[events.Reading, ...]:
        """What the innermost frame was found by: the line of the map that its address is in, and that address; of
        Python the interpreter's own objects."""
        frames = self.stack(tid, sp, ip, read, fp, lr)
        if not frames:
            return (events.Reading("frame", reason=self.reason),)
        if self._interpreter is not None:
            found: Places = []
            self._interpreter.frames(tid, read, found)
            frame, at, code, position = next(each for each in found if each[0] in frames)
            version = ".".join(map(str, self._interpreter.version))
            facts = {"interpreter": f"CPython {version}", "frame": hex(at), "code": hex(code), "byte": str(position)}
            return (_facts(frame, facts),)
        pc, returned = self._native.innermost
        place = self._native.address(pc, returned)
        if place is None:
            return (_facts(frames[0], {"address": hex(pc)}),)
        module, address = place
        file = self._space.program if module.place.startswith("/proc/") else module.place
        facts = {"address": hex(pc), "is": "return address" if returned else "instruction", "file": file}
        return _map_line(self.pid, pc), _facts(frames[0], {**facts, "file_address": hex(address)})

    def _find_interpreter(self) -> None:
        program, modules = self._space.program, self._space.modules
        names = [os.path.basename(program), *(module.name for module in modules)]
        self._is_python = any(_PYTHON.match(name.removesuffix(_DELETED)) for name in names) or self._exports_python()
        for module in modules if self._is_python else ():
            main = module.name == names[0]
            if self._interpreter is None and (main or _PYTHON.match(module.name)) and module.binary is not None:
                interpreter = PythonFrames(self.pid, module.binary.image, module.bias)
                if not interpreter.reason:
                    self._interpreter = interpreter

    def _exports_python(self) -> bool:
        main = self._space.main
        return main is not None and bool(exported(main.image, _EXPORTED_BY_PYTHON))


def _facts(frame: Frame, facts: dict[str, str]) -> events.Reading:
    told = {"source": frame.path, "line": str(frame.line), "function": frame.function, **facts}
    # One fact a line, whatever a file is called.
    text = "\n".join(f"{name}={value.replace(chr(10), '?')}" for name, value in told.items() if value)
    return events.Reading("frame", text.encode("utf-8", "surrogateescape"))


def _map_line(pid: int, address: int) -> events.Reading:
    """The line of /proc/PID/maps that has this address."""
    path = f"/proc/{living_task(pid)}/maps"
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                start, _, end = line.partition(b" ")[0].partition(b"-")
                if int(start, 16) <= address < int(end, 16):
                    return events.Reading(path, line.rstrip(b"\n"), line=number)
    except (OSError, ValueError) as error:
        return events.Reading(path, reason=str(error))
    return events.Reading(path, reason="no line has the address")
