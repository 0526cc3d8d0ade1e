"""Decoding is total: whatever stood in the registers and in memory, there is a result and never an exception."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st

from socklab import syscalls
from socklab.protocol.events import Enter, Mem, Return
from socklab.syscalls import constants_io as io, constants_net as net
from socklab.syscalls.rows import ROWS

REGISTER = st.one_of(
    st.integers(0, 40),
    st.sampled_from([0x1000, 0x1008, 0x1010, 0x2000, 0x8912, 0x5421, 0x541B, 1030, 2**32 - 1, 2**64 - 1, 2**64 - 100]),
    st.integers(0, 2**64 - 1),
)
PIECE = st.builds(Mem, st.sampled_from([0x1000, 0x1008, 0x1010, 0x2000, 0]), st.binary(max_size=200))
POINTERS = st.lists(st.sampled_from([0, 1, 2, 16, 56, 64, 0x1000, 0x1010, 0x2000]), max_size=20).map(
    lambda words: b"".join(word.to_bytes(8, "little") for word in words)
)
POINTER_PIECE = st.builds(Mem, st.sampled_from([0x1000, 0x1008, 0x2000]), POINTERS)
PIECES = st.lists(st.one_of(PIECE, POINTER_PIECE), max_size=5).map(tuple)
RESULT = st.one_of(st.integers(-520, 70), st.integers(-(2**63), 2**63 - 1))


@pytest.mark.parametrize("arch", syscalls.ARCHITECTURES)
@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_any_registers_and_any_memory_decode(arch: str, data: st.DataObject) -> None:
    known = [nr for nr in (syscalls.number(arch, name) for name in ROWS) if nr is not None]
    nr = data.draw(st.one_of(st.sampled_from(known), st.integers(-1, 600)))
    args = tuple(data.draw(st.lists(REGISTER, min_size=0, max_size=6)))
    enter = Enter(0, 1, nr, args, data.draw(PIECES))
    returned = data.draw(st.one_of(st.none(), st.builds(Return, st.just(1), st.just(1), st.just(nr), RESULT, PIECES)))
    assert_shown(arch, enter, returned)


def assert_shown(arch: str, enter: Enter, returned: Return | None) -> None:
    """There is a text for everything, none with a control character; every field lies within its argument's bytes."""
    decoded = syscalls.decode(arch, enter, returned, lambda fd: f"socket:[{fd}]")
    texts = [decoded.name, decoded.result, decoded.outcome, decoded.meaning]
    for arg in decoded.args:
        texts += [arg.text, arg.meaning]
        for field in arg.fields:
            texts.append(field.text)
            assert field.offset >= 0
            assert field.offset + field.size <= len(arg.data)
    for text in texts:
        assert text.isprintable(), ascii(text)
    line = syscalls.strace_text(arch, enter, returned)
    assert line.isprintable(), ascii(line)


COMMANDS = sorted({*io.FCNTL.by_value, *io.IOCTL.by_value, *net.OPTIONS, *net.OPTIONS[0].by_value})
"""What fcntl, ioctl and setsockopt are asked for: registers drawn at random would seldom mean one of them."""
HEAD = st.one_of(st.binary(max_size=64), POINTERS, st.lists(st.integers(0, 70), max_size=40).map(bytes))


@pytest.mark.parametrize("arch", syscalls.ARCHITECTURES)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_memory_holds_is_captured_and_shown(arch: str, data: st.DataObject) -> None:
    """Through the readers of each call, so that every struct gets bytes of its size."""
    nr = data.draw(st.sampled_from(sorted(syscalls.capturers(arch))))
    capturer = syscalls.capturers(arch)[nr]
    pointers = st.sampled_from([0x1000, 0x1010, 0x2000, 0x3000])
    small = st.integers(0, 300)
    args = tuple(data.draw(st.tuples(*[st.one_of(pointers, small, st.sampled_from(COMMANDS), REGISTER)] * 6)))
    before, after = data.draw(HEAD), data.draw(HEAD)

    def memory(content: bytes) -> Callable[[int, int], bytes]:
        whole = (content + bytes(range(256)) * 2) * 9
        return lambda addr, size: whole[addr % 64 :][:size] if addr >= 0x1000 else b""

    result = data.draw(st.one_of(st.just(0), RESULT))
    enter = Enter(0, 1, nr, args, capturer.enter(args, memory(before)))
    assert_shown(arch, enter, None)
    assert_shown(arch, enter, Return(1, 1, nr, result, capturer.leave(args, result, memory(after))))


@pytest.mark.parametrize("arch", syscalls.ARCHITECTURES)
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_capturing_never_fails_and_never_reads_much(arch: str, data: st.DataObject) -> None:
    table = syscalls.capturers(arch)
    capturer = table[data.draw(st.sampled_from(sorted(table)))]
    memory = data.draw(st.one_of(st.binary(max_size=300), POINTERS))
    asked = []

    def read(addr: int, size: int) -> bytes:
        assert size >= 0
        asked.append(size)
        return memory[:size] if data.draw(st.booleans()) else b""

    args = tuple(data.draw(st.lists(REGISTER, min_size=6, max_size=6)))
    entered = capturer.enter(args, read)
    left = capturer.leave(args, data.draw(RESULT), read)
    assert sum(len(piece.data) for piece in entered + left) < 300_000
    assert all(size <= 16384 * 8 for size in asked)
