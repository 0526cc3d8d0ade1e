"""Architectures: each module against this machine's headers, and that a port is one module and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from socklab import arch, syscalls
from socklab.core.errors import MachineError
from socklab.engine.tracing import ptrace
from socklab.protocol.events import Enter, Mem, Return
from socklab.syscalls import constants_io, kinds, tables

ROOT = Path(arch.__file__).resolve().parents[1]
HERE = os.uname().machine


@pytest.mark.parametrize("machine", arch.MACHINES)
def test_the_audit_constant_is_the_elf_machine_with_the_bits_of_a_little_endian_64_bit_abi(machine: str) -> None:
    known = arch.of(machine)
    assert known.name == machine
    assert known.audit_arch == 0xC0000000 | known.elf_machine  # linux/audit.h: __AUDIT_ARCH_64BIT, __AUDIT_ARCH_LE
    assert arch.of_elf(known.elf_machine) is known


def test_registers_and_structs_of_this_machine_are_those_of_its_headers(tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    names = {"x86_64": ("rip", "rsp", "rbp", "orig_rax", "rax"), "aarch64": ("pc", "sp", "regs[29]", "regs[30]")}
    if compiler is None or HERE not in names:
        pytest.skip("needs a C compiler on an architecture that is known")
    offsets = ", ".join(f"offsetof(struct user_regs_struct, {name})" for name in names[HERE])
    machine = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}[HERE]
    (tmp_path / "a.c").write_text(
        "#include <elf.h>\n#include <stddef.h>\n#include <stdio.h>\n#include <sys/epoll.h>\n#include <sys/user.h>\n"
        f"int main(void) {{ size_t all[] = {{ sizeof(struct epoll_event), {machine}, {offsets} }};\n"
        'for (size_t i = 0; i < sizeof all / sizeof *all; i++) printf("%zu ", all[i]); return 0; }'
    )
    subprocess.run([compiler, "a.c", "-o", "a"], cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "a"], capture_output=True, text=True, check=True).stdout
    known = arch.of(HERE)
    registers = [known.user_registers.ip, known.user_registers.sp, known.user_registers.fp]
    if known.call_registers is not None:
        registers += [known.call_registers.number, known.call_registers.result]
    if known.user_registers.lr is not None:
        registers.append(known.user_registers.lr)
    assert [known.epoll_event_bytes, known.elf_machine, *registers] == [int(word) for word in said.split()]


X86_CALLS = [
    (b"\0\0" + b"\xe8" + struct.pack("<i", 0x100), 0x2100, 2),
    (b"\0\0" + b"\xe8" + struct.pack("<i", 0x100), 0x3000, 0),
    (b"\0" + b"\xff\x15" + struct.pack("<i", 0x10), 0x5555, 2),
    (b"\0" * 5 + b"\xff\xd0", 0x2100, 1),
    (b"\x90" * 7, 0, 0),
]
ARM_CALLS = [
    (b"\0" * 3 + struct.pack("<I", 0x94000000 | 0x41), 0x2100, 2),
    (b"\0" * 3 + struct.pack("<I", 0x94000000 | 0x3FFFFFF), 0x1FF8, 2),
    (b"\0" * 3 + struct.pack("<I", 0x94000041), 0x3000, 0),
    (b"\0" * 3 + struct.pack("<I", 0xD63F0000), 0x2100, 1),
    (b"\0" * 3 + struct.pack("<I", 0xD503201F), 0, 0),
]


@pytest.mark.parametrize(
    ("machine", "before", "callee", "strength"),
    [("x86_64", *row) for row in X86_CALLS] + [("aarch64", *row) for row in ARM_CALLS],
)
def test_a_call_instruction_is_told_from_others(machine: str, before: bytes, callee: int, strength: int) -> None:
    """Encodings by hand after the Intel SDM and the Arm ARM; the return address is 0x2000."""
    assert arch.of(machine).called(before, 0x2000, callee, {0x2010: 0x5555}.__getitem__) == strength


def test_an_unknown_architecture_is_refused_in_plain_words() -> None:
    with pytest.raises(MachineError) as refusal:
        arch.of("vax")
    assert "does not know the system calls of vax" in str(refusal.value)
    assert all(machine in refusal.value.fix for machine in arch.MACHINES)
    assert arch.find("vax") is None
    assert arch.of_elf(75) is None


def test_no_code_outside_this_package_names_an_architecture() -> None:
    """Comments may; and a screen before the header has come shows x86-64's names."""
    named = [
        f"{path}: {line}"
        for package in ("engine", "syscalls", "doctor", "commands", "lesson", "host")
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text().splitlines()
        if re.search(r"""["'](x86_64|aarch64|arm64)["']""", line)
    ]
    assert named == []


# ---------------------------------------------------------------- a port

PORT = '''
from socklab.arch.model import Arch, DwarfRegisters, UserRegisters

ARCH = Arch(
    name="riscv64",
    calls="""{calls}""",
    audit_arch=0xC00000F3,
    elf_machine=243,
    user_registers=UserRegisters(ip=0, sp=2 * 8, fp=8 * 8, lr=1 * 8),
    call_registers=None,
    dwarf=DwarfRegisters(fp=8, sp=2),
    syscall_instruction=b"\\x73\\0\\0\\0",
    called=lambda before, address, callee, word: 0,
    open_flags="DIRECT=0o40000 LARGEFILE=0o100000 NOFOLLOW=0o400000 TMPFILE=0o20200000 DIRECTORY=0o200000",
    clone_tls_first=True,
)
'''
CACHES = (
    arch.find,
    arch.of_elf,
    tables.names_by_number,
    tables.numbers_by_name,
    kinds.capturers,
    constants_io.open_flags,
)


@pytest.fixture
def riscv64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A port as its author would write it: one module in the package, and its name. Numbers: the generic table's."""
    (tmp_path / "riscv64.py").write_text(PORT.format(calls=arch.of("aarch64").calls))
    monkeypatch.setattr(arch, "__path__", [*arch.__path__, str(tmp_path)])
    monkeypatch.setattr(arch, "MACHINES", (*arch.MACHINES, "riscv64"))
    for function in CACHES:
        function.cache_clear()
    yield "riscv64"
    sys.modules.pop("socklab.arch.riscv64", None)
    for function in CACHES:
        function.cache_clear()


def test_a_port_captures_and_decodes_by_its_one_module(riscv64: str) -> None:
    memory = {0x1000: b"\2\0\x1f\x90\x0a\0\0\2" + bytes(8), 0x2000: b"\x10\0\0\0"}
    args = (3, 0x1000, 0x2000, 0o4000, 0, 0)
    accept4 = syscalls.number(riscv64, "accept4")
    assert accept4 is not None

    def read(addr: int, size: int) -> bytes:
        return memory[addr][:size]

    capturer = syscalls.capturers(riscv64)[accept4]
    enter = Enter(0, 1, accept4, args, capturer.enter(args, read))
    call = syscalls.decode(riscv64, enter, Return(1, 1, accept4, 4, capturer.leave(args, 4, read)))
    assert call.name == "accept4"
    assert [each.text for each in call.args] == ["3", "{10.0.0.2:8080}", "[16]", "SOCK_NONBLOCK"]
    assert call.outcome == "new descriptor 4"


def test_a_port_has_its_own_sizes_flags_and_order_of_arguments(riscv64: str) -> None:
    def decoded(name: str, *args: int, mem: tuple[Mem, ...] = ()) -> list[tuple[str, str]]:
        number = syscalls.number(riscv64, name)
        assert number is not None
        call = syscalls.decode(riscv64, Enter(0, 1, number, (*args, 0, 0, 0, 0, 0, 0)[:6], mem))
        return [(each.name, each.text) for each in call.args]

    event = Mem(0x1000, struct.pack("<IxxxxQ", 1, 7))
    assert decoded("epoll_ctl", 5, 1, 7, 0x1000, mem=(event,))[-1] == ("event", "{EPOLLIN, data 7}")
    assert ("flags", "O_RDONLY|O_DIRECTORY") in decoded("openat", 3, 0, 0o200000)
    assert [name for name, _ in decoded("clone", 17)][3:] == ["tls", "child_tid"]


def _filtered(program: bytes, machine: int, number: int, arguments: tuple[int, ...] = ()) -> str:
    """What the kernel does with a call, by reading the program as it does (net/core/filter.c, bpf(4))."""
    data = struct.pack("<IIQ6Q", number, machine, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    lines = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at = value = 0
    while True:
        code, yes, no, constant = lines[at]
        if code == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            (value,) = struct.unpack_from("<I", data, constant)
        elif code == 0x06:  # BPF_RET
            return {0x7FFF0000: "allow", 0x7FF00000: "trace"}[constant & 0x7FFF0000]
        else:  # BPF_JMP with JEQ or JSET
            at += yes if (value == constant if code == 0x15 else value & constant) else no
        at += 1


def test_the_filter_stops_at_calls_that_are_wanted_and_at_some_only_with_certain_arguments() -> None:
    machine = arch.of("x86_64")
    program = ptrace.filter_program((0, 1, 43, 262, 332), machine, {262: (3, 0x1000), 332: (2, 0x3000), 999: (0, 1)})
    found = {nr: _filtered(program, machine.audit_arch, nr) for nr in (0, 1, 2, 43, 262, 332, 999)}
    assert found == {0: "trace", 1: "trace", 2: "allow", 43: "trace", 262: "allow", 332: "allow", 999: "allow"}
    assert _filtered(program, machine.audit_arch, 262, (3, 9, 9, 0x1100)) == "trace"
    assert _filtered(program, machine.audit_arch, 262, (3, 0x1000, 0x1000, 0x100)) == "allow"
    assert _filtered(program, machine.audit_arch, 332, (3, 9, 0x2000)) == "trace"
    assert _filtered(program, machine.audit_arch, 332, (0x3000, 9, 0, 0x3000)) == "allow"
    assert _filtered(program, 0x40000003, 43) == "allow"  # another ABI


def test_a_port_filters_and_unwinds_by_its_own_constants(riscv64: str) -> None:
    program = ptrace.filter_program([202], arch.of(riscv64))
    instructions = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    assert instructions[1] == (0x15, 1, 0, 0xC00000F3)
    found = arch.of_elf(243)
    assert found is not None
    assert (found.dwarf.sp, found.name) == (2, "riscv64")
