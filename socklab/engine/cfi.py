"""How to get from a frame to its caller's: the call frame information that compilers leave for exceptions.

In: an ELF `Image` and a link-time address. Out: a `Rule`: where the caller's stack pointer, frame pointer and return
address are. Nearly every program has it, stripped or not, because .eh_frame is loaded with the text. Only the three
registers that a walk needs are followed. Never reads a process; `where.py` applies the rule.

Source: DWARF 5, 6.4 Call Frame Information; Linux Standard Base, Exception Frames (.eh_frame, .eh_frame_hdr).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

from socklab.engine.elf import AARCH64, X86_64, Image, section_data, sections

MAX_ENTRIES = 300_000


class Registers(NamedTuple):
    """DWARF numbers of the registers that matter, from each architecture's psABI."""

    fp: int
    sp: int
    ra: int


REGISTERS = {X86_64: Registers(fp=6, sp=7, ra=16), AARCH64: Registers(fp=29, sp=31, ra=30)}

SAME, AT_OFFSET, AT_EXPRESSION, IS_OFFSET, IS_EXPRESSION, UNDEFINED = range(6)


class Rule(NamedTuple):
    """The caller's registers, as seen from one address.

    The canonical frame address (the caller's stack pointer) is register `cfa_register` + `cfa_offset`, or the value
    of `cfa_expression`. `fp` and `ra` are (kind, offset or expression): SAME register as in this frame, saved
    AT_OFFSET from the CFA, ...; `ra` UNDEFINED = the outermost frame.
    """

    start: int
    """First address of the function."""
    cfa_register: int
    cfa_offset: int
    cfa_expression: bytes
    fp: tuple[int, int | bytes]
    ra: tuple[int, int | bytes]
    signal: bool
    """A signal trampoline: the caller was interrupted, so its address is no return address."""


class _Common(NamedTuple):
    code_factor: int
    data_factor: int
    ra_register: int
    pointer_encoding: int
    augmented: bool
    signal: bool
    program: tuple[int, int]


def uleb(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def sleb(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value - (1 << shift) if byte & 0x40 else value), position


# DW_EH_PE_*: the low four bits give the size, the next three what the value is relative to.
_FORMATS = {0x00: "<Q", 0x02: "<H", 0x03: "<I", 0x04: "<Q", 0x0A: "<h", 0x0B: "<i", 0x0C: "<q"}
_OMIT = 0xFF


def _pointer(data: bytes, position: int, encoding: int, vaddr: int, base: int) -> tuple[int, int]:
    """An encoded pointer at `position`, whose own address is `vaddr`; and the position behind it."""
    form = encoding & 0x0F
    if form == 0x01:
        value, after = uleb(data, position)
    elif form == 0x09:
        value, after = sleb(data, position)
    else:
        layout = _FORMATS[form]
        value, after = struct.unpack_from(layout, data, position)[0], position + struct.calcsize(layout)
    relative = encoding & 0x70
    if relative == 0x10:
        value += vaddr
    elif relative == 0x30:
        value += base
    return value & 0xFFFF_FFFF_FFFF_FFFF, after


class _Table:
    """Frame entries of one section, `vaddr` being the address of data[0]. `debug`: .debug_frame, a little different."""

    def __init__(self, data: bytes, vaddr: int, registers: Registers, debug: bool) -> None:
        self.data = data
        self._vaddr = vaddr
        self._registers = registers
        self._debug = debug
        self._commons: dict[int, _Common] = {}
        self._index: list[tuple[int, int]] | None = None

    def find(self, vaddr: int) -> Rule | None:
        """The rule at `vaddr`, by an index of all entries, made at the first call."""
        if self._index is None:
            self._index = []
            self._index = sorted(self._entries())
        index = bisect_right(self._index, vaddr, key=lambda entry: entry[0]) - 1
        return self.rule(self._index[index][1], vaddr) if index >= 0 else None

    def _entries(self) -> Iterator[tuple[int, int]]:
        """(first address, position) of every function's entry."""
        data, position, mark = self.data, 0, 0xFFFFFFFF if self._debug else 0
        for _ in range(MAX_ENTRIES):
            if position + 8 > len(data):
                return
            length, link = struct.unpack_from("<II", data, position)
            if length and link != mark:
                yield self._range(position)[0], position
            position += 4 + length

    def _range(self, entry: int) -> tuple[int, int, int, _Common]:
        """First address, size, position behind them, and what the entry shares with others."""
        (link,) = struct.unpack_from("<I", self.data, entry + 4)
        common = self._common(link if self._debug else entry + 4 - link)
        encoding = common.pointer_encoding
        start, position = _pointer(self.data, entry + 8, encoding, self._vaddr + entry + 8, 0)
        size, position = _pointer(self.data, position, encoding & 0x0F, 0, 0)
        return start, size, position, common

    def rule(self, entry: int, vaddr: int) -> Rule | None:
        """The rule at `vaddr` by the entry at that position; None where the entry is another function's."""
        start, size, position, common = self._range(entry)
        if not start <= vaddr < start + size:
            return None
        if common.augmented:
            extra, position = uleb(self.data, position)
            position += extra
        end = entry + 4 + struct.unpack_from("<I", self.data, entry)[0]
        state = _State(self._registers, common)
        state.run(self.data, *common.program, start, vaddr + 1)
        state.initial = dict(state.rules)
        state.run(self.data, position, end, start, vaddr + 1)
        return state.rule(start, common.signal)

    def _common(self, offset: int) -> _Common:
        known = self._commons.get(offset)
        if known is None:
            known = self._commons[offset] = self._parse_common(offset)
        return known

    def _parse_common(self, offset: int) -> _Common:
        data = self.data
        length, _, version = struct.unpack_from("<IIB", data, offset)
        end = offset + 4 + length
        position = data.find(b"\0", offset + 9, end)
        augmentation = data[offset + 9 : position].decode("latin-1")
        # DWARF 4 added the sizes of an address and of a segment selector.
        position += 3 if version >= 4 else 1
        code_factor, position = uleb(data, position)
        data_factor, position = sleb(data, position)
        if version == 1:
            ra_register, position = data[position], position + 1
        else:
            ra_register, position = uleb(data, position)
        encoding = 0
        augmented = augmentation.startswith("z")
        if augmented:
            extra, position = uleb(data, position)
            program = position + extra
            for letter in augmentation[1:]:
                if letter == "R":
                    encoding, position = data[position], position + 1
                elif letter == "L":
                    position += 1
                elif letter == "P":
                    _, position = _pointer(data, position + 1, data[position], 0, 0)
            position = program
        return _Common(code_factor, data_factor, ra_register, encoding, augmented, "S" in augmentation, (position, end))


class Unwinder:
    """The frame entries of one image: .eh_frame, found through the sorted .eh_frame_hdr where there is one, so that
    nothing is parsed ahead; else through an index made once; then .debug_frame (Go has only that)."""

    def __init__(self, image: Image) -> None:
        self._image = image
        registers = REGISTERS.get(image.machine)
        self._sorted: _Table | None = None
        self._tables: list[_Table] | None = None if registers else []
        self._at = self._count = 0
        if registers is not None and image.eh_frame_hdr:
            try:
                self._read_header(registers)
            except (IndexError, KeyError, struct.error):
                self._count = 0  # cut off or damaged: the sections are left

    def _read_header(self, registers: Registers) -> None:
        image = self._image
        header = image.offset_of(image.eh_frame_hdr)
        # The only form that linkers write: 32-bit, relative to the header, sorted.
        if header >= 0 and image.data[header] == 1 and image.data[header + 3] == 0x3B:
            self._sorted = _Table(_as_bytes(image), image.eh_frame_hdr - header, registers, False)
            data, vaddr = self._sorted.data, image.eh_frame_hdr
            _, position = _pointer(data, header + 4, data[header + 1], vaddr + 4, vaddr)
            self._count, self._at = _pointer(data, position, data[header + 2], vaddr, vaddr)
            if self._at + self._count * 8 > len(data):
                self._count = 0

    def rule(self, vaddr: int) -> Rule | None:
        """What holds just before the instruction at `vaddr` runs; None = nothing is known of that address."""
        try:
            found = self._by_header(vaddr) if self._count else None
            if found is not None:
                return found
            if self._tables is None:
                self._tables = []
                self._tables.extend(self._read_tables())
            for table in self._tables:
                found = table.find(vaddr)
                if found is not None:
                    return found
        except (IndexError, KeyError, struct.error, ValueError):
            return None  # a malformed or unknown form: as good as no information
        return None

    def _by_header(self, vaddr: int) -> Rule | None:
        base = self._image.eh_frame_hdr
        index = bisect_right(range(self._count), vaddr - base, key=self._start) - 1
        if index < 0 or self._sorted is None:
            return None
        entry = base + struct.unpack_from("<i", self._sorted.data, self._at + index * 8 + 4)[0]
        return self._sorted.rule(self._image.offset_of(entry), vaddr)

    def _start(self, index: int) -> int:
        value: int = struct.unpack_from("<i", self._image.data, self._at + index * 8)[0]
        return value

    def _read_tables(self) -> Iterator[_Table]:
        registers = REGISTERS[self._image.machine]
        found = {section.name: section for section in sections(self._image)}
        for name in (".eh_frame", ".debug_frame", ".zdebug_frame"):
            if name in found and not (name == ".eh_frame" and self._count):
                data = section_data(self._image, found[name])
                yield _Table(data, found[name].vaddr, registers, "debug" in name)


def _as_bytes(image: Image) -> bytes:
    """The mapped file, which indexes, slices and finds as bytes do."""
    return cast(bytes, image.data)


class _State:
    """The registers of the little machine that a call frame program drives. Stops at the wanted address."""

    def __init__(self, registers: Registers, common: _Common) -> None:
        self.common = common
        self.registers = registers
        self.cfa: tuple[int, int, bytes] = (registers.sp, 0, b"")
        self.rules: dict[int, tuple[int, int | bytes]] = {}
        self.initial: dict[int, tuple[int, int | bytes]] = {}
        self.stack: list[tuple[tuple[int, int, bytes], dict[int, tuple[int, int | bytes]]]] = []

    def rule(self, start: int, signal: bool) -> Rule:
        same = (SAME, 0)
        fp = self.rules.get(self.registers.fp, same)
        ra = self.rules.get(self.common.ra_register, same)
        return Rule(start, *self.cfa, fp, ra, signal)

    def run(self, data: bytes, position: int, end: int, location: int, until: int) -> None:
        common = self.common
        factor = common.data_factor
        while position < end:
            opcode = data[position]
            position += 1
            high, low = opcode & 0xC0, opcode & 0x3F
            if high == 0x40:  # advance_loc
                location += low * common.code_factor
            elif high == 0x80:  # offset
                value, position = uleb(data, position)
                self.rules[low] = (AT_OFFSET, value * factor)
            elif high == 0xC0:  # restore
                self._restore(low)
            elif opcode == 0x01:  # set_loc
                location, position = struct.unpack_from("<Q", data, position)[0], position + 8
            elif opcode in (0x02, 0x03, 0x04):  # advance_loc1, 2, 4
                size = 1 << opcode - 2
                location += int.from_bytes(data[position : position + size], "little") * common.code_factor
                position += size
            elif opcode in (0x0C, 0x12):  # def_cfa, def_cfa_sf
                register, position = uleb(data, position)
                offset, position = uleb(data, position) if opcode == 0x0C else sleb(data, position)
                self.cfa = (register, offset * (1 if opcode == 0x0C else factor), b"")
            elif opcode == 0x0D:  # def_cfa_register
                register, position = uleb(data, position)
                self.cfa = (register, self.cfa[1], b"")
            elif opcode in (0x0E, 0x13):  # def_cfa_offset, def_cfa_offset_sf
                offset, position = uleb(data, position) if opcode == 0x0E else sleb(data, position)
                self.cfa = (self.cfa[0], offset * (1 if opcode == 0x0E else factor), b"")
            elif opcode == 0x0F:  # def_cfa_expression
                size, position = uleb(data, position)
                self.cfa = (-1, 0, bytes(data[position : position + size]))
                position += size
            elif opcode == 0x0A:  # remember_state
                self.stack.append((self.cfa, dict(self.rules)))
            elif opcode == 0x0B:  # restore_state
                self.cfa, self.rules = self.stack.pop()
            elif opcode == 0x2E:  # GNU_args_size
                _, position = uleb(data, position)
            elif opcode not in (0x00, 0x2D):  # nop; AARCH64_negate_ra_state, whose sign bits `where` drops anyway
                position = self._register_rule(data, opcode, position)
            if location >= until:
                return

    def _register_rule(self, data: bytes, opcode: int, position: int) -> int:
        register, position = uleb(data, position)
        factor = self.common.data_factor
        if opcode in (0x05, 0x14):  # offset_extended, val_offset
            value, position = uleb(data, position)
            self.rules[register] = (AT_OFFSET if opcode == 0x05 else IS_OFFSET, value * factor)
        elif opcode in (0x11, 0x15):  # offset_extended_sf, val_offset_sf
            value, position = sleb(data, position)
            self.rules[register] = (AT_OFFSET if opcode == 0x11 else IS_OFFSET, value * factor)
        elif opcode in (0x10, 0x16):  # expression, val_expression
            size, position = uleb(data, position)
            kind = AT_EXPRESSION if opcode == 0x10 else IS_EXPRESSION
            self.rules[register] = (kind, bytes(data[position : position + size]))
            position += size
        elif opcode == 0x06:  # restore_extended
            self._restore(register)
        elif opcode == 0x07:
            self.rules[register] = (UNDEFINED, 0)
        elif opcode == 0x08:
            self.rules[register] = (SAME, 0)
        elif opcode == 0x09:  # register: kept in one that is not followed
            _, position = uleb(data, position)
            self.rules[register] = (UNDEFINED, 0)
        else:
            raise ValueError(f"call frame instruction {opcode:#x}")
        return position

    def _restore(self, register: int) -> None:
        if register in self.initial:
            self.rules[register] = self.initial[register]
        else:
            self.rules.pop(register, None)


def evaluate(expression: bytes, known: dict[int, int], word: Callable[[int], int], cfa: int | None = None) -> int:
    """Value of a DWARF expression of the few operators that frames use (signal trampolines, PLT, realigned stacks).

    `known` gives registers by DWARF number, `word` reads 8 bytes of memory. Raises KeyError or ValueError.
    """
    stack: list[int] = [] if cfa is None else [cfa]
    position = 0
    while position < len(expression):
        opcode = expression[position]
        position += 1
        if 0x70 <= opcode <= 0x8F:  # bregN
            offset, position = sleb(expression, position)
            stack.append(known[opcode - 0x70] + offset)
        elif 0x30 <= opcode <= 0x4F:  # litN
            stack.append(opcode - 0x30)
        elif opcode == 0x06:  # deref
            stack.append(word(stack.pop()))
        elif opcode == 0x23:  # plus_uconst
            value, position = uleb(expression, position)
            stack[-1] += value
        elif opcode in (0x08, 0x09):  # const1u, const1s
            value = expression[position]
            stack.append(value - 256 if opcode == 0x09 and value > 127 else value)
            position += 1
        elif opcode in _BINARY:
            right, left = stack.pop(), stack.pop()
            stack.append(_BINARY[opcode](left, right))
        else:
            raise ValueError(f"DWARF operator {opcode:#x}")
    return stack[-1] & 0xFFFF_FFFF_FFFF_FFFF


_BINARY: dict[int, Callable[[int, int], int]] = {
    0x1A: lambda left, right: left & right,
    0x1C: lambda left, right: left - right,
    0x22: lambda left, right: left + right,
    0x24: lambda left, right: left << (right & 63),
    0x2A: lambda left, right: int(left >= right),
}
