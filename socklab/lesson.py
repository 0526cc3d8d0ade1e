"""A lesson: lesson.toml and the server's sources in one folder, read strictly.

In: a name, a folder or the text of a lesson.toml. Out: a Lesson, or an error that names file, key and what was
expected. Reads the lesson's folder and nothing else; never runs anything. docs/lesson-howto.md is the format's page.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from socklab import probes
from socklab.errors import LessonError, SocklabError, UsageError
from socklab.nearest import suggest
from socklab.text import safe

FORMAT = 1

PANELS = (
    "source",
    "call",
    "narration",
    "queues",
    "descriptors",
    "sockets",
    "clients",
    "output",
    "counters",
    "wire",
)
"""What a prediction may hide."""

SAME_CALL: dict[str, tuple[str, ...]] = {
    "accept": ("accept", "accept4"),
    "read": ("read", "recv", "recvfrom", "recvmsg", "readv"),
    "write": ("write", "send", "sendto", "sendmsg", "writev"),
    "open": ("open", "openat", "openat2"),
    "select": ("select", "pselect6"),
    "poll": ("poll", "ppoll"),
    "epoll_create": ("epoll_create", "epoll_create1"),
    "epoll_wait": ("epoll_wait", "epoll_pwait", "epoll_pwait2"),
    "fork": ("fork", "vfork", "clone", "clone3"),
    "dup": ("dup", "dup2", "dup3"),
    "pipe": ("pipe", "pipe2"),
    "exit": ("exit", "exit_group"),
}
"""One lesson serves two languages: Python makes accept4, recvfrom and sendto where C makes accept, read and write.

The word a lesson uses, and every syscall that counts as it.
"""

_OTHER_CALLS = """
socket socketpair bind listen connect getsockname getpeername setsockopt getsockopt shutdown close sendmmsg recvmmsg
sendfile splice fcntl ioctl epoll_ctl execve wait4 waitid kill eventfd2 io_uring_setup io_uring_enter futex lseek fstat
"""
OTHER_CALLS = frozenset(_OTHER_CALLS.split())
"""Syscalls a lesson may name that are a class of their own."""

CALLS = frozenset(SAME_CALL) | OTHER_CALLS | frozenset(name for names in SAME_CALL.values() for name in names)
"""Every syscall name a lesson may use."""

_CANONICAL = {name: word for word, names in SAME_CALL.items() for name in names}

DEFAULT_PAUSE = ("socket", "setsockopt", "bind", "listen", "accept", "connect", "read", "write", "shutdown", "close")

Value: TypeAlias = int | str | bool


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class At(_Part, frozen=True):
    """A moment of the program's run: the `nth` call of this name (equivalents counted together), 1-based."""

    syscall: str
    nth: int = 1
    when: Literal["enter", "blocked", "return"] = "enter"
    """enter: about to be made. blocked: the program sleeps inside it. return: the kernel has answered."""


class Settle(_Part, frozen=True, rename={"is_": "is"}):
    """Wait, at most `within_ms`, until the probe says `is`."""

    probe: str
    is_: Value
    within_ms: int = 2000


class Predict(_Part, frozen=True):
    """A question whose answer the kernel gives."""

    ask: str
    choices: list[Value]
    measure: str
    explain: str
    hides: list[str] = []
    when: Literal["now", "return"] = "now"
    """now: measured when the student has committed. return: measured when this step's call has returned."""


class Step(_Part, frozen=True):
    """What the lesson says, does and asks at one moment."""

    at: At
    before: str = ""
    after: str = ""
    do: list[str] = []
    settle: list[Settle] = []
    predict: Predict | None = None


class Check(_Part, frozen=True, rename={"is_": "is"}):
    """What must be true at a moment. Exactly one of is, at_least, at_most."""

    at: At | Literal["end"]
    probe: str
    is_: Value | None = None
    at_least: int | None = None
    at_most: int | None = None

    @property
    def expected(self) -> Value:
        for bound in (self.is_, self.at_least, self.at_most):
            if bound is not None:
                return bound
        raise LessonError("a check without is, at_least or at_most")  # load refuses such a lesson

    def holds(self, value: Value) -> bool:
        """Whether a measured value fulfils the check. 1 is not true and "1" is not 1."""
        if self.is_ is not None:
            return type(value) is type(self.is_) and value == self.is_
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    @property
    def claim(self) -> str:
        """The check in words: `listener.accept_queue is 5`."""
        relation = "is" if self.is_ is not None else "is at least" if self.at_least is not None else "is at most"
        return f"{self.probe} {relation} {shown(self.expected)}"


class Servers(_Part, frozen=True):
    c: str = ""
    python: str = ""


class _File(_Part, frozen=True):
    """lesson.toml as it is written."""

    format: int
    title: str
    summary: str
    server: Servers
    step: list[Step]
    check: list[Check]
    minutes: int = 5
    teaches: list[str] = []
    after: list[str] = []
    claims: list[str] = []
    reference: str = ""
    port: int = 8080
    pause: list[str] = msgspec.field(default_factory=lambda: list(DEFAULT_PAUSE))
    intro: str = ""
    outro: str = ""


class Lesson(msgspec.Struct, frozen=True):
    """A lesson that was found to be in order."""

    name: str
    """What the user types: the folder's name without its number."""
    title: str
    summary: str
    server: Servers
    steps: tuple[Step, ...]
    checks: tuple[Check, ...]
    minutes: int
    teaches: tuple[str, ...]
    after: tuple[str, ...]
    claims: tuple[str, ...]
    reference: str
    port: int
    pause: tuple[str, ...]
    intro: str
    outro: str
    folder: Path | None
    """None when the lesson came out of a recording."""
    toml: str

    @property
    def languages(self) -> tuple[str, ...]:
        """c, python: those the lesson has a server for."""
        return tuple(name for name in ("c", "python") if getattr(self.server, name))

    @property
    def programs(self) -> tuple[str, ...]:
        """Programs of the machine that the lesson runs as clients: curl. Without them it can't be taken to its end."""
        from socklab import actions

        done = (actions.parse(line) for step in self.steps for line in step.do)
        return tuple(dict.fromkeys(action.argv[0] for action in done if isinstance(action, actions.Run)))

    def server_file(self, language: str) -> Path:
        """Where the server's source is. Raises UsageError when the lesson has none in that language."""
        name: str = getattr(self.server, language, "")
        if not name or self.folder is None:
            raise UsageError(
                f"Lesson {self.name} has no server in {safe(language)}.", fix=f"It has: {', '.join(self.languages)}."
            )
        return self.folder / name


def canonical(name: str) -> str:
    """The word a lesson uses for a syscall: accept for accept4, read for recvfrom; others stand for themselves."""
    return _CANONICAL.get(name, name)


def shown(value: Value) -> str:
    """A measured value or a choice as text: true and false are yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return safe(str(value))


# ---------------------------------------------------------------- finding


def folder() -> Path:
    """Where the shipped lessons are: inside an installed package, else beside it in the repository."""
    package = Path(__file__).resolve().parent
    installed = package / "lessons"
    return installed if installed.is_dir() else package.parent / "lessons"


def _slug(folder_name: str) -> str:
    return re.sub(r"^\d+-", "", folder_name)


def _shipped() -> dict[str, Path]:
    """Name to folder, in the order of the numbers."""
    try:
        found = sorted(path for path in folder().iterdir() if (path / "lesson.toml").is_file())
    except FileNotFoundError:
        found = []
    return {_slug(path.name): path for path in found}


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


# ---------------------------------------------------------------- reading


def load(folder: Path) -> Lesson:
    """The lesson in `folder`. Raises LessonError naming the file and the key."""
    path = folder / "lesson.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LessonError(f"{safe(str(path))}: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise LessonError(f"{safe(str(path))}: {error.strerror}") from None
    lesson = parse(text, str(path), name=_slug(folder.name), folder=folder)
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
    _Validator(where).validate(file)
    return Lesson(
        name=name,
        title=file.title,
        summary=file.summary,
        server=file.server,
        steps=tuple(file.step),
        checks=tuple(file.check),
        minutes=file.minutes,
        teaches=tuple(file.teaches),
        after=tuple(file.after),
        claims=tuple(file.claims),
        reference=file.reference,
        port=file.port,
        pause=tuple(file.pause),
        intro=file.intro,
        outro=file.outro,
        folder=folder,
        toml=toml_text,
    )


_TABLES: dict[str, type[msgspec.Struct]] = {
    "": _File,
    "server": Servers,
    "step": Step,
    "step.at": At,
    "step.settle": Settle,
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


def _convert(raw: dict[str, Any], where: str) -> _File:
    """Types and keys, checked by msgspec; its message is turned into the lesson author's words."""
    for step in raw["step"] if isinstance(raw.get("step"), list) else ():
        for key in ("do", "settle"):  # one may stand without its brackets
            if isinstance(step, dict) and isinstance(step.get(key), str | dict):
                step[key] = [step[key]]
    try:
        return msgspec.convert(raw, _File)
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


class _Validator:
    """What types can't say: names of probes, verbs, panels, calls, and what belongs together."""

    def __init__(self, where: str) -> None:
        self.where = where

    def refuse(self, key: str, why: str, fix: str = "") -> LessonError:
        return LessonError(f"{safe(self.where)}: {key}: {why}", fix=fix)

    def validate(self, file: _File) -> None:
        if file.format != FORMAT:
            raise self.refuse("format", f"{file.format}; this socklab reads format {FORMAT}")
        if not 1 <= file.port <= 65535:
            raise self.refuse("port", f"{file.port}; a port is 1 to 65535")
        if not file.server.c and not file.server.python:
            raise self.refuse("server", "at least one of c and python is needed")
        for language in ("c", "python"):
            name: str = getattr(file.server, language)
            if name and (Path(name).name != name or name.startswith(".")):
                raise self.refuse(f"server.{language}", f'"{safe(name)}" must be a file in the lesson\'s own folder')
        if not file.step:
            raise self.refuse("step", "a lesson needs at least one [[step]]")
        for index, call in enumerate(file.pause):
            self._call(f"pause[{index}]", call)
        self._narration("intro", file.intro)
        self._narration("outro", file.outro)
        for index, step in enumerate(file.step):
            self._step(f"step[{index}]", step)
        for index, check in enumerate(file.check):
            self._check(f"check[{index}]", check)

    def _step(self, key: str, step: Step) -> None:
        self._at(f"{key}.at", step.at)
        self._narration(f"{key}.before", step.before)
        self._narration(f"{key}.after", step.after)
        if step.at.when == "return" and step.before:
            raise self.refuse(f"{key}.before", 'a step at when = "return" has only `after`')
        for index, line in enumerate(step.do):
            self._verb(f"{key}.do[{index}]", line)
        for index, settle in enumerate(step.settle):
            self._probe(f"{key}.settle[{index}].probe", settle.probe)
            if not 1 <= settle.within_ms <= 60_000:
                raise self.refuse(f"{key}.settle[{index}].within_ms", f"{settle.within_ms}; 1 to 60000")
        if step.predict is not None:
            self._predict(f"{key}.predict", step)

    def _predict(self, key: str, step: Step) -> None:
        predict = step.predict
        assert predict is not None
        self._probe(f"{key}.measure", predict.measure)
        self._narration(f"{key}.ask", predict.ask)
        self._narration(f"{key}.explain", predict.explain)
        if not 2 <= len(predict.choices) <= 9:
            raise self.refuse(f"{key}.choices", f"{len(predict.choices)} choices; 2 to 9 fit the keys 1 to 9")
        if len({(type(choice), choice) for choice in predict.choices}) != len(predict.choices):
            raise self.refuse(f"{key}.choices", "a choice is given twice")
        for index, panel in enumerate(predict.hides):
            if panel not in PANELS:
                raise self.refuse(f"{key}.hides[{index}]", f'no panel "{safe(panel)}"', suggest(panel, PANELS))
        if predict.when == "return" and step.at.when == "return":
            raise self.refuse(f"{key}.when", 'the step is at the return already; leave `when` at "now"')
        if predict.when == "return" and predict.hides:
            raise self.refuse(f"{key}.hides", "nothing to hide: the answer does not exist before the call returns")

    def _check(self, key: str, check: Check) -> None:
        if isinstance(check.at, At):
            self._at(f"{key}.at", check.at)
        self._probe(f"{key}.probe", check.probe)
        given = sum(bound is not None for bound in (check.is_, check.at_least, check.at_most))
        if given != 1:
            raise self.refuse(key, f"exactly one of is, at_least, at_most; {given} are given")

    def _at(self, key: str, at: At) -> None:
        self._call(f"{key}.syscall", at.syscall)
        if at.nth < 1:
            raise self.refuse(f"{key}.nth", f"{at.nth}; the first call is 1")

    def _call(self, key: str, name: str) -> None:
        if name not in CALLS:
            raise self.refuse(key, f'no syscall "{safe(name)}" that a lesson may name', suggest(name, CALLS))

    def _probe(self, key: str, name: str) -> None:
        self._named(key, lambda: probes.check_name(name))

    def _verb(self, key: str, line: str) -> None:
        from socklab import actions

        self._named(key, lambda: actions.parse(line))

    def _named(self, key: str, check: Any) -> None:
        try:
            check()
        except SocklabError as error:
            raise self.refuse(key, error.what, error.fix) from None

    def _narration(self, key: str, text: str) -> None:
        for name in probes.names_in(text):
            self._probe(key, name)


def lint(folder: Path) -> list[str]:
    """What a lesson's author should mend beyond what `load` refuses; empty = ready to ship."""
    from socklab.lesson_lint import lint as checked

    return checked(folder)
