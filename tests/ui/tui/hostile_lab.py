"""A lab in which every text that comes from outside tries to escape: run by a test in a real terminal.

python -m tests.ui.tui.hostile_lab PANELS-KEY...: shows it until q.
"""

from __future__ import annotations

import sys

from socklab.protocol import events as ev
from socklab.ui.tui.app import SocklabApp
from tests.ui.tui.support import TOML, FakeLink, a_lesson, backlog

EVIL = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31m[red]x[/red]‮evil​﻿\x00\r\n[@click=app.quit]y[/]"
EVIL_BYTES = EVIL.encode()


def hostile() -> list[ev.AnyEvent]:
    """The backlog run with hostile texts in each field that holds one."""
    found: list[ev.AnyEvent] = []
    for event in backlog():
        if isinstance(event, ev.Header):
            found.append(ev.Header(0, 1, EVIL, EVIL, "x86_64", 0, EVIL, event.hosts, lesson=EVIL, language=EVIL))
        elif isinstance(event, ev.Source):
            found.append(ev.Source(event.t, event.path, "c", event.text.replace("listener", EVIL)))
        elif isinstance(event, ev.Descriptors):
            found += [event, ev.Descriptors(event.t, event.pid, (ev.Descriptor(9, "/tmp/" + EVIL, detail=EVIL),))]
        elif isinstance(event, ev.Started):
            found.append(ev.Started(event.t, event.pid, event.host, (EVIL,), EVIL))
        elif isinstance(event, ev.Processes):
            found.append(ev.Processes(event.t, (ev.ProcessRow(4242, 1, EVIL, "t", waits_in=EVIL),)))
        elif isinstance(event, ev.Counters):
            found += [event, ev.Counters(event.t, event.host, {EVIL: 3})]
        else:
            found.append(event)
    found += [
        ev.Client(9, "k", "open", "client", EVIL, EVIL, tail=EVIL_BYTES, argv=(EVIL,)),
        ev.Client(9, EVIL, "done", "client", tail=EVIL_BYTES, argv=("curl", EVIL)),
        ev.Output(9, "server", "out", EVIL_BYTES * 3),
        ev.Acted(9, EVIL, "student"),
        ev.Setting(9, "server", EVIL, EVIL),
        ev.Notice(9, "error", EVIL, EVIL),
    ]
    return found


def main() -> int:
    toml = TOML.replace("The address is taken", "[red]\\u001b]52;c;x\\u0007 ‮ [@click=app.quit]")
    toml = toml.replace('ask = "listen', 'ask = "[bold]\\u001b[2J\\u009b ‮ listen')
    app = SocklabApp(FakeLink(hostile(), at_once=99), a_lesson(toml))
    app.run()
    return app.return_value or 0


if __name__ == "__main__":
    sys.exit(main())
