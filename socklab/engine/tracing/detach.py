"""Detaches from tasks that ran before us, unharmed.

In: the traced tasks, on the tracer thread. Out: every one of them detached and going on as if nobody had ever
looked. Never kills, never delivers a signal of its own, never changes more than the result by which the kernel
decides whether an interrupted call goes on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterable

from socklab import syscalls
from socklab.arch.model import Arch
from socklab.engine.tracing import ptrace
from socklab.engine.tracing.task import STOP_SIGNALS, Memory, Task
from socklab.host.processes import living_task

_FORKS = (ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE)
_STOP_SOON_S = 0.001
_ERESTARTNOHAND, _ERESTART_RESTARTBLOCK = 514, 516

_CLOSE = "close"
"""EINTR means of any call that nothing was done and it can be made again, but of close, which is done all the same."""


def resume_call(tid: int, arch: Arch) -> int:
    """At the stop of an interrupt: let the call it disturbed go on. The call the kernel will enter through
    restart_syscall, -1 = none."""
    number, result = ptrace.interrupted_call(tid, arch)
    if result == -errno.EINTR and number >= 0 and syscalls.name(arch.name, number) != _CLOSE:
        # Calls that never are restarted give EINTR when a task is stopped in them, though no signal came (signal(7),
        # "Interruption of system calls and library functions by stop signals"). Made again they wait as before.
        # With no signal to handle the kernel makes the call again; with one it gives EINTR, as it would have.
        ptrace.set_result(tid, arch, -_ERESTARTNOHAND)
    return number if result == -_ERESTART_RESTARTBLOCK else -1


def detach_all(
    tasks: dict[int, Task], early: Iterable[int], wakeup: int, arch: Arch, child_ended: Callable[[int, int], None]
) -> None:
    """Detach from every task and empty `tasks`. `early`: tasks at their first stop, whose parent's event is to come.

    A task can be let go only at a stop, and safely only at one we hold it at, but for the entry of a call, or that our
    interrupt caused: elsewhere a call may already carry the EINTR of that interrupt.
    """
    newborn = set(early)
    for tid in early:
        with contextlib.suppress(ptrace.ProcessGone):  # killed meanwhile: its exit follows
            ptrace.resume(ptrace.PTRACE_DETACH, tid)
    for task in list(tasks.values()):
        try:
            if task.held and task.held != "enter":
                _detach(tasks, task, task.signo)
                continue
            if task.held:
                # A detach marks the task as one that has a signal: the call it is about to make would give EINTR.
                ptrace.resume(ptrace.PTRACE_CONT, task.tid)
            ptrace.interrupt(task.tid)
        except ptrace.ProcessGone:
            continue  # its exit follows
    while tasks:
        try:
            tid, status = os.waitpid(-1, ptrace.WALL | os.WNOHANG)
        except ChildProcessError:
            return
        if tid == 0:
            for over in [tid for tid, task in tasks.items() if tid == task.pid and living_task(tid) != tid]:
                del tasks[over]  # a leader that has ended: it is told only when its last thread has, and needs nothing
            time.sleep(_STOP_SOON_S)
            continue
        known = tasks.get(tid)
        try:
            if status & 0xFF != 0x7F:
                if tasks.pop(tid, None) is None:
                    child_ended(tid, status)
            elif tid == wakeup:
                ptrace.resume(ptrace.PTRACE_CONT, tid)
            elif known is None:
                newborn.add(tid)
                ptrace.resume(ptrace.PTRACE_DETACH, tid)
            else:
                _serve(tasks, newborn, known, status >> 8 & 0xFF, status >> 16, arch)
        except ptrace.ProcessGone:
            continue  # killed while stopped: its exit follows


def _serve(tasks: dict[int, Task], newborn: set[int], task: Task, signo: int, event: int, arch: Arch) -> None:
    if event == ptrace.EVENT_STOP:
        if signo not in STOP_SIGNALS:  # in a group-stop it stays stopped, as without us
            resume_call(task.tid, arch)
        _detach(tasks, task)
        return
    if event in _FORKS:
        child = ptrace.event_message(task.tid)
        if child not in newborn:
            tasks[child] = Task(child, child, task.host, Memory(child), started=True, attached=True)
    elif event == ptrace.EVENT_EXEC and ptrace.event_message(task.tid) != task.tid:
        tasks.pop(ptrace.event_message(task.tid), None)
    is_signal = event == 0 and signo != ptrace.SYSCALL_STOP
    ptrace.interrupt(task.tid)  # any stop uses up the interrupt that was pending
    ptrace.resume(ptrace.PTRACE_CONT, task.tid, signo if is_signal else 0)


def _detach(tasks: dict[int, Task], task: Task, signo: int = 0) -> None:
    ptrace.resume(ptrace.PTRACE_DETACH, task.tid, signo)
    tasks.pop(task.tid, None)
