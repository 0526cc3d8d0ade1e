"""Everything of a lab's screen that is no panel: who it is above, question and notices, timeline, status, keys below.

In: a lab, its controllers, a Plan. Out: calls of LineView.show. Never acts.
"""

from __future__ import annotations

from textual.widget import Widget

from socklab.ui.tui.controllers import bars
from socklab.ui.tui.controllers.going import GoingController
from socklab.ui.tui.controllers.lab import Lab
from socklab.ui.tui.controllers.program import ProgramController
from socklab.ui.tui.controllers.question import QuestionController
from socklab.ui.tui.layout.plan import Box, Plan
from socklab.ui.tui.theme import Theme
from socklab.ui.tui.widgets import notices, status, timeline
from socklab.ui.tui.widgets.line_view import LineView
from socklab.ui.view.lines import Line
from socklab.ui.view.tasks import situation


class Chrome:
    """The bars of the screen, and what is in them."""

    def __init__(
        self, theme: Theme, lab: Lab, program: ProgramController, question: QuestionController, going: GoingController
    ) -> None:
        self._lab = lab
        self._program = program
        self._question = question
        self._going = going

        def bar() -> LineView:
            return LineView(theme, titled=False, focusable=False)

        self.header, self.place, self.asked, self.notice = bar(), bar(), bar(), bar()
        self.timeline, self.status, self.footer, self.tiny = bar(), bar(), bar(), bar()
        self.status.raised = True
        self.asked.row_action = question.click

    @property
    def all(self) -> tuple[LineView, ...]:
        """Its views."""
        first = (self.header, self.place, self.asked, self.notice)
        return (*first, self.timeline, self.status, self.footer, self.tiny)

    def places(self, plan: Plan) -> dict[Widget, Box]:
        """Where each of them is."""
        return {
            self.header: plan.header,
            self.place: plan.place,
            self.asked: plan.question,
            self.notice: plan.notice,
            self.timeline: plan.timeline,
            self.status: plan.status,
            self.footer: plan.footer,
        }

    def notices(self, width: int) -> list[Line]:
        """What the engine has to say, unless it was dismissed."""
        return notices.lines(self._lab.bridge.now.notices, self._lab.notices_read, width)

    def paint(self, plan: Plan, width: int, text_width: int, *, typing: bool) -> None:
        """Fill them. `text_width`: of the lesson's text and questions; `typing`: the prompt is open."""
        lab, state = self._lab, self._lab.shown
        presenting = plan.kind == "present"
        if plan.header.height:
            head = bars.present_head(lab, width) if presenting else status.header(state, lab.lesson, width)
            self.header.show([head])
        if plan.question.height:
            self.asked.show(self._question.titled(text_width, plan.question.width))
        if plan.notice.height:
            self.notice.show(self.notices(width))
        if plan.timeline.height:
            running, here = situation(lab.now) == "r", lab.bridge.stop_of.get(lab.now.focus)
            line, hot = timeline.draw(lab.bridge.chips, lab.at, width, running=running, here=here)
            self.timeline.show([line], hot=hot)
        if plan.status.height:
            self.status.show([bars.status_line(lab, self._program, self._going, width)])
        if typing:
            self.footer.show([((": ", "key"),)])
        else:
            back = self._question.escape_is_back
            foot, hot = bars.footer_line(lab, width, back=back) if not presenting else ((), [])
            self.footer.show([foot or bars.present_foot(lab, self._going, width, back=back)], hot=hot)
