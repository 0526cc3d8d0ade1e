"""The stops of a run as one line: which call, what came of it, where we are, what the past is.

In: stops as they are met in the stream. Out: a Line and the places to click. A call is one chip for its two stops
(before and after). Never looks into a LabState.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from rich.cells import cell_len

from socklab.ui.view.lines import Line, Span


class Chip(msgspec.Struct):
    """One call, signal or pause of the timeline, and the stops that belong to it. The last one grows."""

    first: int
    """Number of its first stop, 1-based."""
    last: int
    name: str
    call: int = -1
    """Number of the call; -1 = no call (a signal, a pause)."""
    result: str = ""
    failed: bool = False
    known: int = 0
    """The first stop at which the result is known."""
    skipped: int = 0
    """Calls nobody stopped at since the chip before."""
    step: bool = False
    """A step of the lesson begins here."""
    marked: bool = False
    """The user has marked one of its stops."""

    @property
    def text(self) -> str:
        return f"{self.name}{self.result}"


class Chips:
    """The chips of a run, in order; found again by stop number."""

    def __init__(self) -> None:
        self.all: list[Chip] = []
        self._open: dict[int, Chip] = {}
        """By the call's number: those without a result."""
        self._of_stop: list[int] = [0]

    def held(self, name: str, call: int, *, result: str = "", failed: bool = False) -> None:
        """A stop at call number `call` (-1 = none); `result` is "" before the call, else "=3" or "=EAGAIN"."""
        stop = len(self._of_stop)
        last = self.all[-1] if self.all else None
        if last is not None and call >= 0 and last.call == call:
            last.last = stop
            self.returned(call, result, failed, stop)
        else:
            known = max((chip.call for chip in self.all[-4:]), default=-1)
            skipped = max(0, call - known - 1) if call >= 0 else 0
            self.all.append(Chip(stop, stop, name, call, result, failed, stop, skipped))
            if call >= 0 and not result:
                self._open[call] = self.all[-1]
        self._of_stop.append(len(self.all) - 1)

    def returned(self, call: int, result: str, failed: bool, stop: int = 0) -> None:
        """What came of call number `call`, known at `stop` (0 = the next one, if it is held there or elsewhere)."""
        chip = self._open.pop(call, None)
        if chip is not None:
            chip.result, chip.failed, chip.known = result, failed, stop or len(self._of_stop)

    def step_reached(self) -> None:
        if self.all:
            self.all[-1].step = True

    def mark(self, stops: Collection[int]) -> None:
        """These stops are marked, and no others."""
        for chip in self.all:
            chip.marked = False
        for stop in stops:
            if self.all:
                self.all[self.index_of(stop)].marked = True

    @property
    def stops(self) -> int:
        return len(self._of_stop) - 1

    def index_of(self, stop: int) -> int:
        """Index of the chip that stop belongs to."""
        return self._of_stop[min(max(stop, 0), self.stops)]


def draw(
    chips: Chips, at: int | None, width: int, *, running: bool, here: int | None = None
) -> tuple[Line, list[tuple[int, int, str]]]:
    """The line in `width` cells and its clickable places. `at` is the stop shown, None = now; `here`: the last stop of
    the task that is shown now, where another task has stopped since."""
    all_chips = chips.all
    stop = chips.stops if at is None else at
    counter = f" stop {stop} of {chips.stops} " if chips.stops else " not started "
    left: list[Span] = [(" ◀ " if stop > 1 else "   ", "key")]
    right: list[Span] = [(" ▶ " if at is not None else "   ", "key"), (counter, "dim" if at is None else "strong")]
    room = width - 6 - cell_len(counter)
    if not all_chips or room < 8:
        return (*left, (" " * max(0, room), ""), *right), []
    place = chips.index_of(here if at is None and here else stop)
    first, behind = _window(all_chips, place, room)
    spans: list[Span] = []
    hot: list[tuple[int, int, str]] = [(0, 3, "past"), (width - 3 - cell_len(counter), width, "future")]
    x = 3
    for index in range(first, behind):
        for text, role in _chip(all_chips[index], here=index == place, past=at is not None and index > place, at=at):
            spans.append((text, role))
            x += cell_len(text)
        size = cell_len(all_chips[index].text) + 2
        hot.append((x - size, x, f"stop({all_chips[index].last})"))
    if running and at is None and x - 3 + 4 <= room:
        spans.append(("  ··· ", "dim"))
        x += 6
    return (*left, *spans, (" " * max(0, room + 3 - x), ""), *right), hot


def _cells(chip: Chip) -> int:
    return cell_len(chip.text) + 2 + len(_gap(chip))


def _gap(chip: Chip) -> str:
    step = "★" if chip.marked else "◆" if chip.step else " "
    return f" ·{chip.skipped}·{step}" if chip.skipped else f"{step}"


def _chip(chip: Chip, *, here: bool, past: bool, at: int | None) -> list[Span]:
    """The gap before a chip and the chip; [ ] mark where we are, ◆ a step of the lesson, ★ a bookmark."""
    gap = (_gap(chip), "dim")
    if here:
        shown = chip.name if chip.result and at is not None and at < chip.known else chip.text
        text = f"[{shown}]" + " " * (cell_len(chip.text) - cell_len(shown))
        return [gap, (text, "focus")]
    role = "dim" if past else "bad" if chip.failed else ""
    return [gap, (f" {chip.text} ", role)]


def _window(chips: Sequence[Chip], here: int, room: int) -> tuple[int, int]:
    """Indexes of the chips that fit, `here` among them: the newest ones, unless we are further back."""
    first = behind = here
    used = 0
    while first >= 0 and used + _cells(chips[first]) <= room:
        used += _cells(chips[first])
        first -= 1
    first += 1
    behind = here + 1
    while behind < len(chips) and used + _cells(chips[behind]) <= room:
        used += _cells(chips[behind])
        behind += 1
    # When looking back keep what follows in sight: at most half the line for what was before.
    while behind < len(chips) and first < here and used > room // 2:
        used -= _cells(chips[first])
        first += 1
        while behind < len(chips) and used + _cells(chips[behind]) <= room:
            used += _cells(chips[behind])
            behind += 1
        break
    return first, max(behind, here + 1)
