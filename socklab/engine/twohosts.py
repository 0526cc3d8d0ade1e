"""Two hosts of the run's own, each with a network namespace, an interface `eth0` and nothing between them but a wire.

In: which namespaces may be asked for. Out: the namespaces and the wire's two ends, as descriptors. Two ways to the same
wire: TUN devices, or, where /dev/net/tun is absent or not for everyone, two veth pairs read by packet sockets.
Sends nothing, decides nothing about packets.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from socklab.engine import netns, refusals, sysctl
from socklab.engine.furnish import leave_machine, open_low_ports
from socklab.engine.wire_process import End
from socklab.errors import SocklabError
from socklab.events import Host

HOSTS = (Host("server", ("10.0.0.1", "fd00::1")), Host("client", ("10.0.0.2", "fd00::2")))

QUEUE = 20_000
"""Packets an interface keeps for a wire that is not scheduled at once: all that 10,000 clients send in one moment."""

_BUFFER_BYTES = 64 << 20
"""The same for a packet socket, in bytes."""

_MACS = (b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02")
_WIRE_MAC = b"\x02\0\0\0\0\xff"


@dataclass(frozen=True)
class Laid:
    """What `lay` made. The calling process is in the server's namespace."""

    hosts: tuple[Host, ...]
    namespaces: dict[str, int]
    ends: tuple[End, End]


def lay(flags: int, device: str) -> Laid:
    """Make both hosts and the wire's ends; device: tun or veth. Raises refusals.Refused."""
    leave_machine(flags)
    server = netns.open_namespace()
    _new_host()
    client = netns.open_namespace()
    namespaces = (server, client)
    with refusals.stage(device):
        ends = _tun_ends(namespaces) if device == "tun" else _veth_ends(namespaces)
    hosts: tuple[Host, ...] = HOSTS
    for fd, host in zip(namespaces, HOSTS, strict=True):
        netns.setns(fd)
        with refusals.stage("addresses"):
            if not _furnish(host):
                hosts = tuple(Host(h.name, h.addresses[:1]) for h in HOSTS)
    netns.setns(server)
    return Laid(hosts, {"server": server, "client": client}, ends)


def _new_host() -> None:
    with refusals.stage("unshare"):
        netns.unshare(netns.CLONE_NEWNET)
    with refusals.stage("loopback"):
        netns.set_link("lo")


def _furnish(host: Host) -> bool:
    """Bring eth0 up with the host's addresses; False where there is no IPv6."""
    open_low_ports()
    # A wire between two hosts carries what they say, not the chatter of a stack looking for routers.
    for name, value in (
        ("accept_ra", "0"),
        ("router_solicitations", "0"),
        ("addr_gen_mode", "1"),
        ("dad_transmits", "0"),
    ):
        with suppress(SocklabError):  # no IPv6, or an older kernel: then some ICMPv6 is on the wire, and shown as that
            sysctl.write(f"net.ipv6.conf.eth0.{name}", value)
    netns.set_link("eth0", arp=False, queue=QUEUE)
    netns.add_address("eth0", host.addresses[0], 24)
    try:
        netns.add_address("eth0", host.addresses[1], 64)
    except OSError:
        return False
    return True


def _tun_ends(namespaces: tuple[int, int]) -> tuple[End, End]:
    fds = []
    for namespace in namespaces:
        netns.setns(namespace)
        fds.append(netns.open_tun("eth0"))
    return End(fds[0]), End(fds[1])


def _veth_ends(namespaces: tuple[int, int]) -> tuple[End, End]:
    """Each host's eth0 is one end of a veth pair; the other end lives in a namespace of the wire's own."""
    _new_host()
    ends = []
    for number, (namespace, mac) in enumerate(zip(namespaces, _MACS, strict=True)):
        name = f"wire{number}"
        netns.add_veth(name, "peer")
        netns.move_link("peer", namespace, "eth0")
        with suppress(SocklabError):  # no IPv6 in this kernel: nothing to silence
            sysctl.write(f"net.ipv6.conf.{name}.disable_ipv6", "1")
        netns.set_link(name, arp=False, queue=QUEUE)
        fd = netns.open_packet_socket(name, _BUFFER_BYTES)
        # What the wire writes is addressed to the host's interface, or its stack would take it for another's.
        ends.append(End(fd, mac + _WIRE_MAC + b"\x08\x00", mac + _WIRE_MAC + b"\x86\xdd"))
    for namespace, mac in zip(namespaces, _MACS, strict=True):
        netns.setns(namespace)
        netns.set_mac("eth0", mac)
        netns.switch_offloads_off("eth0")
    return ends[0], ends[1]
