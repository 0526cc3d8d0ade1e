"""Every earlier stop can be shown: with all that was read there, and nothing of what came after."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as some
from msgspec.structs import replace

from socklab import state as st
from socklab.core.persistent import Log
from socklab.protocol import events as ev
from socklab.state import History, LabState, apply_all
from tests.state.support import plain
from tests.support import streams as lab
from tests.support.streams import PID


def fields(state: LabState) -> dict[str, object]:
    return {name: plain(getattr(state, name)) for name in LabState.__struct_fields__ if name != "step_left"}


def expected_at(events: list[ev.Event], stop: int) -> LabState:
    """The stop's state by folding from the beginning: up to where the program runs on from it, or the next stop."""
    stops = [place for place, event in enumerate(events) if isinstance(event, ev.Held)]
    if stop >= len(stops):
        return apply_all(LabState(), events)
    end = stops[stop]
    if stop:
        run_on = (p for p in range(stops[stop - 1], end) if isinstance(events[p], ev.Resumed))
        end = next(run_on, end)
    return apply_all(LabState(), events[:end])


def run(calls: int) -> list[ev.Event]:
    """Calls with two stops each, a look after every stop, and events between a resume and the next stop."""
    told = lab.Stream(lab.start(), lab.fds((3, 900)))
    for number in range(calls):
        told.tell(
            lab.enter("read", 3),
            lab.sockets(lab.listener(depth=number)),
            ev.Resumed(lab.t(), PID),
            lab.client("a", number),
            lab.result("read", -11),
            ev.Held(lab.t(), PID, "return"),
            lab.fds((4 + number, 1000 + number)),
            ev.Resumed(lab.t(), PID),
            ev.Output(lab.t(), "server", "out", b"running"),
        )
    return told.events


def history_of(events: list[ev.Event], **limits: int) -> History:
    history = History(**limits)
    for event in events:
        history.add(event)
    return history


@pytest.mark.parametrize("stride", [1, 2, 3, 7, 32, 1000])
def test_every_stop_is_what_folding_its_past_gives(stride: int) -> None:
    events = run(9)
    history = history_of(events, stride=stride)
    assert history.now.stops == 18
    for stop in range(20):
        assert fields(history.at(stop)) == fields(expected_at(events, stop)), stop


def test_a_stop_has_what_was_read_there_and_not_what_the_program_did_next() -> None:
    history = history_of(run(2))
    first, second = history.at(1), history.at(2)
    assert [row.rx_queue for row in first.tables["server"].rows.values()] == [0]
    assert (first.clients, first.task.at, first.task.status) == ({}, "enter", "held")
    assert (second.task.at, sorted(second.descriptors[PID]), len(second.output)) == ("return", [3, 4], 0)


def test_before_the_first_stop_is_all_that_happened_before_it() -> None:
    before = history_of(run(1)).at(0)
    assert (before.stops, before.started is not None, sorted(before.descriptors[PID])) == (0, True, [3])
    running = history_of([*lab.start(), ev.Resumed(1, PID), lab.client("a", 1), *lab.enter("read", 3)])
    assert running.at(0).clients


def test_the_latest_state_is_at_hand_and_is_the_fold_of_all() -> None:
    history, events = History(), run(3)
    for place, event in enumerate(events, 1):
        assert history.add(event) is history.now
        assert fields(history.now) == fields(apply_all(LabState(), events[:place]))
    assert history.at(history.now.stops) is history.at(10_000) is history.now


def test_another_task_resumed_ends_the_stop_too() -> None:
    told = [*lab.start(), ev.Forked(1, PID, 101, "fork"), ev.Held(2, PID, "enter"), ev.Resumed(3, 101)]
    told += [lab.client("a", 1), ev.Held(5, 101, "enter")]
    assert history_of(told).at(1).clients == {}


def test_a_seek_costs_at_most_a_stride_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    history = history_of(run(40), stride=4)
    folded = []
    real = history.at.__func__.__globals__["apply"]
    monkeypatch.setitem(history.at.__func__.__globals__, "apply", lambda *a: folded.append(1) or real(*a))
    per_stop = len(run(1)) / 2
    for stop in range(80):
        folded.clear()
        history.at(stop)
        assert len(folded) <= 4 * per_stop + 5, stop


@pytest.mark.parametrize(("stride", "keep"), [(2, 40), (32, 40), (1, 8), (3, 100)])
def test_of_a_run_too_long_to_keep_the_newest_stops_can_be_shown_as_they_were(stride: int, keep: int) -> None:
    events = run(30)
    history = History(stride=stride, keep_events=keep)
    for place, event in enumerate(events, 1):
        history.add(event)
        assert len(history._events) <= keep + keep // 4
        assert history.is_cut == (place > len(history._events))
    assert history.now.stops == 60
    assert history.first > 0
    for stop in range(history.first, 62):
        assert fields(history.at(stop)) == fields(expected_at(events, stop)), stop
    oldest = fields(history.at(history.first))
    assert fields(history.at(0)) == fields(history.at(history.first - 1)) == oldest
    assert fields(history.now) == fields(apply_all(LabState(), events))


def test_a_run_that_never_stops_keeps_no_more_than_its_limits_however_long_it_is() -> None:
    """As `run --free` under load, packets delayed by a rule. Counted is what history and state keep."""
    history = History(keep_events=1_000)
    history.now = LabState(packets=Log(200), calls=Log(200))
    for event in lab.start():
        history.add(event)
    for number in range(1, 5_000):
        for event in (
            ev.Enter(number, PID, 0, (3, 0, 0, 0, 0, 0)),
            ev.Return(number, PID, 0, 1),
            ev.Packet(number, number, "client", "server", b"", 40),
            ev.PacketFate(number, number, "delayed"),
            ev.PacketFate(number, number, "delivered"),
        ):
            history.add(event)
    now = history.now
    assert history.is_cut
    assert len(history._events) <= 1_250
    assert len(history._cuts) + len(history._key_states) <= 10
    assert max(len(now.calls), len(now.packets), len(now.fates), len(now.waited_ns)) <= 400
    assert (now.entered, now.packets.dropped + len(now.packets), len(now.on_the_way)) == (4_999, 4_999, 0)


TOLD = some.sampled_from([0, 1, 2]).flatmap(
    lambda kind: some.sampled_from([PID, 101]).map(
        lambda tid: [ev.Held(1, tid, "enter"), ev.Resumed(1, tid), ev.Acted(1, "connect", "student")][kind]
    )
)


@settings(max_examples=200, deadline=None)
@given(some.lists(TOLD, max_size=40), some.integers(1, 5))
def test_whatever_tasks_stop_and_run_on_every_stop_is_the_fold_of_its_past(told: list[ev.Event], stride: int) -> None:
    events: list[ev.Event] = [*lab.start(), ev.Forked(1, PID, 101, "fork"), *told]
    history = history_of(events, stride=stride)
    for stop in range(history.now.stops + 1):
        assert fields(history.at(stop)) == fields(expected_at(events, stop))


def test_sockets_that_come_and_go_while_the_program_runs_on_leave_nothing_behind() -> None:
    state = apply_all(LabState(), [*lab.start(), lab.sockets(lab.listener())])
    for number in range(1, 500):
        rows = lab.pair(number, 1, 1)
        state = apply_all(state, [lab.sockets(*rows), lab.sockets(gone=tuple(row.id for row in rows))])
    assert len(state.table_of("server").rows) == 1
    assert list(state.changed.sockets) == [("server", 1)]


KINDS = frozenset(map(type, run(2)))


@pytest.mark.parametrize("limits", [{}, {"stride": 2, "keep_events": 40}])
def test_each_event_is_told_with_the_first_stop_that_shows_it(limits: dict[str, int]) -> None:
    events = run(9)
    history = history_of(events, **limits)
    told = list(history.told(history.now, KINDS))
    assert [event for _, event in told] == events[len(events) - len(told) :]
    assert (len(told) < len(events)) == history.is_cut
    for stop, event in told:
        assert history.stop_of(event) == stop
        if history.first <= stop <= history.now.stops:
            assert event.t <= history.at(stop).t, "it has happened"
        if history.first <= stop - 1 < history.now.stops:
            assert event.t > history.at(stop - 1).t, "and had not before"


def test_a_past_state_is_told_nothing_of_what_came_later() -> None:
    events = run(9)
    history = history_of(events)
    for stop in range(history.now.stops):
        last = history.at(stop).t
        assert [event for _, event in history.told(history.at(stop), KINDS)] == [e for e in events if e.t <= last]


def test_stops_are_found_as_the_run_goes_on_and_an_event_of_another_run_is_at_none() -> None:
    history = History(stride=2, keep_events=40)
    for event in run(9):
        history.add(event)
        kept = history._events[-1]
        assert history.stop_of(kept) in (history.now.stops, history.now.stops + 1)
    assert history.stop_of(run(1)[3]) == 0
    only = list(history.told(history.now, {ev.Sockets}))
    assert only and all(type(event) is ev.Sockets for _, event in only)


def test_a_lab_at_rest_keeps_nothing_of_timers_that_run_on_and_shows_them_now() -> None:
    tries = replace(lab.pair(1, None, st.SYN_SENT)[0], timer=1, expires_ms=900, retransmits=1)
    history = history_of(lab.Stream(lab.start(), lab.sockets(tries)).events)
    kept = history.events
    for left in (800, 700, 600):
        history.add(lab.sockets(replace(tries, expires_ms=left)))
    assert history.events == kept
    assert history.now.tables["server"].rows[tries.id].expires_ms == 600
    history.add(lab.sockets(replace(tries, expires_ms=1_800, retransmits=2)))
    history.add(lab.sockets(gone=(tries.id,)))
    assert history.events == kept + 2
    assert history.at_event(kept + 1).tables["server"].rows[tries.id].retransmits == 2


def test_a_row_that_is_told_again_shares_what_has_stayed_the_same_with_the_one_before() -> None:
    def row(depth: int) -> ev.SocketRow:
        return replace(lab.listener(depth), local="".join(["10.0.0.1", ":8080"]))

    history = history_of(lab.Stream(lab.start(), lab.sockets(row(1)), lab.sockets(row(2))).events)
    first, second = (history.at_event(history.events - back).tables["server"].rows[1] for back in (1, 0))
    assert (first.rx_queue, second.rx_queue) == (1, 2)
    assert first.local is second.local
