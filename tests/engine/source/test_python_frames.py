"""Line tables, strings and published offsets of CPython read as bytes, and source files."""

from __future__ import annotations

import ast
import bisect
import copy
import inspect
import json
import os
import random
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st

from socklab.engine.source import python_layouts, python_line_tables
from socklab.engine.source.addresses import AddressSpace
from socklab.engine.source.python_frames import MAX_LINE, PythonFrames
from socklab.engine.source.python_layouts import PUBLISHING, published
from socklab.engine.source.user_code import is_python_library
from socklab.engine.source.where import MAX_SOURCE_BYTES, Where, source
from socklab.protocol.events import Frame
from tests.support.where_probe import READABLE, interpreter


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
        deadline = time.monotonic() + 120
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


DUMP = """
import dis, inspect, json, sys
pending, found = [compile(open(sys.argv[1]).read(), sys.argv[1], "exec")], []
while pending:
    code = pending.pop()
    pending += [constant for constant in code.co_consts if inspect.iscode(constant)]
    if hasattr(code, "co_lines"):
        lines = [(start, end, line) for start, end, line in code.co_lines()]
    else:
        starts = [*dis.findlinestarts(code), (len(code.co_code), None)]
        lines = [(at, then, line) for (at, line), (then, _) in zip(starts, starts[1:])]
    table = code.co_linetable if hasattr(code, "co_linetable") else code.co_lnotab
    found.append((table.hex(), code.co_firstlineno, lines))
print(json.dumps([sys.version_info[:2], found]))
"""


@pytest.mark.parametrize(
    ("name", "module"),
    [("this", ast), ("this", inspect), ("this", threading), *((name, subprocess) for name in READABLE)],
)
def test_line_tables_are_read_as_the_interpreter_reads_them(name: str, module: object) -> None:
    path = inspect.getsourcefile(module)  # type: ignore[arg-type]
    assert path is not None
    sources = path if name == "this" else None
    python = interpreter(name)
    if sources is None:  # another version may not parse this one's library
        asked = [python, "-c", f"import {module.__name__} as module; print(module.__file__)"]  # type: ignore[attr-defined]
        sources = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    said = subprocess.run([python, "-c", DUMP, sources], capture_output=True, text=True, check=True).stdout
    version, codes = json.loads(said)
    seen = 0
    for table, first, spans in codes:
        ends, lines = python_line_tables.decode(bytes.fromhex(table), first, tuple(version))
        known = first
        for start, end, line in spans:
            known = line if line is not None else known
            for at in range(start, end, 2):
                assert lines[bisect.bisect_right(ends, at)] == known
                seen += 1
    assert seen > 1000


@given(st.binary(max_size=200), st.integers(0, 10_000), st.sampled_from([(3, 8), (3, 10), (3, 11)]))
@example(b"\xe8" + b"\x7f" * 100_000, 1, (3, 11))  # a number of 600,000 bits
def test_any_bytes_are_a_line_table(table: bytes, first: int, version: tuple[int, int]) -> None:
    ends, lines = python_line_tables.decode(table, first, version)
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


def interpreter_here(version: tuple[int, int]) -> PythonFrames:
    """The reader of this very interpreter, made to believe that it is of another version."""
    space = AddressSpace(os.getpid())
    space.refresh()
    for module in space.modules:
        if module.binary is not None:
            frames = PythonFrames(os.getpid(), module.binary.image, module.bias)
            if frames.version > (0, 0):
                frames.version, frames._layout = version, python_layouts.LAYOUTS.get(version)
                return frames
    pytest.skip("this interpreter exports nothing")


VERSIONS = [*python_layouts.LAYOUTS, *PUBLISHING]
HERE = {version: interpreter_here(version) for version in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
def test_lists_that_run_in_a_circle_end(version: tuple[int, int]) -> None:
    pointers = (0x1000).to_bytes(8, "little") * 4096  # each leads to the same place
    read = lambda address, size: pointers[address % 8 :][:size]  # noqa: E731
    assert HERE[version].frames(1, read) == ()


@pytest.mark.parametrize("version", VERSIONS)
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1 << 32))
def test_memory_that_says_anything_gives_frames_or_none(version: tuple[int, int], seed: int) -> None:
    chance = random.Random(seed)
    # Small numbers in small words: so that pointers, lengths and kinds often fit each other.
    some = [0, 1, 8, 0x20, 0x64, os.getpid(), 0x1000, 0x1008, chance.getrandbits(64), HERE[version]._code_type]
    page = struct.pack("<512Q", *chance.choices(some, k=512))
    if chance.random() < 0.5:
        page = b"xdebugpy" + page[8:]
    frames = copy.copy(HERE[version])
    frames._runtime = 0x1000
    found = frames.frames(os.getpid(), lambda _address, size: page[:size])
    assert all(isinstance(each, Frame) and 0 <= each.line < MAX_LINE for each in found)


# The fields of struct _Py_DebugOffsets as the headers of both versions list them, 64 bits each, after 24 bytes.
HEADERS = {
    (3, 13): """
        runtime_state.size .finalizing .interpreters_head
        interpreter_state.size .id .next .threads_head .gc .imports_modules .sysdict .builtins .ceval_gil
            .gil_runtime_state .gil_runtime_state_enabled .gil_runtime_state_locked .gil_runtime_state_holder
        thread_state.size .prev .next .interp .current_frame .thread_id .native_thread_id .datastack_chunk .status
        interpreter_frame.size .previous .executable .instr_ptr .localsplus .owner
        code_object.size .filename .name .qualname .linetable .firstlineno .argcount .localsplusnames
            .localspluskinds .co_code_adaptive
        pyobject.size .ob_type
        type_object.size .tp_name .tp_repr .tp_flags
        tuple_object.size .ob_item .ob_size
        list_object.size .ob_item .ob_size
        dict_object.size .ma_keys .ma_values
        float_object.size .ob_fval
        long_object.size .lv_tag .ob_digit
        bytes_object.size .ob_size .ob_sval
        unicode_object.size .state .length .asciiobject_size
        gc.size .collecting""",
    (3, 14): """
        runtime_state.size .finalizing .interpreters_head
        interpreter_state.size .id .next .threads_head .threads_main .gc .imports_modules .sysdict .builtins .ceval_gil
            .gil_runtime_state .gil_runtime_state_enabled .gil_runtime_state_locked .gil_runtime_state_holder
            .code_object_generation .tlbc_generation
        thread_state.size .prev .next .interp .current_frame .thread_id .native_thread_id .datastack_chunk .status
        interpreter_frame.size .previous .executable .instr_ptr .localsplus .owner .stackpointer .tlbc_index
        code_object.size .filename .name .qualname .linetable .firstlineno .argcount .localsplusnames
            .localspluskinds .co_code_adaptive .co_tlbc
        pyobject.size .ob_type
        type_object.size .tp_name .tp_repr .tp_flags
        tuple_object.size .ob_item .ob_size
        list_object.size .ob_item .ob_size
        set_object.size .used .table .mask
        dict_object.size .ma_keys .ma_values
        float_object.size .ob_fval
        long_object.size .lv_tag .ob_digit
        bytes_object.size .ob_size .ob_sval
        unicode_object.size .state .length .asciiobject_size
        gc.size .collecting
        gen_object.size .gi_name .gi_iframe .gi_frame_state""",
}
FIELDS = {
    "interpreters": "runtime_state.interpreters_head", "next_interpreter": "interpreter_state.next",
    "threads": "interpreter_state.threads_head", "next_thread": "thread_state.next",
    "frame": "thread_state.current_frame", "native_id": "thread_state.native_thread_id",
    "code": "interpreter_frame.executable", "previous": "interpreter_frame.previous",
    "instruction": "interpreter_frame.instr_ptr", "owner": "interpreter_frame.owner",
    "filename": "code_object.filename", "function": "code_object.qualname", "line_table": "code_object.linetable",
    "first_line": "code_object.firstlineno", "bytecode": "code_object.co_code_adaptive",
    "length": "unicode_object.length", "state": "unicode_object.state", "ascii": "unicode_object.asciiobject_size",
    "bytes_size": "bytes_object.ob_size", "bytes_data": "bytes_object.ob_sval", "type": "pyobject.ob_type",
}  # fmt: skip


def published_table(version: tuple[int, int], *, free_threaded: bool = False) -> tuple[bytes, dict[str, int]]:
    """A table whose every field has another value, and the values by name."""
    names, group = [], ""
    for word in HEADERS[version].split():
        group = word.partition(".")[0] or group
        names.append(f"{group}.{word.partition('.')[2]}")
    values = {name: 1000 + 8 * index for index, name in enumerate(names)}
    table = b"xdebugpy" + struct.pack("<QQ", version[0] << 24 | version[1] << 16, free_threaded)
    return table + struct.pack(f"<{len(values)}Q", *values.values()) + bytes(100), values  # more of _PyRuntime follows


@pytest.mark.parametrize("version", PUBLISHING)
def test_each_offset_is_taken_from_its_field_of_the_header(version: tuple[int, int]) -> None:
    table, values = published_table(version)
    layout = published(version, table)
    assert not isinstance(layout, str)
    for name, field in FIELDS.items():
        assert getattr(layout, name) == values[field], name
    assert layout.compact == values["unicode_object.asciiobject_size"] + 16


def test_a_build_whose_code_each_thread_copies_is_named_and_not_read() -> None:
    table, _ = published_table((3, 14), free_threaded=True)
    assert "free-threaded Python 3.14" in str(published((3, 14), table))


def test_a_table_that_is_not_there_yet_is_no_layout() -> None:
    table, _ = published_table((3, 13))
    for damaged in (table[:100], b"\0" * len(table), b""):
        with pytest.raises(ValueError):
            published((3, 13), damaged)


def test_importing_the_engine_loads_no_reader_of_debug_information() -> None:
    code = "import sys, socklab.engine.source.where; print('elftools' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False"]


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
