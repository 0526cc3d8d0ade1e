"""Messages of sendmsg and recvmsg: msghdr, its address, buffers and control data; and arrays of them.

In: a Call and the address of a msghdr. Out: a Shown. Source: sendmsg(2), recvmsg(2), cmsg(3), unix(7).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from struct import unpack_from

from socklab.core.plural import counted
from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_net import CONTROL_TYPES, LEVELS, MESSAGE_FLAGS, options
from socklab.syscalls.errors import errno_name
from socklab.syscalls.show.common import ADDRESSES, iovec, pointer_text, timespec_text, unreadable
from socklab.syscalls.show.record import Layout
from socklab.syscalls.show.sockaddr import inet, pointed, quoted_inet, sockaddr
from socklab.syscalls.symbols import strace_string

MSGHDR = 56
MMSGHDR = 64
_SOL_IPV6 = 41


_PKTINFO = Layout("ipi_ifindex:i ipi_spec_dst:4s ipi_addr:4s", ipi_spec_dst=inet, ipi_addr=inet)
_ERROR = Layout("ee_errno:I ee_origin:B ee_type:B ee_code:B _:B ee_info:I ee_data:I")
"""struct sock_extended_err; the address of the offender follows it. Source: ip(7)."""


def _packet_info(body: bytes) -> tuple[str, str]:
    index, local, to = _PKTINFO.spelled(body).values()
    return f"to {to} through interface {index} (our address {local})", quoted_inet(_PKTINFO.show(body).strace)


def _packet_info6(body: bytes) -> tuple[str, str]:
    address = socket.inet_ntop(socket.AF_INET6, body[:16])
    return f"to {address} through interface {unpack_from('<i', body, 16)[0]}", ""


def _socket_error(body: bytes) -> tuple[str, str]:
    shown = _ERROR.show(body)
    offender = sockaddr(body[16:])
    who = f", told by {offender.text.split(':')[0].strip('{')}" if len(body) > 18 and body[16] else ""
    error = errno_name(unpack_from("<I", body)[0])
    causes = ", ".join(f"{field.name[3:]} {field.text}" for field in shown.fields[1:])
    return f"{error}{who} ({causes})", f"{shown.strace[:-1]}, offender={offender.strace or offender.text}}}"


def _number(body: bytes) -> tuple[str, str]:
    number = str(int.from_bytes(body[:4], "little", signed=len(body) >= 4))
    return number, f"[{number}]"


_BODIES: dict[tuple[int, int], tuple[int, Callable[[bytes], tuple[str, str]]]] = {
    (0, 8): (12, _packet_info),  # IP_PKTINFO
    (0, 2): (4, _number),  # IP_TTL
    (0, 1): (1, _number),  # IP_TOS
    (0, 11): (16, _socket_error),  # IP_RECVERR
    (41, 25): (16, _socket_error),  # IPV6_RECVERR
    (41, 50): (20, _packet_info6),  # IPV6_PKTINFO
    (41, 52): (4, _number),  # IPV6_HOPLIMIT
    (41, 67): (4, _number),  # IPV6_TCLASS
    (1, 29): (16, lambda body: _time(body, "usec")),  # SO_TIMESTAMP_OLD
    (1, 35): (16, lambda body: _time(body, "nsec")),  # SO_TIMESTAMPNS_OLD
}
"""By level and type: the least size, and what shows it."""


def _time(body: bytes, unit: str) -> tuple[str, str]:
    shown = timespec_text(body[:16], unit)
    return shown.strace, shown.strace


def _control_data(level: int, kind: int, body: bytes) -> tuple[str, str]:
    """Text for a person and strace's spelling of one control message's body."""
    least, show = _BODIES.get((level, kind), (0, None))
    if show is not None and len(body) >= least:
        return show(body)
    if level == 1 and kind == 1:
        fds = [str(unpack_from("<i", body, at)[0]) for at in range(0, len(body) // 4 * 4, 4)]
        return f"descriptors [{', '.join(fds)}]", f"[{', '.join(fds)}]"
    if level == 1 and kind == 2 and len(body) >= 12:
        pid, uid, gid = unpack_from("<iii", body)
        return f"process {pid}, user {uid}, group {gid}", f"{{pid={pid}, uid={uid}, gid={gid}}}"
    return counted(len(body), "byte"), strace_string(body)


def control(call: Call, addr: int, length: int) -> Shown:
    """The control messages at `addr`, each a length, level and type in 16 bytes, then data, padded to 8."""
    found = call.known(addr, min(length, 512))
    if not addr or not found:
        return unreadable(addr, found)
    texts, straces, at = [], [], 0
    while at + 16 <= len(found):
        size, level, kind = unpack_from("<Qii", found, at)
        if size < 16 or at + size > len(found):
            break
        body = found[at + 16 : at + size]
        text, strace = _control_data(level, kind, body)
        table = CONTROL_TYPES.get(level, options(level))
        name = table.text(kind)
        texts.append(f"{name.removesuffix('_OLD')}: {text}")
        head = f"cmsg_len={size}, cmsg_level={LEVELS.strace(level)}, cmsg_type="
        if level == _SOL_IPV6:  # whose types strace does not know
            straces.append(f"{{{head}{kind:#x}}}")
        else:
            straces.append(f"{{{head}{table.strace(kind)}, cmsg_data={strace}}}")
        at += (size + 7) & ~7
    rest = length - at
    if not straces:
        return Shown(counted(rest, "byte"), data=found, strace=pointer_text(addr))
    return Shown("; ".join(texts), data=found, strace="[" + ", ".join(straces) + "]")


def message(call: Call, raw: bytes, wanted: int | None, name_room: int | None = None) -> Shown:
    """A msghdr of 56 bytes. `wanted`: bytes of data transferred, None = all of the buffers."""
    name, name_size, iov, iov_count, ctl, ctl_size, flags = unpack_from("<QI4xQQQQI", raw)
    name_size = name_size - (1 << 32) if name_size >> 31 else name_size
    shown_size = name_size if name_room is None else min(name_size, name_room)
    address = pointed(name, shown_size, call.known(name, max(0, min(shown_size, 128))))
    buffers = iovec(call, iov, iov_count, wanted)
    length = str(name_size) if name_room in (None, name_size) else f"{name_room} => {name_size}"
    strace = f"{{msg_name={address.strace or address.text}, msg_namelen={length}, msg_iov={buffers.strace}"
    strace += f", msg_iovlen={iov_count}"
    texts = [buffers.text]
    if name:
        texts.insert(0, address.text)
    if ctl_size:
        controls = control(call, ctl, ctl_size)
        strace += f", msg_control={controls.strace or controls.text}"
        texts.append(controls.text)
    strace += f", msg_controllen={ctl_size}, msg_flags={MESSAGE_FLAGS.strace(flags)}}}"
    if flags:
        texts.append(MESSAGE_FLAGS.text(flags))
    fields = (
        Field("msg_name", 0, 8, pointer_text(name)),
        Field("msg_namelen", 8, 4, length),
        Field("msg_iov", 16, 8, pointer_text(iov)),
        Field("msg_iovlen", 24, 8, str(iov_count)),
        Field("msg_control", 32, 8, pointer_text(ctl)),
        Field("msg_controllen", 40, 8, str(ctl_size)),
        Field("msg_flags", 48, 4, MESSAGE_FLAGS.text(flags)),
    )
    return Shown("{" + ", ".join(texts) + "}", buffers.meaning, raw[:MSGHDR], fields, strace)


def sent(call: Call, raw: bytes) -> Shown:
    return message(call, raw, None)


def received(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    before = call.before.at(addr, MSGHDR)
    room = unpack_from("<i", before, 8)[0] if before and len(before) >= MSGHDR else None
    after = call.after.at(addr, MSGHDR)
    if call.done and call.result is not None and after and len(after) >= MSGHDR:
        return message(call, after, call.result, room)
    if before and len(before) >= MSGHDR and room is not None:
        fields = message(call, before[:48] + bytes(8), ADDRESSES)  # the kernel does not look at msg_flags
        strace = f"{{msg_namelen={room}}}"
        return Shown(fields.text, fields.meaning, fields.data, fields.fields, strace)
    return unreadable(addr, before and b"")


def _many(call: Call, array: bytes, addr: int, count: int, received: bool) -> Shown:
    shown, straces, meanings = [], [], []
    fields: list[Field] = []
    for at in range(0, len(array) // MMSGHDR * MMSGHDR, MMSGHDR):
        (size,) = unpack_from("<I", array, at + MSGHDR)
        one = message(call, array[at : at + MMSGHDR], size if received else None)
        length = f", msg_len={size}" if call.done else ""
        shown.append(f"{one.text} {counted(size, 'byte')}" if call.done else one.text)
        straces.append(f"{{msg_hdr={one.strace}{length}}}")
        meanings.append(one.meaning)
        inside = (*one.fields, Field("msg_len", MSGHDR, 4, str(size)))
        fields += (Field(f"[{at // MMSGHDR}].{each.name}", at + each.offset, each.size, each.text) for each in inside)
    if len(straces) < count:
        straces.append("...")
    meaning = f"{counted(count, 'message')}: {'; '.join(meanings)}"
    data = array[: len(array) // MMSGHDR * MMSGHDR]
    return Shown("[" + ", ".join(shown) + "]", meaning, data, tuple(fields), "[" + ", ".join(straces) + "]")


def many_sent(call: Call, index: int, count_at: int) -> Shown:
    """strace prints only the messages that were sent, with how much of each."""
    addr = call.u64(index)
    before = call.before.at(addr, 1024)
    if not addr or not before:
        return unreadable(addr, before)
    if call.done and call.result is not None:
        after = call.after.at(addr, 1024) or b""
        return _many(call, after[: call.result * MMSGHDR], addr, call.result, received=False)
    return _many(call, before, addr, call.u32(count_at), received=False)


def many_received(call: Call, index: int, count_at: int) -> Shown:
    addr = call.u64(index)
    after = call.after.at(addr, 1024)
    if not call.done or call.result is None or not after:
        return Shown(pointer_text(addr))
    return _many(call, after[: call.result * MMSGHDR], addr, call.result, received=True)
