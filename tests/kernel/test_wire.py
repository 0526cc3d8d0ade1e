"""The wire's verbs on this machine's kernel: what is held, dropped, delayed, and what both hosts' tables say then."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from socklab.core.errors import UsageError
from socklab.packets import decode, flows
from tests.support import wirelab
from tests.support.wirelab import PORT, Way, WireLab, run_on

pytestmark = pytest.mark.kernel
pytest_generate_tests = wirelab.each_way


# ---------------------------------------------------------------- the handshake, held


def test_with_the_syn_ack_held_one_host_says_syn_sent_and_the_other_syn_recv(way: Way) -> None:
    def act(lab: WireLab) -> list[tuple[Counter[str], Counter[str]]]:
        lab.do("hold syn-ack")
        _listener = lab.listen()
        client = lab.client("a")
        lab.call(client)
        lab.until(lambda: "SYN-ACK" in lab.held(), "a SYN-ACK is held")
        tables = [(lab.states("client"), lab.states("server"))]
        lab.do("release")
        lab.until(lambda: lab.states("server")["ESTAB"] == 1, "established")
        return [*tables, (lab.states("client"), lab.states("server"))]

    assert run_on(way, act) == [({"SYN-SENT": 1}, {"SYN-RECV": 1}), ({"ESTAB": 1}, {"ESTAB": 1})]


def test_with_the_clients_ack_held_only_the_client_says_established(way: Way) -> None:
    def act(lab: WireLab) -> tuple[Counter[str], Counter[str], int, Counter[str]]:
        lab.do("hold ack from a")
        _listener = lab.listen()
        client = lab.client("a")
        lab.call(client)
        lab.until(lambda: lab.held() == ["ACK"], "the ACK is held")
        half = lab.states("client"), lab.states("server")
        done = lab.do("deliver")
        lab.until(lambda: lab.states("server")["ESTAB"] == 1, "established")
        return *half, done, lab.states("server")

    assert run_on(way, act) == ({"ESTAB": 1}, {"SYN-RECV": 1}, 1, {"ESTAB": 1})


def test_four_clients_say_established_and_a_backlog_of_one_has_two(way: Way) -> None:
    def act(lab: WireLab) -> tuple[int, int]:
        lab.topology.write_setting("server", "tcp_syncookies", "1")
        lab.do("hold ack from client")
        _listener = lab.listen(backlog=1)
        clients = [lab.client(name) for name in "abcd"]
        for client in clients:
            lab.call(client)
        lab.until(lambda: lab.states("client")["ESTAB"] == 4, "four clients established")
        lab.until(lambda: lab.held().count("ACK") >= 4, "their ACKs are held")
        lab.do("release")
        lab.until(lambda: lab.states("server")["ESTAB"] == 2, "two on the server")
        return lab.states("client")["ESTAB"], lab.states("server")["ESTAB"]

    assert run_on(way, act) == (4, 2)


def test_a_client_completes_its_handshake_while_the_server_is_frozen(way: Way) -> None:
    def act(lab: WireLab) -> str:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _listener = lab.listen()
            os.write(writing, b"!")
            signal.pause()
            os._exit(0)
        os.read(reading, 1)
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(pid, os.WUNTRACED)
        client = lab.client("a")
        client.settimeout(60)
        client.connect((lab.topology.address("server"), PORT))
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return state

    assert run_on(way, act) == "T"


# ---------------------------------------------------------------- what the verbs do


def test_a_dropped_syn_is_sent_again_and_marked_as_a_retransmission(way: Way) -> None:
    def act(lab: WireLab) -> list[tuple[str, tuple[str, ...]]]:
        lab.do("drop next syn")
        _listener = lab.listen()
        client = lab.client("a")
        client.settimeout(60)
        client.connect((lab.topology.address("server"), PORT))
        lab.until(lambda: len(lab.seen) >= 4, "four packets")
        return [(seen.segment.summary, seen.marks) for seen in lab.followed()[:4]]

    assert run_on(way, act) == [("SYN", ()), ("SYN", (flows.RETRANSMISSION,)), ("SYN-ACK", ()), ("ACK", ())]


def test_reordered_data_arrives_as_it_was_sent(way: Way) -> None:
    def act(lab: WireLab) -> tuple[bytes, list[int], list[int]]:
        listener = lab.listen()
        client = lab.client("a")
        client.connect((lab.topology.address("server"), PORT))
        lab.do("reorder next data")
        client.sendall(b"first ")
        client.sendall(b"second")
        connection = listener.accept()[0]
        connection.settimeout(60)
        data = b""
        while len(data) < 12:
            data += connection.recv(100)
        lab.settle()
        sent = [p.id for p in lab.seen if decode.decode(p.data).payload_bytes][:2]
        return data, sent, [number for number, fate in lab.fates if fate == "delivered" and number in sent]

    data, sent, delivered = run_on(way, act)
    assert data == b"first second"
    assert delivered == sent[::-1]


def test_the_first_two_held_packets_change_places(way: Way) -> None:
    def act(lab: WireLab) -> tuple[tuple[int, ...], tuple[int, ...]]:
        listener = lab.listen()
        client = lab.client("a")
        client.connect((lab.topology.address("server"), PORT))
        listener.accept()
        lab.do("hold data")
        client.sendall(b"1")
        client.sendall(b"2")
        lab.until(lambda: len(lab.held()) >= 2, "two held")
        before = lab.wire.status().held[:2]
        lab.do("reorder")
        return before, lab.wire.status().held[:2]

    before, after = run_on(way, act)
    assert after == before[::-1]


def test_release_delivers_every_packet_that_is_held(way: Way) -> None:
    def act(lab: WireLab) -> tuple[bool, int, list[int], int]:
        listener = lab.listen()
        client = lab.client("a")
        client.connect((lab.topology.address("server"), PORT))
        _connection = listener.accept()[0]
        lab.do("hold data")
        for word in (b"one", b"two", b"three"):
            client.send(word)
        lab.until(lambda: len(lab.held()) >= 3, "three are held")
        held = lab.wire.status().held
        done = lab.do("release")
        lab.settle()
        gone_on = {number for number, fate in lab.fates if fate == "delivered"}
        every = done >= len(held)  # more where the kernel has sent one of them again meanwhile
        return every, lab.wire.status().dropped, [n for n in held if n not in gone_on], len(lab.held())

    assert run_on(way, act) == (True, 0, [], 0)


def test_a_delay_keeps_every_packet_on_the_way_and_in_order(way: Way) -> None:
    def act(lab: WireLab) -> tuple[list[int], list[int], bool]:
        lab.do("delay 40 jitter 20")
        listener = lab.listen()
        client = lab.client("a")
        client.settimeout(60)
        client.connect((lab.topology.address("server"), PORT))
        for _ in range(20):
            client.sendall(b"x")
        connection = listener.accept()[0]
        connection.settimeout(60)
        count = 0
        while count < 20:
            count += len(connection.recv(100))
        lab.settle()
        started = {p.id: p.t for p in lab.seen}
        times = [(t - started[n]) // 1_000_000 for (n, fate), t in lab.fate_t.items() if fate == "delivered"]
        data = [p.id for p in lab.seen if decode.decode(p.data).payload_bytes]
        order = [n for n, fate in lab.fates if fate == "delivered" and n in data]
        return times, order, all((p.id, "delayed") in lab.fate_t for p in lab.seen)

    times, order, all_delayed = run_on(way, act)
    assert min(times) >= 20
    assert order == sorted(order)
    assert all_delayed


def test_with_every_packet_lost_nobody_connects_and_without_loss_the_next_try_does(way: Way) -> None:
    def act(lab: WireLab) -> tuple[dict[str, int], set[str]]:
        lab.do("loss 100 seed 7")
        _listener = lab.listen()
        client = lab.client("a")
        lab.call(client)
        lab.until(lambda: len(lab.seen) >= 2, "the SYN and its retransmission")
        lost = dict(lab.states("client"))
        fates = {fate for _, fate in lab.fates}
        lab.do("loss 0")
        lab.until(lambda: lab.states("client")["ESTAB"] == 1, "established")
        return lost, fates

    assert run_on(way, act) == ({"SYN-SENT": 1}, {"dropped"})


def test_verbs_with_nothing_to_act_on_say_what_is_held(way: Way) -> None:
    def act(lab: WireLab) -> list[tuple[str, str]]:
        said = []
        _listener = lab.listen()
        for lines in (["deliver"], ["hold syn", "deliver syn-ack"], ["drop #99"], ["hold ack from sever"]):
            if lines[0] == "hold syn":
                lab.do(lines.pop(0))
                lab.call(lab.client("a"))
                lab.until(lambda: lab.held() == ["SYN"], "held")
            try:
                lab.do(lines[0])
            except UsageError as refused:
                said.append((refused.what, refused.fix))
        return said

    nothing, no_syn_ack, no_packet, nobody = run_on(way, act)
    assert nothing == ("Nothing is held.", "`hold all` keeps what comes next.")
    assert no_syn_ack == ("There is no syn-ack packet held.", "Held now: #1 SYN.")
    assert no_packet == ("There is no packet 99 held.", "Held now: #1 SYN.")
    assert nobody[1].startswith("Did you mean server?")


def test_what_a_client_is_called_holds_for_its_very_first_packet(way: Way) -> None:
    def act(lab: WireLab) -> list[list[str]]:
        _listener = lab.listen()
        held = []
        for number in range(50):
            client = lab.client(f"c{number}")
            lab.do(f"hold syn from c{number}")
            lab.call(client)
            lab.until(lambda: len(lab.wire.status().held) == 1, "its SYN is held")
            held.append(lab.held())
            lab.do("drop")
            client.close()
        return held

    assert run_on(way, act) == [["SYN"]] * 50


def test_the_names_of_more_than_ten_thousand_clients_are_taken_and_the_last_one_means_its_end(way: Way) -> None:
    def act(lab: WireLab) -> list[str]:
        _listener = lab.listen()
        for number in range(10_500):
            lab.wire.name(f"c{number}", f"10.0.0.2:{number + 1}")
        client = lab.client("last")
        lab.do("hold syn from last")
        lab.call(client)
        lab.until(lambda: len(lab.wire.status().held) == 1, "its SYN is held")
        return lab.held()

    assert run_on(way, act) == ["SYN"]
