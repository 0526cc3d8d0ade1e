"""The clients in the student's hand: which one a key means, and what it asks of it.

In: actions, the client chosen in its panel. Out: commands. Never says whether it worked: the stream does.
"""

from __future__ import annotations

from collections.abc import Callable

from socklab.commands.keymap import said
from socklab.protocol import commands as cmd
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.view.lines import Key
from socklab.ui.view.tasks import client_of_call


class ClientsController:
    """The clients' keys. `marked`: the row chosen in their panel; `prompt`: opens it, the cursor in the text."""

    def __init__(self, lab: Lab, marked: Callable[[], Key | None], prompt: Callable[..., None]) -> None:
        self._lab = lab
        self._marked = marked
        self._prompt = prompt

    def chosen(self) -> str:
        """The marked client, or the one that the call in hand is about, or the newest one that is open, or ""."""
        clients = self._lab.now.clients
        marked = self._marked()
        if marked is not None and marked[0] in clients:
            return marked[0]
        living = [name for name, client in clients.items() if client.phase in ("open", "half-closed", "connecting")]
        served = client_of_call(self._lab.now)
        return served if served in living else living[-1] if living else ""

    def act(self, verb: str) -> None:
        """What the chosen client is to do."""
        name = self.chosen()
        if name:
            self._lab.post(cmd.Do(f"{verb} {name}"))
        else:
            self._lab.say(said("There is no open client. `connect` connects one."))

    def connect(self) -> None:
        self._lab.post(cmd.Do("connect"))

    def send(self) -> None:
        name = self.chosen()
        text = f'send {name} "\\n"' if name else 'send "\\n"'
        self._prompt(text, cursor=len(text) - 3)
