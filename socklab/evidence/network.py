"""What the panels of the network were drawn from: sockets, queues, counters, clients, the wire.

In: the state that is shown, the chosen row. Out: a Subject; or, as text, why there is none. Pure.
"""

from __future__ import annotations

from itertools import islice

from socklab import state as st
from socklab.core.text import safe
from socklab.evidence.model import RECORDED, Block, Field, Row, Shell, Subject
from socklab.lesson import Lesson
from socklab.protocol import events as ev
from socklab.protocol.rows import Want

QUEUE_DROPS = ("ListenOverflows", "ListenDrops", "TCPReqQFullDrop", "TCPReqQFullDoCookies")

_SOCKET = frozenset({"local", "remote", "state", "queues", "timer", "retransmits", "inode"})
_QUEUE = frozenset({"local", "state", "queues"})
_MOST_COUNTERS = 10
_MOST_LISTENERS = 6
_MOST_SYN = 3


def server_host(state: st.LabState) -> str:
    """The host the traced program runs on."""
    return state.table_host(state.started.host) if state.started is not None else "server"


# ---------------------------------------------------------------- sockets and queues


def _name(row: ev.SocketRow) -> str:
    state = st.TCP_STATES.get(row.state, f"state {row.state}")
    ends = safe(row.local) if row.state == st.LISTEN else f"{safe(row.local)} with {safe(row.remote)}"
    return f"{state} {ends}"


def ss(row: ev.SocketRow, host: str) -> Shell:
    """Of one TCP socket."""
    here, there = row.local.rpartition(":")[2], row.remote.rpartition(":")[2]
    if row.state == st.LISTEN:
        return Shell(("ss", "-ltn", f"sport = :{here}"), host)
    return Shell(("ss", "-tanoe", f"sport = :{here} and dport = :{there}"), host)


def _socket(state: st.LabState, host: str, row: ev.SocketRow, *recorded: Block) -> Subject:
    return Subject(
        f"socket {_name(row)}",
        (Want("socket", host, row.id),),
        (*recorded, _as_recorded(row)),
        (ss(row, host),),
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


def sockets(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    if row is not None:
        chosen = state.table_of(row[0]).rows.get(row[1])
        return _socket(state, state.table_host(row[0]), chosen) if chosen is not None else "That socket is gone."
    for host in (server_host(state), *state.tables):
        table = state.table_of(host)
        found = next(iter(table.listeners.values()), None) or next(iter(islice(table.rows.values(), 1)), None)
        if found is not None:
            return _socket(state, host, found)
    return "No socket is listed yet."


def queues(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    listeners = [each for each in state.listeners if row is None or each.id == row[1]]
    if not listeners:
        return "No socket listens."
    host = server_host(state)
    ports = dict.fromkeys(each.local.rpartition(":")[2] for each in listeners[:_MOST_LISTENERS])
    waiting = [syn for each in listeners[:_MOST_LISTENERS] for syn in islice(state.syn_queue(each), _MOST_SYN)]
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


def counters(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    """Of a host's name all that moved there; of "HOST NAME" one counter; of a setting's name the setting."""
    if row is not None and any(row[0] in settings for settings in state.settings.values()):
        return _setting(state, row[0])
    if row is not None and row[0] not in state.counters:
        return _counter(state, *row[0].rpartition(" ")[::2])
    hosts = [row[0]] if row is not None else sorted(state.counters, key=lambda host: host != server_host(state))
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


def _counter(state: st.LabState, host: str, name: str) -> Subject | str:
    if name not in state.counters.get(host, {}):
        return "That counter was not read in this lab."
    key, value = f"{host}/{name}", state.counters[host][name]
    note = _rises(state, host).get(key, "+0 since the lab began")
    section = _section(name)
    file = "/proc/net/netstat" if section.endswith("Ext") else "/proc/net/snmp"
    shells = [Shell(("grep", f"^{section}:", file), host)]
    if name != "CurrEstab":
        shells.insert(0, Shell(("nstat", "-asz", _nstat(name)), host))
    recorded = Block(RECORDED, fields=(Field(safe(name), str(value), note, True),))
    what = f"counter {safe(name)} of {safe(host)}"
    return Subject(what, (Want("counters", host),), (recorded,), tuple(shells), frozenset({key}), {key: note})


def _setting(state: st.LabState, name: str) -> Subject:
    """On each host that has told it."""
    values = {host: settings[name] for host, settings in state.settings.items() if name in settings}
    shown = tuple(Field(safe(host), safe(value), "", True) for host, value in values.items())
    return Subject(
        f"setting {safe(name)}",
        tuple(Want("setting", host, name=name) for host in values),
        (Block(RECORDED, fields=shown),),
        tuple(Shell(("sysctl", name), host) for host in values),
        frozenset({name}),
    )


_TCP = frozenset({
    "RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn", "ActiveOpens", "PassiveOpens", "AttemptFails", "EstabResets",
    "CurrEstab", "InSegs", "OutSegs", "RetransSegs", "InErrs", "OutRsts", "InCsumErrors",
})  # fmt: skip
"""The counters of /proc/net/snmp's section Tcp, which RFC 1213 names; other bare names are of TcpExt."""


def _section(name: str) -> str:
    section, dot, _ = name.partition(".")
    return section if dot else "Tcp" if name in _TCP else "TcpExt"


def _nstat(name: str) -> str:
    """As nstat calls it: the section in front."""
    return _section(name) + name.rpartition(".")[2]


# ---------------------------------------------------------------- clients and the wire


def clients(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
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


def wire(state: st.LabState, _lesson: Lesson | None, row: Row) -> Subject | str:
    from socklab.packets import pcap
    from socklab.packets.fields import fields
    from socklab.packets.packet_log import index_of

    place = index_of(state.packets, row[1]) if row is not None else len(state.packets) - 1
    if place < 0 or not len(state.packets):
        return "That packet is not kept any more." if len(state.packets) else "No packet was seen yet."
    packet = state.packets[place]
    layers: dict[str, list[Field]] = {}
    for each in fields(packet.data, packet.length):
        raw = packet.data[each.start : each.start + min(each.size, 8)].hex(" ") + ("…" if each.size > 8 else "")
        layers.setdefault(each.layer, []).append(Field(safe(each.name), raw, safe(each.value), True))
    headers = (Block(safe(layer), fields=tuple(found)) for layer, found in layers.items())
    cut = f"; the first {len(packet.data)} were kept" if len(packet.data) < packet.length else ""
    started = state.header.started_ns if state.header is not None else 0
    time = min(max(0, started + packet.t), ((1 << 32) - 1) * 1_000_000_000)
    length = min(max(packet.length, len(packet.data)), (1 << 32) - 1)  # a recording may hold anything
    capture = pcap.HEADER + pcap.record(time, packet.data, length)
    file = f"packet-{packet.id}.pcap"
    return Subject(
        f"packet {packet.id}, {safe(packet.source)} to {safe(packet.destination)}",
        recorded=(Block(f"the packet as it entered the wire, {packet.length} bytes{cut}", data=packet.data), *headers),
        shells=(
            Shell(("tshark", "-n", "-x", "-V", "-r", "-"), stdin=capture, file=file),
            Shell(("tcpdump", "-n", "-v", "-x", "-r", "-"), stdin=capture, file=file),
            Shell(("od", "-A", "x", "-t", "x1z", "-j", "40"), stdin=capture, file=file),
        ),
    )
