"""Captures made from a stream, read back by tshark and by hand."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, strategies as some

from socklab import state as st
from socklab.core.errors import SocklabError, UsageError
from socklab.packets import capture_file
from socklab.protocol import codec, events as ev
from tests.support.wirescene import ACK, SYN, WireScene

BEGAN_NS = 1_700_000_000_000_000_000


def stream() -> list[ev.Event]:
    scene = WireScene()
    scene.handshake(40001)
    assert scene.state.header is not None
    return [scene.state.header, *scene.state.packets]


def write(path: Path, events: list[ev.Event], tail: bytes = b"") -> Path:
    path.write_bytes(b"".join(map(codec.encode, events)) + tail)
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


def test_what_a_state_knows_is_written_and_counted_and_its_file_named(tmp_path: Path) -> None:
    scene = WireScene()
    scene.handshake(40001)
    target = tmp_path / "run.pcap"
    assert capture_file.write(scene.state, str(target)) == f"3 packets written to {target}."
    assert [packet for _, packet in records(target.read_bytes())] == [packet.data for packet in scene.state.packets]
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        capture_file.write(scene.state, str(tmp_path / "none" / "x.pcap"))


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


def test_a_capture_is_the_formats_bytes_and_no_more() -> None:
    header = ev.Header(0, 1, "0", "6", "x86_64", 1_700_000_000_000_000_000, "two-hosts", ())
    packet = ev.Packet(1_000_000_005, 1, "client", "server", b"\x45abc", 9)
    file = io.BytesIO()
    assert capture_file.packets([ev.LessonDone(3), header, packet], file) == 1
    # https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html, little-endian, nanoseconds, LINKTYPE_RAW
    assert file.getvalue() == bytes.fromhex(
        "4d3cb2a1" "0200" "0400" "00000000" "00000000" "00000400" "65000000"
        "01f15365" "05000000" "04000000" "09000000" "45616263"
    )  # fmt: skip


def test_a_size_smaller_than_what_came_is_not_believed() -> None:
    file = io.BytesIO()
    capture_file.packets([ev.Packet(0, 1, "client", "server", b"\x45abc", 2)], file)
    assert file.getvalue()[32:40] == bytes((4, 0, 0, 0, 4, 0, 0, 0))


def test_times_out_of_the_formats_range_are_its_ends() -> None:
    file = io.BytesIO()
    stream = [ev.Packet(t, 1, "client", "server", b"", 0) for t in (-5, 2**32 * 10**9, (2**32 - 1) * 10**9, 1)]
    capture_file.packets(stream, file)
    assert [time for time, _ in records(file.getvalue())] == [0, (2**32 - 1) * 10**9, (2**32 - 1) * 10**9, 1]


def test_a_state_without_a_header_counts_from_the_epoch() -> None:
    file = io.BytesIO()
    state = st.apply(st.LabState(), ev.Packet(7, 1, "client", "server", b"x", 1))
    assert capture_file.state_packets(state, file) == 1
    assert records(file.getvalue()) == [(7, b"x")]


def test_empty_lines_are_skipped_and_lines_are_counted_with_them(tmp_path: Path) -> None:
    head, *rest = map(codec.encode, stream())
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"\n" + head + b"  \n" + b"".join(rest))
    assert capture_file.to_pcap(path, tmp_path / "run.pcap") == 3
    path.write_bytes(b"\n" + head + b"\n{}\n" + rest[0])
    with pytest.raises(SocklabError, match=r"line 4: this is no event"):
        capture_file.to_pcap(path, tmp_path / "run.pcap")
    path.write_bytes(head + b'{"e":"packet"}\n')
    with pytest.raises(SocklabError, match=r"line 2"):
        list(capture_file.read_stream(path))
    assert [type(event) for event in capture_file.read_stream(write(path, stream()))] == [ev.Header] + [ev.Packet] * 3


def test_a_recording_that_is_not_there_or_empty_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing.jsonl cannot be read: No such file"):
        capture_file.to_pcap(tmp_path / "nothing.jsonl", tmp_path / "run.pcap")
    (tmp_path / "empty").touch()
    with pytest.raises(SocklabError, match="does not begin") as refusal:
        capture_file.to_pcap(tmp_path / "empty", tmp_path / "run.pcap")
    assert "--json" in refusal.value.fix


def test_the_command_says_how_many_packets_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "run.pcap"
    for events, count in ((stream(), "3 packets"), (stream()[:2], "1 packet"), (stream()[:1], "0 packets")):
        assert capture_file.show(str(write(tmp_path / "run.jsonl", events)), str(target)) == 0
        out, err = capsys.readouterr()
        assert (out, err) == ("", f"{count} written to {target}.\n")
        assert len(records(target.read_bytes())) == int(count.split()[0])
