"""Which step of the lesson a moment of the run is, and what the engine must do then.

In: a Lesson, a frozen Cursor, moments of the run in order. Out: the next Cursor, and directives in the order in which
they must be carried out. Never acts, keeps nothing between calls.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from socklab.lesson import SAME_CALL, At, Lesson, Settle, Step, canonical


class Moment(msgspec.Struct, frozen=True):
    """One moment of a call. `name` is the canonical one; `nth` counts the program's calls of that name, from 1.

    The lesson counts from its first step on: see `_counted`.

    at: enter (about to be made), blocked (the program sleeps inside it), return. `beat`: which of the lesson's steps at
    this stop, from 1; see `next_beat`.
    """

    tid: int
    at: str
    name: str
    nth: int
    beat: int = 1


class Reach(msgspec.Struct, frozen=True):
    """Emit StepReached(index, phase)."""

    index: int
    phase: str


class Perform(msgspec.Struct, frozen=True):
    """Carry out one verb line (origin: lesson)."""

    line: str


class Offer(msgspec.Struct, frozen=True):
    """Let the student do it, until all of `until` hold; when they step on instead, or nobody is there, do `lines`."""

    lines: tuple[str, ...]
    until: tuple[Settle, ...]


class Ask(msgspec.Struct, frozen=True):
    """Emit Asked(index). The program is not resumed before the Answer.

    On Answer: where the step's predict.when is "now", measure and emit Measured; where it is "return" or "done", emit
    Answered, keep the choice, and wait for the directive Measure.
    """

    index: int


class Measure(msgspec.Struct, frozen=True):
    """Its answer exists now: measure step `index`'s prediction and emit Measured with the choice kept."""

    index: int


class Check(msgspec.Struct, frozen=True):
    """Measure check `index` and emit Checked. `reason` set = its moment never came: it failed, unmeasured."""

    index: int
    reason: str = ""


class Done(msgspec.Struct, frozen=True):
    """Emit LessonDone."""


Directive: TypeAlias = Reach | Perform | Settle | Offer | Ask | Measure | Check | Done


class _Open(msgspec.Struct, frozen=True):
    """A step that has something to say or to measure when its call returns."""

    index: int
    tid: int
    name: str
    nth: int


class Cursor(msgspec.Struct, frozen=True):
    """How far the lesson has come."""

    next: int = 0
    """Index of the step that is waited for."""
    open: tuple[_Open, ...] = ()
    checked: frozenset[int] = frozenset()
    done: bool = False
    past: frozenset[int] = frozenset()
    """Steps that can't be reached any more: their moment came before their turn."""
    earlier: tuple[tuple[str, int], ...] = ()
    """How many calls of each name the program had made before the first step."""
    begun: int = -1
    """Index of the step reached last."""


def begin(lesson: Lesson) -> Cursor:
    """The cursor before the program's first call."""
    return Cursor()


_PHASES = ("enter", "blocked", "return")


def _matches(at: At, moment: Moment) -> bool:
    same = canonical(at.syscall) == moment.name and at.nth == moment.nth
    return same and at.when == moment.at and at.beat == moment.beat and not at.done


def _missed(at: At, moment: Moment) -> bool:
    """This call has gone past the moment: one that found work at once never blocks."""
    same = canonical(at.syscall) == moment.name and at.nth == moment.nth
    return same and (_PHASES.index(moment.at), moment.beat) > (_PHASES.index(at.when), at.beat)


def _waits_for_return(step: Step) -> bool:
    """The step has something to say or to measure once its call has returned."""
    deferred = step.predict is not None and step.predict.when == "return"
    return step.at.when != "return" and ((bool(step.after) and not step.offer) or deferred)


def _awaited(lesson: Lesson, cursor: Cursor, moment: Moment) -> int:
    """Index of the step that is waited for, steps whose moment is past passed over."""
    index = cursor.next
    while index < len(lesson.steps) and (index in cursor.past or _missed(lesson.steps[index].at, moment)):
        index += 1
    return index


def _counted(lesson: Lesson, cursor: Cursor, moment: Moment) -> tuple[Cursor, Moment]:
    """The moment as the lesson counts it: calls made before its first step are not the lesson's.

    Python's import of a module may close a descriptor of its own; C's start does nothing of the kind.
    """
    if cursor.next:
        return cursor, replace(moment, nth=moment.nth - dict(cursor.earlier).get(moment.name, 0))
    earlier = dict(cursor.earlier)
    if lesson.steps and _matches(lesson.steps[0].at, moment):
        earlier.pop(moment.name, None)
    elif moment.at == "enter":
        earlier[moment.name] = moment.nth
    return replace(cursor, earlier=tuple(earlier.items())), moment


def _begun(step: Step, index: int, moment: Moment) -> list[Directive]:
    """What a step does at its own moment, before its question."""
    return [
        Reach(index, "after" if moment.at == "return" else "before"),
        *(Perform(line) for line in step.do),
        *step.settle,
    ]


def _offered(lesson: Lesson, step: Step, index: int) -> tuple[list[Directive], list[int]]:
    """What a step offers, and what it says and measures once that is done; with the numbers of the checks made then."""
    if not step.offer:
        return [], []
    done = replace(step.at, done=True)
    due = [number for number, check in enumerate(lesson.checks) if check.at == done]
    out: list[Directive] = [Offer(tuple(step.offer), tuple(step.until)), *(Check(number) for number in due)]
    if step.after:
        out.append(Reach(index, "after"))
    if step.predict is not None and step.predict.when == "done":
        out.append(Measure(index))
    return out, due


def at_moment(lesson: Lesson, cursor: Cursor, moment: Moment) -> tuple[Cursor, tuple[Directive, ...]]:
    """The cursor after `moment`, and what the engine must do now, in order.

    Only the next step in order may match; one whose moment can't come any more is passed over. Its call's return is
    its "after", told unless a later step has begun. Checks of a moment come after its actions and settles (before
    those that wake a sleeping program), then the question, then what is offered. Done comes with the last thing the
    last step has to say.
    """
    cursor, moment = _counted(lesson, cursor, moment)
    index = _awaited(lesson, cursor, moment)
    begins = index < len(lesson.steps) and _matches(lesson.steps[index].at, moment)
    out: list[Directive] = []
    answers: list[Directive] = []  # a step that is told puts the verdict before it away: the verdict comes last
    still_open = []
    for each in cursor.open:
        if moment.at != "return" or (each.tid, each.name, each.nth) != (moment.tid, moment.name, moment.nth):
            still_open.append(each)
            continue
        if each.index == cursor.begun and not begins:
            out.append(Reach(each.index, "after"))
        predict = lesson.steps[each.index].predict
        if predict is not None and predict.when == "return":
            answers.append(Measure(each.index))
    out += answers
    last: list[Directive] = []
    offered: list[int] = []
    wakes = 0
    """Where in `out` the actions begin that wake a sleeping program up: its moment is gone then."""
    if begins:
        step = lesson.steps[index]
        wakes = len(out) + 1 if moment.at == "blocked" and step.do else 0
        out.extend(_begun(step, index, moment))
        last, offered = _offered(lesson, step, index)
        if step.predict is not None:
            last.insert(0, Ask(index))
        if _waits_for_return(step):
            still_open.append(_Open(index, moment.tid, moment.name, moment.nth))
    due = [
        number
        for number, check in enumerate(lesson.checks)
        if number not in cursor.checked and isinstance(check.at, At) and _matches(check.at, moment)
    ]
    before = wakes or len(out)
    out[before:before] = [Check(number) for number in due]
    out.extend(last)
    reached = index + begins
    past = cursor.past | {
        later
        for later in range(reached, len(lesson.steps) if reached else 0)
        if _matches(lesson.steps[later].at, moment) or _missed(lesson.steps[later].at, moment)
    }
    while reached in past:
        reached += 1
    over = reached == len(lesson.steps) and not still_open
    if over and not cursor.done:
        out.append(Done())
    checked = cursor.checked | frozenset(due) | frozenset(offered)
    begun = index if begins else cursor.begun
    done = cursor.done or over
    return Cursor(reached, tuple(still_open), checked, done, past, cursor.earlier, begun), tuple(out)


def begins_with(lesson: Lesson, cursor: Cursor, moment: Moment) -> bool:
    """Whether the lesson's first step is at this moment."""
    return not cursor.next and bool(lesson.steps) and _matches(lesson.steps[0].at, moment)


def next_beat(lesson: Lesson, cursor: Cursor, moment: Moment) -> Moment | None:
    """The moment one beat later, when the lesson has a step for it: the program stands still, the lesson goes on."""
    later = replace(moment, beat=moment.beat + 1)
    if not 0 < cursor.next < len(lesson.steps):
        return None
    return later if _matches(lesson.steps[cursor.next].at, _counted(lesson, cursor, later)[1]) else None


def ending(lesson: Lesson, cursor: Cursor) -> tuple[Check, ...]:
    """The checks left when the run ends: those at = "end", and those whose moment never came."""
    out = []
    for index, check in enumerate(lesson.checks):
        if index in cursor.checked:
            continue
        if isinstance(check.at, At):
            out.append(Check(index, reason=f"the program never came to {described(check.at)}"))
        elif not cursor.done:
            out.append(Check(index, reason="the lesson's last step was not reached"))
        else:
            out.append(Check(index))
    return tuple(out)


def described(at: At) -> str:
    """A moment in words: `the 2nd accept blocked`."""
    suffix = "th" if 10 <= at.nth % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(at.nth % 10, "th")
    phase = {"enter": "", "blocked": " blocked", "return": " returned"}[at.when]
    beat = f", beat {at.beat}" if at.beat > 1 else ""
    return f"the {at.nth}{suffix} {at.syscall}{phase}{beat}{', done' if at.done else ''}"


def pause_names(lesson: Lesson) -> frozenset[str]:
    """Every syscall name the lesson wants stops at, equivalents included; an architecture may lack some."""
    wanted = {canonical(name) for name in lesson.pause}
    wanted |= {canonical(step.at.syscall) for step in lesson.steps}
    wanted |= {canonical(check.at.syscall) for check in lesson.checks if isinstance(check.at, At)}
    return frozenset(name for word in wanted for name in SAME_CALL.get(word, (word,)))
