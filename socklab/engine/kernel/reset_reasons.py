"""The kernel's own reason for each RST it sends: the tracepoint tcp:tcp_send_reset, read through perf_event_open(2).

In: nothing but the right to look, which root has (CAP_PERFMON, and tracefs to read the tracepoint's number and layout).
Out: `ResetSent` events of RSTs that the lab's own processes had sent: another lab here may have the same addresses.
Off, without a word, where the kernel has no such reason (before Linux 6.10) or refuses. The ring buffers belong to
descriptors: nothing is left behind, whatever ends the engine. Nothing runs while no RST is sent.

Source: perf_event_open(2); include/trace/events/tcp.h; include/net/rstreason.h.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import resource
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from struct import pack_into, unpack_from
from typing import NamedTuple

from socklab import syscalls
from socklab.host.libc import c_library, checked
from socklab.packets.decode import endpoint
from socklab.packets.headers import ipv4_address, ipv6_address
from socklab.protocol.events import ResetSent

_TRACEFS = Path("/sys/kernel/tracing/events/tcp/tcp_send_reset")
_TYPE_TRACEPOINT, _RECORD_SAMPLE = 2, 9
_SAMPLE = (1 << 1) | (1 << 2) | (1 << 10)  # PERF_SAMPLE_TID, _TIME, _RAW
_USE_CLOCKID, _FD_CLOEXEC = 1 << 25, 8
_CLOCK_MONOTONIC = 1
_ATTR_BYTES = 112  # PERF_ATTR_SIZE_VER5
_HEAD_AT, _TAIL_AT = 1024, 1032  # data_head, data_tail of struct perf_event_mmap_page
_DATA_PAGES = 8
_MOST_CPUS = 128
_SPARE_FILES = 256


class Layout(NamedTuple):
    """Where a sample has what, by the tracepoint's own description."""

    number: int
    reason: int
    source: int
    destination: int
    names: dict[int, str]


def parse_layout(number: str, text: str) -> Layout | None:
    """The format file of the tracepoint; None where it has no reason."""
    at = {name: int(offset) for name, offset in re.findall(r"field:[^;]*?(\w+)(?:\[\d+\])?;\s*offset:(\d+);", text)}
    names = re.search(r"__print_symbolic\(REC->reason, (.*)\)\s*$", text.strip())
    if not {"reason", "saddr", "daddr"} <= at.keys() or names is None:
        return None
    words = {int(value): word for value, word in re.findall(r'\{ (\d+), "(\w+)" \}', names[1])}
    return Layout(int(number), at["reason"], at["saddr"], at["daddr"], words)


class ResetReasons:
    """Made on the lab thread; `read` never waits. `reason` says why it is off; "" = it is on."""

    def __init__(self, arch: str, start_ns: int) -> None:
        self._start_ns = start_ns
        self._rings: list[mmap.mmap] = []
        self.reason = ""
        try:
            self._layout = parse_layout((_TRACEFS / "id").read_text(), (_TRACEFS / "format").read_text())
            if self._layout is None:
                self.reason = "this kernel's tracepoint tells no reason"
            else:
                self._open(arch, self._layout.number)
        except OSError as error:
            self.close()
            self.reason = f"the tracepoint tcp:tcp_send_reset can't be read: {error.strerror}"

    def _open(self, arch: str, tracepoint: int) -> None:
        cpus, number = os.cpu_count() or 1, syscalls.number(arch, "perf_event_open")
        if cpus > min(_MOST_CPUS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FILES) or number is None:
            self.reason = "there are too few descriptors for a ring buffer on each processor"
            return
        attributes = bytearray(_ATTR_BYTES)
        pack_into("<IIQQQ", attributes, 0, _TYPE_TRACEPOINT, _ATTR_BYTES, tracepoint, 1, _SAMPLE)
        pack_into("<QI", attributes, 40, _USE_CLOCKID, 1)  # flags; a record is handed over at once
        pack_into("<i", attributes, 92, _CLOCK_MONOTONIC)
        given = (ctypes.c_char * _ATTR_BYTES).from_buffer(attributes)
        for cpu in range(cpus):
            rest = map(ctypes.c_long, (-1, cpu, -1, _FD_CLOEXEC))  # any process, this processor, no group
            fd = checked(c_library.syscall(ctypes.c_long(number), ctypes.byref(given), *rest), "perf_event_open")
            try:
                self._rings.append(mmap.mmap(fd, (1 + _DATA_PAGES) * mmap.PAGESIZE))
            finally:
                os.close(fd)  # the mapping has one of its own

    @property
    def is_on(self) -> bool:
        return bool(self._rings)

    @property
    def has_news(self) -> bool:
        """An RST was sent somewhere on the machine since the last `read`: a few loads, at every look."""
        return any(ring[_HEAD_AT : _HEAD_AT + 8] != ring[_TAIL_AT : _TAIL_AT + 8] for ring in self._rings)

    def read(self, pids: Collection[int]) -> list[ResetSent]:
        """What was sent since the last time by these processes, or by the kernel in their name."""
        found = [event for ring in self._rings for pid, event in self._samples(ring) if pid in pids]
        return sorted(found, key=lambda event: event.t) if len(found) > 1 else found

    def _samples(self, ring: mmap.mmap) -> Iterator[tuple[int, ResetSent]]:
        (head,) = unpack_from("<Q", ring, _HEAD_AT)
        (tail,) = unpack_from("<Q", ring, _TAIL_AT)
        size = _DATA_PAGES * mmap.PAGESIZE
        while tail < head:
            kind, _, length = unpack_from("<IHH", self._piece(ring, tail, 8, size))
            record = self._piece(ring, tail, length, size)
            if kind == _RECORD_SAMPLE and self._layout is not None:
                pid, _, t, raw_bytes = unpack_from("<IIQI", record, 8)
                yield pid, self._event(pid, t, record[28 : 28 + raw_bytes], self._layout)
            tail += max(8, length)
        pack_into("<Q", ring, _TAIL_AT, tail)

    @staticmethod
    def _piece(ring: mmap.mmap, at: int, length: int, size: int) -> bytes:
        """Bytes of the ring, which may go on at its beginning."""
        first, page = at % size, mmap.PAGESIZE
        whole = ring[page + first : page + min(first + length, size)]
        return whole + ring[page : page + length - len(whole)]

    def _event(self, pid: int, t: int, raw: bytes, layout: Layout) -> ResetSent:
        (reason,) = unpack_from("<i", raw, layout.reason)
        local, remote = (_end(raw[at : at + 28]) for at in (layout.source, layout.destination))
        return ResetSent(t - self._start_ns, pid, local, remote, layout.names.get(reason, str(reason)))

    def close(self) -> None:
        for ring in self._rings:
            with suppress(BufferError):
                ring.close()
        self._rings = []


def _end(address: bytes) -> str:
    """ "10.0.0.1:8080" of a struct sockaddr_in or sockaddr_in6."""
    family, port = int.from_bytes(address[:2], "little"), int.from_bytes(address[2:4], "big")
    return endpoint(ipv6_address(address[8:24]) if family == 10 else ipv4_address(address[4:8]), port)
