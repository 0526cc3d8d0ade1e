"""What was done with clients: verb lines of the student's and the lesson's, by the client each was about.

In: the acts of a LabState, and the readings that tell what came of them. Out: acts with what they ask for. A line that
names no client is somebody's only where what followed says whose.
"""

from __future__ import annotations

from functools import cached_property

from socklab.commands import actions
from socklab.core.errors import SocklabError
from socklab.protocol import events as ev
from socklab.state import LabState
from socklab.why.readings import Readings


class Acts:
    """Made once for a state."""

    def __init__(self, state: LabState, readings: Readings) -> None:
        self._state = state
        self._readings = readings

    @cached_property
    def _all(self) -> list[tuple[ev.Acted, actions.Action]]:
        found = []
        for acted in self._state.acted:
            try:
                found.append((acted, actions.parse(acted.line)))
            except SocklabError:
                continue  # the engine has refused it too
        return found

    def of(self, name: str) -> list[tuple[ev.Acted, actions.Action]]:
        """Acts on this client, oldest first: those that name it, and those without a name that are known to mean it."""
        return [(acted, action) for acted, action in self._all if self._means(acted, action) == name]

    def _means(self, acted: ev.Acted, action: actions.Action) -> str | None:
        """The client an act is about; None = nobody says."""
        named = getattr(action, "name", None)
        if not isinstance(named, str) or isinstance(action, actions.Set):
            return None
        if named:
            return named
        after = next((client for client in self._readings.client_news if client.t >= acted.t), None)
        if after is not None:  # the act's own word of it: `send` and the others tell of their client at once
            refused = any(acted.t <= n.t <= after.t for n in self._state.notices if n.level == "warning")
            return None if refused else after.name
        return next(iter(self._state.clients)) if len(self._state.clients) == 1 else None

    def settings(self, host: str, name: str) -> list[ev.Acted]:
        """Acts that gave this setting a value, oldest first; a verb line may have its short name.

        One that the kernel refused is left out: it is not read again then.
        """
        read = [event.t for event in self._readings.settings if (event.host, event.name) == (host, name)]
        found = []
        for place, (acted, action) in enumerate(self._all):
            if not isinstance(action, actions.Set) or not action.value or action.host != host:
                continue
            short = action.name.replace("/", ".")
            over = self._all[place + 1][0].t if place + 1 < len(self._all) else 1 << 62
            taken = not self._readings.kept or any(acted.t <= t <= over for t in read)
            if taken and (name == short or name.endswith(f".{short}")):
                found.append(acted)
        return found

    def unnamed(self, kind: type[actions.Action]) -> bool:
        """There are acts of this kind of which nobody says whom they meant."""
        return any(isinstance(action, kind) and self._means(acted, action) is None for acted, action in self._all)

    def connect_of(self, name: str, before: int = -1) -> ev.Acted | None:
        """The act that made the client: the last that names it, or `connect N` where it is told right behind it."""
        found = None
        for acted, action in self._all:
            if before >= 0 and acted.t > before:
                break
            named = isinstance(action, actions.Connect) and name in action.names
            if named or (isinstance(action, actions.Connect | actions.Run) and self._made(acted, name)):
                found = acted
        return found

    def _made(self, acted: ev.Acted, name: str) -> bool:
        """The client is first told after this act and before the next one."""
        known = self._state.clients.get(name)
        if known is None:
            return False
        first = next(
            (news for news in self._readings.client_news if (news.name, news.local) == (name, known.local)), None
        )
        if first is None and len(self._state.acted) == 1:
            first = known
        later = next((other.t for other, _ in self._all if other.t > acted.t), None)
        return first is not None and acted.t <= first.t and (later is None or first.t < later)
