"""System call numbers against the headers of this machine, and the groups against the signatures."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from socklab import syscalls
from socklab.syscalls import groups
from socklab.syscalls.decoding import _signatures
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


@pytest.mark.parametrize("group", ["SOCKET_CALLS", "DESCRIPTOR_CALLS", "PROCESS_CALLS", "LESSON_CALLS", "RUN_CALLS"])
def test_every_name_of_a_group_is_a_call(group: str) -> None:
    assert set(getattr(groups, group)) <= set(numbers_by_name("x86_64"))


def test_every_socket_call_and_every_lesson_call_has_a_signature() -> None:
    assert set(_signatures()) >= syscalls.LESSON_CALLS


def test_signatures_are_of_calls_that_exist() -> None:
    assert set(_signatures()) <= set(numbers_by_name("x86_64"))


def test_facts_about_descriptors_agree_with_the_signatures() -> None:
    for name, known in _signatures().items():
        at = syscalls.fd_argument(name)
        assert at is None or known.args[at].kind == "fd", name
        if known.args and known.args[0].kind == "fd" and name != "signalfd4":
            assert at == 0, name
        assert syscalls.returns_fd(name) == (known.result == "fd"), name


def test_what_makes_a_socket() -> None:
    assert {name for name in numbers_by_name("x86_64") if syscalls.makes_socket(name)} == {
        "socket",
        "socketpair",
        "accept",
        "accept4",
    }


def test_calls_that_sleep_are_known_as_such() -> None:
    assert all(syscalls.may_block(name) for name in ("accept4", "read", "recvfrom", "connect", "epoll_wait", "wait4"))
    assert not any(syscalls.may_block(name) for name in ("socket", "bind", "listen", "close", "setsockopt"))
