"""The whole stage: process | kernel | wire | other host, in this order always, in any number of cells.

In: a LabState, a size, what a prediction hides, what a step points at. Out: lines, and the object of each. A pure
function. What does not fit is folded to a count, never the thing the step or the call is about.
"""

from __future__ import annotations

from string import ascii_lowercase

import msgspec

from socklab import state as st
from socklab.core.text import safe
from socklab.ui.stage import objects, processes, traffic
from socklab.ui.stage.scene import LISTENER_LINES, MOST_PROCESSES, Folded, Item, Scene, scene
from socklab.ui.view.formats import count, plural
from socklab.ui.view.index import client_index
from socklab.ui.view.lines import Key, Line, Span, client_role, clip, pad, width
from socklab.ui.view.tasks import situation

_GUTTER = 4
_ARROW = "──▶ "
_FROM_ELSEWHERE = " ┄▶ "
"""A process that is not drawn has the descriptor."""
_LEAST_KERNEL = 22
"""In fewer cells one process less is drawn."""
_LEAST_WIRE = 70
"""In fewer cells the wire is left out; the title says so."""
_NO_WIRE = "KERNEL, no room for WIRE"

_FEW = 6
"""So many names are told one by one."""

_OPEN = (st.ESTABLISHED, st.FIN_WAIT1, st.FIN_WAIT2, st.CLOSE_WAIT, st.LAST_ACK, st.CLOSING)


class Columns(msgspec.Struct, frozen=True):
    """Cells of each part."""

    process: int
    kernel: int
    wire: int
    client: int


class Row(msgspec.Struct):
    """One line beside the boxes."""

    kernel: Line = ()
    item: Item | None = None
    """What an arrow goes to."""
    far: Item | None = None
    """Whose wire and other end stand there."""
    others: Line = ()
    """Instead of an other end: those that are folded."""


class Picture(msgspec.Struct, frozen=True):
    lines: list[Line]
    keys: list[Key | None]
    """The object on each line; None = none that can be chosen."""
    columns: Columns
    processes: tuple[int, ...]
    """Of the boxes, from the left."""
    rows: list[Row]
    """What stands beside the boxes, from the second line on."""

    @property
    def kernel_at(self) -> int:
        """The first cell of the kernel's part."""
        return self.columns.process * max(1, len(self.processes)) + _GUTTER

    @property
    def wire_at(self) -> int:
        """The first cell of the wire's part, where there is one."""
        return self.kernel_at + self.columns.kernel + 1


def columns(state: st.LabState, cells: int, boxes: int) -> Columns:
    """How the width is shared out; `boxes` processes stand side by side."""
    process = max(16, min(24, cells * 18 // 100)) if boxes < 2 else max(12, min(18, cells * 14 // 100))
    wired = _is_wired(state) and cells >= _LEAST_WIRE
    client = max(14 if cells >= 78 else 13, min(30, cells * 17 // 100))
    wire = max(12, min(48, cells * 17 // 100)) if wired else 0
    kernel = cells - process * max(1, boxes) - _GUTTER - client - wire - 2 * bool(wire) - 1
    if kernel > 76:
        spare = kernel - 76
        kernel, wire, client = 76, wire + (spare if wired else 0), client + (0 if wired else spare)
    return Columns(process, kernel, wire, client)


def _is_wired(state: st.LabState) -> bool:
    return len(state.packets) > 0 or (state.header is not None and state.header.network == "two-hosts")


def draw(
    state: st.LabState,
    cells: int,
    rows: int,
    *,
    hidden: frozenset[str] = frozenset(),
    pointed: str = "",
    selected: Key | None = None,
) -> Picture:
    """`rows` lines of at most `cells` cells."""
    guarded = bool(hidden & {"queues", "sockets"})
    for most in range(MOST_PROCESSES, 0, -1):
        shown = scene(state, max(1, rows - 1), pointed, most, guarded=guarded)
        places = columns(state, cells, max(1, len(shown.processes)))
        if places.kernel >= _LEAST_KERNEL or len(shown.processes) < 2:
            break
    beside = _beside(state, shown, places, rows - 1, hidden)
    if beside and (last := beside[-1].item) is not None and last.holders:
        # The box closes beside the last line: no arrow can leave it there.
        shown = scene(state, max(1, rows - 2), pointed, most, guarded=guarded)
        beside = _beside(state, shown, places, rows - 1, hidden)
    lines, arrows = _boxes(state, shown, places, beside, rows, hidden)
    exchanges = traffic.exchanges(state) if places.wire and "wire" not in hidden else {}
    picture = Picture([], [], places, shown.processes, beside)
    picture.lines.append((*lines[0], *_titles(state, shown, places, hidden)))
    picture.keys.append(None)
    for place, row in enumerate(beside[: rows - 1], 1):
        item = row.item or row.far
        key = item.key if item is not None else None
        line = (*lines[place], *_across(state, row, places, exchanges, hidden, arrow=place in arrows))
        if key is not None and key == selected:
            line = (("▸", "current"), *((text, f"current {role}") for text, role in line[1:]))
        picture.lines.append(clip(line, cells))
        picture.keys.append(key)
    return picture


# ---------------------------------------------------------------- row by row


def _beside(state: st.LabState, shown: Scene, places: Columns, rows: int, hidden: frozenset[str]) -> list[Row]:
    """What stands in each row beside the boxes; exactly `rows`."""
    cells = places.kernel
    found: list[Row] = []
    guarded = bool(hidden & {"queues", "sockets"})
    # Who has a connection here, and who has none, may be the answer: then all look the same.
    alone = [item for item in shown.items if item.kind == "client" or (guarded and item.unheld)]
    alone.sort(key=lambda item: client_index(state).place(state, item.name))
    for item in shown.items:
        if item.kind == "listener":
            title, syn, accept = objects.listener(state, item, cells, hidden)
            found += [Row(title), Row(syn), Row(accept, item)]
        elif item.kind == "connection":
            if guarded and item.unheld:
                continue
            found.append(Row(objects.connection(state, item, cells, hidden), item, item))
        elif item.kind != "client":
            found.append(Row(objects.other(state, item, cells, hidden), item))
    first = next((place for place, row in enumerate(found) if row.item is not None and row.item.kind == "listener"), -1)
    beside = found[first + 1 - LISTENER_LINES : first + 1] if first >= 0 else []
    for row, item in zip(beside, alone, strict=False):  # what no socket here knows asks the listener
        row.far = item
    found += [Row((), None, item) for item in alone[len(beside) :]]
    if not guarded:
        _head(found, rows - 1 if shown.connections.states or shown.clients.states else rows, cells)
    if shown.connections.states or shown.clients.states:
        masked = bool(hidden & {"queues", "sockets", "clients"})
        more = Row(
            _more(shown.connections, places.kernel, masked), None, None, _more(shown.clients, places.client, masked)
        )
        found = [*found[: rows - 1], more]
    return [*found, *(Row() for _ in range(rows - len(found)))][:rows]


def _more(folded: Folded, cells: int, masked: bool) -> Line:
    """ "  c … e  3 more ESTABLISHED", "  c f  2 more ESTABLISHED"; in few cells "+3 ESTABLISHED"."""
    if not folded.states:
        return ()
    if masked:
        return (("  … ", "dim"), objects.HIDDEN)
    names = _names(folded.names)
    told = ", ".join(f"{count(many)} {name}" for name, many in folded.states.items())
    one = f"{count(sum(folded.states.values()))} more {', '.join(folded.states)}"
    few = f"+{count(sum(folded.states.values()))} more"
    for text in (f"  {names}{one if len(folded.states) == 1 else told + ' more'}", f"+{told}", few):
        if len(text) <= cells:
            return ((text, "dim"),)
    return clip(((few, "dim"),), cells)


def _names(names: tuple[str, ...]) -> str:
    """ "b … e  " of neighbours only, for the kernel's order is not the alphabet's; else "b f i  " of a few."""
    if len(names) < 2:
        return ""
    inside = "".join(names) in ascii_lowercase
    if inside and len(names) > 2:
        return f"{names[0]} … {names[-1]}  "
    return " ".join(map(safe, names)) + "  " if len(names) <= _FEW else ""


def _head(found: list[Row], rows: int, cells: int) -> None:
    """A heading over the connections that nobody has accepted, where there is room for one."""
    place = next((n for n, row in enumerate(found) if row.far is not None and not row.far.accepted), -1)
    if place >= 0 and len(found) < rows and any(row.item is not None and row.item.holders for row in found):
        told = "complete, not accepted: no descriptor yet" if cells >= 44 else "not accepted yet"
        found.insert(place, Row(((f"  {told}", "dim"),)))


def _boxes(
    state: st.LabState, shown: Scene, places: Columns, beside: list[Row], rows: int, hidden: frozenset[str]
) -> tuple[list[Line], frozenset[int]]:
    """The processes side by side with their arrows, and the rows in which one leaves the last of them."""
    anchors = {place: row.item for place, row in enumerate(beside, 1) if row.item is not None and row.item.holders}
    if not shown.processes:
        return _nobody(state, places.process, rows), frozenset()
    drawn = [processes.box(state, pid, anchors, rows, places.process, hidden) for pid in shown.processes]
    lines: list[Line] = [()] * rows
    going: set[int] = set()
    for box, out in drawn:
        for row in range(rows):
            line = box[row]
            if row in going and row in out:  # the arrow of a process further left comes in: one object for both
                line = (("┼", "rule"), *line[1:])
            elif row in going:  # it passes
                inner = places.process - 2
                blank = all(not text.strip() for text, _ in line[1:-1])
                line = (
                    (("┼", "rule"), ("─" * inner, "dim"), ("┼", "rule"))
                    if blank
                    else (("┼", "rule"), *line[1:-1], ("┼", "rule"))
                )
            lines[row] = (*lines[row], *line)
        going |= out
    if shown.more_processes:
        told = f" +{count(shown.more_processes)} more "
        left = width(lines[-1]) - len(told) - 2
        lines[-1] = (*clip(lines[-1], left, ""), (told, "dim"), ("─╯", "rule"))
    return lines, frozenset(going)


def _nobody(state: st.LabState, cells: int, rows: int) -> list[Line]:
    """Where no process is: it has ended, or has not begun."""
    began = state.started is not None
    said = ("has ended" if began else "starting …", "dim")
    return [pad(((" PROCESS", "dim"),), cells), pad((("  ", ""), said), cells), *[pad((), cells)] * max(0, rows - 2)]


def _titles(state: st.LabState, shown: Scene, places: Columns, hidden: frozenset[str]) -> Line:
    """Over the other parts: which host it is."""
    hosts = state.header.hosts if state.header is not None else ()
    server, client = (
        next((h.addresses[0] for h in hosts if h.name == name and h.addresses), "") for name in ("server", "client")
    )
    kernel = f"KERNEL of {safe(server)}" if server else "KERNEL"
    if not shown.processes and state.started is not None:
        ways = (f"{kernel}, as last read", "KERNEL, as last read", "KERNEL")
        kernel = next((way for way in ways if len(way) <= places.kernel), "")
    elif not places.wire and _is_wired(state) and len(_NO_WIRE) <= places.kernel:
        kernel = _NO_WIRE
    elif len(kernel) > places.kernel:
        kernel = "KERNEL"
    if hidden:
        kernel = "░ hidden until you answer"
    other = f"CLIENTS on {safe(client)}"
    if not client or client == server or len(other) > places.client:
        other = "CLIENTS"
    indent = " " * max(0, min(2, places.kernel - len(kernel)))
    title: Line = clip(((f"{indent}{kernel}", "strong" if hidden else "dim"),), places.kernel)
    line: Line = ((" " * _GUTTER, ""), *pad(title, places.kernel))
    if places.wire:
        line = (*line, (" ", ""), *pad(clip(_wire_title(state, places.wire), places.wire), places.wire))
    return (*line, (" ", ""), *clip(((other, "dim"),), places.client))


def _wire_title(state: st.LabState, cells: int) -> Line:
    rules = "; ".join(map(safe, state.wire_rules))
    if not rules:
        return (("WIRE".center(cells).rstrip(), "dim"),)
    return ((rules if len(rules) <= cells else f"WIRE {plural(len(state.wire_rules), 'rule')}", "warn"),)


def _across(
    state: st.LabState,
    row: Row,
    places: Columns,
    exchanges: dict[traffic.Ends, traffic.Exchange],
    hidden: frozenset[str],
    *,
    arrow: bool,
) -> Line:
    """Arrow, kernel, wire, other end."""
    held = row.item is not None and row.item.row is not None and not (row.item.unheld and row.item.kind == "connection")
    elsewhere = held and situation(state) != "e"
    lead: Span = (_ARROW, "strong") if arrow else (_FROM_ELSEWHERE, "dim") if elsewhere else (" " * _GUTTER, "")
    line: Line = (lead, *pad(clip(row.kernel, places.kernel), places.kernel))
    if row.far is None:
        gap = places.wire + 2 if places.wire else 1
        return (*line, (" " * gap, ""), *row.others) if row.others else line
    if places.wire:
        line = (*line, (" ", ""), *pad(_wire(state, row.far, places.wire, exchanges, hidden), places.wire))
    return (*line, objects.before_far_end(row.far), *objects.far_end(state, row.far, places.client, hidden))


def _wire(
    state: st.LabState,
    item: Item,
    cells: int,
    exchanges: dict[traffic.Ends, traffic.Exchange],
    hidden: frozenset[str],
) -> Line:
    if hidden & {"wire", "sockets"} or ("queues" in hidden and item.unheld):
        return ()
    client = state.clients.get(item.name)
    ends = (
        (item.row.local, item.row.remote)
        if item.row is not None
        else (client.remote, client.local)
        if client
        else ("", "")
    )
    exchange = exchanges.get(ends)
    if exchange is not None:
        return traffic.arrow(exchange, cells, client_role(item.name))
    known = item.row or item.peer
    if item.row is None or item.change == "gone" or known is None or known.state not in _OPEN:
        return ()
    return traffic.loopback(cells) if objects.is_local(item) else traffic.quiet(cells, "rule")
