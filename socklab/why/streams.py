"""Which call wrote a byte of a connection, which act sent it, which packet carried it, who has read it: by counting.

In: a Record and a connection's end. Out: `Piece`s: so many bytes of the stream, from which call or act. TCP numbers the
bytes of each direction, and a write's result says how many it added: the n-th byte written is the n-th byte sent. Where
the count can't be trusted (a call that was not recorded, two writes at one time, bytes that differ) it says so, and
tells none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from socklab.commands import actions
from socklab.packets.packet_log import Passed
from socklab.protocol import events as ev
from socklab.state import Call
from socklab.why.files import File
from socklab.why.model import Link, plain, unknown
from socklab.why.record import Conversation, Record, bytes_of

SENDS = frozenset({"write", "writev", "sendto", "sendmsg", "sendfile", "splice"})
"""Calls whose result is how many bytes they added to the stream."""
READS = frozenset({"read", "readv", "recvfrom", "recvmsg", "splice"})
NO_DESCRIPTOR = "no descriptor of the traced program's was seen to stand for this socket"
_UNCOUNTED = frozenset({"sendmmsg", "recvmmsg", "vmsplice", "pwrite64", "pwritev", "pwritev2", "pread64", "preadv"})
_MSG_PEEK = 2
_FLAGS_AT = {"recvfrom": 3, "recvmsg": 2}


class Piece(NamedTuple):
    """Bytes `start` to `end` of one direction, counted from 0."""

    start: int
    end: int
    by: Call | ev.Acted
    data: bytes = b""
    """Their beginning, as far as it was recorded."""


class Counted(NamedTuple):
    """The bytes of one direction by who wrote, or read, them."""

    pieces: Sequence[Piece] = ()
    reason: str = ""
    """Why they can't be told apart; "" = they can."""
    unfinished: bool = False
    """The last piece is of a call that is being made: how much of it the kernel has taken is not known."""

    @property
    def total(self) -> int:
        return self.pieces[-1].end if self.pieces else 0

    def within(self, start: int, end: int) -> list[Piece]:
        return [piece for piece in self.pieces if piece.start < end and start < piece.end]


def carried(conversation: Conversation, end: str) -> list[tuple[int, int, Passed]]:
    """(first byte, behind the last, packet) of every packet with data that this end sent, counted from 0."""
    found = []
    for passed in conversation.sent(end):
        segment = passed.segment
        if segment.payload_bytes and not segment.problem:
            start = passed.seen.seq - (0 if segment.flags & 2 else 1)
            found.append((start, start + segment.payload_bytes, passed))
    return found


# ---------------------------------------------------------------- what the traced program did


def written(record: Record, file: File | None, conversation: Conversation, end: str) -> Counted:
    """The writes of an open socket, byte by byte, held against what its packets carried."""
    if file is None:
        return Counted(reason=NO_DESCRIPTOR)
    counted = _with_unfinished(record, file, _counted(record, file, SENDS))
    if counted.reason:
        return counted
    packets = [] if conversation.reason else carried(conversation, end)
    if packets and max(behind for _, behind, _ in packets) > counted.total:
        return Counted(reason="more bytes went out than the recorded calls wrote: another way of writing was used")
    return _agrees(counted, packets)


def read(record: Record, file: File | None) -> Counted:
    """The reads of an open socket."""
    if file is None:
        return Counted()  # without a descriptor nothing can have been read
    return _counted(record, file, READS)


def _counted(record: Record, file: File, names: frozenset[str]) -> Counted:
    if file.born.made is None:
        return Counted(reason=record.cut or "the socket was open before the first recorded call")
    pieces: list[Piece] = []
    until = 0
    for call in file.calls:
        name = record.name(call)
        result = call.returned.result if call.returned is not None else 0
        if name in _UNCOUNTED and result > 0:
            return Counted(reason=f"{name} was used, whose bytes are not counted here")
        if name not in names or result <= 0 or not _is_for(call, name, file, names) or _peeks(call, name):
            continue
        if pieces and call.entered.t < until:
            return Counted(reason="two calls were made at one time: which of them came first is not recorded")
        until = call.returned.t if call.returned is not None else until
        start = pieces[-1].end if pieces else 0
        pieces.append(Piece(start, start + result, call, _buffer(call, name)))
    if _rings(record, file):
        return Counted(reason="the program uses an io_uring, whose reads and writes are no calls")
    return Counted(pieces)


def _with_unfinished(record: Record, file: File, counted: Counted) -> Counted:
    """With the write that is under way: a task sleeps in it until there is room, and part of it may be sent already."""
    under_way = [
        task.call
        for task in record.state.tasks.values()
        if task.in_call and task.status == "running" and task.call is not None and _writes_to(record, file, task.call)
    ]
    if not under_way or counted.reason:
        return counted
    call = under_way[0]
    overlaps = any(
        isinstance(p.by, Call) and p.by.returned and p.by.returned.t > call.entered.t for p in counted.pieces
    )
    if len(under_way) > 1 or overlaps:
        return Counted(reason="two calls were made at one time: which of them came first is not recorded")
    if record.name(call) not in _LENGTH_AT:
        return Counted(reason=f"{record.name(call)} has not returned: how many bytes it writes is not known")
    wanted = call.entered.args[_LENGTH_AT[record.name(call)]]
    start = counted.total
    piece = Piece(start, start + wanted, call, _buffer(call, record.name(call)))
    return Counted([*counted.pieces, piece], unfinished=True)


_LENGTH_AT = {"write": 2, "sendto": 2}


def _writes_to(record: Record, file: File, call: Call) -> bool:
    pid, fd = record.files.pid(call.entered.tid), call.entered.args[0] & 0xFFFFFFFF
    life = record.files.now(pid, fd)
    return record.name(call) in SENDS and life is not None and life.file is file


def _rings(record: Record, file: File) -> bool:
    """An io_uring was entered by a process that had the socket open."""
    pids = {life.pid for life in file.lives}
    return any(
        record.name(call) == "io_uring_enter" and record.files.pid(call.entered.tid) in pids for call in record.calls
    )


def _is_for(call: Call, name: str, file: File, names: frozenset[str]) -> bool:
    """splice and sendfile name two descriptors: bytes come out of one and go into the other."""
    if name not in ("splice", "sendfile"):
        return True
    at = {"sendfile": (0, 1), "splice": (2, 0)}[name][0 if names is SENDS else 1]
    return call.entered.args[at] & 0xFFFFFFFF in {life.fd for life in file.lives}


def _peeks(call: Call, name: str) -> bool:
    at = _FLAGS_AT.get(name)
    return at is not None and bool(call.entered.args[at] & _MSG_PEEK)


def _buffer(call: Call, name: str) -> bytes:
    """The beginning of what was written; b"" where it is in several pieces."""
    if name not in ("write", "sendto"):
        return b""
    return next((piece.data for piece in call.entered.mem if piece.addr == call.entered.args[1]), b"")


def _agrees(counted: Counted, packets: Iterable[tuple[int, int, Passed]]) -> Counted:
    """Where both the buffer and the packet were captured their bytes must be the same."""
    for start, _, passed in packets:
        seen = passed.payload(1 << 16)
        for piece in counted.within(start, start + len(seen)):
            first, behind = max(start, piece.start), min(start + len(seen), piece.start + len(piece.data))
            if (
                first < behind
                and seen[first - start : behind - start] != piece.data[first - piece.start : behind - piece.start]
            ):
                return Counted(reason="the packets carry other bytes than the recorded calls wrote")
    return counted


# ---------------------------------------------------------------- what a client did


def client_sent(record: Record, client: ev.Client, conversation: Conversation) -> Counted:
    """The bytes a client of the lab sent, by the act that asked for it."""
    if client.argv:
        return Counted(reason=f"what {client.name} does is not traced: it is a program of its own")
    begun = record.acts.connect_of(client.name)
    if record.acts.unnamed(actions.Send):
        return Counted(reason="a `send` named no client, and which one it meant is not recorded")
    pieces: list[Piece] = []
    for acted, action in record.acts.of(client.name):
        if isinstance(action, actions.Send) and (begun is None or acted.t >= begun.t):
            start = pieces[-1].end if pieces else 0
            pieces.append(Piece(start, start + len(action.data), acted, action.data))
    if (pieces[-1].end if pieces else 0) < client.sent:
        return Counted(reason="the client sent more than the recorded acts asked for")
    packets = [] if conversation.reason else carried(conversation, plain(client.local))
    return _agrees(Counted(pieces), packets)


# ---------------------------------------------------------------- both, as links


def origin(record: Record, end: str, conversation: Conversation, file: File | None = None) -> Counted:
    """Who wrote the bytes that this end sent: a client's acts, or calls of the traced program."""
    client = record.client_at(end)
    if client is not None:
        return client_sent(record, client, conversation)
    return written(record, file, conversation, end)


def links(record: Record, counted: Counted, start: int, end: int) -> list[Link]:
    """Who wrote these bytes, the last one first; or that it is not known."""
    if counted.reason:
        return [unknown("who wrote these bytes", counted.reason)]
    found = counted.within(start, end)
    if not found or found[0].start > start or found[-1].end < end:
        return [unknown("who wrote these bytes", "no recorded call or act accounts for all of them")]
    told = [*reversed(found)]
    out = [_link(record, piece, start, end) for piece in told[:MOST]]
    if len(told) > MOST:
        out.append(Link(f"and {len(told) - MOST:,} more before that"))
    return out


MOST = 6
"""Of more writes or packets than these the rest is counted."""


def _link(record: Record, piece: Piece, start: int, end: int) -> Link:
    first, behind = max(start, piece.start), min(end, piece.end)
    part = (
        f"all {bytes_of(piece.end - piece.start)}"
        if (first, behind) == (piece.start, piece.end)
        else _part(piece, first, behind)
    )
    if isinstance(piece.by, ev.Acted):
        return record.of_act(piece.by, part)
    return record.of_call(piece.by, part)


def _part(piece: Piece, first: int, behind: int) -> str:
    where = f"byte {first - piece.start + 1}"
    if behind - first > 1:
        where = f"bytes {first - piece.start + 1} to {behind - piece.start}"
    return f"{where} of {piece.end - piece.start:,}"


def carriers(record: Record, conversation: Conversation, end: str, start: int, behind: int) -> list[Link]:
    """The packets that carried these bytes from this end, the last one first; or that none is known."""
    if conversation.reason:
        return [unknown("the packets that carried them", conversation.reason)]
    found = [passed for first, last, passed in carried(conversation, end) if first < behind and start < last]
    if not found:
        return [unknown("the packets that carried them", "none was recorded")]
    out = [record.of_packet(passed) for passed in reversed(found[-MOST:])]
    if len(found) > MOST:
        out.append(Link(f"and {len(found) - MOST:,} more packets before that"))
    return out
