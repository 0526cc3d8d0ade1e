"""The names of signals.

In: a number. Out: SIGPIPE, or what can be said of a signal without a name. Pure.
"""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """SIGPIPE of 13; `signal 40` of a real-time signal, which has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
