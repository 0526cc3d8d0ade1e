"""The two ends of a wire: descriptors that take and give one IP packet at a time.

In: an open TUN device, or a packet socket with a ring. Out: functions that read and write a packet. Never waits.

Source: Documentation/networking/tuntap.rst; Documentation/networking/packet_mmap.rst.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from socklab.engine.network import netns

BIGGEST = 65_600
"""Bytes no IP packet is longer than."""


@dataclass(frozen=True)
class End:
    """One end of the wire, as a descriptor: a TUN device, or a packet socket with a ring of received frames."""

    fd: int
    link: bytes = b""
    """Packet socket: the Ethernet header an IPv4 packet needs to be taken by the host. Empty for TUN."""
    link6: bytes = b""
    """The same for IPv6."""
    frames: int = 0
    """Frames of the packet socket's ring."""

    def open(self) -> tuple[Callable[[], bytes], Callable[[bytes], int]]:
        """(read, write) of one IP packet. read raises BlockingIOError when there is none."""
        if not self.frames:
            return partial(os.read, self.fd, BIGGEST), partial(os.write, self.fd)
        return _Ring(self.fd, self.frames).read, self._write_frame

    def _write_frame(self, data: bytes) -> int:
        return os.write(self.fd, (self.link6 if data[0] >> 4 == 6 else self.link) + data)


class _Ring:
    """Received frames, in memory shared with the kernel: each is the kernel's or ours, by the word it begins with."""

    # tpacket2_hdr: status, length, bytes here, offset of the Ethernet header, offset of the IP header.
    _HEADER = struct.Struct("=IIIHH")
    _STATUS = struct.Struct("=I")
    _OURS, _KERNELS = 1, 0

    def __init__(self, fd: int, frames: int) -> None:
        self._size = frames * netns.RING_FRAME
        self._map = mmap.mmap(fd, self._size)
        self._at = 0

    def read(self) -> bytes:
        at = self._at
        status, _, here, frame, packet = self._HEADER.unpack_from(self._map, at)
        if not status & self._OURS:
            raise BlockingIOError(errno.EAGAIN, "no frame")
        data = self._map[at + packet : at + frame + here]
        self._STATUS.pack_into(self._map, at, self._KERNELS)
        self._at = at + netns.RING_FRAME if at + netns.RING_FRAME < self._size else 0
        return data
