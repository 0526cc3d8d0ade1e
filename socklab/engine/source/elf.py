"""The few facts of an ELF file that a walk of the stack needs: segments, the unwind index, the build id.

In: a path. Out: `Image`, the file mapped read-only with its program headers read. Of the sections only the dynamic
symbols are read (a stripped file keeps those); lines are `dwarf.py`'s. Never runs anything.

By hand, on purpose: see `cfi.py`.

Source: elf(5).
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from typing import NamedTuple

PT_LOAD = 1
PT_NOTE = 4
PT_GNU_EH_FRAME = 0x6474E550
PF_X = 1
NT_GNU_BUILD_ID = 3
SHT_DYNSYM = 11
SHF_COMPRESSED = 0x800

MAX_SECTION_BYTES = 64 << 20
"""Longest a compressed section is unpacked to."""


class Segment(NamedTuple):
    """One PT_LOAD: `vaddr` to `vaddr + size` of the address space comes from `offset` of the file."""

    vaddr: int
    offset: int
    size: int
    executable: bool


class Image:
    """A 64-bit little-endian ELF file, mapped. Raises OSError, or ValueError where the file is no such thing."""

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.data = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        self.path = path
        self.segments: list[Segment] = []
        self.eh_frame_hdr = 0
        self.build_id = ""
        if len(self.data) < 64 or self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path}: not a 64-bit little-endian ELF file")
        try:
            self._read_headers()
        except struct.error as error:
            raise ValueError(f"{path}: cut off: {error}") from error

    def _read_headers(self) -> None:
        self.machine: int = struct.unpack_from("<H", self.data, 18)[0]
        self.entry, table = struct.unpack_from("<QQ", self.data, 24)
        size, count = struct.unpack_from("<HH", self.data, 54)
        for index in range(count):
            kind, flags, offset, vaddr, _, file_size, _, _ = struct.unpack_from(
                "<IIQQQQQQ", self.data, table + index * size
            )
            if kind == PT_LOAD:
                self.segments.append(Segment(vaddr, offset, file_size, bool(flags & PF_X)))
            elif kind == PT_GNU_EH_FRAME:
                self.eh_frame_hdr = vaddr
            elif kind == PT_NOTE and not self.build_id:
                self.build_id = _build_id(self.data[offset : offset + min(file_size, 4096)])

    def offset_of(self, vaddr: int) -> int:
        """File offset of a link-time address; -1 = not from the file."""
        for segment in self.segments:
            if segment.vaddr <= vaddr < segment.vaddr + segment.size:
                return vaddr - segment.vaddr + segment.offset
        return -1

    def vaddr_of(self, offset: int) -> int:
        """Link-time address of a file offset inside an executable segment, else of any; -1 = none."""
        for segment in sorted(self.segments, key=lambda one: not one.executable):
            # The kernel maps whole pages, so a mapping can begin a little before its segment does.
            if segment.offset & ~0xFFF <= offset < segment.offset + segment.size:
                return offset - segment.offset + segment.vaddr
        return -1

    def is_text(self, vaddr: int) -> bool:
        return any(one.executable and one.vaddr <= vaddr < one.vaddr + one.size for one in self.segments)


def _build_id(notes: bytes) -> str:
    """Hexadecimal GNU build id among ELF notes, or "". Source: elf(5), Notes (Nhdr)."""
    position = 0
    while position + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, position)
        start = position + 12
        body = start + (name_size + 3 & ~3)
        if kind == NT_GNU_BUILD_ID and notes[start : start + 4] == b"GNU\0":
            return notes[body : body + size].hex()
        position = body + (size + 3 & ~3)
    return ""


class Section(NamedTuple):
    name: str
    kind: int
    flags: int
    vaddr: int
    offset: int
    size: int
    link: int


def sections(image: Image) -> list[Section]:
    """The section table; [] where it was stripped off or is damaged. Source: elf(5), Shdr."""
    data = image.data
    try:
        table = struct.unpack_from("<Q", data, 40)[0]
        size, count, names = struct.unpack_from("<HHH", data, 58)
        headers = [struct.unpack_from("<IIQQQQI", data, table + index * size) for index in range(count)]
        at = headers[names][4] if headers else 0
        return [
            Section(data[at + name : data.find(b"\0", at + name)].decode("latin-1"), kind, flags, vaddr, *where)
            for name, kind, flags, vaddr, *where in headers
        ]
    except (struct.error, IndexError):
        return []


def section_data(image: Image, section: Section) -> bytes:
    """Its bytes, decompressed. Raises ValueError where the compression is not zlib's."""
    raw = image.data[section.offset : section.offset + section.size]
    if section.flags & SHF_COMPRESSED:
        if raw[:4] != b"\1\0\0\0":  # ELFCOMPRESS_ZLIB
            raise ValueError(f"{section.name}: compressed in a way that is not known")
        raw = raw[24:]
    elif section.name.startswith(".zdebug_"):
        raw = raw[12:]  # "ZLIB" and the size
    else:
        return raw
    try:
        return zlib.decompressobj().decompress(raw, MAX_SECTION_BYTES)
    except zlib.error as error:
        raise ValueError(f"{section.name}: {error}") from error


def exported(image: Image, names: frozenset[str]) -> dict[str, int]:
    """Link-time addresses of those of `names` that the dynamic symbol table defines. Source: elf(5), Sym."""
    found: dict[str, int] = {}
    table = sections(image)
    for section in table:
        if section.kind != SHT_DYNSYM or section.link >= len(table):
            continue
        strings = table[section.link]
        wanted = {}
        for name in names:
            at = image.data.find(b"\0" + name.encode() + b"\0", strings.offset, strings.offset + strings.size)
            if at >= 0:
                wanted[at + 1 - strings.offset] = name
        if not wanted:
            continue
        raw = image.data[section.offset : section.offset + section.size]
        for symbol in struct.iter_unpack("<IBBHQQ", raw[: len(raw) // 24 * 24]):
            if symbol[0] in wanted and symbol[3]:
                found[wanted[symbol[0]]] = symbol[4]
    return found
