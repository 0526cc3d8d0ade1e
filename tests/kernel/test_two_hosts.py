"""Two hosts on this machine's kernel: what crosses the wire between them, what each host has of its own, the end."""

from __future__ import annotations

import errno
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from socklab.engine.network import netns, topology
from socklab.engine.network.wire import report
from socklab.packets import decode, flows
from tests.support import wirelab
from tests.support.children import in_child
from tests.support.shared import open_folder
from tests.support.wirelab import PORT, Way, WireLab, run_on

pytestmark = pytest.mark.kernel
pytest_generate_tests = wirelab.each_way


# ---------------------------------------------------------------- what crosses


def _exchange(lab: WireLab, family: int = 4) -> None:
    """One request, one response; the server closes first."""
    listener = lab.listen(family=family)
    client = lab.client("a", family)
    client.settimeout(60)
    client.connect((lab.topology.address("server", family), PORT))
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    lab.topology.enter("server")
    connection = listener.accept()[0]
    connection.recv(100)
    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
    connection.close()
    while client.recv(100):
        continue
    client.close()

    def closed() -> bool:
        sides = {packet.source for packet, what in zip(lab.seen, lab.summaries(), strict=True) if what == "FIN-ACK"}
        return sides == {"server", "client"} and lab.summaries()[-1] == "ACK"

    lab.until(closed, "closed on both sides")


@pytest.mark.parametrize("family", [4, 6])
def test_an_exchange_is_the_handshake_the_data_and_the_close_and_nothing_else(way: Way, family: int) -> None:
    def act(lab: WireLab) -> tuple[list[str], list[bytes], int]:
        if len(lab.topology.hosts[0].addresses) == 1 and family == 6:
            return [], [], 0
        _exchange(lab, family)
        # A busy machine is slow to acknowledge, and TCP then sends again what was not lost.
        first = [seen.segment for seen in lab.followed() if flows.RETRANSMISSION not in seen.marks]
        return [s.summary for s in first], [s.payload for s in first if s.payload], lab.wire.status().lost

    summaries, payloads, lost = run_on(way, act)
    if not summaries:
        pytest.skip("this kernel has IPv6 switched off")
    assert summaries[:4] == ["SYN", "SYN-ACK", "ACK", "PSH-ACK"]
    assert set(summaries[4:]) == {"ACK", "PSH-ACK", "FIN-ACK"}
    assert payloads == [b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nhello"]
    assert lost == 0


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_the_capture_as_the_lab_does_with_good_checksums(way: Way) -> None:
    path = open_folder() / "wire.pcap"

    def act(lab: WireLab) -> list[list[str]]:
        lab.wire.capture(str(path))
        lab.do("drop next data")  # so that something is sent again
        _exchange(lab)
        # A reader that does not read: the window shuts, is probed, and opens again.
        lab.topology.enter("server")
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.bind((lab.topology.address("server"), PORT + 1))
        slow.listen()
        client = lab.client("b")
        client.connect((lab.topology.address("server"), PORT + 1))
        reader = slow.accept()[0]
        client.setblocking(False)
        try:
            while True:
                client.send(bytes(10_000))
        except BlockingIOError:
            pass  # the send buffer is full: what does not fit the window waits here
        lab.until(lambda: any(flows.ZERO_WINDOW_PROBE in s.marks for s in lab.followed()), "a probe of the shut window")
        reader.recv(1 << 20)
        lab.until(lambda: any(flows.WINDOW_UPDATE in s.marks for s in lab.followed()), "the window opens")
        lab.do("hold all")
        lab.wire.capture("")
        lab.take()
        rows = []
        for packet, seen in zip(lab.seen, lab.followed(), strict=True):
            s = seen.segment
            marks = [m in seen.marks for m in (flows.RETRANSMISSION, flows.ZERO_WINDOW)]
            ends = [s.source, str(s.source_port), str(s.destination_port)]
            numbers = (s.flags, seen.seq, seen.ack, seen.window, s.payload_bytes, packet.length)
            rows.append([*ends, *map(str, numbers), *map(str, marks)])
        return rows

    ours = run_on(way, act)
    fields = ["ip.src", "tcp.srcport", "tcp.dstport", "tcp.flags", "tcp.seq", "tcp.ack", "tcp.window_size", "tcp.len"]
    fields += ["ip.len", "tcp.analysis.retransmission", "tcp.analysis.zero_window", "tcp.checksum.status"]
    fields += ["ip.checksum.status", "frame.time_epoch"]
    options = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "fields"]
    read = subprocess.run(
        ["tshark", "-r", str(path), *options, *(w for f in fields for w in ("-e", f))],
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = [line.split("\t") for line in read.stdout.splitlines()]
    assert [row[11:13] for row in theirs] == [["1", "1"]] * len(theirs)
    times = [float(row[13]) for row in theirs]
    assert times == sorted(times)
    assert abs(times[0] - time.time()) < 120
    as_ours = [
        [*row[:3], str(int(row[3], 16) & 0xFF), *row[4:9], str(bool(row[9])), str(bool(row[10]))] for row in theirs
    ]
    assert as_ours == ours[: len(as_ours)]
    assert any(row[9] == "True" for row in as_ours)
    assert any(row[10] == "True" for row in as_ours)


def test_udp_and_an_icmp_error_are_shown_as_what_they_are(way: Way) -> None:
    def act(lab: WireLab) -> list[tuple[str, str]]:
        lab.topology.enter("client")
        asked = 0.0

        def answered() -> bool:
            """Ask again every 5 s: UDP promises no delivery, and ICMP errors are limited in rate (icmp(7))."""
            nonlocal asked
            if time.monotonic() - asked > 5:
                asked = time.monotonic()
                client.sendto(b"anybody?", (lab.topology.address("server"), 9))
            return any(packet.source == "server" for packet in lab.seen)

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            lab.until(answered, "the answer to a datagram")
        return sorted({(p.source, decode.decode(p.data, p.length).summary) for p in lab.seen})

    assert run_on(way, act) == [("client", "UDP"), ("server", "port unreachable")]


def test_a_ping_without_privileges_crosses_as_echo_request_and_reply(way: Way) -> None:
    def act(lab: WireLab) -> list[str]:
        lab.topology.enter("client")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as ping:
            ping.settimeout(60)
            ping.connect((lab.topology.address("server"), 0))
            ping.send(b"\x08\0\0\0\0\0\0\1hello")
            ping.recv(100)
        lab.until(lambda: len(lab.seen) == 2, "a ping and its answer")
        return lab.summaries()

    assert run_on(way, act) == ["echo request", "echo reply"]


def test_ten_thousand_connections_cross_and_the_wire_loses_nothing(way: Way) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    wave = min(500, (limit[1] - 100) // 2)
    waves = 10_000 // wave

    def act(lab: WireLab) -> tuple[int, tuple[int, int, int], tuple[int, int, int], int, int, int]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
        listener = lab.listen(backlog=4096)
        connected = 0
        for _ in range(waves):
            clients = []
            lab.topology.enter("client")
            for _ in range(wave):
                client = socket.socket()
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                lab.call(client)
                clients.append(client)
            for _ in range(wave):
                listener.accept()[0].close()
                connected += 1
            for client in clients:
                client.close()
            lab.take()

        def settled() -> bool:
            counts = lab.interface_packets("client"), lab.interface_packets("server")
            return counts[0][1] + counts[1][1] == counts[0][0] + counts[1][0] == lab.wire.status().delivered

        lab.until(settled, "both ends and the wire count the same packets")
        status = lab.wire.status()
        client, server = lab.interface_packets("client"), lab.interface_packets("server")
        return connected, client, server, status.packets, status.delivered, status.lost

    connected, client, server, entered, delivered, lost = run_on(way, act)
    assert connected == wave * waves
    assert (client[2], server[2], lost) == (0, 0, 0)
    assert client[1] + server[1] == entered == delivered == client[0] + server[0]


def test_a_reader_that_never_reads_does_not_stop_the_wire(way: Way) -> None:
    limit, size = 1 << 16, 8_000_000

    def transfer(lab: WireLab) -> tuple[int, int, int]:
        listener = lab.listen()
        client = lab.client("a")
        client.connect((lab.topology.address("server"), PORT))
        connection = listener.accept()[0]
        sender = threading.Thread(target=lambda: (client.sendall(bytes(size)), client.close()))
        sender.start()
        count = 0
        while data := connection.recv(1 << 16):
            count += len(data)
        sender.join()
        status = lab.wire.status()
        lab.until(lambda: lab.wire.unreported > 0 or bool(_poke(lab, client)), "what was left out is counted")
        return count, status.lost, lab.wire.unreported

    def _poke(lab: WireLab, _client: socket.socket) -> bool:
        # The count of what was left out travels with the next packet that is reported.
        with lab.client() as another:
            lab.call(another)
        return False

    before = report.REPORT_LIMIT
    report.REPORT_LIMIT = limit
    try:
        count, lost, unreported = run_on(way, transfer)
    finally:
        report.REPORT_LIMIT = before
    assert (count, lost) == (size, 0)
    assert unreported > 0


# ---------------------------------------------------------------- hosts


def test_each_host_has_its_own_table_settings_and_the_same_names(way: Way) -> None:
    def act(lab: WireLab) -> tuple[object, ...]:
        _listener = lab.listen()
        lab.topology.write_setting("server", "somaxconn", "7")
        listening = []
        for host in ("server", "client"):
            lab.topology.enter(host)
            listening.append(
                subprocess.run(["ss", "-Htln"], capture_output=True, text=True, check=True).stdout.count(":8080")
            )
        names = subprocess.run(
            ["getent", "hosts", "server", "client"], capture_output=True, text=True, check=True
        ).stdout
        values = [lab.topology.read_setting(host, "somaxconn")[1] for host in ("server", "client")]
        return listening, values[0], values[1] != "7", names.split()

    assert run_on(way, act) == ([1, 0], "7", True, ["10.0.0.1", "server", "10.0.0.2", "client"])


def test_a_server_bound_to_loopback_is_refused_from_the_other_host(way: Way) -> None:
    def act(lab: WireLab) -> tuple[int, list[str]]:
        lab.topology.enter("server")
        with socket.socket() as listener, lab.client("a") as client:
            listener.bind(("127.0.0.1", PORT))
            listener.listen()
            code = client.connect_ex((lab.topology.address("server"), PORT))
            lab.until(lambda: len(lab.seen) == 2, "a SYN and its answer")
        return code, lab.summaries()

    assert run_on(way, act) == (errno.ECONNREFUSED, ["SYN", "RST-ACK"])


def test_the_wire_ends_when_its_holder_is_killed(way: Way) -> None:
    device, user = way
    reading, writing = os.pipe()
    holder = os.fork()
    if holder == 0:

        def act() -> None:
            lab = WireLab(device)
            lab.wire.status()  # it answers, so it is itself by now
            os.write(writing, f"{os.getpid()} {lab.wire.pid}\n".encode())
            signal.pause()

        try:
            in_child(act, user=user)
        finally:
            os._exit(0)
    pid, wire = (int(word) for word in os.read(reading, 100).split())
    process = os.pidfd_open(wire)
    comm = Path(f"/proc/{wire}/comm").read_text()
    os.kill(pid, signal.SIGKILL)
    ended = bool(select.select([process], [], [], 60.0)[0])
    os.close(process)
    os.waitpid(holder, 0)
    assert comm == "socklab-wire\n"
    assert ended


def test_the_wire_ends_and_its_capture_is_whole_while_a_forked_child_holds_its_sockets(way: Way) -> None:
    path = open_folder() / "wire.pcap"

    def act(lab: WireLab) -> tuple[bool, int]:
        lab.wire.capture(str(path))
        bystander = os.fork()
        if bystander == 0:
            signal.pause()
            os._exit(0)
        _exchange(lab)
        lab.topology.close()
        alive = Path(f"/proc/{lab.wire.pid}").exists()
        os.kill(bystander, signal.SIGKILL)
        os.waitpid(bystander, 0)
        return alive, len(lab.seen)

    alive, seen = run_on(way, act)
    assert not alive
    rest, count = path.read_bytes()[24:], 0
    while rest:
        rest, count = rest[16 + int.from_bytes(rest[8:12], "little") :], count + 1
    assert count == seen


def test_closing_the_topology_ends_the_wire_at_once(way: Way) -> None:
    def act(lab: WireLab) -> bool:
        lab.topology.close()
        return Path(f"/proc/{lab.wire.pid}").exists()

    assert run_on(way, act) is False


# ---------------------------------------------------------------- refused


def test_without_any_device_the_lab_has_one_private_host_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_asked: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no veth")

    monkeypatch.setattr(netns, "TUN_DEVICE", "/nonexistent/net/tun")
    monkeypatch.setattr(netns, "add_veth", refuse)

    def act() -> tuple[str, list[tuple[str, str, str]], bool, str]:
        made = topology.create("two-hosts")
        with socket.socket() as listener, socket.socket() as client:
            listener.bind((made.address("server"), 80))
            listener.listen()
            client.connect((made.address("server"), 80))
            source = listener.accept()[1][0]
        return made.network, made.notices, made.wire is None, source

    network, [(level, text, fix)], no_wire, source = in_child(act)
    assert (network, no_wire, source) == ("private", True, "10.0.0.2")
    assert level == "warning"
    assert "/nonexistent/net/tun is not here" in text
    assert "modprobe tun" in fix


def test_the_wires_modules_load_nothing_that_draws() -> None:
    code = (
        "import sys, socklab.engine.network.wire.wire, socklab.engine.network.topology;"
        " print([m for m in DRAW if m in sys.modules])"
    )
    code = code.replace("DRAW", "('rich', 'textual', 'asyncio')")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
