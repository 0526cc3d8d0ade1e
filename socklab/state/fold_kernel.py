"""The fold, kernel: what the kernel holds: descriptors, socket tables, counters, settings, processes.

In: a LabState and one event. Out: the LabState after it.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from socklab.protocol import events as ev
from socklab.state.model import LISTEN, NEW_SYN_RECV, NO_DESCRIPTORS, NO_TABLE, SYN_RECV, Folds, LabState, Table


def _asked(descriptor: ev.Descriptor) -> bool:
    return descriptor.behind is not None and not descriptor.behind.by_table


def as_far_as(now: ev.Descriptor, old: ev.Descriptor, asked: ev.Descriptor | None) -> ev.Descriptor:
    """`old` with as much of its object as is told `now`: that an object is not asked while its program runs, or only
    its tables are, is no change of it. `asked`: the descriptor when its object was asked last."""
    before = old.behind or (asked.behind if asked is not None else None)
    if now.behind is None:
        return replace(old, behind=None)
    if before is None:
        return replace(old, behind=now.behind)
    if now.behind.by_table and not before.by_table:
        known = ev.KernelObject(by_table=True, **_in_tables(before))
        if now.detail.startswith("unix"):  # of a connection that waits for accept unix_diag does not know the peer
            known = replace(known, remote=now.behind.remote)
        return replace(old, behind=known)
    if before.by_table and not now.behind.by_table:
        whole = asked.behind if asked is not None and asked.behind is not None else now.behind
        known = replace(whole, **_in_tables(before))
        return replace(old, behind=replace(known, remote=now.behind.remote) if now.detail.startswith("unix") else known)
    return replace(old, behind=before)


def _in_tables(behind: ev.KernelObject) -> dict[str, Any]:
    """What the kernel's tables of UDP and UNIX sockets tell of one."""
    names = ("local", "remote", "listening", "accept_queue", "backlog", "peer_inode", "drops")
    return {name: getattr(behind, name) for name in names}


def _descriptors(state: LabState, event: ev.Descriptors) -> LabState:
    table = state.descriptors.get(event.pid, NO_DESCRIPTORS)
    before = dict(state.changed.descriptors)
    unasked = state.changed.unasked
    for descriptor in event.set:
        key = event.pid, descriptor.fd
        old = table.get(descriptor.fd)
        if old is not None:
            if old.behind is not None and not old.behind.by_table and not _asked(descriptor):
                unasked = {**unasked, key: old}
            old = as_far_as(descriptor, old, unasked.get(key))
        if old != descriptor:
            before.setdefault(key, unasked.get(key, old))
    for fd in event.closed:
        before.setdefault((event.pid, fd), table.get(fd))
    table = table.changed(((d.fd, d) for d in event.set), event.closed)
    return replace(
        state,
        t=event.t,
        descriptors={**state.descriptors, event.pid: table},
        changed=replace(state.changed, descriptors=before, unasked=unasked),
    )


def _is_syn(row: ev.SocketRow) -> bool:
    return row.state in (SYN_RECV, NEW_SYN_RECV)


def _changed_table(table: Table, put: tuple[ev.SocketRow, ...], gone: tuple[int, ...]) -> Table:
    left = frozenset(gone)
    met = dict.fromkeys([*gone, *(r.id for r in put)])  # a socket may be in both: gone, and back
    old = [row for row in map(table.rows.get, met) if row is not None]
    states = dict(table.states)
    listeners, syn = table.listeners, table.syn_received
    for row in old:
        state = SYN_RECV if _is_syn(row) else row.state
        states[state] -= 1
    for row in put:
        state = SYN_RECV if _is_syn(row) else row.state
        states[state] = states.get(state, 0) + 1
    if any(r.state == LISTEN for r in old) or any(r.state == LISTEN for r in put):
        listeners = {i: r for i, r in listeners.items() if i not in left}
        for row in put:
            listeners.pop(row.id, None)
            if row.state == LISTEN:
                listeners[row.id] = row
    if any(map(_is_syn, old)) or any(map(_is_syn, put)):
        syn = {i: r for i, r in syn.items() if i not in left}
        for row in put:
            syn.pop(row.id, None)
            if _is_syn(row):
                syn[row.id] = row
    return Table(
        rows=table.rows.changed(((r.id, r) for r in put), gone),
        by_inode=table.by_inode.changed(((r.inode, r.id) for r in put if r.inode), (r.inode for r in old if r.inode)),
        by_ends=table.by_ends.changed((((r.local, r.remote), r.id) for r in put), ((r.local, r.remote) for r in old)),
        listeners=listeners,
        syn_received=syn,
        states={k: n for k, n in states.items() if n},
    )


def _moved(old: ev.SocketRow | None, new: ev.SocketRow) -> bool:
    """Whether something happened to the socket. No: its timer ran down, its buffers were read or not read this time,
    or the same bytes take other memory."""
    if old is None:
        return True
    limits = old.receive_limit and new.receive_limit
    return (
        old.rx_queue != new.rx_queue
        or old.tx_queue != new.tx_queue
        or old.state != new.state
        or old.inode != new.inode
        or old.timer != new.timer
        or old.retransmits != new.retransmits
        or old.local != new.local
        or old.remote != new.remote
        or (limits != 0 and (old.receive_limit != new.receive_limit or old.send_limit != new.send_limit))
    )


def _sockets(state: LabState, event: ev.Sockets) -> LabState:
    table = state.tables.get(event.host, NO_TABLE)
    before = dict(state.changed.sockets)
    for row in event.set:
        old = table.rows.get(row.id)
        if _moved(old, row):
            before.setdefault((event.host, row.id), old)
    for gone in event.gone:
        key = event.host, gone
        if before.setdefault(key, table.rows.get(gone)) is None:
            del before[key]  # came and went: a server that runs on for hours would fill this
    return replace(
        state,
        t=event.t,
        tables={**state.tables, event.host: _changed_table(table, event.set, event.gone)},
        changed=replace(state.changed, sockets=before),
    )


def _evidence(state: LabState, event: ev.Evidence) -> LabState:
    return replace(state, t=event.t, evidence=event)


def _ran(state: LabState, event: ev.Ran) -> LabState:
    return replace(state, t=event.t, ran=event)


def _counters(state: LabState, event: ev.Counters) -> LabState:
    old = state.counters.get(event.host, {})
    first = state.counters_at_start.get(event.host, {})
    before = dict(state.changed.counters)
    for name in event.values:
        if name in old:
            before.setdefault((event.host, name), old[name])
    return replace(
        state,
        t=event.t,
        counters={**state.counters, event.host: {**old, **event.values}},
        counters_at_start={**state.counters_at_start, event.host: {**event.values, **first}},
        changed=replace(state.changed, counters=before),
    )


def _setting(state: LabState, event: ev.Setting) -> LabState:
    old = state.settings.get(event.host, {})
    before = {**state.changed.settings}
    if event.name in old and old[event.name] != event.value:  # one that is read for the first time is no change
        before.setdefault((event.host, event.name), old[event.name])
    return replace(
        state,
        t=event.t,
        settings={**state.settings, event.host: {**old, event.name: event.value}},
        changed=replace(state.changed, settings=before),
    )


def _processes(state: LabState, event: ev.Processes) -> LabState:
    rows = {pid: row for pid, row in state.processes.items() if pid not in event.gone}
    rows.update((row.pid, row) for row in event.set)
    seen = {pid: t for pid, t in state.process_seen.items() if pid in rows}
    seen.update((row.pid, event.t) for row in event.set)
    return replace(state, t=event.t, processes=rows, process_seen=seen)


FOLDS: Folds = {
    ev.Descriptors: _descriptors,
    ev.Sockets: _sockets,
    ev.Evidence: _evidence,
    ev.Ran: _ran,
    ev.Counters: _counters,
    ev.Setting: _setting,
    ev.Processes: _processes,
}
