"""What a wire does with each packet that enters it.

In: orders (`wire_verbs`), decoded packets. Out: for each packet the first rule it falls under. Pure but for the dice of
`loss` and `jitter`, which are seeded. Moves no packet: wire_process.py does.
"""

from __future__ import annotations

import random

from socklab.commands.wire import KINDS, VERBS, Order, Select, parse
from socklab.packets.decode import RST, SYN, Segment

__all__ = ["KINDS", "VERBS", "Order", "Rules", "Select", "parse"]


class Rules:
    """The rules in force, oldest first. `decide` is asked only while `active`."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._holds: list[tuple[Order, list[int]]] = []
        """(order, [packets left; 0 = no limit])"""
        self._drops: list[tuple[Order, list[int]]] = []
        self._reorders: list[tuple[Order, list[int]]] = []
        self._losses: list[tuple[Order, random.Random]] = []
        self._delays: list[tuple[Order, random.Random]] = []
        self._sent: dict[tuple[str, str], int] = {}
        """How far the sequence numbers of each direction have come, as far as they were seen here."""

    @property
    def active(self) -> bool:
        return bool(self._holds or self._drops or self._reorders or self._losses or self._delays)

    def lines(self) -> tuple[str, ...]:
        """The rules as one would type them."""
        lines = [f"hold {_left(left)}{order.select}" for order, left in self._holds]
        lines += [f"drop {_left(left) or 'every '}{order.select}" for order, left in self._drops]
        lines += [f"reorder {_left(left)}{order.select}" for order, left in self._reorders]
        for order, _ in self._losses:
            lines.append(f"loss {order.percent:g} seed {order.seed} {order.select}")
        for order, _ in self._delays:
            jitter = f" jitter {order.jitter_ms:g}" if order.jitter_ms else ""
            lines.append(f"delay {order.ms:g}{jitter} {order.select}")
        return tuple(lines)

    def add(self, order: Order) -> None:
        """Put a rule in force. A loss or delay replaces the one for the same packets; 0 takes it away."""
        if order.verb == "loss":
            self._losses = [(o, dice) for o, dice in self._losses if o.select != order.select]
            if order.percent:
                self._losses.append((order, random.Random(order.seed)))
        elif order.verb == "delay":
            self._delays = [(o, dice) for o, dice in self._delays if o.select != order.select]
            if order.ms or order.jitter_ms:
                self._delays.append((order, random.Random(0)))
        else:
            {"hold": self._holds, "drop": self._drops, "reorder": self._reorders}[order.verb].append(
                (order, [order.count])
            )

    def release(self, scope: str) -> None:
        for name, rules in (
            ("hold", self._holds),
            ("drop", self._drops),
            ("reorder", self._reorders),
            ("loss", self._losses),
            ("delay", self._delays),
        ):
            if scope in ("all", name):
                rules.clear()

    def decide(self, packet: Segment, from_host: str) -> tuple[str, float]:
        """What happens to a packet that comes: (deliver | drop | hold | reorder | delay, milliseconds of delay)."""
        again = self._is_again(packet)
        for fate, rules in (("drop", self._drops), ("hold", self._holds), ("reorder", self._reorders)):
            if fate == "hold" and self._is_lost(packet, from_host, again):
                return "drop", 0.0
            for rule in rules:
                order, left = rule
                if order.select.matches(packet, from_host, self.names, again=again):
                    if left[0]:
                        left[0] -= 1
                        if not left[0]:
                            rules.remove(rule)
                    return fate, 0.0
        for order, dice in self._delays:
            if order.select.matches(packet, from_host, self.names, again=again):
                return "delay", max(0.0, order.ms + dice.uniform(-order.jitter_ms, order.jitter_ms))
        return "deliver", 0.0

    def _is_again(self, packet: Segment) -> bool:
        """Whether all that it carries was sent before: by a packet that was decided on, delivered or not."""
        if packet.protocol != "TCP" or not packet.sequence_length or packet.flags & RST:
            return False
        ends = (packet.source_end, packet.destination_end)
        end = (packet.seq + packet.sequence_length) & 0xFFFFFFFF
        known = self._sent.get(ends)
        # Sequence numbers wrap around; a SYN with another number begins a new connection between the same ends.
        ahead = 1 if known is None else ((end - known + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        if ahead > 0 or (packet.flags & SYN and ahead):
            self._sent[ends] = end
            return False
        return True

    def _is_lost(self, packet: Segment, from_host: str, again: bool) -> bool:
        return any(
            order.select.matches(packet, from_host, self.names, again=again) and dice.random() * 100 < order.percent
            for order, dice in self._losses
        )


def _left(left: list[int]) -> str:
    return f"next {left[0]} " if left[0] > 1 else "next " if left[0] else ""
