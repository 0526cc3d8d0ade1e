"""Keys for the program, its clients and the past of the run: each becomes a command, or another stop to look at.

In: actions of the lab's screen. Out: commands. Never waits for what comes of one: the stream tells.
"""

from __future__ import annotations

from collections.abc import Iterable

from socklab.commands.lines import Own, Request
from socklab.protocol import commands as cmd
from socklab.ui.tui import status
from socklab.ui.tui.following import client_of_call, neighbour
from socklab.ui.tui.labview import LabView

_NOT_HELD = {
    "r": "The program is running. p holds it.",
    "e": "There is no program to step any more.",
}


class ProgramKeys(LabView):
    """Stepping, running, clients, scrubbing."""

    # ---------------------------------------------------------------- the program

    def _run(self, command: cmd.AnyCommand) -> None:
        """Let the held program go on, if it is held and nothing is asked."""
        if self.at is not None:
            self.action_now()
            return
        now = self._now()
        situation = status.situation(now)
        held = status.held(now)
        if self._open_question() is not None:
            self._say("First the prediction: press its number and Enter, or Esc to see the answer.", wrong=False)
        elif situation == "r" and held and isinstance(command, cmd.Step):
            self._say(f"{now.focus} is not held, {held[-1]} is: ] goes there, Esc follows what happens.", wrong=False)
        elif situation != "h" and not held and not now.blocked(now.focus):
            self._say(_NOT_HELD[situation], wrong=False)
        elif self.bridge.takes_a_step:  # one that was pressed earlier is not queued
            self._dismiss()
            if isinstance(command, cmd.Continue):
                self.following.wherever(now.stops)
                self._alone = 0 if command.until != "step" else self._alone
                self.until, self.until_from = command.until, now.stops
            elif isinstance(command, cmd.Step) and len(now.tasks) > 1:
                command = cmd.Step(tid=now.focus, over=command.over)
            self._send(command)

    def action_step(self) -> None:
        self._run(cmd.Step())

    def action_over(self) -> None:
        self._run(cmd.Step(over=True))

    def action_next(self) -> None:
        self._run(cmd.Continue("step"))

    def action_pause(self) -> None:
        now = self._now()
        if any(task.status == "running" for task in now.tasks.values()):
            self._alone = 0
            self._send(cmd.Pause())
        else:
            self._say("It is held already." if now.task else "There is no program yet.", wrong=False)

    # ---------------------------------------------------------------- one task of several

    def action_task(self, tid: int) -> None:
        """Let the whole screen follow this task."""
        self._hint = ()
        self.at = None
        self.following.choose(tid)
        self.paint()

    def action_neighbour(self, by: int) -> None:
        tid = neighbour(self._now(), by)
        if tid:
            self.action_task(tid)
        else:
            self._say("There is one process with one thread.", wrong=False)

    def action_others(self) -> None:
        """Let the other tasks run while this one is stepped, or have them stop again."""
        now = self._now()
        if self._others_run(now):
            self._alone = 0
            self._send(cmd.Others(run=False))
            self._say("The others are held again, each at its next call.", wrong=False)
        elif now.task is None or now.task.status != "held":
            self._say("Choose a task that is held: the others can run while it is stepped.", wrong=False)
        else:
            self._alone = now.focus
            self._send(cmd.Others(run=True, tid=now.focus))
            self.following.choose(now.focus)
            self._say(f"Only {now.focus} is stepped; the others run on. f holds them again.", wrong=False)

    def action_run_until(self) -> None:
        self.typing.open(self, "until ")

    def action_stdin(self) -> None:
        self.typing.open(self, "stdin ")

    def action_quit_lab(self) -> None:
        ended = self.bridge.now.ended
        self._leave(1 if ended is not None and ended.reason == "failed" else 0)

    # ---------------------------------------------------------------- clients

    def _clients(self) -> Iterable[str]:
        return self.bridge.now.clients

    def _chosen(self) -> str:
        """The selected client, or the one that the call in hand is about, or the newest one that is open, or ""."""
        clients = self.bridge.now.clients
        selected = self.board.selected.get("clients")
        if isinstance(selected, str) and selected in clients:
            return selected
        living = [name for name, client in clients.items() if client.phase in ("open", "half-closed", "connecting")]
        served = client_of_call(self._now())
        return served if served in living else living[-1] if living else ""

    def _do(self, verb: str) -> None:
        name = self._chosen()
        if name:
            self._send(cmd.Do(f"{verb} {name}"))
        else:
            self._say("There is no open client. k connects one.", wrong=False)

    def action_connect(self) -> None:
        self._send(cmd.Do("connect"))

    def action_connect_many(self) -> None:
        self.typing.open(self, "connect 5")

    def action_send(self) -> None:
        name = self._chosen()
        text = f'send {name} "\\n"' if name else 'send "\\n"'
        self.typing.open(self, text, cursor=len(text) - 3)

    def action_half_close(self) -> None:
        self._do("half-close")

    def action_close(self) -> None:
        self._do("close")

    def action_reset(self) -> None:
        self._do("reset")

    def action_command(self) -> None:
        self.typing.open(self, "! ")

    def action_prompt(self) -> None:
        self.typing.open(self, "")

    def _typed(self, command: Request) -> None:
        """A line of the prompt was in order."""
        if isinstance(command, Own) and command.name == "pcap":
            self.export_packets(command.argument)
        elif isinstance(command, Own):
            shown = f"panel('{command.argument}')"
            self.call_later(self.run_action, shown if command.name == "show" else command.name)
        elif isinstance(command, cmd.Quit):
            self.action_quit_lab()
        elif isinstance(command, cmd.Pause):
            self.action_pause()
        elif isinstance(command, cmd.Focus) and command.tid not in self._now().tasks:
            self._say(f"There is no task {command.tid}.", wrong=True)
        elif isinstance(command, cmd.Focus):
            self.action_task(command.tid)
        elif isinstance(command, cmd.Others) and command.run == self._others_run(self._now()):
            self._say(f"The others {'run' if command.run else 'are held'} already.", wrong=False)
        elif isinstance(command, cmd.Others):
            self.action_others()
        elif isinstance(command, cmd.Step | cmd.Continue):
            self._run(command)
        else:
            self._send(command)

    def export_packets(self, path: str) -> None:
        """Write the packets so far to a file."""
        raise NotImplementedError

    # ---------------------------------------------------------------- the past

    def _go(self, stop: int) -> None:
        stops = self.bridge.now.stops
        self._hint = ()
        self.at = None if stop >= stops else max(1, stop)
        self.paint()

    def action_past(self) -> None:
        if self.bridge.now.stops > 1:
            self._go((self.bridge.now.stops if self.at is None else self.at) - 1)

    def action_future(self) -> None:
        if self.at is not None:
            self._go(self.at + 1)

    def action_first(self) -> None:
        if self.bridge.now.stops > 1:
            self._go(1)

    def action_now(self) -> None:
        self._go(self.bridge.now.stops)

    def action_stop(self, stop: int) -> None:
        self._go(stop)
