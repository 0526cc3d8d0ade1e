"""strace's spelling, on calls made by hand; and the reader of strace's own output that the kernel tests compare with.

The expected lines were printed by strace 6.1.
"""

from __future__ import annotations

import struct

import pytest

from socklab import syscalls
from socklab.protocol.events import Enter, Mem, Return
from socklab.syscalls import DecodedArg, DecodedCall
from socklab.syscalls.symbols import strace_string
from tests.support import parity_compare, parity_view, strace

A = 0x7FFD0000_1000
B = 0x7FFD0000_2000
PEER = b"\2\0\x9e\xa4\x0a\0\0\2" + bytes(8)


def line(
    name: str,
    *args: int,
    mem: tuple[Mem, ...] = (),
    result: int | None = None,
    out: tuple[Mem, ...] = (),
    arch: str = "x86_64",
    limit: int = 32,
) -> str:
    nr = syscalls.number(arch, name)
    assert nr is not None
    registers = tuple(value & 0xFFFFFFFFFFFFFFFF for value in (*args, 0, 0, 0, 0, 0, 0)[:6])
    returned = Return(2, 7, nr, result, out) if result is not None else None
    return syscalls.strace_text(arch, Enter(1, 7, nr, registers, mem), returned, limit)


LINES = [
    (line("socket", 2, 1, 0, result=3), "socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3"),
    (
        line("socket", 16, 3 | 0o2000000, 0, result=3),
        "socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE) = 3",
    ),
    (
        line("socket", 0x1234, 15, 99, result=-97),
        "socket(0x1234 /* AF_??? */, 0xf /* SOCK_??? */, 99) = -1 EAFNOSUPPORT"
        " (Address family not supported by protocol)",
    ),
    (
        line(
            "accept", 3, A, B, mem=(Mem(B, struct.pack("<I", 16)),), result=4, out=(Mem(A, PEER), Mem(B, b"\x10\0\0\0"))
        ),
        'accept(3, {sa_family=AF_INET, sin_port=htons(40612), sin_addr=inet_addr("10.0.0.2")}, [16]) = 4',
    ),
    (line("accept", 3, 0, 0, result=-11), "accept(3, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)"),
    (
        line("accept", 3, 0, 0, result=-512),
        "accept(3, NULL, NULL) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)",
    ),
    (
        line("connect", 3, A, 16, mem=(Mem(A, PEER),), result=-111),
        'connect(3, {sa_family=AF_INET, sin_port=htons(40612), sin_addr=inet_addr("10.0.0.2")}, 16)'
        " = -1 ECONNREFUSED (Connection refused)",
    ),
    (
        line("setsockopt", 3, 1, 2, A, 4, mem=(Mem(A, b"\1\0\0\0"),), result=0),
        "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0",
    ),
    (line("listen", 3, 4, result=0), "listen(3, 4) = 0"),
    (line("shutdown", 3, 1, result=0), "shutdown(3, SHUT_WR) = 0"),
    (line("write", 3, A, 40, mem=(Mem(A, b"x" * 40),), result=40), f'write(3, "{"x" * 32}"..., 40) = 40'),
    (line("write", 3, A, 40, mem=(Mem(A, b"x" * 40),), result=40, limit=64), f'write(3, "{"x" * 40}", 40) = 40'),
    (line("write", 3, 8, 4, mem=(Mem(8, b""),), result=-14), "write(3, 0x8, 4) = -1 EFAULT (Bad address)"),
    (line("read", 3, A, 10, result=0), 'read(3, "", 10) = 0'),
    (line("read", 3, A, 10, result=-11), f"read(3, {A:#x}, 10) = -1 EAGAIN (Resource temporarily unavailable)"),
    (line("fcntl", 3, 3, result=0o4002), "fcntl(3, F_GETFL) = 0x802 (flags O_RDWR|O_NONBLOCK)"),
    (line("fcntl", 3, 1, result=1), "fcntl(3, F_GETFD) = 0x1 (flags FD_CLOEXEC)"),
    (line("poll", A, 0, 0, result=0), "poll([], 0, 0) = 0 (Timeout)"),
    (line("exit_group", 7), "exit_group(7) = ?"),
    (line("kill", 5, 15, result=0), "kill(5, SIGTERM) = 0"),
    (line("ioctl", 3, 0x80045499, A, result=0), f"ioctl(3, _IOC(_IOC_READ, 0x54, 0x99, 0x4), {A:#x}) = 0"),
    (
        line("wait4", -1, A, 0, 0, result=9, out=(Mem(A, struct.pack("<I", 0x8B)),)),
        "wait4(-1, [{WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV && WCOREDUMP(s)}], 0, NULL) = 9",
    ),
    (
        line("clone", 17 | 0x1200000, 0, 0, 0x7000_0000, 0, result=9, arch="aarch64"),
        "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=NULL) = 9",
    ),
]


@pytest.mark.parametrize(("got", "expected"), LINES, ids=[expected[:40] for _, expected in LINES])
def test_a_call_made_by_hand_reads_as_strace_prints_it(got: str, expected: str) -> None:
    assert got == expected


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'say "hi"\\\n\r\t\v\f', '"say \\"hi\\"\\\\\\n\\r\\t\\v\\f"'),
        (b"\x00", '"\\0"'),
        (b"\x007", '"\\0007"'),
        (b"\x008", '"\\08"'),
        (b"\x01\xff", '"\\1\\377"'),
    ],
)
def test_octal_escapes_are_as_short_as_what_follows_allows(data: bytes, text: str) -> None:
    assert strace_string(data) == text


OUTPUT = """\
100  socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
100  clone(child_stack=NULL, flags=SIGCHLD) = 101
100  accept(3,  <unfinished ...>
101  connect(4, {sa_family=AF_INET, sin_port=htons(40000), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
100  <... accept resumed>NULL, NULL)        = 4
101  write(4, "a) = 3", 6)             = 6
101  +++ exited with 0 +++
100  --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=101} ---
100  wait4(-1, NULL, 0, NULL)          = 101
100  read(4, 0x7ffd12345678, 10)       = -1 EAGAIN (Resource temporarily unavailable)
100  exit_group(0)                     = ?
100  +++ exited with 0 +++
"""


def test_halves_of_a_call_are_joined_in_their_task() -> None:
    tasks = strace.parse(OUTPUT)
    assert [tid for tid, _ in tasks] == [100, 101]
    assert "accept(3, NULL, NULL) = 4" in tasks[0][1]
    assert tasks[1][1][1] == 'write(4, "a) = 3", 6) = 6'
    assert tasks[0][1][-2:] == ["exit_group(0) = ?", "+++ exited with 0 +++"]
    assert any(line.startswith("--- SIGCHLD {") for line in tasks[0][1])


def told(output: str) -> list[list[str]]:
    """What the harness compares of strace's output."""
    tasks = {tid: [parity_compare.told(line) for line in lines] for tid, lines in strace.parse(output)}
    return parity_compare.comparable(parity_compare.Trace(tasks, [], frozenset()), ())


def test_what_differs_from_run_to_run_is_replaced_by_words() -> None:
    first, second = told(OUTPUT)
    assert "clone(child_stack=NULL, flags=SIGCHLD) =TASK" in first
    assert "wait4(-1, NULL, 0, NULL) =TASK" in first
    assert "read(4, PTR, 10) = -1 EAGAIN (Resource temporarily unavailable)" in first
    assert second[0].startswith("connect(4, {sa_family=AF_INET, sin_port=htons(P)")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("127.0.0.1", "127.0.0.2"),
        ("EAGAIN", "EINTR"),
        ("101  +++ exited with 0", "101  +++ exited with 1"),
        ("101  +++ exited with 0", "101  +++ killed by SIGTERM"),
        ("101  +++", "101  --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=5, si_uid=0} ---\n101  +++"),
        ("exit_group(0)", "exit_group(3)"),
    ],
)
def test_what_matters_is_not_replaced(old: str, new: str) -> None:
    assert told(OUTPUT.replace(old, new)) != told(OUTPUT)


def test_a_signal_of_strace_reads_as_a_user_of_socklab_reads_it() -> None:
    by = "--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=41, si_uid=0} ---"
    assert parity_compare.told(by) == "--- SIGUSR1, sent by process 41, ---"
    at = "--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x8} ---"
    assert parity_compare.told(at) == "--- SIGSEGV, for address 0x8, ---"
    timer = "--- SIGALRM {si_signo=SIGALRM, si_code=SI_TIMER, si_timerid=1, si_overrun=0, si_int=1, si_ptr=0x1} ---"
    assert parity_compare.told(timer) == "--- SIGALRM ---"


def test_only_what_a_run_leaves_out_on_purpose_is_left_out() -> None:
    assert parity_compare.left_out("mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, -1, 0) = 0x7f2cf879a000")
    assert parity_compare.left_out('newfstatat(AT_FDCWD, "/etc", 0x7f2cf879a000, 0) = 0')
    assert not parity_compare.left_out('newfstatat(3, "", 0x7f2cf879a000, AT_EMPTY_PATH) = 0')
    assert not parity_compare.left_out("flock(3, LOCK_EX) = 0")


# ---------------------------------------------------------------- does the harness notice what a user is told wrongly?

BIND = 'bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.2")}, 16) = 0'
WAIT = "wait4(7, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], WNOHANG, NULL) = 7"


def decoded(name: str, *args: DecodedArg, result: str = "0") -> DecodedCall:
    return DecodedCall(name, args, result, int(result))


def bind(text: str = "{10.0.0.2:80}", fd: str = "3", size: str = "16") -> DecodedCall:
    return decoded("bind", DecodedArg("sockfd", fd), DecodedArg("addr", text), DecodedArg("addrlen", size))


def wait(text: str = "[exited with 3]", options: str = "WNOHANG", pid: str = "7", result: str = "7") -> DecodedCall:
    rest = (DecodedArg("options", options), DecodedArg("rusage", "NULL"))
    return decoded("wait4", DecodedArg("pid", pid), DecodedArg("wstatus", text), *rest, result=result)


def write(text: str, result: str = "5") -> DecodedCall:
    rest = (DecodedArg("buf", text), DecodedArg("count", "5"))
    return decoded("write", DecodedArg("fd", "1"), *rest, result=result)


@pytest.mark.parametrize(
    ("line", "right", "wrong"),
    [
        (BIND, bind(), bind("{10.0.0.3:80}")),
        (BIND, bind(), bind("{10.0.0.2:81}")),
        (BIND, bind(), bind("{10.0.0.2}")),
        (BIND, bind(), bind(fd="4")),
        (BIND, bind(), bind(size="28")),
        (WAIT, wait(), wait("[exited with 4]")),
        (WAIT, wait(), wait("[killed by 127]")),
        (WAIT, wait(), wait("0x7ffd00001000")),
        (WAIT, wait(), wait(options="0")),
        (WAIT, wait(), wait(options="WNOHANG|WSTOPPED")),
        (WAIT, wait(), wait(result="8")),
        ('write(1, "hello", 5) = 5', write('"hello"'), write('"hallo"')),
        ('write(1, "hello", 5) = 5', write('"hello"'), write("0x1000")),
        ('write(1, "hello", 5) = 5', write('"hello"'), write('"hello"', result="4")),
        ("pause() = 0", decoded("pause"), decoded("pause", *(DecodedArg(f"arg{at}", "0xdead") for at in range(6)))),
    ],
)
def test_a_fact_that_is_missing_wrong_or_made_up_is_noticed(line: str, right: DecodedCall, wrong: DecodedCall) -> None:
    assert parity_view.difference(right, line) == ""
    assert parity_view.difference(wrong, line) != ""
