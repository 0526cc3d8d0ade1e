"""A lab with a wire, driven by its commands: what is held, what both hosts' kernels then say, what a capture shows."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import socklab
from socklab import lesson as lessons
from socklab.packets import packet_log
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import ESTABLISHED, NEW_SYN_RECV, SYN_RECV, SYN_SENT, LabState, apply

pytestmark = pytest.mark.kernel

ROOT = Path(socklab.__file__).resolve().parent.parent
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


class Driven:
    """A program on two hosts; every stop waits for the test."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.state = LabState()

    def until(self, reached: Callable[[LabState], bool], what: str, *, stepping: bool = False) -> LabState:
        deadline = time.monotonic() + 60
        while not reached(self.state):
            assert time.monotonic() < deadline, f"never happened: {what}"
            assert not self.link.ended, self.link.diagnostics()
            select.select([self.link], [], [], 0.2)
            for event in self.link.read_available():
                self.state = apply(self.state, event)
                if stepping and isinstance(event, ev.Held) and not reached(self.state):
                    self.link.send(cmd.Step())
        return self.state

    def do(self, line: str) -> None:
        self.link.send(cmd.Do(line))

    def states(self, host: str) -> set[int]:
        """TCP states of the connections in a host's table, listeners left out."""
        found = {row.state for row in self.state.table_of(host).rows.values() if row.state != 10}
        return {SYN_RECV if number == NEW_SYN_RECV else number for number in found}


@pytest.fixture
def listening() -> Iterator[Driven]:
    """The backlog lesson's server without its lesson, on two hosts, held after listen."""
    server = lessons.load(lessons.find("backlog")).server_file("python")
    with Link.start(RunSpec(argv=(str(server), "8080"), cwd="/", network="two-hosts")) as link:
        driven = Driven(link)
        state = driven.until(lambda now: bool(now.listeners), "a listener", stepping=True)
        if state.header is None or state.header.network != "two-hosts":
            pytest.skip(f"no two hosts here: {[notice.text for notice in state.notices]}")
        yield driven


def test_with_the_syn_ack_held_one_host_says_syn_sent_and_the_other_syn_recv(listening: Driven) -> None:
    listening.do("hold syn-ack")
    listening.until(lambda now: now.wire_rules == ("hold syn-ack",), "the rule is told")
    listening.do("connect a")
    listening.until(lambda now: len(now.on_the_way) > 0, "a packet is held")
    listening.until(lambda _: listening.states("client") == {SYN_SENT}, "SYN_SENT on the client")
    listening.until(lambda _: listening.states("server") == {SYN_RECV}, "SYN_RECV on the server")

    listening.do("release")
    both = {ESTABLISHED}
    listening.until(lambda _: listening.states("client") == listening.states("server") == both, "both ESTABLISHED")
    state = listening.until(lambda now: now.wire_rules == (), "no rule is left")
    assert not len(state.on_the_way)
    assert all(ns > 0 for ns in state.waited_ns.values())


def test_with_the_ack_held_only_the_client_believes_in_the_connection(listening: Driven) -> None:
    listening.do("hold ack from client")
    listening.do("connect a")
    listening.until(lambda _: listening.states("client") == {ESTABLISHED}, "ESTABLISHED on the client")
    listening.until(lambda _: listening.states("server") == {SYN_RECV}, "SYN_RECV on the server")
    state = listening.until(lambda now: len(now.on_the_way) > 0, "a packet is held")
    held = [packet_log.at(state.packets, i) for i, p in enumerate(state.packets) if state.fates[p.id] == "held"]
    assert {passed.segment.summary for passed in held} == {"ACK"}
    assert all(passed.rightward for passed in held)


def test_a_rule_for_the_next_packet_is_gone_once_it_has_come(listening: Driven) -> None:
    listening.do("hold next syn-ack")
    listening.until(lambda now: bool(now.wire_rules), "the rule is told")
    listening.do("connect a")
    state = listening.until(lambda now: not now.wire_rules, "the rule is used up")
    assert len(state.on_the_way) == 1


def test_a_delivery_tells_by_the_packets_fate_alone(listening: Driven) -> None:
    listening.do("hold next syn-ack")
    listening.do("connect a")
    listening.until(lambda now: len(now.on_the_way) == 1, "a packet is held")
    notices = len(listening.state.notices)
    listening.do("deliver")
    listening.until(lambda now: not len(now.on_the_way), "it goes on")
    listening.do("deliver")
    state = listening.until(lambda now: len(now.notices) > notices, "nothing is left to deliver, and that is said")
    assert "Nothing is held" in state.notices[-1].text


# ---------------------------------------------------------------- captures


def lab(*args: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "socklab", *args]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"}
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, cwd=cwd, env=env, timeout=120, check=False
    )


def fields(capture: Path, *names: str) -> list[list[str]]:
    words = [word for name in names for word in ("-e", name)]
    done = subprocess.run(
        ["tshark", "-r", str(capture), "-T", "fields", *words], capture_output=True, text=True, check=True
    )
    assert "cut short" not in done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


@needs_tshark
def test_a_capture_of_lifecycle_shows_refusal_handshake_request_response_and_four_way_close(tmp_path: Path) -> None:
    began = time.time()
    done = lab("lesson", "lifecycle", "--net", "two-hosts", "--auto", "--json", "--pcap", "wire.pcap", cwd=tmp_path)
    header = json.loads(done.stdout.splitlines()[0])
    if header["network"] != "two-hosts":
        pytest.skip("no two hosts here")
    assert done.returncode == 0
    rows = fields(
        tmp_path / "wire.pcap", "tcp.stream", "ip.src", "tcp.flags", "tcp.len", "frame.time_epoch",
        "tcp.analysis.retransmission", "_ws.malformed", "http.request.method", "http.response.code",
    )  # fmt: skip
    assert all(began <= float(row[4]) <= time.time() for row in rows)
    assert not [row for row in rows if row[6]]
    streams: dict[str, list[str]] = defaultdict(list)
    for stream, source, flags, size, _, again, _, method, code in rows:
        if again:
            continue  # a busy machine acknowledges late, and TCP sends again what was not lost
        who = "client" if source == "10.0.0.2" else "server"
        bits = int(flags, 16)
        names = [name for bit, name in ((2, "SYN"), (1, "FIN"), (4, "RST"), (16, "ACK")) if bits & bit]
        streams[stream].append(f"{who} {'-'.join(names)}" + (f" {method or code}" if int(size) else ""))
    refused, *served = streams.values()
    assert refused == ["client SYN", "server RST-ACK"]
    assert served
    for packets in served:
        told = [packet for packet in packets if not packet.endswith(" ACK")]
        assert packets[:3] == ["client SYN", "server SYN-ACK", "client ACK"]
        assert told[2:4] == ["client ACK GET", "server ACK 200"]
        assert sorted(told[4:]) == ["client FIN-ACK", "server FIN-ACK"]
        assert packets[-1].endswith(" ACK")  # of the second FIN


@needs_tshark
def test_the_exported_stream_and_the_capture_hold_the_same_packets_at_the_same_times(tmp_path: Path) -> None:
    done = lab("lesson", "lifecycle", "--net", "two-hosts", "--auto", "--json", "--pcap", "wire.pcap", cwd=tmp_path)
    (tmp_path / "run.jsonl").write_bytes(done.stdout)
    assert lab("export", "run.jsonl", "--pcap", "export.pcap", cwd=tmp_path).returncode == 0
    both = [
        fields(tmp_path / name, "frame.time_epoch", "ip.id", "tcp.seq_raw") for name in ("wire.pcap", "export.pcap")
    ]
    # The clients' last words, when the lab ends them, are heard by the wire alone.
    assert len(both[0]) - len(both[1]) <= 4
    assert [row[1:] for row in both[0][: len(both[1])]] == [row[1:] for row in both[1]]
    apart = [abs(float(a[0]) - float(b[0])) for a, b in zip(*both, strict=False)]
    assert max(apart) < 0.001


@needs_tshark
def test_one_private_host_is_captured_too(tmp_path: Path) -> None:
    done = lab("lesson", "lifecycle", "--net", "private", "--auto", "--json", "--pcap", "lo.pcap", cwd=tmp_path)
    if json.loads(done.stdout.splitlines()[0])["network"] != "private":
        pytest.skip("no private host here")
    if b"cannot be seen" in done.stdout:
        pytest.skip("packets cannot be seen here")
    assert [row[0] for row in fields(tmp_path / "lo.pcap", "tcp.flags.str")][:1]


def test_a_capture_that_cannot_be_written_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = lab("lesson", "lifecycle", "--auto", "--pcap", "nowhere/wire.pcap", cwd=tmp_path)
    assert done.returncode == 2
    assert b"its directory does not exist" in done.stderr
    assert done.stdout == b""
