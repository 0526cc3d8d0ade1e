"""IP packets from bytes.

In: the bytes of one IP packet, whole or its beginning. Out: a `Segment`, for any bytes at all: what does not fit the
protocol is a value with its reason. Pure; reads nothing, draws nothing. What a segment means among those of its
connection is in `flows.py`; how the headers are laid out, and the RFCs that say so, in `headers.py`.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from socklab.core.plural import counted
from socklab.packets import headers
from socklab.packets.headers import ipv4_address, ipv6_address

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
    59: "no next header",
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
_FRAGMENT = 44
_EXTENSIONS = frozenset({0, 43, _FRAGMENT, 60, 135})
"""IPv6 extension headers that are walked through: hop-by-hop, routing, fragment, destination options, mobility."""
_CUT_EXTENSION = "an IPv6 extension header is cut off"

_read_ipv4, _read_ipv6 = headers.IPV4.struct.unpack_from, headers.IPV6.struct.unpack_from
_read_tcp = headers.TCP.struct.unpack_from


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
        ip = replace(ip, problem=f"the IP header says {counted(ip.length, 'byte')}, {length} came")
    # A header may say less than came: the rest is padding, not payload.
    rest = data[ip.header_bytes : ip.length]
    reader = _TRANSPORTS.get(number)
    if reader is None or ip.what:
        return replace(ip, payload_bytes=ip.length - ip.header_bytes, payload=rest)
    return reader(ip, rest)


def _ipv4(data: bytes) -> tuple[Segment, int]:
    """The IP header alone, and the protocol's number."""
    if len(data) < headers.IPV4.size:
        return Segment(4, length=len(data), problem=f"an IPv4 header has 20 bytes, {len(data)} came"), -1
    first, _, total, _, fragment, ttl, number, _, source, destination = _read_ipv4(data)
    size = (first & 15) * 4
    problem = ""
    if size < headers.IPV4.size:
        problem = f"an IPv4 header of {size} bytes is too short"
    elif len(data) < size:
        problem = f"the IPv4 header says {size} bytes, {len(data)} came"
    elif total < size:
        problem = f"the IPv4 length {total} is less than its header"
    ip = Segment(
        version=4,
        source=ipv4_address(source),
        destination=ipv4_address(destination),
        protocol=_PROTOCOLS.get(number) or str(number),
        ttl=ttl,
        ip_bytes=min(size, len(data)),
        header_bytes=min(size, len(data)),
        length=total,
        # Only the first fragment carries the transport header.
        what="fragment" if fragment & 0x1FFF else "",
        problem=problem,
    )
    return ip, number


def _ipv6(data: bytes) -> tuple[Segment, int]:
    if len(data) < headers.IPV6.size:
        return Segment(6, length=len(data), problem=f"an IPv6 header has 40 bytes, {len(data)} came"), -1
    _, _, payload, number, hop_limit, source, destination = _read_ipv6(data)
    total = headers.IPV6.size + payload
    number, position, what, problem = _behind_extensions(data[:total], number)
    ip = Segment(
        version=6,
        source=ipv6_address(source),
        destination=ipv6_address(destination),
        protocol=_PROTOCOLS.get(number) or str(number),
        ttl=hop_limit,
        ip_bytes=min(position, len(data)),
        header_bytes=min(position, len(data)),
        length=total,
        what=what,
        problem=problem,
    )
    return ip, number


def _behind_extensions(data: bytes, number: int) -> tuple[int, int, str, str]:
    """What comes behind an IPv6 packet's extension headers: its number and place, "fragment", what is wrong."""
    position, what = headers.IPV6.size, ""
    while number in _EXTENSIONS and not what:
        if position + 8 > len(data):
            return number, position, what, _CUT_EXTENSION
        size = 8
        if number != _FRAGMENT:
            size += data[position + 1] * 8
        elif int.from_bytes(data[position + 2 : position + 4]) >> 3:
            what = "fragment"
        number = data[position]
        position += size
        if position > len(data):
            return number, position, what, _CUT_EXTENSION
    return number, position, what, ""


# ---------------------------------------------------------------- what IP carries


def _tcp(ip: Segment, rest: bytes) -> Segment:
    if len(rest) < headers.TCP.size:
        return _cut(ip, rest, f"a TCP header has 20 bytes, {len(rest)} came")
    source_port, destination_port, seq, ack, offset, flags, window, _, _ = _read_tcp(rest)
    size = (offset >> 4) * 4
    problem = ip.problem
    options: tuple[Option, ...] = ()
    if size < headers.TCP.size:
        problem = f"a TCP header of {size} bytes is too short"
        size = headers.TCP.size
    elif size > len(rest):
        problem = f"the TCP header says {size} bytes, {len(rest)} came"
        size = len(rest)
    elif size > headers.TCP.size:
        options, wrong = _tcp_options(rest[headers.TCP.size : size])
        problem = problem or wrong
    return replace(
        ip,
        source_port=source_port,
        destination_port=destination_port,
        flags=flags,
        seq=seq,
        ack=ack,
        window=window,
        options=options,
        header_bytes=ip.header_bytes + size,
        payload_bytes=ip.length - ip.header_bytes - size,
        payload=rest[size:],
        problem=problem,
    )


def _tcp_options(data: bytes) -> tuple[tuple[Option, ...], str]:
    """The options, and what is wrong with the first that does not fit."""
    found: list[Option] = []
    for kind, start, size in headers.option_places(data):
        if kind == headers.END:  # the rest is padding
            break
        if kind == headers.NO_OPERATION:  # one byte, aligns the next
            continue
        values = headers.option_values(kind, data[start + 2 : start + size]) if size else None
        if values is None:
            return tuple(found), f"TCP option {kind} has a wrong length"
        known = headers.OPTIONS.get(kind)
        found.append(Option(known.word if known else str(kind), values))
    return tuple(found), ""


def _udp(ip: Segment, rest: bytes) -> Segment:
    if len(rest) < headers.UDP.size:
        return _cut(ip, rest, f"a UDP header has 8 bytes, {len(rest)} came")
    source_port, destination_port, size, _ = headers.UDP.struct.unpack_from(rest)
    room = ip.length - ip.header_bytes
    problem = ip.problem
    if not 8 <= size <= room:
        problem = problem or f"the UDP length {size} does not fit {counted(room, 'byte')}"
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
