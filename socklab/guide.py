"""Which step of the lesson a moment of the run is, what to do then, and what to tell the student.

In: a Lesson, a frozen Cursor and the moments of the run (for the engine), or a Lesson and a LabState (for whoever
shows it). Out: directives, in the order they must be carried out; text, questions, panels to mask. Never acts, never
reads the kernel, keeps nothing between calls.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from socklab import probes
from socklab.lesson import SAME_CALL, At, Lesson, Predict, Step, Value, canonical, shown
from socklab.state import LabState, Question

__all__ = [
    "Ask",
    "Check",
    "Cursor",
    "Directive",
    "Done",
    "Measure",
    "Moment",
    "Perform",
    "Reach",
    "Settle",
    "at_moment",
    "begin",
    "canonical",
    "ending",
    "masked",
    "narration",
    "next_hint",
    "pause_names",
    "progress",
    "question",
]


class Moment(msgspec.Struct, frozen=True):
    """One moment of a call. `name` is the canonical one; `nth` counts the program's calls of that name, from 1.

    at: enter (about to be made), blocked (the program sleeps inside it), return.
    """

    tid: int
    at: str
    name: str
    nth: int


class Reach(msgspec.Struct, frozen=True):
    """Emit StepReached(index, phase)."""

    index: int
    phase: str


class Perform(msgspec.Struct, frozen=True):
    """Carry out one verb line (origin: lesson)."""

    line: str


class Settle(msgspec.Struct, frozen=True):
    """Look again and again until the probe says `is_`, at most `within_ms`; a Notice when it never does."""

    probe: str
    is_: Value
    within_ms: int


class Ask(msgspec.Struct, frozen=True):
    """Emit Asked(index). The program is not resumed before the Answer.

    On Answer: where the step's predict.when is "now", measure and emit Measured; where it is "return", emit
    Answered, keep the choice, and wait for the directive Measure.
    """

    index: int


class Measure(msgspec.Struct, frozen=True):
    """The call has returned: measure step `index`'s prediction and emit Measured with the choice kept."""

    index: int


class Check(msgspec.Struct, frozen=True):
    """Measure check `index` and emit Checked. `reason` set = its moment never came: it failed, unmeasured."""

    index: int
    reason: str = ""


class Done(msgspec.Struct, frozen=True):
    """Emit LessonDone."""


Directive: TypeAlias = Reach | Perform | Settle | Ask | Measure | Check | Done


class _Open(msgspec.Struct, frozen=True):
    """A step whose call has not returned yet."""

    index: int
    tid: int
    name: str


class Cursor(msgspec.Struct, frozen=True):
    """How far the lesson has come."""

    next: int = 0
    """Index of the step that is waited for."""
    open: tuple[_Open, ...] = ()
    checked: frozenset[int] = frozenset()
    done: bool = False


def begin(lesson: Lesson) -> Cursor:
    """The cursor before the program's first call."""
    return Cursor()


def _matches(at: At, moment: Moment) -> bool:
    return at.when == moment.at and canonical(at.syscall) == moment.name and at.nth == moment.nth


def _ends_before_return(step: Step) -> bool:
    """A step that has nothing more to say or measure once its call has returned."""
    deferred = step.predict is not None and step.predict.when == "return"
    return step.at.when != "return" and not step.after and not deferred


def at_moment(lesson: Lesson, cursor: Cursor, moment: Moment) -> tuple[Cursor, tuple[Directive, ...]]:
    """The cursor after `moment`, and what the engine must do now, in order.

    Only the next step in order may match. Its call's return is its "after". Checks of a moment come after its
    actions and settles; a step's question comes last, so that what it hides is measured as it stands.
    """
    out: list[Directive] = []
    ask: list[Directive] = []
    last = len(lesson.steps) - 1
    over = False
    if moment.at == "return":
        mine = [each for each in cursor.open if each.tid == moment.tid and each.name == moment.name]
        for each in mine:
            step = lesson.steps[each.index]
            # Once a later step has begun, an earlier one is not told any more.
            if each.index == cursor.next - 1:
                out.append(Reach(each.index, "after"))
                over = each.index == last
            if step.predict is not None and step.predict.when == "return":
                out.append(Measure(each.index))
        if mine:
            cursor = replace(cursor, open=tuple(each for each in cursor.open if each not in mine))
    if cursor.next <= last and _matches(lesson.steps[cursor.next].at, moment):
        index, step = cursor.next, lesson.steps[cursor.next]
        out.append(Reach(index, "after" if moment.at == "return" else "before"))
        out.extend(Perform(line) for line in step.do)
        out.extend(Settle(each.probe, each.is_, each.within_ms) for each in step.settle)
        if step.predict is not None:
            ask.append(Ask(index))
        cursor = replace(cursor, next=index + 1)
        if moment.at != "return":
            cursor = replace(cursor, open=(*cursor.open, _Open(index, moment.tid, moment.name)))
        over = index == last and (moment.at == "return" or _ends_before_return(step))
    due = [
        index
        for index, check in enumerate(lesson.checks)
        if index not in cursor.checked and isinstance(check.at, At) and _matches(check.at, moment)
    ]
    out.extend(Check(index) for index in due)
    out.extend(ask)
    cursor = replace(cursor, checked=cursor.checked | frozenset(due))
    if over and not cursor.done:
        cursor = replace(cursor, done=True)
        out.append(Done())
    return cursor, tuple(out)


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
    """A moment in words: `the 2nd accept, blocked`."""
    suffix = "th" if 10 <= at.nth % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(at.nth % 10, "th")
    phase = {"enter": "", "blocked": ", blocked", "return": ", returned"}[at.when]
    return f"the {at.nth}{suffix} {at.syscall}{phase}"


def pause_names(lesson: Lesson) -> frozenset[str]:
    """Every syscall name the lesson wants stops at, equivalents included; an architecture may lack some."""
    wanted = {canonical(name) for name in lesson.pause}
    wanted |= {canonical(step.at.syscall) for step in lesson.steps}
    wanted |= {canonical(check.at.syscall) for check in lesson.checks if isinstance(check.at, At)}
    return frozenset(name for word in wanted for name in SAME_CALL.get(word, (word,)))


# ---------------------------------------------------------------- showing

UNMEASURED = "…"
"""What stands in a narration for a probe that has no value at this moment."""

_SAFE_WHILE_HIDDEN = frozenset({"listener.port", "listener.local", "listener.fd", "listener.backlog", "call.name"})
"""Probes that stay readable while a prediction hides panels: they are on screen in the call or were told before."""


def _open_question(lesson: Lesson, state: LabState) -> tuple[Question, Predict] | None:
    asked = state.question
    if asked is None or asked.measured is not None or not 0 <= asked.index < len(lesson.steps):
        return None
    predict = lesson.steps[asked.index].predict
    return None if predict is None else (asked, predict)


def question(lesson: Lesson, state: LabState) -> Predict | None:
    """The prediction that waits for the student's choice, or None."""
    found = _open_question(lesson, state)
    return found[1] if found is not None and found[0].answered is None else None


def masked(lesson: Lesson, state: LabState) -> frozenset[str]:
    """Panels that must not be readable now."""
    found = question(lesson, state)
    return frozenset(found.hides) if found is not None else frozenset()


def fill(text: str, state: LabState, *, guarded: str | None = None) -> str:
    """`text` with every {probe} measured; `guarded` names the probe of an open question, which is not told.

    With a question open only what can't answer it is told, since one number often gives away another.
    """

    def value_of(name: str) -> str:
        if guarded is not None and (name == guarded or name not in _SAFE_WHILE_HIDDEN):
            return UNMEASURED
        try:
            return shown(probes.measure(state, name))
        except probes.Unmeasured:
            return UNMEASURED

    return probes.substitute(text, value_of)


def narration(lesson: Lesson, state: LabState) -> str:
    """What the lesson says now, Markdown with measured values in it. Empty when it has nothing to say."""
    open_now = question(lesson, state)
    guarded = open_now.measure if open_now is not None else None
    parts = [_step_text(lesson, state)]
    asked = state.question
    if asked is not None and asked.measured is not None and state.step is not None and asked.index == state.step.index:
        parts.append(verdict(lesson, state))
    if state.lesson_done and open_now is None:
        parts.append(lesson.outro)
    return "\n\n".join(fill(part.strip(), state, guarded=guarded) for part in parts if part.strip())


def _step_text(lesson: Lesson, state: LabState) -> str:
    at = state.step
    if at is None or not 0 <= at.index < len(lesson.steps):
        return lesson.intro
    step = lesson.steps[at.index]
    return step.after if at.phase == "after" else step.before


def verdict(lesson: Lesson, state: LabState) -> str:
    """The kernel's answer to the last question, whether the student had it, and why; "" before there is one.

    Values are as measured then; an {probe} in the explanation is not filled in here.
    """
    asked = state.question
    if asked is None or asked.measured is None or not 0 <= asked.index < len(lesson.steps):
        return ""
    predict = lesson.steps[asked.index].predict
    if predict is None:
        return ""
    measured = asked.measured
    if measured.value is None:
        return f"The kernel's answer could not be read. {predict.explain}"
    answer = f"**{shown(measured.value)}**"
    if measured.choice is None:
        head = f"The kernel says {answer}."
    elif measured.right:
        head = f"Right: {answer}."
    else:
        head = f"You said {shown(measured.choice)}; the kernel says {answer}."
    return f"{head} {predict.explain}"


def progress(lesson: Lesson, state: LabState) -> tuple[int, int]:
    """Steps reached so far, and how many there are."""
    return (state.step.index + 1 if state.step is not None else 0), len(lesson.steps)


def next_hint(lesson: Lesson, state: LabState) -> str:
    """What the student can do now, in one line without keys: each consumer names its own."""
    predict = question(lesson, state)
    if predict is not None:
        return f"Predict: {', '.join(shown(choice) for choice in predict.choices)}?"
    task = state.task
    if state.ended is not None:
        return "The lab is over."
    if task is None:
        return "The program is being started."
    if task.status == "exited":
        return "The program has ended; the lesson is over." if state.lesson_done else "The program has ended."
    name = probes.call_name(state, task.call) if task.call is not None else ""
    if state.blocked(task.tid):
        return f"The program sleeps in {name}, until a client acts."
    if state.lesson_done:
        return "The lesson is over. Step on, try clients of your own, or quit."
    if task.status == "held" and task.at == "enter":
        return f"Step: the kernel carries out {name}."
    if task.status == "held":
        return "Step: the program runs to its next call."
    return "The program runs."
