"""sock_diag messages of known bytes, and the account of what changed between made-up dumps."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

import pytest
from hypothesis import given, strategies as st

from socklab.engine.kernel.sockdiag import (
    ALL_STATES,
    LISTEN,
    NO_MEMORY,
    Diag,
    Memory,
    cookie,
    pack_ends,
    read_memory,
    split_messages,
)
from socklab.engine.kernel.socktable import MEMORY_READ, RECENT, TIMERS_KEPT, Delta, DiagTable
from socklab.protocol.events import SocketRow

TIME_WAIT = 6

# Replies of Linux 6.18 as received, with their attributes: a SYN sent three times again, and a dual-stack listener.
SYN_SENT = bytes.fromhex(
    "7c0000001200020001000000a73d000002020103d0ce1f907f0000010000000000000000000000007f00000100000000"
    "000000000000000000000000d59d020000000000f402000000000000010000000000000076b605000500080000000000"
    "08000f00000000000c00150001000000000000000600160052000000"
)
LISTENER = bytes.fromhex(
    "840000001200020001000000a73d00000a0a00001f910000000000000000000000000000000000000000000000000000"
    "000000000000000000000000cb9d0200000000000000000002000000050000000000000077b605000500080000000000"
    "05000b000000000008000f00000000000c00150001000000000000000600160012000000"
)


def message(
    id_: int,
    *,
    state: int = 1,
    timer: int = 0,
    expires: int = 0,
    rx: int = 0,
    inode: int = 0,
    family: int = socket.AF_INET,
) -> bytes:
    """An inet_diag_msg whose ends follow from its id."""
    return (
        struct.pack("=BBBB", family, state, timer, 0)
        + struct.pack("!HH", id_ % 65536, 80)
        + bytes([127, 0, 0, 1]).ljust(16, b"\0") * 2
        + struct.pack("=IIIIIIII", 0, id_ & 0xFFFFFFFF, id_ >> 32, expires, rx, 0, 0, inode)
    )


def framed(messages: Iterable[bytes], attributes: bytes = bytes(36)) -> bytes:
    length = 16 + 72 + len(attributes)
    return b"".join(struct.pack("=IHHII", length, 18, 2, 1, 7) + m + attributes for m in messages)


class Dumps(Diag):
    """Replies made up by a test; never opens a socket."""

    def __init__(self) -> None:
        self._hosts = {}
        self.now: list[bytes] = []
        self.memory: dict[int, Memory] = {}
        self.per_chunk = 3
        self.asked: list[bool] = []
        """Of each dump of all states: whether it asked for memory."""

    def read_dump(self, states: int, *, memory: bool = False) -> list[bytes]:
        if states == ALL_STATES:
            self.asked.append(memory)
        wanted = [m for m in self.now if states >> m[1] & 1]
        each = [framed([m], self._attributes(m, memory)) for m in wanted]
        return [b"".join(each[at : at + self.per_chunk]) for at in range(0, len(each), self.per_chunk)]

    def _attributes(self, message: bytes, asked: bool) -> bytes:
        held = self.memory.get(cookie(message))
        if held is None or not asked:
            return bytes(8)
        received, receive_limit, queued, send_limit = held
        cgroup = struct.pack("=HHQ", 12, 21, 1)
        return cgroup + struct.pack("=HH9I", 40, 7, received, receive_limit, 1, send_limit, 0, queued, 0, 0, 0)

    def read_exact(self, family: int, ends: bytes) -> tuple[bytes, Memory] | None:
        found = next((m for m in self.now if m[0] == family and m[4:40] == ends[:36]), None)
        return None if found is None else (found, self.memory.get(cookie(found), NO_MEMORY))

    def close(self) -> None:
        """Nothing is open."""


def test_recorded_replies_become_rows() -> None:
    rows = [Dumps().row(found) for found in split_messages(LISTENER + SYN_SENT)]
    assert rows == [
        SocketRow(
            id=171467, family=socket.AF_INET6, local="[::]:8081", remote="[::]:0",
            state=LISTEN, rx_queue=2, tx_queue=5, inode=374391,
        ),
        SocketRow(
            id=171477, family=socket.AF_INET, local="127.0.0.1:53454", remote="127.0.0.1:8080",
            state=2, tx_queue=1, inode=374390, timer=1, expires_ms=756, retransmits=3,
        ),
    ]  # fmt: skip


@given(st.lists(st.sampled_from([0, 8, 36, 44]), min_size=1, max_size=12))
def test_messages_of_mixed_lengths_are_cut_where_each_begins(attributes: list[int]) -> None:
    messages = [message(index) for index in range(len(attributes))]
    chunk = b"".join(framed([m], bytes(size)) for m, size in zip(messages, attributes, strict=True))
    assert split_messages(chunk) == messages


def test_nothing_is_cut_out_of_an_end_marker() -> None:
    assert split_messages(struct.pack("=IHHIIi", 20, 3, 2, 1, 7, 0)) == []


@pytest.mark.parametrize(
    ("family", "local", "remote", "packed"),
    [
        (socket.AF_INET, "127.0.0.1:8080", "0.0.0.0:0", "1f900000 7f000001" + "00" * 12 + "00" * 16 + "00" * 4),
        (
            socket.AF_INET6,
            "[::1]:80",
            "[::ffff:10.0.0.2]:443",
            "005001bb" + "00" * 15 + "01" + "00" * 10 + "ffff0a000002" + "00" * 4,
        ),
    ],
)
def test_ends_are_packed_as_the_kernel_lays_them_out(family: int, local: str, remote: str, packed: str) -> None:
    assert pack_ends(family, local, remote) == bytes.fromhex(packed)


def test_an_unchanged_table_is_no_change() -> None:
    dumps = Dumps()
    dumps.now = [message(i, inode=i) for i in range(1, 20)]
    table = DiagTable(dumps)
    assert len(table.look().changed) == 19
    assert table.look() == Delta([], [], [])


def test_sockets_at_the_end_of_a_dump_that_grew_shorter_are_gone() -> None:
    dumps = Dumps()
    table = DiagTable(dumps)
    dumps.now = [message(i) for i in range(1, 12)]
    table.look()
    dumps.now = dumps.now[:6]
    assert sorted(table.look().gone) == [7, 8, 9, 10, 11]


def test_a_row_read_by_itself_and_then_back_as_it_was_is_told_both_times() -> None:
    dumps = Dumps()
    table = DiagTable(dumps)
    dumps.now = before = [message(i) for i in range(1, 9)]
    table.look()
    dumps.now = [message(4, rx=9), *before]
    assert [row.rx_queue for row in table.look_at([4]).changed] == [9]
    dumps.now = before
    assert [(row.id, row.rx_queue) for row in table.look().changed] == [(4, 0)]


def test_a_connection_that_closed_is_not_mistaken_for_the_one_that_took_its_ports() -> None:
    dumps = Dumps()
    table = DiagTable(dumps)
    dumps.now = [message(4)]
    table.look()
    dumps.now = [message(4 + 65536)]
    assert table.look_at([4]).gone == [4]


def test_a_socket_listed_twice_in_one_walk_is_one_row_the_later() -> None:
    dumps = Dumps()
    table = DiagTable(dumps)
    dumps.now = [message(4, state=3), message(5), message(6), message(4, state=1)]
    assert [(row.id, row.state) for row in table.look().changed] == [(4, 1), (5, 1), (6, 1)]
    dumps.now = [message(5), message(6), message(4, state=1)]
    assert table.look() == Delta([], [], [])
    assert table.rows[4].state == 1


def test_few_running_timers_are_told_at_every_look() -> None:
    dumps = Dumps()
    table = DiagTable(dumps)
    dumps.now = [message(1, state=2, timer=1, expires=900)]
    assert [row.expires_ms for row in table.look().changed] == [900]
    dumps.now = [message(1, state=2, timer=1, expires=650)]
    assert [row.expires_ms for row in table.look().changed] == [650]


def test_many_running_timers_are_no_changes_and_show_no_number_that_grows_old() -> None:
    dumps = Dumps()
    table = DiagTable(dumps)

    def waiting(count: int, expires: int) -> list[bytes]:
        return [message(i, state=TIME_WAIT, timer=3, expires=expires) for i in range(1, count + 1)]

    dumps.now = waiting(TIMERS_KEPT, 60000)
    table.look()
    assert {row.expires_ms for row in table.rows.values()} == {60000}
    dumps.now = waiting(TIMERS_KEPT + 1, 50000)
    table.look()
    assert {row.expires_ms for row in table.rows.values()} == {0}
    dumps.now = waiting(TIMERS_KEPT + 1, 40000)
    assert table.look() == Delta([], [], [])
    dumps.now = waiting(TIMERS_KEPT, 30000)
    assert {row.expires_ms for row in table.look().changed} == {30000}


def test_a_small_table_tells_what_the_buffers_hold_and_a_change_of_that_alone_is_told() -> None:
    dumps = Dumps()
    table = DiagTable(dumps)
    dumps.now = [message(i) for i in range(1, 9)]
    dumps.memory = {4: Memory(0, 131072, 0, 87040)}
    table.look()
    assert [row.receive_limit for row in table.rows.values()] == [0, 0, 0, 131072, 0, 0, 0, 0]
    assert table.look() == Delta([], [], [])
    dumps.memory = {4: Memory(2304, 131072, 1280, 87040)}
    (row,) = table.look().changed
    assert (row.id, row.receive_used, row.send_used, row.send_limit) == (4, 2304, 1280, 87040)
    dumps.memory = {}
    dumps.now[3] = message(4, state=TIME_WAIT)
    (row,) = table.look().changed
    assert (row.state, row.receive_used, row.receive_limit) == (TIME_WAIT, 0, 0)


def test_a_large_table_is_dumped_without_memory_and_knows_that_of_the_sockets_looked_at_last() -> None:
    dumps = Dumps()
    table = DiagTable(dumps)
    dumps.now = [message(i) for i in range(1, MEMORY_READ + 2)]
    dumps.memory = {i: Memory(i, 1000, 0, 1000) for i in range(1, MEMORY_READ + 2)}
    table.look()
    table.look()
    assert dumps.asked[-1] is False
    assert not any(row.receive_limit for row in table.rows.values())
    assert [row.receive_used for row in table.look_at([7]).changed] == [7]
    assert table.look() == Delta([], [], [])  # it stays known
    dumps.memory[7] = Memory(900, 1000, 0, 1000)
    assert [(row.id, row.receive_used) for row in table.look().changed] == [(7, 900)]
    forgotten = table.look_at(range(20, 20 + RECENT)).changed
    assert (7, 0, 0) in [(row.id, row.receive_used, row.receive_limit) for row in forgotten]
    assert sum(row.receive_limit > 0 for row in table.rows.values()) == RECENT
    dumps.now = dumps.now[:MEMORY_READ]
    table.look()
    table.look()
    assert all(row.receive_used == row.id for row in table.rows.values() if row.id != 7)


@given(st.binary(max_size=200))
def test_no_attribute_is_read_beyond_the_message_whatever_its_length_says(rest: bytes) -> None:
    chunk = struct.pack("=IHHII", 88 + len(rest) // 4 * 4, 18, 2, 1, 7) + message(1) + rest[: len(rest) // 4 * 4]
    assert [id_ for id_, _ in read_memory(chunk)] == [1]


_ROWS = st.dictionaries(
    st.integers(1, 40),
    st.tuples(st.sampled_from([1, 6, 8, LISTEN]), st.integers(0, 2), st.integers(0, 3), st.sampled_from([0, 1000])),
    max_size=25,
)


@given(st.lists(st.tuples(_ROWS, st.sampled_from(["look", "one", "ends", "listeners"])), max_size=8), st.integers(1, 5))
def test_what_changed_added_up_is_always_the_table(
    tables: list[tuple[dict[int, tuple[int, int, int, int]], str]], per_chunk: int
) -> None:
    dumps = Dumps()
    dumps.per_chunk = per_chunk
    table = DiagTable(dumps)
    added: dict[int, SocketRow] = {}
    for rows, how in [*tables, ({}, "again"), *tables[-1:]]:
        if how != "again":
            dumps.now = [
                message(i, state=state, rx=rx, timer=timer, expires=700 if timer else 0, inode=inode and inode + i)
                for i, (state, rx, timer, inode) in rows.items()
            ]
            dumps.memory = {i: Memory(rx and 2304, 4096, 0, 4096) for i, (state, rx, *_) in rows.items() if state != 6}
        if how == "one":
            delta = table.look_at(list(added)[:3])
        elif how == "ends":
            delta = table.look_for(socket.AF_INET, "127.0.0.1:7", "127.0.0.1:80")
            assert (7 in table.rows) == (7 in rows) or table.rows[7].state == LISTEN
        elif how == "listeners":
            delta = table.look_at_listeners()
        else:
            delta = table.look()
        gone = set(delta.gone)
        assert not {row.id for row in delta.changed} & gone
        held = {row.inode for row in added.values()}
        assert all(added.get(row.id) != row for row in delta.changed)
        added = {i: row for i, row in added.items() if i not in gone} | {row.id: row for row in delta.changed}
        assert added == table.rows
        assert set(delta.unlisted) == held - {row.inode for row in added.values()} - {0}
        if how in ("look", "again"):
            expected = (dumps.row(m, dumps.memory.get(cookie(m), NO_MEMORY)) for m in dumps.now)
            assert added == {row.id: row for row in expected}
        assert table.by_inode == {row.inode: row.id for row in added.values() if row.inode}
        assert {row.id for row in table.listeners} == {row.id for row in added.values() if row.state == LISTEN}
