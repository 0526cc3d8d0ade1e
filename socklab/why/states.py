"""Why a TCP socket is in its state: the packets that led there, and the calls and acts that sent them.

In: a Record and a row. Out: chains: its state, the bytes that wait to be read, the bytes that are not acknowledged.
Source: RFC 9293 section 3.3.2 (states), proc_net(5), sock_diag(7).
"""

from __future__ import annotations

from collections.abc import Callable

from socklab import state as st
from socklab.packets.decode import ACK, SYN
from socklab.packets.packet_log import Passed
from socklab.protocol import events as ev
from socklab.why import resets, streams
from socklab.why.ends import End
from socklab.why.model import Chain, Link, plain, unknown
from socklab.why.record import Record, bytes_of

_FIN_CAME = (st.CLOSE_WAIT, st.LAST_ACK, st.CLOSING)
_FIN_SENT = (st.FIN_WAIT1, st.LAST_ACK, st.CLOSING)
"""In these states one of the bytes that tx_queue, or rx_queue, counts is the FIN."""


def chains(record: Record, host: str, row: ev.SocketRow, *, gone: bool = False) -> list[Chain]:
    """All that can be asked of a row that is no listener."""
    end = End(record, plain(row.local), plain(row.remote), record.file_of(host, row))
    name = st.TCP_STATES.get(row.state, f"state {row.state}")
    if gone and row.state == st.LISTEN:
        return [Chain(f"LISTEN {row.local} is gone", tuple(_listener_gone(end)))]
    if gone:
        return [Chain(f"{name} {row.local} with {row.remote} is gone", tuple(_gone(end, row)))]
    told = [Chain(f"{name}: {row.local} with {row.remote}", tuple(state_links(end, row)))]
    waiting = row.rx_queue - (row.state in _FIN_CAME)
    if waiting > 0:
        told.append(Chain(f"{bytes_of(waiting)} wait to be read", tuple(waiting_links(end, waiting))))
    unacked = row.tx_queue - (row.state in _FIN_SENT)
    if unacked > 0 and row.state not in (st.SYN_SENT, st.SYN_RECV, st.NEW_SYN_RECV):
        told.append(Chain(f"{bytes_of(unacked)} written and not acknowledged", tuple(unacked_links(end, unacked))))
    return told


def state_links(end: End, row: ev.SocketRow) -> list[Link]:
    """What led to the state of this end."""
    explain = _STATES.get(row.state)
    if explain is None:
        return [unknown("how it came to this state", "nothing is recorded that says so")]
    if end.conversation.reason and not end.conversation.packets:
        return [unknown("the packets that led here", end.conversation.reason), *_without_packets(end)]
    return explain(end)


def _without_packets(end: End) -> list[Link]:
    """What the calls and acts alone tell."""
    closing = end.closings()
    links = [end.of_closing(closing[-1], f"{end.who} closed")] if closing else []
    theirs = end.peer.closings()
    links += [end.peer.of_closing(theirs[-1], f"{end.peer.who} closed")] if theirs else []
    return [*links, *(end if end.client is not None else end.peer).opened()]


# ---------------------------------------------------------------- the handshake


def _packet(end: End, passed: Passed | None, what: str, said: str = "") -> Link:
    """The packet, or that none was recorded."""
    if passed is not None:
        return end.record.of_packet(passed, said)
    return unknown(what, end.conversation.reason or "none was recorded")


def _ack_of_handshake(opener: End) -> Passed | None:
    """The first packet of the opener that acknowledges the other's SYN, and is delivered where one was."""
    acks = opener.sent(lambda flags: bool(flags & ACK) and not flags & SYN)
    return next((p for p in acks if opener.record.arrived(p)), None) or next(iter(acks), None)


def _sides(end: End) -> tuple[End, End]:
    """(who sent the first SYN, the other)"""
    first = next((p for p in end.conversation.packets if p.segment.flags & SYN), None)
    peer = End(end.record, end.remote, end.local)
    return (end, peer) if first is None or first.segment.source_end == end.local else (peer, end)


def _opening(end: End) -> list[Link]:
    """SYN-ACK ← SYN ← connect."""
    opener, other = _sides(end)
    return [
        _packet(end, other.syn, "the SYN-ACK"),
        *opener.syns(),
        *opener.opened(),
    ]


def _established(end: End) -> list[Link]:
    opener, _ = _sides(end)
    if opener is end:  # the SYN-ACK made it so here
        return [*_opening(end)]
    links = [_packet(end, _ack_of_handshake(opener), "the ACK that completed the handshake"), *_opening(end)]
    file = end.file
    made = file.born.made if file is not None else None
    if made is not None and end.record.name(made).startswith("accept"):
        return [end.record.of_call(made, "taken out of the accept queue"), *links]
    return links


def _syn_sent(end: End) -> list[Link]:
    syns = end.sent(lambda flags: bool(flags & SYN))
    answer = end.peer.syn
    links = []
    if answer is not None:
        links.append(end.record.of_packet(answer, "the SYN-ACK has not arrived"))
    elif syns and not any(map(end.record.arrived, syns)):
        links.append(Link("no SYN of it has arrived at the other host: nothing could answer"))
    elif syns:
        links.append(Link(f"the other host has not answered: no SYN-ACK to {_count(len(syns), 'SYN')} was seen"))
    links += [end.record.of_packet(passed) for passed in reversed(syns[-3:])]
    if not syns:
        links.append(_packet(end, None, "the SYN"))
    return [*links, *end.opened()]


def _syn_recv(end: End) -> list[Link]:
    opener, _ = _sides(end)
    ack = _ack_of_handshake(opener)
    if ack is None:
        first = Link("no ACK of the other end has been sent that would complete the handshake")
    elif end.record.arrived(ack):
        first = end.record.of_packet(ack, "the ACK has arrived, and yet the handshake is not complete here")
        return [first, *_full_queue(end), *_opening(end)]
    else:
        first = end.record.of_packet(ack, "the ACK has not arrived")
    return [first, *_opening(end)]


def _full_queue(end: End) -> list[Link]:
    """What the listener's queue was when it was read last."""
    port = end.local.rpartition(":")[2]
    for row in end.record.state.listeners:
        if row.local.endswith(f":{port}") and row.rx_queue > row.tx_queue:
            return [Link(f"the accept queue is full: {row.rx_queue} wait, the limit is {row.tx_queue}")]
    return [unknown("why the kernel has not taken it", "the accept queue was not full when it was read last")]


def _count(number: int, one: str) -> str:
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


# ---------------------------------------------------------------- the end


def _fin(end: End) -> list[Link]:
    """This end's FIN and what sent it."""
    fin = end.fin
    return [end.record.of_packet(fin), *end.why_closed(fin)] if fin is not None else _no_fin(end)


def _no_fin(end: End) -> list[Link]:
    why = end.conversation.reason or "none was recorded"
    closings = end.closings()
    told = [end.of_closing(closings[-1], "closes")] if closings else []
    return [unknown(f"the FIN of {end.who}", why), *told]


def _close_wait(end: End) -> list[Link]:
    peer = End(end.record, end.remote, end.local)
    file = end.file
    open_ = file.open if file is not None else []
    links = []
    if open_:
        fds = ", ".join(str(life.fd) for life in open_[:4])
        links.append(Link(f"the program has not closed it: descriptor {fds} is open"))
    elif file is None and end.client is None:
        links.append(Link("nobody has accepted it"))
    return [*links, *_fin(peer)]


def _fin_wait1(end: End) -> list[Link]:
    return [*_unacked_fin(end), *_fin(end)]


def _unacked_fin(end: End) -> list[Link]:
    """What is between this end's FIN and its ACK: either of them may be on the wire, or lost."""
    fin = end.fin
    if fin is None:
        return []
    if not end.record.arrived(fin):
        return [end.record.of_packet(fin, "its FIN has not arrived")]
    ack = end.peer.acked(fin.seen.seq + fin.segment.sequence_length)
    if ack is not None and not end.record.arrived(ack):
        return [end.record.of_packet(ack, "the ACK of its FIN has not arrived")]
    return [Link("no ACK of its FIN was seen" if ack is None else "its FIN was not acknowledged when it was read last")]


def _fin_wait2(end: End) -> list[Link]:
    peer = End(end.record, end.remote, end.local)
    return [Link(f"{peer.who} has not sent a FIN that arrived"), *_acked_fin(end, peer), *_fin(end)]


def _acked_fin(end: End, peer: End) -> list[Link]:
    fin = end.fin
    if fin is None:
        return []
    ack = peer.acked(fin.seen.seq + fin.segment.sequence_length)
    return [_packet(end, ack, "the ACK of its FIN", "its FIN is acknowledged")]


def _time_wait(end: End) -> list[Link]:
    peer = End(end.record, end.remote, end.local)
    ours, theirs = end.fin, peer.fin
    if ours is None or theirs is None:
        return [*_fin(peer), *_fin(end)]
    mine = ours.packet.id < theirs.packet.id
    first, second = (ours, theirs) if mine else (theirs, ours)
    who = end.who if mine else peer.who
    told = Link(f"{who} closed first: its FIN is packet {first.packet.id}, the other's {second.packet.id}")
    return [told, *(_fin(peer) if mine else _fin(end)), *(_fin(end) if mine else _fin(peer))]


def _both(end: End) -> list[Link]:
    """CLOSING and LAST_ACK: both have sent a FIN; its own is not acknowledged."""
    return [*_unacked_fin(end), *_fin(end), *_fin(End(end.record, end.remote, end.local))]


def _closed(end: End) -> list[Link]:
    if end.rst is not None or end.peer.rst is not None:
        return _reset(end)
    return [unknown("what closed it", "nothing is recorded that says so")]


def _reset(end: End) -> list[Link]:
    peer = End(end.record, end.remote, end.local)
    sender = end if end.rst is not None else peer
    return resets.chain(sender, sender.rst)


_STATES: dict[int, Callable[[End], list[Link]]] = {
    st.ESTABLISHED: _established,
    st.SYN_SENT: _syn_sent,
    st.SYN_RECV: _syn_recv,
    st.NEW_SYN_RECV: _syn_recv,
    st.CLOSE_WAIT: _close_wait,
    st.FIN_WAIT1: _fin_wait1,
    st.FIN_WAIT2: _fin_wait2,
    st.TIME_WAIT: _time_wait,
    st.LAST_ACK: _both,
    st.CLOSING: _both,
    st.CLOSE: _closed,
}


def _gone(end: End, row: ev.SocketRow) -> list[Link]:
    """Why a row is not in the table any more."""
    peer = End(end.record, end.remote, end.local)
    if end.rst is not None or peer.rst is not None:
        return _reset(end)
    if row.state in (st.TIME_WAIT, st.FIN_WAIT2):
        since = [reading for reading in end.record.readings.of_ends(end.local, end.remote) if reading.row is not None]
        ran = f" (read in this state from stop {since[-1].stop} on)" if since and since[-1].stop else ""
        return [Link(f"its time in {st.TCP_STATES[row.state]} is over, or it was taken over{ran}"), *_fin(end)]
    fin = end.fin
    if fin is not None:
        return [*_acked_fin(end, peer), *_fin(end)]
    return [
        unknown("what ended it", end.conversation.reason or "neither FIN nor RST of it was recorded"),
        *_no_fin(end)[1:],
    ]


def _listener_gone(end: End) -> list[Link]:
    closings = end.closings()
    return [end.of_closing(closings[-1], "closes")] if closings else [unknown("what closed it", end.why_no_closing())]


# ---------------------------------------------------------------- bytes


def waiting_links(end: End, count: int) -> list[Link]:
    """The bytes in this end's receive queue: which packets brought them, who sent them."""
    record, conversation = end.record, end.conversation
    peer = End(record, end.remote, end.local)
    if end.client is not None:
        start = end.client.received
        links = [Link(f"client {end.client.name} has read {bytes_of(start) if start else 'nothing'}")]
    else:
        counted = streams.read(record, end.file)
        if counted.reason:
            return [unknown("which bytes these are", counted.reason)]
        start = counted.total
        by = counted.pieces[-1].by if counted.pieces else None
        links = [_no_read(record, end) if by is None else record.of_call(by, "the last read before them")]  # type: ignore[arg-type]
    known = peer.written()
    return [
        *links,
        *streams.carriers(record, conversation, end.remote, start, start + count),
        *streams.links(record, known, start, start + count),
    ]


def _no_read(record: Record, end: End) -> Link:
    return Link("nobody has accepted the connection" if end.file is None else "the program has read nothing of it yet")


def unacked_links(end: End, count: int) -> list[Link]:
    """The bytes in this end's send queue: what they wait for, which packets carry them, who wrote them."""
    record, conversation = end.record, end.conversation
    counted = end.written()
    if counted.reason:
        return [unknown("which bytes these are", counted.reason)]
    total = min(counted.total, end.client.sent) if end.client is not None else counted.total
    if counted.unfinished:  # how much the kernel has taken is what is acknowledged and what it says it keeps
        acks = [p for p in end.peer.sent(lambda flags: bool(flags & ACK)) if record.arrived(p)]
        total = max((p.seen.ack - 1 for p in acks), default=0) + count
    start = total - count
    if start < 0:
        return [unknown("which bytes these are", "more wait than the recorded calls wrote")]
    sent = max((last for _, last, _ in streams.carried(conversation, end.local)), default=0)
    never_sent = sent <= start and not conversation.reason
    return [
        *_waits_for(end, start, total),
        *([] if never_sent else streams.carriers(record, conversation, end.local, start, total)),
        *streams.links(record, counted, start, total),
    ]


def _waits_for(end: End, start: int, total: int) -> list[Link]:
    """Why no ACK has come for them, as far as the packets tell."""
    if end.conversation.reason:
        return []
    record = end.record
    peer = End(record, end.remote, end.local)
    carried = streams.carried(end.conversation, end.local)
    sent = max((last for _, last, _ in carried), default=0)
    links = []
    if sent < total:
        window = next((p for p in reversed(peer.sent(lambda flags: bool(flags & ACK)))), None)
        never = f"{bytes_of(total - max(sent, start))} of them {'was' if total - sent == 1 else 'were'} never sent"
        shut = window is not None and window.seen.window == 0
        told = f"{never}: the other end's window is 0" if shut else never
        links.append(record.of_packet(window, told) if shut and window is not None else Link(told))
    stuck = [p for first, last, p in carried if last > start and record.fate(p) in ("held", "dropped", "delayed")]
    links += [record.of_packet(p, f"{record.fate(p)} on the wire") for p in stuck[-3:]]
    ack = peer.acked(total + 1)
    if ack is not None and not record.arrived(ack):
        links.append(record.of_packet(ack, "their ACK has not arrived"))
    return links
