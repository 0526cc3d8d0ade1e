"""The environment socklab was started with: what a program it starts is given.

In: this process's environment, and what the kernel keeps of how it began. Out: variables as strings; bytes that are
not UTF-8 survive. Kept lean: it runs before the engine is started.
"""

from __future__ import annotations

import os

_ADDED = "LC_CTYPE"
"""Put there by Python itself where the locale is C or POSIX (PEP 538)."""


def inherited() -> dict[str, str]:
    """The variables without those that this interpreter has added at its start."""
    variables = dict(os.environ)
    if _ADDED in variables and not _began_with(_ADDED):
        del variables[_ADDED]
    return variables


def _began_with(name: str) -> bool:
    try:
        with open("/proc/self/environ", "rb") as file:
            return any(entry.startswith(f"{name}=".encode()) for entry in file.read().split(b"\0"))
    except OSError:
        return True  # no /proc: better one variable too many than one of the user's too few
