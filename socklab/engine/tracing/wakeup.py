"""Wakes the tracer thread out of its waitpid, so that nothing has to poll and no wake-up is lost.

In: `wake` from any thread or signal handler. Out: a stop of a tiny traced child, served by the tracer thread. The child
is a copy of this process that only waits for a signal; it dies with us.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from socklab.engine.tracing import ptrace
from socklab.host import libc


class Wakeup:
    """The traced child. `pid` is 0 until it is started and after it is gone."""

    def __init__(self) -> None:
        self.pid = 0

    def start(self) -> None:
        """Fork the child. Before any other thread exists."""
        pid = os.fork()
        if pid == 0:
            try:
                libc.die_with_parent()
                os.closerange(0, 4096)
                signal.signal(signal.SIGUSR1, lambda *_: None)
                while True:
                    signal.pause()
            finally:
                os._exit(0)
        ptrace.seize(pid, ptrace.O_EXITKILL)
        self.pid = pid

    def wake(self) -> None:
        if self.pid:
            with suppress(ProcessLookupError):  # it was killed, and waitpid has just told the tracer so
                os.kill(self.pid, signal.SIGUSR1)

    def close(self) -> None:
        if self.pid:
            pid, self.pid = self.pid, 0
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, ptrace.WALL)
