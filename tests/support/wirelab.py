"""Two hosts and a wire for tests: sockets on both, tables as `ss` prints them, and the packets that crossed."""

from __future__ import annotations

import difflib
import encodings.idna
import functools
import os
import select
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import pytest

from socklab.engine.network import topology, two_hosts
from socklab.engine.network.wire import wire
from socklab.engine.network.wire.wire import Wire
from socklab.packets import decode, flows
from socklab.protocol.events import Packet, PacketFate
from tests.support.children import NOBODY, in_child

T = TypeVar("T")
Way: TypeAlias = tuple[str, int | None]
"""The wire's device, and the user who makes it; None = this one."""

WAYS = [pytest.param(("tun", None), id="tun"), pytest.param(("veth", None), id="veth")]
if os.geteuid() == 0:
    WAYS.append(pytest.param(("veth", NOBODY), id="veth-as-nobody"))

LOADED = (difflib, encodings.idna, tempfile, wire)
"""Imported while this process may still read them: a child that is another user may not."""

PORT = 8080


class WireLab:
    """Made in a forked child (see children.in_child): it puts the process into the lab's namespaces."""

    def __init__(self, device: str) -> None:
        two_hosts.DEVICES = (device,)
        self.topology = topology.create("two-hosts")
        assert self.topology.network == "two-hosts", self.topology.notices
        assert self.topology.wire is not None
        self.wire: Wire = self.topology.wire
        self.seen: list[Packet] = []
        self.fates: list[tuple[int, str]] = []
        self.fate_t: dict[tuple[int, str], int] = {}

    def listen(self, backlog: int = 16, family: int = 4) -> socket.socket:
        self.topology.enter("server")
        listener = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET)
        listener.bind((self.topology.address("server", family), PORT))
        listener.listen(backlog)
        return listener

    def client(self, name: str = "", family: int = 4) -> socket.socket:
        """A bound client socket, known to the wire by its name; connect it with `call`."""
        self.topology.enter("client")
        client = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.bind((self.topology.address("client", family), 0))
        if name:
            self.wire.name(name, decode.endpoint(*client.getsockname()[:2]))
        return client

    def call(self, client: socket.socket) -> None:
        """Begin to connect; the handshake is the wire's affair."""
        client.setblocking(False)
        client.connect_ex((self.topology.address("server", 6 if client.family == socket.AF_INET6 else 4), PORT))

    def do(self, line: str) -> int:
        verb, *words = line.split()
        return self.wire.do(verb, words).done

    def take(self) -> None:
        """Read what the wire has reported."""
        for event in self.wire.read():
            if isinstance(event, PacketFate):
                self.fates.append((event.id, event.fate))
                self.fate_t[event.id, event.fate] = event.t
            else:
                self.seen.append(event)

    def settle(self) -> None:
        """Read all that is reported of packets that have crossed so far: an answer comes after those reports."""
        self.wire.status()
        self.take()

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Read reports until a condition holds; AssertionError with `what` at the deadline."""
        deadline = time.monotonic() + seconds
        while True:
            self.take()
            if holds():
                return
            assert time.monotonic() < deadline, f"{what}: {self.summaries()} {self.fates[-10:]} {self.wire.status()}"
            select.select([self.wire], [], [], 0.01)

    def held(self) -> list[str]:
        """What is held, in order: "SYN-ACK", "ACK" ..."""
        self.take()
        by_number = {packet.id: packet for packet in self.seen}
        held = self.wire.status().held
        return [decode.decode(by_number[n].data).summary if n in by_number else "?" for n in held]

    def summaries(self) -> list[str]:
        return [decode.decode(packet.data, packet.length).summary for packet in self.seen]

    def followed(self) -> list[flows.Seen]:
        following = flows.Flows()
        return [following.add(decode.decode(packet.data, packet.length)) for packet in self.seen]

    def states(self, host: str) -> Counter[str]:
        """The host's TCP sockets by state, as `ss` names them; listeners left out."""
        self.topology.enter(host)
        run = subprocess.run(["ss", "-Htan"], capture_output=True, text=True, check=True)
        return Counter(line.split()[0] for line in run.stdout.splitlines() if not line.startswith("LISTEN"))

    def interface_packets(self, host: str) -> tuple[int, int, int]:
        """(received, sent, dropped) of the host's eth0 since it is up, as the kernel counts them."""
        self.topology.enter(host)
        with open("/proc/thread-self/net/dev") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if name.strip() == "eth0":
                    numbers = [int(word) for word in rest.split()]
                    return numbers[1], numbers[9], numbers[3] + numbers[11]
        raise AssertionError("no eth0")


# ---------------------------------------------------------------- ways


def each_way(metafunc: pytest.Metafunc) -> None:
    """pytest_generate_tests of a module whose tests take `way`."""
    if "way" in metafunc.fixturenames:
        metafunc.parametrize("way", WAYS)


@functools.cache
def _refusal(device: str, user: int | None) -> str:
    """Why this machine has no such wire for this user, or ""."""

    def act() -> str:
        two_hosts.DEVICES = (device,)
        made = topology.create("two-hosts")
        made.close()
        return "" if made.network == "two-hosts" else str(made.notices)

    return in_child(act, user=user)


def run_on(way: Way, act: Callable[[WireLab], T]) -> T:
    """`act` in a child with two hosts and a wire; skips, saying why, where the machine refuses them."""
    device, user = way
    refused = _refusal(device, user)
    if refused:
        pytest.skip(refused)

    def child() -> T:
        lab = WireLab(device)
        try:
            return act(lab)
        finally:
            lab.topology.close()

    return in_child(child, user=user, seconds=120)
