"""Arguments that many calls share: numbers, names and flags, descriptors, buffers, paths, times.

In: a Call, an argument's position and those of the arguments it depends on; of a struct, its bytes. Out: a Shown. Each
is total over any register value and any captured bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import unpack_from

from socklab.core.plural import counted
from socklab.core.text import safe
from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.capture import PREFIX_BYTES
from socklab.syscalls.symbols import Flags, Names, readable, strace_string

# ---------------------------------------------------------------- numbers


def signed(call: Call, index: int, *refs: int) -> Shown:
    return Shown(str(call.i32(index)))


def unsigned(call: Call, index: int, *refs: int) -> Shown:
    return Shown(str(call.u32(index)))


def signed_long(call: Call, index: int) -> Shown:
    return Shown(str(call.i64(index)))


def size(call: Call, index: int) -> Shown:
    return Shown(str(call.u64(index)))


def hexadecimal(call: Call, index: int) -> Shown:
    return Shown(hex(call.u64(index)) if call.u64(index) else "0")


def octal(call: Call, index: int) -> Shown:
    return Shown(f"{call.u32(index) & 0xFFFF:#o}".replace("0o", "0"))


def pointer_text(addr: int) -> str:
    return hex(addr) if addr else "NULL"


def pointer(call: Call, index: int, *refs: int) -> Shown:
    return Shown(pointer_text(call.u64(index)))


def unreadable(addr: int, found: bytes | None) -> Shown:
    """A pointer whose bytes are not there: not looked at (None), or not readable, as the kernel would find too."""
    if not addr:
        return Shown("NULL")
    if found is None:
        return Shown(hex(addr))
    return Shown(f"{addr:#x} (EFAULT: not readable)", "leads outside the program's memory", strace=hex(addr))


def named(table: Names | Flags, value: int) -> Shown:
    """A value by its name in a table, or a set of flags by theirs."""
    return Shown(table.text(value), table.meaning(value), strace=table.strace(value))


# ---------------------------------------------------------------- descriptors

AT_FDCWD = -100


def fd(call: Call, index: int) -> Shown:
    number = call.i32(index)
    return Shown(str(number), safe(call.target(number)) if call.target is not None and number >= 0 else "")


def dirfd(call: Call, index: int) -> Shown:
    if call.i32(index) == AT_FDCWD:
        return Shown("AT_FDCWD", "a relative path starts at the current directory")
    return fd(call, index)


def struct(call: Call, addr: int, found: bytes | None, size: int, show: Callable[[Call, bytes], Shown]) -> Shown:
    """A struct of `size` bytes at `addr`, of which `found` were captured, by what shows its bytes."""
    if not addr or not found or len(found) < size:
        return unreadable(addr, found and b"")
    return show(call, found[:size])


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


def buffer_in(call: Call, index: int, size_at: int) -> Shown:
    """Bytes the program passes in, as many as argument `size_at` says."""
    addr, size = call.u64(index), call.u64(size_at)
    return data_text(call, addr, size, call.before.at(addr, min(size, PREFIX_BYTES)))


def buffer_out(call: Call, index: int, size_at: int) -> Shown:
    """Bytes the kernel wrote, as many as the call returned."""
    addr = call.u64(index)
    if not call.done or call.result is None:
        return Shown(pointer_text(addr), "the buffer; nothing in it yet" if call.result is None else "")
    size = min(call.result, call.u64(size_at))
    return data_text(call, addr, size, call.after.at(addr, min(size, PREFIX_BYTES)))


def string(data: bytes | None, addr: int, limit: int = 4096) -> Shown:
    """A string that ends in NUL."""
    if not addr or not data:
        return unreadable(addr, data)
    text, end, _ = data.partition(b"\0")
    more = not end or len(text) > limit
    strace = strace_string(text[:limit], more) if end or len(text) >= limit else hex(addr)
    return Shown(readable(text, 200, more=not end), data=text, strace=strace)


def path(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    return string(call.before.at(addr, 4096), addr)


# ---------------------------------------------------------------- scattered buffers


ADDRESSES = -1


def iovec(call: Call, addr: int, count: int, wanted: int | None) -> Shown:
    """An array of buffers. `wanted` bytes of them hold data; None = all they have; ADDRESSES = show addresses only."""
    if not addr or not count:
        return Shown("NULL" if not addr else "[]", strace="NULL" if not addr else "[]")
    array = call.known(addr, min(count, 1024) * 16)
    if not array:
        return unreadable(addr, array)
    texts, straces, joined, sizes = [], [], b"", []
    left = wanted if wanted is not None else 1 << 62
    for at in range(0, len(array) // 16 * 16, 16):
        base, size = unpack_from("<QQ", array, at)
        sizes.append(size)
        if wanted == ADDRESSES:
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
    rooms = " + ".join(map(str, sizes)) if len(sizes) <= 8 else str(sum(sizes))
    more = " or more" if len(sizes) < count else ""
    many = f"{counted(count, 'buffer')} of {rooms}{more} byte{'s' * (rooms + more != '1')}"
    return Shown("[" + ", ".join(texts) + "]", many, joined, strace="[" + ", ".join(straces) + "]")


def iovec_in(call: Call, index: int, count_at: int) -> Shown:
    return iovec(call, call.u64(index), call.u64(count_at), None)


def iovec_out(call: Call, index: int, count_at: int) -> Shown:
    wanted = call.result if call.done else ADDRESSES
    return iovec(call, call.u64(index), call.u64(count_at), wanted)


# ---------------------------------------------------------------- times and small values


def timespec_text(data: bytes, unit: str) -> Shown:
    """A timespec (`unit` nsec) or timeval (usec)."""
    seconds, fraction = unpack_from("<qq", data)
    strace = f"{{tv_sec={seconds}, tv_{unit}={fraction}}}"
    scale = 10**9 if unit == "nsec" else 10**6
    whole = f"{seconds + fraction / scale:g} s" if 0 <= fraction < scale and abs(seconds) < 1 << 53 else strace
    fields = (Field("tv_sec", 0, 8, str(seconds)), Field(f"tv_{unit}", 8, 8, str(fraction)))
    return Shown(whole, data=data, fields=fields, strace=strace)


def timespec(call: Call, raw: bytes) -> Shown:
    return timespec_text(raw, "nsec")


def _left(call: Call, index: int, unit: str) -> Shown:
    """How long a call may wait; the kernel writes back what was left of it."""
    addr = call.u64(index)
    raw = call.before.at(addr, 16)
    if not raw or len(raw) < 16:
        return unreadable(addr, raw and b"")
    shown, after = timespec_text(raw, unit), call.after.at(addr, 16)
    if not call.result or call.failed or after is None or len(after) < 16:
        return shown
    left = timespec_text(after, unit)
    return Shown(shown.text, f"{left.text} were left", shown.data, shown.fields, shown.strace)


def timespec_left(call: Call, index: int) -> Shown:
    return _left(call, index, "nsec")


def timeval_left(call: Call, index: int) -> Shown:
    return _left(call, index, "usec")


def _in_out(call: Call, index: int, code: str, size: int, strace: str) -> Shown:
    """A pointer to one number that goes in and may come back changed.

    `strace` is how strace prints a change: a format of `old` and `new`.
    """
    addr = call.u64(index)
    before = call.before.at(addr, size)
    if not addr or not before or len(before) < size:
        return unreadable(addr, before and b"")
    old = unpack_from(code, before)[0]
    after = call.after.at(addr, size)
    new = unpack_from(code, after)[0] if call.done and after is not None and len(after) == size else old
    if after is None or new == old:
        return Shown(f"[{old}]", data=before)
    return Shown(f"[{old} => {new}]", f"was {old}, is now {new}", after, strace=strace.format(old=old, new=new))


def offset(call: Call, index: int) -> Shown:
    return _in_out(call, index, "<q", 8, "[{old}]")


def offset_moved(call: Call, index: int) -> Shown:
    return _in_out(call, index, "<q", 8, "[{old}] => [{new}]")


def length(call: Call, index: int) -> Shown:
    return _in_out(call, index, "<i", 4, "[{old} => {new}]")
