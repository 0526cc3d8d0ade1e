"""The how-tos say what the code does: tables in docs are compared with the registries they describe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from socklab import lesson, probes
from socklab.guide import canonical

DOCS = Path(__file__).resolve().parents[2] / "docs"


def rows(name: str) -> list[list[str]]:
    """Cells of every table row of a page, without code marks."""
    found = []
    for line in (DOCS / name).read_text().splitlines():
        if line.startswith("| "):
            found.append([cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")])
    return found


def test_every_probe_is_in_the_table_with_its_meaning() -> None:
    table = {row[0]: row[1].strip(" |") for row in rows("probe-howto.md") if "." in row[0] and " " not in row[0]}
    assert table == {name: meaning.replace("`", "") for name, meaning in probes.NAMES.items()}


def test_the_table_of_equivalent_calls_is_the_codes_own() -> None:
    table = {
        row[0]: tuple(row[1].strip(" |").split(", ")) for row in rows("lesson-howto.md") if row[0] in lesson.SAME_CALL
    }
    assert table == lesson.SAME_CALL
    assert all(canonical(name) == canonical(word) for word, names in table.items() for name in names)


def test_the_page_names_every_panel_that_can_be_hidden() -> None:
    assert ", ".join(lesson.PANELS) in (DOCS / "lesson-howto.md").read_text()


def test_the_example_of_the_howto_is_a_lesson() -> None:
    toml = re.findall(r"```toml\n(format = 1.*?)```", (DOCS / "lesson-howto.md").read_text(), re.DOTALL)
    assert lesson.parse(toml[0], "docs/lesson-howto.md").title == "Where is my socket?"


@pytest.mark.parametrize("name", lesson.names())
def test_the_claims_table_names_each_lesson_for_exactly_the_claims_it_shows(name: str) -> None:
    shown = {row[0] for row in rows("claims.md") if re.search(rf"\b{name}\b", row[-1].split("(")[0])}
    assert shown == set(lesson.load(lesson.find(name)).claims)


def test_the_claims_table_names_no_lesson_that_is_not_there() -> None:
    for row in rows("claims.md"):
        if re.fullmatch(r"[A-G]\d+", row[0]):
            named = re.sub(r"\(.*\)", "", row[-1].strip(" |")).strip()
            assert named == "none yet" or set(named.split(", ")) <= set(lesson.names()), row
