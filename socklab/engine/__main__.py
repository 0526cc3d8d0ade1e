"""The engine process: `python -m socklab.engine FD`.

In: a RunSpec and commands as JSON lines on the socket FD. Out: events on the same socket; diagnostics on stderr. It
enters its namespaces before anything else, forks the program while it has one thread, and then becomes the tracer.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import shutil
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from socklab import __version__, arch as machines, guide, syscalls
from socklab.core.errors import MachineError, SocklabError, UsageError
from socklab.engine import failures, program
from socklab.engine.clients import LEAST_FILES
from socklab.engine.compiling import Compiling
from socklab.engine.lab import Lab
from socklab.engine.network import topology
from socklab.engine.stream import Stream
from socklab.engine.tracing import attach, ptrace
from socklab.engine.tracing.tracer import ALWAYS, Tracer
from socklab.host import attach_target, environment, run_directory, subreaper
from socklab.lesson import Lesson, load
from socklab.protocol import events as ev, run_spec

_JOIN_S = 5.0
"""The lab thread may take so long to let go of what it holds, once the tracer has ended."""


def _read_spec(commands: socket.socket) -> tuple[run_spec.RunSpec, bytes] | None:
    """The first line, and what came behind it; None when the consumer died before it said what to run."""
    data = b""
    while b"\n" not in data:
        try:
            more = commands.recv(65536)
        except ConnectionResetError:
            more = b""
        if not more:
            return None
        data += more
    line, _, rest = data.partition(b"\n")
    return run_spec.decode(line), rest


def _raise_limit() -> tuple[int, int] | None:
    """As many descriptors as allowed, for thousands of clients; returns the limit that programs get back.

    None: a container's filter refuses prlimit, and nothing was changed. Raises MachineError where a lab would run out
    of them in its middle.
    """
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except OSError:
        return None
    if hard < LEAST_FILES:
        raise MachineError(
            f"The lab needs to open {LEAST_FILES} files and sockets at once; `ulimit -n` allows {hard} here.",
            fix=f"`ulimit -n {LEAST_FILES}` or more, then start again.",
        )
    return soft, hard


def _prepare(wanted: run_spec.RunSpec, lesson: Lesson | None, port: int, compiling: Compiling) -> program.Prepared:
    run_dir = Path(wanted.run_dir)
    if lesson is None:
        return program.prepare_argv(wanted.argv, wanted.cwd, _environment(wanted), run_dir, compiling)
    language = wanted.language
    if not language:
        can_c = "c" in lesson.languages and program.compiler() is not None
        language = "c" if can_c or "python" not in lesson.languages else "python"
    return program.prepare(lesson.server_file(language), (str(port),), run_dir, compiling)


def _environment(wanted: run_spec.RunSpec) -> dict[str, str]:
    """The program's: what the user's shell would give it, and what the user asked for."""
    return {**environment.inherited(), **wanted.environment}


def _trace(
    wanted: run_spec.RunSpec,
    lab: Lab,
    tracer: Tracer,
    prepared: program.Prepared,
    network: topology.Topology,
    traced: tuple[int, ...],
    arch: str,
    limit: tuple[int, int] | None,
    ignored: frozenset[int],
) -> None:
    stream = lab.stream
    launched = program.launch(
        prepared,
        cwd=wanted.cwd,
        environment=_environment(wanted),
        filter_program=ptrace.filter_program(
            (*traced, *syscalls.numbers(arch, ALWAYS)), machines.of(arch), syscalls.partly(arch)
        ),
        enter_host=lambda: network.enter("server"),
        limit=limit,
        ignored=ignored,
    )
    try:
        tracer.tasks.seize(launched.pid, "server", prepared.shim)
    except (PermissionError, ptrace.ProcessGone) as error:
        # A zombie can't be traced either.
        killed = os.waitid(os.P_PID, launched.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        os.kill(launched.pid, signal.SIGKILL)
        os.waitpid(launched.pid, 0)
        raise _KILLED if killed else _REFUSED from error
    cwd = wanted.cwd or _here()
    shown = tuple(map(_text, prepared.shown))
    stream.put(ev.Started(stream.now(), launched.pid, "server", shown, _text(cwd), traced))
    stream.flush()
    lab.attach(launched, prepared.python)

    def trace() -> None:
        with contextlib.suppress(BrokenPipeError):  # somebody killed it: its exit is what the tracer sees first
            os.write(launched.go, b"g")
        os.close(launched.go)
        tracer.run()

    _beside_lab(lab, trace)


def _beside_lab(lab: Lab, trace: Callable[[], None]) -> None:
    """`trace` beside the lab thread. Whichever of the two ends first, however it ends, ends the other."""
    thread = threading.Thread(target=_lab_thread, args=(lab,), name="lab", daemon=True)
    keeper = threading.Thread(target=_end_tracer_after, args=(thread, lab), name="keeper", daemon=True)
    thread.start()
    try:
        keeper.start()
        trace()
    except BaseException as error:
        lab.fail(failures.explain(error))
    finally:
        lab.ask_quit()
        thread.join(timeout=_JOIN_S)


def _lab_thread(lab: Lab) -> None:
    try:
        lab.run()
    except BaseException as error:
        lab.fail(failures.explain(error))


def _end_tracer_after(thread: threading.Thread, lab: Lab) -> None:
    """A thread may end without running another line of its own: at its first call, or where no memory is left."""
    try:
        thread.join()
        lab.stream.fold_no_more()
        if not lab.over:
            lab.fail(SocklabError("The engine's lab thread ended.", fix="This is a bug in socklab: please report it."))
    finally:
        try:
            lab.tracer.ask_end()
        except BaseException:  # not even memory for a request is left, and the tracer would wait for ever
            os._exit(failures.FAILED)


def _network(wanted: run_spec.RunSpec, lesson: Lesson | None) -> topology.Topology:
    """The network asked for; of itself a run plays on two hosts where the machine allows them.

    Raises UsageError or MachineError for a lesson that makes no sense without them.
    """
    if wanted.attach:
        return topology.create("machine", run_dir=wanted.run_dir)
    network = topology.create("two-hosts" if wanted.network == "auto" else wanted.network, run_dir=wanted.run_dir)
    if network.network == "two-hosts":
        return network
    if lesson is not None and lesson.network == "two-hosts":
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


def _run(
    wanted: run_spec.RunSpec, commands: socket.socket, unread: bytes, stream: Stream, ignored: frozenset[int]
) -> ev.Ended:
    limit = _raise_limit()
    elsewhere = attach.enter_network(wanted.attach) if wanted.attach else None
    lesson = load(Path(wanted.lesson)) if wanted.lesson else None
    network = _network(wanted, lesson)
    if elsewhere is not None:
        network.notices.append(elsewhere)
    arch = os.uname().machine
    preferred = lesson.port if lesson is not None else 8080
    port, taken_by = network.free_port(preferred) if lesson is not None else (preferred, "")
    begun = False

    def begin(language: str) -> None:
        """Tell what is known of the run: once, before anything else is told."""
        nonlocal begun
        if begun:
            return
        begun = True
        _tell_beginning(stream, network, arch, lesson, language)
        if taken_by:
            stream.notice("info", f"{taken_by[0].upper()}{taken_by[1:]}; the server uses {port}.")

    def slow(text: str) -> None:
        begin("c")
        stream.notice("info", text)
        stream.flush()

    subject: program.Prepared | attach_target.Target | None = None
    failure: SocklabError | None = None
    try:
        if wanted.attach:
            subject = attach_target.read(wanted.attach)
        else:
            subject = _prepare(wanted, lesson, port, Compiling(commands, slow))
    except SocklabError as error:
        failure = error
    begin(subject.language if subject is not None else wanted.language)
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
            _beside_lab(lab, tracer.run)
        else:
            _tell_built(stream, subject)
            # A lesson's server begins the same everywhere; a program of the user's own as a shell would start it.
            inherited = ignored if lesson is None else frozenset[int]()
            _trace(wanted, lab, tracer, subject, network, traced, arch, limit, inherited)
    finally:
        tracer.close_wakeup()
        network.close()
    return lab.end_event()


def _tell_beginning(
    stream: Stream, network: topology.Topology, arch: str, lesson: Lesson | None, language: str
) -> None:
    stream.put(
        ev.Header(
            stream.now(),
            ev.FORMAT,
            __version__,
            os.uname().release,
            arch,
            time.time_ns() - stream.now(),
            network.network,
            network.hosts,
            lesson.name if lesson is not None else "",
            language,
        )
    )
    if lesson is not None:
        stream.put(ev.LessonText(stream.now(), lesson.toml))
    for level, text, fix in network.notices:
        stream.notice(level, text, fix)


_KILLED = MachineError("Somebody killed the program before it had begun.", fix="Start again.")
_REFUSED = MachineError(
    "This machine does not let socklab trace a program (ptrace was refused).",
    fix="Run `socklab doctor`: it names what refuses and the exact fix.",
)


def _start_wakeup(tracer: Tracer) -> None:
    """Raises MachineError where even a child of our own can't be traced: under strace -f it is traced already."""
    try:
        tracer.start_wakeup()
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS):
            raise
        raise _REFUSED from error


def _text(name: str) -> str:
    """For the stream, which is text: bytes that are no UTF-8 are replaced, as where argv is read from /proc."""
    return os.fsencode(name).decode("utf-8", "replace")


def _here() -> str:
    """Where we are. A directory that has been removed under us is no reason not to teach: then the root."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"


def _tell_built(stream: Stream, prepared: program.Prepared) -> None:
    if prepared.built:
        stream.put(ev.Built(stream.now(), tuple(map(_text, prepared.built)), prepared.cached))
    if prepared.warnings:
        stream.notice("warning", prepared.warnings.rstrip())
    if prepared.note:
        stream.notice("info", prepared.note)


def main() -> NoReturn:
    """The life of the process. It never waits for a thread or a finalizer at its end, whatever brought that about: what
    the engine holds ends with it in the kernel (EXITKILL, PDEATHSIG, end of file)."""
    code = failures.FAILED
    try:
        _serve()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _serve() -> None:
    gc.freeze()  # what was imported stays: no collection need walk through it
    gc.enable()
    commands = socket.socket(fileno=int(sys.argv[1]))
    commands.set_inheritable(False)
    ignored = program.own_signals()
    subreaper.become_subreaper()
    spec = _read_spec(commands)
    if spec is None:
        consumer = struct.unpack("3i", commands.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        run_directory.remove_those_of(consumer)
        return
    wanted, unread = spec
    if wanted.interrupt_ignored:
        ignored |= {signal.SIGINT}
    stream = Stream(commands, keep=not wanted.free)
    try:
        end = _run(wanted, commands, unread, stream, ignored)
    except BaseException as error:
        told = failures.explain(error)
        stream.notice("error", told.what, told.fix)
        end = ev.Ended(stream.now(), "failed")
    stream.put(end)
    stream.flush()
    _end_descendants()
    if wanted.run_dir:
        shutil.rmtree(wanted.run_dir, ignore_errors=True)


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
    main()
