"""Source positions of stopped tasks, and the text of each source file, sent once.

In: a stop and the task it belongs to. Out: frames, and `Source` events for files not sent before. Belongs to the lab
thread.
"""

from __future__ import annotations

import msgspec

from socklab.engine.source.where import Where, source
from socklab.engine.stream import Stream
from socklab.engine.tracing.task import Memory, Stop, Task
from socklab.protocol.events import Frame


class SourceFiles:
    """One Where per process, made anew when the process has executed another program."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._of_process: dict[int, tuple[Memory, Where]] = {}
        self._sent: set[str] = set()

    def stack(self, stop: Stop, task: Task) -> tuple[tuple[Frame, ...], str]:
        """The user's own frames, innermost first; where there are none, the reason."""
        memory, where = self._of_process.get(stop.pid, (None, None))
        if where is None or memory is not task.memory:
            where = Where(stop.pid)
            self._of_process[stop.pid] = (task.memory, where)
        frames = where.stack(stop.tid, stop.sp, stop.ip, task.memory.read, stop.fp, stop.lr)
        for frame in frames:
            if frame.path not in self._sent:
                self._sent.add(frame.path)
                text = source(frame.path)
                if text is not None:
                    self._stream.put(msgspec.structs.replace(text, t=self._stream.now()))
        return frames, where.reason

    def forget(self, pid: int) -> None:
        self._of_process.pop(pid, None)
