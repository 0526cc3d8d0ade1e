"""Runs a function in a forked child, as another user or with syscalls refused, and hands back what it returned."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import platform
import pwd
import signal
import stat
import struct
import traceback
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_NUMBERS = {
    "x86_64": {"unshare": 272, "mount": 165, "sendto": 44, "setns": 308},
    "aarch64": {"unshare": 97, "mount": 40, "sendto": 206, "setns": 268},
}
NOBODY = pwd.getpwnam("nobody").pw_uid
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 4, 22, 38


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _refuse(names: tuple[str, ...], number: int) -> None:
    """A seccomp filter under which the syscalls named fail with errno `number` and all others go on."""
    statements = [(0x20, 0, 0, 0)]  # load the syscall's number
    for name in names:
        statements += [(0x15, 0, 1, _NUMBERS[platform.machine()][name]), (0x06, 0, 0, 0x00050000 | number)]
    statements.append((0x06, 0, 0, 0x7FFF0000))
    code = b"".join(struct.pack("=HBBI", *statement) for statement in statements)
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(statements), ctypes.cast(ctypes.create_string_buffer(code, len(code)), ctypes.c_char_p))
    assert libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0) == 0


def _let_go_of_files() -> None:
    """Files that came with the fork become /dev/null: others write to them, and their positions move."""
    null = os.open("/dev/null", os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own number is closed by now
            if stat.S_ISREG(os.fstat(int(name)).st_mode):
                os.dup2(null, int(name))
    os.close(null)


def in_child(
    act: Callable[[], T], *, user: int | None = None, refuse: tuple[str, ...] = (), number: int = 1, seconds: int = 120
) -> T:
    """`act()` in a forked, single-threaded child: as user id `user`, with the syscalls of `refuse` failing.

    Modules the child needs must be imported before: another user may not be able to read them. A failure in the
    child is an AssertionError here with its traceback.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _let_go_of_files()
        signal.alarm(seconds)  # a child that hangs dies, and the test says so
        try:
            if user is not None:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
                # Changing user marks the process undumpable and gives its /proc/self to root; a login shell's exec
                # would clear that.
                ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
            if refuse:
                _refuse(refuse, number)
            answer = pickle.dumps((True, act()))
        except BaseException:
            answer = pickle.dumps((False, traceback.format_exc()))
        with os.fdopen(writing, "wb") as out:
            out.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as source:
        answer = source.read()
    status = os.waitpid(pid, 0)[1]
    assert answer, f"the child died without a word (status {status})"
    good, value = pickle.loads(answer)
    assert good, value
    result: T = value
    return result
