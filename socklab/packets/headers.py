"""The headers of IP packets, one table each: `decode` takes values from it, `fields` the same values with their places.

In: nothing. Out: the layouts of IPv4, IPv6, TCP, UDP and ICMP, and of TCP's options. Never reads a packet by itself.

Sources: RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 7323 (window scale, timestamps), RFC 2018 (SACK),
RFC 768 (UDP), RFC 792 and RFC 4443 (ICMP); the names are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from socket import AF_INET, AF_INET6, inet_ntop
from struct import Struct
from typing import Any, NamedTuple

FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
"""Names of TCP's flag bits, lowest first."""


class Place(NamedTuple):
    """One field of a header: where it is, counted from the header's first byte, and how its value is written."""

    name: str
    start: int
    shape: Struct
    text: Callable[[Any], str]


class Header:
    """A header's layout, out of rows (format of `struct`, field's name, its value as text), in the order of the bytes.

    A row with an empty format is another part of the same bytes: fields smaller than a byte share its place.
    """

    def __init__(self, *rows: tuple[str, str, Callable[[Any], str]]) -> None:
        self.struct = Struct(">" + "".join(code for code, _, _ in rows))
        self.size = self.struct.size
        self.places: list[Place] = []
        start, shape = 0, Struct("")
        for code, name, text in rows:
            if code:
                start += shape.size
                shape = Struct(f">{code}")
            self.places.append(Place(name, start, shape, text))


_BYTE, _WORD = "0x{:02x}".format, "0x{:04x}".format


def _fragment(word: int) -> str:
    names = [name for bit, name in ((0x4000, "don't fragment"), (0x2000, "more fragments")) if word & bit]
    return ", ".join([*names, *([f"offset {(word & 0x1FFF) * 8}"] if word & 0x1FFF else [])]) or "none"


def _flags(bits: int) -> str:
    return ", ".join(name for bit, name in enumerate(FLAGS) if bits >> bit & 1) or "none"


def ipv4_address(data: bytes) -> str:
    return inet_ntop(AF_INET, data)


def ipv6_address(data: bytes) -> str:
    return inet_ntop(AF_INET6, data)


IPV4 = Header(
    ("B", "version", lambda first: str(first >> 4)),
    ("", "header length", lambda first: f"{(first & 15) * 4} bytes"),
    ("B", "type of service", _BYTE),
    ("H", "total length", str),
    ("H", "identification", _WORD),
    ("H", "fragmentation", _fragment),
    ("B", "time to live", str),
    ("B", "protocol", str),
    ("H", "header checksum", _WORD),
    ("4s", "source", ipv4_address),
    ("4s", "destination", ipv4_address),
)
IPV6 = Header(
    ("B", "version", lambda first: str(first >> 4)),
    ("3s", "flow label", lambda low: f"0x{int.from_bytes(low) & 0xFFFFF:05x}"),
    ("H", "payload length", str),
    ("B", "next header", str),
    ("B", "hop limit", str),
    ("16s", "source", ipv6_address),
    ("16s", "destination", ipv6_address),
)
TCP = Header(
    ("H", "source port", str),
    ("H", "destination port", str),
    ("I", "sequence number", str),
    ("I", "acknowledgment number", str),
    ("B", "data offset", lambda offset: f"{(offset >> 4) * 4} bytes"),
    ("B", "flags", _flags),
    ("H", "window", str),
    ("H", "checksum", _WORD),
    ("H", "urgent pointer", str),
)
UDP = Header(
    ("H", "source port", str),
    ("H", "destination port", str),
    ("H", "length", str),
    ("H", "checksum", _WORD),
)
ICMP = Header(
    ("B", "type", str),
    ("B", "code", str),
    ("H", "checksum", _WORD),
)

# ---------------------------------------------------------------- TCP's options


class OptionKind(NamedTuple):
    """A TCP option that is known: its short word, its name, the format of its body, and its values as text."""

    word: str
    name: str
    shape: Struct | None = None
    """None: its body has no fixed size."""
    text: Callable[..., str] = str


def _blocks(*edges: int) -> str:
    return ", ".join(f"{left}-{right}" for left, right in zip(edges[::2], edges[1::2], strict=True))


END, NO_OPERATION, SACK = 0, 1, 5
OPTIONS = {
    END: OptionKind("end", "end of options", Struct("")),
    NO_OPERATION: OptionKind("no-operation", "no operation", Struct("")),
    2: OptionKind("mss", "maximum segment size", Struct(">H")),
    3: OptionKind(
        "window-scale", "window scale", Struct(">B"), lambda shift: f"{shift} (window x {1 << min(shift, 14)})"
    ),
    4: OptionKind("sack-permitted", "SACK permitted", Struct("")),
    SACK: OptionKind("sack", "SACK", None, _blocks),
    8: OptionKind("timestamps", "timestamps", Struct(">II"), "{}, echo {}".format),
}


def option_places(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(kind, start, size) of each option in `data`, padding too; size 0, and nothing more, where one does not fit."""
    position, end = 0, len(data)
    while position < end:
        kind = data[position]
        size = 1
        if kind > NO_OPERATION:
            size = data[position + 1] if position + 1 < end else 0
            if size < 2 or position + size > end:
                yield kind, position, 0
                return
        yield kind, position, size
        position += size


def option_values(kind: int, body: bytes) -> tuple[int, ...] | None:
    """The numbers of an option's body; None when it has not the size that its kind demands."""
    known = OPTIONS.get(kind)
    if known is None:
        return tuple(body)
    if known.shape is None:
        return Struct(f">{len(body) // 4}I").unpack(body) if len(body) % 8 == 0 else None
    return known.shape.unpack(body) if known.shape.size == len(body) else None
