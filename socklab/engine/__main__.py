"""The engine process: `python -m socklab.engine FD`.

In: a RunSpec and commands as JSON lines on the socket FD. Out: events on the same socket; diagnostics on stderr. It
enters its namespaces before anything else, forks the program while it has one thread, and then becomes the tracer.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from socklab import __version__, arch as machines, guide, syscalls
from socklab.core.errors import MachineError, SocklabError, UsageError
from socklab.engine import program
from socklab.engine.lab import Lab
from socklab.engine.network import topology
from socklab.engine.stream import Stream
from socklab.engine.tracing import attach, ptrace
from socklab.engine.tracing.tracer import ALWAYS, Tracer
from socklab.host import attach_target, subreaper
from socklab.lesson import Lesson, load
from socklab.protocol import events as ev, run_spec


def _read_spec(commands: socket.socket) -> tuple[run_spec.RunSpec, bytes]:
    """The first line, and what came behind it."""
    data = b""
    while b"\n" not in data:
        more = commands.recv(65536)
        if not more:
            raise SystemExit(0)  # the consumer died before it said what to run
        data += more
    line, _, rest = data.partition(b"\n")
    return run_spec.decode(line), rest


def _raise_limit() -> tuple[int, int]:
    """As many descriptors as allowed, for thousands of clients; returns the limit that programs get back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard


def _prepare(wanted: run_spec.RunSpec, lesson: Lesson | None, port: int) -> program.Prepared:
    run_dir = Path(wanted.run_dir)
    if lesson is None:
        return program.prepare_argv(wanted.argv, wanted.cwd, run_dir)
    language = wanted.language
    if not language:
        can_c = "c" in lesson.languages and program.compiler() is not None
        language = "c" if can_c or "python" not in lesson.languages else "python"
    return program.prepare(lesson.server_file(language), (str(port),), run_dir)


def _trace(
    wanted: run_spec.RunSpec,
    lab: Lab,
    tracer: Tracer,
    prepared: program.Prepared,
    network: topology.Topology,
    traced: tuple[int, ...],
    arch: str,
    limit: tuple[int, int],
) -> None:
    stream = lab.stream
    launched = program.launch(
        prepared,
        cwd=wanted.cwd,
        environment={**os.environ, **wanted.environment},
        filter_program=ptrace.filter_program((*traced, *syscalls.numbers(arch, ALWAYS)), machines.of(arch)),
        enter_host=lambda: network.enter("server"),
        limit=limit,
    )
    try:
        tracer.tasks.seize(launched.pid, "server")
    except (PermissionError, ptrace.ProcessGone) as error:
        os.kill(launched.pid, signal.SIGKILL)
        os.waitpid(launched.pid, 0)
        raise _REFUSED from error
    cwd = wanted.cwd or _here()
    stream.put(ev.Started(stream.now(), launched.pid, "server", prepared.argv, cwd, traced))
    stream.flush()
    lab.attach(launched)
    with _lab_running(lab):
        os.write(launched.go, b"g")
        os.close(launched.go)
        tracer.run()


@contextlib.contextmanager
def _lab_running(lab: Lab) -> Iterator[None]:
    """The lab thread beside what this thread does."""
    thread = threading.Thread(target=_lab_thread, args=(lab,), name="lab")
    thread.start()
    yield
    thread.join(timeout=5)


def _lab_thread(lab: Lab) -> None:
    try:
        lab.run()
    except BaseException:
        traceback.print_exc()
        what = traceback.format_exc().strip().splitlines()[-1]
        lab.stream.notice("error", f"The engine failed: {what}", "This is a bug in socklab: please report it.")
        lab.reason = "failed"
        lab.tracer.ask_end()


def _network(wanted: run_spec.RunSpec, lesson: Lesson | None) -> topology.Topology:
    """The network asked for; of itself a lesson plays on two hosts where the machine allows them.

    Raises UsageError or MachineError for a lesson that makes no sense without them.
    """
    if lesson is None:
        return topology.create("machine" if wanted.attach else wanted.network, run_dir=wanted.run_dir)
    network = topology.create("two-hosts" if wanted.network == "auto" else wanted.network, run_dir=wanted.run_dir)
    if network.network == "two-hosts":
        return network
    if lesson.network == "two-hosts":
        network.close()
        needs = f"The lesson {lesson.name} needs two hosts and the wire between them"
        if wanted.network not in ("auto", "two-hosts"):
            raise UsageError(f"{needs}; --net {wanted.network} has none.", fix="Leave out --net.")
        _, why, fix = next(iter(network.notices), ("", "", "`socklab doctor` says what this machine allows."))
        why = why.partition(" The lab runs on ")[0]  # it does not: this lesson plays nowhere else
        raise MachineError(f"{needs}. {why}".rstrip(), fix=fix)
    if wanted.network == "auto" and network.network == "private":
        network.notices = [("info", why, fix) for _, why, fix in network.notices]
    return network


def _run(wanted: run_spec.RunSpec, commands: socket.socket, unread: bytes, stream: Stream) -> ev.Ended:
    limit = _raise_limit()
    elsewhere = attach.enter_network(wanted.attach) if wanted.attach else None
    lesson = load(Path(wanted.lesson)) if wanted.lesson else None
    network = _network(wanted, lesson)
    if elsewhere is not None:
        network.notices.append(elsewhere)
    machine = os.uname()
    arch = machine.machine
    preferred = lesson.port if lesson is not None else 8080
    port, taken_by = network.free_port(preferred) if lesson is not None else (preferred, "")
    subject: program.Prepared | attach_target.Target | None = None
    failure: SocklabError | None = None
    try:
        subject = attach_target.read(wanted.attach) if wanted.attach else _prepare(wanted, lesson, port)
    except SocklabError as error:
        failure = error
    stream.put(
        ev.Header(
            stream.now(),
            ev.FORMAT,
            __version__,
            machine.release,
            arch,
            time.time_ns() - stream.now(),
            network.network,
            network.hosts,
            lesson.name if lesson is not None else "",
            subject.language if subject is not None else wanted.language,
        )
    )
    if lesson is not None:
        stream.put(ev.LessonText(stream.now(), lesson.toml))
    for level, text, fix in network.notices:
        stream.notice(level, text, fix)
    if taken_by:
        stream.notice("info", f"{taken_by[0].upper()}{taken_by[1:]}; the server uses {port}.")
    if failure is not None or subject is None:
        raise failure or SocklabError("nothing to run")
    names = syscalls.RUN_CALLS if lesson is None else syscalls.LESSON_CALLS | guide.pause_names(lesson)
    traced = syscalls.numbers(arch, names)
    lab = Lab(wanted, commands, unread, stream, network, arch, lesson, port, limit)
    tracer = lab.tracer
    tracer.wanted = frozenset(traced)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: lab.ask_quit())
    try:
        _start_wakeup(tracer)
        if isinstance(subject, attach_target.Target):
            attach.attach(tracer, subject, children=wanted.children, traced=traced)
            stream.flush()
            with _lab_running(lab):
                tracer.run()
        else:
            _tell_built(stream, subject)
            _trace(wanted, lab, tracer, subject, network, traced, arch, limit)
    finally:
        tracer.close_wakeup()
        network.close()
    return lab.end_event()


_REFUSED = MachineError(
    "This machine does not let socklab trace a program (ptrace was refused).",
    fix="Run `socklab doctor`: it names what refuses and the exact fix.",
)


def _start_wakeup(tracer: Tracer) -> None:
    """Raises MachineError where even a child of our own can't be traced: under strace -f it is traced already."""
    try:
        tracer.start_wakeup()
    except PermissionError as error:
        raise _REFUSED from error


def _here() -> str:
    """Where we are. A directory that has been removed under us is no reason not to teach: then the root."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"


def _tell_built(stream: Stream, prepared: program.Prepared) -> None:
    if prepared.built:
        stream.put(ev.Built(stream.now(), prepared.built, prepared.cached))
    if prepared.warnings:
        stream.notice("warning", prepared.warnings.rstrip())


def main() -> int:
    gc.freeze()  # what was imported stays: no collection need walk through it
    gc.enable()
    commands = socket.socket(fileno=int(sys.argv[1]))
    commands.set_inheritable(False)
    program.own_signals()
    subreaper.become_subreaper()
    wanted, unread = _read_spec(commands)
    stream = Stream(commands, keep=not wanted.free)
    try:
        end = _run(wanted, commands, unread, stream)
    except SocklabError as error:
        stream.notice("error", error.what, error.fix)
        end = ev.Ended(stream.now(), "failed")
    except Exception:
        traceback.print_exc()
        stream.notice("error", "The engine failed: " + traceback.format_exc())
        end = ev.Ended(stream.now(), "failed")
    stream.put(end)
    stream.flush()
    _end_descendants()
    if wanted.run_dir:
        shutil.rmtree(wanted.run_dir, ignore_errors=True)
    return 0


def _end_descendants() -> None:
    """Kill what commands left behind; as a subreaper this process inherits their orphans."""
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        left = subreaper.read_descendants(os.getpid())
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it ended meanwhile
        try:
            while os.waitpid(-1, os.WNOHANG | ptrace.WALL)[0]:
                pass
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main())
