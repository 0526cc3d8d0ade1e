"""What ended the engine, in words: a limit of this machine that was reached, or a fault of socklab's.

In: an exception, and this process's limits. Out: a SocklabError to show. Never raises, never acts.
"""

from __future__ import annotations

import errno
import os
import resource
import traceback

from socklab.core.errors import MachineError, SocklabError

FAILED = 70
"""Exit status of an engine that could not even say so: EX_SOFTWARE of sysexits.h."""

_LIMITS: dict[int | None, tuple[str, int, int, str, str]] = {
    errno.EMFILE: ("open files", resource.RLIMIT_NOFILE, 1, "-n", "1024"),
    errno.ENOMEM: ("memory", resource.RLIMIT_AS, 1024, "-v", "unlimited"),
    errno.EAGAIN: ("processes and threads", resource.RLIMIT_NPROC, 1, "-u", "unlimited"),
}
"""errno to what there is too little of: its name, its limit, the limit's unit, ulimit's option, and what to set."""


def explain(error: BaseException) -> SocklabError:
    """What happened, why, and what to do. The traceback goes to stderr where it is nobody's limit."""
    if isinstance(error, SocklabError):
        return error
    number = error.errno if isinstance(error, OSError) else None
    bounded = _allowed(resource.RLIMIT_AS) != resource.RLIM_INFINITY
    if isinstance(error, MemoryError) or (bounded and isinstance(error, SystemError)):  # some C code forgets to say it
        number = errno.ENOMEM
    elif isinstance(error, RuntimeError) and "new thread" in str(error):  # "can't start new thread", for any reason
        number = errno.ENOMEM if bounded else errno.EAGAIN  # its stack is memory
    if number in (errno.ENOSYS, errno.EPERM, errno.EACCES):
        said = f"This machine refuses the lab something it needs ({error})."
        return MachineError(said, fix="Run `socklab doctor`: it names what refuses and the exact fix.")
    if isinstance(error, RuntimeError) and number == errno.EAGAIN and not _many_tasks():
        return MachineError(
            "No thread could be started here, though the user has few: a container's filter, or its own limit.",
            fix="Run `socklab doctor`: it names what refuses and the exact fix.",
        )
    known = _LIMITS.get(number)
    if known is None:
        traceback.print_exception(error)
        said = traceback.format_exception_only(error)[-1].strip()
        return SocklabError(f"The engine failed: {said}.", fix="This is a bug in socklab: please report it.")
    what, limit, unit, option, enough = known
    soft = _allowed(limit)
    if soft == resource.RLIM_INFINITY:
        return MachineError(f"This machine has no {what} left for the lab.", fix="End other programs and start again.")
    return MachineError(
        f"The lab needs more {what} than it may have here: `ulimit {option}` is {soft // unit}.",
        fix=f"`ulimit {option} {enough}`, then start again. Where that is refused: `ulimit -H{option[1:]}` says how "
        "far you may go.",
    )


def _allowed(limit: int) -> int:
    """The soft limit; none where a container's filter refuses to tell (glibc asks by prlimit64)."""
    try:
        return resource.getrlimit(limit)[0]
    except OSError:
        return resource.RLIM_INFINITY


def _many_tasks() -> bool:
    """The user's limit of processes and threads may well be reached."""
    soft = _allowed(resource.RLIMIT_NPROC)
    try:
        return soft != resource.RLIM_INFINITY and soft < 4 * len(os.listdir("/proc"))
    except OSError:
        return True
