"""What the panels of the kernel's side claim: queues, descriptors, sockets; on states folded from events."""

from __future__ import annotations

import os

import msgspec
import pytest

from socklab import state as st
from socklab.protocol import events as ev
from socklab.ui.tui.panels import registry
from socklab.ui.view.lines import View, plain
from tests.ui.tui.panel_support import PID, Scene
from tests.ui.tui.panel_words import WIDTHS, drawn_whole, text

descriptors = registry.panel("descriptors")
queues = registry.panel("queues")
sockets = registry.panel("sockets")

# ---------------------------------------------------------------- queues


@pytest.mark.parametrize("cells", WIDTHS)
def test_backlog_of_four_shows_five_waiting_and_the_slot_beyond_the_limit(cells: int) -> None:
    drawn = queues.render(Scene().full().state, View(cells, 9))
    assert "5 of 4" in text(drawn)
    assert "[abcd|e]" in text(drawn)
    assert "full" in text(drawn)


def test_four_of_four_is_not_full_because_linux_lets_one_more_in() -> None:
    said = text(queues.render(Scene().after_accept().state, View(58, 9)))
    assert "[bcde|·]" in said
    assert "room for 1 more" in said
    assert "full" not in said


def test_the_syn_queue_is_in_the_order_in_which_the_clients_began() -> None:
    scene = Scene().before_accept()
    for name, number in zip("abc", (203, 201, 202), strict=True):  # the kernel's numbers know no order
        local = f"{scene.client_ip}:4{number}"
        row = ev.SocketRow(number, 2, f"{scene.server_ip}:8080", local, st.NEW_SYN_RECV)
        scene.tell(ev.Client(7, name, "connecting", "client", local), ev.Sockets(t=7, host="server", set=(row,)))
    line = next(line for line in text(queues.render(scene.state, View(100, 12))).splitlines() if "waiting" in line)
    assert [word for word in line.split() if word in ("a", "b", "c")] == ["a", "b", "c"]


@pytest.mark.parametrize(("network", "owner"), [("two-hosts", "curl"), ("private", "curl"), ("machine", "other")])
def test_a_socket_of_a_program_of_the_students_own_is_told_by_its_name(network: str, owner: str) -> None:
    """On hosts of the lab's own nobody else can hold it; on the machine's network anybody may."""
    scene = Scene().before_accept()
    row = ev.SocketRow(301, 2, f"{scene.client_ip}:40077", f"{scene.server_ip}:8080", st.ESTABLISHED, inode=4711)
    scene.tell(
        ev.Client(7, "curl", "running", "client", argv=("curl", "-s", "http://server/")),
        ev.Sockets(t=7, host=scene.client_host, set=(row,)),
    )
    assert scene.state.header is not None
    state = msgspec.structs.replace(scene.state, header=msgspec.structs.replace(scene.state.header, network=network))
    line = next(line for line in text(drawn_whole(sockets, state, View(79, 12))).splitlines() if "40077" in line)
    assert owner in line


def test_drops_are_counted_from_the_labs_start_not_from_the_machines() -> None:
    scene = Scene().full()
    assert scene.state.counters["server"]["ListenOverflows"] == 12
    said = text(queues.render(scene.state, View(100, 9)))
    assert "5 ListenOverflows (+5 now)" in said
    scene.resume()
    assert "(+5 now)" not in text(queues.render(scene.state, View(100, 9)))


def test_a_socket_that_does_not_listen_is_said_not_to_be_in_the_table() -> None:
    said = text(queues.render(Scene().after_socket().state, View(58, 9)))
    assert "fd 3" in said and "does not listen" in said and "/proc/net/tcp" in said


def test_letters_give_way_to_squares_when_the_kernel_counts_more_than_are_listed() -> None:
    scene = Scene().before_accept().connected("ab", 3)
    assert "[■■■·|·]" in text(queues.render(scene.state, View(58, 9)))


def test_a_limit_of_4096_is_a_bar_that_shows_one_waiting_connection() -> None:
    scene = Scene().before_accept()
    scene.tell(scene.listener(1, 4096))
    said = text(queues.render(scene.state, View(58, 9)))
    assert "1 of 4,096" in said
    assert "[■·" in said


def test_syn_queue_lists_who_has_not_answered_the_syn_ack() -> None:
    scene = Scene(hosts=2).before_accept()
    row = ev.SocketRow(300, 2, "10.0.0.1:8080", "10.0.0.2:40009", st.NEW_SYN_RECV, timer=1, retransmits=2)
    scene.tell(
        ev.Sockets(t=8, host="server", set=(row,)),
        ev.Client(8, "a", "open", "client", "10.0.0.2:40009", "10.0.0.1:8080", 80000),
    )
    said = text(queues.render(scene.state, View(58, 9)))
    assert "SYN queue    1" in said
    assert "SYN-ACK sent again 2×" in said
    assert "a :40009" in said


# ---------------------------------------------------------------- descriptors


def test_a_closed_descriptor_stays_marked_until_the_program_runs_on() -> None:
    scene = Scene().after_close()
    assert "-   4  socket closed" in text(descriptors.render(scene.state, View(58, 9)))
    scene.resume()
    assert "closed" not in text(descriptors.render(scene.state, View(58, 9)))


def test_a_new_descriptor_is_marked_with_a_sign_and_a_role() -> None:
    drawn = descriptors.render(Scene().after_socket().state, View(58, 9))
    (line,) = [line for line in drawn if "tcp socket" in plain(line)]
    assert line[0] == ("+", "new")


def test_a_socket_that_two_processes_hold_names_the_other_holder() -> None:
    scene = Scene().after_accept()
    scene.tell(
        ev.Forked(t=9, tid=PID, child=PID + 1, kind="fork"),
        ev.Descriptors(t=9, pid=PID + 1, set=(ev.Descriptor(4, "socket:[70077]", 70077, flags=2),)),
    )
    said = text(descriptors.render(scene.state, View(100, 20)))
    assert f"≡ also in {PID + 1}" in said
    assert f"≡ also in {PID}" in said


def test_flags_are_named_in_full_where_there_is_room() -> None:
    scene = Scene().after_socket()
    flags = os.O_NONBLOCK | os.O_CLOEXEC | os.O_RDWR
    scene.tell(ev.Descriptors(t=9, pid=PID, set=(ev.Descriptor(3, "socket:[70001]", 70001, flags, detail="tcp"),)))
    assert "O_NONBLOCK O_CLOEXEC" in text(descriptors.render(scene.state, View(100, 9)))
    assert "O_" not in text(descriptors.render(scene.state, View(38, 9)))


def test_five_thousand_descriptors_fit_a_panel_of_nine_lines_and_keep_the_newest() -> None:
    scene = Scene().crowd(10_000).resume()
    scene.tell(ev.Descriptors(t=9, pid=PID, set=(ev.Descriptor(9000, "/etc/passwd", position=10),)))
    drawn = descriptors.render(scene.state, View(58, 9))
    assert len(drawn) <= 9
    assert "9000" in text(drawn) and "more" in text(drawn)


# ---------------------------------------------------------------- sockets


@pytest.mark.parametrize("cells", WIDTHS)
def test_every_row_of_the_table_keeps_state_and_both_ports(cells: int) -> None:
    state, view = Scene().full().state, View(cells, 30)
    for key in sockets.rows(state, view):
        row = state.tables[key[0]].rows[key[1]]
        said = plain(sockets.line(state, key, view))
        assert st.TCP_STATES[row.state] in said
        assert row.local.rpartition(":")[2] in said
        if row.state != st.LISTEN:
            assert row.remote.rpartition(":")[2] in said


def test_a_connection_nobody_accepted_has_no_inode_and_says_so() -> None:
    state, view = Scene().full().state, View(100, 30)
    said = plain(sockets.line(state, ("server", 100), view))
    assert "–" in said and "not accepted" in said
    accepted = Scene().after_accept().state
    said = plain(sockets.line(accepted, ("server", 100), view))
    assert "70077" in said and "fd 4" in said


def test_only_what_changed_is_marked() -> None:
    scene = Scene().after_accept()
    view = View(100, 30)
    marked = {key for key in sockets.rows(scene.state, view) if plain(sockets.line(scene.state, key, view))[0] != " "}
    assert marked == {("server", 1), ("server", 100)}


def test_a_gone_socket_keeps_its_place_until_the_next_step() -> None:
    scene = Scene().full().resume()
    view = View(58, 30)
    before = list(sockets.rows(scene.state, view))
    scene.tell(ev.Sockets(t=9, host="server", gone=(104,)))
    assert list(sockets.rows(scene.state, view)) == before
    assert plain(sockets.line(scene.state, ("server", 104), view)).startswith("-")
    scene.resume()
    assert ("server", 104) not in sockets.rows(scene.state, view)


def test_a_wide_table_tells_what_both_buffers_take_and_may_take_and_a_dash_where_that_was_not_read() -> None:
    scene = Scene().full()
    end = next(row for row in scene.state.table_of("server").rows.values() if row.state == st.ESTABLISHED)
    read = msgspec.structs.replace(end, receive_used=2304, receive_limit=131072, send_used=0, send_limit=87040)
    scene.resume().tell(ev.Sockets(t=9, host="server", set=(read,)))
    for cells, shown in ((120, True), (100, False)):
        said = text(drawn_whole(sockets, scene.state, View(cells, 30)))
        assert ("2304/131K" in said and "0/87K" in said) is shown
    row = next(line for line in text(drawn_whole(sockets, scene.state, View(120, 30))).splitlines() if "2304" in line)
    assert row.startswith(" "), "nothing has happened to it"
    other = next(line for line in text(drawn_whole(sockets, scene.state, View(120, 30))).splitlines() if " –  " in line)
    assert other.split().count("–") >= 2


def test_hexadecimal_state_is_that_of_proc_net_tcp() -> None:
    scene = Scene().before_accept()
    scene.tell(ev.Sockets(t=8, host="server", set=(ev.SocketRow(5, 2, "127.0.0.1:8080", "127.0.0.1:4", 12),)))
    assert "SYN_RECV" in plain(sockets.line(scene.state, ("server", 5), View(100, 9)))
    assert " 03 " in plain(sockets.line(scene.state, ("server", 5), View(100, 9)))
    assert " 0A " in plain(sockets.line(scene.state, ("server", 1), View(100, 9)))


def test_drops_stay_in_sight_in_three_lines() -> None:
    drawn = queues.render(Scene().full().resume().state, View(79, 3))
    assert "5 of 4" in plain(drawn[1])
    assert "ListenOverflows" in plain(drawn[2])


def test_a_click_where_no_socket_is_listed_chooses_nothing() -> None:
    for cells, height in ((38, 9), (100, 16)):
        view = View(cells, height)
        lines = sockets.body(Scene().state, view).lines
        assert [sockets.at(Scene().state, view, line) for line in range(len(lines))] == [None] * len(lines)
