"""What a call's result says: the value a C programmer sees, strace's spelling, and its meaning for a student.

In: a Call that has returned and the kind of its result. Out: three texts.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from socklab.core.plural import counted
from socklab.syscalls.call import Call
from socklab.syscalls.constants_io import FD_FLAGS, LOCKS, SEALS
from socklab.syscalls.constants_process import SIGNALS
from socklab.syscalls.errors import errno_meaning, errno_name, errno_words
from socklab.syscalls.rows import Row
from socklab.syscalls.show.files import open_mode_text, strace_spelling
from socklab.syscalls.show.polling import poll_answer, select_answer


class Result(msgspec.Struct, frozen=True):
    text: str
    strace: str
    outcome: str = ""
    errno: str = ""


_SOCKET_ONLY = frozenset({"recvfrom", "recvmsg", "sendto", "sendmsg"})
_FILES = ("/", "pipe:", "anon_inode:", "memfd:")  # how links of /proc/PID/fd begin that are no sockets
_SIZED = frozenset({"read", "recvfrom", "write", "sendto"})  # the third argument is a number of bytes


def _on_socket(call: Call) -> bool | None:
    """Whether the call's descriptor is a socket; None = the caller did not say."""
    if call.name in _SOCKET_ONLY:
        return True
    if call.target is None:
        return None
    text = call.target(call.i32(0))
    return not text.startswith(_FILES) if text else None


def _received(call: Call, value: int) -> str:
    on_socket = _on_socket(call)
    size = call.u64(2) if call.name in _SIZED else -1
    if value:
        more = "; the buffer is full, more may be waiting" if on_socket and value == size else ""
        return f"{counted(value, 'byte')} {'received' if on_socket else 'read'}{more}"
    if size == 0:
        return "nothing was asked for"
    if on_socket:
        return "0 bytes: end of stream, the other side will send no more"
    return "0 bytes: the end" if on_socket is None else "0 bytes: the end of the file"


def _sent(call: Call, value: int) -> str:
    asked = call.u64(2) if call.name in _SIZED else value
    text = f"{counted(value, 'byte')} accepted by the kernel{' for sending' if _on_socket(call) else ''}"
    return text if value >= asked else f"{text}, of {asked}: the rest has to be written again"


def _count(call: Call, value: int) -> str:
    if call.name == "io_uring_enter":
        return f"{counted(value, 'submission')} taken"
    return f"{counted(value, 'message')} {'sent' if call.name == 'sendmmsg' else 'received'}"


def _fcntl(call: Call, value: int) -> Result:
    command = call.u32(1)
    if command == 3:
        text = open_mode_text(call.arch, value)
        strace = f"{hex(value) if value else 0} (flags {strace_spelling(text)})"
        return Result(text, strace, f"the open file's flags: {text}")
    if command == 1 and value:
        text = FD_FLAGS.text(value)
        return Result(text, f"{value:#x} (flags {text})", "it closes by itself at execve")
    if command == 1034 and value:  # F_GET_SEALS
        return Result(SEALS.text(value), f"{value:#x} (seals {SEALS.text(value)})", f"sealed: {SEALS.text(value)}")
    if command == 11 and value:  # F_GETSIG
        return _signal(call, value)
    if command == 1025:  # F_GETLEASE
        text = LOCKS.text(value)
        return Result(text, f"{hex(value) if value else 0} ({text})", "no lease" if value == 2 else f"a lease: {text}")
    if command in (0, 1030):
        return Result(str(value), str(value), f"new descriptor {value}")
    return Result(str(value), str(value), "done")


def _signal(call: Call, value: int) -> Result:
    name = SIGNALS.text(value)
    return Result(name, f"{value} ({name})", SIGNALS.meaning(value) or name)


def _waited(call: Call, value: int) -> str:
    return f"child {value} has changed state" if value else "no child has changed state yet"


def _ready(call: Call, value: int) -> str:
    return f"{value} ready" if value else "nobody is ready: the time is over"


def _failed(call: Call, value: int) -> Result:
    number = -value
    name, words = errno_name(number), errno_words(number)
    meaning = errno_meaning(call.name, number)
    if 512 <= number <= 516 and number != 515:
        return Result(f"? {name}", f"? {name} ({words})", meaning, name)
    strace = f"-1 {name} ({words})" if not name.startswith("errno ") else f"{value} ({name})"
    return Result(f"-1 {name}", strace, meaning, name)


_OUTCOMES: dict[str, Callable[[Call, int], str]] = {
    "fd": lambda call, value: f"new descriptor {value}",
    "received": _received,
    "sent": _sent,
    "count": _count,
    "child": lambda call, value: f"the child is {value}" if value else "this is the child",
    "waited": _waited,
    "ready": _ready,
    "poll": _ready,
    "select": _ready,
}
"""What a result means, by its kind."""
_ANSWERS = {"poll": poll_answer, "select": select_answer}


def show(call: Call, row: Row | None) -> Result:
    """The result of a call that has returned; `row` says of what kind it is."""
    value, kind = call.result, row.result if row is not None else "number"
    if value is None:
        return Result("", "")
    if kind == "none":
        return Result("", "?")
    if -4095 <= value < 0:
        return _failed(call, value)
    if kind == "fcntl":
        return _fcntl(call, value)
    if kind == "signal":
        return _signal(call, value)
    if kind == "address":
        text = hex(value & 0xFFFFFFFFFFFFFFFF) if value else "NULL"
        return Result(text, text)
    text = strace = str(value)
    if kind in _ANSWERS:
        strace = f"{value} {_ANSWERS[kind](call)}".rstrip() if value else "0 (Timeout)"
    if row is not None and kind == "status" and value == 0:
        return Result(text, strace, row.notes.get("done", "done"))
    return Result(text, strace, _OUTCOMES[kind](call, value) if kind in _OUTCOMES else "")
