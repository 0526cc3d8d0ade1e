"""Evidence: the raw thing that a panel was drawn from, field by field, and the shell commands that show the same.

`of` says what is wanted of the engine and what came with the stream, `page` makes pages of that and of the engine's
answer, `lines` their text. Pure: the engine reads, consumers show.
"""

from __future__ import annotations

from socklab.evidence.asking import asked as asked
from socklab.evidence.model import Block as Block, Field as Field, Shell as Shell, Subject as Subject
from socklab.evidence.page import Page as Page, lines as lines, page as page, ran as ran
from socklab.evidence.subjects import SUBJECTS, of as of, of_call as of_call

PANELS = tuple(SUBJECTS)
"""What evidence can be asked of."""
