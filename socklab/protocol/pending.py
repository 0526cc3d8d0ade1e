"""The commands of one consumer that the engine has not answered yet.

In: commands as they are sent, the events that come back. Out: which of them wait. Never sends, never times out: the
engine answers each command, and Ended answers what is left.
"""

from __future__ import annotations

from socklab.protocol import commands as cmd, events as ev

_RUN = (cmd.Step, cmd.Continue)


class Pending:
    """Commands without their Done, by id."""

    def __init__(self) -> None:
        self._commands: dict[int, cmd.AnyCommand] = {}

    def sent(self, number: int, command: cmd.AnyCommand) -> None:
        """`number` as Link.send gave it."""
        self._commands[number] = command

    def feed(self, event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Done):
            self._commands.pop(event.id, None)
        elif isinstance(event, ev.Ended):
            self._commands.clear()

    def __bool__(self) -> bool:
        return bool(self._commands)

    @property
    def runs(self) -> bool:
        """The program was asked to go on, and that is not done: another step would be one too many."""
        return any(isinstance(command, _RUN) for command in self._commands.values())

    @property
    def runs_free(self) -> bool:
        """The program was let go for good."""
        return any(isinstance(each, cmd.Continue) and not each.until for each in self._commands.values())

    @property
    def stepped(self) -> frozenset[int]:
        """Tasks that were asked to step (0 = the one held last)."""
        return frozenset(command.tid for command in self._commands.values() if isinstance(command, cmd.Step))
