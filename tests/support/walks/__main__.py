"""Random walks through lessons: `python -m tests.support.walks --lesson all --walks 200 --jobs 4 --seed 1`.

Each walk prints nothing while its claims hold; a claim that does not hold prints the acts that led there. At the end:
walks and findings of each lesson.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import replace

from socklab import lesson as lessons
from socklab.host import libc
from tests.support.walks.walk import Result, Walk, go

MOST_SHRINKING_S = 240.0


def plans(names: list[str], language: str, walks: int, seed: int) -> Iterator[Walk]:
    """The walks, lesson by lesson in turn; languages alternate."""
    for number in range(walks):
        for name in names:
            known = lessons.load(lessons.find(name)).languages
            if not shutil.which("cc") and not shutil.which("gcc"):
                known = tuple(word for word in known if word != "c")
            chosen = language if language in known else known[(seed + number) % len(known)]
            yield Walk(name, chosen, seed + number)


def shrunk(found: Result) -> Result:
    """The same finding with fewer acts: pieces are left out for as long as it stays. Walks depend on the clock, so
    what does not come again at once is left as it is."""
    left, best, size = MOST_SHRINKING_S, found, max(1, len(found.acts) // 2)
    while size and left > 0:
        start = 0
        while start < len(best.acts) and left > 0:
            acts = (*best.acts[:start], *best.acts[start + size :])
            tried = go(replace(found.walk, acts=acts, size=found.walk.begun_at))
            left -= tried.seconds
            if tried.claim == found.claim:
                best = tried
            else:
                start += size
        size //= 2
    return best


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.walks", description=__doc__)
    parser.add_argument("--lesson", default="all", help="a lesson's name, several with commas, or all")
    parser.add_argument("--lang", default="", choices=["", "c", "python"], help="else they alternate")
    parser.add_argument("--walks", type=int, default=200, help="of each lesson")
    parser.add_argument("--jobs", type=int, default=2, help="walks at a time")
    parser.add_argument("--minutes", type=float, default=0, help="begin no walk after so long")
    parser.add_argument("--seed", type=int, default=1, help="of the first walk; the next ones count on")
    parser.add_argument("--acts", help="these acts instead of drawn ones, with | between them")
    parser.add_argument("--size", default="", help="of the screen, such as 80x24")
    parser.add_argument("--thinks", type=float, default=30.0, help="seconds a student may wait in a walk, all in all")
    parser.add_argument("--shrink", action="store_true", help="look for fewer acts that break the same claim")
    given = parser.parse_args()
    names = lessons.names() if given.lesson == "all" else given.lesson.split(",")
    todo = list(plans(list(names), given.lang, given.walks, given.seed))
    if given.acts is not None:
        acts = tuple(act.strip() for act in given.acts.split(" | ") if act.strip())
        todo = [replace(plan, acts=acts) for plan in todo]
    todo = [replace(plan, size=given.size, longest_wait=given.thinks) for plan in todo]
    done: Counter[str] = Counter()
    broken: Counter[tuple[str, str]] = Counter()
    restarted: Counter[str] = Counter()

    def told(result: Result) -> None:
        done[result.walk.lesson] += 1
        restarted[result.walk.lesson] += result.restarted
        if result.claim:
            broken[result.walk.lesson, result.claim] += 1
            result = shrunk(result) if given.shrink else result
            print(result.report, end="\n\n", flush=True)
        print(f"{sum(done.values())} of {len(todo)} walks", file=sys.stderr, end="\r", flush=True)

    context = multiprocessing.get_context("spawn")
    until = time.monotonic() + 60 * (given.minutes or 60 * 24)
    with ProcessPoolExecutor(
        given.jobs, mp_context=context, max_tasks_per_child=25, initializer=libc.die_with_parent
    ) as pool:
        coming, going = iter(todo), set[Future[Result]]()
        while True:
            while len(going) < given.jobs and time.monotonic() < until and (plan := next(coming, None)):
                going.add(pool.submit(go, plan))
            if not going:
                break
            finished, going = wait(going, return_when=FIRST_COMPLETED)
            for future in finished:
                told(future.result())
    for name in names:
        findings = {claim: count for (lesson, claim), count in broken.items() if lesson == name}
        print(f"{name}: {done[name]} walks, {sum(findings.values())} findings {findings or ''}, "
              f"{restarted[name]} restarted")  # fmt: skip
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
