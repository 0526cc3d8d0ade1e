"""Why a connection was reset: who sent the RST, and what had happened there that makes a kernel send one.

In: the End that sent it, the packet if it was seen. Out: links. Names a reason only where what it rests on was
recorded: bytes unread at the close, SO_LINGER with 0 seconds, no listener, data after the close; else it says that the
reason is not known. Source: tcp_close, tcp_v4_send_reset (net/ipv4/tcp.c, tcp_ipv4.c); RFC 9293 section 3.6, 3.10.7.
"""

from __future__ import annotations

from socklab.packets.decode import ACK, RST
from socklab.packets.packet_log import Passed
from socklab.protocol import events as ev
from socklab.state import CLOSE_WAIT, CLOSING, LAST_ACK, LISTEN, Call
from socklab.why import streams
from socklab.why.ends import Closing, End
from socklab.why.model import Link, plain, unknown
from socklab.why.record import Record, bytes_of

SOL_SOCKET, SO_LINGER = 1, 13
_FIN_CAME = (CLOSE_WAIT, LAST_ACK, CLOSING)


def chain(sender: End, rst: Passed | None) -> list[Link]:
    """The RST and what brought it about."""
    if rst is None:
        reason = sender.conversation.reason or "no RST of this connection was recorded"
        return [unknown("the RST", reason), *_by_closing(sender, None)]
    return [sender.record.of_packet(rst), *why_sent(sender, rst)]


def why_sent(sender: End, rst: Passed) -> list[Link]:
    """What made this end send the RST: the kernel's own word where it was seen, then what was recorded beside it."""
    refused = _answers_a_syn(sender, rst)
    links = _refused(sender, refused) if refused is not None else _by_closing(sender, rst)
    word = _kernels_word(sender, rst)
    return [*word, *(link for link in links if not word or link.known or not link.what.startswith("why "))]


# ---------------------------------------------------------------- the kernel's own reason

_CLOCKS_NS = 1_000_000
"""The wire notes a packet when it takes it up: after it was sent, by the same clock."""

_MEANINGS = {
    "NO_SOCKET": "no socket is there for the packet it answers",
    "TCP_INVALID_ACK_SEQUENCE": "an ACK number that can't be",
    "TCP_TOO_OLD_ACK": "an ACK number far too old",
    "TCP_ACK_UNSENT_DATA": "an ACK of bytes that were never sent",
    "TCP_FLAGS": "flags that don't belong here",
    "TCP_OLD_ACK": "an ACK of an earlier connection",
    "TCP_ABORT_ON_DATA": "data for a socket that reads no more",
    "TCP_TIMEWAIT_SOCKET": "the socket is in TIME_WAIT",
    "INVALID_SYN": "a SYN where none may come",
    "TCP_ABORT_ON_CLOSE": "closed with bytes unread",
    "TCP_ABORT_ON_LINGER": "TCP_LINGER2 wants no waiting for the other's FIN",
    "TCP_ABORT_ON_MEMORY": "too little memory for closed sockets",
    "TCP_STATE": "ended in a state in which the other end must be told",
    "TCP_KEEPALIVE_TIMEOUT": "keep-alive probes had no answer",
    "TCP_DISCONNECT_WITH_DATA": "ended with bytes that were not sent or acknowledged",
}
"""include/net/rstreason.h, in short."""


def _kernels_word(sender: End, rst: Passed) -> list[Link]:
    """The reason that the kernel gave for this very packet: the last it told of these ends before the packet crossed,
    and no other RST of the same end between the two."""
    record, t = sender.record, rst.packet.t + _CLOCKS_NS
    told = [
        event
        for event in record.state.resets
        if (plain(event.local), plain(event.remote)) == (sender.local, sender.remote) and event.t <= t
    ]
    if not told:
        return []
    between = [
        other
        for other in sender.sent(lambda flags: bool(flags & RST))
        if other.packet.id < rst.packet.id and other.packet.t >= told[-1].t
    ]
    if between:
        return []
    meaning = _MEANINGS.get(told[-1].reason, "")
    what = f"the kernel's own reason: {told[-1].reason}" + (f", {meaning}" if meaning else "")
    return [Link(what, told[-1].t, record.readings.stop_of(told[-1]))]


# ---------------------------------------------------------------- nobody listens


def _answers_a_syn(sender: End, rst: Passed) -> Passed | None:
    """The SYN that the RST answers: it acknowledges that alone, and this end never sent a SYN of its own."""
    syn = sender.peer.syn
    if syn is None or sender.syn is not None or syn.segment.flags & ACK:
        return None
    answers = rst.segment.flags & ACK and rst.seen.ack == (syn.seen.seq + syn.segment.sequence_length)
    return syn if answers else None


def _refused(sender: End, syn: Passed) -> list[Link]:
    record = sender.record
    links = [record.of_packet(syn, "answers"), *sender.peer.opened()]
    host, port = "server" if sender.client is None else "client", sender.local.rpartition(":")[2]
    listening = _listeners_at(record, host, port, syn.packet.t)
    if listening is None:
        return [unknown("whether anybody listened", "no reading of the socket table from before it is kept"), *links]
    if not listening:
        return [Link(f"no socket of the host was in LISTEN on port {port} when it was read last"), *links]
    address = sender.local.rpartition(":")[0]
    elsewhere = [row.local for row in listening if row.local.rpartition(":")[0] not in (address, *_ANY_ADDRESS)]
    if len(elsewhere) == len(listening):
        return [Link(f"who listened did so at {', '.join(elsewhere)} only, and the SYN was for {sender.local}"), *links]
    return [
        unknown("why the kernel refused it", f"a socket listened on port {port} when the table was read last"),
        *links,
    ]


_ANY_ADDRESS = ("0.0.0.0", "[::]", "[::ffff:0.0.0.0]", "*")


def _listeners_at(record: Record, host: str, port: str, t: int) -> list[ev.SocketRow] | None:
    """LISTEN rows on that port by the last reading before `t`; None = not known."""
    table = record.state.table_host(host)
    if record.readings.kept and not record.readings.any_before(t):
        return None
    if not record.readings.kept:
        rows = record.state.table_of(host).rows
        known = [row for row in rows.values() if row.state == LISTEN and row.local.endswith(f":{port}")]
        return known if record.state.stops and not _changed_listener(record, table, port) else None
    return [
        last.row
        for last in record.readings.at(table, t)
        if last.row is not None and last.row.state == LISTEN and last.row.local.endswith(f":{port}")
    ]


def _changed_listener(record: Record, host: str, port: str) -> bool:
    """A listener on that port came or went since the program last ran."""
    return any(
        row is not None and row.state == LISTEN and row.local.endswith(f":{port}")
        for (of, _), row in record.state.changed.sockets.items()
        if of == host
    )


# ---------------------------------------------------------------- after a close


def _by_closing(sender: End, rst: Passed | None) -> list[Link]:
    record = sender.record
    closings = [closing for closing in sender.closings() if not closing.half]
    if rst is not None:
        closings = [closing for closing in closings if closing.t <= rst.packet.t]
    if not closings:
        return [unknown(f"why {sender.who} sent it", sender.why_no_closing() + "; the kernel's reason is not recorded")]
    closing = closings[-1]
    cause = sender.of_closing(closing, "closes")
    if isinstance(closing.by, ev.Acted):
        told = _act_of_reset(closing)
        if told:
            return [Link(told), cause]
    late = _data_after(sender, closing, rst)
    if late is not None:  # with bytes unread, or SO_LINGER 0, the RST goes out at the close itself: before any answer
        passed, links = late
        return [
            record.of_packet(passed, f"data came when {sender.who} had closed: nobody is left to read it"),
            *links,
            cause,
        ]
    unread = _unread(sender, closing, rst)
    if unread:
        return [*unread, cause]
    lingers = _lingers(sender, closing)
    if lingers is not None:
        return [Link("SO_LINGER was on with 0 seconds: close sends RST"), cause, record.of_call(lingers, "set")]
    return [unknown(f"why it was a reset and no FIN: nothing recorded at {sender.who} says so", _NOT_SEEN), cause]


_NOT_SEEN = "no unread bytes, no SO_LINGER with 0 seconds and no data after the close were recorded"


def _act_of_reset(closing: Closing) -> str:
    verb = closing.by.line.split()[0] if isinstance(closing.by, ev.Acted) else ""
    return "SO_LINGER on with 0 seconds, then close: that is what `reset` does" if verb == "reset" else ""


def _data_after(sender: End, closing: Closing, rst: Passed | None) -> tuple[Passed, list[Link]] | None:
    """The packet that the RST answers: data that arrived behind this end's FIN. With who wrote it."""
    fin = sender.fin
    if rst is None or fin is None or fin.packet.id > rst.packet.id:
        return None  # a close that sends RST at once sends no FIN
    late = [
        (start, end, passed)
        for start, end, passed in sender.arrived(rst.packet.t)
        if passed.packet.t >= closing.t and passed.packet.id > fin.packet.id
    ]
    if not late:
        return None
    start, end, passed = late[-1]
    return passed, streams.links(sender.record, sender.peer.written(), start, end)


def _unread(sender: End, closing: Closing, rst: Passed | None) -> list[Link]:
    """Bytes that lay in the receive queue when it was closed: as the table had them, else by counting; [] = none."""
    record = sender.record
    row = _row_before(sender, closing.t)
    count = row.rx_queue - (row.state in _FIN_CAME) if row is not None else 0
    until = min(closing.until, rst.packet.t) if rst is not None else closing.until
    come = max((end for _, end, _ in sender.arrived(max(closing.t, until))), default=0)
    if sender.client is not None:  # it reads as bytes come, unless it was told to stop: all is known of that
        counted = streams.Counted((streams.Piece(0, sender.client.received, closing.by),))  # type: ignore[arg-type]
    else:
        counted = streams.read(record, sender.file)
    if not counted.reason and not sender.conversation.reason:
        start, end = counted.total, come
    else:
        start, end = max(0, come - count), max(come, count)
    if end <= start:
        return []
    what = Link(
        f"{bytes_of(end - start)} had come and {'was' if end - start == 1 else 'were'} never read: then close sends RST"
    )
    if count > 0 and count != end - start:
        what = Link(f"{bytes_of(count)} in its receive queue when the table was read last before")
    out = [what, *streams.carriers(record, sender.conversation, sender.remote, start, end)]
    return [*out, *streams.links(record, sender.peer.written(), start, end)]


def _row_before(sender: End, t: int) -> ev.SocketRow | None:
    """This end's row by the last reading before `t`."""
    rows = [reading for reading in sender.record.readings.of_ends(sender.local, sender.remote) if 0 <= reading.t <= t]
    return rows[-1].row if rows else None


def _lingers(sender: End, closing: Closing) -> Call | None:
    """setsockopt(SO_LINGER, on, 0 seconds) that held when it was closed."""
    file = sender.file
    if file is None:
        return None
    found = None
    for call in file.calls:
        if sender.record.name(call) != "setsockopt" or call.returned is None or call.returned.result:
            continue
        if tuple(call.entered.args[1:3]) == (SOL_SOCKET, SO_LINGER) and call.entered.t <= closing.t:
            on, seconds = _linger(call)
            found = call if on and not seconds else None
    return found


def _linger(call: Call) -> tuple[int, int]:
    """l_onoff and l_linger, as the program passed them; (0, 1) = not captured."""
    data = next((piece.data for piece in call.entered.mem if piece.addr == call.entered.args[3]), b"")
    if len(data) < 8:
        return 0, 1
    return int.from_bytes(data[:4], "little"), int.from_bytes(data[4:8], "little")
