"""What is kept of the calls on one socket: sums of calls and bytes, for any length of the log.

In: calls with their places. Out: sums up to a place. Knows no state.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from socklab.protocol import events as ev

KEPT_ACCEPTS = 400

IN, PEEKED, END, SPLICED_IN, MESSAGES_IN = "in", "peeked", "end", "spliced in", "messages in"
OUT, ZEROCOPY, SENT_FILE, SPLICED_OUT, MESSAGES_OUT = "out", "zerocopy", "sendfile", "spliced out", "messages out"
DISCARDED = "discarded"
ACCEPTED = "accepted"
"""How bytes went: with a copy (in, out), and the ways without."""


class Sum(NamedTuple):
    calls: int
    bytes: int


NOTHING = Sum(0, 0)


class Way:
    """Calls of one kind on one socket, in their places in the log, with the bytes up to each."""

    __slots__ = ("before", "bytes", "places")

    def __init__(self) -> None:
        self.before = NOTHING
        """Those whose places are kept no more."""
        self.places: list[int] = []
        self.bytes: list[int] = []

    def add(self, place: int, size: int) -> None:
        self.places.append(place)
        self.bytes.append((self.bytes[-1] if self.bytes else self.before.bytes) + size)

    def until(self, place: int) -> Sum:
        count = bisect_left(self.places, place)
        return Sum(self.before.calls + count, self.bytes[count - 1]) if count else self.before

    def forget(self, place: int) -> None:
        """Keep only the sums of what is before `place`."""
        self.before, count = self.until(place), bisect_left(self.places, place)
        del self.places[:count], self.bytes[:count]


class Accepted(NamedTuple):
    """An accept that returned a descriptor."""

    place: int
    t: int
    number: int
    """Of the call."""
    fd: int
    peer: str
    """The address that the call gave; "" = the program did not ask for it."""
    stack: tuple[ev.Frame, ...]
    socket: Socket


class Socket:
    """One socket, whatever descriptors refer to it."""

    __slots__ = ("accepts", "inode", "last", "peer", "pids", "ways", "whole")

    def __init__(self, *, whole: bool) -> None:
        self.inode = 0
        """0 = no look at the descriptors has found it yet."""
        self.peer = ""
        self.whole = whole
        """Its beginning was seen: no bytes moved before."""
        self.ways: dict[str, Way] = {}
        self.accepts: list[Accepted] = []
        """The last ones."""
        self.pids: dict[int, int] = {}
        """Which processes read or wrote it, and the place of the first call of each."""
        self.last = 0
        """Place of the last call on it."""

    def sum(self, way: str, place: int) -> Sum:
        found = self.ways.get(way)
        return found.until(place) if found is not None else NOTHING
