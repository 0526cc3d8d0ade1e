"""The screen of evidence: the raw thing that a panel was drawn from, its fields, and commands that show the same.

In: a Page, made anew when something has come. Out: which command to run. Never reads, never runs one itself.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from textual.binding import Binding, BindingType

from socklab import evidence
from socklab.evidence import Page
from socklab.ui.tui.overlay import Overlay
from socklab.ui.tui.theme import Theme
from socklab.ui.view.lines import Line, Span, clip, with_keys, wrap


class Witness(Protocol):
    """Who asks the engine, and knows what it has said."""

    @property
    def page(self) -> Page: ...

    @property
    def printed(self) -> tuple[str, list[Line]]:
        """The command that was run last, and what it has printed; "" = none was."""
        ...

    def run(self, place: int) -> None: ...


class EvidenceScreen(Overlay):
    """Enter runs the marked command, Tab marks the next, a digit runs that one."""

    DEFAULT_CSS = "EvidenceScreen LineView { max-width: 130; max-height: 60; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "run", show=False),
        Binding("tab", "mark(1)", show=False),
        Binding("shift+tab", "mark(-1)", show=False),
        *(Binding(str(digit), f"run({digit - 1})", show=False) for digit in range(1, 10)),
        Binding("v", "whole", show=False),
        Binding("space", "scroll(10)", show=False),
        Binding("q,r", "leave", show=False),
    ]

    def __init__(self, theme: Theme, witness: Witness) -> None:
        super().__init__(theme, "evidence")
        self._witness = witness
        self._marked = 0
        self._whole = False
        self._seen: tuple[str, list[Line]] = ("", [])

    def paint(self) -> None:
        width = self.view.body_width - 1  # between text and scroll bar
        if width < 1:
            return
        page, (command, printed) = self._witness.page, self._witness.printed
        lines = _wrapped(evidence.lines(page, width, whole=self._whole), width)
        first = len(lines) + 1
        if command:
            lines += [(), clip(((f"$ {command}", "title"),), width), *_wrapped(printed, width)]
        self.view.show(lines, self.titled(f"Evidence: {page.title} ", " Esc closes"), foot=self._foot(page, width))
        if command and (command, printed) != self._seen:
            self.view.scroll_to_line(first)
        self._seen = command, printed

    def _foot(self, page: Page, width: int) -> list[Line]:
        """The commands, and the keys: they stay in sight."""
        self._marked = min(self._marked, max(0, len(page.shells) - 1))
        lines: list[Line] = [(("╌" * width, "rule"),)]
        for place, shell in enumerate(page.shells):
            mark: Span = ("▶", "key") if place == self._marked else (" ", "")
            where = "" if shell.elsewhere else f"  on {shell.host}"
            line: Line = (mark, (f"{place + 1} ", "key"), (shell.text, "string"), (where, "dim"))
            lines += wrap(line, width, indent=3) if place == self._marked else [clip(line, width)]
        keys = "`Enter` runs it here, `Tab` the next, " if len(page.shells) > 1 else "`Enter` runs it here, "
        brief = any(block.brief for block in page.blocks)
        more = ("`v` shows less, " if self._whole else "`v` shows all of it, ") if brief else ""
        return [*lines, clip(with_keys(f"{keys if page.shells else ''}{more}`↑ ↓` scroll"), width)]

    def action_mark(self, by: int) -> None:
        shells = self._witness.page.shells
        if shells:
            self._marked = (self._marked + by) % len(shells)
            self.paint()

    def action_run(self, place: int = -1) -> None:
        place = self._marked if place < 0 else place
        if place < len(self._witness.page.shells):
            self._marked = place
            self._witness.run(place)
            self.paint()

    def action_whole(self) -> None:
        self._whole = not self._whole
        self.paint()


def _wrapped(lines: list[Line], width: int) -> list[Line]:
    return [part for line in lines for part in (wrap(line, width, indent=4) if line else [line])]
