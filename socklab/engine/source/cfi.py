"""Unwinding: the call frame information (CFI) that leads from a stack frame to its caller's.

In: an ELF `Image` and a link-time address. Out: a `Rule`, by the program that `cfi_program.py` runs. Nearly every
file has this information, stripped or not, because .eh_frame is loaded with the text. Never reads a process;
`native_stack.py` applies the rule.

By hand, on purpose: with the few facts of `elf.py` a stop costs 0.18 ms, with pyelftools 344 ms.

Source: DWARF 5, 6.4 Call Frame Information; Linux Standard Base, Exception Frames (.eh_frame, .eh_frame_hdr).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import cast

from socklab import arch
from socklab.arch.model import DwarfRegisters
from socklab.engine.source.cfi_program import Common, Rule, State, sleb, uleb
from socklab.engine.source.elf import Image, section_data, sections

MAX_ENTRIES = 300_000


# DW_EH_PE_*: the low four bits give the size, the next three what the value is relative to.
_FORMATS = {0x00: "<Q", 0x02: "<H", 0x03: "<I", 0x04: "<Q", 0x0A: "<h", 0x0B: "<i", 0x0C: "<q"}


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

    def __init__(self, data: bytes, vaddr: int, registers: DwarfRegisters, debug: bool) -> None:
        self.data = data
        self._vaddr = vaddr
        self._registers = registers
        self._debug = debug
        self._commons: dict[int, Common] = {}
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

    def _range(self, entry: int) -> tuple[int, int, int, Common]:
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
        state = State(self._registers, common)
        state.run(self.data, *common.program, start, vaddr + 1)
        state.initial = dict(state.rules)
        state.run(self.data, position, end, start, vaddr + 1)
        return state.rule(start, common.signal)

    def _common(self, offset: int) -> Common:
        known = self._commons.get(offset)
        if known is None:
            known = self._commons[offset] = self._parse_common(offset)
        return known

    def _parse_common(self, offset: int) -> Common:
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
        return Common(code_factor, data_factor, ra_register, encoding, augmented, "S" in augmentation, (position, end))


class Unwinder:
    """The frame entries of one image: .eh_frame, found through the sorted .eh_frame_hdr where there is one, so that
    nothing is parsed ahead; else through an index made once; then .debug_frame (Go has only that)."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._arch = arch.of_elf(image.machine)
        self._sorted: _Table | None = None
        self._tables: list[_Table] | None = None
        self._at = self._count = 0
        if self._arch is not None and image.eh_frame_hdr:
            try:
                self._read_header(self._arch.dwarf)
            except (IndexError, KeyError, struct.error):
                self._count = 0  # cut off or damaged: the sections are left

    def _read_header(self, registers: DwarfRegisters) -> None:
        image = self._image
        header = image.offset_of(image.eh_frame_hdr)
        # The only form that linkers write: 32-bit, relative to the header, sorted.
        if header >= 0 and image.data[header] == 1 and image.data[header + 3] == 0x3B:
            # The mapped file indexes, slices and finds as bytes do.
            self._sorted = _Table(cast(bytes, image.data), image.eh_frame_hdr - header, registers, False)
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
            if self._tables is None and self._arch is not None:
                self._tables = []
                self._tables.extend(self._read_tables(self._arch.dwarf))
            for table in self._tables or ():
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

    def _read_tables(self, registers: DwarfRegisters) -> Iterator[_Table]:
        found = {section.name: section for section in sections(self._image)}
        for name in (".eh_frame", ".debug_frame", ".zdebug_frame"):
            if name in found and not (name == ".eh_frame" and self._count):
                data = section_data(self._image, found[name])
                yield _Table(data, found[name].vaddr, registers, "debug" in name)
