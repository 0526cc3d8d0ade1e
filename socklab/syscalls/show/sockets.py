"""Arguments that only sockets have: type, protocol, options and their values.

In and out as common.py says. Source: socket(2), getsockopt(2), socket(7), ip(7), tcp(7).
"""

from __future__ import annotations

import socket
from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_net import LEVELS, NETLINK, PROTOCOLS, TYPE_FLAGS, TYPES, options
from socklab.syscalls.errors import errno_name
from socklab.syscalls.show.common import pointer_text, timespec_text, unreadable
from socklab.syscalls.show.record import Layout
from socklab.syscalls.show.sockaddr import AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, inet, protocol_text, quoted_inet
from socklab.syscalls.symbols import readable, strace_string

_TYPE_MASK = 0xF  # net.h, SOCK_TYPE_MASK: flags live above it


def socket_type(call: Call, index: int) -> Shown:
    value = call.u32(index)
    kind, rest = value & _TYPE_MASK, value & ~_TYPE_MASK
    text, strace = TYPES.text(kind), TYPES.strace(kind)
    meaning = TYPES.meaning(kind)
    if call.u32(0) not in (AF_INET, AF_INET6):  # which protocol it stands for there is another matter
        meaning = meaning.removesuffix(" (TCP)").removesuffix(" (UDP)")
    if rest:
        text += "|" + TYPE_FLAGS.text(rest)
        strace += "|" + TYPE_FLAGS.strace(rest)
        meaning = "; ".join(part for part in (meaning, TYPE_FLAGS.meaning(rest)) if part)
    return Shown(text, meaning, strace=strace)


def protocol(call: Call, index: int) -> Shown:
    """A protocol number means what its family says it does."""
    family, value = call.u32(0), call.u32(index)
    if family in (AF_INET, AF_INET6):
        meaning = PROTOCOLS.meaning(value)
        kind = call.u32(1) & _TYPE_MASK
        if value == 0 and kind in (1, 2):
            meaning = f"the usual one of this type, {'TCP' if kind == 1 else 'UDP'}"
        text = "0" if value == 0 else PROTOCOLS.text(value)
        if call.name == "socketpair":
            return Shown(text, meaning, strace=str(value))
        return Shown(text, meaning, strace=PROTOCOLS.strace(value))
    if family == AF_NETLINK:
        return Shown(NETLINK.text(value), NETLINK.meaning(value), strace=NETLINK.strace(value))
    if family == AF_PACKET:
        return Shown(protocol_text(value), "which packets" if value else "none, until bind says which")
    return Shown(str(value), "the usual one of this type" if value == 0 else "")


# The manual pages (tcp(7), ip(7)) name a level by its protocol; strace by the older SOL_ names.
_MANUAL_LEVELS = {0: "IPPROTO_IP", 6: "IPPROTO_TCP", 17: "IPPROTO_UDP", 41: "IPPROTO_IPV6"}


def level(call: Call, index: int) -> Shown:
    value = call.u32(index)
    return Shown(_MANUAL_LEVELS.get(value) or LEVELS.text(value), LEVELS.meaning(value), strace=LEVELS.strace(value))


def option(call: Call, index: int) -> Shown:
    table = options(call.u32(1))
    value = call.u32(index)
    strace = table.strace(value) if table.unknown else str(value)
    return Shown(table.text(value).removesuffix("_OLD"), table.meaning(value), strace=strace)


def _int_meaning(option: str, value: int) -> str:
    if option == "SO_ERROR":
        return "no error is waiting" if value == 0 else f"{errno_name(value)} is waiting"
    if option == "IP_MULTICAST_IF":
        return (
            f"the interface with address {inet(value.to_bytes(4, 'little', signed=True))}" if value else "any interface"
        )
    if option == "SO_TYPE":
        return TYPES.text(value)
    if option == "SO_ACCEPTCONN":
        return "it listens" if value else "it does not listen"
    if option in (
        "SO_REUSEADDR",
        "SO_REUSEPORT",
        "SO_KEEPALIVE",
        "SO_BROADCAST",
        "TCP_NODELAY",
        "TCP_CORK",
        "IPV6_V6ONLY",
    ):
        return "on" if value else "off"
    return ""


def _option_value(call: Call, addr: int, length: int, found: bytes | None) -> Shown:
    """The value of option (level, optname), `length` bytes of which `found` were captured."""
    if not addr or length <= 0 or found is None or len(found) < min(length, 512):
        return unreadable(addr, None if length <= 0 else found and b"")
    level, option = call.u32(1), call.u32(2)
    name = options(level).text(option)
    if name == "SO_LINGER" and length >= 8:
        on, seconds = unpack_from("<ii", found)
        if not on:
            meaning = "off: close returns at once, the kernel sends the rest by itself"
        else:
            meaning = f"close waits up to {seconds} s for the rest" if seconds else "close throws the rest away: RST"
        fields = (Field("l_onoff", 0, 4, str(on)), Field("l_linger", 4, 4, f"{seconds} s"))
        text = f"{{l_onoff={on}, l_linger={seconds}}}"
        return Shown(text, meaning, found[:8], fields)
    if name == "SO_PEERCRED" and length >= 12:
        pid, uid, gid = unpack_from("<iii", found)  # -1 = nobody: not connected
        who = (Field("pid", 0, 4, str(pid)), Field("uid", 4, 4, str(uid)), Field("gid", 8, 4, str(gid)))
        return Shown(f"{{pid={pid}, uid={uid}, gid={gid}}}", "who is at the other end", found[:12], who)
    if name in ("SO_RCVTIMEO_OLD", "SO_SNDTIMEO_OLD") and length >= 16:
        shown = timespec_text(found[:16], "usec")
        strace = strace_string(found[: min(length, call.string_limit)], length > call.string_limit)
        return Shown(shown.text, "no limit" if shown.text == "0 s" else "", found[:16], shown.fields, strace)
    if (level, name) in _MEMBERSHIPS and length >= _MEMBERSHIPS[level, name].size:
        return _membership(call, name, _MEMBERSHIPS[level, name], found, length)
    data = found[:length]
    prefix = data[: call.string_limit]
    quoted = strace_string(prefix, length > len(prefix))
    if name in _TEXTS:
        (value,) = unpack_from("<i", found) if length == 4 else (None,)  # strace takes any four bytes for an int
        return Shown(readable(data.rstrip(b"\0")), data=data, strace=quoted if value is None else f"[{value}]")
    if length == 4:
        (value,) = unpack_from("<i", found)
        error = f"[{errno_name(value)}]" if name == "SO_ERROR" and value > 0 else ""
        return Shown(error or f"[{value}]", _int_meaning(name, value), found[:4])
    if length < 4 and level == _SOL_IP:  # which takes a byte for a number
        return Shown(f"[{data[0]}]", _int_meaning(name, data[0]), data, strace=quoted)
    return Shown(readable(data), data=data, strace=quoted)


_SOL_IP = 0
_TEXTS = ("TCP_CONGESTION", "TCP_ULP", "SO_BINDTODEVICE")


_MREQ = Layout("imr_multiaddr:4s imr_interface:4s", imr_multiaddr=inet, imr_interface=inet)
_MREQ_SOURCE = Layout(
    "imr_multiaddr:4s imr_interface:4s imr_sourceaddr:4s",
    **dict.fromkeys(("imr_multiaddr", "imr_interface", "imr_sourceaddr"), inet),
)
_MREQ6 = Layout(
    "ipv6mr_multiaddr:16s ipv6mr_interface:i",
    ipv6mr_multiaddr=lambda raw: socket.inet_ntop(socket.AF_INET6, raw),
)
_MEMBERSHIPS = {
    **{(0, f"IP_{verb}_MEMBERSHIP"): _MREQ for verb in ("ADD", "DROP")},
    **{(0, f"IP_{verb}_SOURCE_MEMBERSHIP"): _MREQ_SOURCE for verb in ("ADD", "DROP")},
    **{(41, f"IPV6_{verb}_MEMBERSHIP"): _MREQ6 for verb in ("ADD", "DROP")},
}


def _membership(call: Call, name: str, layout: Layout, found: bytes, length: int) -> Shown:
    """Which group, and on which interface. IPv4 takes a longer struct too, with the interface's number (ip(7))."""
    meaning = "join this group" if "ADD" in name else "leave this group"
    shown = layout.show(found)
    data, fields, strace = shown.data, shown.fields, quoted_inet(shown.strace)
    group, interface = (field.text for field in fields[:2])
    text = f"{{{group} on {'interface ' if layout is _MREQ6 else ''}{interface}}}"
    if layout is _MREQ6:
        strace = f'{{inet_pton(AF_INET6, "{group}", &ipv6mr_multiaddr), ipv6mr_interface={interface}}}'
    elif layout is _MREQ_SOURCE:
        text = f"{{{group} on {interface} from {fields[2].text}}}"
        strace = strace_string(found[: min(length, call.string_limit)], length > call.string_limit)
    elif length >= 12:
        data, fields = found[:12], (*fields, Field("imr_ifindex", 8, 4, str(unpack_from("<i", found, 8)[0])))
    return Shown(text, meaning, data, fields, strace)


_LINGER = (1, 13)  # SOL_SOCKET, SO_LINGER


def _too_short(level: int, option: int, length: int) -> bool:
    """The kernel refuses it: every option has a least size, an int's for most. Only IP takes single bytes."""
    table = options(level)
    if level == _SOL_IP or option not in table.by_value or table.text(option) in _TEXTS:
        return False
    return 0 < length < (8 if (level, option) == _LINGER else 4)


def option_set(call: Call, index: int, length_at: int) -> Shown:
    addr, length = call.u64(index), call.i32(length_at)
    if not length and addr and options(call.u32(1)).text(call.u32(2)) in _TEXTS:
        return Shown('""', "none")
    if _too_short(call.u32(1), call.u32(2), length):
        return Shown(f"{pointer_text(addr)} (too short for this option)", strace=pointer_text(addr))
    return _option_value(call, addr, length, call.before.at(addr, max(0, min(length, 512))))


def option_got(call: Call, index: int, length_at: int) -> Shown:
    addr = call.u64(index)
    length = call.after.at(call.u64(length_at), 4)
    if not call.done or length is None or len(length) < 4:
        return Shown(pointer_text(addr), "where the kernel puts the value" if call.result is None else "")
    size = int.from_bytes(length, "little", signed=True)
    return _option_value(call, addr, size, call.after.at(addr, max(0, min(size, 512))))
