"""Real servers for tests: started on a free port, asked one request at a time, ended by their id.

In: a kind (of servers/answer.c), or any command with {port} in it. Out: a running server whose answers can be checked.
Everything is on 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.support import shared

SOURCES = Path(__file__).resolve().parent / "servers"
DEADLINE_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def built(name: str) -> str:
    """Path of the compiled servers/NAME.c."""
    return shared.compiled(SOURCES / f"{name}.c", "-g", "-O0", "-w", "-pthread")


def command(kind: str, folder: Path, port: int) -> list[str]:
    """argv of a server: `http.server`, or a kind that answer.c knows."""
    if kind == "http.server":
        served = folder / "served"
        served.mkdir(exist_ok=True)
        (served / "index.html").write_text("hello\n")
        return [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(served)]
    return [built("answer"), kind, str(port)]


def until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait until the condition holds; AssertionError with `what` after the deadline."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        threading.Event().wait(0.01)


def ask(port: int, say: bytes = b"GET / HTTP/1.0\r\n\r\n", timeout: float = DEADLINE_S) -> bytes:
    """The whole answer to one request. Raises OSError when the connection is refused, reset or cut."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(say)
        pieces = []
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def answers(port: int) -> bool:
    try:
        return b" 200 " in ask(port)
    except OSError:
        return False


@contextlib.contextmanager
def running(argv: Sequence[str], port: int, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """The server, once it answers; killed with its whole process group at the end."""
    server = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **options,  # type: ignore[call-overload]
    )
    try:
        until(lambda: answers(port) or server.poll() is not None, "the server's first answer")
        assert server.poll() is None, f"the server ended with {server.returncode}"
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


class Load:
    """Requests one after the other from some threads until it is left; `failures` says which went wrong and how."""

    PAUSE_S, PAUSES = 0.001, 3
    """A thread rests so long, and so many times as long as its request took: else on a busy machine the load would take
    most of the processors from what it is a load for."""

    def __init__(self, port: int, clients: int = 2) -> None:
        self.port = port
        self.done = 0
        self.failures: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def _run(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            try:
                said = ask(self.port)
            except OSError as error:
                self.failures.append(repr(error))
            else:
                if b" 200 " not in said:
                    self.failures.append(f"answered {said[:60]!r}")
                self.done += 1
            self._over.wait(max(self.PAUSE_S, self.PAUSES * (time.monotonic() - began)))

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(DEADLINE_S)


def status(pid: int) -> dict[str, str]:
    """/proc/PID/status; empty when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def tracers(pid: int) -> set[int]:
    """Who traces the threads of a process; {0} = nobody."""
    found = set()
    with contextlib.suppress(OSError):
        for tid in os.listdir(f"/proc/{pid}/task"):
            for line in Path(f"/proc/{pid}/task/{tid}/status").read_text().splitlines():
                if line.startswith("TracerPid:"):
                    found.add(int(line.split()[1]))
    return found
