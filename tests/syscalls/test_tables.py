"""System call numbers against the headers of this machine, and the groups against the signatures."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from socklab import lesson, syscalls
from socklab.commands import conditions
from socklab.syscalls import groups, kinds, rows
from socklab.syscalls.decoding import shower
from socklab.syscalls.tables import names_by_number, numbers_by_name

X86 = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
GENERIC = Path("/usr/include/asm-generic/unistd.h")


def test_x86_64_numbers_are_those_of_the_header() -> None:
    if not X86.exists():
        pytest.skip(f"no {X86} here")
    header = {name: int(nr) for name, nr in re.findall(r"^#define __NR_(\w+)\s+(\d+)$", X86.read_text(), re.M)}
    assert len(header) > 300
    ours = numbers_by_name("x86_64")
    assert {name: ours.get(name) for name in header} == header


def test_aarch64_numbers_are_those_of_the_generic_header() -> None:
    """arm64 takes the generic table with these five options (arch/arm64/include/uapi/asm/unistd.h)."""
    compiler = shutil.which("cpp") or shutil.which("gcc")
    if not GENERIC.exists() or compiler is None:
        pytest.skip(f"no {GENERIC} or no preprocessor here")
    wanted = ("RENAMEAT", "NEW_STAT", "SET_GET_RLIMIT", "SYS_CLONE3", "MEMFD_SECRET")
    source = "#define __BITS_PER_LONG 64\n" + "".join(f"#define __ARCH_WANT_{each}\n" for each in wanted)
    source += GENERIC.read_text().replace("#include <asm/bitsperlong.h>", "")
    done = subprocess.run([compiler, "-E", "-dM", "-"], input=source, capture_output=True, text=True, check=True)
    macros = dict(re.findall(r"^#define (__NR\w*) (\S+)$", done.stdout, re.M))
    header = {}
    for macro, value in macros.items():
        if not macro.startswith("__NR_") or macro in ("__NR_syscalls", "__NR_arch_specific_syscall"):
            continue
        while not value.isdigit():
            value = macros[value]
        header[macro.removeprefix("__NR_")] = int(value)
    assert len(header) > 290
    ours = numbers_by_name("aarch64")
    assert {name: ours.get(name) for name in header} == header


@pytest.mark.parametrize("arch", syscalls.ARCHITECTURES)
def test_no_name_has_two_numbers(arch: str) -> None:
    assert len(set(names_by_number(arch).values())) == len(names_by_number(arch))


def test_number_and_name_are_each_others_inverse() -> None:
    assert syscalls.number("x86_64", "accept") == 43
    assert syscalls.number("aarch64", "accept") == 202
    assert syscalls.number("aarch64", "open") is None
    assert syscalls.name("aarch64", 202) == "accept"
    assert syscalls.name("x86_64", 9999) == "syscall_9999"
    assert syscalls.name("riscv64", 3) == "syscall_3"
    assert syscalls.number("riscv64", "read") is None


def test_numbers_leaves_out_what_an_architecture_lacks() -> None:
    assert syscalls.numbers("x86_64", ["read", "select", "read"]) == (0, 23)
    assert syscalls.numbers("aarch64", ["read", "select"]) == (63,)


# As strace's classes and the manual pages have them, written down apart from the table of calls.
SOCKETS = """socket socketpair bind listen accept accept4 connect getsockopt setsockopt getsockname getpeername shutdown
sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg"""
IN_LESSONS = f"""{SOCKETS} read write readv writev close close_range dup dup2 dup3 fcntl sendfile splice pidfd_getfd
select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2"""
IN_RUNS = f"{IN_LESSONS} fork vfork clone clone3 wait4 waitid io_uring_setup io_uring_enter io_uring_register"
RECORDED = f"{IN_RUNS} execve execveat kill"
REPORTED = f"""{RECORDED} pread64 pwrite64 preadv pwritev preadv2 pwritev2 ioctl open openat openat2 creat pipe pipe2
tee vmsplice copy_file_range
eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime timerfd_gettime
inotify_init inotify_init1 memfd_create pidfd_open lseek
fstat fsync
fdatasync ftruncate getdents getdents64 exit exit_group tkill tgkill
flock fallocate inotify_add_watch inotify_rm_watch newfstatat statx pidfd_send_signal
pause rt_sigaction rt_sigpending rt_sigqueueinfo rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo"""


@pytest.mark.parametrize(
    ("group", "names"),
    [
        (groups.LESSON_CALLS, IN_LESSONS),
        (groups.RUN_PAUSED, IN_RUNS),
        (groups.RUN_RECORDED, RECORDED),
        (groups.RUN_CALLS, REPORTED),
    ],
)
def test_a_program_stops_and_is_recorded_at_the_calls_written_here(group: frozenset[str], names: str) -> None:
    assert group == set(names.split())


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("read", "read readv recvfrom recvmsg recvmmsg"),
        ("write", "write writev sendto sendmsg sendmmsg"),
        ("accept", "accept accept4"),
        ("fork", "fork vfork clone clone3"),
        ("wait", "wait4 waitid"),
        ("exec", "execve execveat"),
    ],
)
def test_a_word_means_the_same_calls_in_lessons_and_in_stop_conditions(word: str, names: str) -> None:
    wanted = set(names.split())
    assert set(lesson.SAME_CALL[word]) == conditions.parse(word).calls == wanted
    assert {groups.canonical(name) for name in wanted} == {word}


def test_every_call_of_the_table_exists_and_has_one_entry() -> None:
    entries = [
        row.name
        for family in rows.FAMILIES
        for row in rows.read(import_module(f"socklab.syscalls.table.{family}").CALLS)
    ]
    assert len(entries) == len(set(entries))
    assert set(entries) == set(rows.ROWS) <= set(numbers_by_name("x86_64"))


def test_every_kind_and_every_reference_of_the_table_is_known() -> None:
    used = set()
    for row in rows.ROWS.values():
        for parameter in row.parameters:
            used.add(parameter.kind)
            assert callable(shower(parameter.kind)), (row.name, parameter.name)
        assert row.topic in ("", "descriptors", "queues", "sockets", "processes"), row.name
        assert all(owner in rows.ROWS for owner in row.errors_of[1:2] if owner), row.name
        named = {parameter.name for parameter in row.parameters}
        notes = {name for name in rows.notes(row.own) if name and not name.isupper() and name != "done"}
        if row.known and row.own.count(":") and len(notes - named) > 0:
            shared = [other for other in rows.ROWS.values() if other.own == row.own]
            assert notes <= {each.name for other in shared for each in other.parameters}, row.name
    assert set(kinds.KINDS) <= used


def test_every_call_of_a_lesson_has_all_its_parameters() -> None:
    assert [name for name in groups.LESSON_CALLS if not rows.ROWS[name].known] == []


def test_a_call_is_described_in_one_place() -> None:
    found = []
    for path in Path(syscalls.__file__).parent.rglob("*.py"):
        lines = [line for line in path.read_text().splitlines() if re.search(r"\bshutdown\b", line)]
        found += [(path.name, line) for line in lines if "ESHUTDOWN" not in line]  # whose words strerror(3) gives
    assert found == [("sockets.py", "shutdown(sockfd: fd, how: SHUTDOWN)")]


@pytest.mark.parametrize(
    ("name", "at"),
    [("accept", 0), ("epoll_ctl", 0), ("splice", 0), ("mmap", 4), ("io_uring_register", 0), ("timerfd_settime", 0)]
    + [(name, None) for name in ("socket", "openat", "select", "poll", "close_range", "signalfd4", "nosuchcall")],
)
def test_the_descriptor_a_call_acts_on(name: str, at: int | None) -> None:
    assert syscalls.fd_argument(name) == at


@pytest.mark.parametrize(
    ("name", "args", "fds"),
    [
        ("splice", (3, 0, 4, 0, 9, 0), (3, 4)),
        ("tee", (3, 4, 9, 0), (3, 4)),
        ("sendfile", (3, 4, 0, 9), (3, 4)),
        ("copy_file_range", (3, 0, 4, 0, 9, 0), (3, 4)),
        ("dup2", (3, 4), (3, 4)),
        ("dup3", (3, 4, 0), (3, 4)),
        ("epoll_ctl", (3, 1, 4, 0), (3, 4)),
        ("accept4", (3, 0, 0, 0), (3,)),
        ("pidfd_getfd", (3, 4, 0), ()),
        ("close_range", (3, 9, 0), ()),
        ("openat", (3, 0, 0, 0), ()),
    ],
)
def test_every_descriptor_a_call_names_one_by_one(name: str, args: tuple[int, ...], fds: tuple[int, ...]) -> None:
    assert syscalls.own_fds(name, (*args, 0, 0, 0, 0, 0, 0)[:6]) == fds
    if fds:
        assert conditions.parse(f"{name} fd={fds[-1]}").wants_enter(name, args, True)
        assert not conditions.parse(f"{name} fd={fds[-1] + 90}").wants_enter(name, args, True)


GIVE_A_DESCRIPTOR = """socket accept accept4 open openat openat2 creat dup dup2 dup3 epoll_create epoll_create1
eventfd eventfd2 signalfd signalfd4 timerfd_create inotify_init inotify_init1 memfd_create pidfd_open pidfd_getfd
io_uring_setup"""


def test_calls_that_give_a_descriptor() -> None:
    found = {name for name in groups.RUN_CALLS if syscalls.returns_fd(name)}
    assert found == set(GIVE_A_DESCRIPTOR.split())


def test_fstat_as_the_c_library_makes_it_is_reported_and_stat_is_not() -> None:
    """AT_EMPTY_PATH is 0x1000 (fcntl.h); newfstatat has its flags in the fourth argument, statx in the third."""
    for arch in syscalls.ARCHITECTURES:
        numbers = numbers_by_name(arch)
        assert syscalls.partly(arch) == {numbers["newfstatat"]: (3, 0x1000), numbers["statx"]: (2, 0x1000)}


def test_a_call_touches_the_panel_of_its_topic() -> None:
    topics = {
        "queues": "listen accept accept4",
        "descriptors": "socket socketpair close close_range dup dup3 pipe pipe2 open creat epoll_create epoll_create1",
        "sockets": "read write connect shutdown sendmsg recvmsg sendmmsg recvmmsg sendfile",
        "processes": "fork clone3 wait4 waitid exit exit_group",
        "": "getpid fcntl nosuchcall",
    }
    for topic, names in topics.items():
        assert {syscalls.touches(name) for name in names.split()} == {topic}, topic
