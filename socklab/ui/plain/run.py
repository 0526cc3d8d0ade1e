"""The lab without a screen: text line by line, or the raw event stream; stepped by a student, a pipe, or by itself.

In: a Link, lines on stdin. Out: text or events on stdout, the exit code. Ends where stdin ends. Reads no kernel
table and keeps no state but the fold.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
import time

from socklab import guide, probes
from socklab import state as st
from socklab.core.errors import ProgramError, SocklabError
from socklab.core.text import safe
from socklab.lesson import Lesson, Settle
from socklab.protocol import commands as cmd
from socklab.protocol import events as ev
from socklab.session import Link
from socklab.ui.plain import prompt
from socklab.ui.plain.printer import Printer

_QUIET_MS = 130
"""A stop is told and the prompt shown once no event came for this long. With thousands of sockets the engine looks at
the whole table a tenth of a second after the stop."""
_CALM_S = 0.4
"""The same when only looks at the kernel went on coming: a timer that counts down is different at each of them."""
_RUNNING_MS = 700
"""The same while the program runs on its own business: the prompt is there to pause it."""
_SETTLES_AT_MOST = 10.0
"""Seconds after which the prompt comes even if the lesson still waits for something."""


def run(link: Link, lesson: Lesson | None, *, auto: bool = False, free: bool = False) -> int:
    """Show a run as text until it ends. Returns the exit code (see `exit_code`)."""
    terminal = sys.stdout.isatty()
    columns = shutil.get_terminal_size().columns if terminal else 0
    bold = terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb"
    printer = Printer(lesson, width=min(columns, 80) if columns else 0, bold=bold, free=free)
    return _Session(link, lesson, printer, auto=auto, free=free).run()


def exit_code(state: st.LabState, lesson: Lesson | None) -> int:
    """A lesson: 0 only if it was done and every check held. A program: its own, as a shell gives it; 5 = none began."""
    ended = state.ended
    if ended is None:
        return 1
    if lesson is not None:
        held = state.lesson_done and not ended.checks_failed and ended.checks_held == len(lesson.checks)
        return 0 if held and ended.reason != "failed" else 1
    task = state.tasks.get(state.started.pid) if state.started is not None else None
    if task is None:
        return ProgramError.exit_code
    if ended.reason == "failed":
        return 1
    if task.exited is None:
        return 0
    return 128 + task.exited.signo if task.exited.signo else task.exited.code


def due_steps(state: st.LabState, stepped: dict[int, tuple[int, str]]) -> list[cmd.Step]:
    """A step for every held task that has not got one at this stop; `stepped` remembers, by call and moment.

    Several tasks may be held at once, each waiting for a step of its own.
    """
    due = []
    for tid, task in state.tasks.items():
        moment = (task.call.number if task.call is not None else -1, task.at)
        if task.status == "held" and stepped.get(tid) != moment:
            stepped[tid] = moment
            due.append(cmd.Step(tid=tid))
    return due


class Lines:
    """Lines of stdin, as they come. `over` at the end of it."""

    def __init__(self) -> None:
        self._data = b""
        self.over = False

    def take(self) -> str | None:
        """The next whole line, if one is there."""
        line, found, rest = self._data.partition(b"\n")
        if not found and not (self.over and line):
            return None
        self._data = rest
        return line.decode("utf-8", "surrogateescape")

    def read(self) -> None:
        """Read what is there; call when stdin is readable."""
        data = b""
        try:
            data = os.read(0, 65536)
        except OSError:  # EIO: the terminal is gone
            pass
        if not data:
            self.over = True
        self._data += data


class _Session:
    """One run: the fold, the printer, and what was typed."""

    def __init__(self, link: Link, lesson: Lesson | None, printer: Printer, *, auto: bool, free: bool) -> None:
        self._link = link
        self._lesson = lesson
        self._printer = printer
        self._auto = auto
        self._free = free
        self._state = st.LabState()
        self._lines = Lines()
        self._prompting = False
        self._quitting = False
        self._hinted = False
        self._going = False
        self._stepped_at = 0
        self._stepped: dict[int, tuple[int, str]] = {}
        self._answered: int | None = None
        self._step_since = 0.0
        self._stirred = time.monotonic()
        """When something happened last that was more than a look."""
        self._acted_before = 0
        self._echo = not os.isatty(0) if not auto else False

    def run(self) -> int:
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        reading = not self._auto
        if reading:
            poll.register(0, select.POLLIN | select.POLLHUP)
        while not self._link.ended:
            ready = [fd for fd, _ in poll.poll(self._patience())]
            if 0 in ready and reading:
                self._lines.read()
                if self._lines.over:
                    poll.unregister(0)
                    reading = False
            if self._link.fileno() in ready:
                self._take_events()
            if (not ready or self._is_calm()) and not self._prompting and not self._quitting:
                self._show_prompt()
            self._take_line()
        self._write(self._printer.flush(self._state) if self._state.ended is None else "")
        return exit_code(self._state, self._lesson)

    def _is_calm(self) -> bool:
        return self._patience() == _QUIET_MS and time.monotonic() - self._stirred > _CALM_S

    def _patience(self) -> int | None:
        """Milliseconds to wait for anything: without end once the prompt is shown."""
        if self._prompting or self._quitting:
            return None
        state = self._state
        waits = any(task.status == "held" or state.blocked(tid) for tid, task in state.tasks.items())
        over = bool(state.tasks) and all(task.status == "exited" for task in state.tasks.values())
        return _QUIET_MS if waits or over else _RUNNING_MS

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._prompting and not self._echo:
            text = "\n" + text.lstrip("\n")  # the prompt is on the line
        self._prompting = False
        sys.stdout.write(text)
        sys.stdout.flush()

    # ---------------------------------------------------------------- events

    def _take_events(self) -> None:
        text = []
        for event in self._link.read_available():
            before = self._state
            self._state = st.apply(before, event)
            if not isinstance(event, ev.Sockets | ev.Counters | ev.Processes):
                self._stirred = time.monotonic()
            if isinstance(event, ev.StepReached):
                self._step_since = time.monotonic()
                self._acted_before = len(before.acted)
            text.append(self._printer.feed(before, event, self._state))
        self._write("".join(text))
        if self._auto:
            self._go_on()

    def _go_on(self) -> None:
        """Unattended: answer what is asked, step whenever held, leave when the lesson is over."""
        state = self._state
        if self._quitting or state.ended is not None:
            return
        if state.lesson_done:
            self._send(cmd.Quit())
            return
        question = guide.question(self._lesson, state) if self._lesson is not None else None
        if question is not None and state.question is not None and self._answered != state.question.index:
            self._answered = state.question.index
            self._send(cmd.Answer(choice=None))
            self._stepped_at = 0  # a step asked for before the question was open is forgotten
        if self._lesson is None:
            for step in due_steps(state, self._stepped):
                self._send(step)
        elif any(task.status == "held" for task in state.tasks.values()) and self._stepped_at != state.stops:
            self._stepped_at = state.stops
            self._send(cmd.Step())

    def _send(self, command: cmd.AnyCommand) -> None:
        if isinstance(command, cmd.Quit):
            self._quitting = self._printer.leaving = True
        self._going = command == cmd.Continue()
        self._link.send(command)

    # ---------------------------------------------------------------- the prompt

    def _busy(self) -> bool:
        """The lesson still acts at this stop, or waits for the kernel to settle, or is about to ask."""
        state, lesson = self._state, self._lesson
        if lesson is None or state.step is None or state.step.index >= len(lesson.steps):
            return False
        if time.monotonic() - self._step_since > _SETTLES_AT_MOST:
            return False
        step = lesson.steps[state.step.index]
        if state.step.phase == "after" and step.at.when != "return":
            return False
        done = sum(1 for each in state.acted[self._acted_before :] if each.origin == "lesson")
        if done < len(step.do):
            return not any(state.blocked(tid) for tid in state.tasks)  # asleep: the lesson's action waits for a step
        asked = state.question is not None and state.question.index == state.step.index
        if step.predict is not None:
            return not asked
        patience = max((each.within_ms for each in step.settle), default=0) / 1000
        if time.monotonic() - self._step_since > patience:
            return False
        return not all(_holds(state, each) for each in step.settle)

    def _show_prompt(self) -> None:
        if self._busy() or self._state.started is None:
            return
        self._write(self._printer.flush(self._state))
        if self._auto:
            return
        if not self._echo:
            if not self._hinted:
                self._hinted = True
                sys.stdout.write("\nEnter: step. h: all commands. q: quit.\n")
            sys.stdout.write(self._question_prompt() or f"{self._turn()}> ")
            sys.stdout.flush()
        self._prompting = True

    def _turn(self) -> str:
        """What the lesson leaves to the student."""
        offer = guide.offered(self._lesson, self._state) if self._lesson is not None else ""
        return f"Your turn: {safe(offer)}  (Enter: the lesson does it)\n" if offer else ""

    def _question_prompt(self) -> str:
        open_now = guide.question(self._lesson, self._state) if self._lesson is not None else None
        return "Your answer (or `show`): " if open_now is not None else ""

    def _runs_on(self) -> bool:
        """The program was let go for good: whoever types now means now, however much it prints meanwhile."""
        if self._free:
            return True
        return self._going and not self._echo and all(task.status != "held" for task in self._state.tasks.values())

    def _take_line(self) -> None:
        """Carry out one typed line; the next one waits until its effect was told."""
        if self._quitting or not (self._prompting or self._runs_on()):
            return
        line = self._lines.take()
        if line is None:
            if self._lines.over:
                if self._free or not self._prompting:  # the run needs nobody
                    return
                self._prompting = False
                self._write("End of input: the lab is ended.\n")
                self._send(cmd.Quit())
            return
        if self._echo:
            sys.stdout.write(f"> {safe(line)}\n")
        self._prompting = False
        try:
            self._obey(line)
        except SocklabError as error:
            self._write(f"{error}\n")

    def _obey(self, line: str) -> None:
        predict = guide.question(self._lesson, self._state) if self._lesson is not None else None
        if predict is not None and line.strip() not in ("q", "quit", "exit", "h", "help", "?"):
            request: prompt.Request | None = None
            if line.startswith("show "):
                request = prompt.parse(line)
            if not isinstance(request, prompt.Show):
                self._send(cmd.Answer(choice=prompt.parse_answer(line, predict)))
                return
        request = prompt.parse(line)
        if isinstance(request, prompt.Show):
            self._write(self._printer.show(self._state, str(request)))
        elif isinstance(request, prompt.Help):
            self._write(prompt.HELP + "\n")
        else:
            self._send(request)


def _holds(state: st.LabState, wanted: Settle) -> bool:
    try:
        return wanted.holds(probes.measure(state, wanted.probe))
    except probes.Unmeasured:
        return False
