"""Which packets a wire verb is about: kinds of packets, the end they come from, the end they go to.

In: a decoded packet. Out: whether it is one of them. Pure; moves no packet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from socklab.packets.decode import ACK, FIN, PSH, RST, SYN, Segment

HOSTS = ("server", "client")

_CONTROL = SYN | FIN | RST

KINDS: Mapping[str, Callable[[Segment], bool]] = {
    "all": lambda s: True,
    "syn": lambda s: s.flags & (SYN | ACK) == SYN,
    "syn-ack": lambda s: s.flags & (SYN | ACK) == SYN | ACK,
    "ack": lambda s: s.flags & (ACK | _CONTROL) == ACK and s.payload_bytes == 0,
    "data": lambda s: s.protocol == "TCP" and s.payload_bytes > 0,
    "psh": lambda s: bool(s.flags & PSH),
    "fin": lambda s: bool(s.flags & FIN),
    "rst": lambda s: bool(s.flags & RST),
    "tcp": lambda s: s.protocol == "TCP",
    "udp": lambda s: s.protocol == "UDP",
    "icmp": lambda s: s.protocol in ("ICMP", "ICMPv6"),
}
"""Packets by what they are. `ack` is an ACK alone: no payload, no SYN, FIN or RST."""

RETRANSMISSION = "retransmission"
"""A kind too, which only who has seen the packets before can tell: rules for packets to come know it."""

SAME_KIND = {"synack": "syn-ack", "syn+ack": "syn-ack", "acks": "ack", "any": "all"}
"""Other ways to write a kind."""


class Select(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which packets: of any of these kinds, from and to these ends. Empty = whatever."""

    kinds: tuple[str, ...] = ()
    source: str = ""
    """server, client, a client's name, or an address with its port."""
    destination: str = ""

    def matches(self, packet: Segment, from_host: str, names: Mapping[str, str], *, again: bool = False) -> bool:
        """`names`: what an end is called to its address, "a" to "10.0.0.2:40001". `again`: it is a retransmission."""
        if self.source and not _is_end(self.source, packet.source_end, from_host, names):
            return False
        to_host = "client" if from_host == "server" else "server"
        if self.destination and not _is_end(self.destination, packet.destination_end, to_host, names):
            return False
        return not self.kinds or any(again if kind == RETRANSMISSION else KINDS[kind](packet) for kind in self.kinds)

    def __str__(self) -> str:
        words = [*self.kinds, *(("from", self.source) if self.source else ())]
        return " ".join([*words, *(("to", self.destination) if self.destination else ())]) or "all"


def _is_end(wanted: str, end: str, host: str, names: Mapping[str, str]) -> bool:
    return wanted == host or names.get(wanted, wanted) == end
