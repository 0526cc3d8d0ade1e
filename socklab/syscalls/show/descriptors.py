"""What descriptors that are no files are told: timers, pidfds, io_uring; and what stat, statx and getdents answer.

In and out as common.py says. Source: timerfd_create(2), stat(2), statx(2), getdents(2), io_uring_setup(2);
linux/stat.h, linux/io_uring.h, linux/dirent.h.
"""

from __future__ import annotations

from functools import cache
from struct import unpack_from
from typing import Any

from socklab import arch as machines
from socklab.core.plural import counted
from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_io import (
    ENTRY_TYPES,
    FILE_TYPES,
    IO_URING_FEATURES,
    IO_URING_SETUP,
    STATX_ATTRIBUTES,
    STATX_FLAGS,
    STATX_MASK,
    STATX_SYNC,
)
from socklab.syscalls.show.common import pointer_text, timespec_text, unreadable
from socklab.syscalls.show.record import Layout, hex_text
from socklab.syscalls.symbols import readable, strace_string

# ---------------------------------------------------------------- timers


def _timespec(raw: bytes) -> str:
    return timespec_text(raw, "nsec").strace


_TIMER = Layout("it_interval:16s it_value:16s", it_interval=_timespec, it_value=_timespec)


def itimerspec(call: Call, raw: bytes) -> Shown:
    every, first = timespec_text(raw[:16], "nsec").text, timespec_text(raw[16:32], "nsec").text
    if first == "0 s":
        return _TIMER.show(raw, text="{switched off}")
    absolute = call.name == "timerfd_settime" and call.u32(1) & 1
    once = f"at {first} of its clock" if absolute else f"in {first}"
    return _TIMER.show(raw, text=f"{{{once}, {f'then every {every}' if every != '0 s' else 'once'}}}")


# ---------------------------------------------------------------- files


def file_mode(mode: int) -> str:
    """S_IFREG|0644."""
    kind, rest = mode >> 12 & 0xF, mode & 0xFFF
    return f"{FILE_TYPES.by_value.get(kind) or hex_text(kind << 12)}|{rest:#05o}".replace("0o", "0")


def _device(number: int) -> str:
    """A device's two numbers. Source: makedev(3); sys/sysmacros.h."""
    major = number >> 8 & 0xFFF | number >> 32 & ~0xFFF
    minor = number & 0xFF | number >> 12 & ~0xFF
    return f"makedev({hex_text(major)}, {hex_text(minor)})"


@cache
def _stat_layout(arch: str) -> Layout:
    members = " ".join(word if word[0] == "_" else f"st_{word}" for word in machines.of(arch).stat.split())
    return Layout(members, st_dev=_device, st_rdev=_device, st_mode=file_mode)


_STAT = "st_dev st_ino st_mode st_nlink st_uid st_gid st_blksize st_blocks"
_STAT_TIMES = "st_atime st_atime_nsec st_mtime st_mtime_nsec st_ctime st_ctime_nsec"
_DEVICES = (2, 6)  # S_IFCHR, S_IFBLK: they have numbers, other files a size


def stat(call: Call, index: int) -> Shown:
    """struct stat, which the kernel writes; each architecture has its own."""
    addr, layout = call.u64(index), _stat_layout(call.arch)
    raw = call.after.at(addr, layout.size) if call.done else None
    if not raw or len(raw) < layout.size:
        return unreadable(addr, raw and b"")
    values = layout.values(raw)
    kind = values["st_mode"] >> 12 & 0xF
    size = "st_rdev" if kind in _DEVICES else "st_size"
    length = "" if kind in _DEVICES else f", {counted(values['st_size'], 'byte')}"
    text = f"{{{file_mode(values['st_mode'])}{length}}}"
    return layout.show(raw, f"{_STAT} {size} {_STAT_TIMES}".split(), _KINDS.get(kind, ""), text)


_KINDS = {1: "a pipe", 2: "a device", 4: "a directory", 6: "a disk", 8: "a file", 10: "a link", 12: "a socket"}

_STATX = Layout(
    "stx_mask:I stx_blksize:I stx_attributes:Q stx_nlink:I stx_uid:I stx_gid:I stx_mode:H _:H stx_ino:Q stx_size:Q "
    "stx_blocks:Q stx_attributes_mask:Q stx_atime:16s stx_btime:16s stx_ctime:16s stx_mtime:16s stx_rdev_major:I "
    "stx_rdev_minor:I stx_dev_major:I stx_dev_minor:I stx_mnt_id:Q _:104s",
    stx_mask=STATX_MASK.text,
    stx_attributes=STATX_ATTRIBUTES.text,
    stx_attributes_mask=STATX_ATTRIBUTES.text,
    stx_mode=file_mode,
    stx_mnt_id=hex_text,
    **{f"stx_{each}time": lambda raw: "{{tv_sec={}, tv_nsec={}}}".format(*unpack_from("<qI", raw)) for each in "abcm"},
)
_STATX_BITS = (
    "stx_mask:0 stx_blksize:0 stx_attributes:0 stx_nlink:4 stx_uid:8 stx_gid:0x10 stx_mode:3 stx_ino:0x100 "
    "stx_size:0x200 stx_blocks:0x400 stx_attributes_mask:0 stx_atime:0x20 stx_btime:0x800 stx_ctime:0x80 "
    "stx_mtime:0x40 stx_rdev_major:0 stx_rdev_minor:0 stx_dev_major:0 stx_dev_minor:0 stx_mnt_id:0x1000"
)
"""Each member, and the bits of stx_mask of which one says that it was filled in."""


def statx(call: Call, raw: bytes) -> Shown:
    values = _STATX.values(raw)
    bits = {name: int(bit, 0) for name, _, bit in (word.partition(":") for word in _STATX_BITS.split())}
    names = [name for name, bit in bits.items() if not bit or values["stx_mask"] & bit]
    text = f"{{{file_mode(values['stx_mode'])}, {counted(values['stx_size'], 'byte')}}}"
    return _STATX.show(raw, names, _KINDS.get(values["stx_mode"] >> 12, ""), text)


def statx_flags(call: Call, index: int) -> Shown:
    """How to synchronise is a number in two bits, the rest are flags."""
    value = call.u32(index)
    sync, rest = value & 0x6000, value & ~0x6000
    text = STATX_SYNC.text(sync) + (f"|{STATX_FLAGS.text(rest)}" if rest else "")
    return Shown(text, STATX_FLAGS.meaning(rest))


def entries(call: Call, index: int) -> Shown:
    """struct linux_dirent64, or linux_dirent, which has the type in its last byte."""
    addr, new = call.u64(index), call.name == "getdents64"
    if not call.done or call.result is None:
        return Shown(pointer_text(addr))
    raw = call.after.at(addr, call.result) or b""
    names: list[str] = []
    straces: list[str] = []
    fields: list[Field] = []
    at = 0
    while at + 19 <= len(raw):
        inode, offset, size = unpack_from("<QqH", raw, at)
        if size < 20 or at + size > len(raw):
            break
        kind = raw[at + 18] if new else raw[at + size - 1]
        name = raw[at + (19 if new else 18) : at + size].partition(b"\0")[0]
        parts = [f"d_ino={inode}", f"d_off={offset}", f"d_reclen={size}", f"d_name={strace_string(name)}"]
        parts.insert(3 if new else 4, f"d_type={ENTRY_TYPES.text(kind)}")
        fields.append(Field(f"[{len(names)}]", at, size, ", ".join(parts)))
        straces.append("{" + ", ".join(parts) + "}")
        names.append(readable(name))
        at += size
    if at < call.result:
        names.append("...")
        straces.append("...")
    many = counted(len(fields), "entry", "entries")
    meaning = many if at == call.result else f"the first {many.removeprefix('1 ')}"
    return Shown(f"[{', '.join(names)}]", meaning, raw[:at], tuple(fields), f"[{', '.join(straces)}]")


# ---------------------------------------------------------------- io_uring


def _ring(last: str) -> Any:
    layout = Layout(f"head:I tail:I ring_mask:I ring_entries:I {last} _:12s")
    return lambda raw: layout.show(raw).strace


_URING = Layout(
    "sq_entries:I cq_entries:I flags:I sq_thread_cpu:I sq_thread_idle:I features:I wq_fd:i _:12s sq_off:40s cq_off:40s",
    flags=IO_URING_SETUP.text,
    features=IO_URING_FEATURES.text,
    sq_off=_ring("flags:I dropped:I array:I"),
    cq_off=_ring("overflow:I cqes:I flags:I"),
)
_ATTACH_WQ = 0x20


def io_uring_params(call: Call, index: int) -> Shown:
    """What is asked for; after the call, what was made as well."""
    addr = call.u64(index)
    raw = call.known(addr, _URING.size)
    if not raw or len(raw) < _URING.size:
        return unreadable(addr, raw and b"")
    flags = _URING.values(raw)["flags"]
    names = ["flags", "sq_thread_cpu", "sq_thread_idle"] + (["wq_fd"] if flags & _ATTACH_WQ else [])
    if call.done:
        names += ["sq_entries", "cq_entries", "features", "sq_off", "cq_off"]
    return _URING.show(raw, names, IO_URING_SETUP.meaning(flags))


_GIVES_FDS = (2, 4, 7)  # IORING_REGISTER_FILES, _EVENTFD, _EVENTFD_ASYNC


def io_uring_arg(call: Call, index: int, code_at: int, count_at: int) -> Shown:
    addr, count = call.u64(index), call.u32(count_at)
    raw = call.before.at(addr, min(count, 64) * 4) if call.u32(code_at) in _GIVES_FDS else None
    if not addr or not raw:
        return Shown(pointer_text(addr))
    fds = [str(unpack_from("<i", raw, at)[0]) for at in range(0, len(raw) // 4 * 4, 4)]
    if len(fds) < count:
        fds.append("...")
    return Shown(f"[{', '.join(fds)}]", "descriptors the ring may use", raw)
