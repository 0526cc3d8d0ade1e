"""The stage says what the state says: each part of the drawing read back, at many moments and sizes."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from socklab import state as st
from socklab.protocol import events as ev
from socklab.ui.plain.stage import sentences
from socklab.ui.stage import traffic
from socklab.ui.stage.drawing import Picture, draw
from socklab.ui.tui.panels import registry
from socklab.ui.view.lines import View, plain, width
from tests.support.streams import SYN
from tests.support.wirescene import CLIENT, SERVER
from tests.ui.stage.moments import CHILD, MOMENTS, Lab
from tests.ui.tui.panel_support import PID, READ
from tests.ui.tui.test_panels_snapshots import compare

SIZES = ((80, 12), (120, 17))
EVERY_SIZE = ((50, 7), (60, 9), (80, 12), (100, 13), (120, 17), (200, 25))

STATE = "|".join(sorted(set(st.TCP_STATES.values()), key=len, reverse=True))


@pytest.fixture(scope="module")
def labs() -> dict[str, Lab]:
    return {name: tell() for name, tell in MOMENTS.items()}  # type: ignore[misc]


def text(picture: Picture) -> list[str]:
    return [plain(line).rstrip() for line in picture.lines]


def line_of(lines: list[str], what: str) -> str:
    found = [line for line in lines if what in line]
    assert found, f"{what!r} is not in\n" + "\n".join(lines)
    return found[0]


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_stage_reads_as_it_did(labs: dict[str, Lab], moment: str) -> None:
    out = []
    for cells, rows in SIZES:
        out += [f"== {moment}, {cells}x{rows}", *text(draw(labs[moment].state, cells, rows))]
    compare(f"stage-{moment.replace(' ', '-').replace(',', '')}", "\n".join(out) + "\n")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("size", EVERY_SIZE)
def test_no_line_is_too_wide_and_none_is_missing(labs: dict[str, Lab], moment: str, size: tuple[int, int]) -> None:
    cells, rows = size
    picture = draw(labs[moment].state, cells, rows)
    assert len(picture.lines) == len(picture.keys) == rows
    assert max(map(width, picture.lines)) <= cells


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("size", [(80, 12), (120, 17), (200, 25)])
def test_what_is_drawn_is_what_the_state_holds(labs: dict[str, Lab], moment: str, size: tuple[int, int]) -> None:
    state = labs[moment].state
    picture = draw(state, *size)
    rows = state.table_of("server").rows
    for line, key in zip(text(picture), picture.keys, strict=True):
        row = rows.get(key[1]) if key is not None and key[0] == "server" else None
        if row is None:
            continue
        if row.state == st.LISTEN:
            depth, limit = re.findall(r"([\d,]+) of ([\d,]+)", line)[0]
            assert (int(depth), int(limit)) == (row.rx_queue, row.tx_queue)
            assert ("full" in line) == (row.rx_queue > row.tx_queue)
            continue
        if was := re.search(rf"({STATE}) → ", line):
            before = state.changed.sockets["server", row.id]
            assert before is not None and was[1] == st.TCP_STATES[before.state]
            line = line.replace(was[0], "")
        words = re.findall(STATE, line)
        assert words[0] == st.TCP_STATES[row.state]
        for number in re.findall(r"(?:in|receive) (?:[▓░]+ )?(\d+) B", line):
            assert int(number) == row.rx_queue
        name = next((name for name, client in state.clients.items() if client.local == row.remote), "")
        if re.match(r"[a-z]$", name):
            assert re.search(rf"[ *+-]{name} +{words[0]}", line) and re.search(rf" {name} ", line[-30:])
        arrows = re.findall(r"(\d+) +socket *●", line)
        holders = sorted(
            fd for pid, table in state.descriptors.items() for fd, d in table.items() if d.inode == row.inode
        )
        assert sorted(map(int, arrows)) == (holders if row.inode else []), "an arrow from each descriptor, and no other"


def test_the_accept_queue_shows_who_waits_and_the_slot_beyond_the_limit(labs: dict[str, Lab]) -> None:
    line = line_of(text(draw(labs["full queue"].state, 120, 17)), "accept queue")
    assert "a b c d ┊ e  5 of 4  full" in line


def test_a_client_whose_syn_found_no_room_asks_the_listener_and_says_how_often(labs: dict[str, Lab]) -> None:
    lines = text(draw(labs["full queue"].state, 120, 17))
    line = line_of(lines, "f :40006")
    assert "LISTEN" in line, "beside the listener, which knows nothing of it"
    assert re.search(r"◀─ SYN ↻ ─+", line) and line.endswith("SYN_SENT ↻1")
    assert "dropped 5✗" in line_of(lines, "LISTEN")


def test_a_held_packet_hangs_in_the_middle_and_points_where_it_goes(labs: dict[str, Lab]) -> None:
    line = line_of(text(draw(labs["SYN held"].state, 80, 12)), "[SYN]")
    assert re.search(r"┄+◁\[SYN\]─+ a SYN_SENT", line)


def test_of_what_is_held_the_oldest_is_drawn_with_how_many_more_and_how_often_it_was_sent_again() -> None:
    lab = Lab()
    lab.number = 61  # a table by numbers that wraps around at 64 would have the fourth before the others
    lab.syn_held()
    for fate in ("dropped", "held", "held"):
        lab.up(lab.port_of("a"), SYN, 0, fate=fate)
    assert "◁[SYN ↻3 +2]" in line_of(text(draw(lab.state, 120, 12)), "SYN_SENT")
    assert traffic.exchanges(lab.state)[f"{SERVER}:8080", f"{CLIENT}:40001"].shown.packet.id == 62
    lab.resume()
    assert "◁[SYN ↻3 +2]" in line_of(text(draw(lab.state, 120, 12)), "SYN_SENT")
    assert "SYN to the server, held, and 2 more, sent again 3×" in "\n".join(sentences(lab.state))


def test_a_connection_without_a_descriptor_stands_apart(labs: dict[str, Lab]) -> None:
    lines = text(draw(labs["accepted"].state, 80, 12))
    assert "●──▶" in line_of(lines, "a ESTABLISHED")
    assert "●" not in line_of(lines, "b ESTABLISHED")
    assert lines.index(line_of(lines, "not accepted yet")) < lines.index(line_of(lines, "b ESTABLISHED"))


def test_a_fin_that_waits_is_no_byte(labs: dict[str, Lab]) -> None:
    """The kernel counts it as one: Recv-Q is 1."""
    line = line_of(text(draw(labs["half closed"].state, 120, 17)), "CLOSE_WAIT")
    assert re.search(r"in [▓░]+ FIN ", line)


def test_a_state_that_has_changed_is_told_with_the_one_before_where_there_is_room(labs: dict[str, Lab]) -> None:
    for cells in (120, 200):
        assert "*a ESTABLISHED → CLOSE_WAIT " in line_of(text(draw(labs["half closed"].state, cells, 17)), "CLOSE_WAIT")
    assert "→" not in line_of(text(draw(labs["half closed"].state, 80, 12)), "CLOSE_WAIT")


def test_two_processes_are_two_arrows_to_one_object(labs: dict[str, Lab]) -> None:
    lines = text(draw(labs["fork"].state, 120, 17))
    assert str(PID) in lines[0] and str(CHILD) in lines[0]
    assert (
        len(
            re.findall(
                r"3 +listener *●",
                line_of(lines, "accept queue") if "accept queue" in "".join(lines) else line_of(lines, "accept  "),
            )
        )
        == 2
    )
    assert len(re.findall(r"4 +socket *●", line_of(lines, "a ESTABLISHED"))) == 1


def test_every_thread_of_a_process_says_its_call(labs: dict[str, Lab]) -> None:
    lines = "\n".join(text(draw(labs["two threads"].state, 80, 12)))
    assert "■ accept" in lines and "◌ read" in lines


def test_ten_thousand_connections_are_counted_by_the_kernels_own_count(labs: dict[str, Lab]) -> None:
    state = labs["10,000 clients"].state
    lines = text(draw(state, 120, 17))
    drawn = sum(bool(re.search(r"●──▶ .*ESTABLISHED", line)) for line in lines)
    more = re.search(r"([\d,]+) more ESTABLISHED", "\n".join(lines))
    assert more and drawn + int(more[1].replace(",", "")) == state.table_of("server").states[st.ESTABLISHED] == 10_000


@pytest.mark.parametrize("size", [(60, 9), (80, 12)])
def test_what_the_step_points_at_and_the_calls_own_connection_are_never_left_out(
    labs: dict[str, Lab], size: tuple[int, int]
) -> None:
    state = labs["10,000 clients"].state
    assert "c9000" not in "".join(text(draw(state, *size)))
    assert "▸c9000" in "".join(text(draw(state, *size, pointed="client c9000")))
    reading = Lab().many().resume().enter(READ, 9003, 0, 0).state
    assert "c9000" in "".join(text(draw(reading, *size)))
    pointed = Lab().full().state
    assert "▸j" in "".join(text(draw(pointed, *size, pointed="client j")))


@pytest.mark.parametrize(("pointed", "marked"), [("listener", "┏▸LISTEN"), ("fd 3", "▸3 listen"), ("client j", "▸j")])
def test_what_the_step_points_at_has_the_one_mark_and_nothing_moves_aside_for_it(
    labs: dict[str, Lab], pointed: str, marked: str
) -> None:
    for size in ((60, 13), (80, 13), (120, 17)):
        plain, shown = (text(draw(labs["full queue"].state, *size, pointed=each)) for each in ("", pointed))
        assert sum(line.count("▸") for line in shown) == 1
        assert marked in "\n".join(shown)
        assert [len(line) for line in plain] == [len(line) for line in shown]


def test_of_two_processes_with_that_descriptor_the_one_in_focus_is_pointed_at(labs: dict[str, Lab]) -> None:
    plain, shown = (text(draw(labs["fork"].state, 120, 17, pointed=each)) for each in ("", "fd 3"))
    assert sum(line.count("3  ") for line in plain) == 2
    assert sum(line.count("▸3 ") for line in shown) == sum(line.count("▸") for line in shown) == 1


@pytest.mark.parametrize(
    ("panel", "gone"),
    [
        ("queues", ["5 of 4", "full", "dropped", "not accepted", "+b", "ESTABLISHED", "SYN_SENT"]),
        ("sockets", ["ESTABLISHED", "SYN_SENT"]),
        ("clients", ["SYN_SENT ↻"]),
        ("counters", ["dropped"]),
        ("wire", ["SYN ↻"]),
        ("descriptors", ["3  listen", "0 null"]),
    ],
)
def test_what_a_prediction_hides_is_nowhere_in_the_drawing(labs: dict[str, Lab], panel: str, gone: list[str]) -> None:
    state = labs["full queue"].state
    for size in ((100, 13), (120, 17)):
        shown = "\n".join(text(draw(state, *size)))
        masked = "\n".join(text(draw(state, *size, hidden=frozenset({panel}))))
        assert any(word in shown for word in gone)
        assert not [word for word in gone if word in masked]


@pytest.mark.parametrize("panel", ["queues", "sockets"])
def test_while_it_is_asked_who_got_in_all_clients_look_the_same(labs: dict[str, Lab], panel: str) -> None:
    lines = text(draw(labs["full queue"].state, 120, 17, hidden=frozenset({panel})))
    shown = [line[-24:].split() for line in lines if "░░░" in line[-6:]]
    assert [words[0] for words in shown] == list("abcdefghij")
    assert len({tuple(words[2:]) for words in shown}) == 1 and not any("─" in line[40:] for line in lines[4:-1])


def test_the_same_state_is_the_same_picture_whatever_was_drawn_before(labs: dict[str, Lab]) -> None:
    for moment, lab in labs.items():
        before = draw(lab.state, 80, 12)
        draw(labs["10,000 clients"].state, 120, 17)
        assert draw(lab.state, 80, 12) == before, moment


@pytest.mark.parametrize("cells", [79, 84, 100])
def test_many_bytes_are_told_whole_and_the_bar_gives_way(cells: int) -> None:
    lab = Lab().accepted()
    row = lab.row(40_001, st.ESTABLISHED, inode=71_000, unacked=77_248)
    row = replace(row, send_used=87_040)
    lab.ends("a", row, st.ESTABLISHED, rx_queue=41_488).opened(4, row)
    line = next(line for line in text(draw(lab.state, cells, 13)) if "77248" in line)
    assert "77248 B" in line and ("▓" in line or cells < 84)
    assert re.search(r"a (:40001 )?ESTAB(LISHED)? 41488", line), line


@pytest.mark.parametrize("where", ["127.0.0.1:8080", "0.0.0.0:8080", "10.0.0.1:8080"])
def test_a_socket_that_is_only_bound_says_the_whole_of_its_address_at_80_columns(where: str) -> None:
    bound = ev.Descriptor(3, "socket:[9]", 9, detail="tcp", behind=ev.KernelObject(local=where))
    state = Lab().before_socket().tell(ev.Descriptors(9, PID, (bound,))).state
    assert where in "\n".join(text(draw(state, 79, 13)))


@pytest.mark.parametrize("rows", range(5, 17))
def test_who_is_left_out_while_it_is_asked_who_got_in_tells_nothing(labs: dict[str, Lab], rows: int) -> None:
    """The first ones by their letters are there, whoever is in the queue; the rest is one line."""
    lines = text(draw(labs["full queue"].state, 60, rows, hidden=frozenset({"queues", "sockets", "clients"})))
    shown = [found[1] for line in lines if (found := re.search(r" ([a-j]) +░░░$", line))]
    assert shown == list("abcdefghij")[: len(shown)] and shown
    assert len(shown) == 10 or sum("… ░░░" in line for line in lines) == 1


def test_where_there_is_no_room_for_the_wire_the_title_says_so(labs: dict[str, Lab]) -> None:
    assert "no room for WIRE" in text(draw(labs["full queue"].state, 60, 9))[0]
    for cells in (50, 80):
        assert "no room" not in text(draw(labs["full queue"].state, cells, 9))[0]


def test_a_client_whose_minute_of_time_wait_is_over_is_forgotten_and_no_longer_half_closed() -> None:
    """Its program has shut down its sending side, and that is all it ever did."""
    lab = Lab().half_closed()
    assert "a :40001 FIN_WAIT2" in line_of(text(draw(lab.state, 120, 17)), "CLOSE_WAIT")
    lab.ends("a", None, None, phase="half-closed")
    lines = "\n".join(text(draw(lab.state, 120, 17)))
    assert "forgotten" in lines and "half-closed" not in lines


@pytest.mark.parametrize("rows", [3, 4, 5, 12])
def test_what_a_step_is_about_is_in_sight_on_the_smallest_stage(labs: dict[str, Lab], rows: int) -> None:
    for client in "cf":
        view = View(59, rows, pointed=f"client {client}")
        lines = [plain(line) for line in registry.panel("stage").body(labs["full queue"].state, view).lines]
        assert len(lines) <= rows, "nothing to be scrolled to"
        assert any(re.search(rf"▸{client} (ESTAB|SYN_SENT)", line) for line in lines), lines
