"""What each panel was drawn from: what the engine is asked to read, what came with the stream, which commands show it.

In: the state that is shown, the lesson, the chosen row. Out: a Subject; or, as text, why there is none. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from socklab import state as st
from socklab.core.text import safe
from socklab.evidence.model import RECORDED, Block, Field, Line, Row, Shell, Subject
from socklab.evidence.narration import narration
from socklab.evidence.network import clients, counters, queues, server_host, sockets, ss, wire
from socklab.lesson import Lesson
from socklab.protocol import events as ev
from socklab.protocol.rows import Want

if TYPE_CHECKING:
    from socklab.syscalls.call import DecodedArg

_MOST_OUTPUT = 1024


def of(panel: str, state: st.LabState, lesson: Lesson | None = None, row: Row = None) -> Subject | str:
    """The evidence of a panel, by its name in the registry."""
    made = SUBJECTS.get(panel)
    return made(state, lesson, row) if made is not None else "There is nothing in the kernel that this is drawn from."


# ---------------------------------------------------------------- descriptors


def _descriptors(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    """`row`: (process, descriptor), or ("fd", descriptor) of the process in focus."""
    task = state.task
    pid = int(row[0]) if row is not None and row[0].isdecimal() else task.pid if task is not None else 0
    if pid not in state.descriptors:
        return "There is no process whose descriptors could be read."
    fd = row[1] if row is not None else _fd_of_call(state, task) if task is not None else -1
    known = state.descriptors[pid].get(fd) if fd >= 0 else None
    if row is not None and known is None:
        return f"Descriptor {fd} is not open."
    host = server_host(state)
    wants: tuple[Want, ...] = (Want("descriptors", number=pid),)
    shells: tuple[Shell, ...] = (Shell(("ls", "-l", f"/proc/{pid}/fd"), host),)
    if known is not None:
        wants = (Want("descriptor", number=pid, fd=fd), *wants)
        listed = state.socket_of(pid, fd)
        shown = (ss(listed, host),) if listed is not None else _of_kind(known, host)
        shells = (Shell(("cat", f"/proc/{pid}/fdinfo/{fd}"), host), *shells, *shown)
        shells = (*shells, Shell(("lsof", "-nP", "-a", "-p", str(pid), "-d", str(fd)), host))
    else:
        shells = (*shells, Shell(("lsof", "-nP", "-p", str(pid)), host))
    what = f"descriptor {fd} of process {pid}" if known is not None else f"descriptors of process {pid}"
    kept = [each for _, each in zip(range(200), state.descriptors[pid].values(), strict=False)]
    fields = tuple(Field(str(each.fd), safe(each.target), "", True) for each in sorted(kept, key=lambda each: each.fd))
    return Subject(what, wants, (Block(RECORDED, fields=fields),), shells)


def _of_kind(descriptor: ev.Descriptor, host: str) -> tuple[Shell, ...]:
    """Of a socket that is none of TCP's: ss of its kind, and of its port or name where ss can be told that."""
    letter = {"udp": "u", "udp6": "u", "unix": "x", "ip": "w", "packet": "0"}.get(
        descriptor.detail.partition(" ")[0], ""
    )
    if not letter:
        return ()
    local = descriptor.behind.local if descriptor.behind is not None else ""
    port = local.rpartition(":")[2]
    only: tuple[str, ...] = ()
    if letter == "u" and port.isdecimal() and port != "0":
        only = (f"sport = :{port}",)
    elif letter == "x" and re.fullmatch(r"[@/][\w@/.+-]*", local, re.ASCII):  # ss can't be told of a blank
        only = ("src", local)
    return (Shell(("ss", f"-{letter}ane", *only), host),)


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
    host = server_host(state)
    ps = ("ps", "-o", "pid,ppid,stat,wchan:24,rss,nlwp,cputimes,comm", "-q", str(task.tid))
    return Subject(
        f"{'process' if task.tid == task.pid else 'thread'} {task.tid}",
        (Want("process", number=task.tid),),
        shells=(Shell(("cat", f"/proc/{task.tid}/status"), host), Shell(ps, host)),
    )


def _arch(state: st.LabState) -> str:
    return state.header.arch if state.header is not None else "x86_64"


def _call_name(state: st.LabState, call: st.Call) -> str:
    from socklab.syscalls import name

    return name(_arch(state), call.entered.nr)


def _call(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    task = state.tasks.get(row[1]) if row is not None else state.task
    call = task.call if task is not None else None
    return of_call(state, call) if call is not None else "No call has been made yet."


def of_call(state: st.LabState, call: st.Call) -> Subject:
    """The evidence of one call; the kernel is asked where its task is in it, or has just returned from it."""
    from socklab.syscalls.decoding import decode, strace_text

    task = state.tasks.get(call.entered.tid)
    arch, entered, returned = _arch(state), call.entered, call.returned
    decoded = decode(arch, entered, returned)
    name, count = _call_name(state, call), len(decode(arch, entered).args)
    registers = [Field("number", str(entered.nr), safe(name), True)]
    registers += [Field(f"argument {place}", hex(value)) for place, value in enumerate(entered.args, 1)]
    if returned is not None:
        registers.append(Field("result", hex(returned.result & (1 << 64) - 1), str(returned.result), True))
    raw = ", ".join(hex(value) if value else "0" for value in entered.args[:count])
    spelled, result = strace_text(arch, entered, returned), ""
    if returned is not None:
        number = returned.result  # an error it spells in either way
        result = f" = {hex(number) if number > 0 else spelled.rpartition(' = ')[2] if number else 0}"
    both: tuple[Line, ...] = ((safe(spelled), "string"),), ((safe(f"{name}({raw}){result}"), "number"),)
    memory = [
        _memory(piece, when, decoded.args)
        for stop, when in ((entered, "before the call"), (returned, "after it"))
        for piece in (stop.mem if stop is not None else ())
        if piece.data
    ]
    program = state.started.argv if state.started is not None else ()
    traced = Shell(
        ("strace", "-f", "-e", f"trace={name}", *program),
        elsewhere="a process has one tracer, which is the lab: this one starts the program anew, in another terminal",
    )
    in_hand = task is not None and task.call is call and task.status != "exited"
    tid = call.entered.tid
    return Subject(
        f"call {call.number + 1}, {safe(name)}",
        (Want("call", number=tid),) if in_hand else (),
        (
            Block("registers at the stop (ptrace)", fields=tuple(registers)),
            Block("as strace prints it, and with strace -e raw=all", text=both),
            *memory,
        ),
        (*((Shell(("cat", f"/proc/{tid}/syscall"), server_host(state)),) if in_hand else ()), traced),
    )


def _memory(piece: ev.Mem, when: str, args: tuple[DecodedArg, ...]) -> Block:
    """Bytes that an argument points to, by the members of the struct they are, where they are one."""
    where = f"memory of the program at {piece.addr:#x}, {when}"
    of = next((arg for arg in args if arg.fields and arg.data and piece.data.startswith(arg.data)), None)
    fields = []
    for field in of.fields if of is not None else ():
        raw = piece.data[field.offset : field.offset + field.size]
        fields.append(Field(safe(field.name), raw[:8].hex(" ") + ("…" if len(raw) > 8 else ""), safe(field.text), True))
    return Block(f"{where}: {safe(of.name)}" if of is not None else where, data=piece.data, fields=tuple(fields))


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
        (Shell(("sed", "-n", f"{frame.line}p", frame.path), server_host(state)),) if text else (),
    )


# ---------------------------------------------------------------- output


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
        (Shell(("ls", "-l", f"/proc/{task.pid}/fd/{fd}"), server_host(state)),),
    )


SUBJECTS: dict[str, Callable[[st.LabState, Lesson | None, Row], Subject | str]] = {
    "sockets": sockets,
    "queues": queues,
    "counters": counters,
    "descriptors": _descriptors,
    "processes": _processes,
    "call": _call,
    "source": _source,
    "clients": clients,
    "wire": wire,
    "output": _output,
    "narration": narration,
}
