"""The lab as text: what is said at a stop, what waits for an answer, and that nothing untrusted gets through."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from socklab import lesson as lessons, state as st
from socklab.protocol import events as ev
from socklab.ui.plain.consumer import exit_code
from socklab.ui.plain.printer import Printer
from tests.support import streams as lab

LESSON = """
format = 1
title = "A waiting line"
summary = "One line."
server = { python = "server.py" }
intro = "Look at *this*\\nand **that**."

[[step]]
at = { syscall = "listen" }
before = "Depth {listener.accept_queue} before."

[[step]]
at = { syscall = "accept" }
do = ["connect 5"]
before = "The queue has {listener.accept_queue}."
after = "Now {listener.accept_queue} wait."
[step.predict]
ask = "How many wait?"
choices = [0, 4, 5]
measure = "listener.accept_queue"
hides = ["queues", "sockets"]
explain = "One more than asked for."

[[check]]
at = { syscall = "accept" }
probe = "listener.accept_queue"
is = 5
"""


def lesson() -> lessons.Lesson:
    return lessons.parse(LESSON, "lesson.toml", name="line", folder=Path("/nowhere"))


class Reader:
    """Feeds events to a printer and keeps what each added."""

    def __init__(self, printer: Printer) -> None:
        self.printer = printer
        self.state = st.LabState()

    def read(self, *events: ev.AnyEvent) -> str:
        text = ""
        for event in events:
            before, self.state = self.state, st.apply(self.state, event)
            text += self.printer.feed(before, event, self.state)
        return text


def sockets(*rows: ev.SocketRow) -> ev.Sockets:
    return ev.Sockets(lab.t(), "server", rows)


def test_a_stop_says_the_call_its_line_and_its_arguments() -> None:
    reader = Reader(Printer())
    reader.read(*lab.start(), ev.Source(lab.t(), "/x/server.c", "c", "one\n  listen(s, 4);\n"))
    enter, held = lab.enter("listen", 3, 4)
    assert isinstance(held, ev.Held)
    text = reader.read(enter, replace(held, stack=(ev.Frame("/x/server.c", 2, "main"),)))
    lines = text.splitlines()
    assert lines[1].startswith("Stop 1: about to call listen(3, 4")
    assert lines[2] == "  server.c:2 in main: listen(s, 4);"
    assert any(line.startswith("    backlog = 4") for line in lines)


def test_the_return_says_the_result_and_what_changed() -> None:
    reader = Reader(Printer())
    reader.read(*lab.start(), *lab.enter("listen", 3, 4))
    resumed, returned, held = lab.returned("listen", 0)
    text = reader.read(resumed, returned, lab.fds((3, 900)), sockets(lab.listener()), held)
    assert "Stop 2: listen(3, 4" in text
    assert ") = 0: the socket is listening\n" in text
    assert "  + descriptor 3: socket:[900], LISTEN at 0.0.0.0:8080\n" in text


def test_calls_nobody_was_held_at_are_told_in_one_line() -> None:
    reader = Reader(Printer())
    reader.read(*lab.start(), *lab.enter("listen", 3, 4), ev.Resumed(lab.t(), lab.PID))
    enter = lab.enter("close", 3)[0]
    text = reader.read(ev.Return(lab.t(), lab.PID, lab.NUMBERS["listen"], 0), enter)
    assert text.startswith("  ran through: listen(3, 4")
    assert text.count("\n") == 1


def test_a_free_run_is_one_line_a_call() -> None:
    reader = Reader(Printer(free=True))
    reader.read(*lab.start())
    text = reader.read(lab.enter("close", 3)[0], ev.Return(lab.t(), lab.PID, lab.NUMBERS["close"], -9))
    assert text.startswith("close(3")
    assert text.endswith("= -1 EBADF\n")


def to_the_question(reader: Reader) -> str:
    """Everything up to and including Asked; the answer is 5."""
    text = reader.read(*lab.start(), *lab.call("listen", 3, 4), sockets(lab.listener(0)), *lab.enter("accept", 3))
    text += reader.read(
        ev.StepReached(lab.t(), 1, "before"),
        ev.Acted(lab.t(), "connect 5", "lesson"),
        sockets(lab.listener(5)),
    )
    text += reader.printer.flush(reader.state)
    return text + reader.read(ev.Asked(lab.t(), 1))


def test_what_a_question_hides_is_not_told_before_its_answer() -> None:
    reader = Reader(Printer(lesson()))
    text = to_the_question(reader)
    assert "accept queue 5" not in text
    assert "The queue has …." in text
    assert "Question: How many wait?\nChoices:  a. 0  b. 4  c. 5\n" in text
    assert "5 of 4" not in reader.printer.show(reader.state, "queues")
    assert "answer it first" in reader.printer.show(reader.state, "queues")
    answer = reader.read(ev.Measured(lab.t(), 1, 5, 4, False))
    assert "You said 4; the kernel says 5. One more than asked for." in answer
    assert "accept queue 5 of 4" in answer


def test_output_that_a_question_hides_is_not_told_before_its_answer() -> None:
    text = LESSON.replace('["queues", "sockets"]', '["output"]')
    reader = Reader(Printer(lessons.parse(text, "lesson.toml", name="line", folder=Path("/nowhere"))))
    reader.read(*lab.start(), *lab.call("listen", 3, 4), *lab.enter("accept", 3), ev.StepReached(lab.t(), 1, "before"))
    wrote = ev.Output(lab.t(), "server", "out", b"five wait\n")
    told = reader.read(ev.Asked(lab.t(), 1), wrote) + reader.printer.flush(reader.state)
    assert "five wait" not in told + reader.printer.show(reader.state, "output")
    told = reader.read(ev.Measured(lab.t(), 1, 5, 5, True)) + reader.printer.flush(reader.state)
    assert told.count("five wait") == 1


def test_markdown_is_read_aloud_without_its_marks() -> None:
    reader = Reader(Printer(lesson()))
    assert "Look at this and that.\n" in reader.read(*lab.start())


def test_a_narration_is_told_once() -> None:
    reader = Reader(Printer(lesson()))
    text = to_the_question(reader) + reader.printer.flush(reader.state)
    assert text.count("The queue has") == 1


def test_the_checks_are_a_table_at_the_end() -> None:
    reader = Reader(Printer(lesson()))
    to_the_question(reader)
    text = reader.read(ev.Checked(lab.t(), 0, False, "listener.accept_queue", 5, 4), ev.Ended(lab.t(), "done", 0, 1))
    assert "  FAILED  listener.accept_queue is 5  measured: 4\n" in text
    assert "0 held, 1 failed.\n" in text


def test_a_check_that_could_not_be_read_says_why() -> None:
    reader = Reader(Printer(lesson()))
    reader.read(*lab.start())
    checked = ev.Checked(lab.t(), 0, False, "listener.accept_queue", 5, None, "never came")
    assert "measured: never came" in reader.read(checked, ev.Ended(lab.t(), "exited", 0, 1))


def test_a_sleeping_program_is_said_to_sleep_once() -> None:
    reader = Reader(Printer())
    reader.read(*lab.start(), *lab.enter("accept", 3), ev.Resumed(lab.t(), lab.PID))
    reader.read(ev.Processes(lab.t(), (ev.ProcessRow(lab.PID, 1, "server", "S"),)))
    assert "The program sleeps in accept." in reader.printer.flush(reader.state)
    assert reader.printer.flush(reader.state) == ""


def test_program_output_is_told_line_by_line_and_without_control_characters() -> None:
    reader = Reader(Printer())
    reader.read(*lab.start())
    reader.read(ev.Output(lab.t(), "server", "out", b"half"))
    assert reader.printer.flush(reader.state) == ""
    reader.read(ev.Output(lab.t(), "server", "out", b" line\r\n\x1b[31m[red]\n"))
    assert reader.printer.flush(reader.state).splitlines() == [
        "  the program wrote: half line",
        "  the program wrote: ␛[31m[red]",
    ]


def test_the_last_line_without_a_newline_is_told_at_the_end() -> None:
    reader = Reader(Printer())
    reader.read(*lab.start(), ev.Output(lab.t(), "a", "err", b"bye"))
    assert "  client a wrote on stderr: bye\n" in reader.read(ev.Ended(lab.t(), "quit"))


EVIL = "\x1b]52;c;aGk=\x07\x9b31m\u202e\ud800"


def test_nothing_untrusted_reaches_the_text_as_a_control_character() -> None:
    reader = Reader(Printer())
    raw = EVIL.encode("utf-8", "surrogatepass")
    events = [
        *lab.start(),
        ev.Built(lab.t(), ("cc", EVIL)),
        ev.Started(lab.t(), lab.PID, "server", (EVIL,), EVIL),
        ev.Notice(lab.t(), "error", EVIL + "\n" + EVIL, EVIL),
        ev.Source(lab.t(), "/" + EVIL, "c", EVIL),
        ev.Enter(lab.t(), lab.PID, lab.NUMBERS["write"], (1, 4096, 20, 0, 0, 0), (ev.Mem(4096, raw),)),
        ev.Held(lab.t(), lab.PID, "enter", (ev.Frame("/" + EVIL, 1, EVIL), ev.Frame(EVIL, 2, EVIL))),
        ev.Descriptors(lab.t(), lab.PID, (ev.Descriptor(3, EVIL, detail=EVIL),)),
        ev.Sockets(lab.t(), "server", (ev.SocketRow(1, 2, EVIL, EVIL, 1),)),
        ev.Setting(lab.t(), "server", EVIL, EVIL),
        ev.Setting(lab.t(), "server", EVIL, "changed"),
        ev.Client(lab.t(), EVIL, EVIL, local=EVIL, remote=EVIL, tail=raw),
        ev.Client(lab.t(), "b", "done", argv=(EVIL,)),
        ev.Acted(lab.t(), EVIL, "student"),
        ev.Output(lab.t(), EVIL, "out", raw + b"\n"),
        ev.Execed(lab.t(), lab.PID, (EVIL,)),
        ev.Checked(lab.t(), 0, False, EVIL, EVIL, EVIL),
        ev.Ended(lab.t(), EVIL),
    ]
    text = reader.read(*events)
    for kind in ("descriptors", "sockets", "queues", "counters", "clients", "source", "output"):
        text += reader.printer.show(reader.state, kind)
    bad = {character for character in text if character != "\n" and not character.isprintable()}
    assert not bad
    assert "␛]52" in text


def test_lines_fit_the_width_of_a_terminal() -> None:
    reader = Reader(Printer(lesson(), width=60))
    text = to_the_question(reader)
    text += reader.read(ev.Notice(lab.t(), "info", "many words " * 30), ev.Acted(lab.t(), "x" * 200, "student"))
    assert max(len(line) for line in text.splitlines()) <= 60


def test_a_pipe_gets_no_escape_sequence_and_a_terminal_only_bold() -> None:
    assert "\x1b" not in to_the_question(Reader(Printer(lesson())))
    text = to_the_question(Reader(Printer(lesson(), bold=True)))
    assert {piece[:3] for piece in text.split("\x1b")[1:]} == {"[1m", "[0m"}


def ended(*events: ev.AnyEvent) -> st.LabState:
    return st.apply_all(st.LabState(), [*lab.start(), *events])


def test_a_lesson_ends_with_0_only_if_it_was_done_and_every_check_held() -> None:
    done = ev.LessonDone(lab.t())
    assert exit_code(ended(done, ev.Ended(lab.t(), "done", 1, 0)), lesson()) == 0
    assert exit_code(ended(done, ev.Ended(lab.t(), "done", 0, 1)), lesson()) == 1
    assert exit_code(ended(done, ev.Ended(lab.t(), "done", 0, 0)), lesson()) == 1
    assert exit_code(ended(ev.Ended(lab.t(), "quit", 1, 0)), lesson()) == 1
    assert exit_code(ended(done, ev.Ended(lab.t(), "failed", 1, 0)), lesson()) == 1
    assert exit_code(ended(done), lesson()) == 1


def test_a_program_gives_its_own_exit_code() -> None:
    assert exit_code(ended(ev.Exited(lab.t(), lab.PID, code=7), ev.Ended(lab.t(), "exited")), None) == 7
    assert exit_code(ended(ev.Exited(lab.t(), lab.PID, signo=11), ev.Ended(lab.t(), "killed")), None) == 139
    assert exit_code(ended(ev.Ended(lab.t(), "quit")), None) == 0
    killed = ev.Exited(lab.t(), lab.PID, signo=9)
    assert exit_code(ended(killed, ev.Ended(lab.t(), "quit")), None) == 0  # with the lab, which the user left
    assert exit_code(ended(killed, ev.Ended(lab.t(), "exited")), None) == 137
    assert exit_code(st.apply(st.LabState(), ev.Ended(lab.t(), "failed")), None) == 5


def test_a_step_begins_with_its_heading_and_its_text_then_comes_the_call() -> None:
    reader = Reader(Printer(lesson()))
    reader.read(*lab.start(), lab.fds((3, 900)), *lab.enter("listen", 3, 4), ev.StepReached(lab.t(), 0, "before"))
    text = reader.printer.flush(reader.state)
    order = [
        text.index(each) for each in ("Step 1 of 2: before listen", "Depth", "Stop 1: about to call", "backlog = 4")
    ]
    assert order == sorted(order)
    assert "Depth" not in reader.printer.flush(reader.state)


def test_a_text_about_a_result_follows_it_and_is_told_once_though_the_lesson_ends_there() -> None:
    text = LESSON.replace(
        "[[check]]", '[[step]]\nat = { syscall = "read", when = "return" }\nafter = "It is read."\n[[check]]'
    )
    reader = Reader(Printer(lessons.parse(f'outro = "Over."\n{text}', "lesson.toml", name="line", folder=Path("/x"))))
    reader.read(*lab.start(), *lab.enter("read", 3))
    resumed, returned, held = lab.returned("read", 0)
    said = reader.read(resumed, returned, held, ev.StepReached(lab.t(), 2, "after"), ev.LessonDone(lab.t()))
    said += reader.printer.flush(reader.state) + reader.read(ev.Resumed(lab.t(), lab.PID), ev.Ended(lab.t(), "done"))
    assert [said.count(each) for each in ("Step 3 of 3: after read", "It is read.", "Over.")] == [1, 1, 1]
    assert said.index(") = 0") < said.index("It is read.") < said.index("Over.")


def test_a_call_is_explained_once_and_again_on_demand() -> None:
    reader = Reader(Printer())
    first = reader.read(*lab.start(), *lab.enter("listen", 3, 4))
    again = reader.read(*lab.returned("listen", 0), *lab.enter("listen", 3, 8))
    assert "backlog = 4" in first
    assert "backlog" not in again and "about to call listen(3, 8)" in again
    assert "backlog = 8" in reader.printer.show(reader.state, "call")


def test_the_bytes_of_an_address_are_told_field_by_field() -> None:
    reader = Reader(Printer())
    address = bytes.fromhex("02001f900a0000010000000000000000")  # struct sockaddr_in, ip(7)
    enter, held = lab.enter("bind", 3, 0x1000, 16)
    text = reader.read(*lab.start(), replace(enter, mem=(ev.Mem(0x1000, address),)), held)
    assert "1f 90  sin_port" in text and "0a 00 00 01  sin_addr" in text


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("the program was built without debug information", "  no line of source: the program was built without"),
        ("no line of yours is on the stack", "  no line of yours is on the stack"),
        ("no Python line: only some can be read", "  no Python line: only some can be read"),
    ],
)
def test_a_stop_without_a_source_line_says_why_once(why: str, said: str) -> None:
    reader = Reader(Printer())
    enter, held = lab.enter("listen", 3, 4)
    text = reader.read(*lab.start(), enter, replace(held, unlined=why))
    enter, held = lab.enter("accept", 3)
    text += reader.read(*lab.returned("listen", 0), enter, replace(held, unlined=why))
    assert text.count(why) == text.count(f"\n{said}") == 1


def test_a_result_stands_below_its_call_and_an_empty_line_before_the_next_call() -> None:
    reader = Reader(Printer())
    text = reader.read(*lab.start(), *lab.enter("socket", 2, 1))
    text += reader.read(*lab.returned("socket", 3), *lab.enter("listen", 3, 4))
    assert "\n\nStop 1: about to call socket" in text
    assert "\n\nStop 2" not in text and "\nStop 2: socket(" in text
    assert "\n\nStop 3: about to call listen" in text


def test_checks_that_came_out_alike_are_one_line() -> None:
    check = LESSON[LESSON.index("[[check]]") :]
    thrice = lessons.parse(LESSON + 2 * check, "lesson.toml", name="line", folder=Path("/nowhere"))
    reader = Reader(Printer(thrice))
    reader.read(*lab.start())
    checked = [
        ev.Checked(lab.t(), at, value == 5, "listener.accept_queue", 5, value) for at, value in ((0, 5), (1, 4), (2, 5))
    ]
    text = reader.read(*checked, ev.Ended(lab.t(), "done", 2, 1))
    assert text.count("listener.accept_queue is 5") == 2
    assert "  held    listener.accept_queue is 5  measured: 5, 2 times\n" in text
    assert "  FAILED  listener.accept_queue is 5  measured: 4\n" in text
    assert "2 held, 1 failed.\n" in text


def test_what_select_found_ready_is_told() -> None:
    reader = Reader(Printer())
    asked, found = ((ev.Mem(0x1000, bits.to_bytes(8, "little")),) for bits in (1 << 3 | 1 << 5, 1 << 5))
    select = 23  # of x86-64
    reader.read(*lab.start(), lab.entered(select, 6, 0x1000, mem=asked), ev.Held(lab.t(), lab.PID, "enter"))
    text = reader.read(lab.result(select, 1, mem=found), ev.Held(lab.t(), lab.PID, "return"))
    assert "ready: descriptor 5 for read\n" in text


def test_output_of_a_program_that_nobody_holds_is_told_as_it_comes_and_all_of_it() -> None:
    for printer, begun in ((Printer(free=True), ()), (Printer(), (ev.Ready(lab.t(), "pause"),))):
        reader = Reader(printer)
        reader.read(*lab.start(), *begun)
        lines = [f"line {number}" for number in range(100)]
        text = reader.read(ev.Output(lab.t(), "server", "out", "".join(f"{line}\n" for line in lines).encode()))
        assert text.splitlines() == [f"  the program wrote: {line}" for line in lines]


def test_one_byte_is_no_bytes_and_a_fin_is_none() -> None:
    mine, theirs = (replace(row, rx_queue=1, tx_queue=1) for row in lab.pair(1, 1, 1))
    text = facts_of(replace(theirs, state=st.CLOSE_WAIT), replace(mine, state=st.FIN_WAIT1))
    of = {line.split()[1]: line for line in text.splitlines()}
    assert of["CLOSE_WAIT"].endswith(", the FIN to read, 1 byte not acknowledged")
    assert of["FIN_WAIT1"].endswith(", 1 byte to read, the FIN not acknowledged")


def facts_of(*rows: ev.SocketRow) -> str:
    reader = Reader(Printer())
    reader.read(*lab.start(), sockets(*rows))
    return reader.printer.flush(reader.state)
