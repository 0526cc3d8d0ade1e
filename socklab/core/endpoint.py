"""The ends of a socket as /proc/net/tcp writes them.

In: the hexadecimal text. Out: an address and a port as people write them. Knows nothing else of /proc.
"""

from __future__ import annotations

import sys
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Literal

ByteOrder = Literal["little", "big"]


def endpoint(text: str, byteorder: ByteOrder = sys.byteorder) -> str:
    """`0100007F:1F90` is 127.0.0.1:8080: each 32-bit word of the address is printed as a number of the machine's.

    Raises ValueError for what is no such text.
    """
    words, port = text.split(":")
    if len(words) not in (8, 32) or len(port) != 4:
        raise ValueError(text)
    raw = b"".join(int(words[at : at + 8], 16).to_bytes(4, byteorder) for at in range(0, len(words), 8))
    if len(raw) == 4:
        return f"{inet_ntop(AF_INET, raw)}:{int(port, 16)}"
    return f"[{inet_ntop(AF_INET6, raw)}]:{int(port, 16)}"


def hexadecimal(text: str, byteorder: ByteOrder = sys.byteorder) -> str:
    """The other way round: 127.0.0.1:8080 as `0100007F:1F90`. Raises ValueError, or OSError, for what is no address."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    raw = inet_pton(AF_INET6 if ":" in host else AF_INET, host)
    words = (int.from_bytes(raw[at : at + 4], byteorder) for at in range(0, len(raw), 4))
    return f"{''.join(f'{word:08X}' for word in words)}:{int(port):04X}"
