"""A typed line becomes one action, or an error that says what the verb expects."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as some

from socklab.commands import actions
from socklab.commands.actions import Close, Connect, HalfClose, Reset, Run, Send, Set, Wire, parse
from socklab.commands.table import COMMANDS, LESSON, Command
from socklab.core.errors import UsageError
from socklab.core.text import safe

READ = [
    ("connect", Connect()),
    ("  connect  ", Connect()),
    ("connect 5", Connect(count=5)),
    ("connect 10000", Connect(count=10_000)),
    ("connect a b worker-1", Connect(names=("a", "b", "worker-1"))),
    (r'send a "GET / HTTP/1.0\r\n\r\n"', Send("a", b"GET / HTTP/1.0\r\n\r\n")),
    ('send "hi"', Send("", b"hi")),
    ('send a ""', Send("a", b"")),
    (r'send a "\x00\xff\t\0\"\\"', Send("a", b'\x00\xff\t\0"\\')),
    ('send a "grüß"', Send("a", "grüß".encode())),
    ("half-close a", HalfClose("a")),
    ("close", Close("")),
    ("reset b", Reset("b")),
    ("! curl -s http://server:8080/", Run(("curl", "-s", "http://server:8080/"))),
    ("!curl -s 'a b'", Run(("curl", "-s", "a b"))),
    ("! @server ss -ltn", Run(("ss", "-ltn"), host="server")),
    ("set net.ipv4.tcp_syncookies 0", Set("net.ipv4.tcp_syncookies", "0")),
    ("set net/core/somaxconn", Set("net.core.somaxconn")),
    ("set @client net.ipv4.tcp_rmem 4096 16384 65536", Set("net.ipv4.tcp_rmem", "4096 16384 65536", host="client")),
    ("hold syn-ack", Wire("hold", ("syn-ack",))),
    ("deliver", Wire("deliver")),
]

REFUSED = [
    ("", "empty"),
    ("conect 5", 'Did you mean "connect"?'),
    ("Connect", 'Did you mean "connect"?'),
    ("connect 0", "1 to 20000"),
    ("connect 99999999", "1 to 20000"),
    ("connect -1", "no client name"),
    ("connect a a", "twice"),
    ("connect 5 a", "no client name"),
    ("send a hi", "double quotes"),
    ('send a b "hi"', "one client at a time"),
    ('send a "hi', "closing double quote"),
    ('send a "hi" there', "after the closing quote"),
    (r'send a "\q"', "no escape"),
    (r'send a "\x4"', "no escape"),
    ("close a b", "one client at a time"),
    ("close ../etc", "no client name"),
    ("!", "no command"),
    ("! @mars ls", "server and client"),
    ('! echo "x', "quotation"),
    ("set", "name is missing"),
    ("set ../../etc/passwd 1", "name is missing"),
]


@pytest.mark.parametrize(("line", "action"), READ)
def test_a_line_is_read_as_its_action(line: str, action: actions.Action) -> None:
    assert parse(line) == action


@pytest.mark.parametrize(("line", "why"), REFUSED)
def test_a_line_that_is_no_action_says_what_was_expected(line: str, why: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse(line)
    assert why in str(refusal.value)


@pytest.mark.parametrize("row", [row for row in COMMANDS if LESSON in row.where], ids=lambda row: row.name)
def test_every_verb_of_a_lesson_is_an_action_or_says_what_it_expects(row: Command) -> None:
    try:
        parse(row.name)
    except UsageError as refusal:
        assert refusal.fix.startswith((f"Expected: {row.usage}", f"For example: {row.name} "))


@pytest.mark.parametrize(
    ("line", "why"), [("step", "only on the screen and in plain text"), ("hold-all", "a key of the screen, H")]
)
def test_a_command_that_is_no_verb_of_a_lesson_says_where_it_belongs(line: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse(line)


@given(some.binary(max_size=60))
def test_any_bytes_can_be_sent_by_escaping_them(data: bytes) -> None:
    assert parse('send a "' + "".join(f"\\x{byte:02x}" for byte in data) + '"') == Send("a", data)


@given(some.text(max_size=40))
def test_any_line_is_an_action_or_a_usage_error_in_visible_text(line: str) -> None:
    try:
        parse(line)
    except UsageError as refusal:
        assert str(refusal) == safe(str(refusal), lines=True)


@pytest.mark.parametrize(
    ("line", "near"), [("hold synn-ack", "syn-ack"), ("release hodl", "hold"), ("drop nxt", "next")]
)
def test_a_wire_verbs_words_are_checked_before_they_reach_a_wire(line: str, near: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(line)
    assert f"Did you mean {near}?" in refused.value.fix
