"""A wire being told as events: packets of real connections, built byte by byte, and what became of each.

In: who sends what. Out: LabStates.
"""

from __future__ import annotations

import struct
from socket import inet_aton

from socklab.protocol import events as ev
from tests.support.streams import ACK, FIN, PSH, RST, SYN, ipv4, tcp
from tests.ui.tui.panel_support import Scene

SERVER, CLIENT = "10.0.0.1", "10.0.0.2"
SCALE_7 = bytes((2, 4, 5, 180, 1, 3, 3, 7))
"""Options of a SYN: maximum segment size 1460, window scale 7."""


class WireScene(Scene):
    """Two hosts, a listener, and a clock: 10 ms from packet to packet."""

    def __init__(self, hosts: int = 2) -> None:
        super().__init__(hosts)
        self.number = 0
        self.clock = 1_000_000_000

    def packet(self, data: bytes, fate: str = "delivered", *, length: int = 0, source: str = "") -> WireScene:
        """A packet from the client's address is the client's, any other the server's, unless `source` says."""
        self.number += 1
        self.clock += 10_000_000
        ours = source or ("client" if data[12:16] == inet_aton(CLIENT) else "server")
        other = "server" if ours == "client" else "client"
        self.tell(ev.Packet(self.clock, self.number, ours, other, data, length or len(data)))
        if fate:
            self.tell(ev.PacketFate(self.clock, self.number, fate))
        return self

    def becomes(self, fate: str, number: int = 0, after_ns: int = 620_000_000) -> WireScene:
        self.clock += after_ns
        self.tell(ev.PacketFate(self.clock, number or self.number, fate))
        return self

    def rules(self, *rules: str) -> WireScene:
        self.tell(ev.WireRules(self.clock, rules))
        return self

    def client(self, name: str, port: int) -> WireScene:
        self.tell(ev.Client(self.clock, name, "open", "client", f"{CLIENT}:{port}", f"{SERVER}:8080", 80_000 + port))
        return self

    # ---- packets of one connection between the client's `port` and the server's 8080

    def up(self, port: int, flags: int, seq: int, ack: int = 0, fate: str = "delivered", **more: object) -> WireScene:
        """From the client; `seq` and `ack` count from 1000 and 5000 on the wire."""
        ends = (CLIENT, port), (SERVER, 8080)
        return self.packet(tcp(*ends, flags, 1000 + seq, 5000 + ack if flags & ACK else 0, **more), fate)  # type: ignore[arg-type]

    def down(self, port: int, flags: int, seq: int, ack: int = 0, fate: str = "delivered", **more: object) -> WireScene:
        ends = (SERVER, 8080), (CLIENT, port)
        return self.packet(tcp(*ends, flags, 5000 + seq, 1000 + ack if flags & ACK else 0, **more), fate)  # type: ignore[arg-type]

    def handshake(self, port: int) -> WireScene:
        self.up(port, SYN, 0, window=64240, options=SCALE_7)
        self.down(port, SYN | ACK, 0, 1, window=65160, options=SCALE_7)
        return self.up(port, ACK, 1, 1)


def syn_ack_held() -> WireScene:
    """Client a is through its handshake; c's SYN-ACK is held."""
    scene = WireScene()
    scene.before_accept()
    scene.client("a", 40001).handshake(40001)
    scene.resume()
    scene.rules("hold syn-ack").client("c", 40003)
    scene.up(40003, SYN, 0, window=64240, options=SCALE_7)
    return scene.down(40003, SYN | ACK, 0, 1, "held", window=65160, options=SCALE_7)


REQUEST = b"GET / HTTP/1.0\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!"


def conversation() -> WireScene:
    """Request and answer, one lost and sent again, one delivered late, a window that shuts, a close and a reset."""
    scene = WireScene()
    scene.before_accept()
    scene.client("a", 40001).handshake(40001)
    scene.up(40001, PSH | ACK, 1, 1, "dropped", payload=REQUEST)
    scene.up(40001, PSH | ACK, 1, 1, payload=REQUEST)
    scene.down(40001, ACK, 1, 19)
    scene.resume()
    scene.down(40001, PSH | ACK, 1, 19, "held", payload=ANSWER).becomes("delivered")
    scene.up(40001, ACK, 19, 1 + len(ANSWER), window=0)
    scene.down(40001, FIN | ACK, 1 + len(ANSWER), 19, "delayed")
    scene.handshake(51234)
    return scene.up(51234, RST | ACK, 1, 1)


def not_tcp() -> WireScene:
    """A router solicitation, a datagram and its refusal, bytes that are no packet."""
    scene = WireScene()
    solicitation = bytes.fromhex("6000000000083aff" + "fe80" + "00" * 13 + "02" + "ff02" + "00" * 13 + "02")
    scene.packet(solicitation + bytes((133, 0, 0, 0, 0, 0, 0, 0)), source="client")
    datagram = ipv4(CLIENT, SERVER, 17, struct.pack(">HHHH", 53124, 9, 16, 0) + b"anybody?")
    scene.packet(datagram)
    scene.packet(ipv4(SERVER, CLIENT, 1, bytes((3, 3, 0, 0, 0, 0, 0, 0)) + datagram[:28]))
    scene.packet(b"\x77nonsense", source="client")
    return scene.packet(tcp((CLIENT, 40001), (SERVER, 8080), SYN, 1000)[:30], "dropped")
