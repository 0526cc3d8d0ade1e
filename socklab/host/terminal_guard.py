"""Keeps the terminal sane even when the screen is killed with SIGKILL.

In: a process about to take the terminal over. Out: two: a child that goes on, and this one, which waits for it. When
the child is killed the terminal's modes are put back and the sequences that a full-screen program switches on are
switched off. When this process itself is killed the child is told by SIGTERM, and leaves in order. Never draws.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import time
from types import FrameType

# What Textual may have switched on: synchronized output, mouse reports, bracketed paste, focus reports, in-band
# resize reports, the kitty keyboard protocol, the alternate screen, a hidden cursor, colours (xterm's ctlseqs).
# Each screen has keyboard levels of its own, and Textual's is the alternate one's: it is entered first, for a screen
# killed before it began, or after it had left, would cost the main screen a level that is the shell's or the editor's.
# Entered twice it stays as it is, and popping what is empty does nothing (kitty's keyboard protocol).
_LEAVE = (
    b"\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l\x1b[?2004l\x1b[?1004l\x1b[?2048l"
    b"\x1b[?1049h\x1b[<u\x1b[?1049l\x1b[?25h\x1b[0m"
)


_DEADLINE_S = 3.0
_GRACE_S = 5.0
"""From a signal to leave until the screen is killed: it may be drowning in keys (100 kB pasted without brackets) and
hear of nothing else. After a hang-up there is none: no terminal is left to be put right, and a screen that writes to it
may never hear of anything again (the thread that writes has died, and its queue is full)."""


def guard() -> None:
    """Fork. Returns in the child; the caller's process stays behind as the terminal's guard and ends as the child does.

    Call it before anything heavy is imported and before any thread exists. Without a terminal on stdin it does
    nothing: there is nothing to keep.
    """
    try:
        modes = termios.tcgetattr(0)
    except (termios.error, OSError):
        return
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whoever started us may have blocked the child's end
    guard_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        _die_with(guard_pid)
        return
    leaving = _Leaving(pid)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda got, _frame: leaving.ask(got))
    for number in (signal.SIGINT, signal.SIGTSTP, signal.SIGTTOU, signal.SIGTTIN):
        signal.signal(number, signal.SIG_IGN)
    from socklab.host import subreaper

    subreaper.become_subreaper()
    _wait(leaving, modes)


class _Leaving:
    """The screen was asked to leave, by a signal, at a time."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.number = 0
        self._until = 0.0

    def ask(self, number: int) -> None:
        if not self.number:
            self.number, self._until = number, time.monotonic() + _GRACE_S
        _pass_on(self.pid, number)

    def left_ms(self) -> int | None:
        """How long it may still take; None = nobody has asked it to leave."""
        return max(0, round((self._until - time.monotonic()) * 1000)) if self.number else None

    def insist(self) -> None:
        if self.number and time.monotonic() > self._until:
            _pass_on(self.pid, signal.SIGKILL)

    def hung_up(self) -> None:
        """The terminal is gone. Only its session's leader gets SIGHUP from the kernel; the screen may not be it."""
        self.number = self.number or signal.SIGHUP
        self._until = 0.0


def _die_with(guard_pid: int) -> None:
    from socklab.host import libc

    libc.die_with_parent(signal.SIGTERM)
    if os.getppid() != guard_pid:  # it died before the request was made
        os.kill(os.getpid(), signal.SIGTERM)


def _pass_on(pid: int, number: int, _frame: FrameType | None = None) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait(leaving: _Leaving, modes: list[object]) -> None:
    """Follow the child: stop with it, go on with it, end with it."""
    pid = leaving.pid
    woken, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler nothing is written to the pipe
    watched = select.poll()
    watched.register(woken, select.POLLIN)
    watched.register(0, 0)  # hang-ups are always reported
    while True:
        done, status = os.waitpid(pid, os.WUNTRACED | os.WNOHANG)
        if done and not os.WIFSTOPPED(status):
            break
        if done:
            # Job control: the shell waits for us, so we stop as the child did, and wake it when we are woken.
            os.kill(os.getpid(), signal.SIGSTOP)
            _pass_on(pid, signal.SIGCONT)
            continue
        leaving.insist()
        for fd, event in watched.poll(leaving.left_ms()):
            if fd == woken:
                os.read(woken, 512)
            elif event & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                watched.unregister(0)
                leaving.hung_up()
    if os.WIFSIGNALED(status):
        with contextlib.suppress(OSError, termios.error):  # the terminal may be gone: then it needs no care
            os.write(1, _LEAVE)
            termios.tcsetattr(0, termios.TCSADRAIN, modes)  # type: ignore[arg-type]
        number = leaving.number or os.WTERMSIG(status)
        with contextlib.suppress(OSError):
            os.write(2, f"socklab was ended by {signal.Signals(number).name}.\n".encode())
        code = 128 + number
    else:
        code = os.WEXITSTATUS(status)
    _end_what_is_left()
    if os.WIFSIGNALED(status):
        from socklab.host import run_directory

        run_directory.remove_those_of(pid)
    sys.stdout.flush()
    os._exit(code)


def _end_what_is_left() -> None:
    """The engine ends itself when its consumer is gone; what has not ended in time is killed."""
    from socklab.host import subreaper

    deadline = time.monotonic() + _DEADLINE_S
    while left := subreaper.read_descendants(os.getpid()):
        with contextlib.suppress(ChildProcessError):  # reaped already
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        if time.monotonic() > deadline:
            for each in left:
                _pass_on(each, signal.SIGKILL)
            if time.monotonic() > deadline + _DEADLINE_S:
                return
        select.select((), (), (), 0.005)  # /proc has nothing to wait on
