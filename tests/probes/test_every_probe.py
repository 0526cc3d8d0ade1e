"""Every registered probe gives its own value in a lab where no two are alike, or its own reason why it has none."""

from __future__ import annotations

import pytest

from socklab import probes
from socklab.core.errors import UsageError
from socklab.protocol import events as ev
from socklab.state import CLOSE, LabState
from tests.support import streams as lab
from tests.support.streams import ACK, FIN, PID, PSH, RST, SYN

END_A, END_B = "10.0.0.2:50001", "10.0.0.2:50002"
UDP_BYTES = lab.ipv4("10.0.0.9", "10.0.0.1", 17, bytes((0, 9, 0, 9, 0, 8, 0, 0)))
ICMP_BYTES = lab.ipv4("10.0.0.9", "10.0.0.1", 1, bytes(8))


def row(id: int, local: str, remote: str, state: int, **more: int) -> ev.SocketRow:
    return ev.SocketRow(id, 2, local, remote, state, **more)


def buffers(first: int) -> dict[str, int]:
    names = ("receive_used", "receive_limit", "send_used", "send_limit")
    return {name: first + place for place, name in enumerate(names)}


CLIENT_A = ev.Client(
    3, "a", "half-closed", host="client", local=END_A, remote=lab.SERVER, inode=71, sent=31, received=32,
    tail=b"bye\x1b\n", eof=True, errno=104,
)  # fmt: skip
CLIENT_B = ev.Client(3, "b", "open", host="client", local=END_B, remote=lab.SERVER, inode=72)
CURL = ev.Client(3, "curl", "done", host="client", argv=("curl",), pid=9, code=22)
DESCRIPTORS = (
    ev.Descriptor(0, "/dev/pts/3"),
    ev.Descriptor(1, "pipe:[55]", inode=55, behind=ev.KernelObject(waiting_bytes=81, capacity=82)),
    ev.Descriptor(2, "/dev/tty"),
    ev.Descriptor(3, "socket:[900]", inode=900),
    ev.Descriptor(4, "socket:[901]", inode=901),
    ev.Descriptor(5, "anon_inode:[eventpoll]", watches=((3, 1, 3), (4, 1, 4)), behind=ev.KernelObject(ready=((4, 1),))),
    ev.Descriptor(6, "anon_inode:[eventfd]"),
    ev.Descriptor(7, "/dev/null"),
    ev.Descriptor(8, "/tmp/\x1bfile"),
    ev.Descriptor(9, "memfd:x"),
    ev.Descriptor(10, "socket:[902]", inode=902),
    ev.Descriptor(11, "socket:[903]", inode=903),
    ev.Descriptor(
        12, "socket:[904]", 904, detail="udp",
        behind=ev.KernelObject("10.0.0.1:53", "10.0.0.2:54", waiting_bytes=83, drops=84, **buffers(85)),
    ),
    ev.Descriptor(13, "socket:[905]", 905, detail="unix stream",
                  behind=ev.KernelObject("@name", listening=True, accept_queue=91, backlog=92)),
    ev.Descriptor(14, "anon_inode:[eventpoll]", watches=((3, 1, 3),), watches_more=True),
    ev.Descriptor(15, "anon_inode:[eventpoll]", watches=((3, 1, 3),), behind=ev.KernelObject(unasked=(3,))),
)  # fmt: skip
RICH = lab.state_of(
    lab.header("two-hosts"),
    ev.Started(2, PID, "server", ("./server",), "/"),
    ev.Counters(2, "server", {"TW": 100, "OutRsts": 7}),
    ev.Counters(2, "client", {"TW": 5}),
    ev.Descriptors(2, PID, DESCRIPTORS),
    lab.fds((77, 900), pid=7),
    lab.call("socket", 2, 1, result=11),
    lab.call("accept", 3, result=4),
    lab.entered("write", 4, 0xFFFF_FFFF_FFFF_FFFF, 12, 13, 14, 15),
    ev.Processes(3, (ev.ProcessRow(PID, 1, "server", "S"),)),
    [CLIENT_A, CLIENT_B, CURL],
    lab.sockets(
        lab.listener(depth=2, limit=5, id=6),
        lab.listener(depth=9, limit=9, inode=8, id=1, port=22),
        row(21, lab.SERVER, END_A, 8, inode=901, rx_queue=41, tx_queue=42, **buffers(43)),
        row(22, lab.SERVER, END_B, 3),
        row(23, lab.SERVER, "10.0.0.9:1", 12),
        row(24, "10.0.0.1:22", "10.0.0.9:2", 8),
        row(25, "0.0.0.0:0", "0.0.0.0:0", CLOSE, inode=902),
    ),
    lab.sockets(
        row(31, END_A, lab.SERVER, 4, inode=71, rx_queue=51, tx_queue=52, retransmits=6, **buffers(53)),
        row(32, END_B, lab.SERVER, 2, inode=72),
        row(33, "10.0.0.2:9", "10.0.0.1:22", 4),
        row(34, "10.0.0.2:8080", "0.0.0.0:0", 10),
        host="client",
    ),
    ev.Counters(3, "server", {"TW": 112}),
    ev.Output(4, "server", "out", b"one "),
    ev.Output(4, "server", "in", b"typed"),
    ev.Output(4, "curl", "out", b"page"),
    ev.Output(4, "server", "err", b"two\n"),
    ev.Output(4, "curl", "err", b"noise"),
    [lab.packet(1, "client", SYN, 10, window=64), lab.fate(1, "delivered")],
    [lab.packet(2, "server", SYN | ACK, 70, 11, window=65), lab.fate(2, "delivered")],
    [lab.packet(3, "client", ACK, 11, 71, window=66), lab.fate(3, "delivered")],
    [lab.packet(4, "client", PSH | ACK, 11, 71, window=67, payload=b"abc"), lab.fate(4, "dropped")],
    [lab.packet(5, "client", PSH | ACK, 11, 71, window=68, payload=b"abc"), lab.fate(5, "held")],
    [lab.packet(6, "server", ACK, 71, 14, window=0), lab.fate(6, "delivered")],
    [lab.packet(7, "client", ACK, 13, 71, window=69), lab.fate(7, "delayed")],
    [lab.packet(8, "server", FIN | ACK, 71, 14, window=70), lab.fate(8, "held")],
    [lab.packet(9, "client", SYN, 500, client=2), lab.fate(9, "dropped")],
    [lab.packet(10, "client", SYN, 500, client=2), lab.fate(10, "held")],
    [lab.packet(11, "server", RST | ACK, 0, 501, client=2, window=0)],
    ev.Packet(9, 12, "client", "server", UDP_BYTES, len(UDP_BYTES)),
    ev.Packet(9, 13, "client", "server", ICMP_BYTES, len(ICMP_BYTES)),
)

VALUES: dict[str, probes.Value] = {
    "listener.local": "0.0.0.0:8080", "listener.port": 8080, "listener.state": "LISTEN", "listener.backlog": 5,
    "listener.accept_queue": 2, "listener.syn_queue": 2, "listener.inode": 900, "listener.fd": 3,
    "fd.4.open": True, "fd.16.open": False, "fd.call.open": True, "fd.last.open": True, "fd.4.number": 4,
    "fd.call.number": 4, "fd.last.number": 4, "fd.count": 16,
    "fd.0.kind": "terminal", "fd.1.kind": "pipe", "fd.2.kind": "terminal", "fd.3.kind": "socket",
    "fd.5.kind": "epoll", "fd.6.kind": "anonymous inode", "fd.7.kind": "device", "fd.8.kind": "file",
    "fd.9.kind": "other", "fd.8.target": "/tmp/␛file", "fd.1.target": "pipe:[55]", "fd.1.inode": 55,
    "fd.4.inode": 901, "fd.3.listed": True, "fd.10.listed": False, "fd.11.listed": False, "fd.7.listed": False,
    "fd.4.state": "CLOSE_WAIT", "fd.10.state": "CLOSE", "fd.4.local": lab.SERVER, "fd.4.remote": END_A,
    "fd.1.waiting_bytes": 81, "fd.1.capacity": 82, "fd.12.waiting_bytes": 83, "fd.12.drops": 84, "fd.1.drops": 0,
    "fd.12.receive_used": 85, "fd.12.receive_limit": 86, "fd.12.send_used": 87, "fd.12.send_limit": 88,
    "fd.12.local": "10.0.0.1:53", "fd.12.remote": "10.0.0.2:54", "fd.13.local": "@name", "fd.13.listening": True,
    "fd.13.accept_queue": 91, "fd.13.backlog": 92, "fd.3.accept_queue": 2, "fd.3.backlog": 5,
    "fd.12.listening": False, "fd.5.watched": 2, "fd.5.ready": 1, "fd.15.watched": 1,
    "fd.4.receive_used": 43, "fd.4.receive_limit": 44, "fd.4.send_used": 45, "fd.4.send_limit": 46,
    "client.a.receive_used": 53, "client.a.receive_limit": 54, "client.a.send_used": 55, "client.a.send_limit": 56,
    "server.a.receive_used": 43, "server.a.receive_limit": 44, "server.a.send_used": 45, "server.a.send_limit": 46,
    "fd.4.client": "a", "fd.4.rx_queue": 41, "fd.4.tx_queue": 42, "fd.3.rx_queue": 2,
    "client.a.state": "FIN_WAIT1", "client.b.state": "SYN_SENT", "client.a.retransmits": 6, "client.a.rx_queue": 51,
    "client.a.tx_queue": 52, "client.a.phase": "half-closed", "client.curl.phase": "done", "client.a.local": END_A,
    "client.a.port": 50001, "client.b.port": 50002, "client.a.received": 32, "client.a.sent": 31,
    "client.a.errno": "ECONNRESET", "client.b.errno": "none", "client.a.eof": True, "client.b.eof": False,
    "client.a.tail": "bye␛\n", "client.b.tail": "", "client.curl.code": 22, "client.curl.output": "page",
    "client.a.output": "",
    "client.a.listed": True, "client.curl.listed": False, "clients.reset": 0,
    "server.a.listed": True, "server.curl.listed": False, "server.a.state": "CLOSE_WAIT",
    "server.b.state": "SYN_RECV", "server.a.rx_queue": 41, "server.a.tx_queue": 42, "server.b.tx_queue": 0,
    "clients.count": 3, "clients.open": 2, "clients.fin_wait1": 1, "clients.syn_sent": 1, "clients.established": 0,
    "host.server.close_wait": 1, "host.server.syn_recv": 2, "host.server.listen": 1, "host.server.close": 0,
    "host.client.fin_wait1": 1, "host.client.syn_sent": 1, "host.client.listen": 0, "host.client.close_wait": 0,
    "counter.TW": 12, "counter.OutRsts": 0,
    "call.name": "write", "call.arg.0": 4, "call.arg.1": -1, "call.arg.2": 12, "call.arg.3": 13, "call.arg.4": 14,
    "call.arg.5": 15, "last.name": "accept", "last.result": 4, "last.errno": "none", "last.fd": 4,
    "process.state": "sleeping", "process.blocked": True, "process.alive": True, "output.text": "one two\n",
    "packets.count": 13, "packets.a.count": 8, "packets.b.count": 3, "packets.held": 3, "packets.a.held": 2,
    "packets.b.held": 1, "packets.dropped": 2, "packets.retransmits": 2, "packets.a.retransmits": 1,
    "packets.zero_windows": 1, "packets.a.zero_windows": 1, "packets.b.zero_windows": 0, "packets.window_probes": 1,
    "packets.a.window_probes": 1, "packets.b.window_probes": 0, "packets.syn": 2, "packets.a.syn": 1,
    "packets.syn-ack": 1, "packets.data": 1, "packets.psh": 1, "packets.fin": 1, "packets.b.rst": 1, "packets.rst": 1,
    "packets.tcp": 9, "packets.udp": 1, "packets.icmp": 1, "packets.all": 11, "packets.ack": 3, "packets.b.ack": 0,
    "packets.last.flags": "echo reply", "packets.a.last.flags": "FIN-ACK", "packets.b.last.flags": "RST-ACK",
    "packets.last.from": "client", "packets.a.last.from": "server", "packets.last.fate": "on the wire",
    "packets.a.last.fate": "held", "packets.b.last.fate": "on the wire", "packets.a.window": 69,
    "packets.next.flags": "PSH-ACK", "packets.next.from": "client",
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_a_probe_reads_its_own_value_and_no_other(name: str) -> None:
    measured = probes.measure(RICH, name)
    assert (type(measured), measured) == (type(VALUES[name]), VALUES[name])


ENDED = lab.state_of(lab.start(), lab.call("close", 3, result=-9), ev.Exited(5, PID, code=3))
KILLED = lab.state_of(lab.start(), ev.Exited(5, PID, signo=13))
UNKNOWN_STATE = row(77, "10.0.0.1:7", "10.0.0.2:7", 99)
"""Of a kernel that is newer than we are."""
WITH_UNKNOWN = lab.state_of(
    lab.start(), lab.fds((3, 900)), lab.sockets(UNKNOWN_STATE, lab.listener(), *lab.pair(1, 1, 1))
)
AFTER: list[tuple[LabState, str, probes.Value]] = [
    (ENDED, "process.exit_code", 3),
    (ENDED, "process.signal", "none"),
    (ENDED, "process.alive", False),
    (ENDED, "last.errno", "EBADF"),
    (ENDED, "last.result", -9),
    (ENDED, "last.fd", 3),
    (lab.state_of(lab.start(), lab.client("a", 1, "reset", 104), lab.client("b", 2)), "clients.reset", 1),
    (lab.state_of(lab.start(), lab.client("a", 1, "closed")), "client.a.listed", False),
    (KILLED, "process.signal", "SIGPIPE"),
    (lab.state_of(lab.start(), ev.Exited(5, PID, signo=99)), "process.signal", "signal 99"),
    (lab.state_of(lab.start(), lab.call("read", 3, result=-4095)), "last.errno", "errno 4095"),
    (lab.state_of(lab.start(), lab.call("read", 3, result=-4096)), "last.errno", "none"),
    (lab.state_of(lab.start(), lab.call("read", 3, result=5)), "last.errno", "none"),
    (WITH_UNKNOWN, "host.server.established", 1),
    (lab.state_of(lab.start(), lab.process("?")), "process.state", "?"),
    (lab.state_of(lab.start(), ev.Output(1, "server", "out", b"x" * 5000)), "output.text", "x" * 4096),
    (lab.state_of(lab.start(), lab.call("close", 0xFFFF_FFFF_0000_0007)), "last.fd", 7),
    (lab.state_of(lab.start(), lab.call("close", 0x8000_0000)), "last.fd", -0x8000_0000),
    (lab.state_of(lab.start(), lab.call("close", 0x7FFF_FFFF)), "last.fd", 0x7FFF_FFFF),
    (lab.state_of(lab.start(), lab.enter("close", 1 << 63)), "call.arg.0", -(1 << 63)),
    (lab.state_of(lab.start(), lab.enter("close", (1 << 63) - 1)), "call.arg.0", (1 << 63) - 1),
]


@pytest.mark.parametrize(("state", "name", "value"), AFTER)
def test_an_end_an_error_and_a_limit_are_read(state: LabState, name: str, value: probes.Value) -> None:
    measured = probes.measure(state, name)
    assert (type(measured), measured) == (type(value), value)


def test_process_states_are_those_of_the_manual_page() -> None:
    words = {
        "R": "running", "S": "sleeping", "D": "disk sleep", "T": "stopped", "t": "tracing stop", "Z": "zombie",
        "X": "dead", "I": "idle",
    }  # fmt: skip
    for letter, word in words.items():
        assert probes.measure(lab.state_of(lab.start(), lab.process(letter)), "process.state") == word


@pytest.mark.parametrize(
    "name",
    ["socket", "accept", "accept4", "open", "openat", "openat2", "dup", "dup2", "dup3", "epoll_create1", "eventfd2"],
)
def test_a_call_that_gives_a_descriptor_is_about_the_one_it_gave(name: str) -> None:
    from socklab.syscalls import tables

    number = next(nr for nr in range(500) if tables.name("x86_64", nr) == name)
    told = [lab.entered(number, 5), lab.result(number, 9)]
    assert probes.measure(lab.state_of(lab.start(), told), "last.fd") == 9


BEGUN = lab.state_of(lab.start())
MACHINE = lab.state_of(lab.header("machine"))
REASONS: list[tuple[LabState, str, str]] = [
    (LabState(), "fd.count", "no program runs yet"),
    (LabState(), "process.alive", "no program runs yet"),
    (LabState(), "call.name", "no program runs yet"),
    (BEGUN, "listener.local", "no socket of the program is in state LISTEN"),
    (BEGUN, "listener.syn_queue", "no socket of the program is in state LISTEN"),
    (BEGUN, "fd.call.open", "the program has made no call yet"),
    (BEGUN, "call.arg.0", "the program has made no call yet"),
    (BEGUN, "last.name", "no call has returned yet"),
    (lab.state_of(lab.start(), lab.enter("read", 3)), "last.fd", "no call has returned yet"),
    (RICH, "fd.16.target", "descriptor 16 is not open"),
    (RICH, "fd.3.receive_used", "what the buffers of 0.0.0.0:8080 hold was not read"),
    (RICH, "fd.11.waiting_bytes", "what is behind descriptor 11 was not asked"),
    (RICH, "fd.13.waiting_bytes", "it has no bytes to be read"),
    (RICH, "fd.13.remote", "no TCP table lists descriptor 13"),
    (RICH, "fd.4.accept_queue", "descriptor 4 is no listener whose queue was read"),
    (RICH, "fd.12.backlog", "descriptor 12 is no listener whose queue was read"),
    (RICH, "fd.12.capacity", "it is no pipe"),
    (RICH, "fd.12.ready", "descriptor 12 is no epoll instance"),
    (RICH, "fd.14.watched", "descriptor 14 watches more than were asked"),
    (RICH, "fd.15.ready", "not all that descriptor 15 watches could be asked"),
    (RICH, "fd.5.inode", "descriptor 5 is neither socket nor pipe"),
    (RICH, "fd.7.state", "no TCP table lists descriptor 7"),
    (RICH, "fd.11.rx_queue", "no TCP table lists descriptor 11"),
    (RICH, "fd.3.client", "0.0.0.0:0 is no client of the lab"),
    (RICH, "client.z.sent", "no client z yet"),
    (RICH, "client.curl.state", "no TCP table lists a socket of client curl"),
    (RICH, "client.curl.local", "client curl has no address yet"),
    (RICH, "client.curl.port", "client curl has no address yet"),
    (RICH, "client.a.code", "client a runs no command"),
    (RICH, "packets.curl.count", "client curl has no address yet"),
    (RICH, "packets.z.count", "no client z yet"),
    (RICH, "server.curl.state", "the server's host lists no socket for client curl"),
    (RICH, "counter.InErrs", "the counter InErrs was not read"),
    (BEGUN, "process.state", "the process was not looked at yet"),
    (ENDED, "process.state", "the process is gone"),
    (BEGUN, "process.exit_code", "the program has not ended"),
    (BEGUN, "process.signal", "the program has not ended"),
    (KILLED, "process.exit_code", "a signal killed the program; it has no exit status"),
    (MACHINE, "packets.count", "the lab sees no packets on the machine's own network"),
    (BEGUN, "packets.last.flags", "no packet has come yet"),
    (BEGUN, "packets.next.flags", "no packet is held"),
    (lab.state_of(lab.start(), lab.client("a", 1)), "packets.a.window", "the client has sent no packet yet"),
    (lab.state_of(lab.start(), lab.call("accept", 3, result=-24)), "last.fd", "accept failed and gave no descriptor"),
]


@pytest.mark.parametrize(("state", "name", "reason"), REASONS)
def test_a_probe_without_a_value_says_why_in_a_students_words(state: LabState, name: str, reason: str) -> None:
    with pytest.raises(probes.Unmeasured) as unread:
        probes.measure(state, name)
    assert (unread.value.reason, str(unread.value)) == (reason, reason)


def test_no_registered_probe_is_left_out_of_these_tables() -> None:
    asked = [*VALUES, *(name for _, name, _ in AFTER), *(name for _, name, _ in REASONS)]
    met = set()
    for name in asked:
        met.update(known for known in probes.NAMES if _is_like(name, known))
    assert met == set(probes.NAMES)


def test_every_probe_has_a_meaning() -> None:
    assert all(isinstance(meaning, str) and meaning for meaning in probes.NAMES.values())


def _is_like(name: str, known: str) -> bool:
    parts, wanted = name.split("."), known.split(".")
    return len(parts) == len(wanted) and all(w.isupper() or p == w for p, w in zip(parts, wanted, strict=True))


# ---------------------------------------------------------------- whose rows are whose


def test_the_last_call_is_that_of_the_task_in_focus() -> None:
    told = [ev.Forked(2, PID, 101, "thread"), lab.call("read", 3, result=7), lab.call("close", 5, tid=101, result=0)]
    other = lab.state_of(lab.start(), told)
    assert probes.measure(other, "last.name") == "close"
    back = lab.state_of_from(other, lab.enter("write", 4))
    assert probes.measure(back, "last.name") == "read"
    asleep = lab.state_of(lab.start(), ev.Forked(2, PID, 101, "thread"), lab.call("read", 3), lab.entered("close", 4))
    gone = lab.state_of_from(asleep, ev.Exited(3, PID))
    assert probes.measure(gone, "last.name") == "read"


def test_a_client_is_found_by_its_ends_and_else_by_its_inode() -> None:
    gone = ev.Client(1, "a", "closed", host="client", local=END_A, remote=lab.SERVER, inode=0)
    state = lab.state_of(lab.start(), gone, lab.sockets(row(31, END_A, lab.SERVER, 6)))
    assert probes.measure(state, "client.a.state") == "TIME_WAIT"
    unconnected = ev.Client(1, "a", "open", host="client", local=END_A, remote="", inode=5)
    state = lab.state_of(lab.start(), unconnected, lab.sockets(row(31, END_A, "0.0.0.0:0", 7, inode=5)))
    assert probes.measure(state, "client.a.state") == "CLOSE"
    neither = ev.Client(1, "a", "open", host="client", local=END_A, remote=lab.SERVER)
    assert probes.client_row(lab.state_of(lab.start(), lab.sockets(row(31, END_A, "x:1", 7))), neither) is None


def test_the_servers_ports_are_what_it_listens_on_and_where_clients_went() -> None:
    state = lab.state_of(lab.start(), lab.fds((3, 900)), lab.sockets(lab.listener(port=81)), lab.client("a", 1), CURL)
    assert probes.server_ports(state) == {81, 8080}
    assert [r.id for r in probes.own_listeners(RICH)] == [6]
    assert probes.port_of("[::1]:8080") == probes.port_of("10.0.0.1:8080") == 8080


def test_on_one_private_host_both_ends_are_counted_in_its_one_table() -> None:
    state = lab.state_of(lab.start(), lab.fds((3, 900)), lab.sockets(lab.listener(), *lab.pair(1, 8, 4)))
    assert probes.measure(state, "host.server.close_wait") == 1
    assert probes.measure(state, "host.client.fin_wait1") == 1
    assert probes.measure(state, "host.client.listen") == 0
    alone = lab.state_of(
        lab.header("machine", hosts=(ev.Host("server", ("127.0.0.1",)),)),
        ev.Started(1, PID, "server", ("x",), "/"),
        lab.fds((3, 900)),
        lab.sockets(lab.listener(), *lab.pair(1, 8, 4)),
    )
    assert probes.measure(alone, "host.client.fin_wait1") == 1


def test_a_counter_of_a_shared_table_is_found_under_its_owner() -> None:
    hosts = (ev.Host("server", ("a",), shares_table_with="client"), ev.Host("client", ("b",)))
    start = [lab.header(hosts=hosts), ev.Started(1, PID, "server", ("x",), "/")]
    state = lab.state_of(start, ev.Counters(2, "client", {"TW": 5}), ev.Counters(3, "client", {"TW": 9}))
    assert probes.measure(state, "counter.TW") == 4


def test_the_packet_in_hand_is_the_one_held_longest_and_still_known() -> None:
    state = lab.state_of_from(RICH, lab.fate(5, "delivered"))
    assert probes.measure(state, "packets.next.flags") == "FIN-ACK"
    assert probes.measure(state, "packets.next.from") == "server"
    unknown = lab.state_of(lab.start(), lab.fate(3, "held"), lab.packet(7, "client", SYN), lab.fate(7, "held"))
    assert probes.measure(unknown, "packets.next.flags") == "SYN"


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name",
    ["fd.12345678.open", "fd.x.open", "fd.-1.open", "client.1a.state", "client.a_-9.stat", "clients.ESTABLISHED",
     "client.abcdefghijklmnopq.sent", "call.arg.6", "counter.tw", "counter.T", "packets.syn.ac", "listener",
     "xlistener.port", "listener.portx", "listenerXport"],
)  # fmt: skip
def test_a_name_that_only_looks_like_a_probe_is_refused(name: str) -> None:
    for ask in (probes.check_name, lambda name: probes.measure(RICH, name)):
        with pytest.raises(UsageError, match="no probe"):
            ask(name)


@pytest.mark.parametrize(
    "name",
    ["fd.1234567.open", "client.a_-9.state", "client.abcdefghijklmnop.sent", "call.arg.5", "clients.time_wait",
     "packets.syn-ack", "packets.A.icmp", "counter.TW"],
)  # fmt: skip
def test_a_name_at_the_edge_of_its_parts_is_a_probe(name: str) -> None:
    probes.check_name(name)


def test_a_counter_the_kernel_has_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError) as refusal:
        probes.check_name("counter.ListenDrop")
    assert (refusal.value.what, refusal.value.fix) == (
        'no counter "ListenDrop"', 'Did you mean "ListenDrops"?'
    )  # fmt: skip
    for name in probes.COUNTERS:
        probes.check_name(f"counter.{name}")


def test_a_mistyped_last_part_names_all_that_its_subject_has() -> None:
    with pytest.raises(UsageError) as refusal:
        probes.check_name("process.stat")
    assert refusal.value.fix == (
        "process has: process.alive, process.blocked, process.exit_code, process.signal, process.state. "
        'Did you mean "process.state"?'
    )
    with pytest.raises(UsageError) as refusal:
        probes.check_name("call.arg.9")
    assert refusal.value.fix.startswith("call has: call.arg.I. ")
    with pytest.raises(UsageError) as refusal:
        probes.check_name("call")
    assert "has:" not in refusal.value.fix
