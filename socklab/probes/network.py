"""Probes of the network: the listener and its queues, clients, socket tables, counters.

In: a LabState. Out: values that the kernel's tables gave. Registered in `registry`.
"""

from __future__ import annotations

from collections.abc import Callable

from socklab.core.text import safe
from socklab.probes.program import ERRORS, buffer_probes, errno_name, text_of
from socklab.probes.registry import STATES, Unmeasured, Value, probes, probes_of
from socklab.protocol import events as ev
from socklab.state import LISTEN, TCP_STATES, LabState, Table

# ---------------------------------------------------------------- the listener


def _server_host(state: LabState) -> str:
    return state.started.host if state.started else ""


def own_listeners(state: LabState) -> list[ev.SocketRow]:
    """LISTEN rows that a descriptor of the traced program names, oldest first; never another program's."""
    rows = state.listeners
    wanted = {row.inode for row in rows if row.inode}
    owned = {d.inode for table in state.descriptors.values() for d in table.values() if d.inode in wanted}
    return [row for row in rows if row.inode in owned]


def _listener(state: LabState, parts: dict[str, str]) -> ev.SocketRow:
    found = own_listeners(state)
    if not found:
        raise Unmeasured("no socket of the program is in state LISTEN")
    return found[0]


def port_of(address: str) -> int:
    """8080 of "10.0.0.1:8080" and of "[::1]:8080"."""
    return int(address.rpartition(":")[2])


def tcp_state(row: ev.SocketRow) -> str:
    return TCP_STATES[row.state]


def _listener_fd(state: LabState, parts: dict[str, str]) -> Value:
    inode = _listener(state, parts).inode
    return min(d.fd for table in state.descriptors.values() for d in table.values() if d.inode == inode)


probes_of(_listener, {
    "listener.local": ("address and port it listens on, 0.0.0.0:8080", lambda row: row.local, str),
    "listener.port": ("its port", lambda row: port_of(row.local)),
    "listener.state": ("its TCP state, LISTEN", tcp_state, STATES),
    "listener.backlog": ("limit of its accept queue: what listen was given, after the cap of net.core.somaxconn",
                         lambda row: row.tx_queue),
    "listener.accept_queue": ("connections that wait for accept", lambda row: row.rx_queue),
    "listener.inode": ("inode of the socket", lambda row: row.inode),
})  # fmt: skip
probes({
    "listener.syn_queue": ("connections whose handshake is not complete (SYN_RECV)",
                           lambda state, parts: len(state.syn_queue(_listener(state, parts)))),
    "listener.fd": ("the descriptor that names it", _listener_fd),
})  # fmt: skip


# ---------------------------------------------------------------- clients


PHASES = ("connecting", "open", "half-closed", "closed", "reset", "failed", "running", "done")


def client_of(state: LabState, parts: dict[str, str]) -> ev.Client:
    """The client a probe's name speaks of."""
    found = state.clients.get(parts["CLIENT"])
    if found is None:
        raise Unmeasured(f"no client {parts['CLIENT']} yet")
    return found


def client_row(state: LabState, client: ev.Client) -> ev.SocketRow | None:
    """The client's own end in its host's table, or None: none listed, or the client is a command."""
    if not client.local:
        return None
    table = state.table_of(client.host)
    found = table.by_ends.get((client.local, client.remote)) if client.remote else None
    if found is None and client.inode:
        found = table.by_inode.get(client.inode)
    return None if found is None else table.rows.get(found)


def _own_row(state: LabState, parts: dict[str, str]) -> ev.SocketRow:
    client = client_of(state, parts)
    row = client_row(state, client)
    if row is None:
        raise Unmeasured(f"no TCP table lists a socket of client {client.name}")
    return row


def address_of(client: ev.Client) -> str:
    """Its own end, "10.0.0.2:40001"."""
    if not client.local:
        raise Unmeasured(f"client {client.name} has no address yet")
    return client.local


def _exit_status(client: ev.Client) -> int:
    if client.phase != "done":
        raise Unmeasured(f"{client.name} has not ended yet" if client.argv else f"client {client.name} runs no command")
    return client.code


probes_of(_own_row, {
    "client.CLIENT.state": ("TCP state of its socket, SYN_SENT", tcp_state, STATES),
    "client.CLIENT.retransmits": ("times its last segment was sent again without an answer",
                                  lambda row: row.retransmits),
    "client.CLIENT.rx_queue": ("Recv-Q of its socket: bytes received and not read yet", lambda row: row.rx_queue),
    "client.CLIENT.tx_queue": ("Send-Q of its socket: bytes written and not acknowledged yet",
                               lambda row: row.tx_queue),
})  # fmt: skip
buffer_probes("client.CLIENT", _own_row)
probes_of(client_of, {
    "client.CLIENT.phase": ("connecting, open, half-closed, closed, reset, failed; a command: running, done",
                            lambda client: client.phase, PHASES),
    "client.CLIENT.local": ("its own address and port", address_of, str),
    "client.CLIENT.port": ("its own port, which its kernel picked", lambda client: port_of(address_of(client))),
    "client.CLIENT.received": ("bytes it has received", lambda client: client.received),
    "client.CLIENT.sent": ("bytes it has sent", lambda client: client.sent),
    "client.CLIENT.errno": ("error its last call met, ECONNREFUSED; none", lambda client: errno_name(client.errno),
                            ERRORS),
    "client.CLIENT.eof": ("yes when it has read the end of the stream", lambda client: client.eof, bool),
    "client.CLIENT.tail": ("the last bytes it received, as text", lambda client: safe(client.tail, lines=True),
                           str),
    "client.CLIENT.code": ("exit status of its command", _exit_status),
})  # fmt: skip


def _server_end(state: LabState, parts: dict[str, str]) -> ev.SocketRow | None:
    """The server's end of this client's connection, accepted or not."""
    client = client_of(state, parts)
    table = state.table_of(_server_host(state))
    found = table.by_ends.get((client.remote, client.local)) if client.local and client.remote else None
    return None if found is None else table.rows.get(found)


def _server_row(state: LabState, parts: dict[str, str]) -> ev.SocketRow:
    row = _server_end(state, parts)
    if row is None:
        raise Unmeasured(f"the server's host lists no socket for client {parts['CLIENT']}")
    return row


probes_of(_server_row, {
    "server.CLIENT.state": ("TCP state of the server's end of this client's connection", tcp_state, STATES),
    "server.CLIENT.rx_queue": ("its Recv-Q: bytes received and not read yet", lambda row: row.rx_queue),
    "server.CLIENT.tx_queue": ("its Send-Q: bytes written and not acknowledged yet", lambda row: row.tx_queue),
})  # fmt: skip
buffer_probes("server.CLIENT", _server_row)


def _client_states(state: LabState) -> list[str]:
    rows = (client_row(state, client) for client in state.clients.values())
    return [TCP_STATES[row.state].lower() for row in rows if row is not None]


probes({
    "client.CLIENT.listed": ("yes when its host has a socket for its connection",
                             lambda state, parts: client_row(state, client_of(state, parts)) is not None, bool),
    "client.CLIENT.output": ("what its command printed on standard output",
                             lambda state, parts: text_of(state.output, client_of(state, parts).name, ("out",)),
                             str),
    "server.CLIENT.listed": ("yes when the server's host has a socket for this client's connection",
                             lambda state, parts: _server_end(state, parts) is not None, bool),
    "clients.count": ("clients made so far", lambda state, parts: len(state.clients)),
    "clients.open": ("clients whose connection is open (half-closed ones too)",
                     lambda state, parts: sum(c.phase in ("open", "half-closed") for c in state.clients.values())),
    "clients.reset": ("clients whose connection was reset, by either end",
                      lambda state, parts: sum(c.phase == "reset" for c in state.clients.values())),
    "clients.STATE": ("clients whose own end is in this TCP state",
                      lambda state, parts: _client_states(state).count(parts["STATE"])),
})  # fmt: skip


# ---------------------------------------------------------------- socket tables


def server_ports(state: LabState) -> frozenset[int]:
    """Ports of the server: what it listens on and what the clients were sent to."""
    listening = {port_of(row.local) for row in own_listeners(state)}
    return frozenset(listening | {port_of(client.remote) for client in state.clients.values() if client.remote})


def _count(table: Table, wanted: str, ours: Callable[[ev.SocketRow], bool]) -> int:
    return sum(TCP_STATES.get(row.state, "").lower() == wanted and ours(row) for row in table.rows.values())


def _server_ends(state: LabState, parts: dict[str, str]) -> Value:
    ports = server_ports(state)
    return _count(state.table_of(_server_host(state)), parts["STATE"], lambda row: port_of(row.local) in ports)


def _client_ends(state: LabState, parts: dict[str, str]) -> Value:
    ports = server_ports(state)
    hosts = state.header.hosts if state.header else ()
    client = next((host.name for host in hosts if host.name == "client"), _server_host(state))
    table = state.table_of(client)
    return _count(table, parts["STATE"], lambda row: row.state != LISTEN and port_of(row.remote) in ports)


def _risen(state: LabState, parts: dict[str, str]) -> Value:
    host, name = _server_host(state), parts["COUNTER"]
    for known in (host, state.table_host(host)):
        if name in state.counters.get(known, {}):
            return state.counters[known][name] - state.counters_at_start[known][name]
    raise Unmeasured(f"the counter {name} was not read")


probes({
    "host.server.STATE": ("the server's ends in this state: rows whose local port is the server's", _server_ends),
    "host.client.STATE": ("the clients' ends in this state: rows whose remote port is the server's", _client_ends),
    "counter.COUNTER": ("how far the server host's counter has risen since the lab began", _risen),
})  # fmt: skip
