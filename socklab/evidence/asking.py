"""A typed request for evidence: `sockets 3`, `descriptors 4`, `wire #17`.

In: the words, the state. Out: a Subject, or as text why there is none. Raises UsageError for words that name nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from socklab import state as st
from socklab.core.errors import UsageError
from socklab.core.suggest import suggest
from socklab.core.text import safe
from socklab.evidence.model import Row, Subject
from socklab.evidence.subjects import SUBJECTS, of
from socklab.lesson import Lesson
from socklab.protocol import events as ev


def asked(words: str, state: st.LabState, lesson: Lesson | None) -> Subject | str:
    """`words`: a panel, and which row of it."""
    name, _, which = words.strip().partition(" ")
    if name not in SUBJECTS:
        raise UsageError(f'There is no panel "{safe(name)}".', fix=suggest(name, SUBJECTS))
    which = which.strip()
    return of(name, state, lesson, _ROWS.get(name, _none)(which, state) if which else None)


def _none(which: str, _state: st.LabState) -> Row:
    raise UsageError(f'"{safe(which)}": this panel is asked for alone.')


def _number(which: str, what: str) -> int:
    digits = which.lstrip("#")
    if not digits.isdecimal():
        raise UsageError(f'"{safe(which)}" is no {what}.', fix=f"Give the number of a {what}.")
    return int(digits[:18])


def _numbered(kind: str, what: str, first: int = 0) -> Callable[[str, st.LabState], Row]:
    return lambda which, _state: (kind, _number(which, what) - first)


def _socket(which: str, state: st.LabState) -> Row:
    """A client's letter; a descriptor of the process in focus; else a port, the listener's before others'."""
    if which in state.clients:
        client = state.clients[which]
        table = state.table_of(client.host)
        found = table.by_inode.get(client.inode) if client.inode else table.by_ends.get((client.local, client.remote))
        if found is None:
            raise UsageError(f"No socket of client {safe(which)} is listed.")
        return state.table_host(client.host), found
    port = str(_number(which, "descriptor, port or client"))
    task = state.task
    held = state.socket_of(task.pid, int(port)) if task is not None else None
    if task is not None and held is not None:
        return state.table_host(task.host), held.id
    fitting: list[tuple[bool, bool, str, int]] = []
    for host, table in state.tables.items():
        for row in table.rows.values():
            ports = row.local.rpartition(":")[2], row.remote.rpartition(":")[2]
            if port in ports:
                fitting.append((row.state != st.LISTEN, ports[0] != port, host, row.id))
    if not fitting:
        raise UsageError(
            f"No socket has port {port}, nor is {port} a descriptor of one.", fix="show sockets   lists them."
        )
    _, _, host, number = min(fitting)
    return host, number


def _listener(which: str, state: st.LabState) -> Row:
    port = str(_number(which, "port"))
    found: ev.SocketRow | None = next((row for row in state.listeners if row.local.endswith(f":{port}")), None)
    if found is None:
        raise UsageError(f"Nothing listens at port {port}.")
    return "", found.id


def _host(which: str, state: st.LabState) -> Row:
    """A host, a counter of the server's or `client NAME`, a setting."""
    if any(which in settings for settings in state.settings.values()):
        return which, 0
    host, _, name = which.rpartition(" ")
    host = state.table_host(host or (state.started.host if state.started is not None else ""))
    if name in state.counters.get(host, {}):
        return f"{host} {name}", 0
    if state.table_host(which) not in state.counters:
        raise UsageError(
            f'There is no host, counter or setting "{safe(which)}".',
            fix="raw counters server, raw counters ListenDrops, raw counters net.core.somaxconn",
        )
    return state.table_host(which), 0


_ROWS: dict[str, Callable[[str, st.LabState], Row]] = {
    "sockets": _socket,
    "queues": _listener,
    "counters": _host,
    "descriptors": _numbered("fd", "descriptor"),
    "processes": _numbered("task", "process or thread"),
    "call": _numbered("task", "process or thread"),
    "source": _numbered("frame", "frame", 1),
    "clients": lambda which, _state: (which, 0),
    "wire": _numbered("packet", "packet"),
}
