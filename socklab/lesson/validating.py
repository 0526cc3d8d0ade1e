"""What types can't say of a lesson: names of probes, verbs, panels and calls, and what belongs together.

In: a File whose types are right. Out: nothing, or a LessonError that names file, key and the nearest known word.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from socklab import probes
from socklab.commands import actions
from socklab.core.errors import LessonError, SocklabError
from socklab.core.suggest import suggest
from socklab.core.text import safe
from socklab.lesson.claims import claim, told_after
from socklab.lesson.model import (
    CALLS,
    CHOICE_LETTERS,
    FOCUSED,
    FORMAT,
    PANELS,
    At,
    Check,
    File,
    Predict,
    Settle,
    Step,
    Value,
)


class Validator:
    """Checks one file; `where` is named in every refusal."""

    def __init__(self, where: str) -> None:
        self.where = where

    def refusal(self, key: str, why: str, fix: str = "") -> LessonError:
        return LessonError(f"{safe(self.where)}: {key}: {why}", fix=fix)

    def need(self, holds: bool, key: str, otherwise: str) -> None:
        """Refuse the file, because of this key, unless `holds`."""
        if not holds:
            raise self.refusal(key, otherwise)

    def validate(self, file: File) -> None:
        self.need(file.format == FORMAT, "format", f"{file.format}; this socklab reads format {FORMAT}")
        self.need(1 <= file.port <= 65535, "port", f"{file.port}; a port is 1 to 65535")
        self.need(bool(file.server.c or file.server.python), "server", "at least one of c and python is needed")
        for language in ("c", "python"):
            name: str = getattr(file.server, language)
            inside = Path(name).name == name and not name.startswith(".")
            self.need(inside, f"server.{language}", f'"{safe(name)}" must be a file in the lesson\'s own folder')
        self.need(bool(file.steps), "step", "a lesson needs at least one [[step]]")
        for index, call in enumerate(file.pause):
            self._call(f"pause[{index}]", call)
        self._narration("intro", file.intro)
        self._narration("outro", file.outro)
        for index, step in enumerate(file.steps):
            self._step(f"step[{index}]", step)
            self._beat(f"step[{index}].at.beat", step.at, file.steps[index - 1].at if index else None)
        pointing = [(f"step[{index}].point", step.point) for index, step in enumerate(file.steps) if step.point]
        clients = file.clients if pointing else frozenset()
        for key, point in pointing:
            self._point(key, point, clients)
        for index, check in enumerate(file.checks):
            self._check(f"check[{index}]", check)

    def _step(self, key: str, step: Step) -> None:
        self._at(f"{key}.at", step.at)
        self.need(not step.at.done, f"{key}.at.done", "this is for checks; a step's words for then are its `after`")
        self._narration(f"{key}.before", step.before)
        self._narration(f"{key}.after", step.after)
        returned = step.at.when == "return"
        only = 'a step at when = "return" has only `after`'
        self.need(not (returned and step.before), f"{key}.before", only)
        self.need(not (returned and step.holds), f"{key}.holds", f"{only}: write holds_after")
        for name in ("do", "offer"):
            for index, line in enumerate(getattr(step, name)):
                self._named(f"{key}.{name}[{index}]", actions.parse, line)
        for name in ("settle", "until"):
            for index, settle in enumerate(getattr(step, name)):
                self._settle(f"{key}.{name}[{index}]", settle)
        for name, at in (("holds", step.at), ("holds_after", told_after(step))):
            for index, line in enumerate(getattr(step, name)):
                self._claim(f"{key}.{name}[{index}]", line, at)
        if step.focus and step.focus not in FOCUSED:
            raise self.refusal(f"{key}.focus", f'no panel "{safe(step.focus)}"', suggest(step.focus, FOCUSED))
        if step.predict is not None:
            self._predict(f"{key}.predict", step, step.predict)
        if step.offer:
            missing = "`until` is missing: how does the lesson know that it was done?"
            self.need(bool(step.until), f"{key}.offer", missing)
            self.need(not returned, f"{key}.offer", "offer it where the program stands or sleeps: at the next call")
        else:
            self.need(not step.until, f"{key}.until", "nothing is offered; to wait after `do` use `settle`")

    def _settle(self, key: str, settle: Settle) -> None:
        self._wish(key, settle)
        self.need(1 <= settle.within_ms <= 60_000, f"{key}.within_ms", f"{settle.within_ms}; 1 to 60000")

    def _wish(self, key: str, wish: Settle | Check) -> None:
        self._named(f"{key}.probe", probes.check_name, wish.probe)
        given = sum(bound is not None for bound in (wish.is_, wish.at_least, wish.at_most))
        self.need(given == 1, key, f"exactly one of is, at_least, at_most; {given} are given")
        self._legal(key, wish.probe, wish.expected)

    def _legal(self, key: str, probe: str, value: Value) -> None:
        self._named(key, lambda name: probes.check_value(name, value), probe)

    def _beat(self, key: str, at: At, before: At | None) -> None:
        if at.beat == 1:
            return
        self.need(at.beat > 1, key, f"{at.beat}; the first beat is 1")
        self.need(at.when != "return", key, "a return has one beat; go on at the next call")
        follows = before is not None and before.next_beat == at
        self.need(follows, key, f"{at.beat}; the step before it is not beat {at.beat - 1} of the same moment")

    def _predict(self, key: str, step: Step, predict: Predict) -> None:
        self._named(f"{key}.measure", probes.check_name, predict.measure)
        self._narration(f"{key}.ask", predict.ask)
        self._narration(f"{key}.explain", predict.explain)
        number = len(predict.choices)
        most = len(CHOICE_LETTERS)
        self.need(2 <= number <= most, f"{key}.choices", f"{number} choices; 2 to {most} fit the letters a to i")
        for index, choice in enumerate(predict.choices):
            self._legal(f"{key}.choices[{index}]", predict.measure, choice)
        different = {(type(choice), choice) for choice in predict.choices}
        self.need(len(different) == number, f"{key}.choices", "a choice is given twice")
        for letter, choice in zip(predict.letters, predict.choices, strict=True):
            other = choice in tuple(predict.letters) and choice != letter
            self.need(not other, f"{key}.choices", f'"{choice}" is the letter of another choice; put it in its place')
        for index, panel in enumerate(predict.hides):
            if panel not in PANELS:
                raise self.refusal(f"{key}.hides[{index}]", f'no panel "{safe(panel)}"', suggest(panel, PANELS))
        nothing = "nothing to hide: the answer does not exist before "
        if predict.when == "return":
            late = step.at.when == "return"
            self.need(not late, f"{key}.when", 'the step is at the return already; leave `when` at "now"')
            self.need(not predict.hides, f"{key}.hides", nothing + "the call returns")
        elif predict.when == "done":
            self.need(bool(step.offer), f"{key}.when", 'nothing is offered that could be "done"; leave `when` at "now"')
            self.need(not predict.hides, f"{key}.hides", nothing + "it is done")

    def _point(self, key: str, point: str, clients: frozenset[str]) -> None:
        """`listener`, `client f` for one of the lesson's, `fd 4`."""
        word, _, rest = point.partition(" ")
        if point == "listener" or (word == "fd" and rest.isdecimal()) or (word == "client" and rest in clients):
            return
        if word == "client" and rest:
            fix = suggest(rest, clients) or "No step connects one."
            raise self.refusal(key, f'no client "{safe(rest)}" in this lesson', fix)
        raise self.refusal(key, f'"{safe(point)}" is nothing to point at', 'It is "client a", "listener" or "fd 4".')

    def _claim(self, key: str, line: str, at: At) -> None:
        try:
            check = claim(line, at)
        except LessonError as error:
            raise self.refusal(key, error.what, error.fix) from None
        self._wish(key, check)

    def _check(self, key: str, check: Check) -> None:
        if isinstance(check.at, At):
            self._at(f"{key}.at", check.at)
        self._wish(key, check)

    def _at(self, key: str, at: At) -> None:
        self._call(f"{key}.syscall", at.syscall)
        self.need(at.nth >= 1, f"{key}.nth", f"{at.nth}; the first call is 1")

    def _call(self, key: str, name: str) -> None:
        if name not in CALLS:
            raise self.refusal(key, f'no syscall "{safe(name)}" that a lesson may name', suggest(name, CALLS))

    def _narration(self, key: str, text: str) -> None:
        for name in probes.names_in(text):
            self._named(key, probes.check_name, name)

    def _named(self, key: str, check: Callable[[str], object], text: str) -> None:
        try:
            check(text)
        except SocklabError as error:
            raise self.refusal(key, error.what, error.fix) from None
