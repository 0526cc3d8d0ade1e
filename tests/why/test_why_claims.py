"""What is answered where the record is whole, and what is said not to be known where it is not: on built streams."""

from __future__ import annotations

import struct

import pytest

from socklab import why
from socklab.core.errors import UsageError
from socklab.protocol import events as ev
from socklab.state import CLOSE_WAIT, ESTABLISHED, FIN_WAIT1, LISTEN, History
from tests.support import streams as lab
from tests.support.streams import ACK, CLIENT, FIN, PID, PSH, RST, SERVER, SYN
from tests.why.support import asked, history_of, links, unknown

PEER = struct.pack("<HH", 2, 0) + bytes([10, 0, 0, 2]) + bytes(8)
SETSOCKOPT, CLONE, DUP, FCNTL, EXECVE, IO_URING_ENTER = 54, 56, 32, 72, 59, 426
SOMEWHERE = 4096


def peer(client: int = 1) -> bytes:
    """The struct sockaddr_in that accept writes for a client of the lab."""
    return PEER[:2] + struct.pack(">H", 50000 + client) + PEER[4:]


class Told(lab.Stream):
    """A server on two hosts with client a connected and accepted as descriptor 4; packets 1 to 3 are the handshake."""

    def __init__(self, *, connect: str = "connect a") -> None:
        super().__init__(lab.start(shared=False), lab.fds((3, 900)), lab.sockets(lab.listener()))
        self.number = 3
        self.tell(
            ev.Acted(lab.t(), connect, "student"),
            ev.Client(lab.t(), "a", "open", "client", f"{CLIENT}50001", SERVER, 2001),
            self.seen(1, "client", SYN, 100),
            self.seen(2, "server", SYN | ACK, 500, 101),
            self.seen(3, "client", ACK, 101, 501),
            self.made("accept", 3, SOMEWHERE, SOMEWHERE + 64, result=4, out=(ev.Mem(SOMEWHERE, peer()),)),
        )

    def seen(self, number: int, source: str, flags: int, seq: int, ack: int = 0, **more: object) -> list[ev.Event]:
        """A packet that was delivered."""
        return [
            lab.packet(number, source, flags, seq, ack, **more),
            lab.fate(number, str(more.pop("fate", "delivered"))),
        ]

    def sends(self, source: str, seq: int, payload: bytes, fate: str = "delivered") -> Told:
        """A packet with data."""
        self.number += 1
        self.tell(lab.packet(self.number, source, PSH | ACK, seq, 1, payload=payload), lab.fate(self.number, fate))
        return self

    def flags(self, source: str, flags: int, seq: int, ack: int = 1) -> Told:
        self.number += 1
        return self.tell(lab.packet(self.number, source, flags, seq, ack), lab.fate(self.number, "delivered"))

    def made(
        self,
        name: str | int,
        *args: int,
        result: int = 0,
        tid: int = PID,
        data: bytes = b"",
        out: tuple[ev.Mem, ...] = (),
    ) -> list[ev.Event]:
        """A call from its stop before to its return; `data` lies where its second argument points."""
        mem = (ev.Mem(args[1], data),) if data else ()
        held = ev.Held(lab.t(), tid, "enter", (ev.Frame("server.c", 10 + len(self.events), "main"),))
        return [
            lab.entered(name, *args, tid=tid, mem=mem),
            held,
            ev.Resumed(lab.t(), tid),
            lab.result(name, result, tid, out),
        ]

    def writes(self, data: bytes, tid: int = PID) -> Told:
        return self.tell(self.made("write", 4, SOMEWHERE, len(data), result=len(data), tid=tid, data=data))

    def received(self, count: int, tail: bytes = b"") -> Told:
        return self.tell(
            ev.Client(
                lab.t(),
                "a",
                "open",
                "client",
                f"{CLIENT}50001",
                SERVER,
                2001,
                received=count,
                tail=tail or bytes(count),
            )
        )

    @property
    def history(self) -> History:
        history = History()
        for event in self.events:
            history.add(event)
        return history

    def links(self, words: str) -> list[why.Link]:
        history = self.history
        return links(history.now, words, history)


# ---------------------------------------------------------------- bytes


def test_two_writes_in_one_packet_are_told_apart_by_their_counts() -> None:
    told = Told().writes(b"abc").writes(b"defg").sends("server", 501, b"abcdefg").received(7, b"abcdefg")
    third, fourth = (told.links(f"client a {byte}") for byte in (3, 4))
    assert [link.packet for link in (third[0], fourth[0])] == [4, 4]
    assert third[1].what.startswith('byte 3 of 3: write(4, "abc"')
    assert fourth[1].what.startswith('byte 1 of 4: write(4, "defg"')


def test_equal_writes_are_not_taken_for_one_another() -> None:
    told = Told().writes(b"same").writes(b"same").sends("server", 501, b"same").sends("server", 505, b"same")
    found = told.received(8).links("client a 5")
    calls = [call.number + 1 for call in told.state.calls if call.entered.nr == lab.NUMBERS["write"]]
    assert found[0].packet == 5 and found[1].call == calls[1]


def test_writes_that_overlap_in_time_are_not_put_in_an_order() -> None:
    told = Told()
    told.tell(
        lab.entered("write", 4, SOMEWHERE, 1, mem=(ev.Mem(SOMEWHERE, b"x"),)),
        ev.Forked(lab.t(), PID, 101, "thread"),
        lab.entered("write", 4, SOMEWHERE, 1, tid=101, mem=(ev.Mem(SOMEWHERE, b"x"),)),
        lab.result("write", 1),
        lab.result("write", 1, tid=101),
    )
    found = told.sends("server", 501, b"xx").received(2).links("client a 1")
    assert found[0].packet == 4
    assert unknown(found[1:]) == [
        "who wrote these bytes: two calls were made at one time: which of them came first is not recorded"
    ]


def test_bytes_that_no_recorded_call_wrote_have_no_writer() -> None:
    found = Told().writes(b"abc").sends("server", 501, b"abcdef").received(6).links("client a 2")
    (why_not,) = unknown(found)
    assert "more bytes went out than the recorded calls wrote" in why_not


def test_where_packet_and_buffer_differ_the_count_is_not_trusted() -> None:
    found = Told().writes(b"abc").sends("server", 501, b"xyz").received(3).links("client a 1")
    (why_not,) = unknown(found)
    assert "other bytes" in why_not


def test_an_io_uring_may_have_written_too() -> None:
    told = Told().writes(b"abc")
    told.tell(told.made(IO_URING_ENTER, 7, 1, result=1))
    found = told.sends("server", 501, b"abc").received(3).links("client a 1")
    assert "io_uring" in unknown(found)[0]


def test_a_packet_that_was_not_recorded_is_said_and_the_write_is_told_all_the_same() -> None:
    found = Told().writes(b"abc").received(3).links("client a 1")
    assert unknown(found) == ["the packets that carried them: none was recorded"]
    assert found[-1].call


def test_bytes_of_a_write_that_still_sleeps_are_its_own_up_to_what_it_was_asked_to_write() -> None:
    told = Told().writes(b"abc")
    told.tell(lab.entered("write", 4, SOMEWHERE, 100, mem=(ev.Mem(SOMEWHERE, b"defgh"),)), ev.Resumed(lab.t(), PID))
    told.sends("server", 501, b"abcdefgh").received(8)
    assert told.links("client a 4")[-1].what.startswith("byte 1 of 100: write(4")
    told.sends("server", 509, b"x" * 96).received(104)
    assert "more bytes went out" in unknown(told.links("client a 4"))[0]


def test_a_write_before_which_the_program_is_held_has_written_nothing() -> None:
    told = Told()
    told.tell(lab.entered("write", 4, SOMEWHERE, 3, mem=(ev.Mem(SOMEWHERE, b"abc"),)), ev.Held(lab.t(), PID, "enter"))
    assert "more bytes went out" in unknown(told.sends("server", 501, b"abc").received(3).links("client a 1"))[0]


def test_a_failed_write_adds_no_byte_and_a_short_one_what_it_says() -> None:
    told = Told()
    told.tell(told.made("write", 4, SOMEWHERE, 9, result=-11, data=b"notwriten"))
    told.tell(told.made("write", 4, SOMEWHERE, 6, result=2, data=b"abcdef"))
    told.writes(b"cd").sends("server", 501, b"abcd").received(4)
    assert "bytes" not in told.links("client a 3")[-1].what
    assert told.links("client a 3")[-1].what.startswith('byte 1 of 2: write(4, "cd"')


def test_the_same_number_opened_anew_is_another_connection() -> None:
    told = Told().writes(b"abc").sends("server", 501, b"abc")
    told.tell(told.made("close", 4))
    told.tell(
        ev.Acted(lab.t(), "connect b", "student"),
        ev.Client(lab.t(), "b", "open", "client", f"{CLIENT}50002", SERVER, 2002, received=2, tail=b"zz"),
        lab.packet(10, "client", SYN, 900, client=2),
        lab.fate(10, "delivered"),
        lab.packet(11, "server", SYN | ACK, 700, 901, client=2),
        lab.fate(11, "delivered"),
        told.made("accept", 3, SOMEWHERE, SOMEWHERE + 64, result=4, out=(ev.Mem(SOMEWHERE, peer(2)),)),
    )
    told.writes(b"zz")
    told.tell(lab.packet(12, "server", PSH | ACK, 701, 901, client=2, payload=b"zz"), lab.fate(12, "delivered"))
    assert told.links("client b 1")[-1].what.startswith('byte 1 of 2: write(4, "zz"')


def test_a_send_that_names_nobody_is_given_to_the_client_that_told_of_it_at_once() -> None:
    told = Told()
    told.tell(
        ev.Acted(lab.t(), 'send "hi"', "student"),
        ev.Client(lab.t(), "a", "open", "client", f"{CLIENT}50001", SERVER, 2001, sent=2),
        ev.Client(lab.t(), "b", "open", "client", f"{CLIENT}50002", SERVER, 2002),
    )
    told.sends("client", 101, b"hi")
    assert told.links("packet 4")[-1].what == 'all 2 bytes: you: send "hi"'
    without = links(told.state, "packet 4")
    assert "named no client" in unknown(without)[0], "without the history nobody knows"


# ---------------------------------------------------------------- resets


def reset_after(told: Told) -> list[why.Link]:
    """The program closes the connection, and its kernel resets it."""
    told.tell(told.made("close", 4))
    told.flags("server", RST | ACK, 501, 101)
    return told.links(f"packet {told.number}")


def test_a_reset_without_a_recorded_reason_has_none() -> None:
    found = reset_after(Told())
    assert "nothing recorded at the server says so" in unknown(found)[0]
    assert found[-1].what.startswith("closes: close(4)")


def test_a_reset_of_a_connection_that_nobody_closed_has_no_reason_and_says_what_is_open() -> None:
    told = Told().flags("server", RST | ACK, 501, 101)
    (why_not,) = unknown(told.links("packet 4"))
    assert "descriptor 4 of process 100 is open" in why_not


@pytest.mark.parametrize(("on", "seconds", "known"), [(1, 0, True), (1, 5, False), (0, 0, False)])
def test_only_so_linger_that_is_on_with_0_seconds_is_a_reason(on: int, seconds: int, known: bool) -> None:
    told = Told()
    told.tell(
        lab.entered(SETSOCKOPT, 4, 1, 13, SOMEWHERE, 8, mem=(ev.Mem(SOMEWHERE, struct.pack("<ii", on, seconds)),)),
        lab.result(SETSOCKOPT, 0),
    )
    found = reset_after(told)
    assert any("SO_LINGER was on" in link.what for link in found) == known
    assert bool(unknown(found)) != known


def test_bytes_that_were_read_in_time_are_no_reason() -> None:
    told = Told()
    data = [lab.packet(4, "client", PSH | ACK, 101, 501, payload=b"hello"), lab.fate(4, "delivered")]
    told.number = 4
    told.tell(ev.Acted(lab.t(), 'send a "hello"', "student"), data, told.made("read", 4, SOMEWHERE, 9, result=5))
    told.tell(told.made("close", 4)).flags("server", RST | ACK, 501, 106)
    assert "no unread bytes" in unknown(told.links("packet 5"))[0]


def test_bytes_that_were_held_on_the_wire_had_not_come() -> None:
    told = Told()
    told.tell(ev.Acted(lab.t(), 'send a "hello"', "student")).sends("client", 101, b"hello", "held")
    told.tell(told.made("close", 4)).flags("server", RST | ACK, 501, 101)
    assert unknown(told.links("packet 5"))


def refused(*before: lab.Part, history: History | None = None) -> History:
    """Client a's SYN is answered with an RST; a run of its own, or the end of one."""
    told = lab.Stream(lab.start(shared=False) if history is None else (), *before)
    told.tell(
        ev.Acted(lab.t(), "connect a", "student"),
        ev.Client(lab.t(), "a", "failed", "client", f"{CLIENT}50001", SERVER, errno=111),
        lab.packet(1, "client", SYN, 100),
        lab.fate(1, "delivered"),
        lab.packet(2, "server", RST | ACK, 0, 101),
        lab.fate(2, "delivered"),
    )
    history = History() if history is None else history
    for event in told.events:
        history.add(event)
    return history


def test_that_nobody_listened_is_said_only_where_the_table_had_been_read_and_had_no_listener() -> None:
    unread = refused()
    assert "whether anybody listened" in unknown(links(unread.now, "client a", unread))[0]
    read = refused(lab.enter("accept", 3))
    found = links(read.now, "client a", read)
    assert not unknown(found) and "no socket of the host was in LISTEN on port 8080" in found[1].what
    listened = refused(lab.enter("accept", 3), lab.sockets(lab.listener()))
    assert "a socket listened on port 8080" in unknown(links(listened.now, "client a", listened))[0]


def test_a_listener_on_another_address_is_why_nobody_answers_on_this_one() -> None:
    row = ev.SocketRow(1, 2, "127.0.0.1:8080", "0.0.0.0:0", LISTEN, inode=900)
    history = refused(lab.enter("accept", 3), lab.sockets(row))
    found = links(history.now, "client a", history)
    assert not unknown(found)
    assert "at 127.0.0.1:8080 only, and the SYN was for 10.0.0.1:8080" in found[1].what


def test_a_listener_from_before_the_oldest_event_that_is_kept_is_not_forgotten() -> None:
    history = History(keep_events=40)
    for event in lab.Stream(lab.start(shared=False), lab.sockets(lab.listener())).events:
        history.add(event)
    for _ in range(200):
        history.add(ev.Output(lab.t(), "server", "out", b"."))
    assert history.is_cut
    refused(lab.enter("accept", 3), history=history)
    assert "a socket listened on port 8080" in unknown(links(history.now, "client a", history))[0]


# ---------------------------------------------------------------- descriptors, calls


def test_a_descriptor_without_a_call_that_made_it_is_not_given_one() -> None:
    told = Told()
    told.tell(lab.fds((9, 990)))
    (link,) = told.links("fd 9")
    assert not link.known and "no recorded call made it" in link.reason


def test_a_copy_leads_to_what_it_is_a_copy_of() -> None:
    told = Told()
    told.tell(told.made(DUP, 4, result=5), lab.fds((5, 901)))
    found = told.links("fd 5")
    assert "a copy of descriptor 4" in found[0].what and "accept(3" in found[1].what
    assert found[2].what == "you: connect a"


def test_a_close_that_is_being_made_has_closed_nothing() -> None:
    told = Told()
    told.tell(lab.fds((4, 901)), lab.entered("close", 4), ev.Held(lab.t(), PID, "enter"))
    assert "accept(3" in told.links("fd 4")[0].what


@pytest.mark.parametrize("inherited", [False, True])
def test_an_exec_closes_what_was_not_meant_to_be_inherited(inherited: bool) -> None:
    told = Told()
    marked = [] if inherited else [lab.entered(FCNTL, 4, 2, 1), lab.result(FCNTL, 0)]
    told.tell(
        marked,
        lab.entered(CLONE, 17),
        ev.Forked(lab.t(), PID, 200, "fork"),
        lab.result(CLONE, 200),
        lab.entered(EXECVE, SOMEWHERE, tid=200),
        lab.result(EXECVE, 0, tid=200),
        told.made("close", 4),
    )
    found = told.flags("server", FIN | ACK, 501, 101).links("packet 4")
    if inherited:
        assert "descriptor 4 of process 200 is open" in unknown(found)[0]
    else:
        assert "close(4)" in found[-1].what and not unknown(found)


def test_ebadf_names_the_close() -> None:
    told = Told()
    told.tell(told.made("close", 4), told.made("write", 4, SOMEWHERE, 1, result=-9, data=b"x"))
    found = told.links("call")
    assert "EBADF" in found[1].what and found[2].what.startswith("closed by: close(4)")


def test_of_calls_that_were_let_go_it_is_said() -> None:
    told = Told()
    state = told.state
    calls = type(state.calls)(1)
    for call in [*state.calls] * 3:
        calls = calls.append(call)
    import msgspec

    cut = msgspec.structs.replace(state, calls=calls, tasks={})
    assert "were let go" in unknown(links(cut, "queue 1"))[0]


# ---------------------------------------------------------------- states


def test_close_wait_is_the_clients_fin_and_its_act() -> None:
    told = Told()
    told.tell(
        ev.Acted(lab.t(), "half-close a", "student"),
        lab.packet(4, "client", FIN | ACK, 101, 501),
        lab.fate(4, "delivered"),
        lab.fds((4, 901)),
        lab.sockets(ev.SocketRow(7, 2, SERVER, f"{CLIENT}50001", CLOSE_WAIT, inode=901)),
    )
    history = told.history
    (chain,) = why.why(history.now, why.Subject("sockets", "server", 7), history)
    assert chain.links[1].packet == 4 and chain.links[2].what == "sends FIN: you: half-close a"


def test_fin_wait1_names_the_ack_that_is_held() -> None:
    told = Told()
    told.tell(
        ev.Acted(lab.t(), "half-close a", "student"),
        lab.packet(4, "client", FIN | ACK, 101, 501),
        lab.fate(4, "delivered"),
        lab.packet(5, "server", ACK, 501, 102),
        lab.fate(5, "held"),
        lab.sockets(ev.SocketRow(8, 2, f"{CLIENT}50001", SERVER, FIN_WAIT1, inode=2001), host="client"),
    )
    history = told.history
    (chain,) = why.why(history.now, why.Subject("sockets", "client", 8), history)
    assert [link.packet for link in chain.links] == [5, 4, 0]
    assert "the ACK of its FIN has not arrived" in chain.links[0].what


def test_established_goes_back_over_ack_syn_ack_and_syn_to_the_connect() -> None:
    told = Told()
    told.tell(lab.fds((4, 901)), lab.sockets(ev.SocketRow(7, 2, SERVER, f"{CLIENT}50001", ESTABLISHED, inode=901)))
    history = told.history
    (chain,) = why.why(history.now, why.Subject("sockets", "server", 7), history)
    assert "accept(3" in chain.links[0].what
    assert [link.packet for link in chain.links[1:4]] == [3, 2, 1]
    assert chain.links[4].what == "you: connect a"


def test_connect_5_is_known_to_have_made_a_client_only_by_what_followed_it() -> None:
    told = Told(connect="connect 5")
    assert told.links("packet 1")[0].what == "you: connect 5"
    told.tell(ev.Acted(lab.t(), "connect 2", "student"))
    assert "the act is not recorded" in unknown(links(told.state, "packet 1"))[0]


# ---------------------------------------------------------------- words


@pytest.mark.parametrize("words", ["nonsense", "packet x", "fd 9999999999999", "client z", "socket 99"])
def test_what_is_not_there_is_refused_with_a_way_on(words: str) -> None:
    state = Told().state
    with pytest.raises(UsageError) as refusal:
        asked(state, words)
    assert refusal.value.fix


def test_a_panel_without_a_row_is_a_list_to_choose_from_and_each_line_can_be_typed() -> None:
    state = Told().state
    for panel in ("clients", "wire", "descriptors"):
        assert why.typed(state, panel) == panel
        listed = why.subjects(state, panel)
        assert listed
        for subject, label in listed:
            assert why.typed(state, label.partition(":")[0]) in (
                subject,
                subject.__class__(panel, number=subject.number),
            )


def test_nothing_typed_is_about_this_stop_and_what_it_changed() -> None:
    told = Told()
    told.tell(lab.enter("listen", 3, 4), lab.returned("listen", 0), lab.fds((8, 1)))
    titles = [chain.title for chain in asked(told.state, "")]
    assert titles[0].endswith("listen") and any("descriptor 8" in title for title in titles)


@pytest.mark.parametrize(("rises", "said"), [(6, ""), (7, "and 1 rise before that"), (8, "and 2 rises before that")])
def test_the_rises_of_a_counter_that_are_not_listed_are_counted(rises: int, said: str) -> None:
    events = [ev.Counters(10 + n, "server", {"InSegs": n}) for n in range(rises + 1)]
    history = history_of([lab.header("two-hosts"), *events])
    listed = [link.what for link in links(history.now, "counters server InSegs", history) if link.known]
    assert listed[:6] == ["+1, read at this stop"] * 6 and "".join(listed[6:]) == said
