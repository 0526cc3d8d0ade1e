"""Why a value is what it is, backwards, from what was recorded: byte ← packet ← write ← line of source.

`why(state, subject, history)` gives chains of links. `asking` says what may be asked; `states`, `queues`, `wire`,
`program`, `clients` and `resets` answer for one kind of thing each; `record`, `files`, `streams` and `ends` find what
was recorded. Pure: reads nothing but the state and its history, so a recording is asked like a living lab. What was not
recorded is said (Link.known); nothing is guessed.
"""

from __future__ import annotations

from socklab.why.asking import PANELS, USAGE, lines, said, subjects, typed, why
from socklab.why.model import Chain, Link, Subject

__all__ = ["PANELS", "USAGE", "Chain", "Link", "Subject", "lines", "said", "subjects", "typed", "why"]
