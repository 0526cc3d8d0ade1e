"""A packet's headers, field by field, each with the bytes it is read from.

In: the bytes of one IP packet, whole or its beginning. Out: fields in the order of the bytes, with their place, so that
a hex view can point at them. Total: a field whose bytes are not here is not listed. Pure.

Sources: RFC 791, RFC 8200, RFC 9293, RFC 768, RFC 792, RFC 4443; the names are theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from socket import AF_INET, AF_INET6, inet_ntop

import msgspec

from socklab.packets.decode import FLAGS, decode


class Field(msgspec.Struct, frozen=True):
    """One header field: `size` bytes at `start` of the packet. Fields smaller than a byte share its place."""

    layer: str
    """IPv4, IPv6, TCP, UDP, ICMP, ICMPv6 or payload."""
    name: str
    value: str
    start: int
    size: int


_Text = Callable[[bytes], str]


def _number(data: bytes) -> str:
    return str(int.from_bytes(data))


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"


def _address(data: bytes) -> str:
    return inet_ntop(AF_INET if len(data) == 4 else AF_INET6, data)


def _fragment(data: bytes) -> str:
    word = int.from_bytes(data)
    names = [name for bit, name in ((0x4000, "don't fragment"), (0x2000, "more fragments")) if word & bit]
    return ", ".join([*names, *([f"offset {(word & 0x1FFF) * 8}"] if word & 0x1FFF else [])]) or "none"


def _flags(data: bytes) -> str:
    return ", ".join(name for bit, name in enumerate(FLAGS) if data[0] >> bit & 1) or "none"


_IPV4: tuple[tuple[str, int, int, _Text], ...] = (
    ("version", 0, 1, lambda d: str(d[0] >> 4)),
    ("header length", 0, 1, lambda d: f"{(d[0] & 15) * 4} bytes"),
    ("type of service", 1, 1, _hex),
    ("total length", 2, 2, _number),
    ("identification", 4, 2, _hex),
    ("fragmentation", 6, 2, _fragment),
    ("time to live", 8, 1, _number),
    ("protocol", 9, 1, _number),
    ("header checksum", 10, 2, _hex),
    ("source", 12, 4, _address),
    ("destination", 16, 4, _address),
)
_IPV6: tuple[tuple[str, int, int, _Text], ...] = (
    ("version", 0, 1, lambda d: str(d[0] >> 4)),
    ("flow label", 1, 3, lambda d: f"0x{int.from_bytes(d) & 0xFFFFF:05x}"),
    ("payload length", 4, 2, _number),
    ("next header", 6, 1, _number),
    ("hop limit", 7, 1, _number),
    ("source", 8, 16, _address),
    ("destination", 24, 16, _address),
)
_TCP_FIELDS: tuple[tuple[str, int, int, _Text], ...] = (
    ("source port", 0, 2, _number),
    ("destination port", 2, 2, _number),
    ("sequence number", 4, 4, _number),
    ("acknowledgment number", 8, 4, _number),
    ("data offset", 12, 1, lambda d: f"{(d[0] >> 4) * 4} bytes"),
    ("flags", 13, 1, _flags),
    ("window", 14, 2, _number),
    ("checksum", 16, 2, _hex),
    ("urgent pointer", 18, 2, _number),
)
_UDP_FIELDS: tuple[tuple[str, int, int, _Text], ...] = (
    ("source port", 0, 2, _number),
    ("destination port", 2, 2, _number),
    ("length", 4, 2, _number),
    ("checksum", 6, 2, _hex),
)
_ICMP_FIELDS: tuple[tuple[str, int, int, _Text], ...] = (
    ("type", 0, 1, _number),
    ("code", 1, 1, _number),
    ("checksum", 2, 2, _hex),
)
_TRANSPORTS = {"TCP": _TCP_FIELDS, "UDP": _UDP_FIELDS, "ICMP": _ICMP_FIELDS, "ICMPv6": _ICMP_FIELDS}
_OPTIONS = {
    0: "end of options", 1: "no operation", 2: "maximum segment size", 3: "window scale", 4: "SACK permitted",
    5: "SACK", 8: "timestamps",
}  # fmt: skip


def fields(data: bytes, length: int | None = None) -> tuple[Field, ...]:
    """Every header field whose bytes are here, then the payload. `length`: the packet's size on the wire."""
    segment = decode(data, length)
    if not segment.version or not segment.source:
        return (Field("payload", "bytes", segment.problem, 0, len(data)),) if data else ()
    layer, table = ("IPv4", _IPV4) if segment.version == 4 else ("IPv6", _IPV6)
    found = _read(layer, table, data, 0)
    transport = segment.ip_bytes
    fixed = table[-1][1] + table[-1][2]
    if transport > fixed:
        name = "options" if segment.version == 4 else "extension headers"
        found.append(Field(layer, name, _hex(data[fixed:transport]), fixed, transport - fixed))
    if segment.protocol in _TRANSPORTS and segment.what != "fragment":
        found += _read(segment.protocol, _TRANSPORTS[segment.protocol], data[: segment.length], transport)
        if segment.protocol == "TCP":
            found += _options(data, transport + 20, segment.header_bytes)
    if segment.payload:
        size = f"{segment.payload_bytes} bytes"
        cut = f", {len(segment.payload)} of them here" if len(segment.payload) < segment.payload_bytes else ""
        found.append(Field("payload", "payload", size + cut, segment.header_bytes, len(segment.payload)))
    return tuple(found)


def _read(layer: str, table: tuple[tuple[str, int, int, _Text], ...], data: bytes, start: int) -> list[Field]:
    return [
        Field(layer, name, text(data[start + at : start + at + size]), start + at, size)
        for name, at, size, text in table
        if start + at + size <= len(data)
    ]


def _options(data: bytes, start: int, end: int) -> list[Field]:
    found: list[Field] = []
    while start < min(end, len(data)):
        kind = data[start]
        size = 1 if kind < 2 else data[start + 1] if start + 1 < end else 0
        if not size or (kind >= 2 and size < 2) or start + size > end:
            break  # malformed: decode says so
        body = data[start + 2 : start + size]
        if kind == 8 and len(body) == 8:
            value = f"{int.from_bytes(body[:4])}, echo {int.from_bytes(body[4:])}"
        elif kind == 5 and len(body) % 8 == 0:
            edges = [int.from_bytes(body[at : at + 4]) for at in range(0, len(body), 4)]
            value = ", ".join(f"{a}-{b}" for a, b in zip(edges[::2], edges[1::2], strict=True))
        elif kind == 3 and len(body) == 1:
            value = f"{body[0]} (window x {1 << min(body[0], 14)})"
        else:
            value = _number(body) if kind == 2 else _hex(body) if body else ""
        found.append(Field("TCP", f"option: {_OPTIONS.get(kind, str(kind))}", value, start, size))
        start += size
    return found
