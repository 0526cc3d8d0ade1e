"""What socklab says a number means, against what this kernel does: one experiment each, in a network of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from socklab.lesson import finding
from socklab.probes.registry import COUNTERS
from socklab.ui.counter_words import MEANINGS, TOLD

pytestmark = pytest.mark.kernel

EXPERIMENTS = r"""
import fcntl, json, os, select, socket, struct, subprocess, time

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
    end = time.monotonic() + 60
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(open("/proc/self/net/tcp").read())
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

# What follows is played by a peer whose packets are written here, so that each comes when it is wanted to.
try:
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"t0", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
except OSError as error:
    print(json.dumps(told | {"no TUN": str(error)}))
    raise SystemExit
subprocess.run("ip addr add 10.9.0.1/24 dev t0 && ip link set t0 up", shell=True, check=True)

FIN, SYN, RST, ACK = 1, 2, 4, 16
HERE, THERE = socket.inet_aton("10.9.0.1"), socket.inet_aton("10.9.0.2")

def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

mine = iter(range(20000, 21000))
class Peer:
    "A client on the other end of the TUN device."

    def __init__(self, port):
        self.port, self.mine, self.seq, self.acked = port, next(mine), 1000, 0

    def send(self, flags, data=b""):
        head = struct.pack("!HHIIBBHHH", self.mine, self.port, self.seq, self.acked, 5 << 4, flags, 65535, 0, 0)
        pseudo = THERE + HERE + struct.pack("!BBH", 0, 6, len(head + data))
        tcp = head[:16] + struct.pack("!H", checksum(pseudo + head + data)) + head[18:] + data
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, THERE, HERE)
        os.write(tun, ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp)
        self.seq += len(data) + (flags & (SYN | FIN) != 0)

    def hear(self):
        "Flags of the next packet for this client."
        while select.select([tun], [], [], 60)[0]:
            packet = os.read(tun, 2000)
            if packet[0] >> 4 == 4 and packet[9] == 6 and packet[22:24] == struct.pack("!H", self.mine):
                tcp, size = packet[20:], struct.unpack("!H", packet[2:4])[0]
                flags, data = tcp[13] & 0x17, size - 20 - (tcp[12] >> 4) * 4
                self.acked = struct.unpack("!I", tcp[4:8])[0] + data + (flags & (SYN | FIN) != 0)
                return flags
        raise TimeoutError("no packet came")

    def ask(self):
        self.send(SYN)
        assert self.hear() == SYN | ACK
        return self

    def opened(self):
        self.ask().send(ACK)
        until(lambda: row(self.port, self.mine) == (1, 0))
        return self

def server(backlog=5):
    port, sock = next(ports), socket.socket()
    sock.bind(("10.9.0.1", port))
    sock.listen(backlog)
    return sock, port

def setting(name, value):
    open(f"/proc/sys/net/ipv4/{name}", "w").write(str(value))

LISTENER = "ListenOverflows", "ListenDrops", "PassiveOpens"
sock, port = server()
peer = Peer(port)
before = counters()["PassiveOpens"]
peer.ask()
told["asked"] = [counters()["PassiveOpens"] - before, row(port, peer.mine)[0]]
told["answered"] = [risen(lambda: peer.send(ACK), "PassiveOpens"), row(port, peer.mine)[0]]

sock, port = server(backlog=1)
first, second, third = Peer(port).opened(), Peer(port).ask(), Peer(port).ask()
second.send(ACK)
until(lambda: row(port, second.mine) == (1, 0))
told["full, SYN"] = risen(lambda: Peer(port).send(SYN), *LISTENER)
told["full, ACK"] = risen(lambda: third.send(ACK), *LISTENER)
told["full, data"] = risen(lambda: third.send(ACK, b"hello"), *LISTENER)
told["full, left"] = row(port, third.mine)[0]
setting("tcp_abort_on_overflow", 1)
told["full, abort"] = risen(lambda: third.send(ACK), "EmbryonicRsts", "OutRsts", *LISTENER)
told["reset heard"] = third.hear()
setting("tcp_abort_on_overflow", 0)

QUEUE = "TCPReqQFullDrop", "TCPReqQFullDoCookies", "SyncookiesSent", *LISTENER
for cookies in (0, 1):
    setting("tcp_syncookies", cookies)
    sock, port = server(backlog=0)
    Peer(port).ask()
    told[f"SYN queue full, cookies {cookies}"] = risen(lambda: Peer(port).send(SYN), *QUEUE)

sock, port = server()
peer = Peer(port).ask()
told["reset at SYN_RECV"] = risen(lambda: peer.send(RST), "EmbryonicRsts", "AttemptFails", "EstabResets")

peer = Peer(port).opened()
accepted = sock.accept()[0]
accepted.close()
assert peer.hear() == FIN | ACK
peer.acked -= 1  # data that was under way when the FIN came
told["data after close"] = risen(lambda: peer.send(ACK, b"late"), "TCPAbortOnData", "TCPAbortOnClose", "OutRsts")

def goodbye(waits):
    "Flags of all packets, the peer's negative, when the program closes after the ACK has come, or at once."
    peer = Peer(port).opened()
    accepted = sock.accept()[0]
    peer.send(FIN | ACK)
    heard = [peer.hear()] if waits else []
    accepted.close()
    while not heard or not heard[-1] & FIN:
        heard.append(peer.hear())
    peer.send(ACK)
    until(lambda: row(port, peer.mine) is None)
    return [-(FIN | ACK), *heard, -ACK]

told["goodbye, slow"] = goodbye(True)
for _ in range(100):  # a busy machine may be slower than the kernel's 40 ms
    told["goodbye, at once"] = goodbye(False)
    if len(told["goodbye, at once"]) == 3:
        break
print(json.dumps(told))
"""


FIN, RST, ACK = 1, 4, 16
ESTABLISHED, SYN_RECV = 1, 3


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


def by_hand() -> dict[str, Any]:
    """`told`, with what came of the packets that were written by hand."""
    if "no TUN" in told():
        pytest.skip(f"no TUN device: {told()['no TUN']}")
    return told()


def test_a_fin_counts_as_one_in_recv_q_until_the_end_was_read_and_is_no_byte() -> None:
    assert told()["CLOSE_WAIT"] == [8, 6, 5]
    assert told()["FIN alone"] == [8, 1, 0]
    assert told()["end"] == [True, 0]


def test_a_close_with_unread_data_and_one_with_linger_0_have_a_counter_each() -> None:
    assert told()["unread"] == {"TCPAbortOnClose": 1, "TCPAbortOnData": 0}
    assert told()["linger 0"] == {"TCPAbortOnData": 1, "TCPAbortOnClose": 0}
    assert "unread" in MEANINGS["TCPAbortOnClose"]
    assert "linger 0" in MEANINGS["TCPAbortOnData"]


def test_data_that_comes_after_the_close_counts_as_an_abort_too() -> None:
    assert by_hand()["data after close"] == {"TCPAbortOnData": 1, "TCPAbortOnClose": 0, "OutRsts": 1}
    assert "after the close" in MEANINGS["TCPAbortOnData"]


def test_a_passive_open_is_a_handshake_that_was_completed() -> None:
    assert told()["opened"] == {"PassiveOpens": 1}
    assert by_hand()["asked"] == [0, SYN_RECV], "not at the SYN"
    assert by_hand()["answered"] == [{"PassiveOpens": 1}, ESTABLISHED], "at the last ACK"
    assert MEANINGS["PassiveOpens"] == "handshakes a listener completed"


@pytest.mark.parametrize("packet", ["SYN", "ACK", "data"])
def test_a_full_accept_queue_drops_syns_last_acks_and_data_and_both_counters_say_so(packet: str) -> None:
    assert by_hand()[f"full, {packet}"] == {"ListenOverflows": 1, "ListenDrops": 1, "PassiveOpens": 0}
    assert by_hand()["full, left"] == SYN_RECV
    assert packet in MEANINGS["ListenDrops"]
    assert "accept queue" in MEANINGS["ListenOverflows"]


def test_a_full_syn_queue_is_no_overflow_of_an_accept_queue_and_with_cookies_nothing_is_dropped() -> None:
    dropped, answered = (
        {name: number for name, number in dict(by_hand()[f"SYN queue full, cookies {on}"]).items() if number}
        for on in (0, 1)
    )
    assert dropped == {"TCPReqQFullDrop": 1, "ListenDrops": 1}
    assert answered == {"TCPReqQFullDoCookies": 1, "SyncookiesSent": 1}


def test_a_reset_because_of_a_full_accept_queue_is_counted_as_one_during_a_handshake() -> None:
    counted = {"EmbryonicRsts": 1, "OutRsts": 1, "ListenOverflows": 1, "ListenDrops": 1, "PassiveOpens": 0}
    assert by_hand()["full, abort"] == counted
    assert by_hand()["reset heard"] == RST
    assert by_hand()["reset at SYN_RECV"] == {"EmbryonicRsts": 1, "AttemptFails": 1, "EstabResets": 0}
    assert "EmbryonicRsts" in TOLD


def test_a_goodbye_takes_three_packets_where_the_second_fin_is_also_the_ack_of_the_first_and_else_four() -> None:
    """The peer's packets are negative: FIN, ACK, FIN, ACK when the program closes later; FIN, FIN, ACK at once."""
    assert by_hand()["goodbye, slow"] == [-(FIN | ACK), ACK, FIN | ACK, -ACK]
    assert by_hand()["goodbye, at once"] == [-(FIN | ACK), FIN | ACK, -ACK]
    lesson = (finding.find("goodbye") / "lesson.toml").read_text()
    assert "Three\npackets where the second FIN travels with the first ACK" in lesson


def test_the_kernel_has_every_counter_that_is_explained_told_or_measured() -> None:
    here: set[str] = set()
    for table in ("netstat", "snmp"):
        here.update(Path(f"/proc/net/{table}").read_text().split())
    assert set(MEANINGS) | set(TOLD) | COUNTERS <= here


def test_a_closed_descriptor_leaves_an_epoll_list_with_the_last_of_its_open_file() -> None:
    assert (told()["copy left"], told()["none left"]) == (1, 0)


def test_a_port_is_taken_again_where_the_old_connection_and_the_new_socket_have_reuseaddr() -> None:
    assert told()["bound again"] == [False, False, False, True]


def test_reuseaddr_looks_at_the_connections_left_whatever_their_state() -> None:
    assert told()["beside"] == [False, True]
