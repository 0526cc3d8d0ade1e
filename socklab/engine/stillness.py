"""When a run that nobody watches is given up: nothing moves any more, and its lesson is not at its end.

In: the state, again and again. Out: for how long nothing has moved, once that is too long. Never acts.
"""

from __future__ import annotations

import time
from itertools import zip_longest

from socklab.state import LabState

STILL_S = 90.0
"""So long nothing may move: longer than a SYN waits to be sent again (64 s at most)."""
NOBODY_S = 20.0
"""The same where nobody is left who could wake the program up."""


class Stillness:
    """Of one run."""

    def __init__(self) -> None:
        self._seen: tuple[object, ...] = ()
        self._since = 0.0

    def given_up(self, state: LabState, *, lesson_acts: bool) -> float:
        """For so many seconds nothing has moved, which is too long; 0 = wait on. `lesson_acts`: it has yet to do
        something, or waits for what it has done."""
        # Timers are not looked at: that of a connection in TIME_WAIT runs for a minute whatever happens.
        seen = (state.entered, state.packets, state.fates, state.clients, state.tasks, state.step)
        now = time.monotonic()
        if any(new is not old for new, old in zip_longest(seen, self._seen)):
            self._seen, self._since = seen, now
        limit = STILL_S if lesson_acts or _may_move(state) else NOBODY_S
        return limit if now - self._since > limit else 0.0


def _may_move(state: LabState) -> bool:
    """Something may yet wake the program up: a client that tries, a client's program, a packet on its way."""
    asleep = all(task.status == "exited" or state.blocked(task.tid) for task in state.tasks.values())
    trying = any(client.phase in ("connecting", "running") for client in state.clients.values())
    return not asleep or trying or bool(state.on_the_way)
