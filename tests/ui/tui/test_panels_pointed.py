"""What a lesson's step points at has its mark in every panel that has a row for it, and in no other row."""

from __future__ import annotations

import pytest

from socklab.ui.tui.panels import registry
from socklab.ui.view.lines import View, plain
from tests.ui.tui.panel_support import Scene

PANELS = ("sockets", "clients", "descriptors", "queues")
WIDTHS = (38, 58, 100)


def marked(panel: str, pointed: str, cells: int) -> list[str]:
    body = registry.panel(panel).body(Scene(hosts=2).after_accept().state, View(cells, 14, pointed=pointed))
    return [line for line in map(plain, body.lines) if "▸" in line]


@pytest.mark.parametrize("cells", WIDTHS)
@pytest.mark.parametrize(
    ("pointed", "of"),
    [
        ("listener", {"sockets": ["LISTEN"], "queues": ["LISTEN"]}),
        ("client a", {"sockets": ["ESTABLISHED", "ESTABLISHED"], "clients": ["a"]}),
        ("fd 4", {"sockets": ["ESTABLISHED"], "descriptors": ["▸4"]}),
        ("", {}),
    ],
)
def test_a_step_marks_the_row_it_points_at_and_no_other(pointed: str, of: dict[str, list[str]], cells: int) -> None:
    for panel in PANELS:
        lines, words = marked(panel, pointed, cells), of.get(panel, [])
        assert len(lines) == len(words), (panel, lines)
        assert all(word in line for word, line in zip(words, lines, strict=True))
