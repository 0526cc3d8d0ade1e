"""What an io_uring holds: the operations that lie in its submission queue, and the results in its completion queue.

In: /proc/PID/fdinfo/N of a ring, again and again. Out: `Ring` values. The program writes both queues in memory that it
shares with the kernel, so nothing of this passes through a system call. Never reads the program's memory, and never
guesses: a result is given the name of an operation only where every one in flight was seen, and one has its user_data.

Source: io_uring/fdinfo.c (both queues are listed since Linux 5.16), io_uring(7).
"""

from __future__ import annotations

import re

from socklab.protocol.rows import Completion, Ring, Submission

TARGET = "anon_inode:[io_uring]"
MOST = 64
"""So many entries of each kind are told."""

_POSITION = re.compile(r"^(SqHead|CqHead|CqTail|SqThread):\s*(-?\d+)$", re.MULTILINE)
_POSITIONS = {"SqHead", "CqHead", "CqTail"}
_SUBMISSION = re.compile(r"^ *\d+: opcode:(\w+), fd:(-?\d+), flags:([0-9a-f]+),.* user_data:(\d+)", re.MULTILINE)
_COMPLETION = re.compile(r"^ *\d+: user_data:(\d+), res:(-?\d+), flags?:([0-9a-f]+)", re.MULTILINE)
_ARMED = re.compile(r"^ +op=(\d+), task_works=", re.MULTILINE)
_REGISTERED = re.compile(r"^ *\d+: ((?:socket|pipe|/|anon_inode).*)$", re.MULTILINE)

_FIXED_FILE = 1
"""IOSQE_FIXED_FILE: the number is a place in the ring's own table of files."""
_MORE_FOLLOW = 2
"""IORING_CQE_F_MORE: the operation goes on, more results will come of it."""


_MOST_IN_FLIGHT = 4096


class RingReader:
    """One ring, read at every look. Remembers which operations are in flight, as long as none was submitted unseen."""

    def __init__(self) -> None:
        self._submitted: dict[int, Submission] = {}
        self._completed: dict[int, Completion] = {}
        """The last look's entries, by their place since the ring was made."""
        self._in_flight: dict[int, list[Submission]] = {}
        """By user_data, which the program chooses: several operations may have the same."""
        self._next = 0
        """The place behind the last submission that was seen."""
        self._all_seen = True
        """No operation in flight was submitted between two looks: it might have the user_data of another."""
        self._multishot = False

    def read(self, text: str) -> Ring | None:
        """What the ring holds by this text of fdinfo; None where the kernel lists neither queue."""
        at = {name: int(number) for name, number in _POSITION.findall(text)}
        if not at.keys() >= _POSITIONS or "\nSQEs:" not in text:
            return None
        found = [
            Submission(name, int(fd), int(data), bool(int(flags, 16) & _FIXED_FILE))
            for name, fd, flags, data in _SUBMISSION.findall(text)
        ]
        self._follow(at["SqHead"], at["CqTail"], found)
        completed: dict[int, Completion] = {}
        for place, (data, result, flags) in enumerate(_COMPLETION.findall(text), at["CqHead"]):
            known = self._completed.get(place)
            completed[place] = known or self._result(int(data), int(result), bool(int(flags, 16) & _MORE_FOLLOW))
        self._completed = completed
        armed = tuple(map(int, _ARMED.findall(text)))
        files = tuple(_REGISTERED.findall(text.partition("\nUserFiles:")[2].partition("\nUserBufs:")[0]))
        results = tuple(completed.values())
        more = max(len(found), len(results), len(armed), len(files)) > MOST or not text.endswith("\n")
        return Ring(
            tuple(found[:MOST]), results[:MOST], armed[:MOST], files[:MOST], max(0, at.get("SqThread", 0)), more
        )

    def _follow(self, head: int, completed: int, found: list[Submission]) -> None:
        """Take `found`, which lie in the queue from place `head` on; `completed` results have been written so far."""
        submitted = dict(enumerate(found, head))
        rewritten = any(self._submitted.get(place, each) != each for place, each in submitted.items())
        if head > self._next or rewritten or len(self._in_flight) > _MOST_IN_FLIGHT:
            self._all_seen = False
        if not self._all_seen and head == completed and not self._multishot:
            self._all_seen = True  # each has its result: nothing is in flight
            self._in_flight, self._submitted = {}, {}
        if not self._all_seen:
            self._in_flight.clear()
        for place, each in submitted.items():
            if self._all_seen and place not in self._submitted:
                self._in_flight.setdefault(each.user_data, []).append(each)
        self._submitted, self._next = submitted, head + len(found)

    def _result(self, user_data: int, result: int, more_follow: bool) -> Completion:
        self._multishot |= more_follow
        candidates = self._in_flight.get(user_data, [])
        if len({(each.operation, each.fd, each.fixed) for each in candidates}) != 1:
            return Completion(user_data, result)
        one = candidates[0]
        if not more_follow:
            candidates.pop(0)
            if not candidates:
                del self._in_flight[user_data]
        return Completion(user_data, result, one.operation, one.fd, one.fixed)
