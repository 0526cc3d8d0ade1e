"""What a student reads of a call: arguments by name and symbol, the real bytes by field, and what came of it."""

from __future__ import annotations

import ctypes
import os
import socket
import struct

import pytest

from socklab import syscalls
from socklab.protocol.events import Enter, Mem, Return
from socklab.syscalls import DecodedArg, DecodedCall

A = 0x7FFD0000_1000
B = 0x7FFD0000_2000


def decode(
    name: str,
    *args: int,
    mem: tuple[Mem, ...] = (),
    result: int | None = None,
    out: tuple[Mem, ...] = (),
    target: str | None = None,
    arch: str = "x86_64",
) -> DecodedCall:
    nr = syscalls.number(arch, name)
    assert nr is not None
    registers = tuple(value & 0xFFFFFFFFFFFFFFFF for value in (*args, 0, 0, 0, 0, 0, 0)[:6])
    returned = Return(2, 7, nr, result, out) if result is not None else None
    return syscalls.decode(arch, Enter(1, 7, nr, registers, mem), returned, (lambda fd: target) if target else None)


def arg(call: DecodedCall, name: str) -> DecodedArg:
    return next(each for each in call.args if each.name == name)


def sockaddr_in(address: str, port: int) -> bytes:
    return struct.pack("<H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(address) + bytes(8)


# ---------------------------------------------------------------- socket, bind, listen, accept


def test_socket_shows_its_three_arguments_by_symbol() -> None:
    call = decode("socket", 2, 1 | 0o2000000 | 0o4000, 0, result=3)
    assert [each.name for each in call.args] == ["domain", "type", "protocol"]
    assert [each.text for each in call.args] == ["AF_INET", "SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK", "0"]
    assert arg(call, "domain").meaning == "IPv4"
    assert "TCP" in arg(call, "protocol").meaning
    assert (call.result, call.value, call.outcome) == ("3", 3, "new descriptor 3")


def test_a_stream_is_only_called_tcp_where_it_is() -> None:
    assert "TCP" not in arg(decode("socket", 1, 1, 0), "type").meaning


def test_bind_shows_the_sixteen_real_bytes_by_field() -> None:
    raw = sockaddr_in("10.0.0.1", 8080)
    address = arg(decode("bind", 3, A, 16, mem=(Mem(A, raw),)), "addr")
    assert address.text == "{10.0.0.1:8080}"
    assert address.data == raw
    assert [(field.name, field.offset, field.size) for field in address.fields] == [
        ("sin_family", 0, 2),
        ("sin_port", 2, 2),
        ("sin_addr", 4, 4),
        ("sin_zero", 8, 8),
    ]
    assert address.fields[1].text.startswith("8080 (bytes 1f 90")


def test_a_port_without_htons_shows_what_the_kernel_will_take() -> None:
    raw = struct.pack("<HH", 2, 8080) + bytes(12)
    assert arg(decode("bind", 3, A, 16, mem=(Mem(A, raw),)), "addr").text == "{0.0.0.0:36895}"


def test_any_address_and_loopback_are_told_apart() -> None:
    everyone = decode("bind", 3, A, 16, mem=(Mem(A, sockaddr_in("0.0.0.0", 80)),))
    alone = decode("bind", 3, A, 16, mem=(Mem(A, sockaddr_in("127.0.0.1", 80)),))
    assert "every IPv4 address" in arg(everyone, "addr").meaning
    assert "this host only" in arg(alone, "addr").meaning


def test_ipv6_and_mapped_addresses_read_as_people_write_them() -> None:
    six = struct.pack("<HHI", 10, 0, 0) + socket.inet_pton(socket.AF_INET6, "::ffff:10.0.0.2") + bytes(4)
    address = arg(decode("connect", 3, A, 28, mem=(Mem(A, six),)), "addr")
    assert address.text == "{[::ffff:10.0.0.2]:0}"
    assert "as IPv6 writes it" in address.meaning
    assert sum(field.size for field in address.fields) == 28


def test_unix_addresses_by_path_abstract_and_unnamed() -> None:
    def shown(raw: bytes) -> str:
        return arg(decode("bind", 3, A, len(raw), mem=(Mem(A, raw),)), "addr").text

    assert shown(b"\1\0/run/lab.sock\0") == '{"/run/lab.sock"}'
    assert shown(b"\1\0\0hidden") == '{@"hidden"}'
    assert shown(b"\1\0") == "{unnamed}"


def test_an_address_too_short_for_its_family_is_shown_as_it_is() -> None:
    address = arg(decode("bind", 3, A, 4, mem=(Mem(A, b"\2\0\x1f\x90"),)), "addr")
    assert address.text == "{AF_INET, 4 bytes}"
    assert "16 bytes" in address.meaning


def test_accept_shows_the_client_only_after_it_returned() -> None:
    before = (Mem(B, struct.pack("<I", 16)),)
    waiting = decode("accept", 3, A, B, mem=before)
    assert arg(waiting, "addr").text == hex(A)
    assert waiting.result == ""
    assert waiting.value is None
    after = (Mem(A, sockaddr_in("10.0.0.2", 40612)), Mem(B, struct.pack("<I", 16)))
    done = decode("accept", 3, A, B, mem=before, result=4, out=after)
    assert arg(done, "addr").text == "{10.0.0.2:40612}"
    assert done.outcome == "new descriptor 4"


def test_an_address_is_cut_at_the_room_the_program_gave() -> None:
    after = (Mem(A, sockaddr_in("10.0.0.2", 1)), Mem(B, struct.pack("<I", 16)))
    call = decode("accept", 3, A, B, mem=(Mem(B, struct.pack("<I", 8)),), result=4, out=after)
    assert len(arg(call, "addr").data) == 8
    assert arg(call, "addrlen").text == "[8 => 16]"


def test_accept_without_an_address_says_so() -> None:
    call = decode("accept", 3, 0, 0, result=4)
    assert [each.text for each in call.args] == ["3", "NULL", "NULL"]


def test_descriptors_are_told_apart_by_what_they_stand_for() -> None:
    call = decode("close", 4, target="socket:[123]")
    assert arg(call, "fd").meaning == "socket:[123]"


def test_a_hostile_file_name_behind_a_descriptor_is_made_visible() -> None:
    assert arg(decode("close", 4, target="/tmp/\x1b[31m"), "fd").meaning == "/tmp/␛[31m"


# ---------------------------------------------------------------- data


def test_a_buffer_is_text_and_bytes() -> None:
    data = b'GET / HTTP/1.0\r\n"\0\xff\xc3\xbc'
    buffer = arg(decode("write", 4, A, len(data), mem=(Mem(A, data),)), "buf")
    assert buffer.text == '"GET / HTTP/1.0\\r\\n\\"\\0\\xffü"'
    assert buffer.data == data


def test_a_long_buffer_ends_in_dots() -> None:
    buffer = arg(decode("write", 4, A, 100_000, mem=(Mem(A, b"x" * 512),)), "buf")
    assert buffer.text.endswith('"...')
    assert len(buffer.data) == 512


def test_unreadable_memory_is_a_value_not_a_crash() -> None:
    buffer = arg(decode("write", 4, 8, 10, mem=(Mem(8, b""),), result=-14), "buf")
    assert buffer.text == "0x8 (EFAULT: not readable)"
    partly = arg(decode("write", 4, A, 10, mem=(Mem(A, b"abc"),)), "buf")
    assert "only 3 of 10 bytes readable" in partly.text


def test_memory_nobody_looked_at_is_an_address() -> None:
    assert arg(decode("write", 4, A, 10), "buf").text == hex(A)


def test_read_shows_what_was_read_and_no_more_than_that() -> None:
    call = decode("read", 4, A, 100, result=5, out=(Mem(A, b"hello, and old rubbish"),), target="socket:[9]")
    assert arg(call, "buf").text == '"hello"'
    assert call.outcome == "5 bytes received"


def test_zero_bytes_from_a_socket_are_the_end_of_the_stream() -> None:
    assert "end of stream" in decode("read", 4, A, 100, result=0, target="socket:[9]").outcome
    assert "end of stream" in decode("recvfrom", 4, A, 100, result=0).outcome
    assert "end of the file" in decode("read", 4, A, 100, result=0, target="/etc/hosts").outcome
    assert decode("read", 4, A, 0, result=0, target="socket:[9]").outcome == "nothing was asked for"


def test_a_short_write_says_that_the_rest_is_left() -> None:
    assert decode("sendto", 4, A, 13, result=13).outcome == "13 bytes accepted by the kernel for sending"
    assert "of 10000000" in decode("sendto", 4, A, 10_000_000, result=3_919_872).outcome


def test_scattered_buffers_are_followed_to_their_data() -> None:
    mem = (Mem(A, struct.pack("<QQQQ", B, 6, B + 100, 3)), Mem(B, b"first "), Mem(B + 100, b"two"))
    call = decode("writev", 4, A, 2, mem=mem)
    assert arg(call, "iov").text == '["first ", "two"]'
    assert arg(call, "iov").data == b"first two"


def test_passed_descriptors_are_named_in_a_message() -> None:
    control = struct.pack("<QiiiI", 20, socket.SOL_SOCKET, socket.SCM_RIGHTS, 5, 0)
    header = struct.pack("<QI4xQQQQI4x", 0, 0, B, 1, B + 64, 24, 0)
    mem = (Mem(A, header), Mem(B, struct.pack("<QQ", B + 128, 1)), Mem(B + 64, control), Mem(B + 128, b"x"))
    assert "SCM_RIGHTS: descriptors [5]" in arg(decode("sendmsg", 4, A, 0, mem=mem), "msg").text


# ---------------------------------------------------------------- what was told wrongly once


def test_one_byte_is_no_plural() -> None:
    """Wherever a call's numbers stand before a noun: a message, a buffer, a control message, a file, a directory."""
    vector, byte = Mem(B, struct.pack("<QQ", B + 128, 1)), Mem(B + 128, b"x")
    header = struct.pack("<QI4xQQQQI4x", 0, 0, B, 1, 0, 0, 0)
    sent = decode("sendmmsg", 4, A, 1, 0, mem=(Mem(A, header + bytes(8)), vector, byte), result=1,
                  out=(Mem(A, header + struct.pack("<I4x", 1)),))  # fmt: skip
    assert arg(sent, "msgvec").text.endswith(" 1 byte]"), arg(sent, "msgvec").text
    assert arg(decode("writev", 4, B, 1, mem=(vector, byte)), "iov").meaning == "1 buffer of 1 byte"
    two = (Mem(B, struct.pack("<QQQQ", B + 128, 1, B + 128, 1)), byte)
    assert arg(decode("writev", 4, B, 2, mem=two), "iov").meaning == "2 buffers of 1 + 1 bytes"
    assert ": 1 byte" in control(0, 999, b"x")
    assert ": 1 bytes" not in control(0, 999, b"x")
    assert decode("read", 4, A, 9, result=1, out=(Mem(A, b"x"),)).outcome.startswith("1 byte ")
    entry = struct.pack("<QqHB", 5, 1, 24, 4) + b".\0\0\0\0"
    one = decode("getdents64", 3, A, 4096, result=24, out=(Mem(A, entry),))
    assert arg(one, "dirp").meaning == "1 entry"
    assert arg(decode("getdents64", 3, A, 4096, result=4000, out=(Mem(A, entry),)), "dirp").meaning == "the first entry"


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (0x0000, "exited with 0"),
        (0x0300, "exited with 3"),
        (0x137F, "stopped by SIGSTOP"),
        (0xFFFF, "continued"),
        (0x000F, "killed by SIGTERM"),
        (0x008B, "killed by SIGSEGV, core dumped"),
    ],
)
def test_a_wait_status_is_told_as_the_macros_of_wait2_read_it(status: int, says: str) -> None:
    macros = {
        "exited": os.WIFEXITED(status),
        "stopped": os.WIFSTOPPED(status),
        "continued": os.WIFCONTINUED(status),
        "killed": os.WIFSIGNALED(status),
    }
    assert [word for word, holds in macros.items() if holds] == [says.split()[0]]
    call = decode("wait4", -1, A, 8, result=9, out=(Mem(A, struct.pack("<I", status)),))
    assert arg(call, "wstatus").text == f"[{says}]"


@pytest.mark.parametrize(
    ("level", "option", "value", "text"),
    [
        (1, 25, b"lo", '"lo"'),  # SO_BINDTODEVICE takes a name of any length
        (1, 25, b"lo\0", '"lo"'),
        (0, 33, b"\3", "[3]"),  # IP_MULTICAST_TTL: IP takes a byte for a number (ip(7))
        (0, 34, b"\1\0", "[1]"),
        (6, 13, b"reno", '"reno"'),  # TCP_CONGESTION
        (1, 2, b"\1\0\0\0", "[1]"),
    ],
)
def test_a_short_option_that_the_kernel_takes_is_not_called_too_short(
    level: int, option: int, value: bytes, text: str
) -> None:
    call = decode("setsockopt", 3, level, option, A, len(value), mem=(Mem(A, value),), result=0)
    assert arg(call, "optval").text == text


@pytest.mark.parametrize(("level", "option", "size"), [(1, 2, 1), (1, 13, 4), (6, 1, 3), (41, 26, 1)])
def test_an_option_of_fewer_bytes_than_the_kernel_demands_is_called_too_short(
    level: int, option: int, size: int
) -> None:
    call = decode("setsockopt", 3, level, option, A, size, mem=(Mem(A, bytes(size)),), result=-22)
    assert "too short for this option" in arg(call, "optval").text


def test_the_kernels_options_of_a_byte_are_taken_by_the_kernel_as_the_decoder_says() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, b"\3")
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, b"\1\0")
        for level, option in ((socket.SOL_SOCKET, socket.SO_REUSEADDR), (socket.SOL_SOCKET, socket.SO_LINGER)):
            with pytest.raises(OSError, match="Invalid argument"):
                udp.setsockopt(level, option, b"\1")


def lock(kind: int, pid: int) -> bytes:
    return struct.pack("<hhxxxxqqixxxx", kind, 0, 10, 20, pid)


def test_the_answer_of_getlk_is_shown_and_not_the_question() -> None:
    asked = (Mem(A, lock(1, 0)),)
    held = arg(decode("fcntl", 3, 5, A, mem=asked, result=0, out=(Mem(A, lock(0, 4242)),)), "arg")
    assert held.text == "{l_type=F_RDLCK, l_whence=SEEK_SET, l_start=10, l_len=20, l_pid=4242}"
    assert held.meaning == "the lock in the way"
    free = arg(decode("fcntl", 3, 5, A, mem=asked, result=0, out=(Mem(A, lock(2, 0)),)), "arg")
    assert free.text.startswith("{l_type=F_UNLCK")
    assert free.meaning == "nobody holds a lock in the way"
    before = arg(decode("fcntl", 3, 5, A, mem=asked), "arg")
    assert before.text == "{l_type=F_WRLCK, l_whence=SEEK_SET, l_start=10, l_len=20}"
    assert arg(decode("fcntl", 3, 5, A, mem=asked, result=-22), "arg").text == hex(A)


@pytest.mark.parametrize("name", sorted(syscalls.RUN_CALLS))
def test_no_call_that_is_reported_shows_registers_it_does_not_take(name: str) -> None:
    """The manual page's parameters, not arg0 to arg5 with what happens to stand there."""
    call = decode(name, *(0xDEAD0000 + at for at in range(6)))
    assert not any(each.name.startswith("arg") and each.name[3:].isdigit() for each in call.args)


# ---------------------------------------------------------------- structs that were addresses


def siginfo(code: int, status: int) -> bytes:
    return struct.pack("<iiixxxxiii", 17, 0, code, 4242, 1000, status).ljust(128, b"\xaa")


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        (1, 7, "child 4242 exited with 7"),
        (2, 15, "child 4242 killed by SIGTERM"),
        (3, 11, "child 4242 killed, with a core dump, by SIGSEGV"),
        (5, 19, "child 4242 stopped by SIGSTOP"),
        (6, 18, "child 4242 continued by SIGCONT"),
    ],
)
def test_waitid_tells_which_child_and_what_became_of_it(code: int, status: int, says: str) -> None:
    info = arg(decode("waitid", 0, 0, A, 4, 0, result=0, out=(Mem(A, siginfo(code, status)),)), "infop")
    assert info.text == f"{{{says}}}"
    assert [each.name for each in info.fields] == ["si_signo", "si_code", "si_pid", "si_uid", "si_status"]
    nobody = arg(decode("waitid", 0, 0, A, 5, 0, result=0, out=(Mem(A, bytes(128)),)), "infop")
    assert (nobody.text, nobody.meaning) == ("{}", "no child has changed state")


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_stat_has_the_layout_of_its_architecture(arch: str) -> None:
    """As asm/stat.h of x86 and asm-generic/stat.h have it."""
    size, mode, owner = 1234, 0o100644, 1000
    if arch == "x86_64":
        raw = struct.pack(
            "<QQQIIIxxxxQqqq6QQQQ", 0xFE00, 5, 1, mode, owner, owner, 0, size, 4096, 8, *range(6), 0, 0, 0
        )
    else:
        raw = struct.pack(
            "<QQIIIIQQqiiq6QII", 0xFE00, 5, mode, 1, owner, owner, 0, 0, size, 4096, 0, 8, *range(6), 0, 0
        )
    assert len(raw) == {"x86_64": 144, "aarch64": 128}[arch]
    nr = syscalls.number(arch, "newfstatat")
    assert nr is not None
    taken = syscalls.capturers(arch)[nr].leave((3, B, A, 0x1000, 0, 0), 0, lambda addr, size: raw[:size])
    call = decode("newfstatat", 3, B, A, 0x1000, mem=(Mem(B, b"\0"),), result=0, out=taken, arch=arch)
    assert arg(call, "statbuf").text == "{S_IFREG|0644, 1234 bytes}"
    assert {each.name: each.text for each in arg(call, "statbuf").fields}["st_dev"] == "makedev(0xfe, 0)"
    assert {each.name: each.text for each in arg(call, "statbuf").fields}["st_uid"] == "1000"


def test_stat_of_this_machine_is_what_python_reads() -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("needs the C library's struct stat of x86-64")
    raw = ctypes.create_string_buffer(144)
    assert ctypes.CDLL(None, use_errno=True).stat(b"/etc/passwd", raw) == 0
    shown = arg(decode("stat", B, A, result=0, out=(Mem(A, raw.raw),)), "statbuf")
    told, known = {each.name: each.text for each in shown.fields}, os.stat("/etc/passwd")
    assert int(told["st_ino"]) == known.st_ino
    assert int(told["st_size"]) == known.st_size
    assert int(told["st_mtime"]) * 10**9 + int(told["st_mtime_nsec"]) == known.st_mtime_ns
    assert told["st_dev"] == f"makedev({os.major(known.st_dev):#x}, {os.minor(known.st_dev) or '0'})"
    assert told["st_mode"] == f"S_IFREG|0{known.st_mode & 0o7777:o}"


def test_a_timer_says_when_it_goes_off() -> None:
    raw = struct.pack("<qqqq", 60, 0, 5, 500_000_000)
    shown = arg(decode("timerfd_settime", 3, 0, A, 0, mem=(Mem(A, raw),)), "new_value")
    assert shown.text == "{in 5.5 s, then every 60 s}"
    assert [each.text for each in shown.fields] == ["{tv_sec=60, tv_nsec=0}", "{tv_sec=5, tv_nsec=500000000}"]
    off = arg(decode("timerfd_settime", 3, 0, A, 0, mem=(Mem(A, bytes(32)),)), "new_value")
    assert off.text == "{switched off}"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (
            struct.pack("<HIII", 16, 0, 7, 0x11)[:2] + bytes(2) + struct.pack("<II", 7, 0x11),
            "{netlink port 7, groups 0x11}",
        ),
        (struct.pack("<H2xIIB3x", 40, 1234, 2, 0), "{VMADDR_CID_HOST:0x4d2}"),
        (
            struct.pack("<HHiHBB8s", 17, 0x0008, 2, 1, 0, 6, bytes.fromhex("0200000000070000")),
            "{interface 2, htons(ETH_P_IP), 02:00:00:00:00:07}",
        ),
    ],
    ids=["netlink", "vsock", "packet"],
)
def test_addresses_of_other_families_are_opened(raw: bytes, text: str) -> None:
    assert arg(decode("bind", 3, A, len(raw), mem=(Mem(A, raw),)), "addr").text == text


def control(level: int, kind: int, body: bytes) -> str:
    """What is shown of a recvmsg that brought one control message."""
    raw = struct.pack("<Qii", 16 + len(body), level, kind) + body
    raw += bytes(-len(raw) % 8)
    header = struct.pack("<QI4xQQQQI4x", 0, 0, B, 1, B + 64, len(raw), 0)
    out = (Mem(A, header), Mem(B, struct.pack("<QQ", B + 512, 1)), Mem(B + 64, raw), Mem(B + 512, b"x"))
    return arg(decode("recvmsg", 4, A, 0, mem=(Mem(A, header),), result=1, out=out), "msg").text


def test_control_messages_are_opened() -> None:
    here, there = socket.inet_aton("127.0.0.1"), socket.inet_aton("224.0.0.1")
    assert "IP_PKTINFO: to 224.0.0.1 through interface 2" in control(0, 8, struct.pack("<i", 2) + here + there)
    assert "IP_TTL: 64" in control(0, 2, struct.pack("<i", 64))
    assert "IP_TOS: 16" in control(0, 1, b"\x10")
    refused = struct.pack("<IBBBBII", 111, 2, 3, 3, 0, 0, 0) + sockaddr_in("10.0.0.9", 0)
    assert "IP_RECVERR: ECONNREFUSED, told by 10.0.0.9 (origin 2, type 3, code 3" in control(0, 11, refused)
    assert "IPV6_PKTINFO: to ::1 through interface 1" in control(41, 50, bytes(15) + b"\1" + struct.pack("<i", 1))


def test_interfaces_are_told_by_name_and_value() -> None:
    name, index = b"eth0".ljust(16, b"\0"), struct.pack("<i20x", 7)
    asked, answered = (Mem(A, name + bytes(24)),), (Mem(A, name + index),)
    assert arg(decode("ioctl", 3, 0x8933, A, mem=asked, result=0, out=answered), "argp").text == '{"eth0": 7}'
    assert arg(decode("ioctl", 3, 0x8933, A, mem=asked, result=-19), "argp").text == '{"eth0"}'
    address = name + sockaddr_in("10.0.0.2", 0).ljust(24, b"\0")
    lists = (Mem(A, struct.pack("<i4xQ", 40, B)), Mem(B, address))
    call = decode("ioctl", 3, 0x8912, A, mem=(Mem(A, struct.pack("<i4xQ", 160, B)),), result=0, out=lists)
    assert arg(call, "argp").text == '{160 => 40 bytes: ["eth0": {10.0.0.2:0}]}'


def test_a_membership_says_which_group() -> None:
    group = socket.inet_aton("224.0.0.7") + socket.inet_aton("127.0.0.1")
    call = decode("setsockopt", 3, 0, 35, A, 8, mem=(Mem(A, group),))
    assert arg(call, "optval").text == "{224.0.0.7 on 127.0.0.1}"
    group6 = socket.inet_pton(socket.AF_INET6, "ff02::7") + struct.pack("<i", 3)
    call = decode("setsockopt", 3, 41, 20, A, 20, mem=(Mem(A, group6),))
    assert arg(call, "optval").text == "{ff02::7 on interface 3}"


def test_a_directory_is_a_list_of_names() -> None:
    entry = struct.pack("<QqHB", 5, 1, 24, 4) + b".\0\0\0\0"
    call = decode("getdents64", 3, A, 4096, result=48, out=(Mem(A, entry + entry.replace(b".\0", b"..")),))
    assert arg(call, "dirp").text == '[".", ".."]'
    cut = decode("getdents64", 3, A, 4096, result=4000, out=(Mem(A, entry + entry),))
    assert arg(cut, "dirp").text == '[".", ".", ...]'
    assert arg(cut, "dirp").meaning == "the first 2 entries"


def test_seals_leases_and_signals_of_a_descriptor_have_their_names() -> None:
    assert arg(decode("fcntl", 3, 1033, 2 | 8), "arg").text == "F_SEAL_SHRINK|F_SEAL_WRITE"
    assert decode("fcntl", 3, 1034, result=6).result == "F_SEAL_SHRINK|F_SEAL_GROW"
    assert arg(decode("fcntl", 3, 10, 12), "arg").text == "SIGUSR2"
    assert decode("fcntl", 3, 11, result=12).result == "SIGUSR2"
    assert decode("rt_sigtimedwait", A, 0, 0, 8, result=10).result == "SIGUSR1"


# ---------------------------------------------------------------- waiting, options, errors


def test_poll_marks_what_is_ready() -> None:
    before = (Mem(A, struct.pack("<ihhihh", 3, 1, 0, 4, 5, 0)),)
    after = (Mem(A, struct.pack("<ihhihh", 3, 1, 0, 4, 5, 4)),)
    call = decode("poll", A, 2, -1, mem=before, result=1, out=after)
    assert arg(call, "fds").text == "[3:POLLIN, 4:POLLIN|POLLOUT → POLLOUT]"
    assert arg(call, "timeout").meaning == "wait for ever"
    assert call.outcome == "1 ready"


def test_select_reads_bits_up_to_nfds_only() -> None:
    call = decode("select", 5, A, 0, 0, 0, mem=(Mem(A, struct.pack("<Q", 0b111000)),))
    assert arg(call, "readfds").text == "[3 4]"


@pytest.mark.parametrize(("arch", "size"), [("x86_64", 12), ("aarch64", 16)])
def test_epoll_events_have_the_size_of_their_architecture(arch: str, size: int) -> None:
    one = struct.pack("<I", 1) + bytes(size - 12) + struct.pack("<Q", 7)
    two = struct.pack("<I", 4) + bytes(size - 12) + struct.pack("<Q", 8)
    call = decode("epoll_pwait", 5, A, 8, -1, 0, 8, result=2, out=(Mem(A, one + two),), arch=arch)
    assert arg(call, "events").text == "[{EPOLLIN, data 7}, {EPOLLOUT, data 8}]"


def test_options_are_named_as_the_manual_does() -> None:
    timeout = struct.pack("<qq", 1, 500_000)
    call = decode("setsockopt", 3, 1, 20, A, 16, mem=(Mem(A, timeout),))
    assert arg(call, "optname").text == "SO_RCVTIMEO"
    assert arg(call, "optval").text == "1.5 s"
    assert arg(decode("setsockopt", 3, 6, 1, A, 4), "level").text == "IPPROTO_TCP"


def test_linger_zero_is_told_as_a_reset() -> None:
    call = decode("setsockopt", 3, 1, 13, A, 8, mem=(Mem(A, struct.pack("<ii", 1, 0)),))
    assert "RST" in arg(call, "optval").meaning


def test_an_error_has_its_name_and_its_meaning_here() -> None:
    call = decode("accept4", 3, 0, 0, 0, result=-24)
    assert (call.result, call.errno, call.value) == ("-1 EMFILE", "EMFILE", -24)
    assert "stays in the accept queue" in call.outcome


def test_a_restarted_call_is_no_error_of_the_programs() -> None:
    call = decode("accept", 3, 0, 0, result=-512)
    assert call.result == "? ERESTARTSYS"


def test_nonblocking_flags_are_read_back_by_name() -> None:
    assert decode("fcntl", 3, 3, result=0o4002).result == "O_RDWR|O_NONBLOCK"
    assert [each.name for each in decode("fcntl", 3, 3).args] == ["fd", "cmd"]


def test_open_has_a_mode_only_when_it_creates() -> None:
    mem = (Mem(A, b"/tmp/x\0"),)
    assert len(decode("openat", -100, A, 0o2000000, 0o644, mem=mem).args) == 3
    assert decode("openat", -100, A, 0o101, 0o644, mem=mem).args[3].text == "0644"
    assert decode("openat", -100, A, 0, mem=mem).args[0].text == "AT_FDCWD"


def test_clone_tells_thread_from_process() -> None:
    thread = decode("clone", 0x10000 | 0x100 | 0x400, result=99)
    child = decode("clone", 17, result=99)
    assert "thread" in arg(thread, "flags").meaning
    assert "copy of the descriptor table" in arg(child, "flags").meaning


def test_tls_stands_elsewhere_on_arm64() -> None:
    assert [each.name for each in decode("clone", 17, arch="aarch64").args][3:] == ["tls", "child_tid"]


def test_a_call_nobody_described_shows_its_registers() -> None:
    call = decode("keyctl", 1, 2, 0xFFFF)
    assert call.name == "keyctl"
    assert [each.text for each in call.args] == ["0x1", "0x2", "0xffff", "0", "0", "0"]


@pytest.mark.parametrize("name", sorted(syscalls.LESSON_CALLS))
def test_every_lesson_call_says_what_it_asks_in_whole_sentences(name: str) -> None:
    meaning = decode(name).meaning
    assert meaning.endswith(".")
    assert meaning[0].isupper()
