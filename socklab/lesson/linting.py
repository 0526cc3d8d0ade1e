"""What a lesson's author should mend beyond what `load` refuses.

In: a lesson's folder. Out: complaints, one line each, with the key they are about; none = ready to ship. Reads the
folder; never runs the lesson (tests/lessons does).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from socklab import probes
from socklab.core.errors import LessonError
from socklab.lesson.claims import claims
from socklab.lesson.finding import names
from socklab.lesson.model import At, Check, Lesson, Predict, Step, shown
from socklab.lesson.reading import load
from socklab.syscalls.groups import canonical

WIDTH, LINES = 76, 6
"""A narration must fit beside everything else on a screen of 80 columns and 24 lines."""
TITLE, SUMMARY = 48, 76
_CLIENT_FILES = ("client.c", "client.py")
_PHASES = ("enter", "blocked", "return")


def lint(folder: Path) -> list[str]:
    """Complaints about the lesson in `folder`: what `load` refuses, or else everything this module minds."""
    try:
        lesson = load(folder)
    except LessonError as error:
        return [str(error)]
    found = [*_folder(folder, lesson), *_head(lesson)]
    for index, step in enumerate(lesson.steps):
        found.extend(f"step[{index}]{complaint}" for complaint in _step(lesson, index, step))
    if not lesson.checks:
        found.append("check: no [[check]], and no step has `holds`; without one a run can't fail")
    return [f"{folder.name}: {complaint}" for complaint in found]


def _folder(folder: Path, lesson: Lesson) -> Iterator[str]:
    if not re.fullmatch(r"\d\d-[a-z][a-z0-9-]*", folder.name):
        yield "the folder's name is not NN-name, such as 02-backlog"
    wanted = {"lesson.toml", lesson.server.c, lesson.server.python, *_CLIENT_FILES}
    for entry in sorted(folder.iterdir()):
        if entry.name not in wanted:
            yield f"{entry.name}: stray file"
    for language in ("c", "python"):
        if language not in lesson.languages and not lesson.one_language:
            yield f"server.{language}: missing; a lesson comes in both languages, or says why in one_language"


def _head(lesson: Lesson) -> Iterator[str]:
    if len(lesson.title) > TITLE:
        yield f"title: {len(lesson.title)} characters; at most {TITLE} fit the menu"
    if len(lesson.summary) > SUMMARY or "\n" in lesson.summary:
        yield f"summary: one line of at most {SUMMARY} characters"
    for key in ("teaches", "claims", "reference", "intro", "outro"):
        if not getattr(lesson, key):
            yield f"{key}: missing"
    for claim in lesson.claims:
        if not re.fullmatch(r"[A-Z]\d{1,2}", claim):
            yield f'claims: "{claim}" is no row of docs/claims.md'
    for name in lesson.after:
        if name not in names():
            yield f'after: no lesson "{name}"'
    for key in ("intro", "outro"):
        yield from _fits(key, getattr(lesson, key))


def _fits(key: str, text: str) -> Iterator[str]:
    """Too long once its probes are filled in with something of usual length."""
    told = probes.substitute(text, lambda name: "x" * (14 if name.endswith(("local", "remote")) else 5))
    plain = re.sub(r"[*`]", "", " ".join(told.split()))
    lines = len(textwrap.wrap(plain, WIDTH))
    if lines > LINES:
        yield f"{key}: {lines} lines of {WIDTH} columns; at most {LINES} fit"


def _step(lesson: Lesson, index: int, step: Step) -> Iterator[str]:
    if not step.before.strip() and not step.after.strip():
        yield ": no narration"
    for key in ("before", "after"):
        yield from _fits(f".{key}", getattr(step, key))
    if step.after and _superseded(lesson, index, step):
        yield ".after: the next step begins before this call returns, so it is never told"
    if not step.after.strip() and _goes_stale(lesson, index, step):
        yield ".after: missing; once it is done the text still tells the student to do it"
    for earlier in range(index):
        if _not_after(step.at, lesson.steps[earlier].at):
            yield f".at: comes no later than step[{earlier}], so it is never reached"
    for key in ("settle", "until"):
        for wanted in getattr(step, key):
            if wanted.is_ is not None and _RISES.fullmatch(wanted.probe):
                yield f".{key}: {wanted.probe} can rise while one thinks: wait for at_least"
    for key, probe in _probes(step):
        if (named := _OF_CLIENT.match(probe)) and named[1] not in lesson.clients:
            yield f"{key}: {probe}: no step makes a client {named[1]}"
    if step.predict is not None:
        yield from (f".predict{complaint}" for complaint in _predict(lesson, step, step.predict))


_RISES = re.compile(
    r"counter\..*|clients\.count|client\..*\.(?:sent|received|retransmits)"
    r"|packets\.(?!(?:.*\.)?held$).*(?<!\.flags)(?<!\.from)(?<!\.fate)(?<!\.window)"
)
"""Counts that only rise: a kernel sends again, probes and drops by itself."""
_OF_CLIENT = re.compile(r"(?:client|server|packets)\.(?!last\.|next\.)([A-Za-z][\w-]*)\.")


def _probes(step: Step) -> Iterator[tuple[str, str]]:
    """Every probe of a step, with the key it stands under."""
    texts = {
        "before": step.before,
        "after": step.after,
        "predict.explain": step.predict.explain if step.predict else "",
    }
    for key, text in texts.items():
        yield from ((f".{key}", name) for name in probes.names_in(text))
    for key in ("settle", "until"):
        yield from ((f".{key}", wanted.probe) for wanted in getattr(step, key))
    for key, phase in (("holds", "before"), ("holds_after", "after")):
        yield from ((f".{key}", claim.probe) for claim in claims(step, phase))
    if step.predict is not None:
        yield ".predict.measure", step.predict.measure


def _goes_stale(lesson: Lesson, index: int, step: Step) -> bool:
    """What the text tells the student to do gets done, and the text stays: no step follows by itself."""
    if not step.offer:
        return step.at.when == "blocked" and bool(step.do) and not _superseded(lesson, index, step)
    following = lesson.steps[index + 1].at if index + 1 < len(lesson.steps) else None
    return following != replace(step.at, beat=step.at.beat + 1)


def _superseded(lesson: Lesson, index: int, step: Step) -> bool:
    if step.at.when == "return" or index + 1 == len(lesson.steps):
        return False
    following = lesson.steps[index + 1].at
    if step.offer:  # told once it is done
        return False
    return canonical(following.syscall) == canonical(step.at.syscall) and following.nth == step.at.nth


def _not_after(later: At, earlier: At) -> bool:
    """Of the same call: `later` can't come once `earlier` has."""
    if canonical(later.syscall) != canonical(earlier.syscall):
        return False
    return _order(later) <= _order(earlier)


def _order(at: At) -> tuple[int, int, int]:
    return (at.nth, _PHASES.index(at.when), at.beat)


def _predict(lesson: Lesson, step: Step, predict: Predict) -> Iterator[str]:
    if not predict.ask.rstrip().endswith("?"):
        yield ".ask: a question ends with a question mark"
    if re.search(r"[`*]", predict.ask):
        yield ".ask: plain text, without Markdown"
    yield from _fits(".ask", predict.ask)
    if not predict.explain.strip():
        yield ".explain: empty; say why the kernel answers so"
    yield from _fits(".explain", predict.explain)
    if predict.when == "now" and not predict.hides:
        yield ".hides: the answer is on the screen; name the panels that show it"
    guards = [check for check in lesson.checks if _guards(check, step, predict)]
    for check in guards:
        if check.is_ is not None and (type(check.is_), check.is_) not in {(type(c), c) for c in predict.choices}:
            choices = ", ".join(map(shown, predict.choices))
            yield f".choices: here {check.claim} is wanted, which is none of {choices}"
    if not guards:
        yield f": no [[check]] of {predict.measure} at this moment; nobody would notice a changed answer"


def _guards(check: Check, step: Step, predict: Predict) -> bool:
    """The check holds the prediction's answer to what the lesson's text says."""
    if not isinstance(check.at, At) or check.probe != predict.measure:
        return False
    when = "return" if predict.when == "return" else step.at.when
    same = canonical(check.at.syscall) == canonical(step.at.syscall)
    return (
        same
        and (check.at.nth, check.at.when) == (step.at.nth, when)
        and check.at.done == (predict.when == "done")
        and (predict.when == "return" or check.at.beat == step.at.beat)
    )
