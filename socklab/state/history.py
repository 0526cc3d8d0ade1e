"""Every stop of a run, kept so that any of them can be shown again.

In: events, in order. Out: the LabState of any stop. Never decides what is shown.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from socklab.protocol import events as ev
from socklab.state.fold import apply
from socklab.state.model import LabState


class History:
    """The stops of a run, cheap to keep: events, and a whole state at every `stride`-th stop.

    `at(n)` gives the state when stop n was shown (0 = before the first). Seeking costs the events of at most one
    stride. The latest state is always at hand. Of more than `keep_events` events the oldest quarter is let go, with the
    stops that need it: `first` is the oldest that can still be shown. The counts of LabState go on.
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

    @property
    def first(self) -> int:
        """The oldest stop that can be shown."""
        return min(self._first, self.now.stops)

    @property
    def is_cut(self) -> bool:
        """Something was let go."""
        return self._before > 0

    def add(self, event: ev.Event) -> LabState:
        """Fold one event; returns the new latest state."""
        before = self.now.stops
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
    def origin(self) -> LabState:
        """The state before the first event that is kept."""
        return self._key_states[0][2]

    def told(self, until: LabState) -> Iterator[tuple[int, ev.Event]]:
        """Every event kept that `until`, a state of this run, knows of, each with the stop at which it is first seen.

        What comes after the last stop has the number of the one that is yet to come.
        """
        past = until.stops < self.now.stops
        stop, resumed = self._key_states[0][0], False
        for event in self._events:
            if type(event) is ev.Held:
                stop, resumed = stop + 1, False
            elif type(event) is ev.Resumed and stop:
                resumed = True
            if past and stop + resumed > until.stops:
                return
            yield stop + resumed, event
