"""Limits, memory, sleep and the numbers of a process: calls that a trace is full of and a lesson seldom about.

Source: getrlimit(2), mmap(2), nanosleep(2), getpid(2), whose parameter names these are.
"""

from __future__ import annotations

from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_process import CLOCKS, MAP_FLAGS, MAP_TYPES, PROTECTION, RESOURCES
from socklab.syscalls.kinds import FD, HEX, INT, POINTER, SIZE, TIMEOUT, Kind, arg, call, flags, named, unreadable

_INFINITY = (1 << 64) - 1


def _limit(value: int) -> str:
    if value == _INFINITY:
        return "RLIM64_INFINITY"
    return f"{value // 1024}*1024" if value > 1024 and value % 1024 == 0 else str(value)


def _limits(addr: int, raw: bytes | None) -> Shown:
    if not addr or not raw or len(raw) < 16:
        return unreadable(addr, raw and b"")
    soft, hard = unpack_from("<QQ", raw)
    words = ["unlimited" if each == _INFINITY else str(each) for each in (soft, hard)]
    fields = (Field("rlim_cur", 0, 8, words[0]), Field("rlim_max", 8, 8, words[1]))
    strace = f"{{rlim_cur={_limit(soft)}, rlim_max={_limit(hard)}}}"
    return Shown(f"{{{words[0]} of {words[1]}}}", f"limit {words[0]}, may be raised to {words[1]}", raw, fields, strace)


def _show_map_flags(call: Call, index: int) -> Shown:
    value = call.u32(index)
    rest = value & ~0xF
    text = MAP_TYPES.text(value & 0xF)
    return Shown(f"{text}|{MAP_FLAGS.text(rest)}" if rest else text)


_NEW_LIMIT = Kind("rlimit", lambda call, index: _limits(call.u64(index), call.before.at(call.u64(index), 16)))
_OLD_LIMIT = Kind(
    "rlimit", lambda call, index: _limits(call.u64(index), call.after.at(call.u64(index), 16) if call.done else None)
)
_RESOURCE = arg("resource", named("resource", RESOURCES), "which limit")
_PROT = arg("prot", flags(PROTECTION), "what may be done with it")
_REQUEST = arg("req", TIMEOUT, "how long")

CALLS = (
    call(
        "prlimit64",
        "Ask or set a limit.",
        arg("pid", INT, "of which process; 0 = this one"),
        _RESOURCE,
        arg("new_limit", _NEW_LIMIT),
        arg("old_limit", _OLD_LIMIT),
    ),
    call("getrlimit", "Ask for a limit.", _RESOURCE, arg("rlim", _OLD_LIMIT)),
    call("setrlimit", "Set a limit.", _RESOURCE, arg("rlim", _NEW_LIMIT)),
    call(
        "mmap",
        "Map memory or a file into the program's memory.",
        arg("addr", POINTER),
        arg("length", SIZE),
        _PROT,
        arg("flags", Kind("flags", _show_map_flags)),
        arg("fd", FD),
        arg("offset", HEX),
        result="address",
    ),
    call("munmap", "Give memory back.", arg("addr", POINTER), arg("length", SIZE)),
    call("mprotect", "Change what may be done with memory.", arg("addr", POINTER), arg("len", SIZE), _PROT),
    call("brk", "Move the end of the heap.", arg("addr", POINTER), result="address"),
    call("nanosleep", "Sleep.", _REQUEST, arg("rem", POINTER)),
    call(
        "clock_nanosleep",
        "Sleep.",
        arg("clockid", named("clock", CLOCKS)),
        arg("flags", HEX),
        _REQUEST,
        arg("rem", POINTER),
    ),
    call("getpid", "Ask for the number of this process.", result="number"),
    call("getppid", "Ask for the number of the parent process.", result="number"),
    call("gettid", "Ask for the number of this thread.", result="number"),
    call("getuid", "Ask for the user.", result="number"),
    call("geteuid", "Ask for the user whose rights count.", result="number"),
    call("getgid", "Ask for the group.", result="number"),
    call("getegid", "Ask for the group whose rights count.", result="number"),
    call("setsid", "Start a new session.", result="number"),
    call(
        "set_robust_list",
        "Tell the kernel of locks to release if the thread dies.",
        arg("head", POINTER),
        arg("len", SIZE),
    ),
    call("set_tid_address", "Name the place to clear when the thread ends.", arg("tidptr", POINTER), result="number"),
    call("sched_yield", "Let others run."),
)
