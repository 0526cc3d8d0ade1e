"""The wire in the student's hand: what its keys ask of the engine; the packets so far written to a file.

In: actions, the packet chosen in its panel. Out: wire verbs as commands. Never says whether a verb worked: the stream
does.
"""

from __future__ import annotations

from collections.abc import Callable

from socklab import state as st
from socklab.commands.keymap import said
from socklab.core.errors import UsageError
from socklab.protocol import commands as cmd
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.view.lines import Key

_NOTHING_HELD = "Nothing is held. `hold-all` holds all that comes, `hold` what you say."


def has_wire(state: st.LabState) -> bool:
    """Two hosts and a wire between them that can be held."""
    return state.header is not None and state.header.network == "two-hosts"


def refusal(state: st.LabState) -> str:
    """Why nothing can be held here; "" = it can."""
    if has_wire(state):
        return "The lab has ended." if state.ended is not None else ""
    network = state.header.network if state.header else ""
    if network == "private":
        return "One private host: its packets can be seen, not held. --net two-hosts has a wire."
    return "No wire here: this is the machine's own network. --net two-hosts has one; socklab doctor says more."


def footer_situation(state: st.LabState) -> str:
    """What the footer offers: "" no wire, "w" a wire, "wg" packets to deliver."""
    if not has_wire(state) or state.ended is not None:
        return ""
    return "wg" if len(state.on_the_way) else "w"


class WireController:
    """The wire's keys. `marked`: the packet chosen in its panel; `prompt`: opens it with a text."""

    def __init__(self, lab: Lab, marked: Callable[[], Key | None], prompt: Callable[[str], None]) -> None:
        self._lab = lab
        self._marked = marked
        self._prompt = prompt

    def _if_possible(self, then: Callable[[str], object], text: str, *, held: bool = False) -> None:
        """`then(text)`, where there is a wire, and with `held` packets on it; else say why not."""
        now = self._lab.now
        why = refusal(now)
        if not why and held and not len(now.on_the_way):
            why = said(_NOTHING_HELD)
        if why:
            self._lab.say(why)
        else:
            then(text)

    def _do(self, line: str) -> None:
        self._lab.post(cmd.Do(line))

    def _in_hand(self) -> str:
        """ " #17": the chosen packet, if the wire keeps it."""
        marked = self._marked()
        return f" #{marked[1]}" if marked is not None and marked[1] in self._lab.now.on_the_way else ""

    def hold_all(self) -> None:
        """Hold all that comes; with a hold in force: let go of it, and of what is held."""
        holds = any(rule.startswith("hold ") for rule in self._lab.now.wire_rules)
        self._if_possible(self._do, "release hold" if holds else "hold all")

    def type(self, text: str) -> None:
        """Have a rule typed."""
        self._if_possible(self._prompt, text)

    def deliver(self) -> None:
        """The chosen packet, if it is held, else the one that has waited longest."""
        self._if_possible(self._do, f"deliver{self._in_hand()}", held=True)

    def deliver_all(self) -> None:
        self._if_possible(self._do, "deliver all", held=True)

    def drop(self) -> None:
        self._if_possible(self._do, f"drop{self._in_hand()}", held=True)

    def release(self) -> None:
        now = self._lab.now
        if has_wire(now) and not now.wire_rules and not len(now.on_the_way):
            self._lab.say("No rule is in force on the wire.")
        else:
            self._if_possible(self._do, "release")

    def export(self, path: str) -> None:
        """Write the packets so far as a capture, where the screen runs."""
        from socklab.packets import capture_file

        try:
            self._lab.say(capture_file.write(self._lab.now, path))
        except UsageError as error:
            self._lab.say(error.what, wrong=True)
