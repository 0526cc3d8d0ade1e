"""What select, poll and epoll_wait watch and found ready, from the bytes the program and the kernel left."""

from __future__ import annotations

import os
import select
import struct

import pytest
from hypothesis import given, strategies as some

from socklab.engine.kernel.procfs import parse_epoll_targets
from socklab.protocol import events as ev
from socklab.syscalls.tables import number
from socklab.syscalls.watching import WAITS, Watched, watched

A, B, C = 0x1000, 0x2000, 0x3000


def entered(name: str, *args: int, mem: tuple[ev.Mem, ...] = (), arch: str = "x86_64") -> ev.Enter:
    nr = number(arch, name)
    assert nr is not None
    return ev.Enter(t=1, tid=1, nr=nr, args=(*args, 0, 0, 0, 0, 0, 0)[:6], mem=mem)


def left(call: ev.Enter, result: int, *mem: ev.Mem) -> ev.Return:
    return ev.Return(t=2, tid=1, nr=call.nr, result=result, mem=mem)


def fd_set(*fds: int) -> bytes:
    return sum(1 << fd for fd in fds).to_bytes(8, "little")


def test_select_tells_each_descriptor_once_with_the_sets_it_is_in() -> None:
    call = entered("select", 8, A, B, 0, 0, mem=(ev.Mem(A, fd_set(3, 5)), ev.Mem(B, fd_set(5, 7))))
    assert watched("x86_64", call, None) == [Watched(3, "read"), Watched(5, "read|write"), Watched(7, "write")]
    back = left(call, 2, ev.Mem(A, fd_set(3)), ev.Mem(B, fd_set(5)))
    assert watched("x86_64", call, back) == [
        Watched(3, "read", "read"),
        Watched(5, "read|write", "write"),
        Watched(7, "write", ""),
    ]


def test_a_select_that_timed_out_found_nothing_ready() -> None:
    call = entered("select", 4, A, 0, 0, 0, mem=(ev.Mem(A, fd_set(3)),))
    assert watched("x86_64", call, left(call, 0)) == [Watched(3, "read", "")]


def pollfds(*entries: tuple[int, int, int]) -> bytes:
    return b"".join(struct.pack("<iHH", *entry) for entry in entries)


def test_poll_passes_over_negative_descriptors_and_tells_what_came_back() -> None:
    call = entered("poll", A, 3, 1000, mem=(ev.Mem(A, pollfds((3, 1, 0), (-1, 1, 0), (4, 5, 0))),))
    assert watched("x86_64", call, None) == [Watched(3, "IN"), Watched(4, "IN|OUT")]
    back = left(call, 1, ev.Mem(A, pollfds((3, 1, 0x11), (-1, 1, 0), (4, 5, 0))))
    assert watched("x86_64", call, back) == [Watched(3, "IN", "IN|HUP"), Watched(4, "IN|OUT", "")]


@pytest.mark.parametrize(("arch", "layout"), [("x86_64", "<IQ"), ("aarch64", "<IxxxxQ")])
def test_epoll_s_answer_is_matched_by_the_program_s_own_data(arch: str, layout: str) -> None:
    name = "epoll_pwait"
    call = entered(name, 6, A, 16, -1 & (1 << 64) - 1, arch=arch)
    interest = ((3, 0x19, 3), (5, 0x1D, 77))
    assert watched(arch, call, None, interest) == [Watched(3, "IN", None, 3), Watched(5, "IN|OUT", None, 77)]
    back = left(call, 2, ev.Mem(A, struct.pack(layout, 0x4, 77) + struct.pack(layout, 0x1, 999)))
    assert watched(arch, call, back, interest) == [
        Watched(3, "IN", "", 3),
        Watched(5, "IN|OUT", "OUT", 77),
        Watched(-1, "", "IN", 999),
    ]


def test_a_call_that_failed_found_neither_ready_nor_not() -> None:
    call = entered("poll", A, 1, 0, mem=(ev.Mem(A, pollfds((3, 1, 0))),))
    assert watched("x86_64", call, left(call, -4)) == [Watched(3, "IN", None)]


def test_other_calls_watch_nothing() -> None:
    assert watched("x86_64", entered("read", 3, A, 10), None) is None


@given(
    some.sampled_from(sorted(WAITS)),
    some.lists(some.integers(0, 2**64 - 1), min_size=6, max_size=6),
    some.binary(max_size=64),
    some.integers(-600, 100),
)
def test_any_registers_and_bytes_give_rows(name: str, args: list[int], data: bytes, result: int) -> None:
    call = entered(name, *args, mem=(ev.Mem(args[0], data), ev.Mem(args[1], data)))
    assert watched("x86_64", call, left(call, result, ev.Mem(args[1], data), ev.Mem(args[0], data))) is not None


# ---------------------------------------------------------------- the list the kernel keeps

FDINFO = """\
pos:\t0
flags:\t02
mnt_id:\t15
ino:\t1057
tfd:        5 events:       19 data:                5  pos:0 ino:2f65 sdev:8
tfd:        3 events: 8000001d data: ffffffffffffffff  pos:0 ino:2f64 sdev:8
"""


def test_targets_are_told_by_descriptor_with_hexadecimal_events_and_data() -> None:
    assert parse_epoll_targets(FDINFO, 64) == (((3, 0x8000001D, 2**64 - 1), (5, 0x19, 5)), False)


def test_what_is_too_much_or_cut_counts_as_more() -> None:
    assert parse_epoll_targets(FDINFO, 1) == (((3, 0x8000001D, 2**64 - 1),), True)
    assert parse_epoll_targets(FDINFO[:-8], 64) == (((5, 0x19, 5),), True)
    assert parse_epoll_targets("tfd: nonsense\n", 64) == ((), True)
    assert parse_epoll_targets("pos:\t0\nflags:\t02\n", 64) == ((), False)


def test_the_running_kernel_writes_what_was_registered() -> None:
    reader, writer = os.pipe()
    with select.epoll() as instance:
        instance.register(reader, select.EPOLLIN)
        instance.register(writer, select.EPOLLOUT | select.EPOLLET)
        with open(f"/proc/self/fdinfo/{instance.fileno()}") as file:
            found, more = parse_epoll_targets(file.read(), 64)
    os.close(reader)
    os.close(writer)
    always = select.EPOLLERR | select.EPOLLHUP
    assert [(fd, events & ~always) for fd, events, _ in found] == [
        (reader, select.EPOLLIN),
        (writer, select.EPOLLOUT | select.EPOLLET),
    ]
    assert not more
