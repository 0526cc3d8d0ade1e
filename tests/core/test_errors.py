"""An error says what happened, the next step, and the exit code of its kind; a mistyped word finds the one it meant."""

from __future__ import annotations

import pytest

from socklab.core import errors
from socklab.core.suggest import nearest, suggest


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.SocklabError, 1),
        (errors.UsageError, 2),
        (errors.LessonError, 3),
        (errors.MachineError, 4),
        (errors.ProgramError, 5),
    ],
)
def test_each_kind_of_error_has_its_exit_code(kind: type[errors.SocklabError], code: int) -> None:
    error = kind("What.", fix="Fix.")
    assert (error.exit_code, error.what, error.fix, str(error)) == (code, "What.", "Fix.", "What.\nFix.")
    assert (str(kind("What.")), kind("What.").fix, kind("What.").args) == ("What.", "", ("What.",))


def test_the_nearest_word_is_close_whatever_its_case() -> None:
    known = ["bind", "listen", "Accept"]
    assert [nearest(word, known) for word in ("bnd", "LISTN", "acept", "zzz", "")] == [
        "bind",
        "listen",
        "Accept",
        "",
        "",
    ]
    assert nearest("bind", []) == ""
    assert nearest("abcd", ["abxy"]) == "abxy"
    assert nearest("abcd", ["axyz"]) == ""
    assert nearest("lisen", iter(["listen", "lesson"])) == "listen"


def test_a_word_like_none_gets_the_list_where_it_is_short() -> None:
    assert suggest("bnd", ["bind", "listen"]) == 'Did you mean "bind"?'
    assert suggest("zzz", iter(["listen", "bind"])) == "Known: bind, listen."
    forty = [f"w{number:02}" for number in range(40)]
    assert suggest("zzz", forty) == f"Known: {', '.join(forty)}."
    assert suggest("zzz", [*forty, "x"]) == ""
    assert suggest("zzz", []) == suggest("zzz", ["bind"], listed=0) == ""
    assert suggest("zzz", ["bind"], listed=1) == "Known: bind."
