"""Source positions of stopped tasks, and the text of each source file, sent once.

In: a stop and the task it belongs to. Out: frames, and `Source` events for files not sent before. Belongs to the lab
thread.
"""

from __future__ import annotations

import msgspec

from socklab.engine.source.where import Where, source
from socklab.engine.stream import Stream
from socklab.engine.tracing.task import Memory, Stop, Task
from socklab.protocol.events import Frame, Reading


class SourceFiles:
    """One Where per process, made anew when the process has executed another program."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._of_process: dict[int, tuple[Memory, Where]] = {}
        self._sent: set[str] = set()
        self._last: dict[int, tuple[Stop, Task]] = {}
        """Where each task was last found."""
        self._python: dict[str, list[str]] = {}
        """Lines of the Python files among them."""

    def stack(self, stop: Stop, task: Task) -> tuple[tuple[Frame, ...], str]:
        """The user's own frames, innermost first; where there are none, the reason."""
        memory, where = self._of_process.get(stop.pid, (None, None))
        if where is None or memory is not task.memory:
            where = Where(stop.pid)
            self._of_process[stop.pid] = (task.memory, where)
        self._last[stop.tid] = stop, task
        frames = where.stack(stop.tid, stop.sp, stop.ip, task.memory.read, stop.fp, stop.lr)
        for frame in frames:
            if frame.path not in self._sent:
                self._sent.add(frame.path)
                text = source(frame.path)
                if text is not None and text.language == "python":
                    self._python[frame.path] = text.text.splitlines()
                if text is not None:
                    self._stream.put(msgspec.structs.replace(text, t=self._stream.now()))
        return frames, where.reason

    def place(self, task: Task, entered: Stop | None) -> tuple[tuple[Frame, ...], str]:
        """The same of a task that sleeps in a call. `entered`: the last call of it that was seen on entry, or None."""
        asleep = _asleep(task)
        if entered is not None and (entered.sp, entered.ip) == (asleep.sp, asleep.ip):
            asleep = entered  # which has the frame pointer
        return self.stack(asleep, task)

    def is_import(self, stop: Stop, task: Task) -> bool:
        """The user's own line that is being executed imports a module: the call is the library's, not theirs."""
        frames, _ = self.stack(stop, task)
        lines = self._python.get(frames[0].path, []) if frames else []
        line = lines[frames[0].line - 1] if frames and 0 < frames[0].line <= len(lines) else ""
        return line.lstrip().startswith(("import ", "from "))

    def evidence(self, tid: int) -> tuple[Reading, ...]:
        """What the innermost frame of a task that is held, or sleeps in a call, was found by."""
        stop, task = self._last.get(tid, (None, None))
        if stop is None or task is None:
            return (Reading("frame", reason="it has not been held yet"),)
        memory, where = self._of_process.get(stop.pid, (None, None))
        if not task.held:
            asleep = _asleep(task)
            stop = stop if (stop.sp, stop.ip) == (asleep.sp, asleep.ip) else asleep
        if where is None or memory is not task.memory or not stop.ip:
            return (Reading("frame", reason="it runs"),)
        return where.evidence(stop.tid, stop.sp, stop.ip, task.memory.read, stop.fp, stop.lr)

    def forget(self, tid: int) -> None:
        """A task is gone; a leader, and its process with it."""
        self._of_process.pop(tid, None)
        self._last.pop(tid, None)


def _asleep(task: Task) -> Stop:
    """Where the kernel says it sleeps: the call, its arguments, stack and instruction pointer. proc_pid_syscall(5).

    It does not tell the frame pointer: frames further out are then found by their call instructions.
    """
    sp = ip = 0
    try:
        with open(f"/proc/{task.pid}/task/{task.tid}/syscall") as file:
            *_call, sp, ip = (int(word, 0) for word in file.read().split())
    except (OSError, ValueError):  # gone, or "running": it has woken up
        pass
    return Stop(task.tid, task.pid, "enter", task.nr, task.args, 0, ip, sp, 0)
