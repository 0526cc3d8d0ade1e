"""The accept-queue view: the kernel's depth, totals from the record, and what happened in its order."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from socklab import guide, state as st
from socklab.guide import accepting
from socklab.lesson import parse
from socklab.protocol import commands as cmd, events as ev
from socklab.ui.tui.panels.acceptqueue import AcceptQueuePanel
from socklab.ui.view.lines import View, plain, width
from tests.support import streams as lab
from tests.support.streams import SYN
from tests.ui.stage.moments import MOMENTS
from tests.ui.tui.panel_words import text

PANEL = AcceptQueuePanel()
LARGE = View(110, 40)


class Queue(lab.Stream):
    """A listener with a backlog of 2, and clients that come."""

    def __init__(self) -> None:
        super().__init__(
            lab.start(), lab.call("socket", 2, 1, 0, result=3), lab.fds((3, 900)), lab.sockets(lab.listener(0, 2))
        )
        self.tell(ev.Counters(lab.t(), "server", {"ListenOverflows": 5, "ListenDrops": 5}), lab.enter("accept", 3))
        self.depth = 0

    def comes(self, name: str) -> Queue:
        self.depth += 1
        number = ord(name) - ord("a") + 1
        rows = lab.pair(number, st.ESTABLISHED, st.ESTABLISHED)
        self.tell(lab.client(name, number, "connecting"))
        return self.tell(lab.sockets(*rows, lab.listener(self.depth, 2)), lab.client(name, number))

    def accepted(self, name: str, fd: int) -> Queue:
        self.depth -= 1
        row = lab.pair(ord(name) - ord("a") + 1, st.ESTABLISHED, st.ESTABLISHED)[1]
        inode = 70 + fd
        frames = (ev.Frame("/src/server.c", 23, "main"),)
        self.tell(ev.Resumed(lab.t(), lab.PID), lab.result("accept", fd), lab.fds((fd, inode)))
        self.tell(lab.sockets(replace(row, inode=inode), lab.listener(self.depth, 2)))
        return self.tell(ev.Held(lab.t(), lab.PID, "return", frames), lab.enter("accept", 3))


def history(stream: lab.Stream) -> list[str]:
    lines = [plain(line) for line in PANEL.body(stream.state, LARGE).lines]
    return [line.partition("stop ")[2].partition(" ")[2].strip() for line in lines]


def totals(stream: lab.Stream, view: View = LARGE) -> str:
    lines = (plain(line) for line in PANEL.body(stream.state, view).head)
    return " ".join(next(line for line in lines if line.startswith("accepted")).split())


def test_what_happens_is_told_in_its_order() -> None:
    stream = Queue().comes("a").comes("b").accepted("a", 4)
    assert history(stream) == [
        "a connects",
        "a waits as 1st",
        "b connects",
        "b waits as 2nd",
        "a accepted by fd 4 at server.c:23",
    ]


def test_each_line_has_the_stop_it_happened_at() -> None:
    stream = Queue().comes("a").accepted("a", 4).comes("b")
    lines = [plain(line) for line in PANEL.body(stream.state, LARGE).lines]
    stops = [line.split("stop ")[1].split()[0] for line in lines]
    assert stops == ["3", "3", "3", "5", "5"], "after the accept the program is held twice: after it, before the next"


def test_totals_are_accepted_waiting_dropped() -> None:
    stream = Queue().comes("a").comes("b").comes("c").accepted("a", 4).accepted("b", 5)
    stream.tell(ev.Counters(lab.t(), "server", {"ListenOverflows": 7, "ListenDrops": 8}))
    assert totals(stream) == "accepted 2 waiting 1 dropped 3"
    shown = text(PANEL.body(stream.state, LARGE).head)
    assert "ListenOverflows +2" in shown and "ListenDrops +3" in shown
    assert "no room, dropped: ListenOverflows +2, ListenDrops +3" in history(stream)


def test_failed_accepts_and_those_of_another_listener_are_not_counted() -> None:
    stream = Queue().comes("a").tell(lab.returned("accept", -11), lab.call("accept", 9, result=12))
    assert totals(stream) == "accepted 0 waiting 1 dropped 0"


def test_accepts_of_every_process_that_holds_the_listener_are_counted() -> None:
    stream = Queue().comes("a").accepted("a", 4)
    child = lab.PID + 1
    stream.tell(ev.Forked(lab.t(), lab.PID, child, "fork"), lab.fds((3, 900), pid=child))
    stream.tell(lab.entered("accept", 3, tid=child), lab.result("accept", 4, child))
    assert totals(stream) == "accepted 2 waiting 0 dropped 0"


def test_one_that_resets_before_it_is_accepted_left_the_queue() -> None:
    stream = Queue().comes("a").comes("b")
    row = lab.pair(1, st.ESTABLISHED, st.ESTABLISHED)[1]
    stream.tell(lab.client("a", 1, "reset"), lab.sockets(lab.listener(1, 2), gone=(row.id,)))
    assert history(stream)[-1] == "a left the queue by reset"


def test_a_syn_that_is_sent_again_is_told() -> None:
    stream = Queue().tell(lab.client("f", 6, "connecting"))
    for number in (1, 2, 3):
        stream.tell(lab.packet(number, "client", SYN, 0, client=6), lab.fate(number, "delivered"))
    assert history(stream)[1:] == [
        "SYN of f sent again: no answer came",
        "SYN of f sent again (the 2nd time): no answer came",
    ]


def test_the_past_tells_what_had_happened_by_then() -> None:
    stream = Queue().comes("a")
    past = stream.state
    stream.accepted("a", 4).comes("b")
    assert len(history(stream)) == 5
    assert [plain(line).split()[-1] for line in PANEL.body(past, LARGE).lines] == ["connects", "1st"]
    assert "accepted 0" in text(PANEL.body(past, LARGE).head)


@pytest.mark.parametrize("size", [(38, 9), (76, 10), (76, 16), (120, 30)])
@pytest.mark.parametrize("moment", ["empty", "listening", "full queue", "SYN held", "accepted", "10,000 clients"])
def test_no_line_is_too_wide_and_the_depth_is_the_kernels(moment: str, size: tuple[int, int]) -> None:
    state = MOMENTS[moment]().state
    lines = PANEL.render(state, View(*size))
    assert max(map(width, lines)) <= size[0]
    for row in state.listeners:
        assert f"{row.rx_queue} of {row.tx_queue}" in text(lines)


def test_each_who_waits_has_a_slot_and_the_one_beyond_the_backlog_is_behind_the_mark() -> None:
    state = MOMENTS["full queue"]().state
    small = next(plain(line) for line in PANEL.render(state, View(38, 9)) if "[" in plain(line))
    large = next(plain(line) for line in PANEL.render(state, View(100, 20)) if "│a" in plain(line))
    assert small.endswith("[abcd|e]")
    assert "".join(letter for letter in large if letter in "abcde┊") == "abcd┊e"


def test_a_long_run_is_as_quick_and_tells_its_last_things() -> None:
    stream = Queue()
    for number in range(300):
        stream.comes("a").accepted("a", 4 + number)
    assert totals(stream) == "accepted 300 waiting 0 dropped 0"
    assert len(history(stream)) == 50
    assert history(stream)[-1].startswith("a accepted by fd 303")


# ---------------------------------------------------------------- what a question hides


HIDES = """\
format = 1
title = "T"
summary = "S"
teaches = ["backlog"]
server = { c = "server.c" }
intro = "I"

[[step]]
at = { syscall = "accept" }
before = "B"
predict = { ask = "How many?", choices = [4, 5], measure = "listener.accept_queue", hides = ["queues"], explain = "E" }
"""


def test_a_question_that_hides_the_queues_hides_this_view_of_them() -> None:
    lesson = parse(HIDES, "test", name="t")
    state = Queue().tell(ev.StepReached(lab.t(), 0, "before"), ev.Asked(lab.t(), 0)).state
    assert {"queues", "acceptqueue"} <= guide.masked(lesson, state)


# ---------------------------------------------------------------- letting the server accept


def test_accept_runs_on_until_an_accept_has_returned_a_descriptor() -> None:
    assert accepting.one() == cmd.Continue("accept ok")


def test_it_is_refused_with_the_reason() -> None:
    assert "Nobody waits" in accepting.refused(Queue().state)
    assert accepting.refused(Queue().comes("a").state) == ""
    assert "listens" in accepting.refused(lab.state_of(lab.start(), lab.enter("socket", 2, 1, 0)))
    assert "no program" in accepting.refused(Queue().comes("a").tell(ev.Exited(lab.t(), lab.PID)).state)


def test_a_queue_that_no_table_lists_is_not_said_to_be_empty() -> None:
    state = Queue().tell(lab.returned("accept", -4), lab.fds((9, 901)), lab.enter("accept", 9)).state
    assert accepting.refused(state) == ""
