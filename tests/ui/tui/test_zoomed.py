"""A panel with the screen to itself says more, and never pushes out what it says in a corner."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from socklab.ui.tui.panels import registry
from socklab.ui.view.lines import View, plain, width
from tests.ui.stage.moments import MOMENTS as LABS
from tests.ui.tui.panel_support import MOMENTS

STATES = {**{name: tell().state for name, tell in MOMENTS.items()}, **{n: tell().state for n, tell in LABS.items()}}
ZOOMED = ((79, 19), (119, 30), (199, 54))
PANELS = ("call", "queues", "descriptors", "clients", "counters", "processes")


def told(panel: str, moment: str, cells: int = 119, rows: int = 30, **more: object) -> str:
    view = replace(View(cells, rows, maximised=True), **more)  # type: ignore[arg-type]
    return "\n".join(plain(line) for line in registry.panel(panel).render(STATES[moment], view))


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("size", ZOOMED, ids=str)
def test_what_is_added_is_within_the_screen_and_pushes_nothing_out(panel: str, size: tuple[int, int]) -> None:
    for name, state in STATES.items():
        view = View(*size)
        without = registry.panel(panel).render(state, view)
        full = registry.panel(panel).render(state, replace(view, maximised=True))
        assert all(width(line) <= view.width for line in full), name
        if panel != "call" and len(without) < view.height - 1:  # a call's bytes, and a long table, may be scrolled
            assert len(full) <= view.height, name
        kept = {plain(line)[1:8] for line in without if "more" not in plain(line)}
        assert kept <= {plain(line)[1:8] for line in full} | {" waitin"}, name


def test_the_queues_tell_of_everyone_who_waits_and_which_settings_decide() -> None:
    lines = told("queues", "full").split("\n")
    for name in "abcde":
        assert any(f"   {name}  " in line and "ESTABLISHED  Recv-Q 0 B" in line for line in lines), name
    assert not any("waiting" in line for line in lines)
    assert "listen's backlog and net.core.somaxconn" in told("queues", "full")


def test_where_there_is_little_room_each_who_waits_has_one_line() -> None:
    lines = told("queues", "full", 79, 14).split("\n")
    assert sum("ESTABLISHED  Recv-Q 0 B" in line for line in lines) == 5
    assert len(lines) <= 14


def test_descriptors_tell_flags_inode_and_what_waits_in_a_socket() -> None:
    text = told("descriptors", "bytes waiting")
    assert "flags 02 O_RDWR" in text
    assert "Recv-Q 18 B" in text
    assert "receive buffer 768 of 131,072 B" in text
    assert "inode 70077" in text


@pytest.mark.parametrize("panel", ["descriptors", "clients", "queues"])
def test_what_a_question_hides_in_the_sockets_is_not_told_beside_them(panel: str) -> None:
    assert "Recv-Q" in told(panel, "full queue") or panel == "descriptors"
    assert "Recv-Q" not in told(panel, "full queue", hidden=frozenset({"sockets"}))
    assert "accept queue 5" in told("descriptors", "full queue")
    assert "accept queue" not in told("descriptors", "full queue", hidden=frozenset({"queues"}))


def test_a_client_tells_both_ends_and_its_buffers() -> None:
    assert "10.0.0.2:40001 → 10.0.0.1:8080" in told("clients", "accepted")
    assert "Send-Q 0 B" in told("clients", "accepted")


def test_a_call_tells_its_registers_where_it_was_made_and_what_it_can_fail_with() -> None:
    text = told("call", "before-bind", 119, 40)
    assert "system call 49" in text
    assert "registers 0x3 0x7ff" in text
    assert "called from\n  server.c:" in text
    assert "EADDRINUSE" in text
    assert "errors it can have" not in told("call", "epipe", 119, 60)  # it has one


def test_a_meaning_of_a_counter_is_told_whole_or_not_at_all() -> None:
    lines = told("counters", "full queue", 119).split("\n")
    assert not any("…" in line for line in lines)


def test_processes_tell_their_parent_and_every_frame() -> None:
    assert "called from" in told("processes", "full") or "in server.c:" in told("processes", "full")


def test_a_result_stands_beside_its_line_however_wide_the_screen_is() -> None:
    row = next(line for line in told("source", "after-accept", 199, 54).split("\n") if " = 4" in line)
    assert len(row.rstrip()) <= 112
