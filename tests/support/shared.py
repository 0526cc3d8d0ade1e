"""What the workers of one test run share: things made once, and places where only one test may be at a time.

In: the folder that tests/conftest.py makes for a run. Out: whatever the first worker that asked has made.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pickle
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")


def folder() -> Path:
    return Path(os.environ["SOCKLAB_TESTS_SHARED"])


@contextlib.contextmanager
def alone(place: str) -> Iterator[None]:
    """No other test of this run is in this place meanwhile: a fixed port of the machine, what is made only once."""
    with open(folder() / f"{place}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def once(name: str, make: Callable[[], T]) -> T:
    """What `make` gives, made by the first of all workers that asks for `name`; it must be possible to pickle."""
    name = hashlib.sha256(name.encode()).hexdigest()[:24]
    kept = folder() / f"{name}.pickle"
    with alone(name):
        if not kept.exists():
            made = make()
            fresh = kept.with_suffix(".new")
            fresh.write_bytes(pickle.dumps(made))
            fresh.rename(kept)
    found: T = pickle.loads(kept.read_bytes())
    return found


def compiled(source: Path, *flags: str, compiler: str = "") -> str:
    """Path of the program that a C file and these flags give. Skips, saying so, where there is no compiler."""
    compiler = compiler or shutil.which("cc") or shutil.which("gcc") or ""
    if not compiler:
        pytest.skip("no C compiler here")

    def build() -> str:
        program = folder() / key / source.stem
        program.parent.mkdir()
        program.parent.chmod(0o755)
        subprocess.run([compiler, *flags, "-o", str(program), str(source)], check=True, capture_output=True)
        return str(program)

    text = "\0".join([compiler, *flags, str(source)]).encode() + source.read_bytes()
    key = hashlib.sha256(text).hexdigest()[:24]
    return once(f"compiled {key}", build)


def open_folder() -> Path:
    """A fresh folder in which other users may write. pytest's own are closed again whenever another pytest starts."""
    made = Path(tempfile.mkdtemp(dir=folder()))
    made.chmod(0o777)
    return made
