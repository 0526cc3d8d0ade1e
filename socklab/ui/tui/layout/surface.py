"""The surface the panels lie on: places each widget where the plan says.

In: a function from size to Plan. Out: widget placements. Never knows what the panels show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from textual.geometry import NULL_OFFSET, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from socklab.ui.tui.layout.plan import Box

Places = Mapping[Widget, Box]
"""Where each widget goes; one that is missing, or has no rows, is not shown."""


class _PlanLayout(Layout):
    name = "plan"

    def __init__(self, places: Callable[[Size], Places]) -> None:
        self._places = places

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        places = self._places(size)
        placed = []
        for order, widget in enumerate(children):
            box = places.get(widget)
            if box is not None and box.width > 0 and box.height > 0:
                region = Region(box.x, box.y, box.width, box.height)
                placed.append(WidgetPlacement(region, NULL_OFFSET, Spacing(), widget, order))
        return placed


class Surface(Widget):
    """Holds every panel of a screen."""

    DEFAULT_CSS = "Surface { width: 1fr; height: 1fr; }"

    def __init__(self, *children: Widget, places: Callable[[Size], Places]) -> None:
        super().__init__(*children)
        self._plan_layout = _PlanLayout(places)

    @property
    def layout(self) -> Layout:
        """Ours: styles only take layouts that Textual knows by name."""
        return self._plan_layout

    def arrange_anew(self) -> None:
        """The plan is another: place everything again."""
        # Asked of a child: a widget forgets the arrangement it has kept only when something in it wants another.
        self.children[0].refresh(layout=True)
