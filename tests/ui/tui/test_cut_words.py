"""No word is cut on a small screen: details go first, and what is left stands whole."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as some

from socklab.ui.stage import drawing
from socklab.ui.stage.scene import Folded
from socklab.ui.view.lines import clip_words, plain, whole_words, width
from tests.support.cut_words import cut, cut_words
from tests.ui.stage.moments import MOMENTS as LABS
from tests.ui.tui.panel_support import MOMENTS

STATES = {**MOMENTS, **LABS}


@pytest.mark.parametrize("cells", [80, 100, 120])
@pytest.mark.parametrize("moment", STATES)
def test_at_no_moment_is_a_word_cut(moment: str, cells: int) -> None:
    assert cut_words(STATES[moment]().state, cells=cells) == []


@pytest.mark.parametrize("cells", range(9, 60))
def test_like_connections_are_counted_by_state_or_only_counted(cells: int) -> None:
    folded = Folded({"ESTABLISHED": 2, "SYN_RECV": 2, "FIN_WAIT2": 1}, ("c", "d", "e", "f", "g"))
    said = plain(drawing._more(folded, cells, masked=False))
    assert not cut(said)
    assert len(said) <= cells
    assert "+5 more" in said or "2 ESTABLISHED, 2 SYN_RECV, 1 FIN_WAIT2" in said


def test_a_cut_payload_is_no_cut_word() -> None:
    assert cut("until the next st… step 7")
    assert cut('"GET" and the re…')
    assert not cut('write(4, "HTTP/1.1 200 OK\\r\\nCon…, 78)')
    assert not cut("as many as …")


TEXT = some.text("ab ", min_size=1, max_size=30)


@given(
    some.lists(some.tuples(TEXT, some.sampled_from(["", "dim", "string"])), min_size=1, max_size=5),
    some.integers(0, 60),
)
def test_a_line_of_whole_words_is_a_beginning_of_the_line(line: list[tuple[str, str]], cells: int) -> None:
    said = plain(clip_words(tuple(line), cells))
    assert width(((said, ""),)) <= cells
    whole = plain(tuple(line))
    if len(whole) <= cells:
        assert said == whole
    elif said:
        assert whole.startswith(said.removesuffix("…").rstrip())
        assert said.endswith("…")
        if cells >= 4 and all(role != "string" for _, role in line) and " " in whole[: cells - 2].lstrip():
            assert not cut(said)


@given(some.text("ab ,", max_size=30), some.integers(0, 40))
def test_whole_words_fit_and_are_a_beginning(text: str, cells: int) -> None:
    said = whole_words(text, cells)
    assert len(said) <= cells
    assert said == text or not said or text.startswith(said.removesuffix(" …"))
