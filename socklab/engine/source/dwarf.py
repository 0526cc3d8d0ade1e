"""Lines and functions of a program's text, from the debug information its compiler wrote.

In: an ELF file and link-time addresses. Out: the frames of an address, innermost first: the line itself, then, where
functions were inlined, each call that was folded in. DWARF 2 to 5; separate files under /usr/lib/debug are found by
build id. A line table is read when an address of its compile unit is first asked for. What would take too long is
given up with a reason. Never reads a process. The sections and entries are pyelftools'; line programs are run by
`dwarf_lines.py`.

Source: DWARF 5, 6.2 Line Number Information, 3.3 Subroutine Entries, 6.1.2 Lookup by Address.
"""

from __future__ import annotations

import os
import struct
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from socklab.engine.source.dwarf_lines import line_sequences
from socklab.engine.source.dwarf_split import load, open_split
from socklab.engine.source.elf import Image
from socklab.engine.source.user_code import is_library
from socklab.protocol.events import Frame

if TYPE_CHECKING:
    from elftools.dwarf.compileunit import CompileUnit
    from elftools.dwarf.die import DIE
    from elftools.dwarf.dwarfinfo import DWARFInfo
    from elftools.dwarf.lineprogram import LineProgram
    from elftools.elf.elffile import ELFFile

BUDGET_S = 1.0
"""Longest one look-up may take; beyond it the answer is poorer, never late."""
MAX_DEBUG_BYTES = 256 << 20
SEPARATE = "/usr/lib/debug/.build-id"

STRIPPED = "no line information: stripped"
NOT_COMPILED_IN = "no line information: compiled without -g"
TOO_LARGE = "no line information: more debug information than can be read at a stop"
UNREADABLE = "no line information: damaged or of an unknown form"


class _Unit(msgspec.Struct):
    """A compile unit's line table, sorted by address, with file and line 0 at the end of each stretch of text."""

    unit: CompileUnit
    addresses: list[int]
    rows: list[tuple[int, int]]
    """(file index, line)"""
    files: list[str]
    files_of_calls: list[str]
    """The same as `files`, but where the unit is split: it then counts files in its own way."""
    own: bool
    """Not a library's: its functions are worth reading."""
    functions: list[tuple[int, int, DIE]] = msgspec.field(default_factory=list)
    """(low, high, entry) of each subprogram, sorted."""
    read: int = 0
    """How much of `functions` is there: 0 none, 1 those at the outer level, 2 those inside others, too (lambdas)."""


class _TooLong(Exception):
    """The budget of a look-up is spent."""


class LineTable:
    """What an ELF file says of its own text. `reason` says why it says nothing, or is empty."""

    def __init__(self, image: Image) -> None:
        self.reason = ""
        self._info: DWARFInfo | None = None
        self._units: dict[int, _Unit | None] = {}
        self._spans: list[tuple[int, int, int]] = []
        self._listed: set[int] = set()
        self._complete = False
        """Whether `_spans` holds the units that no index lists, too."""
        self._symbols: list[tuple[int, int, str]] | None = None
        self._elf: ELFFile | None = None
        self._text_low = min((one.vaddr for one in image.segments if one.executable), default=0)
        with self._look_up():
            self._open(image)

    @contextmanager
    def _look_up(self) -> Iterator[None]:
        """Within the budget; `reason` says why it failed."""
        self._deadline = time.monotonic() + BUDGET_S
        try:
            yield
        except _TooLong:
            self.reason = TOO_LARGE
        except Exception as error:  # a program may carry anything in its sections, and pyelftools trusts them
            self.reason = f"{UNREADABLE} ({type(error).__name__})"

    def frames(self, vaddr: int) -> tuple[Frame, ...]:
        """Frames of the user's own files at `vaddr`, innermost first; () where the text has no line."""
        if self._info is None:
            return ()
        with self._look_up():
            offset = self._unit_at(vaddr)
            unit = self._unit(offset) if offset >= 0 else None
            return () if unit is None else self._frames(unit, vaddr)
        return ()

    # ------------------------------------------------------------ finding the unit

    def _open(self, image: Image) -> None:
        own = load(image.path)
        holder = own
        if own.get_section_by_name(".debug_line") is None and own.get_section_by_name(".zdebug_line") is None:
            separate = f"{SEPARATE}/{image.build_id[:2]}/{image.build_id[2:]}.debug"
            if not image.build_id or not os.path.exists(separate):
                self.reason = STRIPPED if own.get_section_by_name(".symtab") is None else NOT_COMPILED_IN
                own.close()
                return
            own.close()
            holder = load(separate)
        size = sum(section.data_size for section in holder.iter_sections() if ".debug_" in section.name)
        if size > MAX_DEBUG_BYTES:
            self.reason = TOO_LARGE
            return
        self._elf = holder
        self._info = holder.get_dwarf_info(relocate_dwarf_sections=False, follow_links=False)
        self._add_spans(self._listed_spans())

    def _add_spans(self, spans: Iterable[tuple[int, int, int]]) -> None:
        self._spans = sorted([*self._spans, *(span for span in spans if span[0] >= self._text_low)])

    def _unit_at(self, vaddr: int) -> int:
        """Offset of the compile unit whose text holds `vaddr`, -1 = none."""
        while True:
            index = bisect_right(self._spans, vaddr, key=lambda span: span[0]) - 1
            if index >= 0 and vaddr < self._spans[index][1]:
                return self._spans[index][2]
            if self._complete:
                return -1
            self._complete = True
            self._add_spans(self._unlisted_spans())

    def _listed_spans(self) -> Iterator[tuple[int, int, int]]:
        """(low, high, offset of the compile unit) of text that .debug_aranges lists."""
        assert self._info is not None
        section = self._info.debug_aranges_sec
        if section is None:
            return
        section.stream.seek(0)
        data = section.stream.read()
        position = 0
        while position + 16 <= len(data):
            length, _, unit = struct.unpack_from("<IHI", data, position)
            end = position + 4 + length
            self._listed.add(unit)
            # Pairs begin at a multiple of their own size, counted from the start of the set.
            raw = data[position + 16 : end]
            for low, size in struct.iter_unpack("<QQ", raw[: len(raw) // 16 * 16]):
                if size:
                    yield low, low + size, unit
            position = end

    def _unlisted_spans(self) -> Iterator[tuple[int, int, int]]:
        """The same for the units that .debug_aranges leaves out, as their own entries say. Takes longer."""
        assert self._info is not None
        for unit in self._info.iter_CUs():
            self._check_time()
            if unit.cu_offset not in self._listed:
                for low, high in self._ranges(unit.get_top_DIE()):
                    yield low, high, unit.cu_offset

    def _ranges(self, entry: DIE) -> Iterator[tuple[int, int]]:
        """Stretches of text of an entry: DW_AT_low_pc and high_pc, or DW_AT_ranges."""
        attributes = entry.attributes
        if "DW_AT_ranges" in attributes:
            from elftools.dwarf.ranges import BaseAddressEntry

            lists = entry.dwarfinfo.range_lists()
            if lists is None:
                return
            top = entry.cu.get_top_DIE().attributes
            base = top["DW_AT_low_pc"].value if "DW_AT_low_pc" in top else 0
            for item in lists.get_range_list_at_offset(attributes["DW_AT_ranges"].value, entry.cu):  # type: ignore[arg-type]
                if isinstance(item, BaseAddressEntry):
                    base = item.base_address
                else:
                    shift = 0 if item.is_absolute else base
                    yield item.begin_offset + shift, item.end_offset + shift
        elif "DW_AT_low_pc" in attributes and "DW_AT_high_pc" in attributes:
            low: int = attributes["DW_AT_low_pc"].value
            high = attributes["DW_AT_high_pc"]
            yield low, high.value if high.form.startswith("DW_FORM_addr") else low + high.value

    # ------------------------------------------------------------ one unit

    def _unit(self, offset: int) -> _Unit | None:
        if offset not in self._units:
            self._units[offset] = None  # should reading it fail, it fails once
            assert self._info is not None
            self._units[offset] = self._read_unit(self._info.get_CU_at(offset))
        return self._units[offset]

    def _read_unit(self, unit: CompileUnit) -> _Unit | None:
        assert self._info is not None
        program = self._info.line_program_for_CU(unit)
        if program is None:
            return None
        header = program.header
        files = calls = _files(program, _text(unit.get_top_DIE(), "DW_AT_comp_dir"))
        split = open_split(unit)
        if split is not None:
            unit = split
            names = split.dwarfinfo.line_program_for_CU(split)
            if names is not None:
                calls = _files(names, _text(unit.get_top_DIE(), "DW_AT_comp_dir"))
        program.stream.seek(program.program_start_offset)
        data = program.stream.read(program.program_end_offset - program.program_start_offset)
        sequences = line_sequences(data, header, self._text_low, self._check_time)
        addresses: list[int] = []
        rows: list[tuple[int, int]] = []
        for sequence in sorted(sequences):
            for address, file, line in sequence:
                addresses.append(address)
                rows.append((file, line))
        top = unit.get_top_DIE()
        own = not is_library(os.path.join(_text(top, "DW_AT_comp_dir"), _text(top, "DW_AT_name")))
        return _Unit(unit, addresses, rows, files, calls, own)

    def _function(self, unit: _Unit, vaddr: int) -> DIE | None:
        """The subprogram whose text holds `vaddr`."""
        while True:
            index = bisect_right(unit.functions, vaddr, key=lambda one: one[0]) - 1
            if index >= 0 and vaddr < unit.functions[index][1]:
                return unit.functions[index][2]
            if unit.read == 2 or not unit.own:
                return None
            unit.read += 1
            entries = self._outer(unit.unit.get_top_DIE()) if unit.read == 1 else unit.unit.iter_DIEs()
            try:
                functions = [(low, high, entry) for entry in entries for low, high in self._text_of(entry)]
            except _TooLong:
                unit.read = 2  # lines are right without them; inlined calls and some names are missing
                return None
            unit.functions = sorted(functions, key=lambda one: one[:2])

    def _outer(self, parent: DIE) -> Iterator[DIE]:
        for child in parent.iter_children():
            if child.tag in ("DW_TAG_namespace", "DW_TAG_module"):
                yield from self._outer(child)
            else:
                yield child

    def _text_of(self, entry: DIE) -> Iterator[tuple[int, int]]:
        self._check_time()
        if entry.tag == "DW_TAG_subprogram":
            yield from ((low, high) for low, high in self._ranges(entry) if low >= self._text_low)

    # ------------------------------------------------------------ one address

    def _frames(self, unit: _Unit, vaddr: int) -> tuple[Frame, ...]:
        index = bisect_right(unit.addresses, vaddr) - 1
        if index < 0 or unit.rows[index] == (0, 0):
            return ()
        # Line 0 marks an instruction of no line in particular: it belongs to what came before it.
        while index > 0 and unit.rows[index][1] == 0 and unit.rows[index][0] != 0:
            index -= 1
        file, line = unit.rows[index]
        chain = list(self._chain(unit, vaddr))
        places: list[Frame] = []
        files = unit.files
        for entry in reversed(chain):
            places.append(Frame(files[file], line, self._name(entry)))
            files = unit.files_of_calls
            if entry.tag == "DW_TAG_inlined_subroutine":
                file = entry.attributes["DW_AT_call_file"].value if "DW_AT_call_file" in entry.attributes else 0
                line = entry.attributes["DW_AT_call_line"].value if "DW_AT_call_line" in entry.attributes else 0
        if not chain:
            places.append(Frame(unit.files[file], line, self._symbol(vaddr)))
        return tuple(one for one in places if one.line and not is_library(one.path))

    def _chain(self, unit: _Unit, vaddr: int) -> Iterator[DIE]:
        """The function whose text holds `vaddr`, then each call inlined around it, outermost first."""
        function = self._function(unit, vaddr)
        if function is None:
            return
        yield function
        level = [function]
        while level:
            inside = None
            for child in (child for entry in level for child in entry.iter_children()):
                self._check_time()
                if child.tag in ("DW_TAG_lexical_block", "DW_TAG_inlined_subroutine") and any(
                    low <= vaddr < high for low, high in self._ranges(child)
                ):
                    inside = child
                    break
            if inside is not None and inside.tag == "DW_TAG_inlined_subroutine":
                yield inside
            level = [inside] if inside is not None else []

    def _name(self, entry: DIE) -> str:
        for _ in range(4):  # inlined call → abstract instance → declaration in a class
            name = _text(entry, "DW_AT_name")
            if name:
                return name
            for link in ("DW_AT_abstract_origin", "DW_AT_specification"):
                if link in entry.attributes:
                    entry = entry.get_DIE_from_attribute(link)
                    break
            else:
                break
        return ""

    def _symbol(self, vaddr: int) -> str:
        """Name of the function in .symtab, for units whose entries lie elsewhere (split DWARF) or were not read."""
        if self._symbols is None:
            self._symbols = sorted(self._read_symbols())
        index = bisect_right(self._symbols, vaddr, key=lambda one: one[0]) - 1
        if index >= 0 and vaddr < self._symbols[index][1]:
            return self._symbols[index][2]
        return ""

    def _read_symbols(self) -> Iterator[tuple[int, int, str]]:
        if self._elf is None:
            return
        table, strings = self._elf.get_section_by_name(".symtab"), self._elf.get_section_by_name(".strtab")
        if table is None or strings is None:
            return
        names = strings.data()
        for name, info, _, section, value, size in struct.iter_unpack("<IBBHQQ", table.data()):
            if info & 0xF == 2 and section and size:  # STT_FUNC, defined here
                yield value, value + size, names[name : names.index(b"\0", name)].decode("utf-8", "replace")

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise _TooLong


def _files(program: LineProgram, folder: str) -> list[str]:
    """Paths by file number, as the program's header lists them; `folder` is where the compiler ran."""
    header = program.header
    folders = [os.path.join(folder, one.decode("utf-8", "replace")) for one in header["include_directory"]]
    files = []
    if header["version"] < 5:
        folders.insert(0, folder)
        files.append("")  # file numbers begin at 1 before DWARF 5
    for item in header["file_entry"]:
        where = folders[item.dir_index] if item.dir_index < len(folders) else folder
        files.append(os.path.normpath(os.path.join(where, item.name.decode("utf-8", "replace"))))
    return files


def _text(entry: DIE, attribute: str) -> str:
    if attribute not in entry.attributes:
        return ""
    value = entry.attributes[attribute].value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
