"""`--json`: the engine's own lines on stdout, untouched, and the little that must be understood of them.

In: a Link; prompt commands on stdin. Out: the stream, one event a line; the exit code. Decodes only the few events
that decide what to do next, so that a free run costs no more than a copy.
"""

from __future__ import annotations

import os

from socklab.core.errors import SocklabError, UsageError
from socklab.guide import accepting
from socklab.lesson import Lesson
from socklab.protocol import codec, commands as cmd, events as ev
from socklab.session import Link
from socklab.ui.plain import prompt
from socklab.ui.plain.consumer import Consumer

# The tag comes first in every line the engine writes, and a quotation mark inside a string is escaped: these bytes
# begin a line or are nowhere.
_TAGS = ["started", "exited", "asked", "answered", "measured", "lesson-done", "ended", "ready", "done"]
_UNDERSTOOD = tuple(b'{"e":"%s"' % tag.encode() for tag in _TAGS)


def run(link: Link, lesson: Lesson | None, *, auto: bool = False, free: bool = False) -> int:
    """Copy the stream to stdout until it ends. Unattended it steps and answers; else stdin is read as at the prompt.

    A line of stdin that is no command is told on stderr and nothing else happens. End of input ends the lab, except
    in a free run, which needs nobody.
    """
    return _Copy(link, lesson, auto=auto, free=free).run()


class _Copy(Consumer):
    """The stream as it comes; the fold has only the events that are understood."""

    def _take_events(self) -> None:
        self._copy(self._link.read_lines())

    def _copy(self, lines: bytes) -> None:
        left = memoryview(lines)
        while left:
            left = left[os.write(1, left) :]
        if not any(tag in lines for tag in _UNDERSTOOD):
            return
        for line in lines.splitlines():
            if line.startswith(_UNDERSTOOD):
                event = codec.decode_event(line)
                self._fold(event)
                if self._auto and isinstance(event, ev.Ready):
                    self._go_on()

    def _take_lines(self) -> None:
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
        if self._question is not None and line.strip() not in ("q", "quit"):
            return cmd.Answer(choice=prompt.parse_answer(line, self._question))
        request = prompt.parse(line)
        if isinstance(request, prompt.Restart | prompt.Language):
            raise UsageError(
                f"{line.split()[0]}: not in a stream, which has one beginning.", fix="quit, and start another one."
            )
        if isinstance(request, prompt.Capture):
            raise UsageError("pcap: the packets are in the stream.", fix="socklab export --pcap FILE RECORDING")
        if isinstance(request, prompt.Evidence):
            wants = '{"c":"evidence","wants":[{"what":"counters","host":"server"}]}'
            raise UsageError("raw: a stream names what is to be read.", fix=f"For example {wants}")
        if isinstance(request, prompt.Accept):
            if request:
                raise UsageError("accept: one at a time in a stream.", fix="accept, as often as you like.")
            return accepting.one()
        return None if isinstance(request, prompt.Show | prompt.Why | prompt.Help) else request
