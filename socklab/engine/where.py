"""Where in the user's own source a stopped task is: the frames of its stack, innermost first.

In: the registers of a stop and a way to read the task's memory. Out: `Frame`s of the user's own files and the text of
those files. For compiled programs the stack is walked by the compiler's own unwind rules (`cfi.py`), which stale
return addresses left on the stack cannot mislead; a scan for return addresses is the fallback where rules are
missing. Python's frames are read from the interpreter (`pyframes.py`), or where its version is not known, from the
line tracker's record (`pyline.py`). Never touches ptrace, never stops anything.

Source: proc_pid_maps(5); System V ABI x86-64, 3.2.2 The Stack Frame.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from socklab import events
from socklab.engine import cfi, pyline
from socklab.engine.cfi import Rule, Unwinder
from socklab.engine.elf import AARCH64, X86_64, Image
from socklab.engine.pyframes import PythonFrames
from socklab.engine.pyline import PythonLines
from socklab.events import Frame

if TYPE_CHECKING:
    from socklab.engine.dwarf import LineTable

Read = Callable[[int, int], bytes]
"""`read(addr, size)`: memory of the stopped task; shorter than asked where it ends."""

MAX_FRAMES = 64
MAX_SCAN_BYTES = 16384
MAX_FRAME_BYTES = 8 << 20
MAX_SOURCE_BYTES = 1 << 20
_CHUNK = 4096
_ADDRESS = 0x0000_FFFF_FFFF_FFFF
"""Return addresses on aarch64 can carry a signature in their upper bits (pointer authentication)."""

NO_FRAME = "no line of yours is on the stack"
NO_PYTHON_FRAME = "no Python line of yours is running in this thread"
NOT_READ = "the program's memory map cannot be read"

_INSTALLED = ("/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/usr/lib", "/lib", "/snap/")
_INTERPRETER = re.compile(r"python3?(\.\d+)?t?$|libpython3\.\d+t?\.so")

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


def preload() -> None:
    """Imports what reading debug information needs, ahead of the first stop. Takes tens of milliseconds once."""
    import elftools.dwarf.dwarfinfo
    import elftools.elf.elffile  # noqa: F401


class Binary:
    """One ELF file: how to unwind it, and its lines. Shared by all processes that map it."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.unwinder = Unwinder(image)
        self._lines: LineTable | None = None

    @property
    def lines(self) -> LineTable:
        if self._lines is None:
            from socklab.engine.dwarf import LineTable

            self._lines = LineTable(self.image)
        return self._lines


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


class Module:
    """A stretch of a process's address space that holds text of a file, which is opened when first asked for."""

    def __init__(self, start: int, end: int, offset: int, path: str, own: bool, installed: bool) -> None:
        self.start = start
        self.end = end
        self.path = path
        self.own = own
        """The program itself or a library of the user's: worth looking for lines in."""
        self.installed = installed
        """Comes from one of the system's folders of programs."""
        self._offset = offset

    @cached_property
    def binary(self) -> Binary | None:
        return open_binary(self.path)

    @cached_property
    def bias(self) -> int:
        """Address in the process minus address in the file."""
        return self.start - self.binary.image.vaddr_of(self._offset) if self.binary else 0


class _Site(NamedTuple):
    """All that is known of one code address, kept because servers stop at the same few places again and again."""

    frames: tuple[Frame, ...]
    rule: Rule | None
    bias: int
    registers: cfi.Registers


class _Memory:
    """Words of the stack, read in chunks upward from where they are first needed."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self._base = 0
        self._data = b""

    def word(self, address: int) -> int:
        """Raises ValueError where the memory cannot be read."""
        offset = address - self._base
        if not 0 <= offset <= len(self._data) - 8:
            self._base, offset = address, 0
            self._data = self.read(address, _CHUNK)
            if len(self._data) < 8:
                raise ValueError(f"no memory at {address:#x}")
        word: int = struct.unpack_from("<Q", self._data, offset)[0]
        return word


class Where:
    """The source positions of one process. Make a new one after exec; fork needs one for the child.

    `reason` says in words why the last `stack` was empty, or is "".
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.reason = ""
        self._modules: list[Module] | None = None
        self._starts: list[int] = []
        self._main: Binary | None = None
        self._sites: dict[tuple[int, bool], _Site | None] = {}
        self._interpreter: PythonFrames | None = None
        self._tracker = PythonLines(pid)

    def stack(self, tid: int, sp: int, ip: int, read: Read, fp: int = 0, lr: int = 0) -> tuple[Frame, ...]:
        """The user's own frames of a stopped task, innermost first; () = none, and `reason` says why.

        sp, ip, fp: stack pointer, instruction pointer and frame pointer (rbp, x29) at the stop; without `fp` (0)
        frames built on it are recognised by their call instructions. lr: the link register, aarch64 only.
        """
        self.reason = ""
        if self._modules is None or self._find(ip) is None:
            self._read_map()
        if self._interpreter is not None:
            frames = self._interpreter.frames(tid, read)
            self.reason = "" if frames else NO_PYTHON_FRAME
            return frames
        tracked = self._tracker.frames(tid, read)
        if tracked is not None:
            self.reason = "" if tracked else NO_PYTHON_FRAME
            return tracked
        frames = self._native(sp, ip, read, fp, lr)
        if not frames:
            self.reason = self._tracker.reason or (self._main.lines.reason if self._main else NOT_READ) or NO_FRAME
        return frames

    def source(self, path: str) -> events.Source | None:
        """As the function `source`."""
        return source(path)

    # ------------------------------------------------------------ the map

    def _find(self, address: int) -> Module | None:
        index = bisect_right(self._starts, address) - 1
        if self._modules is None or index < 0 or address >= self._modules[index].end:
            return None
        return self._modules[index]

    def _read_map(self) -> None:
        self._modules, self._starts = [], []
        self._sites.clear()
        try:
            with open(f"/proc/{self.pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
                lines = file.readlines()
            program = os.readlink(f"/proc/{self.pid}/exe")
        except OSError:
            return  # the process is gone, or not ours to look into: there are no modules
        self._main = open_binary(f"/proc/{self.pid}/exe")
        from socklab.engine.dwarf import is_library

        for line in lines:
            fields = line.rstrip("\n").split(None, 5)
            if len(fields) < 6 or "x" not in fields[1] or not fields[5].startswith("/"):
                continue
            path = fields[5]
            start, end = (int(half, 16) for half in fields[0].split("-"))
            own = path == program or not is_library(path)
            # /proc/PID/exe opens the program even where its path is gone or another namespace's.
            place = f"/proc/{self.pid}/exe" if path == program else path
            self._modules.append(Module(start, end, int(fields[2], 16), place, own, path.startswith(_INSTALLED)))
            if self._interpreter is None and _INTERPRETER.match(os.path.basename(path)):
                self._find_interpreter(self._modules[-1])
        self._modules.sort(key=lambda module: module.start)
        self._starts = [module.start for module in self._modules]

    def _find_interpreter(self, module: Module) -> None:
        if module.binary is not None:
            interpreter = PythonFrames(self.pid, module.binary.image, module.bias)
            if interpreter.supported:
                self._interpreter = interpreter

    def _site(self, pc: int, returned: bool) -> _Site | None:
        """`returned`: pc is a return address, so the call is the instruction before it."""
        key = (pc, returned)
        if key in self._sites:
            return self._sites[key]
        module = self._find(pc)
        site = None
        if module is not None and module.binary is not None:
            image = module.binary.image
            vaddr = pc - module.bias - (1 if returned else 0)
            place = vaddr - _after_syscall(image, vaddr) if not returned else vaddr
            frames = module.binary.lines.frames(place) if module.own else ()
            if module.installed:
                # What a package ships is the user's own only where its source is at hand.
                frames = tuple(frame for frame in frames if os.path.exists(frame.path))
            registers = cfi.REGISTERS.get(image.machine, cfi.REGISTERS[X86_64])
            site = _Site(frames, module.binary.unwinder.rule(vaddr), module.bias, registers)
        self._sites[key] = site
        return site

    # ------------------------------------------------------------ the walk

    def _native(self, sp: int, ip: int, read: Read, fp: int, lr: int) -> tuple[Frame, ...]:
        if not any(module.binary and not module.binary.lines.reason for module in self._modules or () if module.own):
            return ()
        memory = _Memory(read)
        found: list[Frame] = []
        pc, returned = ip, False
        try:
            for _ in range(MAX_FRAMES):
                site = self._site(pc, returned)
                if site is not None:
                    found.extend(site.frames)
                rule = site.rule if site is not None else None
                if site is None or rule is None or (rule.cfa_register == site.registers.fp and not fp):
                    step = self._guess(memory, sp, fp if returned else 0, site)
                    if step is None:
                        break
                    pc, sp, fp = step[0], step[1], step[2] or fp if not rule else step[2]
                    returned = True
                    continue
                known = {site.registers.sp: sp}
                if fp:
                    known[site.registers.fp] = fp
                if rule.cfa_register >= 0:
                    cfa = known[rule.cfa_register] + rule.cfa_offset
                else:
                    cfa = cfi.evaluate(rule.cfa_expression, known, memory.word)
                if rule.ra[0] == cfi.SAME:
                    if returned or not lr:
                        break
                    pc = lr & _ADDRESS
                else:
                    pc = _saved(rule.ra, cfa, known, memory) & _ADDRESS
                if rule.fp[0] == cfi.UNDEFINED:
                    fp = 0
                elif rule.fp[0] != cfi.SAME:
                    fp = _saved(rule.fp, cfa, known, memory)
                if not pc or (cfa < sp and not rule.signal):
                    break
                sp, returned = cfa, not rule.signal
        except (KeyError, ValueError, IndexError):
            return tuple(found)  # memory or a register that cannot be had: what was found so far is right
        return tuple(found)

    def _guess(self, memory: _Memory, sp: int, fp: int, site: _Site | None) -> tuple[int, int, int] | None:
        """(return address, stack pointer behind it, frame pointer or 0) of the caller, without an unwind rule.

        Code built with frame pointers keeps the caller's and the return address side by side. Otherwise the stack is
        searched upward for an address in the user's text behind a call instruction; where the function called is
        known, it must be a call of that very function, which a stale address hardly ever is.
        """
        if (
            site is not None
            and site.rule is None
            and fp >= sp > 0
            and self._called_from(memory.word(fp + 8), 0, memory)
        ):
            return memory.word(fp + 8), fp + 16, memory.word(fp)
        callee = site.rule.start + site.bias if site is not None and site.rule is not None else 0
        likely: tuple[int, int, int] | None = None
        for address in range(sp + 7 & ~7, sp + MAX_SCAN_BYTES, 8):
            try:
                word = memory.word(address) & _ADDRESS
                strength = self._called_from(word, callee, memory)
                if not strength or (strength < 2 and likely):
                    continue
                saved = _saved_frame_pointer(memory, address, site)
            except ValueError:
                break  # the end of the stack
            if strength == 2:
                return word, address + 8, saved
            # The caller's frame lies further up the stack, and so must its frame pointer point.
            if not callee or address < saved < address + MAX_FRAME_BYTES:
                likely = word, address + 8, saved
        return likely

    def _called_from(self, address: int, callee: int, memory: _Memory) -> int:
        """Whether the instruction before `address` is a call: 2 = of `callee` (or of anything, where callee is 0),
        1 = through a register, of who knows what, 0 = no, or not in the user's own text.

        Source: Intel SDM, CALL: E8 rel32, FF /2; Arm ARM, BL and BLR.
        """
        module = self._find(address)
        if module is None or not module.own or module.binary is None:
            return 0
        image = module.binary.image
        offset = image.offset_of(address - module.bias)
        if offset < 8 or not image.is_text(address - module.bias):
            return 0
        before = image.data[offset - 7 : offset]
        if image.machine == AARCH64:
            code = int.from_bytes(before[3:], "little")
            if code & 0xFC000000 == 0x94000000:
                words = code & 0x03FFFFFF
                target = address - 4 + 4 * (words - (1 << 26) if words & 1 << 25 else words)
                return 2 if callee in (0, target) else 0
            return int(code & 0xFFFFFC1F == 0xD63F0000)
        relative = address + int.from_bytes(before[3:], "little", signed=True)
        if before[2] == 0xE8 and callee in (0, relative):
            return 2
        if before[1:3] == b"\xff\x15":  # through a word at a fixed place: the global offset table
            return 2 if callee in (0, _Memory(memory.read).word(relative)) else 0
        return int(any(before[-size] == 0xFF and before[1 - size] & 0x38 == 0x10 for size in (2, 3, 6, 7)))


def _saved_frame_pointer(memory: _Memory, address: int, site: _Site | None) -> int:
    """The caller's frame pointer, if the function whose return address is at `address` put it on the stack; else 0."""
    if site is None or site.rule is None:
        return 0
    kind, value = site.rule.fp
    return memory.word(address + 8 + value) if kind == cfi.AT_OFFSET and isinstance(value, int) else 0


def _after_syscall(image: Image, vaddr: int) -> int:
    """1 where the instruction just before `vaddr` is the system call itself, which is then what the task is at."""
    offset = image.offset_of(vaddr)
    if offset < 4:
        return 0
    if image.machine == AARCH64:
        return int(image.data[offset - 4 : offset] == b"\x01\x00\x00\xd4")
    return int(image.data[offset - 2 : offset] == b"\x0f\x05")


def _saved(rule: tuple[int, int | bytes], cfa: int, known: dict[int, int], memory: _Memory) -> int:
    """A register of the caller by its rule. Raises KeyError or ValueError where it cannot be had."""
    kind, value = rule
    if kind == cfi.AT_OFFSET and isinstance(value, int):
        return memory.word(cfa + value)
    if kind == cfi.IS_OFFSET and isinstance(value, int):
        return cfa + value
    if isinstance(value, bytes):
        result = cfi.evaluate(value, known, memory.word, cfa)
        return memory.word(result) if kind == cfi.AT_EXPRESSION else result
    raise ValueError("the register's value is lost")


def python_env(environ: dict[str, str]) -> dict[str, str]:
    """As `pyline.python_env`."""
    return pyline.python_env(environ)
