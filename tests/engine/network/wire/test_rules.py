"""The wire's verbs and rules, without a wire."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from socklab.core.errors import UsageError
from socklab.engine.network.wire.rules import KINDS, VERBS, Order, Rules, Select, parse
from socklab.packets.decode import ACK, FIN, PSH, RST, SYN, Segment

A, B, SERVER = ("10.0.0.2", 40001), ("10.0.0.2", 40002), ("10.0.0.1", 80)
NAMES = {"a": "10.0.0.2:40001", "b": "10.0.0.2:40002"}


def _packet(
    flags: int, payload: int = 0, source: tuple[str, int] = A, destination: tuple[str, int] = SERVER
) -> Segment:
    return Segment(4, source[0], destination[0], "TCP", source[1], destination[1], flags=flags, payload_bytes=payload)


def _rules(*lines: str) -> Rules:
    rules = Rules()
    rules.names = dict(NAMES)
    for line in lines:
        verb, *words = line.split()
        rules.add(parse(verb, words, NAMES))
    return rules


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("hold all", Order("hold")),
        ("hold", Order("hold")),
        ("HOLD SYN-ACK", Order("hold", Select(("syn-ack",)))),
        ("hold synack", Order("hold", Select(("syn-ack",)))),
        ("hold ack from a", Order("hold", Select(("ack",), "a"))),
        ("hold syn fin to server", Order("hold", Select(("syn", "fin"), "", "server"))),
        ("hold next data", Order("hold", Select(("data",)), count=1, coming=True)),
        ("deliver", Order("deliver", count=1)),
        ("deliver next", Order("deliver", count=1)),
        ("deliver 2", Order("deliver", count=2)),
        ("deliver all", Order("deliver")),
        ("deliver all ack from a", Order("deliver", Select(("ack",), "a"))),
        ("deliver syn-ack", Order("deliver", Select(("syn-ack",)), count=1)),
        ("deliver #17", Order("deliver", count=1, packet=17)),
        ("drop", Order("drop", count=1)),
        ("drop next", Order("drop", count=1, coming=True)),
        ("drop next 3 syn", Order("drop", Select(("syn",)), count=3, coming=True)),
        ("drop every rst", Order("drop", Select(("rst",)), coming=True)),
        ("drop all", Order("drop")),
        ("reorder", Order("reorder", count=1)),
        ("reorder next data", Order("reorder", Select(("data",)), count=1, coming=True)),
        ("delay 100", Order("delay", ms=100)),
        ("delay 100ms jitter 20", Order("delay", ms=100, jitter_ms=20)),
        ("delay 100 20 data", Order("delay", Select(("data",)), ms=100, jitter_ms=20)),
        ("loss 20 7", Order("loss", percent=20, seed=7)),
        ("hold from my-client", Order("hold", Select((), "my-client"))),
        ("delay 0", Order("delay")),
        ("loss 20 seed 7", Order("loss", percent=20, seed=7)),
        ("loss 12.5% data from server", Order("loss", Select(("data",), "server"), percent=12.5)),
        ("loss off", Order("loss")),
        ("release", Order("release")),
        ("release loss", Order("release", scope="loss")),
        ("hold syn from z", Order("hold", Select(("syn",), "z"))),
        ("hold from 10.0.0.2:5", Order("hold", Select((), "10.0.0.2:5"))),
    ],
)  # fmt: skip
def test_a_verb_line_is_understood(line: str, order: Order) -> None:
    verb, *words = line.split()
    parsed = parse(verb, words, NAMES)
    assert (parsed.verb, parsed.select, parsed.coming, parsed.packet) == (
        order.verb,
        order.select,
        order.coming,
        order.packet,
    )
    assert (parsed.count, parsed.ms, parsed.jitter_ms) == (order.count, order.ms, order.jitter_ms)
    assert (parsed.percent, parsed.seed, parsed.scope) == (order.percent, order.seed, order.scope)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("hald all", "Did you mean hold?"),
        ("hold syn-akc", "Did you mean syn-ack?"),
        ("hold frm a", "Did you mean from?"),
        ("hold from sever", "Did you mean server?"),
        ("hold from", "hold ack from a"),
        ("deliver 0", "deliver 2"),
        ("deliver #x", "deliver #17"),
        ("deliver #1 ack", "deliver #17"),
        ("delay", "delay 100"),
        ("delay soon", "delay 100"),
        ("delay 99999999", "hold it"),
        ("delay 1 jitter", "jitter 20"),
        ("loss 101", "loss 20"),
        ("loss -1", "loss 20"),
        ("loss nan", "loss 20"),
        ("release everything", "release loss"),
        ("release hodl", "Did you mean hold?"),
    ],
)
def test_a_line_that_makes_no_sense_is_answered_with_the_nearest_or_an_example(line: str, hint: str) -> None:
    verb, *words = line.split()
    with pytest.raises(UsageError) as refused:
        parse(verb, words, NAMES)
    assert hint in refused.value.fix


@given(
    st.sampled_from(VERBS),
    st.lists(st.text(max_size=12) | st.sampled_from([*KINDS, "from", "to", "next", "all", "#1", "2", "a"]), max_size=6),
)
def test_any_words_are_an_order_or_a_usage_error(verb: str, words: list[str]) -> None:
    try:
        order = parse(verb, words, NAMES)
    except UsageError as refused:
        assert refused.fix
    else:
        assert order.verb == verb


KINDS_OF = {
    "SYN": (_packet(SYN), {"syn"}),
    "SYN-ACK": (_packet(SYN | ACK), {"syn-ack"}),
    "ACK": (_packet(ACK), {"ack"}),
    "data": (_packet(PSH | ACK, 5), {"data", "psh"}),
    "FIN": (_packet(FIN | ACK), {"fin"}),
    "RST": (_packet(RST), {"rst"}),
    "RST-ACK": (_packet(RST | ACK), {"rst"}),
}


@pytest.mark.parametrize("name", KINDS_OF)
def test_each_packet_is_of_the_kinds_its_flags_say(name: str) -> None:
    packet, kinds = KINDS_OF[name]
    assert {kind for kind, test in KINDS.items() if test(packet)} == kinds | {"all", "tcp"}


def test_an_end_is_a_host_or_a_client_by_its_address() -> None:
    rules = _rules("hold ack from a")
    assert rules.decide(_packet(ACK), "client")[0] == "hold"
    assert rules.decide(_packet(ACK, source=B), "client")[0] == "deliver"
    rules = _rules("hold from server to b")
    assert rules.decide(_packet(ACK, 0, SERVER, B), "server")[0] == "hold"
    assert rules.decide(_packet(ACK, 0, SERVER, A), "server")[0] == "deliver"
    assert rules.decide(_packet(ACK, 0, B, SERVER), "client")[0] == "deliver"


def test_a_rule_for_the_next_two_lets_the_third_pass() -> None:
    rules = _rules("drop next 2 syn")
    assert [rules.decide(p, "client")[0] for p in (_packet(ACK), _packet(SYN), _packet(SYN), _packet(SYN))] == [
        "deliver",
        "drop",
        "drop",
        "deliver",
    ]
    assert not rules.active


def test_the_same_seed_loses_the_same_packets_and_about_the_percentage() -> None:
    runs = []
    for _ in range(2):
        rules = _rules("loss 20 seed 7")
        runs.append([rules.decide(_packet(ACK), "client")[0] for _ in range(2000)])
    assert runs[0] == runs[1]
    assert 320 <= runs[0].count("drop") <= 480
    other = _rules("loss 20 seed 8")
    assert [other.decide(_packet(ACK), "client")[0] for _ in range(2000)] != runs[0]


def test_jitter_stays_within_its_bounds() -> None:
    rules = _rules("delay 100 jitter 20")
    delays = [rules.decide(_packet(ACK), "client")[1] for _ in range(500)]
    assert 80 <= min(delays) < 90
    assert 110 < max(delays) <= 120


def test_a_new_loss_or_delay_replaces_the_old_and_zero_ends_it() -> None:
    rules = _rules("loss 20", "loss 30 seed 2", "delay 5", "delay 7 data")
    assert rules.lines() == ("loss 30 seed 2 all", "delay 5 all", "delay 7 data")
    rules.add(parse("loss", ["0"]))
    rules.add(parse("delay", ["off"]))
    assert rules.lines() == ("delay 7 data",)


def test_rules_read_as_they_were_typed() -> None:
    rules = _rules("hold ack from a", "hold next data", "drop every rst", "drop next 2 syn")
    assert rules.lines() == ("hold ack from a", "hold next data", "drop every rst", "drop next 2 syn")
    rules.release("hold")
    assert rules.lines() == ("drop every rst", "drop next 2 syn")
    rules.release("all")
    assert not rules.active


def _seen(seq: int, flags: int = PSH | ACK, payload: int = 10) -> Segment:
    return Segment(4, *A[:1], SERVER[0], "TCP", A[1], SERVER[1], flags=flags, seq=seq, payload_bytes=payload)


def test_what_was_sent_before_is_a_retransmission_and_new_bytes_are_not() -> None:
    rules = _rules("hold all", "drop every retransmission")
    sent = [_seen(100, SYN, 0), _seen(100, SYN, 0), _seen(101), _seen(101), _seen(111), _seen(106, payload=10)]
    fates = [rules.decide(each, "client")[0] for each in sent]
    assert fates == ["hold", "drop", "hold", "drop", "hold", "drop"]


def test_an_acknowledgement_alone_is_never_a_retransmission() -> None:
    rules = _rules("drop every retransmission")
    assert [rules.decide(_packet(ACK), "client")[0] for _ in range(3)] == ["deliver"] * 3


def test_a_connection_that_begins_anew_between_the_same_ends_is_not_sent_again() -> None:
    rules = _rules("drop every retransmission")
    assert [rules.decide(_seen(seq, SYN, 0), "client")[0] for seq in (5000, 100, 100)] == ["deliver", "deliver", "drop"]


def test_sequence_numbers_wrap_around() -> None:
    rules = _rules("drop every retransmission")
    fates = [rules.decide(_seen(seq), "client")[0] for seq in (0xFFFFFFFA, 4, 0xFFFFFFFA)]
    assert fates == ["deliver", "deliver", "drop"]
