"""Stop conditions: what a typed line stops at, and what it says of a line it cannot read."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given, strategies as st

from socklab.commands.conditions import ALIASES, parse
from socklab.core.errors import UsageError
from socklab.syscalls.tables import ARCHITECTURES, numbers_by_name

ARGS = (4, 0, 0, 0, 0, 0)


def test_a_bare_call_stops_before_it_and_not_after() -> None:
    condition = parse("bind")
    assert condition.wants_enter("bind", ARGS, True)
    assert not condition.wants_enter("listen", ARGS, True)
    assert not condition.wants_return("bind", ARGS, 0, True)


def test_accept_means_accept4_too() -> None:
    assert parse("accept").wants_enter("accept4", ARGS, True)
    assert not parse("accept4").wants_enter("accept", ARGS, True)


@pytest.mark.parametrize(
    ("typed", "made"), [("send", "sendto"), ("recv", "recvmsg"), ("fork", "clone3"), ("open", "openat")]
)
def test_library_functions_stop_at_the_calls_they_come_down_to(typed: str, made: str) -> None:
    assert parse(typed).wants_enter(made, ARGS, True)


def test_every_alias_names_calls_that_exist() -> None:
    known = {name for arch in ARCHITECTURES for name in numbers_by_name(arch)}
    assert {call for calls in ALIASES.values() for call in calls} <= known


@pytest.mark.parametrize("typed", ["socket|bind", "socket | bind", "socket,bind", "socket |bind", "socket()|bind(2)"])
def test_calls_joined_by_a_bar_stop_at_either(typed: str) -> None:
    condition = parse(typed)
    assert condition.calls == {"socket", "bind"}
    assert condition.wants_enter("socket", ARGS, False)
    assert condition.wants_enter("bind", ARGS, True)


def test_fd_looks_at_the_descriptor_argument_alone() -> None:
    condition = parse("read fd=4")
    assert condition.wants_enter("read", (4, 9, 9, 0, 0, 0), True)
    assert not condition.wants_enter("read", (5, 4, 4, 4, 4, 4), True)
    assert parse("any fd=4|7").wants_enter("close", (7, 0, 0, 0, 0, 0), False)


def test_fd_is_the_lower_half_of_the_register_as_the_kernel_reads_it() -> None:
    assert parse("close fd=-1").wants_enter("close", (0xFFFFFFFF, 0, 0, 0, 0, 0), False)
    assert parse("close fd=-1").wants_enter("close", (0xFFFFFFFFFFFFFFFF, 0, 0, 0, 0, 0), False)


def test_fd_never_matches_a_call_without_a_descriptor() -> None:
    assert not parse("any fd=2").wants_enter("socket", (2, 1, 0, 0, 0, 0), False)


def test_errno_stops_after_the_failed_call_only() -> None:
    condition = parse("write errno=EPIPE")
    assert not condition.wants_enter("write", ARGS, True)
    assert condition.wants_return("write", ARGS, -errno.EPIPE, True)
    assert not condition.wants_return("write", ARGS, -errno.ECONNRESET, True)
    assert not condition.wants_return("write", ARGS, 32, True)
    assert parse("write errno=epipe|104").wants_return("write", ARGS, -errno.ECONNRESET, True)


def test_ewouldblock_is_eagain() -> None:
    assert parse("accept errno=EWOULDBLOCK").wants_return("accept", ARGS, -errno.EAGAIN, True)


def test_close_socket_lets_files_be_closed() -> None:
    condition = parse("close socket")
    assert condition.wants_enter("close", ARGS, True)
    assert not condition.wants_enter("close", ARGS, False)


def test_socket_alone_is_the_call() -> None:
    assert parse("socket").calls == {"socket"}
    assert parse("any socket").socket


@pytest.mark.parametrize("typed", ["any error", "error", "* error"])
def test_any_error_stops_after_every_failure(typed: str) -> None:
    condition = parse(typed)
    assert condition.wants_return("accept4", ARGS, -errno.EMFILE, True)
    assert condition.wants_return("openat", ARGS, -errno.ENOENT, False)
    assert not condition.wants_return("openat", ARGS, 3, False)
    assert not condition.wants_enter("openat", ARGS, False)


def test_a_call_the_kernel_restarts_has_not_failed() -> None:
    assert not parse("any error").wants_return("accept", ARGS, -512, True)
    assert not parse("accept ok").wants_return("accept", ARGS, -512, True)


def test_ok_and_result_stop_after_success() -> None:
    assert parse("accept ok").wants_return("accept4", ARGS, 5, True)
    assert not parse("accept ok").wants_return("accept4", ARGS, -11, True)
    assert parse("read result=0").wants_return("read", ARGS, 0, True)
    assert not parse("read result=0").wants_return("read", ARGS, 1, True)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("acept", "accept"),
        ("sokcet|bind", "socket"),
        ("write errno=EPIP", "EPIPE"),
        ("read df=4", "fd"),
        ("close sockt", "socket"),
        ("any eror", "error"),
    ],
)
def test_a_misspelled_word_names_the_nearest(typed: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(typed)
    assert f"`{says}" in caught.value.fix


@pytest.mark.parametrize("typed", ["", "  ", "|", "socket|", "|bind", "read fd=four", "accept ok error", "accept bind"])
def test_a_line_that_makes_no_sense_is_refused_with_a_next_step(typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(typed)
    assert caught.value.fix


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_a_usage_error(text: str) -> None:
    try:
        condition = parse(text)
    except UsageError:
        return
    condition.wants_enter("read", ARGS, True)
    condition.wants_return("read", ARGS, -32, True)
