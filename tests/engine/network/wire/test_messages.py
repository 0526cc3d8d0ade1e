"""Records of the wire, cut anywhere on their way."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, strategies as st

from socklab.engine.network.wire import messages as wm
from socklab.protocol.events import Packet, PacketFate

STREAM = (
    wm.RECORD.pack(wm.DELIVERED, 1, 3, 60, 1, 1_000) + b"abc"
    + wm.RECORD.pack(wm.PACKET, 0, 2, 70, 2, 2_000) + b"de"
    + wm.RECORD.pack(wm.FATE, wm.HELD, 0, 0, 2, 2_500)
    + wm.RECORD.pack(wm.UNREPORTED, 0, 0, 9, 0, 0)
    + wm.RECORD.pack(wm.FATE, wm.DROPPED, 0, 0, 2, 3_000)
)  # fmt: skip
EVENTS = [
    Packet(500, 1, "client", "server", b"abc", 60),
    PacketFate(500, 1, "delivered"),
    Packet(1_500, 2, "server", "client", b"de", 70),
    PacketFate(2_000, 2, "held"),
    PacketFate(2_500, 2, "dropped"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_records_give_the_same_events_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    records = wm.Records()
    places = [0, *sorted(cuts), len(STREAM)]
    found = []
    for start, end in pairwise(places):
        found += records.events(STREAM[start:end], 500)
    assert found == EVENTS
    assert records.unreported == 9
