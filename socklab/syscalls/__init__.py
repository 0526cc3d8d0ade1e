"""What is known about system calls: numbers, groups, what to read of their arguments, how to show them.

The engine uses the first half (`number`, `capturers`, groups): small tables. Consumers use the second (`decode`,
`strace_text`, `signature`), loaded when first asked for. Pure: memory reaches it as bytes, never by its own reading.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from socklab.syscalls.capture import PREFIX_BYTES, Capturer, capturers
from socklab.syscalls.groups import (
    DESCRIPTOR_CALLS,
    LESSON_CALLS,
    PROCESS_CALLS,
    RUN_CALLS,
    SOCKET_CALLS,
    fd_argument,
    makes_socket,
    may_block,
    returns_fd,
)
from socklab.syscalls.tables import ARCHITECTURES, name, number, numbers

if TYPE_CHECKING:
    from socklab.syscalls.call import DecodedArg, DecodedCall, Field, Signature
    from socklab.syscalls.decoding import decode, signature, strace_text
    from socklab.syscalls.errors import errno_meaning, errno_name

_LAZY = {
    "DecodedArg": "call",
    "DecodedCall": "call",
    "Field": "call",
    "Signature": "call",
    "decode": "decoding",
    "signature": "decoding",
    "strace_text": "decoding",
    "errno_meaning": "errors",
    "errno_name": "errors",
}


def __getattr__(attribute: str) -> object:
    if attribute in _LAZY:
        value: object = getattr(import_module(f"socklab.syscalls.{_LAZY[attribute]}"), attribute)
        globals()[attribute] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")


__all__ = [
    "ARCHITECTURES",
    "DESCRIPTOR_CALLS",
    "LESSON_CALLS",
    "PREFIX_BYTES",
    "PROCESS_CALLS",
    "RUN_CALLS",
    "SOCKET_CALLS",
    "Capturer",
    "DecodedArg",
    "DecodedCall",
    "Field",
    "Signature",
    "capturers",
    "decode",
    "errno_meaning",
    "errno_name",
    "fd_argument",
    "makes_socket",
    "may_block",
    "name",
    "number",
    "numbers",
    "returns_fd",
    "signature",
    "strace_text",
]
