"""However much the wire knows and holds, what its holder and it say to each other fits into a message."""

from __future__ import annotations

import os
import socket

from socklab.engine.network.wire import messages as wm
from socklab.engine.network.wire.ends import End
from socklab.engine.network.wire.process import WireProcess


def test_a_wire_that_holds_100_000_packets_still_answers() -> None:
    control, its_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    report, its_report = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ends = [os.open(os.devnull, os.O_RDWR) for _ in range(2)]
    with control, its_control, report, its_report:
        wire = WireProcess((End(ends[0]), End(ends[1])), its_control, its_report)
        wire._held = dict.fromkeys(range(1, 100_001), (0, b""))
        control.send(wm.encode(wm.Status()))
        assert wire._serve()
        control.settimeout(10)
        answer = wm.decode_answer(control.recv(1 << 20))
    for end in ends:
        os.close(end)
    assert answer.held == tuple(range(1, wm.MOST_HELD + 1))
