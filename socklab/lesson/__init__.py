"""A lesson: lesson.toml and the server's sources in one folder.

`find` a folder, `load` it (or `parse` the text out of a recording), `lint` it before it ships. Strict: what does not
fit the format is a LessonError. docs/lesson-howto.md is the format's page. Never runs anything.
"""

from __future__ import annotations

from pathlib import Path

from socklab.lesson.finding import find, folder, names
from socklab.lesson.model import (
    CALLS,
    DEFAULT_PAUSE,
    FORMAT,
    PANELS,
    SAME_CALL,
    At,
    Check,
    Lesson,
    Predict,
    Servers,
    Settle,
    Step,
    Value,
    shown,
)
from socklab.lesson.reading import load, parse
from socklab.syscalls.groups import canonical

__all__ = [
    "CALLS",
    "DEFAULT_PAUSE",
    "FORMAT",
    "PANELS",
    "SAME_CALL",
    "At",
    "Check",
    "Lesson",
    "Predict",
    "Servers",
    "Settle",
    "Step",
    "Value",
    "canonical",
    "find",
    "folder",
    "lint",
    "load",
    "names",
    "parse",
    "shown",
]


def lint(folder: Path) -> list[str]:
    """What a lesson's author should mend beyond what `load` refuses; empty = ready to ship."""
    from socklab.lesson.linting import lint as checked

    return checked(folder)
