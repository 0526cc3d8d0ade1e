"""The packets of a log, decoded once each, in their connections, whichever length of the log is asked about."""

from __future__ import annotations

import pytest

from socklab.core.persistent import Log
from socklab.packets import packet_log
from socklab.protocol import events as ev
from tests.support import streams as lab
from tests.support.streams import ACK, RST, SYN

A, SERVER = "10.0.0.2:50001", "10.0.0.1:8080"


def log_of(packets: list[ev.Packet], log: Log[ev.Packet] | None = None) -> Log[ev.Packet]:
    log = Log() if log is None else log
    for packet in packets:
        log = log.append(packet)
    return log


def handshake(first: int = 1, client: int = 1) -> list[ev.Packet]:
    return [
        lab.packet(first, "client", SYN, 10, client=client),
        lab.packet(first + 1, "server", SYN | ACK, 70, 11, client=client),
        lab.packet(first + 2, "client", ACK, 11, 71, client=client),
    ]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was decoded, in order."""
    seen: list[bytes] = []
    real = packet_log.decode
    monkeypatch.setattr(packet_log, "decode", lambda data, length: seen.append(data) or real(data, length))
    return seen


def test_a_packet_is_told_in_its_connection_with_its_direction_and_both_ends() -> None:
    log = log_of(handshake())
    passed = [packet_log.at(log, index) for index in range(3)]
    assert [each.packet.id for each in passed] == [1, 2, 3]
    assert [(each.seen.seq, each.seen.ack) for each in passed] == [(0, 0), (0, 1), (1, 1)]
    assert [(each.rightward, each.client, each.server) for each in passed] == [
        (True, A, SERVER),
        (False, A, SERVER),
        (True, A, SERVER),
    ]
    assert passed[1].segment is passed[1].seen.segment
    assert passed[1].segment.summary == "SYN-ACK"


def test_the_payload_is_read_from_the_packet_and_kept_once() -> None:
    packet = lab.packet(1, "client", ACK, 10, 1, payload=b"0123456789" * 20)
    cut = ev.Packet(1, 2, "client", "server", packet.data[:45], packet.length)
    passed = [packet_log.at(log_of([packet, cut]), index) for index in range(2)]
    assert passed[0].segment.payload == b""
    assert passed[0].payload() == (b"0123456789" * 20)[:64]
    assert passed[0].payload(3) == b"012"
    assert passed[0].payload(999) == b"0123456789" * 20
    assert passed[1].payload() == b"01234"


def test_each_packet_is_decoded_once_whichever_length_is_asked_about(decoded: list[bytes]) -> None:
    packets = [*handshake(), *handshake(4, 2)]
    logs = [Log()]
    for packet in packets:
        logs.append(logs[-1].append(packet))
    for log in (logs[2], logs[6], logs[1], logs[4], logs[0], logs[6]):
        packet_log.follow(log)
        assert [packet_log.at(log, n).packet for n in range(len(log))] == packets[: len(log)]
    assert decoded == [packet.data for packet in packets]
    assert [packet_log.connections(log) for log in (logs[0], logs[6])] == [2, 2]


def test_going_back_and_on_by_the_same_packets_decodes_nothing_again(decoded: list[bytes]) -> None:
    packets = handshake()
    start = log_of(packets[:1])
    packet_log.follow(log_of(packets[1:], start))
    packet_log.follow(log_of(packets[1:], start))
    assert len(decoded) == 3


def test_another_future_of_the_same_past_is_read_anew() -> None:
    start = log_of(handshake()[:1])
    packet_log.follow(log_of(handshake()[1:], start))
    other = log_of([lab.packet(2, "server", RST | ACK, 0, 11)], start)
    assert packet_log.at(other, 1).segment.summary == "RST-ACK"
    assert packet_log.connections(other) == 1
    assert packet_log.at(other, 0).packet is start[0]


def test_two_logs_know_nothing_of_each_other(decoded: list[bytes]) -> None:
    one, other = log_of(handshake()), log_of(handshake(client=2))
    for _ in range(2):
        assert packet_log.at(one, 0).client == A
        assert packet_log.at(other, 0).client == "10.0.0.2:50002"
    assert len(decoded) == 6


def test_packets_a_log_let_go_of_are_remembered_and_count_in_their_connection() -> None:
    packets = [*handshake(), *(lab.packet(n, "client", ACK, 7 + n, 71, payload=b"x") for n in range(4, 20))]
    log = Log[ev.Packet](4)
    middle = None
    for packet in packets:
        log = log.append(packet)
        assert packet_log.at(log, len(log) - 1).packet is packet
        middle = log if packet.id == 10 else middle
    assert log.dropped > middle.dropped > 0
    assert packet_log.at(log, len(log) - 1).seen.seq == 16
    assert [packet_log.at(middle, n).packet for n in range(len(middle))] == list(middle)
    late = Log[ev.Packet](4)
    late = log_of(packets, late)
    assert late.dropped
    assert [packet_log.at(late, n).packet for n in range(len(late))] == list(late)


def test_of_very_many_packets_the_last_are_remembered(monkeypatch: pytest.MonkeyPatch, decoded: list[bytes]) -> None:
    assert packet_log.KEEP == 50_000
    monkeypatch.setattr(packet_log, "KEEP", 8)
    packets = [lab.packet(n, "client", ACK, 10 + n, 1) for n in range(1, 31)]
    log = Log[ev.Packet](4)
    for number, packet in enumerate(packets, 1):
        log = log.append(packet)
        known = packet_log.follow(log)
        assert len(known.passed) <= 10
        assert known.first + len(known.passed) == number
        assert [packet_log.at(log, n).packet for n in range(len(log))] == list(log)
    assert len(decoded) == 30
    old = log_of(packets[:8], Log(4))
    old.derived.update(log.derived)
    assert packet_log.at(old, 0).packet is packets[0]


def test_who_opened_a_connection_is_on_the_left_when_one_host_talks_to_itself() -> None:
    def local(packet: ev.Packet) -> ev.Packet:
        return ev.Packet(packet.t, packet.id, "server", "server", packet.data, packet.length)

    whole = log_of([local(packet) for packet in handshake()])
    assert [packet_log.at(whole, n).rightward for n in range(3)] == [True, False, True]
    late = log_of([local(packet) for packet in handshake()[1:]])
    assert [packet_log.at(late, n).rightward for n in range(2)] == [False, True]
    assert packet_log.at(late, 0).client == A


def udp(source: int, destination: int, host: str = "server") -> ev.Packet:
    body = source.to_bytes(2) + destination.to_bytes(2) + bytes((0, 8, 0, 0))
    data = lab.ipv4("10.0.0.1", "10.0.0.1", 17, body)
    return ev.Packet(1, 1, host, host, data, len(data))


def test_without_a_connection_the_lower_port_is_the_servers() -> None:
    assert [packet_log.at(log_of([udp(*ports)]), 0).rightward for ports in ((9, 5), (5, 9), (5, 5))] == [
        True,
        False,
        True,
    ]


def test_between_two_hosts_the_direction_is_the_hosts() -> None:
    packet = udp(5, 9)
    for source, destination, rightward in (("client", "server", True), ("server", "client", False), ("x", "y", False)):
        told = ev.Packet(1, 1, source, destination, packet.data, packet.length)
        assert packet_log.at(log_of([told]), 0).rightward is rightward


def test_a_packet_is_found_by_its_number() -> None:
    log = log_of([lab.packet(n, "client", ACK) for n in (2, 5, 9)])
    assert [packet_log.index_of(log, n) for n in (1, 2, 3, 5, 9, 10)] == [-1, 0, -1, 1, 2, -1]
    assert packet_log.index_of(Log(), 1) == -1


def test_the_size_on_the_wire_is_what_a_header_is_held_against() -> None:
    packet = lab.packet(1, "client", ACK, payload=b"x" * 20)
    assert packet_log.at(log_of([packet]), 0).segment.problem == ""
    short = ev.Packet(1, 1, "client", "server", packet.data, packet.length - 1)
    assert "came" in packet_log.at(log_of([short]), 0).segment.problem
