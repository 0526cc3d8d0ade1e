"""The /proc parsers against recorded kernel text and against text that does not fit."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from hypothesis import given, strategies as st

from socklab.engine.kernel import procfs
from socklab.engine.kernel.procfs import FdInfo, ProcFormatError, Unread

# Recorded on Linux 6.18, x86-64; the blanks that fill each line up to 149 columns are cut off.
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000     0        0 374385 3 0000000095a44a82 100 0 0 10 0
   3: 0100007F:D0B2 0100007F:1F90 06 00000000:00000000 03:00001625 00000000     0        0 0 3 000000002cf22d4f
   6: 0100007F:D0CE 0100007F:1F90 02 00000001:00000000 01:0000004C 00000003     0        0 374390 2 00000000424be8be 100 0 0 1 -1
   7: 0100007F:1F90 0100007F:D0BE 01 00000000:0000000C 00:00000000 00000000     0        0 0 1 00000000fd9b2ce3 20 4 30 10 -1
"""  # noqa: E501
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000002 00:00000000 00000000     0        0 374391 3 0000000035682485 100 0 0 10 0
   1: 00000000000000000000000001000000:1F91 00000000000000000000000001000000:AACE 01 00000000:00000000 00:00000000 00000000     0        0 0 1 000000008b32660f 20 0 0 10 -1
   2: 0000000000000000FFFF00000100007F:1F91 0000000000000000FFFF00000100007F:9184 01 00000000:00000000 00:00000000 00000000     0        0 0 1 000000002e29587f 20 0 0 10 -1
"""  # noqa: E501
NETSTAT = """\
TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPReqQFullDrop
TcpExt: 0 7 9 2
IpExt: InNoRoutes InCsumErrors
IpExt: 1 3
MPTcpExt: MPCapableSYNRX
MPTcpExt: 4
"""
SNMP = """\
Ip: Forwarding InReceives
Ip: 1 900
Tcp: MaxConn ActiveOpens InCsumErrors
Tcp: -1 12 5
Udp: InDatagrams
Udp: 1
"""
STAT = (
    "4242 (a) b) (c\n) S 17 4242 4242 0 -1 4194304 179 0 0 0 250 50 0 0 20 0 3 0 10338 10153984 1571 "
    "18446744073709551615 1 1 0 0 0 0 0 4096 2 1 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
)


def test_a_listeners_rx_queue_is_the_number_of_waiting_connections() -> None:
    row, line = procfs.parse_tcp_table(TCP, "little")[0]
    assert (row.local, row.remote, row.state) == ("127.0.0.1:8080", "0.0.0.0:0", 10)
    assert (row.rx_queue, row.tx_queue, row.inode) == (2, 0, 374385)
    assert line.startswith("   0: 0100007F:1F90")


def test_a_time_wait_line_is_shorter_and_fits() -> None:
    row = procfs.parse_tcp_table(TCP, "little")[1].row
    assert (row.state, row.timer, row.inode) == (6, 3, 0)


def test_a_retransmitting_syn_shows_its_timer_and_how_often_it_was_sent() -> None:
    row = procfs.parse_tcp_table(TCP, "little")[2].row
    assert (row.local, row.remote, row.state) == ("127.0.0.1:53454", "127.0.0.1:8080", 2)
    assert (row.timer, row.retransmits, row.tx_queue) == (1, 3, 1)
    assert row.expires_ms == 0x4C * 1000 // os.sysconf("SC_CLK_TCK")


def test_a_connection_waiting_for_accept_has_inode_zero_and_its_bytes() -> None:
    row = procfs.parse_tcp_table(TCP, "little")[3].row
    assert (row.state, row.inode, row.rx_queue) == (1, 0, len("hello, world"))


def test_v6_and_v4_mapped_addresses_are_written_as_inet_ntop_does() -> None:
    rows = [line.row for line in procfs.parse_tcp_table(TCP6, "little")]
    assert [row.local for row in rows] == ["[::]:8081", "[::1]:8081", "[::ffff:127.0.0.1]:8081"]
    assert [row.remote for row in rows] == ["[::]:0", "[::1]:43726", "[::ffff:127.0.0.1]:37252"]
    assert {row.family for row in rows} == {socket.AF_INET6}


def test_a_big_endian_machine_prints_the_same_address_the_other_way_round() -> None:
    text = TCP.replace("0100007F", "7F000001")
    assert procfs.parse_tcp_table(text, "big")[0].row.local == "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0100007F:1F90 00000000:0000 0A", "0100007F:1F90"),
        ("0A 00000000:00000002", "ZZ 00000000:00000002"),
        ("0A 00000000:00000002", "0A 0000000000000002"),
        ("0100007F:1F90 0000", "0100007F00:1F90 0000"),
        (" 374385 ", " inode "),
    ],
)
def test_a_line_that_does_not_fit_is_named(old: str, new: str) -> None:
    assert old in TCP
    with pytest.raises(ProcFormatError) as caught:
        procfs.parse_tcp_table(TCP.replace(old, new, 1), "little")
    assert new.split()[0] in caught.value.what
    assert caught.value.fix


def test_another_files_text_is_no_tcp_table() -> None:
    with pytest.raises(ProcFormatError):
        procfs.parse_tcp_table(NETSTAT)


@given(st.text())
def test_any_text_is_parsed_or_refused_never_a_crash(text: str) -> None:
    for parse in (
        procfs.parse_tcp_table,
        procfs.parse_netstat,
        procfs.parse_stat,
        procfs.parse_fdinfo,
    ):
        try:
            parse(text)
        except ProcFormatError:
            continue


_ADDRESSES = st.one_of(
    st.tuples(st.just(socket.AF_INET), st.binary(min_size=4, max_size=4)),
    st.tuples(st.just(socket.AF_INET6), st.binary(min_size=16, max_size=16)),
)


@given(_ADDRESSES, st.integers(0, 65535), st.integers(1, 12), st.integers(0, 2**32 - 1), st.integers(0, 2**31))
def test_every_address_and_number_comes_back(
    address: tuple[int, bytes], port: int, state: int, queue: int, inode: int
) -> None:
    family, raw = address
    words = "".join(raw[at : at + 4][::-1].hex().upper() for at in range(0, len(raw), 4))
    line = (
        f"   0: {words}:{port:04X} {words}:0000 {state:02X} {queue:08X}:{queue:08X} 00:00000000 00000000"
        f"     0        0 {inode} 1 0"
    )
    [(row, kept)] = procfs.parse_tcp_table(TCP.splitlines()[0] + "\n" + line + "\n", "little")
    host, _, number = row.local.rpartition(":")
    assert socket.inet_pton(family, host.strip("[]")) == raw
    assert (int(number), row.state, row.rx_queue, row.tx_queue, row.inode) == (port, state, queue, queue, inode)
    assert kept == line


def test_tcp_counters_keep_their_names_and_ip_counters_carry_their_section() -> None:
    assert procfs.parse_netstat(NETSTAT) == {
        "SyncookiesSent": 0,
        "ListenOverflows": 7,
        "ListenDrops": 9,
        "TCPReqQFullDrop": 2,
        "IpExt.InNoRoutes": 1,
        "IpExt.InCsumErrors": 3,
    }
    assert procfs.parse_netstat(SNMP) == {
        "Ip.Forwarding": 1,
        "Ip.InReceives": 900,
        "MaxConn": -1,
        "ActiveOpens": 12,
        "InCsumErrors": 5,
    }


@pytest.mark.parametrize("bad", ["TcpExt: 0 7 9\n", "TcpExt: 0 7 9 x\n", "Other: 0 7 9 2\n", ""])
def test_values_that_do_not_pair_with_their_names_are_refused(bad: str) -> None:
    with pytest.raises(ProcFormatError):
        procfs.parse_netstat(NETSTAT.replace("TcpExt: 0 7 9 2\n", bad))


def test_a_process_name_with_parentheses_and_newlines_does_not_shift_the_fields() -> None:
    stat = procfs.parse_stat(STAT)
    assert (stat.pid, stat.name, stat.state, stat.ppid) == (4242, "a) b) (c\n", "S", 17)
    assert (stat.ticks, stat.threads, stat.start_ticks, stat.rss_pages) == (300, 3, 10338, 1571)


@given(st.text(max_size=15))
def test_any_process_name_comes_back(name: str) -> None:
    assert procfs.parse_stat(STAT.replace("a) b) (c\n", name, 1)).name == name


def test_a_short_stat_line_is_refused() -> None:
    with pytest.raises(ProcFormatError):
        procfs.parse_stat("4242 (cat) S 17")


def test_fdinfo_flags_are_octal_and_what_follows_is_left_alone() -> None:
    text = "pos:\t12\nflags:\t02004002\nmnt_id:\t15\nino:\t77\ntfd:        5 events:       19\n"
    assert procfs.parse_fdinfo(text) == FdInfo(12, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    with pytest.raises(ProcFormatError):
        procfs.parse_fdinfo("pos:\t12\nflags:\t09\n")


def test_a_running_task_waits_in_nothing() -> None:
    assert procfs.read_wchan(threading.get_native_id()) == ""


def test_a_process_that_never_was_is_gone_not_an_error() -> None:
    reading = procfs.read_stat(2**22 + 1)
    assert isinstance(reading, Unread)
    assert reading.gone
    assert not Unread("EACCES").gone
