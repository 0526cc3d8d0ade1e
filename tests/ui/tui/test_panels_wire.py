"""The wire as a sequence diagram: what each arrow claims, at every width, for any bytes."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as some
from msgspec.structs import replace

from socklab import state as st
from socklab.core.persistent import Log
from socklab.packets import packet_log
from socklab.packets.decode import decode as _decode
from socklab.protocol import events as ev
from socklab.ui.tui.panels import registry
from socklab.ui.tui.widgets import packet_details
from socklab.ui.view import packet_arrow
from socklab.ui.view.lines import Line, View, plain, width
from tests.support.wirescene import ACK, SYN, WireScene, conversation, not_tcp, syn_ack_held
from tests.ui.tui.panel_words import drawn_whole
from tests.ui.tui.test_panels_untrusted import visible

counters = registry.panel("counters")
wire = registry.panel("wire")

SNAPSHOTS = Path(__file__).parent / "panel_snapshots"
SIZES = ((38, 20), (58, 22), (100, 26), (130, 12))
SCENES = {
    "nothing": WireScene,
    "syn-ack-held": syn_ack_held,
    "conversation": conversation,
    "not-tcp": not_tcp,
}


def drawn(state: st.LabState, cells: int, height: int = 20, number: int = 0) -> list[str]:
    view = View(cells, height, selected=("packet", number) if number else None)
    return [plain(line) for line in drawn_whole(wire, state, view)]


def in_full(state: st.LabState, view: View, number: int) -> Sequence[Line]:
    """What stands in place of the arrows once the chosen packet is opened."""
    return wire.body(state, replace(view, selected=("packet", number), opened=True)).lines if number else ()


def arrow(state: st.LabState, number: int, cells: int = 58) -> str:
    """The row of one packet, without the blanks behind it."""
    return plain(wire.line(state, ("packet", number), View(cells, 9))).rstrip()


# ---------------------------------------------------------------- pictures


def test_the_panel_reads_as_it_did() -> None:
    out = []
    for name, scene in SCENES.items():
        state = scene().state
        for cells, height in SIZES:
            out.append(f"== {name}, {cells}x{height}: {wire.title(state)}\n")
            for line in drawn_whole(wire, state, View(cells, height)):
                out.append(f"|{plain(line)}{' ' * (cells - width(line))}|\n")
    state = conversation().state
    for cells, height in ((38, 24), (58, 30), (100, 26)):
        out.append(f"== the seventh packet chosen, {cells}x{height}\n")
        for line in drawn_whole(wire, state, View(cells, height, selected=("packet", 7))):
            out.append(f"|{plain(line)}{' ' * (cells - width(line))}|\n")
    file = SNAPSHOTS / "wire.txt"
    text = "".join(out)
    if os.environ.get("SOCKLAB_SNAPSHOTS") == "write":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"{file.name} differs; SOCKLAB_SNAPSHOTS=write if it is meant"


# ---------------------------------------------------------------- fates


def test_a_delivered_packet_is_an_arrow_that_arrives() -> None:
    state = syn_ack_held().state
    assert arrow(state, 1).endswith("▶│")
    assert "│◀" in arrow(state, 2)


@pytest.mark.parametrize("cells", [38, 58, 100, 130])
def test_a_held_packet_stands_in_mid_wire_and_reaches_neither_host(cells: int) -> None:
    lane = arrow(syn_ack_held().state, 5, cells).partition("│")[2].partition("│")[0]
    left, right = lane.index("["), len(lane) - 1 - lane.rindex("]")
    assert "held" in lane
    assert "◁[SYN-ACK" in lane
    assert min(left, right) >= 2
    assert abs(left - right) <= 2


def test_a_dropped_packet_ends_at_a_cross_before_the_other_host() -> None:
    row = arrow(conversation().state, 4)
    assert "─× dropped" in row
    assert "▶" not in row
    assert row.index("×") < row.rindex("│") - 2


def test_a_delayed_packet_says_so() -> None:
    assert "delayed]" in arrow(conversation().state, 9)


def test_a_packet_delivered_late_says_after_how_long() -> None:
    assert "after 0.6 s" in arrow(conversation().state, 7)
    assert "after" not in arrow(conversation().state, 6)


def test_delivering_turns_the_held_packet_into_an_arrow() -> None:
    scene = syn_ack_held()
    scene.becomes("delivered")
    assert "[" not in arrow(scene.state, 5)
    assert "│◀" in arrow(scene.state, 5)


# ---------------------------------------------------------------- numbers and marks


def test_sequence_numbers_count_from_the_connections_first() -> None:
    state = conversation().state
    assert "SYN seq 0 win 64240" in arrow(state, 1)
    assert "SYN-ACK seq 0 ack 1 win 65160" in arrow(state, 2)
    assert "ACK seq 1 ack 1 win 64256" in arrow(state, 3)  # 502 << 7


def test_what_was_sent_before_is_marked_as_sent_again() -> None:
    state = conversation().state
    assert "again" in arrow(state, 5)
    assert "again" not in arrow(state, 4)
    assert "sent again" in arrow(state, 5, 130)


def test_a_shut_window_is_said_in_words_at_every_width() -> None:
    for cells, word in ((38, "win 0"), (58, "zero window"), (100, "zero window"), (130, "zero window")):
        assert word in arrow(conversation().state, 8, cells)


def test_the_payloads_length_and_beginning_are_on_its_arrow() -> None:
    for cells in (38, 58, 100, 130):
        row = arrow(conversation().state, 7, cells)
        assert cells < 50 or '"HTTP' in row
        assert "52" in row


def test_the_connection_is_named_by_client_or_port() -> None:
    state = conversation().state
    assert arrow(state, 1)[1:].startswith("a")
    assert arrow(state, 10)[1:].startswith(":51234")
    assert "51234" in arrow(state, 10, 38)


def test_one_connection_alone_leaves_its_name_out_where_room_is_dear() -> None:
    scene = WireScene()
    scene.client("a", 40001).handshake(40001)
    assert arrow(scene.state, 1, 38).startswith("+│")


def test_packets_that_are_no_tcp_are_shown_as_what_they_are() -> None:
    state = not_tcp().state
    rows = [arrow(state, number, 100) for number in range(1, 6)]
    assert "ICMPv6 router solicitation" in rows[0]
    assert 'UDP 8 B "anybody?"' in rows[1]
    assert "ICMP port unreachable" in rows[2]
    assert "not IP: IP version 7" in rows[3]
    assert "malformed: the IP header says 40 bytes, 30 came" in rows[4]
    assert ["▶" in row for row in rows] == [True, True, False, True, False]


# ---------------------------------------------------------------- held long, and sent again and again


def kept_waiting(fate: str = "dropped", clients: int = 4, copies: int = 5) -> WireScene:
    """The last ACK of each client is held; the server sends its SYN-ACKs again and again."""
    scene = WireScene().rules("hold ack to server")
    ports = range(40001, 40001 + clients)
    for name, port in zip("abcd", ports, strict=False):
        scene.client(name, port)
        scene.up(port, SYN, 0).down(port, SYN | ACK, 0, 1).up(port, ACK, 1, 1, "held")
    for _ in range(copies):
        for port in ports:
            scene.down(port, SYN | ACK, 0, 1, fate)
    return scene


@pytest.mark.parametrize("cells", [38, 58, 100, 130])
@pytest.mark.parametrize("height", [6, 10, 20])
def test_what_is_held_stays_in_sight_however_much_is_sent_after_it(cells: int, height: int) -> None:
    rows = drawn(kept_waiting().state, cells, height)
    assert [re.search(r"\b[a-d]\b", row)[0] for row in rows[-4:]] == list("abcd")  # type: ignore[index]
    assert all(re.search(r"\[ACK.* held\]▷", row) for row in rows[-4:])


def test_what_is_held_before_something_that_went_on_stands_below_a_line_that_says_so() -> None:
    rows = drawn(kept_waiting().state, 58)
    assert [row for row in rows if "held, the oldest first" in row] == [rows[-5]]
    assert not any("oldest first" in row for row in drawn(syn_ack_held().state, 58))


@pytest.mark.parametrize("cells", [38, 58, 100, 130])
def test_copies_with_the_same_fate_are_one_row_that_says_how_many(cells: int) -> None:
    said = "SYN-ACK ↻5" if cells < 50 else "SYN-ACK sent again 5×"
    rows = [row for row in drawn(kept_waiting().state, cells) if said in row]
    assert len(rows) == 4
    assert all("dropped ×" in row for row in rows)
    assert cells < 100 or [row.split("until ")[1][:5] for row in rows] == ["1.290", "1.300", "1.310", "1.320"]


def test_a_copy_that_met_another_fate_has_a_row_of_its_own() -> None:
    scene = kept_waiting(clients=1, copies=2)
    scene.down(40001, SYN | ACK, 0, 1).down(40001, SYN | ACK, 0, 1, "dropped")
    rows = [row.strip() for row in drawn(scene.state, 58) if "again" in row]
    assert ["again 2×" in row for row in rows] == [True, False, False]
    assert ["dropped" in row for row in rows] == [True, False, True]


def test_held_copies_are_one_row_until_it_is_chosen_and_then_each_can_be() -> None:
    scene = kept_waiting("held", clients=1, copies=3)
    state = scene.state
    rows = drawn(state, 58)
    assert "SYN-ACK again 3×" in rows[-1] and "held]" in rows[-1]
    view = View(58, 20)
    seen = []
    for _ in range(3):
        key = wire.step(state, view, 1)
        assert key is not None
        seen.append(key[1])
        view = replace(view, selected=key)
    assert seen == [4, 5, 6]
    assert all(number in state.on_the_way for number in seen)
    told = [plain(line) for line in wire.body(state, view).lines]
    assert [row[0] for row in told[-3:]] == ["+", "+", "▸"]
    assert ["↳" in row for row in told[-4:]] == [False, False, True, True]
    assert not any("3×" in row for row in told)
    for line, row in enumerate(told):
        key = wire.at(state, view, line)
        assert (key is None) == ("oldest" in row)
        assert key is None or wire.line_of(state, replace(view, selected=key), key) >= 0


def test_a_held_packet_that_goes_on_stands_where_it_came() -> None:
    scene = kept_waiting(clients=2)
    scene.becomes("delivered", 3)
    rows = drawn(scene.state, 58)
    assert "─ ACK seq 1 ack 1" in rows[3] and "after 0." in rows[3] and rows[3].endswith("▶│")
    assert sum("held]" in row for row in rows) == 1


def test_acknowledgements_that_say_nothing_new_are_one_row() -> None:
    scene = WireScene()
    scene.handshake(40001)
    for _ in range(4):
        scene.up(40001, ACK, 1, 1)
    scene.up(40001, ACK, 1, 20)
    rows = drawn(scene.state, 58)
    assert "ACK 5×" in rows[3] and "ack 20" in rows[4]


@given(
    some.lists(
        some.tuples(some.integers(0, 2), some.integers(0, 2), some.sampled_from(["held", "delivered", "dropped", ""])),
        max_size=25,
    ),
    some.lists(some.integers(1, 25), max_size=4),
)
@settings(max_examples=150, deadline=None)
def test_every_packet_is_in_one_row_and_can_be_reached_from_there(
    sent: list[tuple[int, int, str]], delivered: list[int]
) -> None:
    """By the arrow keys, from the first row to the last; with each chosen packet on the line that is said to be its."""
    scene = WireScene()
    for port, what, fate in sent:
        flags, seq = ((SYN, 0), (ACK, 1), (ACK | 8, 1))[what]
        scene.up(40001 + port, flags, seq, 1, fate, payload=b"x" * 9 if what == 2 else b"")
    for number in delivered:
        if number in scene.state.on_the_way:
            scene.becomes("delivered", number)
    state = scene.state
    view = View(58, 40)
    rows = wire.rows(state, view)
    assert [rows.index(key) for key in rows] == list(range(len(rows)))
    if not rows:
        return
    key = rows[0]
    seen = [key]
    while True:
        view = replace(view, selected=key)
        line = wire.line_of(state, view, key)
        assert wire.at(state, view, line) == key
        assert plain(wire.body(state, view).lines[line]).startswith("▸")
        step = wire.step(state, view, 1)
        if step == key or step is None:
            break
        key = step
        seen.append(key)
    assert sorted(number for _, number in seen) == list(range(1, len(sent) + 1))
    kept = [number for _, number in seen if number in state.on_the_way]
    assert kept == [number for _, number in seen][len(seen) - len(kept) :]


# ---------------------------------------------------------------- what is new


def test_what_came_since_the_program_last_ran_is_marked() -> None:
    state = syn_ack_held().state
    assert [arrow(state, number)[0] for number in range(1, 6)] == [" ", " ", " ", "+", "+"]


def test_a_fate_that_changed_since_is_marked_too() -> None:
    scene = syn_ack_held()
    scene.resume()
    assert arrow(scene.state, 5)[0] == " "
    scene.becomes("delivered")
    assert arrow(scene.state, 5)[0] == "*"


def test_no_comma_stands_behind_rules_that_keep_nothing() -> None:
    scene = WireScene(2).rules("hold ack to server", "loss 20 seed 0 all")
    for cells in range(20, 100):
        head = drawn(scene.state, cells)[0]
        assert not re.search(r", *(╌|server$)", head), head


def test_rules_in_force_stand_between_the_hosts() -> None:
    scene = syn_ack_held()
    for cells in (38, 58, 100):
        assert "syn-ack" in drawn(scene.state, cells)[0]
    assert "1 held" in drawn(scene.state, 100)[0]
    scene.rules()
    assert "syn-ack" not in drawn(scene.state, 100)[0]
    assert wire.title(scene.state) == "Wire 5, 1 held"


# ---------------------------------------------------------------- the chosen packet


def test_the_chosen_packet_is_told_with_headers_and_bytes() -> None:
    state = conversation().state
    text = "\n".join(plain(line) for line in in_full(state, View(80, 6), 7))
    for word in ("source port 8080", "flags PSH, ACK", "sequence number 5001 (relative 1)", "time to live 64"):
        assert word in text
    assert "48 54 54 50" in text  # HTTP
    assert "delivered after 0.620 s" in text


def test_the_chosen_packet_tells_how_often_it_was_sent_again_and_when_last() -> None:
    state = kept_waiting().state
    heads = [" ".join(plain(line).strip() for line in in_full(state, View(120, 20), number)[:2]) for number in (2, 3)]
    assert "sent again 5× until 1.290 s" in heads[0]
    assert "×" not in heads[1]  # the ACK that is held: nobody sends that again


def test_a_low_panel_tells_it_only_in_place() -> None:
    state = conversation().state
    assert wire.foot(state, View(58, 8, selected=("packet", 7))) == []
    assert wire.foot(state, View(58, 20, selected=("packet", 7)))
    assert wire.foot(state, View(58, 20)) == []


def test_the_chosen_row_has_a_mark_of_its_own() -> None:
    state = conversation().state
    chosen = wire.line(state, ("packet", 2), View(58, 9, selected=("packet", 2)))
    assert plain(chosen).startswith("▸")
    assert chosen[0][1].startswith("current")


# ---------------------------------------------------------------- very many, and anything


def test_of_ten_thousand_packets_only_those_in_sight_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = WireScene()
    scene.handshake(40001)
    for number in range(9_997):
        scene.up(40001, ACK, 1 + number, 1)
    calls = []
    real = packet_arrow.arrow
    monkeypatch.setattr(packet_arrow, "arrow", lambda *a, **k: calls.append(1) or real(*a, **k))
    assert len(drawn(scene.state, 58, 20)) == 20
    assert len(calls) == 19
    decoded = []
    monkeypatch.setattr("socklab.packets.packet_log.decode", lambda *a: decoded.append(1) or _decode(*a))
    scene.up(40001, ACK, 10_000, 1)
    drawn(scene.state, 58, 20)
    assert len(decoded) == 1


anything = some.one_of(
    some.binary(max_size=120),
    some.builds(
        lambda flags, window, payload, cut: (
            WireScene().up(40001, flags, 1, 1, window=window, payload=payload).state.packets[0].data[:cut]
        ),
        some.integers(0, 255),
        some.integers(0, 65535),
        some.binary(max_size=90),
        some.integers(1, 140),
    ),
)


@given(
    some.lists(
        some.tuples(
            anything,
            some.sampled_from(["", "held", "delivered", "dropped", "delayed", "\x1b[2J"]),
            some.integers(0, 3000),
        ),
        max_size=6,
    ),
    some.integers(12, 140),
    some.integers(1, 30),
    some.text(max_size=12),
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_drawn_within_the_panel_and_leave_no_control_character(
    packets: list[tuple[bytes, str, int]], cells: int, height: int, rule: str
) -> None:
    scene = WireScene()
    for data, fate, length in packets:
        scene.packet(data, fate, length=length, source="client")
    scene.rules(*([rule] if rule else []))
    for number in range(len(packets) + 1):
        view = View(cells, height, selected=("packet", number))
        for line in (
            *drawn_whole(wire, scene.state, view),
            *in_full(scene.state, view, number),
            *wire.head(scene.state, view),
        ):
            assert width(line) <= cells
        visible([*drawn_whole(wire, scene.state, view), *in_full(scene.state, view, number)], view)


@given(some.lists(some.integers(0, 40), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_the_packet_log_is_the_same_whichever_state_was_asked_about_before(order: list[int]) -> None:
    scene = WireScene()
    states = [scene.handshake(40001).state]
    for number in range(40):
        scene.up(40001 + number % 3, SYN if number < 3 else ACK, number)
        states.append(scene.state)
    for place in order:
        log = states[place].packets
        fresh: Log[ev.Packet] = Log()
        for packet in log:
            fresh = fresh.append(packet)
        assert [packet_log.at(log, i) for i in range(len(log))] == [packet_log.at(fresh, i) for i in range(len(log))]


def test_a_log_that_let_go_of_its_oldest_keeps_the_numbers_of_its_connections() -> None:
    scene = WireScene()
    scene.state = replace(scene.state, packets=Log(keep=50))
    scene.handshake(40001)
    for number in range(300):
        scene.up(40001, ACK, 1 + number, 1)
        wire.rows(scene.state, View(58, 9))
        packet_log.at(scene.state.packets, len(scene.state.packets) - 1)
    assert scene.state.packets.dropped > 100
    assert "seq 300 ack 1" in arrow(scene.state, scene.number)
    assert all(number >= scene.state.packets[0].id for number in scene.state.fates)


def test_a_packet_between_two_addresses_of_one_host_goes_from_who_opened_the_connection() -> None:
    scene = WireScene()
    scene.handshake(40001)
    log: Log[ev.Packet] = Log()
    for packet in scene.state.packets:
        log = log.append(ev.Packet(packet.t, packet.id, "server", "server", packet.data, packet.length))
    assert [packet_log.at(log, index).rightward for index in range(3)] == [True, False, True]


def test_details_are_flowing_text_no_value_is_torn_from_its_name() -> None:
    state = conversation().state
    passed = packet_log.at(state.packets, 6)
    for cells in (38, 58, 100):
        told = [plain(line) for line in packet_details.details(state, passed, "a", cells, 99)]
        assert any("window 502" in line for line in told)
        assert any("(64,256 bytes)" in line for line in told)


# ---------------------------------------------------------------- settings of the hosts


def settings_lines(scene: WireScene, cells: int = 58) -> list[str]:
    lines = [plain(line) for line in counters.render(scene.state, View(cells, 20))]
    return lines[next(n for n, line in enumerate(lines) if line.startswith("settings")) + 1 :]


def test_a_setting_both_hosts_agree_on_is_told_once_and_one_that_differs_by_host() -> None:
    scene = WireScene()
    for host in ("server", "client"):
        scene.tell(ev.Setting(1, host, "net.core.somaxconn", "4096"), ev.Setting(1, host, "net.ipv4.tcp_sack", "1"))
    assert settings_lines(scene) == [" net.core.somaxconn = 4096", " net.ipv4.tcp_sack = 1"]
    scene.resume()
    scene.tell(ev.Setting(2, "server", "net.ipv4.tcp_sack", "0"))
    assert settings_lines(scene)[0] == "*net.ipv4.tcp_sack = server 0, client 1  (was 1)"
    assert settings_lines(scene, 38)[0].startswith("*tcp_sack = server 0, client 1")
    scene.resume()
    assert settings_lines(scene)[1] == " net.ipv4.tcp_sack = server 0, client 1"


def test_reading_a_setting_for_the_first_time_is_no_change() -> None:
    scene = WireScene()
    scene.tell(ev.Setting(1, "server", "net.core.somaxconn", "4096"))
    assert scene.state.changed.settings == {}
