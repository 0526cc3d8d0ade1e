"""Two hosts of the run's own, each with a network namespace, an interface `eth0` and nothing between them but a wire.

In: the device to use. Out: the namespaces and the wire's two ends, as descriptors. Two ways to the same
wire: TUN devices, or, where /dev/net/tun is absent or not for everyone, two veth pairs read by packet sockets.
Sends nothing, decides nothing about packets.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

from socklab.core.errors import SocklabError
from socklab.engine.network import configure, netns, refusals, sysctl
from socklab.engine.network.wire.ends import End
from socklab.protocol.events import Host

HOSTS = (Host("server", ("10.0.0.1", "fd00::1")), Host("client", ("10.0.0.2", "fd00::2")))

QUEUE = 20_000
"""Packets an interface keeps for a wire that is not scheduled at once: all that 10,000 clients send in one moment."""

RING = 8192
"""The same for a packet ring, which takes 2 kB of memory for each."""

_MACS = (b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02")
_WIRE_MAC = b"\x02\0\0\0\0\xff"


@dataclass(frozen=True)
class Laid:
    """What `lay` made. The calling process is in the server's namespace."""

    hosts: tuple[Host, ...]
    namespaces: dict[str, int]
    ends: tuple[End, End]


_QUIET_IPV6 = {"accept_ra": "0", "router_solicitations": "0", "addr_gen_mode": "1", "dad_transmits": "0"}

DEVICES: tuple[str, ...] = ("tun", "veth")
"""The ways to a wire, better first: TUN gives and takes bare IP packets."""


def lay(device: str) -> Laid:
    """Make both hosts and the wire's ends. The process owns its network namespace, which becomes the wire's.

    Raises refusals.Refused with stage `device` where the kernel has no such device, or not for this user.
    """
    if device == "tun":
        with refusals.stage(device):
            os.close(os.open(netns.TUN_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    namespaces: list[int] = []
    ends: list[End] = []
    home = netns.open_namespace()
    try:
        for _ in HOSTS:
            configure.new_network()
            namespaces.append(netns.open_namespace())
        with refusals.stage(device):
            _ENDS[device](home, namespaces, ends)
        hosts = []
        for fd, host in zip(namespaces, HOSTS, strict=True):
            netns.setns(fd)
            hosts.append(_configure(host))
        netns.setns(namespaces[0])
    except refusals.Refused:
        for fd in (*namespaces, *(end.fd for end in ends)):
            os.close(fd)
        with suppress(OSError):  # setns itself may be what is refused: this fresh network is as good as that one
            netns.setns(home)
        raise
    finally:
        os.close(home)
    return Laid(tuple(hosts), dict(zip(("server", "client"), namespaces, strict=True)), (ends[0], ends[1]))


def _configure(host: Host) -> Host:
    """Bring eth0 up with the host's addresses; the host as it is then."""
    configure.open_low_ports()
    # A wire between two hosts carries what they say, not the chatter of a stack looking for routers.
    for name, value in _QUIET_IPV6.items():
        with suppress(SocklabError):  # no IPv6, or an older kernel: then some ICMPv6 is on the wire, and shown as that
            sysctl.write(f"net.ipv6.conf.eth0.{name}", value)
    with refusals.stage("addresses"):
        netns.set_link("eth0", arp=False, queue=QUEUE)
    return configure.add_addresses(host, "eth0", 24, 64)


def _tun_ends(_home: int, namespaces: list[int], ends: list[End]) -> None:
    for namespace in namespaces:
        netns.setns(namespace)
        ends.append(End(netns.open_tun("eth0")))


def _veth_ends(home: int, namespaces: list[int], ends: list[End]) -> None:
    """Each host's eth0 is one end of a veth pair; the other end lives in the wire's own namespace."""
    netns.setns(home)
    for number, (namespace, mac) in enumerate(zip(namespaces, _MACS, strict=True)):
        name = f"wire{number}"
        netns.add_veth(name, "eth0", namespace, mac)
        with suppress(SocklabError):  # no IPv6 in this kernel: nothing to silence
            sysctl.write(f"net.ipv6.conf.{name}.disable_ipv6", "1")
        netns.set_link(name, arp=False, queue=QUEUE)
        fd = netns.open_packet_ring(name, RING)
        # What the wire writes is addressed to the host's interface, or its stack would take it for another's.
        ends.append(End(fd, mac + _WIRE_MAC + b"\x08\x00", mac + _WIRE_MAC + b"\x86\xdd", RING))
    for namespace in namespaces:
        netns.setns(namespace)
        netns.switch_offloads_off("eth0")


_ENDS = {"tun": _tun_ends, "veth": _veth_ends}
