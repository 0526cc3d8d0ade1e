"""What goes wrong in the screen itself: caught where it is raised, so that the lab goes on; reported when it is over.

In: exceptions of message handlers, of callbacks, of panels. Out: a line to say at once, a report for the ordinary
terminal. Never hides one: each is in the report, and who fails without end ends the screen.
"""

from __future__ import annotations

import traceback
from typing import Protocol, cast

from textual.message import Message
from textual.message_pump import MessagePump

MOST = 50
"""So many failures outside of the panels, and the screen is given up: it would only go on failing."""


class Failures:
    """Those of one screen."""

    def __init__(self) -> None:
        self.count = 0
        """Outside of the panels, those that came again included."""
        self._reports: dict[str, str] = {}
        """The traceback by the line that is said: the first of each kind."""

    def __len__(self) -> int:
        return len(self._reports)

    def add(self, error: BaseException) -> tuple[str, bool]:
        """One line that says what and where, and whether it is a new one."""
        frames = traceback.extract_tb(error.__traceback__)
        where = f" in {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
        line = f"{type(error).__name__}{where}"
        new = line not in self._reports
        if new:
            self._reports[line] = "".join(traceback.format_exception(error))
        return line, new

    @property
    def report(self) -> str:
        """For stderr, when the terminal is the shell's again; "" = nothing went wrong."""
        if not self._reports:
            return ""
        # The sentence comes last: it stands above the shell's prompt, however long the tracebacks are.
        said = "socklab: the screen failed, and the lab went on. This is a bug in socklab: please report it.\n"
        return "\n".join((*self._reports.values(), said))


class Survivor(Protocol):
    """What is needed of the app."""

    outlives_failures: bool
    failures: Failures

    def failed(self, error: Exception) -> None: ...


class Sturdy(MessagePump):
    """A widget, screen or app that outlives what its handlers raise. (Textual would end it, and the app with it.)"""

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            cast(Survivor, self.app).failed(error)
