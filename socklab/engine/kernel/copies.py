"""What the object behind a descriptor says of itself: a socket, a pipe, what an epoll instance watches.

In: a process, and numbers of its descriptors. Out: values the kernel gave. Each question is asked of a copy of the
descriptor (pidfd_getfd), which is closed at once: a copy is one more holder of the same open file, and as long as it is
open a close in the program is not the last one. Only what changes nothing is asked: no byte is read, no option set, no
event taken, no error fetched (SO_ERROR forgets it).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import select
import socket
import stat
import struct
import sys
import termios
from collections.abc import Callable
from typing import NamedTuple

from socklab.core.text import safe
from socklab.engine.kernel import procfs
from socklab.engine.kernel.procfs import Unread
from socklab.engine.kernel.unixdiag import UNKNOWN, UnixDiag, written
from socklab.host.libc import c_library, checked
from socklab.protocol.rows import KernelObject

_PIDFD_GETFD = 438  # the same number on every architecture (Linux 5.6)
_PIDFD_THREAD = os.O_EXCL

_syscall = c_library.syscall
_syscall.restype = ctypes.c_long

_FAMILIES: dict[int, str] = {
    socket.AF_UNIX: "unix",
    socket.AF_NETLINK: "netlink",
    socket.AF_PACKET: "packet",
    getattr(socket, "AF_VSOCK", 40): "vsock",
}
_TYPES: dict[int, str] = {
    socket.SOCK_STREAM: "stream",
    socket.SOCK_DGRAM: "datagram",
    socket.SOCK_RAW: "raw",
    socket.SOCK_SEQPACKET: "seqpacket",
}
_PROTOCOLS: dict[tuple[int, int], str] = {
    (socket.SOCK_STREAM, socket.IPPROTO_TCP): "tcp",
    (socket.SOCK_STREAM, 262): "mptcp",
    (socket.SOCK_STREAM, socket.IPPROTO_SCTP): "sctp",
    (socket.SOCK_DGRAM, socket.IPPROTO_UDP): "udp",
    (socket.SOCK_DGRAM, socket.IPPROTO_ICMP): "ping",
    (socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6): "ping",
}
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_UNBOUND = ("0.0.0.0:0", "[::]:0")

# asm-generic: the same on x86-64 and aarch64
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")  # as sock_diag's SK_MEMINFO_: ..., OPTMEM, BACKLOG, DROPS
_SIOCOUTQNSD = 0x894B
_F_GETPIPE_SZ = 1032
_TCP_NOTSENT_LOWAT = 25

_INODE = re.compile(r"^tfd: +(\d+) .* ino:([0-9a-f]+) sdev:", re.MULTILINE)
_EVENTS = 0xFFFF
"""The bits of an event; those above are how epoll is to tell it (EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE ...)."""
_IN, _OUT, _RDHUP = select.EPOLLIN | select.EPOLLRDNORM, select.EPOLLOUT | select.EPOLLWRNORM, select.EPOLLRDHUP
_ESTABLISHED, _CLOSE_WAIT = 1, 8

_CAN_BE_POLLED = re.compile(
    r"anon_inode:(\[eventfd\]|\[timerfd\]|\[eventpoll\]|\[pidfd\]|\[io_uring\]|\[?inotify\]?)$|pidfd:"
)
"""Beside sockets, pipes and terminals: poll of these only looks. That of others takes what it tells (perf_event, files
of /proc that tell of changes), or is answered for whoever asks (signalfd)."""
_SIGNALFD = "anon_inode:[signalfd]"


class Ends(NamedTuple):
    """A TCP socket's own account of itself: family, and both addresses as sock_diag writes them."""

    family: int
    local: str
    remote: str


class Copies:
    """Copies of one process's descriptors. `task`: the thread whose table is read; set anew by its owner."""

    def __init__(self, pid: int) -> None:
        self.task = pid
        self._pid = pid
        self._pidfd = -1

    def close(self) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self._pidfd = -1

    def take(self, fd: int) -> int | Unread:
        """pidfd_getfd(2): our own descriptor of what the program's is open for, to be closed at once."""
        try:
            if self._pidfd < 0:
                # Of a thread that is no leader since Linux 6.9.
                self._pidfd = os.pidfd_open(self.task, _PIDFD_THREAD if self.task != self._pid else 0)
            return checked(_syscall(_PIDFD_GETFD, self._pidfd, fd, 0), "pidfd_getfd")
        except OSError as error:
            return Unread.because(error)

    def take_socket(self, fd: int) -> socket.socket | Unread:
        """The same of a socket."""
        copy = self.take(fd)
        if isinstance(copy, Unread):
            return copy
        try:
            return socket.socket(fileno=copy)
        except OSError as error:
            os.close(copy)
            return Unread.because(error)


# ---------------------------------------------------------------- sockets


def describe(domain: int, kind: int, protocol: int) -> str:
    """A socket in a word or two: "tcp", "udp6", "unix stream", "packet raw"."""
    form = _TYPES.get(kind, f"type {kind}")
    if domain in _INTERNET:
        name = _PROTOCOLS.get((kind, protocol)) or f"ip {form} {protocol}"
        return f"{name}6" if domain == socket.AF_INET6 else name
    return f"{_FAMILIES.get(domain, f'family {domain}')} {form}"


def backlog(copy: socket.socket) -> int:
    """The limit of a TCP listener's accept queue; 0 when it is none."""
    try:
        info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    except OSError:
        # EOPNOTSUPP: no TCP socket.
        return 0
    # net/ipv4/tcp.c, tcp_get_info: for a listener tcpi_sacked is the limit (and tcpi_unacked the depth).
    return int.from_bytes(info[28:32], sys.byteorder)


def ends(copy: socket.socket) -> Ends | None:
    """Both ends of a TCP socket; None when it has none."""
    if copy.family not in _INTERNET or copy.type != socket.SOCK_STREAM:
        return None
    try:
        local = copy.getsockname()
    except OSError:
        # A reset may have taken the addresses since the descriptor was seen: it has no ends then.
        return None
    try:
        remote = copy.getpeername()
    except OSError:
        # ENOTCONN: a listener, or not connected.
        remote = ("::", 0) if copy.family == socket.AF_INET6 else ("0.0.0.0", 0)
    return Ends(copy.family, _end(copy.family, local), _end(copy.family, remote))


def of_socket(copy: socket.socket, unix: UnixDiag | None = None) -> KernelObject:
    """A socket that no TCP table lists, by its own account; its peer and its queue by unix_diag."""
    listening = _option(copy, socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    of_tcp = copy.family in _INTERNET and copy.type == socket.SOCK_STREAM
    held = () if of_tcp else _memory(copy)
    known = UNKNOWN
    if unix is not None and copy.family == socket.AF_UNIX:
        known = unix.read(os.fstat(copy.fileno()).st_ino)
    return KernelObject(
        local=_address(copy, copy.getsockname),
        remote=_address(copy, copy.getpeername),
        listening=listening,
        accept_queue=known.depth,
        backlog=known.backlog,
        peer_inode=known.peer,
        waiting_bytes=None if listening or of_tcp else _number(copy.fileno(), termios.FIONREAD),
        receive_used=held[0] if held else 0,
        receive_limit=held[1] if held else 0,
        send_used=held[2] if held else 0,
        send_limit=held[3] if held else 0,
        drops=held[8] if held else 0,
    )


def _address(copy: socket.socket, ask: Callable[[], object]) -> str:
    """As a person writes it: 127.0.0.1:5300, the path of a UNIX socket, @name where it is abstract; "" = none."""
    try:
        address = ask()
    except OSError:
        # ENOTCONN: it has no peer.
        return ""
    if copy.family == socket.AF_UNIX:
        return written(address) if isinstance(address, bytes) else safe(str(address))
    if copy.family in _INTERNET and isinstance(address, tuple):
        end = _end(copy.family, address)
        return "" if end in _UNBOUND else end
    return ""


def _end(family: int, address: tuple[str, int]) -> str:
    """As sock_diag's rows write it. A link-local address loses its zone (`%eth0`): the row has none."""
    host = address[0].partition("%")[0]
    return f"[{host}]:{address[1]}" if family == socket.AF_INET6 else f"{host}:{address[1]}"


def _option(copy: socket.socket, level: int, name: int) -> int:
    """An option's number; -1 where the socket has no such option."""
    try:
        return copy.getsockopt(level, name)
    except OSError:
        return -1


def _memory(copy: socket.socket) -> tuple[int, ...]:
    """SO_MEMINFO (Linux 4.12), () before. Beside TCP, what was sent is counted in WMEM_ALLOC."""
    try:
        return _MEMINFO.unpack(copy.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))
    except (OSError, struct.error):
        return ()


def _number(copy: int, request: int) -> int | None:
    """The number that an ioctl gives; None where it means nothing to this object."""
    try:
        return int.from_bytes(fcntl.ioctl(copy, request, bytes(4)), sys.byteorder, signed=True)
    except OSError:
        return None


# ---------------------------------------------------------------- pipes


def of_pipe(copy: int) -> KernelObject:
    """A pipe: by either of its ends."""
    try:
        capacity = fcntl.fcntl(copy, _F_GETPIPE_SZ)
    except OSError:
        capacity = 0
    return KernelObject(waiting_bytes=_number(copy, termios.FIONREAD), capacity=capacity)


# ---------------------------------------------------------------- epoll


class Watching(NamedTuple):
    """The table an epoll instance stands in: copies of it, the text of /proc/PID/fd/N, and whether a TCP table lists a
    socket's inode."""

    copies: Copies
    link: Callable[[int], str]
    listed: Callable[[int], bool]


def of_epoll(table: Watching, watches: tuple[tuple[int, int, int], ...], text: str) -> KernelObject | None:
    """An epoll instance: which of the descriptors on its list are ready. `text` is its fdinfo. None when none of them
    could be asked.

    Each one is asked itself, by poll(2) with the events it is watched for. The instance's own ready list can't be read:
    epoll_wait would take edge-triggered events from it, and disarm what is EPOLLONESHOT. So "ready" is the level: an
    edge that was delivered already counts while the descriptor is still readable, and one that was disarmed (events 0)
    is never ready.
    """
    inodes: dict[int, set[int]] = {}
    for number, inode in _INODE.findall(text):  # since Linux 4.13
        inodes.setdefault(int(number), set()).add(int(inode, 16))
    ready: list[tuple[int, int]] = []
    unasked: list[int] = []
    for fd, flags, _ in watches:
        events = flags & _EVENTS
        found = _revents(table, fd, events, inodes.get(fd)) if events else 0
        if found is None:
            unasked.append(fd)
        elif found:
            ready.append((fd, found))
    if watches and len(unasked) == len(watches):
        return None
    return KernelObject(ready=tuple(ready), unasked=tuple(unasked))


def _revents(table: Watching, fd: int, events: int, inodes: set[int] | None) -> int | None:
    """Those of `events` that hold now; None where the kernel can't be asked without doing something to it."""
    try:
        target = table.link(fd)
        if target == _SIGNALFD:
            return _pending(table.copies.task, fd) & events
        copy = table.copies.take(fd)
        if isinstance(copy, Unread):
            return None
        try:
            status = os.fstat(copy)
            if inodes is not None and inodes != {status.st_ino}:  # the number stands for another file by now
                return None
            found = _full_socket(copy) if table.listed(status.st_ino) else None
            if found is None and not _may_be_polled(copy, status.st_mode, target):
                return None
            return (_polled(copy, events) if found is None else found) & events
        finally:
            os.close(copy)
    except OSError:
        # ENOENT: watched by its open file, while the number is closed.
        return None


def _may_be_polled(copy: int, mode: int, target: str) -> bool:
    if stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode) or _CAN_BE_POLLED.match(target):
        return True
    return stat.S_ISCHR(mode) and os.isatty(copy)


def _polled(copy: int, events: int) -> int:
    poll = select.poll()
    poll.register(copy, events)
    answer = poll.poll(0)
    return answer[0][1] if answer else 0


def _full_socket(copy: int) -> int | None:
    """The events of a TCP socket that takes no more bytes; None for one that does.

    Poll of such a one leaves a mark (SOCK_NOSPACE), for which the kernel wakes the program's watchers once there is
    room: an EPOLLOUT edge that was not its own. So it is not polled: its state and its bytes say what poll would say.
    Source: net/ipv4/tcp.c, tcp_poll; include/net/sock.h, __sk_stream_is_writeable.
    """
    with socket.socket(fileno=os.dup(copy)) as tcp:
        state = tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        held = _memory(tcp)
        if state not in (_ESTABLISHED, _CLOSE_WAIT) or not held:
            return None
        limit, queued = held[3], held[5]
        lowat = _option(tcp, socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT)
        room = limit - queued >= queued >> 1 and queued < limit
        if room and (lowat <= 0 or 2 * (_number(copy, _SIOCOUTQNSD) or 0) < lowat):
            return None
        enough = (_number(copy, termios.FIONREAD) or 0) >= max(1, _option(tcp, socket.SOL_SOCKET, socket.SO_RCVLOWAT))
    closed = state == _CLOSE_WAIT
    return (_IN if enough or closed else 0) | (_RDHUP if closed else 0)


def _pending(task: int, fd: int) -> int:
    """A signalfd answers whoever asks for the asker's own signals: so the program's, by /proc."""
    mask = re.search(r"^sigmask:\s*([0-9a-f]+)", procfs.read_text(f"/proc/{task}/fdinfo/{fd}"), re.MULTILINE)
    pending = re.findall(r"^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)", procfs.read_text(f"/proc/{task}/status"), re.MULTILINE)
    waits = any(int(each, 16) & int(mask[1], 16) for each in pending) if mask else False
    return _IN if waits else 0
