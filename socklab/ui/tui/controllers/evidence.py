"""Evidence of a panel: what its key asks of the engine, and the screen that shows what comes of it.

In: an action, the panel in front, or typed words. Out: the commands Evidence and Look; a screen over the lab's. Knows
no panel by name, and never reads the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from socklab import guide
from socklab.core.errors import SocklabError
from socklab.protocol import commands as cmd, events as ev
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.layout.panes import Panes
from socklab.ui.tui.panels import registry
from socklab.ui.tui.theme import Theme
from socklab.ui.view.lines import Line

if TYPE_CHECKING:
    from textual.app import App

    from socklab.evidence import Page, Shell, Subject
    from socklab.ui.tui.screens.evidence import EvidenceScreen


class Below(Protocol):
    """The screen that the evidence is shown over."""

    theme: Theme

    @property
    def app(self) -> App[object]: ...


class EvidenceController:
    """`front`: the panel that the key is about; `below`: the screen that it is shown over."""

    def __init__(
        self,
        lab: Lab,
        panes: Panes,
        front: Callable[[], str],
        below: Below,
    ) -> None:
        self._lab = lab
        self._panes = panes
        self._front = front
        self._below = below
        self._subject: Subject | None = None
        self._screen: EvidenceScreen | None = None
        self._asked_at: tuple[ev.Evidence | None, int] = (None, 0)
        """The evidence there was, and how many notices, when this was asked for."""
        self._answer: ev.Evidence | None = None
        self._page: tuple[tuple[object, ...], Page] | None = None
        """The page last made, and what it was made of."""
        self._shell: Shell | None = None
        """The command that was run last, and what it has printed."""
        self._ran_before: ev.Ran | None = None
        self._ran: ev.Ran | None = None
        self._refused = ""

    def open(self, words: str = "") -> None:
        """Ask for the evidence of the panel in front, or of what was typed, and show it."""
        lab = self._lab
        if lab.lesson is not None and guide.masked(lab.lesson, lab.now):
            if lab.question is None or lab.post(cmd.Evidence(wants=())):
                lab.say("What the question hides is not read out either: it comes in a moment.")
            return
        try:
            subject = self._wanted(words)
        except SocklabError as error:
            lab.say(f"{error.what} {error.fix}".strip(), wrong=True)
            return
        if isinstance(subject, str):
            lab.say(subject)
            return
        self._subject, self._answer, self._page = subject, None, None
        self._shell, self._ran, self._refused = None, None, ""
        self._asked_at = lab.bridge.now.evidence, self._notices()
        if subject.wants and not self._ended and not lab.post(cmd.Evidence(wants=subject.wants)):
            return
        from socklab.ui.tui.screens.evidence import EvidenceScreen

        self._screen = EvidenceScreen(self._below.theme, self)
        self._below.app.push_screen(self._screen, self._left)
        lab.on_top = self._told

    def _wanted(self, words: str) -> Subject | str:
        if not words:
            name, key = self._panes.chosen(self._front(), self._lab.shown)
            view = replace(self._panes.view(name, past=self._lab.at is not None), selected=key)
            return registry.panel(name).evidence(self._lab.shown, view)
        from socklab import evidence

        return evidence.asked(words, self._lab.shown, self._lab.lesson)

    def _left(self, _result: object) -> None:
        self._screen = self._lab.on_top = None

    def _notices(self) -> int:
        notices = self._lab.bridge.now.notices
        return notices.dropped + len(notices)

    @property
    def _ended(self) -> bool:
        return self._lab.bridge.link.ended or self._lab.bridge.now.ended is not None

    def _told(self) -> None:
        """Something has come: an answer, perhaps."""
        now, subject = self._lab.bridge.now, self._subject
        before, notices = self._asked_at
        if subject is None or self._screen is None or self._screen not in self._below.app.screen_stack:
            self._left(None)
            return
        if self._answer is None and now.evidence is not before and now.evidence is not None:
            self._answer = now.evidence if now.evidence.wants == subject.wants else None
        if now.ran is not self._ran_before and now.ran is not None and self._shell is not None:
            self._ran = now.ran if now.ran.argv == self._shell.argv else self._ran
        if self._notices() > notices and len(now.notices) and now.notices[-1].level != "info":
            self._refused = self._refused or now.notices[-1].text
        self._screen.paint()

    # ---------------------------------------------------------------- what the screen asks

    @property
    def page(self) -> Page:
        from socklab import evidence

        assert self._subject is not None
        header = self._lab.now.header
        past, arch = self._lab.at is not None, header.arch if header is not None else "x86_64"
        made_of = (self._answer, self._ended, self._refused)
        if self._page is None or self._page[0] != made_of:
            made = evidence.page(self._subject, self._answer, arch, past=past, ended=self._ended, refused=self._refused)
            self._page = made_of, made
        return self._page[1]

    @property
    def printed(self) -> tuple[str, list[Line]]:
        from socklab import evidence

        if self._shell is None:
            return "", []
        if self._ran is None:
            return self._shell.text, [((self._refused or "It runs ...", "dim"),)]
        return self._shell.text, evidence.ran(self._ran)

    def run(self, place: int) -> None:
        """Run a command of the page there and then, on the host that it is about."""
        shell = self._shell = self.page.shells[place]
        self._ran, self._refused = None, ""
        self._ran_before, self._asked_at = self._lab.bridge.now.ran, (self._asked_at[0], self._notices())
        if shell.elsewhere:
            self._refused = f"It is not run here: {shell.elsewhere}."
        elif not self._lab.post(cmd.Look(argv=shell.argv, host=shell.host, stdin=shell.stdin)):
            self._refused = "A question is open, or the lab has ended: it is not run."
