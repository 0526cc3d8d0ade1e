"""The engine as a process: started with a command socket and a place for its last words.

In: the command line, the run's directory. Out: the process and our ends, or a MachineError and nothing left. Speaks to
nobody. Kept lean: it runs before anything heavy is imported.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
from collections.abc import Callable
from typing import NamedTuple

from socklab.core.errors import MachineError
from socklab.host import environment, run_directory, subreaper


class EngineProcess(NamedTuple):
    """`said`: what it writes on its stdout and stderr, read by position. `pidfd`: readable once it has ended, or -1."""

    process: subprocess.Popen[bytes]
    socket: socket.socket
    said: int
    pidfd: int
    run_dir: str


def start(command: Callable[[int], list[str]]) -> EngineProcess:
    """Run `command(FD)`, its socket being FD, in a fresh private directory. Raises MachineError, SocklabError."""
    if not os.path.exists("/proc/self"):
        raise MachineError(
            "/proc is not there: all that the lab shows of a program is read from it.", fix="mount -t proc proc /proc"
        )
    run_dir = run_directory.make()
    with contextlib.ExitStack() as undo:
        undo.callback(run_directory.remove, run_dir)
        try:
            made = _start(command, run_dir, undo)
        except OSError as error:
            raise refused(error) from error
        undo.pop_all()
    return made


def give_up(made: EngineProcess) -> None:
    """End what was made, before anybody speaks to it."""
    made.process.kill()
    made.process.wait()
    made.socket.close()
    for fd in (made.said, made.pidfd):
        if fd >= 0:
            os.close(fd)
    run_directory.remove(made.run_dir)


def _start(command: Callable[[int], list[str]], run_dir: str, undo: contextlib.ExitStack) -> EngineProcess:
    """Raises OSError: no process, descriptor or memory is left, or a container's filter refuses a call."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    undo.callback(ours.close)
    said = _anonymous_file(run_dir)
    undo.callback(os.close, said)
    with theirs:
        process = subprocess.Popen(
            command(theirs.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=(theirs.fileno(),),
            env=environment.inherited(),
            start_new_session=True,  # Ctrl-C in the terminal is for the consumer, which then ends the engine
        )
    undo.callback(process.wait)
    undo.callback(process.kill)
    subreaper.become_subreaper()
    ours.setblocking(False)
    return EngineProcess(process, ours, said, _pidfd(process.pid), run_dir)


def _anonymous_file(run_dir: str) -> int:
    """It can't fill up like a pipe, and outlives the run directory."""
    try:
        return os.memfd_create("socklab-engine-stderr")
    except OSError:  # a container's filter refuses it
        with open(f"{run_dir}/engine-stderr", "xb+") as file:
            os.unlink(file.name)
            return os.dup(file.fileno())


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1  # refused: the end of its socket tells as well, but for programs that have inherited that


def refused(error: OSError) -> MachineError:
    """What the kernel would not give, and what to do."""
    fixes = {
        errno.EMFILE: "Allow more open files: `ulimit -n 1024`, then start again.",
        errno.EAGAIN: "`ulimit -u` says how many processes are allowed: end some, or allow more.",
        errno.ENOMEM: "`ulimit -v` says how much memory is allowed: end other programs, or allow more.",
    }
    fix = fixes.get(error.errno or 0, "Run `socklab doctor`: it names what refuses and the exact fix.")
    return MachineError(f"The engine could not be started: {error.strerror}.", fix=fix)
