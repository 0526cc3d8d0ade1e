"""Why, asked of servers that are run for it: bytes across packets, forks, held packets, errors; each with an oracle."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from socklab import state as st, why
from socklab.packets import packet_log
from socklab.packets.decode import RST
from socklab.protocol import commands as cmd
from socklab.protocol.pending import Pending
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import History, LabState
from tests.why.support import asked, links, text, unknown

pytestmark = pytest.mark.kernel

DEADLINE_S = 60.0


class Asked:
    """A program in a lab that is driven by a test, with its history."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.history = History()
        self._pending = Pending()

    @property
    def state(self) -> LabState:
        return self.history.now

    def until(self, reached: Callable[[LabState], bool], what: str, *, stepping: bool = False) -> LabState:
        """Fold events until `reached`; `stepping`: every task that is held is stepped meanwhile."""
        deadline = time.monotonic() + DEADLINE_S
        while not reached(self.state):
            assert time.monotonic() < deadline, f"never happened: {what}"
            assert not self.link.ended, self.link.diagnostics()
            ready = self.state.ready
            if stepping and ready is not None:
                for tid in ready.held:
                    if tid not in self._pending.stepped:
                        self._send(cmd.Step(tid=tid))
            select.select([self.link], [], [], 0.2)
            for event in self.link.read_available():
                self.history.add(event)
                self._pending.feed(event)
        return self.state

    def _send(self, command: cmd.AnyCommand) -> None:
        self._pending.sent(self.link.send(command), command)

    def do(self, line: str) -> None:
        self._send(cmd.Do(line))

    def free(self) -> None:
        self._send(cmd.Continue())

    def links(self, words: str) -> list[why.Link]:
        return links(self.state, words, self.history)

    def text(self, words: str) -> str:
        return text(self.state, words, self.history)


@contextmanager
def lab(folder: Path, source: str, network: str = "two-hosts") -> Iterator[Asked]:
    """A Python server, held before its accept; skips where there is no such network."""
    (folder / "server.py").write_text(source)
    with Link.start(RunSpec(argv=(str(folder / "server.py"),), cwd=str(folder), network=network)) as link:
        asked = Asked(link)
        state = asked.until(lambda now: bool(now.listeners) and now.ready is not None, "it listens", stepping=True)
        assert state.header is not None
        if state.header.network != network:
            pytest.skip(f"no {network} here")
        yield asked


def line(source: str, words: str) -> int:
    return next(number for number, text in enumerate(source.splitlines(), 1) if words in text)


def data_packets(state: LabState, client: str) -> list[tuple[int, int]]:
    """(number, bytes) of the server's data packets to a client, by the packets alone."""
    local = state.clients[client].local
    passed = (packet_log.at(state.packets, place) for place in range(len(state.packets)))
    return [
        (each.packet.id, each.segment.payload_bytes)
        for each in passed
        if each.segment.payload_bytes and each.segment.destination_end == local
    ]


LISTENS = """\
import os, socket, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("", 8080))
server.listen(5)
"""

WRITES = (
    LISTENS
    + """\
one, peer = server.accept()
one.recv(100)
one.sendall(b"x" * 4000)
one.sendall(b"second")
one.send(b"third")
server.accept()
"""
)


def test_a_byte_is_told_apart_by_sequence_numbers_however_writes_were_cut_into_packets(tmp_path: Path) -> None:
    with lab(tmp_path, WRITES) as run:
        run.do("connect a")
        run.do('send a "go"')
        run.free()
        state = run.until(lambda now: "a" in now.clients and now.clients["a"].received == 4011, "all was read")
        sizes = data_packets(state, "a")
        assert len(sizes) > 3, "4,000 bytes are more than a packet"
        wanted = {1: "x", 1460: "x", 4000: "x", 4001: "second", 4006: "second", 4007: "third", 4011: "third"}
        for byte, word in wanted.items():
            (chain,) = asked(state, f"client a {byte}", run.history)
            assert not unknown(list(chain.links)), chain
            (packet,) = (link for link in chain.links if link.packet)
            before = 0
            for number, size in sizes:
                if before < byte <= before + size:
                    assert packet.packet == number
                before += size
            written = chain.links[-1]
            assert word in written.what
            first = {"x": 1, "second": 4001, "third": 4007}[word]
            assert f"byte {byte - first + 1} of {len(word) if word != 'x' else '4,000'}" in written.what
        sent = run.links("client a")
        assert any('send a "go"' in link.what for link in sent)


def test_a_call_at_which_nobody_was_held_has_no_line_and_says_so(tmp_path: Path) -> None:
    with lab(tmp_path, WRITES) as run:
        run.do("connect a")
        run.do('send a "go"')
        run.free()
        run.until(lambda now: "a" in now.clients and now.clients["a"].received == 4011, "all was read")
        written = run.links("client a 4001")[-1]
        assert not written.line and "not held" in written.reason and written.call


READS = (
    LISTENS
    + """\
one, peer = server.accept()
one.recv(4)
one.recv(1)
server.accept()
"""
)


def test_bytes_that_wait_are_those_behind_the_last_read_and_the_act_that_sent_them(tmp_path: Path) -> None:
    with lab(tmp_path, READS) as run:
        run.do("connect a")
        run.do('send a "abcd"')
        run.do('send a "efghi"')
        run.until(lambda now: "a" in now.clients and now.clients["a"].sent == 9, "sent")

        def waits(now: LabState) -> bool:
            return any(row.rx_queue == 4 and row.inode for row in now.table_of("server").rows.values())

        run.until(waits, "4 bytes wait", stepping=True)
        (row,) = (row for row in run.state.table_of("server").rows.values() if row.rx_queue == 4)
        chains = why.why(run.state, why.Subject("sockets", "server", row.id), run.history)
        chain = next(chain for chain in chains if chain.title == "4 bytes wait to be read")
        assert "recv" in chain.links[0].what and chain.links[0].line == line(READS, "recv(1)")
        assert chain.links[-1].what == 'bytes 2 to 5 of 5: you: send a "efghi"'


def test_bytes_without_an_ack_name_the_packet_that_is_held_and_the_write(tmp_path: Path) -> None:
    source = LISTENS + 'one, peer = server.accept()\none.send(b"hello")\nserver.accept()\n'
    with lab(tmp_path, source) as run:
        run.do("hold data from server")
        run.do("connect a")

        def unacked(now: LabState) -> bool:
            rows = now.table_of("server").rows.values()
            return bool(len(now.on_the_way)) and any(r.tx_queue == 5 and r.state == st.ESTABLISHED for r in rows)

        run.until(unacked, "its data is held", stepping=True)
        rows = run.state.table_of("server").rows.values()
        (row,) = (row for row in rows if row.tx_queue == 5 and row.state == st.ESTABLISHED)
        chains = why.why(run.state, why.Subject("sockets", "server", row.id), run.history)
        chain = next(chain for chain in chains if "not acknowledged" in chain.title)
        held = set(run.state.on_the_way)
        assert chain.links[0].packet in held and "held on the wire" in chain.links[0].what
        assert chain.links[-1].line == line(source, "one.send") and "all 5 bytes" in chain.links[-1].what


def test_a_write_that_sleeps_waits_for_bytes_that_were_never_sent_because_the_window_is_0(tmp_path: Path) -> None:
    source = LISTENS + 'one, peer = server.accept()\none.sendall(b"x" * 3_000_000)\nserver.accept()\n'
    with lab(tmp_path, source) as run:
        run.do("connect a")
        run.do("stop-reading a")

        def sleeps(now: LabState) -> bool:
            task = now.task
            last = [p for p in map(partial(packet_log.at, now.packets), range(len(now.packets))) if p.rightward]
            shut = bool(last) and last[-1].segment.window == 0
            return task is not None and now.blocked(task.tid) and shut and not len(now.on_the_way)

        run.until(sleeps, "it sleeps in sendto", stepping=True)
        found = run.links("call")
        assert found[0].line == line(source, "sendall")
        assert any("the other end's window is 0" in link.what for link in found)
        assert "of 3,000,000: sendto" in found[-1].what and not unknown(found)


def test_syn_recv_is_a_held_syn_ack_and_the_clients_connect(tmp_path: Path) -> None:
    with lab(tmp_path, WRITES) as run:
        run.do("hold syn-ack")
        run.do("connect a")
        run.until(lambda now: len(now.on_the_way) > 0 and bool(now.table_of("server").syn_received), "held")
        (row,) = run.state.table_of("server").syn_received.values()
        (chain,) = why.why(run.state, why.Subject("sockets", "server", row.id), run.history)
        assert "no ACK of the other end" in chain.links[0].what
        assert chain.links[1].packet in set(run.state.on_the_way) and "SYN-ACK" in chain.links[1].what
        assert chain.links[-1].what == "you: connect a"
        waiting = run.links("client a")
        assert "the SYN-ACK has not arrived" in waiting[0].what


FORKS = (
    LISTENS
    + """\
one, peer = server.accept()
if os.fork() == 0:
    server.close()
    copy = os.dup(one.fileno())
    os.write(copy, b"child")
    one.recv(10)
    os._exit(0)
one.close()
os.wait()
server.accept()
"""
)


def test_a_descriptor_of_a_child_leads_through_the_fork_to_its_parents_accept(tmp_path: Path) -> None:
    with lab(tmp_path, FORKS) as run:
        run.do("connect a")
        run.until(
            lambda now: "a" in now.clients and now.clients["a"].received == 5 and now.ready is not None,
            "the child wrote",
            stepping=True,
        )
        child = next(task.pid for task in run.state.tasks.values() if task.parent)
        parent = run.state.tasks[child].parent
        (made, *_) = asked(run.state, f"fd 4 of {child}", run.history)
        assert f"from its parent {parent}" in made.links[0].what and made.links[0].line == line(FORKS, "os.fork")
        assert "accept" in made.links[1].what and made.links[1].line == line(FORKS, "server.accept")
        assert made.links[-1].what == "you: connect a"

        (chain,) = asked(run.state, "client a 5", run.history)
        assert "child" in chain.links[-1].what and chain.links[-1].line == line(FORKS, "os.write")


def test_the_connection_ends_with_the_last_descriptor_not_with_the_parents_close(tmp_path: Path) -> None:
    with lab(tmp_path, FORKS) as run:
        run.do("connect a")
        run.until(lambda now: "a" in now.clients and now.clients["a"].received == 5, "it wrote", stepping=True)
        run.do('send a "bye"')
        run.until(lambda now: now.clients["a"].eof, "the child is gone", stepping=True)
        child = next(task.pid for task in run.state.tasks.values() if task.parent)

        def end_of_stream() -> tuple[why.Link, ...]:
            chains = asked(run.state, "client a", run.history)
            return next(chain for chain in chains if "end of stream" in chain.title).links

        # The client has read its end before the packet and the child's end are told.
        run.until(lambda _: all(link.known for link in end_of_stream()), "all of it is told", stepping=True)
        first, *_, last = end_of_stream()
        assert "FIN" in first.what
        assert "exit_group" in last.what or f"process {child} is gone" in last.what, last


PIPE = (
    LISTENS
    + """\
one, peer = server.accept()
one.recv(10)
for _ in range(3):
    try:
        one.send(b"more")
    except OSError as error:
        print(error.errno)
server.accept()
"""
)


def test_epipe_leads_to_the_rst_and_that_to_data_behind_the_clients_close(tmp_path: Path) -> None:
    with lab(tmp_path, PIPE) as run:
        run.do("connect a")
        run.do('send a "hi"')
        run.do("close a")
        run.until(lambda now: now.clients.get("a") is not None and now.clients["a"].phase == "closed", "closed")
        broken = "one.send"

        def failed(now: LabState) -> bool:
            call = now.task.call if now.task is not None else None
            return call is not None and call.returned is not None and call.returned.result == -32

        run.until(failed, "EPIPE", stepping=True)
        found = run.links("call")
        assert found[0].line == line(PIPE, broken)
        assert "EPIPE" in found[1].what
        passed = [packet_log.at(run.state.packets, place) for place in range(len(run.state.packets))]
        rst = next(each for each in passed if each.segment.flags & RST)
        data = next(each for each in passed if each.segment.payload_bytes == 4)
        assert [link.packet for link in found if link.packet] == [rst.packet.id, data.packet.id]
        assert any("client a had closed" in link.what for link in found)
        first = next(link for link in found if "more" in link.what and link is not found[0])
        assert first.call < found[0].call, "the write before it brought the RST"
        assert found[-1].what == "you: close a" and not unknown(found)


IN_USE = (
    LISTENS
    + """\
other = socket.socket()
try:
    other.bind(("", 8080))
except OSError as error:
    print(error.errno)
server.accept()
"""
)


def test_eaddrinuse_names_the_row_that_holds_the_port_and_who_made_it_listen(tmp_path: Path) -> None:
    with lab(tmp_path, IN_USE) as run:

        def refused(now: LabState) -> bool:
            call = now.task.call if now.task is not None else None
            return call is not None and call.returned is not None and call.returned.result == -98

        run.until(refused, "EADDRINUSE", stepping=True)
        found = run.links("call")
        assert "LISTEN 0.0.0.0:8080 holds port 8080" in found[2].what
        assert found[3].line == line(IN_USE, "server = socket")


def test_a_limit_that_somaxconn_cut_is_not_put_down_to_the_backlog(tmp_path: Path) -> None:
    source = LISTENS.replace("listen(5)", "listen(3)") + "server.listen(50)\nserver.accept()\n"
    with lab(tmp_path, source) as run:
        run.do("set net.core.somaxconn 7")
        run.until(lambda now: any("somaxconn" in n for s in now.settings.values() for n in s), "it is set")
        run.until(lambda now: now.listeners[0].tx_queue == 7, "listen again", stepping=True)
        limit = asked(run.state, "queue 1", run.history)[2]
        assert limit.links[0].what.startswith("net.core.somaxconn is 7")
        assert limit.links[1].line == line(source, "listen(50)")


def test_on_the_machines_own_network_no_packet_is_recorded_and_the_rest_is_told(tmp_path: Path) -> None:
    from tests.support.servers import free_port

    port = free_port()
    source = WRITES.replace("8080", str(port))
    with lab(tmp_path, source, "machine") as run:
        run.do("connect a")
        run.do('send a "go"')
        run.until(lambda now: "a" in now.clients and now.clients["a"].received == 4011, "all was read", stepping=True)
        chain = asked(run.state, "client a 4001", run.history)[0]
        assert unknown(list(chain.links)) == [
            "the packets that carried them: packets are not recorded on the machine's own network"
        ]
        assert "second" in chain.links[-1].what and chain.links[-1].line == line(source, 'b"second"')
