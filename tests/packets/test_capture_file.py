"""Captures made from a stream, read back by tshark and by hand."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from socklab import state as st
from socklab.core.errors import SocklabError, UsageError
from socklab.packets import capture_file
from socklab.protocol import events as ev
from tests.support.wirescene import ACK, SYN, WireScene

BEGAN_NS = 1_700_000_000_000_000_000


def stream() -> list[ev.Event]:
    scene = WireScene()
    scene.handshake(40001)
    assert scene.state.header is not None
    return [scene.state.header, *scene.state.packets]


def write(path: Path, events: list[ev.Event], tail: bytes = b"") -> Path:
    path.write_bytes(b"".join(map(ev.encode, events)) + tail)
    return path


def records(data: bytes) -> list[tuple[int, bytes]]:
    """(nanoseconds since the epoch, packet) of a pcap file, by the format's own description."""
    assert data[:4] == bytes.fromhex("4d3cb2a1")
    found, data = [], data[24:]
    while data:
        seconds, nanoseconds, kept = (int.from_bytes(data[at : at + 4], "little") for at in (0, 4, 8))
        found.append((seconds * 10**9 + nanoseconds, data[16 : 16 + kept]))
        data = data[16 + kept :]
    return found


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_a_handshake_out_of_a_recorded_stream_at_its_time_of_day(tmp_path: Path) -> None:
    recording = write(tmp_path / "run.jsonl", stream())
    assert capture_file.to_pcap(recording, tmp_path / "run.pcap") == 3
    fields = ["frame.time_epoch", "tcp.flags.str", "tcp.seq", "tcp.ack"]
    done = subprocess.run(
        ["tshark", "-r", str(tmp_path / "run.pcap"), "-T", "fields", *(w for f in fields for w in ("-e", f))],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == [f"1700000001.0{n}0000000" for n in (1, 2, 3)]
    assert [row[1].replace("·", "") for row in rows] == ["S", "AS", "A"]
    assert [row[2:] for row in rows] == [["0", "0"], ["0", "1"], ["1", "1"]]


def test_a_living_state_gives_the_same_capture_as_its_stream() -> None:
    events = stream()
    ours, theirs = io.BytesIO(), io.BytesIO()
    assert (
        capture_file.packets(events, ours)
        == capture_file.state_packets(st.apply_all(st.LabState(), events), theirs)
        == 3
    )
    assert ours.getvalue() == theirs.getvalue()
    assert records(ours.getvalue())[0][0] == BEGAN_NS + 1_010_000_000


def test_a_line_cut_off_by_a_kill_ends_the_stream_and_is_no_error(tmp_path: Path) -> None:
    recording = write(tmp_path / "run.jsonl", stream(), b'{"e":"packet","t":9,')
    assert capture_file.to_pcap(recording, tmp_path / "run.pcap") == 3


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    recording = write(tmp_path / "run.jsonl", stream(), b"hello\n")
    with pytest.raises(SocklabError, match="line 5"):
        capture_file.to_pcap(recording, tmp_path / "run.pcap")


def test_a_file_that_is_no_stream_leaves_no_capture_behind(tmp_path: Path) -> None:
    recording = write(tmp_path / "run.jsonl", stream()[1:])
    with pytest.raises(SocklabError, match="header"):
        capture_file.to_pcap(recording, tmp_path / "run.pcap")
    assert not (tmp_path / "run.pcap").exists()


def test_a_target_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        capture_file.to_pcap(write(tmp_path / "run.jsonl", stream()), tmp_path)


@given(
    some.integers(-(2**63), 2**63),
    some.lists(some.tuples(some.integers(-(2**63), 2**63), some.binary(max_size=99), some.integers(0, 2**31))),
)
def test_whatever_times_and_sizes_a_recording_says_the_capture_holds_every_packet(
    began: int, seen: list[tuple[int, bytes, int]]
) -> None:
    header = ev.Header(0, 1, "0", "6", "x86_64", began, "two-hosts", ())
    file = io.BytesIO()
    capture_file.packets(
        [header, *(ev.Packet(t, n, "client", "server", d, size) for n, (t, d, size) in enumerate(seen))], file
    )
    assert [data for _, data in records(file.getvalue())] == [data for _, data, _ in seen]


def test_sizes_on_the_wire_are_kept_where_only_a_beginning_was_reported() -> None:
    scene = WireScene()
    scene.up(40001, SYN | ACK, 0, payload=bytes(100))
    packet = scene.state.packets[0]
    file = io.BytesIO()
    capture_file.packets([ev.Packet(0, 1, "client", "server", packet.data[:60], packet.length)], file)
    assert int.from_bytes(file.getvalue()[36:40], "little") == 140
