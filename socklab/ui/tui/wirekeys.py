"""The wire in the student's hand: what its keys ask of the engine, and which packet is chosen.

In: keys, the state that is shown. Out: wire verbs as commands; the choice of a packet. Mixed into the lab's screen.
Never says whether a verb worked: the stream does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from socklab import state as st
from socklab.protocol import commands as cmd
from socklab.ui.tui.tableview import VirtualLines

if TYPE_CHECKING:
    from socklab.ui.tui.board import Board
    from socklab.ui.tui.bridge import Bridge
    from socklab.ui.tui.lab import LabScreen
    from socklab.ui.tui.lineview import LineView
    from socklab.ui.tui.prompt_place import PromptPlace


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


class WireKeys:
    """Actions of the wire's keys."""

    bridge: Bridge
    board: Board
    typing: PromptPlace

    if TYPE_CHECKING:

        def _send(self, command: cmd.AnyCommand) -> None: ...
        def _say(self, text: str, *, wrong: bool) -> None: ...
        def paint(self) -> None: ...

    def _wire_verb(self, line: str) -> None:
        why = refusal(self.bridge.now)
        if why:
            self._say(why, wrong=False)
        else:
            self._send(cmd.Do(line))

    def _wire_prompt(self, text: str) -> None:
        why = refusal(self.bridge.now)
        if why:
            self._say(why, wrong=False)
        else:
            self.typing.open(cast("LabScreen", self), text)

    def action_hold_all(self) -> None:
        """Hold all that comes; with a hold in force: let go of it, and of what is held."""
        holds = any(rule.startswith("hold ") for rule in self.bridge.now.wire_rules)
        self._wire_verb("release hold" if holds else "hold all")

    def action_hold_some(self) -> None:
        self._wire_prompt("hold ")

    def _in_hand(self) -> str:
        """ " #17": the chosen packet, if the wire keeps it."""
        selected = self.board.selected.get("wire")
        number = selected[1] if isinstance(selected, tuple) else 0
        return f" #{number}" if number in self.bridge.now.on_the_way else ""

    def action_deliver(self) -> None:
        """The chosen packet, if it is held, else the one that has waited longest."""
        if self._something_held():
            self._wire_verb(f"deliver{self._in_hand()}")

    def action_deliver_all(self) -> None:
        if self._something_held():
            self._wire_verb("deliver all")

    def action_drop(self) -> None:
        if self._something_held():
            self._wire_verb(f"drop{self._in_hand()}")

    def _something_held(self) -> bool:
        now = self.bridge.now
        why = refusal(now)
        if not why and not len(now.on_the_way):
            why = "Nothing is held. H holds all that comes, g what you say; `drop next` takes one that is to come."
        if why:
            self._say(why, wrong=False)
        return not why

    def action_delay(self) -> None:
        self._wire_prompt("delay 100 ")

    def action_loss(self) -> None:
        self._wire_prompt("loss 20 ")

    def action_release(self) -> None:
        if not self.bridge.now.wire_rules and not len(self.bridge.now.on_the_way) and has_wire(self.bridge.now):
            self._say("No rule is in force on the wire.", wrong=False)
        else:
            self._wire_verb("release")

    def export_packets(self, path: str) -> None:
        """Write the packets so far as a capture, where the screen runs."""
        from pathlib import Path

        from socklab.packets import capture_file

        state = self.bridge.now
        try:
            with Path(path).expanduser().open("wb") as file:
                count = capture_file.state_packets(state, file)
        except OSError as error:
            self._say(f"{path} cannot be written: {error.strerror}.", wrong=True)
            return
        self._say(f"{count} packet{'s' * (count != 1)} written to {path}.", wrong=False)

    # ---------------------------------------------------------------- the chosen packet

    def choose_packet(self, view: LineView, by: int) -> None:
        """The packet before or after the chosen one; the first choice is the newest packet."""
        if self.board.detailed:
            view.scroll_by(by)
            return
        if not isinstance(view.lines, VirtualLines) or not len(view.lines.keys):
            return
        keys = view.lines.keys
        place = self._place(view)
        place = len(keys) - 1 if place < 0 else max(0, min(place + by, len(keys) - 1))
        self.board.selected["wire"] = keys[place]
        self.paint()
        view.keep_in_sight(place)

    def _place(self, view: LineView) -> int:
        from socklab.ui.tui.panels.wire import PacketKeys

        keys = view.lines.keys if isinstance(view.lines, VirtualLines) else ()
        return keys.place(self.board.selected.get("wire")) if isinstance(keys, PacketKeys) else -1

    def action_pick(self, row: int) -> None:
        """The mouse chooses the packet of a row."""
        view = self._wire_view()
        if view is not None and isinstance(view.lines, VirtualLines) and 0 <= row < len(view.lines.keys):
            self.board.selected["wire"] = view.lines.keys[row]
            self.paint()

    def _wire_view(self) -> LineView | None:
        return next((view for view in cast("LabScreen", self).slots if view.panel == "wire"), None)

    def open_packet(self) -> bool:
        """Tell the chosen packet in full, or go back to the arrows. False = none is chosen."""
        view = self._wire_view()
        if view is None or (not self.board.detailed and self._place(view) < 0):
            return False
        self.board.detailed = not self.board.detailed
        view.top = 0
        self.paint()
        if not self.board.detailed:
            view.keep_in_sight(max(0, self._place(view)))
        return True

    def leave_packet(self) -> bool:
        """Out of the packet in full, then out of the choice. False = there was neither."""
        if self.board.detailed:
            return self.open_packet()
        view = self._wire_view()
        if view is not None:
            view.at_end = True
        return self.board.selected.pop("wire", None) is not None
