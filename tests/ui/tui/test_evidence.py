"""Evidence on the screen, by its keys: over a lab told by hand."""

from __future__ import annotations

import pytest

from socklab.core.text import safe
from socklab.protocol import commands as cmd, events as ev
from socklab.ui.tui.screens.evidence import EvidenceScreen
from tests.ui.tui.panel_support import Scene
from tests.ui.tui.support import app_of, backlog, same_as_snapshot, text_of
from tests.ui.tui.test_app import lab, shown, until

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
LINE = "   0: 00000000:1F90 00000000:0000 0A 00000000:00000005 00:00000000 00000000     0        0 70001 1 0000 100 0"
MESSAGE = bytes.fromhex(
    "020a00001f900000" + "00" * 36 + "0100000000000000" + "00000000" + "05000000" + "04000000" + "00000000" + "71110100"
)


def full() -> list[ev.AnyEvent]:
    return Scene().full().events


def tcp(wants: tuple[ev.Want, ...], line: str = LINE) -> ev.Evidence:
    return ev.Evidence(
        9,
        wants,
        (
            ev.Reading("/proc/net/tcp", line.encode(), "server", 2, HEAD),
            ev.Reading("inet_diag_msg", MESSAGE, "server"),
        ),
    )


async def test_r_shows_where_the_panel_was_read_and_what_that_says_and_enter_runs_what_shows_the_same() -> None:
    app, link = app_of(full())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before accept")
        await pilot.press("6", "down", "r")
        await until(pilot, lambda: isinstance(app.screen, EvidenceScreen))
        wants = (ev.Want("socket", "server", 1),)
        assert link.commands == [cmd.Evidence(wants)]
        await shown(pilot, "It is being read")
        link.give(tcp(wants))
        await shown(pilot, "/proc/net/tcp on server, line 2")
        text = text_of(app)
        assert "▸ st             0A                 LISTEN" in text
        assert "5 wait for accept (limit: not told here)" in text
        assert "▶1 ss -ltn 'sport = :8080'  on server" in text
        same_as_snapshot(text, "evidence-socket-80x24")
        await pilot.press("enter")
        await until(pilot, lambda: link.commands[-1] == cmd.Look(("ss", "-ltn", "sport = :8080"), "server"))
        await shown(pilot, "It runs ...")
        link.give(ev.Ran(9, "server", ("ss", "-ltn", "sport = :8080"), 0, b"State  Recv-Q Send-Q\nLISTEN 5  4\n"))
        await shown(pilot, "LISTEN 5  4")
        await pilot.press("home")
        await shown(pilot, "/proc/net/tcp on server, line 2")
        await pilot.press("escape")
        assert lab(pilot).lab.on_top is None
        assert text_of(app).startswith("6 Sockets")


async def test_tab_marks_the_next_command_and_a_digit_runs_its_own() -> None:
    app, link = app_of(full())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before accept")
        await pilot.press("5", "r")
        await until(pilot, lambda: len(link.commands) == 1)
        link.give(ev.Evidence(9, link.commands[0].wants, (ev.Reading("/proc/4242/fd/3", b"socket:[70001]"),)))  # type: ignore[union-attr]
        await shown(pilot, "-> socket:[70001]")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: link.commands[-1] == cmd.Look(("ls", "-l", "/proc/4242/fd"), "server"))
        await pilot.press("1")
        await until(pilot, lambda: link.commands[-1] == cmd.Look(("cat", "/proc/4242/fdinfo/3"), "server"))
        link.give(
            ev.Ran(9, "server", ("cat", "/proc/4242/fdinfo/3"), 127, reason="cat is not installed on this machine")
        )
        await shown(pilot, "cat is not installed on this machine.")
        await pilot.press("9", "r")  # there is no ninth; r leaves as it came
        await until(pilot, lambda: not isinstance(app.screen, EvidenceScreen))


@pytest.mark.parametrize("keys", ["r", "6r", "1r", "w:raw sockets 3\n", ":evidence counters\n", ":raw call\n"])
async def test_nothing_is_read_out_while_a_question_hides_it(keys: str) -> None:
    app, link = app_of(backlog())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "Your prediction")
        await pilot.press(*("enter" if key == "\n" else key for key in keys))
        await shown(pilot, "First the prediction: a-d and Enter, or Esc to see the answer.")
        assert link.commands == [] and not isinstance(app.screen, EvidenceScreen)


async def test_what_the_engine_refuses_is_said_in_the_place_of_the_text() -> None:
    app, link = app_of(full())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before accept")
        await pilot.press("6", "r")
        await until(pilot, lambda: len(link.commands) == 1)
        link.give(ev.Notice(9, "warning", "There is no such socket any more."))
        await shown(pilot, "There is no such socket any more.")
        assert isinstance(app.screen, EvidenceScreen)


async def test_of_the_past_it_says_that_the_kernels_text_is_of_now_and_shows_what_was_recorded() -> None:
    events = backlog()
    app, link = app_of([*events, ev.Measured(t=9, index=1, value=5)])
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "step 2 of 2")
        await pilot.press("left", "6", "r")
        await until(pilot, lambda: len(link.commands) == 1)
        link.give(tcp(link.commands[0].wants))  # type: ignore[union-attr]
        await shown(pilot, "An earlier stop is shown: what is read from the kernel here is of now.")
        await shown(pilot, "the row in the lab's own record")
        assert "▸ rx_queue     0" in text_of(app)  # nobody had connected then


async def test_when_the_lab_has_ended_what_was_recorded_is_still_shown() -> None:
    app, link = app_of([*full(), ev.Ended(t=9, reason="quit")])
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "ended")
        await pilot.press("6", "r")
        await shown(pilot, "nothing can be read from the kernel any more")
        assert link.commands == [] and "the row in the lab's own record" in text_of(app)


async def test_v_shows_the_whole_of_a_long_text_and_again_the_part_the_panel_shows() -> None:
    app, link = app_of(full())
    names = "TcpExt: SyncookiesSent " + " ".join(f"Other{n}" for n in range(100)) + " ListenOverflows ListenDrops"
    values = "TcpExt: 0 " + " ".join("0" for _ in range(100)) + " 12 12"
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before accept")
        await pilot.press("9", "r")
        await until(pilot, lambda: len(link.commands) == 1)
        reading = ev.Reading("/proc/net/netstat", values.encode(), "server", 2, names)
        link.give(ev.Evidence(9, link.commands[0].wants, (reading,)))  # type: ignore[union-attr]
        await shown(pilot, "▸ ListenOverflows")
        assert "Other50" not in text_of(app)
        await pilot.press("v")
        await shown(pilot, "Other50")
        await pilot.press("v")
        await until(pilot, lambda: "Other50" not in text_of(app))


async def test_what_a_hostile_program_wrote_reaches_the_screen_made_visible() -> None:
    evil = b"\x1b]52;c;aGk=\x07\x1b[2J"
    app, link = app_of(full())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before accept")
        await pilot.press("0", "r")
        await until(pilot, lambda: len(link.commands) == 1)
        stat = b"7 (" + evil + b") t 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 3 19 20 21 22"
        readings = (ev.Reading("/proc/7/stat", stat), ev.Reading("/proc/7/status", b"Name:\t" + evil))
        link.give(ev.Evidence(9, link.commands[0].wants, readings))  # type: ignore[union-attr]
        await shown(pilot, safe(evil))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(link.commands[-1], cmd.Look))
        link.give(ev.Ran(9, "server", link.commands[-1].argv, 0, evil + b" printed", evil))  # type: ignore[union-attr]
        await shown(pilot, f"{safe(evil)} printed")
        assert "\x1b" not in text_of(app) and "\x07" not in text_of(app)


async def test_evidence_is_asked_for_by_name_and_a_wrong_name_is_said() -> None:
    app, link = app_of(full())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, "held before accept")
        await pilot.press(*":raw socket 3", "enter")
        await shown(pilot, 'There is no panel "socket".')
        await pilot.press(*":raw queues 8080", "enter")
        await until(pilot, lambda: isinstance(app.screen, EvidenceScreen))
        assert link.commands == [cmd.Evidence((ev.Want("socket", "server", 1), *link.commands[0].wants[1:]))]  # type: ignore[union-attr]
