"""All that is known of a lab at one moment, as a pure fold over the event stream.

In: events, in order. Out: LabState values; an earlier one stays valid for as long as somebody holds it, so showing
the past is showing an older value. Never reads the kernel, never draws, never knows whether the stream is live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from socklab import events as ev
from socklab.persistent import Log, PMap

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
    """Why `stack` is empty at a stop: no debug information, an interpreter that is not known, ..."""
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
    sockets: dict[tuple[str, int], ev.SocketRow | None] = {}
    counters: dict[tuple[str, str], int] = {}
    packet: int = 0
    """Number of the last packet before that: the packets behind it are new."""
    fates: dict[int, str] = {}
    """Packets that were there before and have another fate since."""
    settings: dict[tuple[str, str], str] = {}


class Question(msgspec.Struct, frozen=True):
    """The prediction of a step: open until `measured` is there. `answered`: committed to, not measured yet."""

    index: int
    answered: ev.Answered | None = None
    measured: ev.Measured | None = None


class LabState(msgspec.Struct, frozen=True):
    """The whole lab. Dictionaries in it are never changed in place."""

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
    output: Log[ev.Output] = msgspec.field(default_factory=lambda: Log(2_000))
    """A terminal hands over at most 4 KiB at a time: what a program prints for ever stays below 16 MiB here."""
    acted: Log[ev.Acted] = msgspec.field(default_factory=Log)
    notices: Log[ev.Notice] = msgspec.field(default_factory=Log)
    signals: Log[ev.Signal] = msgspec.field(default_factory=Log)
    raw: ev.RawLine | None = None
    step: ev.StepReached | None = None
    step_left: LabState | None = None
    """The state when the program ran on from that step: what was said there keeps the values it was said with."""
    question: Question | None = None
    answers: dict[int, ev.Measured] = {}
    checks: dict[int, ev.Checked] = {}
    lesson_done: bool = False
    stops: int = 0
    """How often a task was held: the length of the timeline."""
    changed: Changed = Changed()
    ended: ev.Ended | None = None

    # ---- what panels and probes ask

    @property
    def task(self) -> Task | None:
        """The task in focus."""
        return self.tasks.get(self.focus)

    def table_of(self, host: str) -> Table:
        """The socket table that lists the host's sockets; empty when nothing was read yet."""
        if self.header is not None:
            for known in self.header.hosts:
                if known.name == host and known.shares_table_with:
                    host = known.shares_table_with
        return self.tables.get(host, _NO_TABLE)

    def socket_of(self, pid: int, fd: int) -> ev.SocketRow | None:
        """The row behind a descriptor, or None: not a socket, or one that no table lists."""
        descriptor = self.descriptors.get(pid, _NO_DESCRIPTORS).get(fd)
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


_NO_TABLE = Table()
_NO_DESCRIPTORS: PMap[int, ev.Descriptor] = PMap()

E = TypeVar("E", bound=ev.Event)
_Fold = Callable[[LabState, Any], LabState]
_FOLDS: dict[type[ev.Event], _Fold] = {}


def _on(kind: type[E]) -> Callable[[Callable[[LabState, E], LabState]], Callable[[LabState, E], LabState]]:
    def register(fold: Callable[[LabState, E], LabState]) -> Callable[[LabState, E], LabState]:
        _FOLDS[kind] = fold
        return fold

    return register


def apply(state: LabState, event: ev.Event) -> LabState:
    """The state after `event`. Every event kind has a fold; an unknown one raises KeyError (a bug, not bad input)."""
    return _FOLDS[type(event)](state, event)


def apply_all(state: LabState, events: Iterable[ev.Event]) -> LabState:
    for event in events:
        state = _FOLDS[type(event)](state, event)
    return state


def _with_task(state: LabState, task: Task, t: int) -> LabState:
    return replace(state, t=t, tasks={**state.tasks, task.tid: task})


def _task(state: LabState, tid: int) -> Task:
    """The task, made up from what is known when the stream never announced it (a cut recording)."""
    known = state.tasks.get(tid)
    return known if known is not None else Task(tid=tid, pid=tid, host=state.started.host if state.started else "")


@_on(ev.Header)
def _header(state: LabState, event: ev.Header) -> LabState:
    return replace(state, t=event.t, header=event)


@_on(ev.LessonText)
def _lesson(state: LabState, event: ev.LessonText) -> LabState:
    return replace(state, t=event.t, lesson_toml=event.toml)


@_on(ev.Source)
def _source(state: LabState, event: ev.Source) -> LabState:
    return replace(state, t=event.t, sources={**state.sources, event.path: event})


@_on(ev.Built)
def _built(state: LabState, event: ev.Built) -> LabState:
    return replace(state, t=event.t, built=event)


@_on(ev.Started)
def _started(state: LabState, event: ev.Started) -> LabState:
    task = Task(tid=event.pid, pid=event.pid, host=event.host)
    return replace(state, t=event.t, started=event, focus=event.pid, tasks={**state.tasks, event.pid: task})


@_on(ev.Notice)
def _notice(state: LabState, event: ev.Notice) -> LabState:
    return replace(state, t=event.t, notices=state.notices.append(event))


@_on(ev.Ended)
def _ended(state: LabState, event: ev.Ended) -> LabState:
    return replace(state, t=event.t, ended=event)


@_on(ev.Enter)
def _enter(state: LabState, event: ev.Enter) -> LabState:
    task = _task(state, event.tid)
    calls = state.calls if task.call is None or task.call.returned is not None else state.calls.append(task.call)
    task = replace(task, call=Call(number=state.entered, entered=event), status="running", at="")
    return replace(state, t=event.t, tasks={**state.tasks, event.tid: task}, entered=state.entered + 1, calls=calls)


@_on(ev.Return)
def _return(state: LabState, event: ev.Return) -> LabState:
    task = _task(state, event.tid)
    if task.call is None:  # the stream begins inside a call
        return replace(state, t=event.t)
    state = _step_left(state, event.tid)
    call = replace(task.call, returned=event)
    return replace(
        state,
        t=event.t,
        tasks={**state.tasks, event.tid: replace(task, call=call)},
        calls=state.calls.append(call),
        errors=state.errors + (-4096 < event.result < 0),
    )


@_on(ev.Held)
def _held(state: LabState, event: ev.Held) -> LabState:
    task = _task(state, event.tid)
    call = task.call
    if call is not None and event.at == "enter":
        call = replace(call, stack=event.stack)
    task = replace(task, status="held", at=event.at, stack=event.stack, unlined=event.unlined, call=call)
    return replace(state, t=event.t, tasks={**state.tasks, event.tid: task}, focus=event.tid, stops=state.stops + 1)


@_on(ev.Resumed)
def _resumed(state: LabState, event: ev.Resumed) -> LabState:
    state = _step_left(state, event.tid)
    task = replace(_task(state, event.tid), status="running", at="", signal=None)
    return replace(state, t=event.t, tasks={**state.tasks, event.tid: task}, changed=_nothing_new(state), raw=None)


def _nothing_new(state: LabState) -> Changed:
    return Changed(packet=state.packets[-1].id if len(state.packets) else 0)


@_on(ev.Signal)
def _signal(state: LabState, event: ev.Signal) -> LabState:
    task = replace(_task(state, event.tid), signal=event)
    return replace(_with_task(state, task, event.t), signals=state.signals.append(event))


@_on(ev.Forked)
def _forked(state: LabState, event: ev.Forked) -> LabState:
    parent = _task(state, event.tid)
    pid = parent.pid if event.kind == "thread" else event.child
    child = Task(tid=event.child, pid=pid, host=parent.host, parent=event.tid)
    known = state.tasks.get(event.child)
    if known is not None:  # its first stop was seen before the parent's report
        child = replace(known, pid=pid, host=parent.host, parent=event.tid)
    return _with_task(state, child, event.t)


@_on(ev.Execed)
def _execed(state: LabState, event: ev.Execed) -> LabState:
    tasks = {tid: task for tid, task in state.tasks.items() if task.pid != event.tid or tid == event.tid}
    task = _task(state, event.tid)
    former = state.tasks.get(event.former) if event.former else None
    tasks[event.tid] = replace(task, call=former.call if former else task.call, exited=None)
    return replace(state, t=event.t, tasks=tasks)


@_on(ev.Exited)
def _exited(state: LabState, event: ev.Exited) -> LabState:
    task = _task(state, event.tid)
    calls = state.calls
    if task.call is not None and task.call.returned is None:
        calls = calls.append(task.call)  # exit_group and the like never return
    state = replace(_with_task(state, replace(task, status="exited", at="", exited=event), event.t), calls=calls)
    return state if len(state.tasks) <= 2 * MOST_EXITED else _without_the_oldest(state)


def _without_the_oldest(state: LabState) -> LabState:
    """A server that forks for every client leaves thousands behind: the last MOST_EXITED that ended are kept."""
    over = [tid for tid, task in state.tasks.items() if task.status == "exited" and tid != state.focus]
    dropped = frozenset(over[:-MOST_EXITED])
    return replace(state, tasks={tid: task for tid, task in state.tasks.items() if tid not in dropped})


@_on(ev.Output)
def _output(state: LabState, event: ev.Output) -> LabState:
    return replace(state, t=event.t, output=state.output.append(event))


@_on(ev.Descriptors)
def _descriptors(state: LabState, event: ev.Descriptors) -> LabState:
    table = state.descriptors.get(event.pid, _NO_DESCRIPTORS)
    before = dict(state.changed.descriptors)
    for descriptor in event.set:
        before.setdefault((event.pid, descriptor.fd), table.get(descriptor.fd))
    for fd in event.closed:
        before.setdefault((event.pid, fd), table.get(fd))
    table = table.changed(((d.fd, d) for d in event.set), event.closed)
    return replace(
        state,
        t=event.t,
        descriptors={**state.descriptors, event.pid: table},
        changed=replace(state.changed, descriptors=before),
    )


def _is_syn(row: ev.SocketRow) -> bool:
    return row.state in (SYN_RECV, NEW_SYN_RECV)


def _changed_table(table: Table, put: tuple[ev.SocketRow, ...], gone: tuple[int, ...]) -> Table:
    left = frozenset(gone)
    met = dict.fromkeys([*gone, *(r.id for r in put)])  # a socket may be in both: gone, and back
    old = [row for row in map(table.rows.get, met) if row is not None]
    states = dict(table.states)
    listeners, syn = table.listeners, table.syn_received
    for row in old:
        state = SYN_RECV if _is_syn(row) else row.state
        states[state] -= 1
    for row in put:
        state = SYN_RECV if _is_syn(row) else row.state
        states[state] = states.get(state, 0) + 1
    if any(r.state == LISTEN for r in old) or any(r.state == LISTEN for r in put):
        listeners = {i: r for i, r in listeners.items() if i not in left}
        for row in put:
            listeners.pop(row.id, None)
            if row.state == LISTEN:
                listeners[row.id] = row
    if any(map(_is_syn, old)) or any(map(_is_syn, put)):
        syn = {i: r for i, r in syn.items() if i not in left}
        for row in put:
            syn.pop(row.id, None)
            if _is_syn(row):
                syn[row.id] = row
    return Table(
        rows=table.rows.changed(((r.id, r) for r in put), gone),
        by_inode=table.by_inode.changed(((r.inode, r.id) for r in put if r.inode), (r.inode for r in old if r.inode)),
        by_ends=table.by_ends.changed((((r.local, r.remote), r.id) for r in put), ((r.local, r.remote) for r in old)),
        listeners=listeners,
        syn_received=syn,
        states={k: n for k, n in states.items() if n},
    )


@_on(ev.Sockets)
def _sockets(state: LabState, event: ev.Sockets) -> LabState:
    table = state.tables.get(event.host, _NO_TABLE)
    before = dict(state.changed.sockets)
    for row in event.set:
        before.setdefault((event.host, row.id), table.rows.get(row.id))
    for gone in event.gone:
        before.setdefault((event.host, gone), table.rows.get(gone))
    return replace(
        state,
        t=event.t,
        tables={**state.tables, event.host: _changed_table(table, event.set, event.gone)},
        changed=replace(state.changed, sockets=before),
    )


@_on(ev.RawLine)
def _raw(state: LabState, event: ev.RawLine) -> LabState:
    return replace(state, t=event.t, raw=event)


@_on(ev.Counters)
def _counters(state: LabState, event: ev.Counters) -> LabState:
    old = state.counters.get(event.host, {})
    first = state.counters_at_start.get(event.host, {})
    before = dict(state.changed.counters)
    for name in event.values:
        if name in old:
            before.setdefault((event.host, name), old[name])
    return replace(
        state,
        t=event.t,
        counters={**state.counters, event.host: {**old, **event.values}},
        counters_at_start={**state.counters_at_start, event.host: {**event.values, **first}},
        changed=replace(state.changed, counters=before),
    )


@_on(ev.Setting)
def _setting(state: LabState, event: ev.Setting) -> LabState:
    old = state.settings.get(event.host, {})
    before = {**state.changed.settings}
    if event.name in old and old[event.name] != event.value:  # one that is read for the first time is no change
        before.setdefault((event.host, event.name), old[event.name])
    return replace(
        state,
        t=event.t,
        settings={**state.settings, event.host: {**old, event.name: event.value}},
        changed=replace(state.changed, settings=before),
    )


@_on(ev.Processes)
def _processes(state: LabState, event: ev.Processes) -> LabState:
    rows = {pid: row for pid, row in state.processes.items() if pid not in event.gone}
    rows.update((row.pid, row) for row in event.set)
    seen = {pid: t for pid, t in state.process_seen.items() if pid in rows}
    seen.update((row.pid, event.t) for row in event.set)
    return replace(state, t=event.t, processes=rows, process_seen=seen)


@_on(ev.Acted)
def _acted(state: LabState, event: ev.Acted) -> LabState:
    return replace(state, t=event.t, acted=state.acted.append(event))


@_on(ev.Client)
def _client(state: LabState, event: ev.Client) -> LabState:
    return replace(state, t=event.t, clients={**state.clients, event.name: event})


@_on(ev.Packet)
def _packet(state: LabState, event: ev.Packet) -> LabState:
    packets = state.packets.append(event)
    fates = state.fates
    if packets.dropped != state.packets.dropped:  # nobody asks any more for what was let go
        fates = fates.changed(drop=[number for number in fates if number < packets[0].id])
    return replace(state, t=event.t, packets=packets, fates=fates)


@_on(ev.PacketFate)
def _fate(state: LabState, event: ev.PacketFate) -> LabState:
    before = state.fates.get(event.id)
    changed, on_the_way, waited = state.changed, state.on_the_way, state.waited_ns
    if event.id <= changed.packet and event.id not in changed.fates and before is not None:
        changed = replace(changed, fates={**changed.fates, event.id: before})
    if event.fate in _KEPT:
        on_the_way = on_the_way.changed([(event.id, event.t)])
    elif before in _KEPT:
        waited = waited.changed([(event.id, event.t - on_the_way.get(event.id, event.t))])
        on_the_way = on_the_way.changed(drop=[event.id])
    return replace(
        state,
        t=event.t,
        fates=state.fates.changed([(event.id, event.fate)]),
        on_the_way=on_the_way,
        waited_ns=waited,
        changed=changed,
    )


_KEPT = frozenset({"held", "delayed"})


@_on(ev.WireRules)
def _wire_rules(state: LabState, event: ev.WireRules) -> LabState:
    return replace(state, t=event.t, wire_rules=event.rules)


@_on(ev.StepReached)
def _step(state: LabState, event: ev.StepReached) -> LabState:
    asked = state.question
    # An answer belongs to the moment it was given at; `answers` keeps it.
    question = None if asked is not None and asked.measured is not None else asked
    return replace(state, t=event.t, step=event, step_left=None, question=question)


def _step_left(state: LabState, tid: int) -> LabState:
    """The lesson's step is over for the task: a held one is resumed, a sleeping one's call returns."""
    if state.step is None or state.step_left is not None or tid != state.focus:
        return state
    return replace(state, step_left=state)


@_on(ev.Asked)
def _asked(state: LabState, event: ev.Asked) -> LabState:
    return replace(state, t=event.t, question=Question(index=event.index))


@_on(ev.Answered)
def _answered(state: LabState, event: ev.Answered) -> LabState:
    return replace(state, t=event.t, question=Question(index=event.index, answered=event))


@_on(ev.Measured)
def _measured(state: LabState, event: ev.Measured) -> LabState:
    return replace(
        state,
        t=event.t,
        question=Question(index=event.index, measured=event),
        answers={**state.answers, event.index: event},
    )


@_on(ev.Checked)
def _checked(state: LabState, event: ev.Checked) -> LabState:
    return replace(state, t=event.t, checks={**state.checks, event.index: event})


@_on(ev.LessonDone)
def _lesson_done(state: LabState, event: ev.LessonDone) -> LabState:
    return replace(state, t=event.t, lesson_done=True)


# ---------------------------------------------------------------- the past


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
        index, state = 0, self._key_states[0][2]
        for stops, next_event, known in self._key_states:
            if stops > stop:
                break
            index, state = next_event, known
        for event in self._from(index):
            if type(event) is ev.Resumed and state.stops == stop and state.stops:
                break
            after = apply(state, event)
            if after.stops > stop:
                break
            state = after
        return state

    def _from(self, index: int) -> Iterator[ev.Event]:
        for position in range(index, len(self._events)):
            yield self._events[position]
