"""One walk: a student who does anything, then one who wants to see the end.

In: a lesson, a language and a seed, or the acts of an earlier walk. Out: a Result: the acts, and the claim that did not
hold, if one did not. First the student acts by chance; then he presses `next`, answers what is asked, and does what the
screen tells him; so the end must be reached, if need be by the key that restarts.
"""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field

from socklab import lesson as lessons
from tests.support.walks.acts import SIZES, Mind
from tests.support.walks.claims import Finding, Watch, advised, progress_of
from tests.support.walks.screen import Ended, NeverQuiet, Student, at_the_keys, key_of

AGAIN = 0.1
"""So many of those who have seen the end want to see it once more."""
LONGEST_S = 400.0
"""A walk that takes longer has hung."""
PATIENCE = 8
"""So often in a row the sensible student does what he is told, and nothing comes of it."""


@dataclass(frozen=True)
class Walk:
    """Which walk it is: all that is drawn is drawn by `seed`."""

    lesson: str
    language: str
    seed: int
    acts: tuple[str, ...] | None = None
    """Instead of drawn ones."""
    size: str = ""
    longest_wait: float = 30.0
    """Seconds a student may think, all in all."""
    most_acts: int = 45

    @property
    def begun_at(self) -> str:
        return self.size or self.random().choice(SIZES)

    def random(self) -> random.Random:
        return random.Random(f"{self.lesson} {self.language} {self.seed}")

    @property
    def command(self) -> str:
        return (
            f"python -m tests.support.walks --lesson {self.lesson} --lang {self.language} --seed {self.seed} --walks 1"
        )


@dataclass
class Result:
    walk: Walk
    acts: list[str] = field(default_factory=list)
    """Those drawn."""
    later: list[str] = field(default_factory=list)
    """Those of the sensible student."""
    claim: str = ""
    detail: str = ""
    screen: str = ""
    restarted: bool = False
    meddled: bool = False
    seconds: float = 0.0

    @property
    def report(self) -> str:
        if not self.claim:
            return f"{self.walk.lesson} {self.walk.language} seed {self.walk.seed}: holds"
        return "\n".join([
            f"NOT SO: {self.claim}",
            f"  {self.detail}",
            f"  {self.walk.lesson} in {self.walk.language}, {self.walk.begun_at}, seed {self.walk.seed}, "
            f"{self.seconds:.0f} s",
            f"  acts:  {' | '.join(self.acts)}",
            f"  then:  {' | '.join(self.later)}",
            f"  again: {self.walk.command} --size {self.walk.begun_at} --acts {_quoted(self.acts)}",
            self.screen,
        ])  # fmt: skip


def _quoted(acts: Sequence[str]) -> str:
    import shlex

    return shlex.quote(" | ".join(acts))


async def walk(plan: Walk) -> Result:
    """Go it. Raises nothing: whatever goes wrong is in the result."""
    result, started = Result(plan), time.monotonic()
    ended: Ended | None = None
    folder = lessons.find(plan.lesson)
    lesson = lessons.load(folder)
    student: Student | None = None
    try:
        async with asyncio.timeout(LONGEST_S), at_the_keys(folder, lesson, plan.language, plan.begun_at) as here:
            student, ended = here
            try:
                await _walk(plan, student, result)
            except BaseException:
                result.screen = result.screen or _seen(student)
                raise
    except Finding as finding:
        result.claim, result.detail = finding.claim, finding.detail
    except NeverQuiet as never:
        result.claim, result.detail = "all becomes quiet", str(never)
    except TimeoutError:
        result.claim, result.detail = "a walk ends", f"not within {LONGEST_S:g} s"
    except Exception:
        result.claim, result.detail = "no traceback", traceback.format_exc()
    if ended is not None and not result.claim:
        if ended.left:
            result.claim, result.detail = "nothing is left", "\n  ".join(ended.left)
        elif ended.words:
            result.claim, result.detail = "the engine is silent on stderr", "\n  ".join(ended.words[-30:])
    result.seconds = time.monotonic() - started
    return result


def go(plan: Walk) -> Result:
    """`walk`, in a loop of its own."""
    return asyncio.run(walk(plan))


def _seen(student: Student) -> str:
    try:
        return student.text
    except Exception as error:  # the screen is gone
        return f"(no screen: {error})"


async def _walk(plan: Walk, student: Student, result: Result) -> None:
    rng = plan.random()
    rng.choice(SIZES)  # was the size it began with
    watch = Watch(student)
    watch.look()

    async def do(act: str, into: list[str]) -> None:
        into.append(act)
        offer, before = student.now.offer, progress_of(student)
        listens = len(student.app.screen_stack) == 1 and not student.screen.prompt.is_open
        await student.act(act)
        if not student.app.is_running:
            raise Finding("only quit quits", f"after {act}: {student.app.return_code}, {student.app._exception!r}")
        if act == f"press {key_of('next')}" and listens and progress_of(student) == before and not student.said:
            raise Finding("next leads on, or the screen says what to do", "nothing moved, nothing was said")
        # Of several keys the first may have changed what was on offer for the others.
        watch.acted(offer if act.count(" ") < 2 or not act.startswith("press ") else None)
        watch.look()
        await watch.text_is_the_states()

    if plan.acts is not None:
        for act in plan.acts:
            await do(act, result.acts)
    else:
        mind = Mind(rng, student.lesson, plan.longest_wait)
        for _ in range(rng.randrange(3, plan.most_acts)):
            await do(mind.act(student), result.acts)
    sensible = Sensible(student, rng, lambda act: do(act, result.later))
    await sensible.to_the_end()
    if not sensible.restarted and rng.random() < AGAIN:
        await sensible.restart()
        await sensible.to_the_end()
    result.restarted, result.meddled = sensible.restarted, watch.meddled
    if not watch.meddled and not result.restarted:
        state = student.now
        wrong = [student.lesson.checks[i].claim for i, check in state.checks.items() if not check.held]
        warned = [note.text for note in state.notices if note.text.startswith(("The lesson waited", "What this step"))]
        if wrong or warned:
            raise Finding("who only follows sees what the lesson shows", f"checks {wrong}, warnings {warned}")
    code = await student.quit()
    if code != 0:
        raise Finding("quit quits", f"{code}")


class Sensible:
    """Somebody who wants to see the end: next, an answer, what the screen says."""

    def __init__(self, student: Student, rng: random.Random, do) -> None:  # type: ignore[no-untyped-def]
        self._student = student
        self._rng = rng
        self._do = do
        self.restarted = False

    async def to_the_end(self) -> None:
        """Raises Finding where that can't be."""
        student = self._student
        most = 12 * len(student.lesson.steps) + 60
        stuck = 0
        for _ in range(most):
            if student.now.lesson_done:
                return
            if await self._back_to_now():
                continue
            moved, said = await self._one_more()
            stuck = 0 if moved else stuck + 1
            if not moved:
                await self._do_as_told(said, stuck)
        raise Finding(
            "the end is reached", f"not with {most} acts, at {student.now.step}; the screen says: {student.said}"
        )

    async def _back_to_now(self) -> bool:
        """Close what lies over the lab, one at a time; False when nothing does. It leads nowhere by itself."""
        student = self._student
        if len(student.app.screen_stack) > 1 or student.screen.prompt.is_open:
            await self._do("press escape")
        elif student.lab.at is not None:
            await self._do(f"press {key_of('now')}")
        else:
            return False
        return True

    async def _one_more(self) -> tuple[bool, str]:
        """Whether something moved, and what the screen says."""
        student = self._student
        before = progress_of(student)
        if keys := student.choice_keys:
            await self._do(f"answer {self._rng.randrange(len(keys))}")
        else:
            await self._do(f"press {key_of('next')}")
        return progress_of(student) != before, student.said

    async def restart(self) -> None:
        """One key, and the lesson begins anew."""
        self.restarted = True
        before = self._student.now.header
        while len(self._student.app.screen_stack) > 1 or self._student.screen.prompt.is_open:
            await self._do("press escape")
        await self._do(f"press {key_of('restart')}")
        state = self._student.now
        if state.header is before or state.lesson_done or state.answers or state.ended is not None:
            raise Finding("one key restarts", f"at {state.step}")

    async def _do_as_told(self, said: str, stuck: int) -> None:
        useless = {f"press {key_of(name)}" for name in ("next", "quit", "restart")} | {"press ctrl+q"}
        told = [act for act in advised(said) if act not in useless]
        if not told and key_of("restart") not in said.lower() and "Esc" not in said:
            raise Finding("the screen says exactly what to do", said)
        if told and stuck <= PATIENCE:
            await self._do(told[stuck % len(told)])
        elif self.restarted:
            raise Finding("the end is reached", f"what is said does not help: {said}")
        else:
            await self.restart()
