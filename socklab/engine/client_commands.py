"""Real programs run on the lab's hosts: `! curl -s http://server:8080/`.

In: command lines, and the statuses the tracer reaps. Out: `Client` events (phases running and done) and `Output`.
Belongs to the lab thread, which lives in the client host's network namespace. Every command leads a session of its
own and dies with the engine.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from socklab.commands import actions
from socklab.core.errors import SocklabError
from socklab.engine.clients import KEPT_FILES
from socklab.engine.looking import Looking
from socklab.engine.program import reset_child
from socklab.engine.stream import Stream
from socklab.engine.terminal import follow
from socklab.host import libc
from socklab.protocol import events as ev
from socklab.state import LISTEN, LabState, Table

SHOWN_BYTES = 1 << 20
"""So much of a command's output is told. What comes after it is read, so that the command is never slowed down (it may
be somebody's peer), and let go: `! yes` would fill every consumer's memory."""

_PLAIN_CURL = re.compile(r"curl (-sS? )?http://\S+")
_CURL = """import sys, urllib.request as r
sys.stdout.buffer.write(r.build_opener(r.ProxyHandler({})).open(sys.argv[1]).read())"""


@dataclass(eq=False)
class Command:
    """One real program, run on a host."""

    name: str
    argv: tuple[str, ...]
    host: str
    process: subprocess.Popen[bytes]
    open_pipes: int = 2
    told_bytes: int = 0
    status: int | None = None
    socket: ev.SocketRow | None = None
    """Its connection, as the table listed it last: of several the one it opened first."""

    @property
    def pid(self) -> int:
        return self.process.pid


def _socket_inodes(pid: int) -> Iterator[int]:
    """Of the sockets that a process or a child of it has open, by descriptor. Ones that are gone have none."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (str(pid), *children):
            with contextlib.suppress(OSError):
                for fd in sorted(map(int, os.listdir(f"/proc/{each}/fd"))):
                    with contextlib.suppress(OSError):
                        target = os.readlink(f"/proc/{each}/fd/{fd}")
                        if target.startswith("socket:["):
                            yield int(target[8:-1])


def _connection(table: Table, inode: int) -> ev.SocketRow | None:
    row = table.rows.get(table.by_inode.get(inode, 0))
    return row if row is not None and row.state != LISTEN else None


class ClientCommands:
    """All commands of a run, by name: the program's own, numbered when it runs again (curl, curl2 ...)."""

    def __init__(
        self,
        stream: Stream,
        selector: selectors.BaseSelector,
        enter_host: Callable[[str], None],
        limit: tuple[int, int] | None,
        hosts: Iterable[str],
    ) -> None:
        """`hosts`: names and addresses of the lab's own."""
        self._stream = stream
        self._selector = selector
        self._enter_host = enter_host
        self._limit = limit
        self._hosts = tuple(hosts)
        self.looking = Looking(stream, selector, self._spawn)
        """Programs that are run to show something, and are no clients."""
        self._commands: dict[str, Command] = {}
        self._ended_early: dict[int, int] = {}

    def start(self, argv: tuple[str, ...], host: str, kept: frozenset[str] = frozenset()) -> None:
        """Run a program on a host, its output read from pipes; `kept`: names it may not have.

        Raises SocklabError when it cannot be started.
        """
        self._need_descriptors(argv[0])
        name = next(actions.numbered(argv[0], {*self._commands, *kept}))
        argv = self._instead_of_curl(argv) or argv

        try:
            process = self._spawn(argv, host, subprocess.DEVNULL)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise SocklabError(
                f"{argv[0]} could not be run: {reason}.", fix="! COMMAND runs a program that is on PATH."
            ) from error
        command = Command(name, argv, host, process)
        self._commands[name] = command
        for stream_name, pipe in (("out", process.stdout), ("err", process.stderr)):
            assert pipe is not None
            show = partial(self._show, command, stream_name)
            follow(self._selector, pipe.fileno(), show, partial(self._close, command, pipe))
        self._tell(command, "running")
        if command.pid in self._ended_early:
            self.ended(command.pid, self._ended_early.pop(command.pid))

    def _need_descriptors(self, name: str) -> None:
        """Raises SocklabError where a command's pipes would be of the descriptors that the lab keeps for itself."""
        if self._limit is None:
            return
        try:
            most = len(os.listdir("/proc/self/fd")) + 2
        except OSError:
            most = self._limit[1]
        if most > self._limit[1] - KEPT_FILES:
            raise SocklabError(
                f"{name} could not be run: too many files are open.", fix="Close some clients, or raise ulimit -n."
            )

    def _environment(self) -> dict[str, str]:
        """The user's, but no proxy stands between the lab's hosts."""
        direct = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), *self._hosts)))
        return {**os.environ, "no_proxy": direct, "NO_PROXY": direct}

    def _spawn(self, argv: tuple[str, ...], host: str, stdin: int) -> subprocess.Popen[bytes]:
        """On a host, in a session of its own that dies with the engine, its output into pipes."""

        def prepare_child() -> None:
            libc.die_with_parent()
            reset_child(self._limit)

        if host != "client":
            self._enter_host(host)
        try:
            return subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment(),
                start_new_session=True,
                preexec_fn=prepare_child,
            )
        finally:
            if host != "client":
                self._enter_host("client")

    def _instead_of_curl(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Python asks for the page where curl is not installed; () = it can't, or need not, stand in."""
        if argv[0] != "curl" or shutil.which("curl") or not _PLAIN_CURL.fullmatch(" ".join(argv)):
            return ()
        said = "curl is not installed: a Python program asks for the page in its place."
        self._stream.notice("info", said)
        return sys.executable, "-I", "-c", _CURL, argv[-1]

    def _close(self, command: Command, pipe: IO[bytes]) -> None:
        pipe.close()
        command.open_pipes -= 1
        self._finish(command)

    def _show(self, command: Command, stream_name: str, data: bytes) -> None:
        shown = data[: SHOWN_BYTES - command.told_bytes]
        command.told_bytes += len(shown)
        if shown:
            self._stream.put(ev.Output(self._stream.now(), command.name, stream_name, shown))
            if command.told_bytes == SHOWN_BYTES:
                said = f"{command.name} has written {SHOWN_BYTES >> 10} KiB; what it writes from now on is not shown."
                self._stream.notice("info", said, f"close {command.name}   ends it.")

    def follow(self, state: LabState) -> None:
        """Which connection is whose: a program that runs has the sockets that its descriptors name."""
        for command in self._commands.values():
            if command.status is not None:
                continue
            table = state.table_of(command.host)
            rows = [row for inode in _socket_inodes(command.pid) if (row := _connection(table, inode)) is not None]
            if rows and (command.socket is None or all(row.inode != command.socket.inode for row in rows)):
                command.socket = rows[0]
                self._tell(command, "running")

    def stop(self, name: str, signo: int) -> bool:
        """Send a signal to a running command and what it started in its session; False: there is none of that name."""
        command = self._commands.get(name)
        if command is None or command.status is not None:
            return False
        os.killpg(command.pid, signo)
        return True

    def ended(self, pid: int, status: int) -> None:
        """A child that is not traced was reaped with wait's `status`. A command is done when its output is read too."""
        if self.looking.ended(pid, status):
            return
        for command in self._commands.values():
            if command.pid == pid:
                command.status = status
                command.process.returncode = os.waitstatus_to_exitcode(status)
                self._finish(command)
                return
        self._ended_early[pid] = status

    def _finish(self, command: Command) -> None:
        if command.status is not None and command.open_pipes == 0:
            self._tell(command, "done", os.waitstatus_to_exitcode(command.status))

    def _tell(self, command: Command, phase: str, code: int = 0) -> None:
        self._stream.put(
            ev.Client(
                self._stream.now(),
                command.name,
                phase,
                host=command.host,
                local=command.socket.local if command.socket is not None else "",
                remote=command.socket.remote if command.socket is not None else "",
                inode=command.socket.inode if command.socket is not None and phase == "running" else 0,
                argv=command.argv,
                pid=command.pid if phase == "running" else 0,
                code=code,
            )
        )

    def end(self) -> None:
        """Kill every command with all it started in its session."""
        self.looking.end()
        for command in self._commands.values():
            if command.status is None:
                try:
                    os.killpg(command.pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue  # gone already

    @property
    def busy(self) -> bool:
        return any(command.status is None for command in self._commands.values())
