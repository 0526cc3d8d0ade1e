"""A raw call and its captured memory to names, symbols and explanations; and to the line strace would print.

In: events.Enter, its events.Return if there is one, the architecture. Out: DecodedCall, or text. Total: any registers
and any bytes give a result; never an exception.
"""

from __future__ import annotations

from collections.abc import Callable

from socklab.events import Enter, Return
from socklab.syscalls.call import Call, DecodedArg, DecodedCall, Signature
from socklab.syscalls.errors import errno_meaning, errno_name
from socklab.syscalls.tables import name as name_of


def signature(name: str) -> Signature | None:
    """What is known about the call's parameters; None = its arguments are shown as bare numbers."""
    return None


def decode(
    arch: str, enter: Enter, returned: Return | None = None, target: Callable[[int], str] | None = None
) -> DecodedCall:
    """One call as a student reads it. `target(fd)` tells what a descriptor is ("socket:[123]"), if the caller knows."""
    call = Call(arch, name_of(arch, enter.nr), enter, returned, target)
    args = tuple(DecodedArg(f"arg{index}", hex(call.u64(index))) for index in range(6))
    if call.result is None:
        return DecodedCall(call.name, args)
    if -4095 <= call.result < 0:
        error = errno_name(-call.result)
        return DecodedCall(
            call.name, args, f"-1 {error}", call.result, error, outcome=errno_meaning(call.name, -call.result)
        )
    return DecodedCall(call.name, args, str(call.result), call.result)


def strace_text(arch: str, enter: Enter, returned: Return | None = None, string_limit: int = 32) -> str:
    """The line `strace -s string_limit` prints for this call."""
    return ""
