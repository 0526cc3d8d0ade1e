"""The half of a compile unit that `-gsplit-dwarf` leaves in a .dwo file beside the object.

In: the skeleton unit in the program. Out: the whole unit, its indexed addresses resolved through the program's own
tables; or None where the file is gone or its form is older than DWARF 5. Lines need none of it; inlined calls do.

Source: DWARF 5, 7.3.2 Split DWARF Object Files: offsets of its tables are implied, the first entry's.
"""

from __future__ import annotations

import os
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from elftools.dwarf.compileunit import CompileUnit
    from elftools.dwarf.dwarfinfo import DebugSectionDescriptor
    from elftools.elf.elffile import ELFFile

# Where the first entry begins, behind the header of each table (32-bit DWARF).
_IMPLIED = {
    "DW_AT_str_offsets_base": 8,
    "DW_AT_rnglists_base": 12,
    "DW_AT_loclists_base": 12,
    "DW_AT_stmt_list": 0,  # a table of file names alone
}


def load(path: str) -> ELFFile:
    """An ELF file for pyelftools. Raises ValueError where a section claims to be larger than the file."""
    from elftools.elf.elffile import ELFFile

    file = ELFFile.load_from_path(path)
    size = os.stat(path).st_size
    for section in file.iter_sections():
        if section["sh_type"] != "SHT_NOBITS" and section["sh_size"] > size:
            file.close()
            raise ValueError(f"{path}: {section.name} is larger than the file")
    return file


def open_split(skeleton: CompileUnit) -> CompileUnit | None:
    """The unit that `skeleton` stands for, or None. Raises pyelftools' errors where the file is damaged."""
    from elftools.common.exceptions import DWARFError
    from elftools.dwarf.die import AttributeValue
    from elftools.dwarf.dwarfinfo import DWARFInfo

    top = skeleton.get_top_DIE()
    if skeleton["version"] < 5 or "DW_AT_dwo_name" not in top.attributes:
        return None
    folder = top.attributes["DW_AT_comp_dir"].value if "DW_AT_comp_dir" in top.attributes else b""
    path = os.path.join(os.fsdecode(folder), os.fsdecode(top.attributes["DW_AT_dwo_name"].value))
    if not os.path.isfile(path):
        return None
    file = load(path)
    info = DWARFInfo(
        config=skeleton.dwarfinfo.config,
        debug_info_sec=_section(file, ".debug_info.dwo"),
        debug_abbrev_sec=_section(file, ".debug_abbrev.dwo"),
        debug_str_sec=_section(file, ".debug_str.dwo"),
        debug_line_sec=_section(file, ".debug_line.dwo"),
        debug_str_offsets_sec=_section(file, ".debug_str_offsets.dwo"),
        debug_rnglists_sec=_section(file, ".debug_rnglists.dwo"),
        debug_loclists_sec=_section(file, ".debug_loclists.dwo"),
        debug_addr_sec=skeleton.dwarfinfo.debug_addr_sec,
        debug_line_str_sec=skeleton.dwarfinfo.debug_line_str_sec,
        debug_aranges_sec=None,
        debug_frame_sec=None,
        eh_frame_sec=None,
        debug_loc_sec=None,
        debug_ranges_sec=None,
        debug_pubtypes_sec=None,
        debug_pubnames_sec=None,
        debug_sup_sec=None,
        gnu_debugaltlink_sec=None,
        debug_types_sec=None,
    )
    file.close()
    for unit in info.iter_CUs():
        try:
            whole = unit.get_top_DIE()
        except DWARFError:
            # The entry is parsed and kept; what it lacks to resolve its indexed values is implied, not written.
            whole = unit.get_top_DIE()
        for name, value in _IMPLIED.items():
            whole.attributes.setdefault(name, AttributeValue(name, "DW_FORM_sec_offset", value, value, 0, 0))
        for name in ("DW_AT_addr_base", "DW_AT_low_pc"):
            if name in top.attributes:
                whole.attributes.setdefault(name, top.attributes[name])
        whole._translate_indirect_attributes()
        return unit
    return None


def _section(file: ELFFile, name: str) -> DebugSectionDescriptor | None:
    from elftools.dwarf.dwarfinfo import DebugSectionDescriptor

    section = file.get_section_by_name(name)
    if section is None:
        return None
    data = section.data()
    return DebugSectionDescriptor(BytesIO(data), name, section["sh_offset"], len(data), section["sh_addr"])
