"""Why a client is where it is: its phase, the bytes it received, those it sent, the end of its stream.

In: a Record and a client. Out: chains.
"""

from __future__ import annotations

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.syscalls.errors import errno_name
from socklab.why import resets, states, streams
from socklab.why.ends import End
from socklab.why.model import Chain, Link, plain, unknown
from socklab.why.record import Record, bytes_of


def chains(record: Record, client: ev.Client, byte: int = 0) -> list[Chain]:
    """All that can be asked of it; `byte`: only where that byte, counted from 1, came from."""
    name = f"client {safe(client.name)}"
    if client.argv:
        return _command(record, client, name)
    end = End(record, plain(client.local), plain(client.remote))
    if byte:
        return [_byte(end, client, name, byte)]
    title = f"{name}: {safe(client.phase)}" + (f", {errno_name(client.errno)}" if client.errno else "")
    told = [Chain(title, tuple(_phase(end, client)))]
    if client.received:
        last = min(len(client.tail), client.received) or client.received
        start = client.received - last
        which = (
            f"{bytes_of(client.received)} received" if not start else f"the last {last} of {client.received:,} bytes"
        )
        told.append(Chain(f"{name}: {which}", tuple(_received(end, start, client.received))))
    if client.sent:
        told.append(Chain(f"{name}: {bytes_of(client.sent)} sent", tuple(_sent(end, client))))
    if client.eof:
        told.append(Chain(f"{name}: end of stream", tuple(_ended(end))))
    return told


def _command(record: Record, client: ev.Client, name: str) -> list[Chain]:
    acted = record.acts.connect_of(client.name)
    started = record.of_act(acted) if acted is not None else unknown("what started it", "the act is not recorded")
    does = unknown("what it does with its sockets", "a program where clients live is not traced; its packets are seen")
    return [Chain(f"{name}: {safe(client.phase)}", (does, started))]


def _phase(end: End, client: ev.Client) -> list[Link]:
    if client.phase == "connecting":
        return states.state_links(end, ev.SocketRow(0, 2, "", "", st.SYN_SENT))
    if client.phase in ("open", "half-closed") and not client.errno:
        half = [closing for closing in end.closings() if closing.half]
        told = [end.of_closing(half[-1], "sends FIN")] if client.phase == "half-closed" and half else []
        return [*told, *states.state_links(end, ev.SocketRow(0, 2, "", "", st.ESTABLISHED))]
    return _over(end, client)


def _over(end: End, client: ev.Client) -> list[Link]:
    """closed, reset, failed."""
    if end.peer.rst is not None and client.errno:
        return resets.chain(end.peer, end.peer.rst)
    closings = end.closings()
    if closings:
        sent = [end.record.of_packet(packet) for packet in (end.rst or end.fin,) if packet is not None]
        return [*sent, end.of_closing(closings[-1])]
    if not client.errno:
        return [unknown("what closed it", "no act on it is recorded")]
    if not end.local:
        return [Link("no packet was sent: its socket got no address"), *end.opened()]
    why = end.conversation.reason or "no RST to it was recorded"
    return [unknown(f"what gave it {errno_name(client.errno)}", why), *end.opened()]


def _received(end: End, start: int, behind: int) -> list[Link]:
    peer = end.peer
    return [
        *streams.carriers(end.record, end.conversation, end.remote, start, behind),
        *streams.links(end.record, peer.written(), start, behind),
    ]


def _byte(end: End, client: ev.Client, name: str, byte: int) -> Chain:
    if byte > client.received:
        what = unknown(f"byte {byte:,}", f"{name} has received {bytes_of(client.received)}")
        return Chain(f"{name}: byte {byte:,}", (what,))
    first = client.received - len(client.tail)
    shown = f' "{safe(client.tail[byte - 1 - first : byte - first])}"' if byte > first else ""
    return Chain(f"{name}: byte {byte:,}{shown} of {client.received:,}", tuple(_received(end, byte - 1, byte)))


def _sent(end: End, client: ev.Client) -> list[Link]:
    return streams.links(end.record, end.written(), 0, client.sent)


def _ended(end: End) -> list[Link]:
    fin = end.peer.fin
    if fin is None:
        return [unknown("the FIN that ended it", end.conversation.reason or "none was recorded")]
    return [end.record.of_packet(fin), *end.peer.why_closed(fin)]
