"""Every row of the descriptors and of the counters can be chosen, and asked about by the keys for evidence and why."""

from __future__ import annotations

import pytest

from socklab import evidence, why
from socklab.protocol import commands as cmd, events as ev
from socklab.ui.tui.controllers.why import _subject
from socklab.ui.tui.panels import registry
from socklab.ui.tui.screens.evidence import EvidenceScreen
from socklab.ui.tui.why import WhyScreen
from socklab.ui.view.lines import View, plain
from tests.ui.stage.moments import CHILD, Lab
from tests.ui.tui.panel_support import PID, Scene
from tests.ui.tui.support import app_of, text_of
from tests.ui.tui.test_app import shown, until

SYSCTL = "net.ipv4.tcp_syncookies"


def lab() -> Scene:
    """Two hosts whose counters rose, settings that they share and one that they don't."""
    scene = Scene(hosts=2).after_accept()
    scene.tell(
        ev.Counters(5, "client", {"ActiveOpens": 1}),
        ev.Setting(5, "server", SYSCTL, "1"),
        ev.Setting(5, "client", SYSCTL, "1"),
        ev.Setting(5, "server", "net.core.somaxconn", "4096"),
    )
    return scene.tell(ev.Counters(9, "client", {"ActiveOpens": 4}))


@pytest.mark.parametrize("panel", ["descriptors", "counters"])
@pytest.mark.parametrize("cells", [38, 58, 100])
def test_each_row_that_is_chosen_is_marked_and_its_line_leads_back_to_it(panel: str, cells: int) -> None:
    drawn, state = registry.panel(panel), lab().state
    view = View(cells, 12)
    keys = drawn.choices(state, view)
    assert len(keys) == len(set(keys)) == {"descriptors": 5, "counters": 5}[panel]
    before = [plain(line) for line in drawn.body(state, view).lines]
    for key in keys:
        looked = View(cells, 12, selected=key)
        line = drawn.line_of(state, looked, key)
        after = [plain(line) for line in drawn.body(state, looked).lines]
        assert drawn.at(state, looked, line) == key
        assert [number for number, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] in ([line], [])
        assert after[line][0] in "▸*+-"
        assert "current" in drawn.body(state, looked).lines[line][0][1]


@pytest.mark.parametrize("panel", ["descriptors", "counters"])
def test_each_row_has_evidence_with_a_command_and_an_answer_to_why(panel: str) -> None:
    state = lab().state
    for key in registry.panel(panel).choices(state, View(58, 12)):
        subject = evidence.of(panel, state, None, key)
        assert isinstance(subject, evidence.Subject), (key, subject)
        assert subject.wants and subject.shells, key
        assert why.why(state, _subject(panel, key))[0].links, key


def test_a_descriptor_of_another_process_is_read_of_that_process() -> None:
    state = Lab().forked().state
    assert (str(CHILD), 4) in registry.panel("descriptors").choices(state, View(80, 20))
    other = PID if state.task is not None and state.task.pid == CHILD else CHILD
    subject = evidence.of("descriptors", state, None, (str(other), 3))
    assert isinstance(subject, evidence.Subject)
    assert {want.number for want in subject.wants} == {other}
    assert all(str(other) in shell.text or shell.argv[0] == "ss" for shell in subject.shells)


def test_a_long_table_offers_the_rows_that_are_shown() -> None:
    state = Lab().many(2000).state
    drawn, view = registry.panel("descriptors"), View(80, 20)
    lines = [plain(line) for line in drawn.body(state, view).lines]
    keys = drawn.choices(state, view)
    assert len(keys) == sum("more" not in line for line in lines) < 25
    assert drawn.at(state, view, drawn.line_of(state, view, keys[-1])) == keys[-1]


async def test_by_the_keys_down_chooses_r_reads_that_row_and_why_is_about_it() -> None:
    app, link = app_of(lab().events)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held after accept")
        await pilot.press("5", "down", "down", "down", "down", "r")
        await until(pilot, lambda: isinstance(app.screen, EvidenceScreen))
        wants = (ev.Want("descriptor", number=PID, fd=3), ev.Want("descriptors", number=PID))
        assert link.commands == [cmd.Evidence(wants)]
        await pilot.press("escape", "9", "down", "down", "r")
        await until(pilot, lambda: len(link.commands) == 2)
        assert link.commands[-1] == cmd.Evidence((ev.Want("counters", "server"),))
        await shown(pilot, "counter ListenOverflows of server")
        await pilot.press("escape", "end", "down", "down", "down", "y")
        await until(pilot, lambda: isinstance(app.screen, WhyScreen))
        await shown(pilot, "net.core.somaxconn of server is 4096")
        assert "nothing in this lab has set it" in text_of(app)


@pytest.mark.parametrize("words", ["ListenDrops", "client ActiveOpens", SYSCTL])
def test_a_counter_and_a_setting_may_be_typed(words: str) -> None:
    subject = evidence.asked(f"counters {words}", lab().state, None)
    assert isinstance(subject, evidence.Subject)
    assert words.split()[-1] in subject.title


@pytest.mark.parametrize(("panel", "shown_as"), [("acceptqueue", "queues"), ("datapath", "sockets")])
def test_a_drawing_of_one_row_is_asked_about_as_that_row(panel: str, shown_as: str) -> None:
    state = Lab().accepted().state
    drawn = registry.panel(panel)
    meant = drawn.row_of(state, None)
    assert meant is not None and meant[0] == shown_as and meant[1] is not None
    assert isinstance(evidence.of(shown_as, state, None, meant[1]), evidence.Subject)
    assert why.why(state, _subject(shown_as, meant[1]))[0].links
