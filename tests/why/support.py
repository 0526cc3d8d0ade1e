"""Runs to ask "why?" of: recorded ones of the lessons, and chains as text.

In: a lesson's name. Out: its whole unattended run, folded once for all tests of a session.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import socklab
from socklab import why
from socklab.protocol import codec, events as ev
from socklab.state import History, LabState
from tests.support import shared

ROOT = Path(socklab.__file__).resolve().parent.parent


def recorded(name: str, language: str = "c") -> list[ev.AnyEvent]:
    """The stream of a lesson that ran by itself on two hosts; skips where it can't."""

    def run() -> bytes:
        command = [sys.executable, "-m", "socklab", "lesson", name, "--auto", "--json", "--lang", language]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False, timeout=200
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    stream = [codec.decode_event(line) for line in shared.once(f"{name} {language} --json", run).splitlines()]
    header = stream[0]
    assert isinstance(header, ev.Header)
    if header.network != "two-hosts":
        pytest.skip(f"no two hosts here: {header.network}")
    return stream


def history_of(stream: list[ev.AnyEvent]) -> History:
    history = History()
    for event in stream:
        history.add(event)
    return history


def asked(state: LabState, text: str, history: History | None = None) -> tuple[why.Chain, ...]:
    """The answer to typed words."""
    subject = why.typed(state, text)
    assert isinstance(subject, why.Subject)
    return why.why(state, subject, history)


def links(state: LabState, text: str, history: History | None = None) -> list[why.Link]:
    """All links of the answer, in order."""
    return [link for chain in asked(state, text, history) for link in chain.links]


def text(state: LabState, words: str, history: History | None = None) -> str:
    return "\n".join(why.lines(asked(state, words, history)))


def unknown(found: list[why.Link]) -> list[str]:
    """What is said not to be known, and why not."""
    return [f"{link.what}: {link.reason}" for link in found if not link.known]
