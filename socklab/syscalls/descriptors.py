"""Calls that work on descriptors of any kind: read, write, close, dup, fcntl, ioctl, pipes, files.

Source: the manual pages of each call, section 2, whose parameter names these are.
"""

from __future__ import annotations

from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_io import (
    ACCESS,
    ACCESS_MODES,
    AT_FLAGS,
    CLOSE_RANGE,
    EVENTFD,
    FCNTL,
    FD_FLAGS,
    IO_URING_ENTER,
    IOCTL,
    LOCKS,
    MEMFD,
    READ_WRITE,
    SEEK,
    SIGNALFD,
    SPLICE,
    TIMERFD,
    open_flags,
)
from socklab.syscalls.constants_process import CLOCKS
from socklab.syscalls.kinds import (
    DIRFD,
    FD,
    FD_PAIR,
    HEX,
    INT,
    LONG,
    OCTAL,
    OFFSET,
    OFFSET_CHANGED,
    PATH,
    POINTER,
    SIZE,
    UINT,
    Kind,
    arg,
    buffer_in,
    buffer_out,
    call,
    flags,
    iovec_in,
    iovec_out,
    named,
    pointer_text,
    unreadable,
)

_O_CREAT = 0o100


def open_mode_text(arch: str, value: int) -> str:
    """Access mode and flags of an open file, as open(2) takes and F_GETFL gives them."""
    table = open_flags(arch)
    rest = value & ~3
    text = ACCESS_MODES.text(value & 3)
    if rest:
        text += "|" + table.text(rest)
    return text


def strace_spelling(text: str) -> str:
    """strace calls O_ASYNC by its BSD name."""
    return text.replace("O_ASYNC", "FASYNC")


def _show_open(call: Call, index: int) -> Shown:
    value = call.u32(index)
    meaning = (ACCESS_MODES.meaning(value & 3), open_flags(call.arch).meaning(value & ~3))
    text = open_mode_text(call.arch, value)
    return Shown(text, "; ".join(part for part in meaning if part), strace=strace_spelling(text))


def _show_pipe_flags(call: Call, index: int) -> Shown:
    value = call.u32(index)
    table = open_flags(call.arch)
    return Shown(table.text(value), table.meaning(value), strace=strace_spelling(table.strace(value)))


OPEN = Kind("flags", _show_open)
PIPE_FLAGS = Kind("flags", _show_pipe_flags)
_F_DUPFD, _F_SETFD, _F_SETFL, _F_DUPFD_CLOEXEC = 0, 2, 4, 1030
_NO_ARGUMENT = {1, 3, 9, 11, 1025, 1032, 1034}  # F_GETFD F_GETFL F_GETOWN F_GETSIG F_GETLEASE F_GETPIPE_SZ F_GET_SEALS


def fcntl_takes_argument(command: int) -> bool:
    """Whether the third register of fcntl means anything."""
    return command not in _NO_ARGUMENT


_LOCK_COMMANDS = {5, 6, 7, 36, 37, 38}


def _show_lock(call: Call, index: int) -> Shown:
    """struct flock: type and whence in 2 bytes each, then start and length of the range."""
    addr = call.u64(index)
    raw = call.before.at(addr, 32)
    if not addr or not raw or len(raw) < 32:
        return unreadable(addr, raw and b"")
    kind, whence, start, length = unpack_from("<hh4xqq", raw)
    text = f"l_type={LOCKS.strace(kind)}, l_whence={SEEK.strace(whence)}, l_start={start}, l_len={length}"
    return Shown(f"{{{text}}}", "a lock on part of the file", raw)


def _show_fcntl(call: Call, index: int) -> Shown:
    command, value = call.u32(1), call.u32(index)
    if command in _LOCK_COMMANDS:
        return _show_lock(call, index)
    if command == _F_SETFL:
        return _show_open(call, index)
    if command == _F_SETFD:
        return Shown(FD_FLAGS.text(value), FD_FLAGS.meaning(value), strace=FD_FLAGS.strace(value))
    if command in (_F_DUPFD, _F_DUPFD_CLOEXEC):
        return Shown(str(call.i32(index)), "the lowest number it may get")
    if command in (8, 10, 1031, 1024):
        return Shown(str(call.i32(index)))
    return Shown(pointer_text(call.u64(index)) if command in FCNTL.by_value else hex(call.u64(index)))


def _show_request(call: Call, index: int) -> Shown:
    """An unnamed request is four numbers: direction, type, number, size of its argument (asm-generic/ioctl.h)."""
    value = call.u32(index)
    name = IOCTL.by_value.get(value)
    if name:
        return Shown(name, IOCTL.meaning(value))
    ways = ["_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"]
    parts = (value >> 8 & 0xFF, value & 0xFF, value >> 16 & 0x3FFF)
    numbers = ", ".join(hex(part) if part else "0" for part in parts)
    return Shown(hex(value), strace=f"_IOC({ways[value >> 30]}, {numbers})")


_NUMBER_IN = {0x5421, 0x5452}
_NUMBER_OUT = {0x541B, 0x5411, 0x8905, 0x540F}
_IOCTL_BARE = {0x5450, 0x5451}


def ioctl_takes_argument(request: int) -> bool:
    """FIOCLEX and FIONCLEX do not."""
    return request not in _IOCTL_BARE


def _show_ioctl(call: Call, index: int) -> Shown:
    request, addr = call.u32(1), call.u64(index)
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


_FD = arg("fd", FD, "the descriptor")
_DIRFD = arg("dirfd", DIRFD, "where a relative path starts")
_PATH = arg("pathname", PATH, "the file")
_MODE = arg("mode", OCTAL, "permissions of a new file")
_OPEN_ARG = arg("flags", OPEN, "how it is opened")
_BUF_IN = arg("buf", buffer_in(2), "the bytes")
_BUF_OUT = arg("buf", buffer_out(2), "where the bytes go")
_COUNT = arg("count", SIZE, "how many bytes at most")
_OFFSET = arg("offset", LONG, "where in the file")
_IOV_IN = arg("iov", iovec_in(2), "buffers, one after the other")
_IOV_OUT = arg("iov", iovec_out(2), "buffers, one after the other")
_IOVCNT = arg("iovcnt", INT, "how many buffers")
_UPPER_HALF = arg("", HEX)  # of the offset, on machines of 32 bits; nameless parameters are not shown
_RWF = arg("flags", flags(READ_WRITE))
_OLDFD = arg("oldfd", FD, "the descriptor to copy")
_NEWFD = arg("newfd", INT, "the number of the copy; closed first if it is open")
_EFD = arg("flags", flags(EVENTFD))
_SPLICE = arg("flags", flags(SPLICE))

_READ = (
    "Take bytes out of what the descriptor stands for; on a socket, out of its receive queue. Wait if there are none."
)
_WRITE = "Hand bytes to what the descriptor stands for; on a socket, to its send queue. Wait if there is no room."
_OPEN_MEANING = "Open a file and give the program a descriptor for it."
_DUP = "Give the same open file or socket a second descriptor."
_PIPE = "Make a pipe: what is written to the second descriptor is read from the first."

CALLS = (
    call("read", _READ, _FD, _BUF_OUT, _COUNT, result="received"),
    call("write", _WRITE, _FD, _BUF_IN, _COUNT, result="sent"),
    call("pread64", "Read at a place in a file.", _FD, _BUF_OUT, _COUNT, _OFFSET, result="received"),
    call("pwrite64", "Write at a place in a file.", _FD, _BUF_IN, _COUNT, _OFFSET, result="sent"),
    call("readv", _READ, _FD, _IOV_OUT, _IOVCNT, result="received"),
    call("writev", _WRITE, _FD, _IOV_IN, _IOVCNT, result="sent"),
    call("preadv", "Read at a place in a file.", _FD, _IOV_OUT, _IOVCNT, _OFFSET, result="received"),
    call("pwritev", "Write at a place in a file.", _FD, _IOV_IN, _IOVCNT, _OFFSET, result="sent"),
    call(
        "preadv2", "Read at a place in a file.", _FD, _IOV_OUT, _IOVCNT, _OFFSET, _UPPER_HALF, _RWF, result="received"
    ),
    call("pwritev2", "Write at a place in a file.", _FD, _IOV_IN, _IOVCNT, _OFFSET, _UPPER_HALF, _RWF, result="sent"),
    call(
        "close",
        "Give the descriptor back. If it was a connection's last one, the connection is closed: a FIN goes out, "
        "or an RST if unread data is left.",
        _FD,
    ),
    call(
        "close_range",
        "Close all descriptors of a range.",
        arg("first", UINT, "from"),
        arg("last", UINT, "to, inclusive"),
        arg("flags", flags(CLOSE_RANGE)),
    ),
    call("dup", _DUP, _OLDFD, result="fd"),
    call("dup2", _DUP, _OLDFD, _NEWFD, result="fd"),
    call("dup3", _DUP, _OLDFD, _NEWFD, arg("flags", PIPE_FLAGS), result="fd"),
    call(
        "fcntl",
        "Ask or change something about a descriptor.",
        _FD,
        arg("cmd", named("command", FCNTL), "what"),
        arg("arg", Kind("fcntl", _show_fcntl)),
        result="fcntl",
    ),
    call(
        "ioctl",
        "Ask or change something that only this kind of file has.",
        _FD,
        arg("request", Kind("request", _show_request), "what"),
        arg("argp", Kind("ioctl", _show_ioctl)),
    ),
    call("open", _OPEN_MEANING, _PATH, _OPEN_ARG, _MODE, result="fd"),
    call("openat", _OPEN_MEANING, _DIRFD, _PATH, _OPEN_ARG, _MODE, result="fd"),
    call("openat2", _OPEN_MEANING, _DIRFD, _PATH, arg("how", POINTER), arg("size", SIZE), result="fd"),
    call("creat", "Make or empty a file and open it for writing.", _PATH, _MODE, result="fd"),
    call("pipe", _PIPE, arg("pipefd", FD_PAIR)),
    call("pipe2", _PIPE, arg("pipefd", FD_PAIR), arg("flags", PIPE_FLAGS)),
    call(
        "sendfile",
        "Send part of a file without bringing it into the program's memory.",
        arg("out_fd", FD, "where to"),
        arg("in_fd", FD, "the file"),
        arg("offset", OFFSET_CHANGED, "where in the file; NULL = its own position"),
        _COUNT,
        result="sent",
    ),
    call(
        "splice",
        "Move data between a pipe and another descriptor inside the kernel.",
        arg("fd_in", FD, "from"),
        arg("off_in", OFFSET),
        arg("fd_out", FD, "to"),
        arg("off_out", OFFSET),
        arg("len", SIZE),
        _SPLICE,
        result="sent",
    ),
    call(
        "tee", "Copy data from one pipe to another.", _FD, arg("fd_out", FD), arg("len", SIZE), _SPLICE, result="sent"
    ),
    call(
        "copy_file_range",
        "Copy part of a file inside the kernel.",
        arg("fd_in", FD, "from"),
        arg("off_in", OFFSET),
        arg("fd_out", FD, "to"),
        arg("off_out", OFFSET),
        arg("len", SIZE),
        arg("flags", HEX),
        result="sent",
    ),
    call("lseek", "Move the position in a file.", _FD, _OFFSET, arg("whence", named("whence", SEEK)), result="offset"),
    call("fstat", "Ask what kind of file the descriptor stands for.", _FD, arg("statbuf", POINTER)),
    call("fsync", "Wait until the file is safe on its disk.", _FD),
    call("fdatasync", "Wait until the file's data is safe on its disk.", _FD),
    call("ftruncate", "Set the size of a file.", _FD, arg("length", LONG)),
    call("getdents64", "Read entries of a directory.", _FD, arg("dirp", POINTER), _COUNT, result="number"),
    call("eventfd", "Make a counter that can be waited for.", arg("initval", UINT), result="fd"),
    call("eventfd2", "Make a counter that can be waited for.", arg("initval", UINT), _EFD, result="fd"),
    call(
        "signalfd4",
        "Receive signals through a descriptor.",
        _FD,
        arg("mask", POINTER),
        arg("sizemask", SIZE),
        arg("flags", flags(SIGNALFD)),
        result="fd",
    ),
    call(
        "timerfd_create",
        "Make a clock whose ticks are read from a descriptor.",
        arg("clockid", named("clock", CLOCKS)),
        arg("flags", flags(TIMERFD)),
        result="fd",
    ),
    call("memfd_create", "Make a file that lives in memory.", _PATH, arg("flags", flags(MEMFD)), result="fd"),
    call(
        "io_uring_setup",
        "Make an io_uring: two rings of memory shared with the kernel.",
        arg("entries", UINT, "how many submissions fit"),
        arg("params", POINTER),
        result="fd",
    ),
    call(
        "io_uring_enter",
        "Tell the kernel that submissions lie in the ring, and perhaps wait for completions.",
        _FD,
        arg("to_submit", UINT, "how many are new"),
        arg("min_complete", UINT, "how many completions to wait for"),
        arg("flags", flags(IO_URING_ENTER)),
        arg("sig", POINTER),
        arg("sz", SIZE),
        result="count",
    ),
    # files by name
    call("stat", "Ask about a file.", _PATH, arg("statbuf", POINTER)),
    call("lstat", "Ask about a file or link.", _PATH, arg("statbuf", POINTER)),
    call("newfstatat", "Ask about a file.", _DIRFD, _PATH, arg("statbuf", POINTER), arg("flags", flags(AT_FLAGS))),
    call("access", "Ask whether a file may be used.", _PATH, arg("mode", flags(ACCESS))),
    call("faccessat", "Ask whether a file may be used.", _DIRFD, _PATH, arg("mode", flags(ACCESS))),
    call("unlink", "Remove a name of a file.", _PATH),
    call("unlinkat", "Remove a name of a file.", _DIRFD, _PATH, arg("flags", flags(AT_FLAGS))),
    call("mkdir", "Make a directory.", _PATH, _MODE),
    call("rmdir", "Remove an empty directory.", _PATH),
    call("chdir", "Change the current directory.", _PATH),
    call(
        "readlink", "Read where a link leads.", _PATH, arg("buf", buffer_out(2)), arg("bufsiz", SIZE), result="number"
    ),
)
