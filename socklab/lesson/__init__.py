"""A lesson: lesson.toml and the server's sources in one folder.

`find` a folder, `load` it (or `parse` the text out of a recording), `lint` it before it ships. Strict: what does not
fit the format is a LessonError. docs/lesson-howto.md is the format's page. Never runs anything.
"""

from __future__ import annotations

from pathlib import Path

from socklab.lesson.finding import find as find
from socklab.lesson.finding import folder as folder
from socklab.lesson.finding import names as names
from socklab.lesson.model import CALLS as CALLS
from socklab.lesson.model import DEFAULT_PAUSE as DEFAULT_PAUSE
from socklab.lesson.model import PANELS as PANELS
from socklab.lesson.model import SAME_CALL as SAME_CALL
from socklab.lesson.model import At as At
from socklab.lesson.model import Check as Check
from socklab.lesson.model import Lesson as Lesson
from socklab.lesson.model import Predict as Predict
from socklab.lesson.model import Settle as Settle
from socklab.lesson.model import Step as Step
from socklab.lesson.model import Value as Value
from socklab.lesson.model import shown as shown
from socklab.lesson.reading import load as load
from socklab.lesson.reading import parse as parse
from socklab.syscalls.groups import canonical as canonical


def lint(folder: Path) -> list[str]:
    """What a lesson's author should mend beyond what `load` refuses; empty = ready to ship."""
    from socklab.lesson.linting import lint as checked

    return checked(folder)
