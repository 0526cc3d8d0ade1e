"""One run: every source ordered into the stream.

In: commands from the consumer, stops from the tracer thread, readiness of clients and of the program's output. Out:
events. This is the lab thread: a selector loop that looks at the kernel when the program is held, carries the lesson
out, and hands commands to the control. Never makes a ptrace request itself.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections import deque

from socklab import guide, syscalls
from socklab.core.errors import SocklabError
from socklab.engine.actor import Actor
from socklab.engine.control import Control
from socklab.engine.kernel.poller import BLOCKED_AFTER_S, Poller
from socklab.engine.network.topology import Topology
from socklab.engine.network.wiretap import Wiretap
from socklab.engine.program import Launched
from socklab.engine.script import Script
from socklab.engine.source.source_files import SourceFiles
from socklab.engine.stillness import Stillness
from socklab.engine.stream import Stream
from socklab.engine.terminal import Terminal
from socklab.engine.tracing.run_control import OVER, STEP, RunControl
from socklab.engine.tracing.syscall_filter import SocketCalls
from socklab.engine.tracing.task import Stop, Task
from socklab.engine.tracing.tracer import Tracer
from socklab.lesson import Lesson, canonical
from socklab.protocol import events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.state import LabState, apply

_TICK_SETTLE_S = 0.004
_TICK_LIVE_S = 0.05
_TICK_IDLE_S = 0.25
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
        limit: tuple[int, int] | None,
    ) -> None:
        self.stream = stream
        self.reason = "quit"
        self.tracer = Tracer(stream, arch, syscalls.capturers(arch), self.post, self.child_ended)
        self._spec = spec
        self._consumer = commands
        self._unread = unread
        self._topology = topology
        self._arch = arch
        self._selector = selectors.DefaultSelector()
        self._posts: deque[Stop | tuple[int, int]] = deque()
        self._bell_read, self._bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._state = LabState()
        kept = lesson.clients if lesson is not None else frozenset()
        self._actor = Actor(
            stream,
            self._selector,
            topology,
            self._fold,
            self._look,
            port,
            limit,
            in_lesson=lesson is not None,
            kept=kept,
        )
        if lesson is not None:
            paused = guide.pause_names(lesson)
            calls = SocketCalls(arch, syscalls.LESSON_CALLS | paused, paused)
        else:
            calls = SocketCalls(arch, syscalls.RUN_RECORDED, syscalls.RUN_PAUSED)
        self._run_control = RunControl(
            self.tracer, calls, record_only=spec.free, in_lesson=lesson is not None, until=spec.until
        )
        self._script: Script | None = None
        if lesson is not None:
            self._script = Script(lesson, stream, self._look, self._actor.act, unattended=spec.unattended)
        self._source_files = SourceFiles(stream)
        self._control = Control(
            stream,
            self.tracer,
            self._run_control,
            self._script,
            self._actor,
            self._hold,
            self._fold,
            self._source_files.evidence,
            unattended=spec.unattended,
        )
        self._calls: dict[str, int] = {}
        self._nth: dict[int, tuple[str, int]] = {}
        self._entered: dict[int, Stop] = {}
        """Where each task was last seen to enter a call."""
        self._poller: Poller | None = None
        self._terminal: Terminal | None = None
        self.over = False
        """The loop ends, or has ended."""
        self._stillness = Stillness()
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
        self.over = True
        self._ring()

    def fail(self, why: SocklabError) -> None:
        """The lab ends, and says why. What fails on the way out has the same cause, and is not told."""
        first = self.reason != "failed"
        self.reason = "failed"
        self.over = True
        if first:
            self.stream.notice("error", why.what, why.fix)

    def _ring(self) -> None:
        try:
            os.write(self._bell, b"!")
        except BlockingIOError:
            return  # the pipe is full of rings that were not heard yet

    def attach(self, launched: Launched, python: str = "") -> None:
        """Before the thread starts: the program's terminal to read; `python`, the interpreter that runs it."""
        self._terminal = Terminal(launched, self.stream, self._selector, self._not_started, python)
        self._control.terminal = self._terminal

    def _not_started(self, reason: str) -> None:
        self.stream.notice("error", f"The program could not be started: {reason}.")
        self.reason = "failed"

    # ---------------------------------------------------------------- the loop

    def run(self) -> None:
        """Serve until the consumer quits or goes away, or a run that nobody watches has ended."""
        self.stream.fold_here()
        self._selector.register(self._consumer, selectors.EVENT_READ, self._read_commands)
        self._selector.register(self._bell_read, selectors.EVENT_READ, lambda _mask: os.read(self._bell_read, 4096))
        if not self._spec.free or self._topology.wire is not None or self._spec.capture:
            self._actor.wiretap = Wiretap(self.stream, self._selector, self._topology)
        if self._spec.capture:
            self._try_capture(self._spec.capture)
        if self._spec.free:
            self._topology.enter("client")
        else:
            tasks = self.tracer.tasks
            self._poller = self._control.poller = Poller(self._topology, self.stream, self._arch, self._fold, tasks)
            for pid in {task.pid for task in list(tasks.values()) if task.attached}:
                self._poller.follow(pid)  # it may sleep on: no stop would tell of it
            self._tell_settings()
        try:
            self._serve_lines()
            while not self.over:
                for key, mask in self._selector.select(self._timeout()):
                    key.data(mask)
                self._serve_posts()
                self._advance()
                self._look_around()
                if not self._posts:
                    self._control.tell()
                self.stream.flush()
        finally:
            self._control.end()
            self._actor.end()
            self.tracer.ask_end()

    def _tell_settings(self) -> None:
        """The settings lessons speak of, as they are before anybody sets one."""
        for host in self._topology.hosts:
            if not host.shares_table_with:
                for name, value in self._topology.settings(host.name).items():
                    self.stream.put(ev.Setting(self.stream.now(), host.name, name, value))

    def _try_capture(self, path: str) -> None:
        assert self._actor.wiretap is not None
        try:
            self._actor.wiretap.capture(path)
        except SocklabError as error:
            self.stream.notice("error", error.what, error.fix)

    def _timeout(self) -> float:
        """How long nothing needs to be done unless something becomes ready."""
        if self._posts or self._control.acting or self.over:
            return 0.0
        return min(self._timeout_of_looks(), _TICK_IDLE_S if self._control.ready else _TICK_LIVE_S)

    def _timeout_of_looks(self) -> float:
        script, poller = self._script, self._poller
        if script is not None and script.waiting:
            return _TICK_SETTLE_S if script.settling else 0.0
        if (script is not None and script.watching) or self._drain_until or poller is None:
            return _TICK_LIVE_S
        running = self._running()
        if any(task.in_call and task.tid not in poller.blocked for task in running):
            return BLOCKED_AFTER_S
        if running:
            return _TICK_LIVE_S
        return min(poller.due_in_s, _TICK_IDLE_S)

    def _running(self) -> list[Task]:
        left = self._poller.left if self._poller is not None else ()
        return [t for t in list(self.tracer.tasks.values()) if not t.held and t.started and t.tid not in left]

    def _look_around(self) -> None:
        if self._poller is None:
            return
        self._actor.commands.follow(self._fold())
        for tid in self._poller.tick(self._running(), self._actor.busy):
            self._tell_place(tid)
            if self._script is not None and tid in self._nth:
                name, nth = self._nth[tid]
                self._script.moment(guide.Moment(tid, "blocked", name, nth))

    def _tell_place(self, tid: int) -> None:
        """It has fallen asleep. Where it was held before the call, that is known."""
        task, told = self.tracer.tasks.get(tid), self._fold().tasks.get(tid)
        if task is not None and task.in_call and (told is None or told.call is None or not told.call.stack):
            stack, unlined = self._source_files.place(task, self._entered.get(tid))
            self.stream.put(ev.Place(self.stream.now(), tid, stack, unlined))

    def _advance(self) -> None:
        """Actions of the student and of the lesson go on a little; a run that nobody watches ends by itself."""
        script, wiretap = self._script, self._actor.wiretap
        if wiretap is not None and wiretap.broken:
            self.reason = "failed"  # what is waited for will never come
            self.over = True
            return
        if script is not None:
            script.advance()
            self._run_control.in_lesson = not script.done
        self._control.advance()
        if self._spec.unattended and script is not None and not script.done:
            self._end_if_still(script)
        drained = self._terminal is None or self._terminal.closed
        if self._drain_until and (drained or time.monotonic() > self._drain_until):
            self.reason = "exited" if self.reason == "quit" else self.reason
            self.over = True

    def _end_if_still(self, script: Script) -> None:
        """A lesson that waits for what never comes: nobody is there to see it and press a key."""
        waited = self._stillness.given_up(self._fold(), lesson_acts=script.waiting or script.settling)
        if waited:
            said = f"Nothing has moved for {waited:.0f} s, and the lesson is not at its end: it is given up."
            self.stream.notice("error", said, "Run it by hand to see what is missing.")
            self.reason = "failed"
            self.over = True

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
            self.over = True
            return
        self._unread += data
        self._serve_lines()

    def _serve_lines(self) -> None:
        while b"\n" in self._unread and not self.over:
            line, _, self._unread = self._unread.partition(b"\n")
            self._control.obey(line)
            self.over |= self._control.over

    # ---------------------------------------------------------------- the state

    def _look(self) -> LabState:
        """Look at everything now and fold it."""
        if self._actor.wiretap is not None:
            self._actor.wiretap.pump()
        if self._poller is not None:
            self._poller.snapshot_all()
        return self._fold()

    def _fold(self) -> LabState:
        kept = self.stream.kept
        if kept:
            while kept:
                self._state = apply(self._state, kept.popleft())
            self.stream.folded()
        return self._state

    # ---------------------------------------------------------------- stops

    def _serve_posts(self) -> None:
        for _ in range(len(self._posts)):  # not those that come meanwhile: commands have their turn too
            if self.over:
                return
            post = self._posts.popleft()
            if not isinstance(post, Stop):
                self._actor.commands.ended(*post)
            elif post.at == "exited":
                self._exited(post)
            else:
                self._stopped(post)

    def _stopped(self, stop: Stop) -> None:
        poller = self._poller
        if self._actor.wiretap is not None:
            self._actor.wiretap.pump()
        if poller is not None:
            poller.follow(stop.pid)
            poller.woke(stop.tid)
            poller.at_stop(stop)
            self._actor.commands.follow(self._fold())
        if stop.at == "enter":
            self._entered[stop.tid] = stop
        of_lesson = stop.at in ("enter", "return") and self._tell_script(stop)
        wanted = self._run_control.wants(stop, of_lesson=of_lesson) and not self._of_an_import(stop)
        if wanted or self._lesson_acts():
            self._hold(stop)
        else:
            self._run_control.release(stop)

    def _of_an_import(self, stop: Stop) -> bool:
        """Python's modules make calls as they are imported. Stepping goes past them, as past a C library's start."""
        task = self.tracer.tasks.get(stop.tid)
        steps = self._script is None and self._run_control.mode in (STEP, OVER) and stop.at in ("enter", "return")
        return steps and task is not None and self._source_files.is_import(stop, task)

    def _lesson_acts(self) -> bool:
        """The lesson needs this stop, whatever the student asked for."""
        script = self._script
        if script is None or script.question is not None:  # it woke up by itself: first the answer
            return script is not None
        if self._run_control.runs_on and script.only_tells:
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
        self._run_control.hold(stop)
        self._control.stopped()
        task = self.tracer.tasks.get(stop.tid)
        stack, unlined = self._source_files.stack(stop, task) if task is not None else ((), "")
        self.stream.put(ev.Held(self.stream.now(), stop.tid, stop.at, stack, unlined))

    def _exited(self, stop: Stop) -> None:
        self._run_control.forget(stop.tid)
        self._control.gone(stop.tid)
        self._nth.pop(stop.tid, None)
        self._entered.pop(stop.tid, None)
        self._source_files.forget(stop.tid)
        if self._poller is not None:
            self._poller.forget(stop)
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
