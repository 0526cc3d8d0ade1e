"""The wire itself: a process of its own that moves every packet between two hosts.

In: IP packets from both ends, requests on the control socket. Out: the packets, on the other end, when a rule or the
student's key lets them go; a record of each on the report socket. It never waits for the reader of its reports, so a
stopped tracee or a busy engine never stops the wire; it ends when the control socket does. Knows nothing of lessons.
"""

from __future__ import annotations

import errno
import gc
import heapq
import os
import select
import signal
import socket
import time
from contextlib import suppress
from itertools import islice
from typing import NoReturn

from msgspec.structs import replace

from socklab.commands.wire import Order, Select
from socklab.core.errors import SocklabError, UsageError
from socklab.engine.network.wire import messages as wm
from socklab.engine.network.wire.ends import End
from socklab.engine.network.wire.report import Capture, Report
from socklab.engine.network.wire.rules import Rules
from socklab.host import libc
from socklab.packets import decode

BATCH = 64
"""Packets read from one end before the other end and the control socket get their turn."""


class WireProcess:
    def __init__(self, ends: tuple[End, End], control: socket.socket, report: socket.socket) -> None:
        self._ends = ends
        ways = [end.open() for end in ends]
        self._read, self._write = [read for read, _ in ways], [write for _, write in ways]
        self._control = control
        self._rules = Rules()
        self._held: dict[int, tuple[int, bytes]] = {}
        """Number to (side it came from, packet), oldest first."""
        self._overtaken: dict[int, list[int]] = {0: [], 1: []}
        """Side to numbers of held packets that go on once the next packet of that side has."""
        self._delayed: list[tuple[float, int, int, bytes]] = []
        """Heap of (due by the monotonic clock, number, side, packet)."""
        self._last_due = [0.0, 0.0]
        self._number = 0
        self._delivered = self._dropped = self._lost = 0
        self._report = Report(report)
        self._waits_to_report = False
        self.capture = Capture()
        self._poll = select.poll()
        for end in ends:
            self._poll.register(end.fd, select.POLLIN)
        self._poll.register(control.fileno(), select.POLLIN)

    def run(self) -> None:
        """Move packets until the control socket ends."""
        control = self._control.fileno()
        sides = {end.fd: side for side, end in enumerate(self._ends)}
        while True:
            # What was put off goes first; the poll then waits no longer than the next is due.
            timeout = self._deliver_due() if self._delayed else None
            ready = [fd for fd, _ in self._poll.poll(timeout)]
            if control in ready and not self._serve():
                return
            for fd in ready:
                if fd in sides:
                    self._carry(sides[fd])
            self._flush()
            self.capture.sync()

    # ------------------------------------------------------------ packets

    def _carry(self, side: int) -> None:
        """Take up to BATCH packets from one end."""
        read, write = self._read[side], self._write[1 - side]
        records, kept_of = self._report.records, self._report.kept
        pack, clock = wm.RECORD.pack, time.monotonic_ns
        plain = not (self._rules.active or self._overtaken[side] or self.capture)
        for _ in range(BATCH):
            try:
                data = read()
            except BlockingIOError:
                return
            except OSError as error:
                self._unreadable(self._ends[side].fd, error)
                return
            now = clock()
            self._number += 1
            size = len(data)
            kept = kept_of(data)
            if not plain:
                self._judge(side, data, kept, now)
                continue
            try:
                write(data)
            except OSError as error:
                records += (pack(wm.PACKET, side, len(kept), size, self._number, now), kept)
                self._undelivered(self._number, error)
            else:
                self._delivered += 1
                records += (pack(wm.DELIVERED, side, len(kept), size, self._number, now), kept)

    def _judge(self, side: int, data: bytes, kept: bytes, now: int) -> None:
        """The way of a packet while any rule is in force or a capture runs."""
        number = self._number
        self.capture.save(now, data)
        self._report.records += (wm.RECORD.pack(wm.PACKET, side, len(kept), len(data), number, now), kept)
        fate, delay_ms = "deliver", 0.0
        if self._rules.active:
            fate, delay_ms = self._rules.decide(decode.decode(data), wm.SIDES[side])
        if fate == "deliver":
            self._deliver(number, side, data)
        elif fate == "delay":
            # A line with jitter is uneven, but its packets stay in order.
            due = max(time.monotonic() + delay_ms / 1000, self._last_due[side])
            self._last_due[side] = due
            heapq.heappush(self._delayed, (due, number, side, data))
            self._report.fate(number, wm.DELAYED)
        elif fate in ("hold", "reorder"):
            self._held[number] = (side, data)
            if fate == "reorder":
                self._overtaken[side].append(number)
            self._report.fate(number, wm.HELD)
        else:
            self._drop(number)

    def _drop(self, number: int) -> None:
        self._dropped += 1
        self._report.fate(number, wm.DROPPED)

    def _deliver(self, number: int, side: int, data: bytes) -> None:
        """Hand a packet that came from `side` to the host at the other end."""
        try:
            self._write[1 - side](data)
        except OSError as error:
            self._undelivered(number, error)
        else:
            self._delivered += 1
            self._report.fate(number, wm.GONE_ON)
            self._let_overtaken_go(side)

    def _let_overtaken_go(self, side: int) -> None:
        """A packet of that side has gone on: those it was to overtake follow."""
        numbers, self._overtaken[side] = self._overtaken[side], []
        for number in numbers:
            held = self._held.pop(number, None)
            if held is not None:
                self._deliver(number, *held)

    def _deliver_due(self) -> float:
        """Deliver delayed packets whose time has come; milliseconds until the next, at least."""
        while self._delayed:
            wait = self._delayed[0][0] - time.monotonic()
            if wait > 0:
                return wait * 1000
            _, number, side, data = heapq.heappop(self._delayed)
            self._deliver(number, side, data)
        return 0.0

    def _unreadable(self, fd: int, error: OSError) -> None:
        if error.errno == errno.EBADFD:
            # The interface was removed. Its descriptor would be "ready" for ever.
            self._poll.unregister(fd)
        # EIO, ENETDOWN: the interface is down, and there is nothing to read until it is up again.
        self._lost += error.errno not in (errno.EIO, errno.EBADFD, errno.ENETDOWN)

    def _undelivered(self, number: int, error: OSError) -> None:
        # EINVAL: the host's stack takes no such bytes; EIO, ENETDOWN: its interface is down.
        self._lost += error.errno != errno.EINVAL
        self._report.fate(number, wm.DROPPED)

    def _flush(self) -> None:
        waits = self._report.flush(self._number)
        if waits != self._waits_to_report:
            self._waits_to_report = waits
            if waits:
                self._poll.register(self._report.fileno(), select.POLLOUT)
            else:
                self._poll.unregister(self._report.fileno())

    # ------------------------------------------------------------ requests

    def _serve(self) -> bool:
        """Answer one request. False = the holder is gone."""
        try:
            data = self._control.recv(1 << 20)
        except OSError:
            return False
        if not data:
            return False
        request = wm.decode_request(data)
        answer = wm.Answer()
        try:
            if isinstance(request, wm.Name):
                self._rules.names[request.name] = request.end
            elif isinstance(request, wm.Capture):
                self.capture.begin(request.path)
            elif isinstance(request, Order):
                answer = self._obey(request)
        except SocklabError as error:
            answer = wm.Answer(error.what, error.fix, refused=True)
        self._flush()
        answer = replace(
            answer,
            held=tuple(islice(self._held, wm.MOST_HELD)),
            rules=self._rules.lines(),
            packets=self._number,
            delivered=self._delivered,
            dropped=self._dropped,
            lost=self._lost,
        )
        with suppress(OSError):  # the holder died meanwhile; the next read says so
            self._control.send(wm.encode(answer))
        return True

    def _obey(self, order: Order) -> wm.Answer:
        """What was done, and to how many packets. Raises UsageError where there is nothing to act on."""
        if order.verb == "release":
            return self._release(order.scope)
        if order.verb in ("hold", "delay", "loss") or order.coming:
            self._rules.add(order)
            return wm.Answer()
        if order.verb == "reorder":
            return self._swap(order)
        chosen = self._chosen(order)
        if not chosen:
            which = f"no packet {order.packet}" if order.packet else f"no {order.select} packet"
            what = "Nothing is held." if not self._held else f"There is {which} held."
            fix = "`hold all` keeps what comes next." if not self._held else f"Held now: {self._held_words()}."
            if order.verb == "drop" and not order.packet:
                fix += " `drop next` takes the next that comes."
            raise UsageError(what, fix=fix)
        for number in chosen:
            held = self._held.pop(number)
            if order.verb == "deliver":
                self._deliver(number, *held)
            else:
                self._drop(number)
        word = "delivered" if order.verb == "deliver" else "dropped"
        return wm.Answer(f"{len(chosen)} {word}; {len(self._held)} held.", done=len(chosen))

    def _chosen(self, order: Order) -> list[int]:
        """Numbers of the held packets an order means, oldest first."""
        if order.packet:
            return [order.packet] if order.packet in self._held else []
        chosen: list[int] = []
        for number, (side, data) in self._held.items():
            if order.select == Select() or order.select.matches(decode.decode(data), wm.SIDES[side], self._rules.names):
                chosen.append(number)
                if len(chosen) == order.count:
                    break
        return chosen

    def _swap(self, order: Order) -> wm.Answer:
        """The first two held packets change places; with fewer held, the next two that come do."""
        first_two = self._chosen(Order("reorder", order.select, count=2))
        if len(first_two) < 2:
            self._rules.add(Order("reorder", order.select, count=1, coming=True))
            return wm.Answer("The next packet will be overtaken by the one behind it.")
        first, second = first_two
        numbers = [second if n == first else first if n == second else n for n in self._held]
        self._held = {number: self._held[number] for number in numbers}
        return wm.Answer(f"Packet {second} now goes before {first}.", done=2)

    def _release(self, scope: str) -> wm.Answer:
        self._rules.release(scope)
        going: list[tuple[int, int, bytes]] = []
        if scope in ("all", "hold", "reorder"):
            overtaken = {number for numbers in self._overtaken.values() for number in numbers}
            self._overtaken = {0: [], 1: []}
            chosen = [number for number in self._held if scope != "reorder" or number in overtaken]
            going = [(number, *self._held.pop(number)) for number in chosen]
        if scope in ("all", "delay"):
            going += [(number, side, data) for _, number, side, data in sorted(self._delayed)]
            self._delayed, self._last_due = [], [0.0, 0.0]
        for packet in going:
            self._deliver(*packet)
        return wm.Answer(f"{len(going)} delivered." if going else "", done=len(going))

    def _held_words(self) -> str:
        words = [f"#{number} {decode.decode(data).summary}" for number, (_, data) in self._held.items()]
        return ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "")


def main(ends: tuple[End, End], control: socket.socket, report: socket.socket, parent: int) -> NoReturn:
    """Life of the forked process: nothing of the engine's stays open here, and nothing outlives the engine."""
    code = 1
    try:
        # The terminal's Ctrl-C goes to the whole group; the engine decides when the lab ends.
        for signo in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(signo, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _leave)
        libc.die_with_parent(signal.SIGTERM)
        if os.getppid() != parent:  # it died before the line above
            os._exit(0)
        libc.name_process("socklab-wire")
        keep = sorted({2, control.fileno(), report.fileno(), *(end.fd for end in ends)})
        lowest = 0
        for fd in keep:
            os.closerange(lowest, fd)
            lowest = fd + 1
        os.closerange(lowest, 1 << 20)
        gc.disable()  # nothing here makes cycles, and a collection would show as a slow packet
        wire = WireProcess(ends, control, report)
        try:
            wire.run()
        finally:
            wire.capture.end()
        code = 0
    except SystemExit:
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _leave(_signo: int, _frame: object) -> None:
    raise SystemExit
