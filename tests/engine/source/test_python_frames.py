"""Line tables and strings of CPython read as bytes, the tracker's environment, and source files."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socklab.engine.source import python_lines
from socklab.engine.source.python_frames import decode_lines
from socklab.engine.source.user_code import is_python_library
from socklab.engine.source.where import MAX_SOURCE_BYTES, Where, python_env, source
from socklab.protocol.events import Frame


def read_own(address: int, size: int) -> bytes:
    with open("/proc/self/mem", "rb", 0) as memory:
        try:
            memory.seek(address)
            return memory.read(size) or b""
        except (OSError, OverflowError, ValueError):
            return b""


def stack_of(target: Callable[[Callable[[], None]], object]) -> tuple[Frame, ...]:
    """Frames of a thread of ours that runs `target` and rests in the function it is given."""
    resting, done = threading.Event(), threading.Event()

    def rest() -> None:
        resting.set()
        done.wait(20)

    thread = threading.Thread(target=target, args=(rest,))
    thread.start()
    try:
        assert resting.wait(20) and thread.native_id is not None
        found: tuple[Frame, ...] = ()
        deadline = time.monotonic() + 20
        # Between set() and wait() there are a few more instructions: until it sleeps, its frames still move.
        while not (found and found[0].function.endswith("rest") and found[0].line == REST_LINE):
            found = Where(os.getpid()).stack(thread.native_id, 0, 0, read_own)
            if time.monotonic() > deadline:
                known = (3, 11) <= sys.version_info < (3, 14)
                (pytest.fail if known else pytest.skip)(f"no frames of this interpreter: {sys.version}")
    finally:
        done.set()
        thread.join()
    return found[1:]


(REST_LINE,) = [
    number for number, line in enumerate(Path(__file__).read_text().splitlines(), 1) if line == "        done.wait(20)"
]


@pytest.mark.parametrize("module", [ast, inspect, subprocess, threading])
def test_line_tables_are_read_as_the_interpreter_reads_them(module: object) -> None:
    path = inspect.getsourcefile(module)  # type: ignore[arg-type]
    assert path is not None
    pending = [compile(Path(path).read_text(), path, "exec")]
    seen = 0
    while pending:
        code = pending.pop()
        pending += [constant for constant in code.co_consts if inspect.iscode(constant)]
        ends, lines = decode_lines(code.co_linetable, code.co_firstlineno)
        known = code.co_firstlineno
        for start, end, line in code.co_lines():
            known = line if line is not None else known
            for unit in range(start // 2, end // 2):
                index = next(number for number, last in enumerate(ends) if unit < last)
                assert lines[index] == known
                seen += 1
    assert seen > 1000


@given(st.binary(max_size=200), st.integers(0, 10_000))
def test_a_damaged_line_table_gives_lines_or_an_error_that_is_expected(table: bytes, first: int) -> None:
    try:
        ends, lines = decode_lines(table, first)
    except IndexError:
        return
    assert len(ends) == len(lines) > 0


def ünïcode_名前(rest: Callable[[], None]) -> None:
    rest()


def test_frames_are_those_the_interpreter_itself_gives() -> None:
    seen: list[tuple[str, int, str]] = []

    class Inner:
        def method(self, rest: Callable[[], None]) -> None:
            def note() -> None:
                frame = inspect.currentframe()
                assert frame is not None
                frame = frame.f_back
                while frame is not None and frame.f_code.co_filename == __file__:
                    seen.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname))
                    frame = frame.f_back
                rest()

            (lambda: ünïcode_名前(note))()

    found = stack_of(Inner().method)
    assert [(frame.path, frame.line, frame.function) for frame in found[1:]] == seen
    assert [function.rpartition(".")[2] for _, _, function in seen] == ["ünïcode_名前", "<lambda>", "method"]


@pytest.mark.parametrize("name", ["plain.py", "café.py", "名前.py", "🦊.py"])
def test_files_whose_names_are_not_ascii_are_named_right(name: str, tmp_path: Path) -> None:
    path = str(tmp_path / name)
    code = compile("rest()", path, "exec")
    assert stack_of(lambda rest: exec(code, {"rest": rest}))[0] == Frame(path, 1, "<module>")


@given(st.randoms(use_true_random=False))
def test_memory_that_says_anything_gives_frames_or_none(chance: object) -> None:
    import random

    assert isinstance(chance, random.Random)
    where = Where(os.getpid())
    frames = where.stack(1, 0x7FFF0000, 0x401000, lambda _address, size: chance.randbytes(chance.choice((0, size))))
    assert frames == () or all(isinstance(frame, Frame) for frame in frames)


def test_reader_and_tracker_agree_on_the_mapping() -> None:
    path = python_lines.TRACKER / "_socklab_tracker.py"
    spec = importlib.util.spec_from_file_location("tracker_under_test", path)
    assert spec is not None and spec.loader is not None
    tracker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tracker)
    assert (tracker.MAGIC, tracker.VERSION, tracker.SIZE) == (
        python_lines.MAGIC,
        python_lines.VERSION,
        python_lines.MAPPING_BYTES,
    )
    assert tracker.SIZE % 4096 == 0


def test_importing_the_engine_starts_no_tracker() -> None:
    code = (
        "import sys, socklab.engine.source.where, socklab.engine.source.python_lines;"
        " print(sys.gettrace(), 'elftools' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["None", "False"]


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, "{}"), ("", "{}"), ("/a:/b", "{}:/a:/b"), ("/a:{}", "{}:/a"), ("{}", "{}")],
)
def test_the_tracker_comes_first_and_once_in_pythonpath(before: str | None, after: str) -> None:
    folder = str(python_lines.TRACKER)
    environ = {} if before is None else {"PYTHONPATH": before.format(folder)}
    assert python_env(environ) == {"PYTHONPATH": after.format(folder)}


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["python", "server.py"], ""),
        (["python", "server.py", "-S"], ""),
        (["python", "-u", "-m", "http.server", "-I"], ""),
        (["python", "-m", "http.server", "-E"], ""),
        (["python", "-c", "pass", "-S"], ""),
        (["python", "-W", "ignore", "server.py"], ""),
        (["python", "-Xdev", "server.py"], ""),
        (["python", "-S", "server.py"], "-S"),
        (["python", "-uI", "server.py"], "-I"),
        (["python", "-X", "dev", "-E", "server.py"], "-E"),
        (["python", "-", "-S"], ""),
        (["python"], ""),
    ],
)
def test_options_that_keep_the_tracker_out_are_named(argv: list[str], reason: str) -> None:
    said = python_lines.why_untracked(argv)
    assert reason in said
    assert bool(said) == bool(reason)


@pytest.mark.parametrize(
    ("path", "library"),
    [
        ("/home/ana/server.py", False),
        ("/home/ana/lib/python-course/server.py", False),
        ("/usr/local/lib/server.py", False),
        ("/usr/lib/python3.11/socket.py", True),
        ("/opt/py/lib64/python3.13t/socket.py", True),
        ("/usr/lib/python3/dist-packages/flask/app.py", True),
        ("/home/ana/.venv/lib/python3.12/site-packages/flask/app.py", True),
        ("<frozen importlib._bootstrap>", True),
        ("<string>", True),
    ],
)
def test_whose_python_file_it_is(path: str, library: bool) -> None:
    assert is_python_library(path) is library


def test_a_missing_source_is_none(tmp_path: Path) -> None:
    assert source(str(tmp_path / "gone.c")) is None
    assert source(str(tmp_path)) is None
    assert source("<string>") is None
    assert source("a\0b") is None


def test_a_source_that_is_a_fifo_blocks_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "server.c")
    found = source(str(tmp_path / "server.c"))
    assert found is None or found.text == ""


def test_a_source_is_bounded_and_its_bytes_are_made_text(tmp_path: Path) -> None:
    (tmp_path / "server.c").write_bytes(b"\xff\xfe int main;\n" + b"x" * (2 * MAX_SOURCE_BYTES))
    found = source(str(tmp_path / "server.c"))
    assert found is not None
    assert found.text.startswith("\ufffd\ufffd int main;\n")
    assert len(found.text) == MAX_SOURCE_BYTES
    assert found.language == "c"


def test_a_script_without_a_suffix_is_known_by_its_first_line(tmp_path: Path) -> None:
    (tmp_path / "server").write_text("#!/usr/bin/env python3\nprint()\n")
    found = source(str(tmp_path / "server"))
    assert found is not None
    assert found.language == "python"
