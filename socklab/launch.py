"""From a verb to a running lab and its consumer: the engine is started first, so that it starts while we import.

In: what the command line asked for. Out: the exit code. Decides screen or plain text; draws nothing itself.
"""

from __future__ import annotations

import enum
import gc
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from socklab.core.errors import UsageError
from socklab.core.text import safe
from socklab.host import terminal_guard

if TYPE_CHECKING:
    from socklab.lesson import Lesson
    from socklab.protocol.run_spec import RunSpec
    from socklab.session import Link

_LONG_S = 2.0
"""After so long an empty terminal deserves a word."""


class Mode(enum.Enum):
    """How a run is shown and who steps it."""

    SCREEN = "screen"
    PLAIN = "plain"
    PLAIN_AUTO = "plain auto"
    JSON = "json"
    JSON_AUTO = "json auto"

    @classmethod
    def of(cls, plain: bool, auto: bool, json: bool) -> Mode:
        """--json and --auto each imply --plain."""
        way = "json" if json else "plain" if plain or auto else "screen"
        return cls(f"{way} auto" if auto else way)

    @property
    def is_auto(self) -> bool:
        return self in (Mode.PLAIN_AUTO, Mode.JSON_AUTO)


def lesson(name: str, wanted: RunSpec, mode: Mode, *, present: bool = False, step: int = 0) -> int:
    """Run a lesson, from this step on (from 1; 0 = from its beginning).

    Raises UsageError (no such lesson or step, no terminal), LessonError, SocklabError.
    """
    from socklab import lesson as lessons

    folder = lessons.find(name)  # a mistyped name first: without a terminal too it is what is wrong
    if step:
        from socklab import guide

        if why := guide.refused(lessons.load(folder), step - 1):
            raise UsageError(why)
    _prepare(mode, f"socklab lesson {safe(name)} --plain")
    return _play(wanted, mode, folder, present=present, step=step)


def program(wanted: RunSpec, mode: Mode, *, present: bool = False) -> int:
    """Run a program of the user's own; its exit status is ours. Raises UsageError, ProgramError, SocklabError."""
    from msgspec.structs import replace

    _check_condition(wanted.until)
    wanted = replace(wanted, interrupt_ignored=signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
    try:
        _prepare(mode, "socklab run --plain PROGRAM")
    except UsageError:
        from socklab.engine import find_program

        find_program.find(wanted.argv, wanted.cwd, {**os.environ, **wanted.environment})  # a mistyped name is worse
        raise
    return _play(wanted, mode, present=present)


def attach(wanted: RunSpec, mode: Mode, *, present: bool = False) -> int:
    """Look at a process that runs already; it runs on when we leave. Raises UsageError, SocklabError."""
    from socklab.host import attach_target

    _check_condition(wanted.until)
    attach_target.read(wanted.attach)
    _prepare(mode, f"socklab attach --plain {wanted.attach}")
    return _play(wanted, mode, present=present)


def _capture_path(path: str) -> str:
    """Absolute: the engine may run elsewhere. Raises UsageError where no file can be made."""
    if not path:
        return ""
    target = Path(path).absolute()
    if target.is_dir():
        why = "it is a directory"
    elif not target.parent.is_dir():
        why = "its directory does not exist"
    elif not os.access(target if target.exists() else target.parent, os.W_OK):
        why = "permission denied"
    else:
        return str(target)
    raise UsageError(f"The capture {safe(path)} cannot be written: {why}.")


def _check_condition(until: str) -> None:
    if until:
        from socklab.commands import conditions

        conditions.parse(until)


def _prepare(mode: Mode, instead: str) -> None:
    """Before the engine is started. Raises UsageError, naming what to type `instead`, where no screen can be drawn."""
    if mode is Mode.SCREEN:
        need_terminal(instead)
    else:
        leave_on_signals()


def _play(wanted: RunSpec, mode: Mode, folder: Path | None = None, *, present: bool, step: int = 0) -> int:
    """Start the run and show it as `mode` says, with the lesson in `folder` if it is one."""
    from msgspec.structs import replace

    from socklab.session import Link

    wanted = replace(wanted, lesson=str(folder or ""), capture=_capture_path(wanted.capture), unattended=mode.is_auto)
    if mode is Mode.SCREEN:
        terminal_guard.guard()
    with Link.start(wanted) as link:
        lesson = None
        if folder is not None:
            from socklab.lesson import load

            lesson = load(folder)
        if mode is Mode.SCREEN:
            from socklab.ui.tui import app

            refused = _refused(link, lesson)
            return app.run(link, lesson, present=present, step=step) if refused is None else refused
        from socklab.ui import json_stream
        from socklab.ui.plain import run

        gc.enable()  # imports are over (cli.py)

        if mode in (Mode.JSON, Mode.JSON_AUTO):
            return json_stream.run(link, lesson, auto=mode.is_auto, free=wanted.free)
        return run.run(link, lesson, auto=mode.is_auto, free=wanted.free, step=step)


def _refused(link: Link, lesson: Lesson | None) -> int | None:
    """Wait for the program's start. Where it can't be started: say why, whole, on the terminal; the exit code."""
    told = link.await_start(_LONG_S)
    if told is None:
        print("socklab: still starting (compiling, perhaps) ...", file=sys.stderr)
        told = link.await_start() or []
    from socklab.protocol import events as ev

    if not isinstance(told[-1], ev.Ended) or any(isinstance(event, ev.Started) for event in told):
        return None
    from socklab import state as st
    from socklab.ui.plain import consumer

    state = st.LabState()
    for event in told:
        state = st.apply(state, event)
        if isinstance(event, ev.Notice) and event.level != "info":
            said = "\n".join(filter(None, (event.text, event.fix)))
            print(f"socklab: {safe(said, lines=True)}", file=sys.stderr)
    return consumer.exit_code(state, lesson)


def here() -> str:
    """The current directory. Raises UsageError where it is gone."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        raise UsageError("The current directory does not exist any more.", fix="cd to one that does.") from None


def menu() -> int:
    """The menu of lessons."""
    need_terminal("socklab lessons")
    terminal_guard.guard()
    from socklab.ui.tui import app

    return app.run_menu()


def need_terminal(instead: str) -> None:
    """Raises UsageError, one clear line, where no screen can be drawn."""
    for number, name in ((0, "input"), (1, "output"), (2, "error")):
        try:
            if os.isatty(number):
                continue
        except OSError:  # closed before we were started
            pass
        raise UsageError(f"The screen needs a terminal, and standard {name} is not one. Without one: {instead}")
    term = os.environ.get("TERM", "")
    if term in ("", "dumb"):
        said = "TERM is not set" if not term else f"TERM={term} is not one that can be drawn on"
        raise UsageError(f"The screen needs a terminal, and {said}. Without one: {instead}")


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave_on_signals() -> None:
    """From now on Ctrl-C, SIGTERM and SIGHUP leave through every `with`, with the shell's exit code for them."""

    def leave(number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)  # ending the lab has a deadline; a second Ctrl-C must not cut it short
        # On a line of its own: the terminal has echoed ^C.
        if number == signal.SIGINT and sys.stderr is not None and sys.stderr.isatty():
            print(file=sys.stderr)
        raise SystemExit(128 + number)

    for each in _SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN or each == signal.SIGINT:  # nohup stays nohup
            signal.signal(each, leave)
