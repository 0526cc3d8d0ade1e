"""The question itself: what may be asked of a state, and the answer to it.

In: a LabState, its History where there is one, a Subject. Out: chains; the subjects of a panel, for a list to choose
from; a Subject from typed words. Raises UsageError for what is not there. Whether an answer may be given while a
prediction is open is the caller's to ask (`guide.masked`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from msgspec.structs import replace

from socklab import state as st
from socklab.core.errors import UsageError
from socklab.core.suggest import suggest
from socklab.core.text import safe
from socklab.packets import packet_log
from socklab.protocol import events as ev
from socklab.state import History, LabState
from socklab.state.model import NO_DESCRIPTORS
from socklab.why import clients, program, queues, settings as kernel_settings, states, wire
from socklab.why.model import Chain, Link, Subject, unknown
from socklab.why.record import Record

PANELS = ("sockets", "clients", "wire", "descriptors", "queues", "counters", "call")
"""Panels of whose rows one may ask."""

MOST = 200
"""So many rows of a panel are offered."""
_MOST_CHANGES = 12


def why(state: LabState, subject: Subject, history: History | None = None) -> tuple[Chain, ...]:
    """Where a value came from, backwards. Raises UsageError when there is no such row."""
    record = Record(state, history)
    return tuple(_visible(chain) for chain in _ASKED[subject.panel](record, subject))


def _visible(chain: Chain) -> Chain:
    """The one place where texts of programs, clients and recordings become ones that may be shown."""
    links = (
        replace(link, what=safe(link.what), reason=safe(link.reason), path=safe(link.path)) for link in chain.links
    )
    return Chain(safe(chain.title), tuple(links))


# ---------------------------------------------------------------- each kind


def _sockets(record: Record, subject: Subject) -> list[Chain]:
    host, id = subject.name, subject.number
    row = record.state.table_of(host).rows.get(id)
    if row is not None:
        of = queues.chains if row.state == st.LISTEN else states.chains
        return of(record, host, row)
    known = [reading.row for reading in record.readings.of(host, id) if reading.row is not None]
    if not known:
        raise UsageError(f"No socket {id} is listed.", fix="`show sockets` lists them.")
    return states.chains(record, host, known[-1], gone=True)


def _clients(record: Record, subject: Subject) -> list[Chain]:
    client = record.state.clients.get(subject.name)
    if client is None:
        raise UsageError(
            f"There is no client {safe(subject.name)}.",
            fix=suggest(subject.name, record.state.clients) or "connect   opens one.",
        )
    return clients.chains(record, client, subject.byte)


def _wire(record: Record, subject: Subject) -> list[Chain]:
    return wire.chains(record, subject.number)


def _descriptors(record: Record, subject: Subject) -> list[Chain]:
    return program.descriptor(record, subject.pid or _pid(record.state), subject.number)


def _counters(record: Record, subject: Subject) -> list[Chain]:
    host, _, name = subject.name.rpartition(" ")
    if any(name in each for each in record.state.settings.values()):
        return kernel_settings.chains(record, name, host)
    return queues.counter(record, host or _host(record.state), name)


def _call(record: Record, subject: Subject) -> list[Chain]:
    if not subject.number:
        task = record.state.task
        if task is None or task.call is None:
            return [Chain("the call", (unknown("the call", "none has been made yet"),))]
        return program.call(record, task.call)
    call = next((call for call in record.calls if call.number + 1 == subject.number), None)
    if call is None:
        raise UsageError(
            f"Call {subject.number} is not kept.", fix=f"{record.state.entered} calls were entered so far."
        )
    return program.call(record, call)


def _stop(record: Record, subject: Subject) -> list[Chain]:
    """What changed since the program last ran, each with the first links of why."""
    state = record.state
    found = _call(record, Subject("call")) if state.task is not None and state.task.call is not None else []
    for changed in islice(_changes(state), _MOST_CHANGES):
        found += _ASKED[changed.panel](record, changed)[:1]
    if len(found) < 2:
        found.append(Chain("nothing else changed since the program last ran", ()))
    return found


def _changes(state: LabState) -> Iterator[Subject]:
    changed = state.changed
    for (pid, fd), _ in changed.descriptors.items():
        yield Subject("descriptors", number=fd, pid=pid)
    for (host, id), before in changed.sockets.items():
        row = state.table_of(host).rows.get(id)
        if row is None or before is None or (row.state, row.rx_queue, row.tx_queue) != _essence(before):
            yield Subject("sockets", host, id)
    for (host, name), before_value in changed.counters.items():
        if name in queues.OF_SYNS and state.counters[host][name] > before_value:
            yield Subject("counters", f"{host} {name}")


def _essence(row: ev.SocketRow) -> tuple[int, int, int]:
    return row.state, row.rx_queue, row.tx_queue


_ASKED = {
    "sockets": _sockets,
    "queues": _sockets,
    "clients": _clients,
    "wire": _wire,
    "descriptors": _descriptors,
    "counters": _counters,
    "call": _call,
    "stop": _stop,
}


def _host(state: LabState) -> str:
    return state.table_host(state.started.host) if state.started is not None else "server"


def _pid(state: LabState) -> int:
    return state.task.pid if state.task is not None else 0


# ---------------------------------------------------------------- what may be asked


def subjects(state: LabState, panel: str) -> list[tuple[Subject, str]]:
    """The rows of a panel that may be asked about, each with a line that names it; at most MOST."""
    found = _LISTED.get(panel)
    return list(islice(found(state), MOST)) if found is not None else []


def _listed_sockets(state: LabState) -> Iterator[tuple[Subject, str]]:
    for host, table in state.tables.items():
        for row in sorted(table.rows.values(), key=_order):
            name = st.TCP_STATES.get(row.state, f"state {row.state}")
            at = f"at {row.local}" if row.state == st.LISTEN else f"{row.local} with {row.remote}"
            yield Subject("sockets", host, row.id), safe(f"{name} {at}")
    for (host, id), before in state.changed.sockets.items():
        if before is not None and id not in state.table_of(host).rows:
            yield Subject("sockets", host, id), safe(f"gone: {before.local} with {before.remote}")


def _order(row: ev.SocketRow) -> tuple[object, ...]:
    """Listeners first, then by the ports."""
    local, remote = row.local.rpartition(":")[2], row.remote.rpartition(":")[2]
    return row.state != st.LISTEN, local.rjust(5), remote.rjust(5), row.id


def _listed_queues(state: LabState) -> Iterator[tuple[Subject, str]]:
    for row in state.listeners:
        said = f"queues of {row.local}: {row.rx_queue} of {row.tx_queue}"
        yield Subject("queues", _host(state), row.id), safe(said)


def _listed_clients(state: LabState) -> Iterator[tuple[Subject, str]]:
    for client in state.clients.values():
        yield Subject("clients", client.name), safe(f"client {client.name}: {client.phase}")


def _listed_packets(state: LabState) -> Iterator[tuple[Subject, str]]:
    for place in range(len(state.packets) - 1, -1, -1):
        passed = packet_log.at(state.packets, place)
        number = passed.packet.id
        yield (
            Subject("wire", number=number),
            safe(f"packet {number}: {passed.segment.summary} from {passed.packet.source}"),
        )


def _listed_descriptors(state: LabState) -> Iterator[tuple[Subject, str]]:
    here = _pid(state)
    for pid in sorted(state.descriptors, key=lambda pid: (pid != here, pid)):
        whose = "" if pid == here else f" of process {pid}"
        for fd in sorted(state.descriptors[pid]):
            target = state.descriptors[pid][fd].target
            yield Subject("descriptors", number=fd, pid=pid), safe(f"descriptor {fd}{whose}: {target}")
    for (pid, fd), before in state.changed.descriptors.items():
        if before is not None and fd not in state.descriptors.get(pid, NO_DESCRIPTORS):
            whose = "" if pid == here else f" of process {pid}"
            yield Subject("descriptors", number=fd, pid=pid), f"descriptor {fd}{whose}: closed"


def _listed_counters(state: LabState) -> Iterator[tuple[Subject, str]]:
    for host, values in state.counters.items():
        first = state.counters_at_start.get(host, {})
        for name, value in values.items():
            if value > first.get(name, value):
                yield Subject("counters", f"{host} {name}"), safe(f"counter {host} {name}: +{value - first[name]}")
    for host, settings in state.settings.items():
        for name, setting in settings.items():
            yield Subject("counters", f"{host} {name}"), safe(f"counter {host} {name}: {setting}")


_LISTED = {
    "sockets": _listed_sockets,
    "queues": _listed_queues,
    "clients": _listed_clients,
    "wire": _listed_packets,
    "descriptors": _listed_descriptors,
    "counters": _listed_counters,
}


# ---------------------------------------------------------------- typed


_WORDS = {
    "socket": "sockets", "client": "clients", "packet": "wire", "fd": "descriptors", "descriptor": "descriptors",
    "queue": "queues", "counter": "counters",
}  # fmt: skip
"""What one may type for a panel's row; the panels' own names too."""

USAGE = "why, why call 12, why fd 4, why client a, why client a 17, why packet 12, why socket 3, why ListenDrops"


def typed(state: LabState, text: str) -> Subject | str:
    """`client a` as a subject; nothing: what changed at this stop; `clients`: the panel whose rows are to choose from.

    Raises UsageError.
    """
    words = text.split()
    if not words:
        return Subject("stop")
    panel, rest = _WORDS.get(words[0], words[0]), words[1:]
    if panel not in PANELS:
        if words[0] in next(iter(state.counters.values()), {}) or words[0] in state.settings.get(_host(state), {}):
            return Subject("counters", f"{_host(state)} {words[0]}")
        raise UsageError(f'why: "{safe(words[0])}" is nothing that can be asked about.', fix=f"For example: {USAGE}.")
    if panel == "call" and not rest:
        return Subject("call")
    if not rest:
        return panel
    if panel in ("clients", "counters"):
        return _named(state, panel, rest)
    number = rest[0].lstrip("#")
    if not number.isascii() or not number.isdecimal() or len(number) > 9:
        raise UsageError(f"why {safe(words[0])}: a number is missing.", fix=f"For example: {USAGE}.")
    found = _numbered(state, panel, int(number))
    if panel == "descriptors" and len(rest) > 1 and rest[-1].isascii() and rest[-1].isdecimal():
        found = replace(found, pid=int(rest[-1][:9]))  # descriptor 4 of process 1234
    return found


def _named(state: LabState, panel: str, rest: list[str]) -> Subject:
    if panel == "counters":
        host = rest[0] if len(rest) > 1 else _host(state)
        return Subject("counters", f"{host} {rest[-1]}")
    byte = int(rest[1]) if len(rest) > 1 and rest[1].isascii() and rest[1].isdecimal() and len(rest[1]) < 16 else 0
    return Subject("clients", rest[0], byte=byte)


def _numbered(state: LabState, panel: str, number: int) -> Subject:
    """Sockets and queues are counted from 1 as `why sockets` lists them; packets and descriptors have their own."""
    if panel in ("sockets", "queues"):
        listed = subjects(state, panel)
        if not 1 <= number <= len(listed):
            raise UsageError(
                f"There is no socket {number}.", fix=f"{len(listed)} are listed: `why sockets` names them."
            )
        return listed[number - 1][0]
    return Subject(panel, number=number)


def lines(chains: tuple[Chain, ...]) -> list[str]:
    """The answer as text, a line a link: for a reader without a screen."""
    out = []
    for chain in chains:
        out.append(safe(chain.title))
        out += [f"  <- {line}" for link in chain.links for line in [said(link)]]
    return out


def said(link: Link) -> str:
    """One link: what, where, and why not where it is not known."""
    text = link.what if link.known else f"not known: {link.what}: {link.reason}"
    place = f"  ({link.place})" if link.place else ""
    line = f"; {link.reason}" if link.known and link.reason and link.call else ""
    return safe(f"{text}{place}{line}")
