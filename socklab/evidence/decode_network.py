"""Raw things of the network, field by field: /proc/net/tcp and its kin, sock_diag's message, the counters' files.

In: a Reading, and which fields a panel shows. Out: a Block. Raises ValueError, IndexError or struct.error for text that
does not fit. Never reads.

Source: proc_pid_net(5); sock_diag(7); linux/inet_diag.h; net/ipv4/tcp_ipv4.c, tcp4_seq_show.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping

from socklab.core.endpoint import endpoint
from socklab.core.text import safe
from socklab.evidence.model import Block, Field, Line
from socklab.evidence.words import DIM, SHOWN, text_of, words
from socklab.protocol.rows import Reading
from socklab.state.model import LISTEN, TCP_STATES

Shown = frozenset[str]

TIMERS = {0: "none runs", 1: "sends again", 2: "keepalive, or SYN-ACK again", 3: "TIME_WAIT ends", 4: "window probe"}

_AROUND = 1
"""Columns of counters left on each side of one that is shown."""


def _many(number: int, one: str) -> str:
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


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
    ("ref", "", lambda text, _: f"{_many(int(text), 'reference')} inside the kernel"),
    ("pointer", "", lambda _text, _: "address of struct sock, hidden from users"),
)
"""The columns of /proc/net/tcp and tcp6; an open socket has five more, of which the file says nothing."""


def _memory(text: str, _listens: bool) -> str:
    tx, rx = (int(half, 16) for half in text.split(":"))
    return f"memory: {_many(tx, 'byte')} to send, {rx} not read"


_DATAGRAM: dict[str, Callable[[str, bool], str]] = {
    "st": lambda text, _: {"07": "no peer", "01": "has a peer"}.get(text, _state(text, False)),
    "tx:rx_queue": _memory,
}
"""What the columns of udp and raw say otherwise: their queues are told with what the kernel needs for each packet."""


def tcp(reading: Reading, shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    text = text_of(reading)
    cells = text.split()
    stream = "/tcp" in reading.path
    listens = stream and int(cells[3], 16) == LISTEN
    fields: list[Field] = []
    for (title, name, says), word in zip(TCP, cells, strict=False):
        says = says if stream else _DATAGRAM.get(title, says)
        fields.append(Field(title, safe(word), safe(says(word, listens)), name in shown))
    roles = {place: SHOWN for place, (_, name, _says) in enumerate(TCP) if name in shown}
    head: Line = ((safe(reading.head.rstrip()), DIM),)
    return Block("", (head, words(text, roles)), fields=tuple(fields))


_UNIX_STATES = {"01": "not connected", "02": "connecting", "03": "connected", "04": "disconnecting"}
_UNIX_TYPES = {"0001": "SOCK_STREAM", "0002": "SOCK_DGRAM", "0005": "SOCK_SEQPACKET"}


def columns(reading: Reading, _shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
    """A line under the titles of its columns: the sockets of UNIX, packet and netlink."""
    titles = reading.head.split()
    cells = text_of(reading).split(None, len(titles) - 1)
    unix = reading.path.endswith("/unix")
    fields = []
    for title, word in zip(titles, cells, strict=False):
        listens = unix and title == "Flags" and int(word, 16) & 0x10000
        says = {"St": _UNIX_STATES, "Type": _UNIX_TYPES}.get(title, {}).get(word, "") if unix else ""
        fields.append(Field(safe(title), safe(word), "it listens" if listens else says, title in ("Inode", "Path")))
    roles = {place: SHOWN for place, field in enumerate(fields) if field.shown}
    return Block("", (((safe(reading.head.rstrip()), DIM),), words(text_of(reading), roles)), fields=tuple(fields))


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


def diag(reading: Reading, shown: Shown, _notes: Mapping[str, str], _arch: str) -> Block:
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


def inode_of(reading: Reading) -> str:
    """The inode in a line of /proc/PID/net/udp, unix and their kin; "" of other readings."""
    if not re.fullmatch(r"/proc/\d+/net/(udp6?|raw6?|unix|packet|netlink)", reading.path):
        return ""
    titles = [title.lower() for title in reading.head.split()]
    if "/udp" in reading.path or "/raw" in reading.path:  # whose titles name two columns with a blank between
        titles = [title for title, _, _ in TCP]
    words = text_of(reading).split()
    place = titles.index("inode") if "inode" in titles else len(words)
    return words[place] if place < len(words) and words[place].isdecimal() else ""


# ---------------------------------------------------------------- counters


def counters(reading: Reading, shown: Shown, notes: Mapping[str, str], _arch: str) -> Block:
    titles, values = reading.head.split(), text_of(reading).split()
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
    roles = dict.fromkeys(found, SHOWN)
    whole = (words(reading.head, roles), words(text_of(reading), roles))
    kept = {0} | {each for place in found for each in range(place - _AROUND, place + _AROUND + 1)}
    brief: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    skipped = False
    for place, (title, value) in enumerate(zip(titles, values, strict=True)):
        if place not in kept:
            skipped = True
            continue
        if skipped:
            for line in brief:
                line.append(("… ", DIM))
        skipped = False
        cells = max(len(title), len(value))
        for line, text in zip(brief, (title, value), strict=True):
            line.append((f"{safe(text):>{cells}} ", roles.get(place, DIM)))
    if skipped:
        for line in brief:
            line.append(("…", DIM))
    return Block("", whole, (tuple(brief[0]), tuple(brief[1])), fields=tuple(fields), dull=not found)
