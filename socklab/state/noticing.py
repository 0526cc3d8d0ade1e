"""The order in which the kernel's tables told things: what a later look at the tables can't tell any more.

In: a fold and its event. Out: the LabState with a `Noticed` behind its log where a socket entered or left a queue or
got a descriptor, a counter of dropped connections rose, a client began. Costs a look at the rows that an event has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec.structs import replace

from socklab.protocol import events as ev
from socklab.state.model import (
    CLOSE_WAIT,
    ESTABLISHED,
    NEW_SYN_RECV,
    NO_TABLE,
    SYN_RECV,
    LabState,
    Noticed,
)

DROPS = ("ListenOverflows", "ListenDrops", "TCPReqQFullDrop", "TCPReqQFullDoCookies")
"""Counters of /proc/net/netstat that rise when a listener has no room."""

_Fold: TypeAlias = Callable[[LabState, Any], LabState]


def waits(row: ev.SocketRow | None) -> bool:
    """In an accept queue: the handshake is complete, and no descriptor refers to it."""
    return row is not None and not row.inode and row.state in (ESTABLISHED, CLOSE_WAIT)


def _noticed(state: LabState, *found: Noticed) -> LabState:
    log = state.noticed
    for each in found:
        log = log.append(each)
    return replace(state, noticed=log)


def _at(state: LabState, event: ev.Event, what: str, **more: Any) -> Noticed:
    return Noticed(event.t, state.calls.dropped + len(state.calls), what, **more)


def sockets(fold: _Fold) -> _Fold:
    """The server's own table only: connections that began or ceased to wait, and sockets that got a descriptor."""

    def folded(before: LabState, event: ev.Sockets) -> LabState:
        state = fold(before, event)
        if before.started is None or event.host != before.table_host(before.started.host):
            return state
        rows = before.tables.get(event.host, NO_TABLE).rows
        kinds: dict[str, list[ev.SocketRow]] = {}
        for row in event.set:
            old = rows.get(row.id)
            if row.inode and (old is None or old.inode != row.inode):
                kinds.setdefault("held", []).append(row)
            elif waits(row) and not waits(old) and (old is None or not old.inode):
                kinds.setdefault("waits", []).append(row)
            elif row.state in (SYN_RECV, NEW_SYN_RECV) and old is None:
                kinds.setdefault("syn", []).append(row)
            elif waits(old) and not row.inode and not waits(row):
                kinds.setdefault("left", []).append(row)
        came = {row.id for row in event.set}
        for id in event.gone:
            old = rows.get(id)
            if old is not None and waits(old) and id not in came:
                kinds.setdefault("left", []).append(old)
        if not kinds:
            return state
        listeners = state.tables[event.host].listeners.values() if "waits" in kinds else ()
        depth = {row.local.rpartition(":")[2]: row.rx_queue for row in listeners}
        return _noticed(
            state, *(_at(state, event, what, rows=tuple(found), depth=depth) for what, found in kinds.items())
        )

    return folded


def descriptors(fold: _Fold) -> _Fold:
    def folded(before: LabState, event: ev.Descriptors) -> LabState:
        state = fold(before, event)
        return _noticed(state, _at(state, event, "descriptors", descriptors=event))

    return folded


def counters(fold: _Fold) -> _Fold:
    def folded(before: LabState, event: ev.Counters) -> LabState:
        state = fold(before, event)
        old = before.counters.get(event.host, {})
        rises = {name: event.values[name] - old[name] for name in DROPS if name in event.values and name in old}
        rises = {name: rise for name, rise in rises.items() if rise > 0}
        return _noticed(state, _at(state, event, "dropped", rises=rises)) if rises else state

    return folded


def client(fold: _Fold) -> _Fold:
    def folded(before: LabState, event: ev.Client) -> LabState:
        state = fold(before, event)
        return state if event.name in before.clients else _noticed(state, _at(state, event, "client", name=event.name))

    return folded


def held(fold: _Fold) -> _Fold:
    """When each stop was; and where in the source a call was made at which the program was held only afterwards."""

    def folded(before: LabState, event: ev.Held) -> LabState:
        state = fold(before, event)
        state = replace(state, stop_times=state.stop_times.append(event.t))
        task = state.tasks[event.tid]
        if event.at != "return" or not event.stack or task.call is None or task.call.stack:
            return state
        return _noticed(state, _at(state, event, "place", number=task.call.number, stack=event.stack))

    return folded


NOTICING: dict[type[ev.Event], Callable[[_Fold], _Fold]] = {
    ev.Sockets: sockets,
    ev.Descriptors: descriptors,
    ev.Counters: counters,
    ev.Client: client,
    ev.Held: held,
}
