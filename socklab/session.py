"""The consumer's end of the lab: starts the engine, sends commands, yields events, leaves nothing behind.

In: a RunSpec and commands. Out: events, in the engine's order; a stream that was cut ends in a Notice with the
engine's last words and `Ended("failed")`. Never imports the engine, never draws, never reads the kernel's socket
tables. Kept lean: it runs before anything heavy is imported, so that the engine starts meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from socklab.core.errors import SocklabError, UsageError
from socklab.core.signals import signal_name
from socklab.host import engine_process, run_directory, subreaper
from socklab.host.engine_process import EngineProcess
from socklab.protocol import codec, commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec, encode as encode_spec

_CHUNK = 256 * 1024
_PER_CALL = 4 * _CHUNK
"""Most bytes one read_available takes, so that a flood of events leaves the screen alive."""
_LAST_WORDS = 64 * 1024
_NOTHING_SENT = 2.0
"""Seconds the engine may leave a full command socket unread."""

_STARTED = b'{"e":"started"'
_NAMES_A_PID = (ev.Started, ev.Client)

# `-P`: a socket.py in the student's own directory must not be imported by the engine. The package's root is named
# instead, so that a checkout that is not installed works too, and without a variable the tracee would inherit.
# Garbage is looked for only once everything is imported, like in cli.py.
_BOOT = """import gc, sys, runpy
gc.disable()
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("socklab.engine", "", "__main__", True)"""
_ROOT = str(Path(__file__).resolve().parent.parent)


def engine_command(fd: int) -> list[str]:
    """What is run as the engine, its command socket being descriptor `fd`: `python -m socklab.engine FD`."""
    return [sys.executable, "-P", "-c", _BOOT, _ROOT, str(fd)]


class Link:
    """A running engine. Made by `start`; `close` (or leaving a `with`) ends it and everything it started."""

    def __init__(self, made: EngineProcess, spec: RunSpec) -> None:
        self._engine = made.process
        self._socket = made.socket
        self._said = made.said
        self._pidfd = made.pidfd
        self.run_dir = made.run_dir
        self._partial = b""
        self._first = True
        self._last_line = b""
        self._trouble: SocklabError | None = None
        self._saw_ended = False
        self._t = 0
        self._spec = spec
        self._known: set[int] = {made.process.pid}
        """Pids the stream named: their sessions are the engine's business too."""
        self._closed = False
        self._last_id = 0
        self._words: list[str] = []
        # Readable at data and at the engine's death: end of file alone would never come if a program the engine
        # started had inherited the other end of the socket.
        self._alarm = select.epoll()
        self._alarm.register(made.socket, select.EPOLLIN)
        if self._pidfd >= 0:
            self._alarm.register(self._pidfd, select.EPOLLIN)
        self._early: list[ev.AnyEvent] = []
        """What was read while the start was waited for; `_bell` then makes the alarm readable."""
        self._bell = -1
        self._ended_early = False
        self.ended = False
        """The stream is over: nothing more will come."""

    # ---------------------------------------------------------------- start

    @classmethod
    def start(cls, spec: RunSpec) -> Link:
        """Start an engine for `spec` in a fresh private directory. Returns at once; the rest shows in the events."""
        made = engine_process.start(engine_command)
        try:
            link = cls(made, spec)
        except OSError as error:
            engine_process.give_up(made)
            raise engine_process.refused(error) from error
        link._send(encode_spec(msgspec.structs.replace(spec, run_dir=made.run_dir)))
        return link

    def restart(self, language: str = "") -> Link:
        """End this run with all it holds, and start the same one from its beginning: a lesson in this language, "" =
        the same one.

        Raises UsageError, and this run goes on, where that makes no sense; SocklabError as `start`.
        """
        if self._spec.attach:
            fix = "Quit lets go of it: it runs on. Start it with `socklab run` to see its beginning."
            raise UsageError("A process that was there before the lab can't be started anew.", fix=fix)
        self.close()
        return Link.start(msgspec.structs.replace(self._spec, language=language or self._spec.language))

    @property
    def pid(self) -> int:
        """The engine's process id."""
        return self._engine.pid

    def fileno(self) -> int:
        """Readable when `read_available` has something to give."""
        return self._alarm.fileno()

    # ---------------------------------------------------------------- commands

    def send(self, command: cmd.AnyCommand) -> int:
        """Send a command; returns its id, which the engine's Done repeats: the next one, where it had none.

        To an engine that is gone it is dropped: the stream says that the engine ended.
        """
        if not command.id:
            self._last_id += 1
            command = msgspec.structs.replace(command, id=self._last_id)
        if not self._closed:
            self._send(codec.encode(command))
        return command.id

    def _send(self, data: bytes) -> None:
        deadline = time.monotonic() + _NOTHING_SENT
        while data:
            try:
                data = data[self._socket.send(data, socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise SocklabError(
                        "The engine has stopped taking commands.",
                        fix="Quit and start again; `socklab doctor` shows what this machine allows.",
                    ) from None
                _wait(self._socket, select.POLLOUT, left)
            except (BrokenPipeError, ConnectionResetError):
                return

    # ---------------------------------------------------------------- events

    def await_start(self, patience_s: float | None = None) -> list[ev.AnyEvent] | None:
        """Wait until the program has begun, or never will. Returns what has been told; None = not yet, after
        `patience_s` seconds.

        Nothing is lost: `read_available` gives it all as ever, and `fileno` is readable for it.
        """
        early = self._early
        while not self.ended and not any(isinstance(event, ev.Started) for event in early):
            found = self._read()
            early += found
            if not found and not self.ended and not _wait(self._alarm, select.POLLIN, patience_s):
                return None
        self._bell = os.eventfd(1)
        self._alarm.register(self._bell, select.EPOLLIN)
        self._ended_early, self.ended = self.ended, False
        return list(early)

    def read_available(self) -> list[ev.AnyEvent]:
        """What has arrived, without waiting; empty when nothing has. At the end of the stream sets `ended`.

        Raises SocklabError at a line that is no event of this format; what came before it was given first.
        """
        if self._bell < 0:
            return self._read()
        self._alarm.unregister(self._bell)
        os.close(self._bell)
        self._bell = -1
        self.ended = self._ended_early
        early, self._early = self._early, []
        return early

    def _read(self) -> list[ev.AnyEvent]:
        self._raise_trouble()
        lines = self._receive(_PER_CALL)
        found = self._decode(lines) if lines else []
        return found + self._last_events() if self.ended and self._trouble is None else found

    def events(self, timeout: float | None = None) -> Iterator[ev.AnyEvent]:
        """Every event as it comes, to the end of the stream.

        Raises TimeoutError when none came for `timeout` seconds, SocklabError as `read_available`.
        """
        while not self.ended or self._trouble is not None:
            found = self.read_available()
            yield from found
            waits = not (found or self.ended or self._trouble is not None)
            if waits and not _wait(self._alarm, select.POLLIN, timeout):
                raise TimeoutError(f"no event for {timeout} s")

    def read_lines(self) -> bytes:
        """As `read_available`, but the engine's own lines, untouched: what has arrived of them, or b""."""
        lines = self._receive(_PER_CALL)
        if lines and self._first:
            self._first = False
            self._decode(lines[: lines.index(b"\n") + 1])
            self._raise_trouble()
        if lines:
            if _STARTED in lines:
                for line in lines.splitlines():
                    if line.startswith(_STARTED):
                        self._decode(line + b"\n")
            last = lines[lines.rfind(b"\n", 0, -1) + 1 :]
            self._saw_ended = last.startswith(b'{"e":"ended"')
            self._last_line = last
        if self.ended:
            self._t = _time_of(self._last_line, self._t)
            lines += codec.encode_batch(list(self._last_events()))
        return lines

    def _raise_trouble(self) -> None:
        if self._trouble is not None:
            trouble, self._trouble, self.ended = self._trouble, None, True
            raise trouble

    def _receive(self, most: int) -> bytes:
        """Whole lines that have arrived, at most about `most` bytes; sets `ended` at end of stream."""
        pieces = [self._partial]
        size = 0
        dead = False
        while size < most and not self.ended:
            try:
                data = self._socket.recv(_CHUNK)
            except BlockingIOError:
                if dead or self._engine.poll() is None:
                    self.ended = dead
                    break
                dead = True  # what it wrote before it died may have come since the recv
                continue
            except ConnectionResetError:  # the engine ended with commands it had not read
                data = b""
            if not data:
                self.ended = True
            size += len(data)
            pieces.append(data)
        joined = b"".join(pieces) if size else self._partial
        cut = joined.rfind(b"\n") + 1 if size else 0
        self._partial = joined[cut:]
        return joined[:cut]

    def _decode(self, lines: bytes) -> list[ev.AnyEvent]:
        """Events of whole lines; from the first bad line on, nothing, and the trouble is kept for the next call."""
        try:
            found = codec.decode_events(lines)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            found = []
            for line in lines.splitlines():
                try:
                    found.append(codec.decode_event(line))
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    self._trouble = _not_an_event(line, str(error))
                    break
        for position, event in enumerate(found):
            if isinstance(event, ev.Header) and event.format != ev.FORMAT:
                self._trouble = SocklabError(
                    f"The engine speaks format {event.format} of the event stream; this socklab reads {ev.FORMAT}.",
                    fix="Two versions of socklab are installed over each other: reinstall it in a fresh venv.",
                )
                return found[:position]
            if isinstance(event, ev.Started) and self._spec.attach:
                continue  # it was there before us, and stays
            if isinstance(event, _NAMES_A_PID) and event.pid:
                self._known.add(event.pid)
        if found:
            self._t = found[-1].t
            self._saw_ended = isinstance(found[-1], ev.Ended)
        return found

    # ---------------------------------------------------------------- the end

    def _last_events(self) -> list[ev.AnyEvent]:
        """A stream that did not end in Ended was cut: the engine crashed or was killed. Says so in its place."""
        if self._saw_ended:
            return []
        self._saw_ended = True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._engine.wait(1.0)
        words = self.diagnostics()
        text = f"The engine ended unexpectedly: {self._how_it_ended()}."
        if words:
            text += "\nThe last it said:\n" + "\n".join(words[-20:])
        fix = "Start again. If it happens again, `socklab doctor` shows what this machine allows."
        return [ev.Notice(self._t, "error", text, fix), ev.Ended(self._t, "failed")]

    def _how_it_ended(self) -> str:
        code = self._engine.poll()
        if code is None:
            return "it closed the event stream"
        if code < 0:
            return f"killed by {signal_name(-code)}"
        return f"exit status {code}"

    def diagnostics(self) -> list[str]:
        """The last lines the engine wrote on its stderr, oldest first; still there after the engine is gone."""
        if self._said < 0:
            return self._words
        size = os.fstat(self._said).st_size
        start = max(0, size - _LAST_WORDS)
        lines = os.pread(self._said, _LAST_WORDS, start).decode("utf-8", "backslashreplace").splitlines()
        return lines[1:] if start else lines

    def close(self, deadline_s: float = 3.0) -> None:
        """Quit; after `deadline_s` seconds SIGKILL. Afterwards no process, port or file of this run is left."""
        if self._closed:
            return
        deadline = time.monotonic() + deadline_s
        try:
            with contextlib.suppress(SocklabError):
                self.send(cmd.Quit())
            self._closed = True
            self._drain(deadline)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._engine.wait(max(0.0, deadline - time.monotonic()))
        finally:
            # Reached on a second Ctrl-C too: then the engine gets no more time.
            self._closed = True
            self.ended = True
            self._alarm.close()
            if self._bell >= 0:
                os.close(self._bell)
            self._socket.close()
            if self._pidfd >= 0:
                os.close(self._pidfd)
            if self._engine.poll() is None:
                self._engine.kill()
                self._engine.wait()
            subreaper.end_orphans(self._known)
            self._words = self.diagnostics()
            os.close(self._said)
            self._said = -1
            run_directory.remove(self.run_dir)

    def _drain(self, deadline: float) -> None:
        """Take what the engine still writes: it must not be stuck in a full socket while it cleans up."""
        while not self.ended:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            if not self._receive(_PER_CALL) and not self.ended:
                _wait(self._alarm, select.POLLIN, left)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _wait(end: socket.socket | select.epoll, what: int, timeout: float | None) -> bool:
    """Wait until `end` is ready; False when `timeout` seconds have passed."""
    poll = select.poll()
    poll.register(end, what)
    return bool(poll.poll(None if timeout is None else max(0.0, timeout * 1000)))


def _not_an_event(line: bytes, why: str) -> SocklabError:
    from socklab.core.text import safe

    shown = safe(line[:120]) + ("..." if len(line) > 120 else "")
    return SocklabError(
        f"The engine sent a line that is no event ({why}): {shown}",
        fix="Two versions of socklab may be installed over each other: reinstall it in a fresh venv.",
    )


def _time_of(line: bytes, otherwise: int) -> int:
    try:
        return codec.decode_event(line).t
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return otherwise
