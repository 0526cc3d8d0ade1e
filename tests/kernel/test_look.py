"""Looks at real sockets in a private network, with ss and /proc as independent witnesses."""

from __future__ import annotations

import codecs
import ctypes
import errno
import fcntl
import os
import re
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from socklab import state
from socklab.core.errors import MachineError
from socklab.engine.kernel import copies, descriptors, procfs, snapshot as look_module
from socklab.engine.kernel.descriptors import DescriptorTable
from socklab.engine.kernel.snapshot import Snapshot
from socklab.engine.kernel.sockdiag import Diag, pack_ends
from socklab.engine.kernel.socktable import DiagTable
from socklab.engine.kernel.socktext import TextTable
from socklab.engine.network import netns, topology
from socklab.protocol.events import Counters, Descriptor, Descriptors, Event, Notice, Processes, SocketRow, Sockets
from tests.support.children import NOBODY, in_child

pytestmark = pytest.mark.kernel

TCP_DEFER_ACCEPT = 9
USERS = [pytest.param(None, id="as-this-user")]
if os.geteuid() == 0:
    USERS.append(pytest.param(NOBODY, id="as-nobody"))
SS_STATES = {
    "ESTAB": 1,
    "SYN-SENT": 2,
    "SYN-RECV": 3,
    "FIN-WAIT-1": 4,
    "FIN-WAIT-2": 5,
    "TIME-WAIT": 6,
    "CLOSE-WAIT": 8,
    "LAST-ACK": 9,
    "LISTEN": 10,
    "CLOSING": 11,
}


@pytest.fixture(scope="module", autouse=True)
def _namespaces_allowed() -> None:
    made = in_child(lambda: _made().notices or [("", "", "")])
    if in_child(lambda: _made().network) != "private":
        pytest.skip(f"this machine refuses private networks: {made[0][1]}")


def _made() -> topology.Topology:
    return topology.create("private")


def privately(act: Callable[[], None], user: int | None = None) -> None:
    """`act()` in a process of its own with an empty socket table."""

    def run() -> None:
        assert _made().network == "private"
        act()

    in_child(run, seconds=120, user=user)


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for the kernel to get there; the condition, not the clock, decides."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.002)


def listening(backlog: int = 128, host: str = "127.0.0.1") -> socket.socket:
    server = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    server.bind((host, 0))
    server.listen(backlog)
    return server


def pair(server: socket.socket, host: str = "127.0.0.1") -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection((host, server.getsockname()[1]))
    return client, server.accept()[0]


# Looked up by name at the first connection; another user may not be able to read the interpreter's files then.
codecs.lookup("idna")


def end(address: tuple[str, int]) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def rows_of(events: list[Event]) -> list[SocketRow]:
    return [row for event in events if isinstance(event, Sockets) for row in event.set]


def descriptors_of(events: list[Event]) -> list[Descriptor]:
    return [d for event in events if isinstance(event, Descriptors) for d in event.set]


def counters_of(events: list[Event]) -> dict[str, int]:
    return {name: value for e in events if isinstance(e, Counters) for name, value in e.values.items()}


_Witness = tuple[str, str, int, int, int, int]


def by_ss() -> dict[int, _Witness]:
    """Cookie to (local, remote, state, rx, tx, inode), as `ss -tanHe` prints them."""
    text = subprocess.run(["ss", "-tanHe"], capture_output=True, text=True, check=True).stdout
    found: dict[int, _Witness] = {}
    for line in text.splitlines():
        name, rx, tx, local, remote, *rest = line.split()
        local, remote = (re.sub(r"^\*:", "[::]:", e.replace(":*", ":0")) for e in (local, remote))
        extra = dict(word.split(":", 1) for word in rest if ":" in word)
        cookie = int(extra["sk"], 16)
        found[cookie] = (local, remote, SS_STATES[name], int(rx), int(tx), int(extra.get("ino", "0")))
    return found


def by_row(row: SocketRow) -> _Witness:
    return (row.local, row.remote, row.state, row.rx_queue, row.tx_queue, row.inode)


@contextmanager
def looking(**options: bool) -> Iterator[Snapshot]:
    look = Snapshot("server", time.monotonic_ns, **options)
    try:
        yield look
    finally:
        look.close()


def every_state() -> list[socket.socket]:
    """Sockets in LISTEN, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT2, CLOSE_WAIT and TIME_WAIT; v4, v6, v4-mapped."""
    kept = [v4 := listening(16), v6 := listening(5, "::")]
    open_client, open_server = pair(v4)
    open_client.send(b"not read")
    half_client, half_server = pair(v4)
    half_client.shutdown(socket.SHUT_WR)
    gone_client, gone_server = pair(v4)
    gone_client.close()
    until(lambda: gone_server.recv(1) == b"")
    gone_server.close()
    kept += [open_client, open_server, half_client, half_server, *pair(v6, "::1"), *pair(v6)]
    kept.append(socket.create_connection(("127.0.0.1", v4.getsockname()[1])))  # nobody accepts it
    # The handshake of a connection to such a listener ends with the first data, so it stays in SYN_RECV.
    defer = socket.socket()
    defer.setsockopt(socket.IPPROTO_TCP, TCP_DEFER_ACCEPT, 30)
    defer.bind(("127.0.0.1", 0))
    defer.listen(8)
    kept += [defer, socket.create_connection(defer.getsockname())]
    full = listening(0)
    waits, late = socket.socket(), socket.socket()
    waits.connect(full.getsockname())
    late.setblocking(False)
    late.connect_ex(full.getsockname())
    return [*kept, full, waits, late]


@pytest.mark.parametrize("user", USERS)
def test_sock_diag_proc_text_and_ss_list_the_same_sockets_in_every_state(user: int | None) -> None:
    def act() -> None:
        kept = every_state()
        diag, text = DiagTable(), TextTable()
        every = {1, 2, 3, 5, 6, 8, 10}

        def agree() -> bool:
            # Timers run on their own (a SYN is sent again, a delayed ACK goes out) between two of three readings.
            rows = diag.look() and list(diag.rows.values())
            seen = by_ss()
            text.look()
            if {row.id: by_row(row) for row in rows} != seen or not {row.state for row in rows} >= every:
                return False
            limitless = [(*by_row(row)[:4], 0 if row.state == 10 else row.tx_queue, row.inode) for row in rows]
            return sorted(limitless) == sorted(map(by_row, text.rows.values()))

        until(agree)
        assert {row.family for row in diag.rows.values()} == {socket.AF_INET, socket.AF_INET6}
        assert any(row.local.startswith("[::ffff:127.0.0.1]") for row in diag.rows.values())
        assert len(kept) < len(diag.rows)

    privately(act, user)


def memory_by_ss() -> dict[int, tuple[int, int, int, int]]:
    """Cookie to what `ss -tanHem` prints of a socket's buffers: r, rb, w, tb; 0 where it prints none."""
    text = subprocess.run(["ss", "-tanHemO"], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in text.splitlines():
        numbers = re.search(r"skmem:\(r(\d+),rb(\d+),t\d+,tb(\d+),f-?\d+,w(\d+),", line)
        cookie = re.search(r"\bsk:([0-9a-f]+)", line)
        assert cookie is not None, line
        received, receive_limit, send_limit, queued = map(int, numbers.groups()) if numbers else (0, 0, 0, 0)
        found[int(cookie[1], 16)] = (received, receive_limit, queued, send_limit)
    return found


def memory_of(row: SocketRow) -> tuple[int, int, int, int]:
    return (row.receive_used, row.receive_limit, row.send_used, row.send_limit)


@pytest.mark.parametrize("user", USERS)
def test_what_the_buffers_hold_and_may_hold_is_what_ss_says_in_every_state(user: int | None) -> None:
    def act() -> None:
        kept = [*every_state(), server := listening()]
        client, accepted = pair(server)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            while client.send(b"x" * 4096):
                pass
        table = DiagTable()

        ends = (end(client.getsockname()), end(client.getpeername()))

        def of(ends: tuple[str, ...]) -> SocketRow:
            return next(row for row in table.rows.values() if (row.local, row.remote) == ends)

        def agree() -> bool:
            # Bytes move on between three readings as long as the receiver has room for more.
            table.look()
            [exact] = map(memory_of, _exactly(of(ends)))
            told = {id_: memory_of(row) for id_, row in table.rows.items()}
            return told == memory_by_ss() and exact == memory_of(of(ends))

        until(agree)
        full, other = of(ends), of(ends[::-1])
        assert full.send_limit == client.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert full.send_used > full.tx_queue > 0
        assert other.receive_limit == accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert other.receive_used > other.rx_queue > 0
        assert len(kept) < len(table.rows)

    privately(act, user)


def _exactly(row: SocketRow) -> list[SocketRow]:
    """The socket read by its ends into a table that has seen no other."""
    return DiagTable().look_for(row.family, row.local, row.remote).changed


def test_every_row_of_a_dump_is_also_found_by_its_ends() -> None:
    def act() -> None:
        kept = every_state()
        table = DiagTable()
        table.look()
        for row in table.rows.values():
            [] = table.look_for(row.family, row.local, row.remote).gone
        assert table.look_at(table.rows).gone == []
        assert table.look_for(socket.AF_INET, "127.0.0.1:1", "127.0.0.1:2") == ([], [], [])
        # The kernel answers with the listener here: no connection has these ends.
        listener = end(kept[0].getsockname())
        assert Diag().read_exact(socket.AF_INET, pack_ends(socket.AF_INET, listener, "127.0.0.1:2")) is None
        read = Diag().read_exact(socket.AF_INET, pack_ends(socket.AF_INET, listener, "0.0.0.0:0"))
        assert read is not None
        found = Diag().row(*read)
        assert (found.state, found.inode) == (10, os.fstat(kept[0].fileno()).st_ino)

    privately(act)


def test_a_listener_shows_how_many_wait_and_the_limit_that_listen_was_given() -> None:
    def act() -> None:
        server = listening(4)
        clients = [socket.create_connection(server.getsockname()) for _ in range(3)]
        with looking() as look:
            [row] = [row for row in rows_of(look.everything()) if row.state == 10]
            assert (row.rx_queue, row.tx_queue) == (3, 4)
            text = subprocess.run(["ss", "-tlnH"], capture_output=True, text=True, check=True).stdout.split()
            assert (int(text[1]), int(text[2])) == (3, 4)
            server.accept()
            [row] = [row for row in rows_of(look.everything()) if row.state == 10]
            assert (row.rx_queue, row.tx_queue) == (2, 4)
        assert len(clients) == 3

    privately(act)


def test_a_backlog_above_somaxconn_is_cut_to_it_by_the_kernel() -> None:
    def act() -> None:
        server = listening(100_000)
        with looking() as look, open("/proc/sys/net/core/somaxconn") as limit:
            [row] = rows_of(look.everything())
            assert row.tx_queue == int(limit.read())
        server.close()

    privately(act)


def test_an_overflowing_queue_raises_the_counters_that_are_told() -> None:
    def act() -> None:
        with looking() as look:
            first = counters_of(look.everything())
            assert first["ListenOverflows"] == 0
            assert first["ActiveOpens"] == 0
            server = listening(0)
            clients = [socket.socket() for _ in range(3)]
            for client in clients:
                client.setblocking(False)
                client.connect_ex(server.getsockname())
            told = counters_of(look.everything())
            assert (told["ListenOverflows"], told["ListenDrops"], told["ActiveOpens"]) == (2, 2, 3)
            assert counters_of(look.everything()).keys().isdisjoint({"ListenOverflows", "ActiveOpens"})

    privately(act)


@pytest.mark.parametrize("kind", [DiagTable, TextTable])
def test_a_socket_keeps_its_id_from_syn_recv_to_established(kind: type[DiagTable] | type[TextTable]) -> None:
    def act() -> None:
        server = socket.socket()
        server.setsockopt(socket.IPPROTO_TCP, TCP_DEFER_ACCEPT, 30)
        server.bind(("127.0.0.1", 0))
        server.listen()
        client = socket.create_connection(server.getsockname())
        ends = (end(server.getsockname()), end(client.getsockname()))
        table = kind()

        def row() -> SocketRow:
            table.look()
            return next(row for row in table.rows.values() if (row.local, row.remote) == ends)

        before = row()
        assert (before.state, before.inode) == (3, 0)
        client.send(b"x")
        accepted = server.accept()[0]
        after = row()
        assert (after.id, after.state, after.inode) == (before.id, 1, os.fstat(accepted.fileno()).st_ino)

    privately(act)


def test_the_side_that_closed_first_is_in_time_wait_under_the_same_id() -> None:
    def act() -> None:
        server = listening()
        client, accepted = pair(server)
        ends = (end(client.getsockname()), end(client.getpeername()))
        table = DiagTable()
        table.look()
        [before] = [row for row in table.rows.values() if (row.local, row.remote) == ends]
        client.close()
        until(lambda: accepted.recv(1) == b"")
        accepted.close()
        until(lambda: not table.look().changed or table.rows[before.id].state == 6)
        after = table.rows[before.id]
        assert (after.state, after.inode, after.timer) == (6, 0, 3)
        assert 0 < after.expires_ms <= 60_000

    privately(act)


@pytest.mark.parametrize("kind", [DiagTable, TextTable])
def test_a_listener_opened_anew_on_the_same_port_is_another_socket(kind: type[DiagTable] | type[TextTable]) -> None:
    def act() -> None:
        first = listening()
        address = first.getsockname()
        table = kind()
        [before] = table.look().changed
        first.close()
        second = socket.create_server(address)
        delta = table.look()
        assert delta.gone == [before.id]
        assert [row.inode for row in delta.changed] == [os.fstat(second.fileno()).st_ino]

        def connected(*source: tuple[str, int]) -> list[socket.socket]:
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.bind(source[0] if source else ("127.0.0.1", 0))
            client.connect(address)
            return [client, second.accept()[0]]

        def established() -> set[int]:
            table.look()
            return {row.id for row in table.rows.values() if row.state == 1}

        # The same two ends connected, reset and connected again between two looks.
        old = connected()
        name, ids = old[0].getsockname(), established()
        for each in old:
            each.close()
        new = connected(name)
        assert new[0].getsockname() == name
        assert len(ids) == len(established()) == 2
        assert ids & established() == set()

    privately(act)


def test_the_evidence_of_a_row_is_the_line_of_the_kernels_table_and_its_message() -> None:
    def act() -> None:
        kept = every_state()
        with looking() as look:
            rows = rows_of(look.everything())
            lines = procfs.read_text("/proc/thread-self/net/tcp") + procfs.read_text("/proc/thread-self/net/tcp6")
            for row in rows:
                text, message = look.evidence_of(row, {})
                words = text.data.decode().split()
                assert words[1:3] in [known.split()[1:3] for known in lines.splitlines()]
                if row.inode:
                    assert words[9] == str(row.inode)
                again = look._table._diag.row(message.data)  # type: ignore[attr-defined]
                assert (again.id, again.local, again.remote, again.inode) == (row.id, row.local, row.remote, row.inode)
            none = look.evidence_of(SocketRow(1, socket.AF_INET, "1.2.3.4:5", "6.7.8.9:1", 1), {})
            assert [reading.data for reading in none] == [b"", b""] and all(reading.reason for reading in none)
        assert kept

    privately(act)


def test_one_more_among_two_thousand_connections_is_two_rows() -> None:
    def act() -> None:
        server = listening(4096)
        kept = [pair(server) for _ in range(1000)]
        with looking() as look:
            assert len(rows_of(look.everything())) == 2001
            assert rows_of(look.everything()) == []
            kept.append(pair(server))
            assert {row.local for row in rows_of(look.everything())} == {end(s.getsockname()) for s in kept[-1]}
            kept[500][0].send(b"12345")
            [row] = [row for row in rows_of(look.everything()) if row.rx_queue]
            assert (row.local, row.remote, row.rx_queue) == (
                end(kept[500][1].getsockname()),
                end(kept[500][1].getpeername()),
                5,
            )

            def as_ss_says() -> bool:
                look.everything()
                return {row.id: by_row(row) for row in look._table.rows.values()} == by_ss()

            until(as_ss_says)

    privately(act)


@pytest.mark.parametrize("user", USERS)
def test_a_quick_look_after_each_call_tells_what_a_full_look_would(user: int | None) -> None:
    """Both looks at the same program; the folded states must be equal where the calls touched something."""

    def act() -> None:
        me = os.getpid()
        server = socket.socket()
        with looking() as look:
            look.watch(me)
            told = state.apply_all(state.LabState(), look.everything())

            def without_acks(row: SocketRow | None) -> object:
                """What no packet under way changes: an ACK may come in between two looks."""
                return row and (row.id, 5 if row.state == 4 else row.state, row.rx_queue, row.inode)

            def after(*fds: int) -> None:
                nonlocal told
                told = state.apply_all(told, look.touched(me, fds))
                # Nothing the call touched may be left for the full look to find.
                rest = look.everything()
                known = told.tables["server"].rows if "server" in told.tables else {}
                assert [row for row in rows_of(rest) if without_acks(row) != without_acks(known.get(row.id))] == []
                assert descriptors_of(rest) == []
                told = state.apply_all(told, rest)
                until(as_ss_says)

            def as_ss_says() -> bool:
                nonlocal told
                told = state.apply_all(told, look.everything())
                rows = dict(told.tables["server"].rows) if "server" in told.tables else {}
                return {row.id: by_row(row) for row in rows.values()} == by_ss()

            after(server.fileno())
            server.bind(("127.0.0.1", 0))
            after(server.fileno())
            server.listen(3)
            after(server.fileno())
            assert told.descriptors[me][server.fileno()].detail == ""
            client = socket.socket()
            after(client.fileno())
            client.connect(server.getsockname())
            after(client.fileno())
            accepted = server.accept()[0]
            after(server.fileno(), accepted.fileno())
            client.send(b"hello")
            after(client.fileno())
            accepted.recv(2)
            after(accepted.fileno())
            client.shutdown(socket.SHUT_WR)
            after(client.fileno())
            number = accepted.detach()
            os.close(number)
            after(number)
            assert number not in told.descriptors[me]
            number = server.detach()
            os.close(number)
            after(number)
            assert 10 not in told.tables["server"].states

            # In TIME_WAIT the row belongs to no descriptor any more, though this one stays open.
            client, accepted = pair(listening())
            after(client.fileno(), accepted.fileno())
            client.shutdown(socket.SHUT_WR)
            number = accepted.detach()
            os.close(number)
            until(lambda: client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x07")
            after(client.fileno(), number)
            assert told.descriptors[me][client.fileno()].detail == "tcp"

    privately(act, user)


def test_a_socket_that_waits_for_an_answer_is_known_from_idle_ones() -> None:
    """A SYN that the full accept queue lets nobody answer; `ss -o` calls its timer `on`."""

    def act() -> None:
        server = listening(0)
        kept = [socket.create_connection(server.getsockname())]
        with looking() as look:
            look.everything()
            assert not look.awaits_answer, "an idle connection and a listener"
            late = socket.socket()
            late.setblocking(False)
            late.connect_ex(server.getsockname())
            look.everything()
            timers = subprocess.run(["ss", "-tanHo", "state", "syn-sent"], capture_output=True, text=True).stdout
            assert "timer:(on," in timers
            assert look.awaits_answer
            late.close()
            look.everything()
            assert not look.awaits_answer
        assert kept

    privately(act)


def test_a_quick_look_finds_descriptors_that_no_argument_and_no_result_names() -> None:
    """What socketpair, fcntl, recvmsg and close_range do to a table too long to be read whole."""

    def act() -> None:
        me = os.getpid()
        kept = [socket.socketpair() for _ in range(descriptors.READ_ALL)]
        with looking() as look:
            look.watch(me)
            look.everything()
            assert descriptors_of(look.touched(me, [], unnamed=True)) == []
            fresh = socket.socketpair()
            assert {each.fd for each in descriptors_of(look.touched(me, [], unnamed=True))} == {
                each.fileno() for each in fresh
            }
            twins = fcntl.fcntl(fresh[0], fcntl.F_DUPFD, 1000), fcntl.fcntl(fresh[0], fcntl.F_DUPFD, 1001)
            assert {each.fd for each in descriptors_of(look.touched(me, [], unnamed=True))} == set(twins)
            os.closerange(*twins)
            os.close(twins[1])
            told = look.touched(me, [], unnamed=True)
            assert {fd for each in told if isinstance(each, Descriptors) for fd in each.closed} == set(twins)
            assert descriptors_of(look.everything()) == []
        assert kept

    privately(act)


def test_a_socket_without_an_address_says_what_it_is_and_stops_saying_it_once_listed() -> None:
    def act() -> None:
        me = os.getpid()
        fresh, datagram = socket.socket(), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        unix, _ = kept = socket.socketpair()
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with looking() as look, open(__file__) as file:
            file.read(10)
            look.watch(me)
            seen = {d.fd: d for d in descriptors_of(look.everything())}
            assert seen.keys() >= {fd for fd in range(200) if os.path.lexists(f"/proc/self/fd/{fd}")}
            assert seen[fresh.fileno()].detail == "tcp"
            assert seen[datagram.fileno()].detail == "udp6"
            assert seen[unix.fileno()].detail == "unix stream"
            assert seen[reading].target == os.readlink(f"/proc/self/fd/{reading}")
            assert seen[reading].inode == os.fstat(reading).st_ino
            assert seen[reading].flags & (os.O_NONBLOCK | os.O_CLOEXEC) == os.O_NONBLOCK | os.O_CLOEXEC
            assert seen[fresh.fileno()].inode == os.fstat(fresh.fileno()).st_ino
            assert (seen[file.fileno()].inode, seen[file.fileno()].target) == (0, os.path.realpath(__file__))
            assert seen[file.fileno()].position == os.lseek(file.fileno(), 0, os.SEEK_CUR)
            fresh.bind(("127.0.0.1", 0))
            assert descriptors_of(look.everything()) == []  # bound, and still in no table
            fresh.listen()
            [listed] = descriptors_of(look.everything())
            assert (listed.fd, listed.detail) == (fresh.fileno(), "")
            os.close(writing)
            [closed] = [e.closed for e in look.everything() if isinstance(e, Descriptors)]
            assert closed == (writing,)
        assert kept

    privately(act)


def test_of_a_large_table_a_number_opened_anew_unseen_is_found_in_its_turn() -> None:
    def act() -> None:
        me = os.getpid()
        many = many_descriptors()
        with looking() as look:
            look.watch(me)
            look.everything()
            assert descriptors_of(look.everything()) == []
            os.dup2(os.open("/dev/zero", os.O_RDONLY), many[200])
            found: list[Descriptor] = []
            for _ in range(10):
                found += descriptors_of(look.everything())
            assert {d.fd: d.target for d in found}[many[200]] == "/dev/zero"
            os.close(many[7])
            closed = [e.closed for e in look.everything() if isinstance(e, Descriptors)]
            assert closed == [(many[7],)]

    privately(act)


def many_descriptors() -> list[int]:
    """300 of them, and lower numbers that are free: listing our own directory takes the lowest for a moment."""
    spare = [os.open("/dev/null", os.O_RDONLY) for _ in range(16)]
    many = [os.open("/dev/null", os.O_RDONLY) for _ in range(300)]
    for number in spare:
        os.close(number)
    return many


class OneUnreadable(DescriptorTable):
    """A table in which one number is open and can't be read, as after an exec of a set-user-ID program."""

    unreadable = -1

    def _descriptor(self, fd: int) -> Descriptor | None:
        return None if fd == self.unreadable else super()._descriptor(fd)


def test_in_a_large_table_a_number_closed_is_found_although_another_is_open_and_unreadable() -> None:
    many = many_descriptors()
    table = OneUnreadable(os.getpid(), lambda _inode: False)
    table.unreadable = many[9]
    try:
        for _ in range(3):  # its own directories, and what it asks of sockets, are opened meanwhile
            table.look()
        os.close(many[7])
        assert table.look()[1] == [many[7]]
    finally:
        table.close()
        for number in {*many} - {many[7]}:
            os.close(number)


@contextmanager
def blocked_in_accept(server: socket.socket) -> Iterator[int]:
    pid = os.fork()
    if pid == 0:
        server.accept()
        os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_quick_look_at_a_process_just_born_tells_its_whole_table() -> None:
    def act() -> None:
        server = listening()
        client, accepted = pair(server)
        with looking() as look, client, accepted, blocked_in_accept(server) as pid:
            look.everything()
            look.watch(pid)
            told = {descriptor.fd for descriptor in descriptors_of(look.touched(pid, [server.fileno()]))}
            assert {server.fileno(), client.fileno(), accepted.fileno()} <= told

    privately(act)


def test_a_process_blocked_in_accept_sleeps_and_says_where_and_then_is_gone_once() -> None:
    def act() -> None:
        server = listening()
        with looking() as look:
            with blocked_in_accept(server) as pid:
                look.watch(pid)
                look.everything()
                until(lambda: look.process(pid) == [] and procfs.read_wchan(pid) == "inet_csk_accept")
                row = look._processes[pid]
                assert (row.state, row.ppid, row.threads) == ("S", os.getpid(), 1)
                assert row.waits_in == "inet_csk_accept"
                with open(f"/proc/{pid}/statm") as statm:
                    # The kernel adds up per-CPU parts for one of the two files and not for the other.
                    resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
                    assert abs(row.rss_bytes - resident) < 2 << 20
            events = look.everything()
            assert [e.gone for e in events if isinstance(e, Processes)] == [(pid,)]
            [closed] = [e.closed for e in events if isinstance(e, Descriptors)]
            assert server.fileno() in closed
            assert look._watched == {}
            assert [e for e in look.everything() if isinstance(e, Processes)] == []
            assert look.process(pid) == []
            assert look.touched(pid, [3]) == []

    privately(act)


def test_another_users_process_is_a_notice_once_not_an_error() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to have another user's process to look at")

    def act() -> None:
        with looking() as look:
            look.watch(1)
            events = look.everything()
            [notice] = [e for e in events if isinstance(e, Notice)]
            assert "EACCES" in notice.text
            assert notice.fix
            assert [e.set[0].pid for e in events if isinstance(e, Processes)] == [1]
            assert [e for e in look.everything() if isinstance(e, Notice)] == []

    in_child(act, user=NOBODY)


def test_where_the_programs_sockets_may_not_be_asked_a_quick_look_reads_the_whole_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: int) -> int:
        ctypes.set_errno(errno.EPERM)
        return -1

    monkeypatch.setattr(copies, "_syscall", refuse)

    def act() -> None:
        me = os.getpid()
        server = listening()
        fresh = socket.socket()
        with looking() as look:
            look.watch(me)
            seen = {d.fd: d for d in descriptors_of(look.everything())}
            assert seen[fresh.fileno()].detail == "not readable: EPERM"
            client, accepted = pair(server)
            told = look.touched(me, [accepted.fileno()])
            assert {row.local for row in rows_of(told)} >= {end(s.getsockname()) for s in (client, accepted)}
            assert {d.fd: d.detail for d in descriptors_of(told)} == {accepted.fileno(): ""}

    privately(act)


def test_on_a_shared_network_only_the_watched_programs_connections_are_told() -> None:
    def act() -> None:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            mine = listening()
            os.write(writing, str(mine.getsockname()[1]).encode())
            signal.pause()
        try:
            port = int(os.read(reading, 10))
            stranger = listening()
            others = [pair(stranger) for _ in range(3)]
            with looking(only_watched=True) as look:
                look.watch(pid)
                assert [row.state for row in rows_of(look.everything())] == [10]
                look.unwatch(pid)
                waiting = socket.create_connection(("127.0.0.1", port))
                others.append(pair(stranger))
                assert {row.state for row in rows_of(look.everything())} == {1, 10}
            with looking(only_watched=True) as look:
                # Its connections are older than the watch and no row of them changes any more.
                assert rows_of(look.everything()) == []
                look.watch(pid)
                told = rows_of(look.everything())
                here, there = end(waiting.getsockname()), end(waiting.getpeername())
                assert {(row.local, row.remote) for row in told if row.state == 1} == {(here, there), (there, here)}
                assert {row.state for row in told} == {1, 10}
                stranger.close()
                assert rows_of(look.everything()) == []
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    privately(act)


def test_a_look_stays_in_the_network_it_was_made_in() -> None:
    def act() -> None:
        server = listening()
        with looking() as look:
            first = counters_of(look.everything())
            netns.unshare(netns.CLONE_NEWNET)
            assert procfs.read_text("/proc/thread-self/net/tcp").count("\n") == 1
            late = socket.socket()  # of the new, empty network
            assert rows_of(look.everything()) == []
            assert len(look._table.rows) == 1
            [row] = look._table.rows.values()
            assert look.evidence_of(row, {})[0].data.decode().split()[9] == str(os.fstat(server.fileno()).st_ino)
            assert first["ActiveOpens"] == 0
            late.close()

    privately(act)


def test_without_sock_diag_the_text_is_read_and_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> DiagTable:
        raise MachineError("no sock_diag here", fix="load it")

    monkeypatch.setattr(look_module, "DiagTable", refuse)

    def act() -> None:
        server = listening(4)
        client = socket.create_connection(server.getsockname())
        me = os.getpid()
        with looking() as look:
            look.watch(me)
            events = look.everything()
            assert [e.text for e in events if isinstance(e, Notice)] == ["no sock_diag here"]
            assert look.reads == "/proc/net/tcp"
            assert {(row.local, row.remote) for row in rows_of(events)} >= {
                (end(client.getsockname()), end(client.getpeername()))
            }
            look.everything()  # the descriptors are known now: the listener can be asked for its limit
            [listener] = look._table.listeners
            assert (listener.rx_queue, listener.tx_queue) == (1, 4)
            accepted = server.accept()[0]
            told = rows_of(look.touched(me, [server.fileno(), accepted.fileno()]))
            inodes = {row.inode for row in told}
            assert os.fstat(accepted.fileno()).st_ino in inodes
            assert rows_of(look.everything()) == []

    privately(act)
