"""What the lesson's text claims, held against the state: `untrue` lists what is not so.

In: a Lesson and a LabState, live or out of a recording. Out: the claims (`holds`, `holds_after` of lesson.toml) of the
text that is told now which the state does not bear out. Never measures anything that is not in the state.
"""

from __future__ import annotations

import msgspec

from socklab import probes
from socklab.core.text import safe
from socklab.lesson import Lesson, claims, shown
from socklab.state import LabState


class Untrue(msgspec.Struct, frozen=True):
    """A claim that does not hold."""

    claim: str
    """As its author wrote it: "packets.held is at least 1"."""
    probe: str
    found: str = ""
    """What is so instead: "0"; "" = nothing was measured, see `reason`."""
    wanted: str = ""
    """What the text has: "at least 1"."""
    reason: str = ""

    @property
    def words(self) -> str:
        """packets.held is 0, not 1"""
        if self.reason:
            return f"{self.probe}: {self.reason}"
        return f"{self.probe} is {safe(self.found)}, not {self.wanted}"


def untrue(lesson: Lesson, state: LabState) -> tuple[Untrue, ...]:
    """Claims of the text told now that do not hold, in the author's order; () = all that it says is so.

    The text of a step the program has run on from keeps the values of its moment, so its claims are held against that
    moment too. They are meant to hold whenever the engine is Ready: while the lesson acts or settles some may not yet.
    """
    at = state.step
    if at is None or not 0 <= at.index < len(lesson.steps):
        return ()
    step, then = lesson.steps[at.index], state.step_left or state
    if step.at.when == "blocked" and state.step_left is not None:
        return ()  # what woke the program up was seen before its call was seen to return
    out = []
    for check in claims(step, at.phase):
        try:
            value = probes.measure(then, check.probe)
        except probes.Unmeasured as error:
            out.append(Untrue(check.claim, check.probe, reason=error.reason))
            continue
        if not check.holds(value):
            out.append(Untrue(check.claim, check.probe, shown(value), check.wanted))
    return tuple(out)
