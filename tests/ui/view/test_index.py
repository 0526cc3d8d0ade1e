"""The incremental indexes against the answers a full computation gives."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings, strategies as some

from socklab import state as st
from socklab.core.persistent import PMap
from socklab.protocol import events as ev
from socklab.ui.view.index import HOST, ClientIndex, HolderIndex, SocketIndex, port_of, socket_index
from socklab.ui.view.lines import Key
from tests.ui.tui.panel_support import PID, Scene

ADDRESSES = [f"127.0.0.1:{port}" for port in (80, 8080, 9000, 40001, 40002, 40003)]
STATES = [st.LISTEN, st.ESTABLISHED, st.SYN_RECV, st.NEW_SYN_RECV, st.CLOSE_WAIT, st.TIME_WAIT]

rows = some.builds(
    ev.SocketRow,
    id=some.integers(1, 12),
    family=some.just(2),
    local=some.sampled_from(ADDRESSES),
    remote=some.sampled_from(ADDRESSES),
    state=some.sampled_from(STATES),
    inode=some.integers(0, 6),
)
changes: some.SearchStrategy[ev.Sockets] = some.builds(
    ev.Sockets,
    t=some.just(1),
    host=some.sampled_from(["server", "client"]),
    set=some.lists(rows, max_size=4, unique_by=lambda row: row.id).map(tuple),
    gone=some.lists(some.integers(1, 12), max_size=3).map(tuple),
)
fds = some.builds(ev.Descriptor, fd=some.integers(0, 9), target=some.just("socket:[1]"), inode=some.integers(0, 4))
tables = some.builds(
    ev.Descriptors,
    t=some.just(1),
    pid=some.sampled_from([PID, PID + 1]),
    set=some.lists(fds, max_size=4, unique_by=lambda held: held.fd).map(tuple),
    closed=some.lists(some.integers(0, 9), max_size=3).map(tuple),
)
clients = some.builds(
    ev.Client,
    t=some.just(1),
    name=some.sampled_from("abcd"),
    phase=some.sampled_from(["open", "closed"]),
    local=some.sampled_from(ADDRESSES),
    inode=some.integers(1, 4),
)


def told(events: list[ev.Event]) -> list[st.LabState]:
    """Every state of a run, the program running on after each look."""
    scene = Scene(hosts=2).start()
    states = [scene.state]
    for event in events:
        states.append(scene.tell(event).state)
        states.append(scene.resume().state)
    return states


@given(some.lists(changes, max_size=8), some.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_keys_are_the_same_whichever_state_was_asked_about_before(events: list[ev.Sockets], order: Random) -> None:
    states = told(list(events))
    kept = SocketIndex()
    for _ in range(2 * len(states)):
        state = order.choice(states)
        assert list(kept.keys(state)) == list(SocketIndex().keys(state))


@given(some.lists(changes, max_size=8))
@settings(max_examples=60, deadline=None)
def test_every_listed_socket_has_one_key_and_the_vanished_ones_stay_until_the_program_runs(
    events: list[ev.Sockets],
) -> None:
    kept = SocketIndex()
    for state in told(list(events)):
        listed = {(host, id) for host, table in state.tables.items() for id in table.rows}
        vanished = {key for key, row in state.changed.sockets.items() if row is not None} - listed
        keys = [key for key in kept.keys(state) if not key[0].endswith(HOST)]
        assert len(keys) == len(set(keys))
        assert set(keys) == listed | vanished


@given(some.lists(changes, max_size=8))
@settings(max_examples=60, deadline=None)
def test_waiting_connections_are_those_a_scan_of_the_table_finds(events: list[ev.Sockets]) -> None:
    kept = SocketIndex()
    for state in told(list(events)):
        for host, table in state.tables.items():
            for listener in table.listeners.values():
                scanned = [
                    row
                    for row in table.rows.values()
                    if row.inode == 0
                    and row.state in (st.ESTABLISHED, st.CLOSE_WAIT)
                    and port_of(row.local) == port_of(listener.local)
                ]
                found = kept.waiting(state, listener, host)
                assert sorted(row.id for row in found) == sorted(row.id for row in scanned)


def test_each_host_has_its_own_table_under_its_own_heading() -> None:
    state = Scene(hosts=2).full().state
    keys = SocketIndex().keys(state)
    heads = [place for place, key in enumerate(keys) if key[0].endswith(HOST)]
    assert [keys[place][0].removesuffix(HOST) for place in heads] == ["server", "client"]
    assert {host for host, _ in keys[1 : heads[1]]} == {"server"}
    assert {host for host, _ in keys[heads[1] + 1 :]} == {"client"}


def test_a_host_without_sockets_has_no_heading() -> None:
    scene = Scene(hosts=2).after_listen()
    scene.tell(ev.Sockets(t=9, host="client", set=(), gone=()))
    assert [key for key in SocketIndex().keys(scene.state) if key[0].endswith(HOST)] == [("server" + HOST, 0)]


def test_on_one_host_both_ends_of_a_connection_stand_side_by_side_the_servers_end_first() -> None:
    state = Scene().full().state
    keys = SocketIndex().keys(state)
    rows = [state.tables[host].rows[id] for host, id in keys]
    assert rows[0].state == st.LISTEN
    pairs = [row for row in rows[1:] if row.state == st.ESTABLISHED]
    assert len(pairs) == 10
    for server, client in zip(pairs[::2], pairs[1::2], strict=True):
        assert (server.local, server.remote) == (client.remote, client.local)
        assert port_of(server.local) == 8080


def test_keys_handed_out_earlier_stay_as_they_were() -> None:
    scene = Scene().full()
    kept = SocketIndex()
    before = kept.keys(scene.state)
    copy = list(before)
    scene.resume().tell(ev.Sockets(t=9, host="server", set=(ev.SocketRow(7, 2, "127.0.0.1:9", "*:0", st.LISTEN),)))
    after = kept.keys(scene.state)
    assert list(before) == copy
    assert len(after) == len(copy) + 1


@given(some.lists(tables, max_size=8), some.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_holders_and_descriptors_are_those_of_the_tables(events: list[ev.Descriptors], order: Random) -> None:
    states = told(list(events))
    kept = HolderIndex()
    for _ in range(2 * len(states)):
        state = order.choice(states)
        for pid, table in state.descriptors.items():
            assert list(kept.fds(state, pid)) == sorted(table)
        for inode in range(1, 5):
            scanned = sorted(
                (pid, fd)
                for pid, table in state.descriptors.items()
                for fd, held in table.items()
                if held.inode == inode
            )
            assert kept.holders(state, inode) == scanned


@given(some.lists(clients, max_size=10), some.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_phases_count_every_client_once(events: list[ev.Client], order: Random) -> None:
    states = told(list(events))
    kept = ClientIndex()
    for _ in range(2 * len(states)):
        state = order.choice(states)
        phases = [client.phase for client in state.clients.values()]
        assert dict(kept.phases(state)) == {phase: phases.count(phase) for phase in set(phases)}


def test_a_processes_descriptors_do_not_count_once_it_is_dead() -> None:
    scene = Scene().after_socket()
    kept = HolderIndex()
    assert kept.holders(scene.state, 70001) == [(PID, 3)]
    scene.tell(ev.Exited(t=9, tid=PID, code=0))
    assert kept.holders(scene.state, 70001) == []


keys: some.SearchStrategy[int] = some.integers(-200, 200)


@given(some.dictionaries(keys, some.integers(0, 3)), some.dictionaries(keys, some.integers(0, 3)), some.sets(keys))
def test_the_difference_of_two_maps_is_what_turned_one_into_the_other(
    first: dict[int, int], put: dict[int, int], drop: set[int]
) -> None:
    old: PMap[int, int] = PMap()
    old = old.changed(first.items())
    new = old.changed(put.items(), drop)
    found = {key: (before, after) for key, before, after in new.differences(old)}
    expected = {key: (old.get(key), new.get(key)) for key in {*old, *new} if old.get(key) != new.get(key)}
    assert found == expected


def test_key_type_is_host_and_id() -> None:
    key: Key = SocketIndex().keys(Scene().after_listen().state)[0]
    assert key == ("server", 1)


def test_clients_of_another_lab_are_in_the_order_of_that_lab() -> None:
    index = ClientIndex()
    for names in ("acb", "abc"):
        state = Scene().tell(*(ev.Client(1, name, "open", "client", f"127.0.0.1:{ord(name)}") for name in names)).state
        assert [index.place(state, name) for name in names] == [0, 1, 2]


def test_the_states_of_a_lab_share_an_index_and_two_labs_share_none() -> None:
    one, other = st.LabState(), st.LabState()
    later = st.apply(one, ev.LessonDone(1))
    assert socket_index(later) is socket_index(one)
    assert socket_index(other) is not socket_index(one)
