"""The arguments of the wire's verbs: how many packets, which ones, how late, how many are lost.

In: the words behind a verb. Out: the fields of an Order, or a UsageError that says what is expected. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from socklab.commands.arguments import CLIENT_NAME, Argument, Known, Reader, first_word
from socklab.commands.packet_filter import HOSTS, KINDS, RETRANSMISSION, SAME_KIND, Select
from socklab.core.errors import UsageError
from socklab.core.text import safe


def number(
    field: str, usage: str, unit: str, most: float = 0, *, named: str = "", beyond: str = "", kind: type[Any] = float
) -> Argument:
    """A number, or `off`. `named`: a word that may stand before it; it may be left out then. `most`: 0 = no limit."""

    def read(line: Reader) -> dict[str, Any]:
        if named and line.peek().lower() == named:
            line.take()
        elif named and not line.peek()[:1].isdigit():
            return {}
        word = line.take().lower()
        digits = "0" if word == "off" and not named else word.removesuffix(unit)
        if not digits.isascii() or not digits.replace(".", "", 1).isdecimal() or len(digits) > 12:
            raise line.wrong(f'"{safe(word)}" is no number' if word else "a number is missing")
        if most and float(digits) > most:
            refusal = line.wrong(f"at most {most:g} {unit}")
            raise UsageError(refusal.what, fix=beyond) if beyond else refusal
        return {field: kind(float(digits))}

    def offers(before: Sequence[str], last: str, known: Known) -> Iterable[str]:
        return [f"{named} "] if named and len(before) == 1 else ()

    return Argument(usage, read, offers)


def amount(*words: str, otherwise: int = 1, coming: bool = True, numbered: bool = True) -> Argument:
    """How many packets: a number, next, every, all; or the one packet of a number, #17.

    `coming`: next and every are packets yet to come, not those held. `otherwise`: how many where nothing is said;
    0 = all.
    """

    def read(line: Reader) -> dict[str, Any]:
        word = line.peek().lower()
        if word in words:
            line.take()
            found = {"count": 1 if word == "next" else 0, "coming": coming and word != "all"}
            if word == "next" and line.peek().isdecimal():
                found["count"] = count(line)
            return found
        if numbered and word.startswith("#"):
            packet = line.take()[1:]
            if not packet.isdecimal() or line.text:
                raise line.wrong(f'"{safe(word)}" names one packet, such as #17, and stands alone')
            return {"count": otherwise, "packet": int(packet[:12])}
        return {"count": count(line) if word.isdecimal() else otherwise}

    def count(line: Reader) -> int:
        word = line.take()
        found = int(word) if len(word) < 8 else 0
        if not found:
            raise line.wrong(f'"{safe(word)}" packets')
        return found

    return Argument(f"[HOW MANY | {' | '.join(words)}]", read, first_word(*words))


def _packets(line: Reader) -> dict[str, Any]:
    kinds: list[str] = []
    ends = {"from": "", "to": ""}
    while line.text:
        word = line.take()
        kind = SAME_KIND.get(word.lower(), word.lower())
        if kind in ends:
            if not line.text:
                raise line.wrong(f"{kind} whom?")
            ends[kind] = _end(line, line.take())
        elif kind in KINDS or kind == RETRANSMISSION:
            kinds.append(kind)
        else:
            raise line.wrong(f'"{safe(word)}" is not understood', kind, [*KINDS, RETRANSMISSION, *ends, "next"])
    return {"select": Select(() if "all" in kinds else tuple(kinds), ends["from"], ends["to"])}


def _end(line: Reader, word: str) -> str:
    """A host, a client's name (also of one that is yet to connect), or an address with its port."""
    if word in HOSTS or word in line.names or ":" in word:
        return word
    from difflib import get_close_matches

    # "sever" is a slip of the finger, "my-client" is a name.
    if get_close_matches(word, HOSTS, cutoff=0.82) or not re.fullmatch(CLIENT_NAME, word):
        raise line.wrong(f'there is no host "{safe(word)}"', word, HOSTS)
    return word


def _packet_words(before: Sequence[str], last: str, known: Known) -> Iterable[str]:
    if before and before[-1] in ("from", "to"):
        return [f"{end} " for end in (*HOSTS, *known.clients)]
    return [f"{word} " for word in (*KINDS, RETRANSMISSION, "from", "to")]


PACKETS = Argument("[WHICH PACKETS]", _packets, _packet_words)
