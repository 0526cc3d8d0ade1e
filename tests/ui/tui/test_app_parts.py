"""The parts of the application that need no terminal: plans, timeline, prompt, bridge, question."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest
from hypothesis import example, given, strategies as some

from socklab import state as st
from socklab.core.errors import UsageError
from socklab.protocol import commands as cmd, events as ev
from socklab.ui.tui import bridge as bridges, keys
from socklab.ui.tui.layout.panes import groups
from socklab.ui.tui.layout.plan import Box, Plan, plan as _plan
from socklab.ui.tui.panels import registry
from socklab.ui.tui.prompt import completions, hint, parse
from socklab.ui.tui.theme import themes
from socklab.ui.tui.widgets import question, timeline
from socklab.ui.view.lines import View, cell_len, clip, masked, pad, plain, spread, width, wrap
from socklab.ui.view.tasks import waits_for_input
from tests.support import streams as lab
from tests.ui.tui.panel_support import Scene
from tests.ui.tui.support import TOML, a_lesson, backlog

# ---------------------------------------------------------------- plans


def plan(columns: int, rows: int, state: st.LabState | None = None, **wishes: Any) -> Plan:
    return _plan(columns, rows, groups(state or st.LabState()), **wishes)


@given(
    some.integers(1, 300), some.integers(1, 90), some.integers(0, 12), some.integers(0, 6),
    some.sampled_from(("", "source", "sockets")), some.sampled_from(("", "source", "sockets", "stage")),
)  # fmt: skip
@example(50, 18, 7, 0, "", "")
@example(110, 30, 8, 6, "", "")
def test_no_two_places_of_a_plan_overlap_and_none_leaves_the_screen(
    columns: int, rows: int, asked: int, told: int, maximised: str, front: str
) -> None:
    found = plan(columns, rows, question=asked, text=9, notice=told, maximised=maximised, front=front)
    boxes = [slot.box for slot in found.slots]
    boxes += [found.header, found.place, found.question, found.notice, found.timeline, found.status, found.footer]
    seen: set[tuple[int, int]] = set()
    for box in boxes:
        cells = {(x, y) for x in range(box.x, box.x + box.width) for y in range(box.y, box.y + box.height)}
        assert not cells & seen
        assert all(0 <= x < columns and 0 <= y < rows for x, y in cells)
        seen |= cells


def rows_of(found: Plan) -> dict[str, int]:
    """Rows under the title of each panel in sight."""
    return {slot.panels[0]: slot.box.height - 1 for slot in found.slots}


@given(some.integers(80, 300), some.integers(24, 90), some.integers(0, 8), some.integers(0, 9))
def test_stage_text_and_question_are_always_in_sight_together(columns: int, rows: int, asked: int, text: int) -> None:
    found = plan(columns, rows, question=asked, text=text)
    heights = rows_of(found)
    assert heights["stage"] >= 7
    assert heights["narration"] >= 3
    assert found.question.height == asked
    if columns >= 110 and rows >= 30:
        assert heights["source"] >= 5
        assert heights["call"] >= 4


@given(some.integers(50, 300), some.integers(12, 90), some.integers(0, 12), some.sampled_from(("", "queues", "source")))
def test_source_and_call_have_a_line_where_they_have_no_place(columns: int, rows: int, asked: int, front: str) -> None:
    for maximised in ("", "stage"):
        found = plan(columns, rows, question=asked, front=front, maximised=maximised)
        assert {"source", "call"} <= set(rows_of(found)) or found.place.height == 1


@given(some.integers(50, 300), some.integers(12, 90), some.integers(4, 12), some.integers(0, 9))
def test_the_text_stays_while_a_question_is_open(columns: int, rows: int, asked: int, text: int) -> None:
    found = plan(columns, rows, question=asked, text=text)
    assert rows_of(found)["narration"] >= 2
    assert found.question.height >= min(asked, 4)


def test_at_80x24_the_stage_has_twelve_rows_with_a_question_of_four_lines_or_without() -> None:
    for asked in (0, 4):
        assert plan(80, 24, question=asked, text=3).slots[0].box == Box(0, 0, 80, 12)
    assert plan(80, 24).place == Box(0, 12, 80, 1)


@pytest.mark.parametrize("size", [(50, 12), (80, 24), (110, 50), (120, 36), (200, 60)], ids=str)
def test_every_panel_has_one_place_or_tab_and_is_in_sight_once_it_is_in_front(size: tuple[int, int]) -> None:
    every = set(registry.names()) - {"wire"}
    for front in ("", *every):
        slots = plan(*size, front=front).slots
        named = [name for slot in slots for name in (*slot.panels, *slot.tabs)]
        assert set(named) | ({"source", "call"} if front else set()) == every
        assert not front or front in [name for slot in slots for name in slot.panels if slot.box.height > 1]


def test_the_wire_has_a_tab_only_when_there_is_one() -> None:
    with_packets = Scene().tell(ev.Packet(1, 1, "client", "server", b"", 40)).state
    names = [name for slot in plan(120, 36, with_packets).slots for name in slot.tabs]
    assert names.count("wire") == 1


def test_a_plan_does_not_depend_on_what_the_program_does() -> None:
    assert plan(120, 36) == plan(120, 36)
    assert plan(120, 36).status == Box(0, 34, 120, 1)


# ---------------------------------------------------------------- timeline


def run_of(count: int) -> timeline.Chips:
    chips = timeline.Chips()
    for number in range(count):
        chips.held(f"call{number}", number)
        chips.held(f"call{number}", number, result="=0")
    return chips


def test_a_call_and_its_result_are_one_chip() -> None:
    chips = run_of(1)
    assert [(chip.first, chip.last, chip.text) for chip in chips.all] == [(1, 2, "call0=0")]


def test_a_result_that_nobody_stopped_at_is_told_too_but_not_at_the_stop_before_it() -> None:
    chips = timeline.Chips()
    chips.held("socket", 0)
    chips.returned(0, "=3", False)
    chips.returned(1, "=0", False)  # of a call that has no chip
    chips.held("listen", 4)
    chips.held("listen", 4, result="=0")

    def drawn(at: int | None) -> str:
        return plain(timeline.draw(chips, at, 80, running=False)[0])

    assert "socket=3" in drawn(None)
    assert "[listen=0]" in drawn(None)
    assert "[socket]" in drawn(1)
    assert "socket=3" in drawn(2)


def test_calls_nobody_stopped_at_are_counted_between_two_chips() -> None:
    chips = timeline.Chips()
    chips.held("socket", 0)
    chips.held("accept", 7)
    assert chips.all[1].skipped == 6


@given(some.integers(0, 60), some.integers(20, 200), some.data())
def test_the_timeline_fills_its_width_and_shows_where_we_are(count: int, columns: int, data: some.DataObject) -> None:
    chips = run_of(count)
    at = data.draw(some.one_of(some.none(), some.integers(1, 2 * count))) if count else None
    line, hot = timeline.draw(chips, at, columns, running=False)
    if columns >= 60:
        assert width(line) == columns
        if count:
            stop = chips.stops if at is None else at
            assert f"[{chips.all[chips.index_of(stop)].name}" in plain(line)
    assert all(0 <= first < behind for first, behind, _ in hot)


def test_the_future_is_dim_and_results_not_known_at_a_stop_are_not_shown() -> None:
    line, _ = timeline.draw(run_of(3), 3, 100, running=False)
    assert "[call1]" in plain(line)
    assert dict(line)["[call1]  "] == "focus"


# ---------------------------------------------------------------- prompt


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("connect 5", cmd.Do("connect 5")),
        ('send a "GET / HTTP/1.0\\r\\n\\r\\n"', cmd.Do('send a "GET / HTTP/1.0\\r\\n\\r\\n"')),
        ("! curl -s http://server:8080/", cmd.Do("! curl -s http://server:8080/")),
        ("step", cmd.Step()),
        ("over", cmd.Step(over=True)),
        ("next", cmd.Continue("step")),
        ("until", cmd.Continue("")),
        ("until accept", cmd.Continue("accept")),
        ("until read fd=4", cmd.Continue("read fd=4")),
        ("pause", cmd.Pause()),
        ("quit", cmd.Quit()),
        ("stdin hello", cmd.Input(b"hello\n")),
        ('stdin "a\\x00b"', cmd.Input(b"a\0b")),
    ],
)
def test_a_typed_line_is_its_command(line: str, command: cmd.AnyCommand) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    ("line", "says"),
    [("conect 5", "connect"), ("send a hi", "double quotes"), ("until acept", "accept"), ("pause now", "alone")],
)
def test_a_mistyped_line_is_refused_with_the_nearest_or_the_rule(line: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(line)
    assert says in str(refused.value)


def test_settings_complete_themselves_in_full_and_as_they_are_spoken_of() -> None:
    assert "set net.ipv4.tcp_syncookies " in completions("set net.ipv4.tcp_sy", [])
    assert completions("set tcp_sync", []) == ["set tcp_syncookies "]
    assert "set @server net.core.somaxconn " in completions("set @server ", [])
    assert completions("set tcp_syncookies ", []) == []


@pytest.mark.parametrize("palette", themes(no_color=False))
def test_the_colour_of_what_changed_is_that_of_nothing_else(palette: str) -> None:
    theme = themes(no_color=False)[palette]
    changed = theme.style("changed")
    assert changed.bold
    for role in theme.roles - {"changed"}:
        assert theme.style(role).color != changed.color, role
        assert theme.style(role).bgcolor != changed.color, role
        if "current" not in role:
            assert theme.style(f"{role} changed").color == changed.color, role


def test_a_hidden_panel_is_one_quiet_line() -> None:
    lines = [line for line in masked(60, 9) if line]
    assert len(lines) == 1
    assert "hidden until you answer" in plain(lines[0])
    assert plain(lines[0]).count("░") <= 16
    assert {role for text, role in lines[0] if text.strip()} == {"mask", "dim"}


@pytest.mark.parametrize("role", ["changed", "warn", "key", "focus", "syn", "good", "bad", "name", "client4"])
def test_the_terminals_own_theme_has_no_colour_that_vanishes_on_white_or_on_black(role: str) -> None:
    colour = themes(no_color=False)["terminal"].style(role).color
    assert colour is None or colour.name in ("default", "red", "green", "blue", "magenta", "cyan")


def test_tab_completes_verbs_and_then_clients() -> None:
    assert completions("con", ["a"]) == ["connect "]
    assert completions("close ", ["a", "b"]) == ["close a ", "close b "]
    assert len(completions("", [])) > 10


@given(some.text(max_size=30))
def test_the_hint_never_fails_whatever_is_typed(text: str) -> None:
    assert isinstance(hint(text), str)


# ---------------------------------------------------------------- question and footer


def test_a_marked_choice_is_told_apart_without_colour() -> None:
    predict = a_lesson().steps[1].predict
    assert predict is not None
    lines, _ = question.lines(predict, None, 1, 60)
    row = next(plain(line) for line in lines if " 10 " in plain(line) + " ")
    assert row.count("▶") == 1
    assert row.index("▶") < row.index("4")


def test_long_choices_stand_one_below_the_other_and_can_be_clicked() -> None:
    predict = a_lesson().steps[1].predict
    assert predict is not None
    from msgspec.structs import replace

    long = replace(
        predict, choices=["it is refused at once with a reset", "it waits", "its SYN is dropped and sent again"]
    )
    lines, which = question.lines(long, None, -1, 50)
    assert [index for index in which if index >= 0] == [0, 1, 2]
    assert len(lines) == len(which)


@given(some.sampled_from("hrqpe"), some.integers(20, 250))
def test_the_footer_fits_and_always_offers_help_and_quit(situation: str, columns: int) -> None:
    line, hot = keys.footer(situation, columns)
    assert width(line) <= columns + 2
    assert {"help", "quit_lab"} <= {action for _, _, action in hot}


# ---------------------------------------------------------------- lines

TEXT = some.text(some.characters(categories=("L", "N", "P", "Zs")), max_size=40)
LINES = some.lists(some.tuples(TEXT, some.sampled_from(("", "dim", "number")))).map(tuple)


@given(LINES, some.integers(1, 60))
def test_clipped_and_padded_lines_take_the_cells_they_are_given(line: tuple[tuple[str, str], ...], cells: int) -> None:
    assert width(clip(line, cells)) <= cells
    assert width(pad(line, cells)) == cells


@given(some.text(some.characters(min_codepoint=33, max_codepoint=126), max_size=40), some.integers(4, 60))
def test_wrapping_keeps_every_letter(word: str, cells: int) -> None:
    text = f"{word} and {word}"
    wrapped = wrap(((text, ""),), cells)
    assert all(width(line) <= cells for line in wrapped)
    assert "".join(plain(line) for line in wrapped).replace(" ", "") == text.replace(" ", "")


def test_wide_characters_count_two_cells() -> None:
    assert cell_len("日本") == 4
    assert (
        plain(spread((("日本日本", ""),), (("ab", ""),), 8)) == "日本… ab"
        or width(spread((("日本日本", ""),), (("ab", ""),), 8)) == 8
    )


def test_the_help_page_names_each_group_of_keys_once() -> None:
    titles = [plain(line) for line in keys.help_lines() if line and line[0][1] == "title"]
    assert len(titles) == len(set(titles))


async def test_no_more_is_read_than_the_screen_can_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine then waits in its write, as for any slow reader, and memory stays bounded."""
    monkeypatch.setattr(bridges, "MOST_PENDING", 300)
    monkeypatch.setattr(bridges, "SLICE_S", 0.0)
    most, each, wanted = 0, 100, 5_000
    reading, writing = os.pipe()
    os.write(writing, b"!")  # always readable: there is always more

    class Flood:
        ended = False
        given = 0

        def fileno(self) -> int:
            return reading

        def read_available(self) -> list[ev.AnyEvent]:
            nonlocal most
            self.given += each
            most = max(most, self.given - bridge.now.entered)
            return [ev.Enter(self.given, lab.PID, 0, (4, 0, 0, 0, 0, 0))] * each

    bridge = bridges.Bridge(Flood(), lambda: None, lesson=True)  # type: ignore[arg-type]
    bridge.start()
    try:
        deadline = time.monotonic() + 60
        while bridge.now.entered < wanted:  # it reads on when it has folded what there was
            assert time.monotonic() < deadline, f"only {bridge.now.entered} folded"
            await asyncio.sleep(0)
        assert 300 < most <= 300 + each
    finally:
        bridge.stop()
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("columns", [80, 100, 120, 200])
def test_while_the_program_is_held_the_footer_names_clients_and_prompt(columns: int) -> None:
    told = plain(keys.footer("h", columns)[0])
    for entry in ("s step", "o over", "n next", "k connect", "e send", "! run", ": type", "? help", "q quit"):
        assert f" {entry} " in told
    assert ("z zoom" in told) == (columns >= 120)


@pytest.mark.parametrize(
    ("told", "waits"),
    [
        ([lab.entered("read", 0, 0, 100)], True),
        ([lab.entered("read", 3, 0, 100)], False),
        ([], True),  # in a read that nobody traces; the kernel says where it sleeps
    ],
    ids=["terminal", "socket", "unseen"],
)
def test_what_the_program_reads_from_its_terminal_is_asked_for_in_the_footer(
    told: list[ev.AnyEvent], waits: bool
) -> None:
    state = lab.state_of(
        lab.start(),
        ev.Descriptors(0, lab.PID, (ev.Descriptor(0, "/dev/pts/7"), ev.Descriptor(3, "socket:[900]", 900))),
        told,
        ev.Processes(1, (ev.ProcessRow(lab.PID, 1, "server", "S", waits_in="wait_woken"),)),
    )
    assert waits_for_input(state) is waits
    assert ("i input" in plain(keys.footer("r", 80, typed=waits_for_input(state))[0])) is waits


def test_what_the_student_is_to_do_stays_in_sight_below_a_text_too_long_for_its_place() -> None:
    text = "A sentence of the lesson that goes on. " * 20
    toml = TOML.replace(
        'before = "Ten clients', f'offer = "deliver"\nuntil = {{ probe = "packets.held", is = 0 }}\nbefore = "{text}'
    )
    events = [*backlog()[:-1], ev.Offered(t=9, index=1, lines=("deliver",))]
    state = st.apply_all(st.LabState(), events)
    panel = registry.panel("narration")
    body = panel.body(state, View(56, 6, lesson=a_lesson(toml)))
    assert "Your turn: deliver" in " ".join(plain(line) for line in body.foot)
    assert not any("Your turn" in plain(line) for line in body.lines)
    assert len(body.lines) > 6
