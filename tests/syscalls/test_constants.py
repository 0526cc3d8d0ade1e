"""Symbolic constants against Python's own modules and, where a compiler is, against the C headers."""

from __future__ import annotations

import errno
import os
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from socklab.syscalls import constants_io as io, constants_net as net, constants_process as process
from socklab.syscalls.errors import errno_meaning, errno_name, errno_numbers, errno_words
from socklab.syscalls.rows import ROWS
from socklab.syscalls.symbols import Flags, Names

NAMES = {
    "families": net.FAMILIES,
    "types": net.TYPES,
    "protocols": net.PROTOCOLS,
    "socket options": net.OPTIONS[1],
    "TCP options": net.OPTIONS[6],
    "IP options": net.OPTIONS[0],
    "IPv6 options": net.OPTIONS[41],
    "shutdown": net.SHUTDOWN,
    "signals": process.SIGNALS,
    "resources": process.RESOURCES,
    "epoll operations": io.EPOLL_OPERATIONS,
    "seek": io.SEEK,
    "netlink": net.NETLINK,
    "fcntl": io.FCNTL,
    "ioctl": io.IOCTL,
    "levels": net.LEVELS,
    "clocks": process.CLOCKS,
    "wait": process.WAIT_FOR,
    "io_uring operations": io.IO_URING_OPERATIONS,
    "mask": process.PROCMASK,
    "UDP options": net.OPTIONS[17],
    "packet options": net.OPTIONS[263],
    "netlink options": net.OPTIONS[270],
    "ethertypes": net.ETHERTYPES,
    "hardware": net.HARDWARE,
    "packet types": net.PACKET_TYPES,
    "vsock": net.VSOCK_CIDS,
    "owners": io.OWNERS,
    "file types": io.ENTRY_TYPES,
    "io_uring_register": io.IO_URING_REGISTER,
    "signal codes": process.SIGNAL_CODES,
    "child codes": process.CHILD_CODES,
}
FLAGS = {
    "message flags": net.MESSAGE_FLAGS,
    "type flags": net.TYPE_FLAGS,
    "poll": io.POLL_EVENTS,
    "epoll": io.EPOLL_EVENTS,
    "open": io.open_flags("x86_64"),
    "clone": process.CLONE,
    "wait": process.WAIT,
    "sigaction": process.SIGACTION,
    "map": process.MAP_FLAGS,
    "protection": process.PROTECTION,
    "eventfd": io.EVENTFD,
    "at": io.AT_FLAGS,
    "splice": io.SPLICE,
    "seals": io.SEALS,
    "notify": io.NOTIFY,
    "flock": io.FLOCK,
    "timerfd_settime": io.TIMERFD_SET,
    "pidfd": io.PIDFD,
    "inotify": io.INOTIFY,
    "inotify events": io.INOTIFY_EVENTS,
    "fallocate": io.FALLOCATE,
    "statx": io.STATX_MASK,
    "statx attributes": io.STATX_ATTRIBUTES,
    "statx flags": io.STATX_FLAGS,
    "io_uring_setup": io.IO_URING_SETUP,
    "io_uring features": io.IO_URING_FEATURES,
    "interface flags": net.INTERFACE_FLAGS,
}
HEADERS = """
fcntl.h sys/socket.h netinet/in.h netinet/tcp.h linux/netlink.h poll.h sys/epoll.h sys/eventfd.h sched.h signal.h
sys/wait.h sys/mman.h sys/resource.h sys/ioctl.h linux/sockios.h time.h unistd.h netinet/udp.h sys/file.h dirent.h
sys/inotify.h sys/timerfd.h linux/falloc.h sys/stat.h linux/io_uring.h net/if.h net/if_arp.h net/ethernet.h
linux/if_packet.h linux/vm_sockets.h sys/pidfd.h
"""
# Names that no header has, or that mean another number in user space: the kernel's own O_LARGEFILE and SIGRTMIN,
# signals the C library keeps for itself, and what strace calls by another name.
NOT_IN_HEADERS = {"O_LARGEFILE", "SIGRTMIN", "O_ACCMODE", "SA_RESTORER", "TIOCOUTQ"}


def table_of(kind: Names | Flags) -> dict[str, int]:
    if isinstance(kind, Flags):
        return kind.bits
    return {name: value for value, name in kind.by_value.items()}


def python_value(name: str) -> int | None:
    for module in (socket, select, os, signal, resource):
        value = getattr(module, name, None)
        if isinstance(value, int):
            return int(value)
    return None


@pytest.mark.parametrize("kind", [*NAMES, *FLAGS])
def test_constants_are_those_python_knows(kind: str) -> None:
    table = table_of((NAMES | FLAGS)[kind])
    for name, value in table.items():
        known = python_value(name)
        # os.O_SYNC and friends agree; O_LARGEFILE is 0 for programs of 64 bits and set by the kernel itself.
        if known is not None and name not in NOT_IN_HEADERS:
            assert value == known & 0xFFFFFFFF, name


def test_constants_are_those_of_the_c_headers(tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or os.uname().machine != "x86_64":
        pytest.skip("needs a C compiler on x86-64")
    ours = {name: value for kind in (*NAMES.values(), *FLAGS.values()) for name, value in table_of(kind).items()}
    lines = [f"#include <{header}>" for header in HEADERS.split()]
    lines += [f'#ifdef {name}\n"@{name}" {name}\n#endif' for name in ours]
    text = "#define _GNU_SOURCE\n" + "\n".join(lines)
    done = subprocess.run([compiler, "-E", "-P", "-"], input=text, capture_output=True, text=True, check=True)
    defined = re.findall(r'"@(\w+)"\s+(.+)', done.stdout)
    program = "#define _GNU_SOURCE\n#include <stdio.h>\n" + "\n".join(lines[: len(HEADERS.split())])
    program += "\nint main(void){\n" + "\n".join(
        f'printf("{name} %lld\\n", (long long)(unsigned)({name}));' for name, _ in defined if name not in NOT_IN_HEADERS
    )
    program += "\nreturn 0;}\n"
    binary = tmp_path / "constants"
    subprocess.run([compiler, "-w", "-x", "c", "-", "-o", str(binary)], input=program, text=True, check=True)
    said = subprocess.run([str(binary)], capture_output=True, text=True, check=True).stdout
    header = {name: int(value) for name, value in (line.split() for line in said.splitlines())}
    assert len(header) > 250
    wrong = {name: (ours[name], value) for name, value in header.items() if ours[name] & 0xFFFFFFFF != value}
    assert wrong == {}


def test_error_numbers_and_words_are_the_c_librarys() -> None:
    for number, name in errno.errorcode.items():
        assert errno_numbers()[name] == number
        assert errno_words(number) == os.strerror(number)
    for name, number in errno_numbers().items():
        assert number >= 512 or getattr(errno, name) == number


def test_of_two_names_of_a_number_the_kernels_own_is_shown() -> None:
    assert [errno_name(number) for number in (11, 35, 95)] == ["EAGAIN", "EDEADLK", "EOPNOTSUPP"]


def test_every_error_named_in_a_meaning_exists() -> None:
    for row in ROWS.values():
        for name, meaning in row.notes.items():
            if name.isupper():
                assert name in errno_numbers(), (row.name, name)
            assert meaning, (row.name, name)
            assert not name or not meaning.endswith("."), (row.name, name)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        ("read", "ENOTCONN", "a listener never is"),
        ("accept4", "EMFILE", "stays in the accept queue"),
        ("accept", "EINVAL", "not listening"),
        ("accept", "EAGAIN", "no connection is waiting"),
        ("bind", "EADDRINUSE", "TIME_WAIT"),
        ("bind", "EACCES", "CAP_NET_BIND_SERVICE"),
        ("bind", "EADDRNOTAVAIL", "no interface"),
        ("bind", "EINVAL", "already bound"),
        ("sendto", "EPIPE", "SIGPIPE"),
        ("write", "ECONNRESET", "RST"),
        ("connect", "ECONNREFUSED", "RST"),
        ("connect", "EINPROGRESS", "handshake has begun"),
        ("connect", "ETIMEDOUT", "SYN"),
        ("connect", "EISCONN", "listener"),
        ("close", "EBADF", "already closed"),
        ("recvmsg", "EAGAIN", "nothing to read yet"),
        ("preadv2", "EISDIR", "directory"),
        ("waitid", "ECHILD", "no child"),
        ("execveat", "ENOEXEC", "no program"),
        ("tgkill", "ESRCH", "no such process"),
        ("flock", "EBADF", "never was open"),
        ("getpeername", "ENOTCONN", "no peer"),
    ],
)
def test_an_error_is_explained_in_its_call(call: str, error: str, says: str) -> None:
    assert says in errno_meaning(call, errno_numbers()[error])


def test_an_unknown_error_is_still_a_sentence() -> None:
    assert errno_name(4000) == "errno 4000"
    assert errno_meaning("read", 4000) == "unknown error 4000"
    assert errno_meaning("flock", errno.EDEADLK) == "resource deadlock avoided"


def test_an_interrupted_call_is_not_called_failed() -> None:
    assert errno_name(512) == "ERESTARTSYS"
    assert "the program does not see this" in errno_meaning("accept", 512)


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_flags_of_open_do_not_overlap_except_where_the_kernel_says_so(arch: str) -> None:
    compound = {"O_SYNC", "O_TMPFILE"}  # they contain O_DSYNC and O_DIRECTORY
    simple = [bit for name, bit in io.open_flags(arch).bits.items() if name not in compound]
    assert all(bit.bit_count() == 1 for bit in simple)
    assert len(set(simple)) == len(simple)


def test_open_flags_of_arm64_are_its_own() -> None:
    assert io.open_flags("aarch64").text(0o40000) == "O_DIRECTORY"
    assert io.open_flags("x86_64").text(0o200000) == "O_DIRECTORY"
