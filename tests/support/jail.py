"""A container's seccomp filter in small: one system call is refused, everything else allowed.

    python -m tests.support.jail memfd_create ENOSYS -- socklab lesson lifecycle --auto

In: the call's name, the errno it gives, a command. The filter holds for the command and all it starts. The call's
number and the architecture's constant are those of socklab.arch; the filter itself is written here, after seccomp(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

from socklab import arch as machines, syscalls

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_RET_ERRNO, _RET_ALLOW = 0x00050000, 0x7FFF0000
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _ARCH_AT = 0, 4  # struct seccomp_data


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def refuse(call: str, error: str) -> None:
    """From now on this process, and all it starts, gets `error` for `call`. Can't be taken back."""
    arch = platform.machine()
    number = syscalls.number(arch, call)
    if number is None:
        raise SystemExit(f"{arch} has no {call}")
    lines = (
        (_LOAD, 0, 0, _ARCH_AT),
        (_JUMP_EQUAL, 0, 2, machines.of(arch).audit_arch),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_EQUAL, 1, 0, number),
        (_RETURN, 0, 0, _RET_ALLOW),
        (_RETURN, 0, 0, _RET_ERRNO | getattr(errno, error)),
    )
    buffer = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    program = _Program(len(lines), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid():
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    refused, error, _, *command = sys.argv[1:]
    refuse(refused, error)
    os.execvp(command[0], command)
