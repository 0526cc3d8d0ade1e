"""A TCP port of the machine's own network that a server can bind, and by what the preferred one is taken.

In: the preferred port. Out: a port that could be bound a moment ago and is no other lab's; the reason if it is another
one. Binds none.
"""

from __future__ import annotations

import errno
import socket
from itertools import chain

from socklab.core.errors import MachineError
from socklab.core.text import safe

_reserved: list[socket.socket] = []
"""One for the port that was found, held until the engine ends."""


def _reserve(port: int) -> bool:
    """Whether no other lab has been given this port; from now on none will be.

    Two labs at once would both find it free, since their servers bind it only later. An abstract name goes with its
    process (unix(7)) and is the network namespace's own, as ports are.
    """
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mark.bind(f"\0socklab/port/{port}")
    except OSError as error:
        mark.close()
        return error.errno != errno.EADDRINUSE
    _reserved.append(mark)
    return True


def _refusal(port: int) -> int:
    """errno of binding every address at `port`, without SO_REUSEADDR: 0 = any server can."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
        except OSError as error:
            if family == socket.AF_INET6 and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                continue  # no IPv6 here: nobody can have taken the port there
            return error.errno or errno.EADDRINUSE
    return 0


def holder(port: int) -> str:
    """What holds a port: "nginx (pid 812)", "connections of an earlier run, in TIME_WAIT", or "another program"."""
    import psutil  # looked up only when a port is taken

    waiting = False
    for row in psutil.net_connections("tcp"):
        if not row.laddr or row.laddr.port != port:
            continue
        if row.status == psutil.CONN_LISTEN or (row.pid and row.status != psutil.CONN_TIME_WAIT):
            if not row.pid:
                return "a program of another user"
            try:
                return f"{safe(psutil.Process(row.pid).name())} (pid {row.pid})"
            except psutil.Error:
                return f"pid {row.pid}"
        waiting = waiting or row.status == psutil.CONN_TIME_WAIT
    return "connections of an earlier run, in TIME_WAIT" if waiting else "another program"


def find(preferred: int) -> tuple[int, str]:
    """The preferred port if it can be bound, else the next that can, and why. Raises MachineError if none can."""
    refused = _refusal(preferred)
    if not refused and _reserve(preferred):
        return preferred, ""
    if not refused:
        why = f"port {preferred} is taken by another lab"
    elif refused in (errno.EACCES, errno.EPERM):
        why = f"port {preferred} is for privileged programs here (net.ipv4.ip_unprivileged_port_start)"
    else:
        why = f"port {preferred} is taken by {holder(preferred)}"
    first = preferred + 1 if preferred >= 1024 else preferred + 8000
    for port in chain(range(first, min(first + 100, 65536)), range(49152, 65536)):
        if not _refusal(port) and _reserve(port):
            return port, why
    raise MachineError(f"No TCP port can be bound: {why}.", fix="Look with `ss -tan` what holds them.")
