"""The fold, wire: clients, packets and the rules of the wire.

In: a LabState and one event. Out: the LabState after it.
"""

from __future__ import annotations

from msgspec.structs import replace

from socklab.protocol import events as ev
from socklab.state.model import Folds, LabState

KEPT_ON_THE_WIRE = frozenset({"held", "delayed"})
"""Fates of packets that are still on the way."""


def _packet(state: LabState, event: ev.Packet) -> LabState:
    packets = state.packets.append(event)
    fates, waited = state.fates, state.waited_ns
    if packets.dropped != state.packets.dropped:  # nobody asks any more for what was let go
        oldest = packets[0].id
        fates = fates.changed(drop=[number for number in fates if number < oldest])
        waited = waited.changed(drop=[number for number in waited if number < oldest])
    return replace(state, t=event.t, packets=packets, fates=fates, waited_ns=waited)


def _fate(state: LabState, event: ev.PacketFate) -> LabState:
    before = state.fates.get(event.id)
    changed, on_the_way, waited = state.changed, state.on_the_way, state.waited_ns
    if event.id <= changed.packet and event.id not in changed.fates and before is not None:
        changed = replace(changed, fates={**changed.fates, event.id: before})
    if event.fate in KEPT_ON_THE_WIRE:
        on_the_way = on_the_way.changed([(event.id, event.t)])
    elif before in KEPT_ON_THE_WIRE:
        waited = waited.changed([(event.id, event.t - on_the_way[event.id])])
        on_the_way = on_the_way.changed(drop=[event.id])
    return replace(
        state,
        t=event.t,
        fates=state.fates.changed([(event.id, event.fate)]),
        on_the_way=on_the_way,
        waited_ns=waited,
        changed=changed,
    )


FOLDS: Folds = {
    ev.Acted: lambda state, event: replace(state, t=event.t, acted=state.acted.append(event)),
    ev.Client: lambda state, event: replace(state, t=event.t, clients={**state.clients, event.name: event}),
    ev.Packet: _packet,
    ev.PacketFate: _fate,
    ev.ResetSent: lambda state, event: replace(state, t=event.t, resets=state.resets.append(event)),
    ev.WireRules: lambda state, event: replace(state, t=event.t, wire_rules=event.rules),
}
