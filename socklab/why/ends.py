"""One end of a connection: whose it is, what it sent and did, when it closed.

In: a Record, two addresses. Out: packets, calls, acts, and the links of who opened and who closed. Knows nothing of
states or rows; `states` and `resets` ask it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

from socklab.commands import actions
from socklab.packets.decode import ACK, FIN, RST, SYN
from socklab.packets.packet_log import Passed
from socklab.protocol import events as ev
from socklab.state import Call
from socklab.why import streams
from socklab.why.files import File
from socklab.why.model import Link, unknown
from socklab.why.record import Conversation, Record

_SHUT_WR, _SHUT_RDWR = 1, 2
_FOREIGN = "it is a socket of a program that is not traced"


class Closing(NamedTuple):
    """What closed an end, or its sending side."""

    by: Call | ev.Acted | ev.Exited
    t: int
    """When it took effect, at the earliest."""
    until: int
    """And at the latest."""
    half: bool = False


class End:
    """The socket at `local`, connected with `remote`; both as packets write them."""

    def __init__(self, record: Record, local: str, remote: str, file: File | None = None) -> None:
        self.record = record
        self.local = local
        self.remote = remote
        self.client = record.client_at(local)
        self._file = file

    @property
    def peer(self) -> End:
        return End(self.record, self.remote, self.local)

    @cached_property
    def file(self) -> File | None:
        """Of the traced program's; None for a client, and for what nobody has accepted."""
        if self.client is not None:
            return None
        return self._file or self.record.accepted(self.local, self.remote) or self._by_inode()

    def _by_inode(self) -> File | None:
        rows = [
            (host, row)
            for host, table in self.record.state.tables.items()
            for row in [table.rows.get(table.by_ends.get((self.local, self.remote), 0))]
            if row is not None
        ]
        found = next((self.record.file_of(host, row) for host, row in rows), None)
        if found is not None or not self.record.readings.kept:
            return found
        earlier = [reading.row for reading in self.record.readings.of_ends(self.local, self.remote) if reading.row]
        return self.record.file_of("server", earlier[-1]) if earlier else None

    @property
    def is_program(self) -> bool:
        """It is the traced program's, as far as is known."""
        return self.client is None

    @property
    def who(self) -> str:
        return self.record.who(self.local)

    @property
    def conversation(self) -> Conversation:
        return self.record.conversation(self.local, self.remote)

    def sent(self, fits: Callable[[int], bool]) -> list[Passed]:
        """Its packets whose flags fit."""
        return [passed for passed in self.conversation.sent(self.local) if fits(passed.segment.flags)]

    @property
    def syn(self) -> Passed | None:
        return next(iter(self.sent(lambda flags: bool(flags & SYN))), None)

    @property
    def answered_syn(self) -> Passed | None:
        """The SYN that the other end's SYN-ACK answers: the last one that had arrived before it; else the first."""
        answer = self.peer.syn
        syns = self.sent(lambda flags: bool(flags & SYN))
        if answer is None:
            return next(iter(syns), None)
        before = [syn for syn in syns if syn.packet.id < answer.packet.id and self.record.arrived(syn)]
        return before[-1] if before else next(iter(syns), None)

    def syns(self) -> list[Link]:
        """The SYN that was answered; where it was sent again, the first one too."""
        syn, first = self.answered_syn, self.syn
        if syn is None or first is None:
            return [unknown("the SYN", self.conversation.reason or "none was recorded")]
        again = syn is not first
        return [self.record.of_packet(syn), *([self.record.of_packet(first, "first sent")] if again else [])]

    @property
    def is_foreign(self) -> bool:
        """It is on the clients' host and no client of the lab: a program that is not traced."""
        hosts = self.record.state.header.hosts if self.record.state.header is not None else ()
        address = self.local.rpartition(":")[0].strip("[]")
        return self.client is None and any(host.name == "client" and address in host.addresses for host in hosts)

    @property
    def fin(self) -> Passed | None:
        return next(iter(self.sent(lambda flags: bool(flags & FIN))), None)

    @property
    def rst(self) -> Passed | None:
        return next(iter(self.sent(lambda flags: bool(flags & RST))), None)

    def acked(self, behind: int) -> Passed | None:
        """The first packet of this end that acknowledges the other's stream up to this relative number."""
        return next((p for p in self.sent(lambda flags: bool(flags & ACK)) if p.seen.ack >= behind), None)

    def opened(self) -> list[Link]:
        """Who asked for this end to be connected."""
        record = self.record
        if self.client is not None:
            acted = record.acts.connect_of(self.client.name)
            if acted is not None:
                return [record.of_act(acted)]
            return [unknown(f"what made client {self.client.name} connect", "the act is not recorded")]
        file = self.file
        call = next((c for c in file.calls if record.name(c) == "connect"), None) if file is not None else None
        if call is not None:
            return [record.of_call(call)]
        reason = "it is no client of the lab, and no recorded call made it"
        return [unknown(f"who connected {self.who}", _FOREIGN if self.is_foreign else reason)]

    # ---------------------------------------------------------------- the end

    def closings(self) -> list[Closing]:
        """What may have sent this end's FIN or RST, oldest first: shutdown, the last close, the end of the process."""
        return self._client_closings() if self.client is not None else self._program_closings()

    def _client_closings(self) -> list[Closing]:
        assert self.client is not None
        made = self.record.acts.connect_of(self.client.name)
        kinds = (actions.Close, actions.HalfClose, actions.Reset)
        return [
            Closing(acted, acted.t, acted.t, isinstance(action, actions.HalfClose))
            for acted, action in self.record.acts.of(self.client.name)
            if isinstance(action, kinds) and (made is None or acted.t >= made.t)
        ]

    def _program_closings(self) -> list[Closing]:
        file, record = self.file, self.record
        if file is None:
            return []
        found = [
            Closing(call, record.readings.began(call), _over(call), half=True)
            for call in file.calls
            if record.name(call) == "shutdown"
            and call.returned is not None
            and call.returned.result == 0
            and call.entered.args[1] & 0xFFFFFFFF in (_SHUT_WR, _SHUT_RDWR)
        ]
        last = file.last_end
        if last is not None and last.ended is not None:
            by = last.ended
            began = record.alive_until(by) if isinstance(by, ev.Exited) else record.readings.began(by)
            found.append(Closing(by, began, by.t if isinstance(by, ev.Exited) else _over(by)))
        return sorted(found, key=lambda closing: closing.t)

    def closing_of(self, packet: Passed) -> Closing | None:
        """The one that a FIN or RST of this end follows; None = none is recorded before it."""
        before = [closing for closing in self.closings() if closing.t <= packet.packet.t]
        return before[-1] if before else None

    def of_closing(self, closing: Closing, said: str = "") -> Link:
        by = closing.by
        if isinstance(by, ev.Acted):
            return self.record.of_act(by, said if closing.half else "")
        return self.record.of_call(by, said) if isinstance(by, Call) else self.record.of_exit(by)

    def why_closed(self, packet: Passed) -> list[Link]:
        """What made this end send its FIN."""
        closing = self.closing_of(packet)
        if closing is not None:
            said = "sends FIN" if closing.half else "closes"
            if self.file is not None and len(self.file.lives) > 1 and not closing.half:
                said = f"closes the last of {len(self.file.lives)} descriptors"
            return [self.of_closing(closing, said)]
        if self.client is not None and self.client.argv:
            return [unknown(f"what made {self.who} close", "a program of its own is not traced")]
        return [unknown(f"what made {self.who} close", self.why_no_closing())]

    def why_no_closing(self) -> str:
        file = self.file
        if self.client is not None:
            return "no act of the lab on it is recorded before that"
        if file is None:
            return _FOREIGN if self.is_foreign else streams.NO_DESCRIPTOR
        open_ = file.open
        if open_:
            fds = ", ".join(f"{life.fd} of process {life.pid}" for life in open_[:3])
            return f"no recorded call closed it: descriptor {fds} is open by the calls that were recorded"
        return "no recorded call before that closed it"

    # ---------------------------------------------------------------- bytes

    def written(self) -> streams.Counted:
        """Who wrote what this end sent."""
        if self.is_foreign and self.file is None:
            return streams.Counted(reason=_FOREIGN)
        return streams.origin(self.record, self.local, self.conversation, self.file)

    def arrived(self, until: int) -> list[tuple[int, int, Passed]]:
        """Data that had been delivered to this end until then."""
        return [
            (start, end, passed)
            for start, end, passed in streams.carried(self.conversation, self.remote)
            if self.record.arrived(passed) and passed.packet.t <= until
        ]


def _over(call: Call) -> int:
    return call.returned.t if call.returned is not None else 1 << 62
