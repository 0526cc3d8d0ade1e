"""A lesson: lesson.toml and the server's sources in one folder.

`find` a folder, `load` it (or `parse` the text out of a recording), `lint` it before it ships. Strict: what does not
fit the format is a LessonError. docs/lesson-howto.md is the format's page. Never runs anything.
"""

from __future__ import annotations

from pathlib import Path

from socklab.lesson.claims import claims as claims
from socklab.lesson.finding import find as find, folder as folder, names as names
from socklab.lesson.model import (
    CALLS as CALLS,
    CHOICE_LETTERS as CHOICE_LETTERS,
    DEFAULT_PAUSE as DEFAULT_PAUSE,
    PANELS as PANELS,
    SAME_CALL as SAME_CALL,
    At as At,
    Check as Check,
    Lesson as Lesson,
    Predict as Predict,
    Settle as Settle,
    Step as Step,
    Value as Value,
    shown as shown,
)
from socklab.lesson.reading import load as load, parse as parse
from socklab.syscalls.groups import canonical as canonical


def lint(folder: Path) -> list[str]:
    """What a lesson's author should mend beyond what `load` refuses; empty = ready to ship."""
    from socklab.lesson.linting import lint as checked

    return checked(folder)
