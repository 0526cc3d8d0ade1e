"""Evidence: the raw things that panels are drawn from, read from the kernel at the moment somebody asks for them.

In: what is wanted, the state of the lab, the snapshots of its hosts. Out: `Reading`s: lines and files of /proc,
messages of sock_diag, just as they are. Never decodes one, never reads of a process that is not the lab's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from socklab.core.errors import UsageError
from socklab.engine.kernel.procfs import SECTIONS, Unread
from socklab.engine.kernel.snapshot import Snapshot
from socklab.protocol.rows import Reading, Want
from socklab.state import LabState

MOST_DESCRIPTORS = 1000
"""So many links of a descriptor table are read; more are only counted."""
_MOST_BYTES = 1 << 16
_MOST_WANTS = 32


class Evidence:
    """Reads what is wanted, once. `place` gives the readings of where a task is in its source, `setting` the file of a
    host's setting and what is in it."""

    def __init__(
        self,
        snapshots: Mapping[str, Snapshot],
        state: Callable[[], LabState],
        place: Callable[[int], tuple[Reading, ...]],
        setting: Callable[[str, str], tuple[str, bytes]],
    ) -> None:
        self._snapshots = snapshots
        self._state = state
        self._place = place
        self._setting = setting
        self._texts: dict[str, dict[str, list[str]]] = {}
        """By host, the tables read so far: for several sockets each is read once."""

    def read(self, wants: tuple[Want, ...]) -> tuple[Reading, ...]:
        """All of them, in order. Raises UsageError for what the lab does not know; what can't be read says why."""
        if len(wants) > _MOST_WANTS:
            raise UsageError(f"At most {_MOST_WANTS} things are read at once.")
        return tuple(reading for want in wants for reading in self._read(want))

    def _read(self, want: Want) -> tuple[Reading, ...]:
        if want.what == "socket":
            return self._socket(want)
        if want.what == "counters":
            return tuple(_counters(self._host(want.host)))
        if want.what == "setting":
            host = self._host(want.host).host
            try:
                path, text = self._setting(host, want.name)
            except OSError as error:
                return (Reading(want.name, host=host, reason=Unread.because(error).reason),)
            return (Reading(path, text, host),)
        if want.what not in _OF_PROCESS and want.what != "place":
            raise UsageError(f"There is no evidence of {want.what!r}.")
        self._check_ours(want.number)
        return self._place(want.number) if want.what == "place" else tuple(_OF_PROCESS[want.what](want))

    def _host(self, name: str) -> Snapshot:
        found = self._snapshots.get(self._state().table_host(name))
        if found is None:
            raise UsageError("There is no such host.", fix="The hosts are server and client.")
        return found

    def _socket(self, want: Want) -> tuple[Reading, ...]:
        row = self._state().table_of(want.host).rows.get(want.number)
        if row is None:
            raise UsageError("There is no such socket any more.")
        host = self._host(want.host)
        return host.evidence_of(row, self._texts.setdefault(host.host, {}))

    def _check_ours(self, number: int) -> None:
        """Processes and threads of the program, and the programs that the lab runs."""
        state = self._state()
        ours = (state.tasks, state.processes, state.descriptors)
        if not any(number in each for each in ours) and all(each.pid != number for each in state.clients.values()):
            raise UsageError(f"{number} is no process of this lab.")


def _counters(host: Snapshot) -> Iterator[Reading]:
    """The pairs of lines, names and values, of each section whose counters are told."""
    for path, text in host.counter_texts().items():
        lines = text.splitlines()
        for number, (head, values) in enumerate(zip(lines[::2], lines[1::2], strict=False)):
            if head.partition(":")[0] in SECTIONS:
                yield Reading(path, values.encode(), host.host, 2 * number + 2, head)


def _file(path: str) -> Reading:
    """A whole file, or why it can't be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return Reading(path, os.read(descriptor, _MOST_BYTES))
        finally:
            os.close(descriptor)
    except OSError as error:
        return Reading(path, reason=Unread.because(error).reason)


def _link(path: str) -> Reading:
    try:
        return Reading(path, os.fsencode(os.readlink(path)))
    except OSError as error:
        return Reading(path, reason=Unread.because(error).reason)


def _descriptors(want: Want) -> Iterator[Reading]:
    """The directory, a line a descriptor, as `ls -l` shows it."""
    path = f"/proc/{want.number}/fd"
    try:
        numbers = sorted(map(int, os.listdir(path)))
    except OSError as error:
        yield Reading(path, reason=Unread.because(error).reason)
        return
    links = ((number, _link(f"{path}/{number}")) for number in numbers[:MOST_DESCRIPTORS])
    lines = [b"%d -> %b" % (number, link.data) for number, link in links if not link.reason]
    more = len(numbers) - MOST_DESCRIPTORS
    yield Reading(path, b"\n".join(lines), reason=f"{more} more are not listed here" if more > 0 else "")


def _descriptor(want: Want) -> Iterator[Reading]:
    yield _link(f"/proc/{want.number}/fd/{want.fd}")
    yield _file(f"/proc/{want.number}/fdinfo/{want.fd}")
    with suppress(OSError):  # said above
        kind = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{want.number}/fd/{want.fd}"))
        if kind is not None:
            yield from _socket_line(want.number, kind[1])


_UNLISTED = "no line lists this socket: it has no port, is TCP and neither listens nor connects, or is of another kind"
_SOCKET_TABLES = ("tcp", "tcp6", "udp", "udp6", "unix", "packet", "raw", "raw6", "netlink")


def _socket_line(pid: int, inode: str) -> Iterator[Reading]:
    """The line of /proc/PID/net that lists this socket: the files are those of the process's own network."""
    wanted = re.compile(rf"(?<!\S){inode}(?!\S)".encode())
    for name in _SOCKET_TABLES:
        path = f"/proc/{pid}/net/{name}"
        try:
            with open(path, "rb") as file:
                head = file.readline()
                for number, line in enumerate(file, 2):
                    if wanted.search(line):
                        yield Reading(path, line.rstrip(b"\n"), line=number, head=head.decode().rstrip("\n"))
                        return
        except OSError:
            continue  # a protocol that this kernel has not, or a process that is gone
    yield Reading(f"/proc/{pid}/net", reason=_UNLISTED)


def _process(want: Want) -> Iterator[Reading]:
    for name in ("stat", "statm", "wchan", "status"):
        yield _file(f"/proc/{want.number}/{name}")


def _call(want: Want) -> Iterator[Reading]:
    yield _file(f"/proc/{want.number}/syscall")


_OF_PROCESS: Mapping[str, Callable[[Want], Iterator[Reading]]] = {
    "descriptors": _descriptors,
    "descriptor": _descriptor,
    "process": _process,
    "call": _call,
}
