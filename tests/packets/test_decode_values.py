"""Every value of every header, from bytes put together by the RFCs' own pictures, whole, cut and contradictory."""

from __future__ import annotations

import struct

import pytest

from socklab.packets import decode as dec
from socklab.packets.decode import Option, Segment, decode

A4, B4 = bytes((10, 1, 2, 3)), bytes((10, 4, 5, 6))
A6, B6 = bytes.fromhex("fd00") + bytes(13) + b"\1", bytes.fromhex("fd00") + bytes(13) + b"\2"


def ipv4(
    protocol: int, body: bytes, *, fragment: int = 0, ttl: int = 61, options: bytes = b"", total: int = -1
) -> bytes:
    size = 20 + len(options)
    length = size + len(body) if total < 0 else total
    head = struct.pack(">BBHHHBBH", 0x40 | size // 4, 0x2E, length, 0xABCD, fragment, ttl, protocol, 0xBEEF)
    return head + A4 + B4 + options + body


def ipv6(protocol: int, body: bytes, *, total: int = -1) -> bytes:
    length = len(body) if total < 0 else total
    return struct.pack(">IHBB", 0x6A0ABCDE, length, protocol, 62) + A6 + B6 + body


TCP = struct.pack(">HHIIBBHHH", 1000, 2000, 0x01020304, 0x05060708, 0x50, 0x12, 700, 0x1111, 0x2222)
UDP = struct.pack(">HHHH", 53, 1053, 11, 0x3333)


def whole(version: int, protocol: str, carried: int, **more: object) -> Segment:
    """What IP says of a packet that fits, with `carried` bytes behind its header."""
    ends = ("10.1.2.3", "10.4.5.6") if version == 4 else ("fd00::1", "fd00::2")
    ip = 20 if version == 4 else 40
    told = {"ttl": 61 if version == 4 else 62, "ip_bytes": ip, "header_bytes": ip, "length": ip + carried}
    return Segment(version, *ends, protocol, **{**told, **more})  # type: ignore[arg-type]


TCP_VALUES = {
    "source_port": 1000, "destination_port": 2000, "seq": 0x01020304, "ack": 0x05060708, "flags": 0x12, "window": 700,
}  # fmt: skip


def test_a_tcp_segment_over_either_ip_is_read_value_by_value() -> None:
    assert decode(ipv4(6, TCP + b"hello")) == whole(
        4, "TCP", 25, **TCP_VALUES, header_bytes=40, payload_bytes=5, payload=b"hello"
    )
    assert decode(ipv6(6, TCP + b"hello")) == whole(
        6, "TCP", 25, **TCP_VALUES, header_bytes=60, payload_bytes=5, payload=b"hello"
    )


def test_ip_options_lie_between_the_header_and_what_it_carries() -> None:
    segment = decode(ipv4(6, TCP + b"hi", options=b"\x94\x04\0\0"))
    assert (segment.ip_bytes, segment.header_bytes, segment.payload, segment.problem) == (24, 44, b"hi", "")


def test_a_datagram_ends_where_its_own_length_says() -> None:
    values = {"source_port": 53, "destination_port": 1053}
    assert decode(ipv4(17, UDP + b"abc")) == whole(
        4, "UDP", 11, **values, header_bytes=28, payload_bytes=3, payload=b"abc"
    )
    assert decode(ipv4(17, UDP + b"abcdef")).payload == b"abc"
    empty = struct.pack(">HHHH", 53, 1053, 8, 0)
    assert decode(ipv4(17, empty)) == whole(4, "UDP", 8, **values, header_bytes=28)


@pytest.mark.parametrize("size", [0, 7, 12, 65535])
def test_a_datagram_whose_length_does_not_fit_says_so(size: int) -> None:
    data = ipv4(17, struct.pack(">HHHH", 53, 1053, size, 0) + b"abc")
    segment = decode(data)
    assert segment.problem == f"the UDP length {size} does not fit 11 bytes"
    assert (segment.payload_bytes, segment.payload) == (3, b"abc")


def test_icmp_carries_its_payload_behind_eight_bytes_and_icmpv6_behind_four() -> None:
    echo = bytes((8, 0)) + bytes(6) + b"ping"
    assert decode(ipv4(1, echo)) == whole(
        4, "ICMP", 12, what="echo request", header_bytes=28, payload_bytes=4, payload=b"ping"
    )
    echo6 = bytes((128, 0, 0, 0)) + b"ping"
    assert decode(ipv6(58, echo6)) == whole(
        6, "ICMPv6", 8, what="echo request", header_bytes=44, payload_bytes=4, payload=b"ping"
    )


# RFC 792 and RFC 4443, RFC 4861, RFC 2710, RFC 3810
ICMP_TYPES = {
    (0, 0): "echo reply", (5, 1): "redirect", (8, 0): "echo request", (11, 0): "time exceeded",
    (12, 0): "parameter problem", (3, 0): "network unreachable", (3, 1): "host unreachable",
    (3, 2): "protocol unreachable", (3, 3): "port unreachable", (3, 4): "fragmentation needed unreachable",
    (3, 13): "administratively unreachable", (3, 9): "9 unreachable", (42, 7): "type 42 code 7",
}  # fmt: skip
ICMPV6_TYPES = {
    (1, 4): "destination unreachable", (2, 0): "packet too big", (3, 3): "time exceeded", (4, 0): "parameter problem",
    (128, 0): "echo request", (129, 0): "echo reply", (130, 0): "multicast listener query",
    (131, 0): "multicast listener report", (132, 0): "multicast listener done", (133, 0): "router solicitation",
    (134, 0): "router advertisement", (135, 0): "neighbour solicitation", (136, 0): "neighbour advertisement",
    (137, 0): "redirect", (143, 0): "multicast listener report v2", (200, 1): "type 200 code 1",
}  # fmt: skip


def test_icmp_messages_are_called_by_their_type_and_code() -> None:
    for (kind, code), words in ICMP_TYPES.items():
        assert decode(ipv4(1, bytes((kind, code)) + bytes(6))).summary == words
    for (kind, code), words in ICMPV6_TYPES.items():
        assert decode(ipv6(58, bytes((kind, code)) + bytes(2))).summary == words


# https://www.iana.org/assignments/protocol-numbers
PROTOCOLS = {0: "hop-by-hop", 2: "IGMP", 47: "GRE", 50: "ESP", 132: "SCTP", 59: "no next header", 99: "99"}


def test_other_protocols_are_named_and_carry_all_that_is_behind_ip() -> None:
    for number, name in PROTOCOLS.items():
        assert decode(ipv4(number, b"body")) == whole(4, name, 4, payload_bytes=4, payload=b"body")
    assert decode(ipv6(59, b"")) == whole(6, "no next header", 0)


def test_what_is_cut_short_keeps_what_came_and_what_ip_said() -> None:
    cut = {6: ("TCP", 20), 17: ("UDP", 8), 1: ("ICMP", 8)}
    for number, (name, size) in cut.items():
        body = bytes(size - 1)
        article = "an" if name == "ICMP" else "a"
        assert decode(ipv4(number, body)) == whole(
            4, name, size - 1, payload_bytes=size - 1, payload=body,
            problem=f"{article} {name} header has {size} bytes, {size - 1} came",
        )  # fmt: skip
    assert decode(ipv6(58, b"abc")).problem == "an ICMPv6 header has 4 bytes, 3 came"
    assert decode(b"\x45\0\0") == Segment(4, length=3, problem="an IPv4 header has 20 bytes, 3 came")
    assert decode(b"\x60" * 39) == Segment(6, length=39, problem="an IPv6 header has 40 bytes, 39 came")
    assert decode(b"") == Segment(problem="no bytes")
    assert decode(b"\x77ab") == Segment(length=3, problem="IP version 7")


def test_a_header_that_is_exactly_there_is_enough() -> None:
    assert decode(ipv4(6, TCP)).problem == ""
    assert decode(ipv4(17, struct.pack(">HHHH", 1, 2, 8, 0))).problem == ""
    assert decode(ipv4(1, bytes((0,)) * 8)).problem == ""
    assert decode(ipv6(58, bytes((128, 0, 0, 0)))).problem == ""
    assert decode(ipv6(59, b"")).problem == ""
    assert decode(ipv4(99, b"")).problem == ""
    assert decode(ipv4(99, b""), 20).problem == ""


def test_an_ipv4_header_that_contradicts_itself_says_how() -> None:
    wrong = decode(b"\x44" + ipv4(6, TCP)[1:])
    assert wrong == whole(4, "TCP", 20, ip_bytes=16, header_bytes=16, problem="an IPv4 header of 16 bytes is too short")
    long = decode(b"\x4f" + ipv4(6, TCP)[1:])
    assert (long.ip_bytes, long.header_bytes) == (40, 40)
    assert long.problem == "the IPv4 header says 60 bytes, 40 came"
    assert decode(ipv4(6, b"", total=20)).problem == "a TCP header has 20 bytes, 0 came"
    assert decode(ipv4(6, b"", total=19)).problem == "the IPv4 length 19 is less than its header"


def test_a_packet_that_says_it_is_longer_than_what_came_says_so_first() -> None:
    data = ipv4(6, TCP, total=99)
    assert decode(data, 40).problem == "the IP header says 99 bytes, 40 came"
    assert (decode(data).problem, decode(data, 99).problem, decode(data, 98).problem[:17]) == (
        "",
        "",
        "the IP header say",
    )
    assert decode(data).payload_bytes == 59
    option_too = ipv4(6, TCP[:12] + b"\x60" + TCP[13:] + b"\x02\x09\0\0", total=99)
    assert decode(option_too, 44).problem == "the IP header says 99 bytes, 44 came"
    udp = ipv4(17, struct.pack(">HHHH", 1, 2, 500, 0), total=99)
    assert decode(udp, 28).problem == "the IP header says 99 bytes, 28 came"


def test_bytes_behind_ips_length_are_padding() -> None:
    assert decode(ipv4(6, TCP + b"hello", total=42)).payload == b"he"
    assert decode(ipv6(59, b"padding", total=0)).payload == b""


@pytest.mark.parametrize(("offset", "size"), [(0x40, 16), (0x00, 0)])
def test_a_tcp_header_too_short_counts_as_twenty_bytes(offset: int, size: int) -> None:
    segment = decode(ipv4(6, TCP[:12] + bytes([offset]) + TCP[13:] + b"data"))
    assert segment.problem == f"a TCP header of {size} bytes is too short"
    assert (segment.header_bytes, segment.payload, segment.payload_bytes) == (40, b"data", 4)


def test_a_tcp_header_longer_than_the_packet_ends_with_it() -> None:
    segment = decode(ipv4(6, TCP[:12] + b"\x70" + TCP[13:] + b"data"))
    assert segment.problem == "the TCP header says 28 bytes, 24 came"
    assert (segment.header_bytes, segment.payload, segment.payload_bytes, segment.options) == (44, b"", 0, ())


def with_options(options: bytes) -> Segment:
    size = 20 + len(options)
    return decode(ipv4(6, TCP[:12] + bytes([size << 2]) + TCP[13:] + options))


def test_each_option_is_read_by_its_kind() -> None:
    assert with_options(b"\x02\x04\x05\xb4").options == (Option("mss", (1460,)),)
    assert with_options(b"\x01\x03\x03\x07").options == (Option("window-scale", (7,)),)
    assert with_options(b"\x01\x01\x04\x02").options == (Option("sack-permitted", ()),)
    stamps = b"\x08\x0a" + struct.pack(">II", 9, 8) + b"\0\0"
    assert with_options(stamps).options == (Option("timestamps", (9, 8)),)
    blocks = b"\x05\x12" + struct.pack(">IIII", 1, 2, 3, 4) + b"\x01\x01"
    assert with_options(blocks).options == (Option("sack", (1, 2, 3, 4)),)
    assert with_options(b"\x1e\x04\x07\x09").options == (Option("30", (7, 9)),)
    assert with_options(b"\x1e\x02\x02\x04\x05\xb4\0\0").options == (Option("30", ()), Option("mss", (1460,)))
    assert with_options(b"\0\x02\x04\x05").options == ()  # behind the end of options is padding
    assert with_options(b"\0\x02\x04\x05").problem == ""


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (b"\x01\x01\x01\x02", 2),  # no length byte
        (b"\x02\x00\0\0", 2),
        (b"\x02\x01\0\0", 2),
        (b"\x02\x05\0\0", 2),
        (b"\x02\x03\0\0", 2),
        (b"\x03\x04\0\0", 3),
        (b"\x04\x03\0\0", 4),
        (b"\x08\x04\0\0", 8),
        (b"\x05\x04\0\0", 5),
        (b"\x1e\x05\0\0", 30),
    ],
)
def test_an_option_of_a_wrong_length_ends_the_options(options: bytes, kind: int) -> None:
    segment = with_options(b"\x02\x04\x05\xb4" + options)
    assert segment.problem == f"TCP option {kind} has a wrong length"
    assert segment.options == (Option("mss", (1460,)),)
    assert (segment.header_bytes, segment.payload_bytes) == (48, 0)


def test_only_the_first_fragment_carries_the_transport_header() -> None:
    later = decode(ipv4(6, TCP, fragment=1))
    assert later == whole(4, "TCP", 20, what="fragment", payload_bytes=20, payload=TCP)
    assert later.summary == "fragment"
    assert decode(ipv4(6, TCP, fragment=0x1000)).what == "fragment"
    for first in (0x2000, 0x4000, 0x8000):
        assert decode(ipv4(6, TCP, fragment=first)).what == ""


def extension(next_header: int, size: int = 8, fill: bytes = b"\x01\x04") -> bytes:
    return (bytes([next_header, size // 8 - 1]) + fill).ljust(size, b"\0")


@pytest.mark.parametrize("kind", [0, 43, 60, 135])
@pytest.mark.parametrize("size", [8, 16, 24])
def test_ipv6_extension_headers_are_walked_through(kind: int, size: int) -> None:
    segment = decode(ipv6(kind, extension(6, size) + TCP + b"x"))
    assert segment == whole(
        6, "TCP", 21 + size, **TCP_VALUES, ip_bytes=40 + size, header_bytes=60 + size, payload_bytes=1, payload=b"x"
    )
    twice = decode(ipv6(kind, extension(60, size) + extension(6) + TCP))
    assert (twice.ip_bytes, twice.protocol, twice.problem) == (48 + size, "TCP", "")


def test_a_fragment_header_has_eight_bytes_and_a_later_one_no_transport_header() -> None:
    first = decode(ipv6(44, bytes([6, 0xFF, 0, 1, 0, 0, 0, 9]) + TCP))
    assert (first.what, first.ip_bytes, first.source_port) == ("", 48, 1000)
    for offset in ((0, 8), (1, 0)):
        later = decode(ipv6(44, bytes([6, 0, *offset, 0, 0, 0, 9]) + TCP))
        assert later == whole(
            6, "TCP", 28, what="fragment", ip_bytes=48, header_bytes=48, payload_bytes=20, payload=TCP
        )
    behind = decode(ipv6(44, bytes([60, 0, 0, 8, 0, 0, 0, 9]) + extension(6)))
    assert (behind.protocol, behind.ip_bytes) == ("60", 48)


@pytest.mark.parametrize(
    ("body", "ip_bytes"),
    [(extension(6)[:7], 40), (extension(6, 16)[:8], 48), (extension(60) + extension(6)[:7], 48), (b"", 40)],
)
def test_an_extension_header_that_is_cut_off_says_so(body: bytes, ip_bytes: int) -> None:
    segment = decode(ipv6(60, body))
    assert segment.problem == "an IPv6 extension header is cut off"
    assert (segment.ip_bytes, segment.header_bytes) == (ip_bytes, ip_bytes)
    assert (segment.version, segment.source, segment.destination) == (6, "fd00::1", "fd00::2")
    padded = decode(ipv6(60, extension(6) + TCP, total=7))
    assert padded.problem == "an IPv6 extension header is cut off"


def test_flag_bits_are_the_rfcs() -> None:
    bits = (dec.FIN, dec.SYN, dec.RST, dec.PSH, dec.ACK, dec.URG, dec.ECE, dec.CWR)
    assert bits == (1, 2, 4, 8, 16, 32, 64, 128)
    said = Segment(protocol="TCP", flags=0xFF)
    assert said.flag_names == ("SYN", "FIN", "RST", "PSH", "URG", "ECE", "CWR", "ACK")
    for bit, name in zip(bits, ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"), strict=True):
        assert Segment(protocol="TCP", flags=bit).flag_names == (name,)


def test_a_packet_is_called_by_its_flags_its_message_its_protocol_or_not_ip() -> None:
    assert Segment(protocol="TCP", flags=2, problem="bad").summary == "TCP"
    assert Segment(protocol="TCP", flags=2, what="fragment").summary == "fragment"
    assert Segment(protocol="UDP", flags=2).summary == "UDP"
    assert Segment().summary == "not IP"


def test_an_end_is_written_as_socket_tables_write_it() -> None:
    v4 = Segment(4, "10.0.0.1", "10.0.0.2", "TCP", 80, 81)
    v6 = Segment(6, "fd00::1", "fd00::2", "TCP", 80, 81)
    assert (v4.source_end, v4.destination_end) == ("10.0.0.1:80", "10.0.0.2:81")
    assert (v6.source_end, v6.destination_end) == ("[fd00::1]:80", "[fd00::2]:81")
    assert Segment(6, "fd00::1", "fd00::2").source_end == "fd00::1"


def test_syn_and_fin_take_a_sequence_number_each() -> None:
    lengths = [
        Segment(flags=flags, payload_bytes=5).sequence_length for flags in (0, dec.SYN, dec.FIN, dec.SYN | 1, 16)
    ]
    assert lengths == [5, 6, 6, 7, 5]


def test_of_bytes_that_say_nothing_every_value_is_empty() -> None:
    nothing = decode(b"")
    words = ("source", "destination", "protocol", "what")
    numbers = [
        "version",
        "source_port",
        "destination_port",
        "flags",
        "seq",
        "ack",
        "window",
        "ttl",
        "ip_bytes",
        "header_bytes",
        "length",
        "payload_bytes",
    ]
    assert [getattr(nothing, name) for name in words] == [""] * 4
    assert [getattr(nothing, name) for name in numbers] == [0] * 12
    assert (nothing.options, nothing.payload, nothing.problem) == ((), b"", "no bytes")
    assert Segment().problem == ""
