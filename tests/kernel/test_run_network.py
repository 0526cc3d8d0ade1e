"""`socklab run` plays on the best network the machine allows; what listens on loopback is met on its own host."""

from __future__ import annotations

from pathlib import Path

import pytest

from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link

pytestmark = pytest.mark.kernel

SERVER = """
import socket
listener = socket.create_server(("{address}", 8080))
connection, peer = listener.accept()
print(peer[0], flush=True)
connection.recv(1)
"""


def best_network() -> str:
    """What a lesson gets of itself on this machine."""
    with Link.start(RunSpec(argv=("true",), network="two-hosts", free=True)) as link:
        return next(event.network for event in link.events(timeout=120) if isinstance(event, ev.Header))


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_run_plays_on_the_best_network_and_its_listener_is_reached(address: str, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER.format(address=address))
    hosts: dict[str, tuple[str, ...]] = {}
    with Link.start(RunSpec(argv=("server.py",), cwd=str(tmp_path), until="accept")) as link:
        for event in link.events(timeout=120):
            if isinstance(event, ev.Header):
                assert event.network == best_network()
                hosts = {host.name: host.addresses for host in event.hosts}
            elif isinstance(event, ev.Held) and event.at == "enter":
                link.send(cmd.Continue())
                link.send(cmd.Do(line="connect"))
            elif isinstance(event, ev.Client) and event.phase == "open" and best_network() == "two-hosts":
                assert event.host == ("server" if address == "127.0.0.1" else "client")
            elif isinstance(event, ev.Output):
                peer = event.data.decode().strip()
                break
    assert peer == ("127.0.0.1" if address == "127.0.0.1" else hosts["client"][0])
