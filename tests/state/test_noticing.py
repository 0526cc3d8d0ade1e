"""What the tables told in passing is kept with its time and its place among the calls."""

from __future__ import annotations

from msgspec.structs import replace

from socklab import state as st
from socklab.protocol import events as ev
from tests.support import streams as lab


def noticed(stream: lab.Stream) -> list[tuple[str, tuple[int, ...]]]:
    return [(told.what, tuple(row.id for row in told.rows)) for told in stream.state.noticed]


def served() -> lab.Stream:
    return lab.Stream(lab.start(), lab.sockets(lab.listener()))


def test_a_connection_waits_then_gets_a_descriptor() -> None:
    server, _ = lab.pair(1, st.ESTABLISHED, st.ESTABLISHED)[::-1]
    stream = served().tell(lab.sockets(server, lab.listener(1)))
    stream.tell(lab.call("accept", 3, result=4), lab.sockets(replace(server, inode=70), lab.listener(0)))
    assert noticed(stream) == [("held", (1,)), ("waits", (server.id,)), ("held", (server.id,))]
    waits, held = list(stream.state.noticed)[1:]
    assert waits.depth == {"8080": 1}
    assert (waits.calls, held.calls) == (0, 1), "in its place among the calls"


def test_one_that_goes_before_it_is_accepted_left_the_queue() -> None:
    server, _ = lab.pair(1, st.ESTABLISHED, st.ESTABLISHED)[::-1]
    stream = served().tell(lab.sockets(server, lab.listener(1)), lab.sockets(lab.listener(0), gone=(server.id,)))
    assert noticed(stream)[1:] == [("waits", (server.id,)), ("left", (server.id,))]
    accepted = served().tell(
        lab.sockets(server), lab.sockets(replace(server, inode=70)), lab.sockets(gone=(server.id,))
    )
    assert "left" not in dict(noticed(accepted))


def test_a_row_that_only_changes_its_buffers_is_not_noticed_again() -> None:
    server, _ = lab.pair(1, st.ESTABLISHED, st.ESTABLISHED)[::-1]
    stream = served().tell(lab.sockets(server), lab.sockets(replace(server, rx_queue=9)))
    assert noticed(stream).count(("waits", (server.id,))) == 1


def test_rises_of_the_drop_counters_are_noticed_and_their_first_reading_is_not() -> None:
    stream = served().tell(
        ev.Counters(lab.t(), "server", {"ListenDrops": 7, "TcpInSegs": 1}),
        ev.Counters(lab.t(), "server", {"ListenDrops": 7, "TcpInSegs": 5}),
        ev.Counters(lab.t(), "server", {"ListenDrops": 9}),
    )
    assert [told.rises for told in stream.state.noticed if told.what == "dropped"] == [{"ListenDrops": 2}]


def test_each_client_is_noticed_once_and_each_stop_has_its_time() -> None:
    stream = served().tell(lab.client("a", 1, "connecting"), lab.client("a", 1), lab.client("b", 2))
    assert [told.name for told in stream.state.noticed if told.what == "client"] == ["a", "b"]
    stream.tell(lab.call("accept", 3, result=4))
    assert len(stream.state.stop_times) == stream.state.stops == 2
    assert list(stream.state.stop_times) == [event.t for event in stream.events if isinstance(event, ev.Held)]


def test_a_call_at_which_the_program_was_held_afterwards_only_has_its_place() -> None:
    frame = (ev.Frame("/s.c", 23, "main"),)
    stream = served().tell(
        lab.entered("accept", 3), lab.result("accept", 4), ev.Held(lab.t(), lab.PID, "return", frame)
    )
    assert [(told.number, told.stack) for told in stream.state.noticed if told.what == "place"] == [(0, frame)]
