"""The stack of a compiled program, walked from the registers of a stop to the outermost frame.

In: registers, and a way to read the stopped task's memory. Out: `Frame`s of the user's own files, innermost first. The
compiler's own unwind rules (`cfi.py`) lead from frame to frame: stale return addresses left on the stack cannot
mislead them. Where there is no rule, or it needs a register that is not known, the caller is looked for. Never writes.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from socklab import arch
from socklab.arch.model import Arch
from socklab.engine.source import cfi_program as cfi
from socklab.engine.source.addresses import AddressSpace, Module
from socklab.engine.source.cfi_program import Rule
from socklab.engine.source.elf import Image
from socklab.engine.source.memory import Read, StoppedMemory
from socklab.protocol.events import Frame

MAX_FRAMES = 64
MAX_SCAN_BYTES = 16384
MAX_FRAME_BYTES = 8 << 20
_ADDRESS = 0x0000_FFFF_FFFF_FFFF
"""Return addresses on aarch64 can carry a signature in their upper bits (pointer authentication)."""


class _Site(NamedTuple):
    """All that is known of one code address, kept because servers stop at the same few places again and again."""

    frames: tuple[Frame, ...]
    rule: Rule | None
    bias: int
    arch: Arch


class NativeStack:
    """The walks of one process. What is known of a code address is kept until `forget`."""

    def __init__(self, space: AddressSpace) -> None:
        self._space = space
        self._sites: dict[tuple[int, bool], _Site | None] = {}
        self.innermost = (0, False)
        """The code address of the innermost frame of the last walk, and whether it is a return address."""
        self._refreshed = False
        """Whether the map was read anew in this walk: once is enough, text may be made at run time and have no file."""

    def forget(self) -> None:
        self._sites.clear()

    def frames(self, sp: int, ip: int, read: Read, fp: int, lr: int) -> tuple[Frame, ...]:
        if not self._space.has_lines():
            return ()
        self._refreshed = False
        memory = StoppedMemory(read)
        found: list[Frame] = []
        pc, returned = ip, False
        try:
            for _ in range(MAX_FRAMES):
                site = self._site(pc, returned)
                if site is not None and site.frames:
                    if not found:
                        self.innermost = pc, returned
                    found.extend(site.frames)
                rule = site.rule if site is not None else None
                if site is None or rule is None or (rule.cfa_register == site.arch.dwarf.fp and not fp):
                    step = self._guess(memory, sp, fp if returned else 0, site)
                    if step is None:
                        break
                    pc, sp, fp = step[0], step[1], step[2] or fp if not rule else step[2]
                    returned = True
                    continue
                known = {site.arch.dwarf.sp: sp}
                if fp:
                    known[site.arch.dwarf.fp] = fp
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

    def address(self, pc: int, returned: bool) -> tuple[Module, int] | None:
        """The file that a code address is of, and the address in it whose line is shown: of the call, not behind it."""
        module = self._space.find(pc)
        if module is None or module.binary is None:
            return None
        vaddr = pc - module.bias
        if returned:
            return module, vaddr - 1
        machine = arch.of_elf(module.binary.image.machine)
        return module, vaddr - (_after_syscall(module.binary.image, machine, vaddr) if machine is not None else 0)

    def _guess(self, memory: StoppedMemory, sp: int, fp: int, site: _Site | None) -> tuple[int, int, int] | None:
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

    def _called_from(self, address: int, callee: int, memory: StoppedMemory) -> int:
        """Whether the instruction before `address` is a call: 2 = of `callee` (or of anything, where callee is 0),
        1 = through a register, of who knows what, 0 = no, or not in the user's own text.

        """
        module = self._space.find(address)
        if module is None or not module.own or module.binary is None:
            return 0
        image = module.binary.image
        machine = arch.of_elf(image.machine)
        offset = image.offset_of(address - module.bias)
        if machine is None or offset < 8 or not image.is_text(address - module.bias):
            return 0
        return machine.called(image.data[offset - 7 : offset], address, callee, memory.word)

    def _site(self, pc: int, returned: bool) -> _Site | None:
        """`returned`: pc is a return address, so the call is the instruction before it."""
        key = (pc, returned)
        if key in self._sites:
            return self._sites[key]
        module = self._space.find(pc)
        if module is None and pc and not self._refreshed:
            self._refreshed = True
            self._space.refresh()  # a library loaded since the map was read
            module = self._space.find(pc)
        site = None
        machine = arch.of_elf(module.binary.image.machine) if module is not None and module.binary is not None else None
        if module is not None and module.binary is not None and machine is not None:
            vaddr = pc - module.bias - (1 if returned else 0)
            place = vaddr - _after_syscall(module.binary.image, machine, vaddr) if not returned else vaddr
            frames = module.binary.lines.frames(place) if module.own else ()
            if module.installed:
                # What a package ships is the user's own only where its source is at hand.
                frames = tuple(frame for frame in frames if os.path.exists(frame.path))
            site = _Site(frames, module.binary.unwinder.rule(vaddr), module.bias, machine)
        if site is not None or module is not None:
            self._sites[key] = site
        return site


def _saved_frame_pointer(memory: StoppedMemory, address: int, site: _Site | None) -> int:
    """The caller's frame pointer, if the function whose return address is at `address` put it on the stack; else 0."""
    if site is None or site.rule is None:
        return 0
    kind, value = site.rule.fp
    return memory.word(address + 8 + value) if kind == cfi.AT_OFFSET and isinstance(value, int) else 0


def _after_syscall(image: Image, machine: Arch, vaddr: int) -> int:
    """1 where the instruction just before `vaddr` is the system call itself, which is then what the task is at."""
    offset = image.offset_of(vaddr)
    code = machine.syscall_instruction
    return int(offset >= len(code) and image.data[offset - len(code) : offset] == code)


def _saved(rule: tuple[int, int | bytes], cfa: int, known: dict[int, int], memory: StoppedMemory) -> int:
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
