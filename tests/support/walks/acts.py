"""What a student may think of next, drawn by chance from what the screen offers.

In: a random generator, the screen as it stands. Out: one act as a line of text. Keys, verbs and their arguments come
from the command table, names from the lesson and the lab; so what is added there is walked too.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from socklab.commands import lines
from socklab.commands.arguments import Known
from socklab.commands.keymap import effective
from socklab.commands.table import COMMANDS, SCREEN, WIRE
from socklab.lesson import Lesson
from socklab.ui.tui.panels import registry
from tests.support.walks.screen import Student, key_of

SIZES = ("80x24", "120x36", "60x20")
LEAVES = {"quit"}
FREE_LINES = (
    "! curl -s -m 3 http://10.0.0.1:8080/", "! @server curl -s -m 3 http://127.0.0.1:8080/", "! sleep 600", "! false",
    "! no-such-program", "stdin hello", "set net.ipv4.tcp_syncookies 0", "set net.ipv4.tcp_abort_on_overflow 1",
    "set tcp_synack_retries", "until any error", "until read fd=4", "connect 3", "loss 30 seed 7", "loss 100",
    "delay 100 jitter 20", "loss 0", "delay 0", "release", "until nonsense", "connect a a", 'send "', "deliver #1",
    "help hold", "pcap /dev/null", "others run", "others hold",
)  # fmt: skip
NEEDLESS = ("pageup", "pagedown", "up", "down", "enter", "escape", "tab", "shift+tab", "left", "right", "home", "end")


class Mind:
    """How one student goes about it: chances of each kind of act, the same for a whole walk."""

    def __init__(self, rng: random.Random, lesson: Lesson, longest_wait: float) -> None:
        self.rng = rng
        self._waits_left = longest_wait
        self._lesson_lines = [line for step in lesson.steps for line in (*step.do, *step.offer)]
        self._names = sorted({name for line in self._lesson_lines for name in re.findall(r"\b([a-j])\b", line)}) or [
            "a"
        ]
        self.faithful = rng.random() < 0.5
        """Does nothing to the lab but what the lesson offers."""
        self._kinds: dict[Callable[[Student], str], float] = {
            self._next: rng.choice((2.0, 4.0, 8.0)),
            self._steps: rng.choice((0.3, 1.5)),
            self._burst: rng.choice((0.2, 1.0)),
            self._flurry: rng.choice((0.1, 0.5)),
            self._offered: rng.choice((0.5, 3.0)),
            self._lessons_line: rng.choice((0.2, 0.6, 1.5)),
            self._verb: rng.choice((0.2, 0.6, 1.5)),
            self._wire: rng.choice((0.1, 0.5, 1.5)),
            self._free_line: rng.choice((0.1, 0.5)),
            self._completed: rng.choice((0.1, 0.5)),
            self._looks: rng.choice((0.3, 1.0)),
            self._any_key: rng.choice((0.2, 0.8)),
            self._resize: 0.2,
            self._restart: 0.05,
            self._wait: rng.choice((0.1, 0.5, 1.5)),
            self._click: 0.15,
        }
        if self.faithful:
            for kind in (self._lessons_line, self._verb, self._wire, self._free_line, self._completed, self._any_key):
                del self._kinds[kind]

    def act(self, student: Student) -> str:
        if student.choice_keys and self.rng.random() < 0.6:
            return self._answer(student)
        while True:
            (kind,) = self.rng.choices(list(self._kinds), list(self._kinds.values()))
            if act := kind(student):
                return act

    # ---------------------------------------------------------------- kinds of acts

    def _answer(self, student: Student) -> str:
        if self.rng.random() < 0.1:
            return "press escape"
        return f"answer {self.rng.randrange(len(student.choice_keys))}"

    def _next(self, _student: Student) -> str:
        return f"press {key_of('next')}"

    def _steps(self, _student: Student) -> str:
        return f"press {key_of(self.rng.choice(('step', 'step', 'over', 'pause')))}"

    def _burst(self, _student: Student) -> str:
        often = ("next", "next", "step", "over") if self.faithful else ("next", "step", "over", "connect")
        keys = [key_of(self.rng.choice(often)) for _ in range(3)]
        return f"press {' '.join(keys)}"

    def _flurry(self, _student: Student) -> str:
        """Keys as fast as they come, whatever the screen says meanwhile."""
        keys = [key_of(name) for name in ("next", "next", "step", "over", "pause")] + ["enter", "escape", "a", "b", "c"]
        keys += [] if self.faithful else [key_of("deliver"), key_of("connect"), key_of("restart")]
        return f"press {' '.join(self.rng.choice(keys) for _ in range(self.rng.randrange(3, 9)))}"

    def _offered(self, student: Student) -> str:
        offer = student.now.offer
        if offer is None or not offer.lines:
            return ""
        line = self.rng.choice(offer.lines)
        key = {"deliver": "deliver", "deliver all": "deliver-all"}.get(line, "")
        return f"press {key_of(key)}" if key and self.rng.random() < 0.5 else f"type {line}"

    def _lessons_line(self, _student: Student) -> str:
        return f"type {self.rng.choice(self._lesson_lines)}" if self._lesson_lines else ""

    def _verb(self, student: Student) -> str:
        names = [*self._names, *student.now.clients]
        verb = self.rng.choice(("connect", "send", "half-close", "close", "reset", "stop-reading", "read"))
        name = self.rng.choice(names)
        text = self.rng.choice((' "hello"', ' "GET / HTTP/1.0\\r\\n\\r\\n"', ' "\\x00"')) if verb == "send" else ""
        return f"type {verb} {name}{text}"

    def _wire(self, student: Student) -> str:
        verb = self.rng.choice([command.name for command in COMMANDS if command.group == WIRE and command.where])
        which = self.rng.choice(
            ("", " all", " syn", " syn-ack", " ack to server", " every retransmission", " next data")
        )
        if verb in ("delay", "loss"):
            which = f" {self.rng.choice((0, 20, 100))}{which}"
        return f"type {verb}{which}"

    def _free_line(self, _student: Student) -> str:
        return f"type {self.rng.choice(FREE_LINES)}"

    def _completed(self, student: Student) -> str:
        """A line made of completions only, as Tab makes them."""
        known = Known(list(student.now.clients), (0, 3, 4))
        verbs = [command.name for command in COMMANDS if SCREEN in command.where and command.name not in LEAVES]
        line = f"{self.rng.choice(verbs)} "
        while self.rng.random() < 0.8 and (found := lines.completions(line, known)):
            line = self.rng.choice(found)
        return f"type {line.strip()}"

    def _looks(self, _student: Student) -> str:
        return f"press {self.rng.choice((*registry.FREE_KEYS[:10], *NEEDLESS, key_of('maximise'), key_of('stack')))}"

    def _any_key(self, _student: Student) -> str:
        keys = [key for row in effective().commands if row.name not in LEAVES for key in row.keys.split()]
        return f"press {self.rng.choice((*keys, *registry.FREE_KEYS))}"

    def _restart(self, _student: Student) -> str:
        return f"press {key_of('restart')}"

    def _resize(self, _student: Student) -> str:
        return f"size {self.rng.choice(SIZES)}"

    def _wait(self, _student: Student) -> str:
        seconds = self.rng.choices((2.0, 20.0), (6, 1))[0]
        if seconds > self._waits_left:
            return ""
        self._waits_left -= seconds
        return f"wait {seconds:g}"

    def _click(self, student: Student) -> str:
        size = student.app.size  # not the last row: there one may quit
        return f"click {self.rng.randrange(size.width)},{self.rng.randrange(max(1, size.height - 1))}"
