"""Source frames of real Python programs asleep in the kernel, in every version of the interpreter that is here."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from socklab.engine.source.python_layouts import NOT_READABLE
from socklab.engine.source.where import NO_PYTHON_FRAME, Where, source
from tests.support.where_probe import READABLE, Sleeper, interpreter, running, short, sleeper, wait_for

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="x86-64 calls"),
    pytest.mark.skipif(not Path("/proc/self/syscall").exists(), reason="the kernel has no /proc/PID/syscall"),
]

READ, POLL, WAIT4, FUTEX, OPENAT, ACCEPT4 = 0, 7, 61, 202, 257, 288


# python3 is the system's, whose interpreter is not in a shared library but in the program itself.
@pytest.fixture(params=["python3", *READABLE])
def python(request: pytest.FixtureRequest) -> str:
    return interpreter(request.param)


def environment() -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
    return {**env, "PYTHONDONTWRITEBYTECODE": "1"}


def look(task: Sleeper) -> list[tuple[str, int, str]]:
    """Frames of the user's files; functions by their last name, for before 3.11 no code object has the whole one."""
    where = Where(task.pid)
    frames = task.stack(where)
    assert bool(frames) != bool(where.reason)
    return [(name, line, function.rpartition(".")[2]) for name, line, function in short(frames)]


def write(folder: Path, text: str, name: str = "server.py") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


SERVER = """\
import socket


class Server:
    def __init__(self):
        self.listener = socket.socket()
        assert self.listener.fileno() == 3
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()

    def serve(self):
        while True:
            peer, _ = self.listener.accept()


def main():
    server = Server()
    server.serve()


main()
"""


def test_the_users_line_is_shown_behind_the_accept_of_socket_py(python: str, tmp_path: Path) -> None:
    """And the first socket of the program is descriptor 3 all the same."""
    with (
        running([python, write(tmp_path, SERVER)], environment()) as program,
        sleeper(program.pid, ACCEPT4) as task,
    ):
        assert look(task) == [
            ("server.py", 13, "serve"),
            ("server.py", 18, "main"),
            ("server.py", 21, "<module>"),
        ]


def test_frames_are_files_of_the_user_with_their_text(tmp_path: Path) -> None:
    path = write(tmp_path, SERVER)
    with (
        running([sys.executable, "server.py"], environment(), tmp_path) as program,
        sleeper(program.pid, ACCEPT4) as task,
    ):
        where = Where(program.pid)
        first = task.stack(where)[0]
        assert first.path == path
        found = source(first.path)
        assert found is not None
        assert (found.language, found.text) == ("python", SERVER)


def test_a_module_run_by_dash_m_counts_as_the_users_file(python: str) -> None:
    with (
        running([python, "-m", "http.server", "--bind", "127.0.0.1", "0"], environment()) as program,
        sleeper(program.pid, POLL) as task,
    ):
        frames = look(task)
        assert {name for name, _, _ in frames} == {"server.py"}
        assert frames[-1][2] == "<module>"
        source = subprocess.run(
            [python, "-c", "import http.server; print(http.server.__file__)"], capture_output=True, text=True
        ).stdout.strip()
        assert "serve_forever()" in Path(source).read_text().splitlines()[frames[0][1] - 1]


THREADS = """\
import os
import threading


def take(fd):
    os.read(fd, 1)


def work(fd):
    take(fd)


pipes = [os.pipe() for _ in range(3)]
for _ in range(300):
    short = threading.Thread(target=int)
    short.start()
    short.join()
threads = [threading.Thread(target=work, args=(pipe[0],)) for pipe in pipes]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def threads_in(pid: int, number: int) -> list[int]:
    """Threads of the process, but the first, that sleep in this call."""
    found = []
    for tid in map(int, os.listdir(f"/proc/{pid}/task")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            call = Path(f"/proc/{pid}/task/{tid}/syscall").read_text().split()
            if tid != pid and call[0] == str(number):
                found.append(tid)
    return found


def test_each_thread_has_its_own_frames(python: str, tmp_path: Path) -> None:
    with running([python, write(tmp_path, THREADS)], environment()) as program:
        # The last of the short ones may still be listed while the others begin.
        wait_for(lambda: len(threads_in(program.pid, READ)) == 3, "three threads that read")
        for tid in threads_in(program.pid, READ):
            with sleeper(program.pid, READ, tid=tid) as task:
                assert look(task) == [("server.py", 6, "take"), ("server.py", 10, "work")]
        with sleeper(program.pid, FUTEX) as main:
            assert look(main) in ([("server.py", 22, "<module>")], [("server.py", 20, "<module>")])


FORK = """\
import os

ready, held = os.pipe(), os.pipe()


def child():
    os.write(ready[1], b"x")
    os.read(held[0], 1)


def parent(pid):
    os.waitpid(pid, 0)


def fork():
    pid = os.fork()
    if pid == 0:
        child()
        os._exit(0)
    print(pid, flush=True)
    os.read(ready[0], 1)
    parent(pid)


fork()
"""


def test_parent_and_child_of_a_fork_have_frames_of_their_own(python: str, tmp_path: Path) -> None:
    with running([python, write(tmp_path, FORK)], environment()) as program:
        assert program.stdout is not None
        child = int(program.stdout.readline())
        with sleeper(program.pid, WAIT4) as task:
            assert look(task)[:2] == [("server.py", 12, "parent"), ("server.py", 22, "fork")]
        with sleeper(child, READ) as task:
            assert look(task) == [
                ("server.py", 8, "child"),
                ("server.py", 18, "fork"),
                ("server.py", 25, "<module>"),
            ]
        with sleeper(program.pid, WAIT4) as task:
            assert look(task)[0] == ("server.py", 12, "parent")


DEEP = """\
import asyncio
import os


def recurse(depth):
    try:
        if depth:
            recurse(depth - 1)
        else:
            raise ValueError
    finally:
        depth += 0


def generate():
    yield 1
    yield 2


def wait():
    os.read(0, 1)


class Managed:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        wait()  # on the way out


def survive():
    try:
        recurse(40)
    except ValueError:
        list(generate())
        next(generate())
        stopped = generate()
        next(stopped)
        try:
            stopped.throw(KeyError)
        except KeyError:
            pass
    with Managed(): pass
    wait()


async def later():
    await asyncio.sleep(0.001)
    survive(); survive()


async def outer():
    await later()


asyncio.run(outer())
"""


def test_exceptions_generators_and_coroutines_leave_the_right_callers(python: str, tmp_path: Path) -> None:
    with running([python, write(tmp_path, DEEP)], environment()) as program:
        assert program.stdin is not None

        def at(snippet: str, function: str) -> tuple[str, int, str]:
            (line,) = [number for number, text in enumerate(DEEP.splitlines(), 1) if text.strip() == snippet]
            return "server.py", line, function

        read = at("os.read(0, 1)", "wait")
        callers = [at("survive(); survive()", "later"), at("await later()", "outer")]
        callers.append(at("asyncio.run(outer())", "<module>"))
        expected = [
            [read, at("wait()  # on the way out", "__exit__"), at("with Managed(): pass", "survive")],
            [read, at("wait()", "survive")],
        ]
        for frames in expected + expected:
            with sleeper(program.pid, READ) as task:
                assert look(task) == frames + callers
                switches = _switches(program.pid)
                program.stdin.write(b"x")
                program.stdin.flush()
                _wait_for_switch(program, switches)
        assert program.wait(60) == 0


def _switches(pid: int) -> str:
    """How often the task has slept: changes once it has gone on from one read to the next."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return "gone"
    return "".join(line for line in lines if line.startswith("voluntary"))


def _wait_for_switch(program: subprocess.Popen[bytes], switches: str) -> None:
    wait_for(lambda: _switches(program.pid) != switches or program.poll() is not None, "it goes on")


RECURSION = """\
import os


def down(depth):
    if depth == 0:
        return
    down(depth - 1)
    if depth == 3:
        os.read(0, 1)


down(60)
"""


def test_a_recursion_that_came_back_shows_the_frames_that_are_left(python: str, tmp_path: Path) -> None:
    with (
        running([python, write(tmp_path, RECURSION)], environment()) as program,
        sleeper(program.pid, READ) as task,
    ):
        frames = look(task)
        assert frames[:3] == [("server.py", 9, "down"), ("server.py", 7, "down"), ("server.py", 7, "down")]
        assert len(frames) == 59  # down(60) to down(3), and the module


LIBRARY_CALLBACK = """\
import json


class Blocks(dict):
    pass


def hook(pairs):
    import os

    os.read(0, 1)
    return pairs


json.loads('{"a": 1}', object_pairs_hook=hook)
"""


def test_library_frames_between_the_users_are_left_out(python: str, tmp_path: Path) -> None:
    with (
        running([python, write(tmp_path, LIBRARY_CALLBACK)], environment()) as program,
        sleeper(program.pid, READ) as task,
    ):
        assert look(task) == [("server.py", 11, "hook"), ("server.py", 15, "<module>")]


OWN_TRACER = """\
import os
import sys

seen = []


def tracer(frame, event, argument):
    seen.append(frame.f_code.co_name)
    return None


def work():
    pass


sys.settrace(tracer)
work()
sys.settrace(None)
assert seen == ["work"], seen
os.read(0, 1)
"""


def test_a_tracer_of_the_programs_own_changes_no_line(python: str, tmp_path: Path) -> None:
    with running([python, write(tmp_path, OWN_TRACER)], environment()) as program:
        with sleeper(program.pid, READ) as task:
            assert look(task) == [("server.py", 20, "<module>")]
        program.communicate(b"x", timeout=120)
        assert program.returncode == 0


def test_after_the_exec_of_another_program_no_python_line_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path, "import os\nos.execvp('cat', ['cat'])\n")
    with running([sys.executable, path], environment()) as program:
        wait_for(lambda: os.path.basename(os.readlink(f"/proc/{program.pid}/exe")) == "cat", "exec")
        with sleeper(program.pid, READ) as task:
            where = Where(program.pid)
            assert task.stack(where) == ()
            assert where.reason.startswith("no line")


def test_a_python_asleep_before_any_line_of_the_user_says_so(tmp_path: Path) -> None:
    fifo = tmp_path / "server.py"
    os.mkfifo(fifo)
    with (
        running([sys.executable, str(fifo)], environment()) as program,
        sleeper(program.pid, OPENAT) as task,  # opening the script waits for a writer
    ):
        where = Where(program.pid)
        assert task.stack(where) == ()
        assert where.reason == NO_PYTHON_FRAME


@pytest.mark.parametrize("name", ["python2.7", "python3.6", "python3.7", "python3.15", "pypy3"])
def test_the_interpreters_own_c_lines_are_never_shown_as_the_users(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, "import os\nos.read(0, 1)\n")
    with running([interpreter(name), path], environment()) as program, sleeper(program.pid, READ) as task:
        where = Where(program.pid)
        assert (task.stack(where), where.reason) == ((), NOT_READABLE)


@pytest.mark.parametrize("name", ["python3", "python3.7"], ids=["readable", "older"])
@pytest.mark.parametrize("copy", ["myserver", "pypy3.7-c", "python3.7"])
def test_an_interpreter_under_any_name_is_one_also_when_its_file_is_gone(name: str, copy: str, tmp_path: Path) -> None:
    """The system's python3 has the interpreter in itself, pyenv's a library of its own."""
    program = tmp_path / copy
    real = interpreter(name)
    shutil.copy(os.path.realpath(real), program)
    prefix = subprocess.check_output([real, "-c", "import sys; print(sys.base_prefix)"], text=True).strip()
    path = write(tmp_path, "import os\nos.read(0, 1)\n")
    with (
        running([str(program), path], {**environment(), "PYTHONHOME": prefix}) as process,
        sleeper(process.pid, READ) as task,
    ):
        for gone in (False, True):
            if gone:
                program.unlink()
            where = Where(process.pid)
            stack = [(frame.path, frame.line) for frame in task.stack(where)]
            assert (stack, where.reason) == (([(path, 2)], "") if name == "python3" else ([], NOT_READABLE)), gone
