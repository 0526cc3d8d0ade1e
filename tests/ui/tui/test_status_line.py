"""The line under the panels: where the program is, what it is on the way to, how far the lesson is."""

from __future__ import annotations

import pytest

from socklab.protocol import events as ev
from socklab.ui.tui.widgets import status
from socklab.ui.view.lines import plain, width
from tests.ui.tui.panel_support import Scene
from tests.ui.tui.support import a_lesson, app_of, backlog, text_of
from tests.ui.tui.test_app import shown, until

ASLEEP = ev.Processes(t=9, set=(ev.ProcessRow(4242, 4000, "server", "S", waits_in="inet_csk_accept"),))


async def test_a_step_reached_inside_a_call_is_no_longer_on_the_way() -> None:
    told = [event for event in backlog() if not isinstance(event, ev.StepReached) or event.index == 0]
    app, link = app_of([event for event in told if not isinstance(event, ev.Asked)])
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "held before accept")
        await pilot.press("n")
        link.give(ev.Resumed(t=9, tid=4242), ASLEEP)
        await shown(pilot, "asleep in accept  k connects a client  on the way to the next step")
        link.give(ev.StepReached(t=10, index=1, phase="before"))
        await until(pilot, lambda: "on the way" not in text_of(app))
        assert "asleep in accept  k connects a client" in text_of(app)


def test_before_the_first_step_the_line_says_how_many_there_are() -> None:
    lesson = a_lesson()
    assert plain(status.progress(Scene().before_listen().state, lesson)) == "2 steps, n begins"
    reached = Scene().before_listen().tell(ev.StepReached(t=9, index=0, phase="before")).state
    assert plain(status.progress(reached, lesson)) == "step 1 of 2"


@pytest.mark.parametrize("cells", range(56, 100, 4))
def test_what_is_on_the_way_is_told_whole_or_not_at_all(cells: int) -> None:
    state = Scene().asleep().tell(ev.StepReached(t=9, index=0, phase="before")).state
    told = plain(status.line(state, a_lesson(), cells, until="step"))
    assert "…" not in told and ("on the way" not in told or "on the way to the next step" in told)
    assert width(status.line(state, a_lesson(), cells, until="step")) <= cells


async def test_the_footer_offers_to_send_and_close_where_a_client_is_there() -> None:
    app, link = app_of(backlog(), at_once=5)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, "k connect  ! run")
        ends = "10.0.0.2:40001", "10.0.0.1:8080"
        link.give(ev.Client(9, "a", "open", "client", *ends, 7))
        await shown(pilot, "k connect  e send  x close  ! run")
        link.give(
            ev.Client(9, "a", "closed", "client", *ends, 7), ev.Client(9, "curl", "running", "client", argv=("curl",))
        )
        await shown(pilot, "k connect  ! run")
