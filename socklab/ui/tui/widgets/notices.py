"""Notices of the engine as lines: what it says, and the fix.

In: the log of notices. Out: Lines, newest last. Never dismisses one.
"""

from __future__ import annotations

from socklab.core.persistent import Log
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.view.lines import Line, wrap

_MOST = 3
_SIGNS = {"error": ("✗", "bad"), "warning": ("!", "warn")}


def lines(notices: Log[ev.Notice], read: int, width: int) -> list[Line]:
    """The last few notices, without the first `read` of the run."""
    first = max(read - notices.dropped, len(notices) - _MOST, 0)
    found: list[Line] = []
    for notice in notices[first:]:
        mark, role = _SIGNS.get(notice.level, ("·", "dim"))
        for part, text in enumerate(safe(notice.text, lines=True).split("\n")):
            head = "   " if part else f" {mark} "
            found += wrap(((head, role), (text, "" if part else "strong")), width - 1, 3)
        if notice.fix:
            found += wrap((("   ", ""), (safe(notice.fix), "dim")), width - 1, 3)
    return found
