"""What stands beside a program that no lesson is about: what its call is for, what came of it, what to do next.

In: LabState. Out: a few lines. Says what the stream says and what the manual page says, never what the program is for.
"""

from __future__ import annotations

from socklab import state as st
from socklab.core.text import safe
from socklab.lesson import canonical
from socklab.protocol import events as ev
from socklab.ui.tui.widgets import htons_hint
from socklab.ui.view.formats import arch, call_name, server_host, sleeps_in, words
from socklab.ui.view.index import holder_index
from socklab.ui.view.lines import EMPTY, Line, Span, View, with_keys, wrap
from socklab.ui.view.tasks import client_of_call, sleeps_unseen

_WAITS = ("accept", "select", "poll", "epoll_wait")


def lines(state: st.LabState, view: View) -> list[Line]:
    """Sentences, each on lines of its own; the hint last."""
    task = state.task
    if task is None:
        said = "The program is being started. It will be held before each of its socket calls, and after it."
        return words(said, view, "")
    told: list[list[Line]] = []
    if task.call is not None and task.status != "exited":
        told += _about_call(state, task, task.call, view)
    elif task.call is None and task.status != "exited":
        told.append(words("It has made no socket call yet. It will be held before each, and after it.", view, ""))
    hint = _hint(state, task)
    if hint:
        told.append(wrap(hint, view.width))
    gap = [] if view.compact else [EMPTY]
    return [line for place, piece in enumerate(told) for line in ([*gap, *piece] if place else piece)]


def _about_call(state: st.LabState, task: st.Task, call: st.Call, view: View) -> list[list[Line]]:
    from socklab.syscalls import decode

    decoded = decode(arch(state), call.entered, call.returned)
    told = []
    if decoded.meaning:
        told.append(wrap(((f"{safe(decoded.name)}: ", "name"), (safe(decoded.meaning), "")), view.width))
    if doubt := htons_hint.lines(decoded, view.width):
        told.append(doubt)
    if _is_import(state, task):
        told.append(words("An import makes this call, not the program's own lines.", view, ""))
    changes = _changes(state, task) if call.returned is not None and task.status == "held" else ()
    if changes:
        told.append(wrap(changes, view.width))
    return told


def _is_import(state: st.LabState, task: st.Task) -> bool:
    """The user's own line that is being executed is an import of Python's."""
    frame = task.stack[0] if task.stack else None
    source = state.sources.get(frame.path) if frame is not None else None
    if frame is None or source is None or source.language != "python" or frame.line < 1:
        return False
    rows = source.text.split("\n")
    return frame.line <= len(rows) and rows[frame.line - 1].lstrip().startswith(("import ", "from "))


def _changes(state: st.LabState, task: st.Task) -> Line:
    """Descriptors opened and closed since the program last ran."""
    table = state.descriptors.get(task.pid)
    if table is None:
        return ()
    now = [(fd, before) for (pid, fd), before in sorted(state.changed.descriptors.items()) if pid == task.pid]
    opened = [str(fd) for fd, before in now if before is None and fd in table]
    left = [(fd, before) for fd, before in now if before is not None and fd not in table]
    closed = [str(fd) for fd, _ in left]
    spans: list[Span] = []
    for word, fds in (("new", opened), ("closed", closed)):
        if fds and len(fds) < 9:
            spans += [
                ("; " if spans else "", ""),
                (f"{word}: descriptor {', '.join(fds)}", "new" if word == "new" else ""),
            ]
    if len(left) == 1:
        others = holder_index(state).holders(state, left[0][1].inode) if left[0][1].inode else ()
        if others:
            pid, fd = others[0]
            who = f"descriptor {fd}" if pid == task.pid else f"process {pid}"
            spans.append((f"; what it stood for stays open, {who} has it too", ""))
    return tuple(spans)


# ---------------------------------------------------------------- what to do next


def _hint(state: st.LabState, task: st.Task) -> Line:
    """The one thing worth doing now, if there is one."""
    if task.status == "exited":
        others = [each for each in state.tasks.values() if each.status != "exited"]
        return with_keys("`restart` runs it again, `quit` leaves.") if not others else _elsewhere(state, task)
    if task.status == "held":
        if task.at == "return" or task.call is None:
            return ()
        name = canonical(call_name(state, task.call.entered.nr))
        return _nobody_yet(state) if name in _WAITS and not _waiting(state) else ()
    if not state.blocked(task.tid):
        return _untraced(state, task) or _elsewhere(state, task)
    name = canonical(call_name(state, task.call.entered.nr)) if task.call is not None else ""
    if name in _WAITS:
        return _elsewhere(state, task) or _nobody_yet(state) or with_keys("`connect` connects one more client.")
    if name == "read" and task.call is not None:
        client = client_of_call(state)
        if client:
            return (
                (f"Client {safe(client)} has to say something: ", ""),
                *with_keys("`send` sends bytes, `close` closes it."),
            )
    return _elsewhere(state, task)


def _nobody_yet(state: st.LabState) -> Line:
    """There is a listener, and no client has come."""
    listeners = state.listeners
    if not listeners or any(client.phase != "failed" for client in state.clients.values()):
        return ()
    address = _reachable(state, listeners[0])
    if state.header is not None and state.header.network == "machine":
        elsewhere = f": try  curl http://{address}/  in another terminal, or "
        lab = with_keys("`connect` for a client of the lab.")
        return (("It listens on ", ""), (address, "path"), (elsewhere, ""), *lab)
    return (("No client yet: ", ""), *with_keys("`connect` connects one to "), (address, "path"), (".", "dim"))


def _waiting(state: st.LabState) -> bool:
    return any(listener.rx_queue for listener in state.listeners)


def _reachable(state: st.LabState, listener: ev.SocketRow) -> str:
    """The listener's address as a client may write it."""
    host, _, port = listener.local.rpartition(":")
    if host not in ("0.0.0.0", "[::]", "*"):
        return safe(listener.local)
    of = server_host(state)
    known = next((each.addresses for each in (state.header.hosts if state.header else ()) if each.name == of), ())
    return f"{safe(known[0]) if known else '127.0.0.1'}:{safe(port)}"


def _untraced(state: st.LabState, task: st.Task) -> Line:
    """It sleeps in a call nobody asked to see: reading its terminal, most often."""
    if not sleeps_unseen(state, task):
        return ()
    row = state.processes.get(task.tid)
    where = f" ({sleeps_in(row)})" if sleeps_in(row) else ""
    said = f"It sleeps in a call that concerns no socket{where}. If it waits for input, "
    return ((said, ""), *with_keys("`stdin` types a line."))


def _elsewhere(state: st.LabState, task: st.Task) -> Line:
    """Another task is held and waits for a command."""
    held = [each for each in state.tasks.values() if each.status == "held" and each.tid != task.tid]
    if not held:
        return ()
    name = call_name(state, held[-1].call.entered.nr) if held[-1].call is not None else ""
    where = f" {'before' if held[-1].at == 'enter' else 'after'} {name}" if name else ""
    return ((f"{held[-1].tid} is held{where}: ", ""), *with_keys("`next-task` goes there."))
