"""The first difference between what socklab decodes of a server and what strace prints of it.

In: any server command, and a driver that makes requests. Each runs it once, from its start to the end of the last
request; out: "" or the first difference, thread by thread. Also a command of its own:

    python -m tests.support.parity_run --port 8080 -- ./server 8080

Two runs of a server are never the same, so the driver makes one request at a time and waits until the trace rests.
What is compared are the names, symbolic arguments and results of every call of every thread, except for:

  1. what must differ: addresses, ports the kernel chose, ids of tasks, times and sizes of what holds them (see WORDS);
  2. waits that timed out, waits for a child that found none, and the call a thread sleeps in at the end: how many
     there are is a matter of time;
  3. which of several equal threads did what: threads are compared as a set;
  4. with `one_line`, for runtimes that move work between threads as they like (Go, a JVM): all threads are one
     sequence of the calls that name a socket, in the order in which they ended;
  5. what is done with files of /proc, /sys and /dev, which a server's own clock may ask at any time;
  6. with `any_fd`, for servers with threads: which number a new descriptor gets. A blocked accept has chosen its number
     before it sleeps, so that it matters whether another thread closed its own in time;
  7. where clone3 wrote the new thread's id: a thread that ended before its parent went on has cleared it;
  8. structs strace looks into and socklab shows as an address (SHALLOW): name and result.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import difflib
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from socklab import syscalls
from socklab.host import subreaper
from socklab.protocol import events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from tests.support import servers, strace

LOOKS, LOOK_S = 4, 0.015
"""The trace rests when at so many looks the tracer and all it traces sleep, and nothing was added between two."""
LOOKS_AT_MOST = 40
"""Some servers have a clock of their own that adds something all the time: then they must sleep at so many looks."""

_LOOKED_INTO = "fstat stat lstat newfstatat getdents64 waitid openat2 io_uring_setup timerfd_settime timerfd_gettime"
SHALLOW = frozenset(_LOOKED_INTO.split())

WORDS = (
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "PTR"),
    (re.compile(r"left \{tv_sec=\d+, tv_(nsec|usec)=\d+\}"), r"left {\1}"),
    (re.compile(r"/\* \d+ vars? \*/"), "/* VARS */"),
    (re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"), "DATE"),
    (re.compile(r"\d{1,4}[-/](\d\d|\w{3})[-/:]\d{2,4}[ T:]\d\d:\d\d:\d\d([.,]\d+)?( [+-]\d{4})?"), "DATE"),
    (re.compile(r"\w{3} \w{3} +\d+ \d\d:\d\d:\d\d(\.\d+)? \d{4}|\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d+"), "DATE"),
    (re.compile(r"wgunicorn-\w{8}|(?<=/)tmp\w{8}\b|(?<=\"/tmp/)[a-z0-9_]{8}(?=\")"), "NAME"),
    (re.compile(r"(?<=PORT)\.\w{6}(?=\")"), ".NAME"),
    (re.compile(r"/dev/pts/\d+"), "/dev/pts/N"),
    (re.compile(r"data=\{u32=\d+, u64=\d{10,}\}"), "data=PTR"),
    # What is left until a clock of the server's own; nothing where its time has come.
    (re.compile(r"^(epoll_p?wait\(\d+, \[.*\], \d+, )\d+"), r"\1MS"),
    (re.compile(r"(in|took) \d+(\.\d+)? ?(m|u|µ)?s\b"), r"\1 TIME"),
)
_PORT = re.compile(r"htons\((\d+)\)|(?<=:)(\d{4,5})\b")
# A wait whose time ran out, or that found no child.
_TIMED_OUT = re.compile(r"^(poll|ppoll|select|pselect6|epoll_p?wait2?|wait4|waitid)\(.* = 0( \(Timeout\))?$")
_AGAIN = re.compile(r"^(restart_syscall|futex)\(")
# strace takes messages to the kernel's routing tables apart; socklab shows their bytes.
_NETLINK = re.compile(r"^(send|recv)(to|from|msg)\(.*sa_family=AF_NETLINK")
_FD_USED = re.compile(r"^(\w+\((?:AT_FDCWD, )?)(?:[4-9]|[1-9]\d+)\b")
_FD_GIVEN = re.compile(r"^((?:accept4?|openat|open|socket|dup)\(.* = )(?:[4-9]|[1-9]\d+)$")
_BORN = re.compile(r"^(?:clone3?|v?fork)\(.* = (\d+)$")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_CLEARED = re.compile(r"(?<=parent_tid=)\[0\]")
_NAMES_SOCKET = re.compile(
    r"^(socket|bind|listen|accept4?|connect|[gs]etsockopt|get(sock|peer)name|shutdown|sendto|sendmsg|recvfrom|recvmsg)\("
)


class Trace(NamedTuple):
    """`tasks`: per thread its calls as strace's lines, in order. `ended`: (thread, line) as they returned."""

    tasks: dict[int, list[str]]
    ended: list[tuple[int, str]]
    names: frozenset[str]


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


def by_socklab(argv: Sequence[str], drive: Drive, cwd: str, environment: Mapping[str, str]) -> Trace:
    """One run under the engine, running free."""
    tasks: dict[int, list[str]] = {}
    ended: list[tuple[int, str]] = []
    waiting: dict[int, ev.Enter] = {}
    arch, names = "", frozenset[str]()
    count, over = [0], threading.Event()
    failed: list[BaseException] = []
    spec = RunSpec(argv=tuple(argv), cwd=cwd, environment=dict(environment), free=True, network="machine")
    with Link.start(spec) as link:

        def driver() -> None:
            try:
                drive(_resting(lambda: count[0], link.pid, lambda: not over.is_set()))
            except BaseException as error:
                failed.append(error)
            over.set()

        thread = threading.Thread(target=driver)
        thread.start()
        while not over.is_set() and not link.ended:
            for event in link.read_available():
                count[0] += isinstance(event, ev.Enter | ev.Return)
                match event:
                    case ev.Header():
                        arch = event.arch
                    case ev.Started():
                        names = frozenset(syscalls.name(arch, nr) for nr in event.traced)
                        tasks[event.pid] = []
                    case ev.Enter(tid=tid):
                        tasks.setdefault(tid, [])
                        waiting[tid] = event
                    case ev.Return(tid=tid) if tid in waiting:
                        line = syscalls.strace_text(arch, waiting.pop(tid), event, 512)
                        tasks[tid].append(line)
                        ended.append((tid, line))
                    case ev.Exited(tid=tid) if tid in waiting:
                        line = syscalls.strace_text(arch, waiting.pop(tid), None, 512)
                        tasks[tid].append(line if " = " in line else f"{line} = ?")
                    case ev.Notice(level="error", text=text):
                        raise AssertionError(text)
            over.wait(0.01)
        over.set()
        thread.join(30)
    if failed:
        raise failed[0]
    return Trace(tasks, ended, names)


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
    argv: Sequence[str], drive: Drive, cwd: str, environment: Mapping[str, str], names: frozenset[str]
) -> Trace:
    """One run under strace, of the same calls."""
    with tempfile.TemporaryDirectory() as folder, _terminal() as terminal:
        out = Path(folder) / "trace"
        out.touch()
        wanted = ",".join(f"?{name}" for name in sorted(names))
        words = ["strace", "-f", "-qq", "-s", "512", "-e", "signal=none", "-e", f"trace={wanted}", "-o", str(out)]
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
            text = out.read_text(errors="surrogateescape")
        finally:
            _end_session(process)
    tasks = dict(strace.parse(text))
    # What is open at the end is no call yet; strace.parse gives it as its first half.
    tasks = {tid: [line for line in lines if " = " in line] for tid, lines in tasks.items()}
    return Trace(tasks, _in_order(text), names)


def _in_order(text: str) -> list[tuple[int, str]]:
    ended, position = [], collections.Counter[int]()
    tasks = dict(strace.parse(text))
    for line in text.splitlines():
        tid = int(line.split(" ", 1)[0])
        if line.endswith("<unfinished ...>") or " = " not in line:
            continue
        ended.append((tid, tasks[tid][position[tid]]))
        position[tid] += 1
    return ended


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Kill everything the command started: what a daemon left, too, by the session it is in."""
    for pid in subreaper.read_descendants(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()


# ---------------------------------------------------------------- the comparison


def comparable(trace: Trace, ports: Sequence[int], *, one_line: bool = False, any_fd: bool = False) -> list[list[str]]:
    """The threads' calls, equal whenever the program did the same. `ports`: those the test chose, which stay."""
    tids = {str(tid) for tid in trace.tasks} | {
        found[1] for lines in trace.tasks.values() for line in lines if (found := _BORN.match(line))
    }
    ids = re.compile(r" *\b(" + "|".join(tids) + r")\b")  # with the blanks that make up for a shorter id
    in_bytes = re.compile("|".join(_as_bytes(int(tid)) for tid in tids))
    chosen = re.compile(r"\b(" + "|".join(map(str, ports)) + r")\b")
    named: dict[str, str] = {"0": "0"}

    def port(found: re.Match[str]) -> str:
        number = found[1] or found[2]
        word = named.get(number, "P")
        return f"htons({word})" if found[1] else word

    def words(line: str) -> str:
        if strace.name_of(line) in SHALLOW or ", TCGETS" in line or _NETLINK.match(line):
            line = strace.shallow(line)
        if line.startswith(("sendmsg", "recvmsg")):
            line = in_bytes.sub("TASK", line)  # processes that tell each other who they are
        if line.startswith(("read(", "pread", "lseek(")):  # their sizes and results are bytes, however they look
            renamed = _QUOTED.sub(lambda text: ids.sub("TASK", text[0]), line)
        else:
            renamed = _CLEARED.sub("[TASK]", ids.sub("TASK", line))
        if renamed != line and line.startswith("write"):
            # A process id of another width makes the text that names it longer: its size and the result.
            renamed = re.sub(r", \d+\) = \d+$", ", SIZE) = SIZE", renamed)
        line = chosen.sub("PORT", renamed)
        for pattern, word in WORDS:
            line = pattern.sub(word, line)
        if any_fd:
            line = _FD_GIVEN.sub(r"\1FD", _FD_USED.sub(r"\1FD", line))
        return _PORT.sub(port, line)

    def kept(line: str) -> bool:
        if line.endswith(" = ?") and not line.startswith("exit"):
            return False  # it was killed in this call
        return not _TIMED_OUT.match(line) and not _AGAIN.match(line)

    if one_line:
        return [[words(line) for _, line in trace.ended if _NAMES_SOCKET.match(line)]]
    threads = [_without_machine([words(line) for line in lines if kept(line)]) for lines in trace.tasks.values()]
    if threads and threads[0] and strace.name_of(threads[0][0]) == "execve":
        threads[0] = threads[0][1:]  # the one that started the trace
    return [lines for lines in threads if lines]


def _as_bytes(number: int) -> str:
    """A pattern for the number as an int in memory, as strace writes such bytes in a string."""
    written = []
    for byte in struct.pack("=i", number):
        if byte in b'"\\\\':
            written.append("\\\\\\" + chr(byte))
        elif byte in b"\n\t\r\v\f":
            written.append("\\\\" + "tnvfr"[b"\t\n\v\f\r".index(byte)])
        else:
            written.append(re.escape(chr(byte)) if 32 <= byte < 127 else rf"\\0{{0,2}}{byte:o}")
    return "".join(written)


_OPENED = re.compile(r'^open(?:at)?\(.*"/(?:proc|sys|dev)/.*\) = (\d+)$')
_OF_FD = re.compile(r"^(\w+)\((\d+)\b")


def _without_machine(lines: list[str]) -> list[str]:
    """Leave out what is done with files of /proc, /sys and /dev: it is the machine's, and a server's clock asks it."""
    machine: set[str] = set()
    out: list[str] = []
    for line in lines:
        opened, of = _OPENED.match(line), _OF_FD.match(line)
        if opened:
            machine.add(opened[1])
        elif of and of[2] in machine:
            if of[1] == "close":
                machine.discard(of[2])
            if of[1] in ("dup", "dup2", "dup3", "fcntl"):
                out.append(line)
        else:
            out.append(line)
    return out


def first_difference(ours: list[list[str]], theirs: list[list[str]]) -> str:
    """Empty, or the first lines that differ in the most similar pair of threads that are not equal."""
    left = collections.Counter(tuple(lines) for lines in ours)
    right = collections.Counter(tuple(lines) for lines in theirs)
    only_ours, only_theirs = list((left - right).elements()), list((right - left).elements())
    if not only_ours and not only_theirs:
        return ""
    pairs = [(difflib.SequenceMatcher(None, b, a).ratio(), a, b) for a in only_ours[:8] for b in only_theirs[:8]]
    _, a, b = max(pairs, key=lambda pair: pair[0]) if pairs else (0, *[(*only_ours, ()), (*only_theirs, ())])
    flat_a, flat_b = [str(line) for line in a], [str(line) for line in b]
    shown = list(difflib.unified_diff(flat_b, flat_a, "strace", "socklab", lineterm="", n=2))[:24]
    return f"{len(only_ours)} of {len(ours)} threads are not among strace's {len(theirs)}\n" + "\n".join(shown)


def compare(
    argv: Callable[[int], Sequence[str]],
    drive: Callable[[int], Drive] = requests,
    *,
    cwd: str = "/",
    environment: Mapping[str, str] | None = None,
    one_line: bool = False,
    any_fd: bool = False,
) -> tuple[str, list[list[str]]]:
    """(first difference, strace's calls) of a server that is given a port."""
    fixed = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C", "COLUMNS": "80", "LINES": "24"}
    fixed.update(environment or {})
    ports = [servers.free_port(), servers.free_port()]
    ours = by_socklab(argv(ports[0]), drive(ports[0]), cwd, fixed)
    theirs = by_strace(argv(ports[1]), drive(ports[1]), cwd, fixed, ours.names)
    expected = comparable(theirs, ports, one_line=one_line, any_fd=any_fd)
    return first_difference(comparable(ours, ports, one_line=one_line, any_fd=any_fd), expected), expected


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
