"""What a wire does with each packet that enters it.

In: orders (`commands/wire.py`), decoded packets. Out: for each packet the first rule it falls under. Pure but for the
dice of `loss` and `jitter`, which are seeded. Moves no packet: process.py does.
"""

from __future__ import annotations

import random

from socklab.commands.wire import KINDS, VERBS, Order, Select, parse
from socklab.packets.decode import RST, SYN, Segment

__all__ = ["KINDS", "VERBS", "Order", "Rules", "Select", "parse"]


class _Rule:
    """One order in force. `left`: packets it is still for, 0 = no limit."""

    __slots__ = ("dice", "left", "order")

    def __init__(self, order: Order) -> None:
        self.order = order
        self.left = order.count
        self.dice = random.Random(order.seed if order.verb == "loss" else 0)

    def __str__(self) -> str:
        """As one would type it."""
        order = self.order
        some = f"next {self.left} " if self.left > 1 else "next " if self.left else ""
        if order.verb == "loss":
            return f"loss {order.percent:g} seed {order.seed} {order.select}"
        if order.verb == "delay":
            jitter = f" jitter {order.jitter_ms:g}" if order.jitter_ms else ""
            return f"delay {order.ms:g}{jitter} {order.select}"
        return f"{order.verb} {some or ('every ' if order.verb == 'drop' else '')}{order.select}"

    def applies(self) -> bool:
        """Whether it is for this one of the packets it selects. The last of its packets has had it when `spent`."""
        return self.order.verb != "loss" or self.dice.random() * 100 < self.order.percent

    def spent(self) -> bool:
        self.left -= 1
        return self.left == 0


class Rules:
    """The rules in force, oldest first. `decide` is asked only while `active`."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        # Asked in this order: what is lost can't be held any more.
        self._rules: dict[str, list[_Rule]] = {"drop": [], "loss": [], "hold": [], "reorder": [], "delay": []}
        self._sent: dict[tuple[str, str], int] = {}
        """How far the sequence numbers of each direction have come, as far as they were seen here."""

    @property
    def active(self) -> bool:
        return any(self._rules.values())

    def lines(self) -> tuple[str, ...]:
        """The rules as one would type them."""
        return tuple(str(rule) for verb in ("hold", "drop", "reorder", "loss", "delay") for rule in self._rules[verb])

    def add(self, order: Order) -> None:
        """Put a rule in force. A loss or delay replaces the one for the same packets; 0 takes it away."""
        rules = self._rules[order.verb]
        if order.verb in ("loss", "delay"):
            rules[:] = [rule for rule in rules if rule.order.select != order.select]
            if not (order.percent or order.ms or order.jitter_ms):
                return
        rules.append(_Rule(order))

    def release(self, scope: str) -> None:
        for verb, rules in self._rules.items():
            if scope in ("all", verb):
                rules.clear()

    def decide(self, packet: Segment, from_host: str) -> tuple[str, float]:
        """What happens to a packet that comes: (deliver | drop | hold | reorder | delay, milliseconds of delay)."""
        again = self._is_again(packet)
        for verb, rules in self._rules.items():
            for rule in rules:
                order = rule.order
                if not order.select.matches(packet, from_host, self.names, again=again) or not rule.applies():
                    continue
                if verb == "delay":
                    return "delay", max(0.0, order.ms + rule.dice.uniform(-order.jitter_ms, order.jitter_ms))
                if rule.left and rule.spent():
                    rules.remove(rule)
                return ("drop" if verb == "loss" else verb), 0.0
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
