"""The wire's verbs: hold, deliver, drop, reorder, delay, loss, release.

In: the words of a verb. Out: an `Order`: what is to be done, with which packets. Pure; moves no packet, keeps no rule
(`wire_rules.py` and the wire's process do), so that prompts and lessons can check a line before it is carried out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from socklab.core.errors import UsageError
from socklab.packets.decode import ACK, FIN, PSH, RST, SYN, Segment

VERBS = ("hold", "deliver", "drop", "reorder", "delay", "loss", "release")
HOSTS = ("server", "client")
SCOPES = ("all", "hold", "drop", "reorder", "delay", "loss")

_CLIENT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,15}")
_CONTROL = SYN | FIN | RST

KINDS: Mapping[str, Callable[[Segment], bool]] = {
    "all": lambda s: True,
    "syn": lambda s: s.flags & (SYN | ACK) == SYN,
    "syn-ack": lambda s: s.flags & (SYN | ACK) == SYN | ACK,
    "ack": lambda s: s.flags & (ACK | _CONTROL) == ACK and s.payload_bytes == 0,
    "data": lambda s: s.protocol == "TCP" and s.payload_bytes > 0,
    "psh": lambda s: bool(s.flags & PSH),
    "fin": lambda s: bool(s.flags & FIN),
    "rst": lambda s: bool(s.flags & RST),
    "tcp": lambda s: s.protocol == "TCP",
    "udp": lambda s: s.protocol == "UDP",
    "icmp": lambda s: s.protocol in ("ICMP", "ICMPv6"),
}
"""Packets by what they are. `ack` is an ACK alone: no payload, no SYN, FIN or RST."""

RETRANSMISSION = "retransmission"
"""A kind too, which only who has seen the packets before can tell: rules for packets to come know it."""


class Select(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which packets: of any of these kinds, from and to these ends. Empty = whatever."""

    kinds: tuple[str, ...] = ()
    source: str = ""
    """server, client, a client's name, or an address with its port."""
    destination: str = ""

    def matches(self, packet: Segment, from_host: str, names: Mapping[str, str], *, again: bool = False) -> bool:
        """`names`: what an end is called to its address, "a" to "10.0.0.2:40001". `again`: it is a retransmission."""
        if self.source and not _is_end(self.source, packet.source_end, from_host, names):
            return False
        to_host = "client" if from_host == "server" else "server"
        if self.destination and not _is_end(self.destination, packet.destination_end, to_host, names):
            return False
        return not self.kinds or any(again if kind == RETRANSMISSION else KINDS[kind](packet) for kind in self.kinds)

    def __str__(self) -> str:
        words = [*self.kinds, *(("from", self.source) if self.source else ())]
        return " ".join([*words, *(("to", self.destination) if self.destination else ())]) or "all"


def _is_end(wanted: str, end: str, host: str, names: Mapping[str, str]) -> bool:
    return wanted == host or names.get(wanted, wanted) == end


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


# ---------------------------------------------------------------- verbs

_EXAMPLES = {
    "hold": "hold all, hold syn-ack, hold ack from a, hold next data",
    "deliver": "deliver, deliver 2, deliver all, deliver syn-ack, deliver #17",
    "drop": "drop, drop 2, drop all, drop #17 (held ones); drop next syn-ack, drop every retransmission (yet to come)",
    "reorder": "reorder (the first two held), reorder next (the next two to come)",
    "delay": "delay 100, delay 100 jitter 20, delay 100 data from server, delay 0",
    "loss": "loss 20, loss 20 seed 7, loss 20 data from server, loss 0",
    "release": "release (every rule, and all that is held), release hold, release loss",
}


def _nearest(word: str, known: Sequence[str], at_least: float = 0.5) -> str:
    import difflib

    near = difflib.get_close_matches(word, known, n=1, cutoff=at_least)
    return near[0] if near else ""


def _wrong(verb: str, word: str, known: Sequence[str] = ()) -> UsageError:
    near = _nearest(word, known)
    hint = f"Did you mean {near}? " if near else ""
    return UsageError(f"{verb}: {word!r} is not understood.", fix=f"{hint}For example: {_EXAMPLES[verb]}")


def parse(verb: str, words: Sequence[str], names: Collection[str] = ()) -> Order:
    """The order a verb line stands for. `names`: the clients there are.

    Raises UsageError naming the nearest verb or word, with examples.
    """
    verb = verb.lower()
    if verb not in VERBS:
        near = _nearest(verb, VERBS)
        raise UsageError(
            f"The wire has no verb {verb!r}.", fix=f"Did you mean {near}?" if near else f"It has {', '.join(VERBS)}."
        )
    rest = [word.lower() if word.lower() in KINDS else word for word in words]
    if verb == "release":
        scope = rest[0].lower() if rest else "all"
        if len(rest) > 1 or scope not in SCOPES:
            raise _wrong(verb, " ".join(rest), SCOPES)
        return Order(verb, scope=scope)
    if verb in ("delay", "loss"):
        return _measured(verb, rest, names)
    count, coming, packet = (0, False, 0) if verb == "hold" else (1, False, 0)
    if rest:
        first = rest[0].lower()
        if first in ("next", "every") and not (first == "every" and verb in ("deliver", "reorder")):
            # What is held is delivered; the other verbs can wait for what comes.
            coming = verb != "deliver"
            count = 1 if first == "next" else 0
            rest = rest[1:]
            if first == "next" and rest and rest[0].isdecimal():
                count, rest = _count(verb, rest[0]), rest[1:]
        elif first.startswith("#") and verb != "hold":
            if not first[1:].isdecimal() or len(rest) > 1:
                raise _wrong(verb, " ".join(rest))
            packet, rest = int(first[1:]), []
        elif first.isdecimal():
            count, rest = _count(verb, first), rest[1:]
        elif first == "all":
            count, rest = 0, rest[1:]
    return Order(verb, _select(verb, rest, names), count=count, coming=coming, packet=packet)


def _count(verb: str, word: str) -> int:
    count = int(word) if len(word) < 8 else 0
    if not count:
        raise _wrong(verb, word)
    return count


def _measured(verb: str, words: list[str], names: Collection[str]) -> Order:
    """delay MS [jitter MS] ... and loss PERCENT [seed N] ..."""
    if not words:
        raise UsageError(f"{verb} needs a number.", fix=f"For example: {_EXAMPLES[verb]}")
    unit, second = ("ms", "jitter") if verb == "delay" else ("%", "seed")
    value = 0.0 if words[0].lower() == "off" else _number(verb, words[0], unit)
    extra = 0.0
    rest = words[1:]
    if rest and rest[0].lower() == second:
        if len(rest) < 2:
            raise UsageError(f"{verb} {second} needs a number.", fix=f"For example: {_EXAMPLES[verb]}")
        extra, rest = _number(verb, rest[1], unit), rest[2:]
    elif rest and rest[0][0].isdigit():  # the word may be left out
        extra, rest = _number(verb, rest[0], unit), rest[1:]
    select = _select(verb, rest, names)
    if verb == "delay":
        if value > 60_000 or extra > 60_000:
            raise UsageError("A delay is at most 60000 ms.", fix="A packet to keep longer: hold it.")
        return Order(verb, select, ms=value, jitter_ms=extra)
    if value > 100:
        raise UsageError("A loss is at most 100 percent.", fix=f"For example: {_EXAMPLES[verb]}")
    return Order(verb, select, percent=value, seed=int(extra))


def _number(verb: str, word: str, unit: str) -> float:
    digits = word.lower().removesuffix(unit)
    if not digits.isascii() or not digits.replace(".", "", 1).isdecimal() or len(digits) > 12:
        raise _wrong(verb, word)
    return float(digits)


def _select(verb: str, words: list[str], names: Collection[str]) -> Select:
    kinds: list[str] = []
    ends = {"from": "", "to": ""}
    position = 0
    while position < len(words):
        word = words[position].lower()
        if word in ends:
            if position + 1 >= len(words):
                raise UsageError(f"{verb}: {word} whom?", fix=f"For example: {_EXAMPLES[verb]}")
            ends[word] = _end(verb, words[position + 1], names)
            position += 2
            continue
        kind = {"synack": "syn-ack", "syn+ack": "syn-ack", "acks": "ack", "any": "all"}.get(word, word)
        if kind not in KINDS and kind != RETRANSMISSION:
            raise _wrong(verb, words[position], [*KINDS, RETRANSMISSION, "from", "to", "next"])
        kinds.append(kind)
        position += 1
    return Select(() if "all" in kinds else tuple(kinds), ends["from"], ends["to"])


def _end(verb: str, word: str, names: Collection[str]) -> str:
    """A host, a client's name (also of one that is yet to connect), or an address with its port."""
    if word in HOSTS or word in names or ":" in word:
        return word
    near = _nearest(word, HOSTS, 0.82)  # "sever" is a slip of the finger, "my-client" is a name
    if near or not _CLIENT.fullmatch(word):
        hint = f"Did you mean {near}? " if near else ""
        raise UsageError(f"{verb}: there is no host {word!r}.", fix=f"{hint}For example: {_EXAMPLES[verb]}")
    return word
