"""What sockets that no TCP table lists, pipes and epoll instances say of themselves, with ss, poll and /proc beside."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from socklab import probes
from socklab.engine.kernel import copies, descriptors
from socklab.engine.kernel.descriptors import DescriptorTable
from socklab.engine.kernel.unixdiag import UNKNOWN, UnixDiag, parse_unix_message
from socklab.engine.network import topology
from socklab.host import libc
from socklab.host.libc import c_library
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.rows import Descriptor, KernelObject
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import LabState, apply
from tests.support import shared
from tests.support.children import NOBODY, in_child
from tests.support.shared import open_folder

pytestmark = pytest.mark.kernel

USERS = [pytest.param(None, id="as-this-user")]
if os.geteuid() == 0:
    USERS.append(pytest.param(NOBODY, id="as-nobody"))


OPEN_ALREADY = 256
"""The process of the tests may have so many files open itself."""


@pytest.fixture(autouse=True)
def _with_the_tests_own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "READ_ALL", descriptors.READ_ALL + OPEN_ALREADY)


def privately(act: Callable[[], None], user: int | None = None) -> None:
    """`act()` in a process of its own, with a network of its own."""

    def run() -> None:
        if topology.create("private").network != "private":
            pytest.skip("this machine refuses private networks")
        act()

    in_child(run, seconds=120, user=user)


def looked(pid: int = 0, *, still: bool = True, listed: frozenset[int] = frozenset()) -> dict[int, Descriptor]:
    unix = UnixDiag()
    table = DescriptorTable(pid or os.getpid(), lambda inode: inode in listed, unix)
    try:
        table.look(still=still)
        return table.known
    finally:
        table.close()
        unix.close()


def behind(fd: int, pid: int = 0, *listed: socket.socket) -> KernelObject:
    found = looked(pid, listed=frozenset(os.fstat(each.fileno()).st_ino for each in listed))[fd].behind
    assert found is not None
    return found


def by_ss(kind: str, inode: int) -> tuple[str, int]:
    """State and Recv-Q of one socket, as `ss -uan` and `ss -xan` print them."""
    text = subprocess.run(["ss", f"-{kind}anHeO"], capture_output=True, text=True, check=True).stdout
    mine = rf"ino:{inode}\b" if kind == "u" else rf"^u_\S+ +\S+ +\d+ +\d+ +\S+ {inode} "
    [line] = [line for line in text.splitlines() if re.search(mine, line)]
    state, received = line.split()[:2] if kind == "u" else line.split()[1:3]
    return state, int(received)


# ---------------------------------------------------------------- UDP


@pytest.mark.parametrize("user", USERS)
def test_a_udp_socket_tells_its_address_its_next_datagram_and_all_that_wait(user: int | None) -> None:
    def act() -> None:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        assert (behind(server.fileno()).local, behind(server.fileno()).waiting_bytes) == ("", 0)
        server.bind(("127.0.0.1", 0))
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.connect(server.getsockname())
        client.send(b"twelve bytes")
        client.send(b"and so many more")
        told, other = behind(server.fileno()), behind(client.fileno())
        assert told.local == other.remote == "{}:{}".format(*server.getsockname())
        assert other.local == "{}:{}".format(*client.getsockname())
        assert (told.remote, told.waiting_bytes, other.waiting_bytes) == ("", len(b"twelve bytes"), 0)
        assert told.receive_used == by_ss("u", os.fstat(server.fileno()).st_ino)[1]
        assert told.receive_used > len(b"twelve bytes" + b"and so many more")
        assert told.receive_limit == server.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert told.send_limit == server.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert server.recv(100) == b"twelve bytes", "looking took none"
        assert behind(server.fileno()).waiting_bytes == len(b"and so many more")

    privately(act, user)


def test_datagrams_that_found_no_room_are_counted_as_drops() -> None:
    def act() -> None:
        server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind(("::1", 0))
        client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        for _ in range(40):
            client.sendto(b"x" * 900, server.getsockname())
        told = behind(server.fileno())
        inode = os.fstat(server.fileno()).st_ino
        [line] = [line for line in Path("/proc/net/udp6").read_text().splitlines() if f" {inode} " in line]
        assert told.drops == int(line.split()[-1]) > 0
        assert told.receive_used == int(line.split()[4].partition(":")[2], 16) > 0
        assert told.local == f"[::1]:{server.getsockname()[1]}"

    privately(act)


# ---------------------------------------------------------------- UNIX


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_a_unix_socket_tells_its_name_that_it_listens_and_what_waits(abstract: bool) -> None:
    def act() -> None:
        name = "\0a\x1bname" if abstract else str(open_folder() / "a\x1bname")
        shown = name.replace("\0", "@").replace("\x1b", "␛")
        server, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        server.bind(name)
        assert (behind(server.fileno()).local, behind(server.fileno()).listening) == (shown, False)
        server.listen(3)
        client.connect(name)
        client.send(b"waits")
        accepted, _ = server.accept()
        told, near, far = (behind(each.fileno()) for each in (server, client, accepted))
        assert (told.listening, told.waiting_bytes, near.listening) == (True, None, False)
        assert (near.local, near.remote, far.local, far.remote) == ("", shown, shown, "")
        assert (near.waiting_bytes, far.waiting_bytes) == (0, len(b"waits"))
        assert (near.send_used > 0, far.receive_used) == (True, 0), "what waits is counted at its sender"
        assert by_ss("x", os.fstat(accepted.fileno()).st_ino) == ("ESTAB", far.waiting_bytes)
        assert (told.accept_queue, told.backlog, far.accept_queue) == (0, 3, None)
        assert by_ss("x", os.fstat(server.fileno()).st_ino) == ("LISTEN", 0)
        waits = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for each in waits:
            each.connect(name)
        told = behind(server.fileno())
        assert (told.accept_queue, told.backlog) == (2, 3)
        assert by_ss("x", os.fstat(server.fileno()).st_ino) == ("LISTEN", 2)
        assert far.peer_inode == os.fstat(client.fileno()).st_ino
        assert near.peer_inode == os.fstat(accepted.fileno()).st_ino
        accepted.recv(2)
        assert behind(accepted.fileno()).waiting_bytes == len(b"its")
        if not abstract:
            os.unlink(name)

    privately(act)


def test_two_unix_sockets_without_a_name_know_each_other_by_inode_where_the_kernel_tells() -> None:
    def act() -> None:
        one, other = socket.socketpair()
        told = behind(one.fileno())
        assert (told.local, told.remote, told.peer_inode) == ("", "", os.fstat(other.fileno()).st_ino)
        other.close()
        assert behind(one.fileno()).peer_inode == 0
        gone = UnixDiag()
        gone.close()
        assert (gone.read(told.peer_inode), UnixDiag().read(1)) == (UNKNOWN, UNKNOWN)

    privately(act)


@given(st.binary(max_size=200))
def test_no_message_of_the_kernel_is_read_beyond_its_end(reply: bytes) -> None:
    parse_unix_message(reply)
    parse_unix_message(struct.pack("=IHHIIBBBBIII", 32, 20, 0, 1, 0, 1, 1, 10, 0, 7, 0, 0) + reply)


def test_a_tcp_socket_that_is_only_bound_tells_where_and_one_in_the_table_is_not_asked() -> None:
    def act() -> None:
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        assert behind(bound.fileno()) == KernelObject(local="{}:{}".format(*bound.getsockname()))
        inode = os.fstat(bound.fileno()).st_ino
        assert looked(listed=frozenset({inode}))[bound.fileno()].behind is None

    privately(act)


# ---------------------------------------------------------------- pipes


def test_a_pipe_tells_by_either_end_what_it_holds_and_what_it_can_hold() -> None:
    def act() -> None:
        reading, writing = os.pipe()
        fcntl.fcntl(writing, 1031, 8192)  # F_SETPIPE_SZ
        os.write(writing, b"abc")
        assert behind(reading) == behind(writing) == KernelObject(waiting_bytes=3, capacity=8192)
        assert fcntl.ioctl(reading, termios.FIONREAD, bytes(4))[0] == 3
        assert os.read(reading, 9) == b"abc"
        assert behind(reading) == KernelObject(waiting_bytes=0, capacity=8192)

    in_child(act)


def test_nothing_is_asked_while_the_program_runs_or_where_the_table_is_long_or_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def act() -> None:
        reading, writing = os.pipe()
        watcher = select.epoll()
        watcher.register(reading, select.EPOLLIN)
        unix, _ = pair = socket.socketpair()
        fds = {reading, writing, watcher.fileno(), unix.fileno()}
        assert all(looked()[fd].behind is not None for fd in fds)
        assert all(looked(still=False)[fd].behind is None for fd in fds)
        with monkeypatch.context() as refused:
            refused.setattr(copies.Copies, "take", lambda self, fd: copies.Unread("EPERM"))
            assert all(looked()[fd].behind is None for fd in fds)
        more = [os.dup(reading) for _ in range(descriptors.READ_ALL)]
        assert all(looked()[fd].behind is None for fd in fds | set(more))
        assert pair

    in_child(act)


# ---------------------------------------------------------------- epoll


def test_of_five_watched_descriptors_three_are_ready() -> None:
    def act() -> None:
        pipes = [os.pipe() for _ in range(5)]
        watcher = select.epoll()
        for reading, _ in pipes:
            watcher.register(reading, select.EPOLLIN)
        for _, writing in pipes[1:4]:
            os.write(writing, b"x")
        readable = tuple((reading, select.EPOLLIN) for reading, _ in sorted(pipes[1:4]))
        assert behind(watcher.fileno()) == KernelObject(ready=readable)
        assert sorted(watcher.poll(0)) == list(readable)
        os.close(pipes[0][1])
        assert behind(watcher.fileno()).ready == tuple(sorted((*readable, (pipes[0][0], select.EPOLLHUP))))
        assert sorted(watcher.poll(0)) == list(behind(watcher.fileno()).ready)

    in_child(act)


def test_looking_neither_takes_an_edge_nor_gives_one_and_an_edge_delivered_is_still_a_level() -> None:
    def act() -> None:
        reading, writing = os.pipe()
        near, far = socket.socketpair()
        watcher = select.epoll()
        for fd in (reading, near.fileno()):
            watcher.register(fd, select.EPOLLIN | select.EPOLLET)
        os.write(writing, b"x")
        far.send(b"y")
        both = [(fd, select.EPOLLIN) for fd in sorted((reading, near.fileno()))]
        for _ in range(3):
            assert list(behind(watcher.fileno()).ready) == both
        assert sorted(watcher.poll(0)) == both, "both edges are still there"
        assert watcher.poll(0) == [], "and no second one came of looking"
        assert list(behind(watcher.fileno()).ready) == both, "the bytes still wait"
        assert watcher.poll(0) == []

    in_child(act)


def test_what_oneshot_disarmed_is_never_ready_and_looking_disarms_nothing() -> None:
    def act() -> None:
        reading, writing = os.pipe()
        watcher = select.epoll()
        watcher.register(reading, select.EPOLLIN | select.EPOLLONESHOT)
        os.write(writing, b"x")
        for _ in range(2):
            assert behind(watcher.fileno()).ready == ((reading, select.EPOLLIN),)
        assert watcher.poll(0) == [(reading, select.EPOLLIN)]
        assert behind(watcher.fileno()) == KernelObject()
        watcher.modify(reading, select.EPOLLIN | select.EPOLLONESHOT)
        assert behind(watcher.fileno()).ready == ((reading, select.EPOLLIN),)

    in_child(act)


def test_a_connection_that_takes_no_more_bytes_is_asked_without_being_polled() -> None:
    """Poll would leave the mark that makes the kernel tell of room: an edge the program never asked for."""

    def act() -> None:
        server = socket.create_server(("127.0.0.1", 0))
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
        watcher = select.epoll()
        watcher.register(near, select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP)
        poll = select.poll()
        poll.register(near, select.POLLIN | select.POLLOUT | select.POLLRDHUP)

        def ready() -> int:
            return dict(behind(watcher.fileno(), 0, near).ready).get(near.fileno(), 0)

        assert ready() == select.EPOLLOUT == dict(poll.poll(0))[near.fileno()]
        near.setblocking(False)
        with pytest.raises(BlockingIOError):
            while near.send(b"x" * 999):
                pass
        polled: list[int] = []

        def told() -> int:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(copies, "_polled", lambda copy, events: polled.append(copy) or 0)
                return ready()

        assert (told(), poll.poll(0), polled) == (0, [], [])
        far.send(b"answer")
        until(lambda: poll.poll(0) != [])
        assert (told(), polled) == (select.EPOLLIN, [])
        assert dict(poll.poll(0)) == {near.fileno(): select.EPOLLIN}
        far.shutdown(socket.SHUT_WR)
        until(lambda: dict(poll.poll(0))[near.fileno()] != select.EPOLLIN)
        assert (told(), polled) == (select.EPOLLIN | select.EPOLLRDHUP, [])
        assert dict(poll.poll(0)) == {near.fileno(): select.EPOLLIN | select.EPOLLRDHUP}

    privately(act)


@pytest.mark.parametrize("by", ["our look", "a poll"])
def test_looking_at_a_full_connection_adds_no_edge_as_a_poll_would(by: str) -> None:
    def act() -> None:
        server = socket.create_server(("127.0.0.1", 0))
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 60_000)
        watcher = select.epoll()
        watcher.register(near, select.EPOLLOUT | select.EPOLLET)
        assert watcher.poll(0) == [(near.fileno(), select.EPOLLOUT)]

        def memory() -> tuple[int, ...]:
            return struct.unpack("=9I", near.getsockopt(socket.SOL_SOCKET, 55, 36))

        def unacknowledged() -> int:
            return int.from_bytes(fcntl.ioctl(near, termios.TIOCOUTQ, bytes(4)), sys.byteorder)

        while memory()[5] * 3 // 2 <= memory()[3]:  # until it counts as full, but no send was refused
            near.send(b"x" * 2000)
        if by == "our look":
            assert behind(watcher.fileno(), 0, near).ready == ()
        else:
            poll = select.poll()
            poll.register(near, select.POLLOUT)
            assert poll.poll(0) == []
        far.setblocking(False)
        while unacknowledged():
            with contextlib.suppress(BlockingIOError):
                far.recv(100_000)
        assert (watcher.poll(0) != []) is (by == "a poll")

    privately(act)


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.002)


def test_a_signalfd_is_ready_for_the_programs_signals_not_for_ours() -> None:
    def act() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            libc.die_with_parent()
            watcher = select.epoll()
            signals = c_library.signalfd(-1, (1 << (signal.SIGUSR1 - 1)).to_bytes(128, "little"), 0)
            watcher.register(signals, select.EPOLLIN)
            os.write(writing, bytes((watcher.fileno(), signals)))
            signal.pause()
        watcher_fd, signals = os.read(reading, 2)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert behind(watcher_fd, pid) == KernelObject()
        os.kill(pid, signal.SIGUSR1)
        assert behind(watcher_fd, pid).ready == ((signals, select.EPOLLIN),)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    in_child(act)


def test_a_number_that_stands_for_another_file_by_now_is_not_asked_and_neither_is_a_closed_one() -> None:
    def act() -> None:
        first, second, third = os.pipe(), os.pipe(), os.pipe()
        watcher = select.epoll()
        for reading, writing in (first, second, third):
            watcher.register(reading, select.EPOLLIN)
            os.write(writing, b"x")
        kept = os.dup(first[0]), os.dup(second[0])
        os.close(first[0])
        os.dup2(third[0], second[0])
        told = behind(watcher.fileno())
        assert told.ready == ((third[0], select.EPOLLIN),)
        assert told.unasked == tuple(sorted((first[0], second[0])))
        assert kept

    in_child(act)


def test_an_event_that_poll_would_take_is_left_to_the_program() -> None:
    """The file of mounts tells each reader once of a change, and poll counts as telling."""

    def act() -> None:
        watcher = select.epoll()
        with open("/proc/self/mounts") as mounts:
            watcher.register(mounts, select.EPOLLPRI)
            found = looked()[watcher.fileno()]
            assert (found.watches[0][0], found.behind) == (mounts.fileno(), None)

    in_child(act)


# ---------------------------------------------------------------- a traced program


def test_a_stepped_event_loop_gets_the_edges_it_gets_alone_and_is_told_as_it_stands() -> None:
    """Held at each of its calls, and looked at there, it counts the same events; what is told of it is so."""
    program = shared.compiled(Path(__file__).parents[1] / "support" / "servers" / "edges.c", "-g")
    alone = in_child(lambda: _alone(program), seconds=120)
    state, told = LabState(), b""
    watched: dict[int | str, object] = {}
    with Link.start(RunSpec(argv=(program,), network="private")) as link:
        for event in link.events():
            state = apply(state, event)
            if isinstance(event, ev.Output) and event.stream == "out":
                told += event.data
            if not isinstance(event, ev.Ready) or event.wants == "nothing":
                if isinstance(event, ev.Ready):
                    break
                continue
            if state.header is not None and state.header.network != "private":
                pytest.skip("this machine refuses private networks")
            task = state.task
            if task is not None and task.at == "enter" and probes.measure(state, "call.name") == "epoll_wait":
                watched[state.stops] = probes.measure(state, "fd.3.ready"), probes.measure(state, "fd.3.watched")
            if task is not None and task.at == "enter" and probes.measure(state, "call.name") == "listen":
                watched["bound"] = probes.measure(state, "fd.call.local")
            if task is not None and task.at == "enter" and probes.measure(state, "call.name") == "accept":
                rows = state.table_of("server").rows.values()
                watched["unread"] = [row.local for row in rows if not row.receive_limit]
            for tid in event.held:
                link.send(cmd.Step(tid=tid))
        link.send(cmd.Quit())
    assert told.decode().split("\n") == alone.split("\n")
    assert (watched.pop("bound"), watched.pop("unread")) == ("127.0.0.1:8080", [])
    assert list(watched.values()) == [(3, 5), (3, 5), (4, 6), (3, 6), (4, 7), (4, 7), (4, 7)]


def _alone(program: str) -> str:
    if topology.create("private").network != "private":
        pytest.skip("this machine refuses private networks")
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout
