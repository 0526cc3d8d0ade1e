"""What a segment means among those before it, with sequences of packets made by hand."""

from __future__ import annotations

from socklab.packets import flows
from socklab.packets.decode import ACK, FIN, RST, SYN, Option, Segment

C, S = ("10.0.0.2", 40001), ("10.0.0.1", 80)
SCALE = (Option("window-scale", (7,)),)


def _segment(
    source: tuple[str, int],
    flags: int,
    seq: int,
    ack: int = 0,
    size: int = 0,
    window: int = 500,
    options: tuple[Option, ...] = (),
) -> Segment:
    there = S if source == C else C
    return Segment(
        4, *(source[0], there[0], "TCP", source[1], there[1]), flags=flags, seq=seq % 2**32, ack=ack % 2**32,
        window=window, options=options, payload_bytes=size,
    )  # fmt: skip


def _follow(*segments: Segment) -> list[flows.Seen]:
    following = flows.Flows()
    return [following.add(segment) for segment in segments]


def _handshake(client: int = 1000, server: int = 5000) -> list[Segment]:
    return [
        _segment(C, SYN, client, options=SCALE),
        _segment(S, SYN | ACK, server, client + 1, options=SCALE),
        _segment(C, ACK, client + 1, server + 1),
    ]


def test_numbers_count_from_each_sides_syn() -> None:
    seen = _follow(*_handshake(), _segment(C, ACK, 1001, 5001, 10), _segment(S, ACK, 5001, 1011))
    assert [(s.seq, s.ack) for s in seen] == [(0, 0), (0, 1), (1, 1), (1, 1), (1, 11)]
    assert {s.connection for s in seen} == {1}


def test_numbers_count_on_where_32_bits_wrap_around() -> None:
    start = 2**32 - 3
    seen = _follow(*_handshake(start), _segment(C, ACK, start + 1, 5001, 10), _segment(C, ACK, start + 11, 5001, 10))
    assert [(s.seq, s.marks) for s in seen[3:]] == [(1, ()), (11, ())]


def test_the_window_is_scaled_after_the_syns_and_never_in_them() -> None:
    seen = _follow(*_handshake())
    assert [(s.window, s.window_is_scaled) for s in seen] == [(500, False), (500, False), (500 << 7, True)]


def test_the_window_is_not_scaled_when_one_side_did_not_offer_it() -> None:
    syn, _, ack = _handshake()
    plain = _segment(S, SYN | ACK, 5000, 1001)
    assert [s.window for s in _follow(syn, plain, ack)] == [500, 500, 500]


def test_a_syn_and_data_sent_again_are_retransmissions() -> None:
    syn, syn_ack, ack = _handshake()
    data = _segment(C, ACK, 1001, 5001, 10)
    seen = _follow(syn, syn, syn_ack, syn_ack, ack, data, data)
    assert [flows.RETRANSMISSION in s.marks for s in seen] == [False, True, False, True, False, False, True]


def test_a_new_connection_between_the_same_ends_is_no_retransmission() -> None:
    seen = _follow(*_handshake(), *_handshake(90_000, 70_000))
    assert [s.connection for s in seen] == [1, 1, 1, 2, 2, 2]
    assert [s.seq for s in seen] == [0, 0, 1, 0, 0, 1]
    assert not any(s.marks for s in seen)


def test_a_shut_window_its_probe_and_its_opening_are_marked() -> None:
    seen = _follow(
        *_handshake(),
        _segment(C, ACK, 1001, 5001, 100),
        _segment(S, ACK, 5001, 1101, window=0),
        _segment(C, ACK, 1100, 5001),
        _segment(S, ACK, 5001, 1101, window=0),
        _segment(S, ACK, 5001, 1101, window=400),
    )
    assert [s.marks for s in seen[4:]] == [
        (flows.ZERO_WINDOW,),
        (flows.ZERO_WINDOW_PROBE,),
        (flows.ZERO_WINDOW,),
        (flows.WINDOW_UPDATE,),
    ]


def test_a_probe_of_a_silent_peer_is_a_keep_alive() -> None:
    assert _follow(*_handshake(), _segment(C, ACK, 1000, 5001))[-1].marks == (flows.KEEP_ALIVE,)


def test_the_same_ack_again_while_data_is_missing_is_a_duplicate() -> None:
    seen = _follow(
        *_handshake(),
        _segment(C, ACK, 1001, 5001, 100),
        _segment(S, ACK, 5001, 1001),
        _segment(S, ACK, 5001, 1001),
    )
    assert seen[-1].marks == (flows.DUPLICATE_ACK,)


def test_a_reset_and_a_fin_have_no_window_mark() -> None:
    assert _follow(_segment(C, SYN, 1), _segment(S, RST | ACK, 0, 2, window=0))[-1].marks == ()
    assert _follow(*_handshake(), _segment(C, FIN | ACK, 1001, 5001, window=0))[-1].marks == ()


def test_a_refused_connection_is_counted_from_what_is_known() -> None:
    seen = _follow(_segment(C, SYN, 7000), _segment(S, RST | ACK, 0, 7001, window=0))
    assert [(s.seq, s.ack) for s in seen] == [(0, 0), (1, 1)]


def test_a_connection_whose_syn_was_not_seen_counts_from_its_first_packet() -> None:
    seen = _follow(_segment(C, ACK, 1001, 5001, 10), _segment(S, ACK, 5001, 1011))
    assert [(s.seq, s.ack, s.window_is_scaled) for s in seen] == [(1, 1, False), (1, 11, False)]


def test_a_packet_that_is_not_tcp_belongs_to_no_connection() -> None:
    seen = _follow(Segment(4, "10.0.0.1", "10.0.0.2", "UDP"), Segment(problem="no bytes"))
    assert [s.connection for s in seen] == [0, 0]
