"""A packet's headers, field by field, each with the bytes it is read from.

In: the bytes of one IP packet, whole or its beginning. Out: fields in the order of the bytes, with their place, so that
a hex view can point at them. Total: a field whose bytes are not here is not listed. Pure. The names are those of
`headers.py`.
"""

from __future__ import annotations

import msgspec

from socklab.core.plural import counted
from socklab.packets import headers
from socklab.packets.decode import decode


class Field(msgspec.Struct, frozen=True):
    """One header field: `size` bytes at `start` of the packet. Fields smaller than a byte share its place."""

    layer: str
    """IPv4, IPv6, TCP, UDP, ICMP, ICMPv6 or payload."""
    name: str
    value: str
    start: int
    size: int


_TRANSPORTS = {"TCP": headers.TCP, "UDP": headers.UDP, "ICMP": headers.ICMP, "ICMPv6": headers.ICMP}


def fields(data: bytes, length: int | None = None) -> tuple[Field, ...]:
    """Every header field whose bytes are here, then the payload. `length`: the packet's size on the wire."""
    segment = decode(data, length)
    if not segment.version or not segment.source:
        return (Field("payload", "bytes", segment.problem, 0, len(data)),) if data else ()
    layer, ip, more = ("IPv4", headers.IPV4, "options")
    if segment.version == 6:
        layer, ip, more = ("IPv6", headers.IPV6, "extension headers")
    found = _read(layer, ip, data, 0)
    transport = segment.ip_bytes
    if transport > ip.size:
        found.append(Field(layer, more, _hex(data[ip.size : transport]), ip.size, transport - ip.size))
    if segment.protocol in _TRANSPORTS and segment.what != "fragment":
        found += _read(segment.protocol, _TRANSPORTS[segment.protocol], data[: segment.length], transport)
        if segment.protocol == "TCP":
            found += _options(data, transport + headers.TCP.size, segment.header_bytes)
    if segment.payload:
        size = counted(segment.payload_bytes, "byte")
        cut = f", {len(segment.payload)} of them here" if len(segment.payload) < segment.payload_bytes else ""
        found.append(Field("payload", "payload", size + cut, segment.header_bytes, len(segment.payload)))
    return tuple(found)


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}" if data else ""


def _read(layer: str, header: headers.Header, data: bytes, start: int) -> list[Field]:
    return [
        Field(layer, name, text(*shape.unpack_from(data, start + at)), start + at, shape.size)
        for name, at, shape, text in header.places
        if start + at + shape.size <= len(data)
    ]


def _options(data: bytes, start: int, end: int) -> list[Field]:
    found: list[Field] = []
    for kind, at, size in headers.option_places(data[start:end]):
        if not size:
            break  # malformed: decode says so
        body = data[start + at + 2 : start + at + size]
        known, values = headers.OPTIONS.get(kind), headers.option_values(kind, body)
        value = known.text(*values) if known is not None and values else _hex(body)
        found.append(Field("TCP", f"option: {known.name if known else kind}", value, start + at, size))
    return found
