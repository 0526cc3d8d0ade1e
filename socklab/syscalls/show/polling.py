"""Arguments and answers of calls that wait for many descriptors: sets, poll arrays, epoll events.

In and out as common.py says. Source: select(2), poll(2), epoll_ctl(2), epoll_wait(2).
"""

from __future__ import annotations

from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_io import EPOLL_EVENTS, POLL_EVENTS
from socklab.syscalls.show.common import pointer_text, unreadable

# ---------------------------------------------------------------- select


def set_members(bits: bytes, nfds: int) -> list[int]:
    """Descriptors of an fd_set: bit N of the array is descriptor N; bits from nfds up do not count."""
    value = int.from_bytes(bits, "little") & ((1 << min(max(nfds, 0), len(bits) * 8)) - 1)
    found = []
    while value:
        low = value & -value
        found.append(low.bit_length() - 1)
        value ^= low
    return found


def _set_bytes(nfds: int) -> int:
    return min((max(nfds, 0) + 63) // 64 * 8, 512)


def fd_set(call: Call, index: int, nfds_at: int) -> Shown:
    addr, nfds = call.u64(index), call.i32(nfds_at)
    if not addr:
        return Shown("NULL", "nothing of this kind is waited for")
    bits = call.before.at(addr, _set_bytes(nfds))
    if not bits:
        if nfds < 0:
            return Shown(pointer_text(addr))
        return Shown("[]") if nfds == 0 else unreadable(addr, bits)
    members = set_members(bits, nfds)
    strace = "[" + " ".join(map(str, members)) + "]"
    after = call.after.at(addr, _set_bytes(nfds)) if call.done else None
    if after is not None:
        ready = set_members(after, nfds)
        return Shown(
            strace, f"now ready: {', '.join(map(str, ready))}" if ready else "none is ready", bits, strace=strace
        )
    return Shown(strace, data=bits, strace=strace)


def select_answer(call: Call) -> str:
    """What strace adds behind select's result: the sets as the kernel left them, and the time left over."""
    if not call.result or call.result < 0:
        return ""
    nfds, parts = call.i32(0), []
    for index, name in ((1, "in"), (2, "out"), (3, "except")):
        addr = call.u64(index)
        bits = call.after.at(addr, _set_bytes(nfds)) if addr else None
        members = set_members(bits, nfds) if bits else []
        if members:
            parts.append(f"{name} [{' '.join(map(str, members))}]")
    left = call.after.at(call.u64(4), 16) if call.u64(4) else None
    if left and len(left) == 16:
        unit = "usec" if call.name == "select" else "nsec"
        seconds, fraction = unpack_from("<qq", left)
        parts.append(f"left {{tv_sec={seconds}, tv_{unit}={fraction}}}")
    return f"({', '.join(parts)})" if parts else ""


# ---------------------------------------------------------------- poll


def _entries(call: Call, addr: int, after: bool) -> list[tuple[int, int, int]]:
    image = call.after if after else call.before
    array = image.at(addr, 16384 * 8) or b""
    return [unpack_from("<iHH", array, at) for at in range(0, len(array) // 8 * 8, 8)]


def pollfds(call: Call, index: int, count_at: int) -> Shown:
    addr, count = call.u64(index), call.u32(count_at)
    if not count:
        return Shown("[]" if addr else "NULL", strace="[]" if addr else "NULL")
    if not addr or not call.before.at(addr, 8):
        return unreadable(addr, call.before.at(addr, 8))
    before = _entries(call, addr, after=False)
    after = _entries(call, addr, after=True) if call.done else []
    texts, straces = [], []
    for at, (fd, events, _) in enumerate(before):
        ready = after[at][2] if at < len(after) else 0
        texts.append(f"{fd}:{POLL_EVENTS.text(events)}" + (f" → {POLL_EVENTS.text(ready)}" if ready else ""))
        straces.append(f"{{fd={fd}, events={POLL_EVENTS.strace(events)}}}" if fd >= 0 else f"{{fd={fd}}}")
    if len(before) < count or len(straces) > call.string_limit:
        straces = [*straces[: call.string_limit], "..."]
        texts.append("...")
    data = call.known(addr, len(before) * 8) or b""
    return Shown("[" + ", ".join(texts) + "]", f"{count} to watch", data, strace="[" + ", ".join(straces) + "]")


def poll_answer(call: Call) -> str:
    """What strace adds behind poll's result: the entries that are ready."""
    if not call.result or call.result < 0:
        return ""
    ready = [
        f"{{fd={fd}, revents={POLL_EVENTS.strace(revents)}}}"
        for fd, _, revents in _entries(call, call.u64(0), after=True)
        if revents
    ]
    if len(ready) > call.string_limit:
        ready = [*ready[: call.string_limit], "..."]
    parts = [f"[{', '.join(ready)}]"]
    left = call.after.at(call.u64(2), 16) if call.name == "ppoll" and call.u64(2) else None
    if left and len(left) == 16:
        seconds, fraction = unpack_from("<qq", left)
        parts.append(f"left {{tv_sec={seconds}, tv_nsec={fraction}}}")
    return f"({', '.join(parts)})"


# ---------------------------------------------------------------- epoll


def _event(raw: bytes) -> Shown:
    (events,) = unpack_from("<I", raw)
    (data,) = unpack_from("<Q", raw, len(raw) - 8)
    strace = f"{{events={EPOLL_EVENTS.strace(events)}, data={{u32={data & 0xFFFFFFFF}, u64={data}}}}}"
    small = str(data) if data < 1 << 31 else hex(data)
    fields = (
        Field("events", 0, 4, EPOLL_EVENTS.text(events)),
        Field("data", len(raw) - 8, 8, f"{small}, for the program's own use"),
    )
    return Shown(f"{{{EPOLL_EVENTS.text(events)}, data {small}}}", EPOLL_EVENTS.meaning(events), raw, fields, strace)


def epoll_event(call: Call, index: int) -> Shown:
    addr, size = call.u64(index), call.machine.epoll_event_bytes
    raw = call.before.at(addr, size)
    if not addr or not raw or len(raw) < size or call.u32(1) == 2:
        if call.u32(1) == 2:  # EPOLL_CTL_DEL does not look at it
            return Shown(pointer_text(addr), "ignored")
        return unreadable(addr, raw and b"")
    return _event(raw)


def epoll_events(call: Call, index: int) -> Shown:
    addr, size = call.u64(index), call.machine.epoll_event_bytes
    if call.result is None or call.failed:
        return Shown(pointer_text(addr), "where the kernel puts what is ready" if call.result is None else "")
    if call.result == 0:
        return Shown("[]", "nothing is ready")
    raw = call.after.at(addr, call.result * size)
    if not raw:
        return unreadable(addr, raw)
    shown = [_event(raw[at : at + size]) for at in range(0, len(raw) // size * size, size)]
    straces = [each.strace for each in shown]
    texts = [each.text for each in shown]
    if len(straces) < call.result or len(straces) > call.string_limit:
        straces = [*straces[: call.string_limit], "..."]
        texts.append("...")
    return Shown(f"[{', '.join(texts)}]", "what is ready", raw, strace=f"[{', '.join(straces)}]")


def milliseconds(call: Call, index: int) -> Shown:
    value = call.i32(index)
    return Shown(str(value), "wait for ever" if value < 0 else "do not wait" if value == 0 else "milliseconds to wait")
