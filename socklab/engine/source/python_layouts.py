"""Where each version of CPython keeps threads, frames, code and text in memory.

In: an interpreter's image, and from 3.13 on the table of offsets it publishes in its own memory. Out: a `Layout`, or
the reason in words why there is none. Knows 3.8 to 3.14. Never guesses: the structures of another version, or of a
build without the interpreter lock from 3.14 on, are not read.

Source: CPython Include/cpython/frameobject.h, code.h, pystate.h, Include/internal/pycore_frame.h, pycore_interp.h,
pycore_runtime.h of each version (offsets as offsetof gives them on LP64); pycore_debug_offsets.h from 3.13 on.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from socklab.engine.source.elf import Image, exported

Version = tuple[int, int]

_FIRST_EXPORTED_BY = {
    "PyCode_NewWithPosOnlyArgs": (3, 8),
    "PyFrame_GetCode": (3, 9),
    "PyModule_AddObjectRef": (3, 10),
}
"""How a version before 3.11 is told, which has no Py_Version: by what it exports, oldest first."""
SYMBOLS = frozenset({"_PyRuntime", "Py_Version", "PyCode_Type", *_FIRST_EXPORTED_BY})

DEBUG_OFFSETS_BYTES = 656
"""As much of _Py_DebugOffsets, at the beginning of _PyRuntime, as is needed here."""


class Layout(NamedTuple):
    """Byte offsets in the interpreter's structures; -1 where a version has no such field."""

    interpreters: int
    next_interpreter: int
    threads: int
    next_thread: int
    frame: int
    """In the thread state, or in the C frame it points to, at `cframe`."""
    code: int
    previous: int
    instruction: int
    """A pointer into the code, or, where `bytecode` is -1, the 32-bit number of the last instruction."""
    filename: int
    function: int
    line_table: int
    first_line: int
    native_id: int = -1
    """The kernel's thread id; before 3.11 there is only the C library's (`main_thread`, `thread_id`)."""
    main_thread: int = -1
    thread_id: int = -1
    cframe: int = -1
    owner: int = -1
    bytecode: int = -1
    ascii: int = 48
    """Where the characters of an ASCII string begin."""
    compact: int = 72
    """The same of another compact string."""
    length: int = 16
    state: int = 32
    bytes_size: int = 16
    bytes_data: int = 32
    type: int = 8


_3_10 = Layout(
    interpreters=32, next_interpreter=0, threads=8, next_thread=8, frame=24, code=32, previous=24, instruction=96,
    filename=104, function=112, line_table=120, first_line=40, main_thread=72, thread_id=176,
)  # fmt: skip
_3_11 = Layout(
    interpreters=40, next_interpreter=0, threads=16, next_thread=8, frame=8, code=32, previous=48, instruction=56,
    filename=112, function=128, line_table=136, first_line=72, native_id=160, cframe=56, owner=69, bytecode=184,
)  # fmt: skip
_3_12 = _3_11._replace(
    threads=72, frame=0, code=0, previous=8, first_line=68, native_id=144, owner=70, bytecode=192, ascii=40, compact=56,
)  # fmt: skip
LAYOUTS: dict[Version, Layout] = {
    (3, 8): _3_10._replace(instruction=104),
    (3, 9): _3_10._replace(instruction=104),
    (3, 10): _3_10,
    (3, 11): _3_11,
    (3, 12): _3_12,
}

PUBLISHING = ((3, 13), (3, 14))
NOT_READABLE = "no Python line: only the frames of CPython 3.8 to 3.14 can be read"
# struct _Py_DebugOffsets: after a cookie, the version and a flag, groups of 64-bit offsets. `*`: 3.14 has it first.
_COOKIE = b"xdebugpy"
_DEBUG_OFFSETS = """
runtime: size finalizing interpreters_head
interpreter: size id next threads_head threads_main* gc imports_modules sysdict builtins ceval_gil gil_runtime_state
  gil_runtime_state_enabled gil_runtime_state_locked gil_runtime_state_holder code_object_generation* tlbc_generation*
thread: size prev next interp current_frame thread_id native_thread_id datastack_chunk status
frame: size previous executable instr_ptr localsplus owner stackpointer* tlbc_index*
code: size filename name qualname linetable firstlineno argcount localsplusnames localspluskinds co_code_adaptive
  co_tlbc*
object: size ob_type
type: size tp_name tp_repr tp_flags
tuple: size ob_item ob_size
list: size ob_item ob_size
set: size* used* table* mask*
dict: size ma_keys ma_values
float: size ob_fval
long: size lv_tag ob_digit
bytes: size ob_size ob_sval
unicode: size state length asciiobject_size
"""


def version_of(image: Image, symbols: dict[str, int]) -> Version:
    """The version of an interpreter with these exported symbols; (0, 0) = older than 3.8, or none."""
    offset = image.offset_of(symbols.get("Py_Version", -1))
    if offset >= 0:
        number = int.from_bytes(image.data[offset : offset + 8], "little")
        return number >> 24 & 0xFF, number >> 16 & 0xFF
    return max((version for name, version in _FIRST_EXPORTED_BY.items() if name in symbols), default=(0, 0))


def interpreter_symbols(image: Image) -> dict[str, int]:
    """Link-time addresses of what an interpreter exports and is needed here."""
    return exported(image, SYMBOLS)


def published(version: Version, table: bytes) -> Layout | str:
    """The layout that an interpreter publishes, or why it is not usable. Raises ValueError while there is none yet."""
    if len(table) < DEBUG_OFFSETS_BYTES or table[:8] != _COOKIE:
        raise ValueError("_Py_DebugOffsets is not there yet")
    if version >= (3, 14) and table[16]:
        return f"no Python line: the frames of a free-threaded Python {version[0]}.{version[1]} cannot be read"
    at: dict[str, int] = {}
    group, position = "", 24
    for word in _DEBUG_OFFSETS.split():
        if word.endswith(":"):
            group = word[:-1]
        elif version >= (3, 14) or not word.endswith("*"):
            at[f"{group}.{word.rstrip('*')}"] = struct.unpack_from("<Q", table, position)[0]
            position += 8
    return Layout(
        interpreters=at["runtime.interpreters_head"],
        next_interpreter=at["interpreter.next"],
        threads=at["interpreter.threads_head"],
        next_thread=at["thread.next"],
        frame=at["thread.current_frame"],
        code=at["frame.executable"],
        previous=at["frame.previous"],
        instruction=at["frame.instr_ptr"],
        filename=at["code.filename"],
        function=at["code.qualname"],
        line_table=at["code.linetable"],
        first_line=at["code.firstlineno"],
        native_id=at["thread.native_thread_id"],
        owner=at["frame.owner"],
        bytecode=at["code.co_code_adaptive"],
        ascii=at["unicode.asciiobject_size"],
        # A compact string that is not ASCII holds two words more: its UTF-8 length and pointer.
        compact=at["unicode.asciiobject_size"] + 16,
        length=at["unicode.length"],
        state=at["unicode.state"],
        bytes_size=at["bytes.ob_size"],
        bytes_data=at["bytes.ob_sval"],
        type=at["object.ob_type"],
    )
