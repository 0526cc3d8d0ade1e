"""Socket addresses: the bytes of a sockaddr, field by field.

In: bytes as the program or the kernel laid them. Out: a Shown with one Field per member of the C struct, so that a
screen can colour the real bytes. Source: sockaddr(3type), ip(7), ipv6(7), unix(7), netlink(7), packet(7).
"""

from __future__ import annotations

import socket
from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_net import FAMILIES
from socklab.syscalls.show.common import pointer_text, unreadable
from socklab.syscalls.symbols import readable, strace_string

AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 0, 1, 2, 10, 16


def _port(data: bytes) -> Field:
    port = int.from_bytes(data[2:4], "big")
    return Field("port", 2, 2, f"{port} (bytes {data[2]:02x} {data[3]:02x}, most significant first)")


def _inet(data: bytes) -> Shown:
    port = int.from_bytes(data[2:4], "big")
    address = ".".join(map(str, data[4:8]))
    if address == "0.0.0.0":
        meaning = f"every IPv4 address of this host, port {port}"
    elif data[4] == 127:
        meaning = f"loopback (this host only), port {port}"
    else:
        meaning = f"IPv4 address {address}, port {port}"
    if not port:
        meaning = meaning.replace("port 0", "a port the kernel chooses")
    fields = (
        Field("sin_family", 0, 2, "AF_INET"),
        Field("sin_port", 2, 2, _port(data).text),
        Field("sin_addr", 4, 4, address),
        Field("sin_zero", 8, 8, "padding, so that every sockaddr has 16 bytes"),
    )
    return Shown(
        f"{{{address}:{port}}}",
        meaning,
        data[:16],
        fields,
        f'{{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr("{address}")}}',
    )


def _inet6(data: bytes) -> Shown:
    port = int.from_bytes(data[2:4], "big")
    flow = int.from_bytes(data[4:8], "big")
    text = socket.inet_ntop(socket.AF_INET6, data[8:24])
    if text == "::":
        meaning = f"every address of this host, port {port}"
    elif data[8:20] == bytes(10) + b"\xff\xff":
        meaning = f"IPv4 address {text[7:]} as IPv6 writes it, port {port}"
    elif text == "::1":
        meaning = f"loopback (this host only), port {port}"
    else:
        meaning = f"IPv6 address {text}, port {port}"
    if not port:
        meaning = meaning.replace("port 0", "a port the kernel chooses")
    fields = [
        Field("sin6_family", 0, 2, "AF_INET6"),
        Field("sin6_port", 2, 2, _port(data).text),
        Field("sin6_flowinfo", 4, 4, str(flow)),
        Field("sin6_addr", 8, 16, text),
    ]
    strace = (
        f"{{sa_family=AF_INET6, sin6_port=htons({port}), sin6_flowinfo=htonl({flow}), "
        f'inet_pton(AF_INET6, "{text}", &sin6_addr)'
    )
    if len(data) >= 28:
        (scope,) = unpack_from("<I", data, 24)
        fields.append(Field("sin6_scope_id", 24, 4, str(scope)))
        strace += f", sin6_scope_id={scope}"
    return Shown(f"{{[{text}]:{port}}}", meaning, data[:28], tuple(fields), strace + "}")


def _unix(data: bytes) -> Shown:
    family = Field("sun_family", 0, 2, "AF_UNIX")
    path = data[2:110]
    if not path:
        return Shown("{unnamed}", "a Unix socket without a name", data, (family,), "{sa_family=AF_UNIX}")
    if path[0] == 0:  # Linux: a name that begins with NUL lives outside the file system, all its bytes count
        text, meaning = "@" + readable(path[1:]), "a Unix socket with a name outside the file system (abstract)"
        strace = "@" + strace_string(path[1:])
    else:
        path = path.partition(b"\0")[0]
        text, meaning, strace = readable(path, 108), "a Unix socket at this path", strace_string(path)
    fields = (family, Field("sun_path", 2, len(data) - 2, text))
    return Shown(f"{{{text}}}", meaning, data, fields, f"{{sa_family=AF_UNIX, sun_path={strace}}}")


def _netlink(data: bytes) -> Shown:
    pid, groups = unpack_from("<II", data, 4)
    fields = (
        Field("nl_family", 0, 2, "AF_NETLINK"),
        Field("nl_pad", 2, 2, "padding"),
        Field("nl_pid", 4, 4, str(pid)),
        Field("nl_groups", 8, 4, f"{groups:#x}"),
    )
    who = "the kernel" if not pid else f"port {pid}"
    return Shown(
        f"{{netlink {who}}}",
        f"{who}, multicast groups {groups:#x}",
        data[:12],
        fields,
        f"{{sa_family=AF_NETLINK, nl_pid={pid}, nl_groups={groups:08x}}}",
    )


_FAMILIES = {AF_UNIX: (2, _unix), AF_INET: (16, _inet), AF_INET6: (24, _inet6), AF_NETLINK: (12, _netlink)}


def sockaddr(data: bytes) -> Shown:
    """The address that `data` holds, whatever its family; bytes too few for their family are shown as they are."""
    if len(data) < 2:
        return Shown("{" + data.hex(" ") + "}", "too short to be an address", data)
    (family,) = unpack_from("<H", data)
    least, show = _FAMILIES.get(family, (0, None))
    if show is not None and len(data) >= least:
        return show(data)
    name = FAMILIES.text(family)
    meaning = FAMILIES.meaning(family)
    if show is not None:
        meaning = f"too short: an {name} address has {least} bytes"
    return Shown(
        f"{{{name}, {len(data)} bytes}}",
        meaning,
        data,
        (Field("sa_family", 0, 2, name), Field("sa_data", 2, len(data) - 2, data[2:].hex(" "))),
        f"{{sa_family={FAMILIES.strace(family)}, sa_data={strace_string(data[2:])}}}",
    )


def pointed(addr: int, length: int, found: bytes | None) -> Shown:
    """An address of `length` bytes at `addr`, of which `found` were captured."""
    if not addr:
        return Shown("NULL", "no address")
    wanted = min(length, 128)
    if length < 2 or found is None or len(found) < min(wanted, 128):
        return unreadable(addr, None if length < 2 else found and b"")
    return sockaddr(found[:wanted])


def address_in(call: Call, index: int, length_at: int) -> Shown:
    """An address the program passes in, with its length by value."""
    addr, length = call.u64(index), call.i32(length_at)
    return pointed(addr, length, call.before.at(addr, max(0, min(length, 128))))


def address_out(call: Call, index: int, length_at: int) -> Shown:
    """An address the kernel wrote, its length behind a pointer: accept, getsockname, recvfrom."""
    addr = call.u64(index)
    length_addr = call.u64(length_at)
    length = call.after.at(length_addr, 4)
    if not addr:
        return Shown("NULL", "the program does not ask for the address")
    if not call.done or length is None or len(length) < 4:
        return Shown(pointer_text(addr), "where the kernel puts the address" if call.result is None else "")
    size = int.from_bytes(length, "little", signed=True)
    room = call.before.at(length_addr, 4)
    if room is not None and len(room) == 4:  # the kernel cuts the address at the room it was given (accept(2))
        size = min(size, int.from_bytes(room, "little", signed=True))
    if size == 0:
        return Shown(pointer_text(addr), "no address was written")
    return pointed(addr, size, call.after.at(addr, max(0, min(size, 128))))
