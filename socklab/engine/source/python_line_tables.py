"""The line tables of CPython's code objects: which line an instruction belongs to.

In: the bytes of a table, its first line, the version. Out: two lists, `ends` and `lines`: `lines[i]` holds for the
instructions before byte `ends[i]` of the code. Any bytes give lists. Pure.

Source: Objects/lnotab_notes.txt (to 3.9: co_lnotab; 3.10: co_linetable), Objects/locations.md (from 3.11 on).
"""

from __future__ import annotations

Lines = tuple[list[int], list[int]]
_END = 1 << 62
_MAX_SHIFT = 30
"""More bits have no line number."""


def decode(table: bytes, first: int, version: tuple[int, int]) -> Lines:
    """Never empty. An instruction of no line in particular is given the line before it."""
    if version >= (3, 11):
        ends, lines = _locations(table, first)
    elif version == (3, 10):
        ends, lines = _ranges(table, first)
    else:
        ends, lines = _steps(table, first)
    return (ends, lines) if ends else ([_END], [first])


def _steps(table: bytes, first: int) -> Lines:
    """To 3.9: pairs of an address step and a line step, each step of the line after that of the address."""
    ends, lines, end, line = [], [], 0, first
    for position in range(0, len(table) - 1, 2):
        end += table[position]
        ends.append(end)
        lines.append(line)
        line += _signed_byte(table[position + 1])
    return [*ends, _END], [*lines, line]


def _ranges(table: bytes, first: int) -> Lines:
    """3.10: pairs of the length of a range and the step to its line; -128 = no line."""
    ends, lines, end, line = [], [], 0, first
    for position in range(0, len(table) - 1, 2):
        end += table[position]
        step = _signed_byte(table[position + 1])
        line += 0 if step == -128 else step
        ends.append(end)
        lines.append(line)
    return ends, lines


def _locations(table: bytes, first: int) -> Lines:
    """From 3.11 on: entries that begin with a byte of kind and length, the only one with its top bit set."""
    ends: list[int] = []
    lines: list[int] = []
    line = shown = first
    end = position = 0
    while position < len(table):
        head = table[position]
        position += 1
        kind = head >> 3 & 15
        end += ((head & 7) + 1) * 2
        if kind in (13, 14):
            line += _signed_varint(table, position)
        elif 10 <= kind <= 12:
            line += kind - 10
        while position < len(table) and not table[position] & 0x80:
            position += 1
        if kind != 15:
            shown = line
        ends.append(end)
        lines.append(shown)
    return ends, lines


def _signed_byte(value: int) -> int:
    return value - 256 if value > 127 else value


def _signed_varint(data: bytes, position: int) -> int:
    """Six bits a byte, lowest first, bit 6 = more follow; the lowest bit of all is the sign."""
    value = shift = 0
    while position < len(data) and shift <= _MAX_SHIFT:
        byte = data[position]
        value |= (byte & 0x3F) << shift
        if not byte & 0x40:
            break
        position += 1
        shift += 6
    return -(value >> 1) if value & 1 else value >> 1
