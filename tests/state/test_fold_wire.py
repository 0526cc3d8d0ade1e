"""Clients, packets and what becomes of them on the wire."""

from __future__ import annotations

from msgspec.structs import replace

from socklab.core.persistent import Log
from socklab.protocol import events as ev
from socklab.state import Changed
from tests.state.support import changes
from tests.support import streams as lab
from tests.support.streams import PID

BEGUN = lab.state_of(lab.start())
SENT = lab.packet(5, "client", lab.SYN)


def test_clients_actions_and_rules_are_kept_as_they_were_told() -> None:
    a, b, later = lab.client("a", 1), lab.client("b", 2), lab.client("a", 1, "closed")
    assert changes(BEGUN, a) == {"clients": {"a": a}}
    assert lab.state_of_from(BEGUN, a, b, later).clients == {"a": later, "b": b}
    first, second = ev.Acted(5, "connect", "student"), ev.Acted(6, "close a", "lesson")
    assert changes(BEGUN, first) == {"acted": [first]}
    assert list(lab.state_of_from(BEGUN, first, second).acted) == [first, second]
    assert changes(BEGUN, ev.WireRules(5, ("hold all",))) == {"wire_rules": ("hold all",)}
    assert lab.state_of_from(BEGUN, ev.WireRules(5, ("hold all",)), ev.WireRules(6)).wire_rules == ()


def test_a_packet_is_logged_and_has_no_fate_yet() -> None:
    assert changes(BEGUN, SENT) == {"packets": [SENT]}


def test_a_delivered_packet_has_its_fate_and_never_waited() -> None:
    state = lab.state_of_from(BEGUN, SENT)
    assert changes(state, ev.PacketFate(70, 5, "delivered")) == {"fates": {5: "delivered"}}


def test_a_kept_packet_is_on_the_way_until_it_has_another_fate() -> None:
    sent = lab.state_of_from(BEGUN, SENT)
    for kept in ("held", "delayed"):
        state = lab.state_of_from(sent, ev.PacketFate(70, 5, kept))
        assert changes(sent, ev.PacketFate(70, 5, kept)) == {"fates": {5: kept}, "on_the_way": {5: 70}}
        for end in ("delivered", "dropped"):
            told = changes(state, ev.PacketFate(95, 5, end))
            assert told == {"fates": {5: end}, "on_the_way": {}, "waited_ns": {5: 25}}
    two = lab.state_of_from(sent, lab.packet(6, "client", lab.ACK), ev.PacketFate(70, 5, "held"))
    two = lab.state_of_from(two, ev.PacketFate(71, 6, "held"), ev.PacketFate(75, 5, "delivered"))
    assert (dict(two.on_the_way), dict(two.waited_ns)) == ({6: 71}, {5: 5})


def test_only_packets_from_before_the_program_ran_have_a_changed_fate() -> None:
    stopped = lab.state_of_from(BEGUN, SENT, ev.PacketFate(70, 5, "held"), ev.Resumed(71, PID))
    once = lab.state_of_from(stopped, ev.PacketFate(80, 5, "delayed"))
    assert once.changed == Changed(packet=5, fates={5: "held"})
    assert lab.state_of_from(once, ev.PacketFate(90, 5, "dropped")).changed == Changed(packet=5, fates={5: "held"})
    new = lab.state_of_from(stopped, lab.packet(6, "client", lab.ACK), lab.fate(6, "held"), lab.fate(6, "dropped"))
    assert new.changed == Changed(packet=5)
    first = lab.state_of_from(BEGUN, SENT, ev.Resumed(71, PID), ev.PacketFate(72, 5, "delivered"))
    assert first.changed == Changed(packet=5)


def test_fates_of_packets_that_were_let_go_are_let_go_too() -> None:
    state = replace(BEGUN, packets=Log(4))
    for number in range(1, 10):
        state = lab.state_of_from(state, lab.packet(number, "client", lab.ACK), lab.fate(number, "delivered"))
    assert [packet.id for packet in state.packets] == [5, 6, 7, 8, 9]
    assert sorted(state.fates) == [5, 6, 7, 8, 9]
    before = replace(BEGUN, packets=Log(4))
    for number in range(1, 9):
        before = lab.state_of_from(before, lab.packet(number, "client", lab.ACK), lab.fate(number, "delivered"))
    assert sorted(before.fates) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_kernels_reasons_for_resets_are_kept_in_order() -> None:
    before = lab.state_of(lab.start())
    told = [
        ev.ResetSent(lab.t(), 100, "10.0.0.1:8080", "10.0.0.2:50001", reason) for reason in ("NO_SOCKET", "TCP_FLAGS")
    ]
    assert [event.reason for event in lab.state_of_from(before, *told).resets] == ["NO_SOCKET", "TCP_FLAGS"]
    assert set(changes(before, told[0])) == {"resets"}
