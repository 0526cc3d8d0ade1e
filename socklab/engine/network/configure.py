"""Configures namespaces as hosts: addresses, names that resolve, ports anyone may bind.

In: which namespaces may be asked for; hosts. Out: this process inside them. Raises refusals.Refused with the stage the
kernel refused. Never touches the machine's own interfaces, mounts or settings: what it changes goes with the process.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from socklab.core.errors import SocklabError
from socklab.engine.network import netns, refusals, sysctl
from socklab.protocol.events import Host

LONE_HOSTS = (Host("server", ("10.0.0.1", "fd00::1")), Host("client", ("10.0.0.2", "fd00::2"), "server"))
"""One host with two names: both have its socket table."""


def leave_machine(flags: int) -> None:
    """Put this process into namespaces of its own, with its loopback interface up. Raises refusals.Refused."""
    uid, gid = os.geteuid(), os.getegid()
    with refusals.stage("unshare"):
        netns.unshare(flags)
    if flags & netns.CLONE_NEWUSER:
        with refusals.stage("map"):
            netns.map_to_self(uid, gid)
    with refusals.stage("mounts"):
        # Nothing mounted from now on may spread to the machine's own mount namespace.
        netns.mount("none", "/", netns.MS_REC | netns.MS_PRIVATE)
    with refusals.stage("loopback"):
        netns.set_link("lo")


def new_network() -> None:
    """A fresh network namespace for the calling thread, its loopback interface up. Raises refusals.Refused."""
    with refusals.stage("unshare"):
        netns.unshare(netns.CLONE_NEWNET)
    with refusals.stage("loopback"):
        netns.set_link("lo")


def lone_host() -> tuple[Host, ...]:
    """Both hosts' addresses on the loopback interface of the network this process is in. Raises refusals.Refused."""
    hosts = tuple(add_addresses(host, "lo", 32, 128) for host in LONE_HOSTS)
    _talk_to_each_other(hosts)
    open_low_ports()
    return hosts


def add_addresses(host: Host, interface: str, prefix: int, prefix6: int) -> Host:
    """Give an interface the host's addresses; the host as it is then, IPv4 alone where there is no IPv6.

    Raises refusals.Refused.
    """
    with refusals.stage("addresses"):
        netns.add_address(interface, host.addresses[0], prefix)
    try:
        netns.add_address(interface, host.addresses[1], prefix6)
    except OSError:  # a kernel without IPv6, or with it switched off
        return replace(host, addresses=host.addresses[:1])
    return host


def _talk_to_each_other(hosts: tuple[Host, ...]) -> None:
    """A connection to one of the names comes from the other, unless its program binds it: two names, two addresses."""
    server, client = hosts
    for ours, theirs in zip(server.addresses, client.addresses, strict=True):
        with suppress(OSError):  # without it both ends have the same address, which is right, only harder to read
            netns.prefer_source("lo", ours, theirs)
            netns.prefer_source("lo", theirs, ours)


def open_low_ports() -> None:
    """Let programs of the calling thread's namespace bind every port and use ping, whoever they run as."""
    group = os.getegid()
    for name, value in (
        ("net.ipv4.ip_unprivileged_port_start", "0"),
        ("net.ipv4.ping_group_range", f"{group} {group}"),
    ):
        with suppress(SocklabError):  # a read-only /proc/sys: low ports then need root, as on the machine
            sysctl.write(name, value)


def name_hosts(hosts: tuple[Host, ...], run_dir: str) -> OSError | None:
    """Cover /etc/hosts, in this process's own mount namespace, with a copy that also has the hosts. None = done."""
    # The plain names are IPv4: with both families a resolver puts fd00::1 first, and each connection to an IPv4
    # listener would begin with a refused IPv6 attempt. IPv6 has names of its own: server6, client6.
    import tempfile

    lines = [f"{a}\t{host.name}{'6' if ':' in a else ''}" for host in hosts for a in host.addresses]
    path = ""
    try:
        known = Path("/etc/hosts").read_text(encoding="utf-8", errors="surrogateescape")
        # The lab's lines come first: the resolver takes the first address it finds for a name.
        text = "\n".join(["# hosts of this socklab run", *lines, "", known])
        fd, path = tempfile.mkstemp(prefix="hosts-", dir=run_dir or None)
        with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
        netns.mount(path, "/etc/hosts", netns.MS_BIND)
    except OSError as error:
        return error
    finally:
        if path:
            # The mount keeps the file alive; its name is needed no more.
            Path(path).unlink(missing_ok=True)
    return None
