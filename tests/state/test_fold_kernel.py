"""What a look at the kernel changes: tables, their indexes, and what was there before the program last ran."""

from __future__ import annotations

from hypothesis import given, settings, strategies as some
from msgspec.structs import replace

from socklab.protocol import events as ev
from socklab.state import (
    CLOSE_WAIT,
    ESTABLISHED,
    LISTEN,
    NEW_SYN_RECV,
    SYN_RECV,
    SYN_SENT,
    Changed,
    LabState,
    Table,
    apply,
)
from tests.state.support import changes, plain
from tests.support import streams as lab
from tests.support.streams import PID

BEGUN = lab.state_of(lab.start())


def descriptor(fd: int, inode: int) -> ev.Descriptor:
    return ev.Descriptor(fd, f"socket:[{inode}]", inode)


def test_descriptors_are_set_and_closed_and_what_they_were_is_kept() -> None:
    first = lab.fds((3, 900), (4, 901))
    assert changes(BEGUN, first) == {
        "descriptors": {PID: {3: descriptor(3, 900), 4: descriptor(4, 901)}},
        "changed": Changed(descriptors={(PID, 3): None, (PID, 4): None}),
    }
    stopped = lab.state_of_from(BEGUN, first, ev.Resumed(9, PID))
    assert changes(stopped, lab.fds((3, 77), closed=(4, 8))) == {
        "descriptors": {PID: {3: descriptor(3, 77)}},
        "changed": Changed(descriptors={(PID, 3): descriptor(3, 900), (PID, 4): descriptor(4, 901), (PID, 8): None}),
    }


def test_what_was_before_is_what_was_there_when_the_program_ran_not_a_look_ago() -> None:
    stopped = lab.state_of(lab.start(), lab.fds((3, 900)), ev.Resumed(9, PID))
    twice = lab.state_of_from(stopped, lab.fds((3, 77)), lab.fds((3, 78)), lab.fds(closed=(3,)))
    assert twice.changed.descriptors == {(PID, 3): descriptor(3, 900)}
    rows = [lab.listener(depth) for depth in (1, 2, 3)]
    stopped = lab.state_of(lab.start(), lab.sockets(rows[0]), ev.Resumed(9, PID))
    twice = lab.state_of_from(stopped, lab.sockets(rows[1]), lab.sockets(rows[2]), lab.sockets(gone=(1, 5)))
    assert twice.changed.sockets == {("server", 1): rows[0]}, "5 was not there before, and is not there now"
    closed = lab.state_of_from(stopped, lab.sockets(gone=(1,)), lab.sockets(rows[2]))
    assert closed.changed.sockets == {("server", 1): rows[0]}


def test_that_only_the_tables_are_asked_of_a_program_that_sleeps_is_no_change_of_its_sockets() -> None:
    whole = ev.KernelObject("0.0.0.0:5300", waiting_bytes=0, receive_limit=212_992, drops=1)
    listed = ev.KernelObject("0.0.0.0:5300", drops=1, by_table=True)
    asked, asleep, unread = (
        replace(descriptor(3, 900), detail="udp", behind=behind) for behind in (whole, listed, None)
    )

    def told(*readings: ev.Descriptor) -> LabState:
        first = ev.Descriptors(9, PID, (asked,))
        return lab.state_of(lab.start(), first, ev.Resumed(9, PID), *(ev.Descriptors(9, PID, (r,)) for r in readings))

    for readings in ((asleep,), (asleep, asked), (unread, asleep, asked), (asleep, unread, asked)):
        assert told(*readings).changed.descriptors == {}, readings
    bound = replace(asleep, behind=replace(listed, local="0.0.0.0:5301"))
    dropped = replace(asked, behind=replace(whole, drops=2))
    for readings in ((bound,), (unread, bound), (asleep, bound), (asleep, dropped), (unread, dropped)):
        assert told(*readings).changed.descriptors == {(PID, 3): asked}, readings


def test_a_timer_that_ran_down_and_memory_that_was_counted_anew_are_no_change_of_a_socket() -> None:
    row = replace(lab.pair(1, ESTABLISHED, ESTABLISHED)[0], timer=1, expires_ms=900, rx_queue=5, tx_queue=7)
    seen = lab.state_of(lab.start(), lab.sockets(row), ev.Resumed(9, PID))
    read = replace(row, expires_ms=700, receive_used=2304, receive_limit=131072, send_used=1280, send_limit=87040)
    later = lab.state_of_from(seen, lab.sockets(read), lab.sockets(noise := replace(read, receive_used=768)))
    assert later.tables["server"].rows[row.id] == noise
    assert later.changed.sockets == {}
    for moved in (
        replace(noise, rx_queue=6), replace(noise, tx_queue=0), replace(noise, timer=0), replace(noise, retransmits=1),
        replace(noise, state=SYN_SENT), replace(noise, inode=7), replace(noise, remote="10.0.0.3:1"),
        replace(noise, local="10.0.0.3:1"), replace(noise, receive_limit=4608), replace(noise, send_limit=4608),
    ):  # fmt: skip
        assert lab.state_of_from(later, lab.sockets(moved)).changed.sockets == {("server", row.id): noise}
    unread = replace(noise, receive_used=0, receive_limit=0, send_used=0, send_limit=0)
    assert lab.state_of_from(later, lab.sockets(unread)).changed.sockets == {}


def test_what_was_asked_this_time_and_not_the_last_is_no_change_of_a_descriptor() -> None:
    pipe = ev.Descriptor(3, "pipe:[9]", 9)
    holds, more = (replace(pipe, behind=ev.KernelObject(waiting_bytes=count, capacity=65536)) for count in (3, 4))

    def after(*each: ev.Descriptor) -> LabState:
        told = [ev.Descriptors(2, PID, (descriptor,)) for descriptor in each]
        return lab.state_of_from(lab.state_of(lab.start(), told[0], ev.Resumed(9, PID)), *told[1:])

    assert after(pipe, holds).changed.descriptors == after(holds, pipe).changed.descriptors == {}
    assert after(pipe, holds).descriptors[PID][3] == holds
    assert after(holds, more).changed.descriptors == {(PID, 3): holds}
    assert after(holds, pipe, holds).changed.descriptors == {}
    assert after(holds, pipe, more).changed.descriptors == {(PID, 3): holds}, "not asked while it ran, asked again"
    assert after(holds, pipe, more, pipe, more).changed.descriptors == {(PID, 3): holds}
    assert after(holds, replace(pipe, flags=1)).changed.descriptors == {(PID, 3): holds}
    ((key, was),) = after(pipe, replace(holds, flags=1)).changed.descriptors.items()
    assert (key, was and was.flags) == ((PID, 3), 0)


def test_each_process_and_each_host_has_a_table_of_its_own() -> None:
    state = lab.state_of(lab.start(), lab.fds((3, 900)), lab.fds((3, 901), pid=7))
    assert plain(state.descriptors) == {PID: {3: descriptor(3, 900)}, 7: {3: descriptor(3, 901)}}
    server, client = lab.pair(1, ESTABLISHED, ESTABLISHED)[::-1]
    state = lab.state_of(lab.start(), lab.sockets(server), lab.sockets(client, host="client"))
    assert {host: list(table.rows.values()) for host, table in state.tables.items()} == {
        "server": [server],
        "client": [client],
    }
    assert state.changed.sockets == {("server", server.id): None, ("client", client.id): None}


def test_a_table_is_found_by_inode_by_ends_and_by_state() -> None:
    listener, client, server = lab.listener(), *lab.pair(1, SYN_RECV, SYN_SENT)
    told = changes(BEGUN, lab.sockets(listener, client, server))
    table = told["tables"]["server"]
    assert plain(table.rows) == {1: listener, 101: client, 201: server}
    assert plain(table.by_inode) == {900: 1, 2001: 101}
    assert plain(table.by_ends) == {
        ("0.0.0.0:8080", "0.0.0.0:0"): 1,
        ("10.0.0.2:50001", "10.0.0.1:8080"): 101,
        ("10.0.0.1:8080", "10.0.0.2:50001"): 201,
    }
    assert (table.listeners, table.syn_received) == ({1: listener}, {201: server})
    assert table.states == {LISTEN: 1, SYN_SENT: 1, SYN_RECV: 1}
    assert set(told) == {"tables", "changed"}


ROWS = some.builds(
    ev.SocketRow,
    id=some.integers(1, 6),
    family=some.just(2),
    local=some.sampled_from(["a:1", "a:2", "b:1"]),
    remote=some.sampled_from(["c:1", "c:2"]),
    state=some.sampled_from([ESTABLISHED, SYN_RECV, NEW_SYN_RECV, LISTEN, CLOSE_WAIT]),
    inode=some.integers(0, 3),
)
LOOKS = some.tuples(some.lists(ROWS, max_size=4, unique_by=lambda row: row.id), some.lists(some.integers(1, 6)))


def rebuilt(rows: dict[int, ev.SocketRow]) -> tuple[object, ...]:
    """The indexes of a table, by going over all of its rows."""
    states: dict[int, int] = {}
    for row in rows.values():
        state = SYN_RECV if row.state == NEW_SYN_RECV else row.state
        states[state] = states.get(state, 0) + 1
    listeners = {i: row for i, row in rows.items() if row.state == LISTEN}
    return listeners, {i: row for i, row in rows.items() if row.state in (SYN_RECV, NEW_SYN_RECV)}, states


@settings(max_examples=300, deadline=None)
@given(some.lists(LOOKS, max_size=6))
def test_whatever_comes_and_goes_a_table_is_what_its_rows_say(
    looks: list[tuple[list[ev.SocketRow], list[int]]],
) -> None:
    state, rows = LabState(), dict[int, ev.SocketRow]()
    for put, gone in looks:
        state = apply(state, ev.Sockets(1, "server", tuple(put), tuple(gone)))
        rows = {i: row for i, row in rows.items() if i not in gone} | {row.id: row for row in put}
        table = state.tables["server"]
        assert dict(table.rows) == rows
        assert (table.listeners, table.syn_received, table.states) == rebuilt(rows)
        assert len(table.rows) == len(rows)


def test_a_socket_that_moves_is_not_found_where_it_was() -> None:
    before, after = lab.pair(1, None, SYN_SENT)[0], ev.SocketRow(101, 2, "x:1", "y:2", ESTABLISHED, inode=7)
    table = lab.state_of(lab.start(), lab.sockets(before), lab.sockets(after)).tables["server"]
    assert (plain(table.by_inode), plain(table.by_ends)) == ({7: 101}, {("x:1", "y:2"): 101})
    gone = lab.state_of(lab.start(), lab.sockets(before), lab.sockets(gone=(101,))).tables["server"]
    assert [plain(part) for part in (gone.rows, gone.by_inode, gone.by_ends)] == [{}, {}, {}]
    assert gone.states == {}
    back = lab.state_of(lab.start(), lab.sockets(before), lab.sockets(before, gone=(101,))).tables["server"]
    assert (plain(back.rows), back.states) == ({101: before}, {SYN_SENT: 1})
    assert plain(Table().rows) == {}


def test_counters_keep_their_first_value_and_the_one_before_the_program_ran() -> None:
    first = ev.Counters(5, "server", {"TW": 7, "OutRsts": 1})
    assert changes(BEGUN, first) == {
        "counters": {"server": {"TW": 7, "OutRsts": 1}},
        "counters_at_start": {"server": {"TW": 7, "OutRsts": 1}},
    }
    state = lab.state_of_from(BEGUN, first, ev.Counters(6, "client", {"TW": 50}))
    assert changes(state, ev.Counters(7, "server", {"TW": 9, "InErrs": 2})) == {
        "counters": {"server": {"TW": 9, "OutRsts": 1, "InErrs": 2}, "client": {"TW": 50}},
        "counters_at_start": {"server": {"TW": 7, "OutRsts": 1, "InErrs": 2}, "client": {"TW": 50}},
        "changed": Changed(counters={("server", "TW"): 7}),
    }
    twice = lab.state_of_from(state, ev.Counters(7, "server", {"TW": 9}), ev.Counters(8, "server", {"TW": 12}))
    assert twice.changed.counters == {("server", "TW"): 7}


def test_a_setting_is_changed_only_if_it_was_known_and_is_another() -> None:
    def tell(value: str, name: str = "net.a", host: str = "server") -> ev.Setting:
        return ev.Setting(6, host, name, value)

    assert changes(BEGUN, tell("1")) == {"settings": {"server": {"net.a": "1"}}}
    known = lab.state_of_from(BEGUN, tell("1"), tell("5", "net.b"), tell("9", host="client"))
    assert changes(known, tell("1")) == {}
    assert changes(known, tell("2")) == {
        "settings": {"server": {"net.a": "2", "net.b": "5"}, "client": {"net.a": "9"}},
        "changed": Changed(settings={("server", "net.a"): "1"}),
    }
    thrice = lab.state_of_from(known, tell("2"), tell("3"), tell("6", "net.b"))
    assert thrice.changed.settings == {("server", "net.a"): "1", ("server", "net.b"): "5"}


def test_processes_come_change_and_go_with_the_time_they_were_seen() -> None:
    one, two, other = (ev.ProcessRow(pid, 1, "server", state) for pid, state in ((7, "S"), (8, "R"), (7, "t")))
    state = lab.state_of_from(BEGUN, ev.Processes(5, (one, two)))
    assert (state.processes, state.process_seen) == ({7: one, 8: two}, {7: 5, 8: 5})
    assert changes(state, ev.Processes(9, (other,), (8, 99))) == {"processes": {7: other}, "process_seen": {7: 9}}


def test_a_line_that_was_asked_for_is_kept() -> None:
    answer = ev.Evidence(5, (ev.Want("counters", "server"),), (ev.Reading("/proc/net/snmp", b"Tcp: 1"),))
    assert changes(BEGUN, answer) == {"evidence": answer}
    ran = ev.Ran(5, "server", ("ss", "-ltn"), 0, b"LISTEN")
    assert changes(BEGUN, ran) == {"ran": ran}


def test_a_look_leaves_what_else_is_new() -> None:
    """Descriptors, sockets, counters and settings are told apart in what has changed."""
    looks = [
        lab.fds((3, 900)),
        lab.sockets(lab.listener()),
        ev.Counters(5, "server", {"TW": 7}),
        ev.Counters(6, "server", {"TW": 8}),
        ev.Setting(7, "server", "net.a", "1"),
        ev.Setting(8, "server", "net.a", "2"),
        lab.packet(1, "client", lab.SYN),
        lab.fate(1, "held"),
    ]
    running = lab.state_of(lab.start(), lab.packet(4, "client", lab.SYN), lab.fate(4, "held"), ev.Resumed(2, PID))
    assert lab.state_of_from(running, looks, lab.fate(4, "dropped")).changed == Changed(
        descriptors={(PID, 3): None},
        sockets={("server", 1): None},
        counters={("server", "TW"): 7},
        settings={("server", "net.a"): "1"},
        packet=4,
        fates={4: "held"},
    )
