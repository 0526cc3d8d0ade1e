"""What is known about system calls: numbers, groups, what to read of their arguments, how to show them.

All that is particular to one call is its entry in `table/`. The engine uses `number`, `capturers` and the groups;
consumers use `decode` and `strace_text`. Everything but the numbers is loaded when first asked for. Pure: memory
reaches it as bytes, never by its own reading.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from socklab.syscalls.tables import ARCHITECTURES, name, number, numbers

if TYPE_CHECKING:
    from socklab.syscalls.call import DecodedArg, DecodedCall, Field
    from socklab.syscalls.capture import PREFIX_BYTES, Capturer
    from socklab.syscalls.decoding import decode, strace_text
    from socklab.syscalls.errors import errno_meaning, errno_name
    from socklab.syscalls.groups import (
        LESSON_CALLS,
        RUN_CALLS,
        RUN_PAUSED,
        RUN_RECORDED,
        FdArgument,
        fd_argument,
        fd_arguments,
        moves_unnamed,
        own_fds,
        partly,
        returns_fd,
        touches,
    )
    from socklab.syscalls.kinds import capturers

_HOMES = {
    "call": "DecodedArg DecodedCall Field",
    "capture": "PREFIX_BYTES Capturer",
    "decoding": "decode strace_text",
    "errors": "errno_meaning errno_name",
    "groups": "LESSON_CALLS RUN_RECORDED RUN_CALLS RUN_PAUSED FdArgument fd_argument fd_arguments own_fds "
    "moves_unnamed partly returns_fd touches",
    "kinds": "capturers",
}
_LAZY = {attribute: module for module, names in _HOMES.items() for attribute in names.split()}


def __getattr__(attribute: str) -> object:
    if attribute in _LAZY:
        value: object = getattr(import_module(f"socklab.syscalls.{_LAZY[attribute]}"), attribute)
        globals()[attribute] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")


__all__ = [
    "ARCHITECTURES",
    "LESSON_CALLS",
    "PREFIX_BYTES",
    "RUN_CALLS",
    "RUN_PAUSED",
    "RUN_RECORDED",
    "Capturer",
    "DecodedArg",
    "DecodedCall",
    "FdArgument",
    "Field",
    "capturers",
    "decode",
    "errno_meaning",
    "errno_name",
    "fd_argument",
    "fd_arguments",
    "moves_unnamed",
    "name",
    "number",
    "numbers",
    "own_fds",
    "partly",
    "returns_fd",
    "strace_text",
    "touches",
]
