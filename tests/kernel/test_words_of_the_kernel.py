"""What socklab says a number means, against what this kernel does: one experiment each, in a network of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from shutil import which

import pytest

from socklab.ui.counter_words import MEANINGS

pytestmark = pytest.mark.kernel

EXPERIMENTS = r"""
import fcntl, json, os, select, socket, struct, time

def counters():
    found = {}
    for name in ("netstat", "snmp"):
        lines = open(f"/proc/self/net/{name}").read().splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            found.update(zip(names.split()[1:], map(int, values.split()[1:])))
    return found

def risen(act, *names):
    before = counters()
    act()
    end = time.monotonic() + 20
    while True:
        now = {name: counters()[name] - before[name] for name in names}
        if any(now.values()) or time.monotonic() > end:
            return now
        time.sleep(0.002)

def row(local, remote):
    "State and Recv-Q of the socket between these ports."
    for line in open("/proc/self/net/tcp").read().splitlines()[1:]:
        cells = line.split()
        if (int(cells[1][-4:], 16), int(cells[2][-4:], 16)) == (local, remote):
            return int(cells[3], 16), int(cells[4].partition(":")[2], 16)

def until(holds):
    end = time.monotonic() + 20
    while not holds() and time.monotonic() < end:
        time.sleep(0.002)

ports = iter(range(9000, 9100))
def listener(backlog=5, reuse=False):
    port, sock = next(ports), socket.socket()
    if reuse:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(backlog)
    return sock, port

def pair(reuse=False):
    sock, port = listener(reuse=reuse)
    client = socket.create_connection(("127.0.0.1", port))
    return client, sock.accept()[0], sock, port

told = {}

client, server, _, port = pair()
mine = client.getsockname()[1]
client.sendall(b"hello")
client.shutdown(socket.SHUT_WR)
until(lambda: row(port, mine) == (8, 6))
unread = bytearray(4)
fcntl.ioctl(server.fileno(), 0x541B, unread)  # FIONREAD
told["CLOSE_WAIT"] = [*row(port, mine), *struct.unpack("i", unread)]
client, server, _, port = pair()
mine = client.getsockname()[1]
client.shutdown(socket.SHUT_WR)
until(lambda: row(port, mine) == (8, 1))
fcntl.ioctl(server.fileno(), 0x541B, unread)
told["FIN alone"] = [*row(port, mine), *struct.unpack("i", unread)]
told["end"] = [server.recv(100) == b"", row(port, mine)[1]]

client, server, _, port = pair()
client.sendall(b"hello")
until(lambda: row(port, client.getsockname()[1])[1] == 5)
told["unread"] = risen(server.close, "TCPAbortOnClose", "TCPAbortOnData")
client, server, _, port = pair()
server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
told["linger 0"] = risen(server.close, "TCPAbortOnData", "TCPAbortOnClose")

sock, port = listener()
told["opened"] = risen(lambda: told.setdefault("kept", socket.create_connection(("127.0.0.1", port))) and None,
                       "PassiveOpens")
del told["kept"]

first, second = socket.socketpair()
poll = select.epoll()
poll.register(first, select.EPOLLIN)
copy = os.dup(first.fileno())
first.close()
second.send(b"x")
told["copy left"] = len(poll.poll(0))
os.close(copy)
told["none left"] = len(poll.poll(0))

def again(old, new):
    client, server, sock, port = pair(reuse=old)
    server.close()
    client.recv(1)
    client.close()
    sock.close()
    fresh = socket.socket()
    fresh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(new))
    try:
        fresh.bind(("127.0.0.1", port))
        return True
    except OSError:
        return False
    finally:
        fresh.close()
told["bound again"] = [again(old, new) for old in (False, True) for new in (False, True)]

def beside(had):
    "Bind beside a connection that is still there, its listener closed."
    client, server, sock, port = pair(reuse=True)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(had))
    sock.close()
    fresh = socket.socket()
    fresh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        fresh.bind(("127.0.0.1", port))
        return True
    except OSError:
        return False
told["beside"] = [beside(False), beside(True)]
print(json.dumps(told))
"""


@lru_cache(maxsize=1)
def told() -> dict[str, object]:
    """What came of the experiments."""
    if not which("unshare") or not which("ip"):
        pytest.skip("no unshare or ip on this machine")
    shell = 'ip link set lo up && exec "$0" -c "$1"'
    argv = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", shell, sys.executable, EXPERIMENTS]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_fin_counts_as_one_in_recv_q_until_the_end_was_read_and_is_no_byte() -> None:
    assert told()["CLOSE_WAIT"] == [8, 6, 5]
    assert told()["FIN alone"] == [8, 1, 0]
    assert told()["end"] == [True, 0]


def test_a_close_with_unread_data_and_one_with_linger_0_have_a_counter_each() -> None:
    assert told()["unread"] == {"TCPAbortOnClose": 1, "TCPAbortOnData": 0}
    assert told()["linger 0"] == {"TCPAbortOnData": 1, "TCPAbortOnClose": 0}
    assert "unread" in MEANINGS["TCPAbortOnClose"]
    assert "linger 0" in MEANINGS["TCPAbortOnData"]


def test_a_passive_open_is_a_handshake_that_was_completed() -> None:
    assert told()["opened"] == {"PassiveOpens": 1}


def test_a_closed_descriptor_leaves_an_epoll_list_with_the_last_of_its_open_file() -> None:
    assert (told()["copy left"], told()["none left"]) == (1, 0)


def test_a_port_is_taken_again_where_the_old_connection_and_the_new_socket_have_reuseaddr() -> None:
    assert told()["bound again"] == [False, False, False, True]


def test_reuseaddr_looks_at_the_connections_left_whatever_their_state() -> None:
    assert told()["beside"] == [False, True]
