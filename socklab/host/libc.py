"""What Python has no function for: prctl(2) and the checked form of a libc call.

In: numbers. Out: nothing, or the kernel's refusal as an OSError with its errno. Decides nothing. ptrace has bindings of
its own (engine/tracing/ptrace.py): they are made at every stop and keep the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36  # include/uapi/linux/prctl.h

c_library = ctypes.CDLL(None, use_errno=True)
c_library.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


def checked(result: int, what: str) -> int:
    """The result of a libc call; raises OSError where it is -1."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def prctl(option: int, value: int, address: int = 0) -> None:
    checked(c_library.prctl(option, value, address, 0, 0), "prctl")


def die_with_parent(signo: int = signal.SIGKILL) -> None:
    """Have the kernel send `signo` to this process when the thread that forked it ends."""
    prctl(_PR_SET_PDEATHSIG, signo)


def become_subreaper() -> None:
    """Orphans of our descendants become our children instead of init's."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def name_process(name: str) -> None:
    """What `ps` and /proc/PID/comm call this process; at most 15 bytes."""
    text = ctypes.create_string_buffer(name.encode()[:15])
    prctl(_PR_SET_NAME, ctypes.addressof(text))
