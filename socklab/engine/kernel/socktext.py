"""The TCP sockets of one network namespace from /proc/net/tcp and tcp6, where the kernel has no sock_diag.

In: the text of both files. Out: the same rows and changes as socktable gives, except that the limit of a listener's
accept queue is not in the text (`tx_queue` stays 0) and that ids are made here, since the text has no cookie. Also
finds the line that lists a given row. Never guesses: each call reads the whole text.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from socket import AF_INET6

from msgspec.structs import replace

from socklab.core.endpoint import hexadecimal
from socklab.engine.kernel import procfs
from socklab.engine.kernel.sockdiag import LISTEN
from socklab.engine.kernel.socktable import TIMERS_KEPT, Delta, SocketTable
from socklab.protocol.events import Reading, SocketRow

_Key = tuple[int, str, str, int]

# Far above any cookie: the kernel counts those up from 1.
_FIRST_ID = 1 << 48


class TcpText:
    """The text files of the network namespace the calling thread is in when this is made."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        """Path to descriptor, tcp before tcp6."""
        with ExitStack() as undo:
            for name in ("tcp", "tcp6"):
                try:
                    file = os.open(f"/proc/thread-self/net/{name}", os.O_RDONLY | os.O_CLOEXEC)
                except FileNotFoundError:
                    # tcp6 is missing where the kernel was booted without IPv6.
                    continue
                undo.callback(os.close, file)
                self._files[f"/proc/net/{name}"] = file
            undo.pop_all()

    def close(self) -> None:
        while self._files:
            os.close(self._files.popitem()[1])

    def read(self) -> list[procfs.TcpLine]:
        """All rows, tcp before tcp6. Raises ProcFormatError or OSError."""
        return [line for file in self._files.values() for line in procfs.parse_tcp_table(procfs.read_open(file))]

    def line_of(self, row: SocketRow, read: dict[str, list[str]]) -> Reading | None:
        """The line that lists the socket now, None when no line does. Of several listeners with the same ends, the
        one with the row's inode. `read`: the files that were read a moment ago; others are added."""
        ends = f" {hexadecimal(row.local)} {hexadecimal(row.remote)} "
        found: list[tuple[bool, Reading]] = []
        # Not a file too many: for each the kernel walks through all the buckets of its table, for 30 ms and more.
        path = "/proc/net/tcp6" if row.family == AF_INET6 else "/proc/net/tcp"
        if path not in read:
            read[path] = procfs.read_open(self._files[path]).splitlines() if path in self._files else []
        head, *lines = read[path] or [""]
        for number, line in enumerate(lines, 2):
            if ends in line:
                [(each, _)] = procfs.parse_tcp_table(f"{head}\n{line}")
                found.append((each.inode != row.inode, Reading(path, line.encode(), line=number, head=head)))
        return min(found, key=lambda each: each[0])[1] if found else None


class TextTable(SocketTable):
    """The same as socktable.DiagTable, slower: every look parses everything.

    `limit_of(inode)` gives the limit of a listener's accept queue, which the text lacks; 0 = not known.

    A socket keeps its id while its ends stay listed and its inode goes only from 0 to a number (accepted) or from a
    number to 0 (closed); another inode with the same ends is another socket.
    """

    def __init__(self, limit_of: Callable[[int], int] = lambda inode: 0) -> None:
        super().__init__()
        self._limit_of = limit_of
        self._ids: dict[_Key, int] = {}
        self._next = count(_FIRST_ID)
        self._text = TcpText()

    def close(self) -> None:
        self._text.close()

    def look(self) -> Delta:
        """All sockets of both families."""
        lines = self._text.read()
        shown = sum(line.row.timer != 0 for line in lines) <= TIMERS_KEPT
        rows: dict[int, SocketRow] = {}
        ids: dict[_Key, int] = {}
        for row, _ in lines:
            key = (row.family, row.local, row.remote, row.inode if row.state == LISTEN else 0)
            id_ = self._ids.get(key)
            known = None if id_ is None else self.rows[id_]
            if id_ is None or id_ in rows or (known and known.inode and row.inode and known.inode != row.inode):
                id_ = next(self._next)
            ids[key] = id_
            rows[id_] = replace(
                row,
                id=id_,
                tx_queue=self._limit_of(row.inode) if row.state == LISTEN else row.tx_queue,
                expires_ms=row.expires_ms if shown and row.timer else 0,
            )
        changed = [row for id_, row in rows.items() if self.rows.get(id_) != row]
        gone = [id_ for id_ in self.rows if id_ not in rows]
        self.rows, self._ids = rows, ids
        by_inode = {row.inode: id_ for id_, row in rows.items() if row.inode}
        unlisted = [inode for inode in self.by_inode if inode not in by_inode]
        self.by_inode = by_inode
        return Delta(changed, gone, unlisted)
