"""Raw things of the kernel's, decoded: known text by the manual pages' words, and as the engine's readers have it."""

from __future__ import annotations

import ipaddress
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, strategies as some

from socklab import state as st
from socklab.core.endpoint import endpoint, hexadecimal
from socklab.engine.kernel import procfs, sockdiag
from socklab.evidence import decode, decode_network
from socklab.evidence.model import Block
from socklab.protocol.rows import Reading

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
EVERY = frozenset({"local", "remote", "state", "queues", "timer", "retransmits", "inode"})


def block(path: str, data: bytes | str, head: str = "", shown: frozenset[str] = EVERY) -> Block:
    raw = data.encode() if isinstance(data, str) else data
    return decode.block(Reading(path, raw, "server", 2, head), shown, {"server/ListenDrops": "+2"}, "x86_64")


def meanings(found: Block) -> dict[str, str]:
    return {field.name: field.meaning for field in found.fields}


def text(found: Block) -> list[str]:
    return ["".join(part for part, _ in line) for line in found.text]


LINES = [
    "   7: 0100000A:1F90 0200000A:9C41 01 00000003:00000005 01:00000015 00000002 "
    "1000        0 70001 2 0000 21 4 30 10 -1",
    "   0: 00000000:1F90 00000000:0000 0A 00000000:00000005 00:00000000 00000000 "
    "    0        0 70001 1 0000 100 0 0 10 0",
    "  12: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:E823 06 00000000:00000000 "
    "03:00001770 00000000     0        0 0 3 0000",
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_proc_net_tcp_is_kept_as_it_is_and_says_what_the_engine_reads_in_it(line: str) -> None:
    [(row, _)] = procfs.parse_tcp_table(f"{HEAD}\n{line}\n")
    found = block("/proc/net/tcp", line, HEAD)
    assert found.where == "/proc/net/tcp on server, line 2"
    assert text(found) == [HEAD, line]
    said = meanings(found)
    assert said["local_address"].split()[0] == row.local and said["rem_address"].split()[0] == row.remote
    assert said["st"] == st.TCP_STATES[row.state]
    assert str(row.rx_queue) in said["tx:rx_queue"].split()
    assert said["tr:tm->when"].startswith(f"timer {row.timer}: ")
    assert said["retrnsmt"] == f"sent again {row.retransmits} times, not acknowledged"
    assert said["inode"] == (f"socket:[{row.inode}] in /proc/PID/fd" if row.inode else "no descriptor stands for it")
    assert {field.name for field in found.fields if not field.shown} == {"sl", "uid", "timeout", "ref", "pointer"}


def test_a_datagram_socket_has_no_connection_and_counts_memory() -> None:
    line = "  12: 0100007F:14E9 00000000:0000 07 00000000:00000300 00:00000000 00000000     0        0 70001 2 0000 0"
    said = meanings(block("/proc/7/net/udp", line, HEAD))
    assert (said["st"], said["tx:rx_queue"]) == ("no peer", "memory: 0 bytes to send, 768 not read")


@given(some.ip_addresses(), some.integers(0, 65535))
def test_the_hexadecimal_of_an_address_is_read_back_as_that_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    told = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    host, _, shown_port = endpoint(hexadecimal(told)).rpartition(":")
    assert (ipaddress.ip_address(host.strip("[]")), int(shown_port)) == (address, port)


def test_of_a_message_of_sock_diag_every_byte_belongs_to_one_field() -> None:
    message = struct.pack("=BBBB", 2, 10, 0, 0) + struct.pack("!HH", 8080, 0) + bytes(32) + bytes(4)
    message += struct.pack("=QIIIII", 77, 0, 5, 4, 1000, 70001)
    assert sum(size for _, size, _, _ in decode_network.DIAG) == len(message) == sockdiag._MESSAGE.size
    found = block("inet_diag_msg", message)
    said = meanings(found)
    assert found.data == message and said["idiag_sport"] == "8080, in network byte order"
    assert (said["idiag_rqueue"], said["idiag_wqueue"]) == (
        "5 connections in the accept queue", "4: the limit of the accept queue",
    )  # fmt: skip
    assert (said["idiag_uid"], said["idiag_inode"]) == ("user 1000", "socket:[70001]")


def test_of_the_counters_the_shown_ones_are_told_with_their_names_and_the_rest_is_left_out_in_brief() -> None:
    head, values = "TcpExt: A B ListenOverflows ListenDrops C D E", "TcpExt: 1 2 30 40 5 6 7"
    found = block("/proc/net/netstat", values, head, frozenset({"server/ListenDrops", "other/A"}))
    assert text(found) == [head, values]
    [names, numbers] = ["".join(part for part, _ in line) for line in found.brief]
    assert names == "TcpExt: … ListenOverflows ListenDrops C …"
    assert numbers == "TcpExt: …              30          40 5 …"
    assert [(field.name, field.raw, field.meaning) for field in found.fields] == [("ListenDrops", "40", "+2")]
    assert block("/proc/net/netstat", values, head, frozenset()).dull


def test_a_name_with_parentheses_and_blanks_does_not_move_the_fields_of_stat() -> None:
    rest = " ".join(map(str, range(4, 45)))
    found = block("/proc/7/stat", f"7 (a) b (c) S {rest}\n")
    raw = {field.name: field.raw for field in found.fields}
    assert (raw["comm"], raw["state"], raw["ppid"], raw["rss"]) == ("(a) b (c)", "S", "4", "24")
    assert meanings(found)["state"] == "sleeping"


def test_stat_of_this_process_is_what_the_operating_system_says() -> None:
    found = block("/proc/1/stat", Path("/proc/self/stat").read_text())
    raw = {field.name: field.raw for field in found.fields}
    assert (int(raw["pid"]), int(raw["ppid"])) == (os.getpid(), os.getppid())


def test_flags_of_fdinfo_are_named_from_their_octal() -> None:
    found = block("/proc/7/fdinfo/3", "pos:\t12\nflags:\t02004002\nmnt_id:\t10\nino:\t70001\ntfd: 5 events: 19\n")
    assert meanings(found)["flags"] == "O_RDWR|O_NONBLOCK|O_CLOEXEC, in octal"
    assert text(found)[-1] == "tfd: 5 events: 19"


def test_a_task_that_runs_is_in_no_call() -> None:
    assert block("/proc/7/syscall", "running\n").note == "It runs, or is in no call."
    found = block("/proc/7/syscall", "43 0x3 0x0 0x0 0x0 0x0 0x0 0x7ff0 0x7ff8\n")
    assert meanings(found)["number"] == "accept"


def test_what_could_not_be_read_says_why() -> None:
    found = decode.block(Reading("/proc/7/fdinfo/3", reason="EACCES"), EVERY, {}, "x86_64")
    assert found.note == "It could not be read: EACCES." and found.text == ()


PATHS = ["/proc/net/tcp", "/proc/net/tcp6", "/proc/7/net/udp", "/proc/7/net/unix", "/proc/net/netstat", "frame",
         "inet_diag_msg", "/proc/7/fd/3", "/proc/7/fdinfo/3", "/proc/7/stat", "/proc/7/statm", "/proc/7/status",
         "/proc/7/syscall", "/proc/sys/net/core/somaxconn",
         "/proc/7/maps", "/proc/7/wchan", "/elsewhere"]  # fmt: skip


@given(some.sampled_from(PATHS), some.binary(max_size=200), some.text(max_size=60))
def test_text_that_does_not_fit_is_shown_as_it_is_and_never_fails(path: str, data: bytes, head: str) -> None:
    found = block(path, data, head)
    assert found.where and (found.text or found.data or found.fields or not data)
    list(decode.shells(Reading(path, data, "server", 2, head)))


UDP_HEAD = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
UNIX_HEAD = "Num RefCount Protocol Flags Type St Inode Path"
UDP = " 1063: 0100007F:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000 12"


@pytest.mark.parametrize(
    ("path", "head", "line", "inode"),
    [
        ("/proc/7/net/udp", UDP_HEAD, UDP, "4711"),
        (
            "/proc/7/net/unix",
            "Num RefCount Protocol Flags Type St Inode Path",
            "0: 2 0 10000 0001 01 4712 @a b",
            "4712",
        ),
        ("/proc/7/net/unix", "Num RefCount Protocol Flags Type St Inode Path", "0: 2 0", ""),
        ("/proc/7/net/tcp", UDP_HEAD, UDP, ""),
    ],
)
def test_a_socket_of_another_kind_is_looked_for_by_its_inode(path: str, head: str, line: str, inode: str) -> None:
    found = [shell.argv for shell in decode.shells(Reading(path, line.encode(), line=2, head=head))]
    assert found == ([("grep", "-nw", inode, path)] if inode else [])


def test_the_memory_of_a_process_is_that_of_statm() -> None:
    resident = block("/proc/7/statm", "5000 298 200 1 0 60 0\n").fields[0]
    assert (resident.name, resident.raw, resident.shown) == ("resident", "298", True)
    stat = block("/proc/7/stat", f"7 (a) S {' '.join(map(str, range(4, 45)))}\n")
    assert not next(field for field in stat.fields if field.name == "rss").shown
