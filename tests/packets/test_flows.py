"""What a segment means among those before it, with sequences of packets made by hand."""

from __future__ import annotations

from msgspec.structs import replace

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
    assert _follow(*_handshake(), _segment(C, ACK, 1000, 5001))[-1].marks == (flows.KEEP_ALIVE,) == ("keep-alive",)


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


# ---------------------------------------------------------------- every value of a segment in its connection


def test_a_segment_is_told_with_its_connection_numbers_window_and_marks() -> None:
    syn, syn_ack, ack = _handshake()
    data = _segment(C, ACK, 1001, 5001, 10)
    assert _follow(syn, syn_ack, ack, data) == [
        flows.Seen(syn, 1, 0, 0, 500, False, ()),
        flows.Seen(syn_ack, 1, 0, 1, 500, False, ()),
        flows.Seen(ack, 1, 1, 1, 64_000, True, ()),
        flows.Seen(data, 1, 1, 1, 64_000, True, ()),
    ]


def test_what_can_not_be_followed_is_told_alone() -> None:
    whole = _segment(C, SYN, 1)
    for other in (replace(whole, problem="cut"), replace(whole, what="fragment"), replace(whole, version=0)):
        assert _follow(other) == [flows.Seen(other)]
    assert _follow(replace(whole, protocol="UDP"))[0].connection == 0
    assert _follow(replace(whole, problem="cut"), whole)[1].connection == 1


def test_each_pair_of_ends_is_a_connection_of_its_own() -> None:
    other = replace(_segment(C, SYN, 1), source_port=40002)
    third = replace(_segment(C, SYN, 1), destination_port=81)
    seen = _follow(_segment(C, SYN, 1), other, third, _segment(S, SYN | ACK, 9, 2), other)
    assert [s.connection for s in seen] == [1, 2, 3, 1, 2]


def test_a_shift_above_fourteen_counts_as_fourteen() -> None:
    wide = (Option("window-scale", (20,)),)
    syn, syn_ack = _segment(C, SYN, 1, options=wide), _segment(S, SYN | ACK, 9, 2, options=SCALE)
    ours, theirs = _follow(syn, syn_ack, _segment(C, ACK, 2, 10, window=3), _segment(S, ACK, 10, 2, window=3))[2:]
    assert (ours.window, theirs.window) == (3 << 14, 3 << 7)


def test_each_side_scales_by_its_own_shift_found_among_other_options() -> None:
    ours = (Option("mss", (1460,)), Option("window-scale", (2,)))
    seen = _follow(
        _segment(C, SYN, 1, options=ours),
        _segment(S, SYN | ACK, 9, 2, options=SCALE),
        _segment(C, ACK, 2, 10, window=10),
        _segment(S, ACK, 10, 2, window=10),
    )
    assert [s.window for s in seen] == [500, 500, 40, 1280]


def test_a_syn_sent_again_may_take_its_scale_back() -> None:
    seen = _follow(
        _segment(C, SYN, 1, options=SCALE),
        _segment(C, SYN, 1),  # Linux leaves options out when SYNs get lost
        _segment(S, SYN | ACK, 9, 2, options=SCALE),
        _segment(C, ACK, 2, 10),
    )
    assert (seen[3].window, seen[3].window_is_scaled) == (500, False)


def test_the_peer_of_a_connection_without_syns_counts_from_what_it_acknowledges_first() -> None:
    data = _segment(C, ACK, 1001, 5001, 10)
    seen = _follow(data, _segment(S, ACK, 5001, 1011, 7), _segment(S, ACK, 5001, 1011, 7))
    assert [(s.seq, s.ack) for s in seen] == [(1, 1), (1, 11), (1, 11)]
    assert [s.marks for s in seen] == [(), (), (flows.RETRANSMISSION,)]
    wrapped = _follow(_segment(C, ACK, 0, 0, 10), _segment(S, ACK, 0, 10))
    assert [(s.seq, s.ack) for s in wrapped] == [(1, 1), (1, 11)]


def test_without_the_ack_flag_nothing_is_acknowledged() -> None:
    assert _follow(*_handshake(), _segment(C, RST, 1001, 5001))[-1].ack == 0
    assert _follow(_segment(C, SYN, 7000, 99))[0].ack == 0


def test_a_segment_that_goes_over_the_last_byte_sent_is_new_and_one_before_it_is_not() -> None:
    hand = _handshake()
    first, second = _segment(C, ACK, 1001, 5001, 100), _segment(C, ACK, 1101, 5001, 100)
    hole = _follow(*hand, second, first, second)
    assert [s.marks for s in hole[3:]] == [(), (flows.RETRANSMISSION,), (flows.RETRANSMISSION,)]
    edge = _follow(*hand, first, _segment(C, ACK, 1100, 5001, 2))[-1]
    assert edge.marks == (flows.RETRANSMISSION,)
    assert _follow(*hand, first, second)[-1].marks == ()


def test_a_fin_takes_a_number_and_may_be_sent_again() -> None:
    fin = _segment(C, FIN | ACK, 1001, 5001)
    seen = _follow(*_handshake(), fin, fin, _segment(S, ACK, 5001, 1002))
    assert [s.marks for s in seen[3:]] == [(), (flows.RETRANSMISSION,), ()]
    assert seen[-1].ack == 2


def test_a_reset_is_never_a_retransmission_and_leaves_the_window_as_it_was() -> None:
    hand = _handshake()
    shut = _segment(C, ACK, 1001, 5001, window=0)
    reset = _segment(C, RST | ACK, 1000, 5001, window=77)
    seen = _follow(*hand, shut, reset, _segment(S, ACK, 5000, 1001))
    assert [s.marks for s in seen[3:]] == [(flows.ZERO_WINDOW,), (), (flows.ZERO_WINDOW_PROBE,)]
    early = _follow(*hand, _segment(C, RST | ACK, 1000, 5001, 1))
    assert early[-1].marks == ()


def test_a_probe_carries_a_byte_at_most_and_lies_one_before_the_next() -> None:
    hand = _handshake()
    closed = _segment(S, ACK, 5001, 1001, window=0)
    assert _follow(*hand, closed, _segment(C, ACK, 1000, 5001, 1))[-1].marks == (flows.ZERO_WINDOW_PROBE,)
    assert _follow(*hand, closed, _segment(C, ACK, 1000, 5001, 2))[-1].marks == (flows.RETRANSMISSION,)
    assert _follow(*hand, closed, _segment(C, FIN | ACK, 1000, 5001))[-1].marks == (flows.RETRANSMISSION,)
    assert _follow(*hand, _segment(C, ACK, 999, 5001))[-1].marks == ()
    assert _follow(*hand, _segment(C, ACK, 1000, 5001, 1))[-1].marks == (flows.KEEP_ALIVE,)
    assert _follow(_segment(C, SYN, 9), _segment(C, 0, 9))[-1].marks == (flows.KEEP_ALIVE,)


def test_an_ack_alone_is_a_duplicate_only_while_something_is_outstanding() -> None:
    hand = _handshake()
    data, ack = _segment(C, ACK, 1001, 5001, 100), _segment(S, ACK, 5001, 1001)
    assert _follow(*hand, ack, ack)[-1].marks == ()
    assert _follow(*hand, data, ack, ack)[-1].marks == (flows.DUPLICATE_ACK,)
    done = _segment(S, ACK, 5001, 1101)
    assert _follow(*hand, data, done, done)[-1].marks == ()
    assert _follow(*hand, data, ack, done)[-1].marks == ()
    carrying = _segment(S, ACK, 5001, 1001, 5)
    assert _follow(*hand, data, ack, carrying)[-1].marks == ()
    control = _segment(S, FIN | ACK, 5001, 1001)
    assert _follow(*hand, data, ack, control)[-1].marks == ()
    bare = _segment(S, 0, 5001, 1001)
    assert _follow(*hand, data, ack, bare)[-1].marks == ()


def test_the_same_ack_with_another_window_is_an_update_and_with_none_a_shut_one() -> None:
    hand = _handshake()
    data, ack = _segment(C, ACK, 1001, 5001, 100), _segment(S, ACK, 5001, 1001)
    assert _follow(*hand, data, ack, replace(ack, window=501))[-1].marks == (flows.WINDOW_UPDATE,)
    assert _follow(*hand, data, ack, replace(ack, window=0))[-1].marks == (flows.ZERO_WINDOW,)
    shut = replace(ack, window=0)
    assert _follow(*hand, data, shut, shut)[-1].marks == (flows.ZERO_WINDOW,)
    wide = tuple(Option("window-scale", (20,)) for _ in range(1))
    hand = [_segment(C, SYN, 1, options=wide), _segment(S, SYN | ACK, 9, 2, options=wide), _segment(C, ACK, 2, 10)]
    assert _follow(*hand, _segment(C, ACK, 2, 10))[-1].marks == ()


def test_numbers_are_compared_around_the_end_of_32_bits() -> None:
    top = 2**32 - 1
    hand = [
        _segment(C, SYN, top - 5, options=SCALE),
        _segment(S, SYN | ACK, top, top - 4),
        _segment(C, ACK, top - 4, 0),
    ]
    data = _segment(C, ACK, top - 4, 0, 10)
    seen = _follow(*hand, data, data, _segment(C, ACK, 5, 0, 1), _segment(S, ACK, 0, 6))
    assert [(s.seq, s.ack, s.marks) for s in seen] == [
        (0, 0, ()),
        (0, 1, ()),
        (1, 1, ()),
        (1, 1, ()),
        (1, 1, (flows.RETRANSMISSION,)),
        (11, 1, ()),
        (1, 12, ()),
    ]
