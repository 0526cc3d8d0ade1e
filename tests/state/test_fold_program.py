"""What a stop, a call, a child and an end change, and what they leave alone."""

from __future__ import annotations

from msgspec.structs import replace

from socklab.protocol import events as ev
from socklab.state import MOST_EXITED, Call, Changed, LabState, Task
from tests.state.support import changes, plain
from tests.support import streams as lab
from tests.support.streams import PID

MAIN = Task(PID, PID, "server")
BEGUN = lab.state_of(lab.start())
FRAMES = (ev.Frame("/s.c", 12, "main"),)


def test_entering_a_call_numbers_it_and_makes_the_task_run() -> None:
    read = lab.entered("read", 3)
    held = replace(MAIN, status="held", at="signal")
    before = replace(BEGUN, tasks={PID: held}, entered=7)
    assert changes(before, read) == {"tasks": {PID: replace(MAIN, call=Call(7, read))}, "entered": 8}


def test_a_call_that_never_returned_is_logged_when_the_next_begins() -> None:
    first, second = lab.entered("read", 3), lab.entered("write", 4)
    state = lab.state_of(lab.start(), first)
    assert changes(state, second) == {
        "tasks": {PID: replace(MAIN, call=Call(1, second))},
        "entered": 2,
        "calls": [Call(0, first)],
    }


def test_a_call_that_returned_is_logged_once() -> None:
    first, back, second = lab.entered("read", 3), lab.result("read", 5), lab.entered("write", 4)
    state = lab.state_of(lab.start(), first)
    done = Call(0, first, back)
    assert changes(state, back) == {"tasks": {PID: replace(MAIN, call=done)}, "calls": [done]}
    after = lab.state_of(lab.start(), first, back, second)
    assert list(after.calls) == [done]
    assert (after.task, after.errors) == (replace(MAIN, call=Call(1, second)), 0)


def test_only_results_that_are_error_numbers_count_as_errors() -> None:
    def errors(result: int) -> int:
        return lab.state_of(lab.start(), lab.entered("read"), lab.result("read", result)).errors

    assert [errors(n) for n in (-4097, -4096, -4095, -11, -1, 0, 1, 4095)] == [0, 0, 1, 1, 1, 0, 0, 0]
    state = lab.state_of(lab.start(), *(lab.call("close", 9, result=-9) for _ in range(3)), lab.call("read", 3))
    assert state.errors == 3


def test_a_return_without_an_entry_only_moves_the_time() -> None:
    assert changes(BEGUN, lab.result("read", -9)) == {}
    assert changes(LabState(), lab.result("read", -9)) == {}


def test_a_stop_holds_the_task_puts_it_in_focus_and_is_counted() -> None:
    child = lab.state_of(lab.start(), ev.Forked(3, PID, 101, "fork"))
    stop = ev.Held(9, 101, "interrupt", FRAMES, "unknown interpreter")
    held = Task(101, 101, "server", PID, "held", "interrupt", stack=FRAMES, unlined="unknown interpreter")
    expected = {"tasks": {PID: MAIN, 101: held}, "focus": 101, "stops": 1}
    assert changes(child, stop) == expected
    assert changes(lab.state_of_from(child, stop), ev.Held(10, 101, "signal"))["stops"] == 2


def test_the_place_of_a_call_is_where_it_was_entered() -> None:
    entered = lab.entered("read", 3)
    at_entry = lab.state_of(lab.start(), entered, ev.Held(5, PID, "enter", FRAMES))
    assert at_entry.tasks[PID].call == Call(0, entered, stack=FRAMES)
    elsewhere = (ev.Frame("/s.c", 99, "other"),)
    returned = lab.state_of_from(
        at_entry, ev.Resumed(6, PID), lab.result("read", 0), ev.Held(7, PID, "return", elsewhere)
    )
    assert (returned.tasks[PID].stack, returned.tasks[PID].call.stack) == (elsewhere, FRAMES)
    assert lab.state_of(lab.start(), ev.Held(5, PID, "enter", FRAMES)).tasks[PID].call is None


def test_to_run_on_forgets_what_was_new_and_which_line_was_asked_for() -> None:
    stopped = lab.state_of(
        lab.start(),
        lab.enter("read", 3),
        lab.packet(4, "client", lab.SYN),
        lab.packet(9, "client", lab.SYN),
        lab.fds((3, 900)),
        ev.Signal(7, PID, 13),
        ev.Evidence(7, ()),
        ev.Ran(7, "server", ("ss",)),
    )
    task = stopped.tasks[PID]
    assert changes(stopped, ev.Resumed(8, PID)) == {
        "tasks": {PID: replace(task, status="running", at="", signal=None)},
        "changed": Changed(packet=9),
        "evidence": None,
        "ran": None,
    }
    assert lab.state_of(lab.start(), lab.fds((3, 900)), ev.Resumed(8, PID)).changed == Changed()


def test_the_step_keeps_the_state_its_task_left_it_with() -> None:
    at_step = lab.state_of(lab.start(), lab.enter("read", 3), ev.StepReached(7, 0, "before"))
    resumed = lab.state_of_from(at_step, ev.Resumed(8, PID))
    assert resumed.step_left is at_step
    again = lab.state_of_from(resumed, ev.Held(9, PID, "interrupt"), ev.Resumed(10, PID))
    assert again.step_left is at_step
    assert lab.state_of_from(at_step, ev.Forked(8, PID, 101, "fork"), ev.Resumed(9, 101)).step_left is None
    asleep = lab.state_of(lab.start(), lab.entered("read", 3), ev.StepReached(7, 0, "before"))
    assert lab.state_of_from(asleep, lab.result("read", 1)).step_left is asleep
    assert lab.state_of(lab.start(), lab.enter("read", 3), ev.Resumed(8, PID)).step_left is None


def test_a_signal_is_the_tasks_and_is_logged() -> None:
    signal = ev.Signal(7, PID, 13, 1, 5, 6)
    assert changes(BEGUN, signal) == {"tasks": {PID: replace(MAIN, signal=signal)}, "signals": [signal]}


def test_a_child_process_has_an_id_of_its_own_a_thread_its_leaders() -> None:
    started = lab.state_of(ev.Started(1, PID, "left", ("x",), "/"))
    for kind, pid in (("fork", 101), ("vfork", 101), ("clone", 101), ("thread", PID)):
        told = changes(started, ev.Forked(7, PID, 101, kind))
        assert told == {"tasks": {PID: replace(MAIN, host="left"), 101: Task(101, pid, "left", PID)}}
    grandchild = lab.state_of_from(started, ev.Forked(7, PID, 101, "fork"), ev.Forked(8, 101, 102, "thread"))
    assert grandchild.tasks[102] == Task(102, 101, "left", 101)


def test_a_child_that_stopped_before_its_parent_reported_it_keeps_its_stop() -> None:
    early = lab.state_of(lab.start(), ev.Held(5, 101, "signal", FRAMES))
    assert early.tasks[101] == Task(101, 101, "server", 0, "held", "signal", stack=FRAMES)
    told = lab.state_of_from(early, ev.Forked(6, PID, 101, "thread"))
    assert told.tasks[101] == Task(101, PID, "server", PID, "held", "signal", stack=FRAMES)


def test_a_task_of_a_stream_without_a_beginning_is_made_up_from_what_is_known() -> None:
    assert lab.state_of(ev.Held(1, 7, "enter")).tasks == {7: Task(7, 7, "", status="held", at="enter")}


def family() -> LabState:
    return lab.state_of(
        lab.start(),
        ev.Forked(3, PID, 101, "thread"),
        ev.Forked(3, PID, 102, "thread"),
        ev.Forked(3, PID, 200, "fork"),
        ev.Forked(3, 200, 201, "thread"),
        lab.entered("read", 3),
        lab.entered("write", 4, tid=101),
    )


def test_exec_leaves_one_thread_of_its_process_and_every_other_process() -> None:
    before = family()
    after = lab.state_of_from(before, ev.Execed(9, PID, ("new",)))
    assert after.tasks == {tid: before.tasks[tid] for tid in (PID, 200, 201)}
    elsewhere = lab.state_of_from(before, ev.Execed(9, 200, ("new",)))
    assert elsewhere.tasks == {tid: before.tasks[tid] for tid in (PID, 101, 102, 200)}


def test_exec_by_another_thread_carries_on_that_threads_call_under_the_leaders_id() -> None:
    gone = lab.state_of_from(family(), ev.Exited(8, PID))
    after = lab.state_of_from(gone, ev.Execed(9, PID, ("new",), former=101))
    assert after.tasks[PID] == replace(gone.tasks[PID], call=gone.tasks[101].call, exited=None)
    assert after.tasks[PID].call.entered.nr == lab.NUMBERS["write"]
    unknown = lab.state_of_from(family(), ev.Execed(9, PID, ("new",), former=999))
    assert unknown.tasks[PID] == family().tasks[PID] or unknown.tasks[PID].call.entered.nr == lab.NUMBERS["read"]


def test_an_end_is_kept_with_the_call_that_never_returned() -> None:
    inside, end = lab.entered("close", 3), ev.Exited(9, PID, code=3)
    asleep = lab.state_of(lab.start(), inside, ev.Held(8, PID, "enter"))
    assert changes(asleep, end) == {
        "tasks": {PID: replace(asleep.tasks[PID], status="exited", at="", exited=end)},
        "calls": [Call(0, inside)],
    }
    outside = lab.state_of(lab.start(), lab.call("close", 3))
    assert len(lab.state_of_from(outside, end).calls) == len(outside.calls) == 1
    assert changes(BEGUN, end) == {"tasks": {PID: replace(MAIN, status="exited", exited=end)}}


def crowd(dead: int) -> LabState:
    """One child that lives, then `dead` that were forked and ended one after the other, then one more that lives."""
    lives = [[ev.Forked(1, PID, n, "fork"), ev.Exited(2, n)] for n in range(1000, 1000 + dead)]
    return lab.state_of(lab.start(), ev.Forked(1, PID, 999, "fork"), *lives)


def test_of_thousands_that_ended_the_last_are_kept_and_every_one_that_lives() -> None:
    room = 2 * MOST_EXITED - 2
    assert list(crowd(room).tasks) == [PID, 999, *range(1000, 1000 + room)]
    trimmed = crowd(room + 1)
    assert list(trimmed.tasks) == [PID, 999, *range(1001 + room - MOST_EXITED, 1001 + room)]
    assert [task.status for task in trimmed.tasks.values()].count("exited") == MOST_EXITED == 256


def test_the_dead_task_in_focus_is_kept_however_old() -> None:
    looked_at = lab.state_of_from(crowd(1), ev.Held(3, 1000, "enter"), ev.Exited(4, 1000))
    lives = [[ev.Forked(5, PID, n, "fork"), ev.Exited(6, n)] for n in range(2000, 2000 + 2 * MOST_EXITED)]
    after = lab.state_of_from(looked_at, *lives)
    assert after.focus == 1000
    assert 1000 in after.tasks
    assert 2000 not in after.tasks


def test_earlier_states_are_what_they_were_whatever_came_after() -> None:
    stream = lab.Stream()
    seen = []
    told = [*lab.start(), *lab.call("socket", result=3), lab.fds((3, 900)), *lab.enter("listen", 3)]
    for event in [*told, lab.sockets(lab.listener()), lab.packet(1, "client", 2), lab.fate(1, "held")]:
        before = stream.state
        kept = {name: plain(getattr(before, name)) for name in LabState.__struct_fields__}
        seen.append((before, kept))
        stream.tell(event)
    for state, kept in seen:
        assert {name: plain(getattr(state, name)) for name in LabState.__struct_fields__} == kept
