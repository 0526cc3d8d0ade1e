"""Probes: registered names for what can be read off a LabState, used by narration, predictions, settles and checks.

In: a state and a name such as "listener.accept_queue". Out: a number, a text or a yes/no that the kernel or the traced
program gave, never one that was assumed: what was not read raises Unmeasured with the reason. There is no expression
language. Never reads the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from socklab import events as ev
from socklab.errors import UsageError
from socklab.nearest import suggest
from socklab.persistent import PMap
from socklab.state import CLOSE, LISTEN, TCP_STATES, Call, LabState, Table, Task
from socklab.text import safe

Value: TypeAlias = int | str | bool


class Unmeasured(Exception):
    """The probe has no value at this moment; `reason` says why, in the student's words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_Read: TypeAlias = Callable[[LabState, dict[str, str]], Value]

NAMES: dict[str, str] = {}
"""Every probe with its meaning. A part in capitals stands for what the author chooses: see PARTS."""

PARTS: dict[str, tuple[str, str]] = {
    "FD": (
        r"\d{1,7}|call|last",
        "a descriptor: its number, `call` (first argument of this call), `last` (see last.fd)",
    ),
    "CLIENT": (r"[A-Za-z][A-Za-z0-9_-]{0,15}", "a client's name: a, b, ... or the command's, such as curl"),
    "STATE": ("|".join(sorted({s.lower() for s in TCP_STATES.values()})), "a TCP state in small letters"),
    "COUNTER": (r"[A-Z][A-Za-z0-9]+", "a counter by the kernel's name"),
    "I": (r"[0-5]", "an argument, counted from 0"),
}

_COUNTERS = """
ListenOverflows ListenDrops TCPReqQFullDoCookies TCPReqQFullDrop SyncookiesSent SyncookiesRecv SyncookiesFailed
TCPTimeouts TCPSynRetrans RetransSegs TCPRetransFail TCPAbortOnData TCPAbortOnClose TCPAbortOnTimeout TCPAbortOnLinger
TCPAbortOnMemory TCPAbortFailed TCPBacklogDrop TCPZeroWindowDrop TCPToZeroWindowAdv TCPFromZeroWindowAdv
TCPWantZeroWindowAdv TCPWinProbe TW ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs InErrs
OutRsts InCsumErrors
"""
COUNTERS = frozenset(_COUNTERS.split())
"""Counters of /proc/net/netstat (TcpExt) and /proc/net/snmp (Tcp) that a lesson may name."""

_PATTERNS: list[tuple[re.Pattern[str], str, _Read]] = []


def _probe(name: str, meaning: str) -> Callable[[_Read], _Read]:
    def register(read: _Read) -> _Read:
        NAMES[name] = meaning
        parts = (f"(?P<{p}>{PARTS[p][0]})" if p in PARTS else re.escape(p) for p in name.split("."))
        _PATTERNS.append((re.compile(r"\.".join(parts)), name, read))
        return read

    return register


def _resolve(name: str) -> tuple[_Read, dict[str, str]]:
    for pattern, _, read in _PATTERNS:
        if found := pattern.fullmatch(name):
            return read, found.groupdict()
    likely = sorted(NAMES)
    head, _, tail = name.partition(".")
    same_head = [known for known in likely if known.partition(".")[0] == head]
    if tail and same_head:
        last = [known for known in same_head if known.count(".") == name.count(".")] or same_head
        raise UsageError(
            f'no probe "{safe(name)}"', fix=f"{head} has: {', '.join(last)}. " + suggest(name, last, listed=0)
        )
    raise UsageError(f'no probe "{safe(name)}"', fix=suggest(name, likely))


def check_name(name: str) -> None:
    """Raises UsageError naming the nearest probe when `name` is none."""
    _, parts = _resolve(name)
    counter = parts.get("COUNTER")
    if counter is not None and counter not in COUNTERS:
        raise UsageError(f'no counter "{safe(counter)}"', fix=suggest(counter, COUNTERS, listed=0))


def measure(state: LabState, name: str) -> Value:
    """What the probe reads in this state. Unmeasured: it has no value now. UsageError: there is no such probe."""
    read, parts = _resolve(name)
    return read(state, parts)


_SUBSTITUTED = re.compile(r"\{([A-Za-z][\w-]*(?:\.[\w-]+)+)\}")


def names_in(text: str) -> list[str]:
    """Probe names that a narration text wants to have substituted, in order."""
    return _SUBSTITUTED.findall(text)


def substitute(text: str, value_of: Callable[[str], str]) -> str:
    """`text` with each `{probe}` replaced."""
    return _SUBSTITUTED.sub(lambda found: value_of(found[1]), text)


# ---------------------------------------------------------------- the listener


def _server_host(state: LabState) -> str:
    return state.started.host if state.started else ""


def own_listeners(state: LabState) -> list[ev.SocketRow]:
    """LISTEN rows that a descriptor of the traced program names, oldest first; never another program's."""
    rows = state.listeners
    wanted = {row.inode for row in rows if row.inode}
    owned = {d.inode for table in state.descriptors.values() for d in table.values() if d.inode in wanted}
    return [row for row in rows if row.inode in owned]


def _listener(state: LabState) -> ev.SocketRow:
    found = own_listeners(state)
    if not found:
        raise Unmeasured("no socket of the program is in state LISTEN")
    return found[0]


def port_of(address: str) -> int:
    """8080 of "10.0.0.1:8080" and of "[::1]:8080"."""
    return int(address.rpartition(":")[2])


@_probe("listener.local", "address and port it listens on, 0.0.0.0:8080")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _listener(state).local


@_probe("listener.port", "its port")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return port_of(_listener(state).local)


@_probe("listener.state", "its TCP state, LISTEN")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return TCP_STATES[_listener(state).state]


@_probe("listener.backlog", "limit of its accept queue: what listen was given, after the cap of net.core.somaxconn")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _listener(state).tx_queue


@_probe("listener.accept_queue", "connections that wait for accept")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _listener(state).rx_queue


@_probe("listener.syn_queue", "connections whose handshake is not complete (SYN_RECV)")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return len(state.syn_queue(_listener(state)))


@_probe("listener.inode", "inode of the socket")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _listener(state).inode


@_probe("listener.fd", "the descriptor that names it")
def _(state: LabState, parts: dict[str, str]) -> Value:
    inode = _listener(state).inode
    return min(d.fd for table in state.descriptors.values() for d in table.values() if d.inode == inode)


# ---------------------------------------------------------------- descriptors of the program


def _task(state: LabState) -> Task:
    if state.task is None:
        raise Unmeasured("no program runs yet")
    return state.task


def _signed(value: int) -> int:
    """A descriptor argument is an int: the kernel looks at its low 32 bits."""
    low = value & 0xFFFF_FFFF
    return low - (1 << 32) if low & 0x8000_0000 else low


def _fd_number(state: LabState, word: str) -> int:
    if word == "call":
        call = _task(state).call
        if call is None:
            raise Unmeasured("the program has made no call yet")
        return _signed(call.entered.args[0])
    return _last_fd(state) if word == "last" else int(word)


def _open_descriptors(state: LabState) -> Mapping[int, ev.Descriptor]:
    return state.descriptors.get(_task(state).pid) or PMap()


def _descriptor(state: LabState, parts: dict[str, str]) -> ev.Descriptor:
    fd = _fd_number(state, parts["FD"])
    found = _open_descriptors(state).get(fd)
    if found is None:
        raise Unmeasured(f"descriptor {fd} is not open")
    return found


def _socket(state: LabState, parts: dict[str, str]) -> ev.SocketRow:
    descriptor = _descriptor(state, parts)
    row = state.socket_of(_task(state).pid, descriptor.fd)
    if row is None:
        raise Unmeasured(f"no TCP table lists descriptor {descriptor.fd}")
    return row


_KINDS = (
    ("socket:", "socket"),
    ("pipe:", "pipe"),
    ("anon_inode:[eventpoll]", "epoll"),
    ("anon_inode:", "anonymous inode"),
    ("/dev/pts/", "terminal"),
    ("/dev/tty", "terminal"),
    ("/dev/", "device"),
    ("/", "file"),
)


@_probe("fd.FD.open", "yes when the number is in use")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _fd_number(state, parts["FD"]) in _open_descriptors(state)


@_probe("fd.FD.number", "the number itself")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _descriptor(state, parts).fd


@_probe("fd.FD.kind", "socket, pipe, file, terminal, device, epoll")
def _(state: LabState, parts: dict[str, str]) -> Value:
    target = _descriptor(state, parts).target
    return next((kind for prefix, kind in _KINDS if target.startswith(prefix)), "other")


@_probe("fd.FD.target", "what /proc/PID/fd/N points to, socket:[12345]")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return safe(_descriptor(state, parts).target)


@_probe("fd.FD.inode", "inode of a socket or a pipe")
def _(state: LabState, parts: dict[str, str]) -> Value:
    descriptor = _descriptor(state, parts)
    if not descriptor.inode:
        raise Unmeasured(f"descriptor {descriptor.fd} is neither socket nor pipe")
    return descriptor.inode


@_probe("fd.FD.listed", "yes when the host's TCP table lists it (/proc/net/tcp, tcp6)")
def _(state: LabState, parts: dict[str, str]) -> Value:
    row = state.socket_of(_task(state).pid, _descriptor(state, parts).fd)
    # sock_diag of newer kernels knows sockets that are only bound (CLOSE); /proc/net/tcp lists none of them.
    return row is not None and row.state != CLOSE


@_probe("fd.FD.state", "TCP state of the socket")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return TCP_STATES[_socket(state, parts).state]


@_probe("fd.FD.local", "its own address and port")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _socket(state, parts).local


@_probe("fd.FD.remote", "address and port of the other end")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _socket(state, parts).remote


@_probe("fd.FD.client", "name of the lab's client at the other end")
def _(state: LabState, parts: dict[str, str]) -> Value:
    row = _socket(state, parts)
    for client in state.clients.values():
        if client.local and client.local == row.remote:
            return client.name
    raise Unmeasured(f"{row.remote} is no client of the lab")


@_probe("fd.FD.rx_queue", "bytes received and not read yet (a listener: see listener.accept_queue)")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _socket(state, parts).rx_queue


@_probe("fd.FD.tx_queue", "bytes written and not acknowledged yet")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _socket(state, parts).tx_queue


@_probe("fd.count", "descriptors the program has open")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return len(_open_descriptors(state))


# ---------------------------------------------------------------- clients


def _client(state: LabState, parts: dict[str, str]) -> ev.Client:
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


@_probe("client.CLIENT.state", "TCP state of its socket, SYN_SENT")
def _(state: LabState, parts: dict[str, str]) -> Value:
    client = _client(state, parts)
    row = client_row(state, client)
    if row is None:
        raise Unmeasured(f"no TCP table lists a socket of client {client.name}")
    return TCP_STATES[row.state]


@_probe("client.CLIENT.retransmits", "times its last segment was sent again without an answer")
def _(state: LabState, parts: dict[str, str]) -> Value:
    client = _client(state, parts)
    row = client_row(state, client)
    if row is None:
        raise Unmeasured(f"no TCP table lists a socket of client {client.name}")
    return row.retransmits


@_probe("client.CLIENT.phase", "connecting, open, half-closed, closed, reset, failed; a command: running, done")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _client(state, parts).phase


@_probe("client.CLIENT.local", "its own address and port")
def _(state: LabState, parts: dict[str, str]) -> Value:
    client = _client(state, parts)
    if not client.local:
        raise Unmeasured(f"client {client.name} has no address yet")
    return client.local


@_probe("client.CLIENT.port", "its own port, which its kernel picked")
def _(state: LabState, parts: dict[str, str]) -> Value:
    client = _client(state, parts)
    if not client.local:
        raise Unmeasured(f"client {client.name} has no address yet")
    return port_of(client.local)


@_probe("client.CLIENT.received", "bytes it has received")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _client(state, parts).received


@_probe("client.CLIENT.sent", "bytes it has sent")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _client(state, parts).sent


@_probe("client.CLIENT.errno", "error its last call met, ECONNREFUSED; none")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return errno_name(_client(state, parts).errno)


@_probe("client.CLIENT.eof", "yes when it has read the end of the stream")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _client(state, parts).eof


@_probe("client.CLIENT.tail", "the last bytes it received, as text")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return safe(_client(state, parts).tail, lines=True)


@_probe("client.CLIENT.code", "exit status of its command")
def _(state: LabState, parts: dict[str, str]) -> Value:
    client = _client(state, parts)
    if client.phase != "done":
        raise Unmeasured(f"{client.name} has not ended yet" if client.argv else f"client {client.name} runs no command")
    return client.code


@_probe("client.CLIENT.output", "what its command printed on standard output")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _text_of(state.output, _client(state, parts).name, ("out",))


def _client_states(state: LabState) -> list[str]:
    rows = (client_row(state, client) for client in state.clients.values())
    return [TCP_STATES[row.state].lower() for row in rows if row is not None]


@_probe("clients.count", "clients made so far")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return len(state.clients)


@_probe("clients.open", "clients whose connection is open (half-closed ones too)")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return sum(client.phase in ("open", "half-closed") for client in state.clients.values())


@_probe("clients.STATE", "clients whose own end is in this TCP state")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _client_states(state).count(parts["STATE"])


# ---------------------------------------------------------------- socket tables


def server_ports(state: LabState) -> frozenset[int]:
    """Ports of the server: what it listens on and what the clients were sent to."""
    listening = {port_of(row.local) for row in own_listeners(state)}
    return frozenset(listening | {port_of(client.remote) for client in state.clients.values() if client.remote})


def _count(table: Table, wanted: str, ours: Callable[[ev.SocketRow], bool]) -> int:
    return sum(TCP_STATES.get(row.state, "").lower() == wanted and ours(row) for row in table.rows.values())


@_probe("host.server.STATE", "the server's ends in this state: rows whose local port is the server's")
def _(state: LabState, parts: dict[str, str]) -> Value:
    ports = server_ports(state)
    return _count(state.table_of(_server_host(state)), parts["STATE"], lambda row: port_of(row.local) in ports)


@_probe("host.client.STATE", "the clients' ends in this state: rows whose remote port is the server's")
def _(state: LabState, parts: dict[str, str]) -> Value:
    ports = server_ports(state)
    hosts = state.header.hosts if state.header else ()
    client = next((host.name for host in hosts if host.name == "client"), _server_host(state))
    table = state.table_of(client)
    return _count(table, parts["STATE"], lambda row: row.state != LISTEN and port_of(row.remote) in ports)


@_probe("counter.COUNTER", "how far the server host's counter has risen since the lab began")
def _(state: LabState, parts: dict[str, str]) -> Value:
    host = _server_host(state)
    shared = state.header.hosts if state.header else ()
    table = next((h.shares_table_with for h in shared if h.name == host and h.shares_table_with), host)
    name = parts["COUNTER"]
    for known in (host, table):
        if name in state.counters.get(known, {}):
            return state.counters[known][name] - state.counters_at_start[known][name]
    raise Unmeasured(f"the counter {name} was not read")


# ---------------------------------------------------------------- calls


def errno_name(number: int) -> str:
    """ECONNREFUSED of 111 (either sign); "none" of 0."""
    import errno

    return errno.errorcode.get(abs(number), f"errno {abs(number)}") if number else "none"


def call_name(state: LabState, call: Call) -> str:
    """The syscall's name by the number table of the machine the stream came from."""
    from socklab.syscalls import tables

    return tables.name(state.header.arch if state.header else "x86_64", call.entered.nr)


def _current(state: LabState) -> Call:
    call = _task(state).call
    if call is None:
        raise Unmeasured("the program has made no call yet")
    return call


def _last(state: LabState) -> Call:
    """The call of the task in focus that returned last."""
    task = _task(state)
    if task.call is not None and task.call.returned is not None:
        return task.call
    for index in range(len(state.calls) - 1, -1, -1):
        call = state.calls[index]
        if call.entered.tid == task.tid and call.returned is not None:
            return call
    raise Unmeasured("no call has returned yet")


_GIVE_FD = """
socket accept accept4 open openat openat2 dup dup2 dup3 epoll_create epoll_create1 eventfd2
"""
_GIVES_FD = frozenset(_GIVE_FD.split())


def _result(call: Call) -> int:
    assert call.returned is not None
    return call.returned.result


def _last_fd(state: LabState) -> int:
    call = _last(state)
    if call_name(state, call) not in _GIVES_FD:
        return _signed(call.entered.args[0])
    if _result(call) < 0:
        raise Unmeasured(f"{call_name(state, call)} failed and gave no descriptor")
    return _result(call)


@_probe("call.name", "the call it is in or about to make; after the return the same call")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return call_name(state, _current(state))


@_probe("call.arg.I", "the register that holds the argument, as a signed number")
def _(state: LabState, parts: dict[str, str]) -> Value:
    value = _current(state).entered.args[int(parts["I"])]
    return value - (1 << 64) if value >> 63 else value


@_probe("last.name", "the call that returned last")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return call_name(state, _last(state))


@_probe("last.result", "what it returned: negative = -errno")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _result(_last(state))


@_probe("last.errno", "the error it returned, by name; none")
def _(state: LabState, parts: dict[str, str]) -> Value:
    result = _result(_last(state))
    return errno_name(result) if -4096 < result < 0 else "none"


@_probe("last.fd", "the descriptor it was about: what it returned (socket, accept, open), else its first argument")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _last_fd(state)


# ---------------------------------------------------------------- the process and its output

# proc_pid_stat(5)
_PROCESS_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "disk sleep",
    "T": "stopped",
    "t": "tracing stop",
    "Z": "zombie",
    "X": "dead",
    "I": "idle",
}


@_probe("process.state", "running, sleeping, tracing stop, zombie ... as /proc/PID/stat has it")
def _(state: LabState, parts: dict[str, str]) -> Value:
    task = _task(state)
    row = state.processes.get(task.pid)
    if row is None:
        raise Unmeasured("the process is gone" if task.status == "exited" else "the process was not looked at yet")
    return _PROCESS_STATES.get(row.state, safe(row.state))


@_probe("process.blocked", "yes when it sleeps inside a call")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return state.blocked(_task(state).tid)


@_probe("process.alive", "no once the program has ended")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _task(state).status != "exited"


def _exit(state: LabState) -> ev.Exited:
    task = _task(state)
    if task.exited is None:
        raise Unmeasured("the program has not ended")
    return task.exited


@_probe("process.exit_code", "exit status of the program")
def _(state: LabState, parts: dict[str, str]) -> Value:
    ended = _exit(state)
    if ended.signo:
        raise Unmeasured("a signal killed the program; it has no exit status")
    return ended.code


@_probe("process.signal", "the signal that killed it, SIGPIPE; none")
def _(state: LabState, parts: dict[str, str]) -> Value:
    signo = _exit(state).signo
    if not signo:
        return "none"
    import signal

    try:
        return signal.Signals(signo).name
    except ValueError:
        return f"signal {signo}"


@_probe("output.text", "what the program has printed so far (the last 4096 bytes)")
def _(state: LabState, parts: dict[str, str]) -> Value:
    return _text_of(state.output, "server", ("out", "err"))


def _text_of(output: Iterable[ev.Output], source: str, streams: tuple[str, ...]) -> str:
    data = b"".join(piece.data for piece in output if piece.source == source and piece.stream in streams)
    return safe(data[-4096:], lines=True)
