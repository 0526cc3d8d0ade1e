"""The line tracker: notes, for each thread of a traced Python, which line of the user's own code it is at.

Runs inside the program, brought in by `sitecustomize.py` beside it, in interpreters whose frames cannot be read from
outside. In: the interpreter's events. Out: one anonymous shared mapping, which `python_lines.py` reads. It
opens no descriptor and prints nothing. A tracer of the program's own (a debugger, coverage) wins. Only modules that
are loaded anyway, and mmap: start-up time is the user's.

The mapping, in native 32-bit words. Changes are published by a single word, last:
    0-1  the bytes SOCKLABP          4  slots              8  code records
    2    layout version              5  words in a slot    9  bytes of all code records
    3    process id, 0 = not ready   6  slots begin (byte) 10 code records begin (byte)
    A code record is path, 0x1F, function, 0x00; record 0 is empty: a function for which there was no room.
    A slot is: 0 native thread id (0 = free), 1 depth, 2 lowest depth still known, 3 reserved, then a ring of
    FRAMES pairs (code record, line); the pair of depth d (1 = outermost) is number (d - 1) % FRAMES.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType

MAGIC = b"SOCKLABP"
VERSION = 1
SLOTS = 256
FRAMES = 16
SHOWN = 8
SLOT_WORDS = 4 + 2 * FRAMES
SLOTS_AT = 4096
RECORDS_AT = SLOTS_AT + SLOTS * SLOT_WORDS * 4
SIZE = RECORDS_AT + 257 * 1024 & ~4095
MAX_CODES = 20000


class _Thread:
    """What the tracker keeps of one thread. `top` is the word that holds the line of the innermost frame."""

    __slots__ = ("__weakref__", "base", "code", "codes", "drop", "low", "top")

    def __init__(self, base: int, drop: "object") -> None:
        self.base = base
        self.top = base + 5
        self.low = 1
        self.code: CodeType | None = None
        self.codes: list[CodeType] = []
        self.drop = drop

    def __del__(self) -> None:
        self.drop(self)  # type: ignore[operator]


def start(folder: str) -> None:
    """Begins to track this interpreter. Raises ImportError where something needed is missing."""
    import _thread
    import mmap

    get_frame, get_native_id, getpid = sys._getframe, _thread.get_native_id, os.getpid
    local = _thread._local()
    words = memoryview(b"")
    memory = None
    pid = 0
    free: list[int] = []
    records = bytearray()
    count = 0
    # id of a code object -> (the object itself, so that the id stays its own; its record, -1 = a library's)
    known: dict[int, tuple[CodeType, int]] = {}
    numbers: dict[tuple[str, str], int] = {}
    files: dict[str, bool] = {}

    library = [folder + os.sep, os.path.dirname(os.__file__) + os.sep]
    for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}:
        library += [os.path.join(prefix, name) + os.sep for name in ("lib", "lib64", "bin", "share")]
    roots = tuple(library)

    def create() -> None:
        nonlocal memory, words, pid, free
        memory = mmap.mmap(-1, SIZE)
        words = memoryview(memory).cast("I")
        memory[:8] = MAGIC
        words[2], words[4], words[5], words[6], words[10] = VERSION, SLOTS, SLOT_WORDS, SLOTS_AT, RECORDS_AT
        memory[RECORDS_AT : RECORDS_AT + len(records)] = bytes(records)
        words[9], words[8] = len(records), count
        free = [(SLOTS_AT >> 2) + index * SLOT_WORDS for index in range(SLOTS - 1, -1, -1)]
        pid = words[3] = getpid()

    def add_record(path: str, function: str) -> int:
        """Number of the record for a function, 0 where there is no room."""
        nonlocal count
        number = numbers.get((path, function))
        if number is None:
            raw = b"\x1f".join(
                text.encode("utf-8", "surrogateescape").replace(b"\0", b"").replace(b"\x1f", b"")[:4000]
                for text in (path, function)
            )
            begin = RECORDS_AT + len(records)
            if memory is None or begin + len(raw) + 1 > SIZE:
                return 0
            records.extend(raw + b"\0")
            memory[begin : begin + len(raw) + 1] = raw + b"\0"
            number = numbers[path, function] = count
            count += 1
            words[9], words[8] = len(records), count
        return number

    def classify(code: "CodeType", frame: "FrameType") -> int:
        """Record of a code object met for the first time, -1 where it is not the user's own."""
        name = code.co_filename
        own = files.get(name)
        if not own:
            main = frame.f_globals.get("__name__") == "__main__"
            if name.startswith("<"):
                own = main
            elif main:
                own = files[name] = True
            elif own is None:
                path = os.path.abspath(name)
                own = files[name] = (
                    not path.startswith(roots) and "/site-packages/" not in path and "/dist-packages/" not in path
                )
        record = -1
        if own:
            path = name if name.startswith("<") else os.path.abspath(name)
            record = add_record(path, getattr(code, "co_qualname", code.co_name))
            if len(known) > MAX_CODES:
                known.clear()
            known[id(code)] = code, record
        return record

    def drop(thread: "_Thread") -> None:
        # In the child of a fork the parent's other threads end here too, while its mapping is still shared.
        if thread.base and pid == getpid():
            words[thread.base] = 0
            words[thread.base + 1] = 0
            free.append(thread.base)

    def enter_thread() -> "_Thread":
        base = free.pop() if free else 0
        thread = _Thread(base, drop)
        local.thread = thread
        if base:
            words[base + 1], words[base + 2] = 0, 1
            words[base] = get_native_id()
        else:
            thread.top = 20  # more threads than slots: a word of the header that nobody reads
        return thread

    def push(thread: "_Thread", code: "CodeType", record: int, line: int) -> None:
        codes = thread.codes
        codes.append(code)
        thread.code = code
        base = thread.base
        if base:
            depth = len(codes)
            at = base + 4 + (depth - 1) % FRAMES * 2
            if depth - thread.low >= FRAMES:
                words[base + 2] = thread.low = depth - FRAMES + 1
            words[at] = record
            words[at + 1] = line
            thread.top = at + 1
            words[base + 1] = depth

    def pop(thread: "_Thread", code: "CodeType") -> None:
        codes = thread.codes
        if thread.code is not code or (thread.low > 1 and len(codes) - thread.low < SHOWN):
            rebuild(thread, get_frame(2).f_back)
            return
        codes.pop()
        depth = len(codes)
        thread.code = codes[-1] if codes else None
        base = thread.base
        if base:
            thread.top = base + 5 + (depth - 1) % FRAMES * 2
            words[base + 1] = depth

    def rebuild(thread: "_Thread", frame: "FrameType | None") -> None:
        """Takes the stack from the interpreter: after something went by unseen, or when the ring runs short."""
        stack: list[tuple[CodeType, int, int]] = []
        while frame is not None:
            code = frame.f_code
            entry = known.get(id(code))
            if entry is not None and entry[1] >= 0:
                stack.append((code, entry[1], frame.f_lineno or 0))
            frame = frame.f_back
        thread.codes.clear()
        thread.code = None
        thread.low = 1
        if thread.base:
            words[thread.base + 1], words[thread.base + 2] = 0, 1
            words[thread.base] = get_native_id()
        for code, record, line in reversed(stack):
            push(thread, code, record, line)

    def fork_in_child() -> None:
        nonlocal words
        old, shared = words, memory
        create()
        thread = getattr(local, "thread", None)
        if thread is not None and thread.base:
            base = free.pop()
            words[base + 1 : base + SLOT_WORDS] = old[thread.base + 1 : thread.base + SLOT_WORDS]
            thread.top += base - thread.base
            thread.base = base
            words[base] = get_native_id()
        old.release()
        try:
            shared.close()  # type: ignore[union-attr]
        except BufferError:
            words[11] += 1  # someone holds a view of it: the child keeps the old mapping, too

    records.extend(b"\x1f\0")
    count = 1
    create()
    os.register_at_fork(after_in_child=fork_in_child)

    if sys.version_info >= (3, 12):
        monitoring = sys.monitoring
        events = monitoring.events
        tool = 4 if monitoring.get_tool(4) is None else 3
        monitoring.use_tool_id(tool, "socklab")
        DISABLE = monitoring.DISABLE
        LOCAL = events.LINE | events.PY_RETURN | events.PY_YIELD | events.PY_RESUME

        def on_line(code, line):  # type: ignore[no-untyped-def]
            try:
                thread = local.thread
            except AttributeError:
                thread = enter_thread()
            if thread.code is not code:
                rebuild(thread, get_frame(1))
            words[thread.top] = line

        def on_start(code, _offset):  # type: ignore[no-untyped-def]
            entry = known.get(id(code))
            if entry is None:
                record = classify(code, get_frame(1))
                if record < 0:
                    return DISABLE
                monitoring.set_local_events(tool, code, LOCAL)
            else:
                record = entry[1]
            try:
                thread = local.thread
            except AttributeError:
                thread = enter_thread()
            push(thread, code, record, code.co_firstlineno)
            return None

        def on_resume(code, _offset, _error=None):  # type: ignore[no-untyped-def]
            entry = known.get(id(code))
            if entry is not None:
                try:
                    thread = local.thread
                except AttributeError:
                    thread = enter_thread()
                push(thread, code, entry[1], get_frame(1).f_lineno or 0)

        def on_end(code, _offset, _value):  # type: ignore[no-untyped-def]
            if id(code) in known:
                try:
                    thread = local.thread
                except AttributeError:
                    thread = enter_thread()
                pop(thread, code)

        for event, callback in (
            (events.LINE, on_line),
            (events.PY_START, on_start),
            (events.PY_RESUME, on_resume),
            (events.PY_THROW, on_resume),
            (events.PY_RETURN, on_end),
            (events.PY_YIELD, on_end),
            (events.PY_UNWIND, on_end),
        ):
            monitoring.register_callback(tool, event, callback)
        # A library's function is seen once, at its first call, and never again; unwinding cannot be chosen by code.
        monitoring.set_events(tool, events.PY_START | events.PY_UNWIND | events.PY_THROW)
        return

    installing = True

    def trace_lines(frame: "FrameType", event: str, _argument: object) -> "object":
        thread = local.thread
        if event == "line":
            if thread.code is not frame.f_code:
                rebuild(thread, frame)
            words[thread.top] = frame.f_lineno
        elif event == "return":
            pop(thread, frame.f_code)
        return trace_lines

    def trace_threading(frame: "FrameType", event: str, _argument: object) -> "object":
        """threading's own module body: when it is over, new threads can be told of the tracer."""
        nonlocal installing
        if event == "return":
            frame.f_globals["_trace_hook"] = trace_calls  # as threading.settrace does, without importing it early
        return trace_threading

    def trace_calls(frame: "FrameType", event: str, _argument: object) -> "object":
        code = frame.f_code
        entry = known.get(id(code))
        if entry is not None and entry[0] is code:
            record = entry[1]
        else:
            record = classify(code, frame)
            if record < 0:
                if code.co_name == "<module>" and frame.f_globals.get("__name__") == "threading":
                    frame.f_trace_lines = False
                    return trace_threading
                known[id(code)] = code, -1
        if record < 0:
            return None
        try:
            thread = local.thread
        except AttributeError:
            thread = enter_thread()
        if thread.code is None and thread.codes:
            rebuild(thread, frame.f_back)
        push(thread, code, record, frame.f_lineno or 0)
        return trace_lines

    def on_audit(event: str, _arguments: "tuple[object, ...]") -> None:
        # A tracer of the program's own takes this thread over: what is noted of it would go stale.
        if event == "sys.settrace" and not installing:
            thread = getattr(local, "thread", None)
            if thread is not None and thread.base:
                words[thread.base] = 0
                thread.code = None  # if this tracer is put back, it begins by rebuilding the stack

    sys.addaudithook(on_audit)
    sys.settrace(trace_calls)  # type: ignore[arg-type]
    installing = False
    if "threading" in sys.modules:
        sys.modules["threading"]._trace_hook = trace_calls  # type: ignore[attr-defined]
