"""The engine's end of the wire: verbs go to the wire's process, events of packets come back.

In: verbs (`hold syn-ack`), names of ends. Out: Packet and PacketFate events, answers. The packets themselves are moved
by process.py in a process of its own: here nothing can stop them by being busy.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from socklab.commands import wire
from socklab.core.errors import MachineError, UsageError
from socklab.engine.network.wire import messages as wm
from socklab.engine.network.wire.ends import End
from socklab.engine.network.wire.messages import Answer
from socklab.engine.network.wire.process import main
from socklab.protocol.events import Packet, PacketFate

_ANSWER_WITHIN_S = 5.0


class Wire:
    """One wire between two hosts, for as long as its process lives. Any thread may give it verbs; one reads events."""

    def __init__(self, pid: int, control: socket.socket, report: socket.socket) -> None:
        self.pid = pid
        self.start_ns = 0
        """CLOCK_MONOTONIC nanoseconds of the stream's header: times of events are counted from here."""
        self.ended = False
        """The wire's process is gone."""
        self.process: int | None = None
        """Its pidfd: readable once it has ended, whoever else may hold a copy of its sockets. None before Linux 5.3."""
        self._control = control
        self._report = report
        self._records = wm.Records()
        self._names: set[str] = set()
        self._asking = threading.Lock()
        with suppress(OSError):
            self.process = os.pidfd_open(pid)
        control.settimeout(_ANSWER_WITHIN_S)
        report.setblocking(False)

    # ------------------------------------------------------------ events

    def fileno(self) -> int:
        """Readable when there are events to read; for a selector."""
        return self._report.fileno()

    def read(self) -> list[Packet | PacketFate]:
        """Events since the last read, never waiting; empty with `ended` set once the wire's process is gone."""
        found: list[Packet | PacketFate] = []
        for _ in range(4):  # a bulk transfer fills the socket faster than it is read: leave room for other work
            try:
                data = self._report.recv(1 << 18)
            except BlockingIOError:
                break
            except OSError:  # closed by close()
                data = b""
            if not data:
                self.ended = True
                break
            found += self._records.events(data, self.start_ns)
        return found

    @property
    def unreported(self) -> int:
        """Packets that crossed but could not be reported, because events were read too slowly."""
        return self._records.unreported

    # ------------------------------------------------------------ verbs

    def do(self, verb: str, words: Sequence[str] = ()) -> Answer:
        """Carry out a verb: in force, for every packet that enters the wire, once this returns.

        Raises UsageError for words that make no sense (it names the nearest) or when there is nothing to act on.
        """
        answer = self._ask(wire.parse(verb, words, self._names))
        if answer.refused:
            raise UsageError(answer.text, fix=answer.fix)
        return answer

    def name(self, name: str, local: str) -> None:
        """Call the end `local` ("10.0.0.2:40001") by a name in verbs. Give it before the first packet goes out."""
        self._ask(wm.Name(name, local))
        self._names.add(name)

    def status(self) -> Answer:
        """Packets held, rules in force and counts."""
        return self._ask(wm.Status())

    def capture(self, path: str) -> None:
        """Write all that enters the wire from now on to a pcap file; "" ends it. Raises MachineError."""
        answer = self._ask(wm.Capture(str(Path(path).absolute()) if path else ""))
        if answer.refused:
            raise MachineError(answer.text)

    def _ask(self, request: wm.Request) -> Answer:
        with self._asking:
            try:
                self._control.send(wm.encode(request))
                data = self._control.recv(1 << 20)
            except TimeoutError as error:
                raise MachineError(f"The wire (process {self.pid}) does not answer.") from error
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    raise UsageError("That is more than the wire takes in one message.", fix="Say less.") from error
                data = b""
        if not data:
            raise MachineError("The wire's process is gone.", fix="Start the lab again.")
        return wm.decode_answer(data)

    # ------------------------------------------------------------ the end

    def close(self) -> None:
        """End the wire's process; what it holds is lost with it. May be called twice."""
        with suppress(OSError):  # its process is gone already
            # A shutdown is seen at the other end even while a forked child holds a copy of the descriptor.
            self._control.shutdown(socket.SHUT_RDWR)
        self._control.close()
        self._report.close()
        if self.process is not None:
            if not select.select([self.process], [], [], 2.0)[0]:
                with suppress(ProcessLookupError):  # it ended just now
                    os.kill(self.pid, signal.SIGKILL)
                select.select([self.process], [], [], 2.0)
            os.close(self.process)
            self.process = None
            with suppress(ChildProcessError):  # reaped by a waitpid(-1) elsewhere
                os.waitpid(self.pid, 0)


def start(ends: tuple[End, End]) -> Wire:
    """Fork the wire's process; it owns `ends` (server's, client's) from now on. The caller is single-threaded."""
    control, its_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    report, its_report = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    for end in (report, its_report):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    engine = os.getpid()
    pid = os.fork()
    if pid == 0:
        main(ends, its_control, its_report, engine)
    its_control.close()
    its_report.close()
    for port in ends:
        os.close(port.fd)
    return Wire(pid, control, report)
