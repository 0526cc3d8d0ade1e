"""Facts of processes as /proc tells them: stat, status, command line, descent.

In: a process or thread id. Out: plain values; a process that is gone has none. Kept lean: it is imported before the
engine is started. Never acts on a process.

Source: proc_pid_stat(5), proc_pid_status(5), proc_pid_cmdline(5).
"""

from __future__ import annotations

import os
from typing import NamedTuple

from socklab.core.errors import SocklabError


class ProcFormatError(SocklabError):
    """A line of a /proc file is not what proc(5) says; names the line."""

    def __init__(self, kind: str, line: str) -> None:
        super().__init__(
            f"{kind}: this line does not fit: {line!r}",
            fix="This kernel writes the file in a form socklab does not know: please report it with `uname -a`.",
        )


class Stat(NamedTuple):
    """/proc/PID/stat. `name` is raw (surrogateescape); `ticks` is user plus system time of the whole process."""

    pid: int
    name: str
    state: str
    ppid: int
    session: int
    flags: int
    """PF_ flags of include/linux/sched.h."""
    ticks: int
    threads: int
    start_ticks: int
    rss_pages: int
    processor: int
    """The one it ran on last."""


def parse_stat(text: str) -> Stat:
    """One process or thread. Raises ProcFormatError.

    The name is in parentheses and may itself hold parentheses, spaces and newlines: the last `)` ends it.
    """
    head, _, rest = text.rpartition(")")
    pid, _, name = head.partition("(")
    fields = rest.split()
    try:
        numbers = [int(fields[at]) for at in (1, 3, 6, 11, 12, 17, 19, 21, 36)]
        ppid, session, flags, user, system, threads, start, rss, processor = numbers
        return Stat(int(pid), name, fields[0], ppid, session, flags, user + system, threads, start, rss, processor)
    except (ValueError, IndexError) as error:
        raise ProcFormatError("/proc/PID/stat", text) from error


def read_stat(tid: int) -> Stat:
    """State of one task; memory, threads and time are those of its whole process. Raises OSError when it is gone."""
    with open(f"/proc/{tid}/stat", encoding="utf-8", errors="surrogateescape") as file:
        return parse_stat(file.read())


_EXITING = 0x00000004  # PF_EXITING: do_exit has begun


def is_over(tid: int) -> bool:
    """The task is a zombie, gone, or about to be. A leader that has ended by pthread_exit stays one until its last
    thread has.

    In do_exit its descriptors and its memory go (exit_files, exit_mm) before it becomes a zombie (exit_notify).
    """
    try:
        stat = read_stat(tid)
    except OSError:
        return True
    return stat.state in "ZX" or bool(stat.flags & _EXITING)


def living_task(pid: int) -> int:
    """A thread of the process whose descriptors and memory can be read; `pid` itself where there is none.

    That is the leader, unless it has ended and other threads go on: its own entries of /proc are empty then.
    """
    if not is_over(pid):
        return pid
    try:
        others = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return pid  # the whole process is gone
    return next((tid for tid in others if tid != pid and not is_over(tid)), pid)


def read_status(tid: int) -> dict[str, str]:
    """The lines of /proc/PID/status by name; {} when there is no such task."""
    try:
        with open(f"/proc/{tid}/status", encoding="utf-8", errors="replace") as file:
            return {key: value.strip() for key, _, value in (line.partition(":") for line in file)}
    except OSError:
        return {}


def read_switch(path: str) -> str:
    """What a file of one line says, such as a switch below /proc/sys; "" where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""  # not every kernel has every switch


def read_argv(pid: int) -> tuple[str, ...]:
    """Its command line; () when it is gone, or is a thread of the kernel."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            raw = file.read()
    except OSError:
        return ()
    return tuple(part.decode("utf-8", "replace") for part in raw.split(b"\0")[:-1])


def read_processes() -> dict[int, Stat]:
    """Every process of this machine that /proc shows."""
    found: dict[int, Stat] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found[int(name)] = read_stat(int(name))
            except OSError:  # it ended since the directory was read
                continue
    return found


def read_descendants(of: int) -> dict[int, Stat]:
    """Children of `of`, their children, and so on: parents first.

    A thread other than the leader may be the parent: the kernel lists the leader.
    """
    by_parent: dict[int, list[Stat]] = {}
    for process in sorted(read_processes().values()):
        by_parent.setdefault(process.ppid, []).append(process)
    found: dict[int, Stat] = {}
    waiting = [of]
    while waiting:
        for child in by_parent.get(waiting.pop(0), ()):
            if child.pid not in found:
                found[child.pid] = child
                waiting.append(child.pid)
    return found
