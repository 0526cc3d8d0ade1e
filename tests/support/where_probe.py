"""Interpreters of this machine; and a program asleep in a system call, looked at without stopping it.

/proc/TID/syscall gives its registers.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from socklab.engine.source.where import Where
from socklab.protocol.events import Frame
from tests.support import shared

DEADLINE_S = 60.0
READ = {"x86_64": 0, "aarch64": 63}.get(platform.machine(), 0)
LOOKS = 4
READABLE = [f"python3.{minor}" for minor in range(8, 15)]
"""Interpreters whose frames can be read."""


def interpreter(name: str) -> str:
    """Path of an interpreter that runs, else a visible skip."""
    found = shared.once(f"interpreter {name}", lambda: _interpreter(name))
    if not found:
        pytest.skip(f"no {name} on this machine")
    return found


def _interpreter(name: str) -> str:
    if name == "this":
        return sys.executable
    candidates = [shutil.which(name, path="/usr/bin" if name == "python3" else None)]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    if name != "python3":
        candidates += [str(path) for path in sorted(root.glob(f"versions/*/bin/{name}"))]
    for path in candidates:
        if path is None:
            continue
        # The command may be a script that finds the interpreter; its process would not be the one to look at.
        said = subprocess.run([path, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True)
        if said.returncode == 0:
            return said.stdout.strip()
    return ""


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.005)


@contextmanager
def running(
    argv: list[str], env: dict[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The program with its first line of output read, in a process group of its own that is killed in the end."""
    program = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=cwd, process_group=0
    )
    try:
        yield program
    finally:
        try:
            os.killpg(program.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended and nothing of its group is left
        program.communicate()


class Sleeper:
    """One task of a process, asleep in the kernel."""

    def __init__(self, pid: int, tid: int = 0) -> None:
        self.pid = pid
        self.tid = tid or pid
        self._memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)

    def close(self) -> None:
        os.close(self._memory)

    def read(self, address: int, size: int) -> bytes:
        try:
            return os.pread(self._memory, size, address)
        except (OSError, OverflowError):
            return b""

    def syscall(self) -> list[int]:
        """Number, six arguments, stack pointer, instruction pointer; [] while it runs. Source: proc_pid_syscall(5)."""
        text = Path(f"/proc/{self.pid}/task/{self.tid}/syscall").read_text()
        return [int(field, 0) for field in text.split()] if text[0].isdigit() else []

    def wait_in(self, *numbers: int) -> None:
        """Until it sleeps in one of these calls for good: the same at several looks, and not for a disk.

        A program that starts sleeps in read and openat too, while its modules come from a cold disk.
        """
        seen: list[list[int]] = []

        def stays() -> bool:
            call = self.syscall()
            if not call or call[0] not in numbers or (call[0] == READ and self._is_file(call[1])):
                seen.clear()
            elif seen and seen[-1] != call:
                seen[:] = [call]
            else:
                seen.append(call)
            return len(seen) > LOOKS

        wait_for(stays, f"{self.tid} never slept in {numbers}")

    def _is_file(self, fd: int) -> bool:
        try:
            target = os.readlink(f"/proc/{self.pid}/fd/{fd}")
        except OSError:
            return True  # closed meanwhile: it has gone on
        return target.startswith("/") and not target.startswith("/dev/")

    def stack(self, where: Where | None = None, fp: int = 0) -> tuple[Frame, ...]:
        wait_for(lambda: bool(self.syscall()), f"{self.tid} never slept")
        *_, sp, ip = self.syscall()
        return (where or Where(self.pid)).stack(self.tid, sp, ip, self.read, fp)


@contextmanager
def sleeper(pid: int, *numbers: int, tid: int = 0) -> Iterator[Sleeper]:
    task = Sleeper(pid, tid)
    try:
        task.wait_in(*numbers)
        yield task
    finally:
        task.close()


def ask_gdb(pid: int, sources: Path) -> tuple[list[tuple[str, int, str]], int]:
    """((file name, line, function) of the frames under `sources`, innermost first; the frame pointer), by gdb."""
    answer = subprocess.run(
        ["gdb", "-nx", "-batch", "-p", str(pid), *("-iex", "set debuginfod enabled off")]
        + [word for command in ("print/x (long)$rbp", "bt") for word in ("-ex", command)],
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    frames = []
    for match in re.finditer(r"^#\d+ +(?:0x[0-9a-f]+ in )?(\S+) \(.*?\) at (\S+):(\d+)$", answer, re.MULTILINE):
        if Path(match[2]).is_relative_to(sources):
            frames.append((Path(match[2]).name, int(match[3]), match[1]))
    pointer = re.search(r"^\$1 = (0x[0-9a-f]+)", answer, re.MULTILINE)
    return frames, int(pointer[1], 16) if pointer else 0


def short(frames: tuple[Frame, ...]) -> list[tuple[str, int, str]]:
    return [(Path(frame.path).name, frame.line, frame.function) for frame in frames]
