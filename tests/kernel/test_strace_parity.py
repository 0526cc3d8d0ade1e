"""What a user sees of calls, signals and ends is what `strace -f -v` prints: names, arguments, structs and results.

Each program runs twice, once under strace and once under the engine running free. tests/support/parity_run.py has the
rules of the comparison, tests/support/parity_view.py what is said of a call in other words.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from socklab import syscalls
from tests.support import parity_compare, parity_run, parity_view, shared, strace

pytestmark = pytest.mark.kernel

PROGRAMS = Path(__file__).resolve().parent.parent / "support" / "parity"
RUN_MD = PROGRAMS.parent.parent.parent / "docs" / "run.md"


@pytest.fixture(scope="module", autouse=True)
def _strace() -> None:
    reason = strace.available()
    if reason:
        pytest.skip(reason)


def test_what_is_left_out_and_what_is_not_opened_is_said_to_users() -> None:
    said = RUN_MD.read_text()
    assert [name for name in parity_compare.LEFT_OUT if f"`{name}`" not in said] == []
    rows = {tuple(line.strip("| ").split(" | ")) for line in said.splitlines() if line.startswith("|")}
    assert [text for text in parity_view.OPEN.values() if tuple(text.split(": ")) not in rows] == []


def test_no_call_is_both_reported_and_left_out() -> None:
    assert not set(parity_compare.LEFT_OUT) & syscalls.RUN_CALLS


def command(program: str) -> tuple[str, ...]:
    """argv of a program of tests/support/parity; C is compiled once."""
    source = PROGRAMS / program
    if source.suffix == ".py":
        return (sys.executable, "-I", "-S", "-B", str(source))
    return (shared.compiled(source, "-O1", "-w", "-pthread"),)


@pytest.mark.parametrize(
    ("program", "must_appear"),
    [
        ("echo_pair.c", "socket bind listen accept connect read write setsockopt shutdown"),
        ("epoll_server.c", "epoll_ctl epoll_wait accept4 sendto recvfrom clone"),
        ("messages.c", "sendmsg recvmsg sendmmsg socketpair readv sendfile close_range"),
        ("polling.c", "poll ppoll pselect6 epoll_ctl epoll_pwait eventfd2"),
        ("odd_arguments.c", "socketpair getsockopt connect recvmmsg pwritev2 execve tgkill"),
        (
            "watchers.c",
            "signalfd4 timerfd_settime timerfd_gettime pidfd_open pidfd_getfd pidfd_send_signal waitid vmsplice "
            "inotify_add_watch fcntl flock getdents64 fstat newfstatat statx io_uring_setup io_uring_register",
        ),
        ("sockets.c", "setsockopt getsockopt sendmsg recvmsg bind connect ioctl"),
        ("children.c", "wait4 waitid rt_sigaction rt_sigtimedwait rt_sigsuspend rt_sigqueueinfo rt_sigpending exit"),
        ("http_once.py", "socket bind listen accept4 recvfrom sendto poll"),
    ],
)
def test_what_a_user_sees_of_calls_signals_and_ends_is_what_strace_prints(
    program: str, must_appear: str, tmp_path: Path
) -> None:
    argv = command(program)
    ours = parity_run.by_socklab(argv, lambda rest: None, str(tmp_path), {})
    theirs = parity_run.by_strace(argv, lambda rest: None, str(tmp_path), {})
    missing = set(must_appear.split()) - theirs.names
    assert not missing, f"strace did not see {missing}"
    assert not parity_run.unreported(ours, theirs)
    assert not ours.untold, "\n".join(ours.untold)
    got, expected = parity_compare.comparable(ours, ()), parity_compare.comparable(theirs, ())
    told = parity_compare.first_difference(got, expected)
    assert not told, told
