"""Where a thing stands in a picture of the stage: a tile in a queue, a connection, its buffer, the end of its arrow.

In: a Picture and the state it was drawn of. Out: cells, or None for what is not drawn. Found by the spans that the
drawing put into each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from socklab import state as st
from socklab.protocol import events as ev
from socklab.ui.stage import objects
from socklab.ui.stage.drawing import Picture
from socklab.ui.stage.scene import Item
from socklab.ui.view.index import port_of
from socklab.ui.view.lines import Line, cell_len

Cell: TypeAlias = tuple[int, int]
"""(line, cell) from the top left."""

_NO_TILES = " ·┊|[]"


def tile(state: st.LabState, picture: Picture, row: ev.SocketRow, *, syn: bool) -> Cell | None:
    """The tile of a connection in its listener's SYN queue, or in its accept queue; None where no single tile is."""
    for line, beside in enumerate(picture.rows, 1):
        item = beside.item
        if item is None or item.kind != "listener" or item.row is None or port_of(item.row.local) != port_of(row.local):
            continue
        line -= syn  # the accept queue is the row that has the item, the SYN queue stands above it
        order = objects.in_syn_queue(state, item.row) if syn else objects.in_accept_queue(state, item.row)
        cells = _tiles(picture.rows[line - 1].kernel)
        drawn = min(len(order), objects.SYN_TILES) if syn else len(order)
        place = next((n for n, each in enumerate(order) if each.id == row.id), -1)
        if line < 1 or len(cells) != drawn or not 0 <= place < drawn:
            return None
        return line, picture.kernel_at + cells[place]
    return None


def _tiles(line: Line) -> Sequence[int]:
    """The cells of a queue's tiles."""
    found, x = [], 0
    for text, role in line:
        if len(text) == 1 and text not in _NO_TILES and "number" not in role and "changed" not in role:
            found.append(x)
        x += cell_len(text)
    return found


def said_empty(picture: Picture, queue: Cell) -> Cell | None:
    """Where the line of a SYN queue says that it is empty."""
    x = picture.kernel_at
    for span in picture.rows[queue[0] - 1].kernel:
        if span == objects.EMPTY:
            return queue[0], x
        x += cell_len(span[0])
    return None


def connection(picture: Picture, id: int) -> Cell | None:
    """The letter of a connection in its own row, the kernel's part."""
    line, _ = _row(picture, id)
    return (line, picture.kernel_at + 1) if line else None


def receive_buffer(picture: Picture, id: int) -> Cell | None:
    """Where a connection's receive buffer begins: its bar, or its number where there is no room for a bar."""
    line, _ = _row(picture, id)
    x = picture.kernel_at
    for text, _ in picture.rows[line - 1].kernel if line else ():
        x += cell_len(text)
        if text in ("receive ", "in "):
            return line, x
    return None


def descriptor(picture: Picture, id: int, pid: int) -> Cell | None:
    """The dot at the edge of a process from which an arrow goes to this connection."""
    line, item = _row(picture, id)
    if item is None or pid not in picture.processes or all(of != pid for of, _ in item.holders):
        return None
    return line, picture.columns.process * (picture.processes.index(pid) + 1) - 1


def result(picture: Picture, pid: int, value: int) -> Cell | None:
    """Where the box of a process says what its call returned."""
    if pid not in picture.processes:
        return None
    first = picture.columns.process * picture.processes.index(pid)
    for number in range(len(picture.lines) - 1, 0, -1):
        x = 0
        for text, _ in picture.lines[number]:
            if first <= x < first + picture.columns.process and text.strip() == f"= {value}":
                return number, x + len(text) - len(text.lstrip())
            x += cell_len(text)
    return None


def wire(picture: Picture, id: int, cells: int, *, middle: bool = False) -> Cell | None:
    """Where so many cells stand at the client's end of a connection's wire, or in the middle of it."""
    line, _ = _row(picture, id)
    room = picture.columns.wire - cells
    if not line or room < 1:
        return None
    return line, picture.wire_at + (room // 2 if middle else room)


def wire_end(picture: Picture, id: int) -> Cell | None:
    """The kernel's end of a connection's wire."""
    line, _ = _row(picture, id)
    return (line, picture.wire_at) if line and picture.columns.wire else None


def _row(picture: Picture, id: int) -> tuple[int, Item | None]:
    """The line of a connection that is there; 0 = it has none."""
    for line, beside in enumerate(picture.rows, 1):
        item = beside.item
        if item is not None and item.kind == "connection" and item.key[1] == id and item.change != "gone":
            return line, item
    return 0, None
