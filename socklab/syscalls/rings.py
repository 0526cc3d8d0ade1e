"""What lies in an io_uring, in words: operations to be taken, those that wait, results.

In: a `Ring` as the engine read it. Out: lines of text. Total: any numbers give a result.
Source: io_uring_enter(2), linux/io_uring.h.
"""

from __future__ import annotations

from socklab.core.text import safe
from socklab.protocol.rows import Completion, Ring, Submission
from socklab.syscalls.constants_io import IO_URING_OPERATIONS
from socklab.syscalls.errors import errno_name


def lines(ring: Ring) -> list[str]:
    """`to submit: accept on 3, recv on 5`, `waiting: accept`, `completed: recv on 5 = 2`; what is empty is not told."""
    names = (IO_URING_OPERATIONS.text(number) for number in ring.armed)
    told = {
        "to submit": [_operation(each) for each in ring.submitted],
        "waiting": [name.removeprefix("IORING_OP_").lower() for name in names],
        "completed": [f"{_operation(each)} = {_result(each.result)}" for each in ring.completed],
        "registered files": [safe(each) for each in ring.files],
        "taken without a call by the kernel's thread": [str(ring.thread)] if ring.thread else [],
    }
    found = [f"{what}: {', '.join(entries)}" for what, entries in told.items() if entries]
    return [*found, "and more"] if ring.more else found


def _operation(each: Submission | Completion) -> str:
    if not each.operation:
        return f"user_data {each.user_data}"
    name = safe(each.operation).lower()
    return f"{name} on {'registered file ' if each.fixed else ''}{each.fd}" if each.fd >= 0 else name


def _result(number: int) -> str:
    return f"-1 {errno_name(-number)}" if number < 0 else str(number)
