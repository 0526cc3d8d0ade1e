"""Where lessons are: by name among the shipped ones, or by path.

In: what the user typed. Out: a lesson's folder. Looks at directories only; never opens a file.
"""

from __future__ import annotations

import re
from pathlib import Path

from socklab.core.errors import UsageError
from socklab.core.suggest import suggest
from socklab.core.text import safe


def folder() -> Path:
    """Where the shipped lessons are: inside an installed package, else beside it in the repository."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "lessons"
    return installed if installed.is_dir() else package.parent / "lessons"


def slug(folder_name: str) -> str:
    """The name a user types: the folder's without its number."""
    return re.sub(r"^\d+-", "", folder_name)


def _shipped() -> dict[str, Path]:
    """Name to folder, in the order of the numbers."""
    try:
        found = sorted(path for path in folder().iterdir() if (path / "lesson.toml").is_file())
    except FileNotFoundError:
        found = []
    return {slug(path.name): path for path in found}


def names() -> list[str]:
    """Names of the shipped lessons, in teaching order."""
    return list(_shipped())


def find(name: str) -> Path:
    """The folder of a lesson given as "backlog", "02-backlog", or a path to any folder with a lesson.toml.

    Raises UsageError naming the nearest lesson.
    """
    shipped = _shipped()
    for slug, path in shipped.items():
        if name in (slug, path.name):
            return path
    if name and (Path(name) / "lesson.toml").is_file():
        return Path(name).resolve()
    if name and Path(name).name == "lesson.toml" and Path(name).is_file():
        return Path(name).resolve().parent
    if name and ("/" in name or Path(name).is_dir()):
        raise UsageError(f"{safe(name)} holds no lesson.toml.", fix="A lesson is a folder with a lesson.toml in it.")
    listed = f"Lessons: {', '.join(shipped)}."
    raise UsageError(
        f'No lesson "{safe(name)}".', fix=" ".join(filter(None, (suggest(name, shipped, listed=0), listed)))
    )
