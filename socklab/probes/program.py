"""Probes of the traced program: its descriptors, its calls, the process, its output.

In: a LabState. Out: values that the program or the kernel gave. Registered in `registry`.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from socklab.core.persistent import PMap
from socklab.core.signals import signal_name
from socklab.core.text import safe
from socklab.probes.registry import STATES, Unmeasured, Value, probes, probes_of, the_state
from socklab.protocol import events as ev
from socklab.state import CLOSE, LISTEN, TCP_STATES, Call, LabState, Task

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
        return _signed(_current(state).entered.args[0])
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


def _behind(state: LabState, parts: dict[str, str]) -> ev.KernelObject:
    descriptor = _descriptor(state, parts)
    if descriptor.behind is None or descriptor.behind.by_table:
        raise Unmeasured(f"what is behind descriptor {descriptor.fd} was not asked")
    return descriptor.behind


def _end(which: str) -> Callable[[LabState, dict[str, str]], Value]:
    """An end of a socket: by the TCP table, or by its own account."""

    def read(state: LabState, parts: dict[str, str]) -> Value:
        behind = _descriptor(state, parts).behind
        end: str = getattr(behind, which) if behind is not None else ""
        if not end:
            end = getattr(_socket(state, parts), which)
        return end

    return read


_Buffers: TypeAlias = ev.SocketRow | ev.KernelObject


def _with_buffers(state: LabState, parts: dict[str, str]) -> _Buffers:
    behind = _descriptor(state, parts).behind
    return behind if behind is not None and behind.receive_limit else _socket(state, parts)


def _waiting(behind: ev.KernelObject) -> Value:
    if behind.waiting_bytes is None:
        raise Unmeasured("it has no bytes to be read")
    return behind.waiting_bytes


def _queue(which: str) -> Callable[[LabState, dict[str, str]], Value]:
    """Of a listener: a TCP one by the table, a UNIX one by unix_diag."""

    def read(state: LabState, parts: dict[str, str]) -> Value:
        descriptor = _descriptor(state, parts)
        number: int | None = getattr(descriptor.behind, which, None)
        if number is not None:
            return number
        row = state.socket_of(_task(state).pid, descriptor.fd)
        if row is None or row.state != LISTEN:
            raise Unmeasured(f"descriptor {descriptor.fd} is no listener whose queue was read")
        return row.rx_queue if which == "accept_queue" else row.tx_queue

    return read


def _capacity(behind: ev.KernelObject) -> Value:
    if not behind.capacity:
        raise Unmeasured("it is no pipe")
    return behind.capacity


def _epoll(state: LabState, parts: dict[str, str]) -> ev.Descriptor:
    descriptor = _descriptor(state, parts)
    if _kind(descriptor) != "epoll":
        raise Unmeasured(f"descriptor {descriptor.fd} is no epoll instance")
    if descriptor.watches_more:
        raise Unmeasured(f"descriptor {descriptor.fd} watches more than were asked")
    return descriptor


def _ready(descriptor: ev.Descriptor) -> Value:
    behind = descriptor.behind
    if behind is None or behind.unasked:
        raise Unmeasured(f"not all that descriptor {descriptor.fd} watches could be asked")
    return len(behind.ready)


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


def _kind(descriptor: ev.Descriptor) -> str:
    return next((kind for prefix, kind in _KINDS if descriptor.target.startswith(prefix)), "other")


def _inode(descriptor: ev.Descriptor) -> int:
    if not descriptor.inode:
        raise Unmeasured(f"descriptor {descriptor.fd} is neither socket nor pipe")
    return descriptor.inode


def _is_listed(state: LabState, parts: dict[str, str]) -> Value:
    row = state.socket_of(_task(state).pid, _descriptor(state, parts).fd)
    # sock_diag of newer kernels knows sockets that are only bound (CLOSE); /proc/net/tcp lists none of them.
    return row is not None and row.state != CLOSE


def _client_at(state: LabState, parts: dict[str, str]) -> Value:
    row = _socket(state, parts)
    for client in state.clients.values():
        if client.local and client.local == row.remote:
            return client.name
    raise Unmeasured(f"{row.remote} is no client of the lab")


def _buffer(name: str) -> Callable[[_Buffers], Value]:
    """One of the four numbers of a socket's buffers."""

    def value(of: _Buffers) -> Value:
        if not of.receive_limit:
            raise Unmeasured(f"what the buffers of {of.local} hold was not read")
        number: int = getattr(of, name)
        return number

    return value


def buffer_probes(of: str, find: Callable[[LabState, dict[str, str]], _Buffers]) -> None:
    """What the buffers of a socket hold and may hold, under names that begin with `of`."""
    probes_of(find, {
        f"{of}.receive_used": ("bytes of memory its receive buffer takes, the kernel's own bookkeeping included",
                               _buffer("receive_used")),
        f"{of}.receive_limit": ("bytes of memory it may take (SO_RCVBUF)", _buffer("receive_limit")),
        f"{of}.send_used": ("bytes of memory its send buffer takes, the kernel's own bookkeeping included",
                            _buffer("send_used")),
        f"{of}.send_limit": ("bytes of memory it may take (SO_SNDBUF)", _buffer("send_limit")),
    })  # fmt: skip


probes_of(_descriptor, {
    "fd.FD.number": ("the number itself", lambda descriptor: descriptor.fd),
    "fd.FD.kind": ("socket, pipe, file, terminal, device, epoll", _kind, (*(kind for _, kind in _KINDS), "other")),
    "fd.FD.target": ("what /proc/PID/fd/N points to, socket:[12345]", lambda descriptor: safe(descriptor.target),
                     str),
    "fd.FD.inode": ("inode of a socket or a pipe", _inode),
})  # fmt: skip
probes_of(_socket, {
    "fd.FD.state": ("TCP state of the socket", lambda row: TCP_STATES[row.state], STATES),
    "fd.FD.rx_queue": ("bytes received and not read yet (a listener: see listener.accept_queue)",
                       lambda row: row.rx_queue),
    "fd.FD.tx_queue": ("bytes written and not acknowledged yet", lambda row: row.tx_queue),
})  # fmt: skip
buffer_probes("fd.FD", _with_buffers)
probes_of(_behind, {
    "fd.FD.waiting_bytes": ("bytes to be read from a pipe or a UNIX stream; of UDP those of the next datagram",
                            _waiting),
    "fd.FD.capacity": ("bytes that a pipe can hold", _capacity),
    "fd.FD.drops": ("datagrams that the kernel threw away at this socket", lambda behind: behind.drops),
    "fd.FD.listening": ("yes when listen was called on this socket, which is no TCP socket",
                        lambda behind: behind.listening, bool),
})  # fmt: skip
probes_of(_epoll, {
    "fd.FD.watched": ("descriptors that an epoll instance watches", lambda descriptor: len(descriptor.watches)),
    "fd.FD.ready": ("how many of those are ready now", _ready),
})  # fmt: skip
probes({
    "fd.FD.local": ("its own address and port; the name of a UNIX socket", _end("local"), str),
    "fd.FD.remote": ("address and port of the other end; its name", _end("remote"), str),
    "fd.FD.accept_queue": ("connections that wait for accept at this listener, TCP or UNIX", _queue("accept_queue")),
    "fd.FD.backlog": ("the limit of that queue", _queue("backlog")),
    "fd.FD.open": ("yes when the number is in use",
                   lambda state, parts: _fd_number(state, parts["FD"]) in _open_descriptors(state), bool),
    "fd.FD.listed": ("yes when the host's TCP table lists it (/proc/net/tcp, tcp6)", _is_listed, bool),
    "fd.FD.client": ("name of the lab's client at the other end", _client_at, str),
    "fd.count": ("descriptors the program has open", lambda state, parts: len(_open_descriptors(state))),
})  # fmt: skip


# ---------------------------------------------------------------- calls


ERRORS = ("none", *errno.errorcode.values())


def errno_name(number: int) -> str:
    """ECONNREFUSED of 111 (either sign); "none" of 0."""
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


_GIVE_FD = "socket accept accept4 open openat openat2 dup dup2 dup3 epoll_create epoll_create1 eventfd2"
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


def _argument(state: LabState, parts: dict[str, str]) -> Value:
    value = _current(state).entered.args[int(parts["I"])]
    return value - (1 << 64) if value >> 63 else value


def _error(call: Call) -> str:
    result = _result(call)
    return errno_name(result) if -4096 < result < 0 else "none"


probes({"call.arg.I": ("the register that holds the argument, as a signed number", _argument)})
probes_of(the_state, {
    "call.name": ("the call it is in or about to make; after the return the same call",
                  lambda state: call_name(state, _current(state)), str),
    "last.name": ("the call that returned last", lambda state: call_name(state, _last(state)), str),
    "last.result": ("what it returned: negative = -errno", lambda state: _result(_last(state))),
    "last.errno": ("the error it returned, by name; none", lambda state: _error(_last(state)), ERRORS),
    "last.fd": ("the descriptor it was about: what it returned (socket, accept, open), else its first argument",
                _last_fd),
})  # fmt: skip


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


def _process_state(state: LabState) -> str:
    task = _task(state)
    row = state.processes.get(task.pid)
    if row is None:
        raise Unmeasured("the process is gone" if task.status == "exited" else "the process was not looked at yet")
    return _PROCESS_STATES.get(row.state, safe(row.state))


def _exit(state: LabState, parts: dict[str, str]) -> ev.Exited:
    task = _task(state)
    if task.exited is None:
        raise Unmeasured("the program has not ended")
    return task.exited


def _exit_code(ended: ev.Exited) -> int:
    if ended.signo:
        raise Unmeasured("a signal killed the program; it has no exit status")
    return ended.code


def text_of(output: Iterable[ev.Output], source: str, streams: tuple[str, ...]) -> str:
    """The last 4096 bytes that `source` wrote to these streams, as visible text."""
    data = b"".join(piece.data for piece in output if piece.source == source and piece.stream in streams)
    return safe(data[-4096:], lines=True)


probes_of(the_state, {
    "process.state": ("running, sleeping, tracing stop, zombie ... as /proc/PID/stat has it", _process_state,
                      tuple(_PROCESS_STATES.values())),
    "process.blocked": ("yes when it sleeps inside a call", lambda state: state.blocked(_task(state).tid),
                        bool),
    "process.alive": ("no once the program has ended", lambda state: _task(state).status != "exited", bool),
    "output.text": ("what the program has printed so far (the last 4096 bytes)",
                    lambda state: text_of(state.output, "server", ("out", "err")), str),
})  # fmt: skip
probes_of(_exit, {
    "process.exit_code": ("exit status of the program", _exit_code),
    "process.signal": ("the signal that killed it, SIGPIPE; none",
                       lambda ended: signal_name(ended.signo) if ended.signo else "none", str),
})  # fmt: skip
