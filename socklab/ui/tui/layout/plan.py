"""Where everything is on a screen of a given size.

In: width and height in cells, groups of panels, what is maximised, how high the question and the notice want to be.
Out: a Plan of slots that never depends on what the program does, so nothing jumps from stop to stop. Pure; knows no
panel by name; never draws.
"""

from __future__ import annotations

import msgspec

LEAST_WIDTH, LEAST_HEIGHT = 50, 12


class Box(msgspec.Struct, frozen=True):
    """A region of the screen in cells."""

    x: int
    y: int
    width: int
    height: int


NOWHERE = Box(0, 0, 0, 0)


class Groups(msgspec.Struct, frozen=True):
    """Names of panels by their place, in the order of their tabs (panels/registry.py has the table)."""

    source: tuple[str, ...]
    call: tuple[str, ...]
    text: tuple[str, ...]
    kernel: tuple[str, ...]
    """The other column: the first ones have places of their own where there is room, the last ones share one."""
    own: tuple[str, ...] = ()
    """Of the kernel's column too, with a place of their own."""

    @property
    def all(self) -> tuple[tuple[str, ...], ...]:
        return self.source, self.call, self.text, self.kernel, self.own


class Slot(msgspec.Struct, frozen=True):
    """A place for one panel at a time. With several panels it is a group of tabs."""

    box: Box
    panels: tuple[str, ...]


class Plan(msgspec.Struct, frozen=True):
    """Everything on the screen. `slots` in reading order; a box of height 0 is not shown."""

    kind: str
    """tiny, tabs, wide or tall."""
    slots: tuple[Slot, ...]
    header: Box = NOWHERE
    question: Box = NOWHERE
    notice: Box = NOWHERE
    timeline: Box = NOWHERE
    status: Box = NOWHERE
    footer: Box = NOWHERE


def plan(
    width: int,
    height: int,
    groups: Groups,
    *,
    maximised: str = "",
    question: int = 0,
    notice: int = 0,
) -> Plan:
    """The plan of a screen.

    `question` and `notice` are the heights these would like to have; 0 = there is none.
    """
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return Plan("tiny", ())
    kind = _kind(width, height)
    head = 0 if kind == "tabs" else 1
    timeline = 1 if height >= 16 else 0
    footer = Box(0, height - 1, width, 1)
    status = Box(0, height - 2, width, 1)
    bottom = height - 2 - timeline
    line = Box(0, bottom, width, timeline)
    told = min(notice, max(1, (bottom - head) // 4)) if notice else 0
    bottom -= told
    asked = min(question, max(5, (bottom - head) // 2)) if question else 0
    area = Box(0, head, width, bottom - head)
    if maximised:
        top = area.height - asked
        slots: tuple[Slot, ...] = (Slot(Box(0, head, width, top), (maximised,)),)
        asked_box = Box(0, head + top, width, asked)
    elif kind == "tabs":
        slots, asked_box = _tabs(area, groups, asked)
    else:
        slots, asked_box = _columns(area, groups, asked, tall=kind == "tall")
    return Plan(
        kind,
        slots,
        Box(0, 0, width, head),
        asked_box if asked else NOWHERE,
        Box(0, bottom, width, told) if told else NOWHERE,
        line if timeline else NOWHERE,
        status,
        footer,
    )


def question_width(width: int, height: int, *, maximised: bool) -> int:
    """Cells a question has on a screen of this size."""
    return width if maximised or _kind(width, height) == "tabs" else _left(width) - 1


def _kind(width: int, height: int) -> str:
    return "tabs" if width < 110 or height < 30 else "wide" if height < 48 else "tall"


def _gap(width: int) -> int:
    """Cells between the columns."""
    return 2 if width < 150 else 4


def _left(width: int) -> int:
    """Cells of the left column: code is seldom wider than 96."""
    return min((width - _gap(width)) * 48 // 100, 96)


def _tabs(area: Box, groups: Groups, asked: int) -> tuple[tuple[Slot, ...], Box]:
    """Source and call side by side, the narration under both, then one tab group over the whole width."""
    rows = area.height
    kernel = (*groups.kernel, *groups.own)
    if rows < (18 if asked else 15):  # too low for all of them: the source keeps the top, the others share the rest
        top = max(4, rows // 2) if not asked else max(3, rows - asked - 4)
        rest = rows - top - asked
        question = Box(area.x, area.y + top, area.width, asked)
        group = (*groups.call, *groups.text, *kernel)
        return (
            Slot(Box(area.x, area.y, area.width, top), groups.source),
            Slot(Box(area.x, area.y + top + asked, area.width, rest), group),
        ), question
    asked = min(asked, rows - 12)
    told = 6 if rows >= 26 else max(3, min(5, rows - asked - 11))
    top = max(6, (rows - told - asked) * (11 if asked else 9) // 16)
    left = area.width * 11 // 20
    y = area.y
    slots = [
        Slot(Box(0, y, left, top), groups.source),
        Slot(Box(left + 1, y, area.width - left - 1, top), groups.call),
    ]
    y += top
    if told:
        slots.append(Slot(Box(0, y, area.width, told), groups.text))
        y += told
    question = Box(0, y, area.width, asked)
    y += asked
    slots.append(Slot(Box(0, y, area.width, area.y + rows - y), kernel))
    return tuple(slots), question


def _columns(area: Box, groups: Groups, asked: int, *, tall: bool) -> tuple[tuple[Slot, ...], Box]:
    """Two columns: the program on the left, the kernel on the right."""
    gap = _gap(area.width)
    left = _left(area.width) - 1
    x = left + 1 + gap
    wide = area.width - x
    rows = area.height
    told = max(6, rows * 22 // 100) if not asked else max(5, rows * 16 // 100)
    call = max(8, rows * 28 // 100)
    source = rows - call - told - asked
    if source < 6:  # little room: the lesson's text gives first, then the call, then the question
        lacking, source = 6 - source, 6
        given = min(lacking, told - 3)
        told, lacking = told - given, lacking - given
        given = min(lacking, call - 5)
        call, asked = call - given, asked - (lacking - given)
    y = area.y
    slots = [
        Slot(Box(1, y, left, source), groups.source),
        Slot(Box(1, y + source, left, call), groups.call),
        Slot(Box(1, y + source + call, left, told), groups.text),
    ]
    question = Box(1, y + source + call + told, left, asked)
    kernel = groups.kernel
    if groups.own:
        # A place of its own for one: the first two, of which the call is about one or the other, make room for it.
        shares = [kernel[:2], kernel[2:3], groups.own, kernel[3:]]
        heights = _shared(rows, (20, 27, 35, 18) if tall else (22, 29, 32, 17))
    elif tall:
        shares = [kernel[:1], kernel[1:2], kernel[2:3], kernel[3:4], kernel[4:]]
        heights = _shared(rows, (22, 18, 27, 19, 14))
    else:
        shares = [kernel[:1], kernel[1:2], kernel[2:3], kernel[3:]]
        heights = _shared(rows, (26, 22, 29, 23))
    for panels, height in zip(shares, heights, strict=True):
        slots.append(Slot(Box(x, y, wide, height), panels))
        y += height
    return tuple(slots), question


def _shared(total: int, percents: tuple[int, ...]) -> list[int]:
    """`total` rows in these proportions; the last takes what rounding leaves."""
    heights = [total * percent // 100 for percent in percents]
    heights[-1] += total - sum(heights)
    return heights
