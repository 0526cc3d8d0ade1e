"""Waits for a compiler, which may take long or never end.

In: its command line, and the consumer's socket. Out: its status and what it said. Says once that it takes long; gives
up in the end, and at once when the consumer leaves. What is left of a compiler given up dies with the engine.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence

from socklab.core.errors import ProgramError
from socklab.host import libc

SLOW_S = 3.0
GIVE_UP_S = 120.0
_LOOK_S = 0.1
"""So often it looks whether the consumer has left."""


class Compiling:
    """`slow` is called with a text for the user, once, when a compiler takes longer than SLOW_S."""

    def __init__(self, consumer: socket.socket, slow: Callable[[str], None]) -> None:
        self._consumer = consumer
        self._slow = slow

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        """(exit status, output). Raises ProgramError where it does not end, OSError where it can't run."""
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, preexec_fn=libc.die_with_parent
            )
            try:
                self._wait(process, command)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            said.seek(0)
            return process.returncode, said.read().decode("utf-8", "replace")

    def _wait(self, process: subprocess.Popen[bytes], command: Sequence[str]) -> None:
        begun = time.monotonic()
        told = False
        while not _ends(process):
            lasted = time.monotonic() - begun
            if self._left():
                raise ProgramError("The lab was ended while the program was being compiled.")
            if lasted > GIVE_UP_S:
                raise ProgramError(
                    f"The compiler has not ended in {GIVE_UP_S:.0f} s, and was killed.",
                    fix=f"Run it yourself to see what keeps it: {shlex.join((command[0], '-c', command[-1]))}",
                )
            if lasted > SLOW_S and not told:
                told = True
                self._slow(f"{command[0]} is still compiling; after {GIVE_UP_S:.0f} s it is given up.")

    def _left(self) -> bool:
        """The consumer quits, or is gone. What it asked for otherwise stays to be read."""
        try:
            data = self._consumer.recv(1 << 16, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:  # ECONNRESET: it was killed
            return True
        return not data or b'"c":"quit"' in data


def _ends(process: subprocess.Popen[bytes]) -> bool:
    """Whether it ends within _LOOK_S. No pidfd: a container's filter may refuse one."""
    try:
        process.wait(_LOOK_S)
    except subprocess.TimeoutExpired:
        return False
    return True
