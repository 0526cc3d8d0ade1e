"""The kinds of argument that many calls share: numbers, flags, descriptors, buffers, paths, times.

In: a Call and an argument's index. Out: a Shown. Each kind is total over any register value and any captured bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import unpack_from
from typing import TypeAlias

import msgspec

from socklab.core.text import safe
from socklab.syscalls.call import Arg, Call, Field, Shown, Signature
from socklab.syscalls.capture import PREFIX_BYTES
from socklab.syscalls.symbols import Flags, Names, readable, strace_string

Show: TypeAlias = Callable[[Call, int], Shown]


class Kind(msgspec.Struct, frozen=True):
    """A way to read an argument, with a name for it."""

    name: str
    show: Show


def arg(name: str, kind: Kind, meaning: str = "") -> Arg:
    return Arg(name, kind.name, kind.show, meaning)


def call(name: str, meaning: str, *args: Arg, result: str = "status") -> Signature:
    return Signature(name, args, meaning, result)


# ---------------------------------------------------------------- numbers


def _scalar(name: str, text: Callable[[Call, int], str]) -> Kind:
    return Kind(name, lambda call, index: Shown(text(call, index)))


INT = _scalar("number", lambda call, index: str(call.i32(index)))
UINT = _scalar("number", lambda call, index: str(call.u32(index)))
LONG = _scalar("number", lambda call, index: str(call.i64(index)))
SIZE = _scalar("size", lambda call, index: str(call.u64(index)))
HEX = _scalar("number", lambda call, index: hex(call.u64(index)) if call.u64(index) else "0")
OCTAL = _scalar("mode", lambda call, index: f"{call.u32(index) & 0xFFFF:#o}".replace("0o", "0"))


def pointer_text(addr: int) -> str:
    return hex(addr) if addr else "NULL"


POINTER = _scalar("pointer", lambda call, index: pointer_text(call.u64(index)))


def unreadable(addr: int, found: bytes | None) -> Shown:
    """A pointer whose bytes are not there: not looked at (None), or not readable, as the kernel would find too."""
    if not addr:
        return Shown("NULL")
    if found is None:
        return Shown(hex(addr))
    return Shown(f"{addr:#x} (EFAULT: not readable)", "leads outside the program's memory", strace=hex(addr))


def named(name: str, table: Names) -> Kind:
    """One name of a table."""

    def show(call: Call, index: int) -> Shown:
        value = call.u32(index)
        return Shown(table.text(value), table.meaning(value), strace=table.strace(value))

    return Kind(name, show)


def flags(table: Flags) -> Kind:
    """A set of flags."""

    def show(call: Call, index: int) -> Shown:
        value = call.u32(index)
        return Shown(table.text(value), table.meaning(value), strace=table.strace(value))

    return Kind("flags", show)


# ---------------------------------------------------------------- descriptors

AT_FDCWD = -100


def _show_fd(call: Call, index: int) -> Shown:
    fd = call.i32(index)
    return Shown(str(fd), safe(call.target(fd)) if call.target is not None and fd >= 0 else "")


def _show_dirfd(call: Call, index: int) -> Shown:
    if call.i32(index) == AT_FDCWD:
        return Shown("AT_FDCWD", "a relative path starts at the current directory")
    return _show_fd(call, index)


FD = Kind("fd", _show_fd)
DIRFD = Kind("dirfd", _show_dirfd)


def fd_pair(call: Call, index: int) -> Shown:
    """Two descriptors that the kernel wrote: pipe, socketpair."""
    addr = call.u64(index)
    data = call.after.at(addr, 8)
    if data is None or len(data) < 8 or not call.done:
        return Shown(pointer_text(addr), "where the kernel puts the two descriptors")
    first, second = unpack_from("<ii", data)
    return Shown(
        f"[{first}, {second}]",
        "the two new descriptors",
        data,
        (Field("[0]", 0, 4, str(first)), Field("[1]", 4, 4, str(second))),
    )


FD_PAIR = Kind("fds", fd_pair)

# ---------------------------------------------------------------- data


def data_text(call: Call, addr: int, size: int, found: bytes | None) -> Shown:
    """`size` bytes of data at `addr`, of which `found` were captured."""
    if not addr:
        return Shown("NULL")
    if size <= 0:
        return Shown('""')
    if not found:
        return unreadable(addr, found)
    found = found[:size]
    shown = found[: call.string_limit]
    whole = len(shown) >= min(size, call.string_limit)
    strace = strace_string(shown, size > len(shown)) if whole else hex(addr)
    if len(found) >= min(size, PREFIX_BYTES):
        return Shown(readable(found, more=size > len(found)), data=found, strace=strace)
    note = f" (EFAULT: only {len(found)} of {size} bytes readable)" if size <= PREFIX_BYTES else ""
    return Shown(readable(found, more=True) + note, data=found, strace=strace)


def buffer_in(size_at: int) -> Kind:
    """Bytes the program passes in, as many as argument `size_at` says."""

    def show(call: Call, index: int) -> Shown:
        addr, size = call.u64(index), call.u64(size_at)
        return data_text(call, addr, size, call.before.at(addr, min(size, PREFIX_BYTES)))

    return Kind("buffer", show)


def buffer_out(size_at: int) -> Kind:
    """Bytes the kernel wrote, as many as the call returned."""

    def show(call: Call, index: int) -> Shown:
        addr = call.u64(index)
        if not call.done or call.result is None:
            return Shown(pointer_text(addr), "the buffer; nothing in it yet" if call.result is None else "")
        size = min(call.result, call.u64(size_at))
        return data_text(call, addr, size, call.after.at(addr, min(size, PREFIX_BYTES)))

    return Kind("buffer", show)


def string(data: bytes | None, addr: int, limit: int = 4096) -> Shown:
    """A string that ends in NUL."""
    if not addr or not data:
        return unreadable(addr, data)
    text, end, _ = data.partition(b"\0")
    more = not end or len(text) > limit
    strace = strace_string(text[:limit], more) if end or len(text) >= limit else hex(addr)
    return Shown(readable(text, 200, more=not end), data=text, strace=strace)


def _show_path(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    return string(call.before.at(addr, 4096), addr)


PATH = Kind("path", _show_path)

# ---------------------------------------------------------------- scattered buffers


def iovec(call: Call, addr: int, count: int, wanted: int | None) -> Shown:
    """An array of buffers. `wanted` bytes of them hold data; None = all they have; 0 = show addresses only."""
    if not addr or not count:
        return Shown("NULL" if not addr else "[]", strace="NULL" if not addr else "[]")
    array = call.known(addr, min(count, 1024) * 16)
    if not array:
        return unreadable(addr, array)
    texts, straces, joined, total = [], [], b"", 0
    left = wanted if wanted is not None else 1 << 62
    for at in range(0, len(array) // 16 * 16, 16):
        base, size = unpack_from("<QQ", array, at)
        total += size
        if wanted == 0:
            part = Shown(pointer_text(base))
        else:
            data_size = min(size, left)
            left -= data_size
            part = data_text(call, base, data_size, call.known(base, min(data_size, PREFIX_BYTES)))
        joined += part.data
        texts.append(part.text)
        straces.append(f"{{iov_base={part.strace or part.text}, iov_len={size}}}")
    if len(straces) < count:
        straces.append("...")
    if len(straces) > call.string_limit:
        straces = [*straces[: call.string_limit], "..."]
    many = f"{count} buffer{'s' if count != 1 else ''} of {total} bytes together"
    return Shown("[" + ", ".join(texts) + "]", many, joined, strace="[" + ", ".join(straces) + "]")


def iovec_in(count_at: int) -> Kind:
    return Kind("iovec", lambda call, index: iovec(call, call.u64(index), call.u64(count_at), None))


def iovec_out(count_at: int) -> Kind:
    def show(call: Call, index: int) -> Shown:
        if call.done and call.result:
            return iovec(call, call.u64(index), call.u64(count_at), call.result)
        if call.done:  # end of file: strace prints empty strings
            shown = iovec(call, call.u64(index), call.u64(count_at), 0)
            sizes = shown.strace.split("iov_base=")
            empty = [sizes[0], *('""' + each[each.find(",") :] for each in sizes[1:])]
            return Shown(shown.text, shown.meaning, strace="iov_base=".join(empty))
        return iovec(call, call.u64(index), call.u64(count_at), 0)

    return Kind("iovec", show)


# ---------------------------------------------------------------- times and small values


def timespec_text(data: bytes, unit: str) -> Shown:
    """A timespec (`unit` nsec) or timeval (usec)."""
    seconds, fraction = unpack_from("<qq", data)
    strace = f"{{tv_sec={seconds}, tv_{unit}={fraction}}}"
    scale = 10**9 if unit == "nsec" else 10**6
    whole = f"{seconds + fraction / scale:g} s" if 0 <= fraction < scale and abs(seconds) < 1 << 53 else strace
    fields = (Field("tv_sec", 0, 8, str(seconds)), Field(f"tv_{unit}", 8, 8, str(fraction)))
    return Shown(whole, data=data, fields=fields, strace=strace)


def time(unit: str = "nsec") -> Kind:
    """A pointer to a timespec or timeval that the program passes in."""

    def show(call: Call, index: int) -> Shown:
        addr = call.u64(index)
        data = call.before.at(addr, 16)
        if not addr or not data or len(data) < 16:
            return unreadable(addr, data and b"")
        return timespec_text(data, unit)

    return Kind("time", show)


TIMEOUT = time()


def in_out(code: str, size: int, strace: str) -> Kind:
    """A pointer to one number that goes in and may come back changed: an offset, a length.

    `strace` is how strace prints a change: a format of `old` and `new`.
    """

    def show(call: Call, index: int) -> Shown:
        addr = call.u64(index)
        before = call.before.at(addr, size)
        if not addr or not before or len(before) < size:
            return unreadable(addr, before and b"")
        old = unpack_from(code, before)[0]
        after = call.after.at(addr, size)
        if call.done and after is not None and len(after) == size:
            new = unpack_from(code, after)[0]
            if new != old:
                return Shown(
                    f"[{old} => {new}]", f"was {old}, is now {new}", after, strace=strace.format(old=old, new=new)
                )
        return Shown(f"[{old}]", data=before)

    return Kind("value", show)


OFFSET = in_out("<q", 8, "[{old}]")
OFFSET_CHANGED = in_out("<q", 8, "[{old}] => [{new}]")
LENGTH = in_out("<i", 4, "[{old} => {new}]")
