"""Signals: one, a set of them, and what is done about them.

In and out as common.py says. Source: signal(7), sigaction(2), sigprocmask(2).
"""

from __future__ import annotations

from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_process import CHILD_CODES, HANDLERS, SIGACTION, SIGNAL_CODES, SIGNALS
from socklab.syscalls.show.common import struct
from socklab.syscalls.show.record import Layout

_SA_RESTORER = 0x4000000


def signal(call: Call, index: int) -> Shown:
    number = call.i32(index)
    meaning = SIGNALS.meaning(number) if number else "none: only ask whether one could be sent"
    return Shown(SIGNALS.text(number), meaning)


def sigset(call: Call, raw: bytes) -> Shown:
    """A sigset of 8 bytes: bit N-1 is signal N. A set of more than half of all is shown by what it lacks."""
    value = int.from_bytes(raw, "little")
    inverted = value.bit_count() >= 42  # two thirds: from there on strace shows the complement
    if inverted:
        value ^= (1 << 64) - 1
    names = [SIGNALS.text(at + 1).removeprefix("SIG") for at in range(64) if value >> at & 1]
    return Shown(("~" if inverted else "") + "[" + " ".join(names) + "]", data=raw)


def sigset_sized(call: Call, index: int, size_at: int) -> Shown:
    """A set whose size the program says; the kernel takes no other size than 8 (EINVAL)."""
    addr = call.u64(index)
    found = call.before.at(addr, 8) if call.u64(size_at) == 8 else None
    return struct(call, addr, found, 8, sigset)


def sigset_pair(call: Call, raw: bytes) -> Shown:
    """Address and size of a set: the sixth argument of pselect6."""
    mask, size = unpack_from("<QQ", raw)
    shown = struct(call, mask, call.before.at(mask, 8), 8, sigset)
    return Shown(shown.text, shown.meaning, strace=f"{{sigmask={shown.strace or shown.text}, sigsetsize={size}}}")


def sigaction(call: Call, raw: bytes) -> Shown:
    """The kernel's struct sigaction: handler, flags, restorer, mask, 8 bytes each."""
    handler, bits, restorer = unpack_from("<QQQ", raw)
    name = HANDLERS.get(handler, hex(handler))
    mask = sigset(call, raw[24:32]).text
    strace = f"{{sa_handler={name}, sa_mask={mask}, sa_flags={SIGACTION.strace(bits)}"
    if bits & _SA_RESTORER:
        strace += f", sa_restorer={restorer:#x}"
    meaning = {0: "the usual effect", 1: "ignore it"}.get(handler, "call this function")
    fields = (
        Field("sa_handler", 0, 8, name),
        Field("sa_flags", 8, 8, SIGACTION.text(bits)),
        Field("sa_restorer", 16, 8, hex(restorer)),
        Field("sa_mask", 24, 8, mask),
    )
    return Shown(f"{{{name}}}", meaning, raw, fields, strace + "}")


# ---------------------------------------------------------------- siginfo

_CHILD, _FAULTS = 17, (4, 5, 7, 8, 11)  # SIGCHLD; SIGILL SIGTRAP SIGBUS SIGFPE SIGSEGV
_EXITED = 1
_COMMON = "si_signo:i _:i si_code:i _:4s"
_NAMES = {"si_signo": SIGNALS.text, "si_code": SIGNAL_CODES.text}
_CHILDS = {"si_signo": SIGNALS.text, "si_code": CHILD_CODES.text}
_SENT = Layout(f"{_COMMON} si_pid:i si_uid:I", **_NAMES)
_QUEUED = Layout(f"{_COMMON} si_pid:i si_uid:I si_int:i", **_NAMES)
_TIMER = Layout(f"{_COMMON} si_timerid:i si_overrun:i si_int:i", **_NAMES)
_FAULT = Layout(f"{_COMMON} si_addr:Q", **_NAMES, si_addr=hex)
_KERNEL = Layout(_COMMON, **_NAMES)
_ENDED = Layout(f"{_COMMON} si_pid:i si_uid:I si_status:i", **_CHILDS)
_SIGNALLED = Layout(f"{_COMMON} si_pid:i si_uid:I si_status:i", **_CHILDS, si_status=SIGNALS.text)
_BY_CODE = {0: _SENT, -6: _SENT, -1: _QUEUED, -3: _QUEUED, -2: _TIMER}
_BECAME = {2: "killed by", 3: "killed, with a core dump, by", 4: "trapped by", 5: "stopped by", 6: "continued by"}


def siginfo(call: Call, raw: bytes) -> Shown:
    """siginfo_t: which members count is a matter of the signal and of who sent it. Source: sigaction(2)."""
    number, _, code = unpack_from("<iii", raw)
    if not number:
        return Shown("{}", "no child has changed state" if call.name == "waitid" else "", raw[:12])
    if number == _CHILD and code > 0:
        pid, _, status = unpack_from("<iIi", raw, 16)
        ended = code == _EXITED
        how = f"exited with {status}" if ended else f"{_BECAME.get(code, 'changed by')} {SIGNALS.text(status)}"
        return (_ENDED if ended else _SIGNALLED).show(raw, text=f"{{child {pid} {how}}}")
    layout = _BY_CODE.get(code, _FAULT if number in _FAULTS and code not in (0x80, *_BY_CODE) else _KERNEL)
    sender = f", sent by process {unpack_from('<i', raw, 16)[0]}" if layout in (_SENT, _QUEUED) else ""
    value = f", value {unpack_from('<i', raw, 24)[0]}" if layout in (_QUEUED, _TIMER) else ""
    shown = layout.show(raw, meaning=SIGNAL_CODES.meaning(code), text=f"{{{SIGNALS.text(number)}{sender}{value}}}")
    if not value:
        return shown
    pointer = unpack_from("<Q", raw, 24)[0]  # the same bytes, as strace shows them once more
    strace = f"{shown.strace[:-1]}, si_ptr={hex(pointer) if pointer else 'NULL'}}}"
    return Shown(shown.text, shown.meaning, shown.data, shown.fields, strace)


def siginfo_in(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    return struct(call, addr, call.before.at(addr, 48), 48, siginfo)


def siginfo_out(call: Call, index: int) -> Shown:
    """waitid's result is 0 with a child or without one; a signal's wait gives its number."""
    addr = call.u64(index)
    return struct(call, addr, call.after.at(addr, 48) if call.done else None, 48, siginfo)
