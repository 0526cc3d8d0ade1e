"""The file of a running program: the privilege it asks for, the architecture it is built for.

In: a process. Out: sentences for the user, "" where there is nothing to say. Never runs it, never changes it.
"""

from __future__ import annotations

import os
import stat
import sys

from socklab.arch.model import Arch
from socklab.host.processes import living_task, read_status

_ELFCLASS64 = 2


def lost_privilege(pid: int) -> str:
    """In words, which privilege the program that was executed asks for and has not got; "" where it lacks none.

    Source: execve(2): the bits and the capabilities of a file are ignored under NO_NEW_PRIVS, when traced by somebody
    who may not, and on nosuid mounts; capabilities(7).
    """
    try:
        path = f"/proc/{pid}/exe"
        mode = os.stat(path)
        status = read_status(pid)
        lost = status and any(
            mode.st_mode & bit and int(status[ids].split()[1]) != owner
            for bit, ids, owner in ((stat.S_ISUID, "Uid", mode.st_uid), (stat.S_ISGID, "Gid", mode.st_gid))
        )
        if lost:
            return (
                f"{os.readlink(path)} is a set-user-ID or set-group-ID program; traced it runs without that privilege."
            )
        if status and _file_capabilities(path) & ~int(status["CapPrm"], 16):
            return f"{os.readlink(path)} has file capabilities (getcap shows them); traced it runs without them."
        return ""
    except OSError:
        return ""  # it died at once


def _file_capabilities(path: str) -> int:
    """Capabilities the file permits, as bits. Source: linux/capability.h, struct vfs_cap_data: little-endian words."""
    try:
        raw = os.getxattr(path, "security.capability")
    except OSError:
        return 0  # ENODATA: none; ENOTSUP: not on this file system
    return int.from_bytes(raw[4:8], "little") | int.from_bytes(raw[12:16], "little") << 32


def foreign_program(pid: int, arch: Arch) -> str:
    """In words, what program of another architecture the process runs; "" where its calls are those of `arch`.

    Source: elf(5): EI_CLASS, e_machine.
    """
    try:
        path = f"/proc/{living_task(pid)}/exe"
        with open(path, "rb") as file:
            head = file.read(20)
        machine = int.from_bytes(head[18:20], sys.byteorder)
        if head[:4] != b"\x7fELF" or (head[4] == _ELFCLASS64 and machine == arch.elf_machine):
            return ""
        kind = "a program of another architecture" if head[4] == _ELFCLASS64 else "a 32-bit program"
        return f"{os.readlink(path)} is {kind}"
    except OSError:
        return ""  # gone, or not ours to read
