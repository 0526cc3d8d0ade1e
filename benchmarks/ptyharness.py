"""A terminal from outside: runs a program in a pseudo-terminal, plays the terminal, notes when every byte came.

In: a command, a size, keys. Out: times in milliseconds and the screen as text. Standard library only, except `pyte`,
which replays what was recorded once the clock has stopped, so that emulation is in no figure.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import select
import signal
import struct
import tempfile
import termios
import time
from dataclasses import dataclass, field
from typing import Any

_QUERIES = (
    # What an ordinary terminal answers: device attributes, cursor position, modes, name, colours.
    (re.compile(rb"\x1b\[0?c"), lambda m: b"\x1b[?62;22c"),
    (re.compile(rb"\x1b\[6n"), lambda m: b"\x1b[1;1R"),
    (re.compile(rb"\x1b\[\?(\d+)\$p"), lambda m: b"\x1b[?%s;%d$y" % (m[1], 2 if m[1] == b"2026" else 0)),
    (re.compile(rb"\x1b\[>0?q"), lambda m: b"\x1bP>|ptyharness\x1b\\"),
    (re.compile(rb"\x1b\]1[01];\?(?:\x07|\x1b\\)"), lambda m: b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
)
# What pyte 0.8 would print instead of ignoring.
_UNKNOWN = re.compile(
    rb"\x1b\[[<>=][0-9;:]*[ -/]*[@-~]|\x1b\[[?]?[0-9;]*[ -/]+[@-~]|\x1b\[\?[0-9;]*u|\x1b[PX^_].*?\x1b\\", re.S
)


_BYTECODE: list[tempfile.TemporaryDirectory[str]] = []


def _bytecode() -> dict[str, str]:
    """Compiled modules are kept, as for any installed program, in a place of this benchmark's own."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if not _BYTECODE:
        _BYTECODE.append(tempfile.TemporaryDirectory(prefix="socklab-bytecode-"))
        atexit.register(_BYTECODE[0].cleanup)
    return {"PYTHONPYCACHEPREFIX": _BYTECODE[0].name}


def _feed(stream: Any, data: bytes) -> bytes:
    """Replay what is whole; returns a sequence that has only begun."""
    cut = data.rfind(b"\x1b")
    if cut < 0 or cut < len(data) - 64 or re.match(rb"\x1b\[[0-9;?]*[A-Za-z]", data[cut:]):
        cut = len(data)
    stream.feed(_UNKNOWN.sub(b"", data[:cut]))
    return data[cut:]


@dataclass
class Terminal:
    """One program in one pseudo-terminal. `chunks` holds (seconds since start, bytes) of everything it wrote."""

    argv: list[str]
    columns: int = 120
    rows: int = 36
    env: dict[str, str] = field(default_factory=dict)
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    ended: bool = False

    def __post_init__(self) -> None:
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))
        environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "TMUX", "NO_COLOR")}
        environment |= (
            {"TERM": "xterm-256color", "COLORTERM": "truecolor", "SOCKLAB_LAYOUT": os.devnull} | _bytecode() | self.env
        )
        self._fd = master
        self._tail = self._rest = b""
        self._emulated: Any = None
        self._fed = 0
        self._last_modes: list[Any] | None = None
        # setsid, then opening the slave, makes it the controlling terminal.
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.ttyname(slave), os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
        ]
        self._start = time.perf_counter()
        self.pid = os.posix_spawnp(
            self.argv[0], self.argv, environment, file_actions=actions, setsid=True, setsigdef=range(1, 32)
        )
        os.close(slave)

    # ---------------------------------------------------------------- bytes

    def read(self, timeout: float) -> bytes:
        """One chunk; b"" when none came in time, or at the end."""
        if self.ended or not select.select([self._fd], [], [], max(0.0, timeout))[0]:
            return b""
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:  # EIO: the other side is closed
            data = b""
        if not data:
            self.ended = True
            return b""
        self.chunks.append((time.perf_counter() - self._start, data))
        self._answer(data)
        return data

    def _answer(self, data: bytes) -> None:
        text = self._tail + data
        known, used = len(self._tail), 0
        for pattern, answer in _QUERIES:
            for match in pattern.finditer(text):
                if match.end() > known:
                    os.write(self._fd, answer(match))
                    used = max(used, match.end())
        self._tail = text[max(used, len(text) - 24) :]

    def settle(self, quiet: float, limit: float) -> bool:
        """Read until nothing came for `quiet` seconds; False when `limit` seconds passed first."""
        end = time.perf_counter() + limit
        last = time.perf_counter()
        while not self.ended:
            now = time.perf_counter()
            if now - last >= quiet:
                return True
            if now >= end:
                return False
            if self.read(min(quiet - (now - last), end - now)):
                last = time.perf_counter()
        return True

    def wait_for(self, text: str, limit: float) -> bool:
        """Read until `text` is on the screen."""
        end = time.perf_counter() + limit
        while time.perf_counter() < end and not self.ended:
            self.settle(0.05, 0.3)
            if text in self.screen():
                return True
        return text in self.screen()

    def type(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def key(self, data: bytes, *, quiet: float = 0.08, limit: float = 1.5) -> tuple[float, float, int] | None:
        """Milliseconds from the key to the first and to the last byte of its answer, and how many bytes; or None."""
        self.settle(quiet, 1.0)
        mark = len(self.chunks)
        start = time.perf_counter()
        os.write(self._fd, data)
        last = start
        while not self.ended and (now := time.perf_counter()) - start < limit:
            if len(self.chunks) > mark and now - last >= quiet:
                break
            if self.read(min(quiet, limit - (now - start))):
                last = time.perf_counter()
        answer = self.chunks[mark:]
        if not answer:
            return None
        offset = start - self._start
        first_ms, last_ms = (answer[0][0] - offset) * 1e3, (answer[-1][0] - offset) * 1e3
        return first_ms, last_ms, sum(len(data) for _, data in answer)

    # ---------------------------------------------------------------- the screen

    def screen(self) -> str:
        """What is on the screen now. Each byte is replayed once, however often this is asked."""
        import pyte

        if self._emulated is None:
            self._emulated = pyte.ByteStream(pyte.Screen(self.columns, self.rows))
        for _, data in self.chunks[self._fed :]:
            self._rest = _feed(self._emulated, self._rest + data)
        self._fed = len(self.chunks)
        return "\n".join(line.rstrip() for line in self._emulated.listener.display)

    def painted_at(self, text: str | None = None) -> float | None:
        """Milliseconds from the start to the first chunk after which something, or `text`, was on the screen."""
        import pyte

        screen = pyte.Screen(self.columns, self.rows)
        stream = pyte.ByteStream(screen)
        rest = b""
        for at, data in self.chunks:
            rest = _feed(stream, rest + data)
            shown = "\n".join(screen.display)
            if (text in shown) if text is not None else shown.strip():
                return at * 1e3
        return None

    # ---------------------------------------------------------------- the end

    def close(self, keys: bytes = b"q", grace: float = 60.0) -> int | None:
        """Press `keys`, wait for the end. The exit status, or None when it had to be killed."""
        if not self.ended:
            try:
                os.write(self._fd, keys)
            except OSError:  # it has closed its side already
                self.ended = True
        return self.wait(grace)

    def wait(self, grace: float = 60.0) -> int | None:
        """The exit status; None when it did not end by itself in `grace` seconds and had to be killed."""
        end = time.perf_counter() + grace
        killed = False
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read(0.0):  # what it wrote last
                    pass
                self._last_modes = termios.tcgetattr(self._fd)
                os.close(self._fd)
                self.ended = True
                return None if killed else os.waitstatus_to_exitcode(status)
            if not self.read(0.01) and self.ended:
                time.sleep(0.005)
            if time.perf_counter() > end and not killed:
                killed = True
                os.kill(self.pid, signal.SIGKILL)

    def modes(self) -> list[Any]:
        """The terminal's modes now, as termios.tcgetattr gives them; after the end: those it was left in."""
        return self._last_modes if self._last_modes is not None else termios.tcgetattr(self._fd)

    @property
    def terminal_given_back(self) -> bool:
        """Whether the last word about the alternate screen was to leave it."""
        written = b"".join(data for _, data in self.chunks)
        return written.rfind(b"\x1b[?1049l") >= written.rfind(b"\x1b[?1049h")

    @property
    def said_afterwards(self) -> str:
        """What was written when the alternate screen had been left for the last time."""
        return b"".join(data for _, data in self.chunks).rpartition(b"\x1b[?1049l")[2].decode(errors="replace")


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * (len(ordered) - 1))))]
