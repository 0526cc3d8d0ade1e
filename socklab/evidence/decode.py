"""Raw things of the kernel's, field by field: one table for each file of /proc, and for the message of sock_diag.

In: a Reading of the engine's, and which fields a panel shows. Out: a Block. Total: text that does not fit is shown as
it is, without fields. Never reads.

Source: proc_pid_net(5), proc_pid_stat(5), proc_pid_fdinfo(5), proc_pid_syscall(5), sock_diag(7).
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterator, Mapping

from msgspec.structs import replace

from socklab.core.endpoint import endpoint
from socklab.core.text import safe
from socklab.evidence.model import Block, Field, Line, Shell
from socklab.protocol.rows import Reading
from socklab.state.model import LISTEN, TCP_STATES

Shown = frozenset[str]

_DIM, _SHOWN = "dim", "number"
_AROUND = 1
"""Columns of counters left on each side of one that is shown."""

TIMERS = {0: "none runs", 1: "sends again", 2: "keepalive, or SYN-ACK again", 3: "TIME_WAIT ends", 4: "window probe"}


def block(reading: Reading, shown: Shown, notes: Mapping[str, str], arch: str) -> Block:
    """A reading, decoded."""
    where = _where(reading)
    if reading.reason and not reading.data:
        return Block(where, note=f"It could not be read: {safe(reading.reason)}.")
    decoder = next((decoder for pattern, decoder in _DECODERS if re.fullmatch(pattern, reading.path)), _plain)
    try:
        found = decoder(reading, shown, notes, arch)
    except (ValueError, IndexError, struct.error):  # another kernel's: the text speaks for itself
        found = _plain(reading, shown, notes, arch)
    note = f"{safe(reading.reason)}." if reading.reason else found.note
    return replace(found, where=where, note=note)


def shells(reading: Reading) -> Iterator[Shell]:
    """Commands that print this very reading, of those that can only be known once it was read."""
    if re.fullmatch(r"/proc/net/tcp6?", reading.path):
        ends = re.match(r"\s*\d+: ([0-9A-F:]+ [0-9A-F:]+) ", _text(reading))
        if ends:
            yield Shell(("grep", "-n", ends[1], reading.path), reading.host)
    elif reading.path == "frame" and reading.data:
        facts = _facts(reading)
        if "file_address" in facts and "file" in facts:
            yield Shell(("addr2line", "-f", "-C", "-i", "-e", facts["file"], facts["file_address"]))


def _where(reading: Reading) -> str:
    path = _NAMED.get(reading.path, safe(reading.path))
    on = f" on {safe(reading.host)}" if reading.host else ""
    line = f", line {reading.line}" if reading.line else ""
    return f"{path}{on}{line}"


_NAMED = {"inet_diag_msg": "sock_diag: struct inet_diag_msg", "frame": "where the frame was found"}


def _text(reading: Reading) -> str:
    return reading.data.decode("utf-8", "surrogateescape")


def _many(number: int, one: str) -> str:
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def _plain(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    lines = safe(_text(reading).removesuffix("\n"), lines=True).split("\n")
    return Block("", tuple(((line, _SHOWN),) for line in lines))


def _words(text: str, roles: Mapping[int, str]) -> Line:
    """The line as it is, each word in its role; blanks stay."""
    found: list[tuple[str, str]] = []
    for place, match in enumerate(re.finditer(r"\s*\S+", text.rstrip())):
        found.append((safe(match[0]), roles.get(place, _DIM)))
    return tuple(found)


# ---------------------------------------------------------------- /proc/net/tcp


_Tcp = tuple[str, str, Callable[[str, bool], str]]
"""A column's title, the name by which a panel shows it, and what its text says (of a listener: True)."""


def _state(text: str, _listens: bool) -> str:
    return TCP_STATES.get(int(text, 16), "a state without a name")


def _queues(text: str, listens: bool) -> str:
    tx, rx = (int(half, 16) for half in text.split(":"))
    if listens:
        return f"{rx} wait for accept (limit: not told here)"
    return f"{_many(tx, 'byte')} not acknowledged, {_many(rx, 'byte')} not read"


def _timer(text: str, _listens: bool) -> str:
    kind, when = (int(half, 16) for half in text.split(":"))
    return f"timer {kind}: {TIMERS.get(kind, 'unknown')}" + (f", in {when / 100:.2f} s" if kind else "")


def _inode(text: str, _listens: bool) -> str:
    return f"socket:[{text}] in /proc/PID/fd" if text != "0" else "no descriptor stands for it"


def _end(text: str, _listens: bool) -> str:
    return f"{endpoint(text)} (address: little-endian)"


TCP: tuple[_Tcp, ...] = (
    ("sl", "", lambda text, _: f"number {text.rstrip(':')} of the table"),
    ("local_address", "local", _end),
    ("rem_address", "remote", _end),
    ("st", "state", _state),
    ("tx:rx_queue", "queues", _queues),
    ("tr:tm->when", "timer", _timer),
    ("retrnsmt", "retransmits", lambda text, _: f"sent again {_many(int(text, 16), 'time')}, not acknowledged"),
    ("uid", "", lambda text, _: f"user {text}"),
    ("timeout", "", lambda text, _: f"{text} window probes not answered"),
    ("inode", "inode", _inode),
    ("ref", "", lambda text, _: f"{text} references inside the kernel"),
    ("pointer", "", lambda _text, _: "address of struct sock, hidden from users"),
)
"""The columns of /proc/net/tcp and tcp6; an open socket has five more, of which the file says nothing."""


def _tcp(reading: Reading, shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    text = _text(reading)
    words = text.split()
    listens = int(words[3], 16) == LISTEN
    fields = [
        Field(title, safe(word), safe(says(word, listens)), name in shown)
        for (title, name, says), word in zip(TCP, words, strict=False)
    ]
    roles = {place: _SHOWN for place, (_, name, _says) in enumerate(TCP) if name in shown}
    head: Line = ((safe(reading.head.rstrip()), _DIM),)
    return Block("", (head, _words(text, roles)), fields=tuple(fields))


# ---------------------------------------------------------------- sock_diag


def _address(family: int, raw: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6, raw) if family == socket.AF_INET6 else socket.inet_ntop(2, raw[:4])


_Says = Callable[[int, bytes, bool], str]
"""Of the address family, the member's bytes, and whether the socket listens."""


def _number(says: Callable[[int, bool], str]) -> _Says:
    """A member in the machine's byte order: little-endian wherever this runs."""
    return lambda _family, raw, listens: says(int.from_bytes(raw, "little"), listens)


def _port(_family: int, raw: bytes, _listens: bool) -> str:
    return f"{int.from_bytes(raw, 'big')}, in network byte order"


DIAG: tuple[tuple[str, int, str, _Says], ...] = (
    ("idiag_family", 1, "", _number(lambda n, _: {2: "AF_INET", 10: "AF_INET6"}.get(n, str(n)))),
    ("idiag_state", 1, "state", _number(lambda n, _: f"{n}: {TCP_STATES.get(n, 'a state without a name')}")),
    ("idiag_timer", 1, "timer", _number(lambda n, _: f"{n}: {TIMERS.get(n, 'unknown')}")),
    ("idiag_retrans", 1, "retransmits", _number(lambda n, _: f"sent again {_many(n, 'time')}")),
    ("idiag_sport", 2, "local", _port),
    ("idiag_dport", 2, "remote", _port),
    ("idiag_src", 16, "local", lambda family, raw, _: _address(family, raw)),
    ("idiag_dst", 16, "remote", lambda family, raw, _: _address(family, raw)),
    ("idiag_if", 4, "", _number(lambda n, _: f"bound to interface {n}" if n else "bound to no interface")),
    ("idiag_cookie", 8, "", _number(lambda n, _: f"{n}: the socket's number for its whole life")),
    ("idiag_expires", 4, "timer", _number(lambda n, _: f"{n} ms until the timer runs out")),
    ("idiag_rqueue", 4, "queues",
     _number(lambda n, on: f"{_many(n, 'connection')} in the accept queue" if on else f"{_many(n, 'byte')} not read")),
    ("idiag_wqueue", 4, "queues",
     _number(lambda n, on: f"{n}: the limit of the accept queue" if on else f"{_many(n, 'byte')} not acknowledged")),
    ("idiag_uid", 4, "", _number(lambda n, _: f"user {n}")),
    ("idiag_inode", 4, "inode", _number(lambda n, _: f"socket:[{n}]" if n else "no descriptor stands for it")),
)  # fmt: skip
"""struct inet_diag_msg: member, bytes, the panel's name for it, what it says."""


def _diag(reading: Reading, shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    data = reading.data
    family, listens = data[0], data[1] == LISTEN
    fields: list[Field] = []
    at = 0
    for member, size, name, says in DIAG:
        raw = data[at : at + size]
        if len(raw) < size:
            raise ValueError("cut")
        told = raw[:4] if size == 16 and family == socket.AF_INET else raw  # the rest of the union is not used
        fields.append(Field(member, told.hex(" "), safe(says(family, raw, listens)), name in shown))
        at += size
    return Block("", data=data, fields=tuple(fields))


# ---------------------------------------------------------------- counters


def _counters(reading: Reading, shown: Shown, notes: Mapping[str, str], _arch: str) -> Block:
    titles, values = reading.head.split(), _text(reading).split()
    section = titles[0].rstrip(":")
    prefix = "" if section in ("Tcp", "TcpExt") else f"{section}."
    keys = [f"{reading.host}/{prefix}{title}" for title in titles]
    found = [place for place, key in enumerate(keys) if key in shown]
    fields = [
        Field(
            safe(titles[place]),
            safe(values[place]),
            safe(notes.get(keys[place], "")) or f"column {place} of {safe(section)}",
            True,
        )
        for place in found
    ]
    roles = dict.fromkeys(found, _SHOWN)
    whole = (_words(reading.head, roles), _words(_text(reading), roles))
    kept = {0} | {each for place in found for each in range(place - _AROUND, place + _AROUND + 1)}
    brief: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    skipped = False
    for place, (title, value) in enumerate(zip(titles, values, strict=True)):
        if place not in kept:
            skipped = True
            continue
        if skipped:
            for line in brief:
                line.append(("… ", _DIM))
        skipped = False
        cells = max(len(title), len(value))
        for line, text in zip(brief, (title, value), strict=True):
            line.append((f"{safe(text):>{cells}} ", roles.get(place, _DIM)))
    if skipped:
        for line in brief:
            line.append(("…", _DIM))
    return Block("", whole, (tuple(brief[0]), tuple(brief[1])), fields=tuple(fields), dull=not found)


# ---------------------------------------------------------------- descriptors


def _link(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    return Block("", (((f"-> {safe(_text(reading))}", _SHOWN),),))


def _fdinfo(reading: Reading, _shown: Shown, _notes: Mapping[str, str], arch: str) -> Block:
    from socklab.syscalls.constants_io import ACCESS_MODES, open_flags

    fields: list[Field] = []
    lines: list[Line] = []
    for line in _text(reading).splitlines():
        name, _, value = line.partition(":")
        value = value.strip()
        meaning = {"pos": "the file's offset", "mnt_id": "the mount it is on", "ino": "inode"}.get(name, "")
        if name == "flags":
            flags = int(value, 8)
            others = open_flags(arch).text(flags & ~3)
            meaning = ACCESS_MODES.text(flags & 3) + (f"|{others}" if others != "0" else "") + ", in octal"
        if name in ("pos", "flags", "mnt_id", "ino"):
            fields.append(Field(name, safe(value), meaning, name in ("pos", "flags")))
        lines.append(((safe(line, lines=True), _SHOWN if name in ("pos", "flags", "tfd") else _DIM),))
    return Block("", tuple(lines), fields=tuple(fields))


# ---------------------------------------------------------------- processes

_STATES = {
    "R": "running", "S": "sleeping", "D": "uninterruptible sleep", "T": "stopped", "t": "stopped by the tracer",
    "Z": "zombie", "X": "dead", "I": "idle",
}  # fmt: skip

STAT: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("pid", lambda text: "process or thread"),
    ("comm", lambda text: "name of the program, at most 15 bytes"),
    ("state", lambda text: _STATES.get(text, "")),
    ("ppid", lambda text: "its parent"),
    ("utime", lambda text: "clock ticks on the CPU in its own code, 100 a second"),
    ("stime", lambda text: "clock ticks on the CPU in the kernel"),
    ("num_threads", lambda text: "threads"),
    ("rss", lambda text: "pages in memory; VmRSS in status says how many KiB"),
)
"""What is shown of /proc/PID/stat, in order."""

_STAT_PLACES = {"pid": 0, "comm": 1, "state": 2, "ppid": 3, "utime": 13, "stime": 14, "num_threads": 19, "rss": 23}


def _stat(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    text = _text(reading).rstrip("\n")
    first, last = text.index("("), text.rindex(")")  # the name may hold blanks and parentheses of its own
    words = [text[: first - 1], text[first : last + 1], *text[last + 1 :].split()]
    shown = {place: name for name, place in _STAT_PLACES.items()}
    line: list[tuple[str, str]] = []
    for place, word in enumerate(words):
        line.append((safe(word) + " ", _SHOWN if place in shown else _DIM))
    fields = [
        Field(name, safe(words[_STAT_PLACES[name]]), says(words[_STAT_PLACES[name]]), True) for name, says in STAT
    ]
    return Block("", (tuple(line),), fields=tuple(fields))


_STATUS = ("Name", "State", "Tgid", "Pid", "PPid", "TracerPid", "VmRSS", "Threads")


def _status(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    lines = _text(reading).splitlines()
    kept = [line for line in lines if line.partition(":")[0] in _STATUS]
    whole = tuple(((safe(line, lines=True), _SHOWN if line.partition(":")[0] in _STATUS else _DIM),) for line in lines)
    return Block("", whole, (*(((safe(line, lines=True), _SHOWN),) for line in kept), (("…", _DIM),)))


def _wchan(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    text = safe(_text(reading))
    return Block("", (((text, _SHOWN),),), note="It sleeps in no function of the kernel." if text == "0" else "")


def _syscall(reading: Reading, _shown: Shown, _notes: Mapping[str, str], arch: str) -> Block:
    from socklab.syscalls import name

    words = _text(reading).split()
    line = _words(_text(reading), dict.fromkeys(range(7), _SHOWN))
    if len(words) < 9:
        return Block("", (line,), note="It runs, or is in no call." if words[:1] == ["running"] else "")
    titles = ("number", *(f"argument {place}" for place in range(1, 7)), "stack pointer", "instruction pointer")
    fields = [
        Field(title, safe(word), name(arch, int(word)) if title == "number" else "", place < 7)
        for place, (title, word) in enumerate(zip(titles, words, strict=True))
    ]
    return Block("", (line,), fields=tuple(fields))


# ---------------------------------------------------------------- the place in the source


def _facts(reading: Reading) -> dict[str, str]:
    pairs = (line.partition("=") for line in _text(reading).splitlines())
    return {name: value for name, _, value in pairs}


_FACTS = {
    "address": "code address in the process",
    "is": "what kind of address: the caller's line is the one before a return address",
    "file": "the file that is mapped there",
    "file_address": "address minus where the file is mapped: what its line table knows",
    "interpreter": "whose frames are read out of its memory",
    "frame": "address of the interpreter's frame",
    "code": "address of the frame's code object",
    "byte": "the instruction of its code that is being carried out",
}


def _frame(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    panel = ("source", "line", "function")
    fields = [
        Field(safe(name), safe(value), _FACTS.get(name, ""), name in panel) for name, value in _facts(reading).items()
    ]
    return Block("", fields=tuple(fields))


_Decoder = Callable[[Reading, Shown, Mapping[str, str], str], Block]
_DECODERS: tuple[tuple[str, _Decoder], ...] = (
    (r"/proc/net/tcp6?", _tcp),
    (r"/proc/net/(netstat|snmp)", _counters),
    (r"inet_diag_msg", _diag),
    (r"/proc/\d+/fd/\d+", _link),
    (r"/proc/\d+/fdinfo/\d+", _fdinfo),
    (r"/proc/\d+/stat", _stat),
    (r"/proc/\d+/status", _status),
    (r"/proc/\d+/wchan", _wchan),
    (r"/proc/\d+/syscall", _syscall),
    (r"frame", _frame),
)
