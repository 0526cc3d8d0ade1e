"""What a half-typed stop condition may become: calls, then words about them, errors by name, open descriptors.

In: the text after `until`. Out: longer texts. Knows what `socklab.commands.conditions` understands; never parses.
"""

from __future__ import annotations

from collections.abc import Iterable

from socklab.commands.conditions import ALIASES
from socklab.syscalls.groups import fd_argument

COMMON = ("accept", "read", "write", "close", "socket", "bind", "listen", "connect", "any error", "fork", "epoll_wait")
"""Offered before a letter is typed."""

_WORDS = ("fd=", "socket", "errno=", "error", "ok", "result=")
_ERRNOS = (
    "EPIPE", "ECONNRESET", "ECONNREFUSED", "EAGAIN", "EADDRINUSE", "EINTR", "EMFILE", "ENOTCONN", "EBADF", "EINVAL",
    "ETIMEDOUT", "EINPROGRESS", "EACCES", "ENOBUFS",
)  # fmt: skip
"""What servers meet."""


def conditions(text: str, fds: Iterable[int]) -> list[str]:
    """Texts that `text` may be meant to become; `fds`: descriptors that are open now."""
    before, blank, last = text.rpartition(" ")
    if not blank:
        return _calls(last)
    key, sign, value = last.partition("=")
    if sign and key == "fd":
        return [f"{before} fd={fd}" for fd in fds if str(fd).startswith(value)]
    if sign and key == "errno":
        return [f"{before} errno={name}" for name in _ERRNOS if name.startswith(value.upper())]
    name = before.split()[0].split("|")[0]
    known = ALIASES.get(name, (name,))
    words = [word for word in _WORDS if word not in ("fd=", "socket") or name == "any" or _takes_fd(known)]
    taken = {each.partition("=")[0] for each in before.split()[1:]}
    return [f"{before} {word}" for word in words if word.startswith(last) and word.rstrip("=") not in taken]


def _takes_fd(names: Iterable[str]) -> bool:
    return any(fd_argument(name) is not None for name in names)


def _calls(prefix: str) -> list[str]:
    if not prefix:
        return list(COMMON)
    from socklab.syscalls import groups

    known = {*ALIASES, *groups.RUN_CALLS, "any error"}
    found = [name for name in COMMON if name.startswith(prefix)]
    return found + sorted(name for name in known if name.startswith(prefix) and name not in found)
