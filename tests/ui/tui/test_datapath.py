"""The data path counts what calls and packets moved, for the socket that a descriptor referred to at the time."""

from __future__ import annotations

import re
import struct
from socket import inet_aton

import pytest
from msgspec.structs import replace

from socklab import state as st
from socklab.protocol import events as ev
from socklab.ui.tui.panels.datapath import DataPathPanel
from socklab.ui.tui.widgets import socket_sums as way
from socklab.ui.tui.widgets.socket_calls import MSG_PEEK, MSG_TRUNC, MSG_ZEROCOPY, socket_calls
from socklab.ui.view.lines import View, plain, width
from tests.support import streams as lab
from tests.support.streams import ACK, FIN, PSH, SYN
from tests.ui.tui.panel_words import text

RECVFROM, SENDTO, SENDFILE, SPLICE, DUP, FORK, CLONE = 45, 44, 40, 275, 32, 57, 56
CHILD = lab.PID + 1
ADDR = 0x7000


class Scene(lab.Stream):
    """A server that holds connection 1 as descriptor 4, and both hosts' packets."""

    def __init__(self) -> None:
        super().__init__(lab.start(shared=False), lab.fds((3, 900)), lab.sockets(lab.listener()))
        self.number = 0

    def accept(self, number: int = 1, fd: int = 4, inode: int = 0, *, asks: bool = True) -> Scene:
        data = struct.pack("<H", 2) + struct.pack(">H", 50000 + number) + inet_aton("10.0.0.2") + bytes(8)
        self.tell(
            lab.entered("accept", 3, ADDR if asks else 0),
            lab.result("accept", fd, mem=(ev.Mem(ADDR, data),) if asks else ()),
        )
        if inode:
            self.tell(lab.fds((fd, inode)), lab.sockets(self.row(number, inode)))
        return self

    def row(self, number: int = 1, inode: int = 0, **more: int) -> ev.SocketRow:
        rows = lab.pair(number, st.ESTABLISHED, st.ESTABLISHED)
        return replace(rows[1], inode=inode, **more)

    def made(self, call: str | int, *args: int, result: int, tid: int = lab.PID) -> Scene:
        return self.tell(lab.entered(call, *args, tid=tid), lab.result(call, result, tid))

    def wire(self, source: str, payload: bytes, seq: int, fate: str = "delivered", flags: int = PSH | ACK) -> Scene:
        self.number += 1
        self.tell(lab.packet(self.number, source, flags, seq, 1, payload=payload))
        return self.tell(lab.fate(self.number, fate)) if fate else self

    def sum(self, kind: str, number: int = 1, inode: int = 70) -> way.Sum:
        return sums(self.state, self.row(number, inode), kind)


def sums(state: st.LabState, row: ev.SocketRow, kind: str) -> way.Sum:
    calls = socket_calls(state)
    socket = calls.of_row(state, row)
    return socket.sum(kind, calls.place(state)) if socket is not None else way.NOTHING


def shown(stream: lab.Stream, cells: int = 100) -> str:
    return text(DataPathPanel().render(stream.state, View(cells, 20)))


def boxes(stream: lab.Stream) -> list[str]:
    """What stands in the five boxes, from left to right."""
    lines = [plain(line) for line in DataPathPanel().render(stream.state, View(110, 20))]
    return [box.strip() for box in re.findall(r"│ ([^│]*)│", next(line for line in lines if "─▶" in line))]


# ---------------------------------------------------------------- calls


def test_reads_and_writes_are_summed_with_their_calls() -> None:
    scene = Scene().accept(inode=70)
    scene.made("read", 4, result=10).made(RECVFROM, 4, result=8).made("read", 4, result=0).made("read", 4, result=-11)
    scene.made("write", 4, result=5)
    assert (scene.sum(way.IN), scene.sum(way.OUT), scene.sum(way.END)) == ((2, 18), (1, 5), (1, 0))
    assert "18 B read by 2 calls" in shown(scene)
    assert "3 copies between kernel and program: 23 B" in shown(scene)
    assert "1 read gave 0" in shown(scene)


@pytest.mark.parametrize(("flag", "kind"), [(MSG_PEEK, way.PEEKED), (MSG_TRUNC, way.DISCARDED)])
def test_bytes_that_stay_or_are_thrown_away_are_told_as_such(flag: int, kind: str) -> None:
    scene = Scene().accept(inode=70).made(RECVFROM, 4, 0, 9, flag, result=9)
    assert (scene.sum(kind), scene.sum(way.IN)) == ((1, 9), (0, 0))


def test_ways_without_a_copy_through_the_program_are_no_copies() -> None:
    scene = Scene().accept(inode=70)
    scene.made(SENDFILE, 4, 9, result=4096).made(SPLICE, 4, 0, 8, 0, result=7).made(SPLICE, 7, 0, 4, 0, result=6)
    scene.made(SENDTO, 4, 0, 100, MSG_ZEROCOPY, result=100)
    assert scene.sum(way.SENT_FILE) == (1, 4096)
    assert (scene.sum(way.SPLICED_IN), scene.sum(way.SPLICED_OUT)) == ((1, 7), (1, 6))
    assert (scene.sum(way.ZEROCOPY), scene.sum(way.OUT)) == ((1, 100), (0, 0))
    said = shown(scene)
    assert "copies" not in said
    for words in ("sendfile", "spliced to a pipe", "spliced from a pipe", "MSG_ZEROCOPY"):
        assert words in said


def test_a_number_used_again_after_close_is_another_socket() -> None:
    scene = Scene().accept(inode=70).made("read", 4, result=10).made("close", 4, result=0)
    scene.accept(2, inode=71).made("read", 4, result=3)
    assert (scene.sum(way.IN), scene.sum(way.IN, 2, 71)) == ((1, 10), (1, 3))


@pytest.mark.parametrize("asks", [True, False])
def test_so_it_is_where_nobody_looked_at_the_descriptors_in_between(asks: bool) -> None:
    """A program that runs on: descriptors are read at its next stop only."""
    scene = Scene().accept(1, asks=asks).made("read", 4, result=10).made("close", 4, result=0)
    scene.accept(2, asks=asks).made("read", 4, result=3).tell(lab.fds((4, 71)), lab.sockets(scene.row(2, 71)))
    assert scene.sum(way.IN, 2, 71) == (1, 3)


def test_dup_and_fork_read_the_same_socket() -> None:
    scene = Scene().accept(inode=70).made(DUP, 4, result=9).made("read", 9, result=1)
    scene.tell(ev.Forked(lab.t(), lab.PID, CHILD, "fork")).made(FORK, result=CHILD)
    scene.made("close", 4, result=0).made("read", 4, result=20, tid=CHILD).made("read", 9, result=300)
    assert scene.sum(way.IN) == (3, 321)
    scene.tell(lab.fds((4, 70), pid=CHILD))
    assert scene.sum(way.IN) == (3, 321)
    assert "by 2 processes" in shown(scene)


def test_a_child_that_reads_before_the_fork_is_told_has_its_parents_descriptors() -> None:
    scene = Scene().accept(inode=70).tell(lab.entered(CLONE), ev.Forked(lab.t(), lab.PID, CHILD, "fork"))
    scene.made("read", 4, result=20, tid=CHILD).tell(lab.result(CLONE, CHILD)).made("read", 4, result=1, tid=CHILD)
    assert scene.sum(way.IN) == (2, 21)


def test_a_call_that_slept_over_a_close_counts_for_what_it_was_made_on() -> None:
    scene = Scene().accept(inode=70).tell(ev.Forked(lab.t(), lab.PID, 7, "thread"), lab.entered("read", 4, tid=7))
    scene.made("close", 4, result=0).accept(2, inode=71).tell(lab.result("read", 5, tid=7))
    assert (scene.sum(way.IN), scene.sum(way.IN, 2, 71)) == ((1, 5), (0, 0))


def test_a_look_may_come_before_the_accept_is_told() -> None:
    scene = Scene().tell(lab.entered("accept", 3), lab.fds((4, 70)), lab.result("accept", 4))
    scene.tell(lab.sockets(scene.row(1, 70))).made("read", 4, result=9)
    assert scene.sum(way.IN) == (1, 9)
    assert "At least" not in shown(scene)


def test_so_may_one_that_began_before_the_call_was_told() -> None:
    scene = Scene()
    look = lab.fds((4, 70))
    scene.tell(look, lab.entered("accept", 3), lab.result("accept", 4), lab.sockets(scene.row(1, 70)))
    scene.made("read", 4, result=9)
    assert scene.sum(way.IN) == (1, 9)
    assert "At least" not in shown(scene)


def test_what_was_before_the_lab_is_said_to_be_missing() -> None:
    scene = Scene().tell(lab.fds((4, 70)))
    scene.tell(lab.sockets(scene.row(1, 70))).made("read", 4, result=9)
    assert "At least" in shown(scene)


def test_a_past_state_has_its_own_counts() -> None:
    scene = Scene().accept(inode=70).made("read", 4, result=10).wire("client", b"x" * 10, 1)
    past = scene.state
    scene.made("read", 4, result=5).made("write", 4, result=7).wire("client", b"x" * 5, 11)
    assert scene.sum(way.IN) == (2, 15)
    assert sums(past, scene.row(1, 70), way.IN) == (1, 10)
    assert "10 B read by 1 call" in text(DataPathPanel().render(past, View(100, 20)))


def test_long_ago_calls_are_kept_as_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    from socklab.ui.tui.widgets import socket_calls as kept

    monkeypatch.setattr(kept, "_KEPT_PLACES", 5)
    scene = Scene().accept(inode=70)
    for _ in range(40):
        scene.made("read", 4, result=2)
        scene.sum(way.IN)
    assert scene.sum(way.IN) == (40, 80)


# ---------------------------------------------------------------- the wire


def test_payload_that_arrived_is_counted_once_however_often_it_was_sent() -> None:
    scene = Scene().accept(inode=70).wire("client", b"", 0, flags=SYN)
    scene.wire("client", b"x" * 10, 1, "dropped").wire("client", b"x" * 10, 1).wire("client", b"x" * 10, 1)
    scene.wire("client", b"", 11, flags=FIN | ACK).wire("server", b"y" * 30, 1, "held")
    assert boxes(scene) == ["10 B", "0 B", "read 0 B", "0 B", "30 B"]
    said = shown(scene)
    assert "10 of 10 B arrived to the program's host, 1 packet dropped" in said
    assert "0 of 30 B arrived to the other host" in said
    scene.tell(lab.fate(scene.number, "delivered"))
    assert "to the other host" not in shown(scene)


def test_bytes_that_came_out_of_order_are_counted_where_they_belong() -> None:
    scene = Scene().accept(inode=70).wire("client", b"", 0, flags=SYN)
    for seq, size in ((11, 10), (1, 5), (31, 10), (1, 30)):
        scene.wire("client", b"x" * size, seq)
    assert boxes(scene)[0] == "40 B"


def test_long_ago_packets_are_kept_as_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    from socklab.ui.tui.widgets import wire_bytes as kept

    monkeypatch.setattr(kept, "_KEPT_PLACES", 5)
    scene = Scene().accept(inode=70).wire("client", b"", 0, flags=SYN)
    for number in range(40):
        scene.wire("client", b"xyz", 1 + 3 * number, "dropped" if number % 4 == 0 else "delivered")
        shown(scene)
    for number in range(0, 40, 4):
        scene.wire("client", b"xyz", 1 + 3 * number)
    assert boxes(scene)[0] == "120 B"
    assert "120 of 120 B arrived to the program's host, 10 packets dropped" in shown(scene)


def test_the_past_has_the_fates_of_then() -> None:
    scene = Scene().accept(inode=70).wire("client", b"", 0, flags=SYN).wire("client", b"x" * 10, 1, "held")
    past, number = scene.state, scene.number
    scene.tell(lab.fate(number, "delivered")).wire("client", b"x" * 5, 11)
    assert boxes(scene)[0] == "15 B"
    assert "0 of 10 B arrived" in text(DataPathPanel().render(past, View(100, 20)))


def test_where_no_packet_is_seen_nothing_is_pretended() -> None:
    assert boxes(Scene().accept(inode=70))[::4] == ["not seen", "not seen"]


def test_a_fin_is_no_byte() -> None:
    scene = Scene().accept(inode=70)
    scene.tell(lab.sockets(scene.row(1, 70, rx_queue=6, tx_queue=4, state=st.LAST_ACK)))
    assert boxes(scene)[1::2] == ["5 B", "3 B"]


# ---------------------------------------------------------------- the panel


def test_the_connection_of_the_call_in_hand_is_shown_until_another_is_chosen() -> None:
    scene = Scene().accept(inode=70).accept(2, 5, 71).tell(lab.enter("read", 5))
    assert ":50002" in shown(scene)
    panel = DataPathPanel()
    first = panel.choices(scene.state, View(100, 20))[0]
    assert ":50001" in text(panel.render(scene.state, View(100, 20, selected=first)))
    scene.tell(lab.returned("read", 3), lab.enter("close", 5), lab.fds(closed=(5,)))
    scene.tell(lab.sockets(scene.row(2, 0, state=st.FIN_WAIT2)), lab.returned("close", 0))
    assert "FIN_WAIT2" in shown(scene), "also when its descriptor is closed"


@pytest.mark.parametrize("cells", [38, 58, 74, 80, 120])
def test_no_line_is_too_wide_and_all_five_places_stand_from_left_to_right(cells: int) -> None:
    scene = Scene().accept(inode=70).made("read", 4, result=123_456).made("write", 4, result=7_654_321)
    scene.tell(lab.sockets(scene.row(1, 70, rx_queue=1_000_000, tx_queue=2_000_000))).wire("client", b"x" * 30, 1)
    lines = DataPathPanel().render(scene.state, View(cells, 16))
    assert max(map(width, lines)) <= cells
    titles = next(plain(line) for line in lines if "NIC" in plain(line))
    places = [titles.index("NIC"), titles.index("prog"), titles.rindex("NIC")]
    assert places == sorted(places) and titles.count("NIC") == 2
    assert "…" not in "\n".join(map(plain, lines))


def test_without_a_connection_it_says_so() -> None:
    assert "No connection" in shown(Scene())
