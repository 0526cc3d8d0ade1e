"""The directory that belongs to one run alone: made, removed, and removed later where nobody was left to do it.

In: the environment. Out: a path. Kept lean: it runs before the engine is started. Its maker holds a lock on it, which
the kernel gives back whatever the maker dies of: so others know that a run is over, in another container's too.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path

from socklab.core.errors import SocklabError

_NAME = re.compile(r"socklab-(\d+)-[0-9a-f]{12}")
_YOUNG_S = 10
"""As old as that, a directory has been locked by its maker, if it lives."""
_FORGOTTEN_S = 3600
"""The same where the file system has no locks, and the maker may be in a container of its own."""

_locks: dict[str, int] = {}
"""Descriptors that hold the locks of this process's own directories."""


def make() -> str:
    """A fresh directory only we may enter, where programs can be built and run (not on a noexec mount)."""
    refused = ""
    for parent in _parents():
        path = f"{parent}/socklab-{os.getpid()}-{os.urandom(6).hex()}"
        try:
            if not parent or os.statvfs(parent).f_flag & os.ST_NOEXEC:
                continue
            Path(path).mkdir(0o700)
            lock = _lock(path, fcntl.LOCK_SH)
            if lock is not None:
                _locks[path] = lock
            _sweep(parent)
        except OSError as error:
            refused = str(error)
            continue
        return path
    raise SocklabError(
        f"No directory for the run's own files: /tmp, /var/tmp and ~/.cache refuse ({refused or 'mounted noexec'}).",
        fix="Set TMPDIR to a directory you may write to, on a file system that lets programs run.",
    )


def _parents() -> tuple[str, ...]:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return os.environ.get("TMPDIR", ""), "/tmp", "/var/tmp", home


def remove_those_of(pid: int) -> None:
    """Remove what a process left that was killed before its engine knew the directory. It is gone."""
    for parent in filter(None, _parents()):
        for path in Path(parent).glob(f"socklab-{pid}-*"):
            if _NAME.fullmatch(path.name) and _is_left(str(path)) is not False:
                remove(str(path))


def remove(path: str) -> None:
    from shutil import rmtree

    rmtree(path, ignore_errors=True)  # the engine may have removed it already
    if path in _locks:
        os.close(_locks.pop(path))


def _lock(path: str, kind: int) -> int | None:
    """A descriptor that holds the lock, None where there are none. Raises BlockingIOError: somebody else holds it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return fd


def _is_left(path: str) -> bool | None:
    """Whether its maker is gone; None where that can't be told."""
    try:
        lock = _lock(path, fcntl.LOCK_EX)
    except BlockingIOError:
        return False
    if lock is None:
        return None
    os.close(lock)
    return True


def _sweep(parent: str) -> None:
    """Remove what a run left whose every process was killed at once: ours, and of a process that is gone."""
    try:
        entries = list(os.scandir(parent))
    except OSError:
        return  # a directory that may be written but not listed
    for entry in entries:
        found = _NAME.fullmatch(entry.name)
        if found is None or os.path.exists(f"/proc/{found[1]}"):
            continue
        try:
            known = os.lstat(entry.path)
        except OSError:
            continue  # its own run has just removed it
        age = time.time() - known.st_mtime
        if known.st_uid != os.geteuid() or age <= _YOUNG_S:
            continue
        left = _is_left(entry.path)
        if left or (left is None and age > _FORGOTTEN_S):
            remove(entry.path)
