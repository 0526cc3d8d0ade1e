"""Raw things of the kernel's, field by field: a decoder for each file of /proc; those of the network stand beside.

In: a Reading of the engine's, and which fields a panel shows. Out: a Block. Total: text that does not fit is shown as
it is, without fields. Never reads.

Source: proc_pid_stat(5), proc_pid_fdinfo(5), proc_pid_syscall(5).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping

from msgspec.structs import replace

from socklab.core.text import safe
from socklab.evidence import decode_network as network
from socklab.evidence.model import Block, Field, Line, Shell
from socklab.evidence.words import DIM, SHOWN, text_of, words
from socklab.protocol.rows import Reading

Shown = frozenset[str]


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
        ends = re.match(r"\s*\d+: ([0-9A-F:]+ [0-9A-F:]+) ", text_of(reading))
        if ends:
            yield Shell(("grep", "-n", ends[1], reading.path), reading.host)
    elif inode := network.inode_of(reading):
        yield Shell(("grep", "-nw", inode, reading.path), reading.host or "server")
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


def _plain(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    lines = safe(text_of(reading).removesuffix("\n"), lines=True).split("\n")
    return Block("", tuple(((line, SHOWN),) for line in lines))


def _setting(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    """One value, or several with tabs between."""
    name = reading.path.removeprefix("/proc/sys/").replace("/", ".")
    value = " ".join(text_of(reading).split())
    return Block("", fields=(Field(safe(name), safe(value), "", True),), data=reading.data)


# ---------------------------------------------------------------- descriptors


def _link(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    return Block("", (((f"-> {safe(text_of(reading))}", SHOWN),),))


def _fdinfo(reading: Reading, _shown: Shown, _notes: Mapping[str, str], arch: str) -> Block:
    from socklab.syscalls.constants_io import ACCESS_MODES, open_flags

    fields: list[Field] = []
    lines: list[Line] = []
    for line in text_of(reading).splitlines():
        name, _, value = line.partition(":")
        value = value.strip()
        meaning = {"pos": "the file's offset", "mnt_id": "the mount it is on", "ino": "inode"}.get(name, "")
        if name == "flags":
            flags = int(value, 8)
            others = open_flags(arch).text(flags & ~3)
            meaning = ACCESS_MODES.text(flags & 3) + (f"|{others}" if others != "0" else "") + ", in octal"
        if name in ("pos", "flags", "mnt_id", "ino"):
            fields.append(Field(name, safe(value), meaning, name in ("pos", "flags")))
        lines.append(((safe(line, lines=True), SHOWN if name in ("pos", "flags", "tfd") else DIM),))
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
    ("rss", lambda text: "pages in memory, roughly: statm has them all"),
)
"""What is shown of /proc/PID/stat, in order."""

_STAT_PLACES = {"pid": 0, "comm": 1, "state": 2, "ppid": 3, "utime": 13, "stime": 14, "num_threads": 19, "rss": 23}


def _stat(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    text = text_of(reading).rstrip("\n")
    first, last = text.index("("), text.rindex(")")  # the name may hold blanks and parentheses of its own
    cells = [text[: first - 1], text[first : last + 1], *text[last + 1 :].split()]
    shown = {place: name for name, place in _STAT_PLACES.items() if name != "rss"}
    line: list[tuple[str, str]] = []
    for place, word in enumerate(cells):
        line.append((safe(word) + " ", SHOWN if place in shown else DIM))
    told = ((name, cells[_STAT_PLACES[name]], says) for name, says in STAT)
    fields = [Field(name, safe(cell), says(cell), name != "rss") for name, cell, says in told]
    return Block("", (tuple(line),), fields=tuple(fields))


def _statm(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    words = text_of(reading).split()
    line = tuple((f"{safe(word)} ", SHOWN if place == 1 else DIM) for place, word in enumerate(words))
    return Block("", (line,), fields=(Field("resident", safe(words[1]), "pages in memory", True),))


_STATUS = ("Name", "State", "Tgid", "Pid", "PPid", "TracerPid", "VmRSS", "Threads")


def _status(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    lines = text_of(reading).splitlines()
    kept = [line for line in lines if line.partition(":")[0] in _STATUS]
    whole = tuple(((safe(line, lines=True), SHOWN if line.partition(":")[0] in _STATUS else DIM),) for line in lines)
    return Block("", whole, (*(((safe(line, lines=True), SHOWN),) for line in kept), (("…", DIM),)))


def _wchan(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    text = safe(text_of(reading))
    return Block("", (((text, SHOWN),),), note="It sleeps in no function of the kernel." if text == "0" else "")


def _syscall(reading: Reading, _shown: Shown, _notes: Mapping[str, str], arch: str) -> Block:
    from socklab.syscalls import name

    cells = text_of(reading).split()
    line = words(text_of(reading), dict.fromkeys(range(7), SHOWN))
    if len(cells) < 9:
        return Block("", (line,), note="It runs, or is in no call." if cells[:1] == ["running"] else "")
    titles = ("number", *(f"argument {place}" for place in range(1, 7)), "stack pointer", "instruction pointer")
    fields = [
        Field(title, safe(word), name(arch, int(word)) if title == "number" else "", place < 7)
        for place, (title, word) in enumerate(zip(titles, cells, strict=True))
    ]
    return Block("", (line,), fields=tuple(fields))


# ---------------------------------------------------------------- the place in the source


def _facts(reading: Reading) -> dict[str, str]:
    pairs = (line.partition("=") for line in text_of(reading).splitlines())
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
    (r"/proc/(\d+/)?net/(tcp|udp|raw)6?", network.tcp),
    (r"/proc/\d+/net/(unix|packet|netlink)", network.columns),
    (r"/proc/net/(netstat|snmp)", network.counters),
    (r"/proc/sys/.+", _setting),
    (r"inet_diag_msg", network.diag),
    (r"/proc/\d+/fd/\d+", _link),
    (r"/proc/\d+/fdinfo/\d+", _fdinfo),
    (r"/proc/\d+/stat", _stat),
    (r"/proc/\d+/statm", _statm),
    (r"/proc/\d+/status", _status),
    (r"/proc/\d+/wchan", _wchan),
    (r"/proc/\d+/syscall", _syscall),
    (r"frame", _frame),
)
