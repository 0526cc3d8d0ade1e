"""What one may choose from a list over the screen: a command, a panel, a step of the lesson.

In: the keymap, the registry, a lab. Out: Choices for the palette, each with the action that choosing it is. Never acts.
"""

from __future__ import annotations

from socklab import guide
from socklab.commands.keymap import effective
from socklab.core.text import safe
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.layout.panes import Panes
from socklab.ui.tui.palette import Choice
from socklab.ui.tui.panels import registry


def choices(what: str, lab: Lab, panes: Panes) -> list[Choice]:
    """The list of this name."""
    if what == "Panels":
        return panels(lab, panes.maximised or panes.front(lab.shown))
    return steps(lab) if what == "Steps" else commands(lab)


def commands(lab: Lab) -> list[Choice]:
    """Every command that has an action, then every panel."""
    rows = sorted((row for row in effective().commands if row.name != "row"), key=lambda row: row.label)
    found = [Choice(row.label, row.face, row.help, row.action, f"{row.name} {row.help}") for row in rows]
    actions = {choice.action for choice in found}
    return found + [choice for choice in panels(lab) if choice.action not in actions]


def panels(lab: Lab, front: str = "") -> list[Choice]:
    """Every panel there is; `front` is the one to begin with."""
    found = []
    for entry in map(registry.entry, registry.names()):
        if entry.room(lab.shown):
            title = entry.title_alone if lab.lesson is None and entry.title_alone else entry.title
            action = f"panel('{entry.name}')"
            here = entry.name == front
            found.append(Choice(title, registry.face(entry), _first(registry.panel(entry.name)), action, "panel", here))
    return found


def _first(panel: object) -> str:
    """The first sentence of what its class says of itself."""
    return (type(panel).__doc__ or "").partition("\n")[0]


def steps(lab: Lab) -> list[Choice]:
    """The lesson's steps: of those reached what was said, and the stop to look at; of the others the moment. And the
    user's bookmarks, each behind what was reached before it."""
    found = [(stop, choice) for stop, choice in zip(*_steps(lab), strict=True)]
    for stop in sorted(lab.marks):
        place = next((index for index, (reached, _) in enumerate(found) if not 0 < reached <= stop), len(found))
        chip = lab.bridge.chips.all[lab.bridge.chips.index_of(stop)]
        words = safe(lab.marks[stop])
        here = lab.at == stop and lab.slide is None
        found.insert(place, (stop, Choice("★", f"stop {stop}", words or chip.text, f"stop({stop})", words, here)))
    return [choice for _, choice in found]


def _steps(lab: Lab) -> tuple[list[int], list[Choice]]:
    """Of each step the stop at which it was reached (0 = not yet), and its line."""
    lesson, reached = lab.lesson, lab.bridge.step_at
    stops: list[int] = []
    found: list[Choice] = []
    at = lab.shown.step.index if lab.shown.step is not None else -1
    for index, step in enumerate(lesson.steps if lesson is not None else ()):
        stop = reached.get(index, 0)
        moment = guide.described(step.at).removeprefix("the ")
        text = ""
        if stop:
            then = lab.bridge.history.at(stop)
            asking = step.predict if lab.question is not None and lab.question is step.predict else None
            filled = guide.fill((step.before or step.after).strip(), then, asking=asking)
            text = safe(" ".join(filled.replace("*", "").replace("`", "").split()))
        action = f"stop({stop})" if stop else f"go_to_step({index})"
        told = text or "(to come: Enter runs on to it)"
        stops.append(stop)
        found.append(Choice(f"Step {index + 1}", moment, told, action, text, index == at))
    return stops, found
