"""What the wire tells of its packets: records for the engine, and a capture file if one is asked for.

In: packets and their fates. Out: packed records on the report socket, as fast as its reader takes them, and a pcap
file. Never waits for the reader: what it does not take is kept, up to a limit, and left out and counted beyond that.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import BinaryIO

from socklab.core.errors import MachineError
from socklab.engine.network.wire import messages as wm
from socklab.packets import pcap

REPORT_LIMIT = 64 << 20
"""Bytes of reports kept for a reader that is behind; more are left out, and counted."""

WHOLE_RATE = 2 << 20
"""Bytes a second of packets reported whole; beyond that, headers and a prefix."""


class Report:
    """Records on their way to the engine. `records` may be appended to directly, in pairs of record and bytes."""

    def __init__(self, out: socket.socket) -> None:
        self.records: list[bytes] = []
        self._out = out
        self._unsent = bytearray()
        self._told = self._left_out = 0
        """Number of the last packet reported, and how many were left out since then."""
        self._budget, self._budget_at = float(WHOLE_RATE), time.monotonic()
        out.setblocking(False)

    def fileno(self) -> int:
        return self._out.fileno()

    def kept(self, data: bytes) -> bytes:
        """What of a packet is reported: all of it in a conversation, headers and a prefix in a bulk transfer."""
        size = len(data)
        if self._budget < size:
            now = time.monotonic()
            self._budget = min(float(WHOLE_RATE), self._budget + (now - self._budget_at) * WHOLE_RATE)
            self._budget_at = now
            if self._budget < size:
                return data[: wm.PREFIX]
        self._budget -= size
        return data

    def fate(self, number: int, fate: int) -> None:
        self.records.append(wm.RECORD.pack(wm.FATE, fate, 0, 0, number, time.monotonic_ns()))

    def flush(self, last_number: int) -> bool:
        """Give the reader what it takes now. True = some waits for it to read on."""
        if self.records:
            if len(self._unsent) < REPORT_LIMIT:
                if self._left_out:
                    self._unsent += wm.RECORD.pack(wm.UNREPORTED, 0, 0, self._left_out, 0, 0)
                    self._left_out = 0
                self._unsent += b"".join(self.records)
            else:
                self._left_out += last_number - self._told
            self._told = last_number
            self.records.clear()
        if self._unsent:
            try:
                sent = self._out.send(self._unsent)
            except BlockingIOError:
                sent = 0
            except OSError:  # the reader is gone; the control socket says so next
                sent = len(self._unsent)
            del self._unsent[:sent]
        return bool(self._unsent)


class Capture:
    """A pcap file of the packets that cross, or none. True while there is one."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        # Packets are stamped by the monotonic clock; the file wants the time of day.
        self._epoch_ns = time.time_ns() - time.monotonic_ns()

    def __bool__(self) -> bool:
        return self._file is not None

    def begin(self, path: str) -> None:
        """End the last capture and begin one at `path`, unless that is empty. Raises MachineError."""
        self.end()
        if not path:
            return
        try:
            self._file = open(path, "wb", buffering=1 << 16)  # noqa: SIM115 - open for as long as the wire is
            self._file.write(pcap.HEADER)
        except OSError as error:
            self.end()
            raise MachineError(f"The capture {path} cannot be written: {error.strerror}.") from error

    def save(self, monotonic_ns: int, data: bytes, length: int | None = None) -> None:
        """`length`: bytes of the whole packet, of which `data` may be the beginning."""
        if self._file is not None:
            try:
                self._file.write(pcap.record(self._epoch_ns + monotonic_ns, data, length))
            except OSError:  # no space left: the packets written so far stay
                self.end()

    def sync(self) -> None:
        """Whoever opens the file now finds every packet so far."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError:
                self.end()

    def end(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # no space left for the last of it
                self._file.close()
            self._file = None
