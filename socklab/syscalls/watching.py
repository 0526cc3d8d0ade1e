"""What a call that waits for many descriptors waits for, and which of them it found ready: select, poll, epoll_wait.

In: an Enter, its Return if there is one, and for epoll the list the kernel keeps (fdinfo of the epoll instance). Out:
one row a descriptor. Total: any bytes give a result. Source: select(2), poll(2), epoll_wait(2), proc_pid_fdinfo(5).
"""

from __future__ import annotations

from struct import unpack_from

import msgspec

from socklab.protocol.events import Enter, Return
from socklab.syscalls.call import Call
from socklab.syscalls.constants_io import EPOLL_EVENTS, POLL_EVENTS
from socklab.syscalls.show.polling import set_members
from socklab.syscalls.tables import name as name_of

WAITS = frozenset(("select", "pselect6", "poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_pwait2"))
"""Calls this module knows."""

_ALWAYS = 0x18
"""EPOLLERR and EPOLLHUP: the kernel adds them to every entry, asked for or not (fs/eventpoll.c, ep_insert)."""
_SETS = ((1, "read"), (2, "write"), (3, "except"))


class Watched(msgspec.Struct, frozen=True):
    """One descriptor. `fd` is -1 where only the program knows which one it is: `data` is what it handed to epoll."""

    fd: int
    wanted: str
    """What for: "IN|OUT", for select "read|write"."""
    ready: str | None = None
    """What it is ready for, "" = it is not; None = the call has not returned, or failed."""
    data: int = 0


def watched(
    arch: str, enter: Enter, returned: Return | None, interest: tuple[tuple[int, int, int], ...] = ()
) -> list[Watched] | None:
    """The descriptors of the call, in the order it was given them; of epoll by number. None: it waits for none.

    `interest`: (descriptor, events, data) of the epoll instance's list.
    """
    name = name_of(arch, enter.nr)
    if name not in WAITS:
        return None
    call = Call(arch, name, enter, returned)
    if name in ("select", "pselect6"):
        return _selected(call)
    if name in ("poll", "ppoll"):
        return _polled(call)
    return _waited(call, interest)


def _selected(call: Call) -> list[Watched]:
    nfds = call.i32(0)
    size = min((max(nfds, 0) + 63) // 64 * 8, 512)
    wanted: dict[int, list[str]] = {}
    ready: dict[int, list[str]] = {}
    for index, word in _SETS:
        addr = call.u64(index)
        for fd in set_members(call.before.at(addr, size) or b"", nfds) if addr else ():
            wanted.setdefault(fd, []).append(word)
        # A call that timed out leaves empty sets, which are not captured: nothing in them is ready.
        for fd in set_members(call.after.at(addr, size) or b"", nfds) if addr and call.result else ():
            ready.setdefault(fd, []).append(word)
    return [
        Watched(fd, "|".join(words), "|".join(ready.get(fd, ())) if call.done else None)
        for fd, words in sorted(wanted.items())
    ]


def _polled(call: Call) -> list[Watched]:
    count = call.u32(1)
    before = call.before.at(call.u64(0), count * 8) or b""
    after = call.after.at(call.u64(0), count * 8) or b""
    rows = []
    for at in range(0, len(before) // 8 * 8, 8):
        fd, events, _ = unpack_from("<iHH", before, at)
        if fd < 0:
            continue  # poll(2): an entry with a negative descriptor is passed over
        ready = None
        if call.done:
            ready = _short(POLL_EVENTS.text(unpack_from("<H", after, at + 6)[0])) if at + 8 <= len(after) else ""
        rows.append(Watched(fd, _short(POLL_EVENTS.text(events)), ready))
    return rows


def _waited(call: Call, interest: tuple[tuple[int, int, int], ...]) -> list[Watched]:
    size = call.machine.epoll_event_bytes
    raw = (call.after.at(call.u64(1), (call.result or 0) * size) or b"") if call.done else b""
    told: dict[int, int] = {}
    for at in range(0, len(raw) // size * size, size):
        (events,) = unpack_from("<I", raw, at)
        (data,) = unpack_from("<Q", raw, at + size - 8)
        told[data] = told.get(data, 0) | events
    rows = []
    for fd, events, data in sorted(interest):
        ready = _short(EPOLL_EVENTS.text(told.pop(data))) if data in told else "" if call.done else None
        rows.append(Watched(fd, _short(EPOLL_EVENTS.text(events & ~_ALWAYS)), ready, data))
    return [*rows, *(Watched(-1, "", _short(EPOLL_EVENTS.text(events)), data) for data, events in told.items())]


def _short(text: str) -> str:
    """IN|OUT of EPOLLIN|EPOLLOUT."""
    if text == "0":
        return ""
    return "|".join(word.removeprefix("E").removeprefix("POLL") for word in text.split("|"))
