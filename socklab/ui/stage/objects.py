"""The kernel's part of the stage: a listener with its queues, a connection with its buffers, epoll, pipes and others.

In: an Item, how many cells there are, what a prediction hides. Out: lines of at most that width. In fewer cells first
details go, then buffers; the state's name goes last.
"""

from __future__ import annotations

from typing import NamedTuple

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.stage.scene import Item
from socklab.ui.view import slots
from socklab.ui.view.formats import NO_ADDRESS, address, brief, count, marker, obvious, server_host, table_name
from socklab.ui.view.index import client_index, socket_index
from socklab.ui.view.lines import Line, Span, client_role, clip, pad, width

HIDDEN: Span = ("░░░", "mask")
EMPTY: Span = (" empty", "dim")
"""Of a SYN queue."""

_DROPS = ("ListenOverflows", "ListenDrops", "TCPReqQFullDrop", "TCPReqQFullDoCookies")

_LABELLED = 36
"""Cells of a listener from which on its queues have their whole names."""
_PORTS = 20
"""Cells of a client from which on its port is there."""
_SHORT = {"ESTABLISHED": "ESTAB"}
"""As ss writes it."""
_SHORT_ERRORS = {
    "ECONNREFUSED": "refused",
    "ECONNRESET": "reset",
    "ECONNABORTED": "aborted",
    "ETIMEDOUT": "timed out",
    "EHOSTUNREACH": "no way",
    "ENETUNREACH": "no route",
}
_SHORT_PHASES = {"running": "runs", "connecting": "connects"}
"""Where the whole word has no room: no word is cut."""
_LEAST_BAR = 8
_LEAST_REST = 16
"""Cells behind a state that has changed, for the state before to be told too."""
SYN_TILES = 12
"""So many of a SYN queue have a tile, the rest are counted."""
_STATE = 12
"""Cells of a state's name with a blank behind."""
_WIDE, _MEDIUM = 58, 40
"""Cells of a connection from which on both buffers have names, and from which on both are there."""


# ---------------------------------------------------------------- a listener


def listener(state: st.LabState, item: Item, cells: int, hidden: frozenset[str]) -> list[Line]:
    """Title, SYN queue, accept queue; what was dropped stands in the title's line, where there is room."""
    row = item.row
    assert row is not None
    where = address(row.local, 99, ports=len(row.local) > cells - 10)
    edge: Line = (("┏", "listen"), ("▸", "listen tile")) if item.mark == "listener" else (("┏ ", "listen"),)
    head: Line = (*edge, ("LISTEN ", "listen"), (where, "path"))
    dropped = _dropped(state, hidden)
    gap = cells - width(head) - width(dropped) - 3
    if dropped and gap >= 0:
        title: Line = (*head, ("  ", ""), *dropped)
    else:
        title = (*head, (" " + "━" * max(0, cells - width(head) - 1), "rule"))
        if dropped:
            title = clip((*head, (" ", ""), *dropped[-1:]), cells)
    syn = "SYN queue     " if cells >= _LABELLED else "SYN     "
    return [
        clip(title, cells),
        clip((("┃ ", "listen"), (syn, "dim"), *_syn_queue(state, row, hidden)), cells),
        clip((("┗ ", "listen"), *_accept_queue(state, item, cells - 2, hidden)), cells),
    ]


def _syn_queue(state: st.LabState, row: ev.SocketRow, hidden: frozenset[str]) -> Line:
    if hidden & {"queues", "sockets"}:
        return (HIDDEN,)
    waiting = in_syn_queue(state, row)
    if not waiting:
        return (("·", "free"), EMPTY)
    spans: list[Span] = []
    for each in waiting[:SYN_TILES]:
        name = client_index(state).at(state, each.remote)
        spans.append((name, f"{client_role(name)} tile") if len(name) == 1 else ("■", client_role(name) or "syn"))
        spans.append((" ", ""))
    if again := max(each.retransmits for each in waiting):
        spans.append((f" SYN-ACK ↻{again}", "warn"))
    elif len(waiting) > SYN_TILES:
        spans.append((count(len(state.syn_queue(row))), "number"))
    return tuple(spans)


def _accept_queue(state: st.LabState, item: Item, room: int, hidden: frozenset[str]) -> Line:
    """The richest wording that fits; that it is full is said before who waits is spaced out."""
    row = item.row
    assert row is not None
    label: Line = (("accept queue  " if room >= _LABELLED else "accept  ", "dim"),)
    if "queues" in hidden:
        return (*label, HIDDEN)
    depth, limit = row.rx_queue, row.tx_queue
    moved = item.before is not None and item.before.rx_queue != depth
    numbers: Line = ((f"  {count(depth)}", "changed" if moved else "number"), (" of ", "dim"), (count(limit), "number"))
    full: Line = (("  full", "warn"),) if depth > limit else ()
    names = [client_index(state).at(state, each.remote) for each in in_accept_queue(state, row)]
    for apart in (True, False):
        tiles = slots.tiles(depth, limit, names, apart=apart)
        if width(label) + width(tiles) + width(numbers) + width(full) <= room:
            return (*label, *tiles, *numbers, *full)
    rest = room - width(label) - width(numbers) - width(full)
    if rest < 0:
        return (*numbers, *full) if width((*numbers, *full)) <= room else numbers
    return (*label, *slots.slots(depth, limit, names, rest), *numbers, *full)


def in_syn_queue(state: st.LabState, listener: ev.SocketRow) -> list[ev.SocketRow]:
    """Who is in it, in the order it is drawn."""
    return sorted(state.syn_queue(listener)[:99], key=lambda each: _age(state, each))


def in_accept_queue(state: st.LabState, listener: ev.SocketRow) -> list[ev.SocketRow]:
    """Who waits in it, in the order it is drawn; none where there are so many that no tile has a name."""
    if listener.rx_queue > 64:
        return []
    table = table_name(state, server_host(state))
    return sorted(socket_index(state).waiting(state, listener, table), key=lambda each: _age(state, each))


def _age(state: st.LabState, row: ev.SocketRow) -> tuple[int, int]:
    """The kernel lists no order: clients in the order they began to connect, others by their socket's age."""
    return client_index(state).place(state, client_index(state).at(state, row.remote)), row.id


def _dropped(state: st.LabState, hidden: frozenset[str]) -> Line:
    """How far the kernel's drop counters rose since the lab began; nothing while none did."""
    if hidden & {"counters", "queues"}:
        return ()
    table = table_name(state, server_host(state))
    now, first = state.counters.get(table, {}), state.counters_at_start.get(table, {})
    rises = [(name, now[name] - first.get(name, 0)) for name in _DROPS if name in now]
    name, rise = max(rises, key=lambda each: each[1], default=("", 0))
    if not rise:
        return ()
    changed = (table, name) in state.changed.counters
    return (("dropped ", "dim"), (f"{count(rise)}✗", "warn changed" if changed else "warn"))


# ---------------------------------------------------------------- a connection


def connection(state: st.LabState, item: Item, cells: int, hidden: frozenset[str]) -> Line:
    """ "a ESTABLISHED  receive ▓▓░░░░ 18 B"."""
    row = item.row
    assert row is not None
    role = client_role(item.name)
    name = item.name or "·"
    named: Span = (name.ljust(max(2, len(name) + 1)), f"strong {role}" if item.name else "dim")
    if "sockets" in hidden:
        return clip(((" ", ""), named, HIDDEN), cells)
    head: Line = (marker(item.change), named)
    word = st.TCP_STATES.get(row.state, f"state {row.state}")
    if item.change == "gone":
        return clip((*head, (word, "gone"), (" gone", "dim")), cells)
    moved = item.change == "new" or (item.before is not None and item.before.state != row.state)
    said: Line = ((f"{word:<{_STATE}}", item.change if moved else ""),)
    if moved and item.before is not None and item.name:
        was = st.TCP_STATES.get(item.before.state, f"state {item.before.state}")
        whole: Line = ((f"{was} → ", "dim"), (f"{word} ", item.change))
        said = whole if cells - width((*head, *whole)) >= _LEAST_REST else said
    head = (*head, *said)
    if not item.name:
        ports = obvious(state, row.remote)
        head = (*head, (f"{address(row.remote, 22, ports=ports)} ", "path"))
    return clip((*head, *_rest(item, row, cells - width(head))), cells)


def _rest(item: Item, row: ev.SocketRow, room: int) -> Line:
    """What there is to say of the connection's state: its timer, or its buffers."""
    if row.state == st.TIME_WAIT:
        left = f"{row.expires_ms / 1000:.0f} s" if row.expires_ms else ""
        said = next((text for text in (f"{left} left", left) if len(text) <= room), "") if left else ""
        return ((said, "number"),) if said else ()
    if row.state in (st.SYN_RECV, st.NEW_SYN_RECV):
        return ((f"SYN-ACK ↻{row.retransmits}", "warn"),) if row.retransmits else ()
    before = item.before
    received, sent = (
        (False, False) if before is None else (before.rx_queue != row.rx_queue, before.tx_queue != row.tx_queue)
    )
    came, gone = row.state in st.FIN_CAME and row.rx_queue > 0, row.state in st.FIN_SENT and row.tx_queue > 0
    receive = _Buffer("receive", "in", row.rx_queue - came, came, received, row.receive_used, row.receive_limit)
    send = _Buffer("send", "out", row.tx_queue - gone, gone, sent, row.send_used, row.send_limit)
    both = (receive, send)
    if room >= _WIDE - _STATE:
        return (*pad(receive.within(24, 8, named=True), 25), *send.within(room - 25, 8, named=True))
    if room >= _MEDIUM - _STATE:
        return (*pad(receive.within(15, 4), 16), *send.within(room - 16, 4))
    one = next((each for each in both if each.changed and each.bytes), None) or max(both, key=lambda each: each.bytes)
    again: Line = ((f" ↻{row.retransmits}", "warn"),) if row.retransmits else ()
    bar = min(6, room - width(one.drawn(1)) + 1 - width(again))  # the bytes are told whole, before the bar is long
    return (*one.within(room - width(again), bar if bar > 2 else 0), *again)


class _Buffer(NamedTuple):
    """A receive or send buffer: the bytes in it, and as a bar how much of its memory is taken, where that was read."""

    name: str
    short: str
    bytes: int
    fin: bool
    """And behind them the FIN, which the kernel counts as one more."""
    changed: bool
    used: int
    limit: int

    def within(self, cells: int, bar: int, *, named: bool = False) -> Line:
        """In at most `cells`: the bar gives way to the number, and of that no digit is cut."""
        ways = [self.drawn(each, named=named and each > 0) for each in (*range(bar, 2, -1), 0)]
        return next((way for way in (*ways, ways[-1][1:]) if width(way) <= cells), ())

    def drawn(self, bar: int, *, named: bool = False) -> Line:
        role = "changed" if self.changed else "number"
        word = f"{self.name} " if named else f"{self.short} "
        filled: Line = ()
        if bar and self.limit:
            # Bytes that wait are seen, however few. The kernel goes beyond the limit by a packet.
            part = min(bar, max(-(-self.used * bar // self.limit), bool(self.bytes)))
            filled = (("▓" * part, "accept"), ("░" * (bar - part), "free"), (" ", ""))
        empty = not self.bytes and (self.fin or (bool(filled) and not self.changed))
        said = " ".join([f"{brief(self.bytes, 5)} B"] * (not empty) + ["FIN"] * self.fin)
        return ((word, "dim"), *filled, (said, role))


# ---------------------------------------------------------------- what else a descriptor refers to


def other(state: st.LabState, item: Item, cells: int, hidden: frozenset[str]) -> Line:
    """A socket of no TCP table, an epoll instance, a pipe, an io_uring."""
    descriptor = item.descriptor
    assert descriptor is not None
    if "descriptors" in hidden:
        return (HIDDEN,)
    behind = descriptor.behind or ev.KernelObject()
    kind = safe(descriptor.detail) or item.kind
    title = f"{kind} socket" if item.kind == "socket" and descriptor.detail else _NAMES.get(item.kind, kind)
    if behind.local and len(title) + len("*  at ") + len(behind.local) > cells:
        title = kind  # the address is whole, before it is said that this is a socket
    told: list[Span] = [marker(item.change), (title, item.change or "strong")]
    if item.kind == "epoll":
        told += _watches(descriptor, behind)
    elif behind.capacity:
        bar = max(0, min(8, cells - 26))
        pipe = _Buffer("", "", behind.waiting_bytes or 0, False, False, behind.waiting_bytes or 0, behind.capacity)
        told += [*pipe.drawn(bar), (f" of {brief(behind.capacity, 6)}", "dim")]
    elif item.kind == "socket":
        told += _ends(kind, behind, cells - width(tuple(told)))
    return clip(tuple(told), cells)


_NAMES = {"ring": "io_uring"}


def _watches(descriptor: ev.Descriptor, behind: ev.KernelObject) -> list[Span]:
    """ "  3 of 5 ready: 5 6 7", else whom it watches."""
    watched = [str(fd) for fd, _, _ in descriptor.watches]
    if not watched:
        return [("  watches nothing", "dim")]
    more = " ..." if len(watched) > 8 or descriptor.watches_more else ""
    if descriptor.behind is None or behind.unasked:
        return [("  watches ", "dim"), (" ".join(watched[:8]) + more, "number")]
    ready = [str(fd) for fd, _ in behind.ready]
    said: Span = (f"  {len(ready)} of {len(watched)} ready", "good" if ready else "dim")
    return [said, (": " if ready else "", "dim"), (" ".join(ready[:8]), "number")]


def _ends(kind: str, behind: ev.KernelObject, room: int) -> list[Span]:
    """A socket of no TCP table: what it says of itself."""
    told: list[Span] = []
    if behind.listening:
        told.append(("  LISTEN", "listen"))
    if behind.local:
        words = ("  bound to ", "  at ") if kind.startswith("tcp") else ("  ",)
        word = next((each for each in words if len(behind.local) + len(each) <= room), words[0])
        whole = len(behind.local) + len(word) <= room or ":" not in behind.local
        told += [(word, "dim"), (safe(behind.local) if whole else address(behind.local, room, ports=True), "path")]
    elif kind.startswith("tcp") and room >= 15:  # no TCP table lists it: its state is CLOSE
        told.append(("  not connected", "dim"))
    if behind.remote:
        told += [(" ⇄ ", "dim"), (safe(behind.remote), "path")]
    if behind.accept_queue is not None:
        told += [(f"  {behind.accept_queue} of {behind.backlog}", "number")]
    if behind.waiting_bytes:
        told.append((f"  {brief(behind.waiting_bytes, 5)} B wait", "number"))
    if behind.drops:
        told.append((f"  dropped {behind.drops}✗", "warn"))
    return told


# ---------------------------------------------------------------- the other end


def before_far_end(item: Item) -> Span:
    """The cell before it: the mark of a client that a step points at, so that nothing moves aside for it."""
    return ("▸", f"{client_role(item.name)} tile") if item.mark == "client" else (" ", "")


def is_local(item: Item) -> bool:
    """Both ends of it are on the server's host: nothing of it crosses a wire."""
    if item.row is None or item.row.remote in NO_ADDRESS:
        return False
    local, remote = (text.rpartition(":")[0] for text in (item.row.local, item.row.remote))
    return local == remote


def far_end(state: st.LabState, item: Item, cells: int, hidden: frozenset[str]) -> Line:
    """ "a :40001 ESTABLISHED": a client's letter, port and its own socket's state; or the address of a stranger."""
    client = state.clients.get(item.name)
    role = client_role(item.name)
    if client is None:
        row = item.row
        if row is None or row.remote in NO_ADDRESS:
            return ()
        # Under the title of the clients' host an address of the server's own is told whole, if it fits.
        ports = obvious(state, row.remote) and not (is_local(item) and len(row.remote) <= cells)
        return clip(((address(row.remote, cells, ports=ports), "path"),), cells)
    name: Span = (safe(item.name), f"{role} tile" if item.mark == "client" else f"strong {role}")
    head: Line = (name, (" " * max(1, 2 - len(item.name)), ""))
    if client.argv and not client.name.startswith(program := client.argv[0].rpartition("/")[2]):
        head = (*head, (safe(program) + " ", role))
    port: Line = ()
    if cells >= _PORTS and client.local:
        port = ((f"{address(client.local, 6, ports=True):<7}", "dim"),)
    if hidden & {"clients", "sockets", "queues"}:
        return clip((*head, *port, HIDDEN), cells)
    ways = _does(state, client, item.peer)
    told = [(*head, *port, *ways[0]), *((*head, *way) for way in ways)]
    return next((line for line in told if width(line) <= cells), clip(head, cells))


def _does(state: st.LabState, client: ev.Client, peer: ev.SocketRow | None) -> list[Line]:
    """What is to be said of it, from the richest to the shortest."""
    if client.errno:
        from socklab.syscalls.errors import errno_name

        error = errno_name(client.errno)
        return [((error, "bad"),), ((_SHORT_ERRORS.get(error, "an error"), "bad"),)]
    ended = (f"exit status {client.code}", f"exit {client.code}") if client.phase == "done" else ()
    if peer is None:
        ways = ended or (safe(client.phase), _SHORT_PHASES.get(client.phase, ""))
        if client.phase == "half-closed":  # TIME_WAIT is over: no table lists its socket, its program may hold it
            ways = ("forgotten", "")
        return [((way, "dim"),) for way in ways if way] or [()]
    word = st.TCP_STATES.get(peer.state, f"state {peer.state}")
    before = state.changed.sockets.get((state.table_host(client.host), peer.id), peer)
    role = "changed" if before is None or before.state != peer.state else ""
    unread = peer.rx_queue - (peer.state in st.FIN_CAME and peer.rx_queue > 0)
    waits = f" {brief(unread, 5)} B" if unread else f" ↻{peer.retransmits}" if peer.retransmits else ""
    also: Line = ((waits, "number" if unread else "warn"),) if waits else ()
    if ended:
        return [((f"{ended[1]}, ", "dim"), (word, role)), *(((way, "dim"),) for way in ended)]
    short = (_SHORT.get(word, word), role)
    least: Line = ((f" {brief(unread, 5)}", "number"),) if unread else also
    return [((word, role), *also), (short, *also), (short, *least), (short,)]
