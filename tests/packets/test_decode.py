"""The packet decoder: real and malformed bytes, and scapy's reading of the same."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings, strategies as st

from socklab.packets.decode import ACK, FIN, PSH, RST, SYN, Option, Segment, decode

# A SYN of Linux to 10.0.0.1:80, as it crossed a wire.
SYN_BYTES = bytes.fromhex(
    "4500003c1c4640004006 0a74 0a000002 0a000001 bdf80050 3a2c1f00 00000000 a002faf0 1a2b0000"
    "020405b4 0402080a 0a0b0c0d 00000000 01030307".replace(" ", "")
)


def test_a_real_syn_is_read_field_by_field() -> None:
    segment = decode(SYN_BYTES, len(SYN_BYTES))
    assert segment.problem == ""
    assert (segment.source_end, segment.destination_end) == ("10.0.0.2:48632", "10.0.0.1:80")
    assert segment.summary == "SYN"
    assert (segment.seq, segment.ack, segment.window, segment.ttl) == (0x3A2C1F00, 0, 64240, 64)
    assert segment.options == (
        Option("mss", (1460,)),
        Option("sack-permitted"),
        Option("timestamps", (0x0A0B0C0D, 0)),
        Option("window-scale", (7,)),
    )
    assert (segment.header_bytes, segment.payload_bytes, segment.length) == (60, 0, 60)


def test_a_prefix_keeps_the_sizes_of_the_whole_packet() -> None:
    whole = SYN_BYTES[:2] + struct.pack(">H", 1500) + SYN_BYTES[4:]
    segment = decode(whole[:60] + b"GET", 1500)
    assert (segment.length, segment.payload_bytes, segment.payload, segment.problem) == (1500, 1440, b"GET", "")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no bytes"),
        (b"\x00\x01", "IP version 0"),
        (SYN_BYTES[:19], "an IPv4 header has 20 bytes, 19 came"),
        (b"\x44" + SYN_BYTES[1:], "an IPv4 header of 16 bytes is too short"),
        (b"\x4f" + SYN_BYTES[1:40], "the IPv4 header says 60 bytes, 40 came"),
        (SYN_BYTES[:2] + b"\0\x10" + SYN_BYTES[4:], "the IPv4 length 16 is less than its header"),
        (SYN_BYTES[:2] + b"\1\0" + SYN_BYTES[4:], "the IP header says 256 bytes, 60 came"),
        (SYN_BYTES[:39], "the IP header says 60 bytes, 39 came"),
        (SYN_BYTES[:32] + b"\x40" + SYN_BYTES[33:], "a TCP header of 16 bytes is too short"),
        (SYN_BYTES[:32] + b"\xf0" + SYN_BYTES[33:], "the TCP header says 60 bytes, 40 came"),
        (SYN_BYTES[:41] + b"\0" + SYN_BYTES[42:], "TCP option 2 has a wrong length"),
        (SYN_BYTES[:41] + b"\x7f" + SYN_BYTES[42:], "TCP option 2 has a wrong length"),
    ],
)
def test_bytes_that_do_not_fit_are_a_value_with_the_reason(data: bytes, reason: str) -> None:
    assert decode(data, len(data)).problem == reason


def test_a_malformed_transport_keeps_what_ip_said() -> None:
    segment = decode(SYN_BYTES[:2] + b"\0\x1c" + SYN_BYTES[4:28])
    assert segment.problem == "a TCP header has 20 bytes, 8 came"
    assert (segment.source, segment.protocol, segment.payload_bytes) == ("10.0.0.2", "TCP", 8)


@settings(max_examples=1000)
@given(st.binary(max_size=200), st.none() | st.integers(0, 70_000))
def test_any_bytes_are_decoded_without_an_error(data: bytes, length: int | None) -> None:
    segment = decode(data, length)
    assert isinstance(segment, Segment)
    assert segment.payload in data
    assert segment.payload_bytes >= 0 or segment.problem
    assert segment.summary


@settings(max_examples=1000)
@given(
    st.sampled_from([0x45, 0x46, 0x4F, 0x60]),
    st.sampled_from([1, 6, 17, 58, 0, 43, 44, 60]),
    st.binary(min_size=60, max_size=160),
)
def test_any_bytes_behind_a_plausible_beginning_are_decoded_without_an_error(
    first: int, protocol: int, data: bytes
) -> None:
    changed = bytearray(data)
    changed[0] = first
    changed[6 if first == 0x60 else 9] = protocol
    changed[2:4] = b"\0" + bytes([len(data)])
    changed[4:6] = b"\0" + bytes([len(data) - 40])
    segment = decode(bytes(changed), len(changed))
    assert segment.payload_bytes >= 0
    assert segment.header_bytes + segment.payload_bytes <= segment.length or segment.problem


@settings(max_examples=300)
@given(st.integers(0, 59), st.binary(min_size=1, max_size=1))
def test_a_syn_with_one_byte_changed_or_cut_anywhere_is_decoded_without_an_error(at: int, value: bytes) -> None:
    decode(SYN_BYTES[:at] + value + SYN_BYTES[at + 1 :], len(SYN_BYTES))
    decode(SYN_BYTES[:at])


def test_flags_are_named_as_they_are_said() -> None:
    said = {
        SYN | ACK: "SYN-ACK",
        FIN | ACK: "FIN-ACK",
        PSH | ACK: "PSH-ACK",
        RST: "RST",
        RST | ACK: "RST-ACK",
        0: "no flags",
    }
    for flags, words in said.items():
        assert Segment(version=4, protocol="TCP", flags=flags).summary == words
