"""What may differ between two runs of one program, and the first difference that may not.

In: two Traces of parity_run. Out: each thread's calls, signals and end as lines that are equal whenever the program did
the same, whoever traced it and when; "" or the first lines that differ.
"""

from __future__ import annotations

import collections
import difflib
import re
import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

from tests.support import strace
from tests.support.parity_view import arguments, without_comments

_NAMES_OF_FILES = """faccessat faccessat2 fchmodat fchmodat2 fchownat futimesat linkat mkdirat mknodat name_to_handle_at
readlinkat renameat renameat2 symlinkat unlinkat utimensat"""
_UPKEEP = """fadvise64 readahead sync_file_range syncfs fchdir fchmod fchown fstatfs fsetxattr fgetxattr flistxattr
fremovexattr cachestat"""
_KERNEL = """bpf fanotify_init fanotify_mark finit_module fsconfig fsmount fsopen fspick kexec_file_load
landlock_add_rule landlock_create_ruleset landlock_restrict_self memfd_secret mount_setattr move_mount open_by_handle_at
open_tree perf_event_open process_madvise process_mrelease quotactl_fd setns userfaultfd mq_getsetattr mq_notify mq_open
mq_timedreceive mq_timedsend"""
LEFT_OUT = {
    "mmap": "memory; the most frequent call of many programs",
    **dict.fromkeys(
        ("rt_sigprocmask", "rt_sigreturn", "sigaltstack"), "each thread's birth and each handler's end makes them"
    ),
    **dict.fromkeys(_NAMES_OF_FILES.split(), "files by their names"),
    **dict.fromkeys(_UPKEEP.split(), "upkeep of files"),
    **dict.fromkeys(_KERNEL.split(), "for those who administer a machine"),
}
"""Calls of strace's %network, %desc, %process, %signal that a run does not report, and why; docs/run.md lists them."""
_PATHS = re.compile(r"^(newfstatat|statx)\((?!.*AT_EMPTY_PATH)")
"""stat by a name is left out too; fstat, which the C library makes as the same call, is not."""


def left_out(line: str) -> bool:
    return strace.name_of(line) in LEFT_OUT or bool(_PATHS.match(line))


class Trace(NamedTuple):
    """One run as a tracer told it.

    `tasks`: per thread its calls as strace's lines, its signals (`--- SIGTERM, sent by process 1, ---`) and its end
    (`+++ exited with 0 +++`), in order. `ended`: (thread, call) as they returned. `untold`: what a user's view of a
    call does not say, or says wrongly (parity_view).
    """

    tasks: dict[int, list[str]]
    ended: list[tuple[int, str]]
    names: frozenset[str]
    untold: tuple[str, ...] = ()


WORDS = (
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "PTR"),
    (re.compile(r"left \{tv_sec=\d+, tv_(nsec|usec)=\d+\}"), r"left {\1}"),
    (re.compile(r"^(p(?:select6|poll)\(.*)\{tv_sec=\d+, tv_nsec=[1-9]\d*\}"), r"\1{TIME}"),  # until a clock of its own
    (re.compile(r"^kill\(-( *TASK|\d+)"), "kill(-GROUP"),
    (re.compile(r"\btv_sec=\d{9,}, tv_(usec|nsec)=\d+"), "TIME"),
    (re.compile(r"\bmakedev\(0x88, \w+\)"), "PTS"),
    (re.compile(r"\b(stx?_[acmb]time)=(\d+|\{[^}]*\})"), r"\1=TIME"),
    (re.compile(r"\b(st_[acm]time_nsec|stx?_ino|d_ino|d_off|stx_mnt_id|stx?_blocks)=\w+"), r"\1=N"),
    (re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"), "DATE"),
    (re.compile(r"\d{1,4}[-/](\d\d|\w{3})[-/:]\d{2,4}[ T:]\d\d:\d\d:\d\d([.,]\d+)?( [+-]\d{4})?"), "DATE"),
    (re.compile(r"\w{3} \w{3} +\d+ \d\d:\d\d:\d\d(\.\d+)? \d{4}|\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d+"), "DATE"),
    (re.compile(r"wgunicorn-\w{8}|(?<=/)tmp\w{8}\b|(?<=\"/tmp/)[a-z0-9_]{8}(?=\")"), "NAME"),
    (re.compile(r"(?<=PORT)\.\w{6}(?=\")"), ".NAME"),
    (re.compile(r"/dev/pts/\d+"), "/dev/pts/N"),
    (re.compile(r"data=\{u32=\d+, u64=\d{10,}\}"), "data=PTR"),
    # What is left until a clock of the server's own; nothing where its time has come.
    (re.compile(r"^(epoll_p?wait\(\d+, (?:\[.*\]|PTR), \d+, )\d+"), r"\1MS"),
    (re.compile(r"(in|took) \d+(\.\d+)? ?(m|u|µ)?s\b"), r"\1 TIME"),
)
_PORT = re.compile(r"htons\((\d+)\)|(?<=:)(\d{4,5})\b")
# A wait whose time ran out, that found no child, or that a signal interrupted.
_TIMED_OUT = re.compile(
    r"^(poll|ppoll|select|pselect6|epoll_p?wait2?|wait4|waitid)\(.* = (0( \(Timeout\))?$|\? ERESTART|-1 EINTR )"
)
_CHILD_CHANGED = "--- SIGCHLD ---"
_AGAIN = re.compile(r"^(restart_syscall|futex)\(")
_TERMINAL = re.compile(r"^ioctl\(\d+, (SNDCTL_TMR_\w+ or )?TC[GS]ETS")
_NETLINK = re.compile(r"^(send|recv)(to|from|msg)\(.*sa_family=AF_NETLINK")
_FD_USED = re.compile(r"^(\w+\((?:AT_FDCWD, )?)(?:[4-9]|[1-9]\d+)\b")
_FD_GIVEN = re.compile(r"^((?:accept4?|openat|open|socket|dup)\(.* = )(?:[4-9]|[1-9]\d+)$")
_BORN = re.compile(r"^(?:clone3?|v?fork)\(.* = (\d+)$")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_CLEARED = re.compile(r"(?<=parent_tid=)\[0\]")
_NAMES_SOCKET = re.compile(
    r"^(socket|bind|listen|accept4?|connect|[gs]etsockopt|get(sock|peer)name|shutdown|sendto|sendmsg|recvfrom|recvmsg)\("
)


def told(text: str) -> str:
    """A line of strace; of a signal, `--- SIGX {...} ---`, what a user reads: `--- SIGX, sent by process N, ---`."""
    if not text.startswith("---"):
        return text
    found = re.match(r"--- (\w+) \{(.*)\} ---", text)
    if not found:
        return ""  # "stopped by SIGSTOP": no signal is delivered then
    name, inside = found[1], found[2]
    realtime = re.match(r"SIGRT_(\d+)", name)
    name = f"signal {32 + int(realtime[1])}" if realtime else name
    sender, address = re.search(r"si_pid=(\d+)", inside), re.search(r"si_addr=(0x\w+)", inside)
    if sender and re.search("si_code=SI_(USER|TKILL|QUEUE|MESGQ)", inside):
        return f"--- {name}, sent by process {sender[1]}, ---"
    return f"--- {name}, for address {address[1]}, ---" if address else f"--- {name} ---"


def _spelled_alike(line: str) -> str:
    """Without strace's remarks, and without what socklab does not open (parity_view.OPEN)."""
    line = re.sub(r"/pytest-\d+/", "/pytest-N/", without_comments(line))
    if _TERMINAL.match(line) or _NETLINK.match(line):
        return strace.shallow(line)
    if line.startswith("execve"):
        given, result = arguments(line)
        at = 3 if line.startswith("execveat") else 2
        return f"{strace.name_of(line)}({', '.join(given[:at])}, ENV) = {result}"
    if line.startswith("getdents") and int(line.rpartition(" = ")[2].split()[0]) > _ENTRIES_BYTES:
        return strace.shallow(line)
    return _INTERFACE.sub(lambda found: str(socket.if_nametoindex(found[1])), _USED.sub("", line))


_ENTRIES_BYTES = 2048
_INTERFACE = re.compile(r'if_nametoindex\("([^"]+)"\)')
_USED = re.compile(r", si_utime=\d+, si_stime=\d+")


def comparable(trace: Trace, ports: Sequence[int], *, one_line: bool = False, any_fd: bool = False) -> list[list[str]]:
    """The threads' calls, equal whenever the program did the same. `ports`: those the test chose, which stay."""
    tids = {str(tid) for tid in trace.tasks} | {
        found[1] for lines in trace.tasks.values() for line in lines if (found := _BORN.match(line))
    }
    # With the blanks that make up for a shorter id; a file may be as many bytes long.
    ids = re.compile(r" *(?<!\\)(?<!_size=)\b(" + "|".join(tids) + r")\b")
    in_bytes = re.compile("|".join(_as_bytes(int(tid)) for tid in tids))
    chosen = re.compile(r"\b(" + "|".join(map(str, ports or (-1,))) + r")\b")
    named: dict[str, str] = {"0": "0"}

    def port(found: re.Match[str]) -> str:
        number = found[1] or found[2]
        word = named.get(number, "P")
        return f"htons({word})" if found[1] else word

    def words(line: str) -> str:
        line = _spelled_alike(line)
        if line.startswith(("sendmsg", "recvmsg")) or line.endswith(
            ", 128) = 128"
        ):  # or read a struct signalfd_siginfo
            # Processes that tell each other who they are; of an id that begins with a digit's byte \000 stands before.
            line = in_bytes.sub("TASK", line).replace("\\000TASK", "\\0TASK")
        if line.startswith(("read(", "pread", "lseek(")):  # their sizes and results are bytes, however they look
            renamed = _QUOTED.sub(lambda text: ids.sub("TASK", text[0]), line)
        else:
            renamed = _CLEARED.sub("[TASK]", ids.sub("TASK", line))
        if renamed != line and line.startswith("write"):
            # A process id of another width makes the text that names it longer: its size and the result.
            renamed = re.sub(r", \d+\) = \d+$", ", SIZE) = SIZE", renamed)
        line = chosen.sub("PORT", renamed)
        for pattern, word in WORDS:
            line = pattern.sub(word, line)
        if any_fd:
            line = _FD_GIVEN.sub(r"\1FD", _FD_USED.sub(r"\1FD", line))
        return _PORT.sub(port, line)

    def kept(line: str) -> bool:
        if line.endswith(" = ?") and not line.startswith("exit"):
            return False  # it was killed in this call
        if "st_nlink=0" in line:
            return False  # a file without a name, by which a server's processes tell each other that they live
        if line == _CHILD_CHANGED:
            return False  # it comes whenever a child ends, and several may come as one
        return not _TIMED_OUT.match(line) and not _AGAIN.match(line)

    if one_line:
        return [[words(line) for _, line in trace.ended if _NAMES_SOCKET.match(line)]]
    threads = [_without_machine([words(line) for line in lines if kept(line)]) for lines in trace.tasks.values()]
    if threads and threads[0] and strace.name_of(threads[0][0]) == "execve":
        threads[0] = threads[0][1:]  # the one that started the trace
    return [lines for lines in threads if lines]


def _as_bytes(number: int) -> str:
    """A pattern for the number as an int in memory, as strace writes such bytes in a string."""
    written = []
    for byte in struct.pack("=i", number):
        if byte in b'"\\\\':
            written.append("\\\\\\" + chr(byte))
        elif byte in b"\n\t\r\v\f":
            written.append("\\\\" + "tnvfr"[b"\t\n\v\f\r".index(byte)])
        else:
            written.append(re.escape(chr(byte)) if 32 <= byte < 127 else rf"\\0{{0,2}}{byte:o}")
    return "".join(written)


_OPENED = re.compile(r'^open(?:at)?\(.*"/(?:proc|sys|dev)/.*\) = (\d+)$')
_OF_FD = re.compile(r"^(\w+)\((\d+)\b")


def _without_machine(lines: list[str]) -> list[str]:
    """Leave out what is done with files of /proc, /sys and /dev: it is the machine's, and a server's clock asks it."""
    machine: set[str] = set()
    out: list[str] = []
    for line in lines:
        opened, of = _OPENED.match(line), _OF_FD.match(line)
        if opened:
            machine.add(opened[1])
        elif of and of[2] in machine:
            if of[1] == "close":
                machine.discard(of[2])
            if of[1] in ("dup", "dup2", "dup3", "fcntl"):
                out.append(line)
        else:
            out.append(line)
    return out


def first_difference(ours: list[list[str]], theirs: list[list[str]]) -> str:
    """Empty, or the first lines that differ in the most similar pair of threads that are not equal."""
    left = collections.Counter(tuple(lines) for lines in ours)
    right = collections.Counter(tuple(lines) for lines in theirs)
    only_ours, only_theirs = list((left - right).elements()), list((right - left).elements())
    if not only_ours and not only_theirs:
        return ""
    pairs = [(difflib.SequenceMatcher(None, b, a).ratio(), a, b) for a in only_ours[:8] for b in only_theirs[:8]]
    _, a, b = max(pairs, key=lambda pair: pair[0]) if pairs else (0, *[(*only_ours, ()), (*only_theirs, ())])
    flat_a, flat_b = [str(line) for line in a], [str(line) for line in b]
    shown = list(difflib.unified_diff(flat_b, flat_a, "strace", "socklab", lineterm="", n=2))[:24]
    return f"{len(only_ours)} of {len(ours)} threads are not among strace's {len(theirs)}\n" + "\n".join(shown)
