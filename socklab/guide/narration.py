"""What to tell the student: narration, the open question and its verdict, panels to mask, what can be done next.

In: a Lesson and a LabState, live or out of a recording. Out: text (Markdown, with measured values in it), names of
panels. Never lets an open question's answer through; never measures anything that is not in the state.
"""

from __future__ import annotations

from typing import NamedTuple

from socklab import probes
from socklab.core.text import safe
from socklab.guide.claims import untrue
from socklab.lesson import Lesson, Predict, Settle, Step, canonical, shown
from socklab.state import LabState

UNMEASURED = "…"
"""What stands in a narration for a probe that has no value at this moment."""

_TOLD_ANYWAY = frozenset(
    {"listener.port", "listener.local", "listener.fd", "listener.backlog", "call.name", "call.arg.1", "last.name"}
    | {"fd.last.client"}
)
"""Probes that a narration still tells while a prediction hides panels: they are on the call card all the same."""


def _asking(lesson: Lesson, state: LabState) -> Predict | None:
    """The prediction of the step that was reached last, from the moment it was reached until it is committed to.

    The lesson's actions and settles come between Reach and Ask, and what they change would give the answer away.
    """
    at = state.step
    if at is None or not 0 <= at.index < len(lesson.steps):
        return None
    step = lesson.steps[at.index]
    its_moment = "after" if step.at.when == "return" else "before"
    if step.predict is None or at.phase != its_moment or at.index in state.answers:
        return None
    asked = state.question
    if asked is not None and asked.index == at.index and asked.answered is not None:
        return None
    return step.predict


def question(lesson: Lesson, state: LabState) -> Predict | None:
    """The prediction that waits for the student's choice, or None."""
    asked = state.question
    if asked is None or asked.measured is not None or asked.answered is not None:
        return None
    return lesson.steps[asked.index].predict if 0 <= asked.index < len(lesson.steps) else None


_TELLS_TOO = {
    "call": ("byteorder",),
    "queues": ("acceptqueue",),
    "sockets": ("acceptqueue", "datapath"),
    "counters": ("acceptqueue",),
    "clients": ("acceptqueue", "datapath"),
    "wire": ("acceptqueue", "datapath"),
}
"""A panel that a question hides, and those that would tell the same."""


def masked(lesson: Lesson, state: LabState) -> frozenset[str]:
    """Panels that must not be readable now: from reaching a step with a prediction until it is answered."""
    asking = _asking(lesson, state) or question(lesson, state)
    if asking is None:
        return frozenset()
    return frozenset(asking.hides).union(*(_TELLS_TOO.get(name, ()) for name in asking.hides))


def fill(text: str, state: LabState, *, asking: Predict | None = None) -> str:
    """`text` with every {probe} measured. `asking`: an open prediction; nothing that could answer it is told.

    Where it hides panels, one number often gives another away: only what stands on the call card is told then.
    """

    def value_of(name: str) -> str:
        told_away = asking is not None and name == asking.measure and asking.when != "done"
        if told_away or (asking is not None and asking.hides and name not in _TOLD_ANYWAY):
            return UNMEASURED
        try:
            value = shown(probes.measure(state, name))
        except probes.Unmeasured:
            return UNMEASURED
        # What clients and programs wrote may look like Markdown; as code it stands for itself.
        return f"`` {value} ``" if "*" in value or "`" in value or "~~~" in value else value

    return probes.substitute(text, value_of)


class Said(NamedTuple):
    """What the lesson says at a moment, in parts; "" = nothing. Markdown with measured values in it."""

    verdict: str
    """The last question's answer, while it is the last thing that happened."""
    text: str
    """The step's own."""
    outro: str
    replaced: bool
    """The verdict takes the text's place."""


def said(lesson: Lesson, state: LabState) -> Said:
    """Values are those of the step's own moment: once the program has run on they stay as they were told."""
    asking = _asking(lesson, state) or question(lesson, state)
    then = state.step_left or state
    text = fill(_step_text(lesson, state), then, asking=asking).strip()
    outro = fill(lesson.outro, then).strip() if state.lesson_done else ""
    if not _just_measured(state):
        return Said("", text, outro, False)
    at = state.step
    deferred = at is not None and at.phase == "after" and lesson.steps[at.index].at.when != "return"
    return Said(verdict(lesson, state), text, outro, not deferred)


def narration(lesson: Lesson, state: LabState) -> str:
    """What the lesson says now, whole. Empty when it has nothing to say.

    Once a prediction is answered, the verdict takes the place of the text that led to it, or goes before the text
    about the call that has just returned.
    """
    now = said(lesson, state)
    return "\n\n".join(part for part in (now.verdict, "" if now.replaced else now.text, now.outro) if part)


def unmeasured(lesson: Lesson, state: LabState) -> tuple[str, ...]:
    """Probes of the text told now, and why each has no value: it stands there as "…"."""
    then, missing, asked = state.step_left or state, [], state.question
    text = "" if _asking(lesson, state) is not None else _step_text(lesson, state)
    predict = lesson.steps[asked.index].predict if asked is not None and asked.measured is not None else None
    for name in probes.names_in(text + (predict.explain if predict is not None else "")):
        try:
            probes.measure(then, name)
        except probes.Unmeasured as error:
            missing.append(f"{{{name}}}: {error.reason}")
    return tuple(missing)


def _just_measured(state: LabState) -> bool:
    """The last thing the lesson did was to mark a prediction."""
    asked = state.question
    if asked is None or asked.measured is None:
        return False
    return state.step is None or asked.measured.t >= state.step.t


def _step_text(lesson: Lesson, state: LabState) -> str:
    at = state.step
    if at is None or not 0 <= at.index < len(lesson.steps):
        return lesson.intro
    step = lesson.steps[at.index]
    return (step.after or step.before) if at.phase == "after" else step.before


def verdict(lesson: Lesson, state: LabState) -> str:
    """The kernel's answer to the last question, whether the student had it, and why; "" before there is one.

    Begins with "Right:", "You said" or "The kernel".
    """
    asked = state.question
    if asked is None or asked.measured is None or not 0 <= asked.index < len(lesson.steps):
        return ""
    predict = lesson.steps[asked.index].predict
    if predict is None:
        return ""
    measured = asked.measured
    explained = fill(predict.explain, state.step_left or state).strip()
    if measured.value is None:
        return f"The kernel's answer could not be read. {explained}"
    answer = f"**{shown(measured.value)}**"
    if measured.choice is None:
        head = f"The kernel says {answer}."
    elif measured.right:
        head = f"Right: {answer}."
    else:
        head = f"You said {shown(measured.choice)}; the kernel says {answer}."
    return f"{head} {explained}"


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
    if state.offer is not None:
        lines = ", then ".join(f"`{safe(line)}`" for line in state.offer.lines)
        return f"Step: the lesson does {lines}. Or act yourself."
    if state.ready is not None and state.ready.wants == "lesson":
        return "Step: the lesson goes on, the program stands still."
    if state.blocked(task.tid):
        return f"The program sleeps in {name}, until a client acts."
    if state.lesson_done:
        return "The lesson is over. Step on, try clients of your own, or quit."
    if task.status == "held" and task.at == "enter":
        return f"Step: the kernel carries out {name}."
    if task.status == "held":
        return "Step: the program runs to its next call."
    return "The program runs."


def end_hint(state: LabState) -> str:
    """What can be done where the lesson can't go on: it is done, or its program is gone; "" = it goes on."""
    gone = bool(state.tasks) and all(task.status == "exited" for task in state.tasks.values())
    if state.lesson_done:
        on = "" if gone or state.ended is not None else "Go on as you like; "
        return f"{on}`restart` begins the lesson anew, `quit` leaves."
    if gone or state.ended is not None:
        return "The lesson can't go on: its program has ended. `restart` begins the lesson anew, `quit` leaves."
    return ""


def doubts(lesson: Lesson, state: LabState) -> str:
    """What the text says and the state does not bear out, once the engine is quiet; "" = all of it is so.

    Only the student's own acts can bring that about. Nothing is said that would answer an open question.
    """
    at = state.step
    if at is None or state.ready is None or state.lesson_done:
        return ""
    wrong = untrue(lesson, state)
    if not wrong or _is_being_done(lesson.steps[at.index], state):
        return ""
    if _asking(lesson, state) or question(lesson, state):
        return "Not as the text says: what was done here changes what this step is about."
    return f"Not as the text says: {'; '.join(each.words for each in wrong[:_NAMED])}{' ...' * (len(wrong) > _NAMED)}."


_NAMED = 2
"""So many claims that do not hold are named: there is a text to be read as well."""


def _is_being_done(step: Step, state: LabState) -> bool:
    """What is offered was done just now: the text about it is on its way."""

    def holds(wanted: Settle) -> bool:
        try:
            return wanted.holds(probes.measure(state, wanted.probe))
        except probes.Unmeasured:
            return False

    return state.offer is not None and bool(step.until) and all(map(holds, step.until))


_WAKES = {
    "accept": "connect   opens one.",
    "read": 'send {client}"hi"   gives it something to read, close {client}  ends what comes.',
    "write": "read {client}  makes room.",
}
"""By the call a program sleeps in: what a client can do about it. `{client}`: its name and a blank."""


def what_wakes(state: LabState) -> str:
    """What to do about a program that sleeps in a call, as lines to type; packets that the wire keeps come first."""
    call = state.task.call if state.task is not None else None
    name = canonical(probes.call_name(state, call)) if call is not None else ""
    try:
        client = f"{probes.measure(state, 'fd.call.client')} "
    except probes.Unmeasured:
        client = ""
    kept = "release   lets pass what the wire keeps. " if state.wire_rules or state.on_the_way else ""
    return kept + _WAKES.get(name, _WAKES["accept"]).format(client=client)


def your_turn(state: LabState) -> str:
    """What the lesson leaves to the student, or "": verb lines to do, in order. A step leaves them to the lesson."""
    return safe(", then ".join(state.offer.lines)) if state.offer is not None else ""
