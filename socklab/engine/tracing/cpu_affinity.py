"""CPU affinity: one processor for the tracer and a program with one thread, so that a stop is a plain switch.

In: how many stops were served, and the tasks there are. Out: the affinity of the tracer thread and of the tracee, set
while they share it and given back before anybody can notice: at a fork or clone, before sched_getaffinity and
sched_setaffinity (the filter reports both), and when others need the processor. Measured: about twice the stops per
second of the same loop left to the scheduler, which likes to wake the other side on an idle processor.
"""

from __future__ import annotations

import os
import time

from socklab.host.processes import read_stat

STOPS_BEFORE = 512
"""A program must have shown that it is worth it, and be past its start-up."""
_CHECK_EVERY_NS = 500_000_000
_MOST_DELAY = 0.25
"""Share of the time the tracer may wait for the processor before both get their own back for good."""


class CpuAffinity:
    """The affinity of the tracer and of one tracee. Used by the tracer thread alone."""

    def __init__(self, *, given_up: bool = False) -> None:
        self._allowed = frozenset(os.sched_getaffinity(0))
        self._tracee = 0
        self._tracee_allowed: frozenset[int] = frozenset()
        self._given_up = given_up or len(self._allowed) < 2
        self._checked_ns = 0
        self._delay_ns = 0

    @property
    def active(self) -> bool:
        return self._tracee != 0

    def share(self, tid: int) -> None:
        """The only task `tid` keeps stopping: share its processor, or see whether that still does well."""
        if self._given_up:
            return
        if self._tracee:
            self._check()
            return
        try:
            theirs = frozenset(os.sched_getaffinity(tid))
            common = theirs & self._allowed
            if len(common) < 2:
                self._given_up = True  # somebody has bound it already: leave it so
                return
            cpu = {read_stat(tid).processor} & common or {min(common)}
            os.sched_setaffinity(tid, cpu)
            self._tracee, self._tracee_allowed = tid, theirs
            os.sched_setaffinity(0, cpu)
        except OSError:
            self._given_up = True  # it died, or this machine does not let us
            self.restore()
            return
        self._checked_ns, self._delay_ns = time.monotonic_ns(), _run_delay_ns()

    def _check(self) -> None:
        now = time.monotonic_ns()
        if now - self._checked_ns < _CHECK_EVERY_NS:
            return
        delay = _run_delay_ns()
        if delay - self._delay_ns > _MOST_DELAY * (now - self._checked_ns):
            self._given_up = True
            self.restore()
        self._checked_ns, self._delay_ns = now, delay

    def restore(self, *children: int) -> None:
        """Give back what both may run on; `children` were born with the tracee's affinity and get its old one too."""
        tracee, self._tracee = self._tracee, 0
        if not tracee:
            return
        os.sched_setaffinity(0, self._allowed)
        for tid in (tracee, *children):
            try:
                os.sched_setaffinity(tid, self._tracee_allowed)
            except ProcessLookupError:
                continue  # it died; nobody is bound any more


def _run_delay_ns() -> int:
    """Time this thread has waited on a run queue (second field of schedstat); 0 where the kernel does not count."""
    try:
        with open("/proc/thread-self/schedstat") as file:
            return int(file.read().split()[1])
    except OSError:
        return 0  # CONFIG_SCHEDSTATS is off
