"""What was recorded of a lab, as "why?" asks for it: calls, packets of a connection, acts, the life of a table row.

In: a LabState, live or out of a recording, and the History it stands in where there is one. Out: the events and rows
that fit, and Links to them. Never tells more than the state knew: with a past state nothing that came later.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from socklab import syscalls
from socklab.core.text import safe
from socklab.packets import packet_log
from socklab.packets.packet_log import Passed
from socklab.protocol import events as ev
from socklab.state import LISTEN, Call, History, LabState, Task
from socklab.state.model import NO_DESCRIPTORS
from socklab.why.acts import Acts
from socklab.why.files import File, Files, Life
from socklab.why.model import Link, plain
from socklab.why.readings import Readings

_LONGEST = 56
"""Cells of a buffer in a call's text."""


class Conversation(NamedTuple):
    """The packets of one connection, in the order they entered the wire."""

    packets: Sequence[Passed]
    reason: str
    """Why there are none, or not all; "" = from the first SYN on."""

    def sent(self, end: str) -> list[Passed]:
        """What this end sent."""
        return [passed for passed in self.packets if passed.segment.source_end == end]


class Record:
    """One state, and what led to it."""

    def __init__(self, state: LabState, history: History | None = None) -> None:
        self.state = state
        self.readings = Readings(state, history)
        self.acts = Acts(state, self.readings)
        self._conversations: dict[frozenset[str], Conversation] = {}

    @property
    def arch(self) -> str:
        return self.state.header.arch if self.state.header is not None else "x86_64"

    @property
    def network(self) -> str:
        return self.state.header.network if self.state.header is not None else ""

    # ---------------------------------------------------------------- calls

    @cached_property
    def calls(self) -> list[Call]:
        """Every call there is, the ones being made too, in the order they were entered."""
        under_way = [task.call for task in self.state.tasks.values() if task.call is not None]
        known = {call.number for call in under_way if call.returned is not None or self._ended(call)}
        return sorted(
            [*self.state.calls, *(call for call in under_way if call.number not in known)], key=lambda call: call.number
        )

    def _ended(self, call: Call) -> bool:
        task = self.state.tasks.get(call.entered.tid)
        return task is not None and task.exited is not None

    @cached_property
    def files(self) -> Files:
        return Files(self.state, self.calls)

    def alive_until(self, gone: ev.Exited) -> int:
        """The last that was heard of a process before its end was told: its sockets are closed somewhere between."""
        calls = [call for call in self.calls if self.files.pid(call.entered.tid) == gone.tid]
        heard = [call.entered.t for call in calls] + [call.returned.t for call in calls if call.returned is not None]
        return max((t for t in heard if t <= gone.t), default=0)

    def name(self, call: Call) -> str:
        return syscalls.name(self.arch, call.entered.nr)

    @property
    def cut(self) -> str:
        """Why the first calls of the run are not known; "" = they are."""
        calls = self.state.calls
        return f"the first {calls.dropped:,} calls of this long run were let go" if calls.dropped else ""

    def is_recorded(self, name: str) -> bool:
        """Calls of this name are reported in this run."""
        started = self.state.started
        number = syscalls.number(self.arch, name)
        return started is None or not started.traced or number in started.traced

    def spelled(self, call: Call) -> str:
        """`write(4, "hello", 5) = 5`."""
        found = syscalls.decode(self.arch, call.entered, call.returned)
        args = [safe(arg.text) for arg in found.args]
        text = ", ".join(arg if len(arg) <= _LONGEST else arg[: _LONGEST - 1] + "…" for arg in args)
        return f"{found.name}({text})" + (f" = {safe(found.result)}" if found.result else "")

    def of_call(self, call: Call, said: str = "") -> Link:
        """The call, at its line of source. `said`: what it did, in front of it."""
        text = f"{said}: {self.spelled(call)}" if said else self.spelled(call)
        frame = next((frame for frame in call.stack if frame.line), None)
        task: Task | None = self.state.tasks.get(call.entered.tid)
        current = task.call if task is not None else None
        why = ""
        if frame is None and current is not None and current.number == call.number and task is not None:
            frame = next((frame for frame in task.stack if frame.line), None)
            why = task.unlined
        if frame is None:
            why = why or "its line is not recorded: the program was not held before it, or has no line information"
        return Link(
            text,
            call.entered.t,
            self.readings.stop_of(call.returned or call.entered),
            call.number + 1,
            path=frame.path if frame else "",
            line=frame.line if frame else 0,
            reason=safe(why),
        )

    def of_exit(self, gone: ev.Exited) -> Link:
        """The end of a process."""
        from socklab.core.signals import signal_name

        end = f"{signal_name(gone.signo)} killed it" if gone.signo else f"it ended with status {gone.code}"
        return Link(f"process {gone.tid} is gone: {end}", gone.t, self.readings.stop_of(gone))

    # ---------------------------------------------------------------- descriptors

    def file_of(self, host: str, row: ev.SocketRow) -> File | None:
        """The open file of a socket; None = no descriptor of the traced program's was ever seen to stand for it."""
        held = self._held_by(row.inode) if row.inode else None
        if held is not None:
            return held
        accepted = self.accepted(plain(row.local), plain(row.remote))
        if accepted is not None:
            return accepted
        known = [reading.row.inode for reading in self.readings.of(host, row.id) if reading.row and reading.row.inode]
        return self._once_held(known[-1]) if known else None

    def _held_by(self, inode: int) -> File | None:
        for pid, table in self.state.descriptors.items():
            for fd, descriptor in table.items():
                if descriptor.inode == inode:
                    life = self.files.now(pid, fd)
                    if life is not None:
                        return life.file
        return None

    def _once_held(self, inode: int) -> File | None:
        for _, event in self.readings.told:
            if type(event) is ev.Descriptors:
                for descriptor in event.set:
                    if descriptor.inode == inode:
                        life = self.files.at(event.pid, descriptor.fd, event.t)
                        if life is not None:
                            return life.file
        return None

    def accepted(self, local: str, remote: str) -> File | None:
        """The file that the last accept gave which wrote this peer's address."""
        port = remote.rpartition(":")[2]
        for file in reversed(self.files.all):
            made = file.born.made
            if made is not None and self.name(made) in ("accept", "accept4") and peer_of(made) == remote and port:
                return file
        return None

    def row_of(self, life: Life) -> tuple[str, ev.SocketRow] | None:
        """The socket a descriptor stands for, by its inode; (host, row)."""
        task = self.state.tasks.get(life.pid)
        host = task.host if task is not None else ""
        descriptor = self.state.descriptors.get(life.pid, NO_DESCRIPTORS).get(life.fd)
        if descriptor is None or not descriptor.inode or life.end_t >= 0:
            return None
        table = self.state.table_of(host)
        found = table.by_inode.get(descriptor.inode)
        row = table.rows.get(found) if found is not None else None
        return (self.state.table_host(host), row) if row is not None else None

    def ends_of(self, file: File) -> tuple[str, str] | None:
        """(local, remote) of a connection by the readings in which one of its descriptors stood for it."""
        inodes = self._inodes(file)
        for (_, _), readings in self.readings.rows.items() if inodes else ():
            for reading in readings:
                if reading.row is not None and reading.row.inode in inodes and reading.row.state != LISTEN:
                    return plain(reading.row.local), plain(reading.row.remote)
        return None

    def _inodes(self, file: File) -> set[int]:
        lives = {(life.pid, life.fd): life for life in file.lives}
        found = set()
        for _, event in self.readings.told:
            if type(event) is ev.Descriptors:
                for descriptor in event.set:
                    life = lives.get((event.pid, descriptor.fd))
                    if life is not None and descriptor.inode and self.files.at(life.pid, life.fd, event.t) is life:
                        found.add(descriptor.inode)
        return found

    # ---------------------------------------------------------------- packets

    def conversation(self, one: str, other: str) -> Conversation:
        """The packets of the last connection between two ends."""
        ends = frozenset((one, other))
        if ends not in self._conversations:
            self._conversations[ends] = self._conversation(one, other)
        return self._conversations[ends]

    @cached_property
    def _by_ends(self) -> dict[tuple[str, str], list[Passed]]:
        """The packets of every pair of ends, all connections between them."""
        found: dict[tuple[str, str], list[Passed]] = {}
        for passed in packet_log.passed(self.state.packets):
            if passed.seen.connection:
                found.setdefault((passed.client, passed.server), []).append(passed)
        return found

    def _conversation(self, one: str, other: str) -> Conversation:
        found = self._by_ends.get((one, other)) or self._by_ends.get((other, one)) or []
        found = [passed for passed in found if passed.seen.connection == found[-1].seen.connection]
        if not found:
            return Conversation((), self._no_packets())
        begun = found[0].segment.flags & 2 and not found[0].segment.flags & 16
        reason = "" if begun else "the first packets of this connection were not recorded"
        return Conversation(tuple(found), reason)

    def _no_packets(self) -> str:
        if self.network == "machine":
            return "packets are not recorded on the machine's own network"
        if not len(self.state.packets):
            return "no packet was recorded in this lab"
        if self.state.packets.dropped:
            return "the packets of this connection were not recorded, or were let go in this long run"
        return "no packet of this connection was recorded"

    def fate(self, passed: Passed) -> str:
        """held, delivered, dropped, delayed; "" = nobody says (loopback: it is there at once)."""
        return safe(self.state.fates.get(passed.packet.id, ""))

    def arrived(self, passed: Passed) -> bool:
        """The packet was handed to the other host; on loopback there is nothing in between."""
        return (
            self.fate(passed) in ("delivered", "") if self.network != "two-hosts" else self.fate(passed) == "delivered"
        )

    def of_packet(self, passed: Passed, said: str = "") -> Link:
        """`SYN-ACK from server, seq 0, delivered`."""
        segment, seen = passed.segment, passed.seen
        text = safe(segment.summary)
        if segment.payload_bytes and segment.protocol == "TCP":
            text += f" with {bytes_of(segment.payload_bytes)}"
        text += f" from {self.who(segment.source_end)}"
        if segment.protocol == "TCP" and not segment.problem:
            text += f", seq {seen.seq}" + (f", ack {seen.ack}" if segment.flags & 16 else "")
        if "retransmission" in seen.marks:
            text += ", sent again"
        fate = self.fate(passed)
        text += f"; {fate}" if fate else ""
        number = passed.packet.id
        return Link(
            f"{said}: {text}" if said else text, passed.packet.t, self.readings.stop_of(passed.packet), packet=number
        )

    def who(self, end: str) -> str:
        """ "client a", "the server", or the address itself."""
        client = self.client_at(end)
        if client is not None:
            return f"client {safe(client.name)}"
        for host in self.state.header.hosts if self.state.header else ():
            if end.rpartition(":")[0].strip("[]") in host.addresses and host.name == "server":
                return "the server"
        return safe(end)

    # ---------------------------------------------------------------- clients

    @cached_property
    def _clients(self) -> dict[str, ev.Client]:
        return {plain(client.local): client for client in self.state.clients.values() if client.local}

    def client_at(self, end: str) -> ev.Client | None:
        """The lab's client whose end this is."""
        return self._clients.get(end)

    def of_act(self, acted: ev.Acted, said: str = "") -> Link:
        """`you: send a "hi"`."""
        who = "the lesson" if acted.origin == "lesson" else "you"
        text = f"{who}: {safe(acted.line)}"
        return Link(f"{said}: {text}" if said else text, acted.t, self.readings.stop_of(acted))


def peer_of(call: Call) -> str:
    """The address that accept wrote; "" = the program did not ask for it."""
    addr = call.entered.args[1]
    pieces = call.returned.mem if call.returned is not None else ()
    data = next((piece.data for piece in pieces if piece.addr == addr and addr), b"")
    return sockaddr_end(data)


def sockaddr_end(data: bytes) -> str:
    """ "10.0.0.2:40001" of the bytes of a struct sockaddr_in or sockaddr_in6; "" of others."""
    from socklab.packets.headers import ipv4_address, ipv6_address

    family = int.from_bytes(data[:2], "little")
    port = int.from_bytes(data[2:4], "big")
    if family == 2 and len(data) >= 8:
        return f"{ipv4_address(data[4:8])}:{port}"
    if family == 10 and len(data) >= 24:
        return plain(f"[{ipv6_address(data[8:24])}]:{port}")
    return ""


def bytes_of(count: int) -> str:
    return "1 byte" if count == 1 else f"{count:,} bytes"
