"""The lab without a screen: text line by line, or the raw event stream; stepped by a student, a pipe, or by itself.

In: a Link, lines on stdin. Out: text on stdout, the exit code. Ends where stdin ends. The prompt comes when the engine
says Ready, a line is taken when the one before is Done: nothing here waits for time to pass.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from socklab import guide, state as st
from socklab.core.errors import SocklabError, UsageError
from socklab.core.text import safe
from socklab.guide import accepting
from socklab.lesson import Lesson, load
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.pending import Pending
from socklab.session import Link
from socklab.ui.plain import prompt
from socklab.ui.plain.consumer import Consumer
from socklab.ui.plain.evidence import Evidence
from socklab.ui.plain.printer import Printer

_NO_ANSWERS = (["show"], ["why"], ["restart"], ["language"])
"""First words that are no answer to a question."""


def run(link: Link, lesson: Lesson | None, *, auto: bool = False, free: bool = False, step: int = 0) -> int:
    """Show a run as text until it ends, the lesson run on to its step `step` (from 1) first.

    Returns the exit code (see `exit_code`).
    """
    terminal = sys.stdout.isatty()
    columns = shutil.get_terminal_size().columns if terminal else 0
    bold = terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb"
    width = min(columns, 80) if columns else 0
    text = _Text(link, lesson, partial(Printer, width=width, bold=bold, free=free), auto=auto, free=free)
    text.go_to(step - 1)
    return text.run()


class _Text(Consumer):
    """The run as text, and the prompt."""

    def __init__(
        self, link: Link, lesson: Lesson | None, printer: Callable[[Lesson | None], Printer], *, auto: bool, free: bool
    ) -> None:
        super().__init__(link, lesson, auto=auto, free=free)
        self._new_printer = printer
        self._printer = printer(lesson)
        self._evidence = Evidence(lesson, shutil.get_terminal_size().columns if os.isatty(1) else 0)
        self._history = None if auto or free else st.History()
        """For `why`: where nobody is held nothing is kept."""
        self._used: ev.Ready | None = None
        """The Ready at which a command was sent: another one follows it."""
        self._prompting = False
        self._hinted = False
        self._told_end = ""
        self._every = self._due = 0.0
        """One client is accepted each so many seconds, the next one then; 0 = none by itself."""
        self._told_why = ""
        self._way: guide.Toward | None = None
        """To a step of the lesson by itself."""
        self._echo = not auto and not os.isatty(0)

    def run(self) -> int:
        started = self._link
        try:
            code = super().run()
        finally:
            if self._link is not started:
                self._link.close()
        self._write(self._printer.flush(self._state) if self._state.ended is None else "")
        return code

    def go_to(self, step: int, choices: Mapping[int, guide.Choice] = MappingProxyType({})) -> None:
        """Run the lesson on to this step, from 0, by itself; a negative one: don't. `choices`: to questions on the
        way."""
        if self._lesson is not None and step >= 0:
            self._way = guide.Toward(self._lesson, step, choices)

    def _restart_at(self, argument: str) -> None:
        """Anew; with the number of a step, and on to it."""
        step = int(argument) - 1 if argument else -1
        if argument and (why := guide.refused(self._lesson, step)):
            raise UsageError(why)
        choices = guide.choices_made(self._state)
        self._restart()
        self.go_to(step, choices)

    def _change_language(self, language: str) -> None:
        """The lesson in its other language, or this one, at the same step."""
        others = guide.other_languages(self._lesson, self._state) if self._lesson is not None else []
        if not others or (language and language not in others):
            raise UsageError("There is no server in another language here.")
        step, choices = self._state.step, guide.choices_made(self._state)
        self._restart(language or others[0])
        self.go_to(step.index if step is not None else -1, choices)

    def _restart(self, language: str = "") -> None:
        """The same run from its beginning, its lesson read again; in this language, "" = the same."""
        self._poll.unregister(self._link)
        try:
            if self._lesson is not None and self._lesson.folder is not None:
                self._lesson = load(self._lesson.folder)
            self._link = self._link.restart(language)
        finally:
            if not self._link.ended:
                self._poll.register(self._link, select.POLLIN)
        self._state, self._pending, self._used = st.LabState(), Pending(), None
        self._history = st.History() if self._history is not None else None
        self._printer = self._new_printer(self._lesson)
        self._evidence.begin(self._lesson)
        self._told_end, self._every = "", 0.0
        self._write("\nStarted anew.\n")

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
            self._fold(event)
            text.append(self._printer.feed(before, event, self._state))
            text.append(self._evidence.feed(event, self._state))
            if self._auto and isinstance(event, ev.Ready):
                text.append(self._printer.flush(self._state))
                self._go_on()
            elif self._way is not None:
                text.append(self._go_toward())
        self._write("".join(text))

    def _go_toward(self) -> str:
        """On to a step of the lesson by itself. Returns what there is to say."""
        following = self._way.next(self._state) if self._way is not None else None
        if isinstance(following, guide.Reached | guide.Stuck):
            self._way = None
            return f"{following.why.replace('`', '')}\n" if isinstance(following, guide.Stuck) else ""
        if following is not None:
            self._send(following)
        return ""

    def _fold(self, event: ev.AnyEvent) -> None:
        if self._history is None:
            super()._fold(event)
        else:
            self._state = self._history.add(event)
            self._pending.feed(event)

    def _send(self, command: cmd.AnyCommand) -> None:
        if isinstance(command, cmd.Quit):
            self._printer.leaving = True
        self._used = self._state.ready
        super()._send(command)

    # ---------------------------------------------------------------- the prompt

    def _show_prompt(self) -> None:
        """Once the engine waits for somebody, what came of the last command included."""
        ready = self._state.ready
        if ready is None or ready is self._used or self._prompting or self._quitting or self._auto or self._way:
            return
        self._write(self._printer.flush(self._state))
        if not self._echo:
            if not self._hinted:
                self._hinted = True
                sys.stdout.write("\nEnter: step. h: all commands. q: quit.\n")
            sys.stdout.write(f"{self._turn()}> " if self._question is None else "Your answer, a letter (or `show`): ")
            sys.stdout.flush()
        self._prompting = True

    def _turn(self) -> str:
        """What the lesson leaves to the student."""
        turn = guide.your_turn(self._state)
        end = guide.end_hint(self._state).replace("`", "") if self._lesson is not None else ""
        if end == self._told_end:
            end = ""
        self._told_end = end or self._told_end
        return f"Your turn: {turn}  (Enter: the lesson does it)\n" if turn else f"{end}\n" if end else ""

    def _takes_a_line(self) -> bool:
        """At the prompt. In a run that goes on for good whoever types means now, however much it prints meanwhile."""
        if self._quitting or not self._prompting:
            return not self._quitting and (self._free or (not self._echo and self._pending.runs_free))
        # What comes down a pipe behind a step waits until that is done, however long the program takes.
        waits = self._echo and self._pending.stepped
        return not waits or self._lines.next in (None, "p", "pause", "q", "quit")

    def _take_lines(self) -> None:
        if self._way is not None and not self._echo and self._lines.next is not None:
            self._way = None  # a line is typed: the run stays where it is
        self._show_prompt()
        self._accept_again()
        while self._take_line():
            self._show_prompt()

    def _take_line(self) -> bool:
        """Carry out one typed line, if one may be taken."""
        if not self._takes_a_line():
            return False
        line = self._lines.take()
        if line is None:
            if not self._lines.over or self._free or not self._prompting:  # a free run needs nobody
                return False
            self._prompting = False
            self._write("End of input: the lab is ended.\n")
            self._send(cmd.Quit())
            return False
        self._printer.after_gap = False  # the line that was typed, and its echo, stand there
        if self._echo:
            sys.stdout.write(f"> {safe(line)}\n")
        self._prompting = False
        try:
            self._obey(line)
        except SocklabError as error:
            self._write(f"{error}\n")
        return True

    def _obey(self, line: str) -> None:
        predict = self._question
        asks_itself = line.strip() in ("q", "quit", "exit", "h", "help", "?")
        if predict is not None and not asks_itself and line.split()[:1] not in _NO_ANSWERS:
            self._send(cmd.Answer(choice=prompt.parse_answer(line, predict)))
            return
        request = prompt.parse(line)
        if isinstance(request, prompt.Show):
            self._write(self._printer.show(self._state, str(request)))
        elif isinstance(request, prompt.Why):
            from socklab.ui.plain import why_text

            width = self._printer.width
            self._write(why_text.told(self._lesson, self._state, str(request), self._history, width))
        elif isinstance(request, prompt.Capture):
            from socklab.packets import capture_file

            self._write(f"{capture_file.write(self._state, str(request))}\n")
        elif isinstance(request, prompt.Help):
            self._write(f"{request}\n")
        elif isinstance(request, prompt.Evidence):
            command, text = self._evidence.asked(str(request), self._state)
            self._write(text)
            if command is not None:
                self._send(command)
        elif isinstance(request, prompt.Restart):
            self._restart_at(request)
        elif isinstance(request, prompt.Language):
            self._change_language(request)
        elif isinstance(request, prompt.Accept):
            self._accept(str(request))
        else:
            if isinstance(request, cmd.Step | cmd.Continue | cmd.Pause):
                self._every = 0.0
            self._send(request)

    # ---------------------------------------------------------------- accept

    def _accept(self, argument: str) -> None:
        """Let the server accept one, or one every few seconds until another step is asked for."""
        self._every, self._told_why = 0.0, ""
        if argument == "stop":
            self._write("No more clients are accepted by themselves.\n")
        elif argument:
            self._every, self._due = accepting.seconds(argument), time.monotonic()
            self._write(f"One client is accepted every {self._every:g} s. Enter or `accept stop` stops that.\n")
        elif why := accepting.refused(self._state):
            self._write(f"{why.replace('`', '')}\n")
        else:
            self._send(accepting.one())

    def _patience(self) -> float | None:
        return max(0.0, (self._due - time.monotonic()) * 1000) if self._every else None

    def _accept_again(self) -> None:
        """The next one, when it is time."""
        if not self._every or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._every
        ready = self._state.ready
        why = accepting.refused(self._state)
        if self._question is not None or self._quitting or (ready is not None and ready.wants == "nothing"):
            self._every = 0.0
            self._write("No more clients are accepted by themselves.\n")
        elif not self._prompting or ready is None or ready.wants != "step":
            return  # it runs, or sleeps in another call
        elif not why:
            self._told_why = ""
            self._write(f"accept (every {self._every:g} s)\n")
            self._send(accepting.one())
        elif why != self._told_why:
            self._told_why = why
            self._write(f"{why.replace('`', '')}\n")
