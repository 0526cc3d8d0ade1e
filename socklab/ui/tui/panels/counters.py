"""The kernel's own counters, as far as they rose since the lab began, and the settings that were read or changed.

In: Counters and Setting events. Out: one line a counter, with what the last call added. What was counted before the
lab is not shown: it has nothing to do with it.
"""

from __future__ import annotations

from collections.abc import Iterator

from socklab import state as st
from socklab.core.text import safe
from socklab.ui import counter_words
from socklab.ui.tui.panels.panel import ListPanel
from socklab.ui.view.formats import count, marker, words
from socklab.ui.view.lines import Key, Line, Span, View, width


class CountersPanel(ListPanel):
    """The kernel's counters that rose, and its settings."""

    title_text = "Counters"
    evidence_of = "counters"

    def listed(self, state: st.LabState, view: View) -> Iterator[tuple[Line, Key | None]]:
        """Rows: ("HOST COUNTER", 0) and, of the settings, ("NAME", 0)."""
        any_moved = False
        for host, values in state.counters.items():
            first = state.counters_at_start.get(host, {})
            rises = ((name, value - first.get(name, 0)) for name, value in values.items())
            # What the last call moved comes first: it is what one looks for.
            risen = sorted(
                (state.changed.counters.get((host, name)) is None, name, rise) for name, rise in rises if rise
            )
            if risen and len(state.counters) > 1:
                yield ((safe(host), "title"),), None
            for _, name, rise in risen:
                any_moved = True
                yield _counter(state, host, name, rise, view), (f"{host} {name}", 0)
        if not any_moved:
            for line in words("No counter of the kernel has moved since the start.", view):
                yield line, None
        yield from _settings(state, view)

    def moved(self, state: st.LabState) -> bool:
        return bool(state.changed.counters or state.changed.settings)


def _counter(state: st.LabState, host: str, name: str, rise: int, view: View) -> Line:
    before = state.changed.counters.get((host, name))
    now = state.counters[host][name]
    step = now - before if before is not None else 0
    change = "changed" if step else ""
    spans: list[Span] = [
        marker(change),
        (f"{count(rise):>7}", f"number {change}".strip()),
        (f" {safe(name)}", "name"),
    ]
    if step:
        spans.append((f" ({step:+,} now)", "changed"))
    meaning = counter_words.MEANINGS.get(name, "")
    if meaning and width(tuple(spans)) + 2 + len(meaning) <= view.width:
        spans.append((f"  {meaning}", "dim"))
    return tuple(spans)


def _settings(state: st.LabState, view: View) -> Iterator[tuple[Line, Key | None]]:
    """A line a setting; hosts that agree share it. What was changed since the program last ran comes first."""
    names = list(dict.fromkeys(name for settings in state.settings.values() for name in settings))
    if not names:
        return
    moved = {name for _, name in state.changed.settings}
    names.sort(key=lambda name: name not in moved)  # a stable sort: the rest keeps its order
    yield (("settings", "title"), (" of the kernel", "dim")), None
    for name in names:
        values = {host: settings[name] for host, settings in state.settings.items() if name in settings}
        spans: list[Span] = [
            marker("changed" if name in moved else ""),
            (safe(name if view.width >= 50 else name.rpartition(".")[2]), "name"),
            (" = ", "dim"),
        ]
        role = "number changed" if name in moved else "number"
        if len(set(values.values())) == 1 and len(values) == len(state.settings):
            spans.append((safe(next(iter(values.values()))), role))
        else:
            for place, (host, value) in enumerate(values.items()):
                spans += [(", " if place else "", "dim"), (f"{safe(host)} ", "dim"), (safe(value), role)]
        for host in values:
            if (host, name) in state.changed.settings:
                spans.append((f"  (was {safe(state.changed.settings[host, name])})", "dim"))
        yield tuple(spans), (name, 0)
