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
from socklab.lesson.model import CALLS, FORMAT, PANELS, At, Check, File, Settle, Step


class Validator:
    """Checks one file; `where` is named in every refusal."""

    def __init__(self, where: str) -> None:
        self.where = where

    def refuse(self, key: str, why: str, fix: str = "") -> LessonError:
        return LessonError(f"{safe(self.where)}: {key}: {why}", fix=fix)

    def validate(self, file: File) -> None:
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
        if not file.steps:
            raise self.refuse("step", "a lesson needs at least one [[step]]")
        for index, call in enumerate(file.pause):
            self._call(f"pause[{index}]", call)
        self._narration("intro", file.intro)
        self._narration("outro", file.outro)
        for index, step in enumerate(file.steps):
            self._step(f"step[{index}]", step)
            self._beat(f"step[{index}].at.beat", step.at, file.steps[index - 1].at if index else None)
        for index, check in enumerate(file.checks):
            self._check(f"check[{index}]", check)

    def _step(self, key: str, step: Step) -> None:
        self._at(f"{key}.at", step.at)
        if step.at.done:
            raise self.refuse(f"{key}.at.done", "this is for checks; a step's words for then are its `after`")
        self._narration(f"{key}.before", step.before)
        self._narration(f"{key}.after", step.after)
        if step.at.when == "return" and step.before:
            raise self.refuse(f"{key}.before", 'a step at when = "return" has only `after`')
        for index, line in enumerate(step.do):
            self._verb(f"{key}.do[{index}]", line)
        for index, settle in enumerate(step.settle):
            self._settle(f"{key}.settle[{index}]", settle)
        if step.predict is not None:
            self._predict(f"{key}.predict", step)
        self._offer(key, step)

    def _settle(self, key: str, settle: Settle) -> None:
        self._probe(f"{key}.probe", settle.probe)
        self._one_bound(key, settle)
        if not 1 <= settle.within_ms <= 60_000:
            raise self.refuse(f"{key}.within_ms", f"{settle.within_ms}; 1 to 60000")

    def _one_bound(self, key: str, wanted: Settle | Check) -> None:
        given = sum(bound is not None for bound in (wanted.is_, wanted.at_least, wanted.at_most))
        if given != 1:
            raise self.refuse(key, f"exactly one of is, at_least, at_most; {given} are given")

    def _offer(self, key: str, step: Step) -> None:
        for index, line in enumerate(step.offer):
            self._verb(f"{key}.offer[{index}]", line)
        for index, settle in enumerate(step.until):
            self._settle(f"{key}.until[{index}]", settle)
        if step.offer and not step.until:
            raise self.refuse(f"{key}.offer", "`until` is missing: how does the lesson know that it was done?")
        if step.until and not step.offer:
            raise self.refuse(f"{key}.until", "nothing is offered; to wait after `do` use `settle`")
        if step.offer and step.at.when == "return":
            raise self.refuse(f"{key}.offer", "offer it where the program stands or sleeps: at the next call")

    def _beat(self, key: str, at: At, before: At | None) -> None:
        if at.beat == 1:
            return
        if at.beat < 1:
            raise self.refuse(key, f"{at.beat}; the first beat is 1")
        if at.when == "return":
            raise self.refuse(key, "a return has one beat; go on at the next call")
        if before is None or before.next_beat != at:
            raise self.refuse(key, f"{at.beat}; the step before it is not beat {at.beat - 1} of the same moment")

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
        if predict.when == "done" and not step.offer:
            raise self.refuse(f"{key}.when", 'nothing is offered that could be "done"; leave `when` at "now"')
        if predict.when == "done" and predict.hides:
            raise self.refuse(f"{key}.hides", "nothing to hide: the answer does not exist before it is done")

    def _check(self, key: str, check: Check) -> None:
        if isinstance(check.at, At):
            self._at(f"{key}.at", check.at)
        self._probe(f"{key}.probe", check.probe)
        self._one_bound(key, check)

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
        self._named(key, lambda: actions.parse(line))

    def _named(self, key: str, check: Callable[[], object]) -> None:
        try:
            check()
        except SocklabError as error:
            raise self.refuse(key, error.what, error.fix) from None

    def _narration(self, key: str, text: str) -> None:
        for name in probes.names_in(text):
            self._probe(key, name)
