"""The guide through a lesson, pure: `steps` for the engine that carries it out, `telling` for whoever shows it."""

from __future__ import annotations

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
    described,
    ending,
    next_beat,
    pause_names,
)
from socklab.guide.telling import (
    UNMEASURED,
    fill,
    masked,
    narration,
    next_hint,
    offered,
    progress,
    question,
    verdict,
)
from socklab.lesson import Settle, canonical

__all__ = [
    "UNMEASURED",
    "Ask",
    "Check",
    "Cursor",
    "Directive",
    "Done",
    "Measure",
    "Moment",
    "Offer",
    "Perform",
    "Reach",
    "Settle",
    "at_moment",
    "begin",
    "canonical",
    "described",
    "ending",
    "fill",
    "masked",
    "narration",
    "next_beat",
    "next_hint",
    "offered",
    "pause_names",
    "progress",
    "question",
    "verdict",
]
