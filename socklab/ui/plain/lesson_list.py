"""`socklab lessons`: the list, and the check for lesson authors.

In: the lessons' folders. Out: text or JSON on stdout, complaints on stderr, the exit code. Runs nothing.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import msgspec

from socklab import lesson as lessons
from socklab.core.errors import LessonError
from socklab.core.text import safe


def _folders(named: tuple[str, ...]) -> list[Path]:
    return [Path(name).resolve() for name in named] or [lessons.find(name) for name in lessons.names()]


def show(named: tuple[str, ...] = (), *, as_json: bool = False) -> int:
    """Print every lesson with its title; a broken one is named on stderr and gives exit code 3."""
    good, code = [], 0
    for folder in _folders(named):
        try:
            good.append(lessons.load(folder))
        except LessonError as error:
            print(f"socklab: {error}", file=sys.stderr)
            code = error.exit_code
    if as_json:
        told = ("name", "title", "summary", "minutes", "languages", "teaches", "after")
        rows = [{key: getattr(each, key) for key in told} | {"folder": str(each.folder)} for each in good]
        print(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
        return code
    width = max((len(each.name) for each in good), default=0)
    for each in good:
        print(f"{safe(each.name):<{width}}  {safe(each.title)}  ({each.minutes} min)")
        for line in _wrapped(safe(each.summary), width + 2):
            print(line)
    if good and sys.stdout.isatty():
        print("\nRun one: socklab lesson NAME")
    return code


def _wrapped(text: str, indent: int) -> list[str]:
    """Wrapped for a terminal; one line for a pipe."""
    import textwrap

    margin = " " * indent
    if not sys.stdout.isatty():
        return [margin + text]
    columns = min(shutil.get_terminal_size().columns, 100)
    return textwrap.wrap(text, max(columns, 40), initial_indent=margin, subsequent_indent=margin)


def check(named: tuple[str, ...] = (), *, as_json: bool = False) -> int:
    """Print what is wrong with each lesson. Exit code 0 only if nothing is."""
    found: dict[str, list[str]] = {}
    for folder in _folders(named):
        try:
            found[folder.name] = lessons.lint(folder)
        except LessonError as error:
            found[folder.name] = [str(error)]
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        for name, complaints in found.items():
            print(f"{safe(name)}: {'in order' if not complaints else ''}".rstrip())
            for complaint in complaints:
                print(f"  {safe(complaint, lines=True)}")
    return LessonError.exit_code if any(found.values()) else 0
