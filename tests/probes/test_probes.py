"""A probe gives what was read, of the right type, or says why it was not."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as some

from socklab import probes
from socklab.core.errors import UsageError
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.state import LabState
from tests.support import streams as lab

FULL = lab.state_of(
    lab.start(),
    ev.Counters(lab.t(), "server", {"ListenOverflows": 7, "ListenDrops": 9}),
    lab.call("socket", 2, 1, 0, result=3),
    lab.call("listen", 3, 4),
    lab.fds((3, 900)),
    lab.sockets(lab.listener(depth=5)),
    [lab.client("a", 1), lab.client("b", 2), lab.client("f", 6, "connecting")],
    lab.sockets(*lab.pair(1, 1, 1), *lab.pair(2, 1, 1), *lab.pair(6, None, 2)),
    ev.Counters(lab.t(), "server", {"ListenOverflows": 10}),
    lab.enter("accept4", 3, 0, 0, 0o2000000),
)

READ = [
    ("listener.local", "0.0.0.0:8080"),
    ("listener.port", 8080),
    ("listener.state", "LISTEN"),
    ("listener.backlog", 4),
    ("listener.accept_queue", 5),
    ("listener.syn_queue", 0),
    ("listener.inode", 900),
    ("listener.fd", 3),
    ("fd.3.open", True),
    ("fd.4.open", False),
    ("fd.3.kind", "socket"),
    ("fd.3.target", "socket:[900]"),
    ("fd.3.inode", 900),
    ("fd.3.listed", True),
    ("fd.3.state", "LISTEN"),
    ("fd.call.number", 3),
    ("fd.count", 1),
    ("client.a.state", "ESTABLISHED"),
    ("client.f.state", "SYN_SENT"),
    ("client.f.phase", "connecting"),
    ("client.f.errno", "none"),
    ("client.b.port", 50002),
    ("clients.count", 3),
    ("clients.open", 2),
    ("clients.established", 2),
    ("clients.syn_sent", 1),
    ("host.server.established", 2),
    ("host.server.syn_sent", 0),
    ("host.client.established", 2),
    ("host.client.syn_sent", 1),
    ("counter.ListenOverflows", 3),
    ("counter.ListenDrops", 0),
    ("call.name", "accept4"),
    ("call.arg.0", 3),
    ("last.name", "listen"),
    ("last.result", 0),
    ("last.errno", "none"),
    ("last.fd", 3),
    ("process.alive", True),
    ("process.blocked", False),
    ("output.text", ""),
]


@pytest.mark.parametrize(("name", "value"), READ)
def test_a_probe_reads_the_state(name: str, value: probes.Value) -> None:
    measured = probes.measure(FULL, name)
    assert (type(measured), measured) == (type(value), value)


UNREAD = [
    ("fd.9.kind", "descriptor 9 is not open"),
    ("client.z.state", "no client z yet"),
    ("counter.TCPSynRetrans", "was not read"),
    ("process.exit_code", "has not ended"),
    ("process.state", "not looked at yet"),
    ("client.a.code", "runs no command"),
    ("fd.3.client", "is no client of the lab"),
]


@pytest.mark.parametrize(("name", "reason"), UNREAD)
def test_what_was_not_read_says_why(name: str, reason: str) -> None:
    with pytest.raises(probes.Unmeasured) as unread:
        probes.measure(FULL, name)
    assert reason in unread.value.reason


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("listener.accept_que", '"listener.accept_queue"'),
        ("fd.3.knd", '"fd.FD.kind"'),
        ("clints.count", '"clients.count"'),
        ("client.a.states", '"client.CLIENT.state"'),
        ("counter.ListenOverflow", '"ListenOverflows"'),
        ("clients.etablished", "clients has:"),
        ("listener.accept_queue.x", "listener has:"),
        ("", ""),
    ],
)
def test_an_unknown_probe_names_the_nearest(name: str, fix: str) -> None:
    with pytest.raises(UsageError) as refusal:
        probes.check_name(name)
    assert fix in refusal.value.fix


def test_an_accepted_descriptor_knows_its_client() -> None:
    state = lab.state_of(
        lab.start(),
        lab.fds((3, 900), (4, 2500)),
        lab.sockets(lab.listener(), *lab.pair(1, None, 1)),
        lab.sockets(ev.SocketRow(201, 2, lab.SERVER, "10.0.0.2:50001", 1, rx_queue=18, inode=2500)),
        lab.client("a", 1),
        lab.call("accept", 3, result=4),
    )
    assert probes.measure(state, "fd.last.client") == "a"
    assert probes.measure(state, "fd.last.remote") == "10.0.0.2:50001"
    assert probes.measure(state, "fd.last.rx_queue") == 18
    assert probes.measure(state, "last.fd") == 4


def test_another_programs_listener_on_this_machine_is_not_ours() -> None:
    state = lab.state_of(lab.start(), lab.fds((3, 900)), lab.sockets(lab.listener(inode=1, id=5, port=22)))
    with pytest.raises(probes.Unmeasured, match="LISTEN"):
        probes.measure(state, "listener.port")
    both = lab.state_of(
        lab.start(),
        lab.fds((3, 900)),
        lab.sockets(lab.listener(inode=1, id=5, port=22), lab.listener(id=9)),
    )
    assert probes.measure(both, "listener.port") == 8080


def test_other_connections_of_the_machine_do_not_count_as_the_servers() -> None:
    foreign = ev.SocketRow(77, 2, "192.0.2.1:22", "192.0.2.9:40000", 1, inode=5)
    state = lab.state_of(lab.start(), lab.fds((3, 900)), lab.sockets(lab.listener(), foreign, *lab.pair(1, 1, 1)))
    assert probes.measure(state, "host.server.established") == 1
    assert probes.measure(state, "host.client.established") == 1


def test_two_hosts_have_tables_of_their_own() -> None:
    server_end, client_end = lab.pair(1, 3, 2)[1], lab.pair(1, None, 2)[0]
    state = lab.state_of(
        lab.start(shared=False),
        lab.fds((3, 900)),
        lab.client("a", 1),
        lab.sockets(lab.listener(), server_end),
        lab.sockets(client_end, host="client"),
    )
    assert probes.measure(state, "client.a.state") == "SYN_SENT"
    assert probes.measure(state, "host.server.syn_recv") == 1
    assert probes.measure(state, "host.client.syn_sent") == 1
    assert probes.measure(state, "listener.syn_queue") == 1


def test_a_socket_that_is_only_bound_is_not_listed() -> None:
    bound = ev.SocketRow(1, 2, "0.0.0.0:8080", "0.0.0.0:0", 7, inode=900)
    fresh = lab.state_of(lab.start(), lab.call("socket", result=3), lab.fds((3, 900)))
    assert probes.measure(fresh, "fd.3.listed") is False
    assert probes.measure(lab.state_of(lab.start(), lab.fds((3, 900)), lab.sockets(bound)), "fd.3.listed") is False


def test_a_failed_call_gives_its_error_and_no_descriptor() -> None:
    state = lab.state_of(lab.start(), lab.call("accept", 3, result=-24))
    assert probes.measure(state, "last.errno") == "EMFILE"
    assert probes.measure(state, "last.result") == -24
    with pytest.raises(probes.Unmeasured, match="failed"):
        probes.measure(state, "last.fd")


def test_a_negative_descriptor_argument_is_negative() -> None:
    state = lab.state_of(lab.start(), lab.enter("close", 0xFFFF_FFFF))
    with pytest.raises(probes.Unmeasured, match="descriptor -1 is not open"):
        probes.measure(state, "fd.call.kind")


def test_a_command_has_its_output_and_its_status_once_it_is_done() -> None:
    running = ev.Client(lab.t(), "curl", "running", host="client", argv=("curl",), pid=7)
    state = lab.state_of(
        lab.start(),
        running,
        ev.Output(lab.t(), "curl", "out", b"Hello, "),
        ev.Output(lab.t(), "server", "out", b"served\x1b[2J\n"),
        ev.Output(lab.t(), "curl", "err", b"warning"),
        ev.Output(lab.t(), "curl", "out", b"World!"),
    )
    assert probes.measure(state, "client.curl.output") == "Hello, World!"
    assert probes.measure(state, "output.text") == "served␛[2J\n"
    with pytest.raises(probes.Unmeasured, match="not ended"):
        probes.measure(state, "client.curl.code")
    done = lab.state_of(lab.start(), ev.Client(lab.t(), "curl", "done", argv=("curl",), code=7))
    assert probes.measure(done, "client.curl.code") == 7


def test_a_killed_program_has_a_signal_and_no_exit_status() -> None:
    state = lab.state_of(lab.start(), ev.Exited(lab.t(), lab.PID, signo=13))
    assert probes.measure(state, "process.signal") == "SIGPIPE"
    assert probes.measure(state, "process.alive") is False
    with pytest.raises(probes.Unmeasured, match="signal"):
        probes.measure(state, "process.exit_code")


EXAMPLE = {"KIND": "syn-ack", "FD": "3", "CLIENT": "a", "STATE": "syn_recv", "COUNTER": "ListenDrops", "I": "1"}


@pytest.mark.parametrize("name", sorted(probes.NAMES))
def test_every_registered_probe_is_measured_or_unmeasured_even_before_anything_happened(name: str) -> None:
    real = ".".join(EXAMPLE.get(part, part) for part in name.split("."))
    probes.check_name(real)
    for state in (LabState(), lab.state_of(lab.start()), FULL):
        try:
            assert isinstance(probes.measure(state, real), int | str | bool)
        except probes.Unmeasured as unread:
            assert unread.reason


@given(some.text(max_size=30))
def test_any_text_is_a_probe_or_refused_in_visible_text(name: str) -> None:
    try:
        probes.check_name(name)
    except UsageError as refusal:
        assert str(refusal) == safe(str(refusal), lines=True)


def test_only_dotted_names_in_braces_are_substituted() -> None:
    text = "{listener.port} { 0.0.0.0:80 } {x} {10.0.0.1:80} {fd.3.kind}"
    assert probes.names_in(text) == ["listener.port", "fd.3.kind"]
    assert probes.substitute(text, str.upper) == "LISTENER.PORT { 0.0.0.0:80 } {x} {10.0.0.1:80} FD.3.KIND"


# ---------------------------------------------------------------- packets


ON_THE_WIRE = lab.state_of(
    lab.start(shared=False),
    lab.client("a", 1),
    lab.client("b", 2),
    lab.sockets(ev.SocketRow(201, 2, lab.SERVER, "10.0.0.2:50001", 3)),
    lab.sockets(ev.SocketRow(101, 2, "10.0.0.2:50001", lab.SERVER, 1, rx_queue=7, tx_queue=9), host="client"),
    [lab.packet(1, "client", lab.SYN, seq=10), lab.fate(1, "delivered")],
    [lab.packet(2, "server", lab.SYN | lab.ACK, seq=70, ack=11, window=100), lab.fate(2, "delivered")],
    [lab.packet(3, "client", lab.ACK, seq=11, ack=71, window=0), lab.fate(3, "held")],
    [lab.packet(4, "server", lab.SYN | lab.ACK, seq=70, ack=11), lab.fate(4, "dropped")],
    [lab.packet(5, "client", lab.RST | lab.ACK, seq=11, ack=71, window=100), lab.fate(5, "held")],
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("packets.count", 5),
        ("packets.a.count", 5),
        ("packets.b.count", 0),
        ("packets.held", 2),
        ("packets.a.held", 2),
        ("packets.dropped", 1),
        ("packets.syn-ack", 1),
        ("packets.a.rst", 1),
        ("packets.retransmits", 1),
        ("packets.b.retransmits", 0),
        ("packets.zero_windows", 1),
        ("packets.last.flags", "RST-ACK"),
        ("packets.a.last.from", "client"),
        ("packets.last.fate", "held"),
        ("packets.next.flags", "ACK"),
        ("packets.next.from", "client"),
        ("packets.a.window", 100),
        ("server.a.listed", True),
        ("server.b.listed", False),
        ("server.a.state", "SYN_RECV"),
        ("client.a.rx_queue", 7),
        ("client.a.tx_queue", 9),
    ],
)
def test_packets_and_both_ends_of_a_connection_are_read(name: str, value: probes.Value) -> None:
    measured = probes.measure(ON_THE_WIRE, name)
    assert (type(measured), measured) == (type(value), value)


def test_once_nothing_is_held_there_is_no_next_packet() -> None:
    state = lab.state_of_from(ON_THE_WIRE, lab.fate(3, "delivered"), lab.fate(5, "dropped"))
    assert probes.measure(state, "packets.held") == 0
    with pytest.raises(probes.Unmeasured, match="no packet is held"):
        probes.measure(state, "packets.next.flags")
    assert probes.measure(ON_THE_WIRE, "packets.held") == 2
