"""The wire on the screen: its place, its keys, the chosen packet; over a lab told by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from socklab.commands.wire import HOSTS, parse
from socklab.protocol import commands as cmd, events as ev
from socklab.ui.tui import keys
from socklab.ui.tui.layout.panes import groups
from socklab.ui.tui.layout.plan import plan
from socklab.ui.tui.prompt import completions
from socklab.ui.view.lines import plain
from tests.support.wirescene import ACK, WireScene
from tests.ui.tui.support import TOML, a_lesson, app_of, text_of
from tests.ui.tui.test_app import lab, shown, until


def held_syn_ack(hosts: int = 2, extra: int = 0) -> list[ev.AnyEvent]:
    scene = WireScene(hosts)
    scene.before_accept()
    scene.client("a", 40001).handshake(40001)
    for number in range(extra):
        scene.up(40001, ACK, 1 + number, 1)
    scene.rules("hold syn-ack").client("c", 40003)
    scene.up(40003, 2, 0)
    scene.down(40003, 18, 0, 1, "held")
    return scene.events


@pytest.mark.parametrize(
    "keys",
    [*"sonkxhRHDXurf", ":deliver\n", ":release\n", ":drop next\n", ":others run\n", ":! ss -ltn\n", "e\n", "gall\n"],
)
async def test_nothing_that_would_show_or_change_the_answer_is_done_while_it_is_asked(keys: str) -> None:
    app, link = app_of([*held_syn_ack(extra=3), ev.Client(t=9, name="a", phase="open"), ev.Asked(t=9, index=1)])
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "Your prediction")
        await pilot.press(*("enter" if key == "\n" else key for key in keys))
        await shown(pilot, "First the prediction: a-d and Enter, or Esc to see the answer.")
        assert link.commands == []
        await pilot.press("escape")
        await until(pilot, lambda: link.commands == [cmd.Answer(None)])


async def the_wire(pilot: Pilot[int]) -> None:
    """The wire's panel is in front, with the focus."""
    await shown(pilot, "held before accept")
    await pilot.press("w")
    await shown(pilot, "[SYN-ACK")


def verbs(commands: list[cmd.AnyCommand]) -> list[str]:
    return [command.line for command in commands if isinstance(command, cmd.Do)]


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)], ids=str)
async def test_the_held_packet_is_seen_on_the_wire_at_every_size(size: tuple[int, int]) -> None:
    app, _ = app_of(held_syn_ack())
    async with app.run_test(size=size) as pilot:
        await the_wire(pilot)
        await shown(pilot, "◁[SYN-ACK seq 0 ack 1")
        text = text_of(app)
        assert "holding syn-ack" in text
        assert "d deliver" in text


async def test_the_keys_ask_for_what_they_say() -> None:
    app, link = app_of(held_syn_ack())
    async with app.run_test(size=(120, 36)) as pilot:
        await the_wire(pilot)
        for key in ("d", "D", "X", "H", "u"):
            await pilot.press(key)
        await until(pilot, lambda: len(link.commands) == 5)
        assert verbs(link.commands) == ["deliver", "deliver all", "drop", "release hold", "release"]
        for line in verbs(link.commands):
            verb, *words = line.split()
            parse(verb, words, {})


async def test_hold_all_is_a_switch() -> None:
    events = [event for event in held_syn_ack() if not isinstance(event, ev.WireRules)]
    app, link = app_of(events)
    async with app.run_test(size=(120, 36)) as pilot:
        await the_wire(pilot)
        await pilot.press("H")
        link.give(ev.WireRules(9, ("hold all",)))
        await shown(pilot, "holding all")
        await pilot.press("H")
        assert verbs(link.commands) == ["hold all", "release hold"]


async def test_the_prompt_opens_with_the_verb_typed() -> None:
    app, link = app_of(held_syn_ack())
    async with app.run_test(size=(120, 36)) as pilot:
        await the_wire(pilot)
        await pilot.press("g", *"ack", "enter")
        await until(pilot, lambda: verbs(link.commands) == ["hold ack"])


async def test_the_chosen_packet_is_delivered_where_it_is_held() -> None:
    app, link = app_of(held_syn_ack())
    async with app.run_test(size=(120, 36)) as pilot:
        await the_wire(pilot)
        await pilot.press("up", "d", "up", "d")
        await until(pilot, lambda: len(link.commands) == 2)
        assert verbs(link.commands) == ["deliver #5", "deliver"]  # the fourth is no longer on its way


async def test_enter_tells_the_chosen_packet_in_full_and_escape_goes_back() -> None:
    app, _ = app_of(held_syn_ack())
    async with app.run_test(size=(80, 24)) as pilot:
        await the_wire(pilot)
        await pilot.press("up", "enter", "z")
        await shown(pilot, "source port 8080")
        assert "┄◁[" not in text_of(app)
        await pilot.press("escape")
        await shown(pilot, "┄◁[")
        assert lab(pilot).panes.selected.get("wire") == ("packet", 5)
        await pilot.press("escape")
        assert "wire" not in lab(pilot).panes.selected


async def test_a_click_chooses_a_packet_and_a_big_panel_tells_it_below() -> None:
    app, _ = app_of(held_syn_ack())
    async with app.run_test(size=(200, 60)) as pilot:
        await the_wire(pilot)
        await pilot.press("z")
        await until(pilot, lambda: lab(pilot).slots[0].panel == "wire")
        rows = text_of(app).split("\n")
        y = next(n for n, row in enumerate(rows) if "[SYN-ACK" in row)
        await pilot.click(offset=(rows[y].index("[SYN-ACK"), y))
        await shown(pilot, "sequence number 5000 (relative 0)")


async def test_the_wire_follows_its_end_until_it_is_scrolled() -> None:
    app, link = app_of(held_syn_ack(extra=60))
    scene = WireScene()
    scene.number, scene.clock = 65, 9_000_000_000
    async with app.run_test(size=(120, 36)) as pilot:
        await the_wire(pilot)
        before = len(scene.events)
        scene.up(40001, ACK, 777, 1)
        link.give(*scene.events[before:])
        await shown(pilot, "seq 777")
        await pilot.press("pageup", "pageup")
        await until(pilot, lambda: "seq 777" not in text_of(app))
        before = len(scene.events)
        scene.up(40001, ACK, 888, 1)
        link.give(*scene.events[before:])
        await shown(pilot, "Wire 67")
        assert "seq 888" not in text_of(app)
        await pilot.press("pagedown", "pagedown", "pagedown")
        await shown(pilot, "seq 888")


async def test_without_a_wire_the_keys_say_why_and_the_footer_is_silent() -> None:
    app, link = app_of(held_syn_ack(hosts=1))
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before accept")
        assert "hold all" not in text_of(app)
        for key in ("d", "H", "g", "u"):
            await pilot.press(key)
            await shown(pilot, "packets can be seen, not held")
            await pilot.press("escape")
        assert verbs(link.commands) == []


async def test_nothing_held_is_said_and_nothing_sent() -> None:
    events = [event for event in held_syn_ack() if not isinstance(event, ev.PacketFate) or event.fate != "held"]
    app, link = app_of(events)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before accept")
        assert "d deliver" not in text_of(app)
        await pilot.press("d")
        await shown(pilot, "Nothing is held.")
        assert verbs(link.commands) == []


def test_with_two_hosts_the_wire_is_the_first_of_the_panels_that_a_key_opens() -> None:
    state = WireScene().state
    for size in ((80, 24), (120, 36)):
        assert plan(*size, groups(state)).slots[0].tabs[0] == "wire"
    assert plan(200, 60, groups(state)).slots[-1].panels[0] == "wire"


def test_no_key_has_two_meanings() -> None:
    every = [name for key in keys.KEYS for name in key.keys.split()]
    assert len(every) == len(set(every))


def test_what_is_in_the_hand_comes_first_in_the_footer() -> None:
    for width in (80, 120):
        line, _ = keys.footer("h", width, wire="wg")
        assert plain(line).lstrip().startswith("d deliver")
    line, _ = keys.footer("h", 120, wire="w")
    assert "d deliver" not in plain(line)
    assert "H hold all" in plain(line)
    assert "H hold all" not in plain(keys.footer("h", 120)[0])


async def test_the_packets_so_far_are_written_from_the_prompt(tmp_path: Path) -> None:
    app, link = app_of(held_syn_ack())
    async with app.run_test(size=(120, 36)) as pilot:
        await the_wire(pilot)
        screen = lab(pilot)
        screen.prompt.open(f"pcap {tmp_path}/wire.pcap")
        await pilot.press("enter")
        await shown(pilot, "5 packets written")
        assert (tmp_path / "wire.pcap").stat().st_size > 24 + 5 * (16 + 40)
        screen.prompt.open(f"pcap {tmp_path}/nowhere/wire.pcap")
        await pilot.press("enter")
        await shown(pilot, "cannot be written")
    assert link.commands == []


def test_the_prompt_completes_kinds_ends_and_clients() -> None:
    assert completions("hold syn", ["a"]) == ["hold syn ", "hold syn-ack "]
    assert completions("hold ack fr", ["a"]) == ["hold ack from "]
    assert completions("hold ack from ", ["a", "b"]) == [f"hold ack from {end} " for end in (*HOSTS, "a", "b")]
    assert completions("release lo", []) == ["release loss "]
    for line in completions("drop ", ["a"]):
        words = line.split()[1:]
        if words not in (["from"], ["to"]):
            parse("drop", words, {})


async def test_the_chosen_packet_stays_in_sight_when_the_panel_gets_the_whole_screen_and_back() -> None:
    app, _ = app_of(held_syn_ack(extra=60))
    async with app.run_test(size=(120, 36)) as pilot:
        await the_wire(pilot)
        await pilot.press("up")
        for _ in range(3):
            await pilot.press("m")
            await until(pilot, lambda: "[SYN-ACK" in text_of(app))


async def test_a_question_that_hides_the_wire_hides_every_arrow_and_number_of_it() -> None:
    lesson = a_lesson(TOML.replace('"queues", "sockets"', '"wire"'))
    step = ev.StepReached(t=9, index=1, phase="before")
    app, link = app_of([*held_syn_ack(), step, ev.Asked(t=9, index=1)], lesson=lesson)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "Your prediction")
        await pilot.press("w")
        await shown(pilot, "hidden until you answer")
        for word in ("SYN-ACK", "holding", "1 held", "Wire 5"):
            assert word not in text_of(app)
        link.give(ev.Measured(t=10, index=1, value=5))
        await shown(pilot, "◁[SYN-ACK")
