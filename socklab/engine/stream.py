"""The one ordered stream out of the engine: events of every thread, batched, written to the consumer.

In: events from the tracer thread and the lab thread. Out: lines of JSON on one socket, in the order they were put.
Nothing is dropped: a consumer that reads slowly slows the lab down.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque

from socklab.protocol import codec, events as ev

BATCH = 256


class Stream:
    """`put` is cheap and may be called from any thread; `flush` writes."""

    def __init__(self, out: socket.socket, *, keep: bool = False) -> None:
        self._out = out
        self._waiting: list[ev.Event] = []
        self._order = threading.Lock()
        self.start_ns = time.monotonic_ns()
        """CLOCK_MONOTONIC at t = 0."""
        self.broken = False
        """The consumer is gone; what is put from now on goes nowhere."""
        self.kept: deque[ev.Event] = deque()
        """With `keep`, every event waits here too, for the lab's own fold."""
        self._keep = keep

    def now(self) -> int:
        """Nanoseconds since the header."""
        return time.monotonic_ns() - self.start_ns

    def put(self, event: ev.Event) -> None:
        self._waiting.append(event)
        if self._keep:
            self.kept.append(event)
        if len(self._waiting) >= BATCH:
            self.flush()

    def notice(self, level: str, text: str, fix: str = "") -> None:
        """Tell the user something, and the next step to take if there is one."""
        self.put(ev.Notice(self.now(), level, text, fix))

    def put_all(self, events: list[ev.Event]) -> None:
        for event in events:
            self.put(event)

    def flush(self) -> None:
        """Write what waits. The lock keeps two flushing threads from crossing over."""
        if not self._waiting:
            return
        with self._order:
            # Another thread may append while this runs: take a counted beginning, never the list itself.
            count = len(self._waiting)
            batch = self._waiting[:count]
            del self._waiting[:count]
            if self.broken or not batch:
                return
            try:
                self._out.sendall(codec.encode_batch(batch))
            except OSError:  # EPIPE, ECONNRESET: the consumer died; the lab thread sees end of file and ends the lab
                self.broken = True
