"""Claims of a lesson's texts, as its author writes them: `listener.accept_queue is 5`, `packets.held is at least 1`.

In: one line of `holds` or `holds_after`. Out: a Check at the moment at which the text is told. Never measures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec.structs import replace

from socklab.core.errors import LessonError
from socklab.core.text import safe
from socklab.lesson.model import At, Check, Step, Value

_LINE = re.compile(r"(?P<probe>\S+) is (?:(?P<bound>at least|at most) )?(?P<value>\S.*)")


def claim(line: str, at: At) -> Check:
    """The check that a line of `holds` asks for at this moment. Raises LessonError saying what a claim looks like."""
    found = _LINE.fullmatch(line.strip())
    if found is None:
        raise LessonError(
            f'"{safe(line)}" is no claim',
            fix="Such as: listener.accept_queue is 5, packets.held is at least 1, client.a.eof is yes.",
        )
    probe, bound, value = found["probe"], found["bound"], _value(found["value"])
    if bound is None:
        return Check(at=at, probe=probe, is_=value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise LessonError(f'"{safe(line)}": {bound} needs a whole number, not {safe(found["value"])}')
    return (
        Check(at=at, probe=probe, at_least=value) if bound == "at least" else Check(at=at, probe=probe, at_most=value)
    )


def _value(text: str) -> Value:
    """yes and no are true and false; digits are a number; the rest is text."""
    if text in ("yes", "no"):
        return text == "yes"
    return int(text) if re.fullmatch(r"-?[0-9]{1,15}", text) else text


def told_after(step: Step) -> At:
    """The moment of a step's `after`: its call has returned, or what it offers was done."""
    return replace(step.at, done=True) if step.offer else replace(step.at, when="return", beat=1)


def claims(step: Step, phase: str) -> Iterator[Check]:
    """What the step's text of this phase (before, after) relies on."""
    lines, at = (step.holds, step.at) if phase == "before" else (step.holds_after, told_after(step))
    return (claim(line, at) for line in lines)
