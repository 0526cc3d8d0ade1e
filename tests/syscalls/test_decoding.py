"""What a student reads of a call: arguments by name and symbol, the real bytes by field, and what came of it."""

from __future__ import annotations

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
