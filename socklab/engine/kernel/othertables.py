"""Sockets that are not TCP's, as the kernel's own tables list them: UDP and ping in /proc/net, UNIX by unix_diag.

In: an inode. Out: what the tables say of that socket, as far as the socket itself would say the same. Nothing is asked
of a descriptor of the program's, so it may be asked while the program runs or sleeps. Never changes anything.

Source: net/ipv4/udp.c, udp4_format_sock; net/ipv6/datagram.c, __ip6_dgram_sock_seq_show. A socket without a port is in
no table.
"""

from __future__ import annotations

import os

from socklab.core.endpoint import endpoint
from socklab.engine.kernel import procfs
from socklab.engine.kernel.unixdiag import UNKNOWN, UnixDiag
from socklab.protocol.rows import KernelObject

_FILES = {"udp": "udp", "udp6": "udp6", "ping": "icmp", "ping6": "icmp6"}
"""What a descriptor's detail calls the socket, and the file of /proc/net that lists it."""


class OtherTables:
    """Those of the network namespace that the calling thread is in when this is made."""

    def __init__(self, unix: UnixDiag) -> None:
        self._unix = unix
        self._files: dict[str, int] = {}
        self._read: dict[str, dict[int, KernelObject]] = {}
        self._again: set[str] = set()
        """Read twice: a line may be left out while other sockets come and go, for the kernel finds its place in the
        table by counting."""
        for detail, name in _FILES.items():
            try:
                self._files[detail] = os.open(f"/proc/thread-self/net/{name}", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue  # a kernel without IPv6, or a container that shows no such file

    def close(self) -> None:
        while self._files:
            os.close(self._files.popitem()[1])

    def renew(self) -> None:
        """What is asked from now on is read anew: each file once."""
        self._read.clear()
        self._again.clear()

    def find(self, detail: str, inode: int) -> KernelObject | None:
        """What is told of the socket; None where no table lists it, or none may be read."""
        if detail.startswith("unix"):
            return self._of_unix(inode)
        if detail not in self._files:
            return None
        if detail not in self._read:
            self._look(detail)
        if inode not in self._read[detail] and detail not in self._again:
            self._again.add(detail)
            self._look(detail)
        return self._read[detail].get(inode)

    def _look(self, detail: str) -> None:
        try:
            self._read[detail] = parse_datagram_table(procfs.read_open(self._files[detail]))
        except OSError:
            self._read[detail] = {}

    def _of_unix(self, inode: int) -> KernelObject | None:
        known = self._unix.read(inode)
        if known is UNKNOWN:
            return None
        return KernelObject(
            local=known.name,
            remote=self._unix.read(known.peer).name if known.peer else "",
            listening=known.listening,
            accept_queue=known.depth,
            backlog=known.backlog,
            peer_inode=known.peer,
            by_table=True,
        )


def parse_datagram_table(text: str) -> dict[int, KernelObject]:
    """Sockets of /proc/net/udp, udp6, icmp or icmp6, by inode. A line that does not fit is passed over."""
    found: dict[int, KernelObject] = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        try:
            inode, drops = int(words[9]), int(words[12])
            local, remote = endpoint(words[1]), endpoint(words[2])
        except (ValueError, IndexError):
            continue
        if inode:
            found[inode] = KernelObject(local=local, remote=_peer(remote), drops=drops, by_table=True)
    return found


def _peer(end: str) -> str:
    """A socket that is not connected is listed with zeros."""
    return "" if end.endswith(":0") else end
