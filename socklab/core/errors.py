"""What can go wrong, in words a student can act on.

Every error says what happened, why, and the next step. The command line prints it and exits with its code; the
engine sends it as a Notice. Nothing else in socklab ends the program.
"""

from __future__ import annotations


class SocklabError(Exception):
    """An impossible request or a refusal of the machine. `fix` is the next step to take, or empty."""

    exit_code = 1

    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}\n{self.fix}" if self.fix else self.what


class UsageError(SocklabError):
    """The command line names something that is not there."""

    exit_code = 2


class LessonError(SocklabError):
    """A lesson's files do not fit the format; names file and key."""

    exit_code = 3


class MachineError(SocklabError):
    """The machine refuses something the lab needs; `fix` comes from the doctor."""

    exit_code = 4


class ProgramError(SocklabError):
    """The traced program could not be built or started."""

    exit_code = 5
