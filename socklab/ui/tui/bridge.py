"""From the engine's stream to the screen: events are folded as they come, and drawn when it matters.

In: a Link's descriptor on the screen's own event loop. Out: a History, the timeline's chips, and calls of `draw`.
What a key brought about is drawn at once; a flood is folded in slices and drawn a few times a second. Never posts a
message per event, never keeps the loop for long.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from socklab import state as st
from socklab.core.errors import SocklabError
from socklab.core.signals import signal_name
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.pending import Pending
from socklab.state.slides import Slides
from socklab.ui.tui.rhythm import Rhythm
from socklab.ui.tui.widgets.timeline import Chips
from socklab.ui.view.formats import call_name, error_words, failed

SLICE_S = 0.006
"""Longest the loop is kept folding without a turn for keys and drawing."""
MOST_PENDING = 20_000
"""So many unfolded events, and no more are read: the engine then waits, as it would for a slow pipe."""

_LONG = "This run is long: its oldest calls, packets and stops are let go from here on, and only counted."
_KEEPS_ALL = "--json > FILE keeps all of a run, --pcap FILE its packets."

_AT_ONCE = frozenset({
    ev.Held, ev.Asked, ev.Answered, ev.Measured, ev.Client, ev.Exited, ev.Ended, ev.Evidence, ev.Ran, ev.Notice,
    ev.Acted, ev.StepReached, ev.Offered, ev.Processes, ev.Signal, ev.Header, ev.Started, ev.LessonDone, ev.Setting,
})  # fmt: skip


_RESTS = ("step", "lesson", "answer", "nothing")
"""What the engine waits for while no program runs."""


class Source(Protocol):
    """What the bridge needs of a Link."""

    ended: bool

    def fileno(self) -> int: ...
    def read_available(self) -> list[ev.AnyEvent]: ...
    def send(self, command: cmd.AnyCommand) -> int: ...
    def restart(self, language: str = "") -> Source: ...
    def close(self) -> None: ...


class Bridge:
    """The stream of one lab, folded."""

    def __init__(self, link: Source, draw: Callable[[], None], *, lesson: bool) -> None:
        """`lesson`: it is a run of one."""
        self.link = link
        self.history = st.History()
        self.slides = Slides(steps=lesson)
        self.chips = Chips()
        self.stop_of: dict[int, int] = {}
        """Task to the number of its last stop."""
        self.measured_at: dict[int, int] = {}
        """Lesson step to the stop at which its answer was measured."""
        self.step_at: dict[int, int] = {}
        """Lesson step to the stop at which it was reached."""
        self._unanswered = Pending()
        self._rhythm = Rhythm(draw)
        self._pending: deque[ev.AnyEvent] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reading = False
        self._folding: asyncio.Handle | None = None

    @property
    def now(self) -> st.LabState:
        return self.history.now

    def start(self) -> None:
        """Begin to read, on the running loop."""
        self._loop = self._rhythm.loop = asyncio.get_running_loop()
        self._read_on()

    def stop(self) -> None:
        """Let go of the loop; what was folded stays."""
        self._read_off()
        self._rhythm.stop()
        if self._folding is not None:
            self._folding.cancel()
        self._folding = self._loop = None

    def send(self, command: cmd.AnyCommand) -> None:
        """Send a command. Trouble with that becomes a Notice of our own."""
        self._rhythm.asked()
        try:
            self._unanswered.sent(self.link.send(command), command)
        except SocklabError as error:
            self.say(error)

    @property
    def takes_a_step(self) -> bool:
        """No step of ours is under way. (Ready may come a tenth of a second after it is Done: large tables.)"""
        return not self._unanswered.runs

    def say(self, error: SocklabError) -> None:
        """Put an error of this side into the stream, where the engine's own would stand."""
        self._take([ev.Notice(self.now.t, "error", error.what, error.fix)])

    # ---------------------------------------------------------------- reading

    def _read_on(self) -> None:
        if self._loop is not None and not self._reading and not self.link.ended:
            self._loop.add_reader(self.link.fileno(), self._readable)
            self._reading = True

    def _read_off(self) -> None:
        if self._loop is not None and self._reading:
            self._loop.remove_reader(self.link.fileno())
        self._reading = False

    def _readable(self) -> None:
        try:
            found = self.link.read_available()
        except SocklabError as error:
            t = self.now.t
            found = [ev.Notice(t, "error", error.what, error.fix), ev.Ended(t, "failed")]
        if self.link.ended:
            self._read_off()
        self._take(found)

    def _take(self, found: list[ev.AnyEvent]) -> None:
        self._pending.extend(found)
        if len(self._pending) > MOST_PENDING:
            self._read_off()
        if self._folding is None:
            self._fold()

    # ---------------------------------------------------------------- folding

    def _fold(self) -> None:
        self._folding = None
        pending, add = self._pending, self._add
        until = time.monotonic() + SLICE_S
        at_once = False
        count = 0
        while pending:
            event = pending.popleft()
            add(event)
            if type(event) in _AT_ONCE:
                at_once = True
            count += 1
            if count % 32 == 0 and time.monotonic() > until:
                break
        if count:
            ready = self.now.ready
            self._rhythm.plan(at_once=at_once, rests=ready is not None and ready.wants in _RESTS)
        if pending and self._loop is not None:
            self._folding = self._loop.call_soon(self._fold)
        elif not self._reading:
            self._read_on()

    def _add(self, event: ev.AnyEvent) -> None:
        whole = not self.history.is_cut
        state = self.history.add(event)
        if whole and self.history.is_cut:
            self._pending.append(ev.Notice(event.t, "info", _LONG, _KEEPS_ALL))
        self.slides.add(event, self.history.events, state.stops)
        kind = type(event)
        if kind is ev.Done or kind is ev.Ended:
            self._unanswered.feed(event)
        if isinstance(event, ev.Held):
            self.stop_of[event.tid] = state.stops
            self._chip(state)
        elif isinstance(event, ev.Return):
            self._result(state, event)
        elif kind is ev.Packet:
            self._decode(state)
        elif isinstance(event, ev.StepReached):
            self.chips.step_reached()
            self.step_at.setdefault(event.index, state.stops)
        elif isinstance(event, ev.Measured):
            self.measured_at[event.index] = state.stops

    def _decode(self, state: st.LabState) -> None:
        """Read the packet here, within the slice: thousands of them at the next drawing would keep a key waiting."""
        from socklab.packets import packet_log

        packet_log.follow(state.packets)

    def _result(self, state: st.LabState, event: ev.Return) -> None:
        """What came of a call at which the program was held; whether it is held again is not known yet."""
        task = state.tasks.get(event.tid)
        if task is not None and task.call is not None:
            self.chips.returned(task.call.number, *_result(event.result))

    def _chip(self, state: st.LabState) -> None:
        task = state.task
        if task is None:
            return
        if task.at == "signal" and task.signal is not None:
            self.chips.held(signal_name(task.signal.signo), -1)
            return
        if task.at == "interrupt" or task.call is None:
            self.chips.held("paused", -1)
            return
        result, wrong = "", False
        if task.at == "return" and task.call.returned is not None:
            result, wrong = _result(task.call.returned.result)
        self.chips.held(call_name(state, task.call.entered.nr), task.call.number, result=result, failed=wrong)


def _result(value: int) -> tuple[str, bool]:
    """ "=3", or "=EAGAIN" and that it failed."""
    wrong = failed(value)
    return f"={error_words(-value)[0] if wrong else value}", wrong
