"""The calls socklab decodes are those strace prints: names, symbolic arguments, strings, structs and results.

Each program runs twice, once under strace and once under the engine running free; what differs from run to run by
nature (addresses, ephemeral ports, process ids, the clock) is replaced by the same words on both sides.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import pytest

from socklab import syscalls
from socklab.protocol import events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from tests.support import shared, strace

pytestmark = pytest.mark.kernel

PROGRAMS = Path(__file__).resolve().parent.parent / "support" / "parity"

# strace looks into structs that socklab shows as an address: of these, name and result are compared.
SHALLOW = {
    "fstat",
    "stat",
    "lstat",
    "newfstatat",
    "getdents64",
    "waitid",
    "io_uring_setup",
    "timerfd_settime",
    "openat2",
}


@pytest.fixture(scope="module", autouse=True)
def _strace() -> None:
    reason = strace.available()
    if reason:
        pytest.skip(reason)


def command(program: str) -> tuple[str, ...]:
    """argv of a program of tests/support/parity; C is compiled once."""
    source = PROGRAMS / program
    if source.suffix == ".py":
        return (sys.executable, "-I", "-S", "-B", str(source))
    return (shared.compiled(source, "-O1", "-w"),)


def under_engine(argv: tuple[str, ...], cwd: Path, string_limit: int) -> tuple[list[tuple[int, list[str]]], set[str]]:
    """Calls per task as socklab decodes them, and the names of the calls it reports."""
    arch = ""
    names: set[str] = set()
    tasks: dict[int, list[str]] = {}
    waiting: dict[int, ev.Enter] = {}
    trouble = []

    def show(enter: ev.Enter, returned: ev.Return | None) -> None:
        tasks.setdefault(enter.tid, []).append(syscalls.strace_text(arch, enter, returned, string_limit))

    with Link.start(RunSpec(argv=argv, cwd=str(cwd), free=True, network="machine")) as link:
        for event in link.events(timeout=120):
            match event:
                case ev.Header():
                    arch = event.arch
                case ev.Started():
                    names = {syscalls.name(arch, nr) for nr in event.traced}
                case ev.Enter():
                    waiting[event.tid] = event
                case ev.Return(tid=tid) if tid in waiting:
                    show(waiting.pop(tid), event)
                case ev.Notice(level="error", text=text):
                    trouble.append(text)
                case ev.Exited(tid=tid) if tid in waiting:
                    show(waiting.pop(tid), None)
    assert not trouble, trouble
    return list(tasks.items()), names


def in_depth_only_strace(line: str) -> bool:
    return strace.name_of(line) in SHALLOW or ", TCGETS, " in line


def comparable(tasks: list[list[str]]) -> list[list[str]]:
    """Lines to compare: the first execve, which started the trace, is left out."""
    out = [[strace.shallow(line) if in_depth_only_strace(line) else line for line in lines] for lines in tasks]
    # strace ends a call that never returned in " = ?", unless it had printed half of the line before.
    out = [[line.removesuffix(" = ?") for line in lines] for lines in out]
    if out and out[0] and strace.name_of(out[0][0]) == "execve":
        out[0] = out[0][1:]
    return [lines for lines in out if lines]


@pytest.mark.parametrize("string_limit", [32, 512])
@pytest.mark.parametrize(
    ("program", "must_appear"),
    [
        ("echo_pair.c", {"socket", "bind", "listen", "accept", "connect", "read", "write", "setsockopt", "shutdown"}),
        ("epoll_server.c", {"epoll_ctl", "epoll_wait", "accept4", "sendto", "recvfrom", "clone"}),
        ("messages.c", {"sendmsg", "recvmsg", "sendmmsg", "socketpair", "readv", "sendfile", "close_range"}),
        ("polling.c", {"poll", "ppoll", "pselect6", "epoll_ctl", "epoll_pwait", "eventfd2"}),
        ("odd_arguments.c", {"socketpair", "getsockopt", "connect", "recvmmsg", "pwritev2", "execve", "tgkill"}),
        ("http_once.py", {"socket", "bind", "listen", "accept4", "recvfrom", "sendto", "poll"}),
    ],
)
def test_decoded_calls_equal_those_strace_prints(
    program: str, must_appear: set[str], string_limit: int, tmp_path: Path
) -> None:
    argv = command(program)
    ours, traced = under_engine(argv, tmp_path, string_limit)
    theirs = strace.run(argv, traced, string_limit, cwd=str(tmp_path))
    got, expected = comparable(strace.normalise(ours)), comparable(strace.normalise(theirs))
    seen = {strace.name_of(line) for lines in expected for line in lines}
    assert must_appear <= seen, f"strace did not see {must_appear - seen}"
    flat_got = [f"T{at} {line}" for at, lines in enumerate(got, 1) for line in lines]
    flat_expected = [f"T{at} {line}" for at, lines in enumerate(expected, 1) for line in lines]
    assert flat_got == flat_expected, "\n".join(
        difflib.unified_diff(flat_expected, flat_got, "strace", "socklab", lineterm="", n=1)
    )
