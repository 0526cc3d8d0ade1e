"""The descriptor table of one process: /proc/PID/fd, fdinfo, and what the objects say that no table lists.

In: a pid. Out: Descriptor values, and what changed since the last look. Never keeps a copy of the program's
descriptors for longer than one question, never changes anything about them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from itertools import islice

from socklab.core.text import safe
from socklab.engine.kernel import copies, procfs, rings
from socklab.engine.kernel.copies import Copies
from socklab.engine.kernel.othertables import OtherTables
from socklab.engine.kernel.procfs import Unread
from socklab.engine.kernel.unixdiag import UnixDiag
from socklab.host.processes import is_over, living_task
from socklab.protocol.rows import Descriptor, KernelObject

READ_ALL = 64
"""Tables up to this size are read whole at every look."""
SPREAD = 64
"""Of a larger table each look reads again so many entries that are expected to be as they were, in turn."""

MOST_WATCHED = 64
"""So many descriptors of an epoll instance's list are told."""
_EPOLL = "anon_inode:[eventpoll]"


class DescriptorTable:
    """One process. `listed(inode)` says whether a socket table lists the socket: then no `detail` is needed.

    `known` is the table as of the last look. `gone` is set once the process has ended; `unread` holds the reason
    when the kernel refuses to show the table.
    """

    def __init__(
        self,
        pid: int,
        listed: Callable[[int], bool],
        unix: UnixDiag | None = None,
        others: OtherTables | None = None,
    ) -> None:
        self.pid = pid
        self.known: dict[int, Descriptor] = {}
        self.gone = False
        self.unread: Unread | None = None
        self._listed = listed
        self._unix = unix
        self._others = others
        self._details: dict[int, str] = {}
        """inode to detail: what a socket is never changes."""
        self._detailed: set[int] = set()
        """Numbers with a detail: a table may list their socket next time."""
        self._rings: dict[int, rings.RingReader] = {}
        self._turn = 0
        self._unreadable = 0
        """How many more the kernel counted at the last listing than could be read: they are no news."""
        self._task = pid
        """The thread whose table is read: all share it, but that of a leader that has ended is empty."""
        self._copies = Copies(pid)
        self._watching = copies.Watching(self._copies, self._link, listed)
        self._asks = False
        """Objects are asked about themselves in this look."""
        self._few = False
        """The table is small enough to say something of each object."""
        self._fd_directory = self._info_directory = -1

    def close(self) -> None:
        self._copies.close()
        for descriptor in (self._fd_directory, self._info_directory):
            if descriptor >= 0:
                os.close(descriptor)
        self._fd_directory = self._info_directory = -1

    def look(self, unlisted: Iterable[int] = (), *, still: bool = False) -> tuple[list[Descriptor], list[int]]:
        """(opened or changed, closed) since the last look. `unlisted`: inodes of sockets that left the socket table;
        `still`: the program makes no call meanwhile, so that objects may be asked about themselves.

        Up to READ_ALL entries everything is read. In a larger table the numbers are listed only when the kernel's
        count of them is another than expected, and then new numbers are read and SPREAD old ones in turn: a number
        closed and opened again by a call nobody stopped at is found when its turn comes.
        """
        known = self.known
        try:
            self._open()
            count = self._count()
            as_expected = len(known) > READ_ALL and count == len(known) + self._unreadable
            numbers = known.keys() if as_expected else self._listed_numbers()
        except OSError as error:
            return self._failed(error)
        self.unread = None
        self._few = len(numbers) <= READ_ALL
        self._asks = still and self._few
        if len(numbers) <= READ_ALL:
            again = numbers
        else:
            again = {*self._in_turn(), *self._detailed, *self.holding(set(unlisted))} & numbers
        found = self._read([*sorted(numbers - known.keys()), *sorted(again)], [fd for fd in known if fd not in numbers])
        if not as_expected:
            self._unreadable = count - len(known) if count else 0
        return found

    def look_at(
        self, fds: Iterable[int], *, unnamed: bool = False, still: bool = False
    ) -> tuple[list[Descriptor], list[int]]:
        """The same for these numbers only; costs nothing for the rest of the table.

        `unnamed`: also for numbers opened or closed since, where the kernel's count says that there are any.
        """
        self._few = len(self.known) <= READ_ALL
        self._asks = still and self._few
        try:
            self._open()
            changed, closed = self._read(fds, [])
            if unnamed and self._count() != len(self.known) + self._unreadable:
                listed = self._listed_numbers()
                missing = [fd for fd in self.known if fd not in listed]
                more, gone = self._read(sorted(listed - self.known.keys()), missing)
                changed, closed = changed + more, closed + gone
        except OSError as error:
            return self._failed(error)
        return changed, closed

    def holding(self, inodes: set[int]) -> list[int]:
        """Numbers that stand for the sockets with these inodes, as of the last look. Goes through the whole table."""
        return [fd for fd, known in self.known.items() if known.inode in inodes] if inodes else []

    def inode_of(self, fd: int) -> int:
        """Inode of the socket that is behind the number now; 0 when it is closed or no socket."""
        try:
            self._open()
            return _inode(os.readlink(str(fd), dir_fd=self._fd_directory), "socket")
        except OSError:
            # ENOENT, ESRCH: closed, gone. A refusal (EACCES) is told by look.
            return 0

    def backlog(self, fd: int) -> int:
        """The limit of a listener's accept queue, asked of the socket itself; 0 when it may not be asked."""
        copy = self._copies.take_socket(fd)
        if isinstance(copy, Unread):
            return 0
        with copy:
            return copies.backlog(copy)

    def ends(self, fd: int) -> copies.Ends | Unread | None:
        """Both ends of a TCP socket, asked of the socket itself; None when it has none, Unread when it is refused."""
        copy = self._copies.take_socket(fd)
        if isinstance(copy, Unread):
            return copy
        with copy:
            return copies.ends(copy)

    # ---- one entry

    def _read(self, fds: Iterable[int], closed: list[int]) -> tuple[list[Descriptor], list[int]]:
        changed: list[Descriptor] = []
        fds = dict.fromkeys(fds)
        for fd in fds:
            descriptor = self._descriptor(fd)
            if descriptor is None:
                if fd in self.known:
                    closed.append(fd)
            elif descriptor != self.known.get(fd):
                self.known[fd] = descriptor
                changed.append(descriptor)
                (self._detailed.add if descriptor.detail else self._detailed.discard)(fd)
        if closed and self._leave_if_over():
            self._open()
            more, closed = self._read([*fds, *closed], [])
            return changed + more, closed
        for fd in closed:
            self._details.pop(self.known.pop(fd).inode, None)
            self._detailed.discard(fd)
            self._rings.pop(fd, None)
        return changed, closed

    def _descriptor(self, fd: int) -> Descriptor | None:
        name = str(fd)
        try:
            target = os.readlink(name, dir_fd=self._fd_directory)
            text = procfs.read_text(name, self._info_directory)
            info = procfs.parse_fdinfo(text)
        except OSError:
            # ENOENT: closed. ESRCH: the process ended. EACCES cannot come after the directory was opened, except
            # by an exec of a set-user-ID program, whose table is as good as closed to us.
            return None
        if target == _EPOLL:
            watches, more = procfs.parse_epoll_targets(text, MOST_WATCHED)
            behind = copies.of_epoll(self._watching, watches, text) if self._asks else None
            return Descriptor(fd, target, flags=info.flags, watches=watches, watches_more=more, behind=behind)
        if target == rings.TARGET:
            ring = self._rings.setdefault(fd, rings.RingReader()).read(text)
            return Descriptor(fd, target, flags=info.flags, ring=ring)
        if pipe := _inode(target, "pipe"):
            return Descriptor(fd, safe(target), pipe, info.flags, info.position, behind=self._pipe(fd))
        inode = _inode(target, "socket")
        if not inode or self._listed(inode):
            return Descriptor(fd, safe(target), inode, info.flags, info.position)
        detail, behind = self._socket(fd, inode)
        return Descriptor(fd, safe(target), inode, info.flags, info.position, detail, behind=behind)

    def _link(self, fd: int) -> str:
        return os.readlink(str(fd), dir_fd=self._fd_directory)

    def _pipe(self, fd: int) -> KernelObject | None:
        copy = self._copies.take(fd) if self._asks else None
        if copy is None or isinstance(copy, Unread):
            return None
        try:
            return copies.of_pipe(copy)
        finally:
            os.close(copy)

    def _socket(self, fd: int, inode: int) -> tuple[str, KernelObject | None]:
        """What a socket that no table lists is, and what it says of itself."""
        detail = self._details.get(inode, "")
        if detail and not self._asks:
            return detail, self._in_tables(detail, inode)
        copy = self._copies.take_socket(fd)
        if isinstance(copy, Unread):
            return detail or ("" if copy.gone or copy.reason == "EBADF" else f"not readable: {copy.reason}"), None
        with copy:
            if not detail:
                detail = self._details[inode] = copies.describe(int(copy.family), int(copy.type), copy.proto)
            return detail, copies.of_socket(copy, self._unix) if self._asks else self._in_tables(detail, inode)

    def _in_tables(self, detail: str, inode: int) -> KernelObject | None:
        """What other tables say of it, while the program must not be asked."""
        return self._others.find(detail, inode) if self._few and self._others is not None else None

    # ---- the table

    def _open(self) -> None:
        """Have both directories open. Raises OSError."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        if self._fd_directory >= 0:
            self._leave_if_over()
        if self._fd_directory < 0:
            self._task = self._copies.task = living_task(self.pid)
            self._fd_directory = os.open(f"/proc/{self._task}/fd", flags)
        if self._info_directory < 0:
            self._info_directory = os.open(f"/proc/{self._task}/fdinfo", flags)

    def _leave_if_over(self) -> bool:
        """Whether the thread that is read has ended while others go on. Then nothing is open here any more."""
        if self._count() or living_task(self.pid) == self._task or not is_over(self._task):
            return False
        self.close()
        return True

    def _count(self) -> int:
        """Since Linux 6.2 the size of /proc/PID/fd is the number of open descriptors; before, it is 0."""
        try:
            return os.fstat(self._fd_directory).st_size
        except OSError:
            return 0  # the task has ended

    def _listed_numbers(self) -> set[int]:
        return set(map(int, os.listdir(self._fd_directory)))

    def _in_turn(self) -> list[int]:
        if self._turn >= len(self.known):
            self._turn = 0
        turn = list(islice(self.known, self._turn, self._turn + SPREAD))
        self._turn += SPREAD
        return turn

    def _failed(self, error: OSError) -> tuple[list[Descriptor], list[int]]:
        self.unread = Unread.because(error)
        self.gone = self.unread.gone
        closed = list(self.known) if self.gone or error.errno in (errno.EACCES, errno.EPERM) else []
        for fd in closed:
            del self.known[fd]
        self._detailed.clear()
        return [], closed


def _inode(target: str, kind: str) -> int:
    """N of `socket:[N]` or `pipe:[N]`, the text of a descriptor's link; 0 for other links."""
    if not target.startswith(kind + ":["):
        return 0
    number = target[len(kind) + 2 : -1]
    return int(number) if number.isdecimal() else 0
