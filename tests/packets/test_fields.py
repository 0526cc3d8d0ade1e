"""A packet's headers field by field: names, values, and the bytes they are read from."""

from __future__ import annotations

from hypothesis import given, strategies as st

from socklab.packets.decode import decode
from socklab.packets.fields import fields
from tests.packets.test_decode import SYN_BYTES

# The same SYN over IPv6, behind an eight-byte hop-by-hop header.
SYN6_BYTES = (
    bytes.fromhex("600abcde003000" + "40" + "fd00" + "00" * 13 + "02" + "fd00" + "00" * 13 + "01")
    + bytes.fromhex("0600010400000000")
    + SYN_BYTES[20:]
)


def _values(data: bytes, layer: str) -> dict[str, str]:
    return {field.name: field.value for field in fields(data, len(data)) if field.layer == layer}


def test_the_headers_of_a_real_syn_are_listed_with_their_values() -> None:
    ip, tcp = _values(SYN_BYTES, "IPv4"), _values(SYN_BYTES, "TCP")
    assert (ip["header length"], ip["total length"], ip["fragmentation"]) == ("20 bytes", "60", "don't fragment")
    assert (ip["source"], ip["destination"], ip["protocol"]) == ("10.0.0.2", "10.0.0.1", "6")
    assert (tcp["source port"], tcp["flags"], tcp["data offset"]) == ("48632", "SYN", "40 bytes")
    assert tcp["option: maximum segment size"] == "1460"
    assert tcp["option: timestamps"] == "168496141, echo 0"
    assert tcp["option: window scale"] == "7 (window x 128)"


def test_an_ipv6_extension_header_is_shown_and_tcp_is_found_behind_it() -> None:
    assert decode(SYN6_BYTES, len(SYN6_BYTES)).summary == "SYN"
    ip, tcp = _values(SYN6_BYTES, "IPv6"), _values(SYN6_BYTES, "TCP")
    assert (ip["flow label"], ip["source"], ip["extension headers"]) == ("0xabcde", "fd00::2", "0x0600010400000000")
    assert tcp["source port"] == "48632"


def test_fields_cover_every_byte_of_the_headers_without_a_gap() -> None:
    for data in (SYN_BYTES, SYN6_BYTES):
        end = 0
        for field in fields(data, len(data)):
            assert field.start <= end
            end = max(end, field.start + field.size)
        assert end == len(data)


@given(st.integers(0, 59), st.binary(max_size=4), st.sampled_from([SYN_BYTES, SYN6_BYTES]), st.integers(0, 110))
def test_any_change_and_any_cut_still_gives_fields_within_the_bytes(
    at: int, put: bytes, base: bytes, keep: int
) -> None:
    data = (base[:at] + put + base[at + len(put) :])[:keep]
    for field in fields(data, None):
        assert field.start >= 0
        assert field.size > 0
        assert field.start + field.size <= len(data)


@given(st.binary(max_size=120))
def test_any_bytes_give_fields_within_the_bytes(data: bytes) -> None:
    for field in fields(data, len(data)):
        assert 0 <= field.start < field.start + field.size <= len(data)
