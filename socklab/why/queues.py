"""Why a listener is there, how deep its queue is, what set its limit, why a counter rose.

In: a Record, a LISTEN row or a counter's name. Out: chains.
"""

from __future__ import annotations

from socklab import state as st
from socklab.packets import packet_log
from socklab.packets.decode import ACK, SYN
from socklab.packets.packet_log import Passed
from socklab.protocol import events as ev
from socklab.why.ends import End
from socklab.why.files import File
from socklab.why.model import Chain, Link, plain, unknown
from socklab.why.record import Record

_MOST = 6
SOMAXCONN = "net.core.somaxconn"
OF_SYNS = ("ListenOverflows", "ListenDrops")
"""Counters that rise when a connection is dropped because the accept queue is full (net/ipv4/tcp_ipv4.c)."""


def chains(record: Record, host: str, row: ev.SocketRow) -> list[Chain]:
    """A listener: its state, its depth, its limit."""
    file = record.file_of(host, row)
    return [
        Chain(f"LISTEN: {row.local}", tuple(_listens(record, file))),
        Chain(f"{row.rx_queue} wait in the accept queue", tuple(_depth(record, row, file))),
        Chain(f"the queue's limit is {row.tx_queue}", tuple(_limit(record, host, row, file))),
    ]


def _calls(record: Record, file: File | None, name: str) -> list[Link]:
    calls = [call for call in file.calls if record.name(call) == name] if file is not None else []
    done = [call for call in calls if call.returned is not None and call.returned.result == 0]
    return [record.of_call(done[-1])] if done else []


def _listens(record: Record, file: File | None) -> list[Link]:
    links = [*_calls(record, file, "listen"), *_calls(record, file, "bind")]
    made = file.born.made if file is not None else None
    links += [record.of_call(made)] if made is not None else []
    if not links:
        return [unknown("who made it listen", record.cut or "no recorded call on one of its descriptors did")]
    return links


def _depth(record: Record, row: ev.SocketRow, file: File | None) -> list[Link]:
    """The connections that wait, the newest first; nobody has accepted them."""
    links: list[Link] = []
    taken = [
        call
        for call in (file.calls if file is not None else ())
        if record.name(call) in ("accept", "accept4") and call.returned is not None and call.returned.result >= 0
    ]
    if file is not None:
        times = "once" if len(taken) == 1 else f"{len(taken)} times"
        last = f"accept took one out {times}; the last one"
        links.append(record.of_call(taken[-1], last) if taken else Link("accept has taken none out so far"))
    waiting = _waiting(record, row)
    ends = [End(record, plain(one.local), plain(one.remote)) for one in waiting[:_MOST]]
    links += [_completed(end) for end in ends]
    unseen = next((end.conversation.reason for end in ends if not end.conversation.packets), "")
    if unseen:
        links.append(unknown("the packets that completed their handshakes", unseen))
    if len(waiting) > _MOST:
        links.append(Link(f"and {len(waiting) - _MOST:,} more"))
    if not waiting and row.rx_queue:
        links.append(unknown("which connections wait", "their rows were not read"))
    return links


def _waiting(record: Record, listener: ev.SocketRow) -> list[ev.SocketRow]:
    """Complete connections of the listener's port without a descriptor, the last one first."""
    port = listener.local.rpartition(":")[2]
    host = record.state.started.host if record.state.started is not None else ""
    rows = record.state.table_of(host).rows.values()
    found = [
        row
        for row in rows
        if not row.inode and row.state in (st.ESTABLISHED, st.CLOSE_WAIT) and row.local.endswith(f":{port}")
    ]
    return sorted(found, key=lambda row: row.id, reverse=True)


def _completed(end: End) -> Link:
    """The ACK that put a connection into the queue."""
    who = end.record.who(end.remote)
    ack = next((p for p in end.peer.sent(lambda flags: bool(flags & ACK and not flags & SYN))), None)
    if ack is None:
        return Link(f"{who} waits")
    return end.record.of_packet(ack, f"{who}'s handshake was complete")


def _limit(record: Record, host: str, row: ev.SocketRow, file: File | None) -> list[Link]:
    """min(backlog, somaxconn): net/socket.c, __sys_listen."""
    calls = [call for call in file.calls if record.name(call) == "listen"] if file is not None else []
    if not calls:
        return [unknown("the backlog it was given", record.cut or "no recorded call made it listen")]
    call = calls[-1]
    backlog = call.entered.args[1] & 0xFFFFFFFF  # the kernel compares it as an unsigned number: -1 is the most there is
    link = record.of_call(call)
    if backlog == row.tx_queue:
        return [link]
    most = record.state.settings.get(host, {}).get(SOMAXCONN, "")
    if most == str(row.tx_queue):
        return [Link(f"{SOMAXCONN} is {most}: no listener gets more"), link]
    why = f"{SOMAXCONN} was not read: `set {SOMAXCONN}` reads it" if not most else f"{SOMAXCONN} is {most} now"
    return [unknown("why it is not the backlog that was asked for", why), link]


# ---------------------------------------------------------------- counters


def counter(record: Record, host: str, name: str) -> list[Chain]:
    """When it rose; of the counters of drops also which SYNs had no answer."""
    values = record.state.counters.get(host, {})
    if name not in values:
        return [Chain(name, (unknown(f"the counter {name} of {host}", "it was not read in this lab"),))]
    risen = values[name] - record.state.counters_at_start.get(host, {}).get(name, 0)
    rises = record.readings.counter_rises.get((host, name), [])
    links = [Link(f"+{by}, read at this stop", t, min(stop, record.state.stops)) for stop, t, by in reversed(rises)]
    if not links and risen:
        links = [unknown("when it rose", "earlier readings are not kept")]
    if len(links) > _MOST:
        more = len(links) - _MOST
        links = [*links[:_MOST], Link(f"and {more:,} rise{'s' * (more > 1)} before that")]
    if name in OF_SYNS and risen:
        links += _unanswered(record, risen)
        for row in record.state.listeners:
            full = f"the accept queue of {row.local} now: {row.rx_queue} wait, the limit is {row.tx_queue}"
            links += [Link(full), *_limit(record, host, row, record.file_of(host, row))]
    elif risen:
        links.append(unknown("which packet or call made it rise", "the kernel counts without saying for which"))
    return [Chain(f"{name} of {host}: +{risen} since the lab began", tuple(links or [Link("it has not risen")]))]


def _unanswered(record: Record, risen: int) -> list[Link]:
    """SYNs that arrived at a listener and that no SYN-ACK answered, and last ACKs that changed nothing."""
    packets = record.state.packets
    if not len(packets):
        return [unknown("which SYNs were dropped", record.conversation("", "").reason)]
    lost: list[Passed] = []
    pending: dict[int, Passed] = {}
    answered: set[int] = set()
    for passed in packet_log.passed(packets):
        number, flags = passed.seen.connection, passed.segment.flags
        if not number or not flags & SYN:
            continue
        if flags & ACK:
            answered.add(number)
            pending.pop(number, None)
        elif record.arrived(passed) and number not in answered:
            if number in pending:  # it was sent again before any answer came
                lost.append(pending[number])
            pending[number] = passed
    lost = sorted([*lost, *pending.values()], key=lambda passed: passed.packet.id)
    links = [record.of_packet(passed, "arrived, and no SYN-ACK answers it") for passed in reversed(lost[-_MOST:])]
    if len(lost) > _MOST:
        links.append(Link(f"and {len(lost) - _MOST} more SYNs without an answer"))
    if len(lost) != risen:
        what = f"which of the {risen} rises belongs to which packet"
        links.append(unknown(what, f"{len(lost)} SYNs without an answer were recorded; a dropped last ACK counts too"))
    return links
