"""What ioctl asks of network interfaces: struct ifreq, a name and what is asked or set; struct ifconf, a list of them.

In: a Call and the position of ioctl's third argument. Out: a Shown. Source: netdevice(7); net/if.h.
"""

from __future__ import annotations

from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_net import HARDWARE, INTERFACE_FLAGS
from socklab.syscalls.show.common import unreadable
from socklab.syscalls.show.sockaddr import sockaddr
from socklab.syscalls.symbols import readable, strace_string

IFREQ = 40
SIOCGIFNAME, SIOCGIFCONF = 0x8910, 0x8912
_MEMBERS = (
    "0x8913:flags 0x8914:flags 0x8915:addr 0x8916:addr 0x8917:dstaddr 0x8918:dstaddr 0x8919:broadaddr "
    "0x891A:broadaddr 0x891B:netmask 0x891C:netmask 0x891D:metric 0x891E:metric 0x8921:mtu 0x8922:mtu 0x8924:hwaddr "
    "0x8927:hwaddr 0x8933:ifindex 0x8942:qlen 0x8943:qlen"
)
MEMBERS = {int(code, 0): "ifr_" + name for code, _, name in (word.partition(":") for word in _MEMBERS.split())}
"""Which member of the union a request means."""
SETS = frozenset((0x8914, 0x8916, 0x8918, 0x891A, 0x891C, 0x891E, 0x8922, 0x8924, 0x8943))
"""Requests whose value the program passes in."""


def _value(member: str, raw: bytes) -> tuple[str, str]:
    """The 24 bytes of the union, for a person and as strace spells them."""
    if member == "ifr_flags":
        text = INTERFACE_FLAGS.text(unpack_from("<H", raw)[0])
        return text, text
    if member == "ifr_hwaddr":
        kind, address = HARDWARE.text(unpack_from("<H", raw)[0]), raw[2:8].hex(":")
        return f"{kind} {address}", f"{{sa_family={kind}, sa_data={address}}}"
    if member.endswith(("addr", "netmask")):
        shown = sockaddr(raw[:16])
        return shown.text, shown.strace
    text = str(unpack_from("<i", raw)[0])
    return text, text


def _one(raw: bytes, member: str, at: int = 0) -> tuple[str, str, tuple[Field, ...]]:
    """Text, strace's spelling and fields of an ifreq; without `member` of its name alone."""
    name = raw[:16].partition(b"\0")[0]
    fields = [Field("ifr_name", at, 16, readable(name))]
    if not member:
        return readable(name), f"{{ifr_name={strace_string(name)}}}", tuple(fields)
    text, strace = _value(member, raw[16:])
    fields.append(Field(member, at + 16, 24, strace))
    return f"{readable(name)}: {text}", f"{{ifr_name={strace_string(name)}, {member}={strace}}}", tuple(fields)


def ifreq(call: Call, addr: int, request: int) -> Shown:
    raw = call.before.at(addr, IFREQ)
    if not addr or not raw or len(raw) < IFREQ:
        return unreadable(addr, raw and b"")
    if call.done and request not in SETS:
        raw = call.after.at(addr, IFREQ) or raw
    if request == SIOCGIFNAME:
        index = unpack_from("<i", raw, 16)[0]
        name = raw[:16].partition(b"\0")[0]
        both = (Field("ifr_name", 0, 16, readable(name)), Field("ifr_ifindex", 16, 4, str(index)))
        if not call.done:
            return Shown(f"{{ifr_ifindex={index}}}", "an interface", raw, both[1:])
        return Shown(
            f"{{{index}: {readable(name)}}}",
            "an interface",
            raw,
            both,
            f"{{ifr_ifindex={index}, ifr_name={strace_string(name)}}}",
        )
    text, strace, fields = _one(raw, MEMBERS[request] if call.done or request in SETS else "")
    return Shown(f"{{{text}}}", "an interface", raw, fields, strace)


def ifconf(call: Call, addr: int) -> Shown:
    """A length and a pointer to an array of ifreq; without the pointer only the length is asked for."""
    before, after = call.before.at(addr, 16), call.after.at(addr, 16) if call.done else None
    if not addr or not before or len(before) < 16:
        return unreadable(addr, before and b"")
    room, array = unpack_from("<i4xQ", before)
    size = unpack_from("<i", after)[0] if after and len(after) == 16 else None
    said = str(room) if size is None or not array else f"{room} => {size}" if size != room else str(room)
    if not array and size is not None:
        said = str(size)
    raw = call.after.at(array, max(0, min(size or 0, 64 * IFREQ))) if array and size else b""
    ones = (
        [_one(raw[at : at + IFREQ], "ifr_addr", at) for at in range(0, len(raw or b"") // IFREQ * IFREQ, IFREQ)]
        if raw
        else []
    )
    texts, straces = [text for text, _, _ in ones], [strace for _, strace, _ in ones]
    if not array or size is None:
        strace = f"{{ifc_len={said}, ifc_buf={hex(array) if array else 'NULL'}}}"
    else:
        strace = f"{{ifc_len={said}, ifc_buf=[{', '.join(straces)}]}}"
    fields = tuple(field for _, _, found in ones for field in found)
    listed = f"[{', '.join(texts)}]" if array else "NULL"
    return Shown(f"{{{said} byte{'s' * (said != '1')}: {listed}}}", "interfaces", raw or b"", fields, strace)
