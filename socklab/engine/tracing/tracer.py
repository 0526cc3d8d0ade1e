"""The wait loop: every stop of every traced task, classified, recorded, and resumed once.

In: stops out of one blocking waitpid, and requests from the lab thread (resume this one, interrupt those, kill).
Out: events appended to the stream, and `Stop` values posted to the lab when a filter says hold. Never looks at the
kernel's tables, never decodes: it keeps numbers and bytes.

All ptrace requests are made by the thread that runs `run`, as the kernel demands. The lab thread wakes it through a
child of ours that is traced too (`wakeup.py`): a signal sent to it comes out of the same waitpid as a stop.

A program launched here has a filter and stops only at calls that are wanted. One that was attached to has none: it
stops at every call, entry and exit, and those nobody wants are resumed at once.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable
from typing import Protocol

from socklab import arch as machines, syscalls
from socklab.engine.stream import Stream
from socklab.engine.tracing import cpu_affinity, detach, ptrace
from socklab.engine.tracing.task import STOP_SIGNALS, Stop, Task, disposition
from socklab.engine.tracing.task_table import TaskTable
from socklab.engine.tracing.wakeup import Wakeup
from socklab.host.processes import is_over
from socklab.protocol import events as ev
from socklab.syscalls import Capturer

AFFINITY_CALLS = ("sched_getaffinity", "sched_setaffinity")
"""Always in the filter, never shown: a program that asks where it may run must be told the truth (cpu_affinity.py)."""

RESTART = "restart_syscall"
"""Always in the filter, shown as the call that goes on: after a stop signal the kernel resumes a poll through it."""
_ERESTART_RESTARTBLOCK = 516
_CUT_SHORT = frozenset((-4, -512, -514, -_ERESTART_RESTARTBLOCK))
"""EINTR, and what stands for it until the kernel has seen what the signal does: ERESTARTSYS and its like."""

ALWAYS = (*AFFINITY_CALLS, RESTART)
"""What a filter reports beside the calls that are wanted."""
_SENT = frozenset((0, -1, -3, -6))
"""SI_USER, SI_QUEUE, SI_MESGQ, SI_TKILL: si_pid is who sent the signal. A timer's has its number in the same bytes."""

UNSEEN, RECORD, HOLD = 0, 1, 2


class SyscallFilter(Protocol):
    """Says of a call: UNSEEN (runs through, no event), RECORD or HOLD. Called on the tracer thread, at every call."""

    def enter(self, task: Task, nr: int, args: tuple[int, ...]) -> int: ...

    def leave(self, task: Task, nr: int, args: tuple[int, ...], result: int) -> int: ...


class Tracer:
    """Owns the traced tasks. Everything but `ask_*`, `wake` and the attribute `filter` belongs to the tracer thread."""

    def __init__(
        self,
        stream: Stream,
        arch: str,
        capturers: dict[int, Capturer],
        post: Callable[[Stop], None],
        child_ended: Callable[[int, int], None],
    ) -> None:
        self.stream = stream
        self.arch = machines.of(arch)
        self.tasks = TaskTable(stream, self.arch)
        self.filter: SyscallFilter | None = None
        """None = record every call, hold none: the free-running path."""
        self.hold_signals = False
        """Hold at a signal that is about to kill the program, or to be handled after it has cut a call short."""
        self._capturers = capturers
        self.wanted: frozenset[int] = frozenset()
        """Call numbers that are wanted, for tasks without a filter that knows them."""
        self._post = post
        self._child_ended = child_ended
        self._requests: deque[tuple[str, int]] = deque()
        self._wakeup = Wakeup()
        self._attached = False
        self._ending = False
        self._leaving = False
        self._affinity = cpu_affinity.CpuAffinity()
        self._affinity_calls = frozenset(syscalls.numbers(arch, AFFINITY_CALLS))
        self._never_shown = frozenset(syscalls.numbers(arch, ALWAYS))
        self._restart_call = syscalls.number(arch, RESTART)
        self._audit_arch = self.arch.audit_arch
        self._returns = 0

    # ---------------------------------------------------------------- asked by the lab thread

    def ask_resume(self, tid: int) -> None:
        self._requests.append(("resume", tid))
        self.wake()

    def ask_interrupt(self) -> None:
        """Hold every task that runs outside a recorded call; one inside a call is held at its return by the filter."""
        self._requests.append(("interrupt", 0))
        self.wake()

    def ask_end(self) -> None:
        """Kill every traced task, or let go of them all if they were attached to; `run` returns when none is left."""
        self._requests.append(("end", 0))
        self.wake()

    def wake(self) -> None:
        self._wakeup.wake()

    # ---------------------------------------------------------------- the tracer thread

    def start_wakeup(self) -> None:
        """Before any other thread exists: it runs on as a copy of this process."""
        self._wakeup.start()

    def close_wakeup(self) -> None:
        self._wakeup.close()

    def attach(self, pid: int, host: str) -> None:
        """Seize every thread of a process that runs. Raises PermissionError, or ProcessGone when there is none."""
        self._attached = True
        self._affinity = cpu_affinity.CpuAffinity(given_up=True)  # another's affinity is not ours to set
        for task in self.tasks.attach(pid, host):
            self._interrupt(task)  # a seized task runs on; only at a stop can it be asked to stop at calls

    def run(self) -> None:
        """Serve stops until `ask_end` was heard and every task is gone, or let go."""
        waitpid, wall = os.waitpid, ptrace.WALL
        tasks = self.tasks
        seccomp_stop = (ptrace.EVENT_SECCOMP << 16) | (signal.SIGTRAP << 8) | 0x7F
        exit_stop = (ptrace.SYSCALL_STOP << 8) | 0x7F
        while (tasks or not self._ending) and not self._leaving:
            try:
                tid, status = waitpid(-1, wall)
            except ChildProcessError:
                return  # even the child that wakes us is gone: somebody killed it
            task = tasks.get(tid)
            try:
                if task is None:
                    self._stranger(tid, status)
                elif status == seccomp_stop:
                    self._enter_stop(task)
                elif status == exit_stop:
                    if task.attached:
                        self._attached_stop(task)
                    else:
                        self._exit_stop(task)
                elif status & 0xFF == 0x7F:
                    self._other_stop(task, status >> 8 & 0xFF, status >> 16)
                else:
                    self._post(tasks.ended(task, status))
            except ptrace.ProcessGone:
                continue  # killed while stopped: its exit is the next thing waitpid reports
        if self._leaving:
            detach.detach_all(tasks, self.tasks.early, self._wakeup.pid, self.arch, self._child_ended)

    def _attached_stop(self, task: Task) -> None:
        """Entry or exit of any call, of a task without a filter."""
        entry = ptrace.syscall_entry(task.tid)
        if entry[0] != ptrace.INFO_ENTRY:
            if task.in_call:
                self._exit_stop(task)
            else:
                self._go_on(task)
        elif entry[1] != self._audit_arch:
            self.tasks.tell_foreign(task, made_call=True)
            self._go_on(task)
        elif entry[4] in self.wanted or (entry[4] == self._restart_call and task.resting in self.wanted):
            self._entered(task, entry)
        else:
            self._go_on(task)

    def _enter_stop(self, task: Task) -> None:
        self._entered(task, ptrace.syscall_entry(task.tid))

    def _entered(self, task: Task, entry: ptrace.Entry) -> None:
        nr = entry[4]
        arguments = entry[5:]
        if nr in self._never_shown or not task.started:
            nr = self._shown_instead(task, nr)
        filter = self.filter
        if nr < 0:
            verdict = UNSEEN
        elif filter is None:
            verdict = RECORD
        else:
            verdict = filter.enter(task, nr, arguments)
        if verdict == UNSEEN:
            if task.interrupted:
                ptrace.interrupt(task.tid)  # this stop has used up the one that was pending
            ptrace.resume(ptrace.PTRACE_SYSCALL if task.attached else ptrace.PTRACE_CONT, task.tid)
            return
        task.resting = -1
        task.cut_short = False
        task.nr = nr
        task.args = arguments
        task.in_call = True
        capturer = self._capturers.get(nr)
        mem = capturer.enter(arguments, task.memory.read) if capturer is not None else ()
        stream = self.stream
        stream.put(ev.Enter(stream.now(), task.tid, nr, arguments, mem))
        if verdict == HOLD:
            task.held = "enter"
            self._post_stop(task, 0, entry[2], entry[3])
        else:
            ptrace.resume(ptrace.PTRACE_SYSCALL, task.tid)

    def _shown_instead(self, task: Task, nr: int) -> int:
        """The call that one of ALWAYS stands for; -1 = none."""
        if nr in self._affinity_calls:
            self._affinity.restore()
            self._affinity = cpu_affinity.CpuAffinity(given_up=True)
        # The registers still hold the arguments of the call that goes on.
        return task.resting if nr == self._restart_call else -1

    def _exit_stop(self, task: Task) -> None:
        if not task.in_call:  # the exit of an execve that was entered unseen
            ptrace.resume(ptrace.PTRACE_CONT, task.tid)
            return
        _op, _arch, ip, sp, result, _is_error = ptrace.syscall_exit(task.tid)
        task.in_call = False
        nr, args = task.nr, task.args
        if result in _CUT_SHORT:
            task.cut_short = True
            task.resting = nr if result == -_ERESTART_RESTARTBLOCK else -1
        capturer = self._capturers.get(nr)
        mem = capturer.leave(args, result, task.memory.read) if capturer is not None else ()
        stream = self.stream
        stream.put(ev.Return(stream.now(), task.tid, nr, result, mem))
        self._returns += 1
        if not self._returns & 255 and self._returns > cpu_affinity.STOPS_BEFORE:
            self._share_cpu(task)
        filter = self.filter
        if filter is not None and filter.leave(task, nr, args, result) == HOLD:
            task.held = "return"
            self._post_stop(task, result, ip, sp)
        else:
            ptrace.resume(ptrace.PTRACE_SYSCALL if task.attached else ptrace.PTRACE_CONT, task.tid)

    def _share_cpu(self, task: Task) -> None:
        if len(self.tasks) == 1:
            self._affinity.share(task.tid)

    def _post_stop(self, task: Task, result: int, ip: int, sp: int) -> None:
        self._affinity.restore()
        task.interrupted = task.paused = False
        now_ip, now_sp, fp, lr = ptrace.registers(task.tid, self.arch)
        if not ip:
            ip, sp = now_ip, now_sp
        self._post(Stop(task.tid, task.pid, task.held, task.nr, task.args, result, ip, sp, fp, lr))

    def _go_on(self, task: Task, signo: int = 0) -> None:
        """Resume after a stop that is no syscall stop; inside a call its exit stop must still come."""
        at_calls = task.in_call or task.attached
        if task.interrupted and not task.in_call:
            ptrace.interrupt(task.tid)  # this stop has used up the one that was pending
        ptrace.resume(ptrace.PTRACE_SYSCALL if at_calls else ptrace.PTRACE_CONT, task.tid, signo)

    def _other_stop(self, task: Task, signo: int, event: int) -> None:
        if event in (ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE):
            self._fork_event(task, event)
            self._go_on(task)
        elif event == ptrace.EVENT_EXEC:
            self.tasks.execed(task, ptrace.event_message(task.tid))
            self._go_on(task)
        elif event == ptrace.EVENT_STOP:
            interrupted, task.interrupted = task.interrupted, False
            if signo in STOP_SIGNALS:
                ptrace.resume(ptrace.PTRACE_LISTEN, task.tid)  # group-stop: it stays stopped, as without us
                return
            if interrupted:
                call = detach.resume_call(task.tid, self.arch)
                task.resting = call if call >= 0 else task.resting
            if task.paused:
                task.held = "interrupt"
                self._post_stop(task, 0, 0, 0)
            else:
                self._go_on(task)
        elif event == 0:
            self._signal_stop(task, signo)
        else:
            self._go_on(task)

    def _signal_stop(self, task: Task, signo: int) -> None:
        _signo, code, sender, address = ptrace.signal_info(task.tid)
        cut_short, task.cut_short = task.cut_short, False
        if not task.started:
            self._go_on(task, signo)
            return
        does = disposition(task.tid, signo) if self.hold_signals else ""
        self.stream.put(
            ev.Signal(
                self.stream.now(),
                task.tid,
                signo,
                code,
                sender if code in _SENT else 0,
                address if code > 0 else 0,
                does == "handled",
            )
        )
        if does == "fatal" or (does == "handled" and cut_short):
            task.held = "signal"
            task.signo = signo
            self._post_stop(task, 0, 0, 0)
        else:
            self._go_on(task, signo)

    def _fork_event(self, task: Task, event: int) -> None:
        child = ptrace.event_message(task.tid)
        self._affinity.restore(child)
        made = self.tasks.born(task, event, child)
        if self.tasks.early.pop(child, None) is not None:
            self._go_on(made)

    def _stranger(self, tid: int, status: int) -> None:
        if tid == self._wakeup.pid:
            if status & 0xFF != 0x7F:
                self._wakeup.pid = 0
                text = "A process that the tracer needs (its wake-up child) was killed: the lab ends."
                self.stream.notice("error", text, "Start again.")
                self._end_all()
                return
            ptrace.resume(ptrace.PTRACE_CONT, tid)
            self._serve_requests()
        elif status & 0xFF == 0x7F:
            self.tasks.early[tid] = status  # a new task whose parent has not reported it yet
        else:
            self.tasks.early.pop(tid, None)
            self._child_ended(tid, status)

    def _serve_requests(self) -> None:
        while self._requests:
            what, tid = self._requests.popleft()
            if what == "resume":
                self._resume_held(tid)
            elif what == "interrupt":
                self._interrupt_running()
            elif what == "end":
                self._end_all()

    def _resume_held(self, tid: int) -> None:
        task = self.tasks.get(tid)
        if task is None or not task.held:
            return
        task.held = ""
        signo, task.signo = task.signo, 0
        self.stream.put(ev.Resumed(self.stream.now(), tid))
        try:
            self._go_on(task, signo)
        except ptrace.ProcessGone:
            return  # killed while held: its exit follows

    def _interrupt_running(self) -> None:
        for task in list(self.tasks.values()):
            if task.held or task.in_call or not task.started or is_over(task.tid):
                continue
            task.paused = True
            self._interrupt(task)

    def _interrupt(self, task: Task) -> None:
        try:
            ptrace.interrupt(task.tid)
            task.interrupted = True
        except ptrace.ProcessGone:
            return  # its exit follows

    def _end_all(self) -> None:
        if self._attached:
            self._leaving = True
            return
        self._ending = True
        for tid in {task.pid for task in self.tasks.values()} | set(self.tasks):
            try:
                os.kill(tid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # gone already; waitpid reports it
