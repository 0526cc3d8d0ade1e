"""The plain mode over a fake engine: when it prompts, when it takes a line."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from socklab.protocol import commands as cmd, events as ev
from socklab.ui.plain import run as plain
from tests.support import streams as lab

PROMPT = "> "


class FakeLink:
    """Gives out what the test tells it to; what is sent is answered by the test."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._events: list[ev.AnyEvent] = []
        self.commands: list[cmd.AnyCommand] = []
        self.sent = threading.Condition()
        self.ended = False

    def tell(self, *events: ev.AnyEvent | list[ev.AnyEvent]) -> None:
        for event in events:
            self._events += event if isinstance(event, list) else [event]
        os.write(self._write, b"x")

    def fileno(self) -> int:
        return self._read

    def read_available(self) -> list[ev.AnyEvent]:
        os.read(self._read, 4096)
        found, self._events = self._events, []
        self.ended = any(isinstance(event, ev.Ended) for event in found)
        return found

    def send(self, command: cmd.AnyCommand) -> int:
        with self.sent:
            self.commands.append(command)
            self.sent.notify_all()
        return len(self.commands)

    def wait_for(self, *commands: cmd.AnyCommand) -> None:
        with self.sent:
            assert self.sent.wait_for(lambda: self.commands == list(commands), 120), self.commands


class Session:
    """A plain run in a thread, its stdin a pipe; what it prints is kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> None:
        self.link = FakeLink()
        self._keys, self.typing = os.pipe()
        self._stdin = os.dup(0)
        os.dup2(self._keys, 0)
        monkeypatch.setattr(plain.os, "isatty", lambda _fd: terminal)
        monkeypatch.setattr(plain, "sys", SimpleNamespace(stdout=self))
        self.text = ""
        self._printed = threading.Condition()
        self._thread = threading.Thread(target=lambda: plain.run(self.link, None))  # type: ignore[arg-type]
        self._thread.start()

    def write(self, text: str) -> None:
        with self._printed:
            self.text += text
            self._printed.notify_all()

    def flush(self) -> None:
        return

    def isatty(self) -> bool:
        return False

    def type(self, *lines: str) -> None:
        os.write(self.typing, "".join(f"{line}\n" for line in lines).encode())

    def wait_for(self, text: str, times: int = 1) -> None:
        with self._printed:
            assert self._printed.wait_for(lambda: self.text.count(text) >= times, 120), self.text

    def end(self) -> None:
        self.link.tell(ev.Ended(lab.t(), "quit"))
        self._thread.join(20)
        os.dup2(self._stdin, 0)
        for fd in (self._stdin, self._keys, self.typing):
            os.close(fd)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    session = Session(monkeypatch, terminal=True)
    yield session
    session.end()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    session = Session(monkeypatch, terminal=False)
    yield session
    session.end()


def ready(wants: str = "step") -> ev.Ready:
    return ev.Ready(lab.t(), wants, lab.PID, (lab.PID,) if wants == "step" else ())


def test_the_prompt_comes_with_ready_and_not_before(terminal: Session) -> None:
    terminal.link.tell(lab.start(), lab.enter("listen", 3, 4))
    terminal.wait_for("Stop 1")
    assert not terminal.text.endswith("> ")
    terminal.link.tell(ready())
    terminal.wait_for(PROMPT)
    assert terminal.text.count("Stop 1") == 1


def test_a_line_is_obeyed_though_the_kernel_s_timers_never_stand_still(terminal: Session) -> None:
    """A program that sleeps where nobody stops it: every look finds a timer with less left to run."""
    terminal.link.tell(lab.start(), lab.enter("listen", 3, 4), ready())
    terminal.wait_for(PROMPT)
    terminal.type("s")
    terminal.link.wait_for(cmd.Step())
    terminal.link.tell(ev.Resumed(lab.t(), lab.PID), ready("pause"))
    terminal.wait_for(PROMPT, times=2)
    for left in range(50, 0, -1):
        row = ev.SocketRow(7, 2, "10.0.0.2:40001", "10.0.0.1:8080", 2, timer=1, expires_ms=left)
        terminal.link.tell(lab.sockets(row))
    terminal.type("pause")
    terminal.link.wait_for(cmd.Step(), cmd.Pause())


def test_after_a_refused_command_the_prompt_is_there_again(terminal: Session) -> None:
    terminal.link.tell(lab.start(), lab.enter("listen", 3, 4), ready())
    terminal.wait_for(PROMPT)
    terminal.type("close nobody")
    terminal.link.wait_for(cmd.Do("close nobody"))
    note = ev.Notice(lab.t(), "warning", "There is no client nobody.", "")
    terminal.link.tell(note, ev.Done(lab.t(), 1, "refused", note.text), ready())
    terminal.wait_for("Warning: There is no client nobody.")
    terminal.wait_for(PROMPT, times=2)
    assert terminal.text.count("There is no client nobody.") == 1


def test_a_line_down_a_pipe_waits_until_the_step_before_it_is_done(pipe: Session) -> None:
    pipe.link.tell(lab.start(), lab.enter("listen", 3, 4), ready())
    pipe.type("s", "s")
    pipe.link.wait_for(cmd.Step())
    pipe.link.tell(ev.Resumed(lab.t(), lab.PID), ready("pause"), ev.Output(lab.t(), "server", "out", b"slow\n"))
    pipe.wait_for("slow")
    assert pipe.link.commands == [cmd.Step()]
    pipe.link.tell(lab.enter("accept", 3), ev.Done(lab.t(), 1, "done"), ready())
    pipe.link.wait_for(cmd.Step(), cmd.Step())


def test_lines_that_ask_nothing_of_the_engine_are_answered_at_once_one_after_the_other(pipe: Session) -> None:
    pipe.link.tell(lab.start(), lab.enter("listen", 3, 4), lab.sockets(lab.listener()), ready())
    pipe.type("show sockets", "nonsense", "show queues", "s")
    pipe.link.wait_for(cmd.Step())
    order = [pipe.text.index(f"> {line}\n") for line in ("show sockets", "nonsense", "show queues", "s")]
    assert order == sorted(order)
    assert 'No verb "nonsense"' in pipe.text


def test_the_end_of_input_ends_the_lab_even_while_the_program_computes(pipe: Session) -> None:
    pipe.link.tell(lab.start(), lab.enter("listen", 3, 4), ready())
    pipe.type("s")
    pipe.link.wait_for(cmd.Step())
    os.close(pipe.typing)
    pipe.typing = os.open(os.devnull, os.O_WRONLY)
    pipe.link.tell(ev.Resumed(lab.t(), lab.PID), ready("pause"))
    pipe.link.wait_for(cmd.Step(), cmd.Quit())
    assert "End of input: the lab is ended." in pipe.text


# ---------------------------------------------------------------- accept

ONE = cmd.Continue("accept ok")


def waiting(terminal: Session, depth: int) -> None:
    """The server stands before accept, so many clients wait, and the prompt is there."""
    terminal.link.tell(
        lab.start(), lab.fds((3, 900)), lab.sockets(lab.listener(depth)), lab.enter("accept", 3), ready()
    )
    terminal.wait_for(PROMPT)


def accepted(terminal: Session, number: int, depth: int) -> None:
    """The accept that was asked for has returned; the next one is about to be made."""
    done = ev.Done(lab.t(), number, "done")
    terminal.link.tell(
        lab.returned("accept", 4), lab.sockets(lab.listener(depth)), lab.enter("accept", 3), done, ready()
    )


def test_accept_lets_the_server_accept_one(terminal: Session) -> None:
    waiting(terminal, 2)
    terminal.type("accept")
    terminal.link.wait_for(ONE)


def test_accept_says_why_not_and_the_prompt_is_there_again(terminal: Session) -> None:
    waiting(terminal, 0)
    terminal.type("accept")
    terminal.wait_for("Nobody waits to be accepted")
    terminal.wait_for(PROMPT, times=2)
    assert terminal.link.commands == []


def test_accept_every_goes_on_until_another_step_is_typed(terminal: Session) -> None:
    waiting(terminal, 3)
    terminal.type("accept every 0.1")
    terminal.link.wait_for(ONE)
    accepted(terminal, 1, 2)
    terminal.link.wait_for(ONE, ONE)
    accepted(terminal, 2, 0)
    terminal.wait_for("Nobody waits to be accepted")
    terminal.link.tell(lab.sockets(lab.listener(1)), ready())
    terminal.link.wait_for(ONE, ONE, ONE)
    accepted(terminal, 3, 0)
    terminal.type("s")
    terminal.link.wait_for(ONE, ONE, ONE, cmd.Step())


def test_accept_stop_ends_it(terminal: Session) -> None:
    waiting(terminal, 0)
    terminal.type("accept every 3600", "accept stop")
    terminal.wait_for("No more clients are accepted by themselves.")


def test_the_two_panels_are_shown_in_plain_too(terminal: Session) -> None:
    waiting(terminal, 2)
    terminal.type("show acceptqueue", "show datapath")
    terminal.wait_for("No connection")
    assert "2 of 4" in terminal.text and "accepted" in terminal.text
