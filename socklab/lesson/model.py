"""A lesson's parts as values: steps, moments, predictions, checks; and the words a lesson may use.

In: nothing. Out: frozen structs, tables of names. Never reads a file.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from socklab.core.errors import LessonError, UsageError
from socklab.core.text import safe
from socklab.syscalls.groups import WORDS
from socklab.syscalls.rows import ROWS

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
    "acceptqueue",
    "datapath",
    "byteorder",
)
"""What a prediction may hide."""

FOCUSED = (*PANELS, "processes", "stage")
"""What a step may bring to the front."""

SAME_CALL = WORDS
"""The words that mean several calls, and those calls."""

CALLS = frozenset(WORDS) | frozenset(ROWS)
"""Every syscall name a lesson may use."""

DEFAULT_PAUSE = ("socket", "setsockopt", "bind", "listen", "accept", "connect", "read", "write", "shutdown", "close")

Value: TypeAlias = int | str | bool


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of lesson.toml: a key it does not know is refused."""


class At(Part, frozen=True):
    """A moment of the program's run: the `nth` call of this name (equivalents counted together), 1-based."""

    syscall: str
    nth: int = 1
    when: Literal["enter", "blocked", "return"] = "enter"
    """enter: about to be made. blocked: the program sleeps inside it. return: the kernel has answered."""
    beat: int = 1
    """Several steps may share a stop: the program stands still, and the lesson goes on beat by beat."""
    done: bool = False
    """In a check: once what the step there offers has been done."""

    @property
    def next_beat(self) -> At:
        """The same stop, one beat later."""
        return msgspec.structs.replace(self, beat=self.beat + 1)


class Bounds:
    """What a probe is wanted to be: exactly one of `is`, `at_least`, `at_most`."""

    __slots__ = ()
    is_: Value | None
    at_least: int | None
    at_most: int | None

    def holds(self, value: Value) -> bool:
        """Whether a measured value is what is wanted. 1 is not true and "1" is not 1."""
        if self.is_ is not None:
            return type(value) is type(self.is_) and value == self.is_
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    @property
    def expected(self) -> Value:
        """The bound itself."""
        for bound in (self.is_, self.at_least, self.at_most):
            if bound is not None:
                return bound
        raise LessonError("a check without is, at_least or at_most")  # load refuses such a lesson

    @property
    def wanted(self) -> str:
        """`5`, `at least 5`, `at most 5`."""
        relation = "" if self.is_ is not None else "at least " if self.at_least is not None else "at most "
        return relation + shown(self.expected)


class Settle(Bounds, Part, frozen=True, rename={"is_": "is"}):
    """Wait, at most `within_ms`, until the probe says so."""

    probe: str
    is_: Value | None = None
    within_ms: int = 2000
    at_least: int | None = None
    at_most: int | None = None


CHOICE_LETTERS = "abcdefghi"
"""What a choice is answered with, everywhere: a number would be taken for a value, or for a panel's key."""


class Predict(Part, frozen=True):
    """A question whose answer the kernel gives."""

    ask: str
    choices: list[Value]
    measure: str
    explain: str
    hides: list[str] = []
    when: Literal["now", "return", "done"] = "now"
    """now: measured when the student has committed. return: measured when this step's call has returned. done:
    measured when what the step offers has been done."""

    @property
    def letters(self) -> str:
        """The letter of each choice, in order: "abcd"."""
        return CHOICE_LETTERS[: len(self.choices)]


class Step(Part, frozen=True):
    """What the lesson says, does and asks at one moment."""

    at: At
    before: str = ""
    after: str = ""
    do: list[str] = []
    settle: list[Settle] = []
    predict: Predict | None = None
    offer: list[str] = []
    """What the student is to do; when they step on instead, or nobody is there, the lesson does it."""
    until: list[Settle] = []
    """How the lesson knows that it was done."""
    holds: list[str] = []
    """What `before` (and the explanation of a question that is answered now) relies on: "packets.held is 1"."""
    holds_after: list[str] = []
    """What `after` relies on (and the explanation of a question that is answered then)."""
    focus: str = ""
    """The panel that comes to the front at this step, unless the user has chosen another."""
    point: str = ""
    """What the picture marks at this step: "listener", "client f", "fd 4"."""


class Check(Bounds, Part, frozen=True, rename={"is_": "is"}):
    """What must be true at a moment."""

    at: At | Literal["end"]
    probe: str
    is_: Value | None = None
    at_least: int | None = None
    at_most: int | None = None

    @property
    def claim(self) -> str:
        """The check in words: `listener.accept_queue is 5`."""
        return f"{self.probe} is {self.wanted}"


class Servers(Part, frozen=True):
    c: str = ""
    python: str = ""


class File(Part, frozen=True, rename={"steps": "step", "checks": "check"}):
    """lesson.toml as it is written."""

    format: int
    title: str
    summary: str
    server: Servers
    steps: tuple[Step, ...]
    checks: tuple[Check, ...] = ()
    minutes: int = 5
    teaches: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    reference: str = ""
    port: int = 8080
    network: Literal["any", "two-hosts"] = "any"
    """two-hosts: the lesson makes no sense without two hosts and a wire between them."""
    pause: tuple[str, ...] = DEFAULT_PAUSE
    intro: str = ""
    outro: str = ""
    one_language: str = ""
    """Why there is a server in one language only; empty = there is one in each."""

    @property
    def clients(self) -> frozenset[str]:
        """The names its clients and programs get: a, b, curl, curl2. A student's own get others."""
        from socklab.commands import actions

        names: set[str] = set()
        for step in self.steps:
            for line in (*step.do, *step.offer):
                action = actions.parse(line)
                if isinstance(action, actions.Connect):
                    names.update(action.names or islice(actions.free_names(names), action.count))
                elif isinstance(action, actions.Run):
                    names.add(next(actions.numbered(action.argv[0], names)))
        return frozenset(names)


class Lesson(File, frozen=True, kw_only=True):
    """A lesson that was found to be in order: its file, and where that came from."""

    name: str
    """What the user types: the folder's name without its number."""
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
        from socklab.commands import actions

        done = (actions.parse(line) for step in self.steps for line in (*step.do, *step.offer))
        return tuple(dict.fromkeys(action.argv[0] for action in done if isinstance(action, actions.Run)))

    def server_file(self, language: str) -> Path:
        """Where the server's source is. Raises UsageError when the lesson has none in that language."""
        name: str = getattr(self.server, language, "")
        if not name or self.folder is None:
            raise UsageError(
                f"Lesson {self.name} has no server in {safe(language)}.", fix=f"It has: {', '.join(self.languages)}."
            )
        return self.folder / name


def shown(value: Value) -> str:
    """A measured value or a choice as text: true and false are yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return safe(str(value))
