"""The state of a lab at one moment: immutable values, and what panels and probes ask of them.

In: nothing; the folds make these values. Out: LabState and its parts. An earlier value stays valid for as long as
somebody holds it, so showing the past is showing an older value. Never reads the kernel, never draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from socklab.core.persistent import Log, PMap
from socklab.protocol import events as ev

# include/net/tcp_states.h
ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT = 1, 2, 3, 4, 5, 6
CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING, NEW_SYN_RECV = 7, 8, 9, 10, 11, 12
TCP_STATES = {
    ESTABLISHED: "ESTABLISHED",
    SYN_SENT: "SYN_SENT",
    SYN_RECV: "SYN_RECV",
    FIN_WAIT1: "FIN_WAIT1",
    FIN_WAIT2: "FIN_WAIT2",
    TIME_WAIT: "TIME_WAIT",
    CLOSE: "CLOSE",
    CLOSE_WAIT: "CLOSE_WAIT",
    LAST_ACK: "LAST_ACK",
    LISTEN: "LISTEN",
    CLOSING: "CLOSING",
    NEW_SYN_RECV: "SYN_RECV",
}


FIN_CAME = (CLOSE_WAIT, LAST_ACK, CLOSING)
FIN_SENT = (FIN_WAIT1, LAST_ACK, CLOSING)
"""In these one of the bytes that wait, or are not acknowledged, is the FIN: the kernel counts it as a byte."""

MOST_EXITED = 256
"""Of more tasks that have ended only the last ones are kept."""


class Call(msgspec.Struct, frozen=True):
    """One syscall: entered, and, once `returned` is there, returned. `number` counts the calls of the whole run."""

    number: int
    entered: ev.Enter
    returned: ev.Return | None = None
    stack: tuple[ev.Frame, ...] = ()


class Task(msgspec.Struct, frozen=True):
    """A thread of the traced program. status: running, held, exited."""

    tid: int
    pid: int
    host: str
    parent: int = 0
    status: str = "running"
    at: str = ""
    """Where it is held: enter, return, interrupt, signal."""
    call: Call | None = None
    """The call it is in or about to make; after the return the same call with its result, until the next one."""
    stack: tuple[ev.Frame, ...] = ()
    unlined: str = ""
    """Why `stack` is empty at a stop, or asleep in a call: no debug information, an unknown interpreter ..."""
    signal: ev.Signal | None = None
    exited: ev.Exited | None = None

    @property
    def in_call(self) -> bool:
        """Between the entry of a call and its return."""
        return self.call is not None and self.call.returned is None


class Table(msgspec.Struct, frozen=True):
    """A host's sockets by id, with the indexes that panels ask for at every stop."""

    rows: PMap[int, ev.SocketRow] = msgspec.field(default_factory=PMap)
    by_inode: PMap[int, int] = msgspec.field(default_factory=PMap)
    by_ends: PMap[tuple[str, str], int] = msgspec.field(default_factory=PMap)
    """(local, remote) to id: the other end of a connection is (remote, local)."""
    listeners: dict[int, ev.SocketRow] = {}
    syn_received: dict[int, ev.SocketRow] = {}
    states: dict[int, int] = {}
    """How many sockets are in each state; SYN_RECV counts both of the kernel's numbers for it."""


class Changed(msgspec.Struct, frozen=True):
    """What is different since the program last ran, with the value before (None = was not there)."""

    descriptors: dict[tuple[int, int], ev.Descriptor | None] = {}
    """(pid, fd); one that is closed now is not in the table any more."""
    unasked: dict[tuple[int, int], ev.Descriptor] = {}
    """(pid, fd) of those whose object was asked before the program ran, and was not at a look since: as they were."""
    sockets: dict[tuple[str, int], ev.SocketRow | None] = {}
    counters: dict[tuple[str, str], int] = {}
    packet: int = 0
    """Number of the last packet before that: the packets behind it are new."""
    fates: dict[int, str] = {}
    """Packets that were there before and have another fate since."""
    settings: dict[tuple[str, str], str] = {}


class Noticed(msgspec.Struct, frozen=True):
    """Something the kernel's tables told, in its place among the calls."""

    t: int
    calls: int
    """So many calls had returned by then, of all that ever did."""
    what: str
    """held (sockets that got a descriptor), waits, left (an accept queue, without a descriptor), syn (came into the
    SYN queue): `rows`. descriptors. dropped: `rises`. client (a new one): `name`. place (of a call): `number` and
    `stack`."""
    rows: tuple[ev.SocketRow, ...] = ()
    descriptors: ev.Descriptors | None = None
    depth: dict[str, int] = {}
    """Of `waits`: how many waited then, by the listener's port."""
    rises: dict[str, int] = {}
    name: str = ""
    number: int = 0
    stack: tuple[ev.Frame, ...] = ()


class Question(msgspec.Struct, frozen=True):
    """The prediction of a step: open until `measured` is there. `answered`: committed to, not measured yet."""

    index: int
    answered: ev.Answered | None = None
    measured: ev.Measured | None = None


class LabState(msgspec.Struct, frozen=True):
    """The whole lab. Dictionaries in it are never changed in place, but for `derived`."""

    t: int = 0
    header: ev.Header | None = None
    lesson_toml: str = ""
    sources: dict[str, ev.Source] = {}
    started: ev.Started | None = None
    built: ev.Built | None = None
    tasks: dict[int, Task] = {}
    """Threads by id, the dead ones too; of thousands that ended the last are kept."""
    focus: int = 0
    """The task held last, or the first one started."""
    calls: Log[Call] = msgspec.field(default_factory=Log)
    """Calls that have returned (or never will), in the order of their returns."""
    entered: int = 0
    """Calls entered so far, over all tasks."""
    errors: int = 0
    """Calls that returned an error so far."""
    descriptors: dict[int, PMap[int, ev.Descriptor]] = {}
    tables: dict[str, Table] = {}
    counters: dict[str, dict[str, int]] = {}
    counters_at_start: dict[str, dict[str, int]] = {}
    """The first value seen of each counter: what was there before the lab."""
    settings: dict[str, dict[str, str]] = {}
    processes: dict[int, ev.ProcessRow] = {}
    process_seen: dict[int, int] = {}
    """Time of the look that told each row, as it is, first."""
    clients: dict[str, ev.Client] = {}
    packets: Log[ev.Packet] = msgspec.field(default_factory=Log)
    fates: PMap[int, str] = msgspec.field(default_factory=PMap)
    on_the_way: PMap[int, int] = msgspec.field(default_factory=PMap)
    """Packets the wire keeps, held or delayed: number to the time since when."""
    waited_ns: PMap[int, int] = msgspec.field(default_factory=PMap)
    """Packets the wire kept for a while: number to how long."""
    wire_rules: tuple[str, ...] = ()
    """Rules in force on the wire, as one would type them."""
    resets: Log[ev.ResetSent] = msgspec.field(default_factory=lambda: Log(2_000))
    """The kernel's own reasons for RSTs it sent, where they can be seen."""
    output: Log[ev.Output] = msgspec.field(default_factory=lambda: Log(2_000))
    """A terminal hands over at most 4 KiB at a time: what a program prints for ever stays below 16 MiB here."""
    acted: Log[ev.Acted] = msgspec.field(default_factory=Log)
    notices: Log[ev.Notice] = msgspec.field(default_factory=Log)
    signals: Log[ev.Signal] = msgspec.field(default_factory=Log)
    evidence: ev.Evidence | None = None
    """The raw things read last."""
    ran: ev.Ran | None = None
    """What a shell command that shows the same printed last."""
    step: ev.StepReached | None = None
    step_left: LabState | None = None
    """The state when the program ran on from that step: what was said there keeps the values it was said with."""
    question: Question | None = None
    answers: dict[int, ev.Measured] = {}
    checks: dict[int, ev.Checked] = {}
    lesson_done: bool = False
    offer: ev.Offered | None = None
    """What the lesson leaves to the student."""
    ready: ev.Ready | None = None
    """What the engine waits for; None while it is busy."""
    stops: int = 0
    """How often a task was held: the length of the timeline."""
    stop_times: Log[int] = msgspec.field(default_factory=Log)
    """When the task was held, for each stop."""
    noticed: Log[Noticed] = msgspec.field(default_factory=Log)
    """What the tables told when: for what is no longer in them."""
    changed: Changed = Changed()
    ended: ev.Ended | None = None
    derived: dict[type, Any] = {}
    """What a consumer has worked out and keeps for the next state, by its type. All states of a lab share this one
    dictionary, and it alone is changed in place; it tells nothing that the rest does not."""

    # ---- what panels and probes ask

    @property
    def task(self) -> Task | None:
        """The task in focus."""
        return self.tasks.get(self.focus)

    def table_host(self, host: str) -> str:
        """The host whose table lists this host's sockets: itself, or the one it shares a table with."""
        hosts = self.header.hosts if self.header is not None else ()
        return next((known.shares_table_with for known in hosts if known.name == host), "") or host

    def table_of(self, host: str) -> Table:
        """The socket table that lists the host's sockets; empty when nothing was read yet."""
        return self.tables.get(self.table_host(host), NO_TABLE)

    def socket_of(self, pid: int, fd: int) -> ev.SocketRow | None:
        """The row behind a descriptor, or None: not a socket, or one that no table lists."""
        descriptor = self.descriptors.get(pid, NO_DESCRIPTORS).get(fd)
        if descriptor is None or not descriptor.inode:
            return None
        task = self.tasks.get(pid) or self.task
        table = self.table_of(task.host if task else "")
        found = table.by_inode.get(descriptor.inode)
        return None if found is None else table.rows.get(found)

    def blocked(self, tid: int) -> bool:
        """The task sleeps inside a call: the kernel says S, and the call has not returned."""
        task = self.tasks.get(tid)
        if task is None or task.status != "running" or not task.in_call:
            return False
        process = self.processes.get(tid) or self.processes.get(task.pid)
        return process is not None and process.state in ("S", "D")

    @property
    def listeners(self) -> list[ev.SocketRow]:
        """LISTEN rows of the server's host, oldest id first."""
        host = self.started.host if self.started else ""
        return sorted(self.table_of(host).listeners.values(), key=lambda row: row.id)

    def syn_queue(self, listener: ev.SocketRow) -> list[ev.SocketRow]:
        """Connections of this listener whose handshake is not complete (SYN_RECV, inode 0)."""
        host = self.started.host if self.started else ""
        port = listener.local.rpartition(":")[2]
        return [r for r in self.table_of(host).syn_received.values() if r.local.rpartition(":")[2] == port]

    def hidden(self) -> bool:
        """A prediction is open: panels it names must be masked."""
        return self.question is not None and self.question.measured is None and self.question.answered is None


NO_TABLE = Table()
NO_DESCRIPTORS: PMap[int, ev.Descriptor] = PMap()

Folds: TypeAlias = dict[type[ev.Event], Callable[[LabState, Any], LabState]]
"""One function for each kind of event: the state before it and the event, to the state after it."""
