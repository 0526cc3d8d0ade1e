"""The directory that belongs to one run alone: made, removed, and removed later where nobody was left to do it.

In: the environment. Out: a path. Kept lean: it runs before the engine is started.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from socklab.core.errors import SocklabError

_NAME = re.compile(r"socklab-(\d+)-[0-9a-f]{12}")
_FORGOTTEN_S = 3600


def make() -> str:
    """A fresh directory only we may enter, where programs can be built and run (not on a noexec mount)."""
    refused = ""
    for parent in _parents():
        path = f"{parent}/socklab-{os.getpid()}-{os.urandom(6).hex()}"
        try:
            if not parent or os.statvfs(parent).f_flag & os.ST_NOEXEC:
                continue
            Path(path).mkdir(0o700)
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
    """Remove what a process left that was killed before its engine knew the directory. It and its engine are gone."""
    for parent in filter(None, _parents()):
        for path in Path(parent).glob(f"socklab-{pid}-*"):
            if _NAME.fullmatch(path.name):
                remove(str(path))


def remove(path: str) -> None:
    from shutil import rmtree

    rmtree(path, ignore_errors=True)  # the engine may have removed it already


def _sweep(parent: str) -> None:
    """Remove what a run left whose every process was killed at once: ours, old, and of a process that is gone."""
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
        if known.st_uid == os.geteuid() and time.time() - known.st_mtime > _FORGOTTEN_S:
            remove(entry.path)
