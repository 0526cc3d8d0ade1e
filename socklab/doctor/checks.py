"""Trials of what the lab needs: each does the thing itself, in a child that is gone afterwards.

In: nothing. Out: (ok, what was found) for each. ok: true = as it should be, null = lessons run with less, false = no
lesson can run. Never changes the machine, proposes nothing: fixes.py does.
"""

from __future__ import annotations

import os
import platform
import re
import select
import shutil
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TypeAlias

import msgspec

from socklab import arch as machines
from socklab.arch import MACHINES
from socklab.engine.network import configure, netns, refusals, two_hosts
from socklab.engine.tracing import ptrace
from socklab.host import libc
from socklab.host.processes import read_switch

Result: TypeAlias = tuple[bool | None, str]

KERNEL_NEEDED = (5, 3)
"""PTRACE_GET_SYSCALL_INFO came with Linux 5.3."""


def kernel_version() -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return (int(found[1]), int(found[2])) if found else (0, 0)


def check_kernel() -> Result:
    system, arch = platform.system(), platform.machine()
    good = system == "Linux" and kernel_version() >= KERNEL_NEEDED and arch in MACHINES
    container = refusals.in_container()
    return good, f"{system} {platform.release()} {arch}" + (f", in {container}" if container else "")


# ---------------------------------------------------------------- tracing


class _Traced(msgspec.Struct):
    """What could be done to a child; empty = it worked, else the kernel's words."""

    seize: str = "not tried"
    syscall_info: str = "not tried"
    memory: str = "not tried"


@cache
def _traced() -> _Traced:
    import ctypes

    result = _Traced()
    known = ctypes.create_string_buffer(b"socklab reads this")
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            with suppress(OSError):  # where prctl is refused, the end of the pipe will do
                libc.die_with_parent()
            os.close(writing)
            os.read(reading, 1)
        finally:
            os._exit(0)
    try:
        result.seize = _tried(lambda: ptrace.seize(pid, ptrace.O_EXITKILL | ptrace.O_TRACESYSGOOD))
        if not result.seize:
            ptrace.interrupt(pid)
            os.waitpid(pid, ptrace.WALL)
            result.syscall_info = _tried(lambda: ptrace.syscall_entry(pid))
            result.memory = _tried(lambda: _read_memory(pid, ctypes.addressof(known), known.value))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, ptrace.WALL)
        os.close(reading)
        os.close(writing)
    return result


def _read_memory(pid: int, address: int, expected: bytes) -> None:
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        if os.pread(memory.fileno(), len(expected), address) != expected:  # a forked child has the same addresses
            raise OSError(5, "other bytes than there are")


def _tried(action: Callable[[], object]) -> str:
    try:
        action()
    except ptrace.ProcessGone:
        return "the child was gone"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def check_traced(what: str, good: str) -> Result:
    """One of the things that were tried with a traced child: a field of _Traced."""
    refused: str = getattr(_traced(), what)
    return not refused, refused or good


def check_yama() -> Result:
    scope = read_switch("/proc/sys/kernel/yama/ptrace_scope")
    words = {
        "": "not present",
        "0": "0: every process of the same user may be traced",
        "1": "1: only children may be traced, which is enough for lessons",
        "2": "2: only an administrator may trace",
        "3": "3: nobody may trace until the next boot",
    }
    return scope in ("", "0", "1") or not _traced().seize, words.get(scope, scope)


def check_seccomp() -> Result:
    arch = platform.machine()
    if arch not in MACHINES:
        return False, f"not known for {arch}"
    failure = refusals.try_in_child(lambda: ptrace.install_filter(ptrace.filter_program([], machines.of(arch))))
    return failure is None, "a filter was installed" if failure is None else os.strerror(failure.number)


def _start_thread() -> None:
    import threading

    thread = threading.Thread(target=bool)
    try:
        thread.start()
    except RuntimeError:
        raise OSError(11, "no thread could be started") from None
    thread.join()


_CALLS: dict[str, Callable[[], object]] = {
    "socketpair": lambda: tuple(map(socket.socket.close, socket.socketpair())),
    "epoll_create1": lambda: select.epoll().close(),
    "prctl": lambda: libc.prctl(_PR_GET_DUMPABLE, 0),
    "clone3": _start_thread,
}
"""Calls without which the engine can't be started, and what makes them. Containers' filters refuse now one, now
another; where they refuse memfd_create, pidfd_open, prlimit64 or setns, the lab does without."""
_PR_GET_DUMPABLE = 3


def check_calls() -> Result:
    refused = {name: why for name, call in _CALLS.items() if (why := _tried(call))}
    return not refused, "; ".join(f"{name}: {why}" for name, why in refused.items()) or "none is refused"


# ---------------------------------------------------------------- networks


def _flag_sets() -> list[int]:
    """Namespaces to try: a privileged process needs no user namespace of its own, others do."""
    host = netns.CLONE_NEWNET | netns.CLONE_NEWNS
    return [host, host | netns.CLONE_NEWUSER] if os.geteuid() == 0 else [host | netns.CLONE_NEWUSER]


@cache
def private_host() -> tuple[int, refusals.Failure | None]:
    """The namespaces (flags of unshare) that gave a private host in a child, or why the last ones tried did not."""
    failure = None
    for flags in _flag_sets():
        failure = refusals.try_in_child(partial(configure.leave_machine, flags))
        if failure is None:
            return flags, None
    return 0, failure


def check_namespaces() -> Result:
    flags, failure = private_host()
    if failure is not None:
        return None, refusals.why(failure)[0]
    return True, "a private host, " + ("without privileges" if flags & netns.CLONE_NEWUSER else "as root")


def _lay(flags: int, device: str) -> None:
    configure.leave_machine(flags)
    two_hosts.lay(device)


@cache
def try_two_hosts() -> tuple[str, list[refusals.Failure]]:
    """The device that gave two hosts in a child, tun or veth, and why those tried before it did not."""
    flags, refused = private_host()
    if refused is not None:
        return "", [refused]
    failures: list[refusals.Failure] = []
    for device in two_hosts.DEVICES:
        failure = refusals.try_in_child(partial(_lay, flags, device))
        if failure is None:
            return device, failures
        failures.append(failure)
    return "", failures


def check_tun() -> Result:
    device, failures = try_two_hosts()
    if device == "tun":
        return True, f"{netns.TUN_DEVICE} works"
    if device == "veth":
        return True, f"virtual Ethernet works; {failures[0]}"
    return None, "needs a private host" if private_host()[1] is not None else str(failures[0])


def check_sock_diag() -> Result:
    request = struct.pack("=IHHII", 72, 20, 0x301, 1, 0)  # SOCK_DIAG_BY_FAMILY, REQUEST | DUMP
    request += struct.pack("=BBBxI48x", socket.AF_INET, socket.IPPROTO_TCP, 0, 1 << 10)  # listeners are enough
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 4) as diag:  # NETLINK_SOCK_DIAG
            diag.settimeout(2)
            diag.send(request)
            answer = diag.recv(65536)
    except OSError as error:
        return None, error.strerror or str(error)
    if len(answer) >= 20 and struct.unpack_from("=H", answer, 4)[0] == 2:  # NLMSG_ERROR
        return None, os.strerror(-struct.unpack_from("=i", answer, 16)[0])
    return True, "answers"


# ---------------------------------------------------------------- tools and terminal


def check_compiler() -> Result:
    import subprocess
    import tempfile

    from socklab.engine import program

    tool = program.compiler()
    if tool is None:
        return None, "none of cc, gcc, clang"
    with tempfile.TemporaryDirectory(prefix="socklab-doctor-") as folder:
        source = Path(folder, "try.c")
        source.write_text("#include <sys/socket.h>\n#include <stdio.h>\nint main(void) { return 0; }\n")
        done = subprocess.run(
            [tool, *program.C_FLAGS, "-o", f"{folder}/try", str(source)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        complaint = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[0]
        return None, f"{tool} does not compile: {complaint}"
    return True, f"{tool} compiles"


def check_curl() -> Result:
    found = shutil.which("curl")
    return (True, found) if found else (None, "not found")


def check_terminal() -> Result:
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        return None, "standard input or output is not a terminal"
    term = os.environ.get("TERM", "")
    size = os.get_terminal_size(sys.stdout.fileno())
    colours = "16 million" if os.environ.get("COLORTERM", "") in ("truecolor", "24bit") else _colours(term)
    good = size.columns >= 80 and size.lines >= 24 and term not in ("", "dumb")
    return (True if good else None), f"{size.columns}x{size.lines}, {colours} colours, TERM={term or 'not set'}"


def _colours(term: str) -> str:
    if "NO_COLOR" in os.environ:
        return "no (NO_COLOR is set)"
    return "256" if "256" in term else "no" if term in ("", "dumb") else "16"


def check_utf8() -> Result:
    import locale

    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "")
        codeset = locale.nl_langinfo(locale.CODESET)
    except locale.Error:  # LANG names a locale that is not installed
        codeset = "unknown locale"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return (True if codeset.replace("-", "").lower() == "utf8" else None), codeset
