"""What each panel was drawn from: what the engine is asked to read, what came with the stream, which commands show it.

In: the state that is shown, the lesson, the chosen row. Out: a Subject; or, as text, why there is none. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from socklab import state as st
from socklab.core.text import safe
from socklab.evidence.model import Block, Field, Line, Shell, Subject
from socklab.evidence.narration import narration
from socklab.lesson import Lesson
from socklab.protocol import events as ev
from socklab.protocol.rows import Want

Row = tuple[str, int] | None
"""The row chosen in a panel, by the panel's own key; None: none is."""

QUEUE_DROPS = ("ListenOverflows", "ListenDrops", "TCPReqQFullDrop", "TCPReqQFullDoCookies")

_SOCKET = frozenset({"local", "remote", "state", "queues", "timer", "retransmits", "inode"})
_QUEUE = frozenset({"local", "state", "queues"})
_MOST_COUNTERS = 10
_MOST_LISTENERS = 6
_MOST_OUTPUT = 1024


def of(panel: str, state: st.LabState, lesson: Lesson | None = None, row: Row = None) -> Subject | str:
    """The evidence of a panel, by its name in the registry."""
    made = SUBJECTS.get(panel)
    return made(state, lesson, row) if made is not None else "There is nothing in the kernel that this is drawn from."


def _host(state: st.LabState) -> str:
    """The host the traced program runs on."""
    return state.table_host(state.started.host) if state.started is not None else "server"


def _arch(state: st.LabState) -> str:
    return state.header.arch if state.header is not None else "x86_64"


# ---------------------------------------------------------------- sockets and queues


def _name(row: ev.SocketRow) -> str:
    state = st.TCP_STATES.get(row.state, f"state {row.state}")
    ends = safe(row.local) if row.state == st.LISTEN else f"{safe(row.local)} with {safe(row.remote)}"
    return f"{state} {ends}"


def _ss(row: ev.SocketRow, host: str) -> Shell:
    here, there = row.local.rpartition(":")[2], row.remote.rpartition(":")[2]
    if row.state == st.LISTEN:
        return Shell(("ss", "-ltn", f"sport = :{here}"), host)
    return Shell(("ss", "-tanoe", f"sport = :{here} and dport = :{there}"), host)


def _socket(state: st.LabState, host: str, row: ev.SocketRow, *recorded: Block) -> Subject:
    return Subject(
        f"socket {_name(row)}",
        (Want("socket", host, row.id),),
        (*recorded, _as_recorded(row)),
        (_ss(row, host),),
        _SOCKET,
    )


def _as_recorded(row: ev.SocketRow) -> Block:
    """The row the panel is drawn from, as socklab keeps it."""
    named = (
        ("state", str(row.state), st.TCP_STATES.get(row.state, "")),
        ("local", safe(row.local), ""),
        ("remote", safe(row.remote), ""),
        ("rx_queue", str(row.rx_queue), ""),
        ("tx_queue", str(row.tx_queue), ""),
        ("retransmits", str(row.retransmits), ""),
        ("inode", str(row.inode), ""),
    )
    return Block(RECORDED, fields=tuple(Field(name, raw, says, True) for name, raw, says in named))


RECORDED = "the row in the lab's own record"
"""Shown of an earlier stop only: of now the kernel is asked."""


def _sockets(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    if row is not None:
        chosen = state.table_of(row[0]).rows.get(row[1])
        return _socket(state, state.table_host(row[0]), chosen) if chosen is not None else "That socket is gone."
    for host in (_host(state), *state.tables):
        table = state.table_of(host)
        found = next(iter(table.listeners.values()), None) or next(iter(islice(table.rows.values(), 1)), None)
        if found is not None:
            return _socket(state, host, found)
    return "No socket is listed yet."


def _queues(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    listeners = [each for each in state.listeners if row is None or each.id == row[1]]
    if not listeners:
        return "No socket listens."
    host = _host(state)
    ports = dict.fromkeys(each.local.rpartition(":")[2] for each in listeners[:_MOST_LISTENERS])
    waiting = [syn for each in listeners[:1] for syn in islice(state.syn_queue(each), 1)]
    drops = tuple(f"TcpExt{name}" for name in QUEUE_DROPS)
    return Subject(
        "queues of " + ", ".join(safe(each.local) for each in listeners[:_MOST_LISTENERS]),
        (*(Want("socket", host, each.id) for each in [*listeners[:_MOST_LISTENERS], *waiting]), Want("counters", host)),
        tuple(_as_recorded(each) for each in listeners[:_MOST_LISTENERS]),
        (
            Shell(("ss", "-ltn", " or ".join(f"sport = :{port}" for port in ports)), host),
            Shell(("ss", "-tan", "state", "syn-recv"), host),
            Shell(("nstat", "-asz", *drops), host),
        ),
        _QUEUE | {f"{host}/{name}" for name in QUEUE_DROPS},
        _rises(state, host),
    )


# ---------------------------------------------------------------- counters


def _rises(state: st.LabState, host: str) -> dict[str, str]:
    """What the panel says of each counter of a host that has moved, by host and name."""
    first = state.counters_at_start.get(host, {})
    values = state.counters.get(host, {})
    rises = ((name, value - first.get(name, 0)) for name, value in values.items())
    return {f"{host}/{name}": f"{rise:+} since the lab began" for name, rise in rises if rise}


def _counters(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    hosts = [row[0]] if row is not None else sorted(state.counters, key=lambda host: host != _host(state))
    rises = {host: _rises(state, host) for host in hosts if host in state.counters}
    told = [host for host in rises if rises[host]] or list(rises)[:1]
    if not told:
        return "No counter has been read yet."
    notes = {key: note for host in told for key, note in rises[host].items()}
    shells: list[Shell] = []
    for host in told:
        names = (key.partition("/")[2] for key in rises[host])
        counted = (name for name in names if name != "CurrEstab")  # which nstat, that shows rises, leaves out
        moved = sorted(counted, key=lambda name: ((host, name) not in state.changed.counters, name))
        if moved:
            shells.append(Shell(("nstat", "-asz", *map(_nstat, moved[:_MOST_COUNTERS])), host))
        shells.append(Shell(("grep", "^TcpExt", "/proc/net/netstat"), host))
    wants = tuple(Want("counters", host) for host in told)
    return Subject("counters of the kernel", wants, (), tuple(shells), frozenset(notes), notes)


_TCP = frozenset({
    "RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn", "ActiveOpens", "PassiveOpens", "AttemptFails", "EstabResets",
    "CurrEstab", "InSegs", "OutSegs", "RetransSegs", "InErrs", "OutRsts", "InCsumErrors",
})  # fmt: skip
"""The counters of /proc/net/snmp's section Tcp, which RFC 1213 names; other bare names are of TcpExt."""


def _nstat(name: str) -> str:
    """As nstat calls it: the section in front."""
    section, dot, bare = name.partition(".")
    return section + bare if dot else f"Tcp{name}" if name in _TCP else f"TcpExt{name}"


# ---------------------------------------------------------------- descriptors


def _descriptors(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    task = state.task
    if task is None or task.pid not in state.descriptors:
        return "There is no process whose descriptors could be read."
    pid = task.pid
    fd = row[1] if row is not None else _fd_of_call(state, task)
    known = state.descriptors[pid].get(fd) if fd >= 0 else None
    if row is not None and known is None:
        return f"Descriptor {fd} is not open."
    host = _host(state)
    wants: tuple[Want, ...] = (Want("descriptors", number=pid),)
    shells: tuple[Shell, ...] = (Shell(("ls", "-l", f"/proc/{pid}/fd"), host),)
    if known is not None:
        wants = (Want("descriptor", number=pid, fd=fd), *wants)
        shells = (
            Shell(("cat", f"/proc/{pid}/fdinfo/{fd}"), host),
            *shells,
            Shell(("lsof", "-nP", "-a", "-p", str(pid), "-d", str(fd)), host),
        )
    else:
        shells = (*shells, Shell(("lsof", "-nP", "-p", str(pid)), host))
    what = f"descriptor {fd} of process {pid}" if known is not None else f"descriptors of process {pid}"
    kept = [each for _, each in zip(range(200), state.descriptors[pid].values(), strict=False)]
    fields = tuple(Field(str(each.fd), safe(each.target), "", True) for each in sorted(kept, key=lambda each: each.fd))
    return Subject(what, wants, (Block(RECORDED, fields=fields),), shells)


def _fd_of_call(state: st.LabState, task: st.Task) -> int:
    """The descriptor that the call in hand is about; -1 = none."""
    from socklab.syscalls import own_fds, returns_fd

    if task.call is None:
        return -1
    name = _call_name(state, task.call)
    returned = task.call.returned
    if returned is not None and returned.result >= 0 and returns_fd(name):
        return returned.result
    table = state.descriptors[task.pid]
    return next((fd for fd in own_fds(name, task.call.entered.args) if fd in table), -1)


# ---------------------------------------------------------------- processes, calls, source


def _processes(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    task = state.tasks.get(row[1]) if row is not None else state.task
    if task is None:
        return "There is no such process."
    host = _host(state)
    ps = ("ps", "-o", "pid,ppid,stat,wchan:24,rss,nlwp,cputimes,comm", "-q", str(task.tid))
    return Subject(
        f"{'process' if task.tid == task.pid else 'thread'} {task.tid}",
        (Want("process", number=task.tid),),
        shells=(Shell(("cat", f"/proc/{task.tid}/status"), host), Shell(ps, host)),
    )


def _call_name(state: st.LabState, call: st.Call) -> str:
    from socklab.syscalls import name

    return name(_arch(state), call.entered.nr)


def _call(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    from socklab.syscalls.decoding import decode, strace_text

    task = state.tasks.get(row[1]) if row is not None else state.task
    call = task.call if task is not None else None
    if task is None or call is None:
        return "No call has been made yet."
    arch, entered, returned = _arch(state), call.entered, call.returned
    name, count = _call_name(state, call), len(decode(arch, entered).args)
    registers = [Field("number", str(entered.nr), safe(name), True)]
    registers += [Field(f"argument {place}", hex(value)) for place, value in enumerate(entered.args, 1)]
    if returned is not None:
        registers.append(Field("result", hex(returned.result & (1 << 64) - 1), str(returned.result), True))
    raw = ", ".join(hex(value) if value else "0" for value in entered.args[:count])
    result = "" if returned is None else f" = {hex(returned.result) if returned.result > 0 else returned.result}"
    spelled: tuple[Line, ...] = (
        ((safe(strace_text(arch, entered, returned)), "string"),),
        ((safe(f"{name}({raw}){result}"), "number"),),
    )
    memory = [
        Block(f"memory of the program at {piece.addr:#x}, {when}", data=piece.data)
        for stop, when in ((entered, "before the call"), (returned, "after it"))
        for piece in (stop.mem if stop is not None else ())
        if piece.data
    ]
    program = state.started.argv if state.started is not None else ()
    traced = Shell(
        ("strace", "-f", "-e", f"trace={name}", *program),
        elsewhere="a process has one tracer, which is the lab: this one starts the program anew, in another terminal",
    )
    own = task.status != "exited"
    return Subject(
        f"call {call.number + 1}, {safe(name)}",
        (Want("call", number=task.tid),) if own else (),
        (
            Block("registers at the stop (ptrace)", fields=tuple(registers)),
            Block("as strace prints it, and with strace -e raw=all", text=spelled),
            *memory,
        ),
        (*((Shell(("cat", f"/proc/{task.tid}/syscall"), _host(state)),) if own else ()), traced),
    )


def _source(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    task = state.task
    if task is None or not task.stack:
        why = task.unlined if task is not None and task.unlined else "no line of the program is known here"
        return f"There is no line: {safe(why)}."
    frame = task.stack[row[1] if row is not None and row[1] < len(task.stack) else 0]
    source = state.sources.get(frame.path)
    lines = source.text.splitlines() if source is not None else []
    text = safe(lines[frame.line - 1], lines=True) if 0 < frame.line <= len(lines) else ""
    innermost = frame is task.stack[0]
    path = safe(frame.path)
    return Subject(
        f"{path.rpartition('/')[2]}:{frame.line}",
        (Want("place", number=task.tid),) if innermost else (),
        (Block(f"{path}, line {frame.line}", (((text, "string"),),) if text else ()),),
        (Shell(("sed", "-n", f"{frame.line}p", frame.path), _host(state)),) if frame.line else (),
    )


# ---------------------------------------------------------------- clients, wire, output


def _clients(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    client = state.clients.get(row[0]) if row is not None else next(reversed(state.clients.values()), None)
    if client is None:
        return "There is no such client." if row is not None else "No client yet."
    named = (
        ("phase", client.phase), ("local", client.local), ("remote", client.remote), ("inode", client.inode),
        ("sent", client.sent), ("received", client.received), ("errno", client.errno), ("pid", client.pid),
    )  # fmt: skip
    own = Block(
        "what the lab did and counted itself",
        fields=tuple(Field(name, safe(str(value)), "", True) for name, value in named if value),
    )
    table = state.table_of(client.host)
    place = table.by_inode.get(client.inode) if client.inode else None
    place = place if place is not None else table.by_ends.get((client.local, client.remote))
    found = table.rows.get(place) if place is not None else None
    title = f"client {safe(client.name)}"
    if found is not None:
        subject = _socket(state, state.table_host(client.host), found, own)
        return Subject(title, subject.wants, subject.recorded, subject.shells, subject.shown)
    if client.pid and client.phase == "running":
        shells = (Shell(("cat", f"/proc/{client.pid}/status"), client.host or "client"),)
        return Subject(title, (Want("process", number=client.pid),), (own,), shells)
    return Subject(title, (), (own,))


def _wire(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    from socklab.packets import pcap
    from socklab.packets.fields import fields
    from socklab.packets.packet_log import index_of

    place = index_of(state.packets, row[1]) if row is not None else len(state.packets) - 1
    if place < 0 or not len(state.packets):
        return "That packet is not kept any more." if len(state.packets) else "No packet was seen yet."
    packet = state.packets[place]
    found = tuple(
        Field(
            safe(f"{each.layer} {each.name}"),
            packet.data[each.start : each.start + min(each.size, 8)].hex(" ") + ("…" if each.size > 8 else ""),
            safe(each.value),
            True,
        )
        for each in fields(packet.data, packet.length)
    )
    cut = f"; the first {len(packet.data)} were kept" if len(packet.data) < packet.length else ""
    started = state.header.started_ns if state.header is not None else 0
    time = min(max(0, started + packet.t), ((1 << 32) - 1) * 1_000_000_000)
    capture = pcap.HEADER + pcap.record(time, packet.data, max(packet.length, len(packet.data)))
    file = f"packet-{packet.id}.pcap"
    return Subject(
        f"packet {packet.id}, {safe(packet.source)} to {safe(packet.destination)}",
        recorded=(
            Block(f"the packet as it entered the wire, {packet.length} bytes{cut}", data=packet.data, fields=found),
        ),
        shells=(
            Shell(("tshark", "-n", "-x", "-V", "-r", "-"), stdin=capture, file=file),
            Shell(("tcpdump", "-n", "-v", "-x", "-r", "-"), stdin=capture, file=file),
            Shell(("od", "-A", "x", "-t", "x1z", "-j", "40"), stdin=capture, file=file),
        ),
    )


def _output(state: st.LabState, _lesson: Lesson | None, _row: Row) -> Subject | str:
    if not len(state.output):
        return "Nothing has been written yet."
    last = state.output[-1]
    data = b""
    for place in range(len(state.output) - 1, -1, -1):
        chunk = state.output[place]
        if (chunk.source, chunk.stream) != (last.source, last.stream) or len(data) >= _MOST_OUTPUT:
            break
        data = chunk.data + data
    name = {"out": "standard output", "err": "standard error", "in": "standard input"}.get(last.stream, last.stream)
    block = Block(f"the last bytes of {safe(last.source)}'s {safe(name)}", data=data[-_MOST_OUTPUT:])
    task = state.tasks.get(state.started.pid) if state.started is not None else None
    if last.source != "server" or task is None or task.status == "exited":
        return Subject(f"output of {safe(last.source)}", recorded=(block,))
    fd = {"in": 0, "err": 2}.get(last.stream, 1)
    return Subject(
        "output of the program",
        (Want("descriptor", number=task.pid, fd=fd),),
        (block,),
        (Shell(("ls", "-l", f"/proc/{task.pid}/fd/{fd}"), _host(state)),),
    )


SUBJECTS: dict[str, Callable[[st.LabState, Lesson | None, Row], Subject | str]] = {
    "sockets": _sockets,
    "queues": _queues,
    "counters": _counters,
    "descriptors": _descriptors,
    "processes": _processes,
    "call": _call,
    "source": _source,
    "clients": _clients,
    "wire": _wire,
    "output": _output,
    "narration": narration,
}
