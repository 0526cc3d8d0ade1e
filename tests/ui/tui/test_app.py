"""The application over a lab told by hand: keys become commands, stops become screens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from textual import events
from textual.pilot import Pilot

from socklab.protocol import commands as cmd, events as ev
from socklab.ui.tui.app import SocklabApp
from socklab.ui.tui.panels import registry
from socklab.ui.tui.panels.panel import Body
from socklab.ui.tui.prompt import MOST_LETTERS
from socklab.ui.tui.screens.lab import LabScreen
from socklab.ui.view.lines import View
from tests.ui.tui.support import TOML, FakeLink, a_lesson, app_of, backlog, same_as_snapshot, text_of

SIZES = [(80, 24), (120, 36), (200, 60)]


async def until(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    """Wait for a condition. The deadline is for what hangs: the machine may be busy."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"never came true; the screen:\n{text_of(pilot.app)}"  # type: ignore[arg-type]
        await pilot.pause(0.01)
    await pilot.pause()


async def shown(pilot: Pilot[int], text: str) -> None:
    await until(pilot, lambda: text in text_of(pilot.app))  # type: ignore[arg-type]


async def filled(pilot: Pilot[int]) -> None:
    """The panels have taken the place of the first frame, each view has the size its place has, and that is drawn."""

    def is_filled() -> bool:
        screen = lab(pilot)
        sizes = [(slot.box.width, slot.box.height) for slot in screen.placed]
        views = [(view.size.width, view.size.height) for view in screen.slots[: len(sizes)]]
        return not screen.panes.frame_only and sizes == views

    await until(pilot, is_filled)
    await until(pilot, lambda: not lab(pilot)._painting)
    await pilot.pause()


def place_line(app: SocklabApp) -> str:
    """The line that says where the program is."""
    return next(row for row in text_of(app).splitlines() if row.startswith("1 server.c"))


def lab(pilot: Pilot[int]) -> LabScreen:
    screen = pilot.app.screen
    assert isinstance(screen, LabScreen)
    return screen


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_screen_before_listen_looks_as_it_did(size: tuple[int, int]) -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=size) as pilot:
        await shown(pilot, "held before listen")
        await filled(pilot)
        same_as_snapshot(text_of(app), f"listen-{size[0]}x{size[1]}")


@pytest.mark.parametrize("size", [*SIZES, (60, 15)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_an_open_question_hides_what_would_answer_it(size: tuple[int, int]) -> None:
    app, _ = app_of(backlog())
    async with app.run_test(size=size) as pilot:
        await shown(pilot, "Your prediction")
        await filled(pilot)
        text = text_of(app)
        same_as_snapshot(text, f"question-{size[0]}x{size[1]}")
        assert "hidden until you answer" in text
        assert "5 of 4" not in text
        assert "ockets*" not in text, "that a hidden panel moved may be the answer"
        assert "server.c:23" in text, "where the program is stays in sight"
        assert "Ten clients" in text, "and so does what the lesson says"


async def test_a_terminal_too_small_gets_one_clear_sentence() -> None:
    app, _ = app_of(backlog())
    async with app.run_test(size=(40, 10)) as pilot:
        await shown(pilot, "Terminal is 40x10")
        assert "--plain" in text_of(app)


async def test_growing_the_terminal_brings_the_panels_back() -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(40, 10)) as pilot:
        await shown(pilot, "Terminal is 40x10")
        await pilot.resize_terminal(120, 36)
        await shown(pilot, "held before listen")
        await shown(pilot, "4 queues")


async def test_the_step_key_sends_one_step_and_shows_the_next_stop() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("s")
        await shown(pilot, "held after listen = 0")
        assert link.commands == [cmd.Step()]


@pytest.mark.parametrize(
    ("key", "command"),
    [("o", cmd.Step(over=True)), ("n", cmd.Continue("step")), ("space", cmd.Step()), ("k", cmd.Do("connect"))],
)
async def test_each_key_sends_its_command(key: str, command: cmd.AnyCommand) -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press(key)
        await until(pilot, lambda: link.commands == [command])


async def test_the_result_of_a_call_that_was_run_over_is_in_the_timeline() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "[listen]")
        link.give(ev.Resumed(t=9, tid=4242), ev.Return(t=9, tid=4242, nr=50, result=0))
        await shown(pilot, "[listen=0]")


async def test_a_second_step_is_not_queued_behind_one_that_is_not_done() -> None:
    app, link = app_of(backlog(), at_once=5)
    link.go_on = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("s", "s", "s")
        await pilot.pause()
        assert link.commands == [cmd.Step()]


async def test_a_step_that_ended_in_a_question_can_be_asked_for_again_once_it_is_answered() -> None:
    """A step pressed while the lesson still acts at a stop is given up by the engine when the lesson then asks."""
    app, link = app_of(backlog(), at_once=5)
    link.go_on = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("s")
        link.give(ev.Asked(t=9, index=1))
        await shown(pilot, "Your prediction")
        await pilot.press("c", "enter")
        link.give(ev.Measured(t=10, index=1, value=5, choice=5, right=True))
        await shown(pilot, "The kernel says 5")
        await pilot.press("s")
        await until(pilot, lambda: link.commands == [cmd.Step(), cmd.Answer(5), cmd.Step()])


async def test_a_step_waits_for_the_prediction() -> None:
    app, link = app_of(backlog())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "Your prediction")
        await pilot.press("s")
        await shown(pilot, "First the prediction")
        assert link.commands == []


@pytest.mark.parametrize(("letter", "value"), [("a", 3), ("b", 4), ("c", 5), ("d", 10)])
async def test_a_letter_answers_and_a_digit_goes_to_its_panel(letter: str, value: int) -> None:
    """3, 4 and 5 are values among the choices here, as in half of the questions: as keys they mean panels."""
    app, link = app_of(backlog())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "a  3     b  4     c  5     d  10")
        await pilot.press(letter, *"3456")
        await until(pilot, lambda: lab(pilot).view._focused() == registry.of_key("6"))
        assert f"▶ {letter}  {value}" in text_of(app)
        assert link.commands == []
        await pilot.press("enter")
        await until(pilot, lambda: link.commands == [cmd.Answer(value)])


async def test_letters_are_commands_again_when_nothing_is_asked() -> None:
    app, link = app_of(backlog())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "a-d choose   Enter")
        await pilot.press("b", "left", "b")
        await until(pilot, lambda: "frames" in lab(pilot).panes.expanded)
        await pilot.press("b", "end", "e")
        await until(pilot, lambda: lab(pilot).prompt.is_open)
        await pilot.press("escape", "escape")
        link.give(ev.Measured(t=9, index=1, value=5, choice=None))
        await shown(pilot, "The kernel says 5")
        await pilot.press("c")
        await until(pilot, lambda: lab(pilot).prompt.is_open)


async def test_a_letter_and_enter_commit_to_that_choice() -> None:
    app, link = app_of(backlog())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "Your prediction")
        await pilot.press("c", "enter")
        assert link.commands == [cmd.Answer(5)]
        link.give(ev.Measured(t=9, index=1, value=5, choice=5, right=True))
        await shown(pilot, "✓ Right. The kernel says 5")
        text = text_of(app)
        assert "exceeds the backlog" in text
        assert "5 of 4" in text, "nothing is hidden any more"


async def test_escape_shows_the_answer_without_a_guess() -> None:
    app, link = app_of(backlog())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "Your prediction")
        await pilot.press("escape")
        assert link.commands == [cmd.Answer(None)]


async def test_a_wrong_guess_is_shown_beside_the_kernels_number() -> None:
    app, link = app_of(backlog())
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "Your prediction")
        link.give(ev.Measured(t=9, index=1, value=5, choice=4, right=False))
        await shown(pilot, "✗ You said 4; the kernel says 5")


async def test_the_past_says_that_it_is_the_past_and_a_step_returns_to_now() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("left", "left")
        await shown(pilot, "THE PAST   stop 3 of 5")
        assert "[bind]" in text_of(app)
        await pilot.press("s")
        await shown(pilot, "held before listen")
        assert link.commands == [], "the key that ends the past does not step"


async def test_a_running_program_is_not_stepped_but_says_how_to_hold_it() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        link.give(ev.Resumed(t=9, tid=4242))
        await shown(pilot, "running")
        await pilot.press("s")
        await shown(pilot, "p holds it")
        await pilot.press("p")
        assert link.commands == [cmd.Pause()]


async def test_a_program_asleep_in_accept_says_what_wakes_it() -> None:
    app, link = app_of(backlog()[:-1], at_once=99)
    async with app.run_test(size=(80, 24)) as pilot:
        row = ev.ProcessRow(4242, 1, "server", "S", waits_in="inet_csk_accept")
        link.give(ev.Resumed(t=9, tid=4242), ev.Processes(t=9, set=(row,)))
        await shown(pilot, "asleep in accept")
        assert "k connects a client" in text_of(app)


async def test_a_crash_is_named_with_its_signal_and_the_panels_stay() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before listen")
        link.give(
            ev.Resumed(t=9, tid=4242),
            ev.Signal(t=9, tid=4242, signo=11, code=1, addr=0),
            ev.Exited(t=9, tid=4242, signo=11),
        )
        await shown(pilot, "killed by SIGSEGV")
        assert "listen(listener, 4)" in text_of(app)


async def test_an_engine_that_dies_leaves_its_last_words_on_the_screen() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before listen")
        text = "The engine ended unexpectedly: killed by SIGKILL.\nThe last it said:\nTraceback: boom"
        link.give(ev.Notice(9, "error", text, "Start again."), ev.Ended(9, "failed"))
        await shown(pilot, "boom")
        assert "Start again." in text_of(app)
        await pilot.press("q")
    assert app.return_value == 1, "the shell learns that it failed"


async def test_a_click_on_a_key_of_the_footer_presses_it() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.click(offset=(1, 23))
        await until(pilot, lambda: link.commands == [cmd.Step()])


async def test_a_click_on_a_tab_shows_its_panel() -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        rows = text_of(app).splitlines()
        y = next(index for index, row in enumerate(rows) if "8 output" in row)
        await pilot.click(offset=(rows[y].index("8 output") + 1, y))
        await shown(pilot, "8 Output")
        await pilot.click(offset=(1, text_of(app).splitlines().index(place_line(app))))
        await shown(pilot, "▶20")


async def test_a_click_on_the_timeline_shows_that_stop() -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "[listen]")
        row = text_of(app).splitlines()[21]
        await pilot.click(offset=(row.index("socket"), 21))
        await shown(pilot, "THE PAST   stop 2 of 5")


async def test_a_number_brings_its_panel_and_the_same_number_lets_go() -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("9")
        await shown(pilot, "━━")
        assert lab(pilot).slots[0].panel == "counters"
        await pilot.press("9")
        await until(pilot, lambda: lab(pilot).slots[0].panel == "stage")


async def test_a_group_of_tabs_follows_the_call_until_the_user_chooses() -> None:
    app, _ = app_of(backlog(), at_once=3)
    async with app.run_test(size=(200, 60)) as pilot:
        await shown(pilot, "held before bind")
        assert lab(pilot).slots[4].panel == "descriptors"
        await pilot.press("o")
        await pilot.press("o")
        await shown(pilot, "held before listen")
        await until(pilot, lambda: lab(pilot).slots[4].panel == "queues")
        await pilot.press("6", "o")
        await shown(pilot, "held after listen")
        assert lab(pilot).slots[4].panel == "sockets"


async def test_maximise_gives_one_panel_the_screen_and_back() -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        for name, key in (("stage", "z"), ("queues", "m")):
            await pilot.press(key)
            await until(pilot, lambda: "The address is taken" not in text_of(app))
            assert lab(pilot).slots[0].panel == name
            assert "server.c:20" in text_of(app)
            await pilot.press(key)
            await shown(pilot, "The address is taken")
            await pilot.press("4")


async def test_every_theme_draws_the_same_text() -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before listen")
        before = text_of(app)
        for _ in app.palettes:
            await pilot.press("t")
            await pilot.pause()
            assert text_of(app) == before


async def test_help_lists_every_key_and_closes() -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(100, 60)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("question_mark")
        await shown(pilot, "Run to the next stop")
        await pilot.press("escape")
        await shown(pilot, "held before listen")


async def test_every_action_of_a_key_exists() -> None:
    from socklab.ui.tui.keys import KEYS

    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test() as pilot:
        for key in KEYS:
            assert key.action.partition("(")[0] in lab(pilot).actions, key


async def test_ten_thousand_events_leave_the_keys_alive() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        flood: list[ev.AnyEvent] = [ev.Resumed(t=9, tid=4242)]
        for n in range(5_000):
            flood += [ev.Enter(10 + n, 4242, 0, (4, 0, 0, 0, 0, 0)), ev.Return(10 + n, 4242, 0, 1)]
        link.give(*flood)
        await pilot.press("9")
        await until(pilot, lambda: lab(pilot).slots[0].panel == "counters")
        await until(pilot, lambda: lab(pilot).lab.bridge.now.entered >= 5_000)


async def test_a_run_too_long_to_keep_says_so_once_and_the_past_ends_at_its_oldest_stop() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        bridge = lab(pilot).lab.bridge
        bridge.history._keep = 1_000
        stops = bridge.now.stops
        flood: list[ev.AnyEvent] = []
        for number in range(1_500):
            flood += [ev.Enter(number, 4242, 0, (3, 0, 0, 0, 0, 0)), ev.Held(number, 4242, "enter")]
            flood += [ev.Resumed(number, 4242), ev.Return(number, 4242, 0, 1)]
        link.give(*flood)
        await until(pilot, lambda: bridge.now.stops == stops + 1_500 and bridge.now.task.at == "")
        oldest = bridge.history.first
        assert oldest > stops
        said = [notice.text for notice in bridge.now.notices if "run is long" in notice.text]
        assert len(said) == 1
        lab(pilot).lab.go(1)
        assert lab(pilot).lab.at == oldest
        await shown(pilot, f"Stop {oldest} is the oldest that is kept.")


async def test_folding_a_flood_never_keeps_the_loop_for_long() -> None:
    """The loop gets a turn between slices: a callback that is always ready runs many times during one flood."""
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        turns = 0
        bridge = lab(pilot).lab.bridge

        def turn() -> None:
            nonlocal turns
            turns += 1
            if bridge.now.entered < 20_000:
                asyncio.get_running_loop().call_soon(turn)

        flood: list[ev.AnyEvent] = [ev.Enter(10 + n, 4242, 0, (4, 0, 0, 0, 0, 0)) for n in range(20_000)]
        link.give(*flood)
        turn()
        await until(pilot, lambda: bridge.now.entered >= 20_000)
        assert turns > 5


def test_a_fake_link_gives_out_one_stop_at_a_time() -> None:
    link = FakeLink(backlog(), at_once=1)
    assert [event for event in link.read_available() if isinstance(event, ev.Held)] != []
    assert link.stops_left == 6
    link.close()


async def test_a_line_typed_in_one_go_never_becomes_keys() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        for key in ["colon", *"connectcec5"]:
            pilot.app.simulate_key(key)
        await until(pilot, lambda: lab(pilot).prompt.field is not None)
        await until(pilot, lambda: "connectcec5" in text_of(app))
        await pilot.press("enter")
        await shown(pilot, 'No verb "connectcec5". Did you mean "connect"?')
        await pilot.press("escape")
        await shown(pilot, "held before listen")
        assert link.commands == []


async def test_the_prompt_remembers_and_completes() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("colon", *"con", "tab", "3", "enter")
        assert link.commands == [cmd.Do("connect 3")]
        await pilot.press("colon", "up", "enter")
        assert link.commands == [cmd.Do("connect 3")] * 2


async def test_keys_work_again_after_the_prompt() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("exclamation_mark", "escape", "s")
        await shown(pilot, "held after listen")
        assert link.commands == [cmd.Step()]


async def test_text_selected_with_the_mouse_is_what_is_copied() -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before listen")
        rows = text_of(app).splitlines()
        y = next(index for index, row in enumerate(rows) if "bind(listener" in row)
        x = rows[y].index("bind(listener")
        await pilot.mouse_down(offset=(x, y))
        await pilot.hover(offset=(x + 12, y))
        await until(pilot, lambda: bool(app.screen.selections))
        await pilot.mouse_up(offset=(x + 12, y))
        selected = app.screen.get_selected_text()
        assert selected is not None
        assert selected.startswith("bind(listener")
        assert "\n" not in selected.strip()


async def test_the_past_offers_its_own_keys_even_while_a_question_is_open() -> None:
    app, _ = app_of(backlog())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "a-d choose   Enter")
        await pilot.press("left")
        await shown(pilot, "THE PAST")
        assert "End now" in text_of(app).splitlines()[23]


async def test_nothing_is_asked_or_hidden_once_the_program_is_gone() -> None:
    app, link = app_of(backlog())
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "Your prediction")
        link.give(ev.Exited(t=9, tid=4242, signo=9))
        await shown(pilot, "killed by SIGKILL")
        text = text_of(app)
        assert "Your prediction" not in text
        assert "hidden until" not in text


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_with_two_hosts_the_wire_has_its_place_from_the_first_frame(size: tuple[int, int]) -> None:
    from msgspec.structs import replace

    hosts = (ev.Host("server", ("10.0.0.1",)), ev.Host("client", ("10.0.0.2",)))
    events = [replace(e, network="two-hosts", hosts=hosts) if isinstance(e, ev.Header) else e for e in backlog()]
    app, _ = app_of(events, at_once=5)
    async with app.run_test(size=size) as pilot:
        await shown(pilot, "held before listen")
        await until(pilot, lambda: "wire" in text_of(app).lower())


async def test_what_is_pasted_into_the_prompt_is_cut_to_a_line_and_holds_no_escape_sequence() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("colon")
        field = lab(pilot).prompt.field
        assert field is not None
        field.post_message(events.Paste("connect\x1b]52;c;aGk=\x07\u202e 3\nsecond line"))
        await until(pilot, lambda: bool(field.value))
        assert field.value == "connect ]52;c;aGk=   3"
        field.post_message(events.Paste("y" * 100_000))
        await until(pilot, lambda: len(field.value) == MOST_LETTERS)
        await pilot.press("z")
        assert len(field.value) == MOST_LETTERS
        assert not link.commands


async def test_a_click_beside_the_open_prompt_closes_it_and_the_keys_work_again() -> None:
    """With the prompt open and out of focus no key would work, Esc neither."""
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press(":", "d", "e")
        await until(pilot, lambda: lab(pilot).prompt.is_open)
        await pilot.click(offset=(10, 5))
        await until(pilot, lambda: not lab(pilot).prompt.is_open)
        await pilot.press("s")
        await until(pilot, lambda: link.commands == [cmd.Step()])


FOCUSED = TOML.replace(
    '[[step]]\nat = { syscall = "accept" }',
    '[[step]]\nat = { syscall = "accept" }\nfocus = "clients"\npoint = "listener"',
)


@pytest.mark.parametrize(("size", "slot"), [((80, 24), 0), ((120, 36), 2), ((200, 60), 5)], ids=str)
async def test_a_step_brings_its_panel_to_the_front_and_gives_it_back(size: tuple[int, int], slot: int) -> None:
    app, link = app_of(backlog(), at_once=6, lesson=a_lesson(FOCUSED))
    async with app.run_test(size=size) as pilot:
        await shown(pilot, "held after listen")
        before = lab(pilot).slots[slot].panel
        await pilot.press("s")
        await shown(pilot, "Your prediction")
        await until(pilot, lambda: lab(pilot).slots[slot].panel == "clients")
        await pilot.press("escape")
        assert size == (200, 60) or lab(pilot).slots[slot].panel == before
        await pilot.press("left")
        await until(pilot, lambda: lab(pilot).slots[slot].panel == before)
        assert link.commands == [cmd.Step()], "Esc has not answered the question"


async def test_what_the_user_brought_to_the_front_stays_there_at_a_step_with_another_wish() -> None:
    app, _ = app_of(backlog(), at_once=6, lesson=a_lesson(FOCUSED))
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held after listen")
        await pilot.press("5", "s")
        await shown(pilot, "Your prediction")
        assert lab(pilot).slots[0].panel == "descriptors"
        await pilot.press("5")
        await until(pilot, lambda: lab(pilot).slots[0].panel == "clients")
        await pilot.press("escape")
        await until(pilot, lambda: lab(pilot).slots[0].panel == "stage")


async def test_the_stage_is_told_what_is_pointed_at_and_what_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[View] = []
    stage = registry.panel("stage")
    monkeypatch.setattr(stage, "body", lambda _state, view: seen.append(view) or Body([(("drawn", ""),)]))
    app, _ = app_of(backlog(), lesson=a_lesson(FOCUSED.replace('focus = "clients"\n', "")))
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "Your prediction")
        await shown(pilot, "drawn")
    assert seen[-1].pointed == "listener"
    assert seen[-1].hidden >= {"queues", "sockets"}


async def test_nothing_moves_from_stop_to_stop() -> None:
    app, link = app_of(backlog(), at_once=1)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before socket")
        await until(pilot, lambda: not lab(pilot).panes.frame_only)
        boxes = [slot.box for slot in lab(pilot).placed]
        head = text_of(app).split("\n")[0]
        while link.stops_left > 1:
            stops = lab(pilot).lab.now.stops
            await pilot.press("s")
            await until(pilot, lambda stops=stops: lab(pilot).lab.now.stops > stops)
            assert [slot.box for slot in lab(pilot).placed] == boxes
            assert text_of(app).split("\n")[0].replace("*", " ") == head


async def test_the_list_of_panels_opens_the_chosen_one() -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("P")
        await shown(pilot, "Panels: ")
        await pilot.press(*"count", "enter")
        await until(pilot, lambda: lab(pilot).slots[0].panel == "counters")
        rows = text_of(app).split("\n")
        await pilot.click(offset=(rows[0].index("+"), 0))  # how many tabs found no room
        await shown(pilot, "▶ Counters")
        await pilot.press("up", "enter")
        await until(pilot, lambda: lab(pilot).slots[0].panel == "output")


async def test_the_list_of_steps_marks_where_we_are_and_shows_a_step_that_was_reached() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("S")
        await shown(pilot, "▶ Step 1  1st listen  The address is taken")
        text = text_of(app)
        assert "Step 2  1st accept  (to come: Enter runs on to it)" in text
        assert "Ten clients" not in text
        await pilot.press("escape", "o")
        await shown(pilot, "held after listen")
        await pilot.press("o")
        await shown(pilot, "held before accept")
        await pilot.press("escape", "S", "home", "enter")
        await shown(pilot, "THE PAST   stop 5 of 7")
        assert cmd.Step(over=True) in link.commands


async def test_a_bookmark_stands_on_the_timeline_and_in_the_list_of_steps_until_it_is_taken_away() -> None:
    app, _ = app_of(backlog(), at_once=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        assert "★" not in text_of(app)
        await pilot.press("left", "M")
        await shown(pilot, "Stop 4 is marked")
        await pilot.press("end", *":mark here it listens", "enter")
        await shown(pilot, "Stop 5 is marked")
        assert text_of(app).count("★") == 2
        await pilot.press("S")
        await shown(pilot, "Steps: ")
        assert [line.split()[:3] for line in text_of(app).split("\n")[1:4]] == [
            ["★", "stop", "4"],
            ["▶", "Step", "1"],
            ["★", "stop", "5"],
        ]
        await pilot.press("up", "enter")
        await shown(pilot, "THE PAST   stop 4 of 5")
        await pilot.press("M")
        await shown(pilot, "Stop 4 is not marked any more.")
        assert text_of(app).count("★") == 1
        await pilot.press("end", *":mark", "enter")
        await until(pilot, lambda: "★" not in text_of(app))


async def test_stops_of_a_program_without_a_lesson_can_be_marked_too() -> None:
    app, _ = app_of(backlog(), at_once=5)
    app._lesson = None
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before listen")
        await pilot.press("S")
        await shown(pilot, "M marks a stop.")
        await pilot.press(*":mark the <b>second</b>", "enter", "S")
        await shown(pilot, "★  stop 5  the <b>second</b>")
