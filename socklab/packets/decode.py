"""IP packets from bytes.

In: the bytes of one IP packet, whole or its beginning. Out: a `Segment`, for any bytes at all: what does not fit the
protocol is a value with its reason. Pure; reads nothing, draws nothing. What a segment means among those of its
connection is in `flows.py`.

Sources: RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 7323 (window scale, timestamps), RFC 2018 (SACK),
RFC 768 (UDP), RFC 792 and RFC 4443 (ICMP).
"""

from __future__ import annotations

import struct
from socket import AF_INET, AF_INET6, inet_ntop

import msgspec
from msgspec.structs import replace

FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
"""Names of the flag bits, lowest first."""
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58

_PROTOCOLS = {
    0: "hop-by-hop",
    1: "ICMP",
    2: "IGMP",
    6: "TCP",
    17: "UDP",
    47: "GRE",
    50: "ESP",
    58: "ICMPv6",
    132: "SCTP",
}
_ICMP = {
    0: "echo reply", 3: "destination unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded",
    12: "parameter problem",
}  # fmt: skip
_UNREACHABLE = {0: "network", 1: "host", 2: "protocol", 3: "port", 4: "fragmentation needed", 13: "administratively"}
_ICMPV6 = {
    1: "destination unreachable", 2: "packet too big", 3: "time exceeded", 4: "parameter problem", 128: "echo request",
    129: "echo reply", 130: "multicast listener query", 131: "multicast listener report",
    132: "multicast listener done", 133: "router solicitation", 134: "router advertisement",
    135: "neighbour solicitation", 136: "neighbour advertisement", 137: "redirect", 143: "multicast listener report v2",
}  # fmt: skip
_EXTENSIONS = frozenset({0, 43, 44, 60, 135})
"""IPv6 extension headers that are walked through: hop-by-hop, routing, fragment, destination options, mobility."""


class Option(msgspec.Struct, frozen=True, gc=False):  # part of no cycle
    """One TCP option. kind: mss, window-scale, sack-permitted, sack, timestamps, or the number ("30")."""

    kind: str
    values: tuple[int, ...] = ()
    """mss: bytes; window-scale: shift; sack: left, right, left, right ...; timestamps: value, echo."""


class Segment(msgspec.Struct, frozen=True, gc=False):  # part of no cycle
    """One IP packet, read as far as its bytes go. Numbers are as on the wire, in host order."""

    version: int = 0
    """4, 6, or 0: not an IP packet."""
    source: str = ""
    """IP address, without the port."""
    destination: str = ""
    protocol: str = ""
    """TCP, UDP, ICMP, ICMPv6, ... or the protocol's number."""
    source_port: int = 0
    destination_port: int = 0
    flags: int = 0
    seq: int = 0
    ack: int = 0
    window: int = 0
    """As in the header; multiply by the sender's window scale, which only its SYN carries (see flows.py)."""
    options: tuple[Option, ...] = ()
    what: str = ""
    """ICMP: the message in words, as "echo request"."""
    ttl: int = 0
    """Time to live, or IPv6's hop limit."""
    ip_bytes: int = 0
    """IP's own headers, options and extensions included; what IP carries begins here."""
    header_bytes: int = 0
    """All headers together; the payload begins here."""
    length: int = 0
    """Size of the packet by its own header."""
    payload_bytes: int = 0
    """Size of the payload by the headers, however much of it is here."""
    payload: bytes = b""
    """The payload's bytes that are here."""
    problem: str = ""
    """Why the bytes do not fit: "" = they do. What could be read before is kept."""

    @property
    def flag_names(self) -> tuple[str, ...]:
        """SYN, ACK ... in the order they are usually said."""
        return tuple(name for bit, name in _SPOKEN if self.flags & bit)

    @property
    def summary(self) -> str:
        """What kind of packet: "SYN-ACK", "PSH-ACK", "router solicitation", "UDP"."""
        if self.protocol == "TCP" and not self.problem and not self.what:
            return "-".join(self.flag_names) or "no flags"
        return self.what or self.protocol or "not IP"

    @property
    def source_end(self) -> str:
        """ "10.0.0.2:40001" or "[fd00::2]:40001", as socket tables write it."""
        return endpoint(self.source, self.source_port)

    @property
    def destination_end(self) -> str:
        return endpoint(self.destination, self.destination_port)

    @property
    def sequence_length(self) -> int:
        """How far the segment moves the sequence number: payload, and one each for SYN and FIN."""
        return self.payload_bytes + bool(self.flags & SYN) + bool(self.flags & FIN)


_SPOKEN = (
    (SYN, "SYN"),
    (FIN, "FIN"),
    (RST, "RST"),
    (PSH, "PSH"),
    (URG, "URG"),
    (ECE, "ECE"),
    (CWR, "CWR"),
    (ACK, "ACK"),
)


def endpoint(address: str, port: int) -> str:
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


# ---------------------------------------------------------------- IP


def decode(data: bytes, length: int | None = None) -> Segment:
    """The packet whose beginning is `data`; never raises.

    `length` is its size on the wire: a header that speaks of more is a problem then. Without it, `data` may be cut
    anywhere behind the headers.
    """
    if not data:
        return Segment(problem="no bytes")
    version = data[0] >> 4
    if version == 4:
        ip, number = _ipv4(data)
    elif version == 6:
        ip, number = _ipv6(data)
    else:
        return Segment(length=len(data), problem=f"IP version {version}")
    if ip.problem:
        return ip
    if length is not None and ip.length > length:
        ip = replace(ip, problem=f"the IP header says {ip.length} bytes, {length} came")
    # A header may say less than came: the rest is padding, not payload.
    rest = data[ip.header_bytes : ip.length]
    reader = _TRANSPORTS.get(number)
    if reader is None or ip.what:
        return replace(ip, payload_bytes=ip.length - ip.header_bytes, payload=rest)
    return reader(ip, rest)


def _ipv4(data: bytes) -> tuple[Segment, int]:
    """The IP header alone, and the protocol's number."""
    if len(data) < 20:
        return Segment(4, length=len(data), problem=f"an IPv4 header has 20 bytes, {len(data)} came"), -1
    words = data[0] & 15
    total, fragment = int.from_bytes(data[2:4]), int.from_bytes(data[6:8])
    number = data[9]
    problem = ""
    if words < 5:
        problem = f"an IPv4 header of {words * 4} bytes is too short"
    elif len(data) < words * 4:
        problem = f"the IPv4 header says {words * 4} bytes, {len(data)} came"
    elif total < words * 4:
        problem = f"the IPv4 length {total} is less than its header"
    ip = Segment(
        version=4,
        source=inet_ntop(AF_INET, data[12:16]),
        destination=inet_ntop(AF_INET, data[16:20]),
        protocol=_PROTOCOLS.get(number, str(number)),
        ttl=data[8],
        ip_bytes=min(words * 4, len(data)),
        header_bytes=min(words * 4, len(data)),
        length=total,
        # Only the first fragment carries the transport header.
        what="fragment" if fragment & 0x1FFF else "",
        problem=problem,
    )
    return ip, number


def _ipv6(data: bytes) -> tuple[Segment, int]:
    if len(data) < 40:
        return Segment(6, length=len(data), problem=f"an IPv6 header has 40 bytes, {len(data)} came"), -1
    total = 40 + int.from_bytes(data[4:6])
    number, position, what, problem = data[6], 40, "", ""
    while number in _EXTENSIONS:
        if position + 8 > min(len(data), total):
            problem = "an IPv6 extension header is cut off"
            break
        if number == 44:
            size = 8
            if int.from_bytes(data[position + 2 : position + 4]) >> 3:
                what = "fragment"
        else:
            size = 8 + data[position + 1] * 8
        number = data[position]
        position += size
        if position > min(len(data), total):
            problem = "an IPv6 extension header is cut off"
            break
        if what:
            break
    ip = Segment(
        version=6,
        source=inet_ntop(AF_INET6, data[8:24]),
        destination=inet_ntop(AF_INET6, data[24:40]),
        protocol="no next header" if number == 59 else _PROTOCOLS.get(number, str(number)),
        ttl=data[7],
        ip_bytes=min(position, len(data)),
        header_bytes=min(position, len(data)),
        length=total,
        what=what,
        problem=problem,
    )
    return ip, number


# ---------------------------------------------------------------- what IP carries

_TCP_HEADER = struct.Struct(">HHIIBBHHH")


def _tcp(ip: Segment, rest: bytes) -> Segment:
    room = ip.length - ip.header_bytes
    if len(rest) < 20:
        return _cut(ip, rest, f"a TCP header has 20 bytes, {len(rest)} came")
    source_port, destination_port, seq, ack, offset, flags, window, _, _ = _TCP_HEADER.unpack_from(rest)
    header = (offset >> 4) * 4
    problem = ip.problem
    options: tuple[Option, ...] = ()
    if header < 20:
        problem = f"a TCP header of {header} bytes is too short"
        header = 20
    elif header > len(rest):
        problem = f"the TCP header says {header} bytes, {len(rest)} came"
        header = len(rest)
    elif header > 20:
        options, wrong = _tcp_options(rest[20:header])
        problem = problem or wrong
    return Segment(
        version=ip.version,
        source=ip.source,
        destination=ip.destination,
        protocol="TCP",
        source_port=source_port,
        destination_port=destination_port,
        flags=flags,
        seq=seq,
        ack=ack,
        window=window,
        options=options,
        ttl=ip.ttl,
        ip_bytes=ip.ip_bytes,
        header_bytes=ip.header_bytes + header,
        length=ip.length,
        payload_bytes=room - header,
        payload=rest[header:],
        problem=problem,
    )


_OPTION_SHAPES = {2: ("mss", ">H"), 3: ("window-scale", ">B"), 4: ("sack-permitted", ">"), 8: ("timestamps", ">II")}


def _tcp_options(data: bytes) -> tuple[tuple[Option, ...], str]:
    """The options, and what is wrong with the first that does not fit."""
    found: list[Option] = []
    position = 0
    while position < len(data):
        kind = data[position]
        if kind == 0:  # end of options; the rest is padding
            break
        if kind == 1:  # no operation: one byte, aligns the next
            position += 1
            continue
        size = data[position + 1] if position + 1 < len(data) else 0
        if size < 2 or position + size > len(data):
            return tuple(found), f"TCP option {kind} has a wrong length"
        body = data[position + 2 : position + size]
        if kind == 5 and len(body) % 8 == 0:
            found.append(Option("sack", struct.unpack(f">{len(body) // 4}I", body)))
        elif kind in _OPTION_SHAPES and struct.calcsize(_OPTION_SHAPES[kind][1]) == len(body):
            name, shape = _OPTION_SHAPES[kind]
            found.append(Option(name, struct.unpack(shape, body)))
        elif kind in _OPTION_SHAPES or kind == 5:
            return tuple(found), f"TCP option {kind} has a wrong length"
        else:
            found.append(Option(str(kind), tuple(body)))
        position += size
    return tuple(found), ""


def _udp(ip: Segment, rest: bytes) -> Segment:
    if len(rest) < 8:
        return _cut(ip, rest, f"a UDP header has 8 bytes, {len(rest)} came")
    source_port, destination_port, size = struct.unpack_from(">HHH", rest)
    room = ip.length - ip.header_bytes
    problem = ip.problem
    if not 8 <= size <= room:
        problem = problem or f"the UDP length {size} does not fit {room} bytes"
        size = room
    return replace(
        ip,
        source_port=source_port,
        destination_port=destination_port,
        header_bytes=ip.header_bytes + 8,
        payload_bytes=size - 8,
        payload=rest[8:size],
        problem=problem,
    )


def _icmp(ip: Segment, rest: bytes) -> Segment:
    header, names = (8, _ICMP) if ip.protocol == "ICMP" else (4, _ICMPV6)
    if len(rest) < header:
        return _cut(ip, rest, f"an {ip.protocol} header has {header} bytes, {len(rest)} came")
    what = names.get(rest[0], f"type {rest[0]} code {rest[1]}")
    if names is _ICMP and rest[0] == 3:
        what = f"{_UNREACHABLE.get(rest[1], str(rest[1]))} unreachable"
    size = ip.length - ip.header_bytes - header
    return replace(ip, what=what, header_bytes=ip.header_bytes + header, payload_bytes=size, payload=rest[header:])


def _cut(ip: Segment, rest: bytes, problem: str) -> Segment:
    return replace(ip, payload_bytes=ip.length - ip.header_bytes, payload=rest, problem=ip.problem or problem)


_TRANSPORTS = {TCP: _tcp, UDP: _udp, ICMP: _icmp, ICMPV6: _icmp}
