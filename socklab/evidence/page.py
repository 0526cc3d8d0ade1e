"""A page of evidence: where each raw thing was read, its text, its fields, the commands that show the same.

In: a Subject, the engine's answer to it or none, what a command has printed. Out: a Page, and its lines with roles, for
so many cells. Never longer than what was read; untrusted bytes are made visible here or before.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from socklab.core.text import safe
from socklab.evidence import decode
from socklab.evidence.model import RECORDED, Block, Field, Line, Shell, Subject
from socklab.protocol import events as ev

NAME_CELLS, RAW_CELLS = 15, 30
MARK = "▸"
"""Before a field that the panel shows."""

_PAST = "An earlier stop is shown: what is read from the kernel here is of now."
_GONE = "The lab has ended: nothing can be read from the kernel any more."


class Page(msgspec.Struct, frozen=True):
    """What is shown of a Subject."""

    title: str
    blocks: tuple[Block, ...]
    shells: tuple[Shell, ...] = ()
    notes: tuple[str, ...] = ()


def page(
    subject: Subject,
    answer: ev.Evidence | None,
    arch: str,
    *,
    past: bool = False,
    ended: bool = False,
    refused: str = "",
) -> Page:
    """`answer` None: it is still to come, or (`ended`, or `refused` in these words) will not."""
    notes = [_PAST] if past and subject.wants else []
    if ended and subject.wants and answer is None:
        notes = [_GONE]
    elif answer is None and subject.wants:
        notes.append(safe(refused) or "It is being read ...")
    # Its own record is shown beside what the kernel says where the two are of different times.
    recorded = [each for each in subject.recorded if past or ended or each.where != RECORDED]
    readings = answer.readings if answer is not None else ()
    read = [decode.block(reading, subject.shown, subject.notes, arch) for reading in readings]
    shells = [*subject.shells, *(shell for reading in readings for shell in decode.shells(reading))]
    return Page(subject.title, (*recorded, *read), () if ended else tuple(shells), tuple(notes))


# ---------------------------------------------------------------- text


def lines(shown: Page, cells: int, *, whole: bool = False) -> list[Line]:
    """The page's text, not wrapped but for dumps and fields. `whole`: what no panel shows as well."""
    out: list[Line] = [((note, "warn"),) for note in shown.notes]
    blocks = [each for each in shown.blocks if whole or not each.dull]
    if shown.blocks and not blocks:
        out.append((("No counter has moved since the lab began.", "dim"),))
    for block in blocks:
        if out:
            out.append(())
        out += _block(block, cells, whole)
    return out


def _block(block: Block, cells: int, whole: bool) -> Iterable[Line]:
    yield ((block.where, "title"),)
    for line in block.text if whole or not block.brief else block.brief:
        yield (("  ", ""), *line)
    yield from dump(block.data, cells)
    name = max((len(field.name) for field in block.fields), default=0)
    raw = max((len(field.raw) for field in block.fields), default=0)
    name, raw = min(name, max(NAME_CELLS, min(22, cells // 2))), min(raw, RAW_CELLS)
    for field in block.fields:
        yield _field(field, name, raw)
    if block.note:
        yield ((f"  {block.note}", "dim"),)


def _field(field: Field, name: int, raw: int) -> Line:
    role = "number" if field.shown else "dim"
    mark = f"{MARK} " if field.shown else "  "
    said = ((f"  {field.meaning}", ""),) if field.meaning else ()
    return (mark, "changed"), (f"{field.name:<{name}}  ", "name"), (f"{field.raw:<{raw if said else 0}}", role), *said


def dump(data: bytes, cells: int) -> Iterable[Line]:
    """Offset, hexadecimal, text, as `od -A x -t x1z` and tcpdump -X have it: 16 bytes a line, 8 where it is narrow."""
    size = 16 if cells >= 75 else 8
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in piece)
        yield (f"  {start:04x}  ", "dim"), (f"{piece.hex(' '):<{3 * size}} ", "number"), (text, "string")


def ran(result: ev.Ran) -> list[Line]:
    """What a command has printed, as it printed it, and how it ended."""
    out: list[Line] = []
    for data, role in ((result.out, ""), (result.err, "dim")):
        if data:
            out += [((line, role),) for line in safe(data.removesuffix(b"\n"), lines=True).split("\n")]
    if result.reason:
        out.append(((f"{safe(result.reason)}.", "bad"),))
    elif result.code:
        how = f"exit status {result.code}" if result.code > 0 else f"killed by signal {-result.code}"
        out.append(((how, "bad"),))
    elif not out:
        out.append((("It printed nothing.", "dim"),))
    return out
