"""How tests read lines: as text, and by role."""

from __future__ import annotations

from socklab.ui.tui.panels import registry
from socklab.ui.tui.panels.source import SourcePanel
from socklab.ui.tui.widgets.lines import Line, plain

WIDTHS = (35, 38, 58, 100)
"""The call card at 80x24, the narrow column, the column at 120x36, a maximised panel."""


def text(drawn: list[Line]) -> str:
    return "\n".join(map(plain, drawn))


def roles_of(drawn: list[Line], piece: str) -> set[str]:
    """Roles of the spans that hold `piece`."""
    return {word for line in drawn for said, role in line if piece in said for word in role.split()}


def forget_windows() -> None:
    """The source panel keeps its place in a file: let the next picture depend on its state alone."""
    source = registry.panel("source")
    assert isinstance(source, SourcePanel)
    source._tops.clear()
