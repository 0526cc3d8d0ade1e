"""Programs that show what the lab shows: `ss -ltn`, `cat /proc/PID/status`; run once, on a host, their output told.

In: words to run, as the user; the statuses the tracer reaps. Out: one event `Ran` for each. Belongs to the lab thread.
Never a client of the lab: it appears in no panel. One runs at a time, and not for ever.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial

from socklab.core.errors import UsageError
from socklab.engine.stream import Stream
from socklab.engine.terminal import follow
from socklab.protocol.events import Ran

TIME_S = 10.0
"""So long one may take."""
MOST_BYTES = 1 << 18
"""So much of what it writes is told."""

Spawn = Callable[[tuple[str, ...], str, int], "subprocess.Popen[bytes]"]
"""Runs these words on a host, with this descriptor as standard input."""


class _Program:
    """The one that runs."""

    def __init__(self, process: subprocess.Popen[bytes], argv: tuple[str, ...], host: str, done: Callable[[], None]):
        self.process = process
        self.argv = argv
        self.host = host
        self.done = done
        self.until = time.monotonic() + TIME_S
        self.written = {"out": bytearray(), "err": bytearray()}
        self.open_pipes = 2
        self.status: int | None = None
        self.reason = ""


class Looking:
    """Runs them. `start` calls `done` when all has been told."""

    def __init__(self, stream: Stream, selector: selectors.BaseSelector, spawn: Spawn) -> None:
        self._stream = stream
        self._selector = selector
        self._spawn = spawn
        self._now: _Program | None = None
        self._left: list[_Program] = []
        """Killed, not reaped yet."""

    def start(self, argv: tuple[str, ...], host: str, stdin: bytes, done: Callable[[], None]) -> None:
        """Run it; one that runs still is ended. What can't be run is told as such. Raises UsageError."""
        if not argv or not argv[0]:
            raise UsageError("There is nothing to run.")
        self.end("another one was asked for")
        try:
            process = self._spawned(argv, host, stdin)
        except FileNotFoundError:
            self._tell(Ran(0, host, argv, 127, reason=f"{argv[0]} is not installed on this machine"), done)
            return
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._tell(Ran(0, host, argv, 126, reason=f"{argv[0]} could not be run: {reason}"), done)
            return
        program = self._now = _Program(process, argv, host, done)
        for name, pipe in (("out", process.stdout), ("err", process.stderr)):
            assert pipe is not None
            follow(
                self._selector, pipe.fileno(), partial(self._wrote, program, name), partial(self._shut, program, name)
            )

    def _spawned(self, argv: tuple[str, ...], host: str, stdin: bytes) -> subprocess.Popen[bytes]:
        source = os.memfd_create("socklab-look", os.MFD_CLOEXEC)
        try:
            os.write(source, stdin)
            os.lseek(source, 0, os.SEEK_SET)
            return self._spawn(argv, host, source)
        finally:
            os.close(source)

    def _wrote(self, program: _Program, name: str, data: bytes) -> None:
        room = MOST_BYTES - sum(map(len, program.written.values()))
        program.written[name] += data[:room]
        if len(data) > room and not program.reason:
            program.reason = f"it has written more than the {MOST_BYTES >> 10} KiB that are shown"
            self._kill(program)

    def _shut(self, program: _Program, name: str) -> None:
        pipe = program.process.stdout if name == "out" else program.process.stderr
        assert pipe is not None
        pipe.close()
        program.open_pipes -= 1
        self._finish(program)

    def ended(self, pid: int, status: int) -> bool:
        """A child was reaped. False = it was none of these."""
        for program in filter(None, (self._now, *self._left)):
            if program.process.pid == pid:
                program.status = status
                program.process.returncode = os.waitstatus_to_exitcode(status)
                self._finish(program)
                return True
        return False

    def _finish(self, program: _Program) -> None:
        if program.status is None or program.open_pipes:
            return
        if program in self._left:
            self._left.remove(program)
            return
        self._now = None
        code = os.waitstatus_to_exitcode(program.status)
        out, err = map(bytes, program.written.values())
        self._tell(Ran(0, program.host, program.argv, code, out, err, program.reason), program.done)

    def _tell(self, ran: Ran, done: Callable[[], None]) -> None:
        told = Ran(self._stream.now(), ran.host, ran.argv, ran.code, ran.out, ran.err, ran.reason)
        self._stream.put(told)
        done()

    def check(self) -> None:
        """End one that takes too long."""
        program = self._now
        if program is not None and time.monotonic() > program.until and not program.reason:
            program.reason = f"it took more than {TIME_S:.0f} s and was ended"
            self._kill(program)
        elif program is not None and time.monotonic() > program.until + 1:
            self.end(program.reason)  # something it has started keeps its output open

    def end(self, reason: str = "the lab ends") -> None:
        """End the one that runs, and tell what it has written so far."""
        program, self._now = self._now, None
        if program is None:
            return
        self._kill(program)
        self._left.append(program)
        out, err = map(bytes, program.written.values())
        self._tell(
            Ran(0, program.host, program.argv, -signal.SIGKILL, out, err, program.reason or reason), program.done
        )

    @staticmethod
    def _kill(program: _Program) -> None:
        if program.status is None:
            try:
                os.killpg(program.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # reaped, and the word of that is on its way

    @property
    def busy(self) -> bool:
        return self._now is not None
