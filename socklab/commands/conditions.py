"""Stop conditions a student types: `accept`, `read fd=4`, `write errno=EPIPE`, `close socket`, `any error`.

In: one line of text. Out: a Condition, asked at every stop of a running program whether this is the one. Knows calls
by name only; never reads anything.

A condition is the calls, then what must hold of them, all of it:

    accept              before every accept (accept4 counts: C libraries choose between them)
    socket|bind         before either
    read fd=4           before a read of descriptor 4 (recv and readv count); `fd=4|5` = of either
    close socket        before a close of a socket, not of a file
    write errno=EPIPE   after a write that failed so; `errno=EPIPE|ECONNRESET` = with either
    any error           after any call that failed; `accept error` = after an accept that failed
    accept ok           after an accept that did not
    accept result=4     after an accept that returned 4

A word about the outcome (errno, error, ok, result) stops after the call; otherwise the stop is before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from socklab.core.errors import UsageError
from socklab.core.suggest import nearest
from socklab.syscalls.errors import errno_numbers
from socklab.syscalls.groups import RUN_CALLS, WORDS, fd_argument, own_fds
from socklab.syscalls.tables import ARCHITECTURES, numbers_by_name

ALIASES = WORDS
"""A word that stands here means all of its calls, as it does in lessons."""

_FLAGS = ("error", "ok", "socket")
_KEYS = {"fd": "fds", "errno": "errnos", "result": "results"}
"""By the word before the `=`: the field of a Condition."""
_ANY = ("any", "*")


class Condition(msgspec.Struct, frozen=True):
    """When to stop. Empty sets ask for nothing."""

    text: str
    calls: frozenset[str] = frozenset()
    """System calls by name; empty = any."""
    fds: frozenset[int] = frozenset()
    errnos: frozenset[int] = frozenset()
    results: frozenset[int] = frozenset()
    error: bool = False
    ok: bool = False
    socket: bool = False

    @property
    def at_return(self) -> bool:
        """Whether the outcome counts, so that the stop is after the call."""
        return self.error or self.ok or bool(self.errnos) or bool(self.results)

    def wants_enter(self, name: str, args: tuple[int, ...], is_socket: bool) -> bool:
        """Whether to stop before this call. `is_socket`: a descriptor it names is a socket."""
        return not self.at_return and self._fits(name, args, is_socket)

    def wants_return(self, name: str, args: tuple[int, ...], result: int, is_socket: bool) -> bool:
        """Whether to stop after this call. `result` is the signed register: negative = -errno.

        Results the kernel restarts by itself (-512 and below) are no errors: the program never sees them.
        """
        if not self.at_return or not self._fits(name, args, is_socket):
            return False
        failed = -512 < result < 0
        if self.error and not failed:
            return False
        if self.ok and result < 0:
            return False
        if self.errnos and not (failed and -result in self.errnos):
            return False
        return not self.results or result in self.results

    def _fits(self, name: str, args: tuple[int, ...], is_socket: bool) -> bool:
        if self.calls and name not in self.calls:
            return False
        if self.socket and not is_socket:
            return False
        if not self.fds:
            return True
        # A descriptor is an int: the upper half of the register is not looked at.
        return any((fd - (1 << 32) if fd >> 31 else fd) in self.fds for fd in own_fds(name, args))


def parse(text: str) -> Condition:
    """The condition a line stands for.

    Raises UsageError naming the word that is not known and the nearest one that is.
    """
    groups = [word.split("|") for word in re.sub(r"\s*[|,]\s*", "|", text.strip()).split()]
    if any("" in group for group in groups):
        raise UsageError(f"A `|` with nothing beside it in the stop condition `{text}`.", fix="Say `socket|bind`.")
    if not groups:
        raise UsageError("An empty stop condition.", fix="Name a call, such as `accept`, or write `any error`.")
    calls: frozenset[str] = frozenset()
    if "=" not in groups[0][0] and groups[0] not in (["error"], ["ok"]):
        calls = _calls(groups.pop(0))
    asked: dict[str, Any] = {}
    for group in groups:
        first = group[0]
        if "=" in first:
            key, _, value = first.partition("=")
            if key not in _KEYS:
                raise UsageError(f"Unknown word `{key}=` in the stop condition `{text}`.", fix=_nearest(key, _KEYS))
            asked[_KEYS[key]] = frozenset(_number(key, each, text) for each in (value, *group[1:]))
        elif len(group) == 1 and first in _FLAGS:
            asked[first] = True
        else:
            raise UsageError(
                f"Unknown word `{'|'.join(group)}` in the stop condition `{text}`.",
                fix=_nearest(first, (*_FLAGS, *(f"{key}=" for key in _KEYS))) + " Join calls with `|`.",
            )
    if "ok" in asked and ("error" in asked or "errnos" in asked):
        raise UsageError(f"`{text}` asks for a call that worked and failed.", fix="Leave out `ok` or the error.")
    return Condition(text.strip(), calls, **asked)


def _calls(words: list[str]) -> frozenset[str]:
    if len(words) == 1 and words[0] in _ANY:
        return frozenset()
    found: set[str] = set()
    for word in words:
        name = word.removesuffix("()").removesuffix("(2)")
        if name in ALIASES:
            found.update(ALIASES[name])
        elif any(name in numbers_by_name(arch) for arch in ARCHITECTURES):
            found.add(name)
        else:
            known = {*ALIASES, *_ANY, *(each for arch in ARCHITECTURES for each in numbers_by_name(arch))}
            raise UsageError(f"There is no system call `{word}`.", fix=_nearest(name, known))
    return frozenset(found)


def _number(key: str, value: str, text: str) -> int:
    if key == "errno" and not value.isdigit():
        names = errno_numbers()
        if value.upper() not in names:
            raise UsageError(f"There is no error `{value}`.", fix=_nearest(value.upper(), names))
        return names[value.upper()]
    try:
        return int(value)
    except ValueError:
        raise UsageError(
            f"`{key}=` needs a number in the stop condition `{text}`, not `{value}`.", fix=f"Say `{key}=4`."
        ) from None


def _nearest(word: str, known: Iterable[str]) -> str:
    near = nearest(word, known)
    return f"Did you mean `{near}`?" if near else "Name a call, such as `accept`, `read fd=4` or `any error`."


# ---------------------------------------------------------------- completion

COMMON = ("accept", "read", "write", "close", "socket", "bind", "listen", "connect", "any error", "fork", "epoll_wait")
"""Offered before a letter is typed."""

_ERRNOS = (
    "EPIPE", "ECONNRESET", "ECONNREFUSED", "EAGAIN", "EADDRINUSE", "EINTR", "EMFILE", "ENOTCONN", "EBADF", "EINVAL",
    "ETIMEDOUT", "EINPROGRESS", "EACCES", "ENOBUFS",
)  # fmt: skip
"""What servers meet."""


def offers(before: Sequence[str], last: str, fds: Iterable[int]) -> list[str]:
    """What the last word of a half-typed condition may become; `fds`: descriptors that are open now."""
    if not before:
        return [*COMMON, *(sorted({*ALIASES, *RUN_CALLS} - {*COMMON}) if last else ())]
    key, sign, _ = last.partition("=")
    if sign:
        values: Iterable[object] = fds if key == "fd" else _ERRNOS if key == "errno" else ()
        return [f"{key}={value}" for value in values]
    name = before[0].split("|")[0]
    takes_fd = name in _ANY or any(fd_argument(call) is not None for call in ALIASES.get(name, (name,)))
    taken = {word.partition("=")[0] for word in before[1:]}
    words = ("fd=", "socket", "errno=", "error", "ok", "result=")
    return [word for word in words if word.rstrip("=") not in taken and (takes_fd or word not in ("fd=", "socket"))]
