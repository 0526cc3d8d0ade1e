"""Which tasks are traced: seized at the start, born by a fork or clone, changed by an exec, gone at their exit.

In: process ids, and ptrace's events of births and execs, on the tracer thread. Out: `Task`s by id, and the events of
the stream that tell of them. Never resumes a task, never decides what is held.
"""

from __future__ import annotations

import os

from socklab.arch.model import Arch
from socklab.engine.stream import Stream
from socklab.engine.tracing import ptrace
from socklab.engine.tracing.task import Memory, Stop, Task
from socklab.host.processes import read_argv, read_stat, read_status
from socklab.host.program_files import foreign_program, lost_privilege
from socklab.protocol import events as ev

ATTACHED = ptrace.O_TRACESYSGOOD | ptrace.O_TRACEFORK | ptrace.O_TRACEVFORK | ptrace.O_TRACECLONE | ptrace.O_TRACEEXEC
"""Options of a task that ran before us. Without EXITKILL: should the tracer die, it lives on."""
LAUNCHED = ATTACHED | ptrace.O_TRACESECCOMP | ptrace.O_EXITKILL

_KINDS = {ptrace.EVENT_FORK: "fork", ptrace.EVENT_VFORK: "vfork", ptrace.EVENT_CLONE: "clone"}


class TaskTable(dict[int, Task]):
    """The traced tasks by thread id. Belongs to the tracer thread; others may copy it."""

    def __init__(self, stream: Stream, arch: Arch) -> None:
        super().__init__()
        self.early: dict[int, int] = {}
        """Tasks whose first stop came before their parent's fork event: tid to status."""
        self._stream = stream
        self._arch = arch
        self._foreign: set[str] = set()
        self._first = 0
        """The process that was launched."""
        self._shim = ""
        self._named = 0
        """Programs of the shim's name that were executed."""

    def seize(self, pid: int, host: str, shim: str = "") -> None:
        """Seize a child that waits before its exec. Raises PermissionError where tracing is not allowed.

        `shim`: it executes a stand-in that looks for the program of this name; nothing is shown until that begins.
        """
        ptrace.seize(pid, LAUNCHED)
        self._first, self._shim = pid, shim
        self[pid] = Task(pid, pid, host, Memory(pid), started=False)

    def attach(self, pid: int, host: str) -> list[Task]:
        """Seize every thread of a process that runs; they run on. Raises PermissionError, or ProcessGone."""
        memory = Memory(pid)
        seized = [Task(tid, pid, host, memory, started=True, attached=True) for tid in seize_threads(pid)]
        self.update((task.tid, task) for task in seized)
        return seized

    def born(self, task: Task, event: int, child: int) -> Task:
        """The child of a fork, vfork or clone event of `task`."""
        kind = _KINDS[event]
        if event == ptrace.EVENT_CLONE and os.path.exists(f"/proc/{task.pid}/task/{child}"):
            kind = "thread"
        thread = kind == "thread"
        pid, memory = (task.pid, task.memory) if thread else (child, Memory(child))
        made = self[child] = Task(child, pid, task.host, memory, task.started, attached=task.attached)
        if task.started:
            self._stream.put(ev.Forked(self._stream.now(), task.tid, child, kind))
        return made

    def execed(self, task: Task, former: int) -> None:
        """`task` runs another program. Every other thread is gone; the one that called, `former`, is the leader now."""
        if former != task.tid:
            caller = self.pop(former, None)
            if caller is not None:
                task.nr, task.args, task.in_call = caller.nr, caller.args, caller.in_call
        task.memory.close()
        task.memory = Memory(task.tid)
        task.pid = task.tid
        stream = self._stream
        was_shown = task.started
        task.started = was_shown or self._is_wanted(task)
        if was_shown or (task.started and self._shim):
            argv = read_argv(task.tid)
            stream.put(ev.Execed(stream.now(), task.tid, argv, former if former != task.tid else 0))
        text = lost_privilege(task.tid)
        if text:
            stream.notice("warning", text, "Run socklab as root, with --net machine, to see it with its privilege.")
        self.tell_foreign(task)

    def tell_foreign(self, task: Task, *, made_call: bool = False) -> None:
        """Say once of a program that it makes calls which are not known here. `made_call`: it has just made one."""
        said = foreign_program(task.pid, self._arch)
        if not said and made_call:
            said = f"Process {task.pid} makes system calls of another architecture"
        if said and said not in self._foreign:
            self._foreign.add(said)
            text = f"{said}: its calls are neither shown nor stopped at, it runs on by itself."
            fix = f"Use a program built for {self._arch.name}. Descriptors, sockets and queues are shown all the same."
            self._stream.notice("warning", text, fix)

    def _is_wanted(self, task: Task) -> bool:
        """Whether this exec begins the program that was asked for, not a stand-in or what that runs on its way."""
        if task.tid != self._first or not self._shim:
            return task.tid == self._first
        # The kernel names a process by the file it was told to execute, by 15 bytes of it (proc_pid_comm(5)): first
        # the stand-in goes by that name, then what it stands for.
        self._named += os.fsencode(read_stat(task.tid).name) == os.fsencode(self._shim)[:15]
        return self._named > 1

    def ended(self, task: Task, status: int) -> Stop:
        """The task is gone, with wait's `status`."""
        del self[task.tid]
        if task.tid == task.pid:
            task.memory.close()
        if os.WIFSIGNALED(status):
            event = ev.Exited(self._stream.now(), task.tid, signo=os.WTERMSIG(status), core=os.WCOREDUMP(status))
        else:
            event = ev.Exited(self._stream.now(), task.tid, code=os.WEXITSTATUS(status))
        if task.started or task.tid == self._first:
            self._stream.put(event)
        return Stop(task.tid, task.pid, "exited", task.nr, task.args, 0, 0, 0, 0)


def seize_threads(pid: int) -> list[int]:
    """Seize every thread of the process; they run on. Returns their ids.

    A thread may start another while the list is read, so it is read until nothing new is on it; what a seized thread
    starts is traced from its birth. Raises PermissionError or ProcessGone.
    """
    seized: list[int] = []
    seen: set[int] = set()
    while True:
        try:
            listed = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
        except OSError:
            raise ptrace.ProcessGone(pid) from None
        fresh = set(listed) - seen
        if not fresh:
            return seized
        seen |= fresh
        for tid in sorted(fresh):
            try:
                ptrace.seize(tid, ATTACHED)
            except ptrace.ProcessGone:
                continue  # it has ended; the next list is without it
            except PermissionError:
                if _ours_or_ending(pid, tid):
                    continue
                raise
            seized.append(tid)


def _ours_or_ending(pid: int, tid: int) -> bool:
    """Born of a seized thread meanwhile, so that its parent's event will tell; or ending: nothing is left to trace."""
    status = read_status(tid)
    return not status or status["TracerPid"] == str(os.getpid()) or status["State"][0] in "XZ"
