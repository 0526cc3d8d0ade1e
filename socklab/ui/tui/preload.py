"""What would cost time at the first stop, done while the engine is still starting.

In: the language of the program. Out: panels imported, a call decoded, a line of source coloured. Drawn nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from socklab import state as st
from socklab.protocol import events as ev
from socklab.ui.tui.panels import registry
from socklab.ui.view.lines import View


def preload(language: str) -> Iterator[None]:
    """One piece of work, of some milliseconds, at each turn."""
    path = "x.py" if language == "python" else "x.c"
    hosts = (ev.Host("server", ("127.0.0.1",)),)
    state = st.apply_all(
        st.LabState(),
        [
            ev.Header(0, ev.FORMAT, "", "", "x86_64", 0, "private", hosts, language=language),
            ev.Started(0, 1, "server", ("x",), "/"),
            ev.Source(0, path, language or "c", "int x = 1; /* x */\n"),
            ev.Enter(0, 1, 50, (3, 4, 0, 0, 0, 0)),
            ev.Held(0, 1, "enter", (ev.Frame(path, 1, "main"),)),
        ],
    )
    view = View(width=40, height=8)
    for name in registry.names():
        panel = registry.panel(name)
        yield
        panel.body(state, view)
        yield
    import_module("socklab.ui.tui.screens.evidence")
    yield
