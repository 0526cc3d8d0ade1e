"""The line number program of DWARF 2 to 5, run: bytes in, rows of (address, file, line) out.

pyelftools reads the header; the program itself is run here, because thousands of rows must take milliseconds. Pure.

Source: DWARF 5, 6.2.5 The Line Number Program.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from socklab.engine.source.cfi_program import sleb, uleb

if TYPE_CHECKING:
    from elftools.construct import Container


def line_sequences(
    data: bytes, header: Container, text_low: int, check_time: Callable[[], None]
) -> Iterator[list[tuple[int, int, int]]]:
    """Rows (address, file, line) of a line program, one list for each stretch of text, ended by line 0.

    Stretches below `text_low` are left out: the linker leaves 0 where it threw a function away.
    """
    opcode_base, line_base, line_range = header["opcode_base"], header["line_base"], header["line_range"]
    unit, lengths = header["minimum_instruction_length"], header["standard_opcode_lengths"]
    rows: list[tuple[int, int, int]] = []
    address, file, line = 0, 1, 1
    position = 0
    while position < len(data):
        opcode = data[position]
        position += 1
        if opcode >= opcode_base:
            opcode -= opcode_base
            address += opcode // line_range * unit
            line += line_base + opcode % line_range
            rows.append((address, file, line))
        elif opcode == 0:
            size, position = uleb(data, position)
            extended = data[position]
            if extended == 1:  # end_sequence
                rows.append((address, 0, 0))
                if rows[0][0] >= text_low:
                    yield rows
                check_time()
                rows = []
                address, file, line = 0, 1, 1
            elif extended == 2:  # set_address
                address = int.from_bytes(data[position + 1 : position + size], "little")
            position += size
        elif opcode == 1:  # copy
            rows.append((address, file, line))
        elif opcode == 2:  # advance_pc
            value, position = uleb(data, position)
            address += value * unit
        elif opcode == 3:  # advance_line
            value, position = sleb(data, position)
            line += value
        elif opcode == 4:  # set_file
            file, position = uleb(data, position)
        elif opcode == 8:  # const_add_pc
            address += (255 - opcode_base) // line_range * unit
        elif opcode == 9:  # fixed_advance_pc
            address += struct.unpack_from("<H", data, position)[0]
            position += 2
        else:
            for _ in range(lengths[opcode - 1]):
                _, position = uleb(data, position)
