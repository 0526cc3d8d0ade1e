"""Packets of one private host, seen as they cross its loopback interface; they cannot be held there.

In: the hosts' addresses. Out: the same Packet and PacketFate events the wire gives. For a lab without a wire. Loopback
carries packets of up to 64 kB whose checksums are left out: they are shown as they are.

Source: packet(7); socket(7), SO_TIMESTAMPNS.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Iterable

from socklab.core.errors import MachineError
from socklab.engine.network import netns
from socklab.packets import decode
from socklab.protocol.events import Host, Packet, PacketFate

KEPT = 2048
"""Bytes of a packet that are reported."""

_BATCH = 512
_TIMESPEC = struct.Struct("=qq")
_STATISTICS = struct.Struct("=II")


class Sniffer:
    """Made in the private host's namespace; `read` from one thread."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        self.start_ns = 0
        """CLOCK_MONOTONIC nanoseconds of the stream's header: times of events are counted from here."""
        self.unreported = 0
        """Packets the kernel dropped from this view, never from the connection, because it was read too slowly."""
        self._of = {address: host.name for host in hosts for address in host.addresses}
        self._number = 0
        self._buffer = bytearray(KEPT)
        # The kernel stamps packets with the time of day; events count on the monotonic clock.
        self._epoch_ns = time.time_ns() - time.monotonic_ns()
        try:
            self._socket = netns.open_packet_view("lo")
        except OSError as error:
            raise MachineError(
                f"The packets of this host cannot be seen: {error.strerror} ({errno.errorcode.get(error.errno or 0)}).",
                fix="It needs CAP_NET_RAW and a kernel with CONFIG_PACKET.",
            ) from error

    def fileno(self) -> int:
        """Readable when there are packets to read; for a selector."""
        return self._socket.fileno()

    def read(self) -> list[Packet | PacketFate]:
        """Packets since the last read, never waiting. Each was delivered: loopback has no way to keep one."""
        found: list[Packet | PacketFate] = []
        for _ in range(_BATCH):
            try:
                # MSG_TRUNC: the packet's own size, however much of it fits.
                size, ancillary, _, _ = self._socket.recvmsg_into([self._buffer], 64, socket.MSG_TRUNC)
            except BlockingIOError:
                break
            except OSError as error:  # ENETDOWN is told once, when the interface goes down
                if error.errno == errno.ENETDOWN:
                    continue
                break
            data = bytes(self._buffer[: min(size, KEPT)])
            stamped = time.time_ns()
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind == netns.SO_TIMESTAMPNS and len(value) >= _TIMESPEC.size:
                    seconds, nanoseconds = _TIMESPEC.unpack_from(value)
                    stamped = seconds * 1_000_000_000 + nanoseconds
            t = max(0, stamped - self._epoch_ns - self.start_ns)
            self._number += 1
            seen = decode.decode(data)
            source = self._of.get(seen.source, "server")
            found.append(Packet(t, self._number, source, self._of.get(seen.destination, "server"), data, size))
            found.append(PacketFate(t, self._number, "delivered"))
        if found:
            # Reading the counters sets them to zero.
            _, dropped = _STATISTICS.unpack(self._socket.getsockopt(netns.SOL_PACKET, netns.PACKET_STATISTICS, 8))
            self.unreported += dropped
        return found

    def close(self) -> None:
        self._socket.close()
