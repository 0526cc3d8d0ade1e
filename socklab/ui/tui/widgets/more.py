"""What panels add where they have the screen to themselves: all that is known of a socket, a descriptor, a call.

In: rows of a LabState, cells. Out: lines of facts, each fact whole. Says nothing that no table, call or setting tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.view.formats import count, plural
from socklab.ui.view.lines import Line, Span, width

TIMERS = {1: "sends again", 2: "asks whether the peer is alive", 3: "TIME_WAIT ends", 4: "asks for the window"}
"""inet_diag's idiag_timer; of a half-open connection 2 is the SYN-ACK's."""


def flow(facts: Iterable[Line], cells: int, indent: int) -> list[Line]:
    """The facts behind one another, none torn, on as many lines as it takes, all of them `indent` cells in."""
    margin: Span = (" " * indent, "")
    lines: list[Line] = []
    now: Line = (margin,)
    for fact in facts:
        if len(now) > 1 and width(now) + 2 + width(fact) > cells:
            lines.append(now)
            now = (margin,)
        now = (*now, *((("  ", ""),) if len(now) > 1 else ()), *fact)
    return [*lines, now] if len(now) > 1 else lines


_Of = TypeVar("_Of")


def fits(lines: list[_Of], more: list[_Of], rows: int) -> list[_Of]:
    """`more` where all of it has room in `rows`, else `lines`: what is added never pushes out what is there."""
    return more if more and len(more) <= rows else lines


# ---------------------------------------------------------------- a socket


def socket(row: ev.SocketRow) -> Iterator[Line]:
    """Queues, memory, timer, inode of a row of the socket table."""
    if row.state == st.LISTEN:
        yield ("accept queue ", "dim"), (count(row.rx_queue), "number")
        yield ("limit ", "dim"), (count(row.tx_queue), "number")
    else:
        yield ("Recv-Q ", "dim"), (f"{count(row.rx_queue)} B", "number")
        yield ("Send-Q ", "dim"), (f"{count(row.tx_queue)} B", "number")
    yield from _memory(row)
    if row.timer:
        again = row.timer == 1 or (row.timer == 2 and row.state in (st.SYN_RECV, st.NEW_SYN_RECV))
        said = TIMERS[1] if again else TIMERS.get(row.timer, "timer")
        yield (f"{said} in ", "dim"), (f"{row.expires_ms / 1000:.1f} s", "number")
    if row.retransmits:
        yield ((f"sent again {count(row.retransmits)}×", "warn"),)
    if row.inode:
        yield ("inode ", "dim"), (str(row.inode), "number")


def _memory(what: ev.SocketRow | ev.KernelObject) -> Iterator[Line]:
    for name, used, limit in (
        ("receive", what.receive_used, what.receive_limit),
        ("send", what.send_used, what.send_limit),
    ):
        if limit:
            yield (f"{name} buffer ", "dim"), (count(used), "number"), (" of ", "dim"), (f"{count(limit)} B", "number")


# ---------------------------------------------------------------- a descriptor

O_ACCMODE = 0o3
_ACCESS = ("O_RDONLY", "O_WRONLY", "O_RDWR")


def descriptor(held: ev.Descriptor, row: ev.SocketRow | None) -> Iterator[Line]:
    """What fdinfo, the socket table and the object itself tell of an entry of /proc/PID/fd."""
    if row is not None:
        yield from socket(row)
    elif held.inode:
        yield ("inode ", "dim"), (str(held.inode), "number")
    if held.flags & O_ACCMODE < 3:
        yield ("flags ", "dim"), (f"0{held.flags:o}", "number"), (f" {_ACCESS[held.flags & O_ACCMODE]}", "name")
    if held.target.startswith("/"):
        yield ("at byte ", "dim"), (count(held.position), "number")
    behind = held.behind
    if behind is None:
        return
    if behind.waiting_bytes is not None:
        yield ("waiting ", "dim"), (f"{count(behind.waiting_bytes)} B", "number")
    if behind.capacity:
        yield ("holds ", "dim"), (f"{count(behind.capacity)} B", "number")
    yield from _memory(behind)
    if behind.drops:
        yield ("dropped ", "dim"), (count(behind.drops), "warn")


# ---------------------------------------------------------------- a listener

_DECIDE = ("net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_syncookies")
_REFUSES = "net.ipv4.tcp_abort_on_overflow"


def limits(state: st.LabState, host: str) -> Iterator[Line]:
    """The settings that decide about a listener's queues, as far as they were read."""
    settings = state.settings.get(host, {})
    for name in (*_DECIDE, _REFUSES):
        if name in settings:
            yield (f"{name} ", "dim"), (safe(settings[name]), "number")


# ---------------------------------------------------------------- a task, a call


def task(state: st.LabState, seen: st.Task) -> Iterator[Line]:
    """Its parent, its calls, where in the source it is."""
    row = state.processes.get(seen.tid)
    if row is not None and row.ppid:
        yield ("parent ", "dim"), (str(row.ppid), "number")
    if seen.call is not None:
        yield ("call ", "dim"), (count(seen.call.number + 1), "number")
    for place, each in enumerate(seen.stack):
        yield ("in " if not place else "called from ", "dim"), frame(each)


def frame(each: ev.Frame) -> Span:
    """ "server.c:40 main"."""
    return f"{safe(each.path.rpartition('/')[2])}:{each.line} {safe(each.function)}".rstrip(), "path"


def call(made: st.Call, name: str, arguments: int) -> Iterator[Line]:
    """Its number, its registers, when it was made and when it returned."""
    entered, returned = made.entered, made.returned
    yield ("system call ", "dim"), (str(entered.nr), "number")
    yield ("entered at ", "dim"), (f"{entered.t / 1e9:.6f} s", "number")
    if returned is not None:
        yield ("returned at ", "dim"), (f"{returned.t / 1e9:.6f} s", "number")
        yield ("result ", "dim"), (f"{returned.result} (0x{returned.result & (1 << 64) - 1:x})", "number")
    registers = " ".join(f"0x{value & (1 << 64) - 1:x}" for value in entered.args[:arguments])
    if registers:
        yield (f"{plural(min(arguments, 6), 'register')} ", "dim"), (registers, "number")


def errors(name: str) -> Iterator[Line]:
    """The errors that the table of system calls explains for this one."""
    from socklab.syscalls.errors import errno_meaning, errno_numbers
    from socklab.syscalls.rows import ROWS

    row = ROWS.get(name)
    known = errno_numbers()
    owners = (ROWS[owner] for owner in dict.fromkeys(row.errors_of) if owner in ROWS) if row is not None else ()
    for error in dict.fromkeys(note for owner in owners for note in owner.notes if note in known):
        yield (f"{error} ", "name"), (safe(errno_meaning(name, known[error])), "dim")
