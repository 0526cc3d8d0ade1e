"""The wire's verbs: hold, deliver, drop, reorder, delay, loss, release.

In: the words of a verb. Out: an `Order`: what is to be done, with which packets. Pure; moves no packet, keeps no rule
(engine/network/wire does), so that prompts and lessons can check a line before it is carried out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from socklab.commands.packet_filter import HOSTS, KINDS, Select
from socklab.commands.table import COMMANDS, LESSON, WIRE
from socklab.core.errors import UsageError
from socklab.core.suggest import nearest
from socklab.core.text import safe

__all__ = ["HOSTS", "KINDS", "VERBS", "Order", "Select", "parse"]

_COMMANDS = {command.name: command for command in COMMANDS if command.group == WIRE and LESSON in command.where}
VERBS = tuple(_COMMANDS)


class Order(msgspec.Struct, frozen=True, tag="order", omit_defaults=True):
    """One verb, understood."""

    verb: str
    select: Select = Select()
    count: int = 0
    """How many packets; 0 = no limit."""
    coming: bool = False
    """drop, reorder: packets yet to come, not those held."""
    packet: int = 0
    """The one packet of that number."""
    ms: float = 0
    jitter_ms: float = 0
    percent: float = 0
    seed: int = 0
    scope: str = "all"
    """release: which rules go."""


def parse(verb: str, words: Sequence[str], names: Collection[str] = ()) -> Order:
    """The order a verb line stands for. `names`: the clients there are.

    Raises UsageError naming the nearest verb or word, with examples.
    """
    command = _COMMANDS.get(verb.lower())
    if command is None:
        near = nearest(verb, VERBS)
        fix = f"Did you mean {near}?" if near else f"It has {', '.join(VERBS)}."
        raise UsageError(f'The wire has no verb "{safe(verb)}".', fix=fix)
    return Order(command.name, **command.read(" ".join(words), names=names))
