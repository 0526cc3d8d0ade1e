"""Capture files, as the tools that open them read them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from socklab.packets import pcap
from tests.packets.test_decode import SYN_BYTES


def _capture(path: Path) -> None:
    whole = pcap.record(1_700_000_000_000_000_001, SYN_BYTES)
    path.write_bytes(pcap.HEADER + whole + pcap.record(1_700_000_000_999_999_999, SYN_BYTES[:48], len(SYN_BYTES)))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_opens_a_capture_with_its_nanoseconds_and_cut_packets(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    _capture(path)
    fields = ["frame.time_epoch", "frame.len", "frame.cap_len", "ip.src", "tcp.dstport", "tcp.flags.str"]
    run = subprocess.run(
        ["tshark", "-r", str(path), "-T", "fields", *(w for f in fields for w in ("-e", f))],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    assert [row[:5] for row in rows] == [
        ["1700000000.000000001", "60", "60", "10.0.0.2", "80"],
        ["1700000000.999999999", "60", "48", "10.0.0.2", "80"],
    ]


def test_scapy_reads_the_packets_back(tmp_path: Path) -> None:
    scapy = pytest.importorskip("scapy.all", reason="scapy is an extra of the tests")
    path = tmp_path / "a.pcap"
    _capture(path)
    assert [bytes(packet) for packet in scapy.rdpcap(str(path))] == [SYN_BYTES, SYN_BYTES[:48]]


def test_a_packet_longer_than_the_files_limit_is_cut_and_its_size_kept() -> None:
    record = pcap.record(0, bytes(pcap.SNAPLEN + 5))
    kept, size = int.from_bytes(record[8:12], "little"), int.from_bytes(record[12:16], "little")
    assert (kept, size, len(record)) == (pcap.SNAPLEN, pcap.SNAPLEN + 5, 16 + pcap.SNAPLEN)
