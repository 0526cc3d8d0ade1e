"""What the lesson's text was made of: the step in lesson.toml, and the probes in it with what they measure.

In: the lesson, the state. Out: a Subject. Never shows what a question that is not answered yet asks for.
"""

from __future__ import annotations

from collections.abc import Iterator

from socklab import probes, state as st
from socklab.core.text import safe
from socklab.evidence.model import Block, Field, Row, Shell, Subject
from socklab.lesson import Lesson
from socklab.lesson.model import Step


def narration(state: st.LabState, lesson: Lesson | None, _row: Row) -> Subject | str:
    """The step the lesson is at."""
    if lesson is None:
        return "This is no lesson: what stands here is made of the state that the other panels show."
    reached = state.step
    if reached is None or not 0 <= reached.index < len(lesson.steps):
        return "The lesson has not come to its first step yet."
    step, number = lesson.steps[reached.index], reached.index + 1
    title = f"step {number} of {len(lesson.steps)}"
    if step.predict is not None and reached.index not in state.answers:
        return "This step asks a question: its part of lesson.toml is shown once that is answered."
    first, lines = _part(lesson, reached.index)
    text = tuple(((safe(line, lines=True), "string"),) for line in lines)
    where = f"lesson.toml, lines {first} to {first + len(lines) - 1}" if lines else "lesson.toml"
    fields = [Field(name, measured(state, name), "", True) for name in dict.fromkeys(_names(step))]
    blocks = [Block(where, text)]
    if fields:
        blocks.insert(0, Block("its probes, measured in what is shown now", fields=tuple(fields)))
    shells: tuple[Shell, ...] = ()
    if lesson.folder is not None and lines:
        file = str(lesson.folder / "lesson.toml")
        shells = (Shell(("sed", "-n", f"{first},{first + len(lines) - 1}p", file)),)
    return Subject(title, recorded=tuple(blocks), shells=shells)


def measured(state: st.LabState, name: str) -> str:
    """A probe's value, or why it has none."""
    try:
        return safe(str(probes.measure(state, name)))
    except probes.Unmeasured as reason:
        return f"not measured: {safe(str(reason))}"


def _names(step: Step) -> Iterator[str]:
    """Every probe that the step speaks of."""
    for text in (step.before, step.after, step.predict.explain if step.predict is not None else ""):
        yield from probes.names_in(text)
    yield from (each.probe for each in (*step.settle, *step.until))
    yield from (claim.split()[0] for claim in (*step.holds, *step.holds_after) if claim.split())
    if step.predict is not None:
        yield step.predict.measure


def _part(lesson: Lesson, index: int) -> tuple[int, list[str]]:
    """The lines of the file that are the step's, and the number of the first; none where they can't be told apart."""
    lines = lesson.toml.splitlines()
    heads = [place for place, line in enumerate(lines) if line.strip() in ("[[step]]", "[[check]]")]
    steps = [place for place in heads if lines[place].strip() == "[[step]]"]
    if len(steps) != len(lesson.steps):
        return 0, []
    start = steps[index]
    end = next((place for place in heads if place > start), len(lines))
    found = lines[start:end]
    while found and not found[-1].strip():
        found.pop()
    return start + 1, found
