"""Calls that Python's own modules make as they are imported: recorded, counted, and not stopped at."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from tests.kernel.test_many_tasks import Lab

pytestmark = pytest.mark.kernel

PROGRAM = """\
import select
import looks
from ours import listener
listener.close()
"""
LIBRARY = "import select\nselect.epoll().close()\n"  # as the standard library's selectors does
OURS = "import socket\nlistener = socket.socket()\n"


def lines_of_stops(folder: Path, *commands: cmd.AnyCommand, until: str = "") -> tuple[list[str], list[int]]:
    """Of the first stop, and of one after each command; and the calls that were recorded."""
    library = folder / "site-packages"
    library.mkdir()
    (library / "looks.py").write_text(LIBRARY)
    (folder / "ours.py").write_text(OURS)
    (folder / "app.py").write_text(f"import sys\nsys.path.append({str(library)!r})\n{PROGRAM}")
    found = []
    with Link.start(RunSpec(argv=(sys.executable, str(folder / "app.py")), network="private", until=until)) as link:
        lab = Lab(link)
        for number, command in enumerate([None, *commands]):
            if command is not None:
                link.send(command)
            lab.wait(lambda state, number=number: state.stops > number, "a stop")
            frame = lab.state.tasks[lab.state.focus].stack[0]
            found.append(lab.state.sources[frame.path].text.splitlines()[frame.line - 1])
        return found, [event.nr for event in lab.seen if isinstance(event, ev.Enter)]


def test_stepping_goes_past_what_an_import_does_but_not_past_a_module_of_ones_own(tmp_path: Path) -> None:
    lines, calls = lines_of_stops(tmp_path, cmd.Step(), cmd.Step(), cmd.Step())
    assert lines == ["listener = socket.socket()"] * 2 + ["listener.close()"] * 2
    assert len(calls) > 2, "the library's calls are in the stream"


def test_a_condition_that_names_such_a_call_stops_at_it(tmp_path: Path) -> None:
    lines, _ = lines_of_stops(tmp_path, until="epoll_create1")
    assert lines == ["import looks"]
