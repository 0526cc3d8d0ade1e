"""What the readings of a run told, one after the other: rows of socket tables, counters, clients, and at which stop.

In: a LabState and the History it stands in, or none. Out: events and rows up to that state, never what came later.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from socklab.protocol import events as ev
from socklab.state import Call, History, LabState
from socklab.why.model import plain

_KINDS: frozenset[type[ev.Event]] = frozenset(
    {ev.Held, ev.Resumed, ev.Sockets, ev.Descriptors, ev.Counters, ev.Client, ev.Setting}
)


class Reading(NamedTuple):
    """A row of a socket table as one reading told it; `row` None = it was not there any more."""

    stop: int
    t: int
    row: ev.SocketRow | None


class Readings:
    """Made once for a state. Without a history only the state's own last reading and the one before are known."""

    def __init__(self, state: LabState, history: History | None) -> None:
        self._state = state
        self._history = history

    @cached_property
    def told(self) -> tuple[tuple[int, ev.Event], ...]:
        """What the history keeps, as far as this state knew it. Packets, calls and acts are in the state itself."""
        if self._history is None:
            return ()
        return (*_standing(self._history.origin), *self._history.told(self._state, _KINDS))

    def any_before(self, t: int) -> bool:
        """The tables had been read by then: at each stop they are."""
        return any(type(event) is ev.Held and event.t <= t for _, event in self.told)

    @property
    def kept(self) -> bool:
        """Rows of earlier readings can be asked for."""
        return self._history is not None

    def stop_of(self, event: ev.Event) -> int:
        """0 = not known."""
        return min(self._history.stop_of(event), self._state.stops) if self._history is not None else 0

    @cached_property
    def rows(self) -> dict[tuple[str, int], list[Reading]]:
        found: dict[tuple[str, int], list[Reading]] = {}
        for stop, event in self.told:
            if type(event) is ev.Sockets:
                for row in event.set:
                    found.setdefault((event.host, row.id), []).append(Reading(stop, event.t, row))
                for gone in event.gone:
                    found.setdefault((event.host, gone), []).append(Reading(stop, event.t, None))
        return found

    def of(self, host: str, id: int) -> list[Reading]:
        """Every reading that told something new of the row, oldest first."""
        found = self.rows.get((self._state.table_host(host), id))
        if found:
            return found
        table = self._state.table_host(host)
        known = [self._state.changed.sockets.get((table, id)), self._state.table_of(host).rows.get(id)]
        return [Reading(0, -1, row) for row in known if row is not None]

    def of_ends(self, local: str, remote: str) -> list[Reading]:
        """The same of whichever socket had these ends, one after the other."""
        found = [
            reading
            for readings in self.rows.values()
            for reading in readings
            if reading.row is not None and (plain(reading.row.local), plain(reading.row.remote)) == (local, remote)
        ]
        return sorted(found, key=lambda reading: reading.t)

    def at(self, host: str, t: int) -> list[Reading]:
        """Every row of a table by its last reading until `t`."""
        found = []
        for (of, _), readings in self.rows.items():
            before = [reading for reading in readings if reading.t <= t] if of == host else ()
            if before:
                found.append(before[-1])
        return found

    @cached_property
    def counter_rises(self) -> dict[tuple[str, str], list[tuple[int, int, int]]]:
        """(host, counter) to (stop, time, by how much), oldest first."""
        found: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
        last: dict[tuple[str, str], int] = {}
        for stop, event in self.told:
            if type(event) is ev.Counters:
                for name, value in event.values.items():
                    key = (event.host, name)
                    if key in last and value > last[key]:
                        found.setdefault(key, []).append((stop, event.t, value - last[key]))
                    last[key] = value
        return found

    @cached_property
    def settings(self) -> list[ev.Setting]:
        """Every reading of a setting, oldest first."""
        return [event for _, event in self.told if type(event) is ev.Setting]

    @cached_property
    def client_news(self) -> list[ev.Client]:
        """Every Client event that is kept."""
        return [event for _, event in self.told if type(event) is ev.Client]

    @cached_property
    def _resumed(self) -> list[ev.Resumed]:
        return [event for _, event in self.told if type(event) is ev.Resumed]

    def began(self, call: Call) -> int:
        """When the kernel carried the call out, at the earliest: while the program is held before it, it has not."""
        over = call.returned.t if call.returned is not None else 1 << 62
        within = (e.t for e in self._resumed if e.tid == call.entered.tid and call.entered.t <= e.t <= over)
        return max(within, default=call.entered.t)


def _standing(origin: LabState) -> Iterator[tuple[int, ev.Event]]:
    """What had been read before the oldest event that is kept, and may hold ever since."""
    if not origin.t:
        return
    for host, table in origin.tables.items():
        yield origin.stops, ev.Sockets(origin.t, host, tuple(table.rows.values()))
    for pid, descriptors in origin.descriptors.items():
        yield origin.stops, ev.Descriptors(origin.t, pid, tuple(descriptors.values()))
    for host, values in origin.counters.items():
        yield origin.stops, ev.Counters(origin.t, host, values)
    for host, settings in origin.settings.items():
        for name, value in settings.items():
            yield origin.stops, ev.Setting(origin.t, host, name, value)
    if origin.stops:
        yield origin.stops, ev.Held(origin.t, origin.focus, "")
