"""Whatever a recording holds: every answer is made, in visible characters, and fits its place on the screen."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings, strategies as some

from socklab import why
from socklab.protocol import events as ev
from socklab.state import History
from socklab.ui.tui import why as screen
from socklab.ui.view import lines
from tests.ui.tui.panel_support import Scene
from tests.ui.tui.test_panels_untrusted import events

_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


@given(some.lists(events, max_size=14), some.integers(20, 110))
@settings(max_examples=150, deadline=None)
def test_no_stream_makes_an_answer_write_controls_or_overlong_lines(stream: list[ev.Event], cells: int) -> None:
    history = History()
    for event in [*Scene(hosts=2).start().events, *stream]:
        history.add(event)
    state = history.now
    asked = [subject for panel in why.PANELS for subject, _ in why.subjects(state, panel)]
    for subject in [why.Subject("stop"), why.Subject("call"), *asked]:
        chains = why.why(state, subject, history)
        for row in screen.answer(chains, cells):
            for line in row.lines:
                assert lines.width(line) <= cells
                assert not [c for text, _ in line for c in text if unicodedata.category(c) in _UNSEEN], line
        assert not [c for line in why.lines(chains) for c in line if unicodedata.category(c) in _UNSEEN]
    for panel in why.PANELS:
        for _, label in why.subjects(state, panel):
            assert not [c for c in label if unicodedata.category(c) in _UNSEEN], label
