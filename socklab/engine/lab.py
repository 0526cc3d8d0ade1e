"""One run: every source ordered into the stream.

In: commands from the consumer, stops from the tracer thread, readiness of clients and of the program's output. Out:
events. This is the lab thread: a selector loop that looks at the kernel when the program is held, carries the lesson
out, and asks the tracer to resume. Never makes a ptrace request itself.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Iterator

import msgspec

from socklab import guide, syscalls
from socklab.commands import actions
from socklab.core.errors import MachineError, SocklabError, UsageError
from socklab.engine.clients import Address, Clients
from socklab.engine.commands import Commands
from socklab.engine.kernel.poller import BLOCKED_AFTER_S, Watch
from socklab.engine.network.topology import Topology
from socklab.engine.network.wiretap import Wiretap
from socklab.engine.program import Launched
from socklab.engine.script import Script
from socklab.engine.source.source_files import Places
from socklab.engine.stream import Stream
from socklab.engine.terminal import Terminal
from socklab.engine.tracing import run_control
from socklab.engine.tracing.run_control import Steering
from socklab.engine.tracing.syscall_filter import Business
from socklab.engine.tracing.task import Stop, Task
from socklab.engine.tracing.tracer import Tracer
from socklab.lesson import Lesson, canonical
from socklab.protocol import commands as cmd
from socklab.protocol import events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.state import LabState, apply

_TICK_SETTLE_S = 0.004
_TICK_LIVE_S = 0.05
_TICK_IDLE_S = 0.25
_STILL_S = 90.0
"""How long a lesson that runs by itself may stand still: longer than a SYN waits to be sent again (64 s at most)."""
_DRAIN_S = 2.0
"""How long the last output of a program that has ended is waited for."""


class Lab:
    """The lab thread's object. `run` returns when the lab is over; `post`, `child_ended` and `ask_quit` may be called
    from elsewhere."""

    def __init__(
        self,
        spec: RunSpec,
        commands: socket.socket,
        unread: bytes,
        stream: Stream,
        topology: Topology,
        arch: str,
        lesson: Lesson | None,
        port: int,
        limit: tuple[int, int],
    ) -> None:
        self.stream = stream
        self.reason = "quit"
        self.tracer = Tracer(stream, arch, syscalls.capturers(arch), self.post, self.child_ended)
        self._spec = spec
        self._consumer = commands
        self._unread = unread
        self._topology = topology
        self._arch = arch
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._posts: deque[Stop | tuple[int, int]] = deque()
        self._bell_read, self._bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._state = LabState()
        self._clients = Clients(stream, self._selector, self._target, self._client_address, self._name_client)
        self._commands = Commands(stream, self._selector, topology.enter, limit)
        self._acting: deque[Iterator[None]] = deque()
        if lesson is not None:
            paused = guide.pause_names(lesson)
            business = Business(arch, syscalls.LESSON_CALLS | paused, paused)
        else:
            business = Business(arch, syscalls.RUN_BUSINESS, syscalls.RUN_PAUSED)
        self._steering = Steering(self.tracer, business, free=spec.free, scripted=lesson is not None, until=spec.until)
        self._script = Script(lesson, stream, self, unattended=spec.unattended) if lesson is not None else None
        self._deferred: int | None = None
        """A resume that waits for the lesson's actions at this stop (the task asked for, 0 = the last held)."""
        self._calls: dict[str, int] = {}
        self._nth: dict[int, tuple[str, int]] = {}
        self._places = Places(stream)
        self._watch: Watch | None = None
        self._wiretap: Wiretap | None = None
        self._terminal: Terminal | None = None
        self._over = False
        self._last_change: tuple[LabState | None, float] = (None, 0.0)
        self._lesson_set_in_vain = False
        """A kernel setting was refused to the lesson and that was told: the next refusals say nothing new."""
        self._drain_until = 0.0

    # ---------------------------------------------------------------- called from other threads

    def post(self, stop: Stop) -> None:
        self._posts.append(stop)
        self._ring()

    def child_ended(self, pid: int, status: int) -> None:
        self._posts.append((pid, status))
        self._ring()

    def ask_quit(self) -> None:
        """End the lab; safe in a signal handler."""
        self._over = True
        self._ring()

    def _ring(self) -> None:
        try:
            os.write(self._bell, b"!")
        except BlockingIOError:
            return  # the pipe is full of rings that were not heard yet

    def attach(self, launched: Launched) -> None:
        """Before the thread starts: the program's terminal to read."""
        self._terminal = Terminal(launched, self.stream, self._selector, self._not_started)

    def _not_started(self, reason: str) -> None:
        self._tell("error", f"The program could not be started: {reason}.", "")
        self.reason = "failed"

    # ---------------------------------------------------------------- the loop

    def run(self) -> None:
        """Serve until the consumer quits or goes away, or a run that nobody watches has ended."""
        self._selector.register(self._consumer, selectors.EVENT_READ, self._read_commands)
        self._selector.register(self._bell_read, selectors.EVENT_READ, lambda _mask: os.read(self._bell_read, 4096))
        if not self._spec.free or self._topology.wire is not None or self._spec.capture:
            self._wiretap = Wiretap(self.stream, self._selector, self._topology)
        if self._spec.capture:
            self._try_capture(self._spec.capture)
        if self._spec.free:
            self._topology.enter("client")
        else:
            self._watch = Watch(self._topology, self.stream, self._arch, self._fold)
            for pid in {task.pid for task in list(self.tracer.tasks.values()) if task.attached}:
                self._watch.follow(pid)  # it may sleep on: no stop would tell of it
            self._tell_settings()
        try:
            self._serve_lines()
            while not self._over:
                for key, mask in self._selector.select(self._timeout()):
                    key.data(mask)
                self._serve_posts()
                self._advance()
                self._look_around()
                self.stream.flush()
        finally:
            self._clients.end()
            self._commands.end()
            if self._wiretap is not None:
                self._wiretap.close()
            self.tracer.ask_end()

    def _tell_settings(self) -> None:
        """The settings lessons speak of, as they are before anybody sets one."""
        for host in self._topology.hosts:
            if not host.shares_table_with:
                for name, value in self._topology.settings(host.name).items():
                    self.stream.put(ev.Setting(self.stream.now(), host.name, name, value))

    def _try_capture(self, path: str) -> None:
        assert self._wiretap is not None
        try:
            self._wiretap.capture(path)
        except SocklabError as error:
            self._tell("error", error.what, error.fix)

    def _timeout(self) -> float:
        """How long nothing needs to be done unless something becomes ready."""
        script, watch = self._script, self._watch
        if self._posts or self._acting or self._over:
            return 0.0
        if script is not None and script.waiting:
            return _TICK_SETTLE_S if script.settling else 0.0
        if script is not None and script.watching:
            return _TICK_LIVE_S
        if self._drain_until or watch is None:
            return _TICK_LIVE_S
        running = self._running()
        if any(task.in_call and task.tid not in watch.blocked for task in running):
            return BLOCKED_AFTER_S
        if running:
            return _TICK_LIVE_S
        return watch.due_in_s if self._moving or watch.owed else _TICK_IDLE_S

    def _running(self) -> list[Task]:
        return [task for task in list(self.tracer.tasks.values()) if not task.held and task.started]

    @property
    def _moving(self) -> bool:
        return self._clients.busy or self._commands.busy

    def _look_around(self) -> None:
        if self._watch is None:
            return
        for tid in self._watch.tick(self._running(), self._moving):
            if self._script is not None and tid in self._nth:
                name, nth = self._nth[tid]
                self._script.moment(guide.Moment(tid, "blocked", name, nth))

    def _advance(self) -> None:
        """Actions of the student and of the lesson go on a little; a run that nobody watches ends by itself."""
        if self._acting:
            try:
                next(self._acting[0])
            except StopIteration:
                self._acting.popleft()
        script = self._script
        if script is not None:
            script.advance()
            self._steering.scripted = not script.done
            if self._deferred is not None and not script.waiting:
                tid, self._deferred = self._deferred, None
                if not script.stays:
                    self._resume(tid)
        if self._spec.unattended and self._wiretap is not None and self._wiretap.broken:
            self.reason = "failed"  # nobody is there to see that clients wait for ever
            self._over = True
        if self._spec.unattended and script is not None and not script.done:
            self._end_if_still()
        drained = self._terminal is None or self._terminal.closed
        if self._drain_until and (drained or time.monotonic() > self._drain_until):
            self.reason = "exited" if self.reason == "quit" else self.reason
            self._over = True

    def _end_if_still(self) -> None:
        """A lesson that waits for what never comes: nobody is there to see it and press a key."""
        state = self._fold()
        if state is not self._last_change[0]:
            self._last_change = state, time.monotonic()
        elif time.monotonic() - self._last_change[1] > _STILL_S:
            said = f"Nothing has moved for {_STILL_S:.0f} s, and the lesson is not at its end: it is given up."
            self._tell("error", said, "Run it by hand to see what is missing.")
            self.reason = "failed"
            self._over = True

    # ---------------------------------------------------------------- commands

    def _read_commands(self, _mask: int) -> None:
        try:
            # The socket itself stays blocking: a flood of events waits for a consumer that reads slowly.
            data = self._consumer.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:  # ECONNRESET: the consumer was killed
            data = b""
        if not data:
            self._over = True
            return
        self._unread += data
        self._serve_lines()

    def _serve_lines(self) -> None:
        while b"\n" in self._unread and not self._over:
            line, _, self._unread = self._unread.partition(b"\n")
            try:
                self._command(cmd.decode_command(line))
            except (msgspec.ValidationError, msgspec.DecodeError) as error:
                self._tell("error", f"A command was not understood: {error}.", "")
            except SocklabError as error:
                self._tell("warning", error.what, error.fix)

    def _command(self, command: cmd.AnyCommand) -> None:
        if isinstance(command, cmd.Quit):
            self._over = True
        elif isinstance(command, cmd.Step):
            self._go_on(run_control.OVER if command.over else run_control.STEP, tid=command.tid)
        elif isinstance(command, cmd.Continue):
            self._continue(command.until)
        elif isinstance(command, cmd.Pause):
            self._steering.pause()
        elif isinstance(command, cmd.Do):
            self._acting.append(self.act(command.line, "student"))
        elif isinstance(command, cmd.Answer):
            if self._script is None or not self._script.answer(command.choice):
                self._tell("info", "No question is open.", "")
        elif isinstance(command, cmd.Raw) and self._watch is not None:
            self._watch.raw_line(command.id)
        elif isinstance(command, cmd.Focus):
            self._focus(command.tid)
        elif isinstance(command, cmd.Others):
            for each in self._steering.others(run=command.run, tid=command.tid):
                if self._watch is not None:
                    self._watch.woke(each)
        elif isinstance(command, cmd.Input):
            if self._terminal is None:
                raise UsageError("Its terminal is not the lab's.", fix="Type where the program was started.")
            self._terminal.write(command.data)

    def _tell(self, level: str, text: str, fix: str) -> None:
        self.stream.put(ev.Notice(self.stream.now(), level, text, fix))

    def _continue(self, until: str) -> None:
        if until == "":
            self._go_on(run_control.FREE)
        elif until == "step":
            in_lesson = self._script is not None and not self._script.done
            self._go_on(run_control.LESSON if in_lesson else run_control.FREE)
        else:
            self._go_on(run_control.UNTIL, until=until)

    def _go_on(self, mode: str, *, tid: int = 0, until: str = "") -> None:
        script = self._script
        if script is not None and script.question is not None:
            if self._spec.unattended:
                return  # it was asked for before the question was seen, and is asked for again after the answer
            raise UsageError("A question is open.", fix="Answer it, or let it be shown without a guess.")
        self._steering.run_in(mode, until)
        if script is not None and script.go_on():
            return  # the lesson goes on at this stop; where the program sleeps, what it does now will wake it
        if script is not None and script.waiting:
            self._deferred = tid  # the stop's own actions come first
            return
        self._resume(tid)

    def _resume(self, tid: int) -> None:
        if not self._steering.held and self._watch is not None and self._watch.blocked:
            self._tell("info", "The program sleeps in the kernel: only a client can wake it.", "connect   opens one.")
        for each in self._steering.resume(tid):
            if self._watch is not None:
                self._watch.woke(each)

    def _focus(self, tid: int) -> None:
        stop = self._steering.held.pop(tid, None)
        if stop is None:
            raise UsageError(f"Task {tid} is not held.", fix="Choose a task that is held.")
        self._hold(stop)

    # ---------------------------------------------------------------- actions (the script's hands)

    def act(self, line: str, origin: str) -> Iterator[None]:
        """Carry out one verb line in parts; a refusal becomes a Notice."""
        try:
            action = actions.parse(line)
            self.stream.put(ev.Acted(self.stream.now(), line, origin))
            if isinstance(action, actions.Set):
                self._set(action)
            elif isinstance(action, actions.Wire) and self._wiretap is not None:
                self._wiretap.act(action)
            elif isinstance(action, actions.Run):
                self._commands.start(self._topology.resolve_words(action.argv), action.host)
            elif isinstance(action, actions.Close) and self._commands.stop(action.name, signal.SIGTERM):
                pass  # a running program was meant, not a client
            elif isinstance(action, actions.Reset) and self._commands.stop(action.name, signal.SIGKILL):
                pass
            else:
                yield from self._clients.perform(action)
        except SocklabError as error:
            # What a lesson can't do on this machine it teaches without; what the student typed deserves an answer.
            if origin == "student":
                self._tell("warning", error.what, error.fix)
            elif not (line.startswith("set ") and self._lesson_set_in_vain):
                self._tell("info", error.what, error.fix)
                self._lesson_set_in_vain = line.startswith("set ")
        self.fresh_state()

    def _set(self, action: actions.Set) -> None:
        if action.value:
            name, value = self._topology.write_setting(action.host, action.name, action.value)
        else:
            name, value = self._topology.read_setting(action.host, action.name)
        self.stream.put(ev.Setting(self.stream.now(), action.host, name, value))

    def _name_client(self, name: str, local: str) -> None:
        if self._wiretap is not None:
            self._wiretap.name(name, local)

    def fresh_state(self) -> LabState:
        """Look at everything now and fold it."""
        if self._wiretap is not None:
            self._wiretap.pump()
        if self._watch is not None:
            self._watch.everywhere()
        return self._fold()

    def _fold(self) -> LabState:
        kept = self.stream.kept
        while kept:
            self._state = apply(self._state, kept.popleft())
        return self._state

    def _target(self) -> Address:
        """Where a client should connect: the program's first listener, or the lesson's port while nothing listens."""
        for row in self._fold().listeners:
            host, _, port = row.local.rpartition(":")
            host = host.strip("[]")
            if host in ("0.0.0.0", "::", "::ffff:0.0.0.0") or (self._topology.wire and host.startswith("127.")):
                # A client on another host knows the server's address only; what listens on loopback is not there.
                return socket.AF_INET, self._topology.address("server"), int(port)
            return (socket.AF_INET6 if ":" in host else socket.AF_INET), host, int(port)
        return socket.AF_INET, self._topology.address("server"), self._port

    def _client_address(self, family: int) -> str:
        """Clients come from the client's address: even on one private host the table then tells the ends apart."""
        if self._topology.network == "machine":
            return ""
        try:
            return self._topology.address("client", 6 if family == socket.AF_INET6 else 4)
        except MachineError:
            return ""  # no IPv6 here: connect will say so

    # ---------------------------------------------------------------- stops

    def _serve_posts(self) -> None:
        for _ in range(len(self._posts)):  # not those that come meanwhile: commands have their turn too
            if self._over:
                return
            post = self._posts.popleft()
            if not isinstance(post, Stop):
                self._commands.ended(*post)
            elif post.at == "exited":
                self._exited(post)
            else:
                self._stopped(post)

    def _stopped(self, stop: Stop) -> None:
        watch = self._watch
        if self._wiretap is not None:
            self._wiretap.pump()
        if watch is not None:
            watch.follow(stop.pid)
            watch.woke(stop.tid)
            watch.at_stop(stop)
        of_lesson = stop.at in ("enter", "return") and self._tell_script(stop)
        if self._steering.wants(stop, of_lesson=of_lesson) or self._lesson_acts():
            self._hold(stop)
        else:
            self._steering.pass_by(stop)

    def _lesson_acts(self) -> bool:
        """The lesson needs this stop, whatever the student asked for."""
        script = self._script
        if script is None:
            return False
        if self._steering.runs_on and script.only_tells:
            script.advance()
            return script.stays
        return script.waiting

    def _tell_script(self, stop: Stop) -> bool:
        name = canonical(syscalls.name(self._arch, stop.nr))
        if stop.at == "enter":
            nth = self._calls[name] = self._calls.get(name, 0) + 1
            self._nth[stop.tid] = (name, nth)
        name, nth = self._nth.get(stop.tid, (name, 0))
        if self._script is None:
            return False
        return self._script.moment(guide.Moment(stop.tid, stop.at, name, nth))

    def _hold(self, stop: Stop) -> None:
        self._steering.hold(stop)
        task = self.tracer.tasks.get(stop.tid)
        stack, unlined = self._places.stack(stop, task) if task is not None else ((), "")
        self.stream.put(ev.Held(self.stream.now(), stop.tid, stop.at, stack, unlined))

    def _exited(self, stop: Stop) -> None:
        self._steering.forget(stop.tid)
        self._nth.pop(stop.tid, None)
        if stop.tid == stop.pid:
            self._places.forget(stop.pid)
        if self._watch is not None:
            self._watch.forget(stop)
        if not self.tracer.tasks and (self._spec.free or self._spec.unattended):
            self._drain_until = time.monotonic() + _DRAIN_S

    # ---------------------------------------------------------------- the end

    def end_event(self) -> ev.Ended:
        """The stream's last event; the checks that never had their moment are failed now."""
        script = self._script
        if script is None:
            return ev.Ended(self.stream.now(), self.reason)
        if self._spec.unattended and not script.done:
            script.finish()
        reason = "done" if script.done else self.reason
        return ev.Ended(self.stream.now(), reason, script.held, script.failed)
