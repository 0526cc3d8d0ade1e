"""What an architecture module tells: the type of its `ARCH`.

Holds no value of any machine. A field without a default is one that every port must fill in.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class UserRegisters(msgspec.Struct, frozen=True):
    """Byte offsets in the register set of PTRACE_GETREGSET, NT_PRSTATUS (user_regs_struct, user_pt_regs)."""

    ip: int
    sp: int
    fp: int
    lr: int | None = None
    """The link register: where a call leaves its return address. None = on the stack."""


class CallRegisters(msgspec.Struct, frozen=True):
    """Offsets in the same set of the number a system call was entered with, and of its result."""

    number: int
    result: int


class DwarfRegisters(msgspec.Struct, frozen=True):
    """Numbers that the psABI gives to the registers that unwinding follows."""

    fp: int
    sp: int


class Arch(msgspec.Struct, frozen=True):
    """One architecture, as Linux and its psABI define it."""

    name: str
    """As uname(2) gives it."""
    calls: str
    """System calls: blocks of a first number with a colon and the names from there."""
    audit_arch: int
    """AUDIT_ARCH_*: what a seccomp filter and PTRACE_GET_SYSCALL_INFO call it."""
    elf_machine: int
    """EM_*."""
    user_registers: UserRegisters
    call_registers: CallRegisters | None
    """How to see, and to change, a call that an interrupt disturbed. None = the kernel needs no help there."""
    dwarf: DwarfRegisters
    syscall_instruction: bytes
    called: Callable[[bytes, int, int, Callable[[int], int]], int]
    """`called(before, address, callee, word)`: whether the 7 bytes `before` a return address are a call. 2 = of
    `callee` (or of anything, where callee is 0), 1 = through a register, of who knows what, 0 = no. `word` reads 8
    bytes of memory."""
    open_flags: str
    """The flags of open(2) whose bits are this architecture's own: DIRECT LARGEFILE NOFOLLOW TMPFILE DIRECTORY."""
    epoll_event_bytes: int = 16
    """sizeof(struct epoll_event)."""
    stat: str = (
        "dev:Q ino:Q mode:I nlink:I uid:I gid:I rdev:Q _:Q size:q blksize:i _:i blocks:q "
        "atime:q atime_nsec:Q mtime:q mtime_nsec:Q ctime:q ctime_nsec:Q _:8s"
    )
    """struct stat: each member's name without `st_`, and its code as Python's struct module has it; `_` is padding.
    As asm-generic/stat.h has it, unless the architecture is older than that."""
    clone_tls_first: bool = False
    """clone(2) takes `tls` before `child_tid`."""
