"""The kernel's own reasons for resets: its description of a sample is read right, and what it says is what was done."""

from __future__ import annotations

import os
import platform
import socket
import struct
import time

import pytest

from socklab.engine.kernel.reset_reasons import ResetReasons, parse_layout
from socklab.protocol.events import ResetSent

FORMAT = """\
name: tcp_send_reset
ID: 2280
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;

\tfield:const void * skaddr;\toffset:16;\tsize:8;\tsigned:0;
\tfield:int state;\toffset:24;\tsize:4;\tsigned:1;
\tfield:enum sk_rst_reason reason;\toffset:28;\tsize:4;\tsigned:0;
\tfield:__u8 saddr[28];\toffset:32;\tsize:28;\tsigned:0;
\tfield:__u8 daddr[28];\toffset:60;\tsize:28;\tsigned:0;

print fmt: "state=%s reason=%s", REC->state ? __print_symbolic(REC->state, { TCP_ESTABLISHED, "TCP_ESTABLISHED" }) : \
"UNKNOWN", __print_symbolic(REC->reason, { 0, "NOT_SPECIFIED" }, { 11, "TCP_ABORT_ON_CLOSE" })
"""


def test_the_layout_is_the_tracepoints_own_description() -> None:
    layout = parse_layout("2280\n", FORMAT)
    assert layout == (2280, 28, 32, 60, {0: "NOT_SPECIFIED", 11: "TCP_ABORT_ON_CLOSE"})


def test_a_kernel_whose_tracepoint_has_no_reason_is_off() -> None:
    older = "\n".join(line for line in FORMAT.splitlines() if "reason;" not in line)
    assert parse_layout("1", older) is None
    assert parse_layout("1", "") is None


@pytest.fixture
def reasons() -> ResetReasons:
    found = ResetReasons(platform.machine(), 0)
    if not found.is_on:
        pytest.skip(found.reason)
    return found


def connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        return client, server.accept()[0]


def end(sock: socket.socket, of: str) -> str:
    host, port = getattr(sock, of)()
    return f"{host}:{port}"


def sent_from(reasons: ResetReasons, local: str, pids: set[int]) -> list[ResetSent]:
    """What was told of RSTs from one end."""
    return [event for event in reasons.read(pids) if event.local == local]


@pytest.mark.kernel
def test_unread_bytes_at_a_close_are_the_kernels_reason_at_its_moment(reasons: ResetReasons) -> None:
    client, server = connected()
    server.sendall(b"unread")
    assert client.recv(1, socket.MSG_PEEK) == b"u"
    local, remote = end(client, "getsockname"), end(client, "getpeername")
    before = time.monotonic_ns()
    client.close()
    after = time.monotonic_ns()
    assert reasons.has_news
    (told,) = sent_from(reasons, local, {os.getpid()})
    assert (told.remote, told.reason, told.pid) == (remote, "TCP_ABORT_ON_CLOSE", os.getpid())
    assert before <= told.t <= after
    assert sent_from(reasons, local, {os.getpid()}) == [], "each is told once"
    reasons.close()


@pytest.mark.kernel
def test_what_other_processes_had_sent_is_not_told(reasons: ResetReasons) -> None:
    client, server = connected()
    local = end(client, "getsockname")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert reasons.read({1}) == []
    server.close()
    reasons.close()
    assert local


@pytest.mark.kernel
def test_a_ring_that_has_gone_round_many_times_still_tells_the_last(reasons: ResetReasons) -> None:
    for _ in range(700):
        client, server = connected()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        local = end(client, "getsockname")
        client.close()
        server.close()
        assert [event.local for event in reasons.read({os.getpid()})] == [local]
    reasons.close()


@pytest.mark.kernel
def test_nothing_stays_open_when_it_is_closed(reasons: ResetReasons) -> None:
    during = len(os.listdir("/proc/self/fd"))
    reasons.close()
    assert len(os.listdir("/proc/self/fd")) == during - (os.cpu_count() or 1)
    assert reasons.read({os.getpid()}) == []
