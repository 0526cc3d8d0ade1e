"""The packet decoder beside scapy, an independent reader of the same bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from socklab.packets.decode import decode

# Not scapy.all: every worker reads this file, and its other layers take a second.
ipv4 = pytest.importorskip("scapy.layers.inet", reason="scapy is an extra of the tests")
ipv6 = pytest.importorskip("scapy.layers.inet6", reason="scapy is an extra of the tests")

_NAMES = st.lists(st.sampled_from(["MSS", "WScale", "SAckOK", "Timestamp", "SAck", "NOP"]), max_size=4, unique=True)
_OPTIONS = {
    "MSS": "mss",
    "WScale": "window-scale",
    "SAckOK": "sack-permitted",
    "SAck": "sack",
    "Timestamp": "timestamps",
}


def _as_scapy_reads(data: bytes) -> dict[str, Any]:
    packet = ipv4.IP(data) if data[0] >> 4 == 4 else ipv6.IPv6(data)
    tcp = packet[ipv4.TCP]
    options = []
    for name, value in tcp.options:
        if name in _OPTIONS:
            options.append((_OPTIONS[name], value if isinstance(value, tuple) else () if value == b"" else (value,)))
    return {
        "source": packet.src, "destination": packet.dst, "source_port": tcp.sport, "destination_port": tcp.dport,
        "flags": int(tcp.flags) & 0xFF, "seq": tcp.seq, "ack": tcp.ack, "window": tcp.window,
        "options": options, "payload": bytes(tcp.payload),
    }  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.booleans(), st.integers(0, 65535), st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1),
    st.integers(0, 65535), _NAMES,
    st.binary(max_size=40),
)  # fmt: skip
def test_tcp_is_read_as_scapy_reads_it(
    v6: bool, port: int, flags: int, seq: int, ack: int, window: int, names: list[str], payload: bytes
) -> None:
    values = {"MSS": 1460, "WScale": 7, "SAckOK": b"", "Timestamp": (ack, seq), "SAck": (seq, ack), "NOP": None}
    ip = ipv6.IPv6(src="fd00::2", dst="fd00::1") if v6 else ipv4.IP(src="10.0.0.2", dst="10.0.0.1")
    tcp = ipv4.TCP(
        sport=port, dport=80, flags=flags, seq=seq, ack=ack, window=window, options=[(n, values[n]) for n in names]
    )
    data = bytes(ip / tcp / payload)
    segment = decode(data, len(data))
    expected = _as_scapy_reads(data)
    assert segment.problem == ""
    assert {name: getattr(segment, name) for name in expected if name != "options"} == {
        name: value for name, value in expected.items() if name != "options"
    }
    assert [(option.kind, option.values) for option in segment.options] == expected["options"]


@pytest.mark.parametrize(
    ("make", "summary", "protocol"),
    [
        (lambda: ipv6.IPv6(dst="ff02::2") / ipv6.ICMPv6ND_RS(), "router solicitation", "ICMPv6"),
        (
            lambda: ipv6.IPv6() / ipv6.IPv6ExtHdrHopByHop() / ipv6.ICMPv6MLReport2(),
            "multicast listener report v2",
            "ICMPv6",
        ),
        (lambda: ipv4.IP() / ipv4.ICMP(type=8) / b"ping", "echo request", "ICMP"),
        (lambda: ipv4.IP() / ipv4.ICMP(type=3, code=3) / (ipv4.IP() / ipv4.UDP()), "port unreachable", "ICMP"),
        (lambda: ipv4.IP() / ipv4.UDP(sport=1, dport=53) / b"?", "UDP", "UDP"),
        (lambda: ipv4.IP(frag=100, proto=6) / b"rest of a packet", "fragment", "TCP"),
        (lambda: ipv4.IP(proto=132) / b"x", "SCTP", "SCTP"),
        (lambda: ipv4.IP(proto=200) / b"x", "200", "200"),
    ],
)
def test_what_is_not_tcp_is_called_what_it_is(make: Any, summary: str, protocol: str) -> None:
    data = bytes(make())
    segment = decode(data, len(data))
    assert (segment.summary, segment.protocol, segment.problem) == (summary, protocol, "")
