"""What the kernel holds, as sentences: descriptors, sockets, queues, counters, clients.

In: LabStates. Out: lines of visible text, one fact each. `Told` remembers what was said, so that only news is said
again. Pure: never reads, never prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias, TypeVar

from socklab import state as st
from socklab.core.plural import counted
from socklab.core.signals import signal_name
from socklab.core.text import safe
from socklab.probes import call_name
from socklab.protocol import events as ev
from socklab.ui import counter_words
from socklab.ui.plain import packet_facts

T = TypeVar("T")
Said: TypeAlias = set[int | tuple[int, str]]
"""What has been told in the same breath: inodes of sockets with their descriptors; state and local end of sockets."""

MOST = 24
"""Lines of one kind that are told at once; the rest is counted."""


class Told:
    """The state as it was last told, for each kind of fact. `news` gives what differs and remembers it."""

    def __init__(self) -> None:
        self._seen = dict.fromkeys(NEWS, st.LabState())

    def news(self, now: st.LabState, masked: frozenset[str]) -> list[str]:
        """Lines for what differs from what was told before; a masked kind is kept for the next time.

        Masks are names of panels (socklab.lesson.PANELS).
        """
        lines: list[str] = []
        said: Said = set()
        for kind, news in NEWS.items():
            if kind not in masked:
                told = list(news(self._seen[kind], now, said))
                lines += told if kind == "wire" else _cut(told)  # of packets each counts
                self._seen[kind] = now
        return lines


def _cut(lines: list[str]) -> list[str]:
    if len(lines) <= MOST:
        return lines
    return [*lines[: MOST - 1], f"... and {len(lines) - MOST + 1} more of this kind"]


def _changes(
    where: str, before: Mapping[int, T], now: Mapping[int, T], *,
    order: Callable[[T], Any], essence: Callable[[T], object], text: Callable[[T], str], gone: Callable[[T], str],
    was: Callable[[T, T], str] = lambda old, new: "", told: Callable[[T | None, T], bool] = lambda old, new: False,
) -> Iterator[str]:  # fmt: skip
    """What is new (+), what has changed its `essence` (*), what is gone (-) of numbered things that are `where`, if it
    was not `told` already."""
    if before is now:
        return
    for number, new in sorted(now.items(), key=lambda item: order(item[1])):
        old = before.get(number)
        if old is new or (old is not None and essence(old) == essence(new)) or told(old, new):
            continue
        if old is None:
            yield f"+ {where}{text(new)}"
        else:
            yield f"* {where}{text(new)}{was(old, new)}"
    yield from (f"- {where}{gone(before[number])}" for number in sorted(set(before) - set(now)))


# ---------------------------------------------------------------- descriptors


def descriptor_text(state: st.LabState, pid: int, descriptor: ev.Descriptor) -> str:
    """`descriptor 4: socket:[123], ESTABLISHED 10.0.0.1:8080 with 10.0.0.2:5555`."""
    row = state.socket_of(pid, descriptor.fd)
    text = f"descriptor {descriptor.fd}: {safe(descriptor.target)}"
    if row is not None:
        return f"{text}, {_state(row)} {ends(row)}"
    if descriptor.ring is not None:
        from socklab.syscalls import rings

        return "; ".join((text, *rings.lines(descriptor.ring)))
    told = [safe(descriptor.detail)] if descriptor.detail else []
    if descriptor.behind is not None:
        told += _behind(descriptor, descriptor.behind)
    return ", ".join((text, *told))


def _behind(descriptor: ev.Descriptor, behind: ev.KernelObject) -> Iterator[str]:
    """`at 127.0.0.1:5300`, `3 of 65536 bytes`, `2 of 5 ready: 4 and 6`: what it says of itself."""
    if behind.listening:
        yield "listens"
    if behind.local:
        yield f"at {safe(behind.local)}"
    if behind.remote or behind.peer_inode:
        yield f"with {safe(behind.remote) or f'socket:[{behind.peer_inode}]'}"
    if behind.accept_queue is not None:
        yield f"accept queue {behind.accept_queue} of {behind.backlog}"
    if behind.capacity:
        yield f"holds {behind.waiting_bytes or 0} of {counted(behind.capacity, 'byte')}"
    elif behind.waiting_bytes:
        datagram = " in its next datagram" if descriptor.detail.startswith(("udp", "unix datagram")) else ""
        yield f"{counted(behind.waiting_bytes, 'byte')} to read{datagram}"
    if behind.drops:
        yield f"{behind.drops} dropped"
    if descriptor.watches:
        ready = ", ".join(str(fd) for fd, _ in behind.ready)
        asked = len(descriptor.watches) - len(behind.unasked)
        yield f"{len(behind.ready)} of {asked} ready{f': {ready}' if ready else ''}"


def _descriptor_essence(descriptor: ev.Descriptor) -> tuple[object, ...]:
    """What makes a descriptor worth telling again: not that a file was read on, nor what its buffers take."""
    behind = descriptor.behind or ev.KernelObject()
    moves = (behind.accept_queue, behind.waiting_bytes, behind.drops, behind.ready)
    stays = (behind.local, behind.remote, behind.peer_inode, behind.listening)
    return (descriptor.target, descriptor.flags, descriptor.ring, moves, stays)


def descriptor_news(before: st.LabState, now: st.LabState, said: Said) -> Iterator[str]:
    def note(pid: int, old: ev.Descriptor | None, new: ev.Descriptor) -> bool:
        if now.socket_of(pid, new.fd) is not None:
            said.add(new.inode)
        if old is None:
            return False
        # While the program sleeps its objects are not asked: that less is known of one is no news of it.
        as_told = st.as_far_as(new, old, now.changed.unasked.get((pid, new.fd)))
        return _descriptor_essence(as_told) == _descriptor_essence(new)

    for pid, table in now.descriptors.items():
        yield from _changes(
            f"process {pid}: " if len(now.descriptors) > 1 else "",
            before.descriptors.get(pid) or {},
            table,
            order=lambda each: each.fd,
            essence=_descriptor_essence,
            text=partial(descriptor_text, now, pid),
            gone=lambda each: f"descriptor {each.fd} is closed",
            told=partial(note, pid),
        )


# ---------------------------------------------------------------- sockets and queues


def _state(row: ev.SocketRow) -> str | int:
    return st.TCP_STATES.get(row.state, row.state)


def ends(row: ev.SocketRow) -> str:
    if row.state in (st.LISTEN, st.CLOSE):
        return f"at {safe(row.local)}"
    return f"{safe(row.local)} with {safe(row.remote)}"


class Owners:
    """Who holds which socket, looked up once for a whole table."""

    def __init__(self, state: st.LabState) -> None:
        several = len(state.descriptors) > 1
        self._by_inode: dict[int, str] = {}
        self._by_local: dict[str, str] = {}
        for client in state.clients.values():
            name = f"client {safe(client.name)}"
            self._by_local[client.local] = name
            if client.inode:
                self._by_inode[client.inode] = name
        for pid, table in state.descriptors.items():
            for descriptor in table.values():
                if descriptor.inode:
                    who = f" of process {pid}" if several else ""
                    self._by_inode[descriptor.inode] = f"descriptor {descriptor.fd}{who}"

    def of(self, row: ev.SocketRow) -> str:
        """`descriptor 4`, `client a`, `not accepted yet`, or "" when nobody is known."""
        if row.inode:
            return self._by_inode.get(row.inode, "") or self._by_local.get(row.local, "")
        if row.local in self._by_local:
            return self._by_local[row.local]
        return "not accepted yet" if row.state in (st.ESTABLISHED, st.CLOSE_WAIT) else ""


def socket_text(owners: Owners, row: ev.SocketRow) -> str:
    """`ESTABLISHED 10.0.0.1:8080 with 10.0.0.2:5555 (descriptor 4), 78 bytes to read`."""
    whose = owners.of(row)
    return f"{_state(row)} {ends(row)}{f' ({whose})' if whose else ''}{_buffers(row)}"


def socket_state(row: ev.SocketRow) -> str:
    """The same without ends and owner."""
    return f"{_state(row)}{_buffers(row)}"


def _buffers(row: ev.SocketRow) -> str:
    """`, 78 bytes to read`. For a listener these numbers are the accept queue; the queue line tells them."""
    if row.state == st.LISTEN:
        return ""
    # The kernel counts a SYN and a FIN as a byte each: in these states one of the bytes is that.
    text = _waiting(row.rx_queue, row.state in st.FIN_CAME, "to read")
    text += _buffer("receive", row.receive_used, row.receive_limit)
    if row.state != st.SYN_SENT:
        text += _waiting(row.tx_queue, row.state in st.FIN_SENT, "not acknowledged")
        text += _buffer("send", row.send_used, row.send_limit)
    return text + (f", sent again {times(row.retransmits)}" if row.retransmits else "")


def _waiting(count: int, fin: bool, what: str) -> str:
    """`, 78 bytes to read`, `, the FIN not acknowledged`; "" for none."""
    if not count:
        return ""
    parts = [counted(count - fin, "byte")] if count > fin else []
    return f", {' and '.join(parts + ['the FIN'] * fin)} {what}"


def _buffer(which: str, used: int, limit: int) -> str:
    """` (receive buffer: 2304 of 131072)`, the kernel's memory; "" for an empty one or one that was not read."""
    return f" ({which} buffer: {used} of {limit})" if used and limit else ""


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _essence(row: ev.SocketRow) -> tuple[object, ...]:
    """What makes a socket worth telling again; its timers run all the time."""
    if row.state == st.LISTEN:
        return (row.state, row.local, row.inode)
    return (row.state, row.local, row.remote, row.inode, row.rx_queue, row.tx_queue, row.retransmits)


def _order(row: ev.SocketRow) -> tuple[object, ...]:
    """Listeners first, then by the two ends: a connection's ends are told in the order of their ports."""
    local, _, local_port = row.local.rpartition(":")
    _, _, remote_port = row.remote.rpartition(":")
    return (row.state != st.LISTEN, local, local_port.rjust(5), remote_port.rjust(5))


def socket_news(before: st.LabState, now: st.LabState, said: Said) -> Iterator[str]:
    """Not of a socket whose new descriptor has just been told: with that go its state and its ends."""
    if before.tables is now.tables:
        return

    def told(old: ev.SocketRow | None, new: ev.SocketRow) -> bool:
        said.add((new.state, new.local))
        more = new.state != st.LISTEN and (new.rx_queue or new.tx_queue or new.retransmits)
        return bool(new.inode) and new.inode in said and not more and (old is None or old.state == new.state)

    owners = Owners(now)
    several = sum(1 for table in now.tables.values() if len(table.rows)) > 1
    for host, table in now.tables.items():
        known = before.tables.get(host)
        yield from _changes(
            f"{safe(host)}: " if several else "",
            known.rows if known is not None else {},
            table.rows,
            order=_order,
            essence=_essence,
            text=partial(socket_text, owners),
            gone=lambda row: f"{_state(row)} {ends(row)} is gone from the table",
            was=lambda old, new: f", was {_state(old)}" if old.state != new.state else "",
            told=told,
        )


def queue_text(state: st.LabState, listener: ev.SocketRow) -> str:
    """`queues of 10.0.0.1:8080: accept queue 5 of 4, SYN queue 0`."""
    waiting = len(state.syn_queue(listener))
    depth = f"accept queue {listener.rx_queue} of {listener.tx_queue}"
    return f"queues of {safe(listener.local)}: {depth}, SYN queue {waiting}"


def queue_news(before: st.LabState, now: st.LabState, _said: Said) -> Iterator[str]:
    told = {row.id: queue_text(before, row) for row in before.listeners}
    for listener in now.listeners:
        text = queue_text(now, listener)
        if told.get(listener.id) != text:
            yield f"* {text}"


# ---------------------------------------------------------------- counters, settings, clients


def counter_news(before: st.LabState, now: st.LabState, _said: Said) -> Iterator[str]:
    for host, values in now.counters.items():
        where = f"{safe(host)}: " if len(now.counters) > 1 else ""
        first = now.counters_at_start.get(host, {})
        known = before.counters.get(host, first)
        for name in counter_words.TOLD:
            value = values.get(name, 0)
            risen = value - known.get(name, first.get(name, value))
            if risen:
                total = value - first.get(name, value)
                explained = f" ({counter_words.MEANINGS[name]})" if total == risen else ""  # its first rise
                yield f"* {where}counter {name} +{risen}, {total} since the lab began{explained}"
    for host, settings in now.settings.items():
        known_settings = before.settings.get(host, {})
        if not before.header or settings is known_settings:
            continue
        for name, text in settings.items():
            if known_settings.get(name) != text and (name in known_settings or len(known_settings)):
                yield f"* {safe(host)}: setting {safe(name)} = {safe(text)}"


def client_text(client: ev.Client, *, tail: bool = True) -> str:
    """`client a: open, 10.0.0.2:5555 to 10.0.0.1:8080, 78 bytes sent, 0 received`; with the last bytes (`tail`)."""
    where = " on the server's own host" if client.host == "server" else ""
    text = f"client {safe(client.name)}{where}: {safe(client.phase)}"
    if client.argv:
        text += f", {safe(' '.join(client.argv))}"
        if client.phase == "done":
            text += f", exit status {client.code}"
        return text
    if client.local:
        text += f", {safe(client.local)} to {safe(client.remote)}"
    if client.sent or client.received:
        text += f", {counted(client.sent, 'byte')} sent, {client.received} received"
    if client.tail and tail:
        text += f", last received: {safe(client.tail)}"
    if client.eof:
        text += ", end of stream"
    if client.errno:
        from socklab.syscalls.errors import errno_name

        text += f", {errno_name(client.errno)}"
    return text


_CONNECTS = {"connecting": st.SYN_SENT, "open": st.ESTABLISHED}
"""What a phase of a client is for its socket."""


def client_news(before: st.LabState, now: st.LabState, said: Said) -> Iterator[str]:
    """Not of a client that has done no more than to connect, where its socket has just been told."""
    if before.clients is now.clients:
        return
    for name, client in now.clients.items():
        old = before.clients.get(name)
        only_connects = client.host != "server" and not (client.sent or client.received or client.eof)
        told = (_CONNECTS.get(client.phase, 0), client.local) in said
        if old is not client and not (only_connects and told):
            yield f"* {client_text(client, tail=old is None or old.received != client.received)}"


NEWS: dict[str, Callable[[st.LabState, st.LabState, Said], Iterator[str]]] = {
    "descriptors": descriptor_news,
    "sockets": socket_news,
    "queues": queue_news,
    "counters": counter_news,
    "clients": client_news,
    "wire": lambda before, now, _said: packet_facts.packet_news(before, now),
}
"""By the name of the panel that a prediction may hide."""


# ---------------------------------------------------------------- the whole, on demand


def everything(state: st.LabState, kind: str) -> list[str]:
    """All lines of one kind: see socklab.commands.table; never cut, "none" when empty."""
    if kind == "wire":
        return packet_facts.every_packet(state) or ["no packet"]
    if kind == "processes":
        return [process_text(state, task) for task in state.tasks.values()] or ["no process"]
    lines = [line[2:] for line in NEWS[kind](st.LabState(), state, set())]  # all of it is new
    return lines or [f"no {kind}"]


def process_text(state: st.LabState, task: st.Task) -> str:
    """`process 42, child of 41: held before accept4`."""
    text = f"process {task.pid}" if task.tid == task.pid else f"thread {task.tid} of process {task.pid}"
    text += f", child of {task.parent}" if task.parent and task.tid == task.pid else ""
    name = call_name(state, task.call) if task.call is not None else ""
    if task.exited is not None:
        end = signal_name(task.exited.signo) if task.exited.signo else f"status {task.exited.code}"
        return f"{text}: ended, {end}"
    if task.status == "held":
        where = {"enter": f"before {name}", "return": f"after {name}", "signal": "at a signal"}.get(task.at, "")
        return f"{text}: held {where}".rstrip()
    return f"{text}: {f'sleeps in {name}' if state.blocked(task.tid) else 'runs'}"
