"""Arguments that only sockets have: type, protocol, options and their values.

In and out as common.py says. Source: socket(2), getsockopt(2), socket(7), ip(7), tcp(7).
"""

from __future__ import annotations

from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_net import LEVELS, NETLINK, PROTOCOLS, TYPE_FLAGS, TYPES, options
from socklab.syscalls.errors import errno_name
from socklab.syscalls.show.common import pointer_text, timespec_text, unreadable
from socklab.syscalls.show.sockaddr import AF_INET, AF_INET6, AF_NETLINK
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
    if length == 4:  # strace takes any four bytes for an int
        (value,) = unpack_from("<i", found)
        if name in ("TCP_CONGESTION", "TCP_ULP", "SO_BINDTODEVICE"):
            return Shown(readable(found[:4].rstrip(b"\0")), data=found[:4], strace=f"[{value}]")
        error = f"[{errno_name(value)}]" if name == "SO_ERROR" and value > 0 else ""
        return Shown(error or f"[{value}]", _int_meaning(name, value), found[:4])
    data = found[:length]
    prefix = data[: call.string_limit]
    return Shown(readable(data), data=data, strace=strace_string(prefix, length > len(prefix)))


_LINGER = (1, 13)  # SOL_SOCKET, SO_LINGER


def option_set(call: Call, index: int, length_at: int) -> Shown:
    addr, length = call.u64(index), call.i32(length_at)
    known = call.u32(2) in options(call.u32(1)).by_value
    if known and 0 < length < (8 if (call.u32(1), call.u32(2)) == _LINGER else 4):
        return Shown(f"{pointer_text(addr)} (too short for this option)", strace=pointer_text(addr))
    return _option_value(call, addr, length, call.before.at(addr, max(0, min(length, 512))))


def option_got(call: Call, index: int, length_at: int) -> Shown:
    addr = call.u64(index)
    length = call.after.at(call.u64(length_at), 4)
    if not call.done or length is None or len(length) < 4:
        return Shown(pointer_text(addr), "where the kernel puts the value" if call.result is None else "")
    size = int.from_bytes(length, "little", signed=True)
    return _option_value(call, addr, size, call.after.at(addr, max(0, min(size, 512))))
