"""Every stop of a run, kept so that any of them can be shown again.

In: events, in order. Out: the LabState of any stop. Never decides what is shown.
"""

from __future__ import annotations

from bisect import bisect_right

from socklab.protocol import events as ev
from socklab.state.fold import apply
from socklab.state.model import LabState


class History:
    """Every stop of a run, cheap to keep: events, and a whole state at every `stride`-th stop.

    `at(n)` gives the state when stop n was shown (0 = before the first). Seeking costs the events of at most one
    stride. The latest state is always at hand.
    """

    def __init__(self, stride: int = 32, keep_events: int = 2_000_000) -> None:
        self.now = LabState()
        self._stride = stride
        self._keep = keep_events
        self._events: list[ev.Event] = []
        self._key_states: list[tuple[int, int, LabState]] = [(0, 0, self.now)]
        """(stops, index of the next event, state)"""

    def add(self, event: ev.Event) -> LabState:
        """Fold one event; returns the new latest state."""
        before = self.now.stops
        self.now = apply(self.now, event)
        if len(self._events) < self._keep:
            self._events.append(event)
            if self.now.stops != before and self.now.stops % self._stride == 0:
                self._key_states.append((self.now.stops, len(self._events), self.now))
        return self.now

    def at(self, stop: int) -> LabState:
        """The last state that belongs to `stop`: with all that was read there, before the program ran on."""
        if stop >= self.now.stops:
            return self.now
        place = bisect_right(self._key_states, stop, key=lambda known: known[0]) - 1
        _, index, state = self._key_states[place]
        for position in range(index, len(self._events)):
            event = self._events[position]
            if type(event) is ev.Resumed and state.stops == stop and state.stops:
                break
            after = apply(state, event)
            if after.stops > stop:
                break
            state = after
        return state
