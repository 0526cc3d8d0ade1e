"""Signals: sets of them, what is done about them, and the calls that send and hold them.

Source: signal(7), sigaction(2), sigprocmask(2), kill(2), whose parameter names these are.
"""

from __future__ import annotations

from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_process import HANDLERS, PROCMASK, SIGACTION, SIGNALS
from socklab.syscalls.kinds import INT, SIZE, UINT, Kind, arg, call, named, unreadable

_SA_RESTORER = 0x4000000


def signal_set(addr: int, found: bytes | None) -> Shown:
    """A sigset of 8 bytes: bit N-1 is signal N. A set of more than half of all is shown by what it lacks."""
    if not addr or not found or len(found) < 8:
        return unreadable(addr, found and b"")
    value = int.from_bytes(found[:8], "little")
    inverted = value.bit_count() >= 42  # two thirds: from there on strace shows the complement
    if inverted:
        value ^= (1 << 64) - 1
    names = [SIGNALS.text(at + 1).removeprefix("SIG") for at in range(64) if value >> at & 1]
    text = ("~" if inverted else "") + "[" + " ".join(names) + "]"
    return Shown(text, data=found[:8])


def _show_mask(call: Call, index: int) -> Shown:
    return signal_set(call.u64(index), call.before.at(call.u64(index), 8))


def _show_old_mask(call: Call, index: int) -> Shown:
    found = call.after.at(call.u64(index), 8) if call.done else None
    return signal_set(call.u64(index), found)


def _action(addr: int, raw: bytes | None) -> Shown:
    """The kernel's struct sigaction: handler, flags, restorer, mask, 8 bytes each."""
    if not addr or not raw or len(raw) < 32:
        return unreadable(addr, raw and b"")
    handler, bits, restorer = unpack_from("<QQQ", raw)
    name = HANDLERS.get(handler, hex(handler))
    mask = signal_set(1, raw[24:32]).text
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


def _show_signal(call: Call, index: int) -> Shown:
    number = call.i32(index)
    return Shown(
        SIGNALS.text(number), SIGNALS.meaning(number) if number else "none: only ask whether one could be sent"
    )


SIGNAL = Kind("signal", _show_signal)


_NEW_ACTION = Kind("sigaction", lambda call, index: _action(call.u64(index), call.before.at(call.u64(index), 32)))
_OLD_ACTION = Kind(
    "sigaction", lambda call, index: _action(call.u64(index), call.after.at(call.u64(index), 32) if call.done else None)
)
_SIG = arg("sig", SIGNAL, "which signal")
_SIZE = arg("sigsetsize", SIZE)

CALLS = (
    call("kill", "Send a signal to a process.", arg("pid", INT, "to whom"), _SIG),
    call("tkill", "Send a signal to a thread.", arg("tid", INT, "to whom"), _SIG),
    call("tgkill", "Send a signal to a thread of a process.", arg("tgid", INT), arg("tid", INT, "to whom"), _SIG),
    call(
        "rt_sigaction",
        "Say what is to happen when a signal comes.",
        arg("signum", SIGNAL, "which signal"),
        arg("act", _NEW_ACTION, "what from now on"),
        arg("oldact", _OLD_ACTION, "what until now"),
        _SIZE,
    ),
    call(
        "rt_sigprocmask",
        "Hold back signals, or let them through again.",
        arg("how", named("how", PROCMASK)),
        arg("set", Kind("sigset", _show_mask)),
        arg("oldset", Kind("sigset", _show_old_mask)),
        _SIZE,
    ),
    call("pause", "Sleep until a signal comes.", result="number"),
    call("alarm", "Ask for SIGALRM after a time.", arg("seconds", UINT), result="number"),
)
