"""What the text files of /proc say: pure parsers, and tiny readers.

In: text as the kernel wrote it, or a pid. Out: frozen values in the kernel's own numbers, or `Unread` with the
reason a file could not be read. Never decides what a number means for the lab, never keeps a file open.
"""

from __future__ import annotations

import errno
import os
import sys
from socket import AF_INET, AF_INET6
from typing import NamedTuple

from socklab.core.endpoint import ByteOrder, endpoint
from socklab.host.processes import ProcFormatError, Stat, parse_stat
from socklab.protocol.events import SocketRow

# proc(5): times in /proc/PID/stat and the timer column of /proc/net/tcp are in clock ticks of 1/USER_HZ seconds.
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICK_MS = 1000 // TICKS_PER_SECOND

# Names of these sections stand alone; the others carry their section ("IpExt.InOctets"), because names repeat
# across sections (InCsumErrors is in both Tcp and IpExt).
SECTIONS = {"Tcp": "", "TcpExt": "", "Ip": "Ip.", "IpExt": "IpExt."}


class Unread(NamedTuple):
    """A reading that failed. `reason` is the errno's name: ESRCH and ENOENT = gone, EACCES and EPERM = refused."""

    reason: str

    @classmethod
    def because(cls, error: OSError) -> Unread:
        return cls(errno.errorcode.get(error.errno or 0, "EIO"))

    @property
    def gone(self) -> bool:
        """The process or the descriptor does not exist any more: a fact, not a failure."""
        return self.reason in ("ESRCH", "ENOENT")


class TcpLine(NamedTuple):
    """A row of /proc/net/tcp or tcp6 and the line it was read from. The text holds no cookie: row.id is 0."""

    row: SocketRow
    line: str


class FdInfo(NamedTuple):
    """/proc/PID/fdinfo/N: file offset and open flags (O_NONBLOCK, O_CLOEXEC, access mode)."""

    position: int
    flags: int


# ---------------------------------------------------------------- parsers


def parse_tcp_table(text: str, byteorder: ByteOrder = sys.byteorder) -> list[TcpLine]:
    """Rows of /proc/PID/net/tcp or tcp6, in file order. `byteorder` is that of the machine that wrote the text.

    Ports are in host order. For a LISTEN row `rx_queue` counts connections waiting for accept, not bytes; the limit
    of that queue is not in this file (`tx_queue` stays 0). `expires_ms` is as coarse as the clock tick (10 ms).
    Raises ProcFormatError naming the line that does not fit.
    Source: proc_pid_net(5); net/ipv4/tcp_ipv4.c, tcp4_seq_show; net/ipv6/tcp_ipv6.c, tcp6_seq_show.
    """
    lines = text.splitlines()
    if not lines:
        return []
    if "local_address" not in lines[0]:
        raise ProcFormatError("/proc/net/tcp", lines[0])
    return [TcpLine(_tcp_row(line, byteorder), line) for line in lines[1:] if line.strip()]


def _tcp_row(line: str, byteorder: ByteOrder) -> SocketRow:
    try:
        _, local, remote, state, queues, timer, retransmits, uid, _, inode = line.split(None, 10)[:10]
        tx_queue, rx_queue = queues.split(":")
        timer_kind, expires = timer.split(":")
        return SocketRow(
            id=0,
            family=AF_INET if len(local) == 13 else AF_INET6,
            local=endpoint(local, byteorder),
            remote=endpoint(remote, byteorder),
            state=int(state, 16),
            rx_queue=int(rx_queue, 16),
            tx_queue=int(tx_queue, 16),
            inode=int(inode),
            uid=int(uid),
            timer=int(timer_kind, 16),
            expires_ms=int(expires, 16) * _TICK_MS,
            retransmits=int(retransmits, 16),
        )
    except ValueError as error:
        raise ProcFormatError("/proc/net/tcp", line) from error


def parse_netstat(text: str) -> dict[str, int]:
    """Counters of /proc/net/netstat or /proc/net/snmp: Tcp and TcpExt by bare name, Ip and IpExt as "Ip.InReceives".

    Other sections (Udp, Icmp, MPTcpExt) are left out. Raises ProcFormatError naming the line that does not fit.
    Source: proc_pid_net(5); net/ipv4/proc.c, snmp_seq_show and netstat_seq_show.
    """
    counters: dict[str, int] = {}
    lines = text.splitlines()
    if len(lines) % 2:
        raise ProcFormatError("/proc/net/netstat", lines[-1])
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        section, colon, titles = names.partition(":")
        if not colon or not values.startswith(section + ":"):
            raise ProcFormatError("/proc/net/netstat", values)
        prefix = SECTIONS.get(section)
        if prefix is None:
            continue
        try:
            for title, value in zip(titles.split(), values[len(section) + 1 :].split(), strict=True):
                counters[prefix + title] = int(value)
        except ValueError as error:
            raise ProcFormatError("/proc/net/netstat", values) from error
    return counters


def parse_fdinfo(text: str) -> FdInfo:
    """Position and flags of one descriptor; what follows them (epoll's targets, locks) is not looked at.

    Raises ProcFormatError. Source: proc_pid_fdinfo(5): pos is decimal, flags are octal.
    """
    lines = text.splitlines()
    try:
        if not lines[0].startswith("pos:") or not lines[1].startswith("flags:"):
            raise ProcFormatError("/proc/PID/fdinfo", lines[0])
        return FdInfo(position=int(lines[0][4:]), flags=int(lines[1][6:], 8))
    except (ValueError, IndexError) as error:
        raise ProcFormatError("/proc/PID/fdinfo", text) from error


def parse_epoll_targets(text: str, most: int) -> tuple[tuple[tuple[int, int, int], ...], bool]:
    """What an epoll instance watches: (descriptor, events, data) by descriptor, and whether there are more than `most`.

    A last line that was cut, as a reader of a long file may find it, counts as more. Source: proc_pid_fdinfo(5):
    `tfd: 5 events: 19 data: 5 ...`, events and data hexadecimal.
    """
    found: list[tuple[int, int, int]] = []
    more = False
    for line in text.splitlines(keepends=True):
        if not line.startswith("tfd:"):
            continue
        words = line.replace(":", ": ").split()
        try:
            if not line.endswith("\n"):
                raise ValueError("cut")
            found.append((int(words[1]), int(words[3], 16), int(words[5], 16)))
        except (ValueError, IndexError):
            more = True
    found.sort()
    return tuple(found[:most]), more or len(found) > most


# ---------------------------------------------------------------- readers


def read_open(descriptor: int, size: int = 1 << 16) -> str:
    """The whole text of an open /proc file, from its beginning. Raises OSError.

    A file of /proc/net stays that of the network namespace it was opened in, whatever the reader enters later.
    """
    parts: list[bytes] = []
    offset = 0
    while part := os.pread(descriptor, size, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts).decode("utf-8", "surrogateescape")


def read_text(path: str, dir_fd: int | None = None) -> str:
    """The text of one small /proc file. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        # One read is the whole file: the kernel writes these files into one page, atomically.
        return os.read(descriptor, 1 << 14).decode("utf-8", "surrogateescape")
    finally:
        os.close(descriptor)


def read_stat(tid: int) -> Stat | Unread:
    """State of one task; memory, threads and time are those of its whole process."""
    try:
        return parse_stat(read_text(f"/proc/{tid}/stat"))
    except OSError as error:
        return Unread.because(error)


def read_resident(tid: int) -> int | Unread:
    """Pages of memory that a process has, of /proc/TID/statm, as ps tells them.

    The kernel counts them for each CPU. It adds these up for statm and status; `rss` of stat leaves out what has not
    been brought together yet, up to a hundred KiB and more (since Linux 6.2).
    """
    try:
        return int(read_text(f"/proc/{tid}/statm").split()[1])
    except OSError as error:
        return Unread.because(error)
    except (ValueError, IndexError):
        return Unread("EIO")


def read_wchan(tid: int) -> str:
    """Kernel function a task sleeps in; "" when it runs, or where it may not be traced. Source: proc_pid_wchan(5)."""
    try:
        name = read_text(f"/proc/{tid}/wchan")
    except OSError:
        return ""
    return "" if name == "0" else name
