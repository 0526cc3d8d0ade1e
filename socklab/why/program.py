"""Why a descriptor is there, why a call failed or gave what it gave.

In: a Record, a descriptor's number or a call. Out: chains.
"""

from __future__ import annotations

from collections.abc import Callable

from socklab import state as st
from socklab.protocol import events as ev
from socklab.state import Call
from socklab.state.model import NO_DESCRIPTORS
from socklab.syscalls.errors import errno_meaning, errno_name
from socklab.why import resets, states, streams
from socklab.why.ends import End
from socklab.why.files import FORKS, Life
from socklab.why.model import Chain, Link, plain, unknown
from socklab.why.record import Record, bytes_of, peer_of, sockaddr_end

# ---------------------------------------------------------------- descriptors


def descriptor(record: Record, pid: int, fd: int) -> list[Chain]:
    """What a number stands for and which call made it; of a closed one, what closed it."""
    listed = record.state.descriptors.get(pid, NO_DESCRIPTORS).get(fd)
    life = record.files.last(pid, fd)
    target = listed.target if listed is not None else "closed"
    title = f"descriptor {fd} of process {pid}: {target}"
    if listed is None and (life is None or life.end_t < 0):
        return [Chain(title, (unknown(f"descriptor {fd}", "it is not open, and no recorded call was about it"),))]
    if listed is None and life is not None:
        return [Chain(title, (*_closed(record, life), *made(record, life)))]
    if life is not None and isinstance(life.ended, ev.Exited):
        return [Chain(title, (*_closed(record, life), *made(record, life)))]
    if life is None or life.end_t >= 0:
        return [Chain(title, (_unmade(record, pid, fd, target),))]
    chains = [Chain(title, tuple(made(record, life)))]
    row = record.row_of(life)
    if row is not None and row[1].state != st.LISTEN:
        chains += states.chains(record, *row)
    return chains


def made(record: Record, life: Life) -> list[Link]:
    """The call that made it; of an inherited one the fork, and what made the parent's."""
    links = []
    at: Life | None = life
    while at is not None:
        if at.made is None:
            links.append(_unmade(record, at.pid, at.fd, ""))
        elif record.name(at.made) in FORKS and at.parent is not None:
            links.append(record.of_call(at.made, f"process {at.pid} has it from its parent {at.parent.pid}"))
        elif at.parent is not None:
            links.append(record.of_call(at.made, f"a copy of descriptor {at.parent.fd}"))
        else:
            links += [record.of_call(at.made), *_of_accept(record, at.made)]
        at = at.parent
    return links


def _of_accept(record: Record, call: Call) -> list[Link]:
    """The connection that an accept took, where it wrote the peer's address."""
    if record.name(call) not in ("accept", "accept4"):
        return []
    peer = peer_of(call)
    client = record.client_at(peer) if peer else None
    return End(record, peer, "").opened() if client is not None else []


def _closed(record: Record, life: Life) -> list[Link]:
    by = life.ended
    if by is None:
        return [unknown("what closed it", "its number was given anew: the call that closed it was not recorded")]
    return [record.of_exit(by) if isinstance(by, ev.Exited) else record.of_call(by, "closed by")]


_STANDARD = ("standard input", "standard output", "standard error")


def _unmade(record: Record, pid: int, fd: int, target: str) -> Link:
    what = f"what opened descriptor {fd}"
    if record.cut:
        return unknown(what, record.cut)
    if target.startswith("/") and not record.is_recorded("openat") and not target.startswith("/dev/pts"):
        return unknown(what, "calls that open files are not recorded in this run")
    if fd < len(_STANDARD):
        return unknown(what, f"{_STANDARD[fd]} was open when the program began")
    task = record.state.tasks.get(pid)
    if task is not None and task.parent:
        return unknown(what, f"no recorded call of process {pid} made it, nor the fork by which it came to be")
    return unknown(what, "no recorded call made it: it was open before the first of them, or was received")


# ---------------------------------------------------------------- calls


def call(record: Record, made_: Call) -> list[Chain]:
    """What a call's result came from."""
    title = f"call {made_.number + 1}: {record.name(made_)}"
    links = [record.of_call(made_), *_result(record, made_)]
    return [Chain(title, tuple(links))]


def _result(record: Record, made_: Call) -> list[Link]:
    name = record.name(made_)
    if made_.returned is None:
        return [Link("it has not returned: what it will give is not known"), *_sleeps(record, made_)]
    result = made_.returned.result
    if -4096 < result < 0:
        error = errno_name(-result)
        meaning = Link(f"{error}: {errno_meaning(name, -result)}")
        return [meaning, *_ERRORS.get(error, _no_more)(record, made_)]
    if name in ("accept", "accept4"):
        file = record.files.made_by(made_)
        end = _end_of(record, file.born if file is not None else None)
        return states.state_links(end, _ESTABLISHED_ROW)[1:] if end is not None else _unaccepted(record, made_)
    life = _life_of(record, made_)
    if life is None:
        return []
    end = _end_of(record, life)
    if end is None:
        return []
    if name in streams.READS:
        return _read(record, made_, end)
    if name in streams.SENDS:
        return _wrote(record, made_, end)
    return []


def _sleeps(record: Record, made_: Call) -> list[Link]:
    """Of a call that sleeps: what the row of its socket says it waits for."""
    life = _life_of(record, made_) if record.state.blocked(made_.entered.tid) else None
    found = record.row_of(life) if life is not None else None
    if found is None or life is None:
        return []
    row, name = found[1], record.name(made_)
    if name in streams.SENDS and row.tx_queue and row.state != st.LISTEN:
        what = Link(f"it sleeps until there is room: {bytes_of(row.tx_queue)} wait to be sent or acknowledged")
        return [what, *states.unacked_links(End(record, plain(row.local), plain(row.remote), life.file), row.tx_queue)]
    if not row.rx_queue and (name in streams.READS or name.startswith("accept")):
        missing = "no connection waits in the accept queue" if row.state == st.LISTEN else "no byte waits to be read"
        return [Link(f"it sleeps: {missing}, as the table was read last")]
    return []


_ESTABLISHED_ROW = ev.SocketRow(0, 2, "", "", st.ESTABLISHED)


def _no_more(record: Record, made_: Call) -> list[Link]:
    return []


def _unaccepted(record: Record, made_: Call) -> list[Link]:
    return [unknown("which connection it took", "the program did not ask for its address, and no table was read since")]


def _life_of(record: Record, made_: Call) -> Life | None:
    return record.files.at(record.files.pid(made_.entered.tid), made_.entered.args[0] & 0xFFFFFFFF, made_.entered.t)


def _end_of(record: Record, life: Life | None) -> End | None:
    """The connection a descriptor stands, or stood, for."""
    if life is None:
        return None
    for other in life.file.lives:
        row = record.row_of(other)
        if row is not None and row[1].state != st.LISTEN:
            return End(record, plain(row[1].local), plain(row[1].remote), life.file)
    ends = record.ends_of(life.file)
    return End(record, *ends, life.file) if ends is not None else None


def _read(record: Record, made_: Call, end: End) -> list[Link]:
    """Bytes that were read: the packets they came in, and who sent them; at the end of the stream, the FIN."""
    if made_.returned is not None and made_.returned.result == 0:
        fin = end.peer.fin
        if fin is None or fin.packet.t > made_.returned.t:
            return [unknown("the FIN that ended the stream", end.conversation.reason or "none was recorded")]
        return [record.of_packet(fin, "the other end will send no more"), *end.peer.why_closed(fin)]
    counted = streams.read(record, end.file)
    piece = next((piece for piece in counted.pieces if piece.by is made_ or _same(piece.by, made_)), None)
    if piece is None:
        return [unknown("which bytes these are", counted.reason or "this read was not counted")]
    return [
        *streams.carriers(record, end.conversation, end.remote, piece.start, piece.end),
        *streams.links(record, end.peer.written(), piece.start, piece.end),
    ]


def _same(one: object, other: Call) -> bool:
    return isinstance(one, Call) and one.number == other.number


def _wrote(record: Record, made_: Call, end: End) -> list[Link]:
    """Bytes that were written: the packets that carried them, and whether they are acknowledged."""
    counted = end.written()
    piece = next((piece for piece in counted.pieces if _same(piece.by, made_)), None)
    if piece is None:
        return [unknown("what became of its bytes", counted.reason or "this write was not counted")]
    links = streams.carriers(record, end.conversation, end.local, piece.start, piece.end)
    ack = end.peer.acked(piece.end + 1)
    if ack is not None:
        links.insert(0, record.of_packet(ack, f"its {bytes_of(piece.end - piece.start)} are acknowledged"))
    return links


# ---------------------------------------------------------------- errors


def _in_use(record: Record, made_: Call) -> list[Link]:
    """Which sockets held the port: by the last reading before the call returned."""
    data = next((piece.data for piece in made_.entered.mem if piece.addr == made_.entered.args[1]), b"")
    port = sockaddr_end(data).rpartition(":")[2]
    if record.name(made_) == "listen":
        life = _life_of(record, made_)
        own = record.row_of(life) if life is not None else None
        port = own[1].local.rpartition(":")[2] if own is not None else ""
    if not port or port == "0":
        return [unknown("which socket holds the port", "the port it asked for was not recorded")]
    task = record.state.tasks.get(made_.entered.tid)
    host = record.state.table_host(task.host if task is not None else "server")
    moment = made_.returned.t if made_.returned is not None else made_.entered.t
    rows = [r.row for r in record.readings.at(host, moment) if r.row is not None] if record.readings.kept else []
    rows = rows or ([] if record.readings.kept else list(record.state.table_of(host).rows.values()))
    held = [row for row in rows if row.local.rpartition(":")[2] == port]
    if not held:
        return [unknown(f"which socket holds port {port}", "no row of the table had it when it was read last")]
    out: list[Link] = []
    for row in held[:3]:
        state = st.TCP_STATES.get(row.state, f"state {row.state}")
        out.append(Link(f"{state} {row.local} holds port {port}"))
        if row.state == st.LISTEN:
            file = record.file_of(host, row)
            out += made(record, file.born) if file is not None else []
        else:
            out += states.state_links(End(record, plain(row.local), plain(row.remote), record.file_of(host, row)), row)
    return out


def _would_wait(record: Record, made_: Call) -> list[Link]:
    """EAGAIN: what was missing, by the row of that socket."""
    life = _life_of(record, made_)
    row = record.row_of(life) if life is not None else None
    flags = [c for c in (life.file.calls if life is not None else ()) if record.name(c) in ("fcntl", "ioctl")]
    told = [record.of_call(flags[-1], "the last call that set its flags")] if flags else []
    if row is not None and record.name(made_) in ("accept", "accept4", "read", "recvfrom", "recvmsg", "readv"):
        what = (
            "connections wait in its accept queue" if row[1].state == st.LISTEN else "bytes wait in its receive queue"
        )
        return [Link(f"{row[1].rx_queue} {what}, as the table was read last"), *told]
    return told


def _bad(record: Record, made_: Call) -> list[Link]:
    """EBADF: what closed the number."""
    pid, fd = record.files.pid(made_.entered.tid), made_.entered.args[0] & 0xFFFFFFFF
    life = record.files.last(pid, fd)
    if life is None or life.ended is None:
        return [unknown(f"what closed descriptor {fd}", "no recorded call opened or closed it")]
    return [*_closed(record, life), *made(record, life)]


def _was_reset(record: Record, made_: Call) -> list[Link]:
    """ECONNRESET, EPIPE: the other end's RST; for EPIPE perhaps its own shutdown."""
    end = _end_of(record, _life_of(record, made_))
    if end is None:
        return [unknown("which connection it was", "no reading and no accept tells whose descriptor it was")]
    shut = [c for c in end.closings() if c.half and c.t <= made_.entered.t]
    if shut and errno_name(-(made_.returned.result if made_.returned else 0)) == "EPIPE" and end.peer.rst is None:
        return [end.of_closing(shut[-1], "it has shut down its sending side")]
    return resets.chain(end.peer, end.peer.rst)


def _not_connected(record: Record, made_: Call) -> list[Link]:
    """ECONNREFUSED, ETIMEDOUT of connect: the packets of its try."""
    end = _end_of(record, _life_of(record, made_))
    if end is None:
        return [unknown("its packets", "no reading tells which ends the socket had")]
    if end.peer.rst is not None:
        return resets.chain(end.peer, end.peer.rst)
    return states.state_links(end, ev.SocketRow(0, 2, "", "", st.SYN_SENT))


_ERRORS: dict[str, Callable[[Record, Call], list[Link]]] = {
    "EADDRINUSE": _in_use,
    "EAGAIN": _would_wait,
    "EBADF": _bad,
    "ECONNRESET": _was_reset,
    "EPIPE": _was_reset,
    "ECONNREFUSED": _not_connected,
    "ETIMEDOUT": _not_connected,
}
