"""Every panel at every moment of a run, at three widths, against the text it had when somebody looked at it.

One file a panel in panel_snapshots/. After a change that is meant: SOCKLAB_SNAPSHOTS=write, then read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from socklab import syscalls
from socklab.lesson import parse
from socklab.protocol import events as ev
from socklab.ui.tui.panels import registry
from socklab.ui.view import tasks
from socklab.ui.view.lines import Line, View, plain, width
from tests.ui.tui import fixed_decoder
from tests.ui.tui.panel_support import MOMENTS
from tests.ui.tui.panel_words import drawn_whole, forget_windows

SNAPSHOTS = Path(__file__).parent / "panel_snapshots"
SIZES = ((38, 9), (58, 12), (100, 16))
PANELS = {
    "source": ("nothing", "started", "full", "after-accept", "epipe", "asleep"),
    "call": tuple(MOMENTS),
    "narration": ("nothing", "full"),
    "queues": ("started", "after-socket", "after-listen", "full", "after-accept", "crashed"),
    "descriptors": ("nothing", "started", "after-socket", "full", "after-accept", "after-close", "crashed"),
    "sockets": ("after-socket", "after-listen", "full", "after-accept", "after-close"),
    "clients": ("nothing", "full", "after-read"),
    "output": ("nothing",),
    "counters": ("asleep", "full", "after-accept"),
    "byteorder": ("before-socket", "before-bind", "after-accept"),
    "datapath": ("before-socket", "after-accept", "after-read", "before-write", "after-close"),
    "acceptqueue": ("started", "after-socket", "after-listen", "full", "after-accept", "crashed"),
    "processes": ("nothing", "full", "asleep", "crashed"),
}
LESSON = """\
format = 1
title = "How long is the accept queue?"
summary = "Ten clients, a backlog of four."
teaches = ["backlog"]
server = { c = "server.c" }
intro = "A server that is **slow to accept**."

[[step]]
at = { syscall = "listen" }
before = "The next call, `listen`, decides how long the waiting line is."

[[step]]
at = { syscall = "accept" }
before = \"\"\"
Ten clients called `connect`; the kernel completed **{listener.accept_queue}** handshakes by itself.

- The program was *stopped* all the time.
- The others send their SYN again after 1 s, 2 s, 4 s.
\"\"\"

[[check]]
at = { syscall = "accept" }
probe = "listener.accept_queue"
is = 5
"""


def shown(lines: list[Line], cells: int) -> str:
    return "".join(f"|{plain(line)}{' ' * (cells - width(line))}|\n" for line in lines)


def pictures(panel: str) -> str:
    drawn = registry.panel(panel)
    lesson = parse(LESSON, "test", name="backlog")
    out = []
    for moment in PANELS[panel]:
        scene = MOMENTS[moment]()
        if moment != "nothing":
            scene.tell(ev.LessonText(t=9, toml=LESSON), ev.StepReached(t=9, index=1, phase="before"))
        for cells, height in SIZES:
            forget_windows()
            view = View(cells, height, lesson=lesson if panel == "narration" else None)
            out.append(f"== {moment}, {cells}x{height}: {drawn.title(scene.state)}\n")
            out.append(shown(drawn_whole(drawn, scene.state, view), cells))
    return "".join(out)


def compare(name: str, text: str) -> None:
    file = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("SOCKLAB_SNAPSHOTS") == "write":
        SNAPSHOTS.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"{file.name} differs; SOCKLAB_SNAPSHOTS=write if it is meant"


@pytest.mark.parametrize("panel", PANELS)
def test_panel_reads_as_it_did(panel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "decode", fixed_decoder.decode)
    compare(panel, pictures(panel))


def test_status_line_reads_as_it_did() -> None:
    compare("statusline", "".join(f"{name}: {plain(tasks.program_words(m().state))}\n" for name, m in MOMENTS.items()))


def test_every_panel_module_is_in_the_snapshots() -> None:
    own = {"wire", "stage"}  # these have tests of their own
    assert set(registry.names()) - own == set(PANELS)
    folder = Path(registry.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__", "panel", "registry"} == set(registry.names())
