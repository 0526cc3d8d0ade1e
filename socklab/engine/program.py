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
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from socklab.core.errors import ProgramError
from socklab.engine.tracing import ptrace
from socklab.host import libc

COMPILERS = ("cc", "gcc", "clang")
# -O0: every source line is there; the frame pointer lets the stack be followed.
C_FLAGS = ("-g", "-O0", "-fno-omit-frame-pointer", "-Wall", "-pthread")
_CXX_SUFFIXES = (".cc", ".cpp", ".cxx")


class Prepared(msgspec.Struct, frozen=True):
    """What will be executed. `built` is the compiler's command line, empty when nothing had to be compiled."""

    argv: tuple[str, ...]
    language: str = ""
    built: tuple[str, ...] = ()
    cached: bool = False
    warnings: str = ""


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


def prepare(source: Path, arguments: tuple[str, ...], run_dir: Path) -> Prepared:
    """A program from a .c, .cc or .py file. Raises ProgramError with the compiler's own message."""
    if source.suffix == ".py":
        return Prepared(argv=(sys.executable, str(source), *arguments), language="python")
    return _compile(source, arguments, run_dir)


def prepare_argv(argv: tuple[str, ...], cwd: str, run_dir: Path) -> Prepared:
    """A command of the user's own; a first word that is a .c or .py file is compiled or run by Python."""
    # As the shell completes it: a file of the directory one types in; else one of the directory it is to run in.
    first = Path(argv[0]).absolute()
    if not first.exists():
        first = Path(cwd or ".").absolute() / argv[0]
    # A .py file that may be executed says itself, in its first line, by what.
    is_source = first.suffix in (".c", *_CXX_SUFFIXES) or (first.suffix == ".py" and not os.access(first, os.X_OK))
    if is_source and first.is_file():
        return prepare(first.resolve(), argv[1:], run_dir)
    found = shutil.which(argv[0], path=os.environ.get("PATH")) if os.sep not in argv[0] else str(first.absolute())
    if found is None or not Path(found).exists():
        raise ProgramError(
            f"There is no program {argv[0]!r}.", fix="Name a file that exists or a command that is on PATH."
        )
    language = "python" if "python" in Path(found).name else ""
    return Prepared(argv=(found, *argv[1:]), language=language)


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


def _compile(source: Path, arguments: tuple[str, ...], run_dir: Path) -> Prepared:
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
    recipe = "\0".join((str(source), real, str(os.stat(real).st_mtime_ns), *C_FLAGS)).encode()
    folder = _cache_folder(run_dir) / hashlib.sha256(recipe + b"\0" + text).hexdigest()[:24]
    binary = folder / source.stem
    argv = (tool, *C_FLAGS, "-o", str(binary), str(source))
    run = (str(binary), *arguments)
    if os.access(binary, os.X_OK):
        return Prepared(run, "c", argv, cached=True)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, half_made = tempfile.mkstemp(dir=folder)
    os.close(handle)
    command = [tool, "-fdiagnostics-color=never", *C_FLAGS, "-o", half_made, str(source)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    message = (done.stderr + done.stdout).decode("utf-8", "replace")
    if done.returncode:
        Path(half_made).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        raise ProgramError(message.rstrip() or f"{tool} ended with status {done.returncode} and said nothing.")
    os.chmod(half_made, 0o700)
    os.replace(half_made, binary)
    return Prepared(run, "c", argv, warnings=message)


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
        _raw_terminal(slave)
        _raw_terminal(err_slave)
        return master, slave, slave, err_master, err_slave
    except OSError:  # no devpts, or none left
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        return out_read, os.open(os.devnull, os.O_RDONLY), out_write, err_read, err_write


def reset_signals() -> None:
    """Nothing ignored, nothing blocked, whatever Python or the parent left."""
    for number in range(1, signal.NSIG):
        try:
            signal.signal(number, signal.SIG_DFL)  # Python ignores SIGPIPE, and exec keeps "ignored"
        except (OSError, ValueError):
            continue  # SIGKILL, SIGSTOP and the two that the C library keeps for itself
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def own_signals() -> None:
    """The engine's: a parent that ignores SIGCHLD or blocks all would keep waitpid and the wake-ups from working."""
    reset_signals()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # an error of the write, as ever in Python
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the consumer's


def reset_child(limit: tuple[int, int]) -> None:
    """In a forked child: undo what Python and the engine changed that a program would inherit."""
    reset_signals()
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def launch(
    prepared: Prepared,
    *,
    cwd: str,
    environment: Mapping[str, str],
    filter_program: bytes,
    enter_host: Callable[[], None],
    limit: tuple[int, int],
) -> Launched:
    """Fork a child that waits for one byte on `go`, then installs the filter and executes.

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
            reset_child(limit)
            if os.read(wait_read, 1) != b"g":
                os._exit(127)
            ptrace.install_filter(filter_program)
            os.execve(prepared.argv[0], list(prepared.argv), dict(environment))
        except OSError as error:
            os.write(report, str(error.errno or errno.EIO).encode())
        finally:
            os._exit(127)
    for fd in {stdin, stdout, stderr, wait_read, report}:
        os.close(fd)
    return Launched(pid, go, failed, out, err)
