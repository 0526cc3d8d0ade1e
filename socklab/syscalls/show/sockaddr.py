"""Socket addresses: the bytes of a sockaddr, field by field.

In: bytes as the program or the kernel laid them. Out: a Shown with one Field per member of the C struct, so that a
screen can colour the real bytes. Source: sockaddr(3type), ip(7), ipv6(7), unix(7), netlink(7), packet(7).
"""

from __future__ import annotations

import re
import socket
from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_net import ETHERTYPES, FAMILIES, HARDWARE, PACKET_TYPES, VSOCK_CIDS
from socklab.syscalls.show.common import pointer_text, unreadable
from socklab.syscalls.show.record import hex_text
from socklab.syscalls.symbols import readable, strace_string

AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK = 0, 1, 2, 10, 16, 17, 40


def inet(raw: bytes) -> str:
    """An IPv4 address."""
    return ".".join(map(str, raw))


def quoted_inet(strace: str) -> str:
    """The IPv4 addresses of a spelled struct as strace writes them."""
    return _INET.sub(r'=inet_addr("\1")', strace)


_INET = re.compile(r"=(\d+\.\d+\.\d+\.\d+)")


def _port(data: bytes) -> Field:
    port = int.from_bytes(data[2:4], "big")
    return Field("port", 2, 2, f"{port} (bytes {data[2]:02x} {data[3]:02x}, most significant first)")


def _inet(data: bytes) -> Shown:
    port = int.from_bytes(data[2:4], "big")
    address = inet(data[4:8])
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
    said = f"{groups:#08x}" if groups else "00000000"  # C's %#08x
    groups_text = f", groups {groups:#x}" if groups else ""
    return Shown(
        f"{{netlink port {pid}{groups_text}}}",
        "a conversation with the kernel" if pid else "port 0: the kernel; in bind, a port the kernel chooses",
        data[:12],
        fields,
        f"{{sa_family=AF_NETLINK, nl_pid={pid}, nl_groups={said}}}",
    )


def protocol_text(number: int) -> str:
    """A protocol of AF_PACKET, which stands in network order."""
    swapped = (number & 0xFF) << 8 | number >> 8 & 0xFF
    return f"htons({ETHERTYPES.by_value.get(swapped) or hex_text(swapped)})"


def _packet(data: bytes) -> Shown:
    kind, index, hardware, direction, size = unpack_from("<HiHBB", data, 2)
    protocol, address = protocol_text(kind), data[12 : 12 + size]
    fields = (
        Field("sll_family", 0, 2, "AF_PACKET"),
        Field("sll_protocol", 2, 2, protocol),
        Field("sll_ifindex", 4, 4, str(index)),
        Field("sll_hatype", 8, 2, HARDWARE.text(hardware)),
        Field("sll_pkttype", 10, 1, PACKET_TYPES.text(direction)),
        Field("sll_halen", 11, 1, str(size)),
        Field("sll_addr", 12, len(address), address.hex(":")),
    )
    if len(data) < 20:  # as the kernel gives it; strace opens no less than the whole struct
        strace = f"{{sa_family=AF_PACKET, sa_data={strace_string(data[2:])}}}"
        return Shown(_packet_text(index, protocol, address), f"packets of {_interface(index)}", data, fields, strace)
    bytes_said = ", ".join(f"{byte:#x}" if byte else "00" for byte in address)
    strace = (
        f"{{sa_family=AF_PACKET, sll_protocol={protocol}, sll_ifindex={index}, sll_hatype={HARDWARE.strace(hardware)}, "
        f"sll_pkttype={PACKET_TYPES.strace(direction)}, sll_halen={size}"
    )
    strace += f", sll_addr=[{bytes_said}]}}" if size else "}"
    return Shown(_packet_text(index, protocol, address), f"packets of {_interface(index)}", data, fields, strace)


def _interface(index: int) -> str:
    return f"interface {index}" if index else "every interface"


def _packet_text(index: int, protocol: str, address: bytes) -> str:
    return f"{{{_interface(index)}, {protocol}{', ' if address else ''}{address.hex(':')}}}"


def _vsock(data: bytes) -> Shown:
    port, cid, flags = unpack_from("<IIB", data, 4)
    name = VSOCK_CIDS.by_value.get(cid) or hex_text(cid)
    said = "VMADDR_PORT_ANY" if port == 0xFFFFFFFF else hex_text(port)
    fields = (
        Field("svm_family", 0, 2, "AF_VSOCK"),
        Field("svm_port", 4, 4, said),
        Field("svm_cid", 8, 4, name),
        Field("svm_flags", 12, 1, hex_text(flags)),
    )
    meaning = VSOCK_CIDS.meaning(cid) or f"the machine {cid}"
    strace = f"{{sa_family=AF_VSOCK, svm_cid={name}, svm_port={said}, svm_flags={hex_text(flags)}}}"
    return Shown(
        f"{{{name}:{said}}}", f"{meaning}, port {port if port != 0xFFFFFFFF else 'any'}", data[:16], fields, strace
    )


_FAMILIES = {
    AF_UNIX: (2, _unix),
    AF_INET: (16, _inet),
    AF_INET6: (24, _inet6),
    AF_NETLINK: (12, _netlink),
    AF_PACKET: (12, _packet),
    AF_VSOCK: (16, _vsock),
}


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
