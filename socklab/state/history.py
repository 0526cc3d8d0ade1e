"""Every stop of a run, kept so that any of them can be shown again.

In: events, in order. Out: the LabState of any stop. Never decides what is shown.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator

from msgspec.structs import replace

from socklab.protocol import events as ev
from socklab.state.fold import apply
from socklab.state.model import NO_TABLE, LabState

_FEW = 64
"""Events about more sockets than these are kept as they come."""


def _lean(state: LabState, event: ev.Sockets) -> tuple[ev.Sockets, bool]:
    """The same event, its rows sharing with the table what has stayed the same; whether only timers run on in it.

    A lab at rest tells of its clients' sockets for as long as it is watched: half a kilobyte a row.
    """
    table = state.tables.get(event.host, NO_TABLE).rows
    rows, only_timers = [], not event.gone
    for row in event.set:
        before = table.get(row.id)
        if before is None:
            only_timers = False
            rows.append(row)
            continue
        different = {name: now for name in _FIELDS if (now := getattr(row, name)) != getattr(before, name)}
        only_timers = only_timers and different.keys() <= {"expires_ms"}
        rows.append(replace(before, **different))
    return replace(event, set=tuple(rows)), only_timers


_FIELDS = ev.SocketRow.__struct_fields__


class History:
    """The stops of a run, cheap to keep: events, and a whole state at every `stride`-th stop.

    `at(n)` gives the state when stop n was shown (0 = before the first). Seeking costs the events of at most one
    stride. The latest state is always at hand. Of more than `keep_events` events the oldest quarter is let go, with the
    stops that need it: `first` is the oldest that can still be shown. The counts of LabState go on.

    What is left of a timer is different at every look: where nothing else is, only the latest state is told. Of an
    earlier stop a timer is what it was when its socket's row was told last.
    """

    def __init__(self, stride: int = 32, keep_events: int = 200_000) -> None:
        self.now = LabState()
        self._stride = stride
        self._keep = keep_events
        self._first = 0
        self._events: list[ev.Event] = []
        self._before = 0
        """Events that were let go."""
        self._key_states: list[tuple[int, int, LabState]] = [(0, 0, self.now)]
        """(stops, number of the next event, state); from the second on right at the stop."""
        self._cuts: list[tuple[int, LabState]] = []
        """(number of the next event, state): where the past may be cut off."""
        self._marks: list[tuple[int, int]] = []
        self._followed = 0
        self._ran_on = False
        """The program has run on since the last stop that was marked."""

    @property
    def first(self) -> int:
        """The oldest stop that can be shown."""
        return min(self._first, self.now.stops)

    @property
    def is_cut(self) -> bool:
        """Something was let go."""
        return self._before > 0

    @property
    def let_go(self) -> int:
        """So many of the run's first events are kept no more."""
        return self._before

    def add(self, event: ev.Event) -> LabState:
        """Fold one event; returns the new latest state."""
        before = self.now.stops
        if type(event) is ev.Sockets and len(event.set) <= _FEW:
            event, only_timers = _lean(self.now, event)
            if only_timers:
                self.now = apply(self.now, event)
                return self.now
        self.now = apply(self.now, event)
        self._events.append(event)
        count = len(self._events)
        if self.now.stops != before and self.now.stops % self._stride == 0:
            self._key_states.append((self.now.stops, self._before + count, self.now))
        if (self._before + count) % max(1, self._keep // 4) == 0:
            self._cuts.append((self._before + count, self.now))
            if count > self._keep:
                self._let_go()
        return self.now

    def _let_go(self) -> None:
        number, state = self._cuts.pop(0)
        del self._events[: number - self._before]
        self._before = number
        kept = [known for known in self._key_states if known[1] > number]
        self._key_states = [(state.stops, number, state), *kept]
        self._first = state.stops + 1  # that stop's own beginning is gone

    def at(self, stop: int) -> LabState:
        """The last state that belongs to `stop`: with all that was read there, before the program ran on.

        For a stop that was let go: that of the oldest one kept.
        """
        stop = max(stop, self.first)
        if stop >= self.now.stops:
            return self.now
        place = bisect_right(self._key_states, stop, key=lambda known: known[0]) - 1
        _, number, state = self._key_states[place]
        for position in range(number - self._before, len(self._events)):
            event = self._events[position]
            if type(event) is ev.Resumed and state.stops == stop and state.stops:
                break
            after = apply(state, event)
            if after.stops > stop:
                break
            state = after
        return state

    @property
    def events(self) -> int:
        """How many there were so far, those let go with them."""
        return self._before + len(self._events)

    def at_event(self, number: int) -> LabState:
        """The state after so many events of the run; where these were let go, the oldest one kept."""
        place = max(0, bisect_right(self._key_states, number, key=lambda known: known[1]) - 1)
        _, first, state = self._key_states[place]
        for event in self._events[first - self._before : max(0, number - self._before)]:
            state = apply(state, event)
        return state

    @property
    def origin(self) -> LabState:
        """The state before the first event that is kept."""
        return self._key_states[0][2]

    def told(self, until: LabState, kinds: Collection[type[ev.Event]]) -> Iterator[tuple[int, ev.Event]]:
        """The events of these kinds that are kept and that `until`, a state of this run, knows of, in order.

        Each with the stop at which it is first seen: what came after the last stop has the number of the one to come.
        """
        last = until.stops if until.stops < self.now.stops else self.now.stops + 1
        marks = self._marked()
        ends = [*(position for position, _ in marks[1:]), self._before + len(self._events)]
        for (start, stop), end in zip(marks, ends, strict=True):
            if stop > last:
                return
            for event in self._events[start - self._before : end - self._before]:
                if type(event) in kinds:
                    yield stop, event

    def stop_of(self, event: ev.Event) -> int:
        """The first stop that shows this very event; 0 = it is not kept. Events are almost in the order of their t."""
        marks, events = self._marked(), self._events
        near = bisect_left(self._events, event.t, key=lambda each: each.t)
        for away in range(max(near, len(events) - near) + 1):
            for place in (near + away, near - away):
                if 0 <= place < len(events) and events[place] is event:
                    return marks[bisect_right(marks, self._before + place, key=lambda mark: mark[0]) - 1][1]
        return 0

    def _marked(self) -> list[tuple[int, int]]:
        """(number of an event, the stop at which it and those behind it are first seen); followed when asked for."""
        if not self._marks or self._marks[0][0] < self._before:
            self._marks, self._followed = [(self._before, self._key_states[0][0])], self._before
            self._ran_on = False
        held = self._marks[-1][1] - self._ran_on
        for place in range(self._followed - self._before, len(self._events)):
            kind = type(self._events[place])
            if kind is ev.Held:
                held += 1
                if not self._ran_on:
                    self._marks.append((self._before + place, held))
                self._ran_on = False
            elif kind is ev.Resumed and held and not self._ran_on:
                self._ran_on = True
                self._marks.append((self._before + place, held + 1))
        self._followed = self._before + len(self._events)
        return self._marks
