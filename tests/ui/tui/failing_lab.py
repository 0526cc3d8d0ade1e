"""A lab whose step key fails: `python -m tests.ui.tui.failing_lab`."""

from __future__ import annotations

import sys

from socklab.ui.tui import app as tui
from socklab.ui.tui.controllers.program import ProgramController
from tests.ui.tui.support import app_of, backlog


def _fail(_self: ProgramController) -> None:
    raise ZeroDivisionError("on purpose")


if __name__ == "__main__":
    ProgramController.step = _fail  # type: ignore[method-assign]
    app, _link = app_of(backlog(), at_once=5)
    sys.exit(tui._run(app))
