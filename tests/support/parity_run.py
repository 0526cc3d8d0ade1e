"""The first difference between what a user of socklab sees of a server and what strace prints of it.

In: any server command, and a driver that makes requests. Each runs it once, from its start over the last request to its
end by a signal; out: "" or the first difference, thread by thread. Also a command of its own:

    python -m tests.support.parity_run --port 8080 -- ./server 8080

strace is asked for all of `-f -v -e trace=%network,%desc,%process,%signal`. What it reports and socklab does not must
be in `parity_compare.LEFT_OUT`. Compared are the names, arguments and results of every thread's calls, the signals it
got and how it ended; and of every call, what call card and `--plain` say of it with what strace's line says
(`parity_view`).

Two runs of a server are never the same, so the driver makes one request at a time and waits until the trace rests. Not
compared is

  1. what must differ: addresses, ports the kernel chose, ids of tasks, times and sizes of what holds them (see WORDS);
  2. waits that timed out or that a signal interrupted, waits for a child that found none, SIGCHLD, and the call a
     thread sleeps in at the end: how many there are is a matter of time;
  3. which of several equal threads did what: threads are compared as a set;
  4. with `one_line`, for runtimes that move work between threads as they like (Go, a JVM): all threads are one
     sequence of the calls that name a socket, in the order in which they ended;
  5. what is done with files of /proc, /sys and /dev, and fstat of a file without a name, which a server's own clock may
     ask at any time;
  6. with `any_fd`, for servers with threads: which number a new descriptor gets. A blocked accept has chosen its number
     before it sleeps, so that it matters whether another thread closed its own in time;
  7. where clone3 wrote the new thread's id: a thread that ended before its parent went on has cleared it;
  8. what `parity_view.OPEN` lists: of that, name and result.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from socklab import syscalls
from socklab.core.signals import signal_name
from socklab.host import subreaper
from socklab.protocol import events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.ui.plain.words import signal_text
from tests.support import parity_view, servers, strace
from tests.support.parity_compare import LEFT_OUT, Trace, comparable, first_difference, left_out, told

LOOKS, LOOK_S = 4, 0.015
"""The trace rests when at so many looks the tracer and all it traces sleep, and nothing was added between two."""
LOOKS_AT_MOST = 40
"""Some servers have a clock of their own that adds something all the time: then they must sleep at so many looks."""

SETS = "%network,%desc,%process,%signal,?close_range"
"""strace counts close_range to none of its sets."""

Drive = Callable[[Callable[[], None]], None]
"""Makes the requests; calls what it is given to wait until the trace rests."""


def requests(port: int, count: int = 3, say: bytes = b"GET / HTTP/1.0\r\n\r\n", hear: bytes = b" 200 ") -> Drive:
    """`count` requests one after the other, once the server listens; each must be answered."""

    def drive(rest: Callable[[], None]) -> None:
        servers.until(lambda: _listens(port), f"a listener on port {port}")
        rest()
        for _ in range(count):
            said = servers.ask(port, say)
            assert hear in said, said[:200]
            rest()

    return drive


def _listens(port: int) -> bool:
    """Asked of the table, so that no connection is made that the trace would show."""
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    return True
    return False


def _resting(size: Callable[[], int], tracer: int, alive: Callable[[], bool]) -> Callable[[], None]:
    def rest() -> None:
        last, quiet, asleep, tick = -1, 0, 0, threading.Event()
        deadline = time.monotonic() + servers.DEADLINE_S
        while alive() and quiet < LOOKS and asleep < LOOKS_AT_MOST:
            assert time.monotonic() < deadline, "the trace never rested"
            sleeps, last, before = _sleeps(tracer), size(), last
            asleep += sleeps
            quiet = quiet + 1 if sleeps and last == before else 0
            tick.wait(LOOK_S)

    return rest


def _sleeps(tracer: int) -> bool:
    """No thread of the tracer and of what it started runs or is at a stop."""
    for pid in (tracer, *subreaper.read_descendants(tracer)):
        with contextlib.suppress(OSError):
            for tid in os.listdir(f"/proc/{pid}/task"):
                stat = Path(f"/proc/{pid}/task/{tid}/stat").read_text()
                if stat.rpartition(")")[2].split()[0] not in "SZX":
                    return False
    return True


# ---------------------------------------------------------------- the two tracers


def by_socklab(
    argv: Sequence[str], drive: Drive, cwd: str, environment: Mapping[str, str], end: int = 0, limit: int = 512
) -> Trace:
    """One run under the engine, running free. `end`: the signal that ends it, 0 = it ends by itself."""
    seen = _Seen(limit)
    over = threading.Event()
    failed: list[BaseException] = []
    spec = RunSpec(argv=tuple(argv), cwd=cwd, environment=dict(environment), free=True, network="machine")
    with Link.start(spec) as link:

        def driver() -> None:
            try:
                drive(_resting(lambda: seen.count, link.pid, lambda: not link.ended))
                if end:
                    os.kill(seen.pid, end)
            except BaseException as error:
                failed.append(error)
            over.set()

        thread = threading.Thread(target=driver)
        thread.start()
        deadline = time.monotonic() + servers.DEADLINE_S * 4
        while not link.ended and not (failed and over.is_set()):
            for event in link.read_available():
                seen.take(event)
            if over.is_set() and (seen.pid in seen.gone or time.monotonic() > deadline):
                break
            select.select([link], [], [], 0.01)
        thread.join(servers.DEADLINE_S)
    if failed:
        raise failed[0]
    assert seen.pid in seen.gone, f"the program did not end: {seen.tasks}"
    return Trace(seen.tasks, seen.ended, seen.names, tuple(seen.untold))


class _Seen:
    """What the event stream says, as strace's lines; and what a user's view of a call lacks."""

    def __init__(self, limit: int) -> None:
        self.tasks: dict[int, list[str]] = {}
        self.ended: list[tuple[int, str]] = []
        self.names = frozenset[str]()
        self.untold: list[str] = []
        self.gone: set[int] = set()
        self.pid = 0
        self.count = 0
        self._arch = ""
        self._limit = limit
        self._waiting: dict[int, ev.Enter] = {}

    def take(self, event: ev.Event) -> None:
        match event:
            case ev.Header():
                self._arch = event.arch
            case ev.Started():
                self.names = frozenset(syscalls.name(self._arch, nr) for nr in event.traced)
                self.pid = event.pid
                self.tasks[event.pid] = []
            case ev.Enter(tid=tid):
                self.tasks.setdefault(tid, [])
                self._waiting[tid] = event
                self.count += 1
            case ev.Return(tid=tid) if tid in self._waiting:
                self.count += 1
                self._call(self._waiting.pop(tid), event)
            case ev.Signal(tid=tid):
                self.tasks.setdefault(tid, []).append(f"--- {signal_text(event)} ---")
            case ev.Exited(tid=tid):
                if tid in self._waiting:
                    self._call(self._waiting.pop(tid), None)
                how = f"killed by {signal_name(event.signo)}" if event.signo else f"exited with {event.code}"
                self.tasks.setdefault(tid, []).append(f"+++ {how}{' (core dumped)' if event.core else ''} +++")
                self.gone.add(tid)
            case ev.Notice(level="error", text=text):
                raise AssertionError(text)

    def _call(self, enter: ev.Enter, returned: ev.Return | None) -> None:
        line = syscalls.strace_text(self._arch, enter, returned, self._limit)
        if returned is not None:
            self.ended.append((enter.tid, line))
            differs = parity_view.difference(syscalls.decode(self._arch, enter, returned), line)
            self.untold += [differs] if differs else []
        self.tasks[enter.tid].append(line if " = " in line else f"{line} = ?")


@contextlib.contextmanager
def _terminal() -> Iterator[int]:
    ours, theirs = pty.openpty()
    drain = threading.Thread(target=_drain, args=(ours,), daemon=True)
    drain.start()
    try:
        yield theirs
    finally:
        os.close(theirs)
        drain.join(5)
        os.close(ours)


def _drain(fd: int) -> None:
    with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
        while os.read(fd, 65536):
            continue


def by_strace(
    argv: Sequence[str], drive: Drive, cwd: str, environment: Mapping[str, str], end: int = 0, limit: int = 512
) -> Trace:
    """One run under strace, of all calls of SETS."""
    with tempfile.TemporaryDirectory() as folder, _terminal() as terminal:
        out = Path(folder) / "trace"
        out.touch()
        words = ["strace", "-f", "-v", "-q", "-s", str(limit), "-e", f"trace={SETS}", "-o", str(out)]
        process = subprocess.Popen(
            [*words, *argv],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=cwd,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        try:
            drive(_resting(lambda: out.stat().st_size, process.pid, lambda: process.poll() is None))
            if end:
                os.kill(int(out.read_text(errors="surrogateescape").split(" ", 1)[0]), end)
            servers.until(lambda: _has_ended(out), "the end of the program")
            text = out.read_text(errors="surrogateescape")
        finally:
            _end_session(process)
    tasks = {tid: [told(line) for line in lines] for tid, lines in strace.parse(text)}
    # What is open at the end is no call yet; strace.parse gives it as its first half.
    kept = {
        tid: [line for line in lines if " = " in line or line[:3] in ("---", "+++")] for tid, lines in tasks.items()
    }
    names = frozenset(
        strace.name_of(line) for lines in kept.values() for line in lines if line[:3] not in ("---", "+++")
    )
    return Trace(
        {tid: [line for line in lines if not left_out(line)] for tid, lines in kept.items()},
        [(tid, line) for tid, line in _in_order(text) if not left_out(line)],
        names,
    )


def _has_ended(out: Path) -> bool:
    """The first task is gone."""
    text = out.read_text(errors="surrogateescape")
    return f"\n{text.split(' ', 1)[0]} +++" in re.sub(" +", " ", text)


def _in_order(text: str) -> list[tuple[int, str]]:
    ended, position = [], collections.Counter[int]()
    tasks = dict(strace.parse(text))
    for line in text.splitlines():
        tid = int(line.split(" ", 1)[0])
        if line.endswith("<unfinished ...>"):
            continue
        if " = " in line and line.split(None, 1)[1][:3] not in ("---", "+++"):
            ended.append((tid, tasks[tid][position[tid]]))
        position[tid] += 1
    return ended


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Kill everything the command started. Orphans are init's children: their session names them."""
    found = {pid for pid, each in subreaper.read_processes().items() if each.session == process.pid}
    for pid in found | subreaper.read_descendants(process.pid).keys():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()


def compare(
    argv: Callable[[int], Sequence[str]],
    drive: Callable[[int], Drive] = requests,
    *,
    cwd: str = "/",
    environment: Mapping[str, str] | None = None,
    one_line: bool = False,
    any_fd: bool = False,
    end: int = signal.SIGTERM,
) -> tuple[str, list[list[str]]]:
    """(first difference, strace's calls) of a server that is given a port, and ended by the signal `end`."""
    fixed = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C", "COLUMNS": "80", "LINES": "24"}
    fixed.update(environment or {})
    ports = [servers.free_port(), servers.free_port()]
    ours = by_socklab(argv(ports[0]), drive(ports[0]), cwd, fixed, end)
    theirs = by_strace(argv(ports[1]), drive(ports[1]), cwd, fixed, end)
    expected = comparable(theirs, ports, one_line=one_line, any_fd=any_fd)
    differs = first_difference(comparable(ours, ports, one_line=one_line, any_fd=any_fd), expected)
    return unreported(ours, theirs) or "\n".join(ours.untold[:3]) or differs, expected


def unreported(ours: Trace, theirs: Trace) -> str:
    """Calls of strace's sets that socklab's filter lacks without saying so."""
    found = sorted(name for name in theirs.names - ours.names if name not in LEFT_OUT)
    return f"strace reports {' '.join(found)}, socklab does not" if found else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="where it listens; {port} in the command is replaced")
    parser.add_argument("--requests", type=int, default=3)
    parser.add_argument("--one-line", action="store_true")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    def argv(port: int) -> list[str]:
        return [word.replace("{port}", str(options.port or port)) for word in options.command]

    difference, calls = compare(
        argv, lambda port: requests(options.port or port, options.requests), cwd=os.getcwd(), one_line=options.one_line
    )
    print(difference or f"the same: {sum(map(len, calls))} calls of {len(calls)} threads")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
