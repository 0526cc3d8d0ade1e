"""The kernel's tracing interface: ptrace requests and the seccomp filter. Bindings only.

In: process ids and plain numbers. Out: plain numbers, or ProcessGone when the kernel says ESRCH. Holds no policy and
no state. Every request for a tracee must come from the thread that seized it: the kernel answers ESRCH to others.

Sources: ptrace(2), seccomp(2), prctl(2), linux/ptrace.h, linux/seccomp.h, linux/audit.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from socklab.arch.model import Arch
from socklab.host import libc

PTRACE_POKEUSER = 6
PTRACE_CONT = 7
PTRACE_DETACH = 17
PTRACE_SYSCALL = 24
PTRACE_GETEVENTMSG = 0x4201
PTRACE_GETSIGINFO = 0x4202
PTRACE_GETREGSET = 0x4204
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
PTRACE_LISTEN = 0x4208
PTRACE_GET_SYSCALL_INFO = 0x420E

O_TRACESYSGOOD = 1
O_TRACEFORK = 1 << 1
O_TRACEVFORK = 1 << 2
O_TRACECLONE = 1 << 3
O_TRACEEXEC = 1 << 4
O_TRACESECCOMP = 1 << 7
O_EXITKILL = 1 << 20

EVENT_FORK = 1
EVENT_VFORK = 2
EVENT_CLONE = 3
EVENT_EXEC = 4
EVENT_SECCOMP = 7
EVENT_STOP = 128

SYSCALL_STOP = 0x85
"""SIGTRAP | 0x80: a syscall stop under TRACESYSGOOD."""

WALL = 0x40000000

_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_SECCOMP_RET_TRACE = 0x7FF00000
_SECCOMP_RET_ALLOW = 0x7FFF0000

# PyDLL keeps the interpreter lock: these requests return at once, and giving the lock away costs more than they do.
_libc = ctypes.PyDLL(None, use_errno=True)
_ptrace = _libc.ptrace
_ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_ptrace.restype = ctypes.c_long
# The four requests of every call, without conversion of arguments and without errno, which together cost as much as
# the request. Small integers travel as C ints, which the ABIs widen; the one address is a pointer made beforehand.
# Where it says -1 the careful form is asked for the reason.
_quick = ctypes.PyDLL(None).ptrace
_quick.restype = ctypes.c_long


class ProcessGone(Exception):
    """ESRCH: the tracee died (or was killed) while it was stopped. Its exit comes out of waitpid next."""


def _fail(request: str, pid: int) -> OSError | ProcessGone:
    number = ctypes.get_errno()
    if number == errno.ESRCH:
        return ProcessGone(pid)
    return OSError(number, f"{request} of {pid}: {os.strerror(number)}")


def seize(pid: int, options: int) -> None:
    """Attach without stopping. Raises PermissionError (Yama, another tracer, another user) or ProcessGone."""
    if _ptrace(PTRACE_SEIZE, pid, None, options) == -1:
        raise _fail("PTRACE_SEIZE", pid)


def resume(request: int, pid: int, signo: int = 0) -> None:
    """PTRACE_CONT, PTRACE_SYSCALL, PTRACE_LISTEN or PTRACE_DETACH, delivering `signo` (0 = none)."""
    if _quick(request, pid, 0, signo) == -1 and _ptrace(request, pid, None, signo) == -1:
        raise _fail("resuming", pid)


def interrupt(pid: int) -> None:
    """Ask a running tracee to stop; the stop arrives as EVENT_STOP."""
    if _ptrace(PTRACE_INTERRUPT, pid, None, None) == -1:
        raise _fail("PTRACE_INTERRUPT", pid)


def event_message(pid: int) -> int:
    """The new task's id at a fork, vfork or clone event; the former thread id at an exec event."""
    value = ctypes.c_ulong()
    if _ptrace(PTRACE_GETEVENTMSG, pid, None, ctypes.addressof(value)) == -1:
        raise _fail("PTRACE_GETEVENTMSG", pid)
    return value.value


_info = ctypes.create_string_buffer(128)
_info_address = ctypes.addressof(_info)
_info_pointer = ctypes.c_void_p(_info_address)
_ENTRY = struct.Struct("=B3xIQQQ6Q").unpack_from
_EXIT = struct.Struct("=B3xIQQqB").unpack_from


Entry: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int, int]
INFO_ENTRY = 1
"""PTRACE_SYSCALL_INFO_ENTRY: what `op` is at an entry; a seccomp stop has another."""


def _careful_info(pid: int) -> None:
    if _ptrace(PTRACE_GET_SYSCALL_INFO, pid, 88, _info_address) == -1:
        raise _fail("PTRACE_GET_SYSCALL_INFO", pid)


def syscall_entry(pid: int) -> Entry:
    """(op, audit arch, instruction pointer, stack pointer, number, six arguments) at an entry or seccomp stop."""
    if _quick(PTRACE_GET_SYSCALL_INFO, pid, 88, _info_pointer) == -1:
        _careful_info(pid)
    return _ENTRY(_info)


def syscall_exit(pid: int) -> tuple[int, int, int, int, int, int]:
    """(op, audit arch, instruction pointer, stack pointer, result, is_error) at an exit stop; op 2 = exit."""
    if _quick(PTRACE_GET_SYSCALL_INFO, pid, 88, _info_pointer) == -1:
        _careful_info(pid)
    return _EXIT(_info)


_SIGINFO = struct.Struct("=iii4xQ").unpack_from


def signal_info(pid: int) -> tuple[int, int, int, int]:
    """(signo, si_code, si_pid, si_addr); si_pid and si_addr are two readings of the same bytes (a union)."""
    buffer = ctypes.create_string_buffer(128)
    if _ptrace(PTRACE_GETSIGINFO, pid, None, ctypes.addressof(buffer)) == -1:
        raise _fail("PTRACE_GETSIGINFO", pid)
    signo, _errno, code, address = _SIGINFO(buffer)
    return signo, code, address & 0xFFFFFFFF, address


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


_NT_PRSTATUS = 1


def _register_set(pid: int) -> bytes:
    """The registers, as many bytes as the task's own architecture has: a 32-bit program has fewer."""
    buffer = ctypes.create_string_buffer(1024)
    vector = _IoVec(ctypes.addressof(buffer), len(buffer))
    if _ptrace(PTRACE_GETREGSET, pid, _NT_PRSTATUS, ctypes.addressof(vector)) == -1:
        raise _fail("PTRACE_GETREGSET", pid)
    return buffer.raw[: vector.length]


def registers(pid: int, arch: Arch) -> tuple[int, int, int, int]:
    """(instruction pointer, stack pointer, frame pointer, link register or 0) of a stopped task."""
    buffer = _register_set(pid)
    at = arch.user_registers
    if len(buffer) < max(at.ip, at.sp) + 8:
        return 0, 0, 0, 0
    ip, sp, fp = (struct.unpack_from("=Q", buffer, offset)[0] for offset in (at.ip, at.sp, at.fp))
    return ip, sp, fp, struct.unpack_from("=Q", buffer, at.lr)[0] if at.lr is not None else 0


def interrupted_call(pid: int, arch: Arch) -> tuple[int, int]:
    """(number, result so far) of the call a stopped task was taken out of; number -1 = it was in no call, or the
    kernel needs no help with calls that were interrupted on this architecture."""
    if arch.call_registers is None:
        return -1, 0
    buffer = _register_set(pid)
    if len(buffer) < arch.call_registers.number + 8:
        return -1, 0
    (number,) = struct.unpack_from("=q", buffer, arch.call_registers.number)
    (result,) = struct.unpack_from("=q", buffer, arch.call_registers.result)
    return number, result


def set_result(pid: int, arch: Arch, result: int) -> None:
    """Put `result` in place of what the call of a stopped task has given, where `interrupted_call` tells it."""
    if arch.call_registers is not None and _ptrace(PTRACE_POKEUSER, pid, arch.call_registers.result, result) == -1:
        raise _fail("PTRACE_POKEUSER", pid)


# ---------------------------------------------------------------- what a child does to itself before exec


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


_LOAD, _JEQ, _JGE, _JSET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16


def filter_program(numbers: Iterable[int], arch: Arch, partly: Mapping[int, tuple[int, int]] | None = None) -> bytes:
    """A classic BPF program: RET_TRACE for these syscall numbers of this architecture, RET_ALLOW for all else.

    `partly`: of these numbers, RET_TRACE only where an argument has one of the bits (of its lower half).
    Calls through another ABI (32-bit, x32) are allowed unseen: their numbers mean other calls. Since Linux 5.11 the
    kernel caches which numbers always give ALLOW, so the calls nobody asked for do not run the filter at all.
    """
    asked = {number: rule for number, rule in (partly or {}).items() if number in set(numbers)}
    wanted = sorted(set(numbers) - set(asked))
    if len(wanted) + 5 * len(asked) > 250:
        raise ValueError("a BPF jump reaches 255 instructions")
    lines = [(_LOAD, 0, 0, _ARCH_AT), (_JEQ, 1, 0, arch.audit_arch), (_RETURN, 0, 0, _SECCOMP_RET_ALLOW)]
    lines.append((_LOAD, 0, 0, _NUMBER_AT))
    for index, (number, (place, mask)) in enumerate(asked.items()):
        lines.append((_JEQ, 0, 3, number))
        lines.append((_LOAD, 0, 0, _ARGUMENTS_AT + 8 * place))  # both architectures are little-endian
        lines.append((_JSET, len(wanted) + 1 + 4 * (len(asked) - 1 - index) + 1, 0, mask))
        lines.append((_RETURN, 0, 0, _SECCOMP_RET_ALLOW))
    for index, number in enumerate(wanted):
        lines.append((_JEQ, len(wanted) - index, 0, number))
    lines.append((_RETURN, 0, 0, _SECCOMP_RET_ALLOW))
    lines.append((_RETURN, 0, 0, _SECCOMP_RET_TRACE))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def install_filter(program: bytes) -> None:
    """Put the calling thread, and all it will become, under the filter. Raises OSError.

    The kernel gives the filter to an administrator (of its user namespace) as it is, to anyone else only with
    NO_NEW_PRIVS, which means that set-user-ID programs run without their privilege: set only where it must be.
    """
    buffer = ctypes.create_string_buffer(program, len(program))
    description = _Program(len(program) // 8, ctypes.addressof(buffer))
    address = ctypes.addressof(description)
    try:
        libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, address)
    except OSError:
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1)
        libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, address)
