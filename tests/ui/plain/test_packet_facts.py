"""Packets as sentences: one for each, one for each change of its fate, none twice."""

from __future__ import annotations

import pytest

from socklab import state as st
from socklab.ui.plain.facts import Told, everything
from socklab.ui.plain.packet_facts import MOST
from tests.support.wirescene import ACK, WireScene, conversation, not_tcp, syn_ack_held


def wire_lines(told: Told, state: st.LabState, masked: frozenset[str] = frozenset()) -> list[str]:
    others = frozenset({"descriptors", "sockets", "queues", "counters", "clients"})
    return told.news(state, others | masked)


def test_a_packet_is_told_with_its_ends_its_numbers_and_its_fate() -> None:
    assert wire_lines(Told(), syn_ack_held().state) == [
        "* wire: hold syn-ack",
        "+ packet 1 from client a to server: SYN, seq 0, window 64240; delivered",
        "+ packet 2 from server to client a: SYN-ACK, seq 0, ack 1, window 65160; delivered",
        "+ packet 3 from client a to server: ACK, seq 1, ack 1, window 64256; delivered",
        "+ packet 4 from client c to server: SYN, seq 0, window 64240; delivered",
        "+ packet 5 from server to client c: SYN-ACK, seq 0, ack 1, window 65160; held",
    ]


def test_a_change_of_fate_is_told_once_and_nothing_else_again() -> None:
    told, scene = Told(), syn_ack_held()
    wire_lines(told, scene.state)
    assert wire_lines(told, scene.state) == []
    scene.becomes("delivered")
    assert wire_lines(told, scene.state) == ["* packet 5, SYN-ACK from server to client c: delivered after 0.62 s"]
    scene.rules()
    assert wire_lines(told, scene.state) == ["* wire: no rule is in force any more"]


def test_what_a_question_hides_is_told_after_its_answer() -> None:
    told, scene = Told(), syn_ack_held()
    assert wire_lines(told, scene.state, frozenset({"wire"})) == []
    assert len(wire_lines(told, scene.state)) == 6


def test_retransmissions_and_shut_windows_are_said_in_words() -> None:
    lines = wire_lines(Told(), conversation().state)
    assert lines[4].endswith('18 bytes "GET / HTTP/1.0␍␊␍␊", sent again; delivered')
    assert "window 0, zero window; delivered" in lines[7]
    assert "from client port 51234 to server" in lines[9]


def test_what_is_no_tcp_is_told_as_what_it_is() -> None:
    lines = wire_lines(Told(), not_tcp().state)
    assert (
        lines[0] == '+ packet 1 from client fe80::2 to ff02::2: ICMPv6 router solicitation, 4 bytes "␀␀␀␀"; delivered'
    )
    assert lines[1].startswith('+ packet 2 from client port 53124 to server: UDP, 8 bytes "anybody?"')
    assert "not IP, IP version 7" in lines[3]
    assert lines[4].endswith("; dropped")


@pytest.mark.parametrize(("more", "counted"), [(100, "100 more packets"), (1, "1 more packet")])
def test_of_very_many_the_first_and_the_last_are_told_and_the_rest_counted(more: int, counted: str) -> None:
    scene = WireScene()
    for number in range(MOST + more):
        scene.up(40001, ACK, number)
    lines = wire_lines(Told(), scene.state)
    assert len(lines) == MOST + 1
    assert lines[MOST // 2] == f"... {counted}"
    assert lines[-1].startswith(f"+ packet {MOST + more} ")


def test_the_whole_wire_is_there_on_demand() -> None:
    assert everything(syn_ack_held().state, "wire")[0] == "rule: hold syn-ack"
    assert len(everything(syn_ack_held().state, "wire")) == 6
    assert everything(WireScene().state, "wire") == ["no packet"]
