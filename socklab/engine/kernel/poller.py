"""Polls the kernel: when a snapshot is taken, and what moves by itself between two stops.

In: stops, and the tasks that run. Out: events of the snapshots, and the tasks that have fallen asleep inside a call.
Owns the snapshots of a run. Belongs to the lab thread. Never acts, never decides what a stop means.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import zip_longest

from socklab import syscalls
from socklab.engine.kernel import procfs
from socklab.engine.kernel.procfs import Unread
from socklab.engine.kernel.reset_reasons import ResetReasons
from socklab.engine.kernel.snapshot import FULL_SNAPSHOT_NS, Snapshot
from socklab.engine.network.topology import Topology
from socklab.engine.stream import Stream
from socklab.engine.tracing.task import Stop, Task
from socklab.host.processes import living_task
from socklab.state import LabState

BLOCKED_AFTER_S = 0.008
"""A task that sleeps in a call at two readings this far apart is called blocked."""
_LEAST_PERIOD_S = 0.1
_OWED_AT_MOST_S = 1.0
_COST_SHARE = 20
"""A periodic snapshot takes at most one part in so many of the time."""
_HELD_PERIOD_S = 1.0
_HELD_COST_SHARE = 100
"""The same where everything is held and nobody has asked for anything: timers run on, and so do clients."""
_FOLLOWS_S = 0.05
"""So long after a packet was seen or a client did something the tables have followed."""
_WATCHED_S = 3.0
"""So long after a stop or a command somebody watches what comes of it: packets have the tables read at once."""


class Poller:
    """Made on the lab thread: it enters each host to read from there, and ends in the client's."""

    def __init__(
        self,
        topology: Topology,
        stream: Stream,
        arch: str,
        fold: Callable[[], LabState],
        tasks: Mapping[int, Task],
    ) -> None:
        self._stream = stream
        self._arch = arch
        self._fold = fold
        self._tasks = tasks
        """Those that are traced, as the tracer knows them now."""
        self._of_process: dict[int, list[Task]] = {}
        self._due = self._next = 0.0
        """When the next periodic snapshot was due at first; when it is, as of the last tick."""
        self._owed_since = 0.0
        """When a stop was first given less than a full snapshot, which is owed since; 0 = nothing is."""
        self._taken = 0.0
        self._cost_s = 0.0
        """When the last full snapshot was taken, and how long that took."""
        self._gone: list[Stop] = []
        """Tasks that have ended since the last full snapshot."""
        self._sleeping_since: dict[int, float] = {}
        self._rows: set[int] = set()
        """Tasks whose state is read by itself: threads beside their leaders, and processes that have ended, which are
        zombies until somebody has waited for them."""
        self.blocked: set[int] = set()
        """Tasks told to be asleep inside a call since they were last resumed."""
        self._zombie_since: dict[int, float] = {}
        self._left: set[int] = set()
        self._wired = topology.wire is not None
        self._sees_packets = topology.network != "machine"
        self._seen: tuple[object, ...] = ()
        self._moved = self._asked = 0.0
        """Packets, their fates and clients at the last tick; when they were last others than before; when somebody
        asked for something."""
        hosts = [host.name for host in topology.hosts if not host.shares_table_with]
        self._snapshots: dict[str, Snapshot] = {}
        for name in hosts:
            topology.enter(name)
            self._snapshots[name] = Snapshot(
                name, stream.now, only_watched=topology.network == "machine", still=self._is_still
            )
        self._server = self._snapshots["server"]
        self._resets = ResetReasons(arch, stream.start_ns)
        self._own = {os.getpid(), topology.wire.pid if topology.wire is not None else 0}
        """The clients' sockets are the engine's; what a packet brings about happens in the time of who delivers it."""
        topology.enter("client")

    @property
    def owed(self) -> bool:
        """A full snapshot must follow soon, whatever happens."""
        return bool(self._owed_since)

    @property
    def due_in_s(self) -> float:
        """Until the next periodic snapshot."""
        return max(0.001, self._next - time.monotonic())

    def asked(self) -> None:
        """Somebody has asked for something, and watches what comes of it."""
        self._asked = time.monotonic()

    def follow(self, pid: int) -> None:
        self._server.watch(pid)

    def _follow(self, task: Task) -> None:
        """A task that runs: one that was forked has a table before its first stop, a thread a state of its own."""
        self._server.watch(task.pid)
        if task.tid != task.pid:
            self._rows.add(task.tid)

    def forget(self, stop: Stop) -> None:
        """The task is gone; a last snapshot says what went with it: at once, or soon where many go in a short time."""
        self.woke(stop.tid)
        self._left.discard(stop.tid)
        self._zombie_since.pop(stop.tid, None)
        self._gone.append(stop)
        now = time.monotonic()
        if now - self._taken >= _LEAST_PERIOD_S:
            self.snapshot_all()
        else:
            self._owed_since = self._owed_since or now
            self._due = min(self._due, self._taken + _LEAST_PERIOD_S)

    @property
    def left(self) -> set[int]:
        """Leaders that have ended while other threads of theirs go on. The tracer hears of their end only with the
        last thread's, and until then nothing more comes of them."""
        return {tid for tid in self._left if living_task(tid) != tid} if self._left else self._left

    def _sees_leave(self, task: Task, now: float) -> None:
        """Seen twice: for a moment a process that is being killed looks so too."""
        if task.tid != task.pid or task.tid in self._left or not self._server.is_zombie(task.pid):
            return
        if living_task(task.pid) == task.pid:
            return
        if now - self._zombie_since.setdefault(task.pid, now) >= BLOCKED_AFTER_S:
            self._left.add(task.tid)
            text = f"The first thread of process {task.pid} has ended; its other threads go on with its descriptors."
            self._stream.notice("info", text)

    def is_still(self, tids: Iterable[int]) -> bool:
        """Whether nothing is under way by the kernel's account: each of these tasks sleeps, and no socket waits for an
        answer. On one host a packet arrives, and wakes whom it wakes, before the call that sent it returns."""
        if self._wired or any(snapshot.awaits_answer for snapshot in self._snapshots.values()):
            return False
        for tid in tids:
            state = procfs.read_stat(tid)
            if isinstance(state, Unread) or state.state not in "SZ":
                return False
        return True

    def _is_still(self, pid: int) -> bool:
        """No task of the process can make a call: each is held.

        Asleep is not enough. While we have a copy of a connection its close by the program is none: an epoll instance
        would go on telling of it, by a number that is closed or means another file.
        """
        return pid in self._of_process and all(task.held for task in self._of_process[pid])

    def _group_tasks(self) -> None:
        """Before a snapshot: which tasks each process has."""
        self._of_process = {}
        for task in list(self._tasks.values()):
            self._of_process.setdefault(task.pid, []).append(task)

    def woke(self, tid: int) -> None:
        self._sleeping_since.pop(tid, None)
        self.blocked.discard(tid)

    # ---------------------------------------------------------------- snapshots

    def snapshot_all(self) -> None:
        """A full snapshot of every host."""
        cost = 0
        self._owed_since = 0.0
        self._group_tasks()
        for snapshot in self._snapshots.values():
            self._stream.put_all(snapshot.everything())
            cost += snapshot.cost_ns
        self._tell_resets()
        gone, self._gone = self._gone, []
        for stop in gone:
            if stop.tid == stop.pid:
                self._server.unwatch(stop.pid)
            self._rows.add(stop.tid)
        self._read_rows()
        self._taken = time.monotonic()
        self._cost_s = cost / 1e9
        self._due = self._taken + max(_LEAST_PERIOD_S, _COST_SHARE * self._cost_s)

    def _tell_resets(self) -> None:
        if self._resets.has_news:
            state = self._fold()
            programs = {client.pid for client in state.clients.values() if client.pid}
            self._stream.put_all([*self._resets.read(self._own | programs | {t.pid for t in state.tasks.values()})])

    def _read_rows(self) -> None:
        for tid in list(self._rows):
            self._stream.put_all(self._server.process(tid))
            if not self._server.knows(tid):
                self._rows.discard(tid)

    def at_stop(self, stop: Stop) -> None:
        """A full snapshot where it is cheap; with large tables only what the call touched, and the rest soon after."""
        self.asked()
        if stop.tid != stop.pid:
            self._rows.add(stop.tid)
        if self._server.cost_ns < FULL_SNAPSHOT_NS or stop.at in ("interrupt", "signal"):
            self.snapshot_all()
            return
        self._group_tasks()
        fds: list[int] = []
        unnamed = False
        if stop.nr >= 0:
            name = syscalls.name(self._arch, stop.nr)
            fds += syscalls.own_fds(name, stop.args)
            if stop.at == "return":
                unnamed = syscalls.moves_unnamed(name)
                if syscalls.returns_fd(name) and stop.result >= 0:
                    fds.append(stop.result)
        self._stream.put_all(self._server.touched(stop.pid, fds, unnamed=unnamed))
        now = time.monotonic()
        self._owed_since = self._owed_since or now
        self._due = min(now + _LEAST_PERIOD_S, self._owed_since + _OWED_AT_MOST_S)

    def tick(self, running: Iterable[Task], moving: bool) -> list[int]:
        """Snapshot if one is due. Returns tasks that sleep inside a call since now; `moving`: clients are alive too."""
        now = time.monotonic()
        asleep = []
        anybody = False
        for task in running:
            anybody = True
            self._follow(task)
            self._sees_leave(task, now)
            if self._falls_asleep(task, now):
                asleep.append(task.tid)
        self._next = self._due
        if not (anybody or self.owed):
            self._next = self._next_at_rest(now, moving)
        if asleep or now >= self._next:
            self.snapshot_all()
            self._next = self._due
        return asleep

    def _next_at_rest(self, now: float, moving: bool) -> float:
        """When the tables are read next while no program runs: soon after clients that are alive have moved something,
        while somebody watches; clients that try again each second would never let it rest."""
        state = self._fold()
        seen = (state.packets, state.fates, state.clients)
        if any(now_ is not before for now_, before in zip_longest(seen, self._seen)):
            self._seen, self._moved = seen, now
        watched = moving and now - self._asked < _WATCHED_S
        if watched and not self._sees_packets:
            return self._due
        if watched and self._taken < self._moved + _FOLLOWS_S / 2:
            return max(self._due, min(self._moved + _FOLLOWS_S, self._taken + 2 * _LEAST_PERIOD_S))
        return self._taken + max(_HELD_PERIOD_S, _HELD_COST_SHARE * self._cost_s)

    def _falls_asleep(self, task: Task, now: float) -> bool:
        if task.tid in self.blocked:
            return False
        if not task.in_call:
            self._sleeping_since.pop(task.tid, None)
            return False
        self._stream.put_all(self._server.process(task.tid))
        process = self._fold().processes.get(task.tid)
        if process is None or process.state not in ("S", "D"):
            self._sleeping_since.pop(task.tid, None)
            return False
        if now - self._sleeping_since.setdefault(task.tid, now) < BLOCKED_AFTER_S:
            return False
        self.blocked.add(task.tid)
        return True

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """By the host whose tables they read."""
        return self._snapshots
