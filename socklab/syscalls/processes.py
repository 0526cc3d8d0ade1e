"""Calls that make, end, wait for and signal processes; and the few of memory and time that a trace is full of.

Source: clone(2), execve(2), wait4(2), kill(2), sigaction(2), getrlimit(2), mmap(2), whose parameter names these are.
"""

from __future__ import annotations

from struct import unpack_from

from socklab.syscalls.call import Arg, Call, Field, Shown, Signature
from socklab.syscalls.constants_process import (
    CLOCKS,
    CLONE,
    CLONE_CHILD_CLEARTID,
    CLONE_CHILD_SETTID,
    CLONE_FILES,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_SETTLS,
    CLONE_THREAD,
    CLONE_VM,
    HANDLERS,
    MAP_FLAGS,
    MAP_TYPES,
    PROCMASK,
    PROTECTION,
    RESOURCES,
    SIGACTION,
    SIGNALS,
    WAIT,
    WAIT4,
    WAIT_FOR,
)
from socklab.syscalls.kinds import (
    DIRFD,
    FD,
    HEX,
    INT,
    LONG,
    PATH,
    POINTER,
    SIZE,
    TIMEOUT,
    Kind,
    arg,
    call,
    flags,
    named,
    pointer_text,
    string,
    unreadable,
)

# ---------------------------------------------------------------- signals


def signal_set(addr: int, found: bytes | None) -> Shown:
    """A sigset of 8 bytes: bit N-1 is signal N. A set of more than half of all is shown by what it lacks."""
    if not addr or not found or len(found) < 8:
        return unreadable(addr, found and b"")
    value = int.from_bytes(found[:8], "little")
    inverted = value.bit_count() >= 42  # two thirds: from there on strace shows the complement
    if inverted:
        value ^= (1 << 64) - 1
    names = [SIGNALS.text(at + 1).removeprefix("SIG") for at in range(64) if value >> at & 1]
    text = ("~" if inverted else "") + "[" + " ".join(names) + "]"
    return Shown(text, data=found[:8])


def _show_mask(call: Call, index: int) -> Shown:
    return signal_set(call.u64(index), call.before.at(call.u64(index), 8))


def _show_old_mask(call: Call, index: int) -> Shown:
    found = call.after.at(call.u64(index), 8) if call.done else None
    return signal_set(call.u64(index), found)


def _action(addr: int, raw: bytes | None) -> Shown:
    """The kernel's struct sigaction: handler, flags, restorer, mask, 8 bytes each."""
    if not addr or not raw or len(raw) < 32:
        return unreadable(addr, raw and b"")
    handler, bits, restorer = unpack_from("<QQQ", raw)
    name = HANDLERS.get(handler, hex(handler))
    mask = signal_set(1, raw[24:32]).text
    strace = f"{{sa_handler={name}, sa_mask={mask}, sa_flags={SIGACTION.strace(bits)}"
    if bits & 0x4000000:
        strace += f", sa_restorer={restorer:#x}"
    meaning = {0: "the usual effect", 1: "ignore it"}.get(handler, "call this function")
    fields = (
        Field("sa_handler", 0, 8, name),
        Field("sa_flags", 8, 8, SIGACTION.text(bits)),
        Field("sa_restorer", 16, 8, hex(restorer)),
        Field("sa_mask", 24, 8, mask),
    )
    return Shown(f"{{{name}}}", meaning, raw, fields, strace + "}")


SIGNAL = named("signal", SIGNALS)


def _show_signal(call: Call, index: int) -> Shown:
    shown = SIGNAL.show(call, index)
    return Shown("0", "no signal: only ask whether it could be sent") if call.u32(index) == 0 else shown


# ---------------------------------------------------------------- clone


def _clone_meaning(bits: int) -> str:
    if bits & CLONE_THREAD:
        return "a thread: same memory, same descriptor table"
    shared = [word for bit, word in ((CLONE_VM, "memory"), (CLONE_FILES, "the descriptor table")) if bits & bit]
    return (
        "a process that shares " + " and ".join(shared) if shared else "a process with a copy of the descriptor table"
    )


def _show_clone_flags(call: Call, index: int) -> Shown:
    value = call.u64(index)
    bits, signal = value & ~0xFF, value & 0xFF
    text = CLONE.text(bits) if bits else ""
    if signal:
        text += ("|" if text else "") + SIGNALS.text(signal)
    return Shown(text or "0", _clone_meaning(bits))


def _show_tid(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    data = call.after.at(addr, 4)
    if data and len(data) == 4 and call.done:
        return Shown(f"[{unpack_from('<i', data)[0]}]", data=data)
    return Shown(pointer_text(addr))


_CLONE3 = ("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls")


def _show_clone3(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    raw = call.before.at(addr, 64)
    if not raw or len(raw) < 64:
        return unreadable(addr, raw and b"")
    values = dict(zip(_CLONE3, unpack_from("<8Q", raw), strict=True))
    bits = values["flags"]
    parts = [f"flags={CLONE.strace(bits)}"]
    for name, bit in (("child_tid", CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID), ("parent_tid", CLONE_PARENT_SETTID)):
        if bits & bit:
            parts.append(f"{name}={pointer_text(values[name])}")
    parts.append(f"exit_signal={SIGNALS.text(values['exit_signal'])}")
    parts.append(f"stack={pointer_text(values['stack'])}")
    parts.append(f"stack_size={hex(values['stack_size']) if values['stack_size'] else '0'}")
    if bits & CLONE_SETTLS:
        parts.append(f"tls={pointer_text(values['tls'])}")
    strace = "{" + ", ".join(parts) + "}"
    tid = call.after.at(values["parent_tid"], 4) if bits & CLONE_PARENT_SETTID else None
    if call.done and tid and len(tid) == 4:
        strace += f" => {{parent_tid=[{unpack_from('<i', tid)[0]}]}}"
    fields = tuple(Field(name, at * 8, 8, hex(values[name])) for at, name in enumerate(_CLONE3))
    return Shown(f"{{{CLONE.text(bits)}}}", _clone_meaning(bits), raw, fields, strace)


def clone_arguments(call: Call) -> list[str]:
    """strace's own order and names of clone's registers, which stand differently on each architecture."""
    bits = call.u64(0)
    tls, child = (4, 3) if call.arch == "x86_64" else (3, 4)
    parts = [f"child_stack={pointer_text(call.u64(1))}", f"flags={_show_clone_flags(call, 0).text}"]
    if bits & (CLONE_PARENT_SETTID | CLONE_PIDFD):
        parts.append(f"parent_tid={_show_tid(call, 2).text}")
    if bits & CLONE_SETTLS:
        parts.append(f"tls={pointer_text(call.u64(tls))}")
    if bits & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID):
        parts.append(f"child_tidptr={pointer_text(call.u64(child))}")
    return parts


# ---------------------------------------------------------------- exec and wait


def _show_argv(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    array = call.before.at(addr, 8192)
    if not addr or not array:
        return unreadable(addr, array)
    texts, straces = [], []
    for at in range(0, len(array) // 8 * 8, 8):
        (pointer,) = unpack_from("<Q", array, at)
        if not pointer:
            break
        shown = string(call.before.at(pointer, 4096), pointer, call.string_limit)
        texts.append(shown.text)
        straces.append(shown.strace or shown.text)
    if len(straces) > call.string_limit:
        straces = [*straces[: call.string_limit], "..."]
    return Shown("[" + ", ".join(texts) + "]", "its arguments", strace="[" + ", ".join(straces) + "]")


def _show_envp(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    array = call.before.at(addr, 1 << 16)
    if not addr or not array:
        return unreadable(addr, array)
    count = len(array) // 8 - (array[-8:] == bytes(8))
    many = f"{count} var{'' if count == 1 else 's'}"
    return Shown(many, "its environment", strace=f"{addr:#x} /* {many} */")


def status_text(status: int) -> Shown:
    """A wait status: how a child ended or stopped."""
    if status & 0x7F == 0:
        code = status >> 8 & 0xFF
        return Shown(f"exited with {code}", strace=f"WIFEXITED(s) && WEXITSTATUS(s) == {code}")
    if status & 0xFF == 0x7F:
        name = SIGNALS.text(status >> 8 & 0xFF)
        return Shown(f"stopped by {name}", strace=f"WIFSTOPPED(s) && WSTOPSIG(s) == {name}")
    name = SIGNALS.text(status & 0x7F)
    core = " && WCOREDUMP(s)" if status & 0x80 else ""
    return Shown(f"killed by {name}", strace=f"WIFSIGNALED(s) && WTERMSIG(s) == {name}{core}")


def _show_status(call: Call, index: int) -> Shown:
    addr = call.u64(index)
    data = call.after.at(addr, 4)
    if not addr or not data or len(data) < 4 or not call.result or call.result < 0:
        return Shown(pointer_text(addr))
    shown = status_text(unpack_from("<I", data)[0])
    return Shown(f"[{shown.text}]", shown.text, data, strace=f"[{{{shown.strace}}}]")


# ---------------------------------------------------------------- limits and memory


def _limit(value: int) -> str:
    if value == (1 << 64) - 1:
        return "RLIM64_INFINITY"
    return f"{value // 1024}*1024" if value > 1024 and value % 1024 == 0 else str(value)


def _limits(addr: int, raw: bytes | None) -> Shown:
    if not addr or not raw or len(raw) < 16:
        return unreadable(addr, raw and b"")
    soft, hard = unpack_from("<QQ", raw)
    words = ["unlimited" if each == (1 << 64) - 1 else str(each) for each in (soft, hard)]
    fields = (Field("rlim_cur", 0, 8, words[0]), Field("rlim_max", 8, 8, words[1]))
    strace = f"{{rlim_cur={_limit(soft)}, rlim_max={_limit(hard)}}}"
    return Shown(f"{{{words[0]} of {words[1]}}}", f"limit {words[0]}, may be raised to {words[1]}", raw, fields, strace)


def _show_map_flags(call: Call, index: int) -> Shown:
    value = call.u32(index)
    rest = value & ~0xF
    text = MAP_TYPES.text(value & 0xF)
    return Shown(f"{text}|{MAP_FLAGS.text(rest)}" if rest else text)


# ---------------------------------------------------------------- the calls

_STATUS = arg("wstatus", Kind("status", _show_status), "how it ended")
_NEW_ACTION = Kind("sigaction", lambda call, index: _action(call.u64(index), call.before.at(call.u64(index), 32)))
_OLD_ACTION = Kind(
    "sigaction", lambda call, index: _action(call.u64(index), call.after.at(call.u64(index), 32) if call.done else None)
)
_NEW_LIMIT = Kind("rlimit", lambda call, index: _limits(call.u64(index), call.before.at(call.u64(index), 16)))
_OLD_LIMIT = Kind(
    "rlimit", lambda call, index: _limits(call.u64(index), call.after.at(call.u64(index), 16) if call.done else None)
)
_SIG = arg("sig", Kind("signal", _show_signal), "which signal")
_RESOURCE = arg("resource", named("resource", RESOURCES), "which limit")
_TID = Kind("tid", _show_tid)
_ARGV = arg("argv", Kind("argv", _show_argv), "its arguments")
_ENVP = arg("envp", Kind("envp", _show_envp), "its environment")
_SIZE = arg("sigsetsize", SIZE)
_PROT = arg("prot", flags(PROTECTION), "what may be done with it")
_CODE = arg("status", INT, "0 = all went well")
_REQUEST = arg("req", TIMEOUT, "how long")

_FORK = "Make a copy of this process. Both go on from here, with copies of the same descriptors."


def _plain(name: str, meaning: str, *args: Arg, result: str = "number") -> Signature:
    return call(name, meaning, *args, result=result)


CALLS = (
    _plain("fork", _FORK, result="child"),
    _plain("vfork", "Make a child that borrows this process's memory until it runs another program.", result="child"),
    call(
        "clone",
        _FORK.split(".")[0] + ", or a thread of it.",
        arg("flags", Kind("flags", _show_clone_flags), "what is shared"),
        arg("stack", POINTER),
        arg("parent_tid", _TID),
        arg("child_tid", POINTER),
        arg("tls", POINTER),
        result="child",
    ),
    call(
        "clone3",
        _FORK.split(".")[0] + ", or a thread of it.",
        arg("cl_args", Kind("clone_args", _show_clone3), "what is shared"),
        arg("size", SIZE),
        result="child",
    ),
    call(
        "execve",
        "Run another program in this process. Its descriptors stay open, except close-on-exec.",
        arg("pathname", PATH, "the program"),
        _ARGV,
        _ENVP,
    ),
    call(
        "execveat",
        "Run another program in this process.",
        arg("dirfd", DIRFD),
        arg("pathname", PATH),
        _ARGV,
        _ENVP,
        arg("flags", HEX),
    ),
    call("exit", "End this thread.", _CODE, result="none"),
    call("exit_group", "End the process. The kernel closes its descriptors.", _CODE, result="none"),
    call(
        "wait4",
        "Wait for a child to end, and collect how it did.",
        arg("pid", INT, "which child; -1 = any"),
        _STATUS,
        arg("options", flags(WAIT4)),
        arg("rusage", POINTER),
        result="waited",
    ),
    call(
        "waitid",
        "Wait for a child to change state.",
        arg("idtype", named("idtype", WAIT_FOR)),
        arg("id", INT),
        arg("infop", POINTER),
        arg("options", flags(WAIT)),
        arg("rusage", POINTER),
    ),
    call("kill", "Send a signal to a process.", arg("pid", INT, "to whom"), _SIG),
    call("tkill", "Send a signal to a thread.", arg("tid", INT, "to whom"), _SIG),
    call("tgkill", "Send a signal to a thread of a process.", arg("tgid", INT), arg("tid", INT, "to whom"), _SIG),
    call(
        "rt_sigaction",
        "Say what is to happen when a signal comes.",
        arg("signum", SIGNAL, "which signal"),
        arg("act", _NEW_ACTION, "what from now on"),
        arg("oldact", _OLD_ACTION, "what until now"),
        _SIZE,
    ),
    call(
        "rt_sigprocmask",
        "Hold back signals, or let them through again.",
        arg("how", named("how", PROCMASK)),
        arg("set", Kind("sigset", _show_mask)),
        arg("oldset", Kind("sigset", _show_old_mask)),
        _SIZE,
    ),
    call("nanosleep", "Sleep.", _REQUEST, arg("rem", POINTER)),
    call(
        "clock_nanosleep",
        "Sleep.",
        arg("clockid", named("clock", CLOCKS)),
        arg("flags", HEX),
        _REQUEST,
        arg("rem", POINTER),
    ),
    _plain("pause", "Sleep until a signal comes."),
    _plain("getpid", "Ask for the number of this process."),
    _plain("getppid", "Ask for the number of the parent process."),
    _plain("gettid", "Ask for the number of this thread."),
    _plain("getuid", "Ask for the user."),
    _plain("geteuid", "Ask for the user whose rights count."),
    _plain("getgid", "Ask for the group."),
    _plain("getegid", "Ask for the group whose rights count."),
    _plain("setsid", "Start a new session."),
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
    call(
        "set_robust_list",
        "Tell the kernel of locks to release if the thread dies.",
        arg("head", POINTER),
        arg("len", SIZE),
    ),
    call("set_tid_address", "Name the place to clear when the thread ends.", arg("tidptr", POINTER), result="number"),
    call("sched_yield", "Let others run."),
    call("alarm", "Ask for SIGALRM after a time.", arg("seconds", LONG), result="number"),
)
