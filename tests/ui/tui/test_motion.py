"""What moves on the screen: after the picture, over it, for a moment; and what ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.geometry import Region

from socklab import state as st
from socklab.protocol import events as ev
from socklab.ui.stage.drawing import draw
from socklab.ui.stage.movement import Still
from socklab.ui.tui.app import SocklabApp
from socklab.ui.tui.layout import motion as module
from socklab.ui.tui.layout.motion import FRAME_S, LASTS_S, Motion
from socklab.ui.tui.widgets.line_view import LineView
from tests.ui.stage.moments import Lab
from tests.ui.tui.panel_support import ACCEPT, READ, STACK
from tests.ui.tui.support import FakeLink, a_lesson, app_of, text_of
from tests.ui.tui.test_app import filled, lab, shown, until

SIZE = (120, 36)


def queue_of_two() -> Lab:
    """The program stands before accept; a and b wait."""
    story = Lab()
    story.before_accept()
    for name in "ab":
        story.ends(name, story.row(int(story.port_of(name)), st.ESTABLISHED), st.ESTABLISHED)
    return story.depth(2)


def accept_a(story: Lab) -> Lab:
    story.resume()
    story.opened(4, story.row(40_001, st.ESTABLISHED, inode=70_077)).depth(1).returned(ACCEPT, 4)
    return story


# ---------------------------------------------------------------- by itself, with a clock of the test's


class View:
    """Stands where a LineView does."""

    def __init__(self, *, animated: bool = True) -> None:
        self.app = self
        self.animated = animated
        self.over: Any = {}
        self.tick: Callable[[], None] | None = None

    def lay(self, over: Any) -> None:
        self.over = over

    def set_interval(self, _interval: float, tick: Callable[[], None]) -> View:
        self.tick = tick
        return self

    def stop(self) -> None:
        self.tick = None

    def reset(self) -> None:
        """Its timer begins anew."""


class Player:
    """A Motion, and the clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, animated: bool = True) -> None:
        self.now = 100.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        self.view = View(animated=animated)
        self.motion = Motion()

    def show(self, story: Lab, *, past: bool = False, masked: bool = False, wants: str = "step") -> None:
        state = story.state
        if wants:
            state = st.apply(state, ev.Ready(9, wants))
        still = Still(state, draw(state, 120, 17))
        self.motion.shown(self.view, still, past=past, masked=masked)  # type: ignore[arg-type]

    def at(self, seconds: float) -> Any:
        """What lies over the picture then."""
        self.now = 100.0 + seconds
        if self.view.tick is not None:
            self.view.tick()
        return self.view.over


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch) -> Player:
    return Player(monkeypatch)


def test_the_picture_stands_alone_first_and_last_and_what_moves_lasts_less_than_half_a_second(player: Player) -> None:
    story = queue_of_two()
    player.show(story)
    assert not player.motion.playing
    player.show(accept_a(story))
    assert player.motion.playing and not player.view.over, "nothing lies over it when it is painted"
    seen = [player.at(FRAME_S * n) for n in range(1, 12)]
    assert all(seen) and len({str(each) for each in seen}) > 6
    assert LASTS_S <= 0.4
    assert not player.at(LASTS_S) and not player.motion.playing
    assert player.view.tick is None, "no timer runs while nothing moves"


def test_a_busy_machine_gives_fewer_frames_and_no_later_end(player: Player) -> None:
    story = queue_of_two()
    player.show(story)
    player.show(accept_a(story))
    assert player.at(0.3)
    assert not player.at(2.0) and not player.motion.playing


def test_nothing_moves_where_it_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    player = Player(monkeypatch, animated=False)
    story = queue_of_two()
    player.show(story)
    player.show(accept_a(story))
    assert player.view.tick is None and not player.motion.playing


def test_nothing_moves_in_the_past_nor_out_of_it(player: Player) -> None:
    story = queue_of_two()
    player.show(story, past=True)
    player.show(accept_a(story))
    assert not player.motion.playing
    story = queue_of_two()
    player.show(story)
    player.show(accept_a(story), past=True)
    assert not player.motion.playing


def test_what_a_question_hides_moves_when_it_has_been_answered(player: Player) -> None:
    story = queue_of_two()
    player.show(story)
    player.show(accept_a(story), masked=True)
    assert not player.motion.playing
    player.show(story)
    assert player.motion.playing


@pytest.mark.parametrize("wants", ["", "pause"])
def test_nothing_moves_while_the_program_runs_or_all_has_not_been_told(player: Player, wants: str) -> None:
    story = queue_of_two()
    player.show(story)
    player.show(accept_a(story), wants=wants)
    assert not player.motion.playing
    player.show(story)
    assert player.motion.playing, "it moves as soon as that is over"


def test_another_change_beside_it_ends_no_move_and_another_stop_does(player: Player) -> None:
    story = queue_of_two()
    player.show(story)
    player.show(accept_a(story))
    assert player.at(0.1)
    player.show(story.tell(ev.Counters(9, "server", {"ListenOverflows": 8})))
    assert player.motion.playing and player.view.over
    player.show(story.resume().enter(READ, 4, STACK, 512))
    assert not player.motion.playing and not player.view.over


def test_after_a_key_no_frame_comes_and_the_next_picture_has_nothing_over_it(player: Player) -> None:
    story = queue_of_two()
    player.show(story)
    player.show(accept_a(story))
    over = player.at(0.1)
    assert over
    player.motion.end()
    assert player.view.over is over, "nothing is drawn before what the key brings"
    player.show(story.tell(ev.Counters(9, "server", {"ListenOverflows": 8})))
    assert not player.motion.playing and not player.view.over


def test_a_key_that_brings_no_picture_ends_it_with_the_next_frame(player: Player) -> None:
    story = queue_of_two()
    player.show(story)
    player.show(accept_a(story))
    assert player.at(0.1)
    player.motion.end()
    assert not player.at(0.13) and not player.motion.playing


def test_the_same_move_is_not_played_twice(player: Player) -> None:
    story = queue_of_two()
    player.show(story)
    player.show(accept_a(story))
    player.motion.skip()
    player.show(story.tell(ev.Counters(9, "server", {"ListenOverflows": 8})))
    assert not player.motion.playing


# ---------------------------------------------------------------- on the screen


def animated(*, stops: int) -> tuple[SocklabApp, FakeLink]:
    app, link = app_of(accept_a(queue_of_two()).events, at_once=stops)
    app.animated = True
    return app, link


ASKED = """\
format = 1
title = "Who is taken?"
summary = "Two wait."
teaches = ["accept"]
server = { c = "server.c" }
pause = ["accept"]

[[step]]
at = { syscall = "accept", when = "return" }
after = "One was taken."
[step.predict]
ask = "How many are left?"
choices = [0, 1, 2]
measure = "listener.accept_queue"
hides = ["queues", "sockets"]
explain = "One was taken."
"""

STOPS = len([event for event in queue_of_two().events if isinstance(event, ev.Held)])


async def accepted_still() -> str:
    """The screen after the accept where nothing moves."""
    app, _ = app_of(accept_a(queue_of_two()).events, at_once=STOPS)
    async with app.run_test(size=SIZE) as pilot:
        await shown(pilot, "held before accept")
        await filled(pilot)
        await pilot.press("s")
        await shown(pilot, "held after accept = 4")
        assert not lab(pilot).panes.motion.playing, "tests move nothing unless they ask for it"
        return text_of(app)


def view_of(screen: Any) -> LineView:
    return next(view for view in screen.slots if view.panel == "stage")


async def test_the_picture_is_painted_at_once_as_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Motion, "_tick", lambda self: None)  # no frame comes
    still = await accepted_still()
    app, _ = animated(stops=STOPS)
    async with app.run_test(size=SIZE) as pilot:
        await shown(pilot, "held before accept")
        await filled(pilot)
        await pilot.press("s")
        await shown(pilot, "held after accept = 4")
        await until(pilot, lambda: lab(pilot).panes.motion.playing)
        assert text_of(app) == still


async def test_it_ends_by_itself_in_the_picture_as_it_stays() -> None:
    still = await accepted_still()
    app, _ = animated(stops=STOPS)
    async with app.run_test(size=SIZE) as pilot:
        await shown(pilot, "held before accept")
        await filled(pilot)
        began: list[object] = []
        begin = Motion._begin
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Motion, "_begin", lambda self, *rest: (began.append(rest), begin(self, *rest))[1])
            await pilot.press("s")
            await shown(pilot, "held after accept = 4")
            await until(pilot, lambda: bool(began) and not lab(pilot).panes.motion.playing)
        assert text_of(app) == still


@pytest.mark.parametrize("key", ["up", "f12", "s", "click"])
async def test_any_key_or_click_ends_it(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setattr(module, "LASTS_S", 3600.0)  # it does not end by itself
    still = await accepted_still()
    app, _ = animated(stops=STOPS)
    async with app.run_test(size=SIZE) as pilot:
        await shown(pilot, "held before accept")
        await filled(pilot)
        await pilot.press("s")
        await shown(pilot, "held after accept = 4")
        view = view_of(lab(pilot))
        await until(pilot, lambda: bool(view._over))
        assert text_of(app) != still
        if key == "click":
            await pilot.click(LineView, offset=(1, 0))
        else:
            await pilot.press(key)
        await until(pilot, lambda: not lab(pilot).panes.motion.playing)
        assert not view._over
        if key == "f12":  # it means nothing
            assert text_of(app) == still


async def test_nothing_moves_on_the_way_back_and_forth_in_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LASTS_S", 3600.0)
    app, _ = animated(stops=STOPS)
    async with app.run_test(size=SIZE) as pilot:
        await shown(pilot, "held before accept")
        await filled(pilot)
        await pilot.press("s")
        motion = lab(pilot).panes.motion
        await until(pilot, lambda: motion.playing)
        await pilot.press("left")
        await until(pilot, lambda: lab(pilot).lab.at is not None)
        assert not motion.playing
        await pilot.press("right")
        await until(pilot, lambda: lab(pilot).lab.at is None)
        assert not motion.playing


async def test_nothing_moves_behind_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LASTS_S", 3600.0)
    story = accept_a(queue_of_two())
    story.tell(ev.StepReached(t=9, index=0, phase="after"), ev.Asked(t=9, index=0))
    app, link = app_of(story.events, at_once=STOPS, lesson=a_lesson(ASKED))
    app.animated = True
    async with app.run_test(size=SIZE) as pilot:
        await shown(pilot, "held before accept")
        await filled(pilot)
        await pilot.press("s")
        await shown(pilot, "Your prediction")
        assert not lab(pilot).panes.motion.playing
        link.give(ev.Measured(9, 0, 1, 1, True))
        await until(pilot, lambda: lab(pilot).panes.motion.playing)


async def test_another_width_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LASTS_S", 3600.0)
    app, _ = animated(stops=STOPS)
    async with app.run_test(size=SIZE) as pilot:
        await shown(pilot, "held before accept")
        await filled(pilot)
        await pilot.press("s")
        view = view_of(lab(pilot))
        await until(pilot, lambda: bool(view._over))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: not lab(pilot).panes.motion.playing)
        assert not view._over


async def test_only_lines_it_touches_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app, _ = animated(stops=STOPS)
    async with app.run_test(size=SIZE) as pilot:
        await shown(pilot, "held before accept")
        await filled(pilot)
        view = view_of(lab(pilot))
        drawn: list[Region] = []
        monkeypatch.setattr(view, "refresh", lambda *regions, **_: drawn.extend(regions))
        view.lay({3: ((20, ("a", "")),)})
        view.lay({3: ((19, ("a", "")),), 5: ((4, ("b", "")),)})
        view.lay({5: ((4, ("b", "")),)})
        view.lay({})
        width = view.size.width
        assert drawn == [Region(0, line + 1, width, 1) for line in (3, 3, 5, 3, 5)], "the title is the first row"


# ---------------------------------------------------------------- switches


@pytest.mark.parametrize(
    ("environment", "moves"),
    [
        ({}, True),
        ({"TEXTUAL_ANIMATIONS": "full"}, True),
        ({"TEXTUAL_ANIMATIONS": "none"}, False),
        ({"TEXTUAL_ANIMATIONS": "NONE"}, False),
        ({"NO_COLOR": "1"}, False),
    ],
)
def test_the_environment_switches_it_off(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], moves: bool
) -> None:
    for name in ("TEXTUAL_ANIMATIONS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert SocklabApp().animated is moves
