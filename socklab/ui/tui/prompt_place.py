"""The place in the footer where the prompt opens: made when first wanted, remembered after.

In: what to type beforehand. Out: a checked command, once, when Enter is pressed. Never sends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from socklab.commands.lines import Request
    from socklab.ui.tui.labview import LabView
    from socklab.ui.tui.prompt import Prompt


class PromptPlace:
    """`field` is the Input widget, None until a key asks for it: its import is not start-up's business."""

    def __init__(
        self,
        clients: Callable[[], Iterable[str]],
        typed: Callable[[Request], None],
        say: Callable[..., None],
    ) -> None:
        self.field: Prompt | None = None
        self.is_open = False
        self._clients = clients
        self._typed = typed
        self._say = say
        self._screen: LabView | None = None

    def open(self, screen: LabView, text: str, *, cursor: int | None = None) -> None:
        """Open with `text` typed, the cursor at its end or at `cursor`."""
        from socklab.ui.tui.prompt import Prompt, hint

        self._screen = screen
        if self.field is None:
            self.field = Prompt(self._clients, screen.open_descriptors)
            screen.desk.mount(self.field)
        self.is_open = True
        self.field.begin(text)
        if cursor is not None:
            self.field.cursor_position = cursor
        screen.set_focus(self.field)
        self._say(hint(text), wrong=False)

    def changed(self, text: str) -> None:
        """Another letter: show how the verb is used."""
        from socklab.ui.tui.prompt import hint

        if self.is_open:
            self._say(hint(text), wrong=False)

    def submit(self) -> None:
        """Enter. A line that is no command stays, with what is wrong said above it; an empty one closes."""
        field = self.field
        if field is None or not self.is_open:
            return
        if not field.value.strip():
            self.close()
            return
        command = field.checked()
        if command is not None:
            field.remember(field.value.strip())
            self.close()
            self._typed(command)

    def close(self) -> None:
        self.is_open = False
        if self._screen is not None:
            self._screen.set_focus(None)
            self._say("", wrong=False)
