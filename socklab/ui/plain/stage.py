"""The stage in sentences: who holds what, what waits where, what crosses, in the order in which the screen draws it.

In: a LabState, what a prediction hides. Out: lines of visible text. Says of each object what the drawing says, from the
same Scene. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.plain import facts
from socklab.ui.stage import traffic
from socklab.ui.stage.scene import Item, Scene, host, scene
from socklab.ui.view.index import client_index, socket_index
from socklab.ui.view.lines import View, plain

LINES = 60
_NOT_SAID = "hidden until you answer"


def sentences(state: st.LabState, hidden: frozenset[str] = frozenset()) -> list[str]:
    """All of it; what does not fit into LINES is counted."""
    shown = scene(state, LINES, most_processes=99)
    exchanges = {} if hidden & {"wire", "sockets"} else traffic.exchanges(state)
    lines = [facts.process_text(state, state.tasks[pid]) for pid in shown.processes if pid in state.tasks]
    for item in shown.items:
        if not (item.unheld and hidden & {"queues", "sockets", "clients"}):  # who has one here may be the answer
            lines += _item(state, shown, item, exchanges, hidden)
    for folded, what in ((shown.connections, "connections"), (shown.clients, "clients without a socket here")):
        if folded.states:
            counts = ", ".join(f"{many} {name}" for name, many in folded.states.items())
            lines.append(f"more {what}: {_NOT_SAID if hidden & {'queues', 'sockets', 'clients'} else counts}")
    return lines or ["nothing yet"]


def told(state: st.LabState, name: str, hidden: frozenset[str]) -> list[str]:
    """The stage in sentences; of another panel the text that the screen shows."""
    if name == "stage":
        return sentences(state, hidden)
    from socklab.ui.tui.panels import registry

    lines = (plain(line).rstrip() for line in registry.panel(name).render(state, View(78, 40)))
    return [line for line in lines if line]


def _item(
    state: st.LabState,
    shown: Scene,
    item: Item,
    exchanges: dict[traffic.Ends, traffic.Exchange],
    hidden: frozenset[str],
) -> Iterator[str]:
    if item.kind == "client":
        said = _client(state, item, hidden)
        yield f"client {safe(item.name)}: {said}; the server has no socket for it{_wire(state, item, exchanges)}"
    elif item.kind == "listener" and item.row is not None:
        yield f"{_holders(shown, item)} listener {safe(item.row.local)}"
        syn = _NOT_SAID if hidden & {"queues", "sockets"} else _names(state, state.syn_queue(item.row))
        yield f"  SYN queue: {syn}"
        yield f"  accept queue: {_NOT_SAID if 'queues' in hidden else _accept_queue(state, item.row)}"
    elif item.kind == "connection" and item.row is not None:
        name = f"client {safe(item.name)}" if item.name else safe(item.row.remote)
        said = _NOT_SAID if "sockets" in hidden else facts.socket_state(item.row) + " gone" * (item.change == "gone")
        far = f"; {name}: {_client(state, item, hidden)}" if item.name else ""
        yield f"{_holders(shown, item)} connection of {name}: {said}{far}{_wire(state, item, exchanges)}"
    elif item.descriptor is not None and "descriptors" not in hidden:
        told = facts.descriptor_text(state, item.holders[0][0], item.descriptor) if item.holders else item.kind
        yield f"{_holders(shown, item)} {told.partition(': ')[2] or told}"


def _holders(shown: Scene, item: Item) -> str:
    """ "descriptor 3 -> ", of which processes where there are several."""
    if not item.holders:
        return "no descriptor ->"
    several = len(shown.processes) > 1
    named = (f"descriptor {fd}" + (f" of process {pid}" if several else "") for pid, fd in item.holders)
    return f"{' and '.join(named)} ->"


def _names(state: st.LabState, rows: list[ev.SocketRow]) -> str:
    if not rows:
        return "empty"
    names = [client_index(state).at(state, row.remote) or safe(row.remote) for row in rows[:24]]
    return ", ".join(sorted(names)) + (f" and {len(rows) - 24} more" if len(rows) > 24 else "")


def _accept_queue(state: st.LabState, row: ev.SocketRow) -> str:
    depth, limit = row.rx_queue, row.tx_queue
    waiting = socket_index(state).waiting(state, row, host(state)) if 0 < depth <= 1000 else []
    who = f": {_names(state, waiting)}" if waiting else ""
    return f"{depth} of {limit}{', full' if depth > limit else ''}{who}"


def _client(state: st.LabState, item: Item, hidden: frozenset[str]) -> str:
    if hidden & {"clients", "sockets"}:
        return _NOT_SAID
    if item.peer is not None:
        return facts.socket_state(item.peer)
    client = state.clients.get(item.name)
    return safe(client.phase) if client is not None else "unknown"


def _wire(state: st.LabState, item: Item, exchanges: dict[traffic.Ends, traffic.Exchange]) -> str:
    """ "; on the wire: SYN to the server, held"."""
    exchange = exchanges.get(item.ends(state))
    if exchange is None:
        return ""
    where = "server" if exchange.shown.rightward else "client"
    again = f", sent again {exchange.again}×" if exchange.again else ""
    fate = safe(exchange.fate) or "under way"
    more = f", and {exchange.more} more" if exchange.more and fate in ("held", "delayed") else ""
    return f"; on the wire: {traffic.what(exchange.shown)} to the {where}, {fate}{more}{again}"
