"""Which file a command line means, as the user's shell would find it, and which interpreter a script is for.

In: the words typed, the directory they were typed in, the program's directory and environment. Out: `Found`, or a
ProgramError that says what to type. Reads directories and the first bytes of a file; starts nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

import msgspec

from socklab.core.errors import ProgramError
from socklab.core.suggest import nearest
from socklab.core.text import safe

CXX_SUFFIXES = (".cc", ".cpp", ".cxx")
_COMPILED = (".c", *CXX_SUFFIXES)


class Found(msgspec.Struct, frozen=True):
    """What is to be executed: `file`, under the words `argv`."""

    file: str
    argv: tuple[str, ...]
    python: str = ""
    """The Python that runs it, where it is one or is a script for one."""
    source: str = ""
    """A source file that has to be compiled first: then there is no `file` yet."""
    shim: str = ""
    """The program of this name is looked for, and executed, by a version manager's stand-in of the same name."""
    note: str = ""
    """What the user may not expect of this choice."""


def find(argv: tuple[str, ...], cwd: str, environment: Mapping[str, str]) -> Found:
    """The program a first word means: a source file, a path, a command on PATH, a file of this directory.

    Files are looked for where one types, then in `cwd`, where it is to run. Raises ProgramError.
    """
    word = argv[0]
    here = _file_here(word, cwd)
    suffix = os.path.splitext(word)[1]
    if here and suffix in _COMPILED and os.path.isfile(here):
        return Found("", argv, source=here)
    if here and suffix == ".py" and os.path.isfile(here) and not (os.access(here, os.X_OK) and _shebang(here)):
        return _by_python(here, argv[1:], environment)
    if "/" in word:
        if not here:
            raise ProgramError(f"There is no program {safe(word)}.", fix=_meant(word, cwd))
        return _executed(here, argv, environment)
    found = shutil.which(word, path=environment.get("PATH", os.defpath))
    if found is None and not here:
        raise ProgramError(f"There is no program {safe(word)}, here or on PATH.", fix=_meant(word, cwd))
    if found is None:
        return _executed(here, (f"./{word}", *argv[1:]), environment)  # what a shell wants to be typed
    note = ""
    if here and os.path.isfile(here) and os.access(here, os.X_OK) and not os.path.samefile(here, found):
        note = f"{safe(word)} is {safe(found)}, as in a shell; the one in this directory is ./{safe(word)}."
    return _executed(os.path.abspath(found), argv, environment, note)


def python(environment: Mapping[str, str]) -> str:
    """The user's Python: that of the active venv, else the first python3 or python on PATH; "" = there is none."""
    venv = environment.get("VIRTUAL_ENV", "")
    for name in ("python3", "python"):
        mine = os.path.join(venv, "bin", name)
        if venv and os.access(mine, os.X_OK):
            return mine
    path = environment.get("PATH", os.defpath)
    return shutil.which("python3", path=path) or shutil.which("python", path=path) or ""


def missing_module(printed: bytes, interpreter: str) -> tuple[str, str] | None:
    """(text, fix) where a traceback says that the interpreter knows no such module."""
    _, found, rest = printed.partition(b"ModuleNotFoundError: No module named ")
    name, newline, _ = rest.partition(b"\n")
    if not found or not newline:
        return None
    text = f"{safe(interpreter)}, which runs the program, has no module {safe(name.strip())}."
    fix = "Activate the venv that has it (. venv/bin/activate), or name its Python: socklab run -- venv/bin/python ..."
    return text, fix


# ---------------------------------------------------------------- one file


def _file_here(word: str, cwd: str) -> str:
    """Absolute path of the file `word` names where one types, else in `cwd`; "" = neither has it."""
    for folder in (_where_typed(), cwd):
        path = os.path.normpath(os.path.join(folder, word))
        if folder and word and os.path.exists(path):
            return path
    return ""


def _where_typed() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""  # it was removed under us: nothing is there


def _executed(file: str, argv: tuple[str, ...], environment: Mapping[str, str], note: str = "") -> Found:
    """`file` itself. Raises ProgramError where the kernel would refuse it."""
    word = safe(argv[0])
    if os.path.isdir(file):
        raise ProgramError(f"{word} is a directory.", fix="Name a program in it.")
    if not os.access(file, os.X_OK):
        raise ProgramError(
            f"{word} may not be executed.", fix=f"chmod +x {word}   or name its interpreter: socklab run -- sh {word}"
        )
    interpreter, *options = _shebang(file) or [""]
    if interpreter and not os.path.exists(interpreter):
        raise ProgramError(
            f"{word} names an interpreter that is not there: {safe(interpreter)}.", fix="Mend its first line."
        )
    if os.path.basename(interpreter) == "env" and options:
        named = next((each for each in options[0].split() if not each.startswith("-") and "=" not in each), "")
        interpreter = shutil.which(named, path=environment.get("PATH", os.defpath)) or named
    runs = next((each for each in (file, interpreter) if "python" in os.path.basename(each)), "")
    shim = next((os.path.basename(each) for each in (file, interpreter) if _is_shim(each)), "")
    return Found(file, argv, runs, shim=shim, note=note)


def _by_python(script: str, arguments: tuple[str, ...], environment: Mapping[str, str]) -> Found:
    interpreter = python(environment)
    if not interpreter:
        raise ProgramError(
            f"{safe(script)} needs Python, and neither an active venv nor PATH has one.",
            fix="Name one: socklab run -- /usr/bin/python3 " + safe(script),
        )
    return _executed(interpreter, (interpreter, script, *arguments), environment)


def _shebang(file: str) -> list[str]:
    """The interpreter that a script's first line names and its one argument, as the kernel reads them; [] = no script.

    Source: execve(2). A carriage return at the end of the line is a part of the name.
    """
    try:
        with open(file, "rb") as opened:
            line = opened.read(256).split(b"\n", 1)[0]
    except OSError:
        return []
    if not line.startswith(b"#!"):
        return []
    interpreter, _, argument = line[2:].strip(b" \t").replace(b"\t", b" ").partition(b" ")
    return [os.fsdecode(each) for each in (interpreter, argument.strip()) if each]


def _is_shim(file: str) -> bool:
    """A stand-in of pyenv, asdf, mise and the like: a script, or a link to the manager, in a directory `shims`."""
    if os.path.basename(os.path.dirname(file)) != "shims":
        return False
    return bool(_shebang(file)) or os.path.basename(os.path.realpath(file)) != os.path.basename(file)


def _meant(word: str, cwd: str) -> str:
    """The fix for a file that is not there: the one with nearly that name."""
    folder = os.path.join(_where_typed() or cwd or "/", os.path.dirname(word))
    try:
        close = nearest(os.path.basename(word), os.listdir(folder))
    except OSError:
        close = ""
    if close:
        return f"Did you mean {safe(os.path.join(os.path.dirname(word), close))}?"
    return "Name a file that exists or a command that is on PATH."
