"""What moved on the stage from one picture to the next: connections from queue to queue to descriptor, and bytes.

In: two states with the picture of each. Out: Moves, a thing and the cells it passes, and what lies over the second
picture at a moment of them. A pure function. A move is there only where both states prove it: the same socket of the
kernel in one place and then in the other; bytes where what came, what was read and what waits add up. All else just
has its mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

import msgspec

from socklab import state as st
from socklab.packets import packet_log
from socklab.packets.packet_log import Passed
from socklab.protocol import events as ev
from socklab.ui.stage import objects, places
from socklab.ui.stage.drawing import Picture
from socklab.ui.stage.places import Cell
from socklab.ui.stage.scene import host
from socklab.ui.stage.traffic import LOOKED_AT
from socklab.ui.view.formats import brief, call_name
from socklab.ui.view.index import client_index, holder_index
from socklab.ui.view.lines import Overlay, Span, cell_len, client_role

MOST = 8
"""Of more things that moved at once none is followed by an eye: none moves."""
_MOST_CHANGED = 200
_KEPT = 64

_WAITING = (st.ESTABLISHED, st.CLOSE_WAIT)
_IN_SYN_QUEUE = (st.SYN_RECV, st.NEW_SYN_RECV)

_READS = {"read": -1, "readv": -1, "recvfrom": 3, "recvmsg": 2}
"""Calls whose result is the bytes they took, and which argument has the flags."""
_STAYS = 5
"""So many cells' time a thing stays where it has leapt to."""
_MSG_TRUNC = 0x20
"""Of a TCP socket: the bytes are thrown away, the program gets none of them. tcp(7)"""


class Still(NamedTuple):
    """A picture and what it was drawn of."""

    state: st.LabState
    picture: Picture


class Move(msgspec.Struct, frozen=True):
    """A thing on its way."""

    span: Span
    path: tuple[Cell, ...]
    """Where its first cell is, from beginning to end."""
    covers: tuple[tuple[Cell, Span], ...] = ()
    """What lies over the picture meanwhile: what is on its way is not there yet."""


# ---------------------------------------------------------------- what moved


def moves(before: Still, after: Still) -> tuple[Move, ...]:
    """What the two prove to have moved. Nothing where more than one call lies between them: nobody saw those."""
    a, b = before.state, after.state
    if not _follows(before, after):
        return ()
    proven = list(_proven(a, b))
    if len(proven) > MOST:
        return ()
    found = []
    for thing in proven:
        legs = _legs(before, after, thing)
        drawn = [[cell for cell in leg if cell is not None and cell[0] < len(after.picture.lines)] for leg in legs]
        if drawn == legs:
            path = tuple(cell for leg in drawn for cell in _route(leg))
            found.append(Move(_drawn(b, thing), path, tuple(_covers(after.picture, thing, path))))
    return tuple(found)


def _follows(before: Still, after: Still) -> bool:
    """`after` comes next, and its parts stand where those of `before` stood."""
    a, b = before.state, after.state
    if not 0 <= b.stops - a.stops <= 1 or not 0 <= b.entered - a.entered <= 1:
        return False
    if a.tables is b.tables and a.calls is b.calls:
        return False
    old, new = before.picture, after.picture
    # Of another height it may be: a question came or went below it.
    return (old.columns, old.processes) == (new.columns, new.processes) and len(b.changed.sockets) <= _MOST_CHANGED


class _Thing(NamedTuple):
    """What moved: a connection, or bytes of one."""

    row: ev.SocketRow
    way: tuple[str, ...]
    """Through these: syn, accept, held; wire, receive, program."""
    pid: int = 0
    bytes: int = 0
    kept: bool = False
    """The wire had kept them."""


def _proven(a: st.LabState, b: st.LabState) -> Iterator[_Thing]:
    table = host(b)
    old, new = (state.tables.get(table, st.NO_TABLE).rows for state in (a, b))
    read = _read(a, b)
    ids = [id for of, id in b.changed.sockets if of == table]
    if read is not None and read.id not in ids:  # what came was taken at once: nothing waits, as before
        ids.append(read.id)
    arrived: dict[tuple[str, str], _Arrived] | None = None
    for id in ids:
        was, row = old.get(id), new.get(id)
        if was is None or row is None or (was.local, was.remote) != (row.local, row.remote):
            continue
        if not was.inode and (way := _way(b, was, row)):
            yield way
        taken = read.bytes if read is not None and read.id == id else 0
        if taken or _bytes(was) != _bytes(row):
            arrived = _arrived(a, b) if arrived is None else arrived
            yield from _moved_bytes(was, row, arrived.get((row.local, row.remote), _Arrived()), taken, read)


def _way(b: st.LabState, was: ev.SocketRow, row: ev.SocketRow) -> _Thing | None:
    """A connection without a descriptor went on: to the accept queue, or to a descriptor, which only accept gives."""
    begins = "syn" if was.state in _IN_SYN_QUEUE else "accept" if was.state in _WAITING else ""
    if not begins:
        return None
    if row.inode:
        holders = holder_index(b).holders(b, row.inode)
        return _Thing(row, (begins, "held"), holders[0][0]) if holders else None
    return _Thing(row, ("syn", "accept")) if begins == "syn" and row.state in _WAITING else None


def _moved_bytes(
    was: ev.SocketRow, row: ev.SocketRow, arrived: _Arrived, taken: int, read: _Read | None
) -> Iterator[_Thing]:
    """Only where it adds up: what waited and what came is what was taken and what waits."""
    if _bytes(was) + arrived.bytes != _bytes(row) + taken:
        return
    pid = read.pid if read is not None else 0
    if taken and taken == arrived.bytes and not _bytes(was):
        yield _Thing(row, ("wire", "receive", "program"), pid, taken, arrived.kept)
        return
    if arrived.bytes:
        yield _Thing(row, ("wire", "receive"), 0, arrived.bytes, arrived.kept)
    if taken:
        yield _Thing(row, ("receive", "program"), pid, taken)


def _bytes(row: ev.SocketRow) -> int:
    """That wait to be read; a FIN behind them is none, and the kernel counts it as one."""
    return row.rx_queue - (row.state in st.FIN_CAME and row.rx_queue > 0)


class _Read(NamedTuple):
    """The last call that returned took bytes from a connection."""

    id: int
    pid: int
    bytes: int


def _read(a: st.LabState, b: st.LabState) -> _Read | None:
    call = b.calls[-1] if len(b.calls) else None
    if call is None or call.returned is None or call.returned.result <= 0 or (len(a.calls) and a.calls[-1] is call):
        return None
    name = call_name(b, call.entered.nr)
    task = b.tasks.get(call.entered.tid)
    if task is None or name not in _READS:
        return None
    flags = call.entered.args[_READS[name]] if _READS[name] >= 0 else 0
    row = b.socket_of(task.pid, call.entered.args[0] & 0xFFFFFFFF)
    if row is None or flags & _MSG_TRUNC:
        return None
    return _Read(row.id, task.pid, call.returned.result)


class _Arrived(NamedTuple):
    """Bytes that the wire delivered to one end."""

    bytes: int = 0
    kept: bool = False


def _arrived(a: st.LabState, b: st.LabState) -> dict[tuple[str, str], _Arrived]:
    """By connection, to the server; the same bytes sent twice are there once."""
    pieces: dict[tuple[str, str], dict[int, int]] = {}
    kept = set()
    for passed in _delivered(a, b):
        segment = passed.segment
        if segment.protocol == "TCP" and not segment.problem and segment.payload_bytes and passed.rightward:
            ends = passed.server, passed.client
            sizes = pieces.setdefault(ends, {})
            sizes[segment.seq] = max(segment.payload_bytes, sizes.get(segment.seq, 0))
            if passed.packet.id in b.waited_ns:
                kept.add(ends)
    return {ends: _Arrived(sum(sizes.values()), ends in kept) for ends, sizes in pieces.items()}


def _delivered(a: st.LabState, b: st.LabState) -> Iterator[Passed]:
    last = a.packets[-1].id if len(a.packets) else 0
    for number in islice(a.on_the_way, _KEPT):
        if b.fates.get(number) == "delivered" and (place := packet_log.index_of(b.packets, number)) >= 0:
            yield packet_log.at(b.packets, place)
    for place in range(len(b.packets) - 1, max(-1, len(b.packets) - 1 - LOOKED_AT), -1):
        if b.packets[place].id <= last:
            return
        if b.fates.get(b.packets[place].id) == "delivered":
            yield packet_log.at(b.packets, place)


# ---------------------------------------------------------------- from where to where


def _legs(before: Still, after: Still, thing: _Thing) -> list[list[Cell | None]]:
    """Corners of its way, which begins where it was seen before and ends in the picture that is seen now. From leg to
    leg it leaps: what stands between a wire and a receive buffer is the send buffer, and it never was in that."""
    row, new = thing.row, after.picture
    match thing.way:
        case ("syn", "accept"):
            begin = places.tile(before.state, before.picture, row, syn=True)
            return [[begin, places.tile(after.state, new, row, syn=False)]]
        case (queue, "held"):
            begin = places.tile(before.state, before.picture, row, syn=queue == "syn")
            return [[begin, places.connection(new, row.id), places.descriptor(new, row.id, thing.pid)]]
    legs: list[list[Cell | None]] = []
    if "wire" in thing.way:
        cells = cell_len(_drawn(after.state, thing)[0])
        legs.append([places.wire(new, row.id, cells, middle=thing.kept), places.wire_end(new, row.id)])
    buffer = places.receive_buffer(new, row.id)
    if "program" not in thing.way:
        return [*legs, [buffer] * _STAYS]
    told = places.result(new, thing.pid, thing.bytes)
    return [*legs, [buffer, places.descriptor(new, row.id, thing.pid), *([told] if told is not None else ())]]


def _covers(picture: Picture, thing: _Thing, route: tuple[Cell, ...]) -> Iterator[tuple[Cell, Span]]:
    if thing.way[-1] == "accept":
        yield route[-1], ("·", "free")
    if thing.way[0] == "syn" and (said := places.said_empty(picture, route[0])):
        yield said, (" " * len(objects.EMPTY[0]), "")


def _drawn(state: st.LabState, thing: _Thing) -> Span:
    name = client_index(state).at(state, thing.row.remote)
    role = f"{client_role(name)} tile".strip()
    if thing.bytes:
        return f"{brief(thing.bytes, 5)} B", role
    return (name if len(name) == 1 else "■"), role


def _route(corners: list[Cell]) -> tuple[Cell, ...]:
    """Every cell from corner to corner, first up or down and then along the line: it crosses other lines shortly."""
    cells = [corners[0]]
    for (y, x), (to_y, to_x) in pairwise(corners):
        if (y, x) == (to_y, to_x):
            cells.append((y, x))
        down, right = 1 if to_y > y else -1, 1 if to_x > x else -1
        cells += [(line, x) for line in range(y + down, to_y + down, down) if y != to_y]
        cells += [(to_y, cell) for cell in range(x + right, to_x + right, right) if x != to_x]
    return tuple(cells)


# ---------------------------------------------------------------- at a moment


def overlay(moving: Sequence[Move], t: float) -> Overlay:
    """What lies over the second picture at a moment from 0, the beginning, to 1, the end."""
    found: dict[int, tuple[tuple[int, Span], ...]] = {}
    at = [(move.path[max(0, min(len(move.path) - 1, int(t * len(move.path))))], move.span) for move in moving]
    for (y, x), span in (*(cover for move in moving for cover in move.covers), *at):
        found[y] = (*found.get(y, ()), (x, span))
    return found
