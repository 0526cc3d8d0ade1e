"""A snapshot: everything the lab shows of a host and of its programs, read at one moment; out comes what changed.

In: a host (the network namespace the calling thread is in), and the processes to watch. Out: events: Descriptors,
Sockets, Counters, Processes, each only with what is different since the last one. Never stops a program, never acts
on a socket, never draws.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from socklab.core.errors import MachineError
from socklab.core.text import safe
from socklab.engine.kernel import procfs, rings
from socklab.engine.kernel.descriptors import DescriptorTable
from socklab.engine.kernel.othertables import OtherTables
from socklab.engine.kernel.procfs import Unread
from socklab.engine.kernel.socktable import Delta, DiagTable, SocketTable
from socklab.engine.kernel.socktext import TcpText, TextTable
from socklab.engine.kernel.unixdiag import UnixDiag
from socklab.host.processes import living_task
from socklab.protocol.events import (
    Counters,
    Descriptor,
    Descriptors,
    Event,
    Notice,
    Processes,
    ProcessRow,
    Reading,
    SocketRow,
    Sockets,
)

FULL_SNAPSHOT_NS = 2_000_000
"""Up to this cost of the last full snapshot one is taken at each stop; above it, only of what the call touched."""

COUNTER_FILES = ("netstat", "snmp")
"""Of /proc/net."""

_RETRANSMIT, _PROBE = 1, 4
"""Timers of a socket that has sent something and waits. Source: sock_diag(7), idiag_timer."""


class Snapshot:
    """The tables of one host, and the processes watched on it.

    Make it in a thread that has entered the host: its readings stay in that network namespace whatever the thread
    enters later. `clock` gives the time of events: nanoseconds since the header. Not for use by two threads at once.

    `only_watched` is for the machine's own network, whose table lists every program's sockets. Then a row is told
    when a watched process owns it (its inode is among the descriptors), or when its local or remote port is that of
    a listener a watched process owns: so connections not accepted yet, SYN_RECV, TIME_WAIT and the clients' ends are
    in, and so is a stranger's connection to the same port number elsewhere. A row once told stays until it is gone.
    Counters are always those of the whole network namespace: the kernel does not keep them per program.

    `still(pid)` says that a process makes no call now: only then its descriptors are copied to ask what is behind them.

    Where the kernel has no sock_diag, /proc/net/tcp is read instead: `reads` says which, a Notice tells the user. Then
    the limit of an accept queue is known for listeners of watched processes only; it is 0 for others.
    """

    def __init__(
        self,
        host: str,
        clock: Callable[[], int],
        *,
        only_watched: bool = False,
        still: Callable[[int], bool] = lambda pid: False,
    ) -> None:
        self.host = host
        self.cost_ns = 0
        """What the last full snapshot cost; 0 = there was none."""
        self.reads = "sock_diag"
        self._clock = clock
        self._only_watched = only_watched
        self._still = still
        self._notices: list[tuple[str, str, str]] = []
        self._rings_told: set[int] = set()
        self._text = TcpText()
        self._unix = UnixDiag()
        self._others = OtherTables(self._unix)
        self._counter_files = [
            os.open(f"/proc/thread-self/net/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in COUNTER_FILES
        ]
        self._counter_texts: list[str] = []
        self._counters: dict[str, int] = {}
        self._watched: dict[int, DescriptorTable] = {}
        self._processes: dict[int, ProcessRow] = {}
        self._refused: set[int] = set()
        self._told: set[int] = set()
        self._owned: set[int] = set()
        self._ports: set[str] = set()
        self._table: SocketTable
        try:
            self._table = DiagTable()
        except MachineError as error:
            self._table = TextTable(self._backlog)
            self.reads = "/proc/net/tcp"
            self._notices.append(("warning", error.what, error.fix))

    def close(self) -> None:
        """Give back every descriptor. The object is of no use afterwards."""
        for pid in list(self._watched):
            self.unwatch(pid)
        self._table.close()
        self._text.close()
        self._others.close()
        self._unix.close()
        while self._counter_files:
            os.close(self._counter_files.pop())

    # ---- which processes

    def watch(self, pid: int) -> None:
        """Read this process's descriptors and state from now on. Threads share both: watch their leader."""
        if pid not in self._watched:
            self._watched[pid] = DescriptorTable(pid, self._lists, self._unix, self._others)

    def unwatch(self, pid: int) -> None:
        """Forget the process, without an event."""
        table = self._watched.pop(pid, None)
        if table is not None:
            table.close()
        self._processes.pop(pid, None)
        self._refused.discard(pid)

    # ---- snapshots

    def everything(self) -> list[Event]:
        """All sockets, counters, descriptors and watched processes. The first time everything is new.

        A process that has ended is told as gone, its descriptors as closed, and is not watched any more.
        """
        begun = time.monotonic_ns()
        t = self._clock()
        self._others.renew()
        events = self._new_notices(t)
        delta = self._table.look()
        for pid, table in list(self._watched.items()):
            events += self._descriptors(t, pid, *table.look(delta.unlisted, still=self._still(pid)))
            self._note_refusal(table)
        events += self._sockets(t, delta)
        events += self._changed_counters(t)
        events += self._changed_processes(t, list(self._watched))
        events += self._new_notices(t)
        self.cost_ns = time.monotonic_ns() - begun
        return events

    def touched(self, pid: int, fds: Iterable[int], *, unnamed: bool = False) -> list[Event]:
        """What one call of process `pid` on `fds` changed: costs the same with ten sockets and with ten thousand.
        `unnamed`: also numbers that were opened or closed beside those, if that changed how many are open.

        Looked at: these descriptors (also ones just opened or closed), the sockets behind them before and now, the
        other ends of those connections where this host has them, counters, the process, and every listener's queue.
        Not seen: other sockets that moved by themselves; the next full snapshot finds them.
        """
        table = self._watched.get(pid)
        if table is None:
            return []
        t = self._clock()
        self._others.renew()
        fds = list(dict.fromkeys(fds))
        deltas = [self._table.look_at_listeners()]
        for fd in fds:
            before = table.known.get(fd)
            deltas += self._behind(table, fd, {before.inode if before else 0, table.inode_of(fd)} - {0})
        delta = _together(deltas)
        unlisted = set(delta.unlisted)
        events: list[Event] = []
        for of, each in self._watched.items():
            still = self._still(of)
            if not each.known:  # a process just born has a whole table already: its parent's
                events += self._descriptors(t, of, *each.look(unlisted, still=still))
                continue
            numbers = [*(fds if each is table else []), *each.holding(unlisted)]
            events += self._descriptors(t, of, *each.look_at(numbers, unnamed=unnamed and each is table, still=still))
        events += self._sockets(t, delta)
        events += self._changed_counters(t)
        events += self._changed_processes(t, [pid])
        events += self._new_notices(t)
        return events

    def process(self, pid: int) -> list[Event]:
        """Only the process's own row: state, where it sleeps, memory, time. Cheap enough for 20 times a second.

        `pid` may also be a thread: the state is its own, the rest is its process's. A task that does not exist any
        more is told as gone once.
        """
        return self._changed_processes(self._clock(), [pid])

    def knows(self, pid: int) -> bool:
        """Whether the task was still there when its row was last read."""
        return pid in self._processes

    @property
    def awaits_answer(self) -> bool:
        """Whether a socket had sent what was not acknowledged, or a full window, when it was last read."""
        return any(row.timer in (_RETRANSMIT, _PROBE) for row in self._table.running)

    def is_zombie(self, pid: int) -> bool:
        """Whether the task was a zombie when its row was last read."""
        row = self._processes.get(pid)
        return row is not None and row.state == "Z"

    def evidence_of(self, row: SocketRow, read: dict[str, list[str]]) -> tuple[Reading, ...]:
        """Where this socket is listed now: the line of /proc/net/tcp or tcp6, and the message of sock_diag. `read`: the
        lines of those files that were read a moment ago; empty at first."""
        line, message = self._text.line_of(row, read), self._table.message_of(row)
        found = [line or Reading("/proc/net/tcp", reason="no line lists it any more")]
        if self.reads == "sock_diag":
            found.append(Reading("inet_diag_msg", message, reason="" if message else "sock_diag lists it no more"))
        return tuple(replace(reading, host=self.host) for reading in found)

    def counter_texts(self) -> dict[str, str]:
        """The files of counters as they are now, by their paths."""
        texts = map(procfs.read_open, self._counter_files)
        return {f"/proc/net/{name}": text for name, text in zip(COUNTER_FILES, texts, strict=True)}

    # ---- descriptors

    def _descriptors(self, t: int, pid: int, changed: list[Descriptor], closed: list[int]) -> list[Event]:
        self._note_ring(pid, changed)
        return [Descriptors(t, pid, tuple(changed), tuple(sorted(closed)))] if changed or closed else []

    def _note_refusal(self, table: DescriptorTable) -> None:
        if table.unread is None or table.gone or table.pid in self._refused:
            return
        self._refused.add(table.pid)
        self._notices.append(
            (
                "warning",
                f"the descriptors of process {table.pid} cannot be read ({table.unread.reason})",
                "The program runs with other rights than socklab: start socklab as the same user, or as root.",
            )
        )

    def _new_notices(self, t: int) -> list[Event]:
        notices, self._notices = self._notices, []
        return [Notice(t, level, what, fix) for level, what, fix in notices]

    def _note_ring(self, pid: int, changed: list[Descriptor]) -> None:
        """Once for a process: what of an io_uring can be seen, and what cannot."""
        for descriptor in changed:
            ring = descriptor.ring
            if descriptor.target != rings.TARGET or pid in self._rings_told:
                continue
            self._rings_told.add(pid)
            text = (
                f"Process {pid} has an io_uring: accept, recv, close and the like that it writes into the ring's "
                "memory are carried out inside the kernel, without system calls of their own and without stops. "
            )
            if ring is None:
                text += "This kernel does not list what lies in the ring; the tables show what comes of it."
            else:
                text += (
                    "Shown are the operations and results that lie in the ring at each stop, and what the tables say "
                    "then; what is written and taken between two stops is not seen."
                )
            if ring is not None and ring.thread:
                text += f" The kernel's thread {ring.thread} takes operations without any call at all."
            self._notices.append(("info", text, ""))

    # ---- sockets

    def _backlog(self, inode: int) -> int:
        for table in self._watched.values():
            for fd in table.holding({inode}):
                return table.backlog(fd)
        return 0

    def _lists(self, inode: int) -> bool:
        return inode in self._table.by_inode

    def _behind(self, table: DescriptorTable, fd: int, inodes: set[int]) -> list[Delta]:
        """Read the sockets with these inodes, one of which may be so new that no look has seen it."""
        deltas: list[Delta] = []
        for inode in inodes:
            id_ = self._table.by_inode.get(inode)
            if id_ is not None:
                row = self._table.rows[id_]
                family, local, remote = row.family, row.local, row.remote
                deltas.append(self._table.look_at([id_]))
            else:
                ends = table.ends(fd)
                if isinstance(ends, Unread):
                    if not ends.gone and ends.reason != "EBADF":  # refused: only a full look can find it
                        deltas.append(self._table.look())
                    continue
                if ends is None or ends.local.endswith(":0"):  # no address, so in no table
                    continue
                family, local, remote = ends
                deltas.append(self._table.look_for(family, local, remote))
            if not remote.endswith(":0"):
                deltas.append(self._table.look_for(family, remote, local))
        return deltas

    def _sockets(self, t: int, delta: Delta) -> list[Event]:
        if self._only_watched:
            delta = self._ours(delta)
        return [Sockets(t, self.host, tuple(delta.changed), tuple(delta.gone))] if delta.changed or delta.gone else []

    def _ours(self, delta: Delta) -> Delta:
        """Of all that changed, what is of the watched processes; and what has become theirs."""
        owned = {d.inode for table in self._watched.values() for d in table.known.values() if d.inode}
        ports = {_port(row.local) for row in self._table.listeners if row.inode in owned}
        rows = self._table.rows
        candidates = {row.id: row for row in delta.changed}
        if ports - self._ports:
            candidates = rows
        else:
            newly = (self._table.by_inode.get(inode) for inode in owned - self._owned)
            candidates |= {id_: rows[id_] for id_ in newly if id_ is not None}
        self._owned, self._ports = owned, self._ports | ports
        changed_ids = {row.id for row in delta.changed}
        changed: list[SocketRow] = []
        for id_, row in candidates.items():
            if id_ in self._told:
                if id_ in changed_ids:
                    changed.append(row)
            elif row.inode in owned or _port(row.local) in self._ports or _port(row.remote) in self._ports:
                self._told.add(id_)
                changed.append(row)
        gone = [id_ for id_ in delta.gone if id_ in self._told]
        self._told.difference_update(gone)
        return Delta(changed, gone, delta.unlisted)

    # ---- counters and processes

    def _changed_counters(self, t: int) -> list[Event]:
        """The first time all of them, also those that are 0: what was there before the lab must be known."""
        texts = [procfs.read_open(file) for file in self._counter_files]
        if texts == self._counter_texts:
            return []
        self._counter_texts = texts
        values = {name: value for text in texts for name, value in procfs.parse_netstat(text).items()}
        changed = {name: value for name, value in values.items() if self._counters.get(name) != value}
        self._counters = values
        return [Counters(t, self.host, changed)] if changed else []

    def _changed_processes(self, t: int, pids: list[int]) -> list[Event]:
        changed: list[ProcessRow] = []
        gone: list[int] = []
        for pid in pids:
            row = read_process(pid)
            if isinstance(row, Unread):
                if row.gone and (pid in self._watched or pid in self._processes):
                    gone.append(pid)
            elif row != self._processes.get(pid):
                self._processes[pid] = row
                changed.append(row)
        events: list[Event] = []
        for pid in gone:
            if pid in self._watched:
                events += self._descriptors(t, pid, [], list(self._watched[pid].known))
            self.unwatch(pid)
        if changed or gone:
            events.append(Processes(t, tuple(changed), tuple(gone)))
        return events


def read_process(tid: int) -> ProcessRow | Unread:
    """One task from /proc/TID/stat, statm and wchan. Threads, memory and time are those of its whole process."""
    stat = procfs.read_stat(tid)
    if isinstance(stat, Unread):
        return stat
    # Of a leader that has ended while others go on the memory is theirs.
    resident = procfs.read_resident(living_task(tid) if stat.state == "Z" and stat.threads > 1 else tid)
    wchan = procfs.read_wchan(tid) if stat.state in ("S", "D", "t", "T") else ""
    return ProcessRow(
        pid=tid,
        ppid=stat.ppid,
        name=safe(stat.name),
        state=stat.state,
        threads=stat.threads,
        rss_bytes=resident * procfs.PAGE_BYTES if isinstance(resident, int) else 0,
        cpu_ms=stat.ticks * 1000 // procfs.TICKS_PER_SECOND,
        waits_in=safe(wchan),
    )


def _port(end: str) -> str:
    return end.rpartition(":")[2]


def _together(deltas: list[Delta]) -> Delta:
    """Several readings, one after the other, as one: what was read later counts."""
    changed: dict[int, SocketRow] = {}
    gone: dict[int, None] = {}
    for delta in deltas:
        for row in delta.changed:
            gone.pop(row.id, None)
            changed[row.id] = row
        for id_ in delta.gone:
            changed.pop(id_, None)
            gone[id_] = None
    return Delta(list(changed.values()), list(gone), [inode for delta in deltas for inode in delta.unlisted])
