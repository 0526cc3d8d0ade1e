"""Several processes and threads on one screen: which of them it is about, and what the keys do to which."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from socklab import state as st
from socklab.protocol import commands as cmd, events as ev
from socklab.ui.tui.controllers.following import Following
from socklab.ui.tui.panels import registry
from socklab.ui.view.lines import View, plain
from socklab.ui.view.tasks import neighbour
from tests.ui.tui.panel_support import ACCEPT, CLOSE, PID, READ, Scene
from tests.ui.tui.panel_words import forget_windows
from tests.ui.tui.support import FakeLink, app_of, text_of
from tests.ui.tui.test_app import lab, until
from tests.ui.tui.test_panels_snapshots import compare, shown

processes = registry.panel("processes")

FIRST, SECOND, THREAD, DEAD = PID + 1, PID + 2, PID + 3, PID + 4


@pytest.fixture(autouse=True)
def _leave_no_window() -> Iterator[None]:
    """The source keeps its place in a file from picture to picture; other tests draw the same file."""
    yield
    forget_windows()


def enters(tid: int, nr: int, *args: int, line: int = 0, held: bool = True) -> list[ev.Event]:
    frames = (ev.Frame("/lessons/02-backlog/server.c", line, "main"),) if line else ()
    entered = ev.Enter(t=20, tid=tid, nr=nr, args=(*args, 0, 0, 0, 0, 0, 0)[:6])
    return [entered, *([ev.Held(t=20, tid=tid, at="enter", stack=frames)] if held else [])]


def falls_asleep(tid: int) -> list[ev.Event]:
    return [
        ev.Resumed(t=21, tid=tid),
        ev.Processes(t=21, set=(ev.ProcessRow(tid, PID, "server", "S", rss_bytes=327_680, waits_in="wait_woken"),)),
    ]


def family() -> Scene:
    """The parent before accept, a child asleep in read, one before close, a thread that runs, one child that ended."""
    scene = Scene()
    scene.after_accept()
    fds = (ev.Descriptor(3, "socket:[70001]", 70001, flags=2), ev.Descriptor(4, "socket:[70077]", 70077, flags=2))
    for child in (DEAD, FIRST, SECOND):
        scene.tell(
            ev.Forked(t=10, tid=PID, child=child, kind="fork"),
            ev.Descriptors(t=10, pid=child, set=fds),
            ev.Processes(t=10, set=(ev.ProcessRow(child, PID, "server", "t", rss_bytes=327_680),)),
        )
    scene.tell(ev.Exited(t=11, tid=DEAD), ev.Processes(t=11, gone=(DEAD,)))
    scene.tell(ev.Forked(t=12, tid=PID, child=THREAD, kind="thread"))
    scene.tell(ev.Processes(t=12, set=(ev.ProcessRow(THREAD, PID, "server", "R", threads=2),)))
    scene.tell(*enters(FIRST, READ, 4, 0x7000, 512, line=24), *falls_asleep(FIRST))
    scene.resume()
    scene.tell(*enters(PID, ACCEPT, 3, line=23))
    scene.tell(*enters(SECOND, CLOSE, 3, line=27))
    return scene


# ---------------------------------------------------------------- which task is followed


def test_the_screen_stays_with_a_held_task_while_another_one_stops() -> None:
    scene, following = Scene(), Following()
    scene.after_accept()
    assert following.state(scene.state).focus == PID
    scene.tell(ev.Forked(t=10, tid=PID, child=FIRST, kind="fork"), *enters(FIRST, CLOSE, 3))
    assert scene.state.focus == FIRST, "the stream's focus is the task held last"
    assert following.state(scene.state).focus == PID


def test_a_step_that_another_task_overtakes_does_not_move_the_screen() -> None:
    scene, following = Scene(), Following()
    scene.after_accept()
    following.state(scene.state)
    scene.resume()
    scene.tell(ev.Forked(t=10, tid=PID, child=FIRST, kind="fork"), *enters(FIRST, CLOSE, 3))
    assert following.state(scene.state).focus == PID
    scene.tell(*enters(PID, CLOSE, 4))
    assert following.state(scene.state).focus == PID


def test_the_screen_goes_to_a_held_task_when_the_followed_one_falls_asleep() -> None:
    scene, following = family(), Following()
    following.choose(SECOND)
    following.state(scene.state)
    following.let_go()
    scene.tell(ev.Resumed(t=30, tid=SECOND), *enters(SECOND, READ, 4, held=False), *falls_asleep(SECOND)[1:])
    assert following.state(scene.state).focus == PID


def test_a_chosen_task_is_followed_even_asleep_and_dead() -> None:
    scene, following = family(), Following()
    following.choose(FIRST)
    assert following.state(scene.state).focus == FIRST
    scene.tell(ev.Exited(t=31, tid=FIRST, signo=9))
    assert following.state(scene.state).focus == FIRST
    following.let_go()
    assert following.state(scene.state).focus in (PID, SECOND)


def test_running_on_as_a_whole_shows_whichever_task_stops_first() -> None:
    scene, following = family(), Following()
    following.choose(PID)
    following.wherever(scene.state.stops)
    assert following.state(scene.state).focus == PID, "until something stops the screen stays"
    scene.resume()
    assert following.state(scene.state).focus == PID
    scene.tell(*enters(FIRST, CLOSE, 4))
    assert following.state(scene.state).focus == FIRST
    scene.tell(*enters(PID, CLOSE, 4))
    assert following.state(scene.state).focus == FIRST, "the first stop is what was waited for"


def test_the_followed_state_is_the_very_same_until_something_happens() -> None:
    scene, following = family(), Following()
    following.choose(FIRST)
    assert following.state(scene.state) is following.state(scene.state)
    assert following.state(scene.state).tables is scene.state.tables


def test_neighbours_are_the_living_in_the_order_they_came() -> None:
    state = family().state
    met = []
    for _ in range(4):
        met.append(state.focus)
        state = replace(state, focus=neighbour(state, 1))
    assert met == [SECOND, THREAD, PID, FIRST]
    assert state.focus == SECOND
    alone = Scene().after_accept().state
    assert neighbour(alone, 1) == 0


# ---------------------------------------------------------------- the process panel


@pytest.mark.parametrize("size", [(38, 9), (58, 12), (100, 16)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_a_family_of_tasks_is_drawn_as_it_was(size: tuple[int, int]) -> None:
    view = View(*size)
    state = family().state
    text = f"{processes.title(state)}\n" + shown(processes.render(state, view), size[0])
    compare(f"family-{size[0]}x{size[1]}", text)
    lines = processes.body(state, view).lines
    clicked = [processes.at(state, view, line) for line in range(len(lines))]
    assert [key for key, line in zip(clicked, lines, strict=True) if plain(line)[:1] not in " "] == list(
        dict.fromkeys(filter(None, clicked))
    )


def test_only_the_last_children_that_ended_are_listed() -> None:
    scene = Scene()
    scene.after_accept()
    for child in range(PID + 10, PID + 60):
        scene.tell(ev.Forked(t=10, tid=PID, child=child, kind="fork"), ev.Exited(t=11, tid=child))
    drawn = [plain(line) for line in processes.render(scene.state, View(58, 12))]
    assert sum("exited with status 0" in line for line in drawn) == 3
    assert any("47 more have ended" in line for line in drawn)
    assert [tid for _, tid in processes.choices(scene.state, View(58, 12))] == [PID, PID + 57, PID + 58, PID + 59]


def test_a_child_nobody_has_waited_for_is_called_a_zombie() -> None:
    scene = family()
    scene.tell(ev.Processes(t=12, set=(ev.ProcessRow(DEAD, PID, "server", "Z"),)))
    drawn = [plain(line) for line in processes.render(scene.state, View(100, 12))]
    assert any(f"server {DEAD}  exited with status 0, a zombie until it is waited for" in line for line in drawn)


def test_of_thousands_of_children_that_ended_only_the_last_are_kept() -> None:
    scene = Scene()
    scene.after_accept()
    for child in range(PID + 10, PID + 3010):
        scene.tell(ev.Forked(t=10, tid=PID, child=child, kind="fork"), ev.Exited(t=11, tid=child))
    assert PID in scene.state.tasks
    assert PID + 3009 in scene.state.tasks
    assert len(scene.state.tasks) <= 2 * st.MOST_EXITED


# ---------------------------------------------------------------- keys


def sent(link: FakeLink) -> list[cmd.AnyCommand]:
    return link.commands


async def on_screen(pilot: Pilot[int], text: str) -> None:
    await until(pilot, lambda: text in text_of(pilot.app))  # type: ignore[arg-type]


async def begun(pilot: Pilot[int]) -> None:
    """Everything told so far is on the screen, which follows the task held last."""
    screen = lab(pilot)
    await until(pilot, lambda: screen.lab.bridge.now.focus == SECOND)
    screen.lab.follow(SECOND)
    screen.lab.following.let_go()
    await on_screen(pilot, f"{SECOND} held before close")


async def test_the_keys_go_from_task_to_task_and_steps_are_for_the_one_shown() -> None:
    app, link = app_of(family().events)
    link.go_on = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(120, 36)) as pilot:
        await begun(pilot)
        await pilot.press("right_square_bracket", "right_square_bracket")
        await on_screen(pilot, f"{PID} held before accept")
        await on_screen(pilot, "▶23")
        await pilot.press("s")
        await until(pilot, lambda: sent(link) == [cmd.Step(tid=PID)])
        await pilot.press("left_square_bracket")
        await on_screen(pilot, f"{THREAD} running")
        await pilot.press("s")
        await on_screen(pilot, f"{THREAD} is not held")
        assert sent(link) == [cmd.Step(tid=PID)], "a task that is not held is not stepped, nor is another in its place"


async def test_rows_of_the_process_panel_choose_the_task_and_escape_lets_go() -> None:
    app, link = app_of(family().events)
    async with app.run_test(size=(120, 36)) as pilot:
        await begun(pilot)
        await pilot.press("0", "up")
        await on_screen(pilot, f"{FIRST} asleep in read")
        await on_screen(pilot, "chosen, Esc")
        await on_screen(pilot, "server.c:24")
        await pilot.press("escape", "escape")
        await on_screen(pilot, f"{SECOND} held before close")
        assert sent(link) == []


async def test_a_click_on_a_row_chooses_the_task() -> None:
    app, _ = app_of(family().events)
    async with app.run_test(size=(120, 36)) as pilot:
        await begun(pilot)
        await pilot.press("0")
        lines = text_of(app).split("\n")
        _stage, row = [row for row, line in enumerate(lines) if f"server {FIRST}" in line]
        await pilot.click(offset=(20, row))
        await on_screen(pilot, f"{FIRST} asleep in read")


async def test_others_are_let_run_and_held_again() -> None:
    app, link = app_of(family().events)
    async with app.run_test(size=(120, 36)) as pilot:
        await begun(pilot)
        await pilot.press("f")
        await until(pilot, lambda: sent(link) == [cmd.Others(run=True, tid=SECOND)])
        await pilot.press("0")
        await on_screen(pilot, "others run on")
        await pilot.press("f")
        await until(pilot, lambda: sent(link)[1:] == [cmd.Others(run=False)])


async def test_bytes_are_sent_by_the_client_that_the_followed_task_serves() -> None:
    app, link = app_of(family().events)
    async with app.run_test(size=(120, 36)) as pilot:
        await begun(pilot)
        await pilot.press("left_square_bracket")
        await on_screen(pilot, f"{FIRST} asleep in read")
        await pilot.press("x")
        await until(pilot, lambda: sent(link) == [cmd.Do("close a")])


async def test_a_tab_that_was_chosen_stays_when_packets_add_another() -> None:
    app, link = app_of(family().events)
    async with app.run_test(size=(80, 24)) as pilot:
        await begun(pilot)
        await pilot.press("9")
        await on_screen(pilot, "9 Counters")
        link.give(ev.Packet(t=40, id=1, source="client", destination="server", data=b"", length=40))
        await on_screen(pilot, "w ")
        assert "9 Counters" in text_of(app)


async def test_pause_holds_the_running_ones_although_one_is_held() -> None:
    app, link = app_of(family().events)
    async with app.run_test(size=(120, 36)) as pilot:
        await begun(pilot)
        await pilot.press("p")
        await until(pilot, lambda: sent(link) == [cmd.Pause()])


# ---------------------------------------------------------------- call stack, breakpoints, input


def deep() -> Scene:
    scene = Scene()
    scene.after_accept()
    outer = ev.Source(t=9, path="/app/app.py", language="python", text="import lib\n\n\nlib.serve()\n")
    scene.resume()
    scene.tell(outer, ev.Enter(t=20, tid=PID, nr=READ, args=(4, 0x7000, 512, 0, 0, 0)))
    frames = (ev.Frame("/lessons/02-backlog/server.c", 24, "main"), ev.Frame("/app/app.py", 4, "<module>"))
    scene.tell(ev.Held(t=21, tid=PID, at="enter", stack=frames))
    return scene


async def test_the_call_stack_opens_and_a_frame_shows_its_own_file() -> None:
    app, _ = app_of(deep().events)
    async with app.run_test(size=(120, 36)) as pilot:
        await on_screen(pilot, "server.c:24")
        await pilot.press("b")
        await on_screen(pilot, "called by <module> app.py:4  lib.serve()")
        await pilot.press("down")
        await on_screen(pilot, "▷ 4  lib.serve()")
        await on_screen(pilot, "app.py:4 <module>")
        await pilot.press("escape")
        await on_screen(pilot, "▶24")


async def test_a_condition_that_is_none_is_refused_in_place_and_the_right_one_sent() -> None:
    app, link = app_of(family().events)
    link.go_on = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(120, 36)) as pilot:
        await begun(pilot)
        await pilot.press("c", *"reed", "enter")
        await on_screen(pilot, "Did you mean `read`?")
        await pilot.press(*["backspace"] * 2, *"ad fd", "tab", *"4", "enter")
        await until(pilot, lambda: sent(link) == [cmd.Continue("read fd=4")])


async def test_conditions_typed_before_come_back() -> None:
    app, link = app_of(family().events)
    link.go_on = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(120, 36)) as pilot:
        await begun(pilot)
        await pilot.press("c", *"any error", "enter")
        await until(pilot, lambda: len(sent(link)) == 1)
        await pilot.press("c", "up")
        await on_screen(pilot, "until any error")


async def test_a_line_for_the_program_needs_no_quotes() -> None:
    app, link = app_of(family().events)
    async with app.run_test(size=(80, 24)) as pilot:
        await begun(pilot)
        await pilot.press("i", *"hello world", "enter")
        await until(pilot, lambda: sent(link) == [cmd.Input(b"hello world\n")])


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("until acc", ["until accept", "until accept4"]),
        ("until read fd=", ["until read fd=3", "until read fd=4"]),
        ("until write errno=EPI", ["until write errno=EPIPE"]),
        ("until close s", ["until close socket"]),
        ("until any e", ["until any errno=", "until any error"]),
    ],
)
def test_tab_completes_a_condition(typed: str, offered: list[str]) -> None:
    from socklab.ui.tui.prompt import completions, parse

    found = completions(typed, [], [3, 4])
    assert found == offered
    for line in found:
        if not line.endswith("="):
            assert isinstance(parse(line), cmd.Continue), "what is offered is understood"


def test_the_help_names_each_group_of_keys_once() -> None:
    from socklab.commands.table import COMMANDS
    from socklab.ui.tui.keys import help_lines

    titles = [plain(line).strip() for line in help_lines() if line and line[0][1] == "title"]
    assert len(titles) == len(set(titles)) == len({command.group for command in COMMANDS})
