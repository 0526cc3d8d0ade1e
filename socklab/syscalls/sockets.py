"""The socket family of calls: signatures, and the arguments only they have.

Source: the manual pages of each call, section 2, whose parameter names these are.
"""

from __future__ import annotations

from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_net import (
    FAMILIES,
    LEVELS,
    MESSAGE_FLAGS,
    NETLINK,
    PROTOCOLS,
    SHUTDOWN,
    TYPE_FLAGS,
    TYPES,
    options,
)
from socklab.syscalls.errors import errno_name
from socklab.syscalls.kinds import (
    FD,
    FD_PAIR,
    INT,
    LENGTH,
    SIZE,
    TIMEOUT,
    UINT,
    Kind,
    arg,
    buffer_in,
    buffer_out,
    call,
    flags,
    named,
    pointer_text,
    timespec_text,
    unreadable,
)
from socklab.syscalls.messages import MESSAGE_IN, MESSAGE_OUT, MESSAGES_IN, MESSAGES_OUT
from socklab.syscalls.sockaddr import AF_INET, AF_INET6, AF_NETLINK, address_in, address_out
from socklab.syscalls.symbols import readable, strace_string

_TYPE_MASK = 0xF  # net.h, SOCK_TYPE_MASK: flags live above it


def _show_type(call: Call, index: int) -> Shown:
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


def _show_protocol(call: Call, index: int) -> Shown:
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


def _show_level(call: Call, index: int) -> Shown:
    value = call.u32(index)
    return Shown(_MANUAL_LEVELS.get(value) or LEVELS.text(value), LEVELS.meaning(value), strace=LEVELS.strace(value))


def _show_option(call: Call, index: int) -> Shown:
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


def _set_value(call: Call, index: int) -> Shown:
    addr, length = call.u64(index), call.i32(4)
    known = call.u32(2) in options(call.u32(1)).by_value
    if known and 0 < length < (8 if (call.u32(1), call.u32(2)) == _LINGER else 4):
        return Shown(f"{pointer_text(addr)} (too short for this option)", strace=pointer_text(addr))
    return _option_value(call, addr, length, call.before.at(addr, max(0, min(length, 512))))


def _got_value(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    length = call.after.at(call.u64(4), 4)
    if not call.done or length is None or len(length) < 4:
        return Shown(pointer_text(addr), "where the kernel puts the value" if call.result is None else "")
    size = int.from_bytes(length, "little", signed=True)
    return _option_value(call, addr, size, call.after.at(addr, max(0, min(size, 512))))


_SOCKFD = arg("sockfd", FD, "the socket")
_MSG_FLAGS = flags(MESSAGE_FLAGS)
_DOMAIN = arg("domain", named("domain", FAMILIES), "which family of addresses")
_TYPE = arg("type", Kind("type", _show_type), "what kind of conversation")
_PROTOCOL = arg("protocol", Kind("protocol", _show_protocol), "which protocol of that kind")
_LEVEL = arg("level", Kind("level", _show_level), "which layer the option belongs to")
_OPTION = arg("optname", Kind("option", _show_option), "which option")
_ADDRLEN = arg("addrlen", INT, "size of the address in bytes")
_ADDRLEN_OUT = arg("addrlen", LENGTH, "in: room for the address; out: its real size")
_LEN = arg("len", SIZE, "how many bytes")

_ACCEPT_MEANING = (
    "Take the oldest connection out of the accept queue and give it a descriptor of its own; "
    "wait if the queue is empty."
)

CALLS = (
    call(
        "socket", "Make a new socket and give the program a descriptor for it.", _DOMAIN, _TYPE, _PROTOCOL, result="fd"
    ),
    call(
        "socketpair",
        "Make two sockets that are connected to each other.",
        _DOMAIN,
        _TYPE,
        _PROTOCOL,
        arg("sv", FD_PAIR, "the two descriptors"),
    ),
    call(
        "bind",
        "Give the socket a local address. Nothing listens there yet.",
        _SOCKFD,
        arg("addr", address_in(2), "the address to take"),
        _ADDRLEN,
    ),
    call(
        "listen",
        "Make the socket a listener: from now on the kernel accepts connections for it and queues them.",
        _SOCKFD,
        arg("backlog", INT, "queue length asked for"),
    ),
    call(
        "accept",
        _ACCEPT_MEANING,
        arg("sockfd", FD, "the listener"),
        arg("addr", address_out(2), "the client's address"),
        _ADDRLEN_OUT,
        result="fd",
    ),
    call(
        "accept4",
        _ACCEPT_MEANING,
        arg("sockfd", FD, "the listener"),
        arg("addr", address_out(2), "the client's address"),
        _ADDRLEN_OUT,
        arg("flags", flags(TYPE_FLAGS), "flags of the new socket"),
        result="fd",
    ),
    call(
        "connect",
        "Connect the socket to a remote address: for TCP, send a SYN and wait for the handshake.",
        _SOCKFD,
        arg("addr", address_in(2), "where to"),
        _ADDRLEN,
    ),
    call(
        "getsockname",
        "Ask for the socket's own address.",
        _SOCKFD,
        arg("addr", address_out(2), "its local address"),
        _ADDRLEN_OUT,
    ),
    call(
        "getpeername",
        "Ask for the address at the other end.",
        _SOCKFD,
        arg("addr", address_out(2), "its peer's address"),
        _ADDRLEN_OUT,
    ),
    call(
        "setsockopt",
        "Set an option of the socket.",
        _SOCKFD,
        _LEVEL,
        _OPTION,
        arg("optval", Kind("optval", _set_value), "the value"),
        arg("optlen", INT, "size of the value in bytes"),
    ),
    call(
        "getsockopt",
        "Read an option of the socket.",
        _SOCKFD,
        _LEVEL,
        _OPTION,
        arg("optval", Kind("optval", _got_value), "the value"),
        arg("optlen", LENGTH, "in: room for the value; out: its real size"),
    ),
    call(
        "shutdown",
        "End one or both directions of the connection. The descriptor stays.",
        _SOCKFD,
        arg("how", named("how", SHUTDOWN), "which direction"),
    ),
    call(
        "sendto",
        "Hand bytes to the kernel for sending.",
        _SOCKFD,
        arg("buf", buffer_in(2), "the bytes"),
        _LEN,
        arg("flags", _MSG_FLAGS),
        arg("dest_addr", address_in(5), "where to; NULL = the connected peer"),
        _ADDRLEN,
        result="sent",
    ),
    call(
        "recvfrom",
        "Take received bytes out of the socket's receive queue; wait if there are none.",
        _SOCKFD,
        arg("buf", buffer_out(2), "where the bytes go"),
        _LEN,
        arg("flags", _MSG_FLAGS),
        arg("src_addr", address_out(5), "the sender's address"),
        _ADDRLEN_OUT,
        result="received",
    ),
    call(
        "sendmsg",
        "Hand a message to the kernel for sending: scattered buffers, an address, control data.",
        _SOCKFD,
        arg("msg", MESSAGE_IN, "the message"),
        arg("flags", _MSG_FLAGS),
        result="sent",
    ),
    call(
        "recvmsg",
        "Receive a message into scattered buffers, with its sender and control data; wait if there is none.",
        _SOCKFD,
        arg("msg", MESSAGE_OUT, "the message"),
        arg("flags", _MSG_FLAGS),
        result="received",
    ),
    call(
        "sendmmsg",
        "Hand several messages to the kernel in one call.",
        _SOCKFD,
        arg("msgvec", MESSAGES_IN, "the messages"),
        arg("vlen", UINT, "how many"),
        arg("flags", _MSG_FLAGS),
        result="count",
    ),
    call(
        "recvmmsg",
        "Receive several messages in one call.",
        _SOCKFD,
        arg("msgvec", MESSAGES_OUT, "the messages"),
        arg("vlen", UINT, "how many at most"),
        arg("flags", _MSG_FLAGS),
        arg("timeout", TIMEOUT, "how long to wait"),
        result="count",
    ),
)
