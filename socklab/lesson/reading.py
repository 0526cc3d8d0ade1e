"""lesson.toml to Lesson, strictly.

In: a folder, or the text of a lesson.toml. Out: a Lesson, or a LessonError that names file, key and what was expected.
Reads the lesson's folder and nothing else.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from socklab.core.errors import LessonError
from socklab.core.suggest import suggest
from socklab.core.text import safe
from socklab.lesson.claims import claims
from socklab.lesson.finding import slug
from socklab.lesson.model import At, Check, File, Lesson, Predict, Servers, Settle, Step
from socklab.lesson.validating import Validator


def load(folder: Path) -> Lesson:
    """The lesson in `folder`. Raises LessonError naming the file and the key."""
    path = folder / "lesson.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LessonError(f"{safe(str(path))}: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise LessonError(f"{safe(str(path))}: {error.strerror}") from None
    lesson = parse(text, str(path), name=slug(folder.name), folder=folder)
    for language in lesson.languages:
        if not lesson.server_file(language).is_file():
            raise LessonError(
                f"{safe(str(path))}: server.{language}: no file {safe(lesson.server_file(language).name)}"
            )
    return lesson


def parse(toml_text: str, where: str, *, name: str = "", folder: Path | None = None) -> Lesson:
    """The lesson a lesson.toml describes; `where` is named in errors.

    Raises LessonError naming `where`, the key with its path (step[2].predict.ask), and what was expected.
    """
    import tomllib  # consumers of a run without a lesson never need it

    try:
        raw = tomllib.loads(toml_text)
    except tomllib.TOMLDecodeError as error:
        raise LessonError(f"{safe(where)}: not TOML: {safe(str(error))}") from None
    file = _convert(raw, where)
    Validator(where).validate(file)
    written = {key: getattr(file, key) for key in File.__struct_fields__}
    claimed = (each for step in file.steps for phase in ("before", "after") for each in claims(step, phase))
    written["checks"] = (*claimed, *file.checks)
    return Lesson(**written, name=name, folder=folder, toml=toml_text)


_TABLES: dict[str, type[msgspec.Struct]] = {
    "": File,
    "server": Servers,
    "step": Step,
    "step.at": At,
    "step.settle": Settle,
    "step.until": Settle,
    "step.predict": Predict,
    "check": Check,
    "check.at": At,
}
"""Which struct a table of lesson.toml becomes, by its path without indexes."""

_WORDS = {
    "int": "a whole number",
    "str": "text",
    "bool": "true or false",
    "array": "a list [...]",
    "object": "a table { ... }",
    "float": "a number with a point",
    "null": "nothing",
}


def _convert(raw: dict[str, Any], where: str) -> File:
    """Types and keys, checked by msgspec; its message is turned into the lesson author's words."""
    for step in raw["step"] if isinstance(raw.get("step"), list) else ():
        for key in ("do", "settle", "offer", "until", "holds", "holds_after"):  # one may stand without its brackets
            if isinstance(step, dict) and isinstance(step.get(key), str | dict):
                step[key] = [step[key]]
    try:
        return msgspec.convert(raw, File)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        raise _explained(message, path.strip("`").removeprefix("$").removeprefix("."), where) from None


def _explained(message: str, path: str, where: str) -> LessonError:
    at = f"{safe(where)}: "
    struct = _TABLES.get(re.sub(r"\[[^]]*\]", "", path))
    keys = [field.encode_name for field in msgspec.structs.fields(struct)] if struct else []
    prefix = f"{path}." if path else ""
    if found := re.fullmatch(r"Object contains unknown field `(.*)`", message, re.DOTALL):
        return LessonError(f"{at}{prefix}{safe(found[1])}: no such key", fix=suggest(found[1], keys))
    if found := re.fullmatch(r"Object missing required field `(.*)`", message):
        return LessonError(f"{at}{prefix}{found[1]}: this key is missing")
    plain = re.sub(r"`([^`]*)`", lambda m: " or ".join(_WORDS.get(w, w) for w in m[1].split(" | ")), message)
    return LessonError(f"{at}{path}: {safe(plain[0].lower() + plain[1:])}")
