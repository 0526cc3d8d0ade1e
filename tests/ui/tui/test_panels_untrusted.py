"""Whatever bytes, paths, addresses and numbers come: no control character, no line too long, no exception."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings, strategies as some

from socklab import evidence, state as st
from socklab.protocol import events as ev
from socklab.ui.tui.panels import registry
from socklab.ui.tui.widgets import markdown
from socklab.ui.view import lines, tasks
from socklab.ui.view.lines import Line, View
from tests.ui.tui.panel_support import ACCEPT, BIND, PID, READ, WRITE, Scene, sockaddr_in
from tests.ui.tui.panel_words import drawn_whole

sockets = registry.panel("sockets")

PANELS = (
    "source",
    "call",
    "narration",
    "queues",
    "descriptors",
    "sockets",
    "clients",
    "output",
    "counters",
    "processes",
    "wire",
    "stage",
    "byteorder",
    "datapath",
    "acceptqueue",
)
SELECT, POLL, EPOLL_WAIT = 23, 7, 232
HOSTILE = "\x1b]52;c;aGk=\x07[red]x[/] \x9b31m \u202etxt\u2066 \x00\r\n\t\u200b日本 é \ud83d \ue000"

texts = some.one_of(
    some.text(max_size=30), some.just(HOSTILE), some.sampled_from(["", ":", "[::1]:80", "1.2.3.4:99999999"])
)
numbers = some.one_of(some.integers(0, 5), some.integers(0, 2**63 - 1))
blobs = some.one_of(
    some.binary(max_size=300),
    some.just(HOSTILE.encode("utf-8", "replace")),
    some.just(sockaddr_in("255.255.255.255", 65535)),
    some.just(b"\x0a\x00" + bytes(26)),
    some.just(b"\x01\x00" + b"\x1b[2J" * 21),
)


@some.composite
def views(draw: some.DrawFn) -> View:
    return View(
        width=draw(some.integers(8, 120)),
        height=draw(some.integers(1, 40)),
        expanded=frozenset(draw(some.sets(some.sampled_from(["hex", "stack", "frames"])))),
        maximised=draw(some.booleans()),
        selected=draw(some.sampled_from([None, ("server", 1), ("a", 0), ("frame", 2)])),
    )


readings = some.builds(
    ev.Reading,
    path=some.one_of(
        texts,
        some.sampled_from(
            [f"/proc/{name}" for name in ("net/tcp", "net/netstat", "7/stat", "7/status", "7/fdinfo/3", "7/fd/3",
                                          "7/syscall", "7/wchan", "7/maps")] + ["inet_diag_msg", "frame"]
        ),
    ),
    data=some.one_of(blobs, texts.map(lambda text: text.encode("utf-8", "replace")), some.just(b"0: 1:2 3:4 0A x y z")),
    host=texts,
    head=texts,
    line=some.integers(0, 9),
    reason=some.one_of(some.just(""), texts),
)  # fmt: skip
socket_rows = some.builds(
    ev.SocketRow,
    id=some.integers(1, 9),
    family=some.just(2),
    local=texts,
    remote=texts,
    state=some.integers(0, 14),
    rx_queue=numbers,
    tx_queue=numbers,
    inode=some.integers(0, 3),
    timer=some.integers(0, 6),
    expires_ms=numbers,
    retransmits=numbers,
    receive_used=numbers,
    receive_limit=numbers,
    send_used=numbers,
    send_limit=numbers,
)
objects = some.builds(
    ev.KernelObject,
    local=texts,
    remote=texts,
    listening=some.booleans(),
    waiting_bytes=some.one_of(some.none(), numbers),
    capacity=numbers,
    receive_limit=numbers,
    drops=numbers,
    ready=some.lists(some.tuples(numbers, numbers), max_size=3).map(tuple),
    unasked=some.lists(numbers, max_size=3).map(tuple),
)
mems = some.lists(some.builds(ev.Mem, addr=some.sampled_from([0, 4096, 8192]), data=blobs), max_size=3).map(tuple)
frames = some.builds(
    ev.Frame, path=some.sampled_from(["a.c", "b.py", HOSTILE]), line=some.integers(0, 60), function=texts
)


def unique(of: some.SearchStrategy[ev.SocketRow]) -> some.SearchStrategy[tuple[ev.SocketRow, ...]]:
    return some.lists(of, max_size=5, unique_by=lambda row: row.id).map(tuple)


events = some.one_of(
    some.builds(ev.Sockets, t=some.just(1), host=some.sampled_from(["server", "client"]), set=unique(socket_rows)),
    some.builds(
        ev.Descriptors,
        t=some.just(1),
        pid=some.just(PID),
        set=some.lists(
            some.builds(
                ev.Descriptor,
                fd=some.integers(0, 6),
                target=some.one_of(texts, some.sampled_from(["socket:[1]", "pipe:[2]", "anon_inode:[eventpoll]"])),
                inode=some.integers(0, 3),
                flags=some.integers(0, 0o4000000),
                position=numbers,
                detail=texts,
                watches=some.lists(some.tuples(numbers, numbers, numbers), max_size=4).map(tuple),
                watches_more=some.booleans(),
                behind=some.one_of(some.none(), objects),
            ),
            max_size=4,
            unique_by=lambda held: held.fd,
        ).map(tuple),
        closed=some.lists(some.integers(0, 6), max_size=2, unique=True).map(tuple),
    ),
    some.builds(
        ev.Client,
        t=some.just(1),
        name=some.sampled_from(["a", "b", "c27", HOSTILE]),
        phase=some.one_of(texts, some.sampled_from(["connecting", "open", "failed", "running", "done"])),
        local=texts,
        remote=texts,
        inode=some.integers(0, 3),
        sent=numbers,
        received=numbers,
        tail=blobs,
        errno=some.integers(0, 140),
        argv=some.lists(texts, max_size=3).map(tuple),
        code=some.integers(-1, 255),
    ),
    some.builds(ev.Output, t=some.just(1), source=texts, stream=some.sampled_from(["out", "err"]), data=blobs),
    some.builds(ev.Counters, t=some.just(1), host=texts, values=some.dictionaries(texts, numbers, max_size=3)),
    some.builds(ev.Setting, t=some.just(1), host=texts, name=texts, value=texts),
    some.builds(
        ev.Processes,
        t=some.just(1),
        set=some.lists(
            some.builds(
                ev.ProcessRow,
                pid=some.sampled_from([PID, PID + 1]),
                ppid=some.just(1),
                name=texts,
                state=texts,
                rss_bytes=numbers,
                cpu_ms=numbers,
                waits_in=texts,
            ),
            max_size=2,
        ).map(tuple),
    ),
    some.builds(
        ev.Source, t=some.just(1), path=some.sampled_from(["a.c", "b.py", HOSTILE]), language=texts, text=texts
    ),
    some.builds(
        ev.Held,
        t=some.just(1),
        tid=some.just(PID),
        at=some.sampled_from(["enter", "return", "interrupt", "signal"]),
        stack=some.lists(frames, max_size=3).map(tuple),
    ),
    some.builds(
        ev.Enter,
        t=some.just(1),
        tid=some.just(PID),
        nr=some.sampled_from([READ, WRITE, BIND, ACCEPT, SELECT, POLL, EPOLL_WAIT, 9999]),
        args=some.tuples(*[some.sampled_from([0, 1, 16, 4096, 8192, 2**64 - 1])] * 6),
        mem=mems,
    ),
    some.builds(
        ev.Return,
        t=some.just(1),
        tid=some.just(PID),
        nr=some.sampled_from([READ, SELECT, POLL, EPOLL_WAIT]),
        result=some.integers(-5000, 5000),
        mem=mems,
    ),
    some.builds(ev.Resumed, t=some.just(1), tid=some.just(PID)),
    some.builds(
        ev.Signal,
        t=some.just(1),
        tid=some.just(PID),
        signo=some.integers(0, 70),
        code=some.integers(-6, 6),
        addr=numbers,
    ),
    some.builds(
        ev.Forked,
        t=some.just(1),
        tid=some.just(PID),
        child=some.integers(PID, PID + 3),
        kind=some.sampled_from(["fork", "thread"]),
    ),
    some.builds(
        ev.Exited,
        t=some.just(1),
        tid=some.sampled_from([PID, PID + 1]),
        code=some.integers(0, 255),
        signo=some.integers(0, 70),
    ),
    some.builds(ev.Evidence, t=some.just(1), wants=some.just(()), readings=some.lists(readings, max_size=4).map(tuple)),
    some.builds(ev.Ran, t=some.just(1), host=texts, argv=some.tuples(texts), out=blobs, err=blobs, reason=texts),
    some.builds(
        ev.Packet, t=numbers, id=some.integers(0, 9), source=texts, destination=texts, data=blobs, length=numbers
    ),
    some.builds(ev.PacketFate, t=numbers, id=some.integers(0, 9), fate=some.one_of(texts, some.just("held"))),
    some.builds(ev.WireRules, t=some.just(1), rules=some.lists(texts, max_size=3).map(tuple)),
    some.builds(ev.Ended, t=some.just(1), reason=texts),
)


def visible(drawn: list[Line], view: View) -> None:
    for line in drawn:
        assert lines.width(line) <= view.width, line
        for text, _ in line:
            assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")], text


def draw_all(state: st.LabState, view: View) -> None:
    for name in PANELS:
        panel = registry.panel(name)
        visible([((panel.title(state), ""),)], View(10_000, 1))
        visible(drawn_whole(panel, state, view), view)
    visible(sockets.head(state, view), view)
    visible([sockets.line(state, key, view) for key in sockets.rows(state, view)], view)
    for name in PANELS:
        subject = registry.panel(name).evidence(state, view)
        if isinstance(subject, str):
            visible([((subject, ""),)], View(10_000, 1))
        else:
            page = evidence.page(subject, state.evidence, "x86_64", past=True, refused=HOSTILE)
            whole = evidence.lines(page, view.width, whole=True)
            told = [*whole, *evidence.lines(page, view.width), ((page.title, ""),)]
            visible([*told, *(((shell.text, ""),) for shell in page.shells)], View(100_000, 1))
    if state.ran is not None:
        visible(evidence.ran(state.ran), View(100_000, 1))
    visible([tasks.program_words(state)], View(10_000, 1))


@given(some.lists(events, max_size=14), views())
@settings(max_examples=250, deadline=None)
def test_no_stream_makes_a_panel_write_controls_or_overlong_lines(stream: list[ev.Event], view: View) -> None:
    scene = Scene(hosts=2).start()
    for event in stream:
        scene.tell(event)
    draw_all(scene.state, view)


@pytest.mark.parametrize("width", [1, 2, 5, 8, 38])
def test_a_panel_of_any_width_holds_its_lines(width: int) -> None:
    for scene in (Scene(), Scene().full(), Scene().after_write_epipe(), Scene().asleep(), Scene().crashed()):
        view = View(width, 6)
        for name in PANELS:
            visible(drawn_whole(registry.panel(name), scene.state, view), view)


@given(texts | some.text(alphabet="#*`- \n\ta[]1.", max_size=60), some.integers(4, 60))
@settings(max_examples=300, deadline=None)
def test_no_markdown_breaks_the_narration(text: str, width: int) -> None:
    visible(markdown.to_lines(text, width), View(width, 9))


def test_markup_of_a_client_is_shown_as_it_was_written() -> None:
    scene = Scene().full().tell(ev.Client(9, "a", "open", "client", tail=b"[red]x[/]\x1b[31m", received=12))
    text = "\n".join(map(lines.plain, registry.panel("clients").render(scene.state, View(100, 20))))
    assert '"[red]x[/]␛[31m"' in text
