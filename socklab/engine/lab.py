"""One run: every source ordered into the stream.

In: commands from the consumer, stops from the tracer thread, readiness of clients and of the program's output. Out:
events. This is the lab thread: a selector loop that looks at the kernel when the program is held, carries the lesson
out, and asks the tracer to resume. Never makes a ptrace request itself.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from socklab import actions, conditions, guide, syscalls
from socklab import events as ev
from socklab.engine.clients import Address, Clients
from socklab.engine.gates import Business, RunGate, StepGate, UntilGate
from socklab.engine.look import Look
from socklab.engine.program import Launched
from socklab.engine.script import Script
from socklab.engine.stream import Stream
from socklab.engine.topology import Topology
from socklab.engine.tracer import Memory, Stop, Tracer
from socklab.engine.where import Where, source
from socklab.errors import SocklabError, UsageError
from socklab.lesson import Lesson, canonical
from socklab.spec import RunSpec
from socklab.state import LabState, apply

FULL_LOOK_NS = 2_000_000
"""A full look that costs less than this is made at every stop; above it, the touched descriptors first."""
_TICK_SETTLE = 0.004
_TICK_LIVE = 0.05
_TICK_IDLE = 0.25
_BLOCKED_AFTER = 0.008
"""A task that sleeps in a call at two looks this far apart is called blocked."""


class Lab:
    """The lab thread's object. `run` returns when the lab is over; `post` and `child_ended` may be called elsewhere."""

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
        self._spec = spec
        self._commands = commands
        self._unread = unread
        self._topology = topology
        self._arch = arch
        self._port = port
        self._lesson = lesson
        self._selector = selectors.DefaultSelector()
        self._posts: deque[Stop | tuple[int, int]] = deque()
        self._bell_read, self._bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._state = LabState()
        self._folding = stream.kept
        self._clients = Clients(stream, self._selector, self._target, self._client_address, topology.enter, limit)
        self._acting: deque[Iterator[None]] = deque()
        paused = guide.pause_names(lesson) if lesson is not None else syscalls.LESSON_CALLS
        self._business = Business(arch, syscalls.LESSON_CALLS | paused, paused)
        self._step_gate = StepGate(self._business)
        self._script = Script(lesson, stream, self, unattended=spec.unattended) if lesson is not None else None
        self._mode = "free" if spec.free else "step"
        self._held: dict[int, Stop] = {}
        self._calls: dict[str, int] = {}
        self._nth: dict[int, tuple[str, int]] = {}
        self._sleeping_since: dict[int, float] = {}
        self._told_blocked: set[int] = set()
        self._deferred: int | None = None
        """A resume that waits for the lesson's actions at this stop (the task asked for, 0 = the last held)."""
        self._wheres: dict[int, tuple[Memory, Where]] = {}
        self._known_sources: set[str] = set()
        self._look: Look | None = None
        self._client_look: Look | None = None
        self._look_due = 0.0
        self._over = False
        self._program_fds: set[int] = set()
        self._out_fd = -1
        self._alive = 0
        self._drain_until = 0.0
        self.reason = "quit"
        self.tracer: Tracer | None = None

    # ---------------------------------------------------------------- called from the tracer thread

    def post(self, stop: Stop) -> None:
        self._posts.append(stop)
        os.write(self._bell, b"!")

    def child_ended(self, pid: int, status: int) -> None:
        self._posts.append((pid, status))
        os.write(self._bell, b"!")

    def ask_quit(self) -> None:
        """End the lab; safe in a signal handler."""
        self._over = True
        os.write(self._bell, b"!")

    # ---------------------------------------------------------------- set-up

    def attach(self, tracer: Tracer, launched: Launched) -> None:
        """Before the thread starts: the tracer to ask, and the program's terminal to read."""
        self.tracer = tracer
        tracer.hold_signals = not self._spec.free
        tracer.gate = None if self._spec.free else self._step_gate
        self._alive = 1
        self._out_fd = launched.out
        for fd, name in ((launched.out, "out"), (launched.err, "err")):
            os.set_blocking(fd, False)
            self._program_fds.add(fd)
            self._selector.register(fd, selectors.EVENT_READ, self._output_reader(fd, name))
        self._selector.register(launched.failed, selectors.EVENT_READ, self._exec_reader(launched))

    def _output_reader(self, fd: int, name: str) -> Callable[[int], None]:
        def read(_mask: int) -> None:
            try:
                data = os.read(fd, 65536)
            except BlockingIOError:
                return
            except OSError:  # EIO: the last process that had the terminal open is gone
                data = b""
            if data:
                self.stream.put(ev.Output(self.stream.now(), "server", name, data))
            else:
                self._selector.unregister(fd)
                self._program_fds.discard(fd)

        return read

    def _exec_reader(self, launched: Launched) -> Callable[[int], None]:
        def read(_mask: int) -> None:
            said = os.read(launched.failed, 16)
            self._selector.unregister(launched.failed)
            os.close(launched.failed)
            if said:
                number = int(said)
                self._tell("error", f"The program could not be started: {os.strerror(number)}.", "")
                self.reason = "failed"

        return read

    # ---------------------------------------------------------------- the loop

    def run(self) -> None:
        """Serve until the consumer quits or goes away, or a run that nobody watches has ended."""
        self._commands.setblocking(False)
        self._selector.register(self._commands, selectors.EVENT_READ, self._read_commands)
        self._selector.register(self._bell_read, selectors.EVENT_READ, self._read_bell)
        self._look = self._new_look("server")
        self._topology.enter("client")
        if self._topology.network == "two-hosts":
            self._client_look = self._new_look("client")
        try:
            self._serve_lines()
            while not self._over:
                for key, mask in self._selector.select(self._timeout()):
                    key.data(mask)
                self._serve_posts()
                self._advance()
                self._watch()
                self.stream.flush()
        finally:
            self._finish()

    def _new_look(self, host: str) -> Look:
        self._topology.enter(host)
        return Look(host, self.stream.now, only_watched=self._topology.network == "machine")

    def _timeout(self) -> float:
        if self._posts or self._acting or self._over:
            return 0.0
        if self._script is not None and self._script.waiting:
            return _TICK_SETTLE if self._script.settling else 0.0
        if self._drain_until:
            return 0.02
        if self._spec.free:
            return _TICK_LIVE
        tracer = self.tracer
        assert tracer is not None
        if any(task.in_call and not task.held for task in list(tracer.tasks.values())):
            return _BLOCKED_AFTER if not self._told_blocked else _TICK_LIVE
        if self._alive and len(self._held) < self._alive:
            return _TICK_LIVE
        return max(0.001, self._look_due - time.monotonic()) if self._clients.busy else _TICK_IDLE

    def _read_bell(self, _mask: int) -> None:
        os.read(self._bell_read, 4096)

    def _finish(self) -> None:
        assert self.tracer is not None
        self._clients.end()
        self.tracer.ask_end()

    # ---------------------------------------------------------------- commands

    def _read_commands(self, _mask: int) -> None:
        try:
            data = self._commands.recv(65536)
        except BlockingIOError:
            return
        except OSError:  # ECONNRESET: the consumer was killed
            data = b""
        if not data:
            self._over = True
            self.reason = "quit"
            return
        self._unread += data
        self._serve_lines()

    def _serve_lines(self) -> None:
        while b"\n" in self._unread and not self._over:
            line, _, self._unread = self._unread.partition(b"\n")
            try:
                self._command(ev.decode_command(line))
            except (msgspec.ValidationError, msgspec.DecodeError) as error:
                self._tell("error", f"A command was not understood: {error}.", "")
            except SocklabError as error:
                self._tell("warning", error.what, error.fix)

    def _command(self, command: ev.AnyCommand) -> None:
        if isinstance(command, ev.Quit):
            self._over = True
        elif isinstance(command, ev.Step):
            self._resume_in("over" if command.over else "step", command.tid)
        elif isinstance(command, ev.Continue):
            self._continue(command.until)
        elif isinstance(command, ev.Pause):
            self._pause()
        elif isinstance(command, ev.Do):
            self._acting.append(self.act(command.line, "student"))
        elif isinstance(command, ev.Answer):
            if self._script is None or not self._script.answer(command.choice):
                self._tell("info", "No question is open.", "")
        elif isinstance(command, ev.Raw):
            self._raw(command.id)
        elif isinstance(command, ev.Focus):
            self._focus(command.tid)
        elif isinstance(command, ev.Input):
            self._input(command.data)

    def _tell(self, level: str, text: str, fix: str) -> None:
        self.stream.put(ev.Notice(self.stream.now(), level, text, fix))

    def _resume_in(self, mode: str, tid: int = 0) -> None:
        script = self._script
        if script is not None and script.question is not None:
            raise UsageError("A question is open.", fix="Answer it, or let it be shown without a guess.")
        self._mode = mode
        assert self.tracer is not None
        if mode == "free" and (script is None or script.done):
            self.tracer.gate = RunGate(self._business)
        elif mode != "until":
            self.tracer.gate = self._step_gate
        if script is not None and script.accept_offer():
            return  # the program sleeps; what the lesson does now will wake it
        if script is not None and script.waiting:
            self._deferred = tid  # the stop's own actions come first
            return
        self._resume(tid)

    def _resume(self, tid: int) -> None:
        """Resume one task (0 = the one held last), and in the free modes all of them."""
        if not self._held:
            if self._told_blocked:
                self._tell(
                    "info", "The program sleeps in the kernel: only a client can wake it.", "connect   opens one."
                )
            return
        everyone = self._mode in ("free", "until", "lesson")
        chosen = tid if tid in self._held else next(reversed(self._held))
        for each in list(self._held) if everyone else [chosen]:
            self._let_go(each)

    def _let_go(self, tid: int) -> None:
        assert self.tracer is not None
        self._held.pop(tid, None)
        self._sleeping_since.pop(tid, None)
        self._told_blocked.discard(tid)
        self.tracer.ask_resume(tid)

    def _continue(self, until: str) -> None:
        if until == "":
            self._resume_in("free")
        elif until == "step":
            self._resume_in("lesson" if self._script is not None and not self._script.done else "free")
        else:
            condition = conditions.parse(until)
            assert self.tracer is not None
            before = self.tracer.gate
            self.tracer.gate = UntilGate(self._business, condition)
            try:
                self._resume_in("until")
            except SocklabError:
                self.tracer.gate = before
                raise

    def _pause(self) -> None:
        assert self.tracer is not None
        self._mode = "step"
        self.tracer.gate = self._step_gate
        self.tracer.ask_interrupt()

    def _focus(self, tid: int) -> None:
        stop = self._held.pop(tid, None)
        if stop is None:
            raise UsageError(f"Task {tid} is not held.", fix="Choose a task that is held.")
        self._held[tid] = stop
        self._hold(stop)

    def _input(self, data: bytes) -> None:
        if self._out_fd in self._program_fds:
            try:
                os.write(self._out_fd, data)
            except OSError as error:
                raise SocklabError(f"The program's input is closed: {error.strerror}.") from error

    def _raw(self, socket_id: int) -> None:
        for host, table in self._state.tables.items():
            row = table.rows.get(socket_id)
            if row is not None and self._look is not None:
                look = self._client_look if host == "client" and self._client_look is not None else self._look
                line = look.raw_line(row)
                if line is None:
                    raise SocklabError("That socket is not listed any more.")
                self.stream.put(ev.RawLine(self.stream.now(), host, socket_id, line))
                return
        raise UsageError("There is no such socket.")

    # ---------------------------------------------------------------- actions (Script's hands)

    def act(self, line: str, origin: str) -> Iterator[None]:
        """Carry out one verb line in parts; a refusal becomes a Notice."""
        try:
            action = actions.parse(line)
            self.stream.put(ev.Acted(self.stream.now(), line, origin))
            if isinstance(action, actions.Set):
                self._set(action)
            elif isinstance(action, actions.Wire):
                self._wire(action)
            else:
                if isinstance(action, actions.Run):
                    words = self._topology.resolve_words(action.argv)
                    action = actions.Run(tuple(words), action.host)
                yield from self._clients.perform(action)
        except SocklabError as error:
            self._tell("warning", error.what, error.fix)
        self._look_due = 0.0
        self._look_everywhere()

    def _set(self, action: actions.Set) -> None:
        if action.value:
            name, value = self._topology.write_setting(action.host, action.name, action.value)
        else:
            name, value = self._topology.read_setting(action.host, action.name)
        self.stream.put(ev.Setting(self.stream.now(), action.host, name, value))

    def _wire(self, action: actions.Wire) -> None:
        raise UsageError(
            f"{action.verb} needs a wire between two hosts; this lab has {self._topology.network}.",
            fix="The verbs without a wire: connect, send, half-close, close, reset, ! COMMAND, set.",
        )

    def fresh_state(self) -> LabState:
        self._look_everywhere()
        return self._fold()

    def _target(self) -> Address:
        """Where a client should connect: the program's first listener, or the lesson's port while nothing listens."""
        for row in self._fold().listeners:
            host, _, port = row.local.rpartition(":")
            host = host.strip("[]")
            if host in ("0.0.0.0", "::", "::ffff:0.0.0.0"):
                return socket.AF_INET, self._topology.address("server"), int(port)
            return (socket.AF_INET6 if ":" in host else socket.AF_INET), host, int(port)
        return socket.AF_INET, self._topology.address("server"), self._port

    def _client_address(self, family: int) -> str:
        """With one private host, clients come from an address of their own, so that the table tells the ends apart."""
        if self._topology.network != "private" or family != socket.AF_INET:
            return ""
        return self._topology.address("client")

    # ---------------------------------------------------------------- looking

    def _fold(self) -> LabState:
        events = self._folding
        while events:
            self._state = apply(self._state, events.popleft())
        return self._state

    def _look_everywhere(self) -> None:
        if self._spec.free or self._look is None:
            return
        self.stream.put_all(self._look.everything())
        if self._client_look is not None:
            self.stream.put_all(self._client_look.everything())
        cost = self._look.cost_ns / 1e9
        self._look_due = time.monotonic() + max(0.1, 20 * cost)

    def _look_at_stop(self, stop: Stop) -> None:
        look = self._look
        if look is None:
            return
        if look.cost_ns < FULL_LOOK_NS or stop.at in ("interrupt", "signal"):
            self._look_everywhere()
            return
        fds: list[int] = []
        if stop.nr >= 0:
            name = syscalls.name(self._arch, stop.nr)
            position = syscalls.fd_argument(name)
            if position is not None:
                fds.append(stop.args[position] & 0xFFFFFFFF)
            if stop.at == "return" and syscalls.returns_fd(name) and stop.result >= 0:
                fds.append(stop.result)
        self.stream.put_all(look.touched(stop.pid, fds))
        self._look_due = min(self._look_due, time.monotonic() + 0.1)

    def _watch(self) -> None:
        """What moves by itself: sleeping tasks, retransmissions, clients that the kernel serves alone."""
        if self._spec.free or self._look is None:
            return
        tracer = self.tracer
        assert tracer is not None
        now = time.monotonic()
        running = [task for task in list(tracer.tasks.values()) if not task.held and task.started]
        for task in running:
            self._watch_task(task.tid, task.pid, task.in_call, task.nr, now)
        if now >= self._look_due and (running or self._clients.busy):
            self._look_everywhere()

    def _watch_task(self, tid: int, pid: int, in_call: bool, nr: int, now: float) -> None:
        assert self._look is not None
        if tid in self._told_blocked:
            return
        if not in_call:
            self._sleeping_since.pop(tid, None)
            return
        self.stream.put_all(self._look.process(pid))
        process = self._fold().processes.get(pid)
        if process is None or process.state not in ("S", "D"):
            self._sleeping_since.pop(tid, None)
            return
        since = self._sleeping_since.setdefault(tid, now)
        if now - since < _BLOCKED_AFTER:
            return
        self._told_blocked.add(tid)
        self._look_everywhere()
        if self._script is not None and tid in self._nth:
            name, nth = self._nth[tid]
            self._script.moment(guide.Moment(tid, "blocked", name, nth))

    # ---------------------------------------------------------------- stops

    def _serve_posts(self) -> None:
        while self._posts and not self._over:
            post = self._posts.popleft()
            if isinstance(post, Stop):
                self._stop(post)
            else:
                self._clients.child_ended(*post)

    def _stop(self, stop: Stop) -> None:
        tracer = self.tracer
        assert tracer is not None
        if self._look is not None and stop.at != "exited":
            self._look.watch(stop.pid)
        self._sleeping_since.pop(stop.tid, None)
        self._told_blocked.discard(stop.tid)
        if stop.at == "exited":
            self._exited(stop)
            return
        self._look_at_stop(stop)
        hold = stop.at in ("interrupt", "signal") or self._mode in ("step", "until")
        if stop.at in ("enter", "return"):
            in_lesson = self._tell_script(stop)
            hold = hold or (self._mode == "over" and stop.at == "enter") or (self._mode == "lesson" and in_lesson)
            hold = hold or (self._script is not None and self._script.waiting)
        if hold:
            self._hold(stop)
        else:
            tracer.ask_resume(stop.tid)

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
        self._held[stop.tid] = stop
        if self._mode in ("lesson", "until", "free"):
            self._mode = "step"
            assert self.tracer is not None
            self.tracer.gate = self._step_gate
        stack = self._stack(stop)
        self.stream.put(ev.Held(self.stream.now(), stop.tid, stop.at, stack))

    def _stack(self, stop: Stop) -> tuple[ev.Frame, ...]:
        tracer = self.tracer
        assert tracer is not None
        task = tracer.tasks.get(stop.tid)
        if task is None:
            return ()
        memory, where = self._wheres.get(stop.pid, (None, None))
        if where is None or memory is not task.memory:  # a new process, or a new program in an old one (exec)
            where = Where(stop.pid)
            self._wheres[stop.pid] = (task.memory, where)
        stack = where.stack(stop.tid, stop.sp, stop.ip, task.memory.read, stop.fp)
        for frame in stack:
            if frame.path not in self._known_sources:
                self._known_sources.add(frame.path)
                found = source(frame.path)
                if found is not None:
                    self.stream.put(msgspec.structs.replace(found, t=self.stream.now()))
        return stack

    def _exited(self, stop: Stop) -> None:
        tracer = self.tracer
        assert tracer is not None
        self._held.pop(stop.tid, None)
        self._wheres.pop(stop.tid, None)
        self._nth.pop(stop.tid, None)
        if self._look is not None:
            self._look_everywhere()
            if stop.tid == stop.pid:
                self._look.unwatch(stop.pid)
        self._alive = len(tracer.tasks)
        if not tracer.tasks and (self._spec.free or self._spec.unattended):
            self._drain_until = time.monotonic() + 2.0

    def _advance(self) -> None:
        """Actions of the student and of the lesson go on a little; a run that nobody watches ends by itself."""
        if self._acting:
            try:
                next(self._acting[0])
            except StopIteration:
                self._acting.popleft()
        if self._script is not None:
            self._script.advance()
            if self._deferred is not None and not self._script.waiting:
                tid, self._deferred = self._deferred, None
                if self._script.question is None:
                    self._resume(tid)
        if self._drain_until and (not self._program_fds or time.monotonic() > self._drain_until):
            self.reason = "exited" if self.reason == "quit" else self.reason
            self._over = True

    def end_event(self) -> ev.Ended:
        """The stream's last event; the checks that never had their moment are failed now."""
        script = self._script
        if script is None:
            return ev.Ended(self.stream.now(), self.reason)
        if self._spec.unattended and not script.done:
            script.finish()
        reason = "done" if script.done else self.reason
        return ev.Ended(self.stream.now(), reason, script.held, script.failed)
