"""Arguments of calls that make processes, run programs and wait: clone flags, argument strings, a wait status.

In and out as common.py says. Source: clone(2), execve(2), wait4(2).
"""

from __future__ import annotations

from struct import unpack_from

from socklab.core.plural import counted
from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_process import (
    CLONE,
    CLONE_CHILD_CLEARTID,
    CLONE_CHILD_SETTID,
    CLONE_FILES,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_SETTLS,
    CLONE_THREAD,
    CLONE_VM,
    SIGNALS,
)
from socklab.syscalls.show.common import pointer_text, string, unreadable

# ---------------------------------------------------------------- clone


def _clone_meaning(bits: int) -> str:
    if bits & CLONE_THREAD:
        return "a thread: same memory, same descriptor table"
    shared = [word for bit, word in ((CLONE_VM, "memory"), (CLONE_FILES, "the descriptor table")) if bits & bit]
    return (
        "a process that shares " + " and ".join(shared) if shared else "a process with a copy of the descriptor table"
    )


def clone_flags(call: Call, index: int) -> Shown:
    value = call.u64(index)
    bits, signal = value & ~0xFF, value & 0xFF
    text = CLONE.text(bits) if bits else ""
    if signal:
        text += ("|" if text else "") + SIGNALS.text(signal)
    return Shown(text or "0", _clone_meaning(bits))


def tid(call: Call, index: int, flags_at: int) -> Shown:
    addr = call.u64(index)
    data = call.after.at(addr, 4)
    if data and len(data) == 4 and call.done:
        return Shown(f"[{unpack_from('<i', data)[0]}]", data=data)
    return Shown(pointer_text(addr))


_CLONE3 = ("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls")


def clone_args(call: Call, raw: bytes) -> Shown:
    values = dict(zip(_CLONE3, unpack_from("<8Q", raw), strict=True))
    bits = values["flags"]
    parts = [f"flags={CLONE.strace(bits)}"]
    for name, bit in (("child_tid", CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID), ("parent_tid", CLONE_PARENT_SETTID)):
        if bits & bit:
            parts.append(f"{name}={pointer_text(values[name])}")
    parts.append(f"exit_signal={SIGNALS.text(values['exit_signal'])}")
    parts.append(f"stack={pointer_text(values['stack'])}")
    parts.append(f"stack_size={hex(values['stack_size']) if values['stack_size'] else '0'}")
    if bits & CLONE_SETTLS:
        parts.append(f"tls={pointer_text(values['tls'])}")
    strace = "{" + ", ".join(parts) + "}"
    stored = call.after.at(values["parent_tid"], 4) if bits & CLONE_PARENT_SETTID else None
    if call.done and stored and len(stored) == 4:
        strace += f" => {{parent_tid=[{unpack_from('<i', stored)[0]}]}}"
    fields = tuple(Field(name, at * 8, 8, hex(values[name])) for at, name in enumerate(_CLONE3))
    return Shown(f"{{{CLONE.text(bits)}}}", _clone_meaning(bits), raw, fields, strace)


def clone_arguments(call: Call) -> list[str]:
    """strace's own order and names of clone's registers, which stand differently on each architecture."""
    bits = call.u64(0)
    tls, child = (3, 4) if call.machine.clone_tls_first else (4, 3)
    parts = [f"child_stack={pointer_text(call.u64(1))}", f"flags={clone_flags(call, 0).text}"]
    if bits & (CLONE_PARENT_SETTID | CLONE_PIDFD):
        parts.append(f"parent_tid={tid(call, 2, 0).text}")
    if bits & CLONE_SETTLS:
        parts.append(f"tls={pointer_text(call.u64(tls))}")
    if bits & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID):
        parts.append(f"child_tidptr={pointer_text(call.u64(child))}")
    return parts


# ---------------------------------------------------------------- exec and wait


def argv(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    array = call.before.at(addr, 8192)
    if not addr or not array:
        return unreadable(addr, array)
    texts, straces = [], []
    for at in range(0, len(array) // 8 * 8, 8):
        (pointer,) = unpack_from("<Q", array, at)
        if not pointer:
            break
        shown = string(call.before.at(pointer, 4096), pointer, call.string_limit)
        texts.append(shown.text)
        straces.append(shown.strace or shown.text)
    if len(straces) > call.string_limit:
        straces = [*straces[: call.string_limit], "..."]
    return Shown("[" + ", ".join(texts) + "]", "its arguments", strace="[" + ", ".join(straces) + "]")


def envp(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    array = call.before.at(addr, 1 << 16)
    if not addr or not array:
        return unreadable(addr, array)
    count = len(array) // 8 - (array[-8:] == bytes(8))
    many = counted(count, "var")
    return Shown(many, "its environment", strace=f"{addr:#x} /* {many} */")


def status_text(status: int) -> Shown:
    """A wait status: how a child ended or stopped."""
    if status == 0xFFFF:
        return Shown("continued", strace="WIFCONTINUED(s)")
    if status & 0x7F == 0:
        code = status >> 8 & 0xFF
        return Shown(f"exited with {code}", strace=f"WIFEXITED(s) && WEXITSTATUS(s) == {code}")
    if status & 0xFF == 0x7F:
        name = SIGNALS.text(status >> 8 & 0xFF)
        return Shown(f"stopped by {name}", strace=f"WIFSTOPPED(s) && WSTOPSIG(s) == {name}")
    name = SIGNALS.text(status & 0x7F)
    core = " && WCOREDUMP(s)" if status & 0x80 else ""
    return Shown(
        f"killed by {name}{', core dumped' if core else ''}", strace=f"WIFSIGNALED(s) && WTERMSIG(s) == {name}{core}"
    )


def wait_status(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    data = call.after.at(addr, 4)
    if not addr or not data or len(data) < 4 or not call.result or call.result < 0:
        return Shown(pointer_text(addr))
    shown = status_text(unpack_from("<I", data)[0])
    return Shown(f"[{shown.text}]", shown.text, data, strace=f"[{{{shown.strace}}}]")
