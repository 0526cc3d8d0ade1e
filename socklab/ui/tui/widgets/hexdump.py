"""Bytes of a call's buffers and structs, as a student reads them.

In: bytes the tracee's memory held, and the fields a decoder found in them. Out: lines: hex and text side by side, or
one group of bytes for each field with what it says. Never longer than asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from socklab.core.text import safe
from socklab.ui.view.formats import plural
from socklab.ui.view.lines import Line, Span, clip, clip_words, column

if TYPE_CHECKING:
    from socklab.syscalls.call import Field

_FIELD_ROLES = ("client0", "client1", "client2", "dim")


def hexdump(data: bytes, cells: int, height: int) -> list[Line]:
    """Offset, hexadecimal, text; at most `height` lines, the last of them says how much is left out.

    A narrow one goes without offsets: eight bytes a line are worth more.
    """
    if height < 1 or not data:
        return []
    offsets = cells >= 40
    per_row = _per_row(cells)
    rows = -(-len(data) // per_row)
    shown = rows if rows <= height else height - 1
    lines: list[Line] = []
    for start in range(0, shown * per_row, per_row):
        piece = data[start : start + per_row]
        offset: Span = (f"{start:4x}  " if offsets else "", "dim")
        shown_hex: Span = (f"{piece.hex(' '):<{3 * per_row}}", "number")
        lines.append((offset, shown_hex, ("".join(map(_character, piece)), "string")))
    if rows > shown:
        left = len(data) - shown * per_row
        lines.append(((f"{'      ' * offsets}… {plural(left, 'more byte')}", "dim"),))
    return [clip(line, cells) for line in lines]


def fits(data: bytes, cells: int, height: int) -> bool:
    """Whether hexdump can show all of it."""
    return -(-len(data) // _per_row(cells)) <= height


def _per_row(cells: int) -> int:
    room = cells - 6 if cells >= 40 else cells
    return next((size for size in (16, 12, 8, 6) if 4 * size <= room), 4)


def _character(byte: int) -> str:
    """One cell for one byte: itself, the glyph of a control character, or a dot."""
    if byte < 0x7F:
        return safe(chr(byte))
    return "␡" if byte == 0x7F else "·"


def fields(data: bytes, parts: Sequence[Field], cells: int, height: int) -> list[Line]:
    """The struct's real bytes split by field: a line a field where there is room, else one row over its labels."""
    parts = [part for part in parts if part.offset + part.size <= len(data) and part.size]
    if not parts or height < 1:
        return []
    if height >= len(parts):
        return _listed(data, parts, cells)
    return _row(data, parts, cells)[:height]


def _listed(data: bytes, parts: Sequence[Field], cells: int) -> list[Line]:
    widest = min(8, max(part.size for part in parts))
    name_cells = min(12, max(len(part.name) for part in parts))
    # Blanks between bytes only where they leave room for what the bytes say.
    roomy = cells >= 3 * widest + name_cells + 4 + max(len(part.text) for part in parts)
    lines: list[Line] = []
    for place, part in enumerate(parts):
        raw = data[part.offset : part.offset + part.size]
        shown = (raw[:8].hex(" ") if roomy else raw[:8].hex()) + ("…" if len(raw) > 8 else "")
        room = widest * (3 if roomy else 2)
        role = _FIELD_ROLES[place % len(_FIELD_ROLES)]
        name, said = column(safe(part.name), name_cells, "dim"), (safe(part.text), role if role != "dim" else "")
        lines.append(clip_words((("  ", ""), column(shown, room, role), (" ", ""), name, (" ", ""), said), cells))
    return lines


def _row(data: bytes, parts: Sequence[Field], cells: int) -> list[Line]:
    """`0200 1f90 7f000001 0000000000000000` over labels, each under its bytes."""
    values: list[Span] = []
    labels: list[Span] = []
    for place, part in enumerate(parts):
        role = _FIELD_ROLES[place % len(_FIELD_ROLES)]
        text = data[part.offset : part.offset + part.size].hex()
        values += [(text, role), (" ", "")]
        labels += [column(_label(part.name, len(text)), len(text), role), (" ", "")]
    return [clip(tuple(values[:-1]), cells), clip(tuple(labels[:-1]), cells)]


def _label(name: str, cells: int) -> str:
    """A member's name in few cells: without the struct's prefix, then cut with a full stop."""
    shown = safe(name)
    if len(shown) > cells:
        shown = shown.partition("_")[2] or shown
    return shown if len(shown) <= cells else shown[: max(0, cells - 1)] + "."
