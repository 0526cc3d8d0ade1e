"""What the wire tells of its packets when nobody reads it."""

from __future__ import annotations

import socket

import pytest

from socklab.engine.network.wire import messages as wm, report


def test_what_a_slow_reader_is_not_told_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "REPORT_LIMIT", 1000)
    ours, theirs = socket.socketpair()
    told = report.Report(ours)
    last = 5_000
    for number in range(1, last):
        told.records += [wm.RECORD.pack(wm.PACKET, 0, 100, 100, number, 0), bytes(100)]
        told.flush(number)
    records = wm.Records()
    seen = []
    theirs.setblocking(False)
    while told.flush(last - 1):
        seen += records.events(theirs.recv(1 << 20), 0)
    for number in (last, last + 1):
        told.records += [wm.RECORD.pack(wm.PACKET, 0, 100, 100, number, 0), bytes(100)]
        assert not told.flush(number), "there is room again"
    seen += records.events(theirs.recv(1 << 20), 0)
    assert [packet.id for packet in seen[-2:]] == [last, last + 1]
    assert 0 < records.unreported == last + 1 - len(seen)
    ours.close()
    theirs.close()
