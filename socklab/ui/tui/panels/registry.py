"""Which panels there are: name, title, key and place of each, known before its module is imported.

In: entries. Out: entries, and the panels themselves, imported when first asked for. Never draws. To add a panel is to
add its file and its entry here (docs/panel-howto.md).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from string import ascii_lowercase, ascii_uppercase

import msgspec

from socklab import state as st
from socklab.commands.keymap import effective
from socklab.ui.tui.keys import KEYS
from socklab.ui.tui.panels.panel import Panel

NEVER, TAB, OWN = "", "tab", "own"
"""How much room a panel gets: none, a tab in its group, a place of its own."""


def _always(_state: st.LabState) -> str:
    return TAB


def _where_packets_are(state: st.LabState) -> str:
    """With two hosts the wire is what the lab is about; packets seen on loopback are worth a tab."""
    if state.header is not None and state.header.network == "two-hosts":
        return OWN
    return TAB if len(state.packets) else NEVER


class Entry(msgspec.Struct, frozen=True):
    """One panel, as the screen knows it before anything of it is drawn."""

    name: str
    place: str
    """stage: on top; source, call, text: below it; kernel: opened by its key where there is no room for more."""
    title: str
    short: str
    """The title where many tabs share a line."""
    key: str = ""
    """"" = the first free one."""
    title_alone: str = ""
    """The title where there is no lesson, if it is another."""
    at_start: bool = False
    """Shown before the other tabs of its group until there is something to show."""
    room: Callable[[st.LabState], str] = _always
    module: str = ""
    """"" = the module of its name in this package."""


_entries: dict[str, Entry] = {}
_panels: dict[str, Panel] = {}

FREE_KEYS = [
    key
    for key in "1234567890" + ascii_lowercase + ascii_uppercase
    if all(key not in known.keys.split() for known in KEYS)
]
"""Keys that no command has."""


def register(entry: Entry) -> None:
    """Add a panel behind those there are. Without a key of its own it gets a digit, then a letter of its name."""
    taken = {known.key for known in _entries.values()}
    digits = [key for key in FREE_KEYS if key.isdigit() and key not in taken]
    key = entry.key or (digits or _letters(entry.name, taken))[0]
    _entries[entry.name] = msgspec.structs.replace(entry, key=key)


def _letters(name: str, taken: set[str]) -> list[str]:
    """Free letters, those of the name first; "" is the last. The user's keymap may have taken some."""
    taken = taken.union(*(known.keys.split() for known in effective().commands))
    return [key for key in (*name, *FREE_KEYS) if key in FREE_KEYS and key not in taken] + [""]


def unregister(name: str) -> None:
    """Take a panel away again."""
    _entries.pop(name, None)
    _panels.pop(name, None)


def names() -> list[str]:
    """Every panel, in the order of its registration."""
    return list(_entries)


def entry(name: str) -> Entry:
    return _entries[name]


def of_key(key: str) -> str:
    """The panel that a key shows; "" = none."""
    return next((known.name for known in _entries.values() if known.key == key), "")


def face(entry: Entry) -> str:
    """The key of a panel as it is printed: the user's where a command shows it; "" = none."""
    shows = f"panel('{entry.name}')"
    return next((command.face for command in effective().commands if command.action == shows), entry.key)


def panel(name: str) -> Panel:
    """The panel itself, imported when it is first seen."""
    found = _panels.get(name)
    if found is None:
        module = import_module(_entries[name].module or f"socklab.ui.tui.panels.{name}")
        (kind,) = (
            each
            for each in vars(module).values()
            if isinstance(each, type) and issubclass(each, Panel) and each.__module__ == module.__name__
        )
        found = _panels[name] = kind()
    return found


for _entry in (
    Entry("stage", "stage", "Stage", "stage", key="`"),
    Entry("source", "source", "Source", "source"),
    Entry("call", "call", "Call", "call"),
    Entry("narration", "text", "Lesson", "text", title_alone="Your program"),
    Entry("queues", "kernel", "Queues", "queues"),
    Entry("descriptors", "kernel", "Descriptors", "fds", at_start=True),
    Entry("sockets", "kernel", "Sockets", "sockets"),
    Entry("clients", "kernel", "Clients", "clients"),
    Entry("output", "kernel", "Output", "output"),
    Entry("counters", "kernel", "Counters", "counts"),
    Entry("processes", "kernel", "Processes", "procs"),
    Entry("wire", "kernel", "Wire", "wire", key="w", room=_where_packets_are),
    Entry("byteorder", "kernel", "Byte order", "bytes", key="B"),
    Entry("datapath", "kernel", "Data path", "path", key="j"),
    Entry("acceptqueue", "kernel", "Accept queue", "accept", key="Q"),
):
    register(_entry)
