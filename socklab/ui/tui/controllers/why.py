"""The key for "why?": what is asked about, whether it may be answered now, and what is done with the answer.

In: the focused panel and what is chosen in it, or typed words. Out: the screen that tells (ui/tui/why.py); the stop
that was chosen there is shown. Never tells anything while a prediction is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from textual.widget import Widget

from socklab import guide, state as st
from socklab.core.errors import UsageError
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.layout.panes import Panes
from socklab.ui.tui.theme import Theme
from socklab.ui.tui.widgets.line_view import LineView
from socklab.ui.view.lines import Key
from socklab.ui.view.tasks import situation

if TYPE_CHECKING:
    from socklab import why


class Place(Protocol):
    """What is needed of the lab's screen."""

    theme: Theme

    @property
    def focused(self) -> Widget | None: ...

    @property
    def app(self) -> Any: ...


class WhyController:
    """Belongs to one LabScreen."""

    def __init__(self, lab: Lab, panes: Panes, place: Place) -> None:
        self._lab = lab
        self._panes = panes
        self._place = place

    def ask(self, text: str = "") -> None:
        """About typed words; else the chosen row of the focused panel; else one of its rows; else this stop."""
        self._lab.hint = ()
        refusal = self.refusal()
        if refusal:
            self._lab.say(refusal)
            return
        from socklab import why  # decodes calls and packets: loaded when somebody asks

        state = self._lab.shown
        try:
            asked = why.typed(state, text) if text else self._chosen(state)
            if isinstance(asked, str):
                self._tell(subjects=why.subjects(state, asked))
            else:
                self._tell(chains=self._asked(asked))
        except UsageError as error:
            self._lab.say(f"{error.what} {error.fix}".strip(), wrong=True)

    def refusal(self) -> str:
        """Why nothing may be told now; "" = it may. An answer goes through all that a question hides."""
        lesson, state = self._lab.lesson, self._lab.shown
        if lesson is None or situation(state) == "e":
            return ""
        if guide.masked(lesson, state) or guide.question(lesson, state) is not None:
            return "First the prediction: what led here would answer it."
        return ""

    def _asked(self, subject: why.Subject) -> tuple[why.Chain, ...]:
        from socklab import why

        return why.why(self._lab.shown, subject, self._lab.bridge.history)

    def _chosen(self, state: st.LabState) -> why.Subject | str:
        """The chosen row of the focused panel; where none is, the panel, one of whose rows is to be chosen."""
        from socklab import why

        view = self._place.focused
        front = self._panes.maximised or (view.panel if isinstance(view, LineView) else "")
        name, key = self._panes.chosen(front, state) if front else ("", None)
        if name not in why.PANELS or (name != front and key is None):
            return why.Subject("stop")
        if name == "call":
            return why.Subject("call")
        if key is not None:
            return _subject(name, key)
        listed = why.subjects(state, name)
        return listed[0][0] if len(listed) == 1 else name

    def _tell(self, *, chains: Sequence[why.Chain] = (), subjects: Sequence[tuple[why.Subject, str]] = ()) -> None:
        from socklab.ui.tui.why import WhyScreen

        screen = WhyScreen(self._place.theme, self._asked, chains=chains, subjects=subjects)
        shown: Callable[[int | None], None] = self._go
        self._place.app.push_screen(screen, shown)

    def _go(self, stop: int | None) -> None:
        if stop:
            self._lab.go(stop)


def _subject(panel: str, key: Key) -> why.Subject:
    """The row of a panel's key: (host, socket), (client, 0), ("packet", number), (process, descriptor)."""
    from socklab import why

    name, number = key
    if panel == "descriptors":
        return why.Subject(panel, number=number, pid=int(name) if name.isdecimal() else 0)
    return why.Subject(panel, name, number)
