"""Plain text says what the stage draws, in the same order."""

from __future__ import annotations

import re

import pytest

from socklab import state as st
from socklab.ui.plain.stage import sentences
from socklab.ui.stage.drawing import draw
from socklab.ui.view.lines import plain
from tests.ui.stage.moments import MOMENTS


@pytest.mark.parametrize("moment", [name for name in MOMENTS if "," not in name])
def test_every_object_of_the_drawing_has_a_sentence_in_the_drawings_order(moment: str) -> None:
    state = MOMENTS[moment]().state
    said = sentences(state)
    drawn = [plain(line) for line in draw(state, 200, 40).lines]
    names = [name for name in state.clients if any(f" {name} :" in line for line in drawn)]
    for name in names:
        assert any(f"client {name}:" in line for line in said), name
    connections = [line.split()[-2] for line in said if "connection of" in line]
    states = [word for line in drawn for word in line.split() if word in st.TCP_STATES.values()]
    assert len(connections) <= len(states)
    fds = [line.split()[1] for line in said if line.startswith("descriptor ")]
    assert fds == [re.findall(r"(\d+) +\w+ *●", line)[0] for line in drawn if "●" in line]


def test_it_says_who_waits_and_that_the_queue_is_full() -> None:
    said = "\n".join(sentences(MOMENTS["full queue"]().state))
    assert (
        "descriptor 3 -> listener 0.0.0.0:8080\n  SYN queue: empty\n  accept queue: 5 of 4, full: a, b, c, d, e" in said
    )
    assert (
        "client f: SYN_SENT, sent again once; the server has no socket for it; on the wire: SYN to the server" in said
    )


def test_two_descriptors_of_one_object_are_said_of_both_processes() -> None:
    said = "\n".join(sentences(MOMENTS["fork"]().state))
    assert "descriptor 3 of process 4242 and descriptor 3 of process 4243 -> listener" in said


def test_what_a_question_hides_is_not_said() -> None:
    state = MOMENTS["full queue"]().state
    assert "5 of 4" in "\n".join(sentences(state))
    said = "\n".join(sentences(state, frozenset({"queues"})))
    assert "5 of 4" not in said and "not accepted" not in said and "client b" not in said and "client f" not in said
