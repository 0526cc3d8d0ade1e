"""`--json`: the engine's own lines on stdout, untouched, and the little that must be understood of them.

In: a Link; prompt commands on stdin. Out: the stream, one event a line; the exit code. Decodes only the few events
that decide what to do next, so that a free run costs no more than a copy.
"""

from __future__ import annotations

import os
import select

from socklab import state as st
from socklab.core.errors import SocklabError
from socklab.lesson import Lesson
from socklab.protocol import codec, commands as cmd, events as ev
from socklab.protocol.pending import Pending
from socklab.session import Link
from socklab.ui.plain import prompt
from socklab.ui.plain.run import Lines, exit_code, go_on

# The tag comes first in every line the engine writes, and a quotation mark inside a string is escaped: these bytes
# begin a line or are nowhere.
_TAGS = ["started", "exited", "asked", "answered", "measured", "lesson-done", "ended", "ready", "done"]
_UNDERSTOOD = tuple(b'{"e":"%s"' % tag.encode() for tag in _TAGS)


def run(link: Link, lesson: Lesson | None, *, auto: bool = False, free: bool = False) -> int:
    """Copy the stream to stdout until it ends. Unattended it steps and answers; else stdin is read as at the prompt.

    A line of stdin that is no command is told on stderr and nothing else happens. End of input ends the lab, except
    in a free run, which needs nobody.
    """
    return _Pump(link, lesson, auto=auto, free=free).run()


class _Pump:
    def __init__(self, link: Link, lesson: Lesson | None, *, auto: bool, free: bool) -> None:
        self._link = link
        self._lesson = lesson
        self._auto = auto
        self._free = free
        self._state = st.LabState()
        self._pending = Pending()
        self._lines = Lines()
        self._quitting = False

    def run(self) -> int:
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        reading = not self._auto
        if reading:
            poll.register(0, select.POLLIN | select.POLLHUP)
        while not self._link.ended:
            ready = [fd for fd, _ in poll.poll()]
            if 0 in ready and reading:
                self._lines.read()
                if self._lines.over:
                    poll.unregister(0)
                    reading = False
                self._obey()
            if self._link.fileno() in ready:
                self._copy(self._link.read_lines())
        return exit_code(self._state, self._lesson)

    def _copy(self, lines: bytes) -> None:
        left = memoryview(lines)
        while left:
            left = left[os.write(1, left) :]
        if not any(tag in lines for tag in _UNDERSTOOD):
            return
        for line in lines.splitlines():
            if line.startswith(_UNDERSTOOD):
                event = codec.decode_event(line)
                self._state = st.apply(self._state, event)
                self._pending.feed(event)
                if self._auto and isinstance(event, ev.Ready):
                    for command in go_on(self._state, self._pending, lesson=self._lesson is not None):
                        self._send(command)

    def _obey(self) -> None:
        while not self._quitting:
            line = self._lines.take()
            if line is None:
                if self._lines.over and not self._free:
                    self._send(cmd.Quit())
                return
            try:
                request = self._request(line)
            except SocklabError as error:
                os.write(2, f"socklab: {error}\n".encode())
                continue
            if request is not None:
                self._send(request)

    def _request(self, line: str) -> cmd.AnyCommand | None:
        """A command as typed at the prompt, or as the engine takes it: {"c":"step"}."""
        if line.startswith("{"):
            try:
                return cmd.decode_command(line)
            except ValueError as error:  # msgspec's errors are ValueErrors
                raise SocklabError(f"not a command: {error}") from None
        asked = self._state.question
        if self._lesson is not None and asked is not None and self._state.hidden():
            predict = self._lesson.steps[asked.index].predict
            if predict is not None and line.strip() not in ("q", "quit"):
                return cmd.Answer(choice=prompt.parse_answer(line, predict))
        request = prompt.parse(line)
        return None if isinstance(request, prompt.Show | prompt.Help) else request

    def _send(self, command: cmd.AnyCommand) -> None:
        if self._quitting:
            return
        if isinstance(command, cmd.Quit):
            self._quitting = True
        self._pending.sent(self._link.send(command), command)
