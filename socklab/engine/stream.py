"""The one ordered stream out of the engine: events of every thread, batched, written to the consumer.

In: events from the tracer thread and the lab thread. Out: lines of JSON on one socket, in the order they were put.
Nothing is dropped: a consumer that reads slowly slows the lab down, and so does a lab that folds slowly.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque

from socklab.protocol import codec, events as ev

BATCH = 256
MOST_KEPT = 20_000
"""Events that may wait for the lab's fold. The lock is not fair: with a slow consumer the tracer thread could take it
again and again, while the lab thread waits for it and folds nothing."""


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
        self._folder = 0
        """The thread that folds; 0 = none does."""
        self._folded = threading.Event()

    def now(self) -> int:
        """Nanoseconds since the header."""
        return time.monotonic_ns() - self.start_ns

    def put(self, event: ev.Event) -> None:
        self._waiting.append(event)
        if self._keep:
            self.kept.append(event)
            if len(self.kept) > MOST_KEPT:
                self._wait_for_fold()
        if len(self._waiting) >= BATCH:
            self.flush()

    def fold_here(self) -> None:
        """The calling thread takes what is kept, and says so by `folded`; others wait for it where there is much."""
        self._folder = threading.get_ident()

    def folded(self) -> None:
        """What was kept has been taken."""
        if not self._folded.is_set():
            self._folded.set()

    def fold_no_more(self) -> None:
        """Nobody takes what is kept any more, and nobody waits for that."""
        self._folder = 0
        self._folded.set()

    def _wait_for_fold(self) -> None:
        while self._folder not in (0, threading.get_ident()) and len(self.kept) > MOST_KEPT:
            self._folded.clear()
            if len(self.kept) > MOST_KEPT:
                self._folded.wait()

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
