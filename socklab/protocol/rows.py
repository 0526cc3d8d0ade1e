"""The values that events carry: a host, a piece of memory, a frame, and rows of the kernel's tables.

In: nothing. Out: immutable values, as they stand in the stream. Imports none of ours; `events` hands them on.
"""

from __future__ import annotations

import msgspec


class Host(msgspec.Struct, frozen=True, omit_defaults=True):
    """One host of the topology. With one private host, `server` and `client` are two addresses of it."""

    name: str
    addresses: tuple[str, ...]
    shares_table_with: str = ""
    """Name of the host whose socket table also lists this one's sockets ("" = a table of its own)."""


class Mem(msgspec.Struct, frozen=True, array_like=True):
    """Bytes read from the tracee's memory at `addr`. Shorter than asked = the rest could not be read or was cut."""

    addr: int
    data: bytes


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """One place in the user's own source. line is 1-based; 0 = no line information."""

    path: str
    line: int
    function: str = ""


class Submission(msgspec.Struct, frozen=True, array_like=True):
    """An operation in an io_uring's submission queue. `operation`: the kernel's word for it, ACCEPT or RECV.

    `fixed`: `fd` is no descriptor but a place in the ring's own table of files.
    """

    operation: str
    fd: int
    user_data: int
    fixed: bool = False


class Completion(msgspec.Struct, frozen=True, array_like=True):
    """A result in an io_uring's completion queue: negative = -errno. `operation` "" = not known which it was of."""

    user_data: int
    result: int
    operation: str = ""
    fd: int = -1
    fixed: bool = False


class Ring(msgspec.Struct, frozen=True, omit_defaults=True):
    """What fdinfo of an io_uring lists: at most 64 of each kind."""

    submitted: tuple[Submission, ...] = ()
    """What the kernel has not taken yet."""
    completed: tuple[Completion, ...] = ()
    """What the program has not taken yet."""
    armed: tuple[int, ...] = ()
    """Operations that wait until their descriptor is ready, by IORING_OP_ number."""
    files: tuple[str, ...] = ()
    """Files registered with the ring: they stay open without a descriptor."""
    thread: int = 0
    """The kernel's thread that looks for submissions by itself (IORING_SETUP_SQPOLL); 0 = there is none."""
    more: bool = False
    """There are more of a kind than those."""


class KernelObject(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the object behind a descriptor says of itself, where no TCP table lists it: other sockets, pipes, epoll.

    Asked only while all tasks of the process are held, and of tables of at most 64 descriptors. Otherwise what other
    tables of the kernel's say of a UDP or UNIX socket (`by_table`): its ends, its peer, its queue, its drops.
    """

    local: str = ""
    """Where a socket is bound: "127.0.0.1:5300", the path of a UNIX socket, "@name" of an abstract one."""
    remote: str = ""
    """The peer, where there is one that has an address."""
    listening: bool = False
    """SO_ACCEPTCONN: of a UNIX socket; a TCP one is in the table."""
    accept_queue: int | None = None
    """Of a UNIX listener: connections that wait for accept. None = it is none, or the kernel has no unix_diag."""
    backlog: int | None = None
    """Of a UNIX listener: the limit of that queue, as listen was given it."""
    peer_inode: int = 0
    """Of a connected UNIX socket: the socket at the other end, which need not have a name."""
    waiting_bytes: int | None = None
    """FIONREAD: bytes to be read. Of a pipe and of a UNIX stream all of them, of a datagram socket those of the next
    datagram (0 also where that one is empty). None = it has no such number."""
    capacity: int = 0
    """Of a pipe: what it holds at most (F_GETPIPE_SZ)."""
    receive_used: int = 0
    """As in SocketRow, of all sockets but TCP (SO_MEMINFO). Of UDP: all datagrams that wait, with the kernel's own
    bookkeeping; `ss -uan` prints it as Recv-Q. Of UNIX 0: what waits there is counted at its sender."""
    receive_limit: int = 0
    send_used: int = 0
    """SK_MEMINFO_WMEM_ALLOC: sent and not yet gone out, or, of UNIX, not yet read by the peer."""
    send_limit: int = 0
    drops: int = 0
    """Datagrams the kernel threw away here, most often because the receive buffer was full."""
    ready: tuple[tuple[int, int], ...] = ()
    """Of an epoll instance: (descriptor, events) of those it watches that are ready by poll(2), whether or not an edge
    was delivered already; never one that EPOLLONESHOT disarmed."""
    unasked: tuple[int, ...] = ()
    """Those it watches whose readiness could not be asked."""
    by_table: bool = False
    """Told by /proc/net/udp or unix_diag: bytes and memory were not asked for."""


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of /proc/PID/fd. `target` is the link's text; `inode` is set for socket:[N] and pipe:[N]."""

    fd: int
    target: str
    inode: int = 0
    flags: int = 0
    """Open flags of /proc/PID/fdinfo (O_NONBLOCK, O_CLOEXEC, access mode)."""
    position: int = 0
    detail: str = ""
    """A socket that no table lists yet, as getsockopt gives it: "tcp", "udp", "unix stream"."""
    watches: tuple[tuple[int, int, int], ...] = ()
    """Of an epoll instance (fdinfo, tfd:): descriptor, events waited for, the program's own data. At most 64."""
    watches_more: bool = False
    """It watches more than those."""
    ring: Ring | None = None
    """Of an io_uring, where the kernel tells."""
    behind: KernelObject | None = None
    """None = not asked, or refused; also of what has nothing to say: files, terminals, sockets of the TCP table."""


class SocketRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One TCP socket as the kernel lists it (sock_diag, checked against /proc/net/tcp).

    `id` names the same socket for its whole life (the kernel's socket cookie). `state` is the kernel's number
    (1 ESTABLISHED ... 10 LISTEN, 12 NEW_SYN_RECV shown as SYN_RECV). For a listener `rx_queue` counts connections
    waiting for accept and `tx_queue` is the limit of that queue; otherwise both are bytes: received and not read,
    written and not acknowledged.
    """

    id: int
    family: int
    local: str
    """"10.0.0.1:8080" or "[::1]:8080"."""
    remote: str
    state: int
    rx_queue: int = 0
    tx_queue: int = 0
    inode: int = 0
    """0 = no descriptor exists: not accepted yet, or TIME_WAIT."""
    uid: int = 0
    timer: int = 0
    """0 none, 1 retransmit, 2 keepalive (or SYN-ACK), 3 TIME_WAIT, 4 zero-window probe."""
    expires_ms: int = 0
    retransmits: int = 0
    receive_used: int = 0
    """Memory the receive buffer takes (SK_MEMINFO_RMEM_ALLOC, `r` of `ss -m`): the bytes of `rx_queue`, those that came
    out of order, and the kernel's own bookkeeping for each packet. So it is more than `rx_queue`."""
    receive_limit: int = 0
    """What it may take (SK_MEMINFO_RCVBUF, `rb`); of a listener, what its connections begin with. 0 = not read: none of
    the four is then."""
    send_used: int = 0
    """The same of the send buffer (SK_MEMINFO_WMEM_QUEUED, `w`): what was written and is not acknowledged."""
    send_limit: int = 0
    """SK_MEMINFO_SNDBUF, `tb`."""


class ProcessRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One task's process as /proc/PID/stat and psutil give it. state: R, S, D, T, t, Z, X."""

    pid: int
    ppid: int
    name: str
    state: str
    threads: int = 1
    rss_bytes: int = 0
    cpu_ms: int = 0
    waits_in: str = ""
    """Kernel function it sleeps in (/proc/PID/wchan), "" when running or not readable."""


class Want(msgspec.Struct, frozen=True, omit_defaults=True):
    """One raw thing to be read. what: socket (`host`, `number` = the id of its SocketRow), counters (`host`),
    setting (`host`, `name`), descriptors (`number` = process), descriptor (`number`, `fd`), process, call, place
    (`number` = task)."""

    what: str
    host: str = ""
    number: int = 0
    fd: int = -1
    name: str = ""


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """Text or bytes of the kernel's, as they were read from `path`.

    `path` is a file of /proc, or else the word for another source: inet_diag_msg (an answer of sock_diag), frame (where
    the engine's own walk of the stack found a line of source; "name=value" a line).
    """

    path: str
    data: bytes = b""
    host: str = ""
    line: int = 0
    """1-based number of the line that `data` is; 0 = the whole text, or no text."""
    head: str = ""
    """The first line of the file, which names the columns."""
    reason: str = ""
    """Why it could not be read: ENOENT, EACCES, or in words."""
