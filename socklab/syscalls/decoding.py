"""A raw call and its captured memory to names, symbols and explanations; and to the line strace would print.

In: events.Enter, its events.Return if there is one, the architecture. Out: DecodedCall, or text. Total: any registers
and any bytes give a result; never an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from socklab.protocol.events import Enter, Return
from socklab.syscalls.call import Call, DecodedArg, DecodedCall, Shown, Signature
from socklab.syscalls.descriptors import fcntl_takes_argument, ioctl_takes_argument
from socklab.syscalls.processes import clone_arguments
from socklab.syscalls.results import show as show_result
from socklab.syscalls.tables import name as name_of

_O_CREAT, _O_TMPFILE = 0o100, 0o20000000


@cache
def _signatures() -> dict[str, Signature]:
    from socklab.syscalls import descriptors, polling, processes, resources, signals, sockets

    families = (sockets, descriptors, polling, processes, signals, resources)
    return {each.name: each for family in families for each in family.CALLS}


def signature(name: str) -> Signature | None:
    """What is known about the call's parameters; None = its arguments are shown as bare numbers."""
    return _signatures().get(name)


def _arity(call: Call, known: Signature) -> int:
    """How many of the parameters this very call has: some depend on another (open's mode, fcntl's arg)."""
    count = len(known.args)
    if call.name in ("open", "openat"):
        return count if call.u32(count - 2) & (_O_CREAT | _O_TMPFILE) else count - 1
    if call.name == "fcntl" and not fcntl_takes_argument(call.u32(1)):
        return 2
    if call.name == "ioctl" and not ioctl_takes_argument(call.u32(1)):
        return 2
    return count


def _bare(call: Call, index: int) -> Shown:
    value = call.u64(index)
    return Shown(hex(value) if value else "0")


def _shown(call: Call, known: Signature | None) -> list[tuple[str, str, Shown]]:
    """Name, general meaning and decoded value of each argument."""
    if known is None:
        return [(f"arg{index}", "", _bare(call, index)) for index in range(6)]
    parameters = known.args[: _arity(call, known)]
    if call.name == "clone" and call.arch != "x86_64":  # tls and child_tid stand the other way round there (clone(2))
        parameters = (*parameters[:3], parameters[4], parameters[3])
    return [(each.name, each.meaning, each.show(call, index)) for index, each in enumerate(parameters) if each.name]


def decode(
    arch: str, enter: Enter, returned: Return | None = None, target: Callable[[int], str] | None = None
) -> DecodedCall:
    """One call as a student reads it. `target(fd)` tells what a descriptor is ("socket:[123]"), if the caller knows."""
    call = Call(arch, name_of(arch, enter.nr), enter, returned, target)
    known = signature(call.name)
    args = tuple(
        DecodedArg(name, shown.text, shown.meaning or meaning, shown.data, shown.fields)
        for name, meaning, shown in _shown(call, known)
    )
    meaning = known.meaning if known is not None else ""
    if call.result is None:
        return DecodedCall(call.name, args, meaning=meaning)
    result = show_result(call, known.result if known is not None else "number")
    return DecodedCall(call.name, args, result.text, call.result, result.errno, meaning, result.outcome)


def strace_text(arch: str, enter: Enter, returned: Return | None = None, string_limit: int = 32) -> str:
    """The call as `strace -s string_limit` prints it with its other settings untouched.

    Without a `returned` the line ends behind the closing parenthesis, except for calls that never return. strace
    decodes more calls than these; a call without a signature here shows six bare registers.
    """
    call = Call(arch, name_of(arch, enter.nr), enter, returned, string_limit=string_limit)
    known = signature(call.name)
    if call.name == "clone":
        parts = clone_arguments(call)
    else:
        parts = [shown.strace or shown.text for _, _, shown in _shown(call, known)]
    line = f"{call.name}({', '.join(parts)})"
    if call.result is None:
        return f"{line} = ?" if known is not None and known.result == "none" else line
    return f"{line} = {show_result(call, known.result if known is not None else 'number').strace}"
