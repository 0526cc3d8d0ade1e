"""The screen of one lab: keys become commands, states become panels.

In: a Bridge, a Lesson or none. Out: commands; what is seen. The three parts it is made of: what is seen (labview),
the program's and clients' keys (programkeys), the keys for looking (lookkeys).
"""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from socklab.ui.tui.keys import KEYS, bound
from socklab.ui.tui.lookkeys import LookKeys


def _key(keys: str, action: str, name: str | None = None) -> Binding:
    """Handled where keys arrive, before anything else: of `:connect 5` typed in one go no letter may be a key."""
    return Binding(keys, action, show=False, priority=True, id=name)


class LabScreen(LookKeys):
    """Everything of one run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(_key(bound(key.keys), key.action, key.name) for key in KEYS if key.name != "row"),
        *(_key(number, f"number('{number}')") for number in "0123456789"),
        _key("up", "row(-1)"),
        _key("down", "row(1)"),
        _key("pageup", "page(-1)"),
        _key("pagedown", "page(1)"),
        _key("enter", "enter"),
        _key("escape", "escape"),
    ]
