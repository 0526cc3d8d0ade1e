"""`why` at the plain prompt: chains of links as sentences, a line each.

In: the words typed, a LabState, its History. Out: text. Says nothing while a prediction is open. Raises UsageError.
"""

from __future__ import annotations

import textwrap

from socklab import guide, state as st, why
from socklab.lesson import Lesson


def told(lesson: Lesson | None, state: st.LabState, text: str, history: st.History | None, width: int) -> str:
    """The answer; `why sockets` lists what may be asked."""
    if lesson is not None and (guide.masked(lesson, state) or guide.question(lesson, state) is not None):
        return "First the prediction: what led here would answer it.\n"
    asked = why.typed(state, text)
    if isinstance(asked, str):
        return "".join(f"{line}\n" for line in _listed(state, asked))
    lines = why.lines(why.why(state, asked, history))
    return "".join(f"{piece}\n" for line in lines for piece in _wrapped(line, width))


def _listed(state: st.LabState, panel: str) -> list[str]:
    """What may be asked of a panel, as it is typed."""
    found = why.subjects(state, panel)
    if panel in ("sockets", "queues"):
        return [f"why {panel[:-1]} {place}: {label}" for place, (_, label) in enumerate(found, 1)] or [f"no {panel}"]
    return [f"why {label.partition(':')[0]}: {label.partition(':')[2].strip()}" for _, label in found] or [
        f"no {panel}"
    ]


def _wrapped(line: str, width: int) -> list[str]:
    if not width:
        return [line]
    return textwrap.wrap(line, width, subsequent_indent="     ", break_long_words=False) or [""]
