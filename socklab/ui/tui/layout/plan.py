"""Where everything is on a screen of a given size.

In: width and height in cells, groups of panels, what is in front or maximised, how high the question, the lesson's
text and the notice want to be. Out: a Plan of slots that never depends on what the program does, so nothing jumps from
stop to stop. Pure; knows no panel by name; never draws.
"""

from __future__ import annotations

import msgspec

LEAST_WIDTH, LEAST_HEIGHT = 50, 12

_MOST_TEXT = 96
"""Cells of the lesson's text where it has the whole width."""
_MOST_TOLD = 14
"""Rows of it where it has what the stage leaves."""


class Box(msgspec.Struct, frozen=True):
    """A region of the screen in cells."""

    x: int
    y: int
    width: int
    height: int


NOWHERE = Box(0, 0, 0, 0)


class Groups(msgspec.Struct, frozen=True):
    """Names of panels by their place, in the order of their tabs (panels/registry.py has the table)."""

    stage: tuple[str, ...]
    """The picture of all of it: on top."""
    source: tuple[str, ...]
    call: tuple[str, ...]
    text: tuple[str, ...]
    kernel: tuple[str, ...]
    """Opened by their keys; a tall screen has places for some of them."""
    own: tuple[str, ...] = ()
    """As `kernel`, of more weight in this lab."""

    @property
    def all(self) -> tuple[tuple[str, ...], ...]:
        return self.stage, self.source, self.call, self.text, self.kernel, self.own

    @property
    def program(self) -> tuple[tuple[str, ...], ...]:
        """Where the program is: always in sight, if only in one line."""
        return self.source, self.call

    @property
    def opened(self) -> tuple[str, ...]:
        """Those that have no place of their own unless there is much room."""
        return *self.own, *self.kernel


class Slot(msgspec.Struct, frozen=True):
    """A place for one panel at a time. With several panels it is a group of tabs that follows the program."""

    box: Box
    panels: tuple[str, ...]
    tabs: tuple[str, ...] = ()
    """Panels that its title names too: their keys open them here or elsewhere."""
    names_run: bool = False
    """Its title says which run this is: there is no header."""


class Plan(msgspec.Struct, frozen=True):
    """Everything on the screen. `slots` always in the order stage, text, source, call, kernel; a box of height 0 is not
    shown."""

    kind: str
    """tiny, tabs, wide, tall or present."""
    slots: tuple[Slot, ...]
    header: Box = NOWHERE
    place: Box = NOWHERE
    """One line for the panels of the program's column that have no room of their own."""
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
    front: str = "",
    maximised: str = "",
    question: int = 0,
    text: int = 0,
    notice: int = 0,
    presenting: bool = False,
) -> Plan:
    """The plan of a screen.

    `front`: the panel that was brought to the front; "" = none. `question` and `notice` are the heights these would
    like to have, 0 = there is none; `text` is what the lesson's text would like beside a question. `presenting`: for
    a room full of people: the stage and the text, with one row above and one below.
    """
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return Plan("tiny", ())
    kind = _kind(width, height, presenting=presenting)
    head = 0 if kind == "tabs" else 1
    timeline = 1 if height >= 16 and not presenting else 0
    bottom = height - (1 if presenting else 2) - timeline
    line = Box(0, bottom, width, timeline)
    told = min(notice, max(1, (bottom - head) // 4)) if notice else 0
    bottom -= told
    area = Box(0, head, width, bottom - head)
    if maximised:
        slots, place, asked = _maximised(area, maximised, question, header=bool(head))
    elif kind == "tabs":
        slots, place, asked = _tabs(area, groups, front, question, text)
    elif presenting:
        slots, place, asked = _present(area, groups, front, question, text)
    else:
        slots, place, asked = _columns(area, groups, front, question, text, tall=kind == "tall")
    return Plan(
        kind,
        slots,
        Box(0, 0, width, head),
        place,
        asked if question else NOWHERE,
        Box(0, bottom, width, told) if told else NOWHERE,
        line if timeline else NOWHERE,
        NOWHERE if presenting else Box(0, height - 2, width, 1),
        Box(0, height - 1, width, 1),
    )


def text_width(width: int, height: int, *, maximised: bool, presenting: bool = False) -> int:
    """Cells that a question, and the lesson's text above it, have on a screen of this size."""
    kind = _kind(width, height, presenting=presenting)
    if kind == "present" and not maximised:
        return min(width, _MOST_TEXT)
    return width if maximised or kind == "tabs" else _columns_of(width, three=_three(width, kind == "tall"))[-1][1]


def _kind(width: int, height: int, *, presenting: bool) -> str:
    if presenting:
        return "present"
    return "tabs" if width < 110 or height < 30 else "wide" if height < 48 else "tall"


_Found = tuple[tuple[Slot, ...], Box, Box]
"""The slots, the line for what has no room, the question."""


def _maximised(area: Box, name: str, asked: int, *, header: bool) -> _Found:
    """One panel, the line that says where the program is, and the question."""
    asked = min(asked, max(5, area.height // 2))
    top = area.height - asked - 1
    slot = Slot(Box(0, area.y, area.width, top), (name,), names_run=not header)
    y = area.y + top
    return (slot,), Box(0, y, area.width, 1), Box(0, y + 1, area.width, asked)


def _tabs(area: Box, groups: Groups, front: str, asked: int, text: int) -> _Found:
    """The stage, or what is in front of it; the line of source and call; the lesson's text and the question."""
    every = (*groups.stage, *groups.opened, *groups.source, *groups.call)
    shown = front if front in every else every[0]
    top, told, asked = _shared_rows(area.height - 1, (area.height - 1) * 3 // 5, asked, text)
    y = area.y + top
    tabs = tuple(name for name in every if name != shown)
    slots = (
        Slot(Box(0, area.y, area.width, top), (shown,), tabs),
        Slot(Box(0, y + 1, area.width, told), groups.text, names_run=True),
    )
    return slots, Box(0, y, area.width, 1), Box(0, y + 1 + told, area.width, asked)


def _present(area: Box, groups: Groups, front: str, asked: int, text: int) -> _Found:
    """As `_tabs`, without the names of what else there is; the text in a column in the middle."""
    rows = area.height - 1
    top, told, asked = _shared_rows(rows, max(rows * 3 // 5, rows - _MOST_TOLD), asked, text)
    (slot, said), _, _ = _tabs(area, groups, front, 0, 0)
    width = min(area.width, _MOST_TEXT)
    x, y = (area.width - width) // 2, area.y + top
    slots = (
        Slot(Box(0, area.y, area.width, top), slot.panels),
        Slot(Box(x, y + 1, width, told), said.panels),
    )
    return slots, Box(0, y, area.width, 1), Box(x, y + 1 + told, width, asked)


def _shared_rows(rows: int, top: int, asked: int, text: int) -> tuple[int, int, int]:
    """Rows of the stage, of the lesson's text, of the question: the stage gives way to a question, the text stays.

    A stage of one row is folded: it has its title only.
    """
    if not asked:
        return top, rows - top, 0
    asked = min(asked, rows - 4)
    wanted = min(max(text, 4), 8)
    for least, enough in ((8 if rows >= 20 else 6, 4), (4, 3)):
        stage = min(top, max(least, rows - asked - wanted))
        if rows - stage - asked >= enough:
            break
    else:
        stage = 1
    return stage, min(rows - stage - asked, max(text + 1, 4)), asked  # the question right below its text


def _three(width: int, tall: bool) -> bool:
    """Room for the kernel's panels between the program and the text."""
    return tall and width >= 160


def _columns_of(width: int, *, three: bool) -> list[tuple[int, int]]:
    """(x, width) of the columns below the stage. Code is seldom wider than 96, text is not read well in long lines."""
    if not three:
        gap = 2 if width < 150 else 4
        left = min((width - gap) * 48 // 100, 96) - 1
        return [(1, left), (1 + left + gap, width - 1 - left - gap)]
    gap = 3
    right = min((width - 2 * gap) * 31 // 100, 80)
    left = min((width - 2 * gap - right) * 54 // 100, 96)
    middle = 1 + left + gap
    return [(1, left), (middle, width - middle - gap - right), (width - right, right)]


def _columns(area: Box, groups: Groups, front: str, asked: int, text: int, *, tall: bool) -> _Found:
    """The stage over the whole width; below it the program on the left, text and question on the right."""
    three = _three(area.width, tall)
    columns = _columns_of(area.width, three=three)
    rows = area.height
    stage, told, asked = _shared_rows(rows, min(rows // 2, rows - 12), asked, text)
    below, y = rows - stage, area.y + stage
    (left, left_width), (right, right_width) = columns[0], columns[-1]
    group = 0
    if tall and not three:  # the kernel's panels are below the text
        group = max(0, min(below * 45 // 100, below - asked - min(max(text, 4), 8)))
        told = below - asked - group
    source = below * 55 // 100
    slots = [
        Slot(Box(1, area.y, area.width - 1, stage), groups.stage, () if tall else groups.opened),
        Slot(Box(right, y, right_width, told), groups.text),
        Slot(Box(left, y, left_width, source), groups.source),
        Slot(Box(left, y + source, left_width, below - source), groups.call),
    ]
    place = NOWHERE
    if tall and three:
        upper = (below + 1) // 2
        x, wide = columns[1]
        slots += [
            Slot(Box(x, y, wide, upper), groups.kernel[:3]),
            Slot(Box(x, y + upper, wide, below - upper), (*groups.own, *groups.kernel[3:])),
        ]
    elif tall:
        slots.append(Slot(Box(right, y + told + asked, right_width, group), groups.opened))
    elif front in groups.opened:
        place = Box(left, y, left_width, 1)
        slots[2:] = [Slot(Box(left, y + 1, left_width, below - 1), (front,))]
    return tuple(slots), place, Box(right, y + told, right_width, asked)
