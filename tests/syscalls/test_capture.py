"""What is read of a program's memory at each call: the right bytes, few reads, nothing that was not asked for."""

from __future__ import annotations

import struct

import pytest

from socklab import syscalls
from socklab.protocol.events import Mem
from socklab.syscalls import PREFIX_BYTES

A = 0x7FFD0000_1000
B = 0x7FFD0000_2000
C = 0x7FFD0000_3000


class Memory:
    """A program's memory as /proc/PID/mem gives it: short at the end of a mapping, empty outside. Counts reads."""

    def __init__(self) -> None:
        self.mappings: dict[int, bytes] = {}
        self.reads: list[tuple[int, int]] = []

    def put(self, addr: int, data: bytes) -> Memory:
        self.mappings[addr] = data
        return self

    def read(self, addr: int, size: int) -> bytes:
        self.reads.append((addr, size))
        for start, data in self.mappings.items():
            if start <= addr < start + len(data):
                return data[addr - start : addr - start + size]
        return b""


def enter(name: str, memory: Memory, *args: int) -> tuple[Mem, ...]:
    nr = syscalls.number("x86_64", name)
    assert nr is not None
    return syscalls.capturers("x86_64")[nr].enter((*args, 0, 0, 0, 0, 0, 0)[:6], memory.read)


def leave(name: str, memory: Memory, result: int, *args: int) -> tuple[Mem, ...]:
    nr = syscalls.number("x86_64", name)
    assert nr is not None
    return syscalls.capturers("x86_64")[nr].leave((*args, 0, 0, 0, 0, 0, 0)[:6], result, memory.read)


# ---------------------------------------------------------------- the calls a server makes most


def test_write_costs_one_read_of_a_prefix() -> None:
    memory = Memory().put(A, bytes(10_000))
    assert enter("write", memory, 4, A, 13) == (Mem(A, bytes(13)),)
    assert enter("write", memory, 4, A, 10_000) == (Mem(A, bytes(PREFIX_BYTES)),)
    assert leave("write", memory, 13, 4, A, 13) == ()
    assert memory.reads == [(A, 13), (A, PREFIX_BYTES)]


def test_read_costs_nothing_before_and_one_read_after() -> None:
    memory = Memory().put(A, b"hello" + bytes(1000))
    assert enter("read", memory, 4, A, 1000) == ()
    assert leave("read", memory, 5, 4, A, 1000) == (Mem(A, b"hello"),)
    assert memory.reads == [(A, 5)]


@pytest.mark.parametrize("result", [0, -11, -512])
def test_a_read_that_got_nothing_costs_no_read(result: int) -> None:
    memory = Memory()
    assert leave("read", memory, result, 4, A, 1000) == ()
    assert memory.reads == []


def test_close_has_nothing_to_read() -> None:
    assert syscalls.number("x86_64", "close") not in syscalls.capturers("x86_64")


def test_accept_without_an_address_costs_no_read() -> None:
    memory = Memory()
    assert enter("accept", memory, 3, 0, 0) == ()
    assert leave("accept", memory, 4, 3, 0, 0) == ()
    assert memory.reads == []


@pytest.mark.parametrize("length_at", [A + 16, A + 28, A - 4, A - 64])
def test_accept_reads_address_and_length_at_once_when_they_are_neighbours(length_at: int) -> None:
    stack = bytearray(range(256)) * 2
    start = A - 128
    stack[A - start : A - start + 16] = b"\2\0\x1f\x90\x0a\0\0\2" + bytes(8)
    stack[length_at - start : length_at - start + 4] = struct.pack("<I", 16)
    memory = Memory().put(start, bytes(stack))
    got = leave("accept", memory, 4, 3, A, length_at)
    assert sorted(got, key=lambda piece: piece.addr) == sorted(
        [Mem(A, bytes(stack[A - start : A - start + 16])), Mem(length_at, struct.pack("<I", 16))],
        key=lambda piece: piece.addr,
    )
    assert len(memory.reads) == 1


def test_accept_with_a_far_length_reads_both() -> None:
    memory = Memory().put(A, bytes(16)).put(B, struct.pack("<I", 16))
    assert leave("accept", memory, 4, 3, A, B) == (Mem(B, struct.pack("<I", 16)), Mem(A, bytes(16)))


def test_a_length_that_lies_is_not_believed_beyond_any_address() -> None:
    memory = Memory().put(A, bytes(4000)).put(B, b"\xff\xff\xff\xff")
    assert len(leave("accept", memory, 4, 3, A, B)[1].data) == 128
    assert all(size <= 128 for _, size in memory.reads)


def test_a_long_unix_address_behind_its_length_is_whole() -> None:
    raw = b"\1\0" + b"p" * 100
    memory = Memory().put(A - 8, struct.pack("<II", 102, 0) + raw)
    got = {piece.addr: piece.data for piece in leave("getsockname", memory, 0, 3, A, A - 8)}
    assert got == {A - 8: struct.pack("<I", 102), A: raw}


# ---------------------------------------------------------------- pointers to pointers


def test_writev_follows_the_array_within_a_budget() -> None:
    memory = Memory().put(A, struct.pack("<QQQQ", B, 6, C, 100_000)).put(B, b"first ").put(C, bytes(100_000))
    got = enter("writev", memory, 4, A, 2)
    assert [(piece.addr, len(piece.data)) for piece in got] == [(A, 32), (B, 6), (C, PREFIX_BYTES)]
    many = Memory().put(A, struct.pack("<QQ", B, 4096) * 1024).put(B, bytes(4096))
    assert sum(len(piece.data) for piece in enter("writev", many, 4, A, 1024)) < 64 * 16 + 4 * PREFIX_BYTES + 1


def test_readv_takes_only_what_was_filled() -> None:
    memory = Memory().put(A, struct.pack("<QQQQ", B, 4, C, 8)).put(B, b"scat").put(C, b"tered!xx")
    got = leave("readv", memory, 10, 4, A, 2)
    assert got[1:] == (Mem(B, b"scat"), Mem(C, b"tered!"))


def test_sendmsg_takes_address_buffers_and_control_data() -> None:
    header = struct.pack("<QI4xQQQQI4x", C, 16, A + 64, 1, A + 100, 20, 0)
    memory = Memory().put(A, header + bytes(8) + struct.pack("<QQ", B, 3) + bytes(20) + b"c" * 20)
    memory.put(B, b"abc").put(C, b"n" * 16)
    got = enter("sendmsg", memory, 4, A, 0)
    assert [(piece.addr, len(piece.data)) for piece in got] == [(A, 56), (C, 16), (A + 64, 16), (B, 3), (A + 100, 20)]


def test_a_bad_pointer_is_an_empty_piece() -> None:
    assert enter("write", Memory(), 4, 8, 10) == (Mem(8, b""),)
    assert enter("bind", Memory(), 3, 8, 16) == (Mem(8, b""),)
    assert enter("sendmsg", Memory(), 3, 8, 0) == (Mem(8, b""),)


def test_a_path_ends_at_its_nul_and_may_cross_chunks() -> None:
    name = b"/" + b"d" * 700
    memory = Memory().put(A, name + b"\0rubbish")
    assert enter("open", memory, A, 0) == (Mem(A, name + b"\0"),)


def test_a_path_at_the_end_of_a_mapping_is_what_there_is() -> None:
    assert enter("open", Memory().put(A, b"/tm"), A, 0) == (Mem(A, b"/tm"),)


def test_execve_takes_arguments_and_counts_the_environment() -> None:
    memory = Memory().put(A, b"/bin/echo\0").put(B, struct.pack("<QQ", A, 0) + struct.pack("<QQQ", 1, 2, 0))
    got = enter("execve", memory, A, B, B + 16)
    argv, envp = Mem(B, struct.pack("<QQ", A, 0)), Mem(B + 16, struct.pack("<QQQ", 1, 2, 0))
    assert got == (Mem(A, b"/bin/echo\0"), argv, Mem(A, b"/bin/echo\0"), envp)


# ---------------------------------------------------------------- waiting


def test_poll_keeps_ready_entries_however_far_back_they_stand() -> None:
    entries = bytearray(struct.pack("<ihh", 9, 1, 0) * 5000)
    struct.pack_into("<ihh", entries, 4321 * 8, 4321, 1, 1)
    memory = Memory().put(A, bytes(entries))
    got = leave("poll", memory, 1, A, 5000)
    assert got[-1] == Mem(A + 4321 * 8, struct.pack("<ihh", 4321, 1, 1))
    assert sum(len(piece.data) for piece in got) < 4096


def test_select_reads_whole_words_of_each_set() -> None:
    memory = Memory().put(A, bytes(64)).put(B, bytes(64)).put(C, bytes(16))
    got = enter("select", memory, 65, A, B, 0, C)
    assert [(piece.addr, len(piece.data)) for piece in got] == [(A, 16), (B, 16), (C, 16)]


@pytest.mark.parametrize(("arch", "size"), [("x86_64", 12), ("aarch64", 16)])
def test_epoll_events_are_read_by_the_size_of_their_architecture(arch: str, size: int) -> None:
    memory = Memory().put(A, bytes(4096))
    nr = syscalls.number(arch, "epoll_pwait")
    assert nr is not None
    assert syscalls.capturers(arch)[nr].leave((5, A, 64, 0, 0, 0), 3, memory.read) == (Mem(A, bytes(3 * size)),)


def test_descriptors_of_a_pair_are_read_only_when_there_are_any() -> None:
    memory = Memory().put(A, struct.pack("<ii", 3, 4))
    assert leave("socketpair", memory, 0, 1, 1, 0, A) == (Mem(A, struct.pack("<ii", 3, 4)),)
    assert leave("socketpair", memory, -24, 1, 1, 0, A) == ()


def test_fcntl_and_ioctl_read_only_where_their_argument_is_a_pointer() -> None:
    memory = Memory().put(A, struct.pack("<i", 1))
    assert enter("fcntl", memory, 3, 4, 0o4002) == ()
    assert enter("ioctl", memory, 3, 0x5421, A) == (Mem(A, struct.pack("<i", 1)),)
    assert enter("ioctl", memory, 3, 0x5450, A) == ()
    assert leave("ioctl", memory, 0, 3, 0x541B, A) == (Mem(A, struct.pack("<i", 1)),)


@pytest.mark.parametrize("arch", syscalls.ARCHITECTURES)
def test_every_call_with_captures_has_a_number_and_a_pair_of_readers(arch: str) -> None:
    table = syscalls.capturers(arch)
    assert table is syscalls.capturers(arch)
    assert len(table) > 50
    for capturer in table.values():
        assert capturer.enter((0,) * 6, Memory().read) is not None
        assert capturer.leave((0,) * 6, -1, Memory().read) == ()
