"""What a lesson's author should mend beyond what `lesson.load` refuses.

In: a lesson's folder. Out: complaints, one line each; none = ready to ship. Reads the folder; never runs the lesson.
"""

from __future__ import annotations

from pathlib import Path

from socklab import lesson as lessons
from socklab.errors import LessonError


def lint(folder: Path) -> list[str]:
    """Complaints about the lesson in `folder`, in the order of the file."""
    try:
        lessons.load(folder)
    except LessonError as error:
        return [str(error)]
    return []
