"""Signals: one, a set of them, and what is done about them.

In and out as common.py says. Source: signal(7), sigaction(2), sigprocmask(2).
"""

from __future__ import annotations

from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_process import HANDLERS, SIGACTION, SIGNALS
from socklab.syscalls.show.common import struct

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
