"""Whatever fails inside the engine, in whichever of its threads or processes: it ends, and all it holds ends with it.

The engine is the real one, started with a few lines before it that make something fail. Oracles: the stream's end, the
engine's exit status, /proc/*/environ, the run directory.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from socklab import lesson, session
from socklab.host import subreaper
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from tests.support.repeat import times

pytestmark = pytest.mark.kernel

HANGS_S = 60.0
"""Less than the engine gives a lesson that stands still (lab.py): that patience may not be what ends it."""

RAISES = """
import random, sys, threading
chance = random.Random({seed!r})
left = int(10 ** chance.uniform(0, 5))
error = chance.choice([MemoryError, RuntimeError, SystemExit, KeyboardInterrupt, OSError])
def count(frame, event, arg):
    global left
    if "/socklab/" in frame.f_code.co_filename and threading.current_thread().name in ("lab", "MainThread"):
        left -= 1
        if left in (0, -1, -2, -30):  # what handles the first meets the next
            raise error("for the test")
if {thread!r} == "lab":
    threading.settrace(count)
else:
    from socklab.engine.tracing.tracer import Tracer
    run = Tracer.run
    def traced(self):
        sys.settrace(count)
        run(self)
    Tracer.run = traced
"""

KILLS = """
import os, signal, socket
held = []
from socklab.engine.tracing import ptrace
from socklab.engine.network.wire import wire
seize, start = ptrace.seize, wire.start
def kill(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
def seize_and_kill(pid, options):
    whose = "wakeup" if options == ptrace.O_EXITKILL else "program"
    if {which!r} == whose + " before":
        kill(pid)
    seize(pid, options)
    if {which!r} == whose + " after":
        kill(pid)
def start_and_kill(ends):
    pair = socket.socketpair
    def kept(*words):
        both = pair(*words)
        held.extend(each.dup() for each in both)
        return both
    if {which!r} == "wire, its sockets held":
        socket.socketpair = kept
    made = start(ends)
    socket.socketpair = pair
    if {which!r}.startswith("wire"):
        kill(made.pid)
    return made
ptrace.seize, wire.start = seize_and_kill, start_and_kill
"""


def _begin_by(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Engines execute `code` before anything else."""
    begin, found, end = session._BOOT.partition("runpy.run_module")
    assert found
    words = [sys.executable, "-P", "-c", f"{begin}\n{code}\n{found}{end}", session._ROOT]
    monkeypatch.setattr(session, "engine_command", lambda fd: [*words, str(fd)])


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[ev.AnyEvent]]:
    """Runs a lesson by itself in an engine that executes `fault` first: all it told, once it is sure to be over."""

    def run(fault: str) -> list[ev.AnyEvent]:
        mark = f"FAULT_MARK={uuid.uuid4().hex}"
        monkeypatch.setenv(*mark.split("="))
        _begin_by(monkeypatch, fault)
        wanted = RunSpec(lesson=str(lesson.find("lifecycle")), network="two-hosts", unattended=True)
        with Link.start(wanted) as link:
            told = list(_stepped(link))
            # The link has done nothing yet to end what it started.
            _wait(
                lambda: not _marked(mark.encode(), but=os.getpid()), f"{_marked(mark.encode(), but=os.getpid())} left"
            )
            assert link._engine.wait(HANGS_S) in (0, 70), link.diagnostics()
        assert not Path(link.run_dir).exists()
        return told

    return run


def _stepped(link: Link) -> Iterator[ev.AnyEvent]:
    """The lesson to its end, as `--auto` goes through it."""
    done = False
    for event in link.events(timeout=HANGS_S):
        yield event
        done = done or isinstance(event, ev.LessonDone)
        if isinstance(event, ev.Ready):
            answers = event.wants == "answer"
            link.send(cmd.Quit() if done else cmd.Answer(choice=None) if answers else cmd.Step(tid=event.tid))


def _wait(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + HANGS_S
    while not holds():
        assert time.monotonic() < deadline, otherwise
        select.select([], [], [], 0.01)


def _marked(mark: bytes, *, but: int) -> list[int]:
    """Processes that have the mark in their environment."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended
            if int(name) != but and mark in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                found.append(int(name))
    return found


@pytest.mark.parametrize("thread", ["lab", "tracer"])
@pytest.mark.parametrize("part", range(2))
def test_the_engine_ends_with_all_it_holds_wherever_a_thread_of_it_raises(
    thread: str, part: int, faulty: Callable[[str], list[ev.AnyEvent]]
) -> None:
    for number in range(part, times(10), 2):
        seed = f"{thread} {number}"
        told = faulty(RAISES.format(seed=seed, thread=thread))
        end = told[-1]
        assert isinstance(end, ev.Ended), seed
        assert end.reason == "done" or any(isinstance(event, ev.Notice) and event.level == "error" for event in told), (
            seed
        )


BIRTHS = ["wakeup before", "wakeup after", "program before", "program after", "wire", "wire, its sockets held"]


@pytest.mark.parametrize("which", BIRTHS)
def test_the_lab_ends_and_says_so_when_a_process_of_it_is_killed_at_its_birth(
    which: str, faulty: Callable[[str], list[ev.AnyEvent]]
) -> None:
    told = faulty(KILLS.format(which=which))
    end = told[-1]
    assert isinstance(end, ev.Ended)
    assert end.reason != "done"
    said = [event for event in told if isinstance(event, ev.Notice) and event.level == "error"]
    died = [event for event in told if isinstance(event, ev.Exited) and event.signo == 9]
    assert said or died, told


KILLED_EARLY = """
import os, signal
from socklab.host import engine_process
from socklab import session
made = engine_process.start(session.engine_command)
assert os.path.isdir(made.run_dir)  # of which nobody has told the engine yet
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_consumer_killed_before_it_said_what_to_run_leaves_no_directory(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": session._ROOT, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", KILLED_EARLY], env=environment, timeout=HANGS_S, check=False)
    assert done.returncode == -signal.SIGKILL
    _wait(lambda: not list(tmp_path.iterdir()), "the directory is left")


def test_a_lab_whose_wire_is_killed_ends_there_and_waits_for_no_packet_any_more() -> None:
    """Somebody sits at it, and goes on: what the lesson would wait for on the way is not waited for."""
    with Link.start(RunSpec(lesson=str(lesson.find("handshake")), network="two-hosts")) as link:
        events = link.events(timeout=HANGS_S)
        assert next(event for event in events if isinstance(event, ev.Ready))
        (wire,) = [pid for pid in subreaper.read_descendants(link.pid) if _name(pid) == "socklab-wire"]
        os.kill(wire, signal.SIGKILL)
        for _ in range(20):
            link.send(cmd.Answer(choice=None))
            link.send(cmd.Step())
        told = list(events)
    assert isinstance(told[-1], ev.Ended)
    assert told[-1].reason == "failed"
    (why,) = [event for event in told if isinstance(event, ev.Notice) and event.level == "error"]
    assert "wire's process is gone" in why.text
    assert not any(isinstance(event, ev.Notice) and "waited" in event.text for event in told)


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""  # it has ended


def test_no_process_of_a_lab_holds_a_socket_or_terminal_of_another() -> None:
    """Or nobody would see the end of file when that one dies."""
    with Link.start(RunSpec(lesson=str(lesson.find("lifecycle")), network="two-hosts")) as link:
        for event in link.events(timeout=HANGS_S):
            if isinstance(event, ev.Ready):
                link.send(cmd.Answer(choice=None) if event.wants == "answer" else cmd.Do("! sleep 100"))
            elif isinstance(event, ev.Client) and event.phase == "running":
                break
        engine = _held(link.pid)
        assert any(each.startswith("socket:") for each in engine)
        others = {pid: _held(pid) & engine for pid in subreaper.read_descendants(link.pid)}
        assert len(others) >= 4, "the wire, the wake-up child, the server and sleep"
        assert not any(others.values()), others


def _held(pid: int) -> set[str]:
    links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
    return {each for each in links if each.startswith(("socket:", "/dev/ptmx", "net:", "anon_inode:"))}


def _plain(limit: int, most: int) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "socklab", "lesson", "backlog", "--auto", "--lang", "python"]
    environment = {**os.environ, "PYTHONPATH": session._ROOT}
    before = partial(resource.setrlimit, limit, (most, most))
    return subprocess.run(
        words, env=environment, preexec_fn=before, capture_output=True, text=True, timeout=HANGS_S, check=False
    )


def test_too_few_open_files_are_told_before_the_lesson_begins() -> None:
    done = _plain(resource.RLIMIT_NOFILE, 32)
    assert done.returncode == 1
    assert re.findall("Error: .*", done.stdout) == [
        "Error: The lab needs to open 128 files and sockets at once; `ulimit -n` allows 32 here."
    ]
    assert "Stop 1" not in done.stdout
    assert done.stderr == ""


def test_as_many_open_files_as_are_asked_for_are_enough() -> None:
    done = _plain(resource.RLIMIT_NOFILE, 128)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("kilobytes", [48_000, 60_000])
def test_with_too_little_memory_the_lesson_plays_or_says_so(kilobytes: int) -> None:
    done = _plain(resource.RLIMIT_AS, kilobytes << 10)
    errors = re.findall("Error: .*", done.stdout)
    if done.returncode:
        assert errors == [f"Error: The lab needs more memory than it may have here: `ulimit -v` is {kilobytes}."]
    else:
        assert errors == []
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["drop every syn", "connect 300"], "No socket for client "),  # nobody answers: each keeps its socket
        (["! sleep 1000"] * 100, "sleep could not be run: too many files are open."),  # each keeps two pipes
    ],
    ids=["client", "command"],
)
def test_who_would_take_the_last_descriptors_is_refused_and_the_lab_goes_on_reading(
    monkeypatch: pytest.MonkeyPatch, lines: list[str], text: str
) -> None:
    _begin_by(monkeypatch, "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))")
    told: list[ev.AnyEvent] = []
    with Link.start(RunSpec(lesson=str(lesson.find("lifecycle")), network="two-hosts")) as link:
        left = iter(lines)
        for event in link.events(timeout=HANGS_S):
            told.append(event)
            if isinstance(event, ev.Ready):
                refused = any(isinstance(each, ev.Done) and each.outcome == "refused" for each in told)
                line = "" if event.wants == "answer" else None if refused else next(left, None)
                if line is None:
                    break
                link.send(cmd.Do(line) if line else cmd.Answer(choice=None))
        taken = len(os.listdir(f"/proc/{link.pid}/fd"))
    said = [event.text for event in told if isinstance(event, ev.Notice) and event.level in ("warning", "error")]
    assert len(said) == 1 and said[0].startswith(text), said
    assert 160 < taken < 180, "32 are kept for the lab's own reading"


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A compiler that never ends, and no cache of what an earlier one has made."""
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nsleep 1000\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.usefixtures("endless")
def test_a_compiler_that_does_not_end_is_told_of_and_given_up(faulty: Callable[[str], list[ev.AnyEvent]]) -> None:
    told = faulty("from socklab.engine import compiling; compiling.SLOW_S = 0.0; compiling.GIVE_UP_S = 0.5")
    assert isinstance(told[0], ev.Header)
    said = [event for event in told if isinstance(event, ev.Notice) and "compil" in event.text]
    assert [event.level for event in said] == ["info", "error"]
    assert said[1].fix.startswith("Run it yourself")
    assert isinstance(told[-1], ev.Ended)
    assert told[-1].reason == "failed"


@pytest.mark.usefixtures("endless")
def test_who_leaves_while_the_program_is_compiled_waits_for_nothing() -> None:
    with Link.start(RunSpec(lesson=str(lesson.find("lifecycle")), language="c")) as link:
        _wait(lambda: any(_name(pid) == "cc" for pid in subreaper.read_descendants(link.pid)), "no compiler")
        link.send(cmd.Quit())
        # Its own end: the link kills an engine only when it is closed.
        assert link._engine.wait(HANGS_S) == 0
