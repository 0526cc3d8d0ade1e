"""The place in the footer where the prompt opens: made when first wanted, remembered after.

In: what to type beforehand. Out: a checked command, once, when Enter is pressed. Never sends it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.widget import Widget

from socklab.core.errors import SocklabError
from socklab.ui.tui.controllers.lab import Lab

if TYPE_CHECKING:
    from socklab.commands.lines import Request
    from socklab.ui.tui.prompt import Prompt


class PromptLine:
    """`field` is the Input widget, None until a key asks for it: its import is not start-up's business."""

    def __init__(
        self,
        lab: Lab,
        mount: Callable[[Widget], object],
        focus: Callable[[Widget | None], object],
        typed: Callable[[Request], None],
    ) -> None:
        self.field: Prompt | None = None
        self.is_open = False
        self._lab = lab
        self._mount = mount
        self._focus = focus
        self._typed = typed

    def open(self, text: str = "", *, cursor: int | None = None) -> None:
        """Open with `text` typed, the cursor at its end or at `cursor`."""
        from socklab.ui.tui.prompt import Prompt, hint

        if self.field is None:
            self.field = Prompt(lambda: self._lab.now.clients, self._descriptors)
            self._mount(self.field)
        self.is_open = True
        self.field.begin(text)
        if cursor is not None:
            self.field.cursor_position = cursor
        self._focus(self.field)
        self._lab.say(hint(text))

    def _descriptors(self) -> list[int]:
        """Descriptor numbers of the followed process, to complete."""
        now = self._lab.now
        return sorted(now.descriptors.get(now.task.pid, ())) if now.task is not None else []

    def changed(self) -> None:
        """Another letter: show how the verb is used."""
        from socklab.ui.tui.prompt import hint

        if self.is_open and self.field is not None:
            self._lab.say(hint(self.field.value))

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

    def tell_usage(self, verb: str) -> None:
        """How one verb is used, in the status line."""
        from socklab.commands.lines import command_of
        from socklab.commands.table import SCREEN

        try:
            command = command_of(verb, SCREEN)
        except SocklabError as error:
            self._lab.say(" ".join(filter(None, (error.what, error.fix))), wrong=True)
        else:
            self._lab.say(f"{command.usage}   {command.help}")

    def close(self) -> None:
        self.is_open = False
        self._focus(None)
        self._lab.say("")
