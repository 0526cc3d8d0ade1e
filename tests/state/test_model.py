"""What panels and probes ask of a state."""

from __future__ import annotations

from socklab import state as st
from socklab.protocol import events as ev
from socklab.state import NEW_SYN_RECV, SYN_RECV, Call, Changed, LabState, Question, Table, Task
from tests.state.support import plain
from tests.support import streams as lab
from tests.support.streams import PID


def test_a_shared_table_lists_both_hosts_and_a_table_of_ones_own_lists_one() -> None:
    private = lab.state_of(lab.start(), lab.sockets(lab.listener()))
    assert private.table_of("client") is private.table_of("server") is private.tables["server"]
    two = lab.state_of(lab.start(shared=False), lab.sockets(lab.listener()))
    assert (len(two.table_of("server").rows), two.table_of("client")) == (1, Table())
    assert (private.table_host("client"), two.table_host("client"), LabState().table_host("x")) == (
        "server",
        "client",
        "x",
    )
    assert LabState().table_of("server") == Table()


def test_a_descriptor_leads_to_its_row_by_its_inode() -> None:
    state = lab.state_of(lab.start(), lab.fds((3, 900), (4, 0), (5, 77)), lab.sockets(lab.listener()))
    assert state.socket_of(PID, 3) == lab.listener()
    assert [state.socket_of(*where) for where in ((PID, 4), (PID, 5), (PID, 9), (7, 3))] == [None] * 4
    assert LabState(descriptors=state.descriptors, tables=state.tables).socket_of(PID, 3) is None


def test_a_descriptors_row_is_looked_up_on_its_own_tasks_host() -> None:
    start = [lab.header("two-hosts"), ev.Started(1, PID, "server", ("x",), "/")]
    rows = lab.sockets(lab.listener(), host="server"), lab.sockets(lab.listener(depth=3, id=2), host="client")
    state = lab.state_of(
        start, ev.Started(2, 7, "client", ("y",), "/"), lab.fds((3, 900)), lab.fds((3, 900), pid=7), rows
    )
    assert (state.socket_of(PID, 3).id, state.socket_of(7, 3).id) == (1, 2)
    unknown = lab.state_of_from(state, lab.fds((3, 900), pid=8))
    assert unknown.socket_of(8, 3).id == 2  # as the task in focus


def test_a_task_is_blocked_when_it_runs_inside_a_call_and_the_kernel_says_it_sleeps() -> None:
    inside = lab.state_of(lab.start(), lab.entered("read", 3))
    sleeping = [lab.state_of_from(inside, lab.process(state)).blocked(PID) for state in "SDRtZ"]
    assert sleeping == [True, True, False, False, False]
    assert not inside.blocked(PID)
    asleep = lab.state_of_from(inside, lab.process("S"))
    assert not asleep.blocked(999)
    assert not lab.state_of_from(asleep, ev.Held(9, PID, "enter")).blocked(PID)
    assert not lab.state_of_from(asleep, lab.result("read", 0)).blocked(PID)
    assert not lab.state_of(lab.start(), lab.process("S")).blocked(PID)


def test_a_threads_sleep_is_its_own_or_else_its_processs() -> None:
    told = [ev.Forked(2, PID, 101, "thread"), lab.entered("read", 3, tid=101), lab.process("S")]
    assert lab.state_of(lab.start(), told).blocked(101)
    assert not lab.state_of(lab.start(), told, lab.process("R", 101)).blocked(101)


def test_a_call_is_open_between_its_entry_and_its_return() -> None:
    entered, back = lab.entered("read", 3), lab.result("read", 0)
    assert [Task(1, 1, "", call=call).in_call for call in (None, Call(0, entered), Call(0, entered, back))] == [
        False,
        True,
        False,
    ]


def test_listeners_are_the_server_hosts_in_the_order_they_were_made() -> None:
    rows = [lab.listener(id=9, port=1), lab.listener(id=2, port=2), lab.listener(id=5, port=3)]
    state = lab.state_of(lab.start(shared=False), lab.sockets(*rows), lab.sockets(lab.listener(id=1), host="client"))
    assert [row.id for row in state.listeners] == [2, 5, 9]
    assert LabState(tables=state.tables).listeners == []


def test_a_syn_queue_holds_the_half_open_connections_of_its_port() -> None:
    rows = [
        ev.SocketRow(10, 2, "10.0.0.1:8080", "10.0.0.2:1", SYN_RECV),
        ev.SocketRow(11, 10, "[::ffff:10.0.0.1]:8080", "[::]:2", NEW_SYN_RECV),
        ev.SocketRow(12, 2, "10.0.0.1:80", "10.0.0.2:3", SYN_RECV),
        ev.SocketRow(13, 2, "10.0.0.1:8080", "10.0.0.2:4", 1),
    ]
    state = lab.state_of(lab.start(), lab.sockets(lab.listener(), *rows))
    assert [row.id for row in state.syn_queue(lab.listener())] == [10, 11]
    assert LabState(tables=state.tables).syn_queue(lab.listener()) == []


def test_the_task_in_focus_is_the_one_held_last() -> None:
    state = lab.state_of(lab.start(), ev.Forked(2, PID, 101, "fork"))
    assert state.task is state.tasks[PID]
    held = lab.state_of_from(state, ev.Held(3, 101, "enter"))
    assert held.task is held.tasks[101]
    assert LabState().task is None


def test_states_have_the_kernels_numbers_and_names() -> None:
    # include/net/tcp_states.h
    numbers = [
        "ESTABLISHED",
        "SYN_SENT",
        "SYN_RECV",
        "FIN_WAIT1",
        "FIN_WAIT2",
        "TIME_WAIT",
        "CLOSE",
        "CLOSE_WAIT",
        "LAST_ACK",
        "LISTEN",
        "CLOSING",
        "NEW_SYN_RECV",
    ]
    assert {name: getattr(st, name) for name in numbers} == {name: n for n, name in enumerate(numbers, 1)}
    assert {n: name.removeprefix("NEW_") for n, name in enumerate(numbers, 1)} == st.TCP_STATES


def test_before_the_first_event_nothing_is_known() -> None:
    empty = {name: plain(getattr(LabState(), name)) for name in LabState.__struct_fields__}
    nothing = (
        "header",
        "started",
        "built",
        "evidence",
        "ran",
        "step",
        "step_left",
        "question",
        "ended",
        "offer",
        "ready",
    )
    tables = [
        "sources",
        "tasks",
        "descriptors",
        "tables",
        "counters",
        "counters_at_start",
        "settings",
        "processes",
        "process_seen",
        "clients",
        "fates",
        "on_the_way",
        "waited_ns",
        "answers",
        "checks",
        "derived",
    ]
    assert empty == {
        **dict.fromkeys(("t", "focus", "entered", "errors", "stops"), 0),
        **dict.fromkeys(nothing),
        **{name: {} for name in tables},
        **{
            name: []
            for name in ("calls", "packets", "output", "acted", "notices", "signals", "resets", "noticed", "stop_times")
        },
        "lesson_toml": "",
        "wire_rules": (),
        "lesson_done": False,
        "changed": Changed(),
    }
    assert plain(Changed().descriptors) == Changed().sockets == Changed().counters == Changed().fates == {}
    assert (Changed().packet, Changed().settings) == (0, {})
    assert Task(1, 2, "h") == Task(1, 2, "h", 0, "running", "", None, (), "", None, None)
    assert (Question(3).answered, Question(3).measured) == (None, None)
    assert (Table().listeners, Table().syn_received, Table().states) == ({}, {}, {})
    assert [plain(part) for part in (Table().by_inode, Table().by_ends)] == [{}, {}]
    entered = lab.entered("read")
    assert Call(0, entered) == Call(0, entered, None, ())
