"""Beside a program no lesson is about: what is said of its call, and what could be done next."""

from __future__ import annotations

import struct

import pytest
from msgspec.structs import replace

from socklab.protocol import events as ev
from socklab.ui.tui.panels import registry
from socklab.ui.view.lines import View, plain
from tests.ui.tui.panel_support import ACCEPT, CLOSE, PID, READ, Scene

call = registry.panel("call")
descriptors = registry.panel("descriptors")
narration = registry.panel("narration")
output = registry.panel("output")

EPOLL_WAIT = 232
WIDE = View(58, 12)


def said(scene: Scene, view: View = WIDE) -> str:
    return "\n".join(plain(line) for line in narration.render(scene.state, view))


def mine(scene: Scene, network: str = "private") -> Scene:
    """The same run without a lesson."""
    header = scene.state.header
    assert header is not None
    scene.state = replace(scene.state, header=replace(header, lesson="", network=network))
    return scene


def test_the_call_s_purpose_is_told_before_it_and_what_came_of_it_after() -> None:
    scene = mine(Scene().before_socket())
    assert narration.title(scene.state) == "Your program"
    assert "socket: Make a new socket" in said(scene)
    assert "new: descriptor 3" in said(mine(Scene().after_socket()))


def test_before_accept_with_nobody_there_a_client_is_offered() -> None:
    assert "No client yet: k connects one to 127.0.0.1:8080." in said(mine(Scene().before_accept())).replace("\n", " ")
    assert "k connects" not in said(mine(Scene().full())), "clients are there"


def test_on_the_machine_s_network_a_command_for_another_terminal_is_told() -> None:
    told = said(mine(Scene().before_accept(), "machine")).replace("\n", " ")
    assert "curl http://127.0.0.1:8080/" in told


def test_a_silent_client_is_named_while_the_program_sleeps_in_read() -> None:
    scene = mine(Scene().after_accept())
    scene.resume().enter(READ, 4, 0x7000, 512).resume()
    scene.tell(ev.Processes(t=9, set=(ev.ProcessRow(PID, 4000, "server", "S", waits_in="wait_woken"),)))
    assert "Client a has to say something: e sends bytes, x closes it." in said(scene).replace("\n", " ")


def test_a_closed_descriptor_s_socket_that_lives_on_elsewhere_is_told() -> None:
    scene = mine(Scene().after_accept())
    shared = ev.Descriptor(4, "socket:[70077]", 70077, flags=2)
    scene.tell(ev.Forked(t=9, tid=PID, child=PID + 1, kind="fork"), ev.Descriptors(t=9, pid=PID + 1, set=(shared,)))
    scene.resume().enter(CLOSE, 4).resume()
    scene.returned(CLOSE, 0, looked=[ev.Descriptors(t=9, pid=PID, closed=(4,))])
    assert f"what it stood for stays open, process {PID + 1} has it too" in said(scene).replace("\n", " ")


def test_an_import_s_own_call_is_told_apart_from_the_program_s() -> None:
    scene = mine(Scene().after_socket())
    scene.tell(ev.Source(t=9, path="/app.py", language="python", text="import socket\nsocket.socket()\n"))
    for line, expected in ((1, True), (2, False)):
        scene.resume().tell(ev.Enter(t=9, tid=PID, nr=291, args=(0, 0, 0, 0, 0, 0)))
        scene.tell(ev.Held(t=9, tid=PID, at="enter", stack=(ev.Frame("/app.py", line, "<module>"),)))
        assert ("An import makes this call" in said(scene)) is expected


def test_another_task_that_waits_is_pointed_to_while_the_followed_one_sleeps() -> None:
    scene = mine(Scene().after_accept())
    scene.tell(ev.Forked(t=9, tid=PID, child=PID + 1, kind="fork"))
    scene.resume().enter(ACCEPT, 3).resume()
    scene.tell(ev.Processes(t=9, set=(ev.ProcessRow(PID, 4000, "server", "S", waits_in="inet_csk_accept"),)))
    scene.tell(ev.Enter(t=9, tid=PID + 1, nr=CLOSE, args=(3, 0, 0, 0, 0, 0)), ev.Held(t=9, tid=PID + 1, at="enter"))
    scene.state = replace(scene.state, focus=PID)
    assert f"{PID + 1} is held before close: ] goes there." in said(scene)


def epoll(ready: bool) -> Scene:
    scene = Scene().after_accept()
    instance = ev.Descriptor(5, "anon_inode:[eventpoll]", flags=2, watches=((3, 0x19, 3), (4, 0x19, 4)))
    scene.tell(ev.Descriptors(t=9, pid=PID, set=(instance,)))
    scene.resume().enter(EPOLL_WAIT, 5, 0x9000, 16, 2**64 - 1)
    if ready:
        scene.resume().returned(EPOLL_WAIT, 1, (ev.Mem(0x9000, struct.pack("<IQ", 1, 4)),))
    return scene


def rows(scene: Scene, view: View) -> list[list[str]]:
    drawn = [plain(line) for line in call.render(scene.state, view)]
    head = next(place for place, line in enumerate(drawn) if line.split()[:2] == ["fd", "watched"])
    return [line.split() for line in drawn[head : head + 3]]


def test_epoll_wait_tells_what_the_kernel_watches_and_then_what_is_ready() -> None:
    assert rows(epoll(ready=False), WIDE) == [
        ["fd", "watched", "for"],
        ["3", "LISTEN", "0.0.0.0:8080", "IN"],
        ["4", "client", "a", "IN"],
    ]
    assert rows(epoll(ready=True), View(38, 9)) == [
        ["fd", "watched", "for", "ready"],
        ["3", "LISTEN", ":8080", "IN", "·"],
        ["✓", "4", "client", "a", "IN", "IN"],
    ]


def test_of_many_watched_descriptors_the_ready_ones_are_shown() -> None:
    scene = Scene().after_accept()
    watches = tuple((fd, 0x19, fd) for fd in range(10, 60))
    scene.tell(
        ev.Descriptors(
            t=9, pid=PID, set=(ev.Descriptor(5, "anon_inode:[eventpoll]", watches=watches, watches_more=True),)
        )
    )
    scene.resume().enter(EPOLL_WAIT, 5, 0x9000, 16, 0)
    scene.resume().returned(EPOLL_WAIT, 1, (ev.Mem(0x9000, struct.pack("<IQ", 1, 47)),))
    drawn = [plain(line) for line in call.render(scene.state, View(38, 9))]
    assert any(line.startswith("✓   47") for line in drawn)
    assert any("more" in line for line in drawn)


def test_an_epoll_instance_is_listed_with_what_it_watches() -> None:
    drawn = [plain(line) for line in descriptors.render(epoll(ready=False).state, WIDE)]
    assert any("epoll watches 3, 4" in line for line in drawn)


OBJECTS = [
    (
        ev.Descriptor(5, "anon_inode:[eventpoll]", watches=((3, 1, 3), (4, 1, 4), (6, 1, 6)),
                      behind=ev.KernelObject(ready=((4, 1), (6, 16)))),
        "epoll 2 of 3 ready: 4, 6  watches 3, 4, 6",
    ),
    (
        ev.Descriptor(5, "anon_inode:[eventpoll]", watches=((3, 1, 3), (4, 1, 4)),
                      behind=ev.KernelObject(unasked=(3,))),
        "epoll 0 of 1 asked ready  watches 3, 4",
    ),
    (
        ev.Descriptor(5, "pipe:[77]", 77, behind=ev.KernelObject(waiting_bytes=3, capacity=65536)),
        "pipe:[77] r 3 of 65,536 B",
    ),
    (
        ev.Descriptor(5, "socket:[77]", 77, detail="udp",
                      behind=ev.KernelObject("127.0.0.1:5300", waiting_bytes=12, receive_limit=9, drops=2)),
        "udp 127.0.0.1:5300  12 B wait  2 dropped",
    ),
    (
        ev.Descriptor(5, "socket:[77]", 77, detail="unix stream",
                      behind=ev.KernelObject("/run/a\x1b/with/a/long/path/socket", listening=True, receive_limit=9)),
        "unix stream listens …␛/with/a/long/path/socket",
    ),
    (
        ev.Descriptor(5, "socket:[77]", 77, detail="unix stream",
                      behind=ev.KernelObject("", "@peer", peer_inode=70077)),
        "unix stream ⇄ fd 4 @peer",
    ),
    (
        ev.Descriptor(5, "socket:[77]", 77, detail="unix stream",
                      behind=ev.KernelObject("@a", listening=True, accept_queue=2, backlog=3)),
        "unix stream listens @a  queue 2 of 3",
    ),
    (ev.Descriptor(5, "socket:[77]", 77, detail="tcp", behind=ev.KernelObject("0.0.0.0:80")), "tcp 0.0.0.0:80"),
    (
        ev.Descriptor(5, "socket:[77]", 77, detail="udp", behind=ev.KernelObject(receive_limit=9)),
        "udp, no address",
    ),
    (ev.Descriptor(5, "socket:[77]", 77, detail="tcp", behind=ev.KernelObject()), "tcp socket, not in /proc/net/tcp"),
]  # fmt: skip


@pytest.mark.parametrize(("descriptor", "row"), OBJECTS)
def test_what_is_behind_a_descriptor_is_told_in_its_row_and_fits_a_narrow_one(
    descriptor: ev.Descriptor, row: str
) -> None:
    scene = Scene().after_accept()
    scene.tell(ev.Descriptors(t=9, pid=PID, set=(descriptor,)))
    drawn = [plain(line) for line in descriptors.render(scene.state, WIDE)]
    assert any(row in line for line in drawn), drawn
    narrow = [plain(line) for line in descriptors.render(scene.state, View(38, 12))]
    assert all(len(line) <= 38 for line in narrow)
    assert "\x1b" not in "".join(drawn)


def test_what_was_typed_what_was_written_and_what_went_wrong_are_told_apart() -> None:
    scene = Scene().start()
    scene.tell(
        ev.Output(t=9, source="server", stream="out", data=b"name? "),
        ev.Output(t=9, source="server", stream="in", data=b"Ada\n"),
        ev.Output(t=9, source="server", stream="err", data=b"no such name\n"),
    )
    assert [plain(line) for line in output.render(scene.state, WIDE)] == ["name? ", "> Ada", "! no such name"]
    scene.tell(ev.Output(t=9, source="curl", stream="out", data=b"hi\n"))
    drawn = [plain(line) for line in output.render(scene.state, WIDE)]
    assert drawn == ["server name? ", "server > Ada", "server ! no such name", "curl   hi"]
