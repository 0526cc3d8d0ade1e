"""What the wire's process and its holder say to each other: typed requests, and packed records of packets.

In: structs and bytes. Out: bytes and events. Requests are JSON on a SEQPACKET socket, one at a time, each answered;
records are packed by struct, on purpose, for a bulk transfer is 100,000 of them a second. Does no I/O.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from socklab.commands.wire import Order
from socklab.protocol.events import Packet, PacketFate

SIDES = ("server", "client")
"""The host a packet comes from, by the number in its record."""

PREFIX = 128
"""Bytes of a packet kept in a bulk transfer: every header (60 of IPv4 and 60 of TCP at most) and a little more."""


MOST_HELD = 4096
"""Numbers of held packets in one answer: a message on the control socket can't grow without limit (EMSGSIZE)."""


class Name(msgspec.Struct, frozen=True, tag="name"):
    """What one more end is called in verbs: "a" is "10.0.0.2:40001". A name given before means that end from now on."""

    name: str
    end: str


class Capture(msgspec.Struct, frozen=True, tag="capture"):
    """Write what crosses from now on to a pcap file; an empty path ends the capture."""

    path: str


class Status(msgspec.Struct, frozen=True, tag="status"):
    """How things stand."""


Request: TypeAlias = Order | Name | Capture | Status


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of a request."""

    text: str = ""
    """In words: "2 delivered; 1 held." """
    fix: str = ""
    refused: bool = False
    done: int = 0
    """Packets the order acted on."""
    held: tuple[int, ...] = ()
    """Numbers of the packets held now, oldest first; of more than MOST_HELD the oldest."""
    rules: tuple[str, ...] = ()
    """Rules in force, as one would type them."""
    packets: int = 0
    """Packets that entered the wire so far."""
    delivered: int = 0
    dropped: int = 0
    """Dropped because a rule or a verb said so."""
    lost: int = 0
    """Packets the wire itself failed to read or deliver; 0 unless something is wrong."""


encode = msgspec.json.Encoder().encode
decode_request: Callable[[bytes], Request] = msgspec.json.Decoder(Request).decode
decode_answer = msgspec.json.Decoder(Answer).decode


# ---------------------------------------------------------------- records

RECORD = struct.Struct("=BBHIQQ")
"""kind, side or fate, bytes kept, size of the packet, its number, CLOCK_MONOTONIC nanoseconds."""

PACKET, DELIVERED, FATE, UNREPORTED = range(4)
"""Kinds: a packet entered; one entered and was delivered at once; a fate; `size` records were left out."""

FATES = ("held", "delivered", "dropped", "delayed")
HELD, GONE_ON, DROPPED, DELAYED = range(4)


class Records:
    """Turns the stream of records back into events; keeps what has not come whole yet."""

    def __init__(self) -> None:
        self._rest = b""
        self.unreported = 0
        """Packets nobody could be told of, because the reader fell too far behind. The wire delivered them."""

    def events(self, data: bytes, start_ns: int = 0) -> list[Packet | PacketFate]:
        """The events of the records completed by `data`. Times are counted from `start_ns` of CLOCK_MONOTONIC."""
        data = self._rest + data if self._rest else data
        position, end = 0, len(data)
        found: list[Packet | PacketFate] = []
        while position + RECORD.size <= end:
            kind, which, kept, size, number, time_ns = RECORD.unpack_from(data, position)
            if position + RECORD.size + kept > end:
                break
            position += RECORD.size
            t = max(0, time_ns - start_ns)
            if kind == FATE:
                found.append(PacketFate(t, number, FATES[which]))
            elif kind == UNREPORTED:
                self.unreported += size
            else:
                source, destination = SIDES[which], SIDES[1 - which]
                found.append(Packet(t, number, source, destination, data[position : position + kept], size))
                if kind == DELIVERED:
                    found.append(PacketFate(t, number, FATES[GONE_ON]))
            position += kept
        self._rest = data[position:]
        return found
