"""What the kernel holds, told as sentences, and only news is told twice."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from socklab import state as st
from socklab.protocol import events as ev
from socklab.ui.plain import facts
from tests.support import streams as lab

NOTHING: frozenset[str] = frozenset()


def after(*events: ev.AnyEvent, on: st.LabState | None = None) -> st.LabState:
    return st.apply_all(on or st.apply_all(st.LabState(), lab.start()), events)


def sockets(*rows: ev.SocketRow, gone: tuple[int, ...] = ()) -> ev.Sockets:
    return ev.Sockets(lab.t(), "server", rows, gone)


def test_news_is_told_once() -> None:
    told = facts.Told()
    state = after(lab.fds((3, 900)), sockets(lab.listener(depth=1)))
    assert told.news(state, NOTHING) == [
        "+ descriptor 3: socket:[900], LISTEN at 0.0.0.0:8080",
        "* queues of 0.0.0.0:8080: accept queue 1 of 4, SYN queue 0",
    ]
    assert told.news(state, NOTHING) == []


def test_only_the_queue_line_changes_when_a_connection_is_queued() -> None:
    told = facts.Told()
    state = after(sockets(lab.listener(depth=1)))
    told.news(state, NOTHING)
    state = after(sockets(lab.listener(depth=5)), on=state)
    assert told.news(state, NOTHING) == ["* queues of 0.0.0.0:8080: accept queue 5 of 4, SYN queue 0"]


def test_both_ends_of_a_connection_say_whose_they_are() -> None:
    told = facts.Told()
    state = after(sockets(*lab.pair(1, st.ESTABLISHED, st.ESTABLISHED)), lab.client("a", 1))
    lines = told.news(state, frozenset({"clients"}))
    assert lines == [
        "+ ESTABLISHED 10.0.0.1:8080 with 10.0.0.2:50001 (not accepted yet)",
        "+ ESTABLISHED 10.0.0.2:50001 with 10.0.0.1:8080 (client a)",
    ]


def test_accept_gives_the_connection_a_descriptor() -> None:
    told = facts.Told()
    waiting = lab.pair(1, st.ESTABLISHED, st.ESTABLISHED)
    state = after(sockets(*waiting))
    told.news(state, NOTHING)
    state = after(sockets(replace(waiting[1], inode=905)), lab.fds((4, 905)), on=state)
    assert told.news(state, NOTHING) == [
        "+ descriptor 4: socket:[905], ESTABLISHED 10.0.0.1:8080 with 10.0.0.2:50001",
    ]


@pytest.mark.parametrize(
    ("masked", "change", "line"),
    [
        (frozenset({"descriptors"}), {}, "* ESTABLISHED 10.0.0.1:8080 with 10.0.0.2:50001 (descriptor 4)"),
        (NOTHING, {"rx_queue": 5}, "* ESTABLISHED 10.0.0.1:8080 with 10.0.0.2:50001 (descriptor 4), 5 bytes to read"),
        (
            NOTHING,
            {"state": st.CLOSE_WAIT},
            "* CLOSE_WAIT 10.0.0.1:8080 with 10.0.0.2:50001 (descriptor 4), was ESTABLISHED",
        ),
    ],
    ids=["descriptors are masked", "bytes have come", "its state is another"],
)
def test_a_socket_of_a_new_descriptor_is_told_where_there_is_more_to_say(
    masked: frozenset[str], change: dict[str, int], line: str
) -> None:
    told = facts.Told()
    waiting = lab.pair(1, st.ESTABLISHED, st.ESTABLISHED)
    state = after(sockets(*waiting))
    told.news(state, NOTHING)
    state = after(sockets(replace(waiting[1], inode=905, **change)), lab.fds((4, 905)), on=state)
    assert line in told.news(state, masked)


def test_a_socket_that_has_no_descriptor_is_told_beside_files_that_have_no_inode() -> None:
    state = after(lab.fds((0, 0), (3, 900)), sockets(lab.listener(), *lab.pair(1, st.ESTABLISHED, st.ESTABLISHED)))
    said = facts.Told().news(state, NOTHING)
    assert "+ ESTABLISHED 10.0.0.1:8080 with 10.0.0.2:50001 (not accepted yet)" in said


def test_a_client_that_connects_is_told_by_its_socket_alone_and_by_itself_where_that_is_not_told() -> None:
    state = after(sockets(*lab.pair(1, st.ESTABLISHED, st.ESTABLISHED)), lab.client("a", 1))
    said = facts.Told().news(state, NOTHING)
    assert "+ ESTABLISHED 10.0.0.2:50001 with 10.0.0.1:8080 (client a)" in said
    assert not any("client a: " in line for line in said)
    assert any("* client a: open" in line for line in facts.Told().news(state, frozenset({"sockets"})))
    state = after(sockets(*lab.pair(1, st.ESTABLISHED, st.ESTABLISHED)), replace(lab.client("a", 1), received=7))
    assert any("7 received" in line for line in facts.Told().news(state, NOTHING))


def test_a_changed_state_says_what_it_was() -> None:
    told = facts.Told()
    row = lab.pair(1, None, st.SYN_SENT)[0]
    told.news(after(sockets(row)), NOTHING)
    state = after(sockets(replace(row, state=st.ESTABLISHED)))
    assert told.news(state, NOTHING) == ["* ESTABLISHED 10.0.0.2:50001 with 10.0.0.1:8080, was SYN_SENT"]


@pytest.mark.parametrize(
    ("state", "recv_q", "send_q", "told"),
    [
        (st.ESTABLISHED, 1, 0, ", 1 byte to read"),
        (st.ESTABLISHED, 78, 5, ", 78 bytes to read, 5 bytes not acknowledged"),
        (st.CLOSE_WAIT, 1, 0, ", the FIN to read"),
        (st.CLOSE_WAIT, 6, 2, ", 5 bytes and the FIN to read, 2 bytes not acknowledged"),
        (st.CLOSE_WAIT, 0, 0, ""),
        (st.FIN_WAIT1, 3, 1, ", 3 bytes to read, the FIN not acknowledged"),
        (st.LAST_ACK, 1, 2, ", the FIN to read, 1 byte and the FIN not acknowledged"),
        (st.SYN_SENT, 0, 1, ""),
    ],
)
def test_a_fin_in_a_queue_is_no_byte(state: int, recv_q: int, send_q: int, told: str) -> None:
    row = replace(lab.pair(1, None, state)[0], rx_queue=recv_q, tx_queue=send_q)
    (line,) = facts.Told().news(after(sockets(row)), NOTHING)
    assert line.partition("10.0.0.1:8080")[2] == told


def test_bytes_in_a_buffer_are_told_with_the_memory_they_take_where_that_was_read() -> None:
    row = replace(lab.pair(1, None, st.ESTABLISHED)[0], rx_queue=78, receive_used=2304, receive_limit=131072)
    full = replace(row, tx_queue=9, send_used=1280, send_limit=87040)
    told = [facts.Told().news(after(sockets(each)), NOTHING)[0].partition(", ")[2] for each in (row, full)]
    read = "78 bytes to read (receive buffer: 2304 of 131072)"
    assert told == [read, f"{read}, 9 bytes not acknowledged (send buffer: 1280 of 87040)"]
    empty = replace(full, rx_queue=0, tx_queue=0, receive_used=0, send_used=0)
    assert "buffer" not in facts.Told().news(after(sockets(empty)), NOTHING)[0]


OBJECTS = [
    (("pipe:[9]", ""), ev.KernelObject(waiting_bytes=3, capacity=65536), "holds 3 of 65536 bytes"),
    (("pipe:[9]", ""), ev.KernelObject(waiting_bytes=0, capacity=65536), "holds 0 of 65536 bytes"),
    (
        ("socket:[9]", "udp"),
        ev.KernelObject("127.0.0.1:53", "127.0.0.1:54", waiting_bytes=12, receive_used=768, drops=2),
        "udp, at 127.0.0.1:53, with 127.0.0.1:54, 12 bytes to read in its next datagram, 2 dropped",
    ),
    (("socket:[9]", "unix stream"), ev.KernelObject("@\x1b", listening=True), "unix stream, listens, at @␛"),
    (
        ("socket:[9]", "unix stream"),
        ev.KernelObject("@a", listening=True, accept_queue=2, backlog=3),
        "unix stream, listens, at @a, accept queue 2 of 3",
    ),
    (("socket:[9]", "unix stream"), ev.KernelObject(peer_inode=8), "unix stream, with socket:[8]"),
    (("socket:[9]", "unix stream"), ev.KernelObject(waiting_bytes=1), "unix stream, 1 byte to read"),
    (("anon_inode:[eventpoll]", ""), ev.KernelObject(ready=((4, 1), (6, 1)), unasked=(7,)), "2 of 3 ready: 4, 6"),
    (("anon_inode:[eventpoll]", ""), ev.KernelObject(), "0 of 4 ready"),
]  # fmt: skip


@pytest.mark.parametrize(("which", "behind", "told"), OBJECTS)
def test_a_descriptor_is_told_with_what_is_behind_it_and_again_when_that_changes(
    which: tuple[str, str], behind: ev.KernelObject, told: str
) -> None:
    watches = tuple((fd, 1, fd) for fd in (4, 5, 6, 7)) if which[0].startswith("anon") else ()
    descriptor = ev.Descriptor(3, which[0], detail=which[1], watches=watches, behind=behind)
    teller = facts.Told()
    state = after(ev.Descriptors(lab.t(), lab.PID, (descriptor,)))
    assert teller.news(state, NOTHING) == [f"+ descriptor 3: {which[0]}, {told}"]
    fuller = replace(descriptor, behind=replace(behind, receive_used=1, send_used=1))
    state = after(ev.Descriptors(lab.t(), lab.PID, (fuller,)), on=state)
    assert teller.news(state, NOTHING) == [], "the kernel's bookkeeping alone is no news"
    more = replace(descriptor, behind=replace(behind, waiting_bytes=77))
    state = after(ev.Descriptors(lab.t(), lab.PID, (more,)), on=state)
    assert len(teller.news(state, NOTHING)) == 1


@pytest.mark.parametrize(
    ("detail", "asleep"),
    [("udp", ev.KernelObject("127.0.0.1:5300", by_table=True)), ("udp", None), ("unix stream", None), ("", None)],
)
def test_that_an_object_is_not_asked_while_its_program_sleeps_is_no_news(
    detail: str, asleep: ev.KernelObject | None
) -> None:
    told, behind = facts.Told(), ev.KernelObject("127.0.0.1:5300", waiting_bytes=7, capacity=0 if detail else 65536)
    descriptor = ev.Descriptor(3, "socket:[9]" if detail else "pipe:[9]", 9, detail=detail, behind=behind)
    state = after(ev.Descriptors(lab.t(), lab.PID, (descriptor,)))
    told.news(state, NOTHING)
    state = after(ev.Descriptors(lab.t(), lab.PID, (replace(descriptor, behind=asleep),)), on=state)
    assert told.news(state, NOTHING) == []
    state = after(ev.Descriptors(lab.t(), lab.PID, (descriptor,)), on=state)
    assert told.news(state, NOTHING) == []
    read = replace(descriptor, behind=replace(behind, waiting_bytes=0))
    assert len(told.news(after(ev.Descriptors(lab.t(), lab.PID, (read,)), on=state), NOTHING)) == 1


def test_a_running_timer_is_no_news() -> None:
    told = facts.Told()
    row = lab.pair(1, None, st.SYN_SENT)[0]
    state = after(sockets(row))
    told.news(state, NOTHING)
    state = after(sockets(replace(row, expires_ms=640, timer=1)), on=state)
    assert told.news(state, NOTHING) == []
    state = after(sockets(replace(row, retransmits=1)), on=state)
    assert told.news(state, NOTHING) == ["* SYN_SENT 10.0.0.2:50001 with 10.0.0.1:8080, sent again once"]


def test_what_is_masked_is_kept_until_it_may_be_told() -> None:
    told = facts.Told()
    state = after(sockets(lab.listener(depth=5)))
    assert told.news(state, frozenset({"queues", "sockets"})) == []
    assert told.news(state, NOTHING) == [
        "+ LISTEN at 0.0.0.0:8080",
        "* queues of 0.0.0.0:8080: accept queue 5 of 4, SYN queue 0",
    ]


def test_a_listener_line_does_not_tell_the_queue_that_is_masked() -> None:
    state = after(sockets(lab.listener(depth=5)))
    assert "5" not in "".join(facts.Told().news(state, frozenset({"queues"})))


def test_counters_tell_the_rise_and_the_sum_since_the_lab_began() -> None:
    told = facts.Told()
    state = after(ev.Counters(lab.t(), "server", {"ListenDrops": 7000}))
    assert told.news(state, NOTHING) == []
    state = after(ev.Counters(lab.t(), "server", {"ListenDrops": 7005}), on=state)
    assert told.news(state, NOTHING) == [
        "* counter ListenDrops +5, 5 since the lab began (packets a listener dropped: SYN, ACK, data)"
    ]
    state = after(ev.Counters(lab.t(), "server", {"ListenDrops": 7006}), on=state)
    assert told.news(state, NOTHING) == ["* counter ListenDrops +1, 6 since the lab began"]


def test_closed_descriptors_are_told() -> None:
    told = facts.Told()
    state = after(lab.fds((3, 900), (4, 905)))
    told.news(state, NOTHING)
    state = after(lab.fds(closed=(4,)), on=state)
    assert told.news(state, NOTHING) == ["- descriptor 4 is closed"]


def test_ten_thousand_sockets_are_counted_not_listed() -> None:
    pairs = (lab.pair(number, st.ESTABLISHED, st.ESTABLISHED) for number in range(5000))
    rows = [replace(row, id=number) for number, row in enumerate(row for pair in pairs for row in pair)]
    lines = facts.Told().news(after(sockets(*rows)), NOTHING)
    assert len(lines) == facts.MOST
    assert lines[-1] == f"... and {10_000 - facts.MOST + 1} more of this kind"


def test_a_failed_client_has_its_error_by_name() -> None:
    state = after(lab.client("a", 1, "failed", errno=111))
    assert facts.Told().news(state, NOTHING) == ["* client a: failed, 10.0.0.2:50001 to 10.0.0.1:8080, ECONNREFUSED"]


def test_what_a_client_received_is_shown_without_control_characters() -> None:
    client = replace(lab.client("a", 1), tail=b"\x1b]52;c;aGk=\x07\r\n[red]", received=20)
    (line,) = facts.Told().news(after(client), NOTHING)
    assert "\x1b" not in line
    assert "␛]52;c;aGk=␇␍␊[red]" in line


def test_everything_of_nothing_is_said_to_be_nothing() -> None:
    assert facts.everything(st.LabState(), "queues") == ["no queues"]
