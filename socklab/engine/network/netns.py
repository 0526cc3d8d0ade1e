"""Namespaces and network interfaces, by plain system calls: no `ip`, no root, no library.

In: names, addresses, file descriptors. Out: the kernel's own answer, as an OSError with its errno where it refuses.
Holds the libc bindings (unshare, setns, mount) and a small rtnetlink. Decides nothing: topology.py does.

Sources: unshare(2), setns(2), mount(2), user_namespaces(7), rtnetlink(7), veth(4), packet(7);
Documentation/networking/tuntap.rst.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import time
from pathlib import Path

from socklab.host.libc import c_library, checked

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

NAMESPACE = "/proc/thread-self/ns/net"
"""The calling thread's network namespace; /proc/self would be the main thread's."""

c_library.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_void_p)


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones, all or none. CLONE_NEWUSER: only if single-threaded."""
    checked(c_library.unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int) -> None:
    """Put the calling thread into the network namespace behind `fd`."""
    checked(c_library.setns(ctypes.c_int(fd), ctypes.c_int(CLONE_NEWNET)), "setns")


def mount(source: str, target: str, flags: int) -> None:
    checked(c_library.mount(os.fsencode(source), os.fsencode(target), None, flags, None), f"mount {target}")


def open_namespace() -> int:
    """A descriptor of the calling thread's network namespace, for setns. The caller closes it."""
    return os.open(NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)


def map_to_self(uid: int, gid: int) -> None:
    """In a user namespace just made: keep the same user and group ids, so files and `whoami` look as before."""
    # Without privileges over the parent namespace the kernel takes a group map only once setgroups is denied.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


# ---------------------------------------------------------------- rtnetlink

_NLMSG = struct.Struct("=IHHII")
_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")

_NLM_REQUEST_ACK = 0x1 | 0x4
_NLM_REPLACE = 0x100
_NLM_CREATE = 0x400
_NLM_EXCLUSIVE = 0x200

_RTM_NEWLINK, _RTM_NEWADDR, _RTM_NEWROUTE, _RTM_DELROUTE = 16, 20, 24, 25
_NLMSG_ERROR = 2

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_TXQLEN, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 1, 3, 13, 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFA_F_NODAD = 0x02
_RTA_DST, _RTA_OIF, _RTA_PREFSRC = 1, 4, 7
_RT_TABLE_LOCAL, _RTPROT_KERNEL, _RT_SCOPE_UNIVERSE, _RT_SCOPE_HOST, _RTN_LOCAL = 255, 2, 0, 254, 2

IFF_UP, IFF_NOARP = 0x1, 0x80


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _ask(kind: int, flags: int, body: bytes, what: str) -> None:
    """One rtnetlink request; raises OSError with the kernel's errno if it is refused."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as link:
        link.send(_NLMSG.pack(_NLMSG.size + len(body), kind, _NLM_REQUEST_ACK | flags, 1, 0) + body)
        answer = link.recv(4096)
    answered = _NLMSG.unpack_from(answer)[1]
    # Every acknowledged request is answered by NLMSG_ERROR; 0 in it means done.
    (number,) = struct.unpack_from("=i", answer, _NLMSG.size)
    if answered != _NLMSG_ERROR or number:
        number = -number if answered == _NLMSG_ERROR else errno.EPROTO
        raise OSError(number, os.strerror(number), what)


def set_link(name: str, *, arp: bool = True, queue: int | None = None) -> None:
    """Bring interface `name` up, without ARP if asked; `queue` = packets its transmit queue holds."""
    flags = IFF_UP if arp else IFF_UP | IFF_NOARP
    body = _IFINFO.pack(socket.AF_UNSPEC, 0, socket.if_nametoindex(name), flags, flags)
    if queue is not None:
        body += _attribute(_IFLA_TXQLEN, struct.pack("=I", queue))
    _ask(_RTM_NEWLINK, 0, body, f"set {name} up")


def add_address(name: str, address: str, prefix: int) -> None:
    """Give interface `name` an IPv4 or IPv6 address, usable at once (no duplicate-address detection)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    # IFA_F_NODAD is IPv6's; without it a new address is "tentative" and unusable for about a second.
    flags = _IFA_F_NODAD if family == socket.AF_INET6 else 0
    body = _IFADDR.pack(family, prefix, flags, 0, socket.if_nametoindex(name))
    body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
    _ask(_RTM_NEWADDR, _NLM_CREATE | _NLM_EXCLUSIVE, body, f"add {address} to {name}")


def prefer_source(name: str, address: str, source: str) -> None:
    """Have connections to this host's own `address` start from its other address `source` unless they are bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed, preferred = socket.inet_pton(family, address), socket.inet_pton(family, source)
    scope = _RT_SCOPE_HOST if family == socket.AF_INET else _RT_SCOPE_UNIVERSE
    route = (family, len(packed) * 8, 0, 0, _RT_TABLE_LOCAL, _RTPROT_KERNEL, scope, _RTN_LOCAL, 0)
    destination = _attribute(_RTA_DST, packed)
    body = _ROUTE.pack(*route) + destination + _attribute(_RTA_PREFSRC, preferred)
    body += _attribute(_RTA_OIF, struct.pack("=I", socket.if_nametoindex(name)))
    what = f"route to {address}"
    if family == socket.AF_INET6:
        # IPv4 replaces the kernel's own route. IPv6 would put ours behind it, so it has to go first; and it comes
        # only when a kernel worker has finished with the new address.
        deadline = time.monotonic() + 0.5
        while True:
            try:
                _ask(_RTM_DELROUTE, 0, _ROUTE.pack(*route) + destination, what)
                break
            except OSError as error:
                if error.errno != errno.ESRCH or time.monotonic() > deadline:
                    raise
            time.sleep(0.001)
    _ask(_RTM_NEWROUTE, _NLM_CREATE | _NLM_REPLACE, body, what)


def add_veth(name: str, peer: str, peer_namespace: int, peer_mac: bytes) -> None:
    """A pair of virtual Ethernet interfaces: what enters one leaves the other. `name` is in the calling thread's
    namespace, `peer` in the one behind the descriptor `peer_namespace`."""
    other = _new_link(peer) + _attribute(_IFLA_ADDRESS, peer_mac)
    other += _attribute(_IFLA_NET_NS_FD, struct.pack("=i", peer_namespace))
    info = _attribute(_IFLA_INFO_KIND, b"veth") + _attribute(_IFLA_INFO_DATA, _attribute(_VETH_INFO_PEER, other))
    body = _new_link(name) + _attribute(_IFLA_LINKINFO, info)
    _ask(_RTM_NEWLINK, _NLM_CREATE | _NLM_EXCLUSIVE, body, "create a veth pair")


def _new_link(name: str) -> bytes:
    return _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + _attribute(_IFLA_IFNAME, name.encode() + b"\0")


# ---------------------------------------------------------------- devices

TUN_DEVICE = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM, _ETHTOOL_STSO, _ETHTOOL_SGSO = 0x17, 0x1F, 0x24


def open_tun(name: str) -> int:
    """Create TUN interface `name` in the calling thread's network namespace; one read = one IP packet.

    The interface belongs to the namespace the *device file was opened in*, and needs CAP_NET_ADMIN over it. It goes
    when the descriptor is closed.
    """
    fd = os.open(TUN_DEVICE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("=16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError:
        os.close(fd)
        raise
    return fd


_ETH_P_ALL, SOL_PACKET = 0x0003, 263
_PACKET_RX_RING, PACKET_STATISTICS, _PACKET_VERSION, _PACKET_IGNORE_OUTGOING = 5, 6, 10, 23
SO_TIMESTAMPNS = 35
_TPACKET_V2 = 1

RING_FRAME = 2048
"""Bytes of one frame of a packet ring: room for an Ethernet frame of 1514 bytes and the kernel's header before it."""
_RING_BLOCK = 1 << 16


def open_packet_ring(name: str, frames: int) -> int:
    """A packet socket on `name` that never sees its own frames, with a ring for `frames` packets to map and read.

    The ring's memory is not under net.core.rmem_max, which would leave an unprivileged user room for 90 packets.
    Source: Documentation/networking/packet_mmap.rst, TPACKET_V2.
    """
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0) as raw:
        raw.setsockopt(SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        raw.setsockopt(SOL_PACKET, _PACKET_VERSION, _TPACKET_V2)
        ring = struct.pack("=IIII", _RING_BLOCK, frames * RING_FRAME // _RING_BLOCK, RING_FRAME, frames)
        raw.setsockopt(SOL_PACKET, _PACKET_RX_RING, ring)
        raw.bind((name, _ETH_P_ALL))
        return raw.detach()


def open_packet_view(name: str) -> socket.socket:
    """A socket that sees every IP packet arrive on `name`, each once, stamped by the kernel; it sends nothing."""
    view = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    try:
        # On loopback every packet goes out and comes in: one of the two is enough.
        view.setsockopt(SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        view.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        view.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        view.bind((name, _ETH_P_ALL))
    except OSError:
        view.close()
        raise
    return view


def switch_offloads_off(name: str) -> None:
    """Have `name` send packets no longer than its MTU with checksums filled in: what a wire would carry."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        for command in (_ETHTOOL_STXCSUM, _ETHTOOL_STSO, _ETHTOOL_SGSO):
            value = ctypes.create_string_buffer(struct.pack("=II", command, 0))
            # struct ifreq with a pointer to struct ethtool_value in its union.
            request = struct.pack("=16sQ16x", name.encode(), ctypes.addressof(value))
            fcntl.ioctl(any_socket, _SIOCETHTOOL, request)
