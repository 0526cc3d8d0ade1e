"""The guide through a lesson, pure: `steps` for the engine that carries it out, `narration` for whoever shows it.

`claims` says whether what is told is so, `toward` how a step is come to by running the lesson.
"""

from __future__ import annotations

from socklab.guide.claims import Untrue, untrue
from socklab.guide.narration import (
    UNMEASURED,
    doubts,
    end_hint,
    fill,
    masked,
    narration,
    next_hint,
    progress,
    question,
    said,
    unmeasured,
    verdict,
    what_wakes,
    your_turn,
)
from socklab.guide.steps import (
    Ask,
    Check,
    Cursor,
    Directive,
    Done,
    Measure,
    Moment,
    Offer,
    Perform,
    Reach,
    at_moment,
    begin,
    begins_with,
    described,
    ending,
    next_beat,
    pause_names,
)
from socklab.guide.toward import Choice, Reached, Stuck, Toward
from socklab.lesson import Settle, canonical

__all__ = [
    "UNMEASURED",
    "Ask",
    "Check",
    "Choice",
    "Cursor",
    "Directive",
    "Done",
    "Measure",
    "Moment",
    "Offer",
    "Perform",
    "Reach",
    "Reached",
    "Settle",
    "Stuck",
    "Toward",
    "Untrue",
    "at_moment",
    "begin",
    "begins_with",
    "canonical",
    "described",
    "doubts",
    "end_hint",
    "ending",
    "fill",
    "masked",
    "narration",
    "next_beat",
    "next_hint",
    "pause_names",
    "progress",
    "question",
    "said",
    "unmeasured",
    "untrue",
    "verdict",
    "what_wakes",
    "your_turn",
]
