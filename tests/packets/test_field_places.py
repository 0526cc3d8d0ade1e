"""Fields are the decoder's values with their places: whole lists of them, and the two readings of one packet agree."""

from __future__ import annotations

import struct

import pytest

from socklab.packets.decode import decode
from socklab.packets.fields import Field, fields
from tests.packets.test_decode_values import TCP, UDP, extension, ipv4, ipv6


def rows(data: bytes, length: int | None = None) -> list[tuple[str, str, str, int, int]]:
    return [(f.layer, f.name, f.value, f.start, f.size) for f in fields(data, length)]


def of(layer: str, *fields: tuple[str, str, int, int]) -> list[tuple[str, str, str, int, int]]:
    return [(layer, *field) for field in fields]


def in_ipv4(protocol: int, total: int, fragmentation: str = "none") -> list[tuple[str, str, str, int, int]]:
    return of(
        "IPv4",
        ("version", "4", 0, 1), ("header length", "20 bytes", 0, 1), ("type of service", "0x2e", 1, 1),
        ("total length", str(total), 2, 2), ("identification", "0xabcd", 4, 2), ("fragmentation", fragmentation, 6, 2),
        ("time to live", "61", 8, 1), ("protocol", str(protocol), 9, 1), ("header checksum", "0xbeef", 10, 2),
        ("source", "10.1.2.3", 12, 4), ("destination", "10.4.5.6", 16, 4),
    )  # fmt: skip


def in_ipv6(next_header: int, payload: int) -> list[tuple[str, str, str, int, int]]:
    return of(
        "IPv6",
        ("version", "6", 0, 1), ("flow label", "0xabcde", 1, 3), ("payload length", str(payload), 4, 2),
        ("next header", str(next_header), 6, 1), ("hop limit", "62", 7, 1), ("source", "fd00::1", 8, 16),
        ("destination", "fd00::2", 24, 16),
    )  # fmt: skip


def in_tcp(at: int, offset: int = 20, flags: str = "SYN, ACK") -> list[tuple[str, str, str, int, int]]:
    return of(
        "TCP",
        ("source port", "1000", at, 2), ("destination port", "2000", at + 2, 2),
        ("sequence number", "16909060", at + 4, 4), ("acknowledgment number", "84281096", at + 8, 4),
        ("data offset", f"{offset} bytes", at + 12, 1), ("flags", flags, at + 13, 1), ("window", "700", at + 14, 2),
        ("checksum", "0x1111", at + 16, 2), ("urgent pointer", "8738", at + 18, 2),
    )  # fmt: skip


def test_every_field_of_a_segment_has_its_value_and_its_place() -> None:
    assert rows(ipv4(6, TCP + b"hello")) == [
        *in_ipv4(6, 45), *in_tcp(20), ("payload", "payload", "5 bytes", 40, 5),
    ]  # fmt: skip
    assert rows(ipv6(6, TCP)) == [*in_ipv6(6, 20), *in_tcp(40)]


def test_datagrams_and_messages_too() -> None:
    udp = of(
        "UDP", ("source port", "53", 20, 2), ("destination port", "1053", 22, 2), ("length", "11", 24, 2),
        ("checksum", "0x3333", 26, 2),
    )  # fmt: skip
    assert rows(ipv4(17, UDP + b"abc")) == [*in_ipv4(17, 31), *udp, ("payload", "payload", "3 bytes", 28, 3)]
    icmp = bytes((3, 1, 0xAA, 0xBB)) + bytes(4)
    told = of("ICMP", ("type", "3", 20, 1), ("code", "1", 21, 1), ("checksum", "0xaabb", 22, 2))
    assert rows(ipv4(1, icmp)) == [*in_ipv4(1, 28), *told]
    told = of("ICMPv6", ("type", "3", 40, 1), ("code", "1", 41, 1), ("checksum", "0xaabb", 42, 2))
    assert rows(ipv6(58, icmp)) == [*in_ipv6(58, 8), *told, ("payload", "payload", "4 bytes", 44, 4)]
    assert rows(ipv4(99, b"xy")) == [*in_ipv4(99, 22), ("payload", "payload", "2 bytes", 20, 2)]


def test_options_and_extensions_of_ip_are_one_field_behind_its_header() -> None:
    data = ipv4(6, TCP, options=b"\x94\x04\0\0")
    assert ("IPv4", "options", "0x94040000", 20, 4) in rows(data)
    assert rows(data)[-9:] == in_tcp(24)
    data = ipv6(60, extension(6) + TCP)
    assert rows(data) == [*in_ipv6(60, 28), ("IPv6", "extension headers", "0x0600010400000000", 40, 8), *in_tcp(48)]


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0, "none"),
        (0x4000, "don't fragment"),
        (0x2000, "more fragments"),
        (0x6000, "don't fragment, more fragments"),
        (0x2003, "more fragments, offset 24"),
        (0x1FFF, "offset 65528"),
    ],
)
def test_fragmentation_is_said_in_words(word: int, text: str) -> None:
    data = ipv4(6, TCP, fragment=word)
    assert rows(data)[:11] == in_ipv4(6, 40, text)
    later = [("payload", "payload", "20 bytes", 20, 20)] if word & 0x1FFF else in_tcp(20)
    assert rows(data)[11:] == later


def option_rows(options: bytes) -> list[tuple[str, str, int, int]]:
    data = ipv4(6, TCP[:12] + bytes([(20 + len(options)) << 2]) + TCP[13:] + options)
    return [(f.name, f.value, f.start - 40, f.size) for f in fields(data) if f.name.startswith("option")]


def test_each_option_is_a_field_with_its_value_in_words() -> None:
    assert option_rows(b"\x02\x04\x05\xb4\x01\x03\x03\x07") == [
        ("option: maximum segment size", "1460", 0, 4),
        ("option: no operation", "", 4, 1),
        ("option: window scale", "7 (window x 128)", 5, 3),
    ]
    assert option_rows(b"\x03\x03\x0f\0")[0][1] == "15 (window x 16384)"  # RFC 7323: above 14 counts as 14
    assert option_rows(b"\x04\x02\x08\x0a" + struct.pack(">II", 9, 8)) == [
        ("option: SACK permitted", "", 0, 2),
        ("option: timestamps", "9, echo 8", 2, 10),
    ]
    assert option_rows(b"\x05\x12" + struct.pack(">IIII", 1, 2, 3, 4) + b"\0\0") == [
        ("option: SACK", "1-2, 3-4", 0, 18),
        ("option: end of options", "", 18, 1),
        ("option: end of options", "", 19, 1),
    ]
    assert option_rows(b"\x1e\x04\x07\x09") == [("option: 30", "0x0709", 0, 4)]
    assert option_rows(b"\x02\x03\x07\x01") == [
        ("option: maximum segment size", "0x07", 0, 3),
        ("option: no operation", "", 3, 1),
    ]


def test_options_end_where_one_does_not_fit() -> None:
    assert option_rows(b"\x01\x02\x09\x09") == [("option: no operation", "", 0, 1)]
    assert option_rows(b"\x01\x01\x01\x02")[-1] == ("option: no operation", "", 2, 1)


def test_of_a_cut_packet_the_fields_that_are_here_are_listed() -> None:
    data = ipv4(6, TCP + b"hello")
    every = fields(data)
    for cut in range(20, len(data)):
        here = [field for field in every if field.start + field.size <= cut and field.layer != "payload"]
        found = [field for field in fields(data[:cut]) if field.layer != "payload"]
        assert found == here, cut
    assert rows(data[:42])[-1] == ("payload", "payload", "5 bytes, 2 of them here", 40, 2)
    assert rows(data[:30])[-1] == ("payload", "payload", "25 bytes, 10 of them here", 20, 10)


def test_what_is_no_packet_is_bytes_with_the_reason() -> None:
    assert fields(b"\x77abc") == (Field("payload", "bytes", "IP version 7", 0, 4),)
    assert fields(b"\x45ab") == (Field("payload", "bytes", "an IPv4 header has 20 bytes, 3 came", 0, 3),)
    assert fields(b"") == ()


def test_fields_and_decoded_values_agree() -> None:
    for data in (ipv4(6, TCP + b"x"), ipv6(6, TCP + b"x"), ipv4(17, UDP + b"abc")):
        segment, told = decode(data), {f.name: f.value for f in fields(data)}
        assert told["source port"] == str(segment.source_port)
        assert told["destination port"] == str(segment.destination_port)
        assert told["source"] == segment.source
        assert told.get("time to live", told.get("hop limit")) == str(segment.ttl)
