"""From a source file or a command to a child that waits, under its filter, to be traced.

In: a lesson's server file, or an argv of the user's own. Out: `Prepared` (what will run) and `Launched` (a forked child
that waits for `release`, and our ends of its terminal). Never traces.
"""

from __future__ import annotations

import errno
import os
import pty
import resource
import shutil
import signal
import sys
import tempfile
import termios
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from socklab.core.errors import ProgramError
from socklab.engine import find_program
from socklab.engine.compiling import Compiling
from socklab.engine.tracing import ptrace
from socklab.host import libc

COMPILERS = ("cc", "gcc", "clang")
# -O0: every source line is there; the frame pointer lets the stack be followed.
C_FLAGS = ("-g", "-O0", "-fno-omit-frame-pointer", "-Wall", "-pthread")


class Prepared(msgspec.Struct, frozen=True):
    """What will be executed: `file`, under the words `argv`.

    `built` is the compiler's command line, empty when nothing had to be compiled; `python`, `shim`, `note` are Found's.
    """

    file: str
    argv: tuple[str, ...]
    language: str = ""
    built: tuple[str, ...] = ()
    cached: bool = False
    warnings: str = ""
    python: str = ""
    shim: str = ""
    note: str = ""

    @property
    def shown(self) -> tuple[str, ...]:
        """The command line with the file that is executed as its first word."""
        return (self.file, *self.argv[1:])


class Launched(msgspec.Struct, frozen=True):
    """A child that waits on a pipe before its exec. `out` is our end of its terminal, input too; `err` of stderr."""

    pid: int
    go: int
    failed: int
    """Readable end: an errno, as text, when exec failed; end of file when it worked."""
    out: int
    err: int


def compiler() -> str | None:
    """Path of a C compiler, or None."""
    named = os.environ.get("CC", "")
    for name in (named, *COMPILERS):
        found = shutil.which(name) if name else None
        if found:
            return found
    return None


def prepare(source: Path, arguments: tuple[str, ...], run_dir: Path, compiling: Compiling) -> Prepared:
    """A lesson's server. Raises ProgramError with the compiler's own message."""
    if source.suffix == ".py":
        return Prepared(sys.executable, (sys.executable, str(source), *arguments), "python")
    return _compile(source, arguments, run_dir, compiling)


def prepare_argv(
    argv: tuple[str, ...], cwd: str, environment: Mapping[str, str], run_dir: Path, compiling: Compiling
) -> Prepared:
    """A command of the user's own, found as a shell finds it; a C or C++ file is compiled. Raises ProgramError."""
    found = find_program.find(argv, cwd, environment)
    if found.source:
        return _compile(Path(found.source), argv[1:], run_dir, compiling)
    return Prepared(
        found.file,
        found.argv,
        "python" if found.python else "",
        python=found.python,
        shim=found.shim,
        note=found.note,
    )


def _cache_folder(run_dir: Path) -> Path:
    """~/.cache/socklab/build where it can be written, the run's own directory otherwise."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME") or "/nonexistent") / ".cache")
    folder = base / "socklab" / "build"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.geteuid():
            return folder
    except OSError:
        return run_dir  # no home, a read-only one, or somebody else's
    return run_dir


def _compile(source: Path, arguments: tuple[str, ...], run_dir: Path, compiling: Compiling) -> Prepared:
    tool = (
        compiler() if source.suffix == ".c" else shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    )
    if tool is None:
        raise ProgramError(
            f"{source.name} needs a compiler and none was found.",
            fix="Install one (Debian, Ubuntu: apt install gcc; Fedora: dnf install gcc), or use --lang python.",
        )
    try:
        text = source.read_bytes()
    except OSError as error:
        raise ProgramError(f"{source}: {error.strerror}", fix="Name a file that can be read.") from error
    import hashlib  # OpenSSL comes with it, which no other program needs

    real = os.path.realpath(tool)
    recipe = os.fsencode("\0".join((str(source), real, str(os.stat(real).st_mtime_ns), *C_FLAGS)))
    folder = _cache_folder(run_dir) / hashlib.sha256(recipe + b"\0" + text).hexdigest()[:24]
    binary = folder / source.stem
    argv = (tool, *C_FLAGS, "-o", str(binary), str(source))
    run = (str(binary), *arguments)
    if os.access(binary, os.X_OK):
        return Prepared(run[0], run, "c", argv, cached=True)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, half_made = tempfile.mkstemp(dir=folder)
    os.close(handle)
    command = [tool, "-fdiagnostics-color=never", *C_FLAGS, "-o", half_made, str(source)]
    status = -1
    try:
        status, message = compiling.run(command)
    finally:
        if status:
            Path(half_made).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
    if status:
        refused = os.strerror(errno.EAGAIN) in message  # its fork was: it starts a preprocessor, an assembler, a linker
        raise ProgramError(
            message.rstrip() or f"{tool} ended with status {status} and said nothing.",
            fix="`ulimit -u` says how many processes are allowed: end some, or allow more." if refused else "",
        )
    os.chmod(half_made, 0o700)
    os.replace(half_made, binary)
    return Prepared(run[0], run, "c", argv, warnings=message)


def _raw_terminal(fd: int) -> None:
    """Bytes pass unaltered: no echo, no newline translation; still a terminal to the program (line-buffered stdio)."""
    mode = termios.tcgetattr(fd)
    mode[1] &= ~termios.OPOST
    mode[3] &= ~termios.ECHO
    termios.tcsetattr(fd, termios.TCSANOW, mode)


def _open_terminals() -> tuple[int, int, int, int, int]:
    """(our end, the program's stdin, its stdout, our end of stderr, its stderr): terminals, or pipes where refused."""
    try:
        master, slave = pty.openpty()
        err_master, err_slave = pty.openpty()
        for end in (slave, err_slave):
            _raw_terminal(end)
            termios.tcsetwinsize(end, (24, 80))
        return master, slave, slave, err_master, err_slave
    except OSError:  # no devpts, or none left
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        return out_read, os.open(os.devnull, os.O_RDONLY), out_write, err_read, err_write


_PYTHONS = (signal.SIGPIPE, signal.SIGXFSZ)
"""Ignored by every Python: the consumer, which is one, has let go of what its caller did with them."""


def reset_signals(ignored: Iterable[int] = ()) -> None:
    """These ignored, everything else as it is by default, nothing blocked: whatever Python or the parent left."""
    for number in range(1, signal.NSIG):
        try:
            # Python ignores SIGPIPE, and exec keeps "ignored".
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
        except (OSError, ValueError):
            continue  # SIGKILL, SIGSTOP and the two that the C library keeps for itself
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def own_signals() -> frozenset[int]:
    """The engine's: a parent that ignores SIGCHLD or blocks all would keep waitpid and the wake-ups from working.

    Returns what the caller ignored, such as SIGHUP under nohup: a program that is run inherits that, as from a shell.
    """
    ignored = {each for each in signal.valid_signals() if signal.getsignal(each) == signal.SIG_IGN}
    reset_signals()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # an error of the write, as ever in Python
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the consumer's
    return frozenset(ignored.difference(_PYTHONS))


def reset_child(limit: tuple[int, int] | None, ignored: Iterable[int] = ()) -> None:
    """In a forked child: undo what Python and the engine changed that a program would inherit."""
    reset_signals(ignored)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def _execute(prepared: Prepared, environment: Mapping[str, str]) -> None:
    """execve; a script that names no interpreter is the shell's, as execvp(3) and every shell have it."""
    environment = dict(environment)
    if "_" in environment:  # a shell's word for what it executes
        environment["_"] = prepared.argv[0] if "/" in prepared.argv[0] else prepared.file
    try:
        os.execve(prepared.file, prepared.argv, environment)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        os.execve("/bin/sh", ("sh", prepared.file, *prepared.argv[1:]), environment)


def launch(
    prepared: Prepared,
    *,
    cwd: str,
    environment: Mapping[str, str],
    filter_program: bytes,
    enter_host: Callable[[], None],
    limit: tuple[int, int] | None,
    ignored: frozenset[int],
) -> Launched:
    """Fork a child that waits for one byte on `go`, then installs the filter and executes; signals `ignored` stay so.

    The caller seizes it in between: a filter that says TRACE with no tracer there makes the call fail with ENOSYS.
    """
    out, stdin, stdout, err, stderr = _open_terminals()
    wait_read, go = os.pipe()
    failed, report = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            libc.die_with_parent()
            os.setsid()
            enter_host()
            for fd, target in ((stdin, 0), (stdout, 1), (stderr, 2)):
                os.dup2(fd, target)
            if cwd:
                os.chdir(cwd)
            reset_child(limit, ignored)
            if os.read(wait_read, 1) != b"g":
                os._exit(127)
            libc.die_with_parent(0)  # seized with PTRACE_O_EXITKILL, it dies with the tracer; this it would only see
            ptrace.install_filter(filter_program)
            _execute(prepared, environment)
        except OSError as error:
            os.write(report, str(error.errno or errno.EIO).encode())
        finally:
            os._exit(127)
    for fd in {stdin, stdout, stderr, wait_read, report}:
        os.close(fd)
    return Launched(pid, go, failed, out, err)
