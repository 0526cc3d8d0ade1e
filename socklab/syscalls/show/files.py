"""Arguments of calls on files and descriptors: open's flags, and what fcntl and ioctl take, by command.

In and out as common.py says; None where the very call has no such argument. Source: open(2), fcntl(2), ioctl(2).
"""

from __future__ import annotations

from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_io import (
    ACCESS_MODES,
    FCNTL,
    FD_FLAGS,
    IOCTL,
    LOCKS,
    NOTIFY,
    OWNERS,
    SEALS,
    SEEK,
    open_flags as flags_of_open,
)
from socklab.syscalls.show.common import named, octal, pointer_text, unreadable
from socklab.syscalls.show.interfaces import MEMBERS, SIOCGIFCONF, SIOCGIFNAME, ifconf, ifreq
from socklab.syscalls.show.record import Layout
from socklab.syscalls.show.signals import signal
from socklab.syscalls.symbols import Flags, Names

_O_CREAT, _O_TMPFILE = 0o100, 0o20000000


def open_mode_text(arch: str, value: int) -> str:
    """Access mode and flags of an open file, as open(2) takes and F_GETFL gives them."""
    table = flags_of_open(arch)
    rest = value & ~3
    text = ACCESS_MODES.text(value & 3)
    if rest:
        text += "|" + table.text(rest)
    return text


def strace_spelling(text: str) -> str:
    """strace calls O_ASYNC by its BSD name."""
    return text.replace("O_ASYNC", "FASYNC")


def open_flags(call: Call, index: int) -> Shown:
    value = call.u32(index)
    meaning = (ACCESS_MODES.meaning(value & 3), flags_of_open(call.arch).meaning(value & ~3))
    text = open_mode_text(call.arch, value)
    return Shown(text, "; ".join(part for part in meaning if part), strace=strace_spelling(text))


def open_mode(call: Call, index: int, flags_at: int) -> Shown | None:
    """Only a call that may make a file has it."""
    return octal(call, index) if call.u32(flags_at) & (_O_CREAT | _O_TMPFILE) else None


def pipe_flags(call: Call, index: int) -> Shown:
    value = call.u32(index)
    table = flags_of_open(call.arch)
    return Shown(table.text(value), table.meaning(value), strace=strace_spelling(table.strace(value)))


_F_DUPFD, _F_SETFD, _F_SETFL, _F_DUPFD_CLOEXEC = 0, 2, 4, 1030
_NO_ARGUMENT = {1, 3, 9, 11, 1025, 1032, 1034}  # F_GETFD F_GETFL F_GETOWN F_GETSIG F_GETLEASE F_GETPIPE_SZ F_GET_SEALS


_LOCK_COMMANDS = {5, 6, 7, 36, 37, 38}
_ASKS_LOCK = {5, 36}  # F_GETLK F_OFD_GETLK: the question is overwritten with the answer
_LOCK = Layout("l_type:h l_whence:h _:i l_start:q l_len:q l_pid:i _:i", l_type=LOCKS.text, l_whence=SEEK.text)
_UNLOCKED = 2
_F_SETOWN_EX, _F_GETOWN_EX = 15, 16
_OWNER = Layout("type:i pid:i", type=OWNERS.text)


def _lock(call: Call, index: int) -> Shown:
    """A lock; of a question, the one that stands in the way."""
    addr, asks = call.u64(index), call.u32(1) in _ASKS_LOCK
    raw = call.after.at(addr, 32) if asks and call.done else call.before.at(addr, 32)
    if not addr or not raw or len(raw) < 32:
        return unreadable(addr, raw and b"")
    if asks and call.failed:
        return Shown(pointer_text(addr))
    answered = asks and call.done
    shown = _LOCK.show(raw, ["l_type", "l_whence", "l_start", "l_len"] + (["l_pid"] if answered else []))
    free = answered and unpack_from("<h", raw)[0] == _UNLOCKED
    meaning = (
        "nobody holds a lock in the way"
        if free
        else "the lock in the way"
        if answered
        else "a lock on part of the file"
    )
    return Shown(shown.text, meaning, shown.data, shown.fields)


def _owner(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    raw = (call.after if call.u32(1) == _F_GETOWN_EX and call.done else call.before).at(addr, 8)
    if not addr or not raw or len(raw) < 8 or (call.u32(1) == _F_GETOWN_EX and not call.done):
        return unreadable(addr, raw and b"")
    return _OWNER.show(raw, meaning="who is sent the signal")


_BY_TABLE: dict[int, Names | Flags] = {1024: LOCKS, 1026: NOTIFY, 1033: SEALS}  # F_SETLEASE F_NOTIFY F_ADD_SEALS


def fcntl_arg(call: Call, index: int, command_at: int) -> Shown | None:
    command, value = call.u32(command_at), call.u32(index)
    if command in _NO_ARGUMENT:
        return None
    if command in _LOCK_COMMANDS:
        return _lock(call, index)
    if command == _F_SETFL:
        return open_flags(call, index)
    if command == _F_SETFD:
        return named(FD_FLAGS, value)
    if command in (_F_DUPFD, _F_DUPFD_CLOEXEC):
        return Shown(str(call.i32(index)), "the lowest number it may get")
    if command in (_F_SETOWN_EX, _F_GETOWN_EX):
        return _owner(call, index)
    if command == 10:
        return signal(call, index) if value else Shown("0", "the usual one, SIGIO")
    if command in _BY_TABLE:
        return named(_BY_TABLE[command], value)
    if command in (8, 1031):
        return Shown(str(call.i32(index)))
    return Shown(pointer_text(call.u64(index)) if command in FCNTL.by_value else hex(call.u64(index)))


def ioctl_request(call: Call, index: int) -> Shown:
    """An unnamed request is four numbers: direction, type, number, size of its argument (asm-generic/ioctl.h)."""
    value = call.u32(index)
    name = IOCTL.by_value.get(value)
    if name:
        return Shown(name, IOCTL.meaning(value))
    ways = ["_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"]
    parts = (value >> 8 & 0xFF, value & 0xFF, value >> 16 & 0x3FFF)
    numbers = ", ".join(hex(part) if part else "0" for part in parts)
    spelled = f"_IOC({ways[value >> 30]}, {numbers})"
    return Shown(hex(value), f"a request without a name here: {spelled}", strace=spelled)


_NUMBER_IN = {0x5421, 0x5452}
_NUMBER_OUT = {0x541B, 0x5411, 0x8905, 0x540F}
_IOCTL_BARE = {0x5450, 0x5451}  # FIONCLEX FIOCLEX


def ioctl_arg(call: Call, index: int, request_at: int) -> Shown | None:
    request, addr = call.u32(request_at), call.u64(index)
    if request in _IOCTL_BARE:
        return None
    if request in MEMBERS or request == SIOCGIFNAME:
        return ifreq(call, addr, request)
    if request == SIOCGIFCONF:
        return ifconf(call, addr)
    if request in _NUMBER_IN or (request in _NUMBER_OUT and call.done):
        data = call.before.at(addr, 4) if request in _NUMBER_IN else call.after.at(addr, 4)
        if data and len(data) == 4:
            (value,) = unpack_from("<i", data)
            meaning = ("on" if value else "off") if request in _NUMBER_IN else ""
            return Shown(f"[{value}]", meaning, data)
        return unreadable(addr, data and b"")
    if request == 0x5413 and call.done:
        data = call.after.at(addr, 8)
        if data and len(data) == 8:
            rows, columns, width, height = unpack_from("<HHHH", data)
            fields = (Field("ws_row", 0, 2, str(rows)), Field("ws_col", 2, 2, str(columns)))
            strace = f"{{ws_row={rows}, ws_col={columns}, ws_xpixel={width}, ws_ypixel={height}}}"
            return Shown(f"{columns}x{rows}", "columns and rows", data, fields, strace)
    return Shown(pointer_text(addr))
