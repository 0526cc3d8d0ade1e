"""Evidence in plain text: what `raw` asks for, what its answer says, what `raw run` runs."""

from __future__ import annotations

import pytest

from socklab.core.errors import UsageError
from socklab.protocol import commands as cmd, events as ev
from socklab.state import LabState
from socklab.ui.plain import prompt
from socklab.ui.plain.evidence import Evidence
from tests.support import streams as lab
from tests.ui.tui.support import TOML, a_lesson

LINE = "   0: 00000000:1F90 00000000:0000 0A 00000000:00000005 00:00000000 00000000     0        0 900 1 0000"
EVIL = "\x1b[2J\x07"


def state() -> LabState:
    return lab.state_of(lab.start(), lab.fds((3, 900)), lab.sockets(lab.listener(depth=5)), lab.enter("accept", 3))


def test_raw_and_evidence_are_the_same_verb() -> None:
    assert prompt.parse("raw sockets 3") == prompt.parse("evidence sockets 3") == "sockets 3"
    assert isinstance(prompt.parse("raw"), prompt.Evidence)


def test_a_descriptor_a_port_and_nothing_name_the_listener_and_its_commands_can_be_run() -> None:
    told, now = Evidence(None), state()
    found = [told.asked(f"sockets {which}".strip(), now) for which in ("3", "8080", "")]
    (command, text), *others = found
    assert isinstance(command, cmd.Evidence) and text == "" and others == [found[0]] * 2
    answer = ev.Evidence(9, command.wants, (ev.Reading("/proc/net/tcp", LINE.encode(), "server", 2, "  sl"),))
    text = told.feed(answer, now)
    assert "/proc/net/tcp on server, line 2\n" in text and LINE in text
    assert "st             0A                 LISTEN" in text
    assert "1. ss -ltn 'sport = :8080'  (on server)" in text
    assert told.asked("run", now)[0] == cmd.Look(("ss", "-ltn", "sport = :8080"), "server")
    grep = ("grep", "-n", "00000000:1F90 00000000:0000", "/proc/net/tcp")
    assert told.asked("run 2", now)[0] == cmd.Look(grep, "server")
    ran = ev.Ran(9, "server", ("ss",), 1, f"LISTEN 5 4\n{EVIL}\n".encode(), b"Error\n")
    assert told.feed(ran, now) == "LISTEN 5 4\n␛[2J␇\nError\nexit status 1\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "Evidence of what?"),
        ("socket", 'There is no panel "socket".'),
        ("sockets 81", "No socket has port 81, nor is 81 a descriptor of one."),
        ("sockets x", '"x" is no descriptor, port or client.'),
        ("queues 81", "Nothing listens at port 81."),
        ("output 3", '"3": this panel is asked for alone.'),
        ("counters moon", 'There is no host, counter or setting "moon".'),
        ("run", "No command was told."),
    ],
)
def test_what_names_nothing_is_refused_with_what_it_is(words: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        Evidence(None).asked(words, state())
    assert refused.value.what == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("clients z", "There is no such client.\n"),
        ("wire", "No packet was seen yet.\n"),
        ("descriptors 99", "Descriptor 99 is not open.\n"),
        ("processes 1", "There is no such process.\n"),
    ],
)
def test_what_is_not_there_is_said(words: str, said: str) -> None:
    assert Evidence(None).asked(words, state()) == (None, said)


def test_while_a_question_hides_it_nothing_is_read_out() -> None:
    reached = [ev.LessonText(0, TOML), ev.StepReached(7, 1, "before")]
    for more in ([], [ev.Asked(8, 1)]):
        now = lab.state_of(lab.start(), lab.sockets(lab.listener(depth=5)), lab.enter("accept", 3), *reached, *more)
        for words in ("sockets", "call", "run"):
            with pytest.raises(UsageError, match="A question is open"):
                Evidence(a_lesson()).asked(words, now)


def test_on_a_terminal_no_line_is_wider_than_it() -> None:
    told, now = Evidence(None, 60), state()
    command, _ = told.asked("sockets", now)
    assert isinstance(command, cmd.Evidence)
    reading = ev.Reading("/proc/net/tcp", LINE.encode(), "server", 2, "  sl")
    text = told.feed(ev.Evidence(9, command.wants, (reading,)), now)
    assert max(map(len, text.splitlines())) <= 60
