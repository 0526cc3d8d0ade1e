"""Packets as a capture file that Wireshark and tshark open: pcap, raw IP, nanosecond timestamps.

In: IP packets with their times. Out: bytes of a file. A packet may be shorter here than it was on the wire: the file
says both sizes, as the format provides.

Source: draft-ietf-opsawg-pcap; link type 101 is LINKTYPE_RAW, IPv4 or IPv6 by the packet's own version.
"""

from __future__ import annotations

import struct

_NANOSECOND_MAGIC = 0xA1B23C4D
_LINKTYPE_RAW = 101
SNAPLEN = 262_144
"""No packet in the file is longer; the value Wireshark itself writes."""

HEADER = struct.pack("<IHHiIII", _NANOSECOND_MAGIC, 2, 4, 0, 0, SNAPLEN, _LINKTYPE_RAW)
_RECORD = struct.Struct("<IIII")


def record(time_ns: int, data: bytes, length: int | None = None) -> bytes:
    """One packet seen at `time_ns` (nanoseconds since the epoch); `length` is its size on the wire."""
    kept = data[:SNAPLEN]
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return _RECORD.pack(seconds, nanoseconds, len(kept), len(data) if length is None else length) + kept
