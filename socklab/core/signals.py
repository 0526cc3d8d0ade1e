"""The names of signals.

In: a number. Out: SIGPIPE, or what can be said of a signal without a name. Pure.
"""

from __future__ import annotations

_NAMES = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG "
    "XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
)
"""From 1 on. asm-generic/signal.h: x86-64 and aarch64 agree, whatever machine a recording is shown on."""


def signal_name(number: int) -> str:
    """SIGPIPE of 13; `signal 40` of a real-time signal, which has no name."""
    names = _NAMES.split()
    return f"SIG{names[number - 1]}" if 0 < number <= len(names) else f"signal {number}"
