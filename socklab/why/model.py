"""The links of an answer to "why?": what is so, and when, where and by what it came about.

In: nothing. Out: immutable values; `Link.place` says where as one short text. Texts are visible ones (core.text.safe).
"""

from __future__ import annotations

import msgspec


class Link(msgspec.Struct, frozen=True):
    """One fact of a chain; the next link is what brought it about. What is not `known` says why in `reason`."""

    what: str
    t: int = -1
    """Nanoseconds since the header; -1 = no moment of its own."""
    stop: int = 0
    """The stop at which it is first seen; 0 = not known."""
    call: int = 0
    """The call's number as the call card shows it, from 1; 0 = no call."""
    packet: int = 0
    path: str = ""
    line: int = 0
    known: bool = True
    reason: str = ""
    """Of what is not known: why not. Of a call: why its line of source is not."""

    @property
    def place(self) -> str:
        """ "server.c:39, call 12, stop 20"."""
        words = [f"{self.path.rpartition('/')[2]}:{self.line}"] if self.line else []
        words += [f"call {self.call}"] if self.call else []
        words += [f"packet {self.packet}"] if self.packet else []
        words += [f"stop {self.stop}"] if self.stop else []
        if not words and self.t >= 0:
            words = [f"{self.t / 1e9:.3f} s"]
        return ", ".join(words)


class Chain(msgspec.Struct, frozen=True):
    """A value and where it came from: the newest link first, each brought about by the one behind it."""

    title: str
    links: tuple[Link, ...]


class Subject(msgspec.Struct, frozen=True):
    """What is asked about. `panel` and the key of one of its rows, as the panels have it."""

    panel: str
    """sockets, clients, wire, descriptors, queues, counters, call, stop."""
    name: str = ""
    """sockets: the host; clients: the client; counters: host and counter, "server ListenDrops"."""
    number: int = 0
    """sockets, queues: the row's id; wire: the packet; descriptors: the number; call: as the card shows it, 0 = the one
    in hand."""
    pid: int = 0
    """descriptors: whose."""
    byte: int = 0
    """clients: the byte that is asked about, from 1; 0 = the last that came."""


def unknown(what: str, reason: str) -> Link:
    """What nobody recorded."""
    return Link(what, known=False, reason=reason)


def plain(end: str) -> str:
    """An end as packets have it: of an IPv4 address that IPv6 writes as [::ffff:10.0.0.1]:80, the IPv4 one."""
    if end.startswith("[::ffff:") and "." in end:
        host, _, port = end.rpartition(":")
        return f"{host[8:-1]}:{port}"
    return end
