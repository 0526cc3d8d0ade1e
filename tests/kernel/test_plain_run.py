"""`socklab lesson NAME --plain` and `socklab run` as a pipe sees them: whole runs, exit codes, nothing left behind."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import socklab
from socklab import lesson as lessons
from socklab.host import subreaper
from socklab.protocol import codec, events as ev
from socklab.ui.plain.facts import MOST
from tests.support import shared

pytestmark = pytest.mark.kernel

ROOT = Path(socklab.__file__).resolve().parent.parent
LANGUAGES = ["python", pytest.param("c", marks=pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here"))]


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", **changes}


def run(*args: str, typed: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "socklab", *args]
    return subprocess.run(
        command, input=typed, capture_output=True, text=True, env=environment(**changes), check=False, timeout=120
    )


def run_by_itself(lesson: str, language: str) -> subprocess.CompletedProcess[str]:
    """One run for all tests that ask what it printed."""
    return shared.once(f"{lesson} {language} --auto", lambda: run("lesson", lesson, "--auto", "--lang", language))


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


# ---------------------------------------------------------------- lessons


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["lifecycle", "backlog"])
def test_a_lesson_runs_through_by_itself_and_every_check_holds(name: str, language: str) -> None:
    done = run_by_itself(name, language)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    checks = len(lessons.load(lessons.find(name)).checks)
    assert f"{checks} held, 0 failed." in done.stdout
    assert "FAILED" not in done.stdout
    assert done.stderr == ""
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_line_of_every_call_is_told(language: str) -> None:
    done = run_by_itself("lifecycle", language)
    file = {"c": "server.c", "python": "server.py"}[language]
    stops = done.stdout.split("\nStop ")[1:]
    about = [stop for stop in stops if stop.split(": ", 1)[1].startswith("about to call")]
    assert len(about) > 8
    for stop in about:
        assert re.search(rf"^  {re.escape(file)}:\d+", stop, re.MULTILINE), stop


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_installed_package_shows_the_source_of_its_lessons(tmp_path: Path, language: str) -> None:
    """As pip lays it out: the lessons inside the package, the package among libraries, the user anywhere."""
    packages = tmp_path / "lib" / "python3" / "site-packages"
    shutil.copytree(ROOT / "socklab", packages / "socklab")
    shutil.copytree(lessons.folder(), packages / "socklab" / "lessons", dirs_exist_ok=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "socklab", "lesson", "lifecycle", "--auto", "--lang", language],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=str(packages)),
        cwd=empty,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(packages) in done.stdout
    assert re.search(r"^  server\.(c|py):\d+", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_lesson_typed_into_a_pipe_answers_and_steps(language: str) -> None:
    done = run("lesson", "lifecycle", "--plain", "--lang", language, typed="n\n3\ns\nshow descriptors\nq\n")
    assert done.stdout.index("This is a whole web server") < done.stdout.index("> n\n\nStep 1 of ")
    assert "Question: Which number will socket return?" in done.stdout
    assert "> 3\n" in done.stdout
    assert "Stop 2: socket(" in done.stdout
    assert "Right: 3." in done.stdout
    assert "Stop 3" not in done.stdout
    assert done.returncode == 1  # it was not done


def test_the_end_of_input_ends_the_lab() -> None:
    done = run("lesson", "lifecycle", "--plain")
    assert "End of input: the lab is ended." in done.stdout
    assert done.returncode == 1


def test_the_network_can_be_the_machines_own() -> None:
    with shared.alone("the machine's network"):
        done = run("lesson", "lifecycle", "--auto", "--net", "machine", "--lang", "python")
    assert "Network: this machine's own" in done.stdout
    assert done.returncode == 0, done.stdout[-3000:]


def test_json_is_the_event_stream_and_nothing_else() -> None:
    done = run("lesson", "backlog", "--auto", "--json", "--lang", "python")
    assert done.returncode == 0
    assert done.stderr == ""
    events = [codec.decode_event(line) for line in done.stdout.splitlines()]
    assert isinstance(events[0], ev.Header)
    assert isinstance(events[-1], ev.Ended)
    assert all(event.held for event in events if isinstance(event, ev.Checked))


def test_json_takes_commands_and_prompt_lines_from_stdin() -> None:
    done = run("run", "--json", "--", "/bin/cat", "/dev/null", typed='{"c":"step"}\nnonsense\ns\nq\n')
    assert isinstance(codec.decode_event(done.stdout.splitlines()[-1]), ev.Ended)
    assert 'No verb "nonsense"' in done.stderr


# ---------------------------------------------------------------- programs


@pytest.mark.parametrize("options", [["--auto"], ["--free", "--plain"], ["--free", "--json"], ["--auto", "--json"]])
@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -SEGV $$", 139), ("true", 0)])
def test_a_program_gives_its_own_exit_code(options: list[str], script: str, code: int) -> None:
    assert run("run", *options, "--", "/bin/sh", "-c", script).returncode == code


def test_a_program_that_is_not_there_is_named_with_exit_code_5() -> None:
    done = run("run", "--auto", "--", "no-such-program-anywhere")
    assert done.returncode == 5
    assert "no-such-program-anywhere" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_program_that_does_not_compile_shows_the_compilers_own_message(tmp_path: Path) -> None:
    if not shutil.which("cc"):
        pytest.skip("no C compiler here")
    (tmp_path / "broken.c").write_text("int main(void) { return nothing_of_that_name; }\n")
    done = run("run", "--auto", str(tmp_path / "broken.c"))
    assert done.returncode == 5
    assert "nothing_of_that_name" in done.stdout
    assert "broken.c:1" in done.stdout


def test_a_file_called_socket_py_beside_the_user_is_not_the_engines(tmp_path: Path) -> None:
    (tmp_path / "socket.py").write_text("raise SystemExit(99)")
    command = [sys.executable, "-P", "-m", "socklab", "run", "--auto", "--", "/bin/true"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(),
        cwd=tmp_path,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_words_behind_the_program_are_its_own() -> None:
    done = run("run", "--free", "--plain", "/bin/echo", "--json", "--plain")
    assert "the program wrote: --json --plain" in done.stdout


def test_a_thousand_sockets_are_counted_not_listed(tmp_path: Path) -> None:
    server = tmp_path / "many.py"
    server.write_text(
        "import resource, socket\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "a = socket.create_server(('127.0.0.1', 0), backlog=2000)\n"
        "b = [socket.create_connection(a.getsockname()) for _ in range(500)]\n"
        "print('made')\n"
    )
    with Running("run", "--plain", str(server)) as running:
        running.type("c write fd=1", until="more of this kind")
        assert running.seen.count(b"+ ESTABLISHED") <= MOST


# ---------------------------------------------------------------- ends


class Running:
    """socklab, at the first stop of a run."""

    def __init__(self, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "socklab", *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            start_new_session=True,
        )
        self.seen = b""
        self.read(until="Stop 1")
        self.family = set(subreaper.read_descendants(self.process.pid))
        assert len(self.family) >= 2  # the engine and the server

    def read(self, until: str) -> None:
        """Read to the first appearance of a text."""
        assert self.process.stdout is not None
        while until.encode() not in self.seen:
            ready, _, _ = select.select([self.process.stdout], [], [], 60)
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert data, self.seen.decode()
            self.seen += data

    def type(self, line: str, until: str) -> None:
        assert self.process.stdin is not None
        os.write(self.process.stdin.fileno(), f"{line}\n".encode())
        self.read(until)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def alive(self) -> set[int]:
        now = subreaper.read_processes()
        return {pid for pid in self.family if pid in now and now[pid].state != "Z"}

    def run_dirs(self) -> list[Path]:
        return list(Path("/tmp").glob(f"socklab-{self.process.pid}-*"))


@pytest.fixture
def running() -> Iterator[Running]:
    with Running("lesson", "lifecycle", "--plain", "--lang", "python") as one:
        yield one


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_everything_with_the_shells_code(running: Running, number: signal.Signals, code: int) -> None:
    running.process.send_signal(number)
    assert running.process.wait(60) == code
    assert running.alive() == set()
    assert running.run_dirs() == []


def test_a_killed_consumer_leaves_nothing(running: Running) -> None:
    running.process.kill()
    running.process.wait(60)
    wait_until(lambda: not running.alive(), "the engine and its server end")
    wait_until(lambda: not running.run_dirs(), "the run directory is removed")


def test_a_killed_engine_is_told_and_leaves_nothing(running: Running) -> None:
    engine = next(pid for pid, process in subreaper.read_processes().items() if process.ppid == running.process.pid)
    os.kill(engine, signal.SIGKILL)
    assert running.process.stdout is not None
    said = running.process.stdout.read().decode()
    assert "Error: The engine ended unexpectedly: killed by SIGKILL." in said
    assert running.process.wait(60) == 1
    assert running.alive() == set()
    assert running.run_dirs() == []


def test_restart_begins_a_lesson_anew_in_plain_text_also_while_it_asks() -> None:
    done = run("lesson", "lifecycle", "--plain", "--lang", "python", typed="n\nshow\nn\nrestart\nn\nrestart\nn\nc\nq\n")
    assert done.returncode == 1, done.stderr  # it was not taken to its end
    assert done.stderr == ""
    assert done.stdout.count("Started anew.") == 2
    assert done.stdout.count("Question: ") == 3
    assert done.stdout.count("Your answer: 3.") == 1
